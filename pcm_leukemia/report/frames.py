"""Annotated frames: a sample of the images, and the outlines of their cells."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from pcm_leukemia import drawing
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.report.pictures import Pictures
from pcm_leukemia.report.sections import Section, script
from pcm_leukemia.schema import Cell, Image
from pcm_leukemia.shapes import XY, Mask, Point

__all__ = ["section", "to_show"]

FRAMES = 40
"""Frames on the page, at most 5 MB."""
CORNERS = 36
"""The most corners of an outline on the page; more would not be seen."""
OUTLINED = 100
"""The most cells of a frame with outlines; more would make the page too large, so they have boxes and points alone."""


def to_show(pictures: Pictures, first: Sequence[Image] = ()) -> list[Image]:
    """The images that are shown as frames: the `first`, and then a sample of all; in the order of their ids."""
    if not pictures.possible:
        return []
    drawn = drawing.choose_frames(pictures.ds, FRAMES)
    wanted = dict.fromkeys([*(image for image in first if image.file), *drawn])
    return sorted(list(wanted)[:FRAMES], key=attrgetter("id"))


def section(
    ds: Dataset, pictures: Pictures, chosen: Sequence[Image] | None = None, chosen_are: str = ""
) -> Section:
    """The view "Frames": for each frame its image and picture by their numbers, and its boxes [x, y, width, height].

    Boxes are in pixels of the image, in the order of `Dataset.cells_of`. `outlines` holds, by the place of the cell, what
    was drawn in place of a box: a list of corners [x, y], or the point alone. If the frames are `chosen` and not a sample,
    `chosen_are` says how.
    """
    chosen = to_show(pictures) if chosen is None else chosen
    numbers = {image.id: number for number, image in enumerate(ds.images)}
    frames = [_frame(ds.cells_of(image), numbers[image.id], pictures.frame(image)) for image in chosen]
    return Section(script("frames"), {"frames": frames, "framesAre": chosen_are})


def _frame(cells: Sequence[Cell], image: int, picture: int) -> dict[str, object]:
    outlined = len(cells) <= OUTLINED
    outlines = {
        place: [[round(x, 1), round(y, 1)] for x, y in _corners(cell.shape.polygon())]
        for place, cell in enumerate(cells)
        if isinstance(cell.shape, Point) or (cell.shape and outlined and not isinstance(cell.shape, Mask))
    }
    boxes = [
        [round(side, 1) for side in (each.box.x1, each.box.y1, each.box.width, each.box.height)]
        for each in cells
    ]
    return {"image": image, "picture": picture, "boxes": boxes, "outlines": outlines}


def _corners(outline: Sequence[XY]) -> Sequence[XY]:
    """An outline with at most `CORNERS` corners, evenly chosen."""
    return outline[:: -(-len(outline) // CORNERS)]
