"""Shared by the readers: finding the root, listing files, reading sizes from headers, single-cell crops.

Nothing here decodes pixels.
"""

from __future__ import annotations

import inspect
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
"""How many levels are searched for the data: archives often unpack into nested folders."""


@dataclass(frozen=True, slots=True)
class Crop:
    """An image of a single cell: its path below the root, its raw label, and its metadata."""

    file: str
    raw: str
    patient: str | None = None
    diagnosis: str | None = None
    group: str | None = None
    part: str | None = None
    subset: str = ""
    attributes: Attributes = ()


def not_found(source: Source, root: str | Path, what: str) -> DataNotFound:
    """Return the error for a wrong root: what is missing, and how to get the data."""
    return DataNotFound(f"{root}: {what}; to get {source.title}: {source.how_to_get}")


def find_root(source: Source, root: str | Path, fits: Callable[[Path], bool], what: str) -> Path:
    """Find the data's folder: the root itself, or the first match below it, by level and then by name.

    Parameters
    ----------
    source
        The data set; its `how_to_get` becomes part of the error.
    root
        The folder that the user gave.
    fits
        Returns True for the data's folder.
    what
        The expected contents, for the error: "the 15 folders BAS, EBO, ...".

    Raises
    ------
    DataNotFound
        If no folder fits.
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
    raise not_found(source, root, f"neither this folder nor one below it has {what}")


def _folders(path: Path) -> list[Path]:
    return sorted(Path(entry) for entry in os.scandir(path) if entry.is_dir() and not _is_stray(entry.name))


def listing(root: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[str]:
    """List all files below `root` with one of the suffixes, as sorted POSIX paths relative to `root`.

    Names that begin with a dot, and ``__MACOSX`` folders, are skipped.
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
    """Reject a root without the files that one of its own tables or folders requires.

    Raises
    ------
    InvalidExport
        If files are missing; lists each one, and where it is listed.
    """
    problems = [
        Problem(
            f"{root}", f"has no {file}, which {listed_in} lists", f"download {source.title} again in full"
        )
        for file in files
        if not (root / file).is_file()
    ]
    if problems:
        raise InvalidExport(problems)


def sizes(root: Path, files: Sequence[str], workers: int | None = None) -> dict[str, tuple[int, int]]:
    """Read the width and height of each image, in pixels, from its header; skip unreadable files.

    Warns
    -----
    DataWarning
        If files are skipped; lists the first ones, with the reason.
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
        warn(f"{root}: {len(bad):,} unreadable files are left out:\n{some(bad)}")
    return {file: each for file, each in zip(files, looked, strict=True) if not isinstance(each, str)}


def whole(image: Image, label: str, raw: str, attributes: Attributes = ()) -> Cell:
    """Return the cell of a single-cell image; its box is the whole image."""
    return Cell(image.id, 0, label, Box(0, 0, image.width, image.height), raw, attributes=attributes)


def patients(pairs: Iterable[tuple[str | None, str | None]]) -> tuple[Patient, ...]:
    """Build the patient table from (patient, diagnosis) pairs; a missing diagnosis is filled from other pairs.

    Warns
    -----
    DataWarning
        If a patient has several diagnoses; the patient then gets no diagnosis.
    """
    known: dict[str, set[str]] = {}
    for patient, diagnosis in pairs:
        if patient is not None:
            known.setdefault(patient, set()).update([diagnosis] if diagnosis else [])
    torn = [
        f'patient "{patient}": has conflicting diagnoses ({", ".join(sorted(found))}), so none is used; check it'
        for patient, found in sorted(known.items())
        if len(found) > 1
    ]
    if torn:
        warn(some(torn))
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
    """Build a data set of single-cell crops: each row becomes an image with one cell that spans it.

    If every row has a part, the parts become the split; see `with_parts`.

    Raises
    ------
    DataNotFound
        If there are no rows.
    UnknownLabel
        If raw labels are not in the map; lists each one.
    """
    if not rows:
        raise not_found(source, root, "has no images")
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
    """Return the data set with its published split, unless a patient or group is in two parts.

    Warns
    -----
    DataWarning
        If the split leaks; the data set is then returned without a split.
    """
    people = {image.id: image.patient for image in ds.images if image.patient is not None}
    split = Split("official", part_of, {"method": f"as {ds.name} comes"}, people)
    from pcm_leukemia.splits import leaks  # numpy, which `import pcm_leukemia` does without

    if found := leaks(ds, split):
        warn(
            f"{ds.name}: its published split leaks and is not used; make one with splits.by_patient:\n"
            f"{some(found, 3)}"
        )
        return ds
    return replace(ds, split=split)


def warn(text: str) -> None:
    """Emit a `DataWarning` at the user's line that had the data read: the first one outside this package."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("pcm_leukemia."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, DataWarning, stacklevel=level)
