"""Corrected shares, with classifiers whose confusion is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from pcm_leukemia.differential import Confusion
from pcm_leukemia.taxonomy import NINE

EIGHT = tuple(label for label in NINE.labels if label != "Other")
LYMPHOBLAST, AML, APL = (EIGHT.index(label) for label in ("Lymphoblast", "Myeloblast_AML", "Myeloblast_APL"))
BLASTS = [LYMPHOBLAST, AML, APL]

# the validation patients of `train resnet50 --preset smoke` on a sample of 24 patients: true and predicted class -> cells
SMOKE = np.diag([47, 71, 14, 13, 22, 25, 74, 52])
SMOKE[LYMPHOBLAST, [AML, APL]] = 1, 31


def table(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The tables of a `Confusion` from those of classes alone, ``(patients, c, c)``."""
    patients, classes, _ = cells.shape
    whole = np.zeros((patients, classes + 1, classes + 2), np.int64)
    whole[:, :-1, :-2] = cells
    return whole


class Truth(NamedTuple):
    """The shares of a patient's blood, and the cells that were sampled of it."""

    blood: npt.NDArray[np.float64]
    sampled: npt.NDArray[np.int64]


class Simulated:
    """Patients whose shares vary, and a classifier that confuses their cells by given rates."""

    def __init__(self, cells: npt.NDArray[np.int64], seed: int = 0) -> None:
        self.rates = (cells + 0.5 * np.eye(len(cells))) / (cells.sum(axis=1, keepdims=True) + 0.5)
        self.rng = np.random.default_rng(seed)

    def patient(self, cells: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The true and the predicted cells of each class."""
        truth, predicted = self.patient_of(cells)
        return truth.sampled, predicted

    def patient_of(self, cells: int) -> tuple[Truth, npt.NDArray[np.int64]]:
        """The truth about a patient, and the predicted cells of each class."""
        blood = self.rng.dirichlet(np.full(len(self.rates), 0.5))
        sampled = self.rng.multinomial(cells, blood)
        return Truth(blood, sampled), self._labelled(sampled).sum(axis=0)

    def confusion(self, patients: int, cells: int) -> Confusion:
        """What is seen on validation patients."""
        return Confusion(
            EIGHT, table(np.array([self._labelled(self.patient(cells)[0]) for _ in range(patients)]))
        )

    def _labelled(self, truth: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.array(
            [self.rng.multinomial(count, row) for count, row in zip(truth, self.rates, strict=True)]
        )


@pytest.mark.parametrize(("cells", "ratio"), [(100, 0.5), (200, 0.4), (500, 0.3)])
def test_corrected_shares_err_at_most_half_as_much_as_raw_ones(cells: int, ratio: float) -> None:
    smears = Simulated(SMOKE)
    corrected, raw = 0.0, 0.0
    for _ in range(20):
        correction = smears.confusion(5, 70).correction(draws=0)
        for _ in range(50):
            truth, predicted = smears.patient(cells)
            shares = correction.adjust([*predicted, 0]).shares
            corrected += np.abs(shares - truth / cells).sum()
            raw += np.abs(predicted / cells - truth / cells).sum()
    assert corrected <= ratio * raw


def test_the_intervals_of_corrected_shares_contain_the_truth() -> None:
    smears = Simulated(SMOKE)
    inside = []
    for _ in range(15):
        correction = smears.confusion(8, 70).correction(draws=300)
        for patient in range(5):
            truth, predicted = smears.patient(5000)  # so many cells that the shares are those of the blood
            adjusted = correction.adjust([*predicted, 0], patient)
            low, high = np.percentile(adjusted.draws[:, BLASTS], (2.5, 97.5), axis=0)
            inside.append((low <= truth[BLASTS] / 5000) & (truth[BLASTS] / 5000 <= high))
    assert 0.85 <= np.mean(inside) <= 1


def test_shares_are_never_negative_and_sum_to_one() -> None:
    correction = Simulated(SMOKE).confusion(4, 60).correction(draws=50)
    for counts in ([0, 0, 0, 0, 9, 0, 1, 0, 3], [1, 0, 0, 0, 0, 0, 0, 0, 0], [5, 40, 1, 2, 0, 7, 0, 90, 2]):
        adjusted = correction.adjust(counts)
        assert (adjusted.shares >= 0).all()
        assert (adjusted.draws >= 0).all()
        assert adjusted.shares.sum() == pytest.approx(1)
        assert np.allclose(adjusted.draws.sum(axis=1), 1)


def test_a_model_without_errors_leaves_shares_as_they_are() -> None:
    confusion = Confusion(EIGHT, table(np.stack([np.diag(np.full(8, 100))] * 3)))
    counts = np.array([10, 40, 0, 5, 0, 5, 40, 0])
    assert np.allclose(confusion.correction(draws=0).adjust([*counts, 0]).shares, counts / 100, atol=1e-4)


def test_a_class_that_is_missed_more_often_has_a_higher_share() -> None:
    cells = np.array([[[90, 0, 0, 10], [0, 45, 0, 55], [0, 0, 20, 0]]])
    shares = Confusion(("Lymphocyte", "Lymphoblast"), cells).correction().adjust([90, 45, 0]).shares
    assert shares == pytest.approx([0.5, 0.5], abs=0.01)


def test_what_is_no_white_cell_is_taken_out() -> None:
    # the model takes every second artefact for a lymphoblast
    cells = np.array([[[100, 0, 0, 0], [0, 100, 0, 0], [0, 500, 500, 0]]])
    shares = Confusion(("Lymphocyte", "Lymphoblast"), cells).correction().adjust([80, 30, 10]).shares
    assert shares == pytest.approx([0.8, 0.2], abs=0.01)


def test_a_class_without_validation_cells_is_taken_at_its_word() -> None:
    cells = np.array([[[100, 0, 0, 0], [0, 0, 0, 0], [0, 0, 50, 0]]])
    shares = Confusion(("Lymphocyte", "Lymphoblast"), cells).correction().adjust([70, 30, 0]).shares
    assert shares == pytest.approx([0.7, 0.3], abs=0.01)


def test_one_validation_patient_gives_no_draws_and_no_cells_no_shares() -> None:
    smears = Simulated(SMOKE)
    assert smears.confusion(1, 60).correction().adjust([1] * 9).draws.shape == (0, 8)
    nothing = smears.confusion(3, 60).correction(draws=10).adjust([0] * 9)
    assert np.isnan(nothing.shares).all()
    assert np.isnan(nothing.draws).all()


def test_the_same_seed_gives_the_same_draws() -> None:
    confusion = Simulated(SMOKE).confusion(4, 60)
    one, again, other = (confusion.correction(20, seed).adjust([9] * 9).draws for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_tables_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tables of the shape \(1, 9, 9\) for 8 labels; give"):
        Confusion(EIGHT, np.zeros((1, 9, 9), np.int64))
