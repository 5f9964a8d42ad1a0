"""Blasts that are taken for normal cells, and the reverse."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_cells import cells

from pcm_leukemia import NINE
from pcm_leukemia.baselines.metrics import blasts, confusions
from pcm_leukemia.baselines.metrics.bootstrap import times_drawn
from pcm_leukemia.taxonomy import BLASTS, NORMAL

LABELS = ("Lymphocyte", "Lymphoblast", "Monocyte", "Myeloblast_AML", "Other")
CONFUSION = np.array([[5, 1, 2, 1, 1], [1, 6, 2, 3, 1], [0, 2, 7, 0, 0], [0, 4, 0, 8, 2], [1, 1, 0, 0, 3]])
NO_DRAWS = np.zeros((0, 5, 5), np.int64)


def test_the_nine_classes_are_blasts_normal_cells_and_other() -> None:
    assert set(NINE.labels) == {*BLASTS, *NORMAL, "Other"}
    assert not set(BLASTS) & set(NORMAL)


def test_what_is_counted() -> None:
    found = blasts.score(CONFUSION, NO_DRAWS, LABELS)
    assert found is not None
    # a blast taken for another blast, or for Other, is not taken for a normal cell
    assert (found.missed.wrong, found.missed.cells) == (1 + 2, 13 + 14)
    assert (found.false.wrong, found.false.cells) == (1 + 1 + 2, 10 + 9)
    assert found.missed.share.value == pytest.approx(3 / 27)
    assert found.missed.share.interval is None
    assert list(found.lines()) == [
        "blasts taken for normal cells: 3 of 27 (11.11 %)",
        "normal cells taken for blasts: 4 of 19 (21.05 %)",
    ]
    assert found.to_json()["blasts_as_normal"] == {
        "wrong": 3,
        "cells": 27,
        "value": pytest.approx(1 / 9),
        "interval": None,
    }


def test_intervals_are_those_of_a_loop_over_drawn_patients() -> None:
    drawn = cells(1, count=200, classes=5)
    guesses = drawn.probabilities.argmax(1)
    tables = confusions.by_group(drawn.truths, guesses, drawn.patients, 5)
    found = blasts.score(tables.sum(0), confusions.drawn(tables, times_drawn(len(tables), 100, 3)), LABELS)
    assert found is not None
    shares = []
    for each in drawn.draws(100, seed=3):
        blast, guess = np.isin(each.truths, (1, 3)), each.probabilities.argmax(1)
        shares.append(np.isin(guess[blast], (0, 2)).mean())
    low, high = np.percentile(shares, (2.5, 97.5))
    assert found.missed.share.interval == pytest.approx((low, high))
    line = next(found.lines())
    assert line.endswith(f" %, {100 * low:.2f} to {100 * high:.2f})")


@pytest.mark.parametrize(
    "labels", [("Lymphocyte", "Monocyte"), ("Lymphoblast", "Myeloblast_APL"), ("WBC", "Other"), ("A", "B")]
)
def test_classes_without_blasts_or_without_normal_cells_have_no_such_errors(labels: tuple[str, str]) -> None:
    assert blasts.score(np.eye(2, dtype=np.int64), np.zeros((0, 2, 2), np.int64), labels) is None


def test_an_error_without_cells_has_no_line() -> None:
    found = blasts.score(np.diag([5, 0, 5, 0, 0]), NO_DRAWS, LABELS)
    assert found is not None
    assert list(found.lines()) == ["normal cells taken for blasts: 0 of 10 (0.00 %)"]
    assert found.to_json()["blasts_as_normal"]["value"] is None


def test_all_right_and_all_wrong_are_no_certainty() -> None:
    tables = np.stack([np.diag([3, 4])[::-1], np.diag([2, 5])[::-1], np.diag([1, 1])[::-1]])
    all_wrong = blasts.score(
        tables.sum(0),
        confusions.drawn(tables, times_drawn(len(tables), 50, 0)),
        ("Lymphocyte", "Lymphoblast"),
    )
    assert all_wrong is not None
    assert list(all_wrong.lines()) == [
        "blasts taken for normal cells: 6 of 6 (100.00 %)",
        "normal cells taken for blasts: 10 of 10 (100.00 %)",
    ]
    assert all_wrong.to_json()["blasts_as_normal"]["interval"] is None
