"""Single-cell crops as the paper's classifiers use them: the box plus 50 px on all sides.

::

    <out>/<part>/<label>/<image>_<cell>.png     each part is a folder for torchvision's ImageFolder
    <out>/crops.csv                             the origin of each crop

The box is widened to whole pixels before padding; PNG crops contain exactly the pixels that Pillow decodes.
<image> is the image's id with "__" for "/"; if this name is not valid and unique on every file system,
part of the id's SHA-256 is added. Ignored cells are left out and counted, and so are tags of images and
attributes of cells.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import uuid4

from pcm_leukemia.converters.crops.resume import WORKING, check_out, resumable_folder, source_of, state_of
from pcm_leukemia.converters.crops.table import TABLE, row_of, write_table
from pcm_leukemia.counting import without_class
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import (
    DataWarning,
    ExportError,
    PcmError,
    Problem,
    ServerError,
    counted,
    either,
    some,
)
from pcm_leukemia.execution import ahead
from pcm_leukemia.files import Report, counts, portable_name
from pcm_leukemia.images import (
    BORDERS,
    Border,
    Files,
    bytes_of,
    decode_excerpt,
    encode,
    files_of,
    is_changed,
    reason,
    warn_of_changed,
    warn_of_changed_files,
)
from pcm_leukemia.patients import has_pseudonym
from pcm_leukemia.progress import track
from pcm_leukemia.remote import Place, RemotePath, place_of
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import IGNORE, Cell, Image, ImageId

__all__ = ["write"]

CropFormat = Literal["png", "jpg"]

_UPLOADS = 16
"""Images whose crops are written to a URL at the same time, since most of the time is spent waiting."""
_LONGEST = 150
"""Maximum bytes of the image's name in a crop's file name; file systems allow 255 for the whole name."""


class _ImageCrops(NamedTuple):
    """The crops of one image: the unit of work of a thread."""

    image: Image
    cells: tuple[Cell, ...]
    targets: tuple[str, ...]


class _Cut(NamedTuple):
    """What came of an image: a problem, or crops; and whether a remote file is not that which was imported."""

    image: ImageId
    problem: Problem | None = None
    changed: bool = False


class _CropStyle(NamedTuple):
    padding: int
    border: Border
    form: CropFormat
    quality: int


def write(
    ds: Dataset,
    out: str | Place,
    *,
    task: str | None = None,
    padding: int = 50,
    border: Border = "clip",
    format: CropFormat = "png",  # noqa: A002 - what Pillow calls it
    quality: int = 95,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Report:
    """Cut out every cell of `ds`, and write a table of the crops.

    Each image with cells is read once. Of a JPEG, only the rows and columns that the crops need are decoded, if
    `images.region_decoder` has a library for it; the crops are the same without. After an interruption, the same
    call resumes and gives the same result as an uninterrupted run. Images that cannot be read are listed in a
    warning and in the report; the crops of the others are written.

    Parameters
    ----------
    ds
        The data; one folder for each part, or one folder "all" if there is no split.
    out
        A new folder, or the output of an earlier run, which is replaced; on disk, or at a URL (``s3://bucket/crops``). At a
        URL, nothing is replaced in one step: the crops are not whole before ``pcm-leukemia.json`` is there, which is written
        last.
    task
        "classification" leaves out Other; by default the classes of the data.
    padding
        Pixels added on each side of the box.
    border
        Padding beyond the image: "clip" cuts it off, "reflect" mirrors the image, "constant" is black.
    format
        "png" (lossless) or "jpg".
    quality
        JPEG quality, 1 to 95.
    workers
        Threads; by default one for each core.
    executor
        Where the images are cut instead of in threads here: `execution.Cluster`, or another `concurrent.futures.Executor`.
    progress
        Show a progress bar.

    Raises
    ------
    LeakySplit
        If a patient or a group of images is in two parts.
    UnfitForTask
        If cells are points without a box.
    ExportError
        If `out` holds other files, or a label is not a valid folder name.
    DataNotFound
        If there are no image files, or no such bucket.
    ServerError
        If a URL cannot be reached, or must not be read or written.
    ValueError
        If an option has an unknown value.

    Warns
    -----
    DataWarning
        If images cannot be read, or are not those that were imported.
    """
    ds = ds.task(task) if task else ds
    require(ds, boxes=True)
    style = _style(padding, border, format, quality)
    target = check_out(out)
    files = files_of(ds)
    if not files.remote:  # otherwise compared when they are read, since to read them twice takes long
        warn_of_changed_files(ds.images, files)
    jobs = list(_jobs(ds, style))
    state = {**source_of(ds), **style._asdict(), "version": version("pcm-leukemia")}
    with resumable_folder(target, state, (*ds.parts, TABLE)) as (work, is_there):
        if isinstance(work, Path):
            for folder in {str(Path(path).parent) for job in jobs for path in job.targets}:
                (work / folder).mkdir(parents=True, exist_ok=True)
        left = (job for job in jobs if not all(map(is_there, job.targets)))
        done = _cut_all(left, files, work, style, workers, executor)
        with closing(done):
            bar = track(done, "crops", total=len(jobs), shown=progress)
            results = sorted(bar)
        failed = {each.image: each.problem for each in results if each.problem}
        report = _finish(ds, jobs, failed, work, place_of(out), style, task)
    warn_of_changed(files.root, len(ds.images), [each.image for each in results if each.changed])
    if failed:
        warnings.warn(some(failed.values()), DataWarning, stacklevel=2)
    return report


def _style(padding: int, border: Border, form: CropFormat, quality: int) -> _CropStyle:
    if padding < 0:
        raise ValueError(f"padding {padding}: must be 0 or more pixels")
    if border not in BORDERS:
        raise ValueError(f'border "{border}": must be one of {", ".join(BORDERS)}')
    if form not in ("png", "jpg"):
        raise ValueError(f'format "{form}": must be png or jpg')
    if not 1 <= quality <= 95:
        raise ValueError(f"quality {quality}: must be 1 to 95")
    return _CropStyle(padding, border, form, quality)


# Planning


def _jobs(ds: Dataset, style: _CropStyle) -> Iterator[_ImageCrops]:
    for label in ds.taxonomy.labels:
        if "/" in label or portable_name(label) != label or label.strip(" .") != label:
            raise ExportError(
                f'label "{label}": is not a valid folder name on every system; rename it with {either("Dataset.relabel", "--map LABEL=CLASS")}'
            )
    if len({label.casefold() for label in ds.taxonomy.labels}) < len(ds.taxonomy.labels):
        raise ExportError(
            f"{ds.name}: has labels that differ only in case, and some systems would use one folder for both; "
            f"rename one with {either('Dataset.relabel', '--map LABEL=CLASS')}"
        )
    names = _names(image.id for image in ds.images)
    for image in ds.images:
        cells = tuple(cell for cell in ds.cells_of(image) if cell.label != IGNORE)
        if cells:
            start = f"{ds.part_of(image)}/"
            yield _ImageCrops(
                image,
                cells,
                tuple(f"{start}{cell.label}/{names[image.id]}_{cell.id}.{style.form}" for cell in cells),
            )


def _names(ids: Iterable[ImageId]) -> dict[ImageId, str]:
    """A readable file name for each image, unique on every file system."""
    plain = {image: portable_name(_stem(image).replace("/", "__")) for image in ids}
    taken = Counter(name.casefold() for name in plain.values())
    return {
        image: name
        if taken[name.casefold()] == 1
        and name == _stem(image).replace("/", "__")
        and len(name.encode()) <= _LONGEST
        else f"{name.encode()[:_LONGEST].decode(errors='ignore')}-{hashlib.sha256(image.encode()).hexdigest()[:12]}"
        for image, name in plain.items()
    }


def _stem(image: str) -> str:
    return os.path.splitext(image)[0]  # noqa: PTH122 - a POSIX path on every system


# Cutting


def _cut_all(
    jobs: Iterable[_ImageCrops],
    files: Files,
    work: Place,
    style: _CropStyle,
    workers: int | None,
    executor: Executor | None,
) -> Generator[_Cut, None, None]:
    """Cut the crops of each image."""
    slow = files.remote or isinstance(work, RemotePath)
    threads = workers or (max(files.threads, _UPLOADS) if slow else files.threads)
    work = work.absolute()  # a worker elsewhere has another current folder
    alone = executor is None and isinstance(work, RemotePath)  # to ask for the state would take long
    return ahead(
        partial(_cut, files, work, style, "" if alone else state_of(work)),
        jobs,
        threads,
        4 * threads,
        executor,
        name=lambda job: job.image.id,
        shared=(files.root, work),
    )


def _cut(files: Files, work: Place, style: _CropStyle, state: str, job: _ImageCrops) -> _Cut:
    """Decode what the crops of one image need, and write them, each file atomically.

    A worker of a cluster may still be here when the run has ended and another has begun in the same folder: then the state
    differs, and nothing is written.
    """
    boxes = [cell.box for cell in job.cells]
    try:
        data = bytes_of(files, job.image)
        excerpt = decode_excerpt(data, job.image, boxes, style.padding, style.border)
    except ServerError:
        raise
    except PcmError as error:
        problem = Problem(
            f'image "{job.image.id}"',
            reason(job.image, error, files.root if has_pseudonym(job.image) else None),
            f"{counted(len(job.cells), 'crop is missing', 'crops are missing')}",
        )
        return _Cut(job.image.id, problem)
    if state and state_of(work) != state:
        raise ExportError(f"{work}: another run has begun there; wait for it")
    for cell, path in zip(job.cells, job.targets, strict=True):
        target, crop = work / path, encode(excerpt.crop(cell.box), style.form, style.quality)
        if isinstance(target, RemotePath):
            target.write_bytes(crop)
            continue
        partial = target.with_name(f"{target.name}.{uuid4().hex}~")  # two workers may cut one crop
        partial.write_bytes(crop)
        partial.replace(target)
    return _Cut(job.image.id, changed=files.remote and is_changed(data, job.image))


# Table and report


def _finish(
    ds: Dataset,
    jobs: list[_ImageCrops],
    failed: dict[ImageId, Problem],
    work: Place,
    out: Place,
    style: _CropStyle,
    task: str | None,
) -> Report:
    """Write crops.csv and the report, and remove empty folders and unfinished files."""
    written = [job for job in jobs if job.image.id not in failed]
    rows = (
        row_of(ds, cell, file, style.padding, style.border)
        for job in written
        for cell, file in zip(job.cells, job.targets, strict=True)
    )
    write_table(rows, work)
    if isinstance(work, Path):
        _clear_up(work, {(work / file).parent for job in written for file in job.targets})
    cells = counts((ds.part_of(job.image), cell.label) for job in written for cell in job.cells)
    report = Report(
        "crops",
        out,
        {part: sum(ds.part_of(job.image) == part for job in written) for part in ds.parts},
        cells,
        {
            **without_class(ds),
            "images without cells": len(ds.images) - len(jobs),
            "images that cannot be read": len(failed),
            "cells in them": sum(len(job.cells) for job in jobs if job.image.id in failed),
            "tags of images": sum(len(job.image.tags) for job in written),
            "attributes of cells": sum(len(cell.attributes) for job in written for cell in job.cells),
        },
        tuple(_notes(ds, cells)),
        tuple(failed.values()),
    )
    made = {"name": ds.name, "task": task, "fingerprint": ds.fingerprint, **style._asdict()}
    report.leave_in(work, made, without=WORKING)
    return report


def _clear_up(work: Path, filled: set[Path]) -> None:
    """Remove empty folders and unfinished files; `filled` are the folders with crops."""
    for folder in work.iterdir():
        if folder.is_dir():
            for label in folder.iterdir():
                for stray in label.glob("*~"):
                    stray.unlink()
                # ImageFolder rejects an empty class; a network's file system may not show yet what workers wrote
                if label not in filled and not any(label.iterdir()):
                    label.rmdir()


def _notes(ds: Dataset, cells: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Notes on a missing split, and on classes missing in some parts: ImageFolder would number them differently."""
    if ds.split is None:
        yield 'the data has no split: all crops are in "all", and no patient is held out'
    there = {label for labels in cells.values() for label in labels}
    for part in ds.parts:
        missing = [label for label in ds.taxonomy.labels if label in there - cells.get(part, {}).keys()]
        if missing:
            yield f"{part} has no {', '.join(missing)}: ImageFolder numbers only the classes whose folders it finds"
