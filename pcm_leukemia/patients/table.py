"""Patients from a table that assigns paths, folders or globs to them, as hospitals keep it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import translate
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidExport, Problem, some
from pcm_leukemia.files import ImageNames, common_form
from pcm_leukemia.patients.assigning import Candidates, quoted, with_patients
from pcm_leukemia.patients.table_file import PatientRow, read
from pcm_leukemia.schema import Image, ImageId

__all__ = ["PatientTable", "from_csv"]

_NAMES = "write the names of the images, or patterns such as *P012_3*"


def from_csv(ds: Dataset, path: str | Path, *, same: Mapping[str, str] | None = None) -> Dataset:
    r"""Take the ids from a table: a path, a folder or a glob to a patient, and a diagnosis.

    Its header needs a column `path` (or `image`, `folder`, `glob`, `file`, `filename`) and a column
    `patient` (or `patient_id`, `subject`). `diagnosis` is optional, and other columns are ignored.
    Case, blanks, underscores and dashes in these names do not count: `Patient ID` is `patient_id`.
    Commas, semicolons or tabs separate the values, and the file is in UTF-8 (or UTF-16 with its mark). A path is compared
    with the ids and names of the images; if it is none of them, extension, case and folders before it do not count, as
    long as only one image or folder can be meant. A row that names the image itself has priority over a row that names a folder above it
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
        If a row fits no image, a patient has two diagnoses (the one on most images is kept), ids may be one
        patient under several spellings, or a column may be a misspelt `diagnosis`.

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
    table = PatientTable(read(path), ds.images)
    rows_of = {image.id: table.rows_for(image) for image in ds.images}
    found: dict[ImageId, Candidates] = {}
    for image, rows in rows_of.items():
        found[image] = Candidates()
        for row in rows:
            found[image].add(row.patient, row.diagnosis)
    problems = [*_disagreeing(path, rows_of, found), *_unmatched(path, table, rows_of)]
    if problems:
        raise InvalidExport(problems)
    if idle := [f'{path}:{row.line}: "{row.path}"{table.doubt(row)}' for row in table.idle]:
        what = "no such image, or several" if table.doubtful else "no such image"
        warnings.warn(f"{some(idle)}: {what}; {_NAMES}", DataWarning, stacklevel=2)
    return with_patients(ds, found, f"no row of {path} fits it", "add a row for it or its folder", same=same)


def _disagreeing(
    path: str | Path, rows_of: Mapping[ImageId, list[PatientRow]], found: Mapping[ImageId, Candidates]
) -> Iterator[Problem]:
    """One problem for each set of rows that give their images different patients."""
    images_of: dict[tuple[int, ...], list[ImageId]] = {}
    for image, rows in rows_of.items():
        if len(found[image].patients) > 1:
            images_of.setdefault(tuple(row.line for row in rows), []).append(image)
    for lines, images in images_of.items():
        more = f" and {len(images) - 1:,} more" if images[1:] else ""
        what = (
            f"lines {' and '.join(map(str, lines))} of {path} give {'them' if more else 'it'} to "
            f"{quoted(found[images[0]].patients)}"
        )
        yield Problem(f'image "{images[0]}"{more}', what, "keep one of them")


def _unmatched(
    path: str | Path, table: PatientTable, rows_of: Mapping[ImageId, list[PatientRow]]
) -> Iterator[Problem]:
    """The images that no row fits, and, where there are any, the rows that fit no image."""
    lost = [image for image, rows in rows_of.items() if not rows]
    if not lost:
        return
    if not table.rows:
        yield Problem(f"{path}", "has no row below its header", "add a row for each image or folder")
        return
    if len(lost) == len(rows_of) and not table.doubtful:
        rows = " and ".join(f'"{row.path}"' for row in table.rows[:2])
        images = " and ".join(f'"{image}"' for image in lost[:2])
        what = f"none of its {len(table.rows):,} rows fits any of the {len(lost):,} images: it has {rows}"
        fix = f"{_NAMES}, or give the table of this data set"
        yield Problem(f"{path}", f"{what}, and the images are called {images}", fix)
        return
    if table.doubtful:
        row = table.doubtful[0]
        which = (
            f"{len(table.doubtful):,} rows fit several images each, the first" if table.doubtful[1:] else ""
        )
        where = f"{path}:{row.line}"
        yield Problem(where, f'{which} "{row.path}"{table.doubt(row)}'.strip(), "give more of the path")
    candidates = {image for row in table.doubtful for image in table.candidates(row)}
    for image in lost:
        if image not in candidates:
            fix = "add a row for it or its folder"
            yield Problem(f'image "{image}"', f"no row of {path} fits it", fix)
    if idle := [row for row in table.idle if not table.candidates(row)]:
        what = f'{len(idle):,} of its rows fit no image, the first "{idle[0].path}"'
        yield Problem(f"{path}:{idle[0].line}", what, _NAMES)


_LONGEST_PATH = 1_024
"""Characters. CVAT allows no longer names, and `translate` would need minutes for some longer globs."""


class PatientTable:
    """The rows, indexed by path, so that looking up 20,000 images is fast.

    A row whose path is not that of an image or a folder, and fits none as a glob, is compared in other spellings: without
    extension, with more or fewer folders before it, and in the form that all spellings of a path have in common. It
    counts if only one image or folder can be meant.

    Examples
    --------
    >>> from pcm_leukemia.schema import ImageId
    >>> images = [Image(ImageId("a/b/c.png"), 64, 64), Image(ImageId("a/d.png"), 64, 64)]
    >>> rows = [PatientRow(2, "a", "P1", ""), PatientRow(3, "a/b", "P2", ""), PatientRow(4, "d", "P3", "")]
    >>> table = PatientTable(rows, images)
    >>> [row.patient for image in images for row in table.rows_for(image)]
    ['P2', 'P3']
    """

    def __init__(self, rows: Iterable[PatientRow], images: Iterable[Image]) -> None:
        self.rows = list(rows)
        self.idle: list[PatientRow] = []
        """The rows that fit no image, not even an image to which another row applies first."""
        self.doubtful: list[PatientRow] = []
        """Those of them that fit several images."""
        self._exact: dict[str, list[PatientRow]] = {}
        for row in self.rows:
            for path in dict.fromkeys((row.path, _posix(row.path))):
                self._exact.setdefault(path, []).append(row)
        self._globs = [
            (re.compile(translate(_posix(row.path))), row)
            for row in self.rows
            if set("*?[") & set(row.path) and len(row.path) <= _LONGEST_PATH
        ]
        self._near: dict[str, list[PatientRow]] = {}
        self._candidates: dict[int, list[ImageId]] = {}
        self._place(list(images))

    def rows_for(self, image: Image) -> list[PatientRow]:
        """The rows of the highest rank that fit an image; several if their rank is equal."""
        paths = list(dict.fromkeys((image.id, image.name)))
        if named := self._named(paths):
            return named
        if image.id in self._near:
            return self._near[image.id]
        folders = [(len(path) - len(folder), folder) for path in paths for folder in _folders(path)]
        for _, folder in sorted(folders):  # the innermost folder first
            if rows := [*self._exact.get(folder, ()), *self._near.get(f"{folder}/", ())]:
                return rows
        return [row for glob, row in self._globs if any(map(glob.match, paths))]

    def candidates(self, row: PatientRow) -> list[ImageId]:
        """The images that a doubtful row can mean."""
        return self._candidates.get(row.line, [])

    def doubt(self, row: PatientRow) -> str:
        """What a doubtful row can mean, as the end of a sentence."""
        images = self.candidates(row)
        if not images:
            return ""
        return f" fits {len(images):,} images, such as " + " and ".join(f'"{image}"' for image in images[:2])

    def _named(self, paths: Iterable[str]) -> list[PatientRow]:
        rows = [row for path in paths for row in self._exact.get(path, ())]
        return sorted(set(rows), key=lambda row: row.line)

    def _place(self, images: Sequence[Image]) -> None:
        """Find the rows that fit nothing as they are written, and what else they can mean."""
        paths = {path for image in images for path in (image.id, image.name)}
        folders = {folder for path in paths for folder in _folders(path)}
        used = {row.line for path in paths | folders for row in self._exact.get(path, ())}
        used |= {
            row.line for glob, row in self._globs if row.line not in used and any(map(glob.match, paths))
        }
        rest = [row for row in self.rows if row.line not in used]
        names = ImageNames(images)
        folder_of: dict[str, list[str]] = {}
        for folder in folders if rest else ():
            folder_of.setdefault(common_form(folder), []).append(folder)
        named = {image.id for image in images if rest and self._named((image.id, image.name))}
        for row in rest:
            folder_names = folder_of.get(common_form(row.path), [])
            meant = [image for image in names.find(row.path) if image not in named]
            if len(meant) == 1:
                self._near.setdefault(meant[0], []).append(row)
            elif len(folder_names) == 1 and not meant:
                self._near.setdefault(f"{folder_names[0]}/", []).append(row)
            else:
                self.idle.append(row)
                if meant:
                    self.doubtful.append(row)
                    self._candidates[row.line] = meant


def _folders(path: str) -> list[str]:
    """'a' and 'a/b' of 'a/b/c.png'."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _posix(path: str) -> str:
    """A path from Windows or a shell, in the form of image ids."""
    return path.replace("\\", "/").removeprefix("./").rstrip("/")
