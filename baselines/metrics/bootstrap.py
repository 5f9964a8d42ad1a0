"""Bootstrap intervals of a score: whole patients are drawn, with replacement.

The cells of one patient are alike, so drawing single cells would give intervals that are too narrow.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Estimate", "Interval", "interval", "percent", "plain", "times_drawn"]


class Interval(NamedTuple):
    """The range that contains 95 % of the draws: percentiles 2.5 to 97.5."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.low:.2f} to {100 * self.high:.2f}"


class Estimate(NamedTuple):
    """A score, 0 to 1, and its interval; None with fewer than two groups."""

    value: float
    interval: Interval | None

    def __str__(self) -> str:
        return percent(self.value) + (f" ({self.interval})" if self.interval else "")

    def to_json(self) -> dict[str, Any]:
        """The score as plain values; None for 0/0 and for a missing interval."""
        return {"value": plain(self.value), "interval": list(self.interval) if self.interval else None}


def percent(share: float) -> str:
    """A share in per cent, as it is printed.

    Examples
    --------
    >>> percent(0.5), percent(math.nan)
    ('50.00', '–')
    """
    return "–" if math.isnan(share) else f"{100 * share:.2f}"


def plain(share: float) -> float | None:
    """A share for JSON: None for NaN.

    Examples
    --------
    >>> plain(0.5), plain(math.nan)
    (0.5, None)
    """
    return None if math.isnan(share) else share


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
