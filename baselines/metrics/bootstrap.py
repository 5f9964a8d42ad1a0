"""Bootstrap intervals of a score: whole patients are drawn, with replacement.

The cells of one patient are alike, so drawing single cells would give intervals that are too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "ROUNDING",
    "Estimate",
    "Interval",
    "Resampling",
    "interval",
    "numbered",
    "percent",
    "plain",
    "resampling",
    "times_drawn",
]


ROUNDING = 1e-12
"""Scores that differ by less are equal."""


class Interval(NamedTuple):
    """The range that contains 95 % of the draws: percentiles 2.5 to 97.5."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.low:.2f} to {100 * self.high:.2f}"


class Estimate(NamedTuple):
    """A score, 0 to 1, and its interval; None with fewer than two groups, or if all draws are equal."""

    value: float
    interval: Interval | None

    @classmethod
    def of(cls, values: npt.NDArray[np.floating[Any]]) -> Estimate:
        """The estimate from the score of all cells, followed by that of each draw."""
        return cls(float(values[0]), interval(values[1:]))

    def __str__(self) -> str:
        return percent(self.value) + (f" ({self.interval})" if self.interval else "")

    def to_json(self) -> dict[str, Any]:
        """The score as plain values; None for 0/0 and for a missing interval."""
        return {"value": plain(self.value), "interval": list(self.interval) if self.interval else None}


class Resampling(NamedTuple):
    """Draws of whole groups of cells.

    `group` is the number of each cell's group, ``(n,)``; `times` how often each draw contains each group,
    ``(draws, groups)``.
    """

    group: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]

    def blocks(self, most: int = 8_000_000) -> Iterator[npt.NDArray[np.int32]]:
        """How often each group counts, ``(groups, m)``: once in the first column of all, then as in each draw.

        A block has so few columns, m, that a number for each cell and column is at most `most` numbers.
        """
        once = np.ones((1, self.times.shape[1]), np.int32)
        columns = np.concatenate([once, self.times.astype(np.int32)]).T
        width = max(1, most // max(len(self.group), 1))
        for start in range(0, columns.shape[1], width):
            yield np.ascontiguousarray(columns[:, start : start + width])


def numbered(groups: Sequence[str]) -> tuple[npt.NDArray[np.int64], int]:
    """The number of each cell's group, in the order of the groups' names, and how many groups there are.

    Examples
    --------
    >>> numbers, groups = numbered(["P2", "P1", "P2"])
    >>> numbers.tolist(), groups
    ([1, 0, 1], 2)
    """
    numbers = {name: number for number, name in enumerate(sorted(set(groups)))}
    return np.array([numbers[name] for name in groups], np.int64), len(numbers)


def resampling(groups: Sequence[str], draws: int, seed: int) -> Resampling:
    """Draw groups with replacement, given the group of each cell; with fewer than two groups there is no draw.

    Examples
    --------
    >>> resampling(["P1", "P1"], 1000, seed=0).times.shape
    (0, 1)
    """
    numbers, count = numbered(groups)
    times = times_drawn(count, draws, seed) if count > 1 else np.zeros((0, count), np.int64)
    return Resampling(numbers, times)


def percent(share: float | None) -> str:
    """A share in per cent, as it is printed; a dash for None and NaN.

    Examples
    --------
    >>> percent(0.5), percent(math.nan)
    ('50.00', '–')
    """
    return "–" if share is None or math.isnan(share) else f"{100 * share:.2f}"


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
    """The interval of a score over all draws, NaN left out; None if every draw is NaN, or the interval has no width.

    If all cells are right, or all are wrong, every draw has the same score. An interval without width would claim that
    the score is certain, but the draws cannot say how sure it is.

    Examples
    --------
    >>> interval(np.linspace(0, 100, 41))
    Interval(low=2.5, high=97.5)
    >>> interval(np.ones(41)) is None
    True
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    low, high = np.percentile(known, (2.5, 97.5)).tolist()
    return Interval(low, high) if high - low > ROUNDING else None
