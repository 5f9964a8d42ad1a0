"""Chooses frames: unsure ones, unlike those chosen before, with a share for each patient. It knows neither models nor files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

__all__ = ["STRATEGIES", "Pick", "Pool", "Strategy", "check", "choose", "share"]

Strategy: TypeAlias = Literal["mixed", "uncertainty", "random"]
"""How frames are chosen."""

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

Floats = npt.NDArray[np.float64]


class Pool(NamedTuple):
    """The frames to choose from, and what a model says of their cells.

    `patients` has the patient of each frame; a frame with None counts as a patient of its own. `frames` is the number of
    each cell's frame, ``(n,)``; a frame may have no cells. `probabilities` are ``(n, k)``, and `features` ``(n, width)``.
    """

    patients: Sequence[str | None]
    frames: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.floating]
    features: npt.NDArray[np.floating]


class Pick(NamedTuple):
    """A chosen frame.

    `uncertainty` and `novelty` are means over its cells. Uncertainty is one minus the margin between the two most probable
    classes, 0 to 1. Novelty is the distance to the nearest cell of the frames before: the root mean square of the differences
    of the features, each in its standard deviation over all cells; 1 for the first frame. `score` is what the frame was chosen
    by.
    """

    frame: int
    score: float
    uncertainty: float
    novelty: float


def choose(pool: Pool, budget: int, *, strategy: Strategy = "mixed", seed: int = 0) -> list[Pick]:
    """Choose frames to annotate, the most useful first.

    "mixed" takes the frame whose cells have the largest mean of uncertainty times novelty, again and again. "uncertainty" takes
    the frames with the largest mean uncertainty. Both leave a patient out while it has its `share`. "random" draws frames with
    equal probability, whatever their patients.

    Parameters
    ----------
    pool
        The frames.
    budget
        The number of frames; all are taken if there are fewer.
    strategy
        One of `STRATEGIES`.
    seed
        Decides between frames with equal scores, and what "random" draws.

    Raises
    ------
    ValueError
        If the budget is less than 1, or `strategy` has another value.

    Examples
    --------
    Frame 0 is unsure, and frame 1 is a copy of it; frame 2 shows something else:

    >>> odds = np.array([[0.5, 0.5], [0.5, 0.5], [0.6, 0.4]])
    >>> pool = Pool("ABC", np.arange(3), odds, np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    >>> {each.frame for each in choose(pool, 2)} in ({0, 2}, {1, 2})
    True
    >>> sorted(each.frame for each in choose(pool, 2, strategy="uncertainty"))
    [0, 1]
    """
    check(budget, strategy)
    return list(_picks(pool, budget, strategy, np.random.default_rng(seed)))


def check(budget: int, strategy: Strategy) -> None:
    """Refuse a budget below 1, and another way than those of `STRATEGIES`; raises ValueError."""
    if budget < 1:
        raise ValueError(f"budget {budget}: must be 1 or more frames")
    if strategy not in STRATEGIES:
        raise ValueError(f'strategy "{strategy}": must be {", ".join(STRATEGIES[:-1])} or {STRATEGIES[-1]}')


def share(patients: Sequence[str | None], budget: int) -> int:
    """The most frames that one patient may take: the smallest number with which the budget can be spent.

    Examples
    --------
    >>> share(["A", "A", "A", "A", "B", "C", "C"], 4)
    2
    """
    have = sorted(Counter(_owners(patients)).values())
    wanted, most = min(budget, len(patients)), 0
    while sum(min(count, most) for count in have) < wanted:
        most += 1
    return most


def _owners(patients: Sequence[str | None]) -> list[str | int]:
    return [number if patient is None else patient for number, patient in enumerate(patients)]


def _picks(pool: Pool, budget: int, strategy: Strategy, rng: np.random.Generator) -> Iterator[Pick]:
    owners, most = _owners(pool.patients), share(pool.patients, budget)
    unsure, cells = _uncertainty(pool.probabilities), _Cells(pool)
    order = rng.permutation(len(owners))
    ranks = np.empty(len(owners), int)
    ranks[order] = np.arange(len(owners))
    taken, open_ = Counter[str | int](), np.ones(len(owners), bool)
    uncertainty, nothing = cells.means(unsure), np.zeros(len(owners))
    for _ in range(min(budget, len(owners))):
        novelty = cells.means(cells.novelty)
        score = {"mixed": cells.means(unsure * cells.novelty), "uncertainty": uncertainty}.get(
            strategy, nothing
        )
        second = nothing if strategy == "random" else uncertainty
        places = np.flatnonzero(open_)
        keys = (
            ranks[places],
            -second[places].round(12),
            -score[places].round(12),
        )  # the last one counts most
        best = int(places[np.lexsort(keys)[0]])
        yield Pick(best, float(score[best]), float(uncertainty[best]), float(novelty[best]))
        open_[best] = False
        taken[owners[best]] += 1
        if strategy != "random" and taken[owners[best]] >= most:
            open_ &= np.array([owner != owners[best] for owner in owners])
        cells.take(best)


def _uncertainty(probabilities: npt.NDArray[np.floating]) -> Floats:
    """One minus the margin of each cell's two most probable classes."""
    if probabilities.shape[1] < 2:
        return np.asarray(1 - probabilities.max(axis=1, initial=0), np.float64)
    two = np.partition(probabilities.astype(np.float64), -2, axis=1)[:, -2:]
    return np.asarray(1 - (two[:, 1] - two[:, 0]), np.float64)


class _Cells:
    """The cells of a pool, and how far each is from all cells of the frames that were taken."""

    def __init__(self, pool: Pool) -> None:
        self._frames, self._count = pool.frames, len(pool.patients)
        features = pool.features.astype(np.float64)
        if len(features):
            features = (features - features.mean(axis=0)) / features.std(axis=0).clip(1e-6)
        self._features = features / math.sqrt(max(features.shape[1], 1))
        self._squares = (self._features**2).sum(axis=1)
        self._sizes = np.bincount(self._frames, minlength=self._count).clip(1)
        self._first = True
        self.novelty: Floats = np.ones(len(features))

    def means(self, values: Floats) -> Floats:
        """The mean of each frame's cells; 0 without cells."""
        return np.asarray(np.bincount(self._frames, values, self._count) / self._sizes)

    def take(self, frame: int) -> None:
        """Measure the distance to the cells of one more frame."""
        those = self._features[self._frames == frame]
        if len(those):
            squares = self._squares[:, None] + (those**2).sum(axis=1) - 2 * self._features @ those.T
            nearest = np.sqrt(squares.min(axis=1).clip(0))
            self.novelty = nearest if self._first else np.minimum(self.novelty, nearest)
            self._first = False
