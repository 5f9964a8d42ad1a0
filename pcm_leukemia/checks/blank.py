"""Finds images and cells that show nothing: a single colour, or black."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pcm_leukemia import images
from pcm_leukemia.checks.findings import Finding, among
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import Cell, Image, Split
from pcm_leukemia.shapes import Box

__all__ = ["NOT_BLANK", "Blank", "find_blank", "look_for_blank"]

_NOISE = 2
"""Grey levels by which the compressed pixels of a single colour may differ."""
_BLACK = 16
"""Pixels below this level of 255 are black to the eye."""

_BORDER = 2
"""Pixels at the sides of the thumbnail of a box that show what is around the box, too."""


class Blank(NamedTuple):
    """What shows nothing in an image: the whole of it, and how, or the cells with these numbers."""

    whole: Literal["", "lost", "black", "one colour"] = ""
    cells: tuple[int, ...] = ()


NOT_BLANK = Blank()


def look_for_blank(
    data: bytes,
    image: Image,
    decoded: Pixels,
    boxes: Sequence[tuple[int, Box]],
    thumbnails: Sequence[npt.NDArray[np.uint8]],
) -> Blank:
    """Look whether an image or its cells show nothing.

    Parameters
    ----------
    data, decoded
        The bytes of the file, and its pixels ``(height, width, 3)``.
    image
        The image.
    boxes
        The number and the box of each cell, in pixels.
    thumbnails
        Grey thumbnails of the image and of each box; only where they are blank the pixels are looked at.
    """
    if _may_be_blank(thumbnails[0]) and (shown := _shown(decoded)):
        lost = shown == "one colour" and images.varies(data, str(image.file))
        return Blank("lost" if lost else shown)
    cells = [
        number
        for (number, box), thumbnail in zip(boxes, thumbnails[1:], strict=True)
        if _may_be_blank(_inside(thumbnail, box)) and _shown(images.crop(decoded, box, 0))
    ]
    return Blank("", tuple(cells)) if cells else NOT_BLANK


def _inside(thumbnail: npt.NDArray[np.uint8], box: Box) -> npt.NDArray[np.uint8]:
    """A thumbnail of a box without its border, into which the surroundings are mixed; of a small box, all of it may be."""
    small = min(box.width, box.height) < len(thumbnail)
    return np.zeros((1, 1), np.uint8) if small else thumbnail[_BORDER:-_BORDER, _BORDER:-_BORDER]


def _may_be_blank(thumbnail: npt.NDArray[np.uint8]) -> bool:
    highest = int(thumbnail.max())
    return highest < _BLACK or highest - int(thumbnail.min()) <= _NOISE


def _shown(pixels: Pixels) -> Literal["", "black", "one colour"]:
    lowest, highest = pixels.min((0, 1)).astype(int), pixels.max((0, 1)).astype(int)
    if (highest - lowest).max() <= _NOISE:
        return "one colour"
    return "black" if highest.max() < _BLACK else ""


_SAID = {
    "lost": (
        "problem",
        "shows one colour, though its file holds more than that",
        "save it as RGB, 8 bits a channel, without an alpha channel",
    ),
    "black": (
        "problem",
        f"is black: no value is above {_BLACK - 1} of 255",
        "save it again from the original, scaled to 8 bits",
    ),
    "one colour": ("warning", "shows one colour", "replace its file, or leave the image out"),
}
"""How an image is blank -> severity, what, fix."""


def find_blank(
    ds: Dataset, found: Sequence[tuple[Image, Blank]], split: Split | None = None
) -> Iterator[Finding]:
    """One finding for each way in which images are blank, and one for all blank cells in other images."""
    for how, (severity, what, fix) in _SAID.items():
        ids = [image.id for image, blank in found if blank.whole == how]
        if ids:
            yield among(
                ds,
                split,
                "blank",
                severity,  # type: ignore[arg-type]
                what,
                fix,
                images=ids,
                measured=[what.partition(":")[0]] * len(ids),
            )
    cells: list[Cell] = [
        cell for image, blank in found if blank.cells for cell in ds.cells_of(image) if cell.id in blank.cells
    ]
    if cells:
        more = f" and those of {counted(len(cells) - 1, 'other cell')}" if cells[1:] else ""
        what = f"its box{more} show one colour or black" if more else "its box shows one colour or black"
        yield among(
            ds,
            split,
            "blank",
            "warning",
            what,
            "correct the box, or delete it",
            cells=cells,
            measured=["the box shows one colour or black"] * len(cells),
        )
