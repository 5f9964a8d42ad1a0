"""What a reviewer changed, and inter-annotator agreement, against planted edits and the peers' numbers."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec import structs
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import cohen_kappa_score
from strategies import boxes, datasets

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, sample
from pcm_leukemia.cvat import read
from pcm_leukemia.errors import InvalidDataset
from pcm_leukemia.overlaps import iou
from pcm_leukemia.review import agreement, diff
from pcm_leukemia.review.matching import pair
from pcm_leukemia.schema import ImageId

A = ImageId("P1/a.png")


def cell(number: int, label: str, *corners: float, source: str = "manual", image: ImageId = A) -> Cell:
    return Cell(image, number, label, Box(*corners), label, source=source)


def data(*cells: Cell, images: tuple[str, ...] = (A,)) -> Dataset:
    rows = tuple(Image(ImageId(image), 200, 100) for image in images)
    return Dataset("demo", NINE, rows, cells)


BEFORE = data(
    cell(0, "Lymphocyte", 0, 0, 20, 20),
    cell(1, "Monocyte", 40, 0, 60, 20, source="auto"),
    cell(2, "Monocyte", 80, 0, 100, 20, source="auto"),
    cell(3, "Other", 120, 0, 140, 20),
    cell(4, "Other", 160, 0, 180, 20, source="auto"),
)
AFTER = data(
    cell(7, "Other", 120, 0, 140, 20),  # unchanged, under another number
    cell(1, "Neutrophil", 40, 0, 60, 20),  # relabelled
    cell(2, "Neutrophil", 80, 0, 100, 24),  # relabelled and moved
    cell(0, "Lymphocyte", 2, 0, 22, 20),  # moved
    cell(5, "Basophil", 40, 50, 60, 70, source="file"),  # added; cell 4 is removed
)


def test_every_kind_of_change() -> None:
    found = diff(BEFORE, AFTER)
    assert (found.images, found.unchanged) == (1, 1)
    assert [each.id for each in found.added] == [5]
    assert [each.id for each in found.removed] == [4]
    assert [(each.before.id, each.after.id) for each in found.relabelled] == [(1, 1), (2, 2)]
    assert [(each.before.id, each.iou) for each in found.moved] == [(0, 360 / 440), (2, 400 / 480)]
    assert [each.before.id for each in found.both] == [2]
    assert found.confusion == {("Monocyte", "Neutrophil"): 2}
    assert found.by_class == {
        "Lymphocyte": {"moved": 1},
        "Basophil": {"added": 1},
        "Monocyte": {"relabelled": 1, "both": 1},
        "Other": {"unchanged": 1, "removed": 1},
    }
    assert list(found.by_class) == ["Lymphocyte", "Basophil", "Monocyte", "Other"]
    assert found.by_annotator == {
        "auto": {"relabelled": 1, "both": 1, "removed": 1},
        "file": {"added": 1},
        "manual": {"moved": 1, "unchanged": 1},
    }
    assert found


def test_as_text() -> None:
    assert str(diff(BEFORE, AFTER)).splitlines() == [
        "1 image compared: 1 cell unchanged, 1 moved, 1 relabelled, 1 moved and relabelled, 1 removed, 1 added",
        "IoU of the moved cells: 0.826 on average",
        "",
        "class       unchanged  moved  relabelled  both  removed  added",
        "Lymphocyte          0      1           0     0        0      0",
        "Basophil            0      0           0     0        0      1",
        "Monocyte            0      0           1     1        0      0",
        "Other               1      0           0     0        1      0",
        "",
        "annotator  unchanged  moved  relabelled  both  removed  added",
        "auto               0      0           1     1        1      0",
        "file               0      0           0     0        0      1",
        "manual             1      1           0     0        0      0",
        "",
        "class before  class after  cells",
        "Monocyte      Neutrophil       2",
        "",
        "changed cells:",
        'image "P1/a.png" cell 0: moved by 2.00 px (IoU 0.818)',
        'image "P1/a.png" cell 1: Monocyte -> Neutrophil',
        'image "P1/a.png" cell 2: Monocyte -> Neutrophil, moved by 4.00 px (IoU 0.833)',
        'image "P1/a.png" cell 4: removed (Other)',
        'image "P1/a.png" cell 5: added (Basophil)',
    ]


def test_the_first_twenty_changed_cells_are_listed_and_the_others_counted() -> None:
    many = data(*(cell(n, "Other", 6 * n, 0, 6 * n + 5, 9) for n in range(25)))
    lines = str(diff(many, data())).splitlines()
    assert lines[lines.index("changed cells:") + 1] == 'image "P1/a.png" cell 0: removed (Other)'
    assert lines[-2:] == ['image "P1/a.png" cell 19: removed (Other)', "... and 5 more"]
    assert "changed cells" not in str(diff(many, many))


def test_as_json() -> None:
    plain = diff(BEFORE, AFTER).to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["confusion"] == [{"before": "Monocyte", "after": "Neutrophil", "cells": 2}]
    assert plain["removed"] == [{"image": A, "cell": 4, "label": "Other", "box": [160, 0, 180, 20]}]
    moved = plain["moved"]
    assert isinstance(moved, list)
    assert moved[0]["iou"] == 0.818182
    assert (plain["unchanged"], plain["both"]) == (1, 1)
    assert plain["counts"] == {
        "unchanged": 1,
        "moved": 1,
        "relabelled": 1,
        "both": 1,
        "removed": 1,
        "added": 1,
    }


def test_an_attribute_names_the_annotator() -> None:
    named = replace(BEFORE, cells=(structs.replace(BEFORE.cells[0], attributes=(("by", "Dr A"),)),))
    assert diff(named, data(), annotator="by").by_annotator == {"Dr A": {"removed": 1}}
    assert diff(named, data(), annotator="who").by_annotator == {"(unknown)": {"removed": 1}}
    assert "annotator" not in str(diff(named, data(), annotator="who"))


def test_rounding_is_no_move() -> None:
    rounded = data(cell(0, "Other", 10.01, 10, 20, 20.005))
    exact = data(cell(0, "Other", 10, 10, 20, 20))
    assert not diff(exact, rounded)
    assert len(diff(exact, rounded, tolerance=0).moved) == 1
    assert len(diff(exact, data(cell(0, "Other", 10.02, 10, 20, 20))).moved) == 1


def test_below_the_threshold_it_is_another_cell() -> None:
    one, other = data(cell(0, "Other", 0, 0, 20, 20)), data(cell(0, "Other", 10, 0, 30, 20))
    found = diff(one, other)  # an IoU of 1/3
    assert (len(found.removed), len(found.added), len(found.moved)) == (1, 1, 0)
    found = diff(one, other, iou=1 / 3)
    assert (len(found.removed), len(found.added), len(found.moved)) == (0, 0, 1)


def test_pairs_are_exact_where_greedy_ones_lose_a_cell() -> None:
    # the best single pair is (a, d), which leaves b without a partner
    a, b = cell(0, "Other", 0, 0, 100, 10), cell(1, "Other", 0, 0, 64, 10)
    c, d = cell(0, "Other", 0, 0, 130, 10), cell(1, "Other", 0, 0, 90, 10)
    assert iou(a.box, d.box) > max(iou(a.box, c.box), iou(b.box, d.box))
    assert iou(b.box, c.box) < 0.5 <= min(iou(a.box, c.box), iou(b.box, d.box))
    found = diff(data(a, b), data(c, d))
    assert not found.removed
    assert [(each.before.id, each.after.id) for each in found.moved] == [(0, 0), (1, 1)]


def test_of_two_cells_on_one_place_the_labels_decide() -> None:
    one = data(cell(0, "Other", 0, 0, 20, 20), cell(1, "Monocyte", 0, 0, 20, 20))
    assert not diff(one, data(cell(0, "Monocyte", 0, 0, 20, 20), cell(1, "Other", 0, 0, 20, 20)))
    shifted = data(cell(0, "Monocyte", 1, 0, 21, 20), cell(1, "Other", 1, 0, 21, 20))
    assert (len(diff(one, shifted).moved), len(diff(one, shifted).relabelled)) == (2, 0)


@pytest.mark.parametrize("shift", [0, 1])
def test_of_two_cells_on_one_place_one_was_relabelled(shift: int) -> None:
    place = (shift, 0, 20 + shift, 20)
    one = data(cell(0, "Basophil", 0, 0, 20, 20), cell(1, "Monocyte", 0, 0, 20, 20))
    other = data(cell(0, "Monocyte", *place), cell(1, "Other", *place))
    assert diff(one, other).confusion == {("Basophil", "Other"): 1}
    assert diff(other, one).confusion == {("Other", "Basophil"): 1}


def test_images_of_one_side_only() -> None:
    one = data(cell(0, "Other", 0, 0, 20, 20), images=(A, "P2/b.png"))
    other = data(images=(A, "P3/c.png"))
    found = diff(one, other)
    assert (found.only_before, found.only_after) == (("P2/b.png",), ("P3/c.png",))
    assert "1 image only in the data before, not compared: P2/b.png" in str(found)
    assert diff(data(images=(A, "P2/b.png")), data())  # an image that is gone is a change
    both = agreement(one, other)
    assert (both.images_only_one, both.images_only_other) == (("P2/b.png",), ("P3/c.png",))
    assert "1 image in the second data set only, not compared: P3/c.png" in str(both)


def test_by_name() -> None:
    one = data(cell(0, "Other", 0, 0, 20, 20))
    there = replace(one.images[0], id=ImageId("Train/P1/a.png"), name=str(A), subset="Train")
    other = Dataset("x", NINE, (there,), (cell(0, "Other", 0, 0, 20, 20, image=there.id),))
    with pytest.raises(
        InvalidDataset, match="demo and x: have no image in common; compare by name: by='name'"
    ):
        diff(one, other)
    assert not diff(one, other, by="name")
    twice = replace(other, images=(there, replace(there, id=ImageId("Test/P1/a.png"))))
    with pytest.raises(
        ValueError, match='x: 1 names of images repeat, for example "P1/a.png"; compare by id'
    ):
        diff(one, twice, by="name")


def test_what_cannot_be_compared() -> None:
    one = data()
    with pytest.raises(
        InvalidDataset, match="have different classes: only one of them has Basophil, Eosinophil"
    ):
        diff(one, one.task("wbc"))
    larger = replace(one, images=(replace(one.images[0], width=300),))
    with pytest.raises(
        InvalidDataset, match='image "P1/a.png": is 200 x 100 pixels in one data set, 300 x 100 in'
    ):
        agreement(one, larger)
    for wrong in (0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="must be above 0, up to 1"):
            diff(one, one, iou=wrong)
    with pytest.raises(ValueError, match="tolerance -1: must be 0 or more pixels"):
        diff(one, one, tolerance=-1)
    with pytest.raises(ValueError, match='by "file": must be id or name'):
        diff(one, one, by="file")  # type: ignore[arg-type]


# Properties


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ds=datasets())
def test_nothing_changed(ds: Dataset) -> None:
    found = diff(ds, ds)
    assert not found
    assert found.unchanged == len(ds.cells)
    both = agreement(ds, ds)
    assert (both.matched, both.same_label, both.only_one, both.only_other) == (
        len(ds.cells),
        len(ds.cells),
        (),
        (),
    )
    assert both.f1 == both.mean_iou == (1 if ds.cells else None)


@st.composite
def smears(draw: st.DrawFn) -> Dataset:
    """Cells of one image that may lie on one another."""
    labels = st.sampled_from(("Lymphocyte", "Other", "Monocyte", IGNORE))
    drawn = draw(st.lists(st.tuples(labels, boxes(6, 6)), max_size=7))
    return data(*(Cell(A, number, label, box, label) for number, (label, box) in enumerate(drawn)))


@settings(max_examples=200, deadline=None)
@given(one=smears(), other=smears(), threshold=st.sampled_from((0.05, 0.3, 0.5, 0.9)))
def test_forth_and_back(one: Dataset, other: Dataset, threshold: float) -> None:
    there, back = diff(one, other, iou=threshold), diff(other, one, iou=threshold)
    assert there.added == back.removed
    assert there.removed == back.added
    assert there.unchanged == back.unchanged
    assert {(a, b, overlap) for b, a, overlap in there.moved} == set(back.moved)
    assert there.confusion == {(a, b): count for (b, a), count in back.confusion.items()}
    for found, ds, kinds in ((there, one, "removed"), (back, other, "removed")):
        here = found.unchanged + len(found.moved) + len(found.relabelled) - len(found.both)
        assert here + len(getattr(found, kinds)) == len(ds.cells)


@settings(max_examples=200, deadline=None)
@given(one=smears(), other=smears(), threshold=st.sampled_from((0.05, 0.3, 0.5, 0.9)))
def test_no_pairing_overlaps_more(one: Dataset, other: Dataset, threshold: float) -> None:
    pairs = pair(one.cells, other.cells, threshold)
    assert len({a.id for a, _, _ in pairs}) == len({b.id for _, b, _ in pairs}) == len(pairs)
    assert all(overlap == iou(a.box, b.box) >= threshold for a, b, overlap in pairs)
    same = (
        {a.id for a, _, overlap in pairs if overlap == 1},
        {b.id for _, b, overlap in pairs if overlap == 1},
    )
    left = [each for each in one.cells if each.id not in same[0]]
    right = [each for each in other.cells if each.id not in same[1]]
    assert not {each.box for each in left} & {each.box for each in right}  # the very same boxes go first
    worth = np.array([[iou(a.box, b.box) for b in right] for a in left]).reshape(len(left), len(right))
    worth[worth < threshold] = 0
    best = worth[linear_sum_assignment(worth, maximize=True)].sum()
    assert sum(overlap for _, _, overlap in pairs if overlap < 1) == pytest.approx(best, abs=1e-6)


@st.composite
def edited(draw: st.DrawFn) -> tuple[Dataset, Dataset, dict[str, set[int]]]:
    """Cells far from one another, a reviewer's edits of them, and what these were, by number."""
    labels = st.sampled_from(NINE.labels)
    kinds = st.sampled_from(("unchanged", "moved", "relabelled", "both", "removed", "added"))
    done: dict[str, set[int]] = {}
    before, after = [], []
    for number, kind in enumerate(draw(st.lists(kinds, max_size=15))):
        done.setdefault(kind, set()).add(number)
        label = draw(labels)
        x, y = 60.0 * (number % 5), 40.0 * (number // 5)
        old = Cell(A, number, label, Box(x, y, x + 30, y + 30), label)
        shift = draw(st.sampled_from((0.02, 1.5, -4.0, 7.25))) if kind in ("moved", "both") else 0.0
        box = Box(x + 10 + shift, y, x + 40 + shift, y + 30) if shift else old.box
        if shift:
            old = structs.replace(old, box=Box(x + 10, y, x + 40, y + 30))
        others = st.sampled_from([each for each in NINE.labels if each != label])
        new = structs.replace(old, box=box, label=draw(others) if kind in ("relabelled", "both") else label)
        before += [] if kind == "added" else [old]
        after += [] if kind == "removed" else [structs.replace(new, id=99 - number)]
    image = (Image(A, 400, 200),)
    return Dataset("x", NINE, image, tuple(before)), Dataset("x", NINE, image, tuple(after)), done


@settings(max_examples=200, deadline=None)
@given(case=edited())
def test_planted_edits_are_found(case: tuple[Dataset, Dataset, dict[str, set[int]]]) -> None:
    before, after, done = case
    found = diff(before, after)
    both = done.get("both", set())
    assert {each.before.id for each in found.moved} == done.get("moved", set()) | both
    assert {each.before.id for each in found.relabelled} == done.get("relabelled", set()) | both
    assert {each.before.id for each in found.both} == both
    assert {each.id for each in found.removed} == done.get("removed", set())
    assert {99 - each.id for each in found.added} == done.get("added", set())
    assert found.unchanged == len(done.get("unchanged", set()))
    assert all(99 - each.after.id == each.before.id for each in (*found.moved, *found.relabelled))
    for kind in ("unchanged", "moved", "relabelled", "both", "removed", "added"):
        expected = len(done.get(kind, set()))
        assert found.counts[kind] == expected
        for table in (found.by_class, found.by_annotator):
            assert sum(kinds.get(kind, 0) for kinds in table.values()) == expected


# Agreement


def test_agreement() -> None:
    found = agreement(BEFORE, AFTER)
    assert (found.images, found.matched, found.same_label) == (1, 4, 2)
    assert [each.id for each in found.only_one] == [4]
    assert [each.id for each in found.only_other] == [5]
    assert found.labels == ("Lymphocyte", "Neutrophil", "Basophil", "Monocyte", "Other")
    assert found.confusion == {
        ("Lymphocyte", "Lymphocyte"): 1,
        ("Monocyte", "Neutrophil"): 2,
        ("Other", "Other"): 1,
    }
    assert found.f1 == 0.8
    assert found.mean_iou == pytest.approx((360 / 440 + 400 / 480 + 2) / 4)
    assert found.kappa == pytest.approx((0.5 - 2 / 16) / (1 - 2 / 16))
    assert str(found).splitlines() == [
        "1 image compared: both drew 4 cells, 1 only the one, 1 only the other",
        "detection: F1 0.8000, mean IoU 0.9129",
        "labels: 2 of 4 the same (50.0%), Cohen's kappa 0.4286",
        "",
        "one \\ other       Lymphocyte  Neutrophil  Basophil  Monocyte  Other  (only the one)",
        "Lymphocyte                 1           0         0         0      0               0",
        "Neutrophil                 0           0         0         0      0               0",
        "Basophil                   0           0         0         0      0               0",
        "Monocyte                   0           2         0         0      0               0",
        "Other                      0           0         0         0      1               1",
        "(only the other)           0           0         1         0      0",
    ]
    plain = found.to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["confusion"] == [
        {"one": "Lymphocyte", "other": "Lymphocyte", "cells": 1},
        {"one": "Monocyte", "other": "Neutrophil", "cells": 2},
        {"one": "Other", "other": "Other", "cells": 1},
    ]


def test_agreement_on_nothing() -> None:
    found = agreement(data(), data())
    assert (found.kappa, found.f1, found.mean_iou) == (None, None, None)
    assert "Cohen's kappa undefined" in str(found)


@settings(max_examples=200, deadline=None)
@given(
    labels=st.lists(
        st.tuples(*[st.sampled_from(("Lymphocyte", "Other", "Monocyte", IGNORE))] * 2), max_size=12
    )
)
def test_kappa_is_scikit_learns(labels: list[tuple[str, str]]) -> None:
    places = [(15.0 * number, 0.0, 15.0 * number + 10, 10.0) for number in range(12)]
    one, other = (
        data(
            *(
                cell(n, pair_[side], *place)
                for n, (pair_, place) in enumerate(zip(labels, places, strict=False))
            )
        )
        for side in (0, 1)
    )
    found = agreement(one, other)
    assert found.matched == len(labels)
    if len({label for pair_ in labels for label in pair_}) < 2:
        assert found.kappa is None
    else:
        expected = cohen_kappa_score([a for a, _ in labels], [b for _, b in labels])
        assert found.kappa == pytest.approx(expected, abs=1e-12)


# As it is used


def test_an_export_that_was_reviewed(tmp_path: Path) -> None:
    export = sample.write(tmp_path / "sample.zip", patients=1, images=2)
    ds = read(export)
    assert not diff(ds, read(export))
    changed = structs.replace(ds.cells[0], label="Other", raw_label="Other")
    found = diff(ds, replace(ds, cells=(changed, *ds.cells[2:])))
    assert [each.before for each in found.relabelled] == [ds.cells[0]]
    assert found.removed == (ds.cells[1],)


def test_speed() -> None:
    rng = np.random.default_rng(0)
    images = tuple(Image(ImageId(f"{n:05}.png"), 2000, 2000) for n in range(2000))

    def annotated(jitter: float) -> Dataset:
        places = np.random.default_rng(1).uniform(0, 1900, (40_000, 2)) + rng.normal(0, jitter, (40_000, 2))
        corners = np.clip(np.hstack([places, places + 80]), 0, 2000).round(2).tolist()
        cells = (
            Cell(images[n // 20].id, n % 20, NINE.labels[n % 9], Box(*sides))
            for n, sides in enumerate(corners)
        )
        return Dataset("large", NINE, images, tuple(cells))

    one, other = annotated(0), annotated(4)
    start = time.perf_counter()
    found = diff(one, other)
    took = time.perf_counter() - start
    assert len(found.moved) > 39_000
    assert took < 10, f"{took:.1f} s"
