"""Scores of a classifier: accuracy, macro F1, scores by class, the confusion matrix, and their intervals.

The cells of one patient are alike, so resampling cells would give intervals that are too narrow: they come from
drawing whole patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pcm_leukemia import errors
from pcm_leukemia.baselines.metrics import auroc, blasts, calibration, confusions, coverage
from pcm_leukemia.baselines.metrics.auroc import Auroc
from pcm_leukemia.baselines.metrics.blasts import BlastErrors
from pcm_leukemia.baselines.metrics.bootstrap import Estimate, Interval, interval, percent, plain, resampling
from pcm_leukemia.baselines.metrics.calibration import Calibration
from pcm_leukemia.baselines.metrics.confusions import COUNTED, Counted, Counts, Floats
from pcm_leukemia.baselines.metrics.coverage import Selective
from pcm_leukemia.baselines.metrics.groups import how_sure

__all__ = [
    "MACRO_F1S",
    "ClassScore",
    "ClassificationScores",
    "Counted",
    "Estimate",
    "Interval",
    "accuracy",
    "macro_f1",
    "score",
]

MACRO_F1S: Mapping[Counted, str] = {
    "present": "macro F1",
    "union": "macro F1 (union)",
    "all": "macro F1 (all)",
}
"""The names of the macro F1 in tables, by the classes that it averages."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class against the others, 0 to 1; NaN for 0/0.

    Precision is NaN if the class was never predicted, recall if the class has no cells, F1 if both hold.
    `f1_interval` is None if fewer than two groups have cells of the class.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    f1_interval: Interval | None


@dataclass(frozen=True)
class ClassificationScores:
    """The scores that `score` computes; prints as a table.

    `confusion` counts cells, ``(k, k)``: a row for each true class, a column for each predicted class, in the
    order of `labels`. `macro_f1` averages the F1 of the classes in `counted`, and `macro_f1s` has it over each choice of
    classes (see `Counted`): papers rarely say which they take. `balanced_accuracy` is the mean recall of the classes that
    have cells, `weighted_f1` the mean F1 weighted by their cells. `blasts` is None if the classes do not include both blasts
    and normal cells. The intervals come from `draws` draws of `groups`
    groups; `unit` says what a group is: "patients", "groups", "images" or "cells". They are None with fewer than
    two groups, and where all draws are equal.
    """

    labels: tuple[str, ...]
    confusion: Counts
    accuracy: float
    accuracy_interval: Interval | None
    macro_f1: float
    macro_f1_interval: Interval | None
    counted: tuple[str, ...]
    macro_f1s: Mapping[Counted, Estimate]
    balanced_accuracy: Estimate
    weighted_f1: Estimate
    auroc: Auroc
    blasts: BlastErrors | None
    calibration: Calibration
    selective: Selective
    classes: tuple[ClassScore, ...]
    unit: str
    groups: int
    draws: int
    seed: int

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.confusion.sum())

    def __str__(self) -> str:
        width = max(len(label) for label in self.labels)
        lines = [
            f"{errors.counted(self.cells, 'cell')} of {errors.counted(self.groups, self.unit.removesuffix('s'))}",
            f"accuracy {percent(self.accuracy)}{_between(self.accuracy_interval)}",
            f"balanced accuracy {self.balanced_accuracy}",
            *self._macro_lines(),
            f"weighted F1 {self.weighted_f1}",
            str(self.auroc),
            *(self.blasts.lines() if self.blasts else ()),
            *self.calibration.lines(),
            *self.selective.lines(),
            self.how_sure,
            f"{'':{width}}  precision  recall      F1   AUROC   cells",
        ]
        for row in self.classes:
            area = self.auroc.of[row.label].value
            shares = f"{percent(row.recall):>8}{percent(row.f1):>8}{percent(area):>8}"
            numbers = f"{percent(row.precision):>9}{shares}"
            lines.append(
                f"{row.label:{width}}  {numbers}{row.support:8,}{_between(row.f1_interval, ', F1 ')}"
            )
        return "\n".join(lines)

    def _macro_lines(self) -> Iterator[str]:
        """A line for each choice of classes that makes a difference."""
        present = self.confusion.sum(axis=1) > 0
        union = present | (self.confusion.sum(axis=0) > 0)
        left = [label for label, there in zip(self.labels, present, strict=True) if not there]
        which: dict[Counted, str] = {
            "present": f"the {present.sum()} classes that have cells (not {', '.join(left)})",
            "union": f"the {union.sum()} classes that have cells or were predicted, as in scikit-learn",
            "all": f"all {len(self.labels)} classes",
        }
        same = (("present", union.sum() == present.sum()), ("union", union.all()))
        skipped = {choice for choice, is_next in same if is_next}
        for choice in COUNTED:
            if choice not in skipped:
                yield f"macro F1 {self.macro_f1s[choice]}, over {which[choice]}"

    @property
    def how_sure(self) -> str:
        """A line on what the intervals are over."""
        return how_sure(self.groups, self.unit, self.draws, self.seed)

    def in_tables(self) -> dict[str, Estimate]:
        """The scores of the paper's Tables 6 and 7 by name, with the macro F1 over each choice of classes."""
        averages = {MACRO_F1S[counted]: each for counted, each in self.macro_f1s.items()}
        return {"accuracy": Estimate(self.accuracy, self.accuracy_interval), **averages}

    def to_json(self) -> dict[str, Any]:
        """The scores as plain values; None for 0/0 and for a missing interval."""
        return {
            "cells": self.cells,
            "accuracy": plain(self.accuracy),
            "accuracy_interval": _pair(self.accuracy_interval),
            "macro_f1": plain(self.macro_f1),
            "macro_f1_interval": _pair(self.macro_f1_interval),
            "macro_f1_over": list(self.counted),
            "macro_f1s": {counted: each.to_json() for counted, each in self.macro_f1s.items()},
            "balanced_accuracy": self.balanced_accuracy.to_json(),
            "weighted_f1": self.weighted_f1.to_json(),
            "auroc": self.auroc.to_json(),
            "blasts": self.blasts and self.blasts.to_json(),
            "calibration": self.calibration.to_json(),
            "selective": self.selective.to_json(),
            "classes": {
                row.label: {
                    "precision": plain(row.precision),
                    "recall": plain(row.recall),
                    "f1": plain(row.f1),
                    "f1_interval": _pair(row.f1_interval),
                    "cells": row.support,
                }
                for row in self.classes
            },
            "confusion": {"labels": list(self.labels), "rows_true_columns_guessed": self.confusion.tolist()},
            "intervals": {
                "over": self.unit,
                "groups": self.groups,
                "draws": self.draws,
                "seed": self.seed,
            },
        }


def score(
    truths: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    labels: Sequence[str],
    groups: Sequence[str] | None = None,
    *,
    unit: str = "patients",
    count: Counted = "present",
    draws: int = 1000,
    seed: int = 0,
    temperature: float | None = None,
) -> ClassificationScores:
    """Score a classifier; the most probable class of a cell is its prediction, the first of equal ones.

    Parameters
    ----------
    truths
        The true class ids, ``(n,)``.
    probabilities
        The probability of each class, ``(n, k)``.
    labels
        The classes in the order of their ids, k of them.
    groups
        The group (patient) of each cell, n names, as from `groups.groups_of`; None to draw cells.
    unit
        What a group is, printed with the intervals: "patients", "groups" or "images".
    count
        The classes that `macro_f1` averages (see `Counted`; within a draw, the classes of that draw).
    draws
        Number of bootstrap draws; 0 for no intervals.
    seed
        Seed of the draws.
    temperature
        The temperature that was fitted on validation, for a second calibration error.

    Raises
    ------
    ValueError
        If shapes do not match, a class id is unknown, or a probability is not a number.

    Examples
    --------
    >>> sure = np.eye(3)[[0, 0, 1, 2]]
    >>> found = score([0, 0, 1, 1], sure, ("A", "B", "C"), ["p1", "p2", "p1", "p2"])
    >>> found.accuracy, round(found.macro_f1, 3), found.counted
    (0.75, 0.833, ('A', 'B'))
    """
    true, chance = np.asarray(truths), np.asarray(probabilities, np.float64)
    classes = len(labels)
    _check(true, chance, classes, groups)
    true = true.astype(np.int64)
    guessed = chance.argmax(axis=1) if len(chance) else np.zeros(0, np.int64)
    names = [str(number) for number in range(len(true))] if groups is None else list(groups)
    tables = confusions.by_group(true, guessed, names, classes)
    confusion = tables.sum(axis=0)
    sampled = resampling(names, draws, seed)
    drawn = confusions.drawn(tables, sampled.times)
    macro_f1s = {
        each: Estimate(macro_f1(confusion, each), interval(confusions.macro_f1s(drawn, each)))
        for each in COUNTED
    }
    present = confusion.sum(axis=1) > 0
    counts = {"present": present, "union": present | (confusion.sum(axis=0) > 0)}
    counted = counts.get(count, np.ones(classes, bool))
    return ClassificationScores(
        labels=tuple(labels),
        confusion=confusion,
        accuracy=accuracy(confusion),
        accuracy_interval=interval(confusions.accuracies(drawn)),
        macro_f1=macro_f1s[count].value,
        macro_f1_interval=macro_f1s[count].interval,
        counted=tuple(label for label, counts in zip(labels, counted, strict=True) if counts),
        macro_f1s=macro_f1s,
        balanced_accuracy=_estimated(confusions.balanced_accuracies, confusion, drawn),
        weighted_f1=_estimated(confusions.weighted_f1s, confusion, drawn),
        auroc=auroc.score(true, chance, labels, sampled),
        blasts=blasts.score(confusion, drawn, labels),
        calibration=calibration.score(true, chance, sampled, temperature),
        selective=coverage.score(true, chance, sampled),
        classes=tuple(_of_classes(tables, drawn, labels)),
        unit="cells" if groups is None else unit,
        groups=len(tables),
        draws=draws,
        seed=seed,
    )


def accuracy(confusion: npt.NDArray[Any]) -> float:
    """The share of correctly classified cells in a confusion matrix ``(k, k)``; NaN without cells.

    Examples
    --------
    >>> accuracy(np.array([[3, 1], [0, 0]]))
    0.75
    """
    return float(confusions.accuracies(confusion[None])[0])


def macro_f1(confusion: npt.NDArray[Any], count: Counted = "present") -> float:
    """The mean F1 of the counted classes, from a confusion matrix ``(k, k)``; NaN without cells.

    Examples
    --------
    >>> confusion = np.array([[3, 1], [0, 0]])
    >>> round(macro_f1(confusion), 3), round(macro_f1(confusion, "all"), 3)
    (0.857, 0.429)
    """
    return float(confusions.macro_f1s(confusion[None], count)[0])


def _estimated(measure: Callable[[npt.NDArray[Any]], Floats], confusion: Counts, drawn: Counts) -> Estimate:
    return Estimate(float(measure(confusion[None])[0]), interval(measure(drawn)))


def _of_classes(tables: Counts, drawn: Counts, labels: Sequence[str]) -> Iterator[ClassScore]:
    """The scores of each class, from the confusion matrix of each group and of each draw."""
    confusion = tables.sum(axis=0)
    right, cells = np.diagonal(confusion), confusion.sum(axis=1)
    precisions, recalls = (confusions.ratio(right, confusion.sum(axis=axis)).tolist() for axis in (0, 1))
    f1s = confusions.f1s(confusion[None])[0].tolist()
    drawn_f1s = confusions.drawn_f1s(tables, drawn)
    for row, label in enumerate(labels):
        between = interval(drawn_f1s[:, row])
        yield ClassScore(label, precisions[row], recalls[row], f1s[row], int(cells[row]), between)


def _check(true: npt.NDArray[Any], chance: Floats, classes: int, groups: Sequence[str] | None) -> None:
    if true.ndim != 1 or chance.shape != (len(true), classes):
        raise ValueError(
            f"scores: {true.shape} truths, {chance.shape} probabilities and {classes} labels do not match; "
            "give (n,), (n, k) and k"
        )
    if groups is not None and len(groups) != len(true):
        raise ValueError(f"scores: {len(groups)} groups for {len(true)} cells; give one for each cell")
    if len(true) and not (np.issubdtype(true.dtype, np.integer) and 0 <= true.min() <= true.max() < classes):
        raise ValueError(
            f"scores: the truths are not all class ids; give whole numbers from 0 to {classes - 1}"
        )
    if np.isnan(chance).any():
        raise ValueError("scores: a probability is not a number; check the model's weights")


def _between(interval: Interval | None, before: str = " ") -> str:
    return f"{before}({interval})" if interval else ""


def _pair(interval: Interval | None) -> list[float] | None:
    return list(interval) if interval else None
