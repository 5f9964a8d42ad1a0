"""Which of several predictions of one cell is kept; torchvision's suppression is the judge."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import nms

from pcm_leukemia.overlaps import best_of_each_cell, iou
from pcm_leukemia.shapes import Box

SIDES = st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 12)] * 2)


@given(st.lists(SIDES, max_size=12), st.sampled_from((0.1, 0.45, 0.7)), st.randoms())
def test_the_kept_are_those_of_torchvision(
    places: list[tuple[int, ...]], most: float, chance: object
) -> None:
    boxes = [(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in places]
    scores = [number / 100 for number in range(len(boxes))]
    chance.shuffle(scores)  # type: ignore[attr-defined]
    kept = nms(
        torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4),
        torch.tensor(scores, dtype=torch.float64),
        most,
    )
    assert best_of_each_cell(boxes, scores, most) == sorted(kept.tolist())


def test_of_equal_scores_the_first_is_kept() -> None:
    assert best_of_each_cell([(0, 0, 9, 9), (0, 0, 9, 9)], [0.5, 0.5]) == [0]


@pytest.mark.parametrize("most", [1, 1.0])
def test_all_can_be_kept(most: float) -> None:
    assert best_of_each_cell([(0, 0, 9, 9)] * 3, [0.5] * 3, most) == [0, 1, 2]


def test_an_overlap_of_exactly_the_limit_is_not_above_it() -> None:
    assert iou(Box(0, 0, 10, 10), Box(0, 0, 10, 5)) == 0.5
    assert best_of_each_cell([(0, 0, 10, 10), (0, 0, 10, 5)], [0.9, 0.8], 0.5) == [0, 1]
    assert best_of_each_cell([(0, 0, 10, 10), (0, 0, 10, 5)], [0.9, 0.8], 0.49) == [0]
