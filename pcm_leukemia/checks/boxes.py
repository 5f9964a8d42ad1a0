"""Checks of annotations that need no image: cells annotated twice, boxes of unusual size or shape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pcm_leukemia.checks.findings import Finding, among
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import Cell, Split
from pcm_leukemia.shapes import Point

__all__ = ["FEWEST", "OVERLAP", "UNUSUAL", "annotated_twice", "unusual_boxes"]

OVERLAP = 0.9
"""Two boxes with at least this intersection over union are of one cell. Touching cells stay far below it."""

UNUSUAL = 6.0
"""Robust deviations from the median of its class, beyond which a box is unusual.

Of 6,629 drawn boxes none is beyond 4; of BCCD's 3,645 boxes off the border, 1 is beyond 6 by size and 4 by shape.
"""

FEWEST = 20
"""The fewest cells in a class for any of them to count as unusual."""

NARROWEST = 0.05
"""The smallest deviation that is used, as the logarithm of a ratio: a difference of 5 % is never unusual."""

BORDER = 2.0
"""Pixels from the image's border within which a box may end because the image does."""


def annotated_twice(ds: Dataset, split: Split | None = None) -> Iterator[Finding]:
    """Pairs of boxes in one image that overlap by `OVERLAP` or more.

    With the same label it is a warning (the cell counts twice), with different ones a problem.
    """
    for image in ds.images:
        cells = ds.cells_of(image)
        if len(cells) < 2:
            continue
        for first, second, overlap in _overlapping(cells):
            same = first.label == second.label
            other = "too" if same else f'as "{second.label}"'
            yield among(
                ds,
                split,
                "cell-twice",
                "warning" if same else "problem",
                f'"{first.label}" is annotated again as cell {second.id}, {other}: their boxes overlap by {overlap:.2f}',
                "delete one of them in CVAT" if same else "decide on one label in CVAT",
                cells=(first, second),
            )


def _overlapping(cells: tuple[Cell, ...]) -> Iterator[tuple[Cell, Cell, float]]:
    x1, y1, x2, y2 = np.array([(c.box.x1, c.box.y1, c.box.x2, c.box.y2) for c in cells]).T
    width = np.minimum.outer(x2, x2) - np.maximum.outer(x1, x1)
    height = np.minimum.outer(y2, y2) - np.maximum.outer(y1, y1)
    common = np.clip(width, 0, None) * np.clip(height, 0, None)
    area = (x2 - x1) * (y2 - y1)
    overlap = common / (np.add.outer(area, area) - common)
    for first, second in np.argwhere(np.triu(overlap >= OVERLAP, 1)).tolist():
        yield cells[first], cells[second], float(overlap[first, second])


def unusual_boxes(ds: Dataset, split: Split | None = None) -> Iterator[Finding]:
    """Boxes whose size or aspect lies more than `UNUSUAL` deviations from what is usual in their class.

    Both are compared as logarithms, size as the side of a square of that area, by the median and the
    median absolute deviation, which a few wrong boxes do not move. Boxes that end at the image's border
    are cut by it, and left out.
    """
    by_class: dict[str, list[Cell]] = {}
    for cell in ds.cells:
        image, box = ds.image(cell.image), cell.box
        inner = min(box.x1, box.y1, image.width - box.x2, image.height - box.y2) > BORDER
        if inner and not isinstance(cell.shape, Point):
            by_class.setdefault(cell.label, []).append(cell)
    for label in sorted(by_class):
        cells = by_class[label]
        if len(cells) < FEWEST:
            continue
        sides = np.array([(cell.box.width, cell.box.height) for cell in cells])
        size, aspect = np.sqrt(sides[:, 0] * sides[:, 1]), sides[:, 0] / sides[:, 1]
        off_size, off_aspect = _deviations(np.log(size)), _deviations(np.log(aspect))
        for index in np.flatnonzero((off_size > UNUSUAL) | (off_aspect > UNUSUAL)).tolist():
            width, height = sides[index]
            large = off_size[index] >= off_aspect[index]
            usual = (
                f"half of the {len(cells):,} of its class are larger than {np.median(size):.0f} x {np.median(size):.0f}"
                if large
                else f"the middle of the {len(cells):,} of its class is {np.median(aspect):.2f} times as wide as high"
            )
            yield among(
                ds,
                split,
                "unusual-box",
                "warning",
                f'"{label}" has a box of {width:.0f} x {height:.0f} px, {max(off_size[index], off_aspect[index]):.1f} '
                f"deviations from the usual {'size' if large else 'shape'}: {usual}",
                "look at it: a wrong label, a slip of the mouse, or a rare cell",
                cells=(cells[index],),
            )


def _deviations(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How many robust standard deviations each lies from the median."""
    off = np.abs(values - np.median(values))
    # 1.4826 makes the median absolute deviation the standard deviation of normally distributed values
    spread = max(1.4826 * float(np.median(off)), NARROWEST)
    return np.asarray(off / spread)
