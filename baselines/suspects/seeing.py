"""Lays what a detector found beside the annotated boxes: what it sees of each box, and what it sees beside all boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from msgspec.structs import astuple
from torchvision.ops import box_iou, nms

from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import IGNORE, Cell, ImageId
from pcm_leukemia.shapes import Box

__all__ = ["SAME", "Beside", "Seen", "look"]

TOUCHING = 0.1
"""The lowest IoU of a box with a detection of the same cell, which may be badly placed."""
NEAR = 0.3
"""A detection that overlaps a box by this IoU is another view of its cell, not a cell of its own."""
SAME = 0.5
"""The IoU from which a box and a detection are of the same cell without doubt, and two detections are one."""


class Seen(NamedTuple):
    """An annotated cell, and the detection of it: its box, label, score (0 to 1) and IoU with the cell's box.

    A cell without a detection has no box and no label, and a score and an IoU of 0.
    """

    cell: Cell
    box: Box | None
    label: str | None
    score: float
    iou: float


class Beside(NamedTuple):
    """A detection where no cell is annotated."""

    image: ImageId
    box: Box
    label: str
    score: float


def look(view: Dataset, found: Mapping[ImageId, Detections]) -> tuple[list[Seen], list[Beside]]:
    """Give each annotated cell the detection that overlaps it most, the best pairs first.

    Detections on ignored cells are left out, and so are those that overlap a cell with another detection.

    Parameters
    ----------
    view
        The annotations, with the detector's classes.
    found
        What it found in each image.
    """
    seen: list[Seen] = []
    beside: list[Beside] = []
    for image, every in found.items():
        cells = [cell for cell in view.cells_of(image) if cell.label != IGNORE]
        ignored = [cell for cell in view.cells_of(image) if cell.label == IGNORE]
        each = _once(every)
        overlap = _overlaps(cells, each.boxes)
        partner = dict(_pairs(overlap, each.scores))
        boxes = [Box(*map(float, sides)) for sides in each.boxes]
        labels = [view.taxonomy.labels[label] for label in each.labels]
        for number, cell in enumerate(cells):
            at = partner.get(number)
            if at is None:
                seen.append(Seen(cell, None, None, 0.0, 0.0))
            else:
                iou = float(overlap[number, at])
                seen.append(Seen(cell, boxes[at], labels[at], float(each.scores[at]), iou))
        taken = set(partner.values())
        on_ignored = _overlaps(ignored, each.boxes).max(axis=0, initial=0)
        on_cell = overlap.max(axis=0, initial=0)
        beside += [
            Beside(image, boxes[at], labels[at], float(score))
            for at, score in enumerate(each.scores)
            if at not in taken and on_ignored[at] < TOUCHING and on_cell[at] < NEAR
        ]
    return seen, beside


def _pairs(overlap: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Each cell with one detection, the largest products of overlap and score first.

    The overlap alone would give a badly placed box a faint detection of the background that lies as it does.
    """
    cells, detections = set[int](), set[int]()
    worth = np.where(overlap >= TOUCHING, overlap * scores, 0)
    for place in np.argsort(-worth, axis=None, kind="stable").tolist():
        cell, detection = divmod(place, overlap.shape[1])
        if worth[cell, detection] <= 0:
            return
        if cell not in cells and detection not in detections:
            cells.add(cell)
            detections.add(detection)
            yield cell, detection


def _once(found: Detections) -> Detections:
    """Only the best of the detections of one place, whatever their labels."""
    kept = nms(torch.from_numpy(found.boxes), torch.from_numpy(found.scores), SAME).numpy()
    return Detections(*(each[kept] for each in found))


def _sides(cells: Sequence[Cell]) -> npt.NDArray[np.float32]:
    """x1, y1, x2, y2 of each box, ``(n, 4)``."""
    return np.array([astuple(cell.box) for cell in cells], np.float32).reshape(-1, 4)


def _overlaps(cells: Sequence[Cell], boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The IoU of each cell with each box."""
    return np.asarray(box_iou(torch.from_numpy(_sides(cells)), torch.from_numpy(boxes)).numpy())
