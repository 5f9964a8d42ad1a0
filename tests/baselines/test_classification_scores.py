"""The scores of classifiers: as scikit-learn has them, and intervals from whole patients."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from pcm_leukemia import NINE, Dataset, Image, Patient
from pcm_leukemia.baselines.metrics import classification
from pcm_leukemia.baselines.metrics.classification import score
from pcm_leukemia.baselines.metrics.groups import groups_of
from pcm_leukemia.schema import ImageId, PatientId

LABELS = ("Lymphocyte", "Neutrophil", "Basophil", "Monocyte")


def sure(guesses: npt.ArrayLike, classes: int = len(LABELS)) -> npt.NDArray[np.float64]:
    return np.eye(classes)[np.asarray(guesses, np.int64)]


@st.composite
def guessed(draw: st.DrawFn) -> tuple[list[int], list[int], list[str]]:
    """Truths, guesses and patients of a few cells; classes may lack on either side."""
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from("ABCDE")), min_size=1, max_size=40
        )
    )
    truths, guesses, patients = map(list, zip(*rows, strict=True))
    return truths, guesses, patients


@given(guessed())
def test_as_scikit_learn_has_them(cells: tuple[list[int], list[int], list[str]]) -> None:
    truths, guesses, patients = cells
    found = score(truths, sure(guesses), LABELS, patients, draws=5)
    ids = list(range(len(LABELS)))
    peer: Any = sklearn.metrics
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes without cells
        rows = peer.precision_recall_fscore_support(truths, guesses, labels=ids, zero_division=np.nan)
        present = peer.f1_score(truths, guesses, labels=sorted(set(truths)), average="macro", zero_division=0)
        every = peer.f1_score(truths, guesses, labels=ids, average="macro", zero_division=0)
        usual = peer.f1_score(truths, guesses, average="macro", zero_division=0)
        weighted = peer.f1_score(truths, guesses, average="weighted", zero_division=0)
        balanced = peer.balanced_accuracy_score(truths, guesses)
    assert found.accuracy == pytest.approx(peer.accuracy_score(truths, guesses))
    assert found.macro_f1 == pytest.approx(present)
    assert {counted: each.value for counted, each in found.macro_f1s.items()} == pytest.approx(
        {"present": present, "union": usual, "all": every}
    )
    assert found.weighted_f1.value == pytest.approx(weighted)
    assert found.balanced_accuracy.value == pytest.approx(balanced)
    assert score(truths, sure(guesses), LABELS, count="all", draws=0).macro_f1 == pytest.approx(every)
    assert found.confusion.tolist() == peer.confusion_matrix(truths, guesses, labels=ids).tolist()
    ours = np.array([(row.precision, row.recall, row.f1, row.support) for row in found.classes])
    np.testing.assert_allclose(ours, np.array(rows).T)


def test_intervals_are_those_of_a_loop_over_drawn_patients() -> None:
    rng = np.random.default_rng(1)
    truths, patients = rng.integers(0, 4, 60), np.array([f"P{number}" for number in rng.integers(0, 7, 60)])
    guesses = np.where(rng.random(60) < 0.7, truths, rng.integers(0, 4, 60))
    found = score(truths, sure(guesses), LABELS, patients.tolist(), draws=200, seed=3)
    names = sorted(set(patients.tolist()))
    again = np.random.default_rng(3)
    accuracies, averages = [], []
    for times in again.multinomial(len(names), np.full(len(names), 1 / len(names)), size=200):
        cells = np.concatenate(
            [
                np.tile(np.flatnonzero(patients == name), count)
                for name, count in zip(names, times, strict=True)
            ]
        )
        accuracies.append(np.mean(truths[cells] == guesses[cells]))
        present = sorted(set(truths[cells].tolist()))
        averages.append(
            sklearn.metrics.f1_score(
                truths[cells], guesses[cells], labels=present, average="macro", zero_division=0
            )
        )
    assert found.accuracy_interval == pytest.approx(tuple(np.percentile(accuracies, (2.5, 97.5))))
    assert found.macro_f1_interval == pytest.approx(tuple(np.percentile(averages, (2.5, 97.5))))


def test_a_patient_s_cells_are_drawn_together() -> None:
    # two of four patients are wrong throughout: from cells alone, that would look far more certain
    truths = [0] * 400
    guesses = [0] * 200 + [1] * 200
    patients = [f"P{number // 100}" for number in range(400)]
    by_patient = score(truths, sure(guesses), LABELS, patients)
    by_cell = score(truths, sure(guesses), LABELS)
    assert by_patient.accuracy_interval == (0.0, 1.0)
    assert by_cell.accuracy_interval is not None
    assert by_cell.accuracy_interval.high - by_cell.accuracy_interval.low < 0.12
    assert (by_patient.unit, by_cell.unit) == ("patients", "cells")


def test_without_patients_images_are_drawn_and_it_says_so() -> None:
    rows = tuple(Image(ImageId(f"{name}.png"), 9, 9) for name in "ab")
    some = Image(ImageId("c.png"), 9, 9, patient=PatientId("P1"))
    without = Dataset("demo", NINE, rows)
    mixed = Dataset("demo", NINE, (*rows, some), patients=(Patient(PatientId("P1")),))
    cells = ["a.png", "a.png", "b.png"]
    assert groups_of(without, cells) == (cells, "images")
    assert groups_of(mixed, [*cells, "c.png"]) == ([*cells, "c.png"], "images")
    assert groups_of(mixed, ["c.png"]) == (["P1"], "patients")
    groups, unit = groups_of(without, cells)
    text = str(score([0, 1, 1], sure([0, 1, 0]), LABELS, groups, unit=unit))
    assert "3 cells of 2 images" in text
    assert "1,000 draws of images, seed 0; without patient ids, they are narrower than they should be" in text


def test_what_is_printed_and_kept() -> None:
    found = score([0, 0, 1, 1], sure([0, 1, 1, 2]), LABELS, ["A", "B", "B", "C"], draws=50)
    lines = str(found).splitlines()
    assert lines[0] == "4 cells of 3 patients"
    assert lines[1].startswith("accuracy 50.00 (")
    assert lines[2].startswith("balanced accuracy 50.00 (")
    assert lines[3].endswith("over the 2 classes that have cells (not Basophil, Monocyte)")
    assert lines[4].endswith("over the 3 classes that have cells or were predicted, as in scikit-learn")
    assert lines[5].endswith("over all 4 classes")
    assert lines[6].startswith("weighted F1 58.33 (")
    assert lines[7].startswith("AUROC 62.50 (")
    assert lines[8].startswith("calibration error (ECE) 50.00 (")
    assert lines[9].startswith("accuracy of the surest 90 % of cells: 50.00 (")
    assert lines[10].startswith("area under the risk-coverage curve 50.00 (")
    assert lines[12].split() == ["precision", "recall", "F1", "AUROC", "cells"]
    assert lines[13].startswith("Lymphocyte     100.00   50.00   66.67   75.00       2, F1 (")
    assert lines[-1] == "Monocyte            –       –       –       –       0"
    kept = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert kept["auroc"]["macro"]["value"] == 0.625
    assert kept["blasts"] is None
    assert kept["calibration"]["ece"]["value"] == 0.5
    assert kept["calibration"]["bins"][-1]["cells"] == 4
    assert kept["selective"]["accuracy_at"][0]["value"] == 0.5
    assert kept["macro_f1_over"] == ["Lymphocyte", "Neutrophil"]
    assert kept["macro_f1s"]["union"]["value"] == pytest.approx(kept["macro_f1"] * 2 / 3)
    assert kept["weighted_f1"]["interval"][0] <= kept["weighted_f1"]["value"]
    assert kept["classes"]["Monocyte"] == {
        "precision": None,
        "recall": None,
        "f1": None,
        "f1_interval": None,
        "cells": 0,
    }
    assert kept["confusion"]["rows_true_columns_guessed"][0] == [1, 1, 0, 0]
    assert kept["intervals"] == {"over": "patients", "groups": 3, "draws": 50, "seed": 0}
    assert (
        found.to_json() == score([0, 0, 1, 1], sure([0, 1, 1, 2]), LABELS, list("ABBC"), draws=50).to_json()
    )


def test_the_dangerous_errors_and_the_temperature_are_printed() -> None:
    labels = ("Lymphocyte", "Lymphoblast")
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.1, 0.9]])
    found = score([0, 0, 1, 1], chances, labels, ["A", "B", "B", "C"], draws=50, temperature=2.0)
    text = str(found)
    assert "\nblasts taken for normal cells: 1 of 2 (50.00 %, " in text
    assert "\nnormal cells taken for blasts: 0 of 2 (0.00 %)\n" in text  # no error says nothing of others
    assert "\n  at temperature 2.00, fitted on validation: " in text
    kept = found.to_json()
    assert kept["blasts"]["blasts_as_normal"]["wrong"] == 1
    assert kept["calibration"]["temperature"] == 2.0
    assert kept["calibration"]["scaled"]["ece"]["value"] < kept["calibration"]["ece"]["value"]


def test_one_patient_says_nothing_of_others() -> None:
    found = score([0, 1], sure([0, 0]), LABELS, ["A", "A"])
    assert found.accuracy_interval is None
    assert "no intervals: they need at least two patients" in str(found)


def test_no_cells() -> None:
    found = score(np.zeros(0, np.int64), np.zeros((0, 4)), LABELS, [])
    assert found.cells == 0
    assert np.isnan(found.accuracy)
    assert found.to_json()["macro_f1"] is None


@pytest.mark.parametrize(
    ("truths", "probabilities", "groups", "sentence"),
    [
        ([0, 1], sure([0]), None, r"\(2,\) truths, \(1, 4\) probabilities and 4 labels do not match"),
        ([0, 1], sure([0, 1]), ["A"], "1 groups for 2 cells; give one for each cell"),
        ([0, 4], sure([0, 1]), None, "whole numbers from 0 to 3"),
        ([0.5, 1], sure([0, 1]), None, "whole numbers from 0 to 3"),
        ([0], np.full((1, 4), np.nan), None, "a probability is not a number; check the model's weights"),
    ],
)
def test_what_does_not_fit(
    truths: list[int], probabilities: npt.NDArray[np.float64], groups: list[str] | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        score(truths, probabilities, LABELS, groups)


def test_a_class_of_one_patient_has_no_interval() -> None:
    found = score([0, 0, 1, 1, 1], sure([0, 1, 1, 1, 0]), LABELS, ["P1", "P2", "P1", "P1", "P1"])
    assert found.classes[0].f1_interval is not None
    assert found.classes[1].support == 3
    assert found.classes[1].f1_interval is None
    (row,) = (line for line in str(found).splitlines() if line.startswith(LABELS[1]))
    assert row.endswith("3")


def test_a_thousand_draws_of_many_patients_are_quick() -> None:
    rng = np.random.default_rng(0)
    truths = rng.integers(0, 8, 40_000)
    patients = [f"P{number}" for number in rng.integers(0, 465, 40_000)]
    found = score(truths, rng.random((40_000, 8)), [f"c{number}" for number in range(8)], patients)
    assert found.groups == 465
    assert found.macro_f1_interval is not None
    assert found.macro_f1_interval.low < found.macro_f1 < found.macro_f1_interval.high
    assert classification.accuracy(found.confusion) == found.accuracy
