"""Reads the table of patients, as spreadsheets write it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pcm_leukemia.errors import CorruptFile, DataWarning, InvalidExport, closest, either, some
from pcm_leukemia.files import read_user_table, wrong_rows
from pcm_leukemia.schema import letters

__all__ = ["PatientRow", "read", "read_diagnoses"]

_BESIDE = (
    "pass this table as `diagnoses`, and as `patients` where the patient of each image is",
    "give --patients, too, if the patient of each image is in its path",
)
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
_GERMAN = {"path": ["ordner", "pfad", "datei", "pfaddatei", "dateipfad", "dateiname", "bild", "verzeichnis"]}
"""Names that are not accepted, and that messages recognise."""


@dataclass(frozen=True, slots=True)
class PatientRow:
    """A row of the table: a path, folder or glob ("" in a table of patients alone), and its patient."""

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


def read_diagnoses(path: str | Path) -> list[PatientRow]:
    """Read a table with the columns patient and diagnosis; a diagnosis may be empty.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If the file is not a table with these columns, or has a column for the path.
    InvalidExport
        If rows lack a patient: every such row is listed.
    """
    table = read_user_table(path, "patient and diagnosis")
    places = _places(table.where, table.header)
    if places["path"]:
        column = table.header[places["path"][0]]
        raise CorruptFile(
            f'{table.where}: column "{column}" gives the patient of each image, and so does '
            + either(
                "`patients`; leave `patients` or the column out",
                "a pattern, tag or attribute; leave that or the column out",
            )
        )
    for meaning in ("patient", "diagnosis"):
        if not places[meaning]:
            near = _nearest(meaning, table.header)
            nearest = f', the nearest is "{near}"' if near else ""
            raise CorruptFile(f"{table.where}: has no column for the {meaning}{nearest}; name it {meaning}")
    taken, problems = table.take(*places["patient"], *places["diagnosis"])
    rows = [PatientRow(line, "", patient, diagnosis) for line, (patient, diagnosis) in taken]
    nobody = [row.line for row in rows if not row.patient and row.diagnosis]
    wrong = wrong_rows(path, {("has no patient", "fill it in, or delete the row"): nobody})
    if problems := [*wrong, *problems]:
        raise InvalidExport(problems)
    return [row for row in rows if row.patient]


def _places(where: str, header: list[str]) -> dict[str, list[int]]:
    """Path, patient and diagnosis -> the index of the column; case, blanks and dashes in the names do not count."""
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
    return places


def _columns(where: str, header: list[str]) -> tuple[int, int, int | None]:
    """The indices of the columns path, patient and diagnosis."""
    places = _places(where, header)
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
            by_patient = meaning == "path" and places["diagnosis"] and not near
            raise CorruptFile(
                f"{where}: has no column for the {meaning}{nearest}; name it {_CALLED[meaning]}"
                + (f", or {either(*_BESIDE)}" if by_patient else "")
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
    """The column whose name is most similar to one with this meaning, or has it in German; None if there is none."""
    columns = {letters(name): name.strip() for name in header}
    for name in _NAMES[meaning]:
        if near := closest(name, columns):
            return columns[near]
    return next((columns[name] for name in _GERMAN.get(meaning, ()) if name in columns), None)
