"""The commands `embed` and `probe`, typed as by a user."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Run


@pytest.fixture
def data(run: Run, export: Path, tmp_path: Path) -> Path:
    pattern = "(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
    assert run("import", export, tmp_path / "data", "--patients", pattern).status == 0
    assert run("split", tmp_path / "data", "--test", "0.3", "--val", "0").status == 0
    return tmp_path / "data"


MODEL = (
    "--weights",
    "none",
    "--image-size",
    "32",
    "--padding",
    "5",
    "--device",
    "cpu",
    "--task",
    "detection",
)


def test_a_model_is_embedded_and_probed(run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "a.parquet"
    made = run("embed", "resnet10t", data, out, *MODEL)
    assert (made.status, made.err) == (0, "")
    assert f"embeddings: {out}\n  train: 14 images, 21 cells\n  test: 6 images, 9 cells\n" in made.out
    probed = run("probe", out)
    assert probed.status == 0
    assert probed.out.startswith("data: train 21 cells, test 9 cells, 9 classes\n")
    assert "draws of patients, seed 0" in probed.out
    plain = json.loads(run("probe", out, out, "--json").out)
    assert [each["file"] for each in plain["files"]] == [str(out), str(out)]
    assert set(plain["files"][0]["scores"]) == {"1-NN", "20-NN", "linear probe"}


def test_mistakes_are_one_sentence(run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.parquet"
    folder = run("embed", tmp_path, data, out)
    assert folder.status == 1
    assert folder.err.startswith(
        f"error: {tmp_path}: is neither a run nor a folder with a model of timm; correct"
    )
    near = run("embed", "resnet10", data, out)
    assert near.status == 2
    assert near.err.startswith('error: model "resnet10": timm has no image model of that name; did you mean ')
    out.write_text("mine")
    for again, status in ((run("embed", "resnet10t", data, out, *MODEL), 2), (run("probe", out), 1)):
        assert again.status == status
        assert again.err.count("\n") == 1
    assert run("probe", tmp_path / "none.parquet").status == 1
    assert out.read_text() == "mine"
