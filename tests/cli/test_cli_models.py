"""What the commands of the models print; the models themselves are replaced."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands import Run

from pcm_leukemia import cli, sample, store
from pcm_leukemia.baselines import evaluation, prediction, training
from pcm_leukemia.baselines.evaluation import Evaluation
from pcm_leukemia.baselines.experiments import adaptation, reproduction
from pcm_leukemia.baselines.metrics import classification
from pcm_leukemia.baselines.run import Run as TrainedRun
from pcm_leukemia.cvat import read
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store.write(read(sample.write(tmp_path / "sample.zip", patients=1, images=1)), tmp_path / "data")
    return tmp_path / "data"


def run_of(folder: Path, state: str = "done", baseline: str = "resnet50") -> TrainedRun:
    folder.mkdir(parents=True)
    asked = {"baseline": baseline, "task": "classification", "labels": [], "settings": {}}
    record = {
        "state": state,
        "asked": asked,
        "seconds": 3.0,
        "peak_memory_mib": {"cpu": 9},
        "result": {"f1": 1, "val_accuracy": 0.19230769574642181, "batch_norm": None},
    }
    (folder / "run.json").write_text(json.dumps(record))
    return TrainedRun.open(folder)


def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> str:
    monkeypatch.setattr(sys, "argv", ["pcm-leukemia", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert not left.value.code
    return capsys.readouterr().out


def test_a_training_that_was_done_before_says_so(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    monkeypatch.setattr(
        training, "train", lambda *_, **__: TrainedRun.open(run) if run.exists() else run_of(run)
    )
    words = ("train", "resnet50", data, run)
    first = typed(capsys, monkeypatch, *words)
    assert "3 s, peak memory 9 MiB (cpu)\n  f1: 1\n  val_accuracy: 0.1923\n  batch_norm: None\n" in first
    again = typed(capsys, monkeypatch, *words)
    assert again.startswith("already trained: Run(")
    assert "; nothing to do\n  f1: 1\n" in again
    assert "3 s" not in again


@pytest.mark.parametrize(
    ("module", "function", "words", "place"),
    [
        (adaptation, "adapt_over", ("adapt", "{run}", "{data}", "{out}"), "0.1-seed{number}/run"),
        (reproduction, "reproduce", ("reproduce", "{data}", "{out}"), "runs/model{number}"),
    ],
)
def test_runs_that_were_trained_before_are_counted(
    module: Any,
    function: str,
    words: tuple[str, ...],
    place: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    run_of(tmp_path / "run")

    def experiment(*_: Any, **__: Any) -> SimpleNamespace:
        run_of(out / place.format(number=len(list(out.rglob("run.json")))))
        return SimpleNamespace(to_json=dict)

    monkeypatch.setattr(module, function, experiment)
    arguments = [word.format(run=tmp_path / "run", data=data, out=out) for word in words]
    assert "already" not in typed(capsys, monkeypatch, *arguments)
    assert "1 of 2 runs were already trained; nothing to do for them" in typed(
        capsys, monkeypatch, *arguments
    )
    if function == "adapt_over":  # JSON stays JSON
        assert json.loads(typed(capsys, monkeypatch, *arguments, "--json")) == {}


def test_options_with_several_values_reach_the_experiment(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(reproduction, "reproduce", lambda *_, **options: given.update(options))
    typed(capsys, monkeypatch, "reproduce", data, tmp_path / "out", "--tables", "4", "5", "--seed", "3")
    assert (given["tables"], given["seed"]) == ((4, 5), 3)
    monkeypatch.setattr(
        training, "train", lambda *_, **options: given.update(options) or run_of(tmp_path / "r")
    )
    words = ("train", "resnet50", data, tmp_path / "r", "--set", "epochs=1", "lr=0.1", "--preset", "smoke")
    typed(capsys, monkeypatch, *words)
    assert (given["settings"], given["preset"]) == ({"epochs": "1", "lr": "0.1"}, "smoke")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("predict", "run", "{data}", "out", "--threshold", "0.5"),
            "--threshold does not apply to --to coco, which has every prediction from score 0.05; leave it out",
        ),
        (
            ("train", "resnet50", "{data}", "out", "--incomplete", "refuse"),
            "--incomplete does not apply to resnet50, which",
        ),
        (
            ("adapt", "run", "{data}", "out", "--target-only", "--source", "{data}"),
            "--source does not apply to --target-o",
        ),
        (("reproduce", "{data}", "out", "--variant", "strict"), "--variant is for --lmu; leave it out"),
        (
            ("reproduce", "{data}", "out", "--tables", "4", "5", "--seeds", "5"),
            "--seeds is for Table 7; leave it out",
        ),
    ],
)
def test_an_option_that_cannot_act_is_refused_even_with_its_default(
    run: Run, data: Path, words: tuple[str, ...], sentence: str
) -> None:
    refused = run(*(word.format(data=data) for word in words))
    assert (refused.status, refused.out) == (2, "")
    assert sentence in refused.err


@pytest.mark.parametrize(("typed_score", "kept_from"), [("0.01", 0.01), ("0.3", 0.05), (None, None)])
def test_a_cell_of_a_low_score_is_shown_if_it_is_asked_for(
    typed_score: str | None,
    kept_from: float | None,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_of(tmp_path / "run", baseline="yolo11m")
    given: dict[str, Any] = {}
    monkeypatch.setattr(prediction, "predict", lambda *_, **options: given.update(options) or ({}, NINE))
    monkeypatch.setattr(prediction, "write", lambda *_, **options: options["threshold"])
    score = () if typed_score is None else ("--threshold", typed_score)
    shown = typed(
        capsys, monkeypatch, "predict", tmp_path / "run", data, tmp_path / "out", "--to", "pictures", *score
    )
    assert float(shown) == float(typed_score or 0.5)
    assert given.get("threshold") == kept_from


def test_cells_are_found_in_a_public_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_of(tmp_path / "run", baseline="yolo11m")
    monkeypatch.setattr(prediction, "images_at", lambda path, **_: str(path))
    monkeypatch.setattr(prediction, "predict", lambda _, images, **__: (images, NINE))
    monkeypatch.setattr(prediction, "write", lambda predicted, *_, **__: predicted)
    words = ("predict", tmp_path / "run", "all_idb1:ROOT", tmp_path / "out")
    assert typed(capsys, monkeypatch, *words).strip() == "all_idb1:ROOT"


def test_drawn_cells_stay_in_what_is_predicted_for_cvat(
    run: Run, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_of(tmp_path / "run", baseline="yolo11m")
    box = Box(5, 5, 20, 20)

    def predicted(_: object, ds: Dataset, **__: object) -> object:
        return {image.id: [prediction.Predicted("Monocyte", box, 0.9)] for image in ds.images}, NINE

    monkeypatch.setattr(prediction, "predict", predicted)
    words = ("predict", tmp_path / "run", export, tmp_path / "out.zip", "--to", "cvat")
    refused = run(*words)
    assert (refused.status, refused.out) == (1, "")
    assert "has cells on every image; to add predictions beside them, give --onto all" in refused.err
    assert run(*words, "--onto", "all").status == 0
    cells = read(tmp_path / "out.zip").cells
    assert {cell.source for cell in cells} == {"manual", "auto"}
    wrong = run("predict", tmp_path / "run", export, tmp_path / "out", "--onto", "all")
    assert (wrong.status, "--onto is for --to cvat; leave it out" in wrong.err) == (2, True)


def test_the_lowest_score_is_for_detectors(run: Run, data: Path, tmp_path: Path) -> None:
    run_of(tmp_path / "run")
    refused = run("evaluate", tmp_path / "run", data, "--threshold", "0.5")
    assert (refused.status, refused.out) == (2, "")
    assert "--threshold is for detectors; leave it out" in refused.err


def test_evaluate_draws_what_it_scored(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_of(tmp_path / "run")
    scores = classification.score([0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], ("A", "B"), draws=0)
    scored = Evaluation((tmp_path / "run",), "sample", "test", "f", classification=scores)
    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **__: scored)
    words = ("evaluate", tmp_path / "run", data, "--figures", tmp_path / "figures")
    told = typed(capsys, monkeypatch, *words)
    assert told.startswith(str(scored))
    assert "3 figures: classifier-confusion.png" in told
    assert len(list((tmp_path / "figures").glob("*.png"))) == 3
    assert json.loads(typed(capsys, monkeypatch, *words, "--json")) == json.loads(
        json.dumps(scored.to_json())
    )


def test_a_folder_for_figures_is_refused_before_the_work(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_of(tmp_path / "run")
    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **__: pytest.fail("scored"))
    refused = run("evaluate", tmp_path / "run", data, "--figures", tmp_path)
    assert (refused.status, refused.out) == (2, "")
    assert f'{tmp_path}: holds "data", which pcm-leukemia did not write; name a new folder' in refused.err


def test_the_papers_figures_as_far_as_they_can_be_drawn(run: Run, data: Path, tmp_path: Path) -> None:
    store.write(replace(store.read(data), name="other"), tmp_path / "other")
    run_of(tmp_path / "run")
    words = (tmp_path / "out", "--beside", tmp_path / "other", "--figure", 6, 9, 10, "--format", "svg")
    drawn = run("figures", data, *words)
    assert (drawn.status, drawn.err) == (0, "")
    assert drawn.out.splitlines() == [
        f"paper-figures: {tmp_path / 'out'}",
        "  note: Figure 6: cells of each class: figure-6.svg",
        "  note: Figure 9: not drawn: needs the run of a classifier",
        "  note: Figure 10: not drawn: needs the run of a one-stage detector (task detection)",
    ]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"figure-6.svg", "pcm-leukemia.json"}
    drawn = run("figures", data, tmp_path / "run", *words)
    assert "Figure 9: not drawn" in drawn.out
    assert "no log to draw" in drawn.out  # the run is used
    refused = run("figures", data, tmp_path / "out", "--figure", 4)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err == ("error: Figure 4: cannot be drawn; needs another data set: --beside DATA\n")
    assert run("figures", data, tmp_path / "out", "--figure", 11).status == 2
    assert run("figures", data, tmp_path / "new", "--beside", tmp_path / "nothing").status == 2


def test_a_folder_for_the_papers_figures_is_refused_before_the_work(
    run: Run, data: Path, tmp_path: Path
) -> None:
    refused = run("figures", data, tmp_path)
    assert (refused.status, refused.out) == (2, "")
    assert f'{tmp_path}: holds "data", which pcm-leukemia did not write; name a new folder' in refused.err
    swapped = run("figures", data, tmp_path / "new", "--figure", 6, "--beside", data)
    assert swapped.status == 2
    assert 'two data sets are called "' in swapped.err
