"""How many workers load images, on machines of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import pytest
from smoke_runs import SmokeRuns

from pcm_leukemia.baselines import config, training
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.workers import workers_of


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
