"""The area under the receiver operating characteristic of each class against the rest, and its mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pcm_leukemia.baselines.metrics.bootstrap import Estimate, Resampling
from pcm_leukemia.baselines.metrics.confusions import Floats, ratio

__all__ = ["Auroc", "areas", "means", "score"]


@dataclass(frozen=True)
class Auroc:
    """How well the probability of a class separates its cells from the others: 1 always, 0.5 by chance.

    `of` has each class, NaN if it has no cells or all of them, and without an interval if one group has all of them; `macro` is the mean of the others. In a draw, it is the
    mean of the classes of that draw.
    """

    macro: Estimate
    of: Mapping[str, Estimate]

    def __str__(self) -> str:
        return f"AUROC {self.macro}, mean of each class against the rest"

    def to_json(self) -> dict[str, Any]:
        """The areas as plain values."""
        return {
            "macro": self.macro.to_json(),
            "classes": {label: each.to_json() for label, each in self.of.items()},
        }


def score(
    truths: npt.NDArray[np.int64], probabilities: Floats, labels: Sequence[str], resampling: Resampling
) -> Auroc:
    """The areas, and their intervals over groups.

    Parameters
    ----------
    truths
        The true class ids, ``(n,)``.
    probabilities
        The probability of each class, ``(n, k)``.
    labels
        The classes in the order of their ids, k of them.
    resampling
        The draws.

    Examples
    --------
    >>> from pcm_leukemia.baselines.metrics.bootstrap import resampling
    >>> chances = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    >>> score(np.array([0, 0, 1, 1]), chances, ("A", "B"), resampling(["P1"] * 4, 0, 0)).macro.value
    0.75
    """
    found = areas(truths, probabilities, resampling)
    # one patient's cells do not say how patients differ
    several = [len(np.unique(resampling.group[truths == number])) > 1 for number in range(len(labels))]
    of = {
        label: Estimate.of(column if there else column[:1])
        for label, column, there in zip(labels, found.T, several, strict=True)
    }
    return Auroc(Estimate.of(means(found)), of)


def areas(truths: npt.NDArray[np.int64], probabilities: Floats, resampling: Resampling) -> Floats:
    """The area of each class, of all cells and then of each draw, ``(1 + draws, k)``; the parameters are those of `score`.

    Examples
    --------
    >>> from pcm_leukemia.baselines.metrics.bootstrap import resampling
    >>> chances = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    >>> areas(np.array([0, 0, 1, 1]), chances, resampling(["P1"] * 4, 0, 0)).tolist()
    [[0.75, 0.75]]
    """
    columns = (
        np.concatenate(list(_areas(chance, truths == number, resampling)))
        for number, chance in enumerate(probabilities.T)
    )
    return np.stack(list(columns), axis=1)


def means(found: Floats) -> Floats:
    """The mean of the classes that have an area, ``(m,)``, from areas ``(m, k)``.

    Examples
    --------
    >>> means(np.array([[0.5, 1.0, np.nan]])).tolist()
    [0.75]
    """
    return ratio(np.nansum(found, axis=1), (~np.isnan(found)).sum(axis=1))


def _areas(chance: Floats, positive: npt.NDArray[np.bool_], resampling: Resampling) -> Iterator[Floats]:
    """The area of one class: of all cells, and of each draw; equal probabilities count half."""
    ours, others = np.flatnonzero(positive), np.flatnonzero(~positive)
    others = others[np.argsort(chance[others], kind="stable")]
    lower, not_higher = (np.searchsorted(chance[others], chance[ours], side) for side in ("left", "right"))
    for times in resampling.blocks():
        weights = times[resampling.group[ours]]
        below = np.zeros((len(others) + 1, times.shape[1]), np.int32)
        np.cumsum(times[resampling.group[others]], axis=0, out=below[1:])
        twice = np.einsum("ij,ij->j", weights, below[lower] + below[not_higher], dtype=np.float64)
        yield ratio(twice / 2, weights.sum(axis=0, dtype=np.float64) * below[-1])
