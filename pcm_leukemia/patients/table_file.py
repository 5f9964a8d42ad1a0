"""Reads the table of patients from a CSV file, as spreadsheets write it."""

from __future__ import annotations

import csv
import difflib
import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, InvalidExport, Problem
from pcm_leukemia.schema import letters

__all__ = ["PatientRow", "read"]

_CALLED = {"path": "path, image, folder, glob or file", "patient": "patient"}
_NAMES = {
    "path": [
        "path",
        "image",
        "folder",
        "glob",
        "file",
        "imagepath",
        "imageid",
        "imagename",
        "imagefile",
        "filepath",
        "filename",
    ],
    "patient": ["patient", "patientid", "patientno", "patientnumber", "subject", "subjectid"],
    "diagnosis": ["diagnosis"],
}
"""The accepted names of each column, in lower case, without blanks, underscores and dashes."""


@dataclass(frozen=True, slots=True)
class PatientRow:
    """A row of the table: a path, folder or glob, and its patient."""

    line: int
    path: str
    patient: str
    diagnosis: str


def read(path: str | Path) -> list[PatientRow]:
    """Read the table.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If the file is not a table with the required columns.
    InvalidExport
        If rows lack a path or a patient: every such row is listed.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptFile(f"{path}: is not in UTF-8; save it as CSV in UTF-8") from error
    except OSError as error:
        raise DataNotFound(
            f"{path}: cannot be read ({error.strerror}); give the path of a CSV with the columns path and patient"
        ) from error
    return _rows(path, text)


def _rows(path: str | Path, text: str) -> list[PatientRow]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # a comma, if the header has no delimiter
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, problems = [], []
    try:
        header = next(reader, [])
        place, patient, diagnosis = _columns(path, header)
        for values in reader:
            row = [value.strip() for value in values] + [""] * len(header)
            if any(row[len(header) :]):
                what = f"has more values than the {len(header)} columns"
                problems.append(Problem(f"{path}:{reader.line_num}", what, "quote values with commas"))
            elif any(row) and not (row[place] and row[patient]):
                what = "has no patient" if row[place] else "names no image, folder or glob"
                problems.append(Problem(f"{path}:{reader.line_num}", what, "fill it in, or delete the row"))
            elif any(row):
                known = "" if diagnosis is None else row[diagnosis]
                rows.append(PatientRow(reader.line_num, row[place], row[patient], known))
    except csv.Error as error:
        raise CorruptFile(
            f"{path}:{reader.line_num}: is not a CSV ({error}); save it as CSV in UTF-8"
        ) from error
    if problems:
        raise InvalidExport(problems)
    return rows


def _columns(path: str | Path, header: list[str]) -> tuple[int, int, int | None]:
    """The indices of the columns path, patient and diagnosis; case, blanks and dashes in the names do not count."""
    if not any(name.strip() for name in header):
        raise CorruptFile(f"{path}:1: names no columns; give a table with the columns path and patient")
    bare = [letters(name) for name in header]
    places = {
        meaning: [place for place, name in enumerate(bare) if name in names]
        for meaning, names in _NAMES.items()
    }
    for meaning, found in places.items():
        if len(found) > 1:
            both = " and ".join(f'"{header[place].strip()}"' for place in found)
            raise CorruptFile(f"{path}:1: {both} both mean the {meaning}; keep one of these columns")
    for meaning in ("path", "patient"):
        if not places[meaning]:
            near = _nearest(meaning, header)
            nearest = f', the nearest is "{near}"' if near else ""
            raise CorruptFile(
                f"{path}:1: has no column for the {meaning}{nearest}; name it {_CALLED[meaning]}"
            )
    if not places["diagnosis"] and (near := _nearest("diagnosis", header)):
        warnings.warn(
            f'{path}:1: column "{near}" is not read; if it holds the diagnosis, name it diagnosis',
            DataWarning,
            stacklevel=5,
        )
    diagnosis = places["diagnosis"][0] if places["diagnosis"] else None
    return places["path"][0], places["patient"][0], diagnosis


def _nearest(meaning: str, header: Iterable[str]) -> str | None:
    """The column whose name is most similar to one with this meaning; None if no name is similar."""
    columns = {letters(name): name.strip() for name in header}
    for name in _NAMES[meaning]:
        if near := difflib.get_close_matches(name, columns, n=1, cutoff=0.75):
            return columns[near[0]]
    return None
