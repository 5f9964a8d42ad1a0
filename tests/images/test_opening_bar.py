"""The bar while the image files of many images are opened: on a terminal, if it was asked for, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Run
from exports import document, image, png, zipped

from pcm_leukemia import load_dataset


@pytest.fixture
def large(tmp_path: Path) -> Path:
    names = [f"P{number // 50}/{number}.png" for number in range(600)]
    text = document(*(image(name, number=number) for number, name in enumerate(names)))
    return zipped(
        tmp_path / "export.zip", {"annotations.xml": text, **{f"images/{name}": png() for name in names}}
    )


def test_import_shows_a_bar_on_a_terminal_and_none_in_a_pipe(
    run: Run, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("import", large, tmp_path / "data", "--patients", "(?P<patient>P.+)/")
    piped = run(*words)
    assert (piped.status, piped.err) == (0, "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    shown = run(*words)
    assert shown.out == piped.out
    assert "opening images" in shown.err
    assert "opening images" in run("import", tmp_path / "data", tmp_path / "again").err


def test_python_shows_a_bar_if_asked_for(
    large: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    quiet = load_dataset(large)
    assert capsys.readouterr() == ("", "")
    assert load_dataset(large, progress=True) == quiet
    assert "opening images" in capsys.readouterr().err
