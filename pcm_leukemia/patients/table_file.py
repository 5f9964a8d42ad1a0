"""Reads the table of patients, as spreadsheets write it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pcm_leukemia.errors import CorruptFile, DataWarning, InvalidExport, closest, some
from pcm_leukemia.files import read_user_table, wrong_rows
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
    table = read_user_table(path, "path and patient")
    place, patient, diagnosis = _columns(table.where, table.header)
    rows: list[PatientRow] = []
    wrong: dict[tuple[str, str], list[int]] = {}
    taken, problems = table.take(place, patient, *([] if diagnosis is None else [diagnosis]))
    for line, (image, person, *known) in taken:
        if image and person:
            rows.append(PatientRow(line, image, person, known[0] if known else ""))
        else:
            what = "has no patient" if image else "names no image, folder or glob"
            wrong.setdefault((what, "fill it in, or delete the row"), []).append(line)
    if problems := [*wrong_rows(path, wrong), *problems]:
        raise InvalidExport(problems)
    return rows


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
