"""What is taken from a machine: workers by its cores, precision by its GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import pytest
import torch
from smoke_runs import SmokeRuns

from pcm_leukemia.baselines import config, training
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.machine import precision_of, workers_of


@pytest.mark.parametrize(
    ("cores", "device", "devices", "expected"),
    [
        (64, "cuda", 1, 16),
        (12, "cuda", 1, 12),
        (64, "cuda:1", 8, 8),
        (2, "cuda", 4, 1),
        (64, "cpu", 1, 4),
        (2, "cpu", 1, 2),
        (1, "cpu", 1, 1),
    ],
)
def test_one_for_each_core(
    cores: int, device: str, devices: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    assert workers_of(None, device, devices) == expected
    assert workers_of(0, device, devices) == 0
    assert workers_of(99, device, devices) == 99


def test_training_has_them_unless_a_number_is_given(
    smoke_runs: SmokeRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def stop(job: Job, _: Any) -> None:
        seen.append(job.workers)
        raise KeyboardInterrupt

    monkeypatch.setattr(joblib, "cpu_count", lambda: 3)
    monkeypatch.setattr(config.find("yolo11m").module, "train", stop)
    for number, asked in enumerate((None, 0, 7)):
        with pytest.raises(KeyboardInterrupt):
            training.train("yolo11m", smoke_runs.ds, tmp_path / str(number), device="cpu", workers=asked)
    assert seen == [3, 0, 7]


def test_precision_is_what_the_device_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert precision_of("auto", "cpu", without_bfloat16="16-mixed") == "32-true"
    for modern, classifier, detector in (
        (True, "bf16-mixed", "bf16-mixed"),
        (False, "16-mixed", "32-true"),
    ):
        monkeypatch.setattr(
            torch.cuda,
            "is_bf16_supported",
            lambda including_emulation, modern=modern: modern,  # noqa: ARG005
        )
        assert precision_of("auto", "cuda:1", without_bfloat16="16-mixed") == classifier
        assert precision_of("auto", "cuda:1") == detector
