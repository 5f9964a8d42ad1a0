"""Whether a classifier is right as often as it is confident, and the temperature that makes it so.

The confidence of a prediction is the probability of the predicted class. Definitions and temperature scaling: Guo et
al., On Calibration of Modern Neural Networks, ICML 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from pcm_leukemia.baselines.metrics.bootstrap import Estimate, Resampling, plain
from pcm_leukemia.baselines.metrics.confusions import Floats, ratio

__all__ = ["BINS", "Bin", "Calibration", "errors", "fitted_temperature", "scaled", "score"]

BINS = 15
"""Bins of equal width, 0 to 1, as in the paper above."""

EDGES = np.linspace(0, 1, BINS + 1)
"""Where the bins begin and end."""

TEMPERATURES = (0.05, 20.0)
"""The temperatures that are tried. If every validation cell is right, the best one would be 0."""


class Bin(NamedTuple):
    """Predictions whose confidence is above `low` and at most `high`: the mean confidence, and the share that is right.

    Both are NaN without cells.
    """

    low: float
    high: float
    cells: int
    confidence: float
    accuracy: float

    def to_json(self) -> dict[str, Any]:
        """The bin as plain values; None for NaN."""
        return {**self._asdict(), "confidence": plain(self.confidence), "accuracy": plain(self.accuracy)}


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error `ece` and its `bins`: the mean gap between confidence and accuracy, 0 at best.

    `scaled` is the same of the probabilities at `temperature`, both None if no temperature was fitted. The predicted
    classes are the same at any temperature.
    """

    ece: Estimate
    bins: tuple[Bin, ...]
    temperature: float | None = None
    scaled: Calibration | None = None

    def lines(self) -> Iterator[str]:
        """A line, and a second one if a temperature was fitted."""
        yield f"calibration error (ECE) {self.ece}"
        if self.scaled is not None:
            yield f"  at temperature {self.temperature:.2f}, fitted on validation: {self.scaled.ece}"

    def to_json(self) -> dict[str, Any]:
        """The errors and bins as plain values."""
        return {
            "ece": self.ece.to_json(),
            "bins": [each.to_json() for each in self.bins],
            "temperature": self.temperature,
            "scaled": self.scaled and self.scaled.to_json(),
        }


def score(
    truths: npt.NDArray[np.int64],
    probabilities: Floats,
    resampling: Resampling,
    temperature: float | None = None,
) -> Calibration:
    """The calibration error, and its interval over groups; also at a temperature, if one is given.

    Parameters
    ----------
    truths
        The true class ids, ``(n,)``.
    probabilities
        The probability of each class, ``(n, k)``.
    resampling
        The draws.
    temperature
        From `fitted_temperature`, on other cells than these.

    Examples
    --------
    >>> from pcm_leukemia.baselines.metrics.bootstrap import resampling
    >>> chances = np.array([[0.8, 0.2]] * 5)
    >>> round(score(np.array([0, 0, 0, 1, 1]), chances, resampling(["P1"] * 5, 0, 0)).ece.value, 3)
    0.2
    """
    binned = _binned(truths, probabilities, resampling)
    cells, sure, hits = (each[0] for each in binned)
    columns = (EDGES[:-1], EDGES[1:], cells.astype(int), ratio(sure, cells), ratio(hits, cells))
    bins = (Bin(*row) for row in zip(*(column.tolist() for column in columns), strict=True))
    after = None if temperature is None else score(truths, scaled(probabilities, temperature), resampling)
    return Calibration(Estimate.of(_errors(*binned)), tuple(bins), temperature, after)


def errors(truths: npt.NDArray[np.int64], probabilities: Floats, resampling: Resampling) -> Floats:
    """The calibration error of all cells and then of each draw, ``(1 + draws,)``; the parameters are those of `score`.

    Examples
    --------
    >>> from pcm_leukemia.baselines.metrics.bootstrap import resampling
    >>> chances = np.array([[0.8, 0.2]] * 5)
    >>> errors(np.array([0, 0, 0, 1, 1]), chances, resampling(["P1"] * 5, 0, 0)).round(3).tolist()
    [0.2]
    """
    return _errors(*_binned(truths, probabilities, resampling))


def scaled(probabilities: Floats, temperature: float) -> Floats:
    """The probabilities at a temperature: closer to each other above 1, further apart below 1; the order stays.

    Examples
    --------
    >>> scaled(np.array([[0.9, 0.1]]), 2).round(3).tolist()
    [[0.75, 0.25]]
    """
    found: Floats = softmax(_logits(probabilities) / temperature, axis=1)
    return found


def fitted_temperature(truths: npt.NDArray[np.int64], probabilities: Floats) -> float:
    """The temperature at which the true classes are most likely, from 0.05 to 20.

    Parameters
    ----------
    truths
        The true class ids, ``(n,)``; of cells that the model has not been trained on.
    probabilities
        The probability of each class, ``(n, k)``.

    Examples
    --------
    >>> chances = np.array([[0.9, 0.1]] * 4)
    >>> round(fitted_temperature(np.array([0, 0, 0, 1]), chances), 3)
    2.0
    """
    logits = _logits(probabilities)
    cells = np.arange(len(truths))

    def loss(log_temperature: float) -> float:
        chances = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(chances[cells, truths].mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded")
    return float(np.exp(found.x))


def _binned(truths: npt.NDArray[np.int64], probabilities: Floats, resampling: Resampling) -> list[Floats]:
    """Three sums by bin, ``(1 + draws, bins)``: of the cells, of their confidences, and of those that are right."""
    confidences = probabilities.max(axis=1, initial=0)
    right = probabilities.argmax(axis=1) == truths
    groups = resampling.times.shape[1]
    at = resampling.group * BINS + np.searchsorted(EDGES[1:-1], confidences)
    return [
        _summed(np.bincount(at, weights, groups * BINS).reshape(groups, BINS), resampling)
        for weights in (np.ones(len(right)), confidences, right)
    ]


def _errors(cells: Floats, sure: Floats, hits: Floats) -> Floats:
    return ratio(np.abs(sure - hits).sum(axis=1), cells.sum(axis=1))


def _logits(probabilities: Floats) -> Floats:
    """Logits of the probabilities; one that was rounded to 0 counts as the smallest float32."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def _summed(groups: npt.NDArray[Any], resampling: Resampling) -> Floats:
    """Sums of the groups' rows: over all groups, and over those of each draw."""
    sums: Floats = np.concatenate([groups.sum(axis=0, keepdims=True), resampling.times @ groups])
    return sums.astype(np.float64)
