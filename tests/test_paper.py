"""The paper's tables: their own sums, and how a data set compares with them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Split, checks, paper
from pcm_leukemia.schema import ImageId


def test_the_tables_add_up() -> None:
    assert paper.IMAGES[0] + paper.IMAGES[1] == paper.IMAGES[2] == 19_191
    assert [*paper.CELLS] == [*NINE.labels, "Total"]
    for row, (train, test, overall) in paper.CELLS.items():
        assert train + test == overall, row
    for column in range(3):
        assert sum(paper.CELLS[label][column] for label in NINE.labels) == paper.CELLS["Total"][column]
    assert paper.CELLS["Total"][2] - paper.CELLS["Other"][2] == 36_789  # section 2.2: boxes of white cells


def test_the_published_scores() -> None:
    found = {(r.table, r.model, r.test_set, r.metric): r.value for r in paper.RESULTS}
    assert len(found) == len(paper.RESULTS) == 26
    assert found["Table 4", "DEIM-RT-DETRv2", "PCM-Leukemia", "mAP50-95"] == 81.8
    assert found["Table 6", "DinoBloom (LP+FT)", "PCM-Leukemia", "macro F1"] == 92.11
    for test_set, score in (("PCM-Leukemia", 75.7), ("ALL-IDB1", 68.6)):  # Table 5 is the mean of Figure 2's
        of_class = [r.value for r in paper.RESULTS if r.table == "Figure 2" and r.test_set == test_set]
        assert sum(of_class) / 2 == pytest.approx(score, abs=0.051)


@pytest.fixture(scope="module")
def as_printed() -> Dataset:
    """A data set with exactly the paper's counts: all cells of a part in as many images as it has."""
    images, cells, part_of = [], [], {}
    for column, part in enumerate(("train", "test")):
        drawn = [label for label in NINE.labels for _ in range(paper.CELLS[label][column])]
        for number in range(paper.IMAGES[column]):
            image = Image(ImageId(f"{part}/{number:05}.jpg"), 100, 100)
            images.append(image)
            part_of[image.id] = "val" if part == "train" and number % 5 == 0 else part
            share = drawn[number :: paper.IMAGES[column]]
            cells += [Cell(image.id, n, label, Box(n, 0, n + 1.0, 2)) for n, label in enumerate(share)]
    ds = Dataset("printed", NINE, tuple(images), tuple(cells))
    return ds.with_split(Split("official", part_of))


def test_equal_counts_have_no_difference(as_printed: Dataset) -> None:
    found = paper.compare(as_printed)
    assert found.differences == ()
    assert str(found).endswith("0 of 33 figures differ (marked with !)")
    assert [f for f in checks.check(as_printed, paper=True).problems if f.kind == "paper"] == []


def test_every_difference_is_marked(as_printed: Dataset) -> None:
    first = as_printed.cells[0]  # a Lymphocyte of the validation part
    fewer = replace(as_printed, cells=as_printed.cells[1:])
    found = paper.compare(fewer)
    assert {(f.row, f.column) for f in found.differences} == {
        (row, column)
        for row in (first.label, "Total")
        for column in ("Train/Val" if first.image.startswith("train") else "Test", "Overall")
    }
    line = next(line for line in str(found).splitlines() if line.startswith(first.label))
    assert line.count("!") == 2
    data = found.to_json()
    assert data["differences"] == 4
    assert json.loads(json.dumps(data)) == data
    problems = [f for f in checks.check(fewer, paper=True).problems if f.kind == "paper"]
    assert len(problems) == 4
    assert "here" in problems[0].what


def test_without_a_split_only_overall_is_known(as_printed: Dataset) -> None:
    found = paper.compare(as_printed.with_split(None))
    assert found.differences == ()
    assert {f.ours for f in found.figures if f.column != "Overall"} == {None}
    assert "0 of 11 figures differ" in str(found)


def test_other_classes_and_ignored_cells_are_differences() -> None:
    image = Image(ImageId("a.jpg"), 100, 100)
    cells = (Cell(image.id, 0, IGNORE, Box(0, 0, 9, 9)), Cell(image.id, 1, "Other", Box(0, 0, 9, 9)))
    rows = {(f.row, f.column): f for f in paper.compare(Dataset("x", NINE, (image,), cells)).differences}
    assert (rows[IGNORE, "Overall"].paper, rows[IGNORE, "Overall"].ours) == (None, 1)
    assert rows["Other", "Overall"].ours == 1
