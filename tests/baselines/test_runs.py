"""What a run remembers of whom it has learned from, under whatever names data sets were joined since."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, store
from pcm_leukemia.baselines import evaluation
from pcm_leukemia.baselines.evaluation import Evaluation, evaluate, scores_of
from pcm_leukemia.baselines.inference import Classified
from pcm_leukemia.baselines.recording import start
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.training import train
from pcm_leukemia.errors import DataNotFound, DataWarning, ExportError, LeakySplit, UnfitForTask
from pcm_leukemia.joining import concat
from pcm_leukemia.schema import ImageId, PatientId


def hospital(name: str, parts: Sequence[str] = ("train", "val", "test")) -> Dataset:
    """Patient P0 is in the first part, P1 in the second, and so on."""
    people = [Patient(PatientId(f"P{n}")) for n in range(len(parts))]
    images = tuple(Image(ImageId(f"{one.id}/a.png"), 64, 48, one.id) for one in people)
    part_of = {image.id: part for image, part in zip(images, parts, strict=True)}
    return Dataset(name, NINE, images, (), tuple(people), Split("official", part_of))


def seen(folder: Path, learned: Dataset, scored: Dataset) -> set[str]:
    """The images of `scored` that a run on `learned` refuses."""
    store.write(learned, folder / "run" / "data")
    run, refused = Run(folder / "run", {}), set()
    for image in scored.images:
        try:
            run.require_unseen(scored.select(images=[image.id]))
        except LeakySplit:
            refused.add(str(image.id))
    return refused


HERE, THERE, ELSEWHERE = hospital("here"), hospital("there"), hospital("elsewhere")
JOINED = concat([HERE, THERE])


@pytest.mark.parametrize(
    ("learned", "scored", "refused"),
    [
        (HERE, HERE, {"P0/a.png", "P1/a.png"}),
        (HERE, THERE, set()),
        (JOINED, THERE, {"P0/a.png", "P1/a.png"}),
        (JOINED, ELSEWHERE, set()),
        (HERE, JOINED, {"here/P0/a.png", "here/P1/a.png"}),
        (JOINED, concat([ELSEWHERE, HERE]), {"here/P0/a.png", "here/P1/a.png"}),
        (concat([JOINED, ELSEWHERE]), HERE, {"P0/a.png", "P1/a.png"}),
        (concat([HERE, THERE], "ours"), HERE, {"P0/a.png", "P1/a.png"}),
    ],
    ids=[
        *("itself", "another", "a part of what was joined", "none of what was joined", "joined since"),
        *("joined with another since", "joined twice", "joined under a name"),
    ],
)
def test_a_run_knows_whom_it_has_learned_from(
    tmp_path: Path, learned: Dataset, scored: Dataset, refused: set[str]
) -> None:
    assert seen(tmp_path, learned, scored) == refused


def test_a_patient_is_known_in_other_images_of_what_was_joined(tmp_path: Path) -> None:
    new = Image(ImageId("new.png"), 64, 48, PatientId("P0"))
    later = Dataset("here", NINE, (new,), (), (Patient(PatientId("P0")),))
    store.write(JOINED, tmp_path / "run" / "data")
    with pytest.raises(
        LeakySplit, match='image "new.png": the model has learned from patient "P0"; score it on'
    ):
        Run(tmp_path / "run", {}).require_unseen(later)


def with_cells(ds: Dataset, *boxes: Box) -> Dataset:
    return replace(
        ds, cells=tuple(Cell(image.id, n, "Other", box) for image in ds.images for n, box in enumerate(boxes))
    )


def test_the_same_data_under_another_name_is_known_by_its_cells(tmp_path: Path) -> None:
    learned = with_cells(HERE, Box(1, 2, 30, 40.5))
    again = replace(learned, name="export", split=None)
    assert seen(tmp_path, learned, again) == {"P0/a.png", "P1/a.png"}
    assert seen(tmp_path, learned, with_cells(again, Box(1, 2, 30, 41))) == set()


def test_crops_of_one_size_and_name_in_two_data_sets_are_not_the_same_data(tmp_path: Path) -> None:
    crop = Box(0, 0, 64, 48)
    assert seen(tmp_path, with_cells(HERE, crop), with_cells(THERE, crop)) == set()


def test_a_folder_of_runs_and_one_of_something_else_say_what_to_give(tmp_path: Path) -> None:
    for fold in ("fold-1", "fold-2"):
        (tmp_path / fold).mkdir()
        (tmp_path / fold / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataNotFound, match=r"holds 2 runs and is none; give one of them: .*fold-1$"):
        Run.open(tmp_path)
    (tmp_path / "data").mkdir()
    with pytest.raises(
        DataNotFound, match=r"holds no run .*; give the folder that pcm-leukemia train wrote$"
    ):
        Run.open(tmp_path / "data")
    with pytest.raises(
        DataNotFound, match=r"holds no run .*; train one: pcm-leukemia train MODEL DATA .*new$"
    ):
        Run.open(tmp_path / "new")


def test_a_file_in_two_parts_is_warned_of_before_training(tmp_path: Path) -> None:
    images = tuple(replace(image, digest="same" if n else "first") for n, image in enumerate(HERE.images))
    with (
        pytest.warns(DataWarning, match='here: 1 image file is in .* the first as "P1/a.png" and "P2/a.png"'),
        pytest.raises(ValueError, match="part train has no cell to learn from"),
    ):
        train("resnet50", replace(HERE, images=images), tmp_path / "run", preset="smoke")


def test_other_classes_are_refused_with_the_command_that_brings_them_together(tmp_path: Path) -> None:
    store.write(HERE, tmp_path / "run" / "data")
    asked = {"baseline": "yolo11m", "task": "detection", "labels": ["Blast", "Other"]}
    with pytest.raises(
        ValueError, match=r"was trained for Blast, Other; bring the data to the same classes: Dataset.relabel"
    ):
        evaluate(Run(tmp_path / "run", {"asked": asked}), THERE)


def test_scores_name_the_weights_that_training_started_from(tmp_path: Path) -> None:
    asked = {"baseline": "rtdetrv2_deim", "settings": {"weights": "imagenet"}}
    given = Run(tmp_path, {"asked": asked})
    found = Run(
        tmp_path, {"asked": asked, "result": {"weights": "r50vd from scratch, except its backbone: a.pth"}}
    )
    assert given.started_from == "imagenet"
    assert found.started_from == "r50vd from scratch, except its backbone: a.pth"
    one = Evaluation((tmp_path,), "here", "test", "", started_from=(given.started_from,))
    assert str(one).splitlines() == [f"{tmp_path} on here, part test", "started from: imagenet"]
    both = replace(one, started_from=(given.started_from, "hub"))
    assert "started from: imagenet and hub" in str(both)
    assert both.to_json()["started_from"] == ["imagenet", "hub"]


def test_the_temperature_of_a_run(tmp_path: Path) -> None:
    assert Run(tmp_path, {"result": {"temperature": 1.5}}).temperature == 1.5
    # a run of an earlier version, and one in training
    assert Run(tmp_path, {"result": {"epochs": 3}}).temperature is None
    assert Run(tmp_path, {"asked": {}}).temperature is None


def test_calibration_is_scored_before_and_after_the_temperature() -> None:
    cells = tuple(Cell(image.id, 0, "Lymphocyte", Box(1, 1, 9, 9)) for image in HERE.images)
    view = replace(HERE, cells=cells).task("classification")
    chances = np.tile(np.array([0.9, *[0.1 / 7] * 7], np.float32), (len(view.cells), 1))
    predicted = Classified(view.cells, chances, 1.5)
    scores = scores_of(view, predicted, 0.5)["classification"]
    assert scores.calibration.temperature == 1.5
    assert scores.calibration.scaled.bins[-1].cells == 0
    assert scores.calibration.bins[13].cells == len(view.cells)
    alone = scores_of(view, predicted._replace(temperature=None), 0.5)["classification"]
    assert alone.calibration.scaled is None
    assert alone.calibration.ece == scores.calibration.ece


# ----------------------------------------------------------------------------------------------
# Weights that come from another run


def begun(folder: Path, ds: Dataset, weights: str = "none") -> Run:
    """A run in a folder, with a file of weights, as if it had been trained on `ds`."""
    asked = {"baseline": "resnet50", "task": "classification", "labels": [], "settings": {"weights": weights}}
    with start(folder, asked, ds, "cpu") as (run, _, _):
        (folder / "model").mkdir()
        for name in ("classifier.safetensors", "model/weights.pt"):
            (folder / name).touch()
    return run


@pytest.mark.parametrize("weights", ["classifier.safetensors", "model/weights.pt", "model", ""])
def test_a_run_has_learned_what_the_run_had_that_it_started_from(weights: str, tmp_path: Path) -> None:
    first = hospital("here", ("train", "test", "val"))
    begun(tmp_path / "first", first)
    second = first.with_split(hospital("here", ("test", "train", "val")).split)
    run = begun(tmp_path / "second", second, str(tmp_path / "first" / weights))
    third = begun(tmp_path / "third", ELSEWHERE, str(tmp_path / "second" / "classifier.safetensors"))
    for folder in ("first", "second"):  # they may be gone, or have moved
        (tmp_path / folder).rename(tmp_path / f"{folder} elsewhere")
    run = Run.open(tmp_path / "second elsewhere")
    with pytest.raises(LeakySplit, match='P0/a.png": the model has learned from'):
        run.require_unseen(second.part("test"))
    assert [ds.name for ds in third.learned()] == ["elsewhere", "here", "here"]
    with pytest.raises(LeakySplit, match="P0/a.png"):
        third.require_unseen(second.part("test"))
    begun(tmp_path / "unrelated", second).require_unseen(second.part("test"))


def test_a_run_of_the_version_before_is_followed_as_long_as_its_start_is_there(tmp_path: Path) -> None:
    first = hospital("here", ("train", "test", "val"))
    begun(tmp_path / "first", first)
    second = first.with_split(hospital("here", ("test", "train", "val")).split)
    begun(tmp_path / "second", second, str(tmp_path / "first" / "classifier.safetensors"))
    shutil.rmtree(tmp_path / "second" / "before")
    with pytest.raises(LeakySplit, match="P0/a.png"):
        Run.open(tmp_path / "second").require_unseen(second.part("test"))


def test_training_warns_of_test_images_that_its_weights_know(tmp_path: Path) -> None:
    first = hospital("here", ("train", "test", "val"))
    begun(tmp_path / "first", first)
    second = first.with_split(hospital("here", ("test", "train", "val")).split)
    weights = str(tmp_path / "first" / "classifier.safetensors")
    said = "here: .*first, whose weights training starts from, has learned from 1 image of test .* the first P0/a.png"
    with pytest.warns(DataWarning, match=said), pytest.raises(UnfitForTask, match="no cell to learn from"):
        train("resnet50", second, tmp_path / "second", weights=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnfitForTask):
            train("resnet50", first, tmp_path / "again", weights=weights)


# ----------------------------------------------------------------------------------------------
# Scores of what a model has learned from


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_scores_of_what_a_model_has_learned_from_say_so(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = tuple(Cell(image.id, 0, "Lymphocyte", Box(1, 1, 9, 9)) for image in HERE.images)
    ds = replace(HERE, cells=cells)
    labels = list(ds.task("classification").taxonomy.labels)
    asked = {"baseline": "resnet50", "task": "classification", "labels": labels, "settings": {}}
    with start(tmp_path / "run", asked, ds, "cpu") as (run, _, _):
        pass

    def predicted(_: Run, view: Dataset, **__: object) -> Classified:
        return Classified(
            view.cells, np.full((len(view.cells), len(labels)), 1 / len(labels), np.float32), None
        )

    monkeypatch.setattr(evaluation, "predictions", predicted)
    found = evaluate(run, ds, part)
    note = (
        f"{tmp_path / 'run'} has learned from 1 of 1 scored image or their patients: the scores show how well it fits them, "
        "not how it does on new patients"
    )
    kept = json.loads((tmp_path / "run" / "scores" / f"here-{part}.json").read_text())
    if part == "test":
        assert (found.learned, "learned" in kept) == ((), False)
    else:
        assert f"note: {note}" in str(found).splitlines()
        assert kept["learned"] == [note]
        assert note in found._repr_html_()
    elsewhere = evaluate(run, replace(ds, name="other").relabel({}, ds.taxonomy), part)
    assert elsewhere.learned == found.learned


# ----------------------------------------------------------------------------------------------
# Runs that stopped


def test_a_run_that_has_learned_nothing_is_begun_anew(tmp_path: Path) -> None:
    folder, asked = tmp_path / "run", {"baseline": "resnet50", "task": "classification", "labels": []}

    def stop(file: str = "") -> None:
        with start(folder, {**asked, "settings": {"lr": 1}}, HERE, "cpu"):
            if file:
                (folder / file).touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop()
    assert Run.open(folder).record["state"] == "stopped"
    other = {**asked, "settings": {"lr": 2}}
    with start(folder, other, THERE, "cpu") as (run, resumed, _):
        assert not resumed
        assert run.dataset().name == "there"
    assert Run.open(folder).done
    with (
        pytest.raises(ExportError, match="holds a run that differs in settings"),
        start(folder, asked | {"settings": {"lr": 3}}, HERE, "cpu"),
    ):
        pass
    shutil.rmtree(folder)
    with pytest.raises(RuntimeError):
        stop("last.ckpt")
    with (
        pytest.raises(ExportError, match="holds a run that differs in settings"),
        start(folder, other, HERE, "cpu"),
    ):
        pass
