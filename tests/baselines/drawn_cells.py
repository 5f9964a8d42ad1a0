"""Cells with probabilities, drawn for the tests of scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from pcm_leukemia.baselines.metrics.bootstrap import Resampling, resampling


class Drawn(NamedTuple):
    """Cells of some patients; with `ties`, many probabilities are equal."""

    truths: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    patients: list[str]

    def resampling(self, draws: int = 0, seed: int = 0) -> Resampling:
        return resampling(self.patients, draws, seed)

    def taken(self, cells: npt.NDArray[np.int64]) -> Drawn:
        return Drawn(self.truths[cells], self.probabilities[cells], [self.patients[cell] for cell in cells])

    def draws(self, draws: int, seed: int) -> list[Drawn]:
        """The cells of each draw of patients, those of a patient as often as the patient was drawn."""
        names = sorted(set(self.patients))
        rng = np.random.default_rng(seed)
        times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), draws)
        of = np.array([names.index(name) for name in self.patients])
        return [self.taken(np.repeat(np.arange(len(of)), row[of])) for row in times]


def cells(seed: int, count: int = 60, classes: int = 4, patients: int = 7, *, ties: bool = False) -> Drawn:
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes))
    logits[np.arange(count), truths] += 1
    chances = softmax(2 * logits, axis=1)
    if ties:
        chances = np.round(chances, 1)
    return Drawn(truths, chances, [f"P{number}" for number in rng.integers(0, patients, count)])
