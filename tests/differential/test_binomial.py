"""Exact intervals: published values, an independent computation, and how often they contain the truth."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import stats

from pcm_leukemia.differential import clopper_pearson, probability_of_at_least
from pcm_leukemia.errors import MissingExtra

# Rümke's table as laboratories print it, in per cent: cells counted, count -> limits. It rounds to whole numbers.
RUEMKE = {
    (100, 0): (0, 4),
    (100, 1): (0, 6),
    (100, 2): (0, 8),
    (100, 5): (1, 12),
    (100, 10): (4, 18),
    (100, 20): (12, 30),
    (100, 50): (39, 61),
    (200, 0): (0, 2),
    (200, 10): (2, 10),
    (200, 20): (6, 16),
    (200, 100): (42, 58),
    (500, 0): (0, 1),
    (500, 25): (3, 8),
    (500, 50): (7, 13),
    (500, 250): (45, 55),
}


@pytest.mark.parametrize(("cells", "count"), RUEMKE)
def test_the_limits_are_those_of_ruemkes_table(cells: int, count: int) -> None:
    low, high = (100 * float(limit) for limit in clopper_pearson(count, cells))
    printed_low, printed_high = RUEMKE[cells, count]
    # the table rounds outwards, or to the nearest whole number
    assert printed_low <= low < printed_low + 1
    assert printed_high - 1 < high < printed_high + 0.5


@pytest.mark.parametrize("cells", [1, 5, 20, 100, 200, 500, 5000])
def test_the_limits_are_those_of_scipys_exact_test(cells: int) -> None:
    for count in {0, 1, cells // 20, cells // 2, cells - 1, cells}:
        expected = stats.binomtest(count, cells).proportion_ci(method="exact")
        assert np.allclose(clopper_pearson(count, cells), (expected.low, expected.high), atol=1e-12)


def test_the_limits_solve_their_definition() -> None:
    low, high = clopper_pearson(7, 60)
    assert stats.binom.sf(6, 60, low) == pytest.approx(0.025)
    assert stats.binom.cdf(7, 60, high) == pytest.approx(0.025)


def test_without_cells_every_share_is_possible() -> None:
    low, high = clopper_pearson(0, 0)
    assert (float(low), float(high)) == (0, 1)


def coverage(cells: int, share: float) -> float:
    """The exact probability that the interval contains the share."""
    counts = np.arange(cells + 1)
    low, high = clopper_pearson(counts, cells)
    return float(stats.binom.pmf(counts, cells, share)[(low <= share) & (share <= high)].sum())


def test_the_interval_contains_every_share_in_at_least_95_percent_of_samples() -> None:
    for cells in (10, 50, 100, 200, 500):
        assert min(coverage(cells, share) for share in np.linspace(0.001, 0.999, 500)) >= 0.95


def test_from_200_cells_it_contains_shares_from_10_percent_in_at_most_97_percent() -> None:
    for cells in (200, 500, 1000):
        assert max(coverage(cells, share) for share in np.linspace(0.1, 0.9, 401)) < 0.9755
        assert np.mean([coverage(cells, share) for share in np.linspace(0.1, 0.9, 401)]) < 0.965
    assert coverage(100, 0.01) > 0.98  # a rare class: far more than 95 %


def test_10_000_simulated_patients() -> None:
    rng = np.random.default_rng(0)
    shares = rng.uniform(0.1, 0.9, 10_000)
    low, high = clopper_pearson(rng.binomial(200, shares), 200)
    assert 0.93 <= ((low <= shares) & (shares <= high)).mean() <= 0.97


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_the_probability_is_the_posterior_under_jeffreys_prior(share: float) -> None:
    for count, cells in ((0, 100), (10, 100), (25, 100), (3, 7)):
        expected = stats.beta.sf(share, count + 0.5, cells - count + 0.5)
        assert probability_of_at_least(count, cells, share) == pytest.approx(expected)


def test_the_probability_is_calibrated() -> None:
    # among patients drawn from the prior with these counts, so many have the share
    rng = np.random.default_rng(0)
    truth = rng.beta(0.5, 0.5, 400_000)
    counted = rng.binomial(50, truth) == 8
    probability = float(probability_of_at_least(8, 50, 0.2))
    assert (truth[counted] >= 0.2).mean() == pytest.approx(probability, abs=0.02)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="each must be from 0 to its total"):
        clopper_pearson([3], [2])
    with pytest.raises(ValueError, match="each must be from 0 to its total"):
        probability_of_at_least([-1], [2], 0.1)


def test_a_missing_scipy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(
        MissingExtra, match=r"scipy: not installed; run: pip install 'pcm-leukemia\[baselines\]'"
    ):
        clopper_pearson(1, 2)
