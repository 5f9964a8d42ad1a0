"""--max-pixels and --white-level on the command line, and the environment variables behind them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from pcm_leukemia import cli
from pcm_leukemia.environment import MAX_PIXELS, WHITE_LEVEL


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    PIL.Image.linear_gradient("L").convert("RGB").save(tmp_path / "images" / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 256, "height": 256}],
        "categories": [{"id": 1, "name": "Monocyte"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 40]}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    return tmp_path / "a.json"


def run(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["pcm-leukemia", *map(str, words)])
    try:
        cli.main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_a_white_level_is_asked_for_once_and_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A 12-bit image in a file of 16 bits."""
    true = np.asarray(PIL.Image.linear_gradient("L"))
    deep = np.rint(true / 255 * 4095).astype(np.uint16)
    PIL.Image.fromarray(deep).save(tmp_path / "images" / "a.png")
    root, out = tmp_path / "images", tmp_path / "out"
    assert run("import", data, out, "--images-root", root, monkeypatch=monkeypatch) == 1
    said = capsys.readouterr().err
    assert (
        'image "a.png": a.png: has values up to 4,095, and its file does not say which value is white' in said
    )
    assert f"say it, for example --white-level 4095 or {WHITE_LEVEL}=4095" in said
    assert not out.exists()
    given = ("--images-root", root, "--white-level", 4095)
    assert run("import", data, out, *given, monkeypatch=monkeypatch) == 0
    assert WHITE_LEVEL not in os.environ
    assert run("check", out, monkeypatch=monkeypatch) == 0
    crops = ("--to", "crops", "--padding", 0)
    assert run("convert", out, tmp_path / "crops", *crops, monkeypatch=monkeypatch) == 0
    (crop,) = (tmp_path / "crops").rglob("*.png")
    with PIL.Image.open(crop) as picture:
        cut = np.asarray(picture)[..., 0].astype(int)
    assert np.abs(cut - true[10:50, 10:50]).max() <= 1
    assert run("convert", out, tmp_path / "yolo", "--to", "yolo", monkeypatch=monkeypatch) == 0
    assert "1 image with more than 8 bits a channel" in capsys.readouterr().out


def test_max_pixels_limits_what_is_decoded(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "images"
    given = ("--images-root", root, "--max-pixels", 100)  # of the header, any size is read
    assert run("import", data, tmp_path / "out", *given, monkeypatch=monkeypatch) == 0
    assert run("check", tmp_path / "out", "--max-pixels", 65535, monkeypatch=monkeypatch) == 1
    said = capsys.readouterr().out
    assert "a.png: has 65,536 pixels, more than the 65,535 that are decoded" in said
    assert f"raise the limit: --max-pixels 65536 or {MAX_PIXELS}=65536" in said
    assert run("check", tmp_path / "out", "--max-pixels", 65536, monkeypatch=monkeypatch) == 0
    assert MAX_PIXELS not in os.environ
    monkeypatch.setenv(MAX_PIXELS, "65535")
    assert run("check", tmp_path / "out", monkeypatch=monkeypatch) == 1
    assert run("check", tmp_path / "out", "--max-pixels", 65536, monkeypatch=monkeypatch) == 0
    assert os.environ[MAX_PIXELS] == "65535"
    assert run("check", tmp_path / "out", "--max-pixels", 0, monkeypatch=monkeypatch) == 2
