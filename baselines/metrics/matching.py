"""Matching predictions to cells, whatever their classes.

Average precision matches class by class and at every score. A confusion matrix, "691 of 701 cells found" and the
second stage of a pipeline need another matching: at one score, with at most one prediction for each cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from hotcoco import primitives

from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.metrics.confusions import ratio
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import IGNORE, Cell, ImageId

__all__ = ["OTHER", "Matches", "by_group", "match", "recalls", "sides"]

Floats = npt.NDArray[np.float64]

OTHER = "Other"
"""The class left out of the cells to find: the paper counts white blood cells ("691 of 701")."""


class Matches(NamedTuple):
    """The matches of one image; cells and predictions are given by their index in the arguments.

    `pairs` are (cell, prediction); `missed` cells and `spurious` predictions have no partner. Ignored cells, and
    predictions on one, are left out.
    """

    pairs: tuple[tuple[int, int], ...]
    missed: tuple[int, ...]
    spurious: tuple[int, ...]


def match(cells: Sequence[Cell], found: Detections, *, threshold: float = 0.5, iou: float = 0.5) -> Matches:
    """Give each cell of an image at most one prediction, and each prediction at most one cell.

    Predictions choose in order of falling score: each takes the free cell that it overlaps most, as in COCO
    within a class. Labels play no part.

    Parameters
    ----------
    cells
        The annotated cells of one image.
    found
        The detections in that image.
    threshold
        The lowest score that counts.
    iou
        The lowest intersection over union of a pair. An unmatched prediction is on an ignored cell if at least
        this share of its area lies inside that cell.

    Examples
    --------
    >>> from pcm_leukemia import Box
    >>> from pcm_leukemia.schema import ImageId
    >>> cells = [Cell(ImageId("a"), n, "Other", Box(50 * n, 0, 50 * n + 20, 20)) for n in range(2)]
    >>> boxes = np.array([[1, 0, 20, 20], [0, 0, 20, 20], [200, 0, 220, 20]], np.float32)
    >>> match(cells, Detections(boxes, np.array([0.9, 0.8, 0.4], np.float32), np.array([0, 0, 1])))
    Matches(pairs=((0, 0),), missed=(1,), spurious=(1,))
    """
    targets = [place for place, cell in enumerate(cells) if cell.label != IGNORE]
    order = np.argsort(-found.scores, kind="stable")
    order = order[found.scores[order] >= np.float32(threshold)]
    overlap = _overlap(found.boxes[order], [cells[place] for place in targets], crowd=False)
    pairs, alone, free = [], [], np.ones(len(targets), bool)
    for prediction, row in zip(order.tolist(), overlap, strict=True):
        row = np.where(free, row, -1.0)  # noqa: PLW2901 - free cells only
        best = int(row.argmax()) if len(row) else -1
        if best >= 0 and row[best] >= iou:
            free[best] = False
            pairs.append((targets[best], prediction))
        else:
            alone.append(prediction)
    ignored = [cell for cell in cells if cell.label == IGNORE]
    on_ignored: list[bool] = np.any(_overlap(found.boxes[alone], ignored, crowd=True) >= iou, axis=1).tolist()
    return Matches(
        tuple(pairs),
        tuple(place for place, left in zip(targets, free.tolist(), strict=True) if left),
        tuple(prediction for prediction, on in zip(alone, on_ignored, strict=True) if not on),
    )


def by_group(
    ds: Dataset,
    found: Mapping[ImageId, Detections],
    groups: Sequence[str],
    *,
    threshold: float = 0.5,
    iou: float = 0.5,
) -> npt.NDArray[np.int64]:
    """The confusion matrix of each group, ``(groups, k + 1, k + 1)``, in the order of the groups' names.

    A row for each true class and a last one for predictions without a cell (spurious); a column for each predicted class
    and a last one for cells without a prediction (missed).

    Parameters
    ----------
    ds
        Images and cells; class ids follow the order of its taxonomy.
    found
        The detections of each image.
    groups
        The group (patient) of each image.
    threshold, iou
        As in `match`.

    Examples
    --------
    >>> from pcm_leukemia import Box, Image, Taxonomy
    >>> images = tuple(Image(ImageId(name), 90, 60) for name in "ab")
    >>> cells = (Cell(ImageId("a"), 0, "Blast", Box(5, 5, 30, 30)), Cell(ImageId("b"), 0, "Blast", Box(5, 5, 30, 30)))
    >>> one = Detections(np.array([[5, 5, 30, 30]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    >>> none = Detections(*(each[:0] for each in one))
    >>> ds = Dataset("demo", Taxonomy("demo", ("Blast",)), images, cells)
    >>> by_group(ds, {ImageId("a"): one, ImageId("b"): none}, ["P2", "P1"]).tolist()
    [[[0, 1], [0, 0]], [[1, 0], [0, 0]]]
    """
    ids = ds.taxonomy.ids
    numbers = {group: number for number, group in enumerate(sorted(set(groups)))}
    tables = np.zeros((len(numbers), len(ids) + 1, len(ids) + 1), np.int64)
    for image, group in zip(ds.images, groups, strict=True):
        table, cells, here = tables[numbers[group]], ds.cells_of(image), found[image.id]
        pairs, missed, spurious = match(cells, here, threshold=threshold, iou=iou)
        for cell, prediction in pairs:
            table[ids[cells[cell].label], here.labels[prediction]] += 1
        for cell in missed:
            table[ids[cells[cell].label], -1] += 1
        for prediction in spurious:
            table[-1, here.labels[prediction]] += 1
    return tables


def recalls(
    times: npt.NDArray[np.int64], tables: npt.NDArray[np.int64], classes: Sequence[int]
) -> npt.NDArray[np.float64]:
    """The share of the cells that were found, in any class, in each draw of groups, ``(draws,)``; NaN without cells.

    Parameters
    ----------
    times
        How often each draw contains each group, ``(draws, groups)``.
    tables
        The confusion matrix of each group, as from `by_group`.
    classes
        The ids of the classes whose cells are to be found.

    Examples
    --------
    >>> tables = np.array([[[0, 1], [0, 0]], [[1, 0], [0, 0]]])
    >>> recalls(np.array([[1, 1], [2, 0]]), tables, [0]).tolist()
    [0.5, 0.0]
    """
    cells = tables[:, classes].sum(axis=(1, 2))
    found = tables[:, classes, :-1].sum(axis=(1, 2))
    return ratio(times @ found, times @ cells)


def sides(boxes: npt.NDArray[np.float32]) -> Floats:
    """Boxes x1, y1, x2, y2 in COCO's form: x, y, width, height, ``(n, 4)``, in 64 bits."""
    wide = boxes.astype(np.float64).reshape(-1, 4)
    return np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1)


def _overlap(boxes: npt.NDArray[np.float32], cells: Sequence[Cell], *, crowd: bool) -> Floats:
    """IoU of each prediction with each cell; with `crowd`, the share of the prediction inside the cell."""
    if not len(boxes) or not cells:
        return np.zeros((len(boxes), len(cells)))
    them = [(c.box.x1, c.box.y1, c.box.x2 - c.box.x1, c.box.y2 - c.box.y1) for c in cells]
    return np.asarray(primitives.bbox_iou(sides(boxes), np.array(them), [crowd] * len(cells)))
