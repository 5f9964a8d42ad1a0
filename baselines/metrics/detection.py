"""Scores of a detector: the same for all detectors.

Average precision is COCO's, computed by hotcoco. The counts at one score (the confusion matrix, and the white
cells found in any class) follow the paper's Figures 3 and 10 and section 3.1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.metrics import matching
from pcm_leukemia.baselines.metrics.average_precision import NAMES, Averages, bootstrap, evaluate
from pcm_leukemia.baselines.metrics.bootstrap import Interval, interval, times_drawn
from pcm_leukemia.baselines.metrics.coco_results import from_coco_results, to_coco_results
from pcm_leukemia.baselines.metrics.confusions import Floats
from pcm_leukemia.baselines.metrics.groups import groups_of, how_sure
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidDataset, Problem, counted
from pcm_leukemia.schema import IGNORE, ImageId

__all__ = [
    "AveragePrecision",
    "Curve",
    "DetectionScores",
    "from_coco_results",
    "overall",
    "score",
    "to_coco_results",
]


RECALLS = (0.05, 0.25, 0.5)
"""The scores at which recall is given: the lowest that the pipeline classifies, ultralytics' default, and ours."""


class AveragePrecision(NamedTuple):
    """Average precision, 0 to 1: over IoU 0.50 to 0.95, at 0.50 and at 0.75; None without a cell to find.

    `interval` and `interval50` are the 95 % bootstrap intervals of `ap` and `ap50`; None with fewer than two
    patients (of the class), without draws, and where all draws are equal.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    interval: Interval | None = None
    interval50: Interval | None = None


class Curve(NamedTuple):
    """Precision at a recall of 0, 0.01 ... 1, each the highest at that recall or a higher one.

    `at50` is the precision at IoU 0.5, `mean` the mean over IoU 0.50 to 0.95; the areas under them are AP50 and
    AP.
    """

    at50: tuple[float, ...]
    mean: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """The scores that `score` computes.

    `overall` is the mean over the classes that have a cell; `of` holds each class. `coco` maps the names of
    COCO's twelve numbers to their values. `confusion` has a row for each class and a last one for predictions
    without a cell (spurious); a column for each predicted class and a last one for cells without a prediction
    (missed). `found` of `findable` cells were found, in any class. `negatives` counts the images without a cell
    that counts, `ignored` the ignored cells. `recalls` maps several lowest scores to the share of cells found, in any class:
    how many are found depends on where the line is drawn. `recall_interval` is the bootstrap interval of `recall`.
    The intervals come from `draws` draws of `groups` groups; `unit` says what a group is: "patients", "groups" or "images".
    `patients` is None if an image has no patient.
    """

    labels: tuple[str, ...]
    images: int
    negatives: int
    cells: Mapping[str, int]
    ignored: int
    patients: int | None
    predictions: int
    threshold: float
    iou: float
    overall: AveragePrecision
    of: Mapping[str, AveragePrecision]
    coco: Mapping[str, float | None]
    curves: Mapping[str, Curve]
    confusion: tuple[tuple[int, ...], ...]
    found: int
    findable: int
    recalls: Mapping[float, float | None]
    recall_interval: Interval | None
    unit: str
    groups: int
    draws: int
    seed: int

    @property
    def how_sure(self) -> str:
        """A line on what the intervals are over."""
        return how_sure(self.groups, self.unit, self.draws, self.seed)

    @property
    def recall(self) -> float | None:
        """Share of the cells that were found, in any class."""
        return self.found / self.findable if self.findable else None

    def to_json(self) -> dict[str, Any]:
        """The scores as plain dictionaries and lists."""
        return {
            "images": self.images,
            "negatives": self.negatives,
            "patients": self.patients,
            "cells": dict(self.cells),
            "ignored": self.ignored,
            "predictions": self.predictions,
            "threshold": self.threshold,
            "iou": self.iou,
            "mAP": self.overall._asdict(),
            "classes": {label: precision._asdict() for label, precision in self.of.items()},
            "coco": dict(self.coco),
            "found": self.found,
            "findable": self.findable,
            "recall": self.recall,
            "recall_interval": self.recall_interval,
            "recalls": {f"{lowest:g}": share for lowest, share in self.recalls.items()},
            "confusion": {
                "rows": [*self.labels, "spurious"],
                "columns": [*self.labels, "missed"],
                "cells": [list(row) for row in self.confusion],
            },
            "curves": {label: curve._asdict() for label, curve in self.curves.items()},
            "intervals": {
                "over": self.unit,
                "groups": self.groups,
                "draws": self.draws,
                "seed": self.seed,
            },
        }

    def __str__(self) -> str:
        whole = self.overall
        patients = f"{counted(self.patients, 'patient')}, " if self.patients else ""
        ignored = f", {self.ignored:,} ignored" if self.ignored else ""
        cells = sum(self.cells.values())
        ap, ap50 = _percent(whole.ap, whole.interval), _percent(whole.ap50, whole.interval50)
        share = f"{self.found:,} of {self.findable:,}, {_percent(self.recall, self.recall_interval)},"
        others = (f"{_percent(recall)} at {lowest:g}" for lowest, recall in self.recalls.items())
        lines = [
            f"{patients}{counted(self.images, 'image')} ({self.negatives:,} without cells), {counted(cells, 'cell')}{ignored}",
            f"mAP 50-95 {ap}, AP50 {ap50}, AP75 {_percent(whole.ap75)}",
            f"found, in any class: {share} at score {self.threshold:g}, IoU {self.iou:g}",
            f"found at other scores: {', '.join(others)}",
            self.how_sure,
            f"{'':16}{'cells':>8}{'AP':>8}{'AP50':>8}{'right':>8}{'missed':>8}",
        ]
        for row, label in enumerate(self.labels):
            of, counts = self.of[label], self.confusion[row]
            shares = f"{_percent(of.ap):>8}{_percent(of.ap50):>8}"
            lines.append(f"{label:16}{self.cells[label]:>8,}{shares}{counts[row]:>8,}{counts[-1]:>8,}")
        lines.append(f"{'spurious':16}{sum(self.confusion[-1]):>8,}")
        return "\n".join(lines)


def score(
    ds: Dataset,
    found: Mapping[ImageId, Detections],
    *,
    counted: Mapping[ImageId, Detections] | None = None,
    threshold: float = 0.5,
    iou: float = 0.5,
    other: str = matching.OTHER,
    draws: int = 1000,
    seed: int = 0,
) -> DetectionScores:
    """Compare a detector's predictions with the annotated cells.

    Ignored cells are never missed, and a prediction on one is not wrong. Images without cells count: every
    prediction there is wrong.

    Parameters
    ----------
    ds
        Images and cells of one task; the class ids in `found` follow the order of its taxonomy.
    found
        The detections of every image of `ds`, and of no other.
    counted
        The same detections with other scores, for the confusion matrix and the cells found: in two stages, a cell is found
        by the detector's score, however unsure its label is. By default `found`.
    threshold
        The lowest score that counts for the confusion matrix and the cells found, 0 to 1. Average precision
        uses all scores.
    iou
        The lowest intersection over union of a prediction and its cell, for the same two.
    other
        The class left out of the cells to find: the paper counts white blood cells ("691 of 701").
    draws
        Number of bootstrap draws of patients (or of what `groups.groups_of` has instead) for the intervals; 0 for no
        intervals.
    seed
        Seed of the draws.

    Raises
    ------
    InvalidDataset
        If an image lacks predictions, predictions lack an image, or predictions are malformed; lists them all.
    ValueError
        If `threshold` is not from 0 to 1, or `iou` not above 0 and at most 1.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image
    >>> image = Image(ImageId("a.png"), 200, 100)
    >>> ds = Dataset("demo", NINE, (image,), (Cell(image.id, 0, "Monocyte", Box(10, 10, 50, 50)),))
    >>> boxes = np.array([[10, 10, 50, 50], [100, 10, 140, 50]], np.float32)
    >>> found = {image.id: Detections(boxes, np.array([0.9, 0.8], np.float32), np.array([4, 5]))}
    >>> scores = score(ds, found)
    >>> scores.found, scores.findable, scores.overall.ap50
    (1, 1, 0.0)
    """
    if not (0 <= threshold <= 1 and 0 < iou <= 1):
        raise ValueError(
            f"threshold {threshold}, iou {iou}: out of range; give values from 0 to 1, iou above 0"
        )
    counted = found if counted is None else counted
    problems = [*_problems(ds, found), *(_problems(ds, counted) if counted is not found else ())]
    if problems:
        raise InvalidDataset(problems)
    averages = evaluate(ds, found)
    whose, unit = groups_of(ds, [image.id for image in ds.images])
    groups = len(set(whose))
    draws = draws if groups > 1 else 0
    drawn = bootstrap(ds, found, whose, draws, seed) if draws else None
    precisions = _precisions(averages, drawn)
    labels = ds.taxonomy.labels
    counts = Counter(cell.label for cell in ds.cells)
    findable = [row for row, label in enumerate(labels) if label != other]
    tables = {
        lowest: matching.by_group(ds, counted, whose, threshold=lowest, iou=iou)
        for lowest in {threshold, *RECALLS}
    }
    confusion = tables[threshold].sum(axis=0)
    found_at = {lowest: int(table[:, findable, :-1].sum()) for lowest, table in tables.items()}
    cells_to_find = int(confusion[findable].sum())
    recalls = {lowest: found_at[lowest] / cells_to_find if cells_to_find else None for lowest in RECALLS}
    return DetectionScores(
        labels=labels,
        images=len(ds.images),
        negatives=sum(all(cell.label == IGNORE for cell in ds.cells_of(image)) for image in ds.images),
        cells={label: counts[label] for label in labels},
        ignored=counts[IGNORE],
        patients=groups if groups and unit == "patients" else None,
        predictions=sum(len(each.scores) for each in found.values()),
        threshold=threshold,
        iou=iou,
        overall=precisions[-1],
        of=dict(zip(labels, precisions[:-1], strict=True)),
        coco=dict(zip(NAMES, map(_number, averages.twelve.tolist()), strict=True)),
        curves={
            label: Curve(*(tuple(curve.tolist()) for curve in averages.curves[:, row]))
            for row, label in enumerate(labels)
            if counts[label]
        },
        confusion=tuple(map(tuple, confusion.tolist())),
        found=found_at[threshold],
        findable=cells_to_find,
        recalls=recalls,
        recall_interval=interval(
            matching.recalls(times_drawn(groups, draws, seed), tables[threshold], findable)
        )
        if draws
        else None,
        unit=unit,
        groups=groups,
        draws=draws,
        seed=seed,
    )


def overall(ds: Dataset, found: Mapping[ImageId, Detections]) -> AveragePrecision:
    """The average precision of `score` over all classes, without intervals and counts."""
    ap, ap50, ap75 = evaluate(ds, found).twelve[:3].tolist()
    return AveragePrecision(_number(ap), _number(ap50), _number(ap75))


def _precisions(averages: Averages, drawn: Floats | None) -> list[AveragePrecision]:
    """The average precision of each class and, last, of all; with intervals from the draws, if there are any."""
    rows = [*averages.of.tolist(), averages.twelve[:3].tolist()]
    intervals: list[tuple[Interval | None, Interval | None]] = [(None, None)] * len(rows)
    if drawn is not None:
        intervals = [(interval(values[:, 0]), interval(values[:, 1])) for values in drawn.transpose(1, 0, 2)]
    return [
        AveragePrecision(_number(ap), _number(ap50), _number(ap75), *pair)
        for (ap, ap50, ap75), pair in zip(rows, intervals, strict=True)
    ]


def _problems(ds: Dataset, found: Mapping[ImageId, Detections]) -> Iterator[Problem]:
    """The problems of predictions that do not match the data set."""
    there = {image.id for image in ds.images}
    for image in sorted(there - found.keys()):
        yield Problem(f'image "{image}"', "has no predictions", "run the detector on every image")
    for name in sorted(found.keys() - there):
        yield Problem(
            f'predictions of image "{name}"',
            "the image is not in the data set",
            "give predictions of this part only",
        )
    classes = len(ds.taxonomy.labels)
    for image in sorted(there & found.keys()):
        boxes, scores, labels = found[image]
        where, fix = f'predictions of image "{image}"', "check the detector's output"
        if boxes.shape != (len(scores), 4) or scores.shape != (len(scores),) or labels.shape != scores.shape:
            what = f"boxes {boxes.shape}, scores {scores.shape} and labels {labels.shape} do not match"
            yield Problem(where, what, "give boxes (n, 4), scores (n,) and labels (n,)")
        elif not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
            yield Problem(where, "a box is not finite, or x2 < x1 or y2 < y1", fix)
        elif not ((scores >= 0) & (scores <= 1)).all():
            yield Problem(where, "a score is not from 0 to 1", fix)
        elif len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            fix = f"class ids are 0 to {classes - 1}, in the order {', '.join(ds.taxonomy.labels)}"
            yield Problem(where, f"has class ids {labels.min()} to {labels.max()}", fix)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _percent(value: float | None, within: Interval | None = None) -> str:
    if value is None:
        return "-"
    between = f" ({100 * within.low:.1f} to {100 * within.high:.1f})" if within else ""
    return f"{100 * value:.1f}{between}"
