"""What the readers share: finding the root, listing files in order, sizes from headers, single-cell crops.

Nothing here decodes pixels.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, DataWarning, InvalidExport, PcmError, Problem, some
from pcm_leukemia.files import IMAGE_SUFFIXES
from pcm_leukemia.schema import Attributes, Cell, Image, ImageId, Patient, PatientId, Split
from pcm_leukemia.shapes import Box
from pcm_leukemia.sources._labels import LabelMap
from pcm_leukemia.sources._source import Source

__all__ = [
    "Crop",
    "crops",
    "find_root",
    "listing",
    "not_found",
    "patients",
    "require_files",
    "sizes",
    "warn",
    "whole",
    "with_parts",
]

_DEPTH = 4
"""How many folders below the given root the data may lie: archives are unpacked into folders of folders."""


@dataclass(frozen=True, slots=True)
class Crop:
    """An image that shows one cell: its path below the root, its raw label, and what else is known."""

    file: str
    raw: str
    patient: str | None = None
    diagnosis: str | None = None
    group: str | None = None
    part: str | None = None
    subset: str = ""
    attributes: Attributes = ()


def not_found(source: Source, root: str | Path, what: str) -> DataNotFound:
    """The error for a root that is none: what it lacks, and how the data is had."""
    return DataNotFound(f"{root}: {what}; to get {source.title}: {source.how_to_get}")


def find_root(source: Source, root: str | Path, fits: Callable[[Path], bool], what: str) -> Path:
    """The folder that fits: the root itself, or the first one below it, level by level and by name.

    Parameters
    ----------
    source
        Whose `how_to_get` the error tells.
    root
        What the user gave.
    fits
        Whether a folder is the one.
    what
        What such a folder has in it, for the error: "the 15 folders BAS, EBO, ...".

    Raises
    ------
    DataNotFound
        If there is none.
    """
    path = Path(root)
    if not path.is_dir():
        raise not_found(source, root, "no such folder")
    level = [path]
    for _ in range(_DEPTH):
        for folder in level:
            if fits(folder):
                return folder.absolute()
        level = [inner for folder in level for inner in _folders(folder)]
    raise not_found(source, root, f"neither it nor a folder below it has {what}")


def _folders(path: Path) -> list[Path]:
    return sorted(Path(entry) for entry in os.scandir(path) if entry.is_dir() and not _is_stray(entry.name))


def listing(root: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[str]:
    """Every file below `root` with one of these endings, as sorted POSIX paths relative to it.

    Passed over is what systems leave behind: names that begin with a dot, and ``__MACOSX``.
    """
    found: list[str] = []
    folders = [("", os.fspath(root))]
    while folders:
        inner, path = folders.pop()
        with os.scandir(path) as entries:
            for entry in entries:
                if _is_stray(entry.name):
                    continue
                if entry.is_dir():
                    folders.append((f"{inner}{entry.name}/", entry.path))
                elif os.path.splitext(entry.name)[1].lower() in suffixes:  # noqa: PTH122 - many times
                    found.append(inner + entry.name)
    return sorted(found)


def _is_stray(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def require_files(source: Source, root: Path, files: Iterable[str], listed_in: str) -> None:
    """Refuse a root that lacks files which a table or a list of its own names.

    Raises
    ------
    InvalidExport
        Every missing file is named, with where it is listed.
    """
    problems = [
        Problem(f"{root}", f"has no {file}, which {listed_in} lists", f"get {source.title} again, whole")
        for file in files
        if not (root / file).is_file()
    ]
    if problems:
        raise InvalidExport(problems)


def sizes(root: Path, files: Sequence[str], workers: int | None = None) -> dict[str, tuple[int, int]]:
    """Width and height of each image in pixels, from its header; files that are no images are left out.

    Warns
    -----
    DataWarning
        If files are left out: the first of them are named, with the reason.
    """
    from pcm_leukemia import images

    folder = f"{root}{os.sep}"

    def look(chunk: Sequence[str]) -> list[tuple[int, int] | str]:
        found: list[tuple[int, int] | str] = []
        for file in chunk:
            try:
                with open(folder + file, "rb") as stream:  # noqa: PTH123 - many times
                    found.append(images.size(stream, file))
            except PcmError as error:
                found.append(str(error))
            except OSError as error:
                found.append(
                    f"{file}: cannot be opened ({error.strerror}); check the disk and the permissions"
                )
        return found

    chunks = [files[start : start + 256] for start in range(0, len(files), 256)]
    with ThreadPoolExecutor(workers) as pool:
        looked = [each for chunk in pool.map(look, chunks) for each in chunk]
    bad = [each for each in looked if isinstance(each, str)]
    if bad:
        warnings.warn(
            f"{root}: {len(bad):,} files are left out, since they cannot be read:\n{some(bad)}",
            DataWarning,
            stacklevel=3,
        )
    return {file: each for file, each in zip(files, looked, strict=True) if not isinstance(each, str)}


def whole(image: Image, label: str, raw: str, attributes: Attributes = ()) -> Cell:
    """The one cell of an image that shows nothing else: its box is the image."""
    return Cell(image.id, 0, label, Box(0, 0, image.width, image.height), raw, attributes=attributes)


def patients(pairs: Iterable[tuple[str | None, str | None]]) -> tuple[Patient, ...]:
    """(patient, diagnosis) pairs as the table of patients; a diagnosis that any pair has is taken.

    Warns
    -----
    DataWarning
        If a patient has two diagnoses, and so is given none.
    """
    known: dict[str, set[str]] = {}
    for patient, diagnosis in pairs:
        if patient is not None:
            known.setdefault(patient, set()).update([diagnosis] if diagnosis else [])
    torn = [
        f'patient "{patient}": has the diagnoses {" and ".join(sorted(found))}, and so is given none; look it up'
        for patient, found in sorted(known.items())
        if len(found) > 1
    ]
    if torn:
        warnings.warn(some(torn), DataWarning, stacklevel=4)
    return tuple(
        Patient(PatientId(patient), next(iter(found)) if len(found) == 1 else None)
        for patient, found in sorted(known.items())
    )


def crops(
    source: Source,
    root: Path,
    rows: Sequence[Crop],
    labels: LabelMap,
    *,
    workers: int | None = None,
) -> Dataset:
    """A data set of single-cell crops: an image a row, with one cell that spans it.

    Where every row has a part, the parts make the split; see `with_parts`.

    Raises
    ------
    DataNotFound
        If there are no rows.
    UnknownLabel
        If the map lacks a raw label: all are named.
    """
    if not rows:
        raise not_found(source, root, "holds no image")
    labels.require(row.raw for row in rows)
    known = sizes(root, [row.file for row in rows], workers)
    there = [row for row in rows if row.file in known]
    images: list[Image] = []
    cells: list[Cell] = []
    for row in there:
        width, height = known[row.file]
        image = Image(
            ImageId(row.file),
            width,
            height,
            None if row.patient is None else PatientId(row.patient),
            row.file,
            row.subset,
            row.file,
            diagnosis=row.diagnosis if row.patient is None else None,
            group=row.group,
        )
        images.append(image)
        cells.append(whole(image, labels.rules[row.raw].label, row.raw, row.attributes))
    people = patients((row.patient, row.diagnosis) for row in there)
    ds = Dataset(source.name, labels.taxonomy, tuple(images), tuple(cells), people, root=root)
    parts = {ImageId(row.file): row.part for row in there if row.part is not None}
    return with_parts(ds, parts) if len(parts) == len(there) else ds


def with_parts(ds: Dataset, part_of: Mapping[ImageId, str]) -> Dataset:
    """The data set under the split that it comes with, if no patient and no group stands in two parts of it.

    Warns
    -----
    DataWarning
        If one does: the data set is then given without a split.
    """
    people = {image.id: image.patient for image in ds.images if image.patient is not None}
    split = Split("official", part_of, {"method": f"as {ds.name} comes"}, people)
    from pcm_leukemia.splits import leaks  # numpy, which `import pcm_leukemia` does without

    if found := leaks(ds, split):
        warnings.warn(
            f"{ds.name}: its own parts are left out, since they are no sound split; make one with "
            f"splits.by_patient:\n{some(found, 3)}",
            DataWarning,
            stacklevel=4,
        )
        return ds
    return replace(ds, split=split)


def warn(text: str) -> None:
    """Tell of what was left out, from the line that called the reader."""
    warnings.warn(text, DataWarning, stacklevel=3)
