"""Annotations that are probably wrong: how they are ranked, which models may judge them, and what an annotator gets."""

from __future__ import annotations

import csv
import json
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from commands import Run as Command
from msgspec import structs
from smoke_runs import SmokeRuns
from test_cross_validation import Trained, hospital
from test_detection_scores import found

from pcm_leukemia import (
    NINE,
    Box,
    Cell,
    Dataset,
    Image,
    baselines,
    checks,
    cvat,
    review,
    sample,
    store,
    update,
)
from pcm_leukemia.baselines import cross_validation, evaluation, inference, suspects, training
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.inference import Classified
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.suspects import Suspect, Suspects
from pcm_leukemia.baselines.suspects.judges import Classes, Sight
from pcm_leukemia.baselines.suspects.ranking import Doubt, rank
from pcm_leukemia.errors import ExportError, LeakySplit, PcmError, UnknownLabel
from pcm_leukemia.loading import load_dataset
from pcm_leukemia.overlaps import iou
from pcm_leukemia.schema import IGNORE, ImageId

WHITE = NINE.labels[:-1]
pytestmark = pytest.mark.filterwarnings("ignore::pcm_leukemia.errors.DataWarning")


# Ranking


class Drawn(NamedTuple):
    """Annotations with errors, what models say of them, and where the errors are."""

    ds: Dataset
    sight: Sight
    classes: Classes
    wrong: dict[tuple[ImageId, int], str]
    removed: list[Cell]


def drawn(seed: int, images: int = 120) -> Drawn:
    """Six cells an image, a fifth of them wrong; models with the statistics of those that the smoke presets train.

    On drawn smears, the detector finds 98 % of the cells, with scores around 0.6 and sides off by 6 %, and sees as many things
    that are no cells, with scores of 0.1 at most, but for one in a hundred. The classifier is right about 87 % of the cells.
    """
    rng = np.random.default_rng(seed)
    rows, true, given, removed = list[Image](), list[Cell](), list[Cell](), list[Cell]()
    wrong: dict[tuple[ImageId, int], str] = {}
    for number in range(images):
        image = Image(ImageId(f"{number:03}.jpg"), 1920, 1080)
        rows.append(image)
        for place in range(7):
            x, y = 40 + 270 * place + rng.uniform(0, 60), rng.uniform(20, 850)
            cell = Cell(
                image.id, place, str(rng.choice(WHITE)), Box(x, y, x + rng.uniform(110, 190), y + 150)
            )
            fate = rng.uniform()
            if place == 6:
                if fate < 0.3:  # a box where nothing is
                    given.append(cell)
                    wrong[cell.image, cell.id] = "spurious"
                continue
            true.append(cell)
            if fate < 0.05:
                removed.append(cell)
                continue
            if fate < 0.10:
                cell = structs.replace(cell, label=str(rng.choice([w for w in WHITE if w != cell.label])))
                wrong[cell.image, cell.id] = "swapped"
            elif fate < 0.15:
                cell = structs.replace(cell, box=moved(cell.box, rng))
                wrong[cell.image, cell.id] = "misplaced"
            given.append(cell)
    ds = Dataset("drawn", NINE, tuple(rows), tuple(given))
    sight = Sight(ds.task("wbc"), {image.id: seen(image, true, rng) for image in rows})
    return Drawn(ds, sight, named(ds, true, rng), wrong, removed)


def moved(box: Box, rng: np.random.Generator) -> Box:
    angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.45)
    x, y = far * np.cos(angle) * box.width, far * np.sin(angle) * box.height
    return Box(max(box.x1 + x, 0), max(box.y1 + y, 0), box.x2 + x, box.y2 + y)


def seen(image: Image, true: Sequence[Cell], rng: np.random.Generator) -> Detections:
    rows = []
    for cell in true:
        if cell.image == image.id and rng.uniform() < 0.98:
            width, height = cell.box.width, cell.box.height
            off = rng.normal(0, 0.06, 4) * [width, height, width, height]
            rows.append((tuple(np.array(structs.astuple(cell.box)) + off), rng.beta(12, 8), 0))
    for _ in range(6):
        x, y = rng.uniform(0, 1700), rng.uniform(0, 900)
        score = rng.uniform(0.1, 0.5) if rng.uniform() < 0.01 else rng.uniform(0, 0.1)
        rows.append(((x, y, x + 140, y + 140), score, 0))
    return found(*sorted(rows, key=lambda row: -row[1]))


def named(ds: Dataset, true: Sequence[Cell], rng: np.random.Generator) -> Classes:
    label_of = {(cell.image, cell.id): cell.label for cell in true}
    rows = []
    for cell in ds.cells:
        known = label_of.get((cell.image, cell.id))
        logits = rng.normal(0, 1, len(WHITE))
        if known:
            logits[WHITE.index(known)] += rng.normal(7, 2)
        if rng.uniform() < 0.1:
            logits[rng.integers(len(WHITE))] += rng.normal(4, 2)
        rows.append(np.exp(logits) / np.exp(logits).sum())
    return Classes(WHITE, ds.cells, np.array(rows, np.float32))


def judged(data: Drawn, doubts: Sequence[Doubt]) -> dict[str, float]:
    hits = dict.fromkeys(("swapped", "missing", "misplaced", "spurious"), 0)
    left = list(data.removed)
    for each in doubts:
        if each.cell:
            kind = data.wrong.get((each.image, each.cell.id))
            if kind:
                hits[kind] += 1
        else:
            near = [c for c in left if c.image == each.image and each.box and iou(c.box, each.box) >= 0.3]
            hits["missing"] += len(near[:1])
            left = [c for c in left if c not in near[:1]]
    count = {kind: list(data.wrong.values()).count(kind) for kind in hits} | {"missing": len(data.removed)}
    return {
        **{kind: hits[kind] / count[kind] for kind in hits},
        "precision": sum(hits.values()) / len(doubts),
    }


@pytest.mark.parametrize("seed", range(5))
def test_planted_errors_are_found(seed: int) -> None:
    data = drawn(seed)
    doubts = [each for each in rank([data.sight], data.classes) if each.score >= suspects.LEAST]
    result = judged(data, doubts)
    assert result["swapped"] >= 0.9
    assert result["missing"] >= 0.9
    assert result["misplaced"] >= 0.8
    assert result["spurious"] >= 0.9
    assert result["precision"] >= 0.8


def test_the_likeliest_errors_come_first_and_a_cell_comes_once() -> None:
    data = drawn(0)
    doubts = rank([data.sight], data.classes)
    assert [each.score for each in doubts] == sorted((each.score for each in doubts), reverse=True)
    assert all(0 <= each.score <= 1 for each in doubts)
    cells = [(each.image, each.cell.id) for each in doubts if each.cell]
    assert len(cells) == len(set(cells))
    # what the detector misses looks like a box where nothing is
    assert judged(data, doubts[:50])["precision"] >= 0.75
    assert {each.kind for each in doubts[:120]} == set(suspects.KINDS) - {"two-labels"}


def test_a_badly_placed_box_belongs_to_the_sure_detection_of_its_cell() -> None:
    data = drawn(0)
    cell = next(each for each in data.ds.cells if (each.image, each.id) not in data.wrong)
    faint = structs.replace(cell.box, x1=cell.box.x1 + 50, x2=cell.box.x2 + 50)
    cells = tuple(
        structs.replace(each, box=faint) if (each.image, each.id) == (cell.image, cell.id) else each
        for each in data.sight.view.cells
    )
    rows = [(structs.astuple(cell.box), 0.6, 0), (structs.astuple(faint), 0.01, 0)]
    view = replace(data.sight.view, cells=cells)
    doubts = rank([Sight(view, {**data.sight.found, cell.image: found(*rows)})])
    (doubt,) = [each for each in doubts if each.cell and (each.image, each.cell.id) == (cell.image, cell.id)]
    assert doubt.kind == "misplaced-box"
    assert doubt.box is not None
    assert iou(doubt.box, cell.box) > 0.99


def test_a_class_that_the_detector_hardly_knows_is_no_suspect_as_a_whole() -> None:
    data = drawn(0)
    ids = [image.id for image in data.ds.images]
    # the detector sees none of the cells of another class: as many as there are images
    others = tuple(Cell(image, 50, "Other", Box(1780, 900, 1900, 1000)) for image in ids)
    order = {image: number for number, image in enumerate(ids)}
    cells = sorted((*data.sight.view.cells, *others), key=lambda cell: (order[cell.image], cell.id))
    doubts = rank([Sight(replace(data.sight.view, cells=tuple(cells)), data.sight.found)])
    kept = [each for each in doubts if each.kind == "spurious-box" and each.score >= suspects.LEAST]
    assert all(each.cell and each.cell.id != 50 for each in kept)
    assert sum(data.wrong.get((each.image, each.cell.id)) == "spurious" for each in kept if each.cell) > 25


def test_ignored_cells_are_neither_judged_nor_missing() -> None:
    data = drawn(0)
    cells = tuple(structs.replace(each, label=IGNORE) for each in data.sight.view.cells)
    doubts = rank([Sight(replace(data.sight.view, cells=cells), data.sight.found)])
    assert all(each.kind == "missing-box" for each in doubts)
    boxes = {image.id: [c.box for c in cells if c.image == image.id] for image in data.ds.images}
    assert not any(each.box and iou(box, each.box) > 0.5 for each in doubts for box in boxes[each.image])


def test_one_cell_with_two_labels_is_a_suspect_twice() -> None:
    one, other, third = (
        Cell(ImageId(image), 0, label, Box(0, 0, 9, 9))
        for image, label in (("a", "Monocyte"), ("b", "Lymphocyte"), ("c", "Lymphocyte"))
    )
    first, *rest = rank(same=[(one, other), (other, third)])
    assert (first.image, first.kind, first.label) == ("a", "two-labels", "Lymphocyte")
    assert first.score == pytest.approx(2 / 3)
    assert [each.score for each in rest] == pytest.approx([1 / 3, 1 / 3])
    assert first.reason == 'the same cell is Lymphocyte as cell 0 of image "b"'
    # the model has the last word, if there is one
    sure = np.full((3, 8), 0.01, np.float32)
    sure[:, WHITE.index("Monocyte")] = 0.9
    by_model = rank(classes=Classes(WHITE, (one, other, third), sure), same=[(one, other), (other, third)])
    assert {each.image: each.label for each in by_model[:2]} == {"b": "Monocyte", "c": "Monocyte"}
    assert rank(same=[(other, third)]) == []


def test_cells_of_copied_images_are_known_to_be_the_same(tmp_path: Path) -> None:
    ds = smears(tmp_path)
    image = ds.images[0]
    copy = replace(image, id=ImageId("copy.jpg"), name="copy.jpg")
    cells = ds.cells_of(image)
    again = [structs.replace(cell, image=copy.id) for cell in cells]
    again[0] = structs.replace(again[0], label="Other" if again[0].label != "Other" else "Monocyte")
    both = replace(ds, images=(image, copy), cells=(*cells, *again))
    pairs = checks.same_cells(both, checks.read_files(both))
    assert {(cells[0], again[0]), (cells[1], again[1])} <= set(pairs)
    doubts = rank(same=pairs)
    assert {(each.image, each.cell and each.cell.id) for each in doubts} == {
        (image.id, cells[0].id),
        (copy.id, cells[0].id),
    }


def test_without_cells_or_detections_there_is_no_suspect() -> None:
    empty = Dataset("empty", NINE, (Image(ImageId("a.jpg"), 100, 100),))
    data = drawn(0, images=3)
    blind = Sight(data.sight.view, {image.id: found() for image in data.ds.images})
    assert rank([blind]) == []
    nothing = Classes(WHITE, (), np.zeros((0, 8), np.float32))
    assert rank([Sight(empty.task("wbc"), {ImageId("a.jpg"): found()})], nothing) == []


def test_a_class_of_which_the_models_are_never_sure_is_no_suspect_as_a_whole() -> None:
    labels = ("Basophil", "Monocyte")
    rows = [("Basophil", 0.4)] * 10 + [("Monocyte", 0.05)] * 10 + [("Monocyte", 0.55)]
    cells = tuple(
        Cell(ImageId("a.png"), number, label, Box(0, 0, 9, 9)) for number, (label, _) in enumerate(rows)
    )
    probabilities = np.array([(share, 1 - share) for _, share in rows], np.float32)
    first, *others = rank(classes=Classes(labels, cells, probabilities))
    assert first.cell == cells[-1]
    assert max(each.score for each in others) < first.score / 2


# Who may judge


class Models(Trained):
    """Stands for training, and for models that know every cell but call each Monocyte of P1 a Lymphocyte."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, set[str]]] = []
        self.looked_at: list[ImageId] = []

    def detect(self, run: Run, view: Dataset, **_: Any) -> dict[ImageId, Detections]:
        self.looked_at += [image.id for image in view.images]
        self.asked.append((run.folder.name, {str(image.patient) for image in view.images}))
        predicted = self.predictions(run, view)
        assert isinstance(predicted, inference.Detected)
        return predicted.found

    def classify(self, run: Run, view: Dataset, **_: Any) -> Classified:
        self.asked.append((run.folder.name, {str(image.patient) for image in view.images}))
        predicted = self.predictions(run, view)
        assert isinstance(predicted, Classified)
        return predicted


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    stand_in = Models()
    for name in ("resnet50", "yolo11m"):
        monkeypatch.setattr(baselines.module(name), "train", stand_in.train)
    monkeypatch.setattr(evaluation, "predictions", stand_in.predictions)
    monkeypatch.setattr(Run, "model", lambda self, _: self)
    monkeypatch.setattr(inference, "detect", stand_in.detect)
    monkeypatch.setattr(inference, "classify", stand_in.classify)
    return stand_in


def folds(ds: Dataset, folder: Path) -> list[Run]:
    """Two folds of a classifier, and two of a detector of white cells."""
    for name, task in (("resnet50", "classification"), ("yolo11m", "wbc")):
        cross_validation.cross_validate(name, ds, folder / name, 2, task=task, preset="smoke")
    return [run for name in ("resnet50", "yolo11m") for run in suspects.runs_at(folder / name)]


def test_no_model_judges_a_patient_that_it_has_learned_from(models: Models, tmp_path: Path) -> None:
    ds = hospital()
    runs = folds(ds, tmp_path)
    result = suspects.find(ds, runs, copies=False)
    learned = {
        run.folder.name: {
            str(image.patient) for part in ("train", "val") for image in run.dataset().part(part).images
        }
        for run in runs
    }
    assert len(models.asked) == 4
    for name, patients in models.asked:
        assert not patients & learned[name]
    # the first fold also judges the patients of test, whom neither has learned from
    assert set.union(*(patients for _, patients in models.asked)) == {f"P{n}" for n in range(10)}
    assert sorted(models.looked_at) == [image.id for image in ds.images]  # by one detector each
    assert (result.judged, result.left_out) == (20, ())
    wrong = [each for each in result.found if each.kind == "wrong-class"]
    assert {each.patient for each in wrong} == {"P1"}
    assert {(each.label, each.suggested_label) for each in wrong} == {("Monocyte", "Lymphocyte")}


def test_images_that_all_runs_have_learned_from_are_left_out_and_counted(
    models: Models, tmp_path: Path
) -> None:
    ds = hospital()
    run = training.train("resnet50", ds, tmp_path / "run", task="classification", preset="smoke")
    result = suspects.find(ds, [run], copies=False)
    assert result.judged == 4
    assert {ds.image(image).patient for image in result.left_out} == {f"P{n}" for n in range(8)}
    assert "left out: 16 images, since all runs have learned from their patients" in str(result)
    assert models.asked == [("run", {"P8", "P9"})]
    with pytest.raises(LeakySplit, match=r"here: all 16 images are of patients that the runs have learned"):
        suspects.find(ds.select(images=result.left_out), [run], copies=False)


def test_a_label_that_the_detector_does_not_know_comes_from_the_classifier(
    models: Models, tmp_path: Path
) -> None:
    ds = hospital()
    runs = folds(ds, tmp_path)
    first = ds.cells[0]

    def detect(_: Run, view: Dataset, **__: Any) -> dict[ImageId, Detections]:
        boxes = {image.id: [structs.astuple(c.box) for c in ds.cells_of(image)] for image in view.images}
        return {image: found(*((box, 0.9, 0) for box in each)) for image, each in boxes.items()}

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inference, "detect", detect)
        result = suspects.find(replace(ds, cells=ds.cells[1:]), runs, copies=False)
    (missing,) = [each for each in result.found if each.kind == "missing-box"]
    assert missing.image == first.image
    assert missing.suggested_label in WHITE
    assert (missing.cell, missing.label, missing.box) == (None, None, None)
    assert missing.part == "val"
    assert models.names


def test_what_cannot_be_judged_is_refused(models: Models, tmp_path: Path) -> None:
    ds = hospital()
    with pytest.raises(ValueError, match="there is no run"):
        suspects.find(ds, [])
    with pytest.raises(ValueError, match="least 2: must be a score from 0 to 1"):
        suspects.find(ds, [], least=2)
    with pytest.raises(PcmError, match="holds no run"):
        suspects.runs_at(tmp_path)
    assert models.asked == []


# What an annotator gets


def smears(folder: Path) -> Dataset:
    export = sample.write(folder / "export.zip", patients=2, images=3)
    return load_dataset(export, patients=r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/", name="sample")


def of(ds: Dataset, kind: Any, cell: Cell | None, **more: Any) -> Suspect:
    """A suspect of the first image."""
    image = ds.images[0]
    given = (None, None, None) if cell is None else (cell.id, cell.label, cell.box)
    values: dict[str, Any] = {
        "suggested_label": None,
        "suggested_box": None,
        "reason": "the models say so",
        **more,
    }
    return Suspect(
        kind,
        0.9,
        image.id,
        given[0],
        given[1],
        box=given[2],
        patient=image.patient,
        part=ds.part_of(image),
        **values,
    )


@pytest.fixture
def written(tmp_path: Path) -> tuple[Dataset, Suspects, Path]:
    ds = smears(tmp_path)
    one, other = ds.cells_of(ds.images[0])[:2]
    several = (
        of(ds, "wrong-class", one, suggested_label="Basophil"),
        of(ds, "misplaced-box", other, suggested_box=Box(600, 500, 720, 630)),
        of(ds, "missing-box", None, suggested_label="Monocyte", suggested_box=Box(5, 5, 90, 80)),
    )
    result = Suspects(ds.name, several, 3, (), 0.3)
    suspects.write(result, ds, tmp_path / "out")
    return ds, result, tmp_path / "out"


def test_the_table_has_a_row_for_each_suspect(written: tuple[Dataset, Suspects, Path]) -> None:
    ds, result, out = written
    rows = list(csv.DictReader((out / "suspects.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["kind"] for row in rows] == ["wrong-class", "misplaced-box", "missing-box"]
    assert [row["label"] for row in rows] == [result.found[0].label, result.found[1].label, ""]
    assert [row["suggested_label"] for row in rows] == ["Basophil", "", "Monocyte"]
    assert (rows[2]["cell"], rows[2]["x1"], rows[2]["suggested_x2"]) == ("", "", "90.00")
    assert rows[0]["x1"] == f"{ds.cells_of(ds.images[0])[0].box.x1:.2f}"
    assert {row["patient"] for row in rows} == {ds.images[0].patient}
    assert {row["part"] for row in rows} == {"all"}
    assert "sample: 3 suspects" in str(result)


def test_cvat_gets_the_frames_with_suspects_and_all_their_cells_as_they_are(
    written: tuple[Dataset, Suspects, Path],
) -> None:
    ds, _, out = written
    back = cvat.read(out / "frames.zip", labels={"suspect": IGNORE})
    (image,) = back.images
    assert image.name == ds.images[0].name
    manual = [cell for cell in back.cells if cell.label != IGNORE]
    marks = [cell for cell in back.cells if cell.label == IGNORE]
    before = ds.cells_of(ds.images[0])
    assert [(c.label, c.box, c.source, c.attributes) for c in manual] == [
        (c.label, c.box, c.source, c.attributes) for c in before
    ]
    assert {cell.raw_label for cell in marks} == {"suspect"}
    assert [dict(cell.attributes)["kind"] for cell in marks] == [
        "wrong-class",
        "misplaced-box",
        "missing-box",
    ]
    assert dict(marks[0].attributes)["suggested"] == "Basophil"
    wrong = before[0].box
    assert marks[0].box.x1 < wrong.x1
    assert marks[0].box.y2 > wrong.y2
    assert [each.box for each in marks[1:]] == [Box(600, 500, 720, 630), Box(5, 5, 90, 80)]
    kinds = ["wrong-class", "misplaced-box", "missing-box"]
    assert [tag.label for tag in image.tags if tag.source == "auto"] == kinds
    why = dict(next(tag for tag in image.tags if tag.label == "missing-box").attributes)["why"]
    assert why == "Monocyte (0.90)"
    assert len(zipfile.ZipFile(out / "frames.zip").namelist()) == 5  # one image, and four files about it


def test_a_suspect_that_is_left_in_cvat_does_not_become_a_cell(
    written: tuple[Dataset, Suspects, Path],
) -> None:
    ds, _, out = written
    with pytest.raises(UnknownLabel, match='label "suspect" is not a class'):
        cvat.read(out / "frames.zip", taxonomy=NINE)
    back = cvat.read(out / "frames.zip", taxonomy=NINE, labels={"suspect": IGNORE})
    only = ds.select(images={ds.images[0].id})
    changes = review.diff(only, replace(back, cells=tuple(c for c in back.cells if c.label != IGNORE)))
    corrected = replace(back, cells=tuple(c for c in back.cells if c.label != IGNORE))
    assert len(update(ds, corrected).cells) == len(ds.cells)
    assert not any((changes.added, changes.removed, changes.moved, changes.relabelled))


def test_without_suspects_there_is_a_table_and_no_export(tmp_path: Path) -> None:
    ds = smears(tmp_path)
    report = suspects.write(Suspects(ds.name, (), 3, (), 0.3), ds, tmp_path / "out")
    assert not (tmp_path / "out" / "frames.zip").exists()
    assert len((tmp_path / "out" / "suspects.csv").read_text().splitlines()) == 1
    assert report.notes == ()


def test_another_folder_is_not_replaced(tmp_path: Path, run: Command) -> None:
    ds = smears(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ExportError):
        suspects.write(Suspects(ds.name, (), 3, (), 0.3), ds, tmp_path / "mine")
    before = run(
        "suspects", tmp_path / "export.zip", tmp_path / "mine", "--runs", tmp_path / "no-run"
    )  # refused before a run is opened
    assert before.status == 2
    assert "mine" in before.err
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


@pytest.mark.trains
def test_smoke_runs_judge_the_part_that_they_have_not_seen(
    smoke_runs: SmokeRuns, tmp_path: Path, run: Command
) -> None:
    runs = [smoke_runs.run("yolo11m-wbc").folder, smoke_runs.run("resnet50-classification").folder]
    data = smoke_runs.folder / "data"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = run("suspects", data, tmp_path / "out", "--json", "--device", "cpu", "--runs", *runs)
    assert done.status == 0, done.err
    result = json.loads(done.out)
    ds = store.read(data)
    test = {image.id for image in ds.part("test").images}
    assert result["judged"] == len(test)
    assert set(result["left_out"]) == {image.id for image in ds.images} - test
    assert {each["image"] for each in result["suspects"]} <= test
    assert {each["kind"] for each in result["suspects"]} <= set(suspects.KINDS)
    assert (tmp_path / "out" / "suspects.csv").exists()
