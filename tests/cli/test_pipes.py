"""In a pipe, a command writes its result to standard output and nothing else, and no empty line anywhere."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from commands import Run

from pcm_leukemia.progress import share, track


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (("check", "DATA"), "export: looked at 20 images"),
        (("check", "DATA", "--json"), "{"),
        (("convert", "DATA", "OUT", "--to", "crops"), "crops: OUT"),
        (("convert", "DATA", "OUT", "--to", "yolo", "--images", "copy"), "yolo: OUT"),
        (("convert", "DATA", "OUT", "--to", "huggingface", "--license", "other"), "huggingface: OUT"),
        (("convert", "DATA", "OUT.zip", "--to", "cvat"), "cvat: OUT.zip"),
        (("report", "DATA", "OUT.html"), "export: "),
        (("sample", "OUT.zip", "--n-patients", "1", "--n-images", "2"), "OUT.zip"),
    ],
)
def test_the_output_is_the_result(
    run: Run, export: Path, tmp_path: Path, words: tuple[str, ...], first: str
) -> None:
    def placed(word: str) -> str:
        return word.replace("DATA", str(export)).replace("OUT", str(tmp_path / "out"))

    done = run(*map(placed, words))
    assert done.out.startswith(placed(first))
    assert "" not in done.out.splitlines()
    assert all(line.startswith("warning: ") for line in done.err.splitlines())


def test_bars_are_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen, out = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track("abc", "letters", shown=True, stays=True)) == ["a", "b", "c"]
    assert "letters" in screen.getvalue()
    assert list(track("abc", "not shown", shown=False)) == ["a", "b", "c"]
    with share("cells", shown=True) as told:
        told(0.25)
    assert "cells" in screen.getvalue()
    assert "25%" in screen.getvalue()
    with share("not shown", shown=False) as told:
        told(1)
    assert "not shown" not in screen.getvalue()
    assert out.getvalue() == ""
