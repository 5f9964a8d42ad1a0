"""Scores from many confusion matrices at once: those of the groups (patients), of bootstrap draws, of several runs.

A stack of them is ``(m, k, k)``: in each, a row for each true class and a column for each predicted class. Scores of
two models are compared draw by draw if both stacks come from the same groups, draws and seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pcm_leukemia.baselines.metrics.bootstrap import numbered

__all__ = [
    "COUNTED",
    "Counted",
    "Counts",
    "Floats",
    "accuracies",
    "balanced_accuracies",
    "by_group",
    "drawn",
    "f1s",
    "macro_f1s",
    "ratio",
    "weighted_f1s",
]

Counted: TypeAlias = Literal["present", "union", "all"]
"""The classes that a macro F1 averages: those with cells in the truth; these and those that were predicted
(scikit-learn's default); or all, where a class that is neither counts 0."""
COUNTED: tuple[Counted, ...] = ("present", "union", "all")
Counts: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]


def by_group(true: Counts, guessed: Counts, groups: Sequence[str], classes: int) -> Counts:
    """The confusion matrix of each group, ``(groups, k, k)``, in the order of the groups' names.

    Parameters
    ----------
    true, guessed
        The class id of each cell, ``(n,)``.
    groups
        The group (patient) of each cell, n names.
    classes
        The number of classes, k.

    Examples
    --------
    >>> by_group(np.array([0, 0, 1]), np.array([0, 1, 1]), ["P2", "P1", "P1"], 2).tolist()
    [[[0, 1], [0, 1]], [[1, 0], [0, 0]]]
    """
    of, count = numbered(groups)
    cells = np.bincount((of * classes + true) * classes + guessed, minlength=count * classes**2)
    return cells.reshape(-1, classes, classes).astype(np.int64)


def drawn(tables: Counts, times: Counts) -> Counts:
    """The confusion matrix of each draw of whole groups, ``(draws, k, k)``.

    Parameters
    ----------
    tables
        The confusion matrix of each group, ``(groups, k, k)``, as from `by_group`.
    times
        How often each draw contains each group, ``(draws, groups)``, as in `bootstrap.Resampling`.

    Examples
    --------
    >>> drawn(np.array([[[1, 0], [0, 0]], [[0, 0], [0, 1]]]), np.array([[2, 0]])).tolist()
    [[[2, 0], [0, 0]]]
    """
    found: Counts = np.tensordot(times, tables, axes=1)
    return found


def accuracies(tables: npt.NDArray[Any]) -> Floats:
    """The share of correctly classified cells, ``(m,)``; NaN without cells.

    Examples
    --------
    >>> accuracies(np.array([[[3, 1], [0, 0]]])).tolist()
    [0.75]
    """
    return ratio(np.trace(tables, axis1=1, axis2=2), tables.sum(axis=(1, 2)))


def balanced_accuracies(tables: npt.NDArray[Any]) -> Floats:
    """The mean recall of the classes that have cells, ``(m,)``.

    Examples
    --------
    >>> balanced_accuracies(np.array([[[3, 1], [0, 4]]])).tolist()
    [0.875]
    """
    cells = tables.sum(axis=2)
    recalls = ratio(np.diagonal(tables, axis1=1, axis2=2), cells)
    return ratio(np.nansum(recalls, axis=1), (cells > 0).sum(axis=1))


def f1s(tables: npt.NDArray[Any]) -> Floats:
    """The F1 of each class, ``(m, k)``; NaN if the class has no cells and was never predicted.

    Examples
    --------
    >>> f1s(np.array([[[2, 0, 0], [2, 2, 0], [0, 0, 0]]])).round(3).tolist()
    [[0.667, 0.667, nan]]
    """
    right = np.diagonal(tables, axis1=1, axis2=2)
    return ratio(2 * right, tables.sum(axis=1) + tables.sum(axis=2))


def drawn_f1s(tables: Counts, drawn: Counts) -> Floats:
    """The F1 of each class in each draw, ``(draws, k)``, for intervals.

    NaN in draws without cells of the class, which say nothing about it, and in all draws if only one group has cells of
    the class: one patient's cells do not say how patients differ.

    Parameters
    ----------
    tables
        The confusion matrix of each group, ``(groups, k, k)``.
    drawn
        The confusion matrix of each draw, ``(draws, k, k)``.

    Examples
    --------
    >>> tables = np.array([[[2, 0], [0, 2]], [[3, 0], [0, 0]]])
    >>> drawn_f1s(tables, tables).tolist()
    [[1.0, nan], [1.0, nan]]
    """
    several = (tables.sum(axis=2) > 0).sum(axis=0) > 1
    return np.where(several & (drawn.sum(axis=2) > 0), f1s(drawn), np.nan)


def macro_f1s(tables: npt.NDArray[Any], count: Counted) -> Floats:
    """The mean F1 of the counted classes, ``(m,)``; NaN without cells. In each matrix, its own classes are counted.

    Examples
    --------
    >>> macro_f1s(np.array([[[3, 1], [0, 0]]]), "present").round(3).tolist()
    [0.857]
    """
    scores, there = np.nan_to_num(f1s(tables), nan=0.0), tables.sum(axis=2) > 0
    if count == "union":
        there = there | (tables.sum(axis=1) > 0)
    if count == "all":
        return np.where(there.any(axis=1), scores.mean(axis=1), np.nan)
    return ratio((scores * there).sum(axis=1), there.sum(axis=1))


def weighted_f1s(tables: npt.NDArray[Any]) -> Floats:
    """The mean F1 of the classes, each weighted by its cells, ``(m,)``.

    Examples
    --------
    >>> weighted_f1s(np.array([[[2, 0], [2, 2]]])).round(3).tolist()
    [0.667]
    """
    cells = tables.sum(axis=2)
    return ratio((np.nan_to_num(f1s(tables), nan=0.0) * cells).sum(axis=1), cells.sum(axis=1))


def ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Floats:
    """`part` divided by `whole`; 0/0 is NaN, without a warning.

    Examples
    --------
    >>> ratio(np.array([1, 0]), np.array([2, 0])).tolist()
    [0.5, nan]
    """
    out: Floats = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) != 0)
    return out
