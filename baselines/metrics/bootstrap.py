"""How far a score would vary with other patients: whole patients are drawn, with replacement.

The cells of one patient are alike, so drawing single cells would give intervals that are too narrow.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "interval", "times_drawn"]


class Interval(NamedTuple):
    """The range that holds 95 % of the draws: their percentiles 2.5 and 97.5."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.low:.2f} to {100 * self.high:.2f}"


def times_drawn(groups: int, draws: int, seed: int) -> npt.NDArray[np.int64]:
    """How often each group is in each draw of as many groups as there are, ``(draws, groups)``.

    Examples
    --------
    >>> times_drawn(3, 2, seed=0).sum(axis=1).tolist()
    [3, 3]
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), draws)


def interval(values: npt.NDArray[np.floating[Any]]) -> Interval | None:
    """The interval of a score over all draws; None if it is NaN in every one.

    Examples
    --------
    >>> interval(np.linspace(0, 100, 41))
    Interval(low=2.5, high=97.5)
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    low, high = np.percentile(known, (2.5, 97.5)).tolist()
    return Interval(low, high)
