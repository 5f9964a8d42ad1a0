"""One way of scoring for all detectors: what pycocotools says, what can be counted by hand, and what is refused."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Patient
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.metrics import average_precision
from pcm_leukemia.baselines.metrics.detection import from_coco_results, score, to_coco_results
from pcm_leukemia.baselines.metrics.groups import groups_of
from pcm_leukemia.baselines.metrics.matching import match
from pcm_leukemia.converters import coco
from pcm_leukemia.errors import DataNotFound, InvalidDataset, InvalidExport
from pcm_leukemia.schema import UNTYPED, ImageId, PatientId, Taxonomy

BLOOD = Taxonomy("bccd", ("WBC", "RBC", "Platelets"))
Everything = Mapping[ImageId, Detections]


def found(*rows: tuple[tuple[float, float, float, float], float, int]) -> Detections:
    boxes = np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4)
    scores, labels = [row[1] for row in rows], [row[2] for row in rows]
    return Detections(boxes, np.array(scores, np.float32), np.array(labels, np.int64))


def smears(
    rng: np.random.Generator, images: int = 12, taxonomy: Taxonomy = BLOOD
) -> tuple[Dataset, Everything]:
    """Crowded images as BCCD's, of four patients, and a detector that is often right; whole pixels and ties."""
    rows, cells, everything = [], [], {}
    classes = len(taxonomy.labels)
    for number in range(images):
        image = Image(ImageId(f"P{number % 4}/{number}.png"), 640, 480, patient=PatientId(f"P{number % 4}"))
        rows.append(image)
        seen = []
        for place in range(int(rng.integers(0, 14))):
            x, y = int(rng.integers(0, 560)), int(rng.integers(0, 400))
            width, height = rng.integers(8, 78, 2).tolist()
            box = x, y, min(x + width, 640), min(y + height, 480)
            label = int(rng.choice(classes, p=None if classes != 3 else [0.1, 0.8, 0.1]))
            ignored = rng.random() < 0.05
            cells.append(Cell(image.id, place, IGNORE if ignored else taxonomy.labels[label], Box(*box)))
            if rng.random() < 0.85:
                moved = np.array(box) + rng.integers(-4, 5, 4)
                guess = label if rng.random() < 0.9 else int(rng.integers(classes))
                seen.append((tuple(moved.tolist()), round(float(rng.beta(5, 2)), 2), guess))
        for _ in range(int(rng.integers(0, 8))):
            x, y = int(rng.integers(0, 560)), int(rng.integers(0, 400))
            seen.append(((x, y, x + 40, y + 30), round(float(rng.random()), 2), int(rng.integers(classes))))
        everything[image.id] = found(*seen)
    people = tuple(Patient(PatientId(f"P{number}")) for number in range(min(4, images)))
    return Dataset("smears", taxonomy, tuple(rows), tuple(cells), people), everything


def pycocotools(ds: Dataset, everything: Everything) -> COCOeval:
    """pycocotools on the same cells: every ignored one is a crowd of each class."""
    annotations: list[dict[str, Any]] = []
    results = []
    for number, image in enumerate(ds.images, 1):
        for cell in ds.cells_of(image):
            box, ignored = cell.box, cell.label == IGNORE
            labels = ds.taxonomy.labels if ignored else (cell.label,)
            width, height = box.x2 - box.x1, box.y2 - box.y1
            for label in labels:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": ds.taxonomy.labels.index(label) + 1,
                        "bbox": [box.x1, box.y1, width, height],
                        "area": width * height,
                        "iscrowd": int(ignored),
                    }
                )
        for (x1, y1, x2, y2), how, label in zip(
            *(each.tolist() for each in everything[image.id]), strict=True
        ):
            row = {
                "image_id": number,
                "category_id": label + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": how,
            }
            results.append(row)
    truth = {
        "images": [{"id": n, "width": i.width, "height": i.height} for n, i in enumerate(ds.images, 1)],
        "categories": [{"id": n, "name": label} for n, label in enumerate(ds.taxonomy.labels, 1)],
        "annotations": annotations,
    }
    return evaluate(truth, results)


def evaluate(truth: dict[str, Any], results: list[dict[str, Any]]) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = truth
        data.createIndex()
        none = COCO()  # loadRes takes no empty list
        none.dataset = {**truth, "annotations": []}
        none.createIndex()
        ran = COCOeval(data, data.loadRes(results) if results else none, "bbox")
        ran.evaluate()
        ran.accumulate()
        ran.summarize()
    return ran


def numbers(scores: Mapping[str, float | None]) -> list[float]:
    return [-1 if value is None else value for value in scores.values()]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32 - 1), st.sampled_from([BLOOD, NINE]), st.integers(1, 12))
def test_the_twelve_numbers_are_those_of_pycocotools(seed: int, taxonomy: Taxonomy, images: int) -> None:
    ds, everything = smears(np.random.default_rng(seed), images, taxonomy)
    peer = pycocotools(ds, everything)
    scores = score(ds, everything, draws=0)
    np.testing.assert_allclose(numbers(scores.coco), peer.stats, rtol=0, atol=1e-10)
    precision = peer.eval["precision"][:, :, :, 0, 2]
    for k, label in enumerate(taxonomy.labels):
        of = precision[:, :, k]
        for ours, theirs in zip(scores.of[label][:3], (of, of[0], of[5]), strict=True):
            expected = theirs[theirs > -1].mean() if (theirs > -1).any() else None
            assert ours == (None if expected is None else pytest.approx(expected, abs=1e-10))
        if scores.cells[label]:
            np.testing.assert_allclose(scores.curves[label].at50, of[0])
            assert np.mean(scores.curves[label].mean) == pytest.approx(scores.of[label].ap)
        else:
            assert label not in scores.curves


def test_the_files_that_we_write_say_the_same(tmp_path: Path) -> None:
    ds, everything = smears(np.random.default_rng(1))
    ds = replace(ds, cells=tuple(cell for cell in ds.cells if cell.label != IGNORE))
    coco.write(ds, tmp_path / "coco")
    truth = json.loads((tmp_path / "coco/annotations/all.json").read_text(encoding="utf-8"))
    rows = to_coco_results(ds, everything)
    (tmp_path / "results.json").write_text(json.dumps(rows), encoding="utf-8")
    peer = evaluate(truth, rows)
    back = from_coco_results(tmp_path / "results.json", ds)
    for scores in (score(ds, everything, draws=0), score(ds, back, draws=0)):
        np.testing.assert_allclose(numbers(scores.coco), peer.stats, rtol=0, atol=1e-10)
    assert peer.stats[0] > 0.2
    # a category too far on, and there is nothing left
    shifted = [{**row, "category_id": row["category_id"] % 3 + 1} for row in rows]
    wrong = score(ds, from_coco_results(shifted, ds), draws=0)
    assert wrong.overall.ap is not None
    assert wrong.overall.ap < 0.05
    zero = [{**row, "category_id": row["category_id"] - 1} for row in rows]
    with pytest.raises(InvalidExport, match="category_id 0 does not exist"):
        from_coco_results(zero, ds)
    assert score(ds, from_coco_results(zero, ds, first_category=0), draws=0) == score(ds, back, draws=0)


def test_predictions_come_back_as_they_went() -> None:
    ds, everything = smears(np.random.default_rng(2))
    back = from_coco_results(to_coco_results(ds, everything), ds)
    assert list(back) == [image.id for image in ds.images]
    for image, each in everything.items():
        order = np.argsort(-each.scores, kind="stable")
        for name in Detections._fields:
            before, after = getattr(each, name), getattr(back[image], name)
            np.testing.assert_array_equal(before[order], after)
            assert before.dtype == after.dtype


# By hand


def one(*cells: tuple[str, tuple[float, float, float, float]], taxonomy: Taxonomy = NINE) -> Dataset:
    image = Image(ImageId("a.png"), 200, 100)
    rows = (Cell(image.id, n, label, Box(*box)) for n, (label, box) in enumerate(cells))
    return Dataset("one", taxonomy, (image,), tuple(rows))


A, B, C = (0, 0, 20, 20), (50, 0, 70, 20), (100, 0, 120, 20)
LYMPHOCYTE, MONOCYTE, OTHER = 0, 5, 8


def test_perfect_detections_score_one_and_the_average_leaves_out_classes_without_cells() -> None:
    ds = one(("Lymphocyte", A), ("Other", B))
    scores = score(ds, {ds.images[0].id: found((A, 0.9, LYMPHOCYTE), (B, 0.8, OTHER))})
    assert scores.overall[:3] == pytest.approx((1, 1, 1))
    assert scores.of["Monocyte"] == (None, None, None, None, None)
    assert list(scores.curves) == ["Lymphocyte", "Other"]
    assert scores.curves["Other"].at50 == pytest.approx((1,) * 101)


def test_what_is_taken_for_what() -> None:
    """A cell under a wrong name is found, not missed; a second prediction of it is spurious, whatever its class."""
    ds = one(("Lymphocyte", A), ("Lymphocyte", B), ("Other", C))
    predictions = found((A, 0.9, MONOCYTE), (A, 0.8, LYMPHOCYTE), (C, 0.7, MONOCYTE), (B, 0.4, LYMPHOCYTE))
    scores = score(ds, {ds.images[0].id: predictions})
    assert scores.confusion[LYMPHOCYTE][MONOCYTE] == 1
    assert scores.confusion[LYMPHOCYTE][-1] == 1  # its prediction is below the threshold
    assert scores.confusion[OTHER][MONOCYTE] == 1
    assert scores.confusion[-1][LYMPHOCYTE] == 1
    assert sum(map(sum, scores.confusion)) == 4
    assert (scores.found, scores.findable, scores.recall) == (1, 2, 0.5)
    lower = score(ds, {ds.images[0].id: predictions}, threshold=0.4)
    assert (lower.found, lower.findable) == (2, 2)
    everything = score(ds, {ds.images[0].id: predictions}, other="")
    assert (everything.found, everything.findable) == (2, 3)
    # AP goes over all scores: of two lymphocytes the second and fourth predictions are right
    assert scores.of["Lymphocyte"].ap50 == pytest.approx(1.0)
    assert scores.of["Other"].ap50 == 0


def test_average_precision_counted_by_hand() -> None:
    """Right, wrong, right, for three cells: precision 1 up to recall 1/3, 2/3 up to recall 2/3."""
    ds = one(("Other", A), ("Other", B), ("Other", C))
    far = (0, 60, 20, 80)
    scores = score(ds, {ds.images[0].id: found((A, 0.9, OTHER), (far, 0.8, OTHER), (B, 0.7, OTHER))})
    assert scores.of["Other"].ap == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert scores.curves["Other"].at50[33:35] == pytest.approx((1, 2 / 3))


def test_iou_of_exactly_half_counts() -> None:
    ds = one(("Other", (0, 0, 20, 20)))
    assert score(ds, {ds.images[0].id: found(((0, 0, 20, 10), 0.5, OTHER))}, other="").found == 1
    assert score(ds, {ds.images[0].id: found(((0, 0, 20, 9.9), 0.5, OTHER))}, other="").found == 0


def test_ignored_cells_are_neither_missed_nor_wrong_to_find() -> None:
    ds = one(("Lymphocyte", A), (IGNORE, (100, 0, 180, 80)))
    inside, beside = (120, 10, 140, 30), (30, 60, 50, 80)
    here = found((A, 0.9, LYMPHOCYTE), (inside, 0.95, LYMPHOCYTE), (beside, 0.6, LYMPHOCYTE))
    scores = score(ds, {ds.images[0].id: here})
    assert scores.ignored == 1
    assert scores.overall.ap == pytest.approx(1)
    assert scores.confusion[-1][LYMPHOCYTE] == 1
    assert sum(map(sum, scores.confusion)) == 2
    assert "1 image (0 without cells), 1 cell, 1 ignored" in str(scores)


def test_a_white_cell_of_unknown_type_is_to_be_found_in_the_task_wbc_alone() -> None:
    ds = one(("Lymphocyte", A), (UNTYPED, (100, 0, 180, 80)))
    nine = score(ds, {ds.images[0].id: found((A, 0.9, LYMPHOCYTE), ((100, 0, 180, 80), 0.8, LYMPHOCYTE))})
    assert (nine.ignored, nine.findable, nine.found, sum(map(sum, nine.confusion))) == (1, 1, 1, 1)
    white = score(ds.task("wbc"), {ds.images[0].id: found((A, 0.9, 0))}, other="Other")
    assert (white.ignored, white.findable, white.found) == (0, 2, 1)
    assert white.cells == {"WBC": 2, "Other": 0}


def test_images_without_cells_count() -> None:
    ds = one(("Other", A))
    image = Image(ImageId("b.png"), 200, 100)
    more = replace(ds, images=(*ds.images, image))
    good = {ds.images[0].id: found((A, 0.8, OTHER))}
    assert score(ds, good).overall.ap == pytest.approx(1)
    scores = score(more, {**good, image.id: found((A, 0.9, OTHER))})
    assert (scores.images, scores.negatives) == (2, 1)
    assert scores.overall.ap == pytest.approx(0.5)
    assert scores.confusion[-1][OTHER] == 1


def test_nothing_found_and_nothing_to_find() -> None:
    ds = one(("Other", A))
    nothing = {ds.images[0].id: found()}
    assert score(ds, nothing).overall[:3] == (0, 0, 0)
    assert score(one(), nothing).overall == (None,) * 5
    assert score(one(), nothing).recall is None
    empty = Dataset("empty", NINE, ())
    assert score(empty, {}).images == 0
    assert score(empty, {}).overall.ap is None


def test_the_best_scored_prediction_chooses_first_and_takes_the_nearest_cell() -> None:
    cells = one(("Other", (0, 0, 20, 20)), ("Other", (4, 0, 24, 20))).cells
    middle, left = (3, 0, 23, 20), (0, 0, 20, 20)
    assert match(cells, found((left, 0.7, 0), (middle, 0.9, 0))).pairs == ((1, 1), (0, 0))
    assert match(cells, found((left, 0.9, 0), (left, 0.8, 0))).pairs == ((0, 0), (1, 1))
    assert match(cells, found((left, 0.9, 0), (left, 0.8, 0)), iou=0.7) == (((0, 0),), (1,), (1,))


# Intervals


def test_a_draw_is_what_pycocotools_says_of_the_patients_drawn() -> None:
    """Images that are drawn twice stand twice in the data that pycocotools gets."""
    rng = np.random.default_rng(3)
    ds, everything = smears(rng, 24)
    # without ties, whose order is nobody's: that of the copies is another
    everything = {
        image: each._replace(scores=each.scores * rng.uniform(0.99, 1, len(each.scores)).astype(np.float32))
        for image, each in everything.items()
    }
    drawn = average_precision.bootstrap(
        ds, everything, [str(image.patient) for image in ds.images], 6, seed=5
    )
    times = np.random.default_rng(5).multinomial(4, [0.25] * 4, 6)
    assert times.max() > 1
    for row, counts in zip(drawn, times.tolist(), strict=True):
        images, cells, again = [], [], {}
        for image in ds.images:
            for copy in range(counts[int(str(image.patient)[1:])]):
                other = replace(image, id=ImageId(f"{image.id}_{copy}"), name="")
                images.append(other)
                again[other.id] = everything[image.id]
                cells += [Cell(other.id, c.id, c.label, c.box) for c in ds.cells_of(image)]
        peer = pycocotools(Dataset("drawn", BLOOD, tuple(images), tuple(cells), ds.patients), again)
        np.testing.assert_allclose(row[-1], peer.stats[:2], rtol=0, atol=1e-10)
        for k in range(3):
            values = peer.eval["precision"][:, :, k, 0, 2]
            expected = [values.mean(), values[0].mean()] if values.min() > -1 else [np.nan] * 2
            np.testing.assert_allclose(row[k], expected, rtol=0, atol=1e-10)


def test_intervals_are_over_patients_or_it_says_so() -> None:
    ds, everything = smears(np.random.default_rng(4), 40)
    scores = score(ds, everything, draws=200)
    assert scores.patients == 4
    for each in (scores.overall, scores.of["RBC"]):
        assert each.interval is not None
        assert each.ap is not None
        assert each.interval[0] < each.ap < each.interval[1]
    assert score(ds, everything, draws=200) == scores
    assert score(ds, everything, draws=200, seed=1).overall.interval != scores.overall.interval
    assert score(ds, everything, draws=0).overall.interval is None
    anonymous = replace(ds, images=tuple(replace(image, patient=None) for image in ds.images), patients=())
    without = score(anonymous, everything, draws=200)
    assert without.patients is None
    assert without.overall.interval is not None
    assert without.overall.interval != scores.overall.interval
    assert "200 draws of images, seed 0; without patient ids, they are narrower than" in str(without)
    said = "95 % intervals: 200 draws of patients, seed 0; 4 patients are few, so the intervals are rough and may be too narrow"
    assert f"{said}\n" in str(scores)
    assert (
        score(
            anonymous.select(images=[ds.images[0].id]), {k: everything[k] for k in [ds.images[0].id]}
        ).overall.interval
        is None
    )


def test_groups_are_drawn_where_patients_are_not_known() -> None:
    ds, everything = smears(np.random.default_rng(4), 40)
    slides = tuple(replace(image, patient=None, group=f"slide {image.patient}") for image in ds.images)
    grouped = replace(ds, images=slides, patients=())
    by_patient, by_group = (score(each, everything, draws=200) for each in (ds, grouped))
    assert by_group.overall == by_patient.overall
    assert (by_group.unit, by_group.groups, by_group.patients) == ("groups", 4, None)
    assert "200 draws of groups, seed 0; if groups share patients, they are narrower than" in str(by_group)
    lacking = replace(grouped, images=(replace(slides[0], group=None), *slides[1:]))
    assert groups_of(lacking, [slides[0].id])[1] == "images"
    mixed = replace(ds, images=(replace(ds.images[0], patient=None, group="slide"), *ds.images[1:]))
    names, unit = groups_of(mixed, [image.id for image in ds.images])
    assert (unit, len(set(names))) == ("groups", 5)


# What it says, and what it refuses


def test_as_text_and_as_json() -> None:
    ds, everything = smears(np.random.default_rng(6), 20)
    scores = score(ds, everything, draws=20)
    given = json.loads(json.dumps(scores.to_json()))
    assert given["mAP"]["ap"] == scores.overall.ap
    assert given["classes"]["WBC"]["interval50"] == list(scores.of["WBC"].interval50 or ())
    assert given["confusion"]["cells"][0] == list(scores.confusion[0])
    assert len(given["curves"]["RBC"]["at50"]) == 101
    assert sum(map(sum, given["confusion"]["cells"][:-1])) == sum(given["cells"].values())
    lines = str(scores).splitlines()
    counts = Counter(cell.label for cell in ds.cells)
    cells = sum(counts[label] for label in BLOOD.labels)
    empty = sum(all(cell.label == IGNORE for cell in ds.cells_of(image)) for image in ds.images)
    about = f"4 patients, 20 images ({empty} without cells), {cells} cells, {counts[IGNORE]} ignored"
    assert lines[0] == about
    assert scores.overall.ap
    assert lines[1].startswith(f"mAP 50-95 {100 * scores.overall.ap:.1f} (")
    assert scores.recall is not None
    assert scores.recall_interval is not None
    assert 0 < scores.recall_interval.low < scores.recall < scores.recall_interval.high < 1
    assert given["recall_interval"] == list(scores.recall_interval)
    low, high = (f"{100 * end:.1f}" for end in scores.recall_interval)
    share = f"{100 * scores.found / scores.findable:.1f} ({low} to {high})"
    found_line = f"found, in any class: {scores.found} of {cells}, {share}, at score 0.5, IoU 0.5"
    assert lines[2] == found_line
    assert lines[3].startswith("found at other scores: ")
    assert given["intervals"] == {"over": "patients", "groups": 4, "draws": 20, "seed": 0}
    assert lines[6].split()[:2] == ["WBC", str(counts["WBC"])]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"b.png": found()},
            'predictions of image "b.png": the image is not in the data set; give predictions of this part',
        ),
        ({"a.png": None}, 'image "a.png": has no predictions; run the detector on every image'),
        (
            {"a.png": found((A, 0.9, 9))},
            "has class ids 9 to 9; class ids are 0 to 8, in the order Lymphocyte",
        ),
        ({"a.png": found((A, 1.5, 0))}, "a score is not from 0 to 1; check the detector's output"),
        ({"a.png": found((A, float("nan"), 0))}, "a score is not from 0 to 1"),
        ({"a.png": found(((9, 0, 8, 1), 0.5, 0))}, "a box is not finite, or x2 < x1 or y2 < y1"),
        (
            {"a.png": found((A, 0.5, 0))._replace(labels=np.zeros(2, np.int64))},
            r"boxes \(1, 4\), scores \(1,\) and labels \(2,\) do not match",
        ),
    ],
)
def test_predictions_that_do_not_fit(change: dict[str, Detections | None], sentence: str) -> None:
    ds = one(("Other", A))
    everything = {"a.png": found(), **change}
    with pytest.raises(InvalidDataset, match=sentence):
        score(ds, {ImageId(image): each for image, each in everything.items() if each})


def test_thresholds_are_shares() -> None:
    ds = one(("Other", A))
    with pytest.raises(ValueError, match=r"threshold 50, iou 0.5: out of range; give values from 0 to 1"):
        score(ds, {ds.images[0].id: found()}, threshold=50)


def test_results_that_are_none(tmp_path: Path) -> None:
    ds = one(("Other", A))
    good = {"image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4], "score": 0.5}
    for change, sentence in {
        "image_id": (
            2,
            r"results\[0\]: image_id 2 does not exist; images are numbered 1 to 1, as in",
        ),
        "category_id": (
            10,
            "category_id 10 does not exist; categories are numbered 1 to 9; see first_category",
        ),
        "bbox": (
            [1, 2, -3, 4],
            r"box \(1.0, 2.0, -2.0, 6.0\) ends before it starts; give \[x, y, width, height\]",
        ),
        "score": (-0.5, "score -0.5 is out of range; give one from 0 to 1"),
    }.items():
        with pytest.raises(InvalidExport, match=sentence[1]):
            from_coco_results([{**good, change: sentence[0]}], ds)
    with pytest.raises(InvalidExport, match="cannot be read .*; give image_id, category_id, bbox as"):
        from_coco_results([{**good, "bbox": [1, 2, 3]}], ds)
    with pytest.raises(DataNotFound, match=r"none.json: cannot be read"):
        from_coco_results(tmp_path / "none.json", ds)
    for content, what in {
        '{"annotations": []}': "is a COCO data set, not COCO results",
        "{}": "is not a COCO results file",
        "nonsense": "is not a COCO results file",
    }.items():
        (tmp_path / "given.json").write_text(content, encoding="utf-8")
        with pytest.raises(InvalidExport, match=what):
            from_coco_results(tmp_path / "given.json", ds)


def test_a_results_file_is_scored_without_the_libraries_that_train(tmp_path: Path) -> None:
    ds = one(("Other", A), ("Monocyte", B))
    coco.write(ds, tmp_path / "coco")
    rows = to_coco_results(ds, {ds.images[0].id: found((A, 0.9, OTHER), (B, 0.8, MONOCYTE))})
    (tmp_path / "results.json").write_text(json.dumps(rows), encoding="utf-8")
    code = """
import sys
for library in ("torch", "torchvision", "ultralytics", "transformers", "timm", "lightning"):
    sys.modules[library] = None  # as if it were not installed
from pcm_leukemia import load_dataset
from pcm_leukemia.baselines.metrics.detection import from_coco_results, score
ds = load_dataset(sys.argv[1])
print(score(ds, from_coco_results(sys.argv[2], ds), draws=0).overall.ap)
"""
    arguments = (str(tmp_path / "coco"), str(tmp_path / "results.json"))
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) == pytest.approx(1)


def test_recall_is_given_at_several_scores() -> None:
    """Three cells, found at 0.9, 0.3 and 0.1."""
    image = Image(ImageId("a.png"), 200, 100)
    sides = [(10, 10, 50, 50), (60, 10, 90, 50), (100, 10, 140, 50)]
    cells = tuple(Cell(image.id, number, "Monocyte", Box(*each)) for number, each in enumerate(sides))
    ds = Dataset("demo", NINE, (image,), cells)
    found = {
        image.id: Detections(
            np.array(sides, np.float32), np.array([0.9, 0.3, 0.1], np.float32), np.full(3, 5)
        )
    }
    scores = score(ds, found, draws=0)
    assert scores.recalls == {0.05: 1.0, 0.25: pytest.approx(2 / 3), 0.5: pytest.approx(1 / 3)}
    assert scores.to_json()["recalls"] == {"0.05": 1.0, "0.25": 2 / 3, "0.5": 1 / 3}
    assert "found at other scores: 100.0 at 0.05, 66.7 at 0.25, 33.3 at 0.5" in str(scores)
    assert score(ds, found, threshold=0.25, draws=0).found == 2
    assert score(replace(ds, cells=()), found, draws=0).recalls == {0.05: None, 0.25: None, 0.5: None}
