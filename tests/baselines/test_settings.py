"""The names of settings: an old one is refused, and read where a run on disk has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Split, baselines
from pcm_leukemia.baselines import config, training
from pcm_leukemia.baselines.classifiers import timm as classifiers
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.ranges import require_in_range
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.errors import ExportError
from pcm_leukemia.schema import ImageId


@pytest.mark.parametrize(
    ("model", "old", "value", "new"),
    [
        ("yolo11m", "lr0", 0.01, "lr"),
        ("yolo11m", "overlap", 0.5, "nms_iou"),
        ("yolo11m", "most", 100, "max_detections"),
        ("rtdetrv2_deim", "flip_across", 0.5, "flip_horizontal"),
        ("rtdetrv2_deim", "plain_last", 2, "no_augment_last"),
        ("resnet50", "rate", 1e-4, "lr"),
        ("dinobloom", "probe_rate", 1e-3, "probe_lr"),
    ],
)
def test_an_old_name_is_refused_with_the_new_one(model: str, old: str, value: float, new: str) -> None:
    baseline = config.find(model)
    with pytest.raises(ValueError, match=f'^setting "{old}": is now called "{new}"; use {new}=...$'):
        config.settings(baseline, changes={old: value})
    in_a_file = baseline._replace(values={**baseline.values, old: value})
    with pytest.raises(ValueError, match=f'is now called "{new}"'):
        config.settings(in_a_file)


def test_an_old_name_of_another_model_is_unknown() -> None:
    with pytest.raises(ValueError, match='setting "overlap": resnet50 has no such setting'):
        config.settings(config.find("resnet50"), changes={"overlap": 0.5})


def test_a_former_name_names_one_setting_and_is_in_no_use() -> None:
    fields = {field for name in ("yolo11m", "rtdetrv2_deim", "resnet50") for field in _fields(name)}
    assert set(config.RENAMED.values()) <= fields
    assert not set(config.RENAMED) & fields


def test_a_setting_that_runs_lack_has_a_value_for_each_model_that_has_it() -> None:
    assert set(config.ADDED) <= {field for name in baselines.names() for field in _fields(name)}
    for name in baselines.names():
        values = config.find(name).values
        assert config.recorded(name, {}).keys() == set(config.ADDED) & set(values)
        assert config.recorded(name, values) == values
        assert config.recorded(name, {"lora_rank": 3})["lora_rank"] == 3


OLD = {"probe_rate": "probe_lr", "rate": "lr", "warmup": "warmup_epochs", "colour": "color_jitter"}
"""How the version before called settings of a classifier."""


@pytest.mark.parametrize("state", ["done", "running"])
def test_a_run_of_the_version_before_is_the_same_run(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []

    def train(job: Job, settings: classifiers.Settings) -> Mapping[str, Any]:
        jobs.append(job)
        return {"epochs": settings.epochs}

    monkeypatch.setattr(classifiers, "train", train)
    ds, out = _cells(), tmp_path / "run"
    first = training.train("resnet50", ds, out, device="cpu")
    file = out / "run.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    asked = record["asked"]["settings"]
    for old, new in OLD.items():
        asked[old] = asked.pop(new)
    for new in ("lora_rank", "lora_alpha", "lora_lr"):
        del asked[new]
    record["state"] = state
    file.write_text(json.dumps(record), encoding="utf-8")

    assert Run.open(out).settings == first.settings == config.settings(config.find("resnet50"))
    again = training.train("resnet50", ds, out, device="cpu")
    assert again.record["asked"] == first.record["asked"]
    assert [job.resume for job in jobs] == ([False] if state == "done" else [False, True])
    (out / "last.ckpt").touch()  # it has learned something
    with pytest.raises(
        ExportError, match=r"holds a run that differs in settings \(lr 0.0001, now 1.0\); name"
    ):
        training.train("resnet50", ds, out, settings={"lr": 1.0}, device="cpu")
    many = {"lr": 1.0, "epochs": 9, "batch": 3, "strategy": "lp"}
    with pytest.raises(ExportError, match=r"\(strategy direct, now lp; epochs 100, now 9; .*, and 1 more\)"):
        training.train("resnet50", ds, out, settings=many, device="cpu")


def _fields(name: str) -> tuple[str, ...]:
    fields: tuple[str, ...] = config.find(name).module.Settings.__struct_fields__
    return fields


def _cells() -> Dataset:
    """A cell of each class in train, and one in val."""
    ids = [ImageId(f"{part}.png") for part in ("train", "val")]
    cells = tuple(
        Cell(image, number, label, Box(0, 0, 9, 9))
        for image in ids
        for number, label in enumerate(NINE.labels)
    )
    images = tuple(Image(image, 32, 32) for image in ids)
    split = Split("official", dict(zip(ids, ("train", "val"), strict=True)))
    return Dataset("cells", NINE, images, cells, split=split)


def test_a_number_too_large_for_a_float_is_refused_or_taken() -> None:
    """As in a damaged record of a run."""
    whole = msgspec.defstruct("Settings", [("lr", float, 10**400), ("epochs", int, 10**400)])()
    require_in_range(whole, counts=["epochs"], positive=["lr"])
    with pytest.raises(ValueError, match="setting epochs: is inf; give 1 or more"):
        require_in_range(msgspec.structs.replace(whole, epochs=float("inf")), counts=["epochs"])
