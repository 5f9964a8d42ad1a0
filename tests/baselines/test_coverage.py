"""Accuracy over coverage is what a loop over the surest cells gives."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_cells import Drawn, cells

from pcm_leukemia.baselines.metrics import coverage
from pcm_leukemia.baselines.metrics.bootstrap import resampling


def area(drawn: Drawn) -> float:
    """The mean over all cells of the share of errors among those that are as sure."""
    sure = drawn.probabilities.max(1)
    wrong = drawn.probabilities.argmax(1) != drawn.truths
    return float(np.mean([wrong[sure >= each].mean() for each in sure]))


def accuracy_at(drawn: Drawn, share: float) -> float:
    """The accuracy of the surest cells; of equally sure ones, of an average order."""
    sure = drawn.probabilities.max(1)
    right = drawn.probabilities.argmax(1) == drawn.truths
    left, hits = share * len(sure), 0.0
    for confidence in np.unique(sure)[::-1]:
        equal = right[sure == confidence]
        taken = min(left, len(equal))
        hits += taken * equal.mean()
        left -= taken
    return hits / (share * len(sure))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_as_a_loop_has_it(seed: int, *, ties: bool) -> None:
    drawn = cells(seed, count=1 + 13 * seed, ties=ties)
    found = coverage.score(drawn.truths, drawn.probabilities, drawn.resampling())
    assert tuple(found.accuracies) == (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
    for share, each in found.accuracies.items():
        assert each.value == pytest.approx(accuracy_at(drawn, share))
    assert found.aurc.value == pytest.approx(area(drawn))
    assert found.accuracies[1.0].value == pytest.approx(
        (drawn.probabilities.argmax(1) == drawn.truths).mean()
    )


def test_the_surest_half() -> None:
    chances = np.array([[0.6, 0.4], [0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    found = coverage.score(np.array([1, 0, 0, 0]), chances, resampling(["P1"] * 4, 0, 0))
    assert (found.accuracies[0.5].value, found.accuracies[1.0].value) == (1.0, 0.75)
    assert found.aurc.value == pytest.approx(0.25 / 4)


@pytest.mark.parametrize("ties", [False, True])
def test_intervals_are_those_of_a_loop_over_drawn_patients(*, ties: bool) -> None:
    drawn = cells(1, ties=ties)
    found = coverage.score(drawn.truths, drawn.probabilities, drawn.resampling(100, seed=3))
    again = drawn.draws(100, seed=3)
    for share, each in found.accuracies.items():
        expected = np.percentile([accuracy_at(one, share) for one in again], (2.5, 97.5))
        assert each.interval == pytest.approx(tuple(expected))
    assert found.aurc.interval == pytest.approx(
        tuple(np.percentile([area(one) for one in again], (2.5, 97.5)))
    )


def test_what_is_printed_and_kept() -> None:
    drawn = cells(1)
    found = coverage.score(drawn.truths, drawn.probabilities, drawn.resampling(20))
    first, second = found.lines()
    assert first.startswith(f"accuracy of the surest 90 % of cells: {found.accuracies[0.9]}, 70 %: ")
    assert second == f"area under the risk-coverage curve {found.aurc}"
    kept = found.to_json()
    assert [row["coverage"] for row in kept["accuracy_at"]] == [1.0, 0.95, 0.9, 0.8, 0.7, 0.5]
    assert kept["accuracy_at"][2]["value"] == found.accuracies[0.9].value


def test_cells_that_are_all_equally_sure() -> None:
    found = coverage.score(np.array([0, 1, 1, 1]), np.eye(2)[[0, 0, 1, 1]], resampling(["P1"] * 4, 0, 0))
    assert [each.value for each in found.accuracies.values()] == pytest.approx([0.75] * 6)
    assert found.aurc.value == 0.25


def test_no_cells() -> None:
    found = coverage.score(np.zeros(0, np.int64), np.zeros((0, 4)), resampling([], 10, 0))
    assert np.isnan([found.aurc.value, *(each.value for each in found.accuracies.values())]).all()
    assert found.aurc.interval is None
