"""Padded crops of images: their corners and their pixels."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from pcm_leukemia.images.pixels import Pixels
from pcm_leukemia.shapes import Box

__all__ = ["BORDERS", "Border", "crop", "crop_corners", "crop_from", "pixels_needed"]

Border = Literal["clip", "reflect", "constant"]
BORDERS: tuple[Border, ...] = ("clip", "reflect", "constant")


def crop_corners(
    box: Box, padding: int, width: int, height: int, border: Border = "clip"
) -> tuple[int, int, int, int]:
    """The corners ``(x1, y1, x2, y2)`` in whole pixels of a padded crop.

    The box is widened to whole pixels (floor and ceiling), then by `padding` on all sides. With
    "clip" the crop ends at the image's border.

    Raises
    ------
    ValueError
        If the box lies outside the image, or the padding is negative.

    Examples
    --------
    >>> crop_corners(Box(10.5, 60, 30.2, 80), 50, 100, 100)
    (0, 10, 81, 100)
    >>> crop_corners(Box(10.5, 60, 30.2, 80), 50, 100, 100, "reflect")
    (-40, 10, 81, 130)
    """
    if padding < 0 or box.clip(width, height) is None:
        raise ValueError(
            f"{box} and {padding} px: cannot be cut from {width} x {height} px; give a box inside and 0 px or more"
        )
    x1, y1 = math.floor(box.x1) - padding, math.floor(box.y1) - padding
    x2, y2 = math.ceil(box.x2) + padding, math.ceil(box.y2) + padding
    if border == "clip":
        return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    return x1, y1, x2, y2


def crop(pixels: Pixels, box: Box, padding: int = 50, border: Border = "clip") -> Pixels:
    """Cut a padded box out of an image; `crop_corners` says which pixels.

    Outside the image, "reflect" mirrors it about its border pixels and "constant" is black.

    Raises
    ------
    ValueError
        As `crop_corners` does.
    """
    height, width = pixels.shape[:2]
    return crop_from(pixels, (0, 0), (width, height), box, padding, border)


def crop_from(
    pixels: Pixels, corner: tuple[int, int], size: tuple[int, int], box: Box, padding: int, border: Border
) -> Pixels:
    """Cut a padded box out of a part of an image that begins at `corner` (x, y) and holds its `pixels_needed`.

    Boxes refer to the whole image, whose width and height are `size`; see `crop`.

    Raises
    ------
    ValueError
        As `crop_corners` does.
    """
    (left, top), (width, height) = corner, size
    x1, y1, x2, y2 = crop_corners(box, padding, width, height, border)
    if border == "reflect":
        rows = _mirrored(np.arange(y1, y2), height) - top
        columns = _mirrored(np.arange(x1, x2), width) - left
        return pixels[rows[:, None], columns]
    inside = pixels[max(y1, 0) - top : min(y2, height) - top, max(x1, 0) - left : min(x2, width) - left]
    if border == "clip":
        return inside
    beyond = ((max(-y1, 0), max(y2 - height, 0)), (max(-x1, 0), max(x2 - width, 0)), (0, 0))
    return np.pad(inside, beyond)


def pixels_needed(
    box: Box, padding: int, width: int, height: int, border: Border
) -> tuple[int, int, int, int]:
    """The corners ``(x1, y1, x2, y2)`` of the part of an image whose pixels are in a crop.

    Raises
    ------
    ValueError
        As `crop_corners` does.

    Examples
    --------
    >>> pixels_needed(Box(10, 60, 30, 80), 50, 100, 100, "constant")
    (0, 10, 80, 100)
    >>> pixels_needed(Box(0, 60, 10, 80), 50, 100, 100, "reflect")
    (0, 10, 60, 100)
    """
    x1, y1, x2, y2 = crop_corners(box, padding, width, height, border)
    if border == "reflect":
        columns, rows = _mirrored(np.arange(x1, x2), width), _mirrored(np.arange(y1, y2), height)
        return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
    return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)


def _mirrored(index: npt.NDArray[np.int_], length: int) -> npt.NDArray[np.int_]:
    """Indices, reflected at 0 and at length - 1 until they are inside."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    index = np.abs(index) % period
    return np.minimum(index, period - index)
