"""COCO: one JSON file for each part in `annotations/`, and optionally the images in `images/`.

Category ids count from 1 in the order of the taxonomy (`first_category=0` for trainers that start at 0,
DEIM's for example), annotation ids from 1 (pycocotools reads id 0 as "no match"), image ids from 1 over the
whole data set. `file_name` is the image's id: its path below `images/`.

Declared rounding: 0.001 px for boxes and outlines. All other content of a `Dataset` is kept in additional
keys, which COCO readers ignore (`patient`, `diagnosis`, `subset`, `name`, `tags`, `group`,
`annotation_state`, `image_diagnosis`; `cell`, `raw_label`, `attributes`, `shape` and others). Patients
without images are lost, and the aliases and tasks of a user-defined taxonomy. Ignored cells are left out and
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import IO, Literal

import msgspec
from msgspec import UNSET, UnsetType

from pcm_leukemia.converters.coco.numbers import category_numbers, image_numbers
from pcm_leukemia.counting import learned_as_background, without_class
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import ExportError, counted
from pcm_leukemia.files import Report, check_placing, leads_outside, new_folder
from pcm_leukemia.patients import has_pseudonyms
from pcm_leukemia.requirements import Incomplete, require
from pcm_leukemia.schema import IGNORE, Cell, Image, ImageId, Patient
from pcm_leukemia.shapes import Mask, Shape, clipped, pack

__all__ = ["ImageRow", "image_row", "write"]

_ROWS = 20_000
"""Rows encoded at once; limits the use of memory."""

_NO_OUTLINE: object = []

ImageFiles = Literal["none", "copy", "hardlink", "symlink"]


class ImageRow(msgspec.Struct, gc=False):
    """A row of ``images``; keys that would say nothing are left out."""

    id: int
    file_name: str
    width: int
    height: int
    patient: str | UnsetType = UNSET
    diagnosis: str | UnsetType = UNSET
    subset: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    tags: list[dict[str, object]] | UnsetType = UNSET
    annotation_state: str | UnsetType = UNSET
    image_diagnosis: str | UnsetType = UNSET
    group: str | UnsetType = UNSET
    white_level: float | UnsetType = UNSET


class _CellRow(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    segmentation: object
    iscrowd: int
    cell: int
    raw_label: str | UnsetType = UNSET
    source: str | UnsetType = UNSET
    occluded: int | UnsetType = UNSET
    z_order: int | UnsetType = UNSET
    group: int | UnsetType = UNSET
    track: int | UnsetType = UNSET
    attributes: list[tuple[str, str]] | UnsetType = UNSET
    shape: tuple[str, list[float]] | UnsetType = UNSET


def write(
    ds: Dataset,
    out: str | Path,
    *,
    task: str | None = None,
    first_category: int = 1,
    images: ImageFiles = "none",
    strip_metadata: bool = False,
    incomplete: Incomplete = "refuse",
    progress: bool = False,
) -> Report:
    """Write `ds` as COCO: ``annotations/<part>.json``, and ``images/`` if images are copied or linked.

    Parameters
    ----------
    ds
        The data; one file for each part, or one file "all" if there is no split.
    out
        A new folder, or the output of an earlier run, which is replaced.
    task
        "detection", "wbc" or "classification"; by default the classes of the data.
    first_category
        The id of the first category, 1 or 0.
    images
        "copy", "hardlink" or "symlink" the images into ``images/``; "none" leaves them where they are.
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
        If an option has an unknown value, or `strip_metadata` is used without "copy".
    """
    check_placing(images, strip=strip_metadata)
    ds = ds.task(task) if task else ds
    require(ds, boxes=True, incomplete=incomplete)
    numbers, categories = image_numbers(ds), category_numbers(ds.taxonomy, first_category)
    with new_folder(out, "coco") as folder:
        (folder / "annotations").mkdir()
        counted: dict[str, int] = {}
        cells: dict[str, dict[str, int]] = {}
        for part in ds.parts:
            with (folder / "annotations" / f"{part}.json").open("wb") as stream:
                inside = [image for image in ds.images if ds.part_of(image) == part]
                counted[part] = len(inside)
                cells[part] = _write_part(stream, ds, inside, numbers, categories)
        notes = _place_images(ds, folder / "images", images, strip=strip_metadata, progress=progress)
        report = Report(
            "coco",
            Path(out),
            counted,
            cells,
            without_class(ds),
            (
                *([] if ds.split else ["the data has no split: everything is in all.json"]),
                *learned_as_background(ds),
                *notes,
            ),
        )
        made = {
            "name": ds.name,
            "fingerprint": ds.fingerprint,
            "task": task,
            "first_category": first_category,
            **({"strip_metadata": True} if strip_metadata else {}),
        }
        report.leave_in(folder, made)
    return report


def _write_part(
    stream: IO[bytes],
    ds: Dataset,
    images: list[Image],
    numbers: dict[ImageId, int],
    category: dict[str, int],
) -> dict[str, int]:
    """Write one file with one row on each line; return the number of cells by label."""
    head = {
        "info": {
            "description": ds.name,
            "taxonomy": ds.taxonomy.name,
            "split": ds.split.name if ds.split else None,
            "made": ds.split.record if ds.split else None,
        },
        "licenses": [],
        "categories": [
            {"id": number, "name": label, "supercategory": "cell"} for label, number in category.items()
        ],
    }
    stream.write(msgspec.json.encode(head)[:-1])
    stream.write(b',\n"images":[\n')
    _write_rows(stream, (image_row(image, numbers[image.id], ds.patient_of(image)) for image in images))
    stream.write(b'],\n"annotations":[\n')
    cells = [cell for cell in ds.cells if cell.label != IGNORE]
    if ds.split is not None:
        inside = {image.id for image in images}
        cells = [cell for cell in cells if cell.image in inside]
    _write_rows(stream, _cell_rows(cells, ds, numbers, category))
    stream.write(b"]}\n")
    return dict(Counter(map(attrgetter("label"), cells)))


def _write_rows(stream: IO[bytes], rows: Iterable[msgspec.Struct]) -> None:
    encoder = msgspec.json.Encoder()
    rows = iter(rows)
    first = True
    while chunk := list(islice(rows, _ROWS)):
        # line breaks inside strings are escaped, so each of these ends a row
        lines = encoder.encode_lines(chunk)[:-1].replace(b"\n", b",\n")
        stream.write(lines if first else b",\n" + lines)
        first = False


def image_row(image: Image, number: int, patient: Patient | None) -> ImageRow:
    """The row of an image, with its patient."""
    tags: list[dict[str, object]] | UnsetType = UNSET
    if image.tags:
        tags = [
            {"label": tag.label, "attributes": tag.attributes, "source": tag.source, "group": tag.group}
            for tag in image.tags
        ]
    return ImageRow(
        number,
        image.id,
        image.width,
        image.height,
        image.patient or UNSET,
        (patient.diagnosis if patient else image.diagnosis) or UNSET,
        image.subset or UNSET,
        image.name if image.name != image.id else UNSET,
        tags,
        UNSET if image.annotation_state == "complete" else image.annotation_state,
        (image.diagnosis or UNSET) if patient else UNSET,
        image.group or UNSET,
        image.white_level or UNSET,
    )


def _cell_rows(
    cells: Iterable[Cell],
    ds: Dataset,
    numbers: Mapping[ImageId, int],
    category: Mapping[str, int],
) -> Iterator[_CellRow]:
    """The rows of cells, numbered from 1; one function for all, since a call for each would take a fifth longer."""
    for number, cell in enumerate(cells, 1):
        box, shape = cell.box, cell.shape
        # in thousandths, so that x + width gives the rounded right side again
        x1, y1 = int(box.x1 * 1000.0 + 0.5), int(box.y1 * 1000.0 + 0.5)
        width = int(box.x2 * 1000.0 + 0.5) - x1 or 1
        height = int(box.y2 * 1000.0 + 0.5) - y1 or 1
        area, outline = (
            (width * height / 1e6, _NO_OUTLINE) if shape is None else _drawn(shape, ds.image(cell.image))
        )
        yield _CellRow(
            number,
            numbers[cell.image],
            category[cell.label],
            (x1 / 1000, y1 / 1000, width / 1000, height / 1000),
            area,
            outline,
            0,
            cell.id,
            cell.raw_label if cell.raw_label != cell.label else UNSET,
            cell.source or UNSET,
            1 if cell.occluded else UNSET,
            cell.z_order or UNSET,
            cell.group or UNSET,
            UNSET if cell.track is None else cell.track,
            list(cell.attributes) if cell.attributes else UNSET,
            UNSET if shape is None else pack(shape),
        )


def _drawn(shape: Shape, image: Image) -> tuple[float, object]:
    """The area of a shape inside the image in square pixels, and its COCO segmentation.

    The segmentation is a list with one polygon, or uncompressed run lengths in column order.
    """
    size = image.width, image.height
    if isinstance(shape, Mask):
        runs = _column_runs(shape, size)
        return float(sum(runs[1::2])), {"size": [size[1], size[0]], "counts": runs}
    points = clipped(shape.polygon(), *size)
    pairs = zip(points, (*points[1:], *points[:1]), strict=True)
    area = round(abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs)) / 2, 3)
    return area, [[round(number, 3) for point in points for number in point]] if len(points) > 2 else []


def _column_runs(mask: Mask, size: tuple[int, int]) -> list[int]:
    import numpy as np

    width, height = size
    whole = np.zeros((height, width), dtype=bool)
    rows, columns = np.nonzero(mask.array())
    rows, columns = rows + mask.top, columns + mask.left
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    whole[rows[inside], columns[inside]] = True
    flat = whole.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs: list[int] = np.diff(np.concatenate(([0], ends, [flat.size]))).tolist()
    return [0, *runs] if flat[0] else runs


def _place_images(
    ds: Dataset, folder: Path, how: ImageFiles, *, strip: bool, progress: bool
) -> tuple[str, ...]:
    """Copy or link the images into `folder`; return notes for the report."""
    with_file = [image for image in ds.images if image.file]
    if not with_file or ds.root is None:
        return ("no image files found: annotations only",)
    if how == "none":
        return (
            "the images stay where they are; with the option images=copy they are put into images/, where file_name points",
        )
    from pcm_leukemia.images import place_all

    for image in with_file:
        if leads_outside(image.id):
            raise ExportError(
                f'image "{image.id}": its path leads out of {folder}; rename the image in the export'
            )
    targets = {image.id: folder / image.id for image in with_file}
    notes = place_all(ds, targets, how, strip=strip, hidden=has_pseudonyms(ds), progress=progress)
    lost = len(ds.images) - len(with_file)
    return (*([counted(lost, "image has no file", "images have no file")] if lost else []), *notes)
