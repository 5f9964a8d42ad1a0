"""Reads the table of patients from a CSV file, as spreadsheets write it."""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, InvalidExport, Problem, closest, some
from pcm_leukemia.files import GIT_LFS, PULL
from pcm_leukemia.schema import letters

__all__ = ["PatientRow", "read"]

_SAVE = "save it as CSV in UTF-8"
_OTHER_FILES = {
    b"PK": ("a zip file", "give the table in it, as CSV in UTF-8"),
    b"\xd0\xcf\x11\xe0": ("an Excel file", _SAVE),
    b"%PDF": ("a PDF file", _SAVE),
    b"\x1f\x8b": ("a gzip file", "unpack it"),
    b"<": ("an HTML or XML file", _SAVE),
    b"{": ("a JSON file", _SAVE),
    GIT_LFS: ("a Git LFS pointer", PULL),
}
"""First bytes -> what people give in place of a CSV, and what to do."""
_SPREADSHEETS = {b"xl/": "an Excel file", b"opendocument": "a LibreOffice file", b"Index/": "a Numbers file"}
"""What is in a zip file -> the program that wrote it."""

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
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataNotFound(
            f"{path}: cannot be read ({error.strerror}); give the path of a CSV with the columns path and patient"
        ) from error
    return _rows(path, _text(path, data))


def _text(path: str | Path, data: bytes) -> str:
    for start, (kind, fix) in _OTHER_FILES.items():
        if data[:1000].lstrip().startswith(start):
            sheets = (name for mark, name in _SPREADSHEETS.items() if start == b"PK" and mark in data)
            sheet = next(sheets, None)
            raise CorruptFile(f"{path}: is {sheet or kind}, not a CSV; {_SAVE if sheet else fix}")
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptFile(f"{path}: is not in UTF-8; {_SAVE}") from error
    if "\0" in text:
        raise CorruptFile(f"{path}: is not text in UTF-8; {_SAVE}")
    return text


def _rows(path: str | Path, text: str) -> list[PatientRow]:
    delimiter, skipped = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[PatientRow] = []
    wrong: dict[tuple[str, str], list[int]] = {}
    try:
        for _ in range(skipped):
            next(reader)
        header = [_value(name) for name in next(reader, [])]
        place, patient, diagnosis = _columns(f"{path}:{skipped + 1}", header)
        for values in reader:
            row = [_value(value) for value in values] + [""] * len(header)
            if any(row[len(header) :]):
                what = f"has more values than the {len(header)} columns"
                wrong.setdefault((what, "quote values with commas"), []).append(reader.line_num)
            elif any(row) and not (row[place] and row[patient]):
                what = "has no patient" if row[place] else "names no image, folder or glob"
                wrong.setdefault((what, "fill it in, or delete the row"), []).append(reader.line_num)
            elif any(row):
                known = "" if diagnosis is None else row[diagnosis]
                rows.append(PatientRow(reader.line_num, row[place], row[patient], known))
    except csv.Error as error:
        raise CorruptFile(f"{path}:{reader.line_num}: is not a CSV ({error}); {_SAVE}") from error
    if wrong:
        raise InvalidExport(_wrong_rows(path, wrong))
    return rows


def _delimiter(text: str) -> tuple[str, int]:
    """What separates the values, and how many lines come before the header: Excel's "sep=;" is one."""
    first = next(io.StringIO(text), "").strip()
    if named := re.fullmatch(r'"?sep=(.)"?', first, re.IGNORECASE):
        return named[1], 1
    unquoted = re.sub(r'"[^"]*"', "", first)
    return max(",;\t|", key=unquoted.count), 0  # a comma, if the header has no delimiter


def _value(text: str) -> str:
    """A value without blanks around it, and without the form ="007" that keeps zeros in a spreadsheet."""
    text = text.strip()
    formula = re.fullmatch(r'="([^"]*)"', text)
    return formula[1].strip() if formula else text


def _wrong_rows(path: str | Path, wrong: Mapping[tuple[str, str], Sequence[int]]) -> Iterator[Problem]:
    """One problem for each kind, with the first row that has it."""
    for (what, fix), lines in wrong.items():
        if len(lines) == 1:
            yield Problem(f"{path}:{lines[0]}", what, fix)
        else:
            have = what.replace("has ", "have ").replace("names ", "name ")
            rows = f"{len(lines):,} rows (lines {', '.join(map(str, lines[:5]))}{', ...' * (len(lines) > 5)})"
            yield Problem(f"{path}", f"{rows} {have}", fix)


def _columns(where: str, header: list[str]) -> tuple[int, int, int | None]:
    """The indices of the columns path, patient and diagnosis; case, blanks and dashes in the names do not count."""
    if not any(name.strip() for name in header):
        raise CorruptFile(f"{where}: names no columns; give a table with the columns path and patient")
    bare = [letters(name) for name in header]
    places = {
        meaning: [place for place, name in enumerate(bare) if name in names]
        for meaning, names in _NAMES.items()
    }
    for meaning, found in places.items():
        if len(found) > 1:
            both = " and ".join(f'"{header[place].strip()}"' for place in found)
            raise CorruptFile(f"{where}: {both} both mean the {meaning}; keep one of these columns")
    if not places["path"] and not places["patient"] and not _nearest("path", header):
        names = some((f'"{name}"' for name in header if name), 5).replace("\n", ", ")
        raise CorruptFile(
            f"{where}: has no columns for the path and the patient, but {names}; begin the table with a header such as "
            "path,patient,diagnosis"
        )
    for meaning in ("path", "patient"):
        if not places[meaning]:
            near = _nearest(meaning, header)
            nearest = f', the nearest is "{near}"' if near else ""
            raise CorruptFile(
                f"{where}: has no column for the {meaning}{nearest}; name it {_CALLED[meaning]}"
            )
    known = {place for found in places.values() for place in found}
    unread = [name for place, name in enumerate(header) if name and place not in known]
    if unread and not places["diagnosis"]:
        warnings.warn(f"{where}: {_not_read(unread)}", DataWarning, stacklevel=5)
    diagnosis = places["diagnosis"][0] if places["diagnosis"] else None
    return places["path"][0], places["patient"][0], diagnosis


def _not_read(unread: Sequence[str]) -> str:
    """What to say of columns with unknown names in a table without diagnoses."""
    if near := _nearest("diagnosis", unread):
        return f'column "{near}" is not read; if it holds the diagnosis, name it diagnosis'
    shown = some((f'"{name}"' for name in unread), 5).replace("\n", ", ")
    columns = f"column {shown} is" if len(unread) == 1 else f"columns {shown} are"
    return f"{columns} not read; if one holds the diagnosis, name it diagnosis"


def _nearest(meaning: str, header: Iterable[str]) -> str | None:
    """The column whose name is most similar to one with this meaning; None if no name is similar."""
    columns = {letters(name): name.strip() for name in header}
    for name in _NAMES[meaning]:
        if near := closest(name, columns):
            return columns[near]
    return None
