"""The canonical folder: a data set as tables that people, git and spreadsheets can read.

::

    dataset.json        name, schema_version, taxonomy, counts, fingerprint, checksums, images_root
    patients.csv        patient, diagnosis
    images.csv          image, width, height, patient, name, subset, file, tags, annotation_state, diagnosis, group, digest,
                        white_level
    cells.csv           image, cell, label, x1, y1, x2, y2, raw_label, shape, ..., attributes
    splits/<name>.csv   image, patient, part, below lines that say how the split was made

The tables are UTF-8 with a header row; numbers are written so that they read back exactly. An
empty field means that there is no value. The images stay where they are: `images_root` is their path relative to the
folder.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import os
import re
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from pcm_leukemia import splits
from pcm_leukemia.classes import in_classes
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import (
    CorruptFile,
    DataLoss,
    DataNotFound,
    DataWarning,
    ExportError,
    InvalidDataset,
    PcmError,
    Problem,
    UnknownPart,
    either,
    option,
)
from pcm_leukemia.files import (
    BAD_CONTENT,
    CANONICAL,
    HEADER,
    Report,
    counts,
    new_file,
    new_folder,
    read_text,
)
from pcm_leukemia.store.losses import require_no_loss
from pcm_leukemia.schema import (
    AnnotationState,
    Attributes,
    Cell,
    Image,
    ImageId,
    Patient,
    PatientId,
    Split,
    Tag,
    Taxonomy,
)
from pcm_leukemia.shapes import Box, pack, unpack

__all__ = [
    "add_split",
    "read",
    "read_split",
    "split_names",
    "write",
]

TITLE = "a canonical folder (dataset.json)"
PRECEDENCE = 0
SCHEMA_VERSION = 3
"""Version 1 had no points, and images.csv lacked its last five columns; version 2 lacked the last two."""
OFFICIAL = "official"
"""The split to read if a folder has several and no name is given."""

_ADDED: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "patients.csv": {1: ("patient", "diagnosis")},
    "images.csv": {
        1: ("image", "width", "height", "patient", "name", "subset", "file", "tags"),
        2: ("annotation_state", "diagnosis", "group"),
        3: ("digest", "white_level"),
    },
    "cells.csv": {
        1: (
            *("image", "cell", "label", "x1", "y1", "x2", "y2", "raw_label", "shape", "geometry"),
            *("occluded", "source", "z_order", "group", "track", "attributes"),
        ),
    },
}
"""Table -> schema version -> the columns that it added, at the end of each row.

A new column needs four edits here: its name below a new version, `SCHEMA_VERSION`, and the value in the function that
writes a row (`_cell_row`) and the one that reads it (`_cell`), with a default for rows of older versions.
"""


class _Header(msgspec.Struct):
    """The part of dataset.json that is read."""

    schema_version: int
    name: str
    taxonomy: Taxonomy
    images_root: str | None = None
    sha256: dict[str, str] = {}


csv.field_size_limit(2**31 - 1)  # the default limit is too small for the runs of a large mask


def recognises(path: Path) -> bool:
    """Whether a path is a canonical folder."""
    return (path / HEADER).is_file()


def write(
    ds: Dataset, out: str | Path, *, replace: bool = False, splits_of: str | Path | None = None
) -> Report:
    """Write `ds` as a canonical folder.

    The splits in a folder that is written anew are kept, except those that `ds` and `splits_of` bring under the same
    name. To bring corrected images into a data set, write what `update` returns.

    Parameters
    ----------
    ds
        The data set; its split, if it has one, becomes ``splits/<name>.csv``.
    out
        A new folder, or a canonical folder to write anew.
    replace
        Whether a data set in `out` may lose what `ds` lacks: images, patients, diagnoses, groups, and images that its
        splits place.
    splits_of
        A canonical folder whose splits are copied.

    Raises
    ------
    DataLoss
        If the data set in `out` would lose anything and `replace` is false.
    ExportError
        If `out` holds something else, or cannot be written.
    """
    out = Path(out)
    copied = [] if splits_of is None or _same(Path(splits_of), out) else split_names(splits_of)
    if recognises(out) and not replace:
        _require_no_loss(ds, out, {name: read_split(str(splits_of), name) for name in copied})
    with new_folder(out, CANONICAL) as folder:
        _write_table(folder, "patients.csv", ((p.id, p.diagnosis or "") for p in ds.patients))
        _write_table(folder, "images.csv", map(_image_row, ds.images))
        _write_table(folder, "cells.csv", map(_cell_row, ds.cells))
        if (out / "splits").is_dir():
            shutil.copytree(out / "splits", folder / "splits")
        (folder / "splits").mkdir(exist_ok=True)
        for name in copied:
            shutil.copyfile(_split_file(Path(str(splits_of)), name), _split_file(folder, name))
        if ds.split:
            splits.write(ds.split, _split_file(folder, ds.split.name), ds)
        header = _header(ds, folder, out)
        text = json.dumps(header, indent=1, ensure_ascii=False) + "\n"
        (folder / HEADER).write_text(text, encoding="utf-8")
    return _report(ds, out)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _require_no_loss(ds: Dataset, out: Path, brought: Mapping[str, Split]) -> None:
    """Refuse to write over a data set that has what `ds` lacks, or a split that `ds` or `brought` would replace."""
    try:
        before = read(out, with_split=False, verify=False)
        there = {name: read_split(out, name) for name in split_names(out)}
    except PcmError as error:
        first = str(error).splitlines()[0]
        raise DataLoss(
            f"{out}: holds a data set that cannot be read, so what would be lost is unknown ({first}); "
            + either("pass replace=True to replace it", "--replace replaces it")
        ) from error
    require_no_loss(str(out), before, ds, there, brought)


def read(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] | None = None,
    labels: Mapping[str, str] | None = None,
    images_root: str | Path | None = None,
    check_images: bool = False,
    split_name: str | None = None,
    with_split: bool = True,
    verify: bool = True,
) -> Dataset:
    """Read a canonical folder.

    Parameters
    ----------
    path
        The folder.
    taxonomy
        The classes; by default, and with "declared", those of the folder.
    labels
        Class of the folder -> class of the data or of the nine, or "ignore"; also a new class with
        ``taxonomy="declared"``.
    images_root
        The folder or zip with the images, if they have moved.
    check_images
        Whether to compare every image file with its row, as for `images_root`, and to record its digest.
    split_name
        The split to use; by default the only one, or the one called "official".
    with_split
        Whether to read a split at all.
    verify
        Whether to compare the tables with their checksums. Otherwise, tables that were edited by hand are
        accepted if they still fit together.

    Raises
    ------
    DataNotFound
        If `path` is not a canonical folder, or the images are compared and their folder or zip does not exist.
    CorruptFile
        If a table was changed after it was written, or its version is newer than this package.
    InvalidDataset
        If rows cannot be read, or contradict each other, or images are not at `images_root`.
    UnknownLabel
        If cells have a label that is not a class of `taxonomy`.
    UnknownPart
        If the named split does not exist, or does not place every image; or if there are several splits,
        no name is given and none is called "official".
    """
    path = Path(path)
    header = _read_header(path)
    if verify:
        _verify(path, header)
    rows = _Tables(path, header.schema_version)
    ds = Dataset(
        header.name,
        header.taxonomy,
        tuple(rows.read("images.csv", _image)),
        tuple(rows.read("cells.csv", _cell)),
        tuple(rows.read("patients.csv", lambda row: Patient(PatientId(row[0]), row[1] or None))),
        root=Path(os.path.normpath(path.resolve() / header.images_root)) if header.images_root else None,
    )
    if images_root is not None or check_images:
        from pcm_leukemia.images import compare_files, find_at

        images, root, problems = ds.images, ds.root, list[Problem]()
        if images_root is not None:
            images, root, problems = find_at(ds.images, images_root)
        elif root is not None:
            if not root.exists():
                raise DataNotFound(f"{root}: the images are not there; give {option('images_root')}")
            images, problems = compare_files(ds.images, root)
        if problems:
            raise InvalidDataset(problems)
        ds = dataclasses.replace(ds, images=images, root=root)
    ds = in_classes(ds, taxonomy, labels)
    return _with_split(ds, path, split_name) if with_split else ds


def _report(ds: Dataset, out: Path) -> Report:
    parts = {image.id: ds.part_of(image) for image in ds.images}
    cells = counts((parts[cell.image], cell.label) for cell in ds.cells)
    return Report(CANONICAL, out, dict(Counter(parts.values())), cells)


def split_names(path: str | Path) -> list[str]:
    """The names of the splits in a canonical folder."""
    return sorted(file.stem for file in (Path(path) / "splits").glob("*.csv"))


def read_split(path: str | Path, name: str) -> Split:
    """One split of a canonical folder; raises UnknownPart if it does not exist."""
    names = split_names(path)
    if name not in names:
        raise UnknownPart(f'{path}: has no split "{name}"; it has: {", ".join(names) or "none"}')
    return splits.read(_split_file(Path(path), name), name)


def add_split(path: str | Path, split: Split, ds: Dataset) -> Path:
    """Write one split of `ds` into its canonical folder, in one step, and return the file's path."""
    file = _split_file(Path(path), split.name)
    file.parent.mkdir(exist_ok=True)
    with new_file(file) as work:
        splits.write(split, work, ds)
    return file


def _split_file(path: Path, name: str) -> Path:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ExportError(f'split "{name}": cannot be a file name; use letters, digits, "-", "_" and "."')
    return path / "splits" / f"{name}.csv"


# The header


def _header(ds: Dataset, folder: Path, out: Path) -> dict[str, object]:
    return {
        "written_by": "pcm-leukemia",
        "schema_version": SCHEMA_VERSION,
        "name": ds.name,
        "counts": {"patients": len(ds.patients), "images": len(ds.images), "cells": len(ds.cells)},
        "fingerprint": ds.fingerprint,
        "sha256": {table: _sha256(folder / table) for table in _ADDED},
        "images_root": _relative(ds.root, out.absolute()) if ds.root else None,
        "taxonomy": {
            "name": ds.taxonomy.name,
            "labels": list(ds.taxonomy.labels),
            "aliases": dict(ds.taxonomy.aliases),
            "tasks": [
                {"name": task.name, "labels": list(task.labels), "relabel": dict(task.relabel)}
                for task in ds.taxonomy.tasks
            ],
        },
        "entries": sorted((HEADER, *_ADDED, "splits")),
    }


def _relative(root: Path, out: Path) -> str:
    """The path of the images relative to the folder, so that both can be moved together."""
    try:
        return Path(os.path.relpath(root.resolve(), out.resolve())).as_posix()
    except ValueError:  # on another drive
        return root.as_posix()


def _read_header(path: Path) -> _Header:
    file = path / HEADER
    if not file.is_file():
        raise DataNotFound(
            f"{file}: does not exist; import an export first: pcm-leukemia import EXPORT {path}"
        )
    try:
        content = msgspec.json.decode(read_text(file))
        version = content.get("schema_version")
        if isinstance(version, int) and version not in range(1, SCHEMA_VERSION + 1):
            raise CorruptFile(
                f"{file}: schema_version {version}, this version of pcm-leukemia reads 1 to {SCHEMA_VERSION}; "
                "run: pip install --upgrade pcm-leukemia"
            )
        return msgspec.convert(content, _Header)
    except BAD_CONTENT as error:
        if isinstance(error, CorruptFile):
            raise
        raise CorruptFile(
            f"{file}: is not the header of a canonical folder ({error}); import the export again"
        ) from error


def _verify(path: Path, header: _Header) -> None:
    for table, expected in header.sha256.items():
        file = path / table
        if not file.is_file():
            raise CorruptFile(f"{file}: is missing; import the export again")
        if _sha256(file) != expected:
            raise CorruptFile(
                f"{file}: is not what pcm-leukemia wrote (its SHA-256 differs); if the change is intended, "
                f"accept it with: pcm-leukemia import {path} NEW_FOLDER"
            )


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise CorruptFile(
            f"{file}: cannot be read ({error.strerror}); check the disk and the permissions"
        ) from error


def _with_split(ds: Dataset, path: Path, name: str | None) -> Dataset:
    names = split_names(path)
    if name is None:
        if not names:
            return ds
        if OFFICIAL not in names and len(names) > 1:
            raise UnknownPart(
                f"{path}: has the splits {', '.join(names)}; choose one: {option('split_name')}, or name one {OFFICIAL}"
            )
        name = OFFICIAL if OFFICIAL in names else names[0]
        split = read_split(path, name)
        new = sum(image.id not in split.part_of for image in ds.images)
        if new:
            warnings.warn(
                f'{path}: split "{name}" does not place {new:,} images and is left out; '
                "place them with: "
                + either("splits.extend", f"pcm-leukemia split {path} --name {name} --extend"),
                DataWarning,
                stacklevel=3,
            )
            return ds
        return ds.with_split(split)
    return ds.with_split(read_split(path, name))


# Rows to text


def _columns(table: str, version: int) -> tuple[str, ...]:
    """The columns of a table in one schema version."""
    return tuple(name for since, names in _ADDED[table].items() if since <= version for name in names)


def _write_table(folder: Path, table: str, rows: Iterable[Iterable[object]]) -> None:
    with (folder / table).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)  # lines end as RFC 4180 says: then a lone "\r" is quoted, too
        writer.writerow(_columns(table, SCHEMA_VERSION))
        writer.writerows(rows)


def _image_row(image: Image) -> tuple[object, ...]:
    tags = [[tag.label, tag.attributes, tag.source, tag.group] for tag in image.tags]
    return (
        *(image.id, image.width, image.height, image.patient or "", image.name, image.subset),
        *(image.file or "", _json(tags)),
        *(image.annotation_state, image.diagnosis or "", image.group or "", image.digest or ""),
        "" if image.white_level is None else image.white_level,
    )


def _cell_row(cell: Cell) -> tuple[object, ...]:
    box = cell.box
    kind, numbers = pack(cell.shape) if cell.shape else ("", [])
    return (
        *(cell.image, cell.id, cell.label, float(box.x1), float(box.y1), float(box.x2), float(box.y2)),
        *(cell.raw_label, kind, " ".join(map(repr, numbers))),
        *(int(cell.occluded), cell.source, cell.z_order, cell.group),
        *("" if cell.track is None else cell.track, _json(cell.attributes)),
    )


def _json(pairs: object) -> str:
    return json.dumps(pairs, ensure_ascii=False) if pairs else ""


# Text to rows

_TAGS = msgspec.json.Decoder(list[tuple[str, Attributes, str, int]])
_ATTRIBUTES = msgspec.json.Decoder(Attributes)


class _Tables:
    """Reads the tables of one folder; a row that cannot be read is a problem with its line."""

    def __init__(self, path: Path, version: int) -> None:
        self.path, self.version = path, version

    def read(self, table: str, make: Callable[[list[str]], Any]) -> Iterator[Any]:
        file, columns = self.path / table, _columns(table, self.version)
        problems = []
        try:
            with file.open(encoding="utf-8-sig", newline="") as stream:
                rows = csv.reader(stream, strict=True)
                first = next(rows, [])
                if tuple(first) != columns:
                    raise CorruptFile(
                        f"{file}:1: its columns are {','.join(first)}; they must be {','.join(columns)}"
                    )
                for row in rows:
                    try:
                        if len(row) != len(columns):
                            raise ValueError(f"{len(row)} fields, not {len(columns)}")
                        yield make(row)
                    except BAD_CONTENT as error:
                        problems.append(
                            Problem(f"{file}:{rows.line_num}", f"cannot be read ({error})", "correct the row")
                        )
        except FileNotFoundError as error:
            raise CorruptFile(f"{file}: is missing; import the export again") from error
        except OSError as error:
            raise CorruptFile(
                f"{file}: cannot be read ({error.strerror}); check the file and its permissions"
            ) from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise CorruptFile(f"{file}: is not a CSV in UTF-8 ({error}); save it as CSV in UTF-8") from error
        if problems:
            raise InvalidDataset(problems)


def _image(row: list[str]) -> Image:
    image, width, height, patient, name, subset, file, tags, *more = row
    state, diagnosis, group = more[:3] or ("complete", "", "")
    digest, white_level = more[3:] or ("", "")
    return Image(
        ImageId(image),
        int(width),
        int(height),
        PatientId(patient) if patient else None,
        name,
        subset,
        file or None,
        tuple(
            Tag(label, attributes, source, group_number)
            for label, attributes, source, group_number in (_TAGS.decode(tags) if tags else ())
        ),
        cast("AnnotationState", state),
        diagnosis or None,
        group or None,
        digest or None,
        float(white_level) if white_level else None,
    )


def _cell(row: list[str]) -> Cell:
    image, number, label, x1, y1, x2, y2, raw_label, kind, geometry = row[:10]
    occluded, source, z_order, group, track, attributes = row[10:16]
    return Cell(
        image=ImageId(image),
        id=int(number),
        label=label,
        box=Box(float(x1), float(y1), float(x2), float(y2)),
        raw_label=raw_label,
        shape=unpack(kind, [float(number) for number in geometry.split()]) if kind else None,
        occluded=bool(int(occluded)),
        source=source,
        z_order=int(z_order),
        group=int(group),
        track=int(track) if track else None,
        attributes=_ATTRIBUTES.decode(attributes) if attributes else (),
    )
