"""A classifier alone labels crops."""

from __future__ import annotations

import csv
import shutil
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from commands import Run as Command
from smoke_runs import SmokeRuns

from pcm_leukemia.baselines import inference
from pcm_leukemia.baselines.crop_prediction import predict_crops
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.converters import crops
from pcm_leukemia.errors import DataWarning, ExportError

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def classifier(smoke_runs: SmokeRuns) -> Run:
    return smoke_runs.run("resnet50-classification")


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_crops_get_the_labels_of_their_cells(classifier: Run, smoke_runs: SmokeRuns, tmp_path: Path) -> None:
    """Crops cut by us are what the model sees of a cell, so that its probabilities are the same."""
    test = smoke_runs.ds.part("test").task("classification")
    model = classifier.classifier("cpu")
    crops.write(test, tmp_path / "crops", padding=model.padding)
    report = predict_crops(classifier, tmp_path / "crops", tmp_path / "out", device="cpu", batch=5)
    cells, expected, _ = inference.classify(model, test)
    files = {row.file: (row.image, row.cell) for row in crops.read_table(tmp_path / "crops")}
    found = {files[row["file"]]: row for row in table(tmp_path / "out")}
    assert len(found) == len(cells) == report.images["all"] == sum(report.cells["all"].values()) > 0
    for cell, probabilities in zip(cells, expected, strict=True):
        row = found[cell.image, cell.id]
        written = [float(row[label]) for label in model.labels]
        assert np.allclose(written, probabilities, atol=2e-6)
        assert row["label"] == model.labels[probabilities.argmax()]
        assert float(row["score"]) == max(written)


def zipped(folder: Path, below: Path) -> Path:
    """A zip with the files of a folder, by their paths below another."""
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(below))
    return folder.with_suffix(".zip")


def test_crops_of_another_padding_are_a_warning(
    classifier: Run, smoke_runs: SmokeRuns, tmp_path: Path
) -> None:
    folder = tmp_path / "crops"
    crops.write(smoke_runs.ds.part("test").task("classification"), folder, padding=3)
    for data in (folder, zipped(folder, folder), zipped(folder, tmp_path)):
        with pytest.warns(DataWarning, match="crops have 3 px of padding, and .* with 50 px; cut them with"):
            predict_crops(classifier, data, tmp_path / "out", device="cpu")


def test_the_padding_of_crops_with_the_table_of_another_tool_is_not_known(
    classifier: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "cells"
    folder.mkdir()
    PIL.Image.new("RGB", (90, 80), "white").save(folder / "a.png")
    for table_of_others in (b"file,label\na.png,Monocyte\n", b"file;padding\na.png;3\n", b"\xff\xfe\x00"):
        (folder / "crops.csv").write_bytes(table_of_others)
        for data in (folder, zipped(folder, folder)):
            report = predict_crops(classifier, data, tmp_path / "out", device="cpu")
            assert report.images == {"all": 1}


def test_the_command_takes_any_folder_of_images(run: Command, classifier: Run, tmp_path: Path) -> None:
    (tmp_path / "cells" / "P1").mkdir(parents=True)
    for name in ("b.png", "P1/a.png"):
        PIL.Image.new("RGB", (90, 80), "white").save(tmp_path / "cells" / name)
    code, out, _ = run("predict", classifier.folder, tmp_path / "cells", tmp_path / "out")
    assert code == 0
    assert "predictions of crops: " in out
    assert "all: 2 images, 2 cells" in out
    assert [row["file"] for row in table(tmp_path / "out")] == ["P1/a.png", "b.png"]
    code, _, err = run(
        "predict", classifier.folder, tmp_path / "cells", tmp_path / "new", "--threshold", "0.4"
    )
    assert code == 2
    assert "--threshold is for detections, and a classifier alone labels crops" in err
    assert not (tmp_path / "new").exists()


def test_a_folder_of_something_else_is_not_replaced(classifier: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    PIL.Image.new("RGB", (90, 80)).save(tmp_path / "a.png")
    with pytest.raises(ExportError, match=r"notes\.txt"):
        predict_crops(classifier, tmp_path / "a.png", tmp_path / "out", device="cpu")
    shutil.rmtree(tmp_path / "out")
    assert predict_crops(classifier, tmp_path / "a.png", tmp_path / "out", device="cpu").images == {"all": 1}


def test_a_data_set_of_whole_images_is_refused(
    run: Command, classifier: Run, smoke_runs: SmokeRuns, tmp_path: Path
) -> None:
    for data in (smoke_runs.folder / "data", smoke_runs.folder / "export.zip"):
        code, _, err = run("predict", classifier.folder, data, tmp_path / "out")
        assert code == 2
        assert "is a data set of whole images, and a classifier alone labels crops" in err
    assert not (tmp_path / "out").exists()
