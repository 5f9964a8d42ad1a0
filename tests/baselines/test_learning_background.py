"""Ignored cells, which a detector learns as background: training says how many there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Split, baselines
from pcm_leukemia.baselines import yolo11m
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.errors import DataWarning
from pcm_leukemia.schema import UNTYPED, ImageId


class _Stopped(Exception):
    """In place of the training itself."""


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    found: list[Job] = []

    def stop(job: Job, _: object) -> Any:
        found.append(job)
        raise _Stopped

    monkeypatch.setattr(yolo11m, "train", stop)
    return found


def data(*labels: str) -> Dataset:
    """Two images, each with all these labels."""
    images = [Image(ImageId(f"{part}.png"), 400, 100) for part in ("train", "val")]
    cells = (
        Cell(image.id, number, label, Box(30 * number, 10, 30 * number + 20, 30))
        for image in images
        for number, label in enumerate(labels)
    )
    split = Split("official", {image.id: image.id.removesuffix(".png") for image in images})
    return Dataset("demo", NINE, tuple(images), tuple(cells), split=split)


def train(ds: Dataset, out: Path, task: str) -> None:
    with pytest.raises(_Stopped):
        baselines.train("yolo11m", ds, out, task=task, preset="smoke", device="cpu")


def test_a_detector_of_white_cells_warns_of_cells_that_are_ignored(jobs: list[Job], tmp_path: Path) -> None:
    ds = data("Monocyte", "Other", UNTYPED, IGNORE)
    with pytest.warns(DataWarning) as caught:
        train(ds, tmp_path / "run", "wbc")
    assert len(caught) == 1
    assert str(caught[0].message) == (
        "demo: a detector takes 1 cell without a class for background in part train; if they are white cells, "
        'read them as such: labels={LABEL: "WBC"}'
    )
    assert [cell.label for cell in jobs[0].train.cells] == ["WBC", "Other", "WBC"]
    assert jobs[0].val.ignored == 1


def test_it_learns_white_cells_of_unknown_type(jobs: list[Job], tmp_path: Path) -> None:
    train(data("Monocyte", "Other", UNTYPED), tmp_path / "run", "wbc")
    assert [cell.label for cell in jobs[0].train.cells] == ["WBC", "Other", "WBC"]


def test_a_detector_of_classes_warns_of_both(jobs: list[Job], tmp_path: Path) -> None:
    ds = data(*NINE.labels, UNTYPED, IGNORE)
    with pytest.warns(
        DataWarning,
        match="takes 2 cells without a class for background in part train; leave their images out, or",
    ):
        train(ds, tmp_path / "run", "detection")
    assert [cell.label for cell in jobs[0].train.cells] == list(NINE.labels)
