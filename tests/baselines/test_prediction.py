"""Where predictions are written: names of files and folders, without a model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import PIL.Image
import pytest

from pcm_leukemia import bare_images, cli, store
from pcm_leukemia.baselines import prediction
from pcm_leukemia.baselines.prediction import Predicted
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import ExportError
from pcm_leukemia.files import Report
from pcm_leukemia.schema import ImageId, Split, Taxonomy
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE


def smears(folder: Path, *names: str) -> Dataset:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (64, 48), "white").save(folder / name)
    return bare_images.read(folder)


def write(ds: Dataset, out: Path, form: prediction.Form) -> Report:
    predicted = {image.id: [Predicted("Monocyte", Box(5, 5, 20, 20), 0.9)] for image in ds.images}
    return prediction.write(predicted, out, ds, NINE, form)


def test_a_picture_has_the_name_of_its_image(tmp_path: Path) -> None:
    names = ("a.jpg", "a.png", "b.PNG", "b.png.jpg", "B.jpeg", "ward.7/c.tif", "ward.7/c.jpg.tif")
    ds = smears(tmp_path / "new", *names)
    write(ds, tmp_path / "out", "pictures")
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.jpg")}
    assert len(written) == len(names)
    assert {"a.jpg", "a.png.jpg", "ward.7/c.jpg", "ward.7/c.jpg.jpg"} < written
    assert len({name.casefold() for name in written}) == len(names)
    assert {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()} == {".jpg", ".json"}


def test_a_zip_for_cvat_ends_in_zip(tmp_path: Path) -> None:
    ds = smears(tmp_path / "new", "a.jpg")
    report = write(ds, tmp_path / "review", "cvat")
    assert report.out == tmp_path / "review.zip"
    assert report.out.is_file()
    assert not (tmp_path / "review").exists()
    write(ds, tmp_path / "review", "cvat")  # its own zip is replaced
    (tmp_path / "notes.zip").write_text("mine")
    with pytest.raises(ExportError, match=r"notes\.zip: exists, and pcm-leukemia did not write it"):
        write(ds, tmp_path / "notes", "cvat")


@pytest.mark.parametrize(
    ("form", "name"), [("coco", "pred.json"), ("pictures", "a.JPG"), ("pictures", "a.zip")]
)
def test_no_folder_gets_the_name_of_a_file(form: prediction.Form, name: str, tmp_path: Path) -> None:
    ds = smears(tmp_path / "new", "a.jpg")
    with pytest.raises(
        ExportError, match=f"would be a folder with the name of a file; leave out .{name.partition('.')[2]}"
    ):
        write(ds, tmp_path / name, form)
    assert not (tmp_path / name).exists()


def test_a_folder_that_has_such_a_name_already_is_still_replaced(tmp_path: Path) -> None:
    ds = smears(tmp_path / "new", "a.jpg")
    write(ds, tmp_path / "pred", "coco")
    (tmp_path / "pred").rename(tmp_path / "pred.json")
    write(ds, tmp_path / "pred.json", "coco")
    assert (tmp_path / "pred.json" / "results.json").is_file()


@pytest.mark.parametrize(
    ("form", "out", "sentence"),
    [
        ("coco", "pred.json", "would be a folder with the name of a file; leave out .json"),
        ("pictures", "new", 'holds "a.jpg", which pcm-leukemia did not write'),
        ("cvat", "notes", "notes.zip: exists, and pcm-leukemia did not write it for CVAT"),
    ],
)
def test_the_output_is_checked_before_a_model_runs(
    form: str,
    out: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    smears(tmp_path / "new", "a.jpg")
    (tmp_path / "notes.zip").write_text("mine")
    monkeypatch.chdir(tmp_path)
    words = ["predict", "no-run", "new", out, "--to", form]  # a run that is not there is found out later
    monkeypatch.setattr(sys, "argv", ["pcm-leukemia", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert sentence in capsys.readouterr().err


def overlapping(ds: Dataset) -> dict[ImageId, list[Predicted]]:
    """Four predictions for each image: one cell found as two classes, a faint cell, and another cell."""
    ones = [
        Predicted("Monocyte", Box(5, 5, 25, 25), 0.6),
        Predicted("Lymphocyte", Box(5, 5, 25, 24), 0.9),
        Predicted("Basophil", Box(30, 5, 50, 25), 0.3),
        Predicted("Monocyte", Box(30, 28, 50, 46), 0.7),
    ]
    return {image.id: ones for image in ds.images}


@pytest.mark.parametrize("form", ["cvat", "pictures"])
def test_a_cell_is_written_once_and_the_report_counts_the_rest(form: prediction.Form, tmp_path: Path) -> None:
    ds = smears(tmp_path / "new", "a.png")
    report = prediction.write(overlapping(ds), tmp_path / "out", ds, NINE, form)
    assert {label: count for label, count in report.cells["all"].items() if count} == {
        "Lymphocyte": 1,
        "Monocyte": 1,
    }
    assert "left out: 1 prediction of a cell that has a better one" in str(report)
    assert "left out: 1 prediction with a score below 0.5" in str(report)
    every = prediction.write(overlapping(ds), tmp_path / "all", ds, NINE, form, threshold=0.2, nms_iou=1)
    assert sum(every.cells["all"].values()) == 4
    assert "left out: 1 prediction" not in str(every)


def test_coco_results_have_every_prediction_and_say_so(tmp_path: Path) -> None:
    ds = smears(tmp_path / "new", "a.png")
    report = prediction.write(overlapping(ds), tmp_path / "out", ds, NINE, "coco")
    assert (
        sum(report.cells["all"].values()) == len(json.loads((tmp_path / "out/results.json").read_text())) == 4
    )
    assert "note: cells are predictions of every score, down to 0.3; many are not cells" in str(report)
    fewer = prediction.write(overlapping(ds), tmp_path / "fewer", ds, NINE, "coco", nms_iou=0.7)
    assert sum(fewer.cells["all"].values()) == 3


def test_a_part_of_a_data_set_is_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = smears(tmp_path / "new", "a.png", "b.png", "c.png").images
    split = Split(
        "s", {image.id: part for image, part in zip(images, ("train", "test", "test"), strict=True)}
    )
    store.write(Dataset("d", NINE, images, root=tmp_path / "new", split=split), tmp_path / "data")
    asked: list[Dataset] = []

    def nothing(_: object, ds: Dataset, **__: object) -> tuple[dict[ImageId, list[Predicted]], Taxonomy]:
        asked.append(ds)
        return {image.id: [] for image in ds.images}, NINE

    monkeypatch.setattr(prediction, "predict", nothing)
    monkeypatch.setattr(Run, "open", lambda folder: SimpleNamespace(folder=Path(folder)))
    monkeypatch.chdir(tmp_path)
    for words, expected in (((), 3), (("--part", "test"), 2)):
        monkeypatch.setattr(sys, "argv", ["pcm-leukemia", "predict", "run", "data", "out", *words])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert not left.value.code
        assert len(asked.pop().images) == expected
        assert f"all: {expected} images, 0 cells" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["pcm-leukemia", "predict", "run", "new", "out", "--part", "test"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert "has no split" in capsys.readouterr().err
