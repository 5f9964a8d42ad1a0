"""Patients from a table that assigns paths, folders or globs to them, as hospitals keep it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from fnmatch import translate
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, Problem, some
from pcm_leukemia.patients.assigning import Candidates, quoted, with_patients
from pcm_leukemia.patients.table_file import PatientRow, read
from pcm_leukemia.schema import Image, ImageId

__all__ = ["PatientTable", "from_csv"]


def from_csv(ds: Dataset, path: str | Path, *, same: Mapping[str, str] | None = None) -> Dataset:
    r"""Take the ids from a table: a path, a folder or a glob to a patient, and a diagnosis.

    Its header needs a column `path` (or `image`, `folder`, `glob`, `file`, `filename`) and a column
    `patient` (or `patient_id`, `subject`). `diagnosis` is optional, and other columns are ignored.
    Case, blanks, underscores and dashes in these names do not count: `Patient ID` is `patient_id`.
    Commas, semicolons or tabs separate the values, and the file is in UTF-8. A path is compared with the ids and
    names of the images. A row that names the image itself has priority over a row that names a folder above it
    (the innermost folder first), and a folder has priority over a glob, for example ``*/P7_*.png``.

    Parameters
    ----------
    ds
        The data set. Existing patients are replaced.
    path
        The CSV.
    same
        Spelling of a patient's id -> the id that is kept, for patients that are one; see `merge`.

    Returns
    -------
    Dataset
        The same data, every image with its patient.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If the file is not a table with these columns.
    InvalidExport
        If a row lacks a value, no row fits an image, or two rows of equal rank give an image
        different patients: every such row and image is listed.
    ValueError
        If `same` names an unknown patient.
    InvalidDataset
        If patients that are to be one have different diagnoses.

    Warns
    -----
    DataWarning
        If a row fits no image, a patient has two diagnoses (the one on most images is kept), ids may be one patient under several spellings, or a column may be a misspelt `diagnosis`.

    Examples
    --------
    >>> import tempfile
    >>> from pcm_leukemia.schema import Image
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, tuple(Image(ImageId(f"slides/{n}.png"), 64, 64) for n in "ab"))
    >>> file = Path(tempfile.mkdtemp()) / "patients.csv"
    >>> _ = file.write_text("path,patient,diagnosis\nslides,007,ALL\nslides/b.png,P8,Normal\n")
    >>> [(image.id, image.patient) for image in from_csv(ds, file).images]
    [('slides/a.png', '007'), ('slides/b.png', 'P8')]
    """
    table = PatientTable(read(path))
    found: dict[ImageId, Candidates] = {}
    problems = []
    for image in ds.images:
        rows = table.rows_for(image)
        found[image.id] = Candidates()
        for row in rows:
            found[image.id].add(row.patient, row.diagnosis)
        if len(found[image.id].patients) > 1:
            lines = " and ".join(str(row.line) for row in rows)
            what = f"lines {lines} of {path} give it to {quoted(found[image.id].patients)}"
            problems.append(Problem(f'image "{image.id}"', what, "keep one of them"))
    idle = [f'{path}:{row.line}: "{row.path}"' for row in table.idle(ds.images)]
    if idle:
        warnings.warn(
            f"{some(idle)}: no such image; write paths as CVAT shows them", DataWarning, stacklevel=2
        )
    return with_patients(
        ds, found, f"no row of {path} fits it", "add a row for it or its folder", problems, same=same
    )


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


def _folders(path: str) -> list[str]:
    """'a' and 'a/b' of 'a/b/c.png'."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _posix(path: str) -> str:
    """A path from Windows or a shell, in the form of image ids."""
    return path.replace("\\", "/").removeprefix("./").rstrip("/")
