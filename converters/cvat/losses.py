"""What the report on a zip for CVAT tells: what its XML cannot hold, and what CVAT does to the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pcm_leukemia.converters.cvat.document import extent
from pcm_leukemia.converters.cvat.labels import Spelling
from pcm_leukemia.converters.cvat.layout import PATIENTS, Layout
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.shapes import Ellipse, Mask, Point, RotatedBox

__all__ = ["lost", "notes"]


def lost(ds: Dataset, spelling: Spelling, layout: Layout, *, patients: bool) -> dict[str, int]:
    """What CVAT's XML cannot hold, by kind."""
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
    ds: Dataset, layout: Layout, spelling: Spelling, *, copied: bool, patients: bool, split: bool
) -> Iterator[str]:
    """What a user of the zip should know."""
    if not copied:
        yield "the zip holds annotations only, no images"
    yield "CVAT makes no labels when it imports: first paste labels.txt into the Raw tab of its label editor"
    without = sum(image.patient is None for image in ds.images)
    if patients and without < len(ds.images):
        some = f", but for {without:,} images of unknown patients" if without else ""
        yield (
            f"CVAT has no place for patients{some}: unzip {PATIENTS} and give it when reading back, as the "
            "patients' table; whoever has the zip has it, too"
        )
    for raw, count in spelling.ignored.items():
        yield f'{count:,} cells to be ignored are written as "{raw}"; read them back as ignore'
    changed = sum(place.id != image for image, place in layout.places.items())
    if changed:
        yield f"{changed:,} images have another id when read back, since their subset begins it"
    if ds.split is not None and not split:
        yield 'the split is not written; subsets "split" makes its parts the subsets'
    yield from _notes_on_cells(ds)
    yield from _notes_on_cvat(ds, layout)


def _notes_on_cells(ds: Dataset) -> Iterator[str]:
    """Where what is read back differs from the rows."""
    renumbered = sum(
        cell.id != number for image in ds.images for number, cell in enumerate(ds.cells_of(image))
    )
    if renumbered:
        yield f"{renumbered:,} cells have another number when read back: CVAT numbers them by their place"
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
        yield f"{differ:,} boxes are not the extent of what was drawn, which they become when read back"
    if upright:
        yield f"{upright:,} boxes that are turned by 0 degrees are written as upright ones"
    if outside:
        yield f"{outside:,} turned boxes or outlines leave their image: read them back with clip"


def _notes_on_cvat(ds: Dataset, layout: Layout) -> Iterator[str]:
    """What CVAT's importers are known to do."""
    stems: dict[str, str] = {}
    for place in layout.places.values():
        other = stems.setdefault(os.path.splitext(place.file)[0], place.file)  # noqa: PTH122 - a POSIX path
        if other != place.file:
            yield (
                f'"{other}" and "{place.file}" differ in their extension alone: CVAT may put the cells of '
                "both on one of them; rename one"
            )
            break
    points = sum(isinstance(cell.shape, Point) for cell in ds.cells)
    if points:
        yield f"{points:,} points are no cells when they are read back: draw a box around each"
    drawn = sum(isinstance(cell.shape, Ellipse | Mask) for cell in ds.cells)
    if drawn and layout.kind == "project":
        yield (
            f"{drawn:,} masks and ellipses are left out when CVAT imports a data set into a project; upload "
            "the annotations into each task instead"
        )
