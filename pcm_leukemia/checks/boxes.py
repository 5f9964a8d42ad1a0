"""Checks of annotations that need no image: cells annotated twice, boxes of unusual size or shape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pcm_leukemia.checks.findings import Finding, among
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import Cell, Split
from pcm_leukemia.shapes import Point

__all__ = ["FEWEST", "OVERLAP", "UNUSUAL", "annotated_twice", "median_sides", "overlapping", "unusual_boxes"]

OVERLAP = 0.9
"""Boxes with at least this intersection over union show one cell. Touching cells stay far below it."""

UNUSUAL = 6.0
"""A box is unusual beyond this many robust deviations from the median of its class.

All of 6,629 drawn boxes stay within 4. Of BCCD's 3,645 boxes away from the border, 1 is beyond 6 by size and 4 by shape.
"""

FEWEST = 20
"""Boxes of a class are only judged if it has at least this many cells."""

NARROWEST = 0.05
"""The smallest deviation to divide by, as the logarithm of a ratio, so that a difference of 5 % is never unusual."""

BORDER = 2.0
"""A box that ends within this many pixels of the image's border may be cut off by it."""


def annotated_twice(ds: Dataset, split: Split | None = None) -> Iterator[Finding]:
    """Pairs of boxes in one image that overlap by `OVERLAP` or more.

    With the same label it is a warning (the cell counts twice), with different ones a problem.
    """
    for image in ds.images:
        cells = ds.cells_of(image)
        for first, second, overlap in overlapping(cells):
            same = first.written_label == second.written_label
            other = "too" if same else f'as "{second.written_label}"'
            yield among(
                ds,
                split,
                "cell-twice",
                "warning" if same else "problem",
                f'"{first.written_label}" is annotated again as cell {second.id}, {other}: their boxes overlap by {overlap:.2f}',
                "delete one of them in CVAT" if same else "decide on one label in CVAT",
                cells=(first, second),
                measured=[f"the boxes overlap by {overlap:.2f} (IoU)"] * 2,
            )


def overlapping(cells: tuple[Cell, ...]) -> Iterator[tuple[Cell, Cell, float]]:
    """Pairs of cells of one image whose boxes overlap by `OVERLAP` or more, and by how much (IoU)."""
    if len(cells) < 2:
        return
    x1, y1, x2, y2 = np.array([(c.box.x1, c.box.y1, c.box.x2, c.box.y2) for c in cells]).T
    width = np.minimum.outer(x2, x2) - np.maximum.outer(x1, x1)
    height = np.minimum.outer(y2, y2) - np.maximum.outer(y1, y1)
    common = np.clip(width, 0, None) * np.clip(height, 0, None)
    area = (x2 - x1) * (y2 - y1)
    overlap = common / (np.add.outer(area, area) - common)
    for first, second in np.argwhere(np.triu(overlap >= OVERLAP, 1)).tolist():
        yield cells[first], cells[second], float(overlap[first, second])


def unusual_boxes(ds: Dataset, split: Split | None = None) -> Iterator[Finding]:
    """Boxes whose size or aspect ratio is more than `UNUSUAL` deviations from the median of their class.

    Both are compared as logarithms, the size as the side of a square of equal area. The median and the median absolute
    deviation are hardly affected by a few wrong boxes. Boxes that end at the image's border are left out.
    """
    medians = median_sides(ds)
    for label, cells in _compared(ds).items():
        sides = _sides(cells)
        size, aspect = np.sqrt(sides[:, 0] * sides[:, 1]), sides[:, 0] / sides[:, 1]
        off_size, off_aspect = _deviations(np.log(size)), _deviations(np.log(aspect))
        usual = "{:.0f} x {:.0f} px".format(*medians[label])
        for index in np.flatnonzero((off_size > UNUSUAL) | (off_aspect > UNUSUAL)).tolist():
            size_or_shape = "size" if off_size[index] >= off_aspect[index] else "shape"
            off = f"{max(off_size[index], off_aspect[index]):.1f} deviations from the usual {size_or_shape}"
            its = "{:.0f} x {:.0f} px".format(*sides[index])
            yield among(
                ds,
                split,
                "unusual-box",
                "warning",
                f'"{label}" has a box of {its}, {off}: the median of the {len(cells):,} of its class is {usual}',
                "look at it: a wrong label, a slip of the mouse, or a rare cell",
                cells=(cells[index],),
                measured=(off,),
            )


def median_sides(ds: Dataset) -> dict[str, tuple[float, float]]:
    """The median width and height, in pixels, of each class whose boxes `unusual_boxes` compares."""
    found: dict[str, tuple[float, float]] = {}
    for label, cells in _compared(ds).items():
        width, height = np.median(_sides(cells), axis=0).tolist()
        found[label] = width, height
    return found


def _compared(ds: Dataset) -> dict[str, list[Cell]]:
    """The cells of each class that has enough of them, without points and boxes at the image's border."""
    by_class: dict[str, list[Cell]] = {}
    for cell in ds.cells:
        image, box = ds.image(cell.image), cell.box
        inner = min(box.x1, box.y1, image.width - box.x2, image.height - box.y2) > BORDER
        if inner and not isinstance(cell.shape, Point):
            by_class.setdefault(cell.label, []).append(cell)
    return {label: cells for label, cells in sorted(by_class.items()) if len(cells) >= FEWEST}


def _sides(cells: list[Cell]) -> npt.NDArray[np.float64]:
    """The width and height of each box, ``(n, 2)``, in pixels."""
    return np.array([(cell.box.width, cell.box.height) for cell in cells])


def _deviations(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The distance of each value from the median, in robust standard deviations."""
    off = np.abs(values - np.median(values))
    # 1.4826 makes the median absolute deviation the standard deviation of normally distributed values
    spread = max(1.4826 * float(np.median(off)), NARROWEST)
    return np.asarray(off / spread)
