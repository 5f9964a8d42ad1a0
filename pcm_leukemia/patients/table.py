"""The CSV that assigns paths, folders or globs to patients, as hospitals keep it."""

from __future__ import annotations

import csv
import difflib
import io
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, InvalidExport, Problem
from pcm_leukemia.schema import Image, letters

__all__ = ["PatientRow", "PatientTable"]

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


class PatientTable:
    """The rows, indexed by path, so that looking up 20,000 images is fast.

    Examples
    --------
    >>> from pcm_leukemia.schema import ImageId
    >>> table = PatientTable([PatientRow(2, "a", "P1", ""), PatientRow(3, "a/b", "P2", "")])
    >>> [row.patient for row in table.rows_for(Image(ImageId("a/b/c.png"), 64, 64))]
    ['P2']
    """

    def __init__(self, rows: Iterable[PatientRow]) -> None:
        self.rows = list(rows)
        self.exact: dict[str, list[PatientRow]] = {}
        for row in self.rows:
            for path in dict.fromkeys((row.path, _posix(row.path))):
                self.exact.setdefault(path, []).append(row)
        self.globs = [
            (re.compile(translate(_posix(row.path))), row) for row in self.rows if set("*?[") & set(row.path)
        ]

    @classmethod
    def read(cls, path: str | Path) -> PatientTable:
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
        return cls(_rows(path, text))

    def rows_for(self, image: Image) -> list[PatientRow]:
        """The rows of the highest rank that fit an image; several if their rank is equal."""
        paths = list(dict.fromkeys((image.id, image.name)))
        if named := self._named(paths):
            return named
        folders = [(len(path) - len(folder), folder) for path in paths for folder in _folders(path)]
        for _, folder in sorted(folders):  # the innermost folder first
            if folder in self.exact:
                return self.exact[folder]
        return [row for glob, row in self.globs if any(map(glob.match, paths))]

    def _named(self, paths: Iterable[str]) -> list[PatientRow]:
        rows = [row for path in paths for row in self.exact.get(path, ())]
        return sorted(set(rows), key=lambda row: row.line)

    def idle(self, images: Iterable[Image]) -> list[PatientRow]:
        """The rows that fit no image, not even an image to which another row applies first."""
        paths = {path for image in images for path in (image.id, image.name)}
        there = paths | {folder for path in paths for folder in _folders(path)}
        used = {row.line for path in there for row in self.exact.get(path, ())}
        used |= {row.line for glob, row in self.globs if row.line not in used and any(map(glob.match, paths))}
        return [row for row in self.rows if row.line not in used]


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


def _folders(path: str) -> list[str]:
    """'a' and 'a/b' of 'a/b/c.png'."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _posix(path: str) -> str:
    """A path from Windows or a shell, in the form of image ids."""
    return path.replace("\\", "/").removeprefix("./").rstrip("/")
