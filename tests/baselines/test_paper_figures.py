"""All figures of the paper in one folder: what is drawn, of which runs and data, and why the others are not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from other_hospitals import PATTERN, drawn
from smoke_runs import SmokeRuns
from test_data_figures import require_legible
from test_detection_scores import smears

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Dataset, baselines
from pcm_leukemia.baselines import evaluation
from pcm_leukemia.baselines.evaluation import Evaluation
from pcm_leukemia.baselines.experiments import drawing
from pcm_leukemia.baselines.experiments.paper_figures import NUMBERS, draw_figures
from pcm_leukemia.baselines.metrics import detection
from pcm_leukemia.baselines.metrics.detection import DetectionScores
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.errors import (
    ExportError,
    LeakySplit,
    Problem,
    UnfitForTask,
    for_the_command_line,
)
from pcm_leukemia.schema import Split, Taxonomy

WBC = Taxonomy("wbc", ("WBC", "Other"))
LOG = "epoch,lr,train_loss,val_loss,val_AP\n1,0.01,3,4,0.1\n2,0.005,2,3.5,0.5\n"
BASELINES = {"wbc": "rtdetrv2_deim", "detection": "yolo11m", "classification": "resnet50"}


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    export = pcm.sample.write(tmp_path_factory.mktemp("sample") / "export.zip", patients=4, images=6)
    ds = pcm.load_dataset(export, patients=PATTERN, name="sample")
    parts = {"SYN-P001": "train", "SYN-P002": "train", "SYN-P003": "val", "SYN-P004": "test"}
    return ds.with_split(Split("drawn", {image.id: parts[str(image.patient)] for image in ds.images}))


@pytest.fixture(scope="module")
def other(ds: Dataset) -> Dataset:
    return replace(ds.with_split(None), name="other")


def run_of(folder: Path, task: str, state: str = "done") -> Run:
    asked = {"baseline": BASELINES[task], "task": task, "labels": [], "settings": {}}
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "metrics.csv").write_text(LOG)
    (folder / "run.json").write_text(json.dumps({"state": state, "asked": asked}))
    return Run.open(folder)


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Run]:
    return {task: run_of(tmp_path / "runs" / task, task) for task in BASELINES}


def scores(taxonomy: Taxonomy, seed: int) -> DetectionScores:
    ds, predicted = smears(np.random.default_rng(seed), 20, taxonomy)
    return detection.score(ds, predicted, draws=0)


Calls = list[tuple[tuple[str, ...], str]]


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The runs and data that were scored; the models themselves are replaced."""
    calls: Calls = []

    def evaluate(run: Run, ds: Dataset, **options: Any) -> Evaluation:
        assert options == {"device": "cpu", "batch": 2, "workers": 0, "progress": False}
        calls.append(((run.folder.name,), ds.name))
        if ds.name == "unfit":
            raise UnfitForTask([Problem(ds.name, "has no box", "draw one")] * 3)
        found = scores(WBC if run.task == "wbc" else NINE, len(calls))
        part = "test" if ds.split else "all"
        return Evaluation((run.folder,), ds.name, part, ds.fingerprint, detection=found)

    def evaluate_two_stage(detector: Run, classifier: Run, ds: Dataset, **_: Any) -> Evaluation:
        calls.append(((detector.folder.name, classifier.folder.name), ds.name))
        found = {"detection": scores(WBC, 1), "end_to_end": scores(NINE, 2)}
        return Evaluation((detector.folder, classifier.folder), ds.name, "all", "f", **found)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setattr(evaluation, "evaluate_two_stage", evaluate_two_stage)
    return calls


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """What is drawn, by the name of its file."""
    kept: dict[str, Figure] = {}
    save = drawing.save

    def keep(figure: Figure, file: Path) -> None:
        kept[file.stem] = figure
        save(figure, file)

    monkeypatch.setattr(drawing, "save", keep)
    return kept


OPTIONS: dict[str, Any] = {"device": "cpu", "batch": 2, "workers": 0}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"pcm-leukemia.json"}


def test_all_ten_figures(
    ds: Dataset,
    other: Dataset,
    runs: dict[str, Run],
    scored: Calls,
    figures: dict[str, Figure],
    tmp_path: Path,
) -> None:
    report = draw_figures(ds, [*runs.values()][::-1], tmp_path / "out", beside=[other], **OPTIONS)
    assert (
        names(tmp_path / "out")
        == {f"figure-{number}.png" for number in NUMBERS}
        == {f"{name}.png" for name in figures}
    )
    notes = dict(note.split(": ", 1) for note in report.notes)
    assert list(notes) == [f"Figure {number}" for number in NUMBERS]
    first, second = notes.pop("Figure 1").removesuffix(" with cells of each: figure-1.png").split(" and ")
    assert {first, second} < {image.id for image in ds.images}
    assert notes == {
        "Figure 2": "precision over recall of wbc on sample (test) and other: figure-2.png",
        "Figure 3": "confusion matrix of two stages (wbc and classification) on other: figure-3.png",
        "Figure 4": "cells of sample and other: figure-4.png",
        "Figure 5": "cells of each class and its criteria: figure-5.png",
        "Figure 6": "cells of each class by part: figure-6.png",
        "Figure 7": "training of detection: figure-7.png",
        "Figure 8": "precision over recall of detection on sample (test): figure-8.png",
        "Figure 9": "training of classification: figure-9.png",
        "Figure 10": "confusion matrix of detection on other: figure-10.png",
    }
    assert scored == [
        (("wbc",), "sample"),
        (("wbc",), "other"),
        (("wbc", "classification"), "other"),
        (("detection",), "sample"),
        (("detection",), "other"),
    ]
    titles = {name: [axes.get_title() for axes in figure.axes] for name, figure in figures.items()}
    assert titles["figure-2"] == ["sample (test)", "other"]
    assert titles["figure-3"][0] == "two stages (wbc and classification) on other\nscore 0.5, IoU 0.5"
    assert titles["figure-10"][0] == "detection on other\nscore 0.5, IoU 0.5"
    assert figures["figure-2"].axes[0].get_ylabel() == "precision, mean over IoU 0.50 to 0.95"
    assert figures["figure-8"].axes[0].get_ylabel() == "precision"
    table = np.array(scores(NINE, 2).confusion)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    np.testing.assert_allclose(np.asarray(figures["figure-3"].axes[0].images[0].get_array()), shares)
    suptitles = {name: figures[name].get_suptitle() for name in ("figure-7", "figure-9")}
    assert suptitles == {"figure-7": "YOLO11m", "figure-9": "ResNet50"}
    for name, figure in figures.items():
        require_legible(figure, tmp_path / "out" / f"{name}.png")


def test_what_is_missing_is_said_for_each_figure(
    ds: Dataset, runs: dict[str, Run], scored: Calls, tmp_path: Path
) -> None:
    with for_the_command_line():
        report = draw_figures(ds.with_split(None), [], tmp_path / "out")
    assert names(tmp_path / "out") == {"figure-1.png", "figure-5.png", "figure-6.png"}
    one_stage, other = "the run of a one-stage detector (task detection)", "another data set: --beside DATA"
    wbc, classifier = "the run of a WBC detector (task wbc)", "the run of a classifier"
    assert [note for note in report.notes if "not drawn" in note] == [
        f"Figure 2: not drawn: needs {wbc}",
        f"Figure 3: not drawn: needs {wbc}, {classifier} and {other}",
        f"Figure 4: not drawn: needs {other}",
        f"Figure 7: not drawn: needs {one_stage}",
        f"Figure 8: not drawn: needs {one_stage}",
        f"Figure 9: not drawn: needs {classifier}",
        f"Figure 10: not drawn: needs {one_stage} and {other}",
    ]
    assert "Figure 6: cells of each class: figure-6.png" in report.notes
    report = draw_figures(ds, [runs["wbc"]], tmp_path / "out", numbers=[3, 6])
    assert report.notes[0] == f"Figure 3: not drawn: needs {classifier} and another data set: beside=[ds]"
    assert names(tmp_path / "out") == {"figure-6.png"}  # the folder of before is replaced
    assert scored == []


def test_runs_that_have_not_finished_are_passed_over(
    ds: Dataset, runs: dict[str, Run], tmp_path: Path
) -> None:
    late = run_of(tmp_path / "late", "detection", "training")
    report = draw_figures(ds, [late], tmp_path / "out", numbers=[6, 7, 8])
    needs = "needs the run of a one-stage detector (task detection) that has finished, unlike late"
    assert report.notes[1:] == (f"Figure 7: not drawn: {needs}", f"Figure 8: not drawn: {needs}")
    report = draw_figures(ds, [late, runs["detection"]], tmp_path / "out", numbers=[7])
    assert report.notes == ("Figure 7: training of detection: figure-7.png",)
    second = run_of(tmp_path / "second", "detection")
    report = draw_figures(ds, [late, runs["detection"], second, runs["wbc"]], tmp_path / "out", numbers=[7])
    assert report.notes == (
        "Figure 7: training of detection: figure-7.png",
        "no figure needed second and wbc: of several runs of a kind, the first that has finished is drawn",
    )
    (runs["classification"].folder / "logs" / "metrics.csv").unlink()
    report = draw_figures(ds, [runs["classification"]], tmp_path / "out", numbers=[6, 9])
    assert "no log to draw" in report.notes[1]


@pytest.mark.usefixtures("scored")
def test_data_that_cannot_be_scored_are_named(
    ds: Dataset, other: Dataset, runs: dict[str, Run], figures: dict[str, Figure], tmp_path: Path
) -> None:
    unfit = replace(other, name="unfit")
    reason = "unfit: has no box; draw one (and 2 more)"
    chosen = [runs["wbc"], runs["detection"]]
    report = draw_figures(ds, chosen, tmp_path / "out", beside=[unfit, other], numbers=[2, 10], **OPTIONS)
    assert report.notes == (
        f"Figure 2: precision over recall of wbc on sample (test) and other; not on another: {reason}: figure-2.png",
        f"Figure 10: confusion matrix of detection on other; not on another: {reason}: figure-10.png",
    )
    assert [axes.get_title() for axes in figures["figure-2"].axes] == ["sample (test)", "other"]
    report = draw_figures(ds, chosen, tmp_path / "out", beside=[unfit], numbers=[6, 10], **OPTIONS)
    assert report.notes[1] == f"Figure 10: not drawn: {reason}"


def test_nothing_is_written_if_nothing_can_be_drawn(ds: Dataset, tmp_path: Path) -> None:
    bare = replace(ds, root=None)
    with pytest.raises(UnfitForTask) as refused:
        draw_figures(bare, [], tmp_path / "out", numbers=[1, 5, 9])
    bare_of = "cannot be drawn; sample: the images are not there; give images_root"
    assert str(refused.value).splitlines() == [
        f"Figure 1: {bare_of}",
        f"Figure 5: {bare_of}",
        "Figure 9: cannot be drawn; needs the run of a classifier",
    ]
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_before_the_work(
    ds: Dataset, other: Dataset, runs: dict[str, Run], scored: Calls, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"^figure 11: cannot be drawn; choose from 1 to 10$"):
        draw_figures(ds, [], out, numbers=[1, 11])
    with pytest.raises(ValueError, match=r"^no figure: cannot be drawn; choose from 1 to 10$"):
        draw_figures(ds, [], out, numbers=[])
    with pytest.raises(ValueError, match=r'^form "gif": figures are written as png, pdf, svg$'):
        draw_figures(ds, [], out, form="gif")
    with pytest.raises(ValueError, match=r'^two data sets are called "sample"; give each a name of its own'):
        draw_figures(ds, [], out, beside=[other, replace(other, name="sample")])
    assert ds.split is not None
    patients = [str(image.patient) for image in ds.images]
    split_up = next(patient for patient in patients if patients.count(patient) > 1)
    image = next(image for image in ds.images if str(image.patient) == split_up)
    leaky = replace(ds.split, part_of={**ds.split.part_of, image.id: "test"})
    with pytest.raises(LeakySplit, match=f'patient "{split_up}"'):
        draw_figures(replace(ds, split=leaky), [], out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(ExportError, match=r'holds "notes.txt", which pcm-leukemia did not write'):
        draw_figures(ds, [*runs.values()], tmp_path / "mine", beside=[other])
    assert scored == []
    assert not out.exists()


def test_a_full_disk_leaves_nothing(ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise ExportError("figure-6.png: No space left on device; check the disk and the permissions")

    monkeypatch.setattr(drawing, "save", full)
    with pytest.raises(ExportError, match="No space left"):
        draw_figures(ds, [], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("form", "numbers"), [("png", (1, 3, 7)), ("pdf", (1, 2, 6)), ("svg", (4, 5, 10))])
def test_the_same_data_give_the_same_bytes(
    form: str,
    numbers: tuple[int, ...],
    ds: Dataset,
    other: Dataset,
    runs: dict[str, Run],
    scored: Calls,
    tmp_path: Path,
) -> None:
    def draw(out: Path) -> dict[str, bytes]:
        scored.clear()  # which sets the seed of the scores
        draw_figures(ds, [*runs.values()], out, beside=[other], numbers=numbers, form=form, **OPTIONS)
        return {path.name: path.read_bytes() for path in out.iterdir()}

    first = draw(tmp_path / "first")
    assert first == draw(tmp_path / "second")
    assert set(first) == {*(f"figure-{number}.{form}" for number in numbers), "pcm-leukemia.json"}


def test_the_images_of_a_frame_are_gone(ds: Dataset, tmp_path: Path) -> None:
    moved = replace(ds, root=tmp_path / "moved.zip")
    report = draw_figures(moved, [], tmp_path / "out", numbers=[1, 6])
    assert [str(problem) for problem in report.problems] == [
        f"Figure 1: not drawn: {tmp_path}/moved.zip: the images are not there; give images_root"
    ]
    assert report.notes == ("Figure 6: cells of each class by part: figure-6.png",)


@pytest.mark.trains
@pytest.mark.filterwarnings("ignore")  # what the libraries warn of while they train is theirs
def test_figures_of_trained_runs(smoke_runs: SmokeRuns, tmp_path: Path) -> None:
    runs = [
        smoke_runs.run(name)
        for name in ("rtdetrv2_deim-wbc", "yolo11m-detection-4", "resnet50-classification")
    ]
    other = replace(drawn(tmp_path, 3, 6, 70), name="other")
    seen = replace(smoke_runs.ds.with_split(None), name="seen")
    report = baselines.draw_figures(
        smoke_runs.ds, runs, tmp_path / "out", beside=[seen, other], numbers=[2, 3, 7, 8, 9, 10], workers=0
    )
    assert names(tmp_path / "out") == {f"figure-{number}.png" for number in (2, 3, 7, 8, 9, 10)}
    refused = [note for note in report.notes if "; not on another: " in note]
    assert [note.partition(":")[0] for note in refused] == ["Figure 2", "Figure 3", "Figure 10"]
    assert "on sample (test) and other; not on another: " in refused[0]
    assert all("learned from" in note or "trained" in note for note in refused)  # never scored on those
