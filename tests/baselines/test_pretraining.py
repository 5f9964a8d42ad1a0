"""Which public data a run's weights had seen before it was trained, and that every score on them says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Split, baselines, sources, store
from pcm_leukemia.baselines import config, evaluation
from pcm_leukemia.baselines.experiments.cross_domain import cross
from pcm_leukemia.baselines.experiments.reproduction import Reproduction
from pcm_leukemia.baselines.inference import Classified
from pcm_leukemia.baselines.pretraining import note_on, pretrained_on
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.schema import ImageId

EIGHT = NINE.labels[:-1]


def data(name: str) -> Dataset:
    images = tuple(Image(ImageId(f"{name}-{n}.png"), 9, 9) for n in range(4))
    cells = tuple(Cell(image.id, 0, "Monocyte", Box(0, 0, 9, 9)) for image in images)
    return Dataset(name, NINE, images, cells)


def run_of(folder: Path, baseline: str = "dinobloom", **settings: str) -> Run:
    """The record of a trained run, and what it was trained on."""
    asked = {"baseline": baseline, "task": "classification", "labels": list(EIGHT), "settings": settings}
    ours = data("ours")
    split = Split("official", {image.id: "train" for image in ours.images})
    store.write(ours.with_split(split), folder / "data")
    record: Mapping[str, object] = {"state": "done", "asked": asked}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "classifier.safetensors").touch()
    return Run.open(folder)


def test_lists_name_data_sets_that_there_are() -> None:
    lists = {name: config.find(name).pretrained_on for name in baselines.names()}
    assert "lmu" in lists["dinobloom"]
    assert lists["resnet50"] == lists["yolo11m"] == ()
    assert {source for each in lists.values() for source in each} <= set(sources.names())


def test_only_pretrained_weights_have_seen_anything(tmp_path: Path) -> None:
    assert "lmu" in pretrained_on(run_of(tmp_path / "hub", weights="hub"))
    assert "lmu" in pretrained_on(run_of(tmp_path / "file", weights="weights/DinoBloom-B.pth"))
    assert pretrained_on(run_of(tmp_path / "none", weights="none")) == ()
    assert pretrained_on(run_of(tmp_path / "other", "resnet50", model="resnet50", weights="hub")) == ()
    named = run_of(tmp_path / "named", "resnet50", weights="hf-hub:1aurent/vit_base_patch14_224.dinobloom")
    assert "lmu" in pretrained_on(named)
    assert "lmu" in pretrained_on(run_of(tmp_path / "timm", "timm", model="dinobloom_small", weights="hub"))
    assert (
        pretrained_on(run_of(tmp_path / "vit", "timm", model="vit_small_patch14_dinov2", weights="hub")) == ()
    )


def test_a_run_that_started_from_another_inherits_what_that_had_seen(tmp_path: Path) -> None:
    for weights, seen in (("hub", True), ("none", False)):
        first = run_of(tmp_path / weights, weights=weights)
        start = str(first.folder / "classifier.safetensors")
        second = run_of(tmp_path / f"{weights}-adapted", weights=start)
        third = run_of(tmp_path / f"{weights}-again", weights=str(second.folder / "classifier.safetensors"))
        assert [("lmu" in pretrained_on(run)) for run in (second, third)] == [seen, seen]


def test_the_note_is_on_these_data_alone(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", weights="hub")
    assert "list lmu among the data of their pretraining, which used no labels" in note_on(run, data("lmu"))
    assert "list lmu among" in note_on(run, data("ours+lmu"))
    assert note_on(run, data("ours")) == ""


@pytest.mark.parametrize(("weights", "noted"), [("hub", True), ("none", False)])
def test_every_score_on_them_says_so(
    weights: str,
    noted: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, ds = run_of(tmp_path / "run", weights=weights), data("lmu")
    monkeypatch.setattr(
        evaluation,
        "predictions",
        lambda _run, view, *_, **__: Classified(view.cells, np.eye(8, dtype=np.float32)[[0] * 4]),
    )
    found = evaluation.evaluate(run, ds)
    assert ("may not be new to the model" in str(found)) is noted
    kept = json.loads((run.folder / "scores" / "lmu-all.json").read_text(encoding="utf-8"))
    assert ("pretraining" in kept) is noted
    table = cross([run], {"lmu": ds}, tmp_path / "crossed", device="cpu")
    assert ("\n\nNote: the authors of the weights" in str(table)) is noted
    assert str(table).count("Note: ") == noted
    assert all(bool(entry["pretraining"]) is noted for entry in table.to_json())


def test_the_report_of_the_paper_s_experiments_has_the_note(tmp_path: Path) -> None:
    for note in ("", "seen before"):
        found = Reproduction(tmp_path, "ours", "smoke", (), pretraining=note)
        assert ("\nNote: seen before.\n" in str(found)) is bool(note)
        assert found.to_json().get("pretraining", "") == note
