"""How far boxes overlap, and which of several predictions of one cell to keep."""

from __future__ import annotations

from collections.abc import Sequence

from pcm_leukemia.shapes import Box

__all__ = ["ONE_CELL", "best_of_each_cell", "iou"]

ONE_CELL = 0.7
"""Predictions that overlap by more than this IoU are of one cell, whatever their classes; distinct cells hardly reach 0.5."""


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1.

    Examples
    --------
    >>> iou(Box(0, 0, 10, 10), Box(0, 0, 10, 5))
    0.5
    >>> iou(Box(0, 0, 10, 10), Box(10, 0, 20, 10))
    0.0
    """
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    if width <= 0:
        return 0.0
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    if height <= 0:
        return 0.0
    if one == other:
        return 1.0
    both = width * height
    return both / (one.area + other.area - both)


def best_of_each_cell(
    boxes: Sequence[Sequence[float]], scores: Sequence[float], most: float = ONE_CELL
) -> list[int]:
    """The predictions of an image that are kept by non-maximum suppression, whatever their classes, in their order.

    Parameters
    ----------
    boxes
        x1, y1, x2, y2 of each prediction in pixels.
    scores
        The score of each prediction; of equal ones, the first counts as the better.
    most
        Of two predictions that overlap by a higher IoU, the better is kept; 1 keeps all.

    Examples
    --------
    >>> best_of_each_cell([(0, 0, 10, 10), (0, 0, 10, 9), (40, 0, 50, 10)], [0.6, 0.8, 0.3])
    [1, 2]
    """
    import numpy as np

    if most >= 1 or len(boxes) < 2:
        return list(range(len(boxes)))
    x1, y1, x2, y2 = np.asarray(boxes, np.float64).reshape(-1, 4).T
    areas = (x2 - x1) * (y2 - y1)
    kept, left = [], np.argsort(-np.asarray(scores, np.float64), kind="stable")
    while left.size:
        best, left = left[0], left[1:]
        kept.append(int(best))
        widths = np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left])
        heights = np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left])
        both = widths.clip(0) * heights.clip(0)
        left = left[both <= most * (areas[best] + areas[left] - both)]
    return sorted(kept)
