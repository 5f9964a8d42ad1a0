"""Bootstrap intervals of a score: whole patients are drawn, with replacement.

The cells of one patient are alike, so drawing single cells would give intervals that are too narrow.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "interval", "times_drawn"]


class Interval(NamedTuple):
    """The range that contains 95 % of the draws: percentiles 2.5 to 97.5."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.low:.2f} to {100 * self.high:.2f}"


def times_drawn(groups: int, draws: int, seed: int) -> npt.NDArray[np.int64]:
    """How often each draw contains each group, ``(draws, groups)``; a draw takes as many groups as exist.

    Examples
    --------
    >>> times_drawn(3, 2, seed=0).sum(axis=1).tolist()
    [3, 3]
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), draws)


def interval(values: npt.NDArray[np.floating[Any]]) -> Interval | None:
    """The interval of a score over all draws, NaN left out; None if every draw is NaN.

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
