"""Scores of a classifier: accuracy, macro F1, scores by class, the confusion matrix, and their intervals.

The cells of one patient are alike, so resampling cells would give intervals that are too narrow: they come from
drawing whole patients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pcm_leukemia.baselines.metrics.bootstrap import Interval, interval, times_drawn
from pcm_leukemia.dataset import Dataset

__all__ = [
    "ClassScore",
    "ClassificationScores",
    "Counted",
    "Estimate",
    "Interval",
    "accuracy",
    "groups_of",
    "macro_f1",
    "score",
]

Counted: TypeAlias = Literal["present", "union", "all"]
"""The classes that a macro F1 averages: those with cells in the truth; these and those that were predicted
(scikit-learn's default); or all, where a class that is neither counts 0."""
COUNTED: tuple[Counted, ...] = ("present", "union", "all")
Counts: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A score, 0 to 1, and its interval; None with fewer than two groups."""

    value: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class against the others, 0 to 1; NaN for 0/0.

    Precision is NaN if the class was never predicted, recall if the class has no cells, F1 if both hold.
    `f1_interval` is None with fewer than two groups, or if no draw contains the class.
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
    have cells, `weighted_f1` the mean F1 weighted by their cells. The intervals come from `draws` draws of `groups`
    groups; `unit` says what a group is: "patients", "images" or "cells". They are None with fewer than two groups.
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
            f"{self.cells:,} cells of {self.groups:,} {self.unit}",
            f"accuracy {_percent(self.accuracy)}{_between(self.accuracy_interval)}",
            f"balanced accuracy {_estimate(self.balanced_accuracy)}",
            *self._macro_lines(),
            f"weighted F1 {_estimate(self.weighted_f1)}",
            self._how_sure(),
            f"{'':{width}}  precision  recall      F1   cells",
        ]
        for row in self.classes:
            numbers = f"{_percent(row.precision):>9}{_percent(row.recall):>8}{_percent(row.f1):>8}"
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
        skipped = {counted for counted, is_next in same if is_next}
        for counted in COUNTED:
            if counted not in skipped:
                yield f"macro F1 {_estimate(self.macro_f1s[counted])}, over {which[counted]}"

    def _how_sure(self) -> str:
        if self.accuracy_interval is None:
            return f"no intervals: they need at least two {self.unit}"
        more = (
            "" if self.unit == "patients" else "; without patient ids, they are narrower than they should be"
        )
        return f"95 % intervals: {self.draws:,} draws of {self.unit}, seed {self.seed}{more}"

    def to_json(self) -> dict[str, Any]:
        """The scores as plain values; None for 0/0 and for a missing interval."""
        return {
            "cells": self.cells,
            "accuracy": _plain(self.accuracy),
            "accuracy_interval": _pair(self.accuracy_interval),
            "macro_f1": _plain(self.macro_f1),
            "macro_f1_interval": _pair(self.macro_f1_interval),
            "macro_f1_over": list(self.counted),
            "macro_f1s": {counted: _plain_estimate(each) for counted, each in self.macro_f1s.items()},
            "balanced_accuracy": _plain_estimate(self.balanced_accuracy),
            "weighted_f1": _plain_estimate(self.weighted_f1),
            "classes": {
                row.label: {
                    "precision": _plain(row.precision),
                    "recall": _plain(row.recall),
                    "f1": _plain(row.f1),
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
        The group (patient) of each cell, n names, as from `groups_of`; None to draw cells.
    unit
        What a group is, printed with the intervals: "patients" or "images".
    count
        The classes that `macro_f1` averages (see `Counted`; within a draw, the classes of that draw).
    draws
        Number of bootstrap draws; 0 for no intervals.
    seed
        Seed of the draws.

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
    guessed = chance.argmax(axis=1) if len(chance) else np.zeros(0, np.int64)
    names = [str(number) for number in range(len(true))] if groups is None else list(groups)
    tables = _tables(true.astype(np.int64), guessed, names, classes)
    confusion = tables.sum(axis=0)
    drawn = _drawn(tables, draws, seed)
    # a class that a draw has no cells of says nothing about itself there
    f1s = np.where(drawn.sum(axis=2) > 0, _f1s(drawn), np.nan)
    support = confusion.sum(axis=1)
    macro_f1s = {
        each: Estimate(macro_f1(confusion, each), interval(_macro_f1s(drawn, each))) for each in COUNTED
    }
    counts = {"present": support > 0, "union": (support > 0) | (confusion.sum(axis=0) > 0)}
    counted = counts.get(count, np.ones(classes, bool))
    return ClassificationScores(
        labels=tuple(labels),
        confusion=confusion,
        accuracy=accuracy(confusion),
        accuracy_interval=interval(_accuracies(drawn)),
        macro_f1=macro_f1s[count].value,
        macro_f1_interval=macro_f1s[count].interval,
        counted=tuple(label for label, counts in zip(labels, counted, strict=True) if counts),
        macro_f1s=macro_f1s,
        balanced_accuracy=_estimated(_balanced, confusion, drawn),
        weighted_f1=_estimated(_weighted_f1s, confusion, drawn),
        classes=tuple(
            ClassScore(label, precision, recall, f1, int(cells), interval(f1_draws))
            for label, (precision, recall, f1), cells, f1_draws in zip(
                labels, _of_classes(confusion).T.tolist(), support, f1s.T, strict=True
            )
        ),
        unit="cells" if groups is None else unit,
        groups=len(tables),
        draws=draws,
        seed=seed,
    )


def groups_of(ds: Dataset, images: Iterable[str]) -> tuple[list[str], str]:
    """The group of each cell, given its image's id: its "patients", or "images" if an image has no patient.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image, Patient
    >>> rows = (Image("a.png", 9, 9, patient="P1"), Image("b.png", 9, 9, patient="P1"))
    >>> groups_of(Dataset("demo", NINE, rows, patients=(Patient("P1"),)), ["b.png", "a.png", "a.png"])
    (['P1', 'P1', 'P1'], 'patients')
    """
    wanted = list(images)
    patients = [ds.image(image).patient for image in wanted]
    known = [str(patient) for patient in patients if patient is not None]
    return (known, "patients") if len(known) == len(wanted) else (wanted, "images")


def accuracy(confusion: npt.NDArray[Any]) -> float:
    """The share of correctly classified cells in a confusion matrix ``(k, k)``; NaN without cells.

    Examples
    --------
    >>> accuracy(np.array([[3, 1], [0, 0]]))
    0.75
    """
    return float(_accuracies(confusion[None])[0])


def macro_f1(confusion: npt.NDArray[Any], count: Counted = "present") -> float:
    """The mean F1 of the counted classes, from a confusion matrix ``(k, k)``; NaN without cells.

    Examples
    --------
    >>> confusion = np.array([[3, 1], [0, 0]])
    >>> round(macro_f1(confusion), 3), round(macro_f1(confusion, "all"), 3)
    (0.857, 0.429)
    """
    return float(_macro_f1s(confusion[None], count)[0])


# ----------------------------------------------------------------------------------------------
# Many confusion matrices at once, ``(m, k, k)``


def _accuracies(tables: npt.NDArray[Any]) -> Floats:
    return _ratio(np.trace(tables, axis1=1, axis2=2), tables.sum(axis=(1, 2)))


def _f1s(tables: npt.NDArray[Any]) -> Floats:
    """The F1 of each class, ``(m, k)``."""
    right = np.diagonal(tables, axis1=1, axis2=2)
    return _ratio(2 * right, tables.sum(axis=1) + tables.sum(axis=2))


def _macro_f1s(tables: npt.NDArray[Any], count: Counted) -> Floats:
    f1s, there = np.nan_to_num(_f1s(tables), nan=0.0), tables.sum(axis=2) > 0
    if count == "union":
        there = there | (tables.sum(axis=1) > 0)
    if count == "all":
        return np.where(there.any(axis=1), f1s.mean(axis=1), np.nan)
    return _ratio((f1s * there).sum(axis=1), there.sum(axis=1))


def _balanced(tables: npt.NDArray[Any]) -> Floats:
    """The mean recall of the classes that have cells."""
    cells = tables.sum(axis=2)
    recalls = _ratio(np.diagonal(tables, axis1=1, axis2=2), cells)
    return _ratio(np.nansum(recalls, axis=1), (cells > 0).sum(axis=1))


def _weighted_f1s(tables: npt.NDArray[Any]) -> Floats:
    """The mean F1 of the classes, each weighted by its cells."""
    cells = tables.sum(axis=2)
    return _ratio((np.nan_to_num(_f1s(tables), nan=0.0) * cells).sum(axis=1), cells.sum(axis=1))


def _estimated(measure: Callable[[npt.NDArray[Any]], Floats], confusion: Counts, drawn: Counts) -> Estimate:
    return Estimate(float(measure(confusion[None])[0]), interval(measure(drawn)))


def _of_classes(confusion: Counts) -> Floats:
    """Precision, recall and F1 of each class, ``(3, k)``."""
    right = np.diagonal(confusion)
    precision, recall = (_ratio(right, confusion.sum(axis=axis)) for axis in (0, 1))
    return np.stack([precision, recall, _f1s(confusion[None])[0]])


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Floats:
    """`part` divided by `whole`; 0/0 is NaN, without a warning."""
    out: Floats = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) != 0)
    return out


def _tables(true: Counts, guessed: Counts, groups: Sequence[str], classes: int) -> Counts:
    """The confusion matrix of each group, ``(groups, k, k)``, in the order of their names."""
    numbers = {name: number for number, name in enumerate(sorted(set(groups)))}
    of = np.array([numbers[name] for name in groups], np.int64)
    cells = np.bincount((of * classes + true) * classes + guessed, minlength=len(numbers) * classes**2)
    return cells.reshape(-1, classes, classes).astype(np.int64)


def _drawn(tables: Counts, draws: int, seed: int) -> Counts:
    """The confusion matrix of each draw of whole groups, with replacement; none with fewer than two groups."""
    groups, classes = tables.shape[:2]
    if groups < 2 or not draws:
        return np.zeros((0, classes, classes), np.int64)
    return (times_drawn(groups, draws, seed) @ tables.reshape(groups, -1)).reshape(draws, classes, classes)


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


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.2f}"


def _estimate(estimate: Estimate) -> str:
    return f"{_percent(estimate.value)}{_between(estimate.interval)}"


def _plain_estimate(estimate: Estimate) -> dict[str, Any]:
    return {"value": _plain(estimate.value), "interval": _pair(estimate.interval)}


def _between(interval: Interval | None, before: str = " ") -> str:
    return f"{before}({interval})" if interval else ""


def _plain(share: float) -> float | None:
    return None if math.isnan(share) else share


def _pair(interval: Interval | None) -> list[float] | None:
    return list(interval) if interval else None
