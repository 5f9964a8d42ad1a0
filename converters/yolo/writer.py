"""YOLO: ``images/<part>/`` and ``labels/<part>/`` with sub-folders kept, `data.yaml`, and `images.csv`.

A label file has one row ``class cx cy w h`` for each cell: class ids count from 0 in the taxonomy's
order, the centre and size of the box are fractions of the image's size. An image without cells has an
empty file. `data.yaml` has no `path`, so ultralytics starts at its folder, which can be moved.

ultralytics looks for the labels of ``.../images/<path>.<ext>`` at ``.../labels/<path>.txt``: it
replaces the last "images" only, and ignores hidden files and unknown extensions. File names that would
not work are changed; `images.csv` lists the image, size and patient of every file.

Declared rounding: 0.001 px, for images up to 60,000 px a side. Names, sizes, patients, diagnoses, parts,
classes and upright boxes are kept; outlines and the cells' numbers are lost. Ignored
cells are left out and counted, and so are tags, groups and annotation states of images, and attributes of cells.

Source: https://docs.ultralytics.com/datasets/detect.
"""

from __future__ import annotations

import csv
import errno
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import repeat
from operator import attrgetter
from pathlib import Path
from typing import Literal

from pcm_leukemia.converters.yolo.names import file_names, labels_file, part_folders
from pcm_leukemia.converters.yolo.table import TABLE
from pcm_leukemia.counting import learned_as_background, without_class
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.files import Report, check_placing, new_folder
from pcm_leukemia.patients import has_pseudonyms
from pcm_leukemia.requirements import Incomplete, require
from pcm_leukemia.schema import IGNORE, PARTS, Image, ImageId
from pcm_leukemia.shapes import Box

__all__ = ["write"]

ImageFiles = Literal["copy", "hardlink", "symlink", "none"]

_SMALLEST = 10
"""The shortest side in pixels; ultralytics treats smaller images as damaged."""


def write(
    ds: Dataset,
    out: str | Path,
    *,
    task: str | None = None,
    images: ImageFiles = "copy",
    strip_metadata: bool = False,
    incomplete: Incomplete = "refuse",
    progress: bool = False,
) -> Report:
    """Write `ds` as a folder that ultralytics can train on directly.

    Parameters
    ----------
    ds
        The data; one folder for each part, or one folder "all" if there is no split.
    out
        A new folder, or the output of an earlier run, which is replaced.
    task
        "detection", "wbc" or "classification"; by default the classes of the data.
    images
        "copy", "hardlink" or "symlink" the images (links are absolute), or "none" for labels only.
    strip_metadata
        Copy images without EXIF, comments and other metadata (JPEG and PNG).
    incomplete
        "refuse" or "keep" images that may have unannotated cells, which a detector would learn as
        background. See `Image.annotation_state`.
    progress
        Show a progress bar while images are copied or linked.

    Raises
    ------
    LeakySplit
        If a patient or a group of images is in two parts.
    UnfitForTask
        If cells are points without a box, or images are partly annotated and `incomplete` is "refuse".
    ExportError
        If `out` holds other files, or images are missing, cannot be linked or cannot be stripped.
    CorruptFile
        If an image is damaged and cannot be stripped.
    ValueError
        If `task` or `images` has an unknown value, or `strip_metadata` is used with links.

    Examples
    --------
    >>> import tempfile
    >>> from pcm_leukemia.schema import Cell
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("P01/a.jpg"), 200, 100)
    >>> ds = Dataset("demo", NINE, (image,), (Cell(image.id, 0, "Other", Box(50, 20, 150, 60)),))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = write(ds, Path(folder, "yolo"))
    ...     print(Path(folder, "yolo/labels/all/P01/a.txt").read_text(), end="")
    8 0.50000000 0.40000000 0.50000000 0.40000000
    """
    check_placing(images, strip=strip_metadata)
    ds = ds.task(task) if task else ds
    require(ds, boxes=True, incomplete=incomplete)
    with new_folder(out, "yolo") as folder:
        folders = part_folders(ds.parts)
        files = file_names(ds, folders)
        _make_folders(folder, folders.values(), files.values())
        duplicates = _write_labels(ds, folder / "labels", files)
        _write_table(ds, folder / "images.csv", files)
        _write_yaml(ds, folder / "data.yaml", folders)
        placed = _place_images(ds, folder / "images", files, images, strip=strip_metadata, progress=progress)
        notes = [*placed, *learned_as_background(ds), *_notes(ds, folders, files, duplicates)]
        in_part = Counter(ds.part_of(image) for image in ds.images)
        report = Report(
            "yolo",
            Path(out),
            {part: in_part[part] for part in ds.parts},
            _counted(ds),
            without_class(ds) | _lost(ds),
            tuple(notes),
        )
        made = {
            "name": ds.name,
            "fingerprint": ds.fingerprint,
            "task": task,
            "split": ds.split.name if ds.split else None,
            "made": ds.split.record if ds.split else None,
            "placed": images,
            **({"strip_metadata": True} if strip_metadata else {}),
        }
        report.leave_in(folder, made)
    return report


def _lost(ds: Dataset) -> dict[str, int]:
    """Counts of what images.csv and the label files cannot hold; only those above 0."""
    lost = {
        "groups of images": sum(image.group is not None for image in ds.images),
        "annotation states of images": sum(image.annotation_state != "complete" for image in ds.images),
        "diagnoses of images whose patient is known": sum(
            image.diagnosis is not None and image.patient is not None for image in ds.images
        ),
        "tags of images": sum(len(image.tags) for image in ds.images),
        "attributes of cells": sum(len(cell.attributes) for cell in ds.cells if cell.label != IGNORE),
    }
    return {kind: count for kind, count in lost.items() if count}


def _make_folders(folder: Path, parts: Iterable[str], files: Iterable[str]) -> None:
    needed = sorted({*parts, *(file.rpartition("/")[0] for file in files)})
    for kind in ("images", "labels"):
        for path in needed:
            (folder / kind / path).mkdir(parents=True, exist_ok=True)


def _write_labels(ds: Dataset, folder: Path, files: dict[ImageId, str]) -> int:
    """Write one file for each image; return the number of duplicate rows."""
    ids = ds.taxonomy.ids
    duplicates = 0
    for image in ds.images:
        rows = [_row(ids[cell.label], cell.box, image) for cell in ds.cells_of(image) if cell.label != IGNORE]
        if len(rows) > 1:
            duplicates += len(rows) - len(set(rows))
        _write_file(f"{folder}/{labels_file(files[image.id])}", "".join(rows).encode())
    return duplicates


def _counted(ds: Dataset) -> dict[str, dict[str, int]]:
    """The cells that are written, by part and label."""
    labels = map(attrgetter("label"), ds.cells)
    if ds.split is None:
        found = Counter(zip(repeat("all"), labels))
    else:
        found = Counter(
            zip(map(ds.split.part_of.__getitem__, map(attrgetter("image"), ds.cells)), labels, strict=True)
        )
    return {
        part: {label: count for (other, label), count in found.items() if other == part and label != IGNORE}
        for part in ds.parts
    }


def _write_file(path: str, content: bytes) -> None:
    """Write a new file, in half the time of `Path.write_bytes`: there is one for each image."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        if content and os.write(file, content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(file)


def _row(number: int, box: Box, image: Image) -> str:
    x1, y1, x2, y2 = box.x1, box.y1, box.x2, box.y2
    width, height = (x2 - x1) / image.width, (y2 - y1) / image.height
    return "%d %.8f %.8f %.8f %.8f\n" % (  # noqa: UP031 - faster than an f-string
        number,
        (x1 + x2) / 2.0 / image.width,
        (y1 + y2) / 2.0 / image.height,
        max(width, 1e-8),
        max(height, 1e-8),
    )


def _write_table(ds: Dataset, path: Path, files: dict[ImageId, str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(TABLE)
        table.writerows(
            (
                files[image.id],
                image.id,
                ds.part_of(image),
                image.width,
                image.height,
                image.patient or "",
                _diagnosis(ds, image) or "",
            )
            for image in ds.images
        )


def _diagnosis(ds: Dataset, image: Image) -> str | None:
    """The patient's diagnosis; the image's own if it has no patient."""
    patient = ds.patient_of(image)
    return patient.diagnosis if patient else image.diagnosis


def _write_yaml(ds: Dataset, path: Path, folders: dict[str, str]) -> None:
    """Write data.yaml; ultralytics requires `train` and `val` in it."""
    import yaml  # here, because most commands need none

    places: dict[str, str | None] = {part: f"images/{folders[part]}" for part in PARTS if part in folders}
    if ds.split is None:
        places = {"train": f"images/{folders['all']}"}
    # never the test part as val: ultralytics would choose its best epoch on the test images
    content = {
        "train": places.get("train"),
        "val": places.get("val") or places.get("train"),
        **places,
        "names": dict(enumerate(ds.taxonomy.labels)),
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def _place_images(
    ds: Dataset, folder: Path, files: dict[ImageId, str], how: ImageFiles, *, strip: bool, progress: bool
) -> Iterator[str]:
    """Put the images below `folder`; yields notes for the report."""
    with_file = [image for image in ds.images if image.file]
    if how == "none":
        yield "labels only; before training, put each image below images/, at its path in images.csv"
        return
    if ds.root is None or not with_file:
        yield "no image files found: labels only; put each image below images/, at its path in images.csv"
        return
    from pcm_leukemia.images import place_all

    targets = {image: folder / file for image, file in files.items()}
    notes = place_all(ds, targets, how, strip=strip, hidden=has_pseudonyms(ds), progress=progress)
    if len(with_file) < len(ds.images):
        yield f"{counted(len(ds.images) - len(with_file), 'image has', 'images have')} no file; ultralytics ignores their labels"
    yield from notes


def _notes(ds: Dataset, folders: dict[str, str], files: dict[ImageId, str], duplicates: int) -> Iterator[str]:
    """Notes for users of the folder."""
    if ds.split is None:
        yield "the data has no split: train and val are the same images, so val scores are meaningless"
    elif "train" not in folders:
        yield "the split has no train part: data.yaml can be used for scoring, not for training"
    elif "val" not in folders:
        yield "the split has no val part: val in data.yaml is the training images, so val scores are meaningless"
    beside = [part for part in folders if part not in PARTS]
    if ds.split is not None and beside:
        yield f"data.yaml leaves out parts that ultralytics does not know: {', '.join(beside)}"
    renamed = sum(files[i.id] != f"{folders[ds.part_of(i)]}/{i.id}" for i in ds.images)
    if renamed:
        yield f"{counted(renamed, 'image was', 'images were')} renamed for ultralytics; images.csv has their original names"
    small = sum(min(image.width, image.height) < _SMALLEST for image in ds.images)
    if small:
        yield f"{counted(small, 'image is', 'images are')} less than {_SMALLEST} px wide or high; ultralytics skips them"
    if duplicates:
        yield f"{counted(duplicates, 'cell repeats', 'cells repeat')} the class and box of another cell; ultralytics keeps one of them"
    drawn = sum(cell.shape is not None and cell.label != IGNORE for cell in ds.cells)
    if drawn:
        yield f"{counted(drawn, 'outline or rotated box is written as its upright bounding box', 'outlines and rotated boxes are written as their upright bounding boxes')}"
