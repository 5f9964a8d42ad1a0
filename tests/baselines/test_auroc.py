"""The areas under the curve are scikit-learn's, and their intervals those of a loop over drawn patients."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from drawn_cells import Drawn, cells

from pcm_leukemia.baselines.metrics import auroc
from pcm_leukemia.baselines.metrics.bootstrap import resampling

LABELS = ("A", "B", "C", "D")


def as_scikit_learn(drawn: Drawn) -> list[float]:
    """The area of each class; NaN where it has no cells, or all of them."""
    peer: Any = sklearn.metrics
    there = [drawn.truths == number for number in range(len(LABELS))]
    return [
        peer.roc_auc_score(which, drawn.probabilities[:, number]) if 0 < which.mean() < 1 else np.nan
        for number, which in enumerate(there)
    ]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_as_scikit_learn_has_them(seed: int, *, ties: bool) -> None:
    drawn = cells(seed, count=3 + 4 * seed, ties=ties)
    found = auroc.score(drawn.truths, drawn.probabilities, LABELS, drawn.resampling())
    expected = as_scikit_learn(drawn)
    np.testing.assert_allclose([each.value for each in found.of.values()], expected, rtol=1e-12)
    assert found.macro.value == pytest.approx(np.nanmean(expected), rel=1e-12)
    if not ties and len(set(drawn.truths.tolist())) == len(LABELS):
        peer: Any = sklearn.metrics
        whole = peer.roc_auc_score(drawn.truths, drawn.probabilities, multi_class="ovr", average="macro")
        assert found.macro.value == pytest.approx(whole)


def test_equal_probabilities_count_half() -> None:
    chances = np.array([[0.5, 0.5], [0.5, 0.5], [0.9, 0.1]])
    found = auroc.score(np.array([0, 1, 1]), chances, ("A", "B"), resampling(["P1"] * 3, 0, 0))
    assert found.of["A"].value == 0.25


@pytest.mark.parametrize("ties", [False, True])
def test_intervals_are_those_of_a_loop_over_drawn_patients(*, ties: bool) -> None:
    drawn = cells(1, ties=ties)
    found = auroc.score(drawn.truths, drawn.probabilities, LABELS, drawn.resampling(200, seed=3))
    areas = np.array([as_scikit_learn(each) for each in drawn.draws(200, seed=3)])
    assert found.macro.interval == pytest.approx(tuple(np.percentile(np.nanmean(areas, 1), (2.5, 97.5))))
    for number, each in enumerate(found.of.values()):
        assert each.interval == pytest.approx(tuple(np.nanpercentile(areas[:, number], (2.5, 97.5))))


def test_classes_without_cells_have_no_area_and_are_not_in_the_mean() -> None:
    drawn = cells(2, classes=2)
    chances = np.pad(drawn.probabilities, ((0, 0), (0, 2)))
    found = auroc.score(drawn.truths, chances, LABELS, drawn.resampling(20))
    assert np.isnan([found.of["C"].value, found.of["D"].value]).all()
    assert found.of["C"].interval is None
    assert found.macro.value == pytest.approx((found.of["A"].value + found.of["B"].value) / 2)
    assert found.to_json()["classes"]["C"] == {"value": None, "interval": None}


@pytest.mark.parametrize("count", [0, 1, 5])
def test_one_class_alone_has_no_area(count: int) -> None:
    chances = np.full((count, 2), 0.5)
    found = auroc.score(np.zeros(count, np.int64), chances, ("A", "B"), resampling(["P1"] * count, 9, 0))
    assert np.isnan(found.macro.value)
    assert found.macro.interval is None
    assert str(found) == "AUROC –, mean of each class against the rest"


def test_a_thousand_draws_are_quick() -> None:
    drawn = cells(3, count=8000, classes=8, patients=100)
    begun = time.perf_counter()
    found = auroc.score(drawn.truths, drawn.probabilities, list("ABCDEFGH"), drawn.resampling(1000))
    assert time.perf_counter() - begun < 10  # half a second alone on two cores
    assert found.macro.interval is not None
    assert found.macro.interval.low < found.macro.value < found.macro.interval.high


def test_a_class_of_one_patient_has_no_interval() -> None:
    """P1 has both cells of the class 1; the others of P2 and P3 let its area differ from draw to draw."""
    sure = np.array([0.9, 0.4, 0.1, 0.6, 0.2])
    chances = np.stack([1 - sure, sure], axis=1)
    groups = resampling(["P1", "P1", "P1", "P2", "P3"], 100, 0)
    found = auroc.score(np.array([1, 1, 0, 0, 0]), chances, ("A", "B"), groups)
    assert found.of["B"].value == pytest.approx(5 / 6)
    assert found.of["B"].interval is None
    assert found.of["A"].interval is not None
    assert found.macro.interval is not None
