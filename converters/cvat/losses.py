"""Losses and notes in the report: what CVAT's XML cannot hold, and what its importers change."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pcm_leukemia.converters.cvat.document import extent
from pcm_leukemia.converters.cvat.labels import LabelChoice
from pcm_leukemia.converters.cvat.layout import PATIENTS, Layout
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted, either
from pcm_leukemia.schema import IGNORE, UNTYPED
from pcm_leukemia.shapes import Ellipse, Mask, Point, RotatedBox

__all__ = ["lost", "notes"]


def lost(ds: Dataset, spelling: LabelChoice, layout: Layout, *, patients: bool) -> dict[str, int]:
    """Counts of what CVAT's XML cannot hold."""
    with_images = {image.patient for image in ds.images}
    sizes = {image.id: image for image in ds.images}
    return {
        "track numbers": sum(cell.track is not None for cell in ds.cells),
        "raw labels, for the class": spelling.lost,
        "outlines without area in their image, for their boxes": sum(
            cell.shape is not None
            and not isinstance(cell.shape, Point)
            and extent(cell, sizes[cell.image]) is None
            for cell in ds.cells
        ),
        "names of images, for their ids": sum(layout.places[i.id].name != i.name for i in ds.images),
        "groups and annotation states of images": sum(
            image.group is not None or image.annotation_state != "complete" for image in ds.images
        ),
        "diagnoses of images": sum(image.diagnosis is not None for image in ds.images),
        "patients without images": sum(patient.id not in with_images for patient in ds.patients),
        "patients of images": 0 if patients else sum(image.patient is not None for image in ds.images),
    }


def notes(
    ds: Dataset,
    layout: Layout,
    spelling: LabelChoice,
    *,
    copied: bool,
    stripped: bool,
    patients: bool,
    split: bool,
) -> Iterator[str]:
    """Notes for users of the zip."""
    if not copied:
        yield "the zip has annotations only, no images"
    else:
        from pcm_leukemia.images import STRIPPED, notes_on_depth

        if stripped:
            yield STRIPPED
        yield from notes_on_depth(ds.images)
    yield "CVAT does not create labels on import: first paste labels.txt into the Raw tab of its label editor"
    without = sum(image.patient is None for image in ds.images)
    if patients and without < len(ds.images):
        unknown = f" ({counted(without, 'image has', 'images have')} no patient)" if without else ""
        yield (
            f"CVAT cannot store patients{unknown}: unzip {PATIENTS} and give it as the patient table when "
            "reading the annotations back; everybody who has the zip can see it"
        )
    for raw, count in spelling.ignored.items():
        yield f'{counted(count, "ignored cell is", "ignored cells are")} written as "{raw}"; when reading back, give {_map(raw, IGNORE)}'
    for raw, count in spelling.untyped.items():
        cells = counted(count, "white cell of unknown type is", "white cells of unknown type are")
        yield f'{cells} written as "{raw}"; when reading back, give {_map(raw, UNTYPED)}'
    changed = sum(place.id != image for image, place in layout.places.items())
    if changed:
        yield f"{counted(changed, 'image has', 'images have')} another id when read back: it starts with the subset"
    if ds.split is not None and not split:
        yield "the split is not written; the option subsets=split writes its parts as subsets"
    yield from _notes_on_cells(ds)
    yield from _notes_on_cvat(ds, layout)


def _notes_on_cells(ds: Dataset) -> Iterator[str]:
    """Notes on cells that differ when read back."""
    renumbered = sum(
        cell.id != number for image in ds.images for number, cell in enumerate(ds.cells_of(image))
    )
    if renumbered:
        yield f"{counted(renumbered, 'cell has', 'cells have')} another number when read back: CVAT numbers them by position"
    sizes = {image.id: image for image in ds.images}
    outside = differ = upright = 0
    for cell in ds.cells:
        if cell.shape is None:
            continue
        image = sizes[cell.image]
        box = extent(cell, image)
        envelope = cell.shape.envelope() if box else None
        if box and envelope:
            differ += box != cell.box
            upright += isinstance(cell.shape, RotatedBox) and not cell.shape.rotation % 360
            outside += min(envelope[:2]) < 0 or envelope[2] > image.width or envelope[3] > image.height
    if differ:
        yield f"{counted(differ, 'box differs', 'boxes differ')} from the extent of the outline, which replaces it when read back"
    if upright:
        yield f"{counted(upright, 'box rotated by 0 degrees is written as an upright box', 'boxes rotated by 0 degrees are written as upright boxes')}"
    if outside:
        yield f"{counted(outside, 'rotated box or outline leaves its image', 'rotated boxes or outlines leave their image')}; read them back with the option clip"


def _notes_on_cvat(ds: Dataset, layout: Layout) -> Iterator[str]:
    """Notes on known behaviour of CVAT's importers."""
    stems: dict[str, str] = {}
    for place in layout.places.values():
        other = stems.setdefault(os.path.splitext(place.file)[0], place.file)  # noqa: PTH122 - a POSIX path
        if other != place.file:
            yield (
                f'"{other}" and "{place.file}" differ only in their extension: CVAT may put the cells of '
                "both on one image; rename one of them"
            )
            break
    points = sum(isinstance(cell.shape, Point) for cell in ds.cells)
    if points:
        yield f"{counted(points, 'point is not read back as a cell', 'points are not read back as cells')}; draw a box around each"
    drawn = sum(isinstance(cell.shape, Ellipse | Mask) for cell in ds.cells)
    if drawn and layout.kind == "project":
        yield (
            f"{counted(drawn, 'mask or ellipse is', 'masks and ellipses are')} lost when CVAT imports a data set into a project; upload the "
            "annotations into each task instead"
        )


def _map(raw: str, word: str) -> str:
    """How to read a label back, as the reader of the report types it."""
    return either(f'labels={{"{raw}": "{word}"}}', f'--map "{raw}={word}"')
