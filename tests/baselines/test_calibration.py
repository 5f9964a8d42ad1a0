"""The calibration error is that of torchmetrics, and the temperature that of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from drawn_cells import Drawn, cells
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from torchmetrics.functional.classification import multiclass_calibration_error

from pcm_leukemia.baselines.metrics import calibration
from pcm_leukemia.baselines.metrics.bootstrap import resampling
from pcm_leukemia.baselines.metrics.calibration import fitted_temperature, scaled


def as_torchmetrics(drawn: Drawn) -> float:
    chances, truths = torch.from_numpy(drawn.probabilities), torch.from_numpy(drawn.truths)
    found = multiclass_calibration_error(chances, truths, chances.shape[1], n_bins=15, norm="l1")
    return float(found)


@pytest.mark.parametrize("seed", range(8))
def test_as_torchmetrics_has_it(seed: int) -> None:
    drawn = cells(seed, count=1 + 30 * seed)
    found = calibration.score(drawn.truths, drawn.probabilities, drawn.resampling())
    assert found.ece.value == pytest.approx(as_torchmetrics(drawn), abs=1e-6)
    bins = [each for each in found.bins if each.cells]
    assert sum(each.cells for each in bins) == len(drawn.truths)
    assert all(each.low < each.confidence <= each.high for each in bins)
    gaps = sum(each.cells * abs(each.accuracy - each.confidence) for each in bins)
    assert gaps / len(drawn.truths) == pytest.approx(found.ece.value)


def test_intervals_are_those_of_a_loop_over_drawn_patients() -> None:
    drawn = cells(1)
    found = calibration.score(drawn.truths, drawn.probabilities, drawn.resampling(200, seed=3), 1.7)
    errors = [as_torchmetrics(each) for each in drawn.draws(200, seed=3)]
    assert found.ece.interval == pytest.approx(tuple(np.percentile(errors, (2.5, 97.5))), abs=1e-6)
    warm = Drawn(drawn.truths, scaled(drawn.probabilities, 1.7), drawn.patients)
    errors = [as_torchmetrics(each) for each in warm.draws(200, seed=3)]
    assert found.scaled is not None
    assert found.scaled.ece.value == pytest.approx(as_torchmetrics(warm), abs=1e-6)
    assert found.scaled.ece.interval == pytest.approx(tuple(np.percentile(errors, (2.5, 97.5))), abs=1e-6)


def test_a_bin_has_its_upper_edge_and_not_its_lower_one() -> None:
    chances = np.array([[1.0, 0.0], [0.6, 0.4]])  # 0.6 is the upper edge of the ninth bin
    found = calibration.score(np.array([0, 1]), chances, resampling(["P1"] * 2, 0, 0))
    assert [number for number, each in enumerate(found.bins) if each.cells] == [8, 14]
    assert found.bins[14].accuracy == 1
    assert found.bins[8].accuracy == 0
    assert found.to_json()["bins"][0] == {
        "low": 0.0,
        "high": pytest.approx(1 / 15),
        "cells": 0,
        "confidence": None,
        "accuracy": None,
    }


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A model whose logits are its input."""

    def fit(self, _: Any, truths: npt.NDArray[np.int64]) -> Given:
        self.classes_ = np.unique(truths)
        return self

    def decision_function(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return logits

    def predict(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        guesses: npt.NDArray[np.int64] = logits.argmax(1)
        return guesses


@pytest.mark.parametrize("seed", range(4))
def test_the_temperature_is_that_of_scikit_learn(seed: int) -> None:
    drawn = cells(seed, count=500)
    logits = np.log(drawn.probabilities)
    model = FrozenEstimator(Given().fit(logits, drawn.truths))
    peer = CalibratedClassifierCV(model, method="temperature")
    peer.fit(logits, drawn.truths)
    temperature = fitted_temperature(drawn.truths, drawn.probabilities)
    assert 1.2 < temperature < 3  # the logits were doubled
    np.testing.assert_allclose(
        scaled(drawn.probabilities, temperature), peer.predict_proba(logits), atol=1e-3
    )


def test_a_temperature_keeps_the_order_and_mends_overconfidence() -> None:
    val, test = cells(5, count=3000), cells(6, count=3000)
    temperature = fitted_temperature(val.truths, val.probabilities)
    warm = scaled(test.probabilities, temperature)
    np.testing.assert_array_equal(warm.argsort(1), test.probabilities.argsort(1))
    np.testing.assert_allclose(warm.sum(1), 1)
    found = calibration.score(test.truths, test.probabilities, test.resampling(), temperature)
    assert found.scaled is not None
    assert found.scaled.ece.value < found.ece.value / 3
    first, second = found.lines()
    assert first.startswith("calibration error (ECE) ")
    assert second.startswith(f"  at temperature {temperature:.2f}, fitted on validation: ")


def test_probabilities_that_were_rounded_to_0_or_1() -> None:
    chances = np.array([[1, 0], [0, 1], [1, 0]], np.float32).astype(np.float64)
    assert 0.05 <= fitted_temperature(np.array([0, 1, 0]), chances) < 1
    wrong = fitted_temperature(np.array([0, 1, 1]), chances)
    assert 19 < wrong <= 20
    assert np.isfinite(scaled(chances, wrong)).all()


@pytest.mark.parametrize("count", [0, 1])
def test_few_cells(count: int) -> None:
    drawn = cells(0, count=count)
    found = calibration.score(drawn.truths, drawn.probabilities, drawn.resampling(10))
    assert np.isnan(found.ece.value) == (count == 0)
    assert found.ece.interval is None
    assert sum(each.cells for each in found.bins) == count
