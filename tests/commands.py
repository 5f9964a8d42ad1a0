"""Runs a command as a shell does, for tests: the fixture `run`, and `export` for it to read."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
from exports import box, document, image, png, zipped

from pcm_leukemia import cli


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


class Run:
    """Runs a command, as `main` does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> Outcome:
        self.monkeypatch.setattr(sys, "argv", ["pcm-leukemia", *map(str, arguments)])
        self.monkeypatch.setenv("COLUMNS", "200")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            try:
                cli.main()
                status = 0
            except SystemExit as left:
                status = int(left.code or 0)
        return Outcome(status, *self.capsys.readouterr())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Ten patients with two images each; every image has a Monocyte, every other one an Other."""
    names = [f"AML/P{patient:02d}/{number}.png" for patient in range(10) for number in (0, 1)]
    shapes = [
        box("Monocyte") + (box("Other", (60, 30, 90, 60)) if index % 2 else "") for index in range(len(names))
    ]
    text = document(
        *(image(name, shape, number=n) for n, (name, shape) in enumerate(zip(names, shapes, strict=True)))
    )
    return zipped(
        tmp_path / "export.zip", {"annotations.xml": text, **{f"images/{name}": png() for name in names}}
    )
