"""A model for each fold of the patients: who is scored by which model, what is pooled, and what is not trained again."""

from __future__ import annotations

import json
import shutil
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from commands import Run as Command
from test_detection_scores import found

from pcm_leukemia import (
    NINE,
    Box,
    Cell,
    Dataset,
    Image,
    Patient,
    Split,
    baselines,
    load_dataset,
    splits,
    store,
)
from pcm_leukemia.baselines import cross_validation, evaluation, training
from pcm_leukemia.baselines.cross_validation import cross_validate
from pcm_leukemia.baselines.inference import Classified, Detected
from pcm_leukemia.baselines.metrics import detection
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.errors import (
    DataWarning,
    ExportError,
    LeakySplit,
    MissingPart,
    MissingPatients,
    UnfitForTask,
)
from pcm_leukemia.schema import ImageId, PatientId

LABELS = ("Monocyte", "Lymphocyte")
pytestmark = pytest.mark.filterwarnings(
    "ignore::pcm_leukemia.errors.DataWarning"  # classes without cells, images without patients
)


def hospital(patients: int = 10, tested: int = 2) -> Dataset:
    """Each patient has two images of two cells; the last patients are in test, the first in train, one in val."""
    people = tuple(Patient(PatientId(f"P{n}")) for n in range(patients))
    images = tuple(Image(ImageId(f"{one.id}/{n}.png"), 64, 48, one.id) for one in people for n in range(2))
    cells = tuple(
        Cell(image.id, n, label, Box(5 + 20 * n, 5, 20 + 20 * n, 30))
        for image in images
        for n, label in enumerate(LABELS)
    )
    ds = Dataset("here", NINE, images, cells, people)
    parts = ["val", *["train"] * (patients - tested - 1), *["test"] * tested]
    part_of = {image.id: parts[int(str(image.patient)[1:])] for image in images}
    return ds.with_split(Split("official", part_of))


class Trained:
    """Stands for training and prediction: counts the runs that were trained, and knows every patient but P1 by heart."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.fails_at = ""

    def train(self, job: Any, _: Any) -> dict[str, Any]:
        if job.out.name == self.fails_at:
            raise RuntimeError("out of memory")
        self.names.append(job.out.name)
        return {}

    def predictions(self, run: Run, view: Dataset, *_: Any, **__: Any) -> Classified | Detected:
        ids = view.taxonomy.ids

        def guess(cell: Cell) -> int:
            mistaken = "Lymphocyte" in ids and view.image(cell.image).patient == "P1"
            return ids["Lymphocyte" if mistaken else cell.label]

        if run.baseline.kind == "classifier":
            return Classified(view.cells, np.eye(len(ids), dtype=np.float32)[list(map(guess, view.cells))])
        rows = {
            image.id: found(
                *((msgspec.structs.astuple(cell.box)[:4], 0.9, guess(cell)) for cell in view.cells_of(image))
            )
            for image in view.images
        }
        surer = {image: each._replace(scores=each.scores + np.float32(0.09)) for image, each in rows.items()}
        return Detected(rows, surer)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    stand_in = Trained()
    for name in ("resnet50", "yolo11m"):
        monkeypatch.setattr(baselines.module(name), "train", stand_in.train)
    monkeypatch.setattr(evaluation, "predictions", stand_in.predictions)
    return stand_in


def test_every_patient_of_train_and_val_is_scored_once_by_a_model_that_has_not_seen_them(
    trained: Trained, tmp_path: Path
) -> None:
    ds = hospital()
    result = cross_validate("resnet50", ds, tmp_path / "out", 4, preset="smoke", seed=3)
    assert trained.names == ["fold-1", "fold-2", "fold-3", "fold-4"]
    held_out: list[str] = []
    for number in range(1, 5):
        learned = Run.open(tmp_path / "out" / f"fold-{number}").dataset()
        assert learned.split is not None
        assert splits.leaks(learned, learned.split) == []
        people = {part: {str(i.patient) for i in learned.part(part).images} for part in learned.parts}
        assert set(people) == {"train", "val", "test"}
        assert set.union(*people.values()) == {f"P{n}" for n in range(8)}
        held_out += sorted(people["test"])
        Run.open(tmp_path / "out" / f"fold-{number}").require_unseen(ds.part("test"))
    assert sorted(held_out) == [f"P{n}" for n in range(8)]
    assert result.left_out == ("test",)
    assert "4 folds of here; part test was not used" in str(result)


@pytest.mark.usefixtures("trained")
def test_the_pooled_scores_are_those_of_all_patients_together(tmp_path: Path) -> None:
    ds = hospital().with_split(None)
    result = cross_validate("resnet50", ds, tmp_path / "out", 3, preset="smoke")
    pooled = result.pooled.classification
    assert pooled is not None
    assert (pooled.cells, pooled.groups, pooled.unit) == (40, 10, "patients")
    assert pooled.accuracy == 38 / 40
    assert pooled.accuracy_interval is not None
    assert result.left_out == ()
    accuracies = [each.classification.accuracy for each in result.folds if each.classification]
    assert sorted(accuracies)[1:] == [1, 1]
    assert accuracies.count(1) == 2
    spread = result.spread["accuracy"]
    assert spread.folds == tuple(accuracies)
    assert spread.mean == pytest.approx(np.mean(accuracies))
    assert spread.sd == pytest.approx(np.std(accuracies, ddof=1))
    kept = json.loads((tmp_path / "out" / "folds.json").read_text())
    assert kept == json.loads(json.dumps(result.to_json()))
    assert kept["spread"]["accuracy"]["sd"] == statistics.stdev(accuracies)
    assert kept["pooled"]["classification"]["cells"] == 40
    assert len(kept["folds"]) == 3
    scores = json.loads((tmp_path / "out" / "fold-1" / "scores" / "here-test.json").read_text())
    assert scores["classification"]["accuracy"] == accuracies[0]
    assert kept["pooled"]["scored_on"] == {"patients": 10, "images": 20, "cells": 40, "auto_cells": 0}
    assert "source" not in str(result)


@pytest.mark.usefixtures("trained")
def test_cells_that_a_model_drew_are_counted_in_each_fold_and_in_all_together(tmp_path: Path) -> None:
    ds = hospital().with_split(None)
    cells = (msgspec.structs.replace(cell, source="auto" if cell.id else "manual") for cell in ds.cells)
    result = cross_validate("resnet50", replace(ds, cells=tuple(cells)), tmp_path / "out", 3, preset="smoke")
    assert result.pooled.scored_on == (10, 20, 40, 20)
    assert sum(each.scored_on.auto_cells for each in result.folds) == 20
    assert 'note: 20 of 40 scored cells have the source "auto": a model drew them' in str(result)


@pytest.mark.usefixtures("trained")
def test_warnings_call_a_fold_by_the_name_of_its_run(tmp_path: Path) -> None:
    ds = hospital().with_split(None)
    rare = msgspec.structs.replace(ds.cells[0], label="Eosinophil")  # of one patient: in one fold only
    with pytest.warns(DataWarning, match=r'split "fold-1": Eosinophil in .*\nsplit "fold-2": Eosinophil in'):
        cross_validate(
            "resnet50", replace(ds, cells=(rare, *ds.cells[1:])), tmp_path / "out", 2, preset="smoke"
        )


def test_detections_are_pooled_too(trained: Trained, tmp_path: Path) -> None:
    ds = hospital()
    result = cross_validate("yolo11m", ds, tmp_path / "out", 4, task="wbc", preset="smoke", threshold=0.95)
    rows = ds.select(images=lambda image: ds.part_of(image) != "test").with_split(None)
    view = rows.task("wbc")
    everything = {
        image.id: found(*((msgspec.structs.astuple(c.box)[:4], 0.9, 0) for c in view.cells_of(image)))
        for image in view.images
    }
    surer = {
        image: each._replace(scores=each.scores + np.float32(0.09)) for image, each in everything.items()
    }
    assert result.pooled.detection == detection.score(view, everything, counted=surer, threshold=0.95)
    assert result.pooled.detection.patients == 8
    assert result.spread["recall at score 0.95"] == ((1, 1, 1, 1), 1, 0)
    assert result.spread["mAP 50-95"].mean == 1
    (scores,) = (tmp_path / "out" / "fold-1" / "scores").iterdir()
    assert scores.name == "here-test-threshold-0.95.json"  # beside those at the default score
    assert trained.names == ["fold-1", "fold-2", "fold-3", "fold-4"]


def test_finished_folds_are_not_trained_again(trained: Trained, tmp_path: Path) -> None:
    def folds() -> Any:
        return cross_validate("resnet50", hospital(), tmp_path / "out", 3, preset="smoke").to_json()

    trained.fails_at = "fold-2"
    with pytest.raises(RuntimeError, match="out of memory"):
        folds()
    assert not (tmp_path / "out" / "folds.json").exists()
    trained.fails_at = ""
    first = folds()
    assert Counter(trained.names) == {"fold-1": 1, "fold-2": 1, "fold-3": 1}
    assert folds() == first
    assert len(trained.names) == 3
    with pytest.raises(ExportError, match="fold-1: holds a run that differs in split; name another folder"):
        cross_validate("resnet50", hospital(), tmp_path / "out", 4, preset="smoke")
    with pytest.raises(ExportError, match="differs in split and seed|differs in seed and split"):
        cross_validate("resnet50", hospital(), tmp_path / "out", 3, preset="smoke", seed=1)


def leaky(ds: Dataset) -> Dataset:
    assert ds.split is not None
    return ds.with_split(Split("leaky", {**ds.split.part_of, ImageId("P9/0.png"): "train"}))


def with_test_alone(ds: Dataset) -> Dataset:
    return ds.with_split(Split("alone", dict.fromkeys((image.id for image in ds.images), "test")))


def without_patients(ds: Dataset) -> Dataset:
    images = tuple(replace(image, patient=None) for image in ds.images)
    return replace(ds, images=images, patients=(), split=None)


def with_few_cells(ds: Dataset) -> Dataset:
    """The first fold could be trained, and has cells in train and val; the others could not."""
    return replace(ds, cells=tuple(cell for cell in ds.cells if ds.image(cell.image).patient in ("P0", "P4")))


def in_part(ds: Dataset) -> Dataset:
    """The patients of the first fold are annotated in part: it could be trained, and not scored."""
    rows = ds.select(images=lambda image: ds.part_of(image) != "test").with_split(None)
    first = splits.folds(rows, 3, val=0.2)[0]
    return replace(
        ds,
        images=tuple(
            replace(image, annotation_state="partial") if first.part_of.get(image.id) == "test" else image
            for image in ds.images
        ),
    )


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (leaky, LeakySplit, 'patient "P9"'),
        (
            with_test_alone,
            MissingPart,
            "has the parts test, and folds divide train and val; make another split",
        ),
        (without_patients, MissingPatients, "patient"),
        (with_few_cells, UnfitForTask, "has no cell to learn from"),
        (in_part, UnfitForTask, "annotated"),
        (
            lambda ds: ds.select(patients={"P0", "P1"}),
            MissingPatients,
            "3 folds are more than the 2 patients; give at most 2",
        ),
    ],
    ids=["leaky", "test alone", "no patients", "few cells", "annotated in part", "few patients"],
)
def test_what_a_later_fold_would_refuse_is_refused_before_training(
    change: Callable[[Dataset], Dataset],
    error: type[Exception],
    sentence: str,
    trained: Trained,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=sentence):
        cross_validate("yolo11m", change(hospital()), tmp_path / "out", 3, preset="smoke")
    assert trained.names == []
    assert not (tmp_path / "out").exists()


def test_weights_that_have_learned_from_a_fold_are_refused_before_training(
    trained: Trained, tmp_path: Path
) -> None:
    training.train("resnet50", hospital(), tmp_path / "before", preset="smoke")
    with pytest.raises(LeakySplit, match='before image "P0/0.png": the model has learned from it'):
        cross_validate(
            "resnet50", hospital(), tmp_path / "out", 3, preset="smoke", weights=str(tmp_path / "before")
        )
    assert trained.names == ["before"]
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("trained")
def test_groups_take_the_place_of_patients(tmp_path: Path) -> None:
    ds = hospital().with_split(None)
    images = tuple(replace(i, patient=None, group=f"slide {i.patient}") for i in ds.images)
    result = cross_validate(
        "resnet50", replace(ds, images=images, patients=()), tmp_path / "out", 3, preset="smoke"
    )
    for each in result.folds:
        learned = Run.open(each.runs[0]).dataset()
        held_out = {image.group for image in learned.part("test").images}
        assert held_out
        assert not held_out & {i.group for i in learned.images if learned.part_of(i) != "test"}
    assert result.pooled.classification is not None
    assert result.pooled.classification.unit == "groups"


def test_a_fold_without_cells_is_left_out_of_the_mean() -> None:
    assert cross_validation._over([0.5, None, 1.0]) == ((0.5, None, 1.0), 0.75, statistics.stdev([0.5, 1.0]))
    assert cross_validation._over([float("nan"), 1.0]) == ((None, 1.0), 1.0, None)


def test_the_command_trains_the_folds_and_prints_them(run: Command, trained: Trained, tmp_path: Path) -> None:
    store.write(hospital(), tmp_path / "data")
    words = ("train", "resnet50", tmp_path / "data", tmp_path / "out", "--preset", "smoke", "--folds", 3)
    first = run(*words)
    assert "resnet50, classification, 3 folds of here; part test was not used" in first.out
    assert "all folds together:" in first.out
    assert trained.names == ["fold-1", "fold-2", "fold-3"]
    assert "3 of 3 runs were already trained; nothing to do for them" in run(*words).out
    wrong = run("train", "yolo11m", tmp_path / "data", tmp_path / "o", "--folds", 3, "--incomplete", "keep")
    assert (wrong.status, "which scores every image; leave it out" in wrong.err) == (2, True)
    assert run(*words[:-1], 1).status == 2


@pytest.mark.trains
def test_a_fold_that_is_trained_again_gives_the_same_scores(export: Path, tmp_path: Path) -> None:
    ds = load_dataset(export, patients=r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/")

    def folds() -> Any:
        return cross_validate(
            "resnet50", ds, tmp_path / "out", 2, preset="smoke", settings={"epochs": 1}, workers=0
        ).to_json()

    first = folds()
    weights = tmp_path / "out" / "fold-1" / "classifier.safetensors"
    written = weights.stat().st_mtime_ns
    shutil.rmtree(tmp_path / "out" / "fold-2")
    assert folds() == first
    assert weights.stat().st_mtime_ns == written
    assert first["pooled"]["classification"]["cells"] == sum(cell.label == "Monocyte" for cell in ds.cells)
    assert {run.split("/")[-1] for run in first["pooled"]["runs"]} == {"fold-1", "fold-2"}
