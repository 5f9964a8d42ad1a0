"""Where predictions are written: names of files and folders, without a model."""

from __future__ import annotations

import sys
from pathlib import Path

import PIL.Image
import pytest

from pcm_leukemia import bare_images, cli
from pcm_leukemia.baselines import prediction
from pcm_leukemia.baselines.prediction import Predicted
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import ExportError
from pcm_leukemia.files import Report
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
