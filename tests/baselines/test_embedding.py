"""Embeddings: the features of a network for each cell, in a file that pandas and `datasets` open."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import PIL.Image
import pyarrow.parquet
import pytest
import timm
import torch

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Patient, Split, store
from pcm_leukemia.baselines import config, stain
from pcm_leukemia.baselines.classifiers import network as networks
from pcm_leukemia.baselines.classifiers.backbones import backbone
from pcm_leukemia.baselines.classifiers.crops import Prepare
from pcm_leukemia.baselines.embedding import embed, read
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.errors import DataNotFound, ExportError, LeakySplit, MissingExtra, UnfitForTask
from pcm_leukemia.files import digest
from pcm_leukemia.schema import ImageId, PatientId
from pcm_leukemia.shapes import Point
from pcm_leukemia.torchdata import Crops

EIGHT = NINE.labels[:-1]
PARTS = {"a": "train", "b": "train", "c": "val", "d": "test"}
TINY: dict[str, Any] = {"weights": "none", "image_size": 32, "device": "cpu"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number, name in enumerate(PARTS):
        pixels = rng.integers(120 + 20 * number, 256, (80, 200, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def digest_of(path: Path) -> str:
    with path.open("rb") as stream:
        return digest(stream, path.stat().st_size)


@pytest.fixture
def ds(pictures: Path) -> Dataset:
    """Four patients with an image of three cells each; one cell is ignored, one is of no kind, one is at the border."""
    images = tuple(
        Image(
            ImageId(f"{name}.png"),
            200,
            80,
            PatientId(f"P{name}"),
            file=f"{name}.png",
            group=f"slide {name}",
            digest=digest_of(pictures / f"{name}.png"),
        )
        for name in PARTS
    )
    cells = [
        Cell(image.id, cell, EIGHT[(number + cell) % 8], Box(60 * cell, 20, 60 * cell + 30.5, 55))
        for number, image in enumerate(images)
        for cell in range(3)
    ]
    cells[4] = msgspec.structs.replace(cells[4], label=IGNORE)
    cells[7] = msgspec.structs.replace(cells[7], label="Other")
    people = tuple(Patient(PatientId(f"P{name}"), "AML") for name in PARTS)
    split = Split("official", {ImageId(f"{name}.png"): part for name, part in PARTS.items()})
    return Dataset("demo", NINE, images, tuple(cells), people, split, pictures)


def trained(folder: Path, ds: Dataset, *, kind: stain.Kind = "none", baseline: str = "resnet50") -> Run:
    """The run of a classifier, as training leaves it, with random weights."""
    changes = {"model": "resnet10t", "weights": "none", "stain": kind} if baseline == "resnet50" else {}
    settings = msgspec.to_builtins(config.settings(config.find(baseline), "smoke", changes))
    labels = EIGHT if baseline == "resnet50" else NINE.labels
    asked = {"baseline": baseline, "task": "classification", "labels": list(labels), "settings": settings}
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"state": "done", "asked": asked}))
    store.write(ds, folder / "data")
    if baseline == "resnet50":
        torch.manual_seed(3)
        network = networks.Network(backbone("resnet10t", "none", image_size=48), 8)
        colours = [np.random.default_rng(1).integers(20, 230, (40, 40, 3), dtype=np.uint8)]
        reference = stain.Reference.of(colours) if kind != "none" else None
        networks.save(network, folder, labels, "resnet10t", Prepare(48, kind, reference), 7)
    return Run.open(folder)


def crops_of(ds: Dataset, padding: int) -> list[Any]:
    crops = Crops(ds.task("classification"), padding=padding)
    return [crops[number][0] for number in range(len(crops))]


def table(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def features(path: Path) -> Any:
    return np.stack(list(table(path)["features"]))


@pytest.mark.parametrize("kind", ["none", "reinhard"])
def test_features_of_a_run_are_those_of_its_network(kind: stain.Kind, ds: Dataset, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", ds, kind=kind)
    embed(run, ds, tmp_path / "out.parquet", device="cpu")
    classifier = run.classifier("cpu")
    assert isinstance(classifier, networks.CellClassifier)
    normalise = stain.augmentation(kind, classifier.preparation.reference)
    mean, deviation = (
        torch.tensor(each)[:, None, None] for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    expected = []
    for crop in crops_of(ds, 7):
        pixels = np.asarray(crop)
        if kind != "none":
            pixels = normalise(pixels)
        small = PIL.Image.fromarray(pixels).resize((48, 48), PIL.Image.Resampling.BILINEAR)
        picture = torch.from_numpy(np.array(small)).permute(2, 0, 1) / 255
        with torch.no_grad():
            expected.append(classifier.network.backbone(((picture - mean) / deviation)[None])[0].numpy())
    np.testing.assert_allclose(features(tmp_path / "out.parquet"), expected, atol=1e-5)
    about = read(tmp_path / "out.parquet").about
    assert (about.model, about.weights, about.image_size) == ("resnet10t", str(run.folder), 48)
    assert (about.padding, about.stain, about.width) == (7, kind, 512)


def test_features_of_a_model_are_those_of_timm(ds: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(5)
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    given = {"weights": str(tmp_path / "weights.pth"), "image_size": 64, "padding": 3, "device": "cpu"}
    embed("tf_efficientnet_lite0", ds, tmp_path / "out.parquet", **given)  # type: ignore[arg-type]
    expected = []
    for crop in crops_of(ds, 3):
        small = np.array(crop.resize((64, 64), PIL.Image.Resampling.BILINEAR))
        picture = torch.from_numpy(small).permute(2, 0, 1) / 255
        with torch.no_grad():
            expected.append(
                model.eval()(((picture - 0.5) / 0.5)[None])[0].numpy()
            )  # its own mean and deviation
    np.testing.assert_allclose(features(tmp_path / "out.parquet"), expected, atol=1e-5)


def test_a_row_says_what_the_data_set_says(ds: Dataset, tmp_path: Path) -> None:
    report = embed("resnet10t", ds, tmp_path / "out.parquet", **TINY)
    rows = table(tmp_path / "out.parquet")
    known = ds.to_pandas()
    known = known[~known["label"].isin(["Other", IGNORE])].reset_index(drop=True)
    columns = ["image", "cell", "label", "patient", "diagnosis", "part", "x1", "y1", "x2", "y2"]
    pd.testing.assert_frame_equal(rows[columns], known[columns], check_dtype=False)
    assert list(rows["group"]) == [f"slide {image[0]}" for image in rows["image"]]
    assert str(report) == (
        f"embeddings: {tmp_path / 'out.parquet'}\n  train: 2 images, 5 cells\n  val: 1 image, 2 cells\n"
        "  test: 1 image, 3 cells\n  left out: 1 ignored cell\n  left out: 1 cell of classes that is not of the task"
    )
    about = json.loads(pyarrow.parquet.read_schema(tmp_path / "out.parquet").metadata[b"pcm_leukemia"])
    assert about["fingerprint"] == ds.fingerprint
    assert about["labels"] == list(EIGHT)
    assert (about["model"], about["weights"], about["split"]) == ("resnet10t", "none", "official")
    assert (about["image_size"], about["padding"], about["version"]) == (
        32,
        50,
        version("pcm-leukemia"),
    )


def test_the_same_whatever_the_batch_the_threads_and_the_row_groups(
    ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_rng_state()
    embed("resnet10t", ds, tmp_path / "one.parquet", **TINY)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(77)
    monkeypatch.setattr("pcm_leukemia.baselines.embedding.features.ROWS", 3)
    embed("resnet10t", ds, tmp_path / "other.parquet", **TINY, batch=2, workers=1)
    groups = [
        pyarrow.parquet.ParquetFile(tmp_path / f"{name}.parquet").metadata.num_row_groups
        for name in ("one", "other")
    ]
    assert groups == [1, 4]
    one, other = (table(tmp_path / f"{name}.parquet") for name in ("one", "other"))
    pd.testing.assert_frame_equal(one.drop(columns="features"), other.drop(columns="features"))
    np.testing.assert_allclose(
        features(tmp_path / "one.parquet"), features(tmp_path / "other.parquet"), atol=1e-5
    )


def test_datasets_opens_the_file(ds: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    embed("resnet10t", ds, tmp_path / "out.parquet", **TINY)
    opened = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert opened.num_rows == 10
    np.testing.assert_array_equal(
        opened.with_format("numpy")["features"][:], features(tmp_path / "out.parquet")
    )


def test_without_a_split_there_is_no_part_and_other_classes_are_embedded_as_they_are(
    ds: Dataset, tmp_path: Path
) -> None:
    embed("resnet10t", ds.with_split(None), tmp_path / "whole.parquet", **TINY)
    assert table(tmp_path / "whole.parquet")["part"].isna().all()
    embed("resnet10t", ds, tmp_path / "nine.parquet", **TINY, task="detection")
    assert sum(table(tmp_path / "nine.parquet")["label"] == "Other") == 1
    mapping = {label: "Other" if label == "Other" else "White" for label in NINE.labels}
    embed("resnet10t", ds.relabel(mapping, "declared"), tmp_path / "declared.parquet", **TINY)
    assert set(table(tmp_path / "declared.parquet")["label"]) == {"Other", "White"}


def test_data_that_the_weights_have_seen_in_pretraining_are_named(ds: Dataset, tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet10t", num_classes=0).state_dict(), tmp_path / "dinobloom.pth")
    out, given = tmp_path / "out.parquet", {**TINY, "weights": str(tmp_path / "dinobloom.pth")}
    report = embed("resnet10t", replace(ds, name="lmu"), out, **given)
    note = "the authors of the weights of resnet10t list lmu among the data of their pretraining, which used no labels"
    assert f"  note: {note}" in str(report)
    assert read(out).about.pretraining.startswith(note)


@pytest.mark.parametrize("name", ["out.csv", "out"])
def test_only_parquet_is_written(name: str, ds: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=f"{name}: is not named .parquet; name a file such as out.parquet$"):
        embed("resnet10t", ds, tmp_path / name, **TINY)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("place", ["there.parquet", "data/new.parquet", "folder"])
def test_what_is_there_stays(place: str, ds: Dataset, tmp_path: Path) -> None:
    (tmp_path / "there.parquet").write_text("mine")
    (tmp_path / "folder").mkdir()
    store.write(ds, tmp_path / "data")
    with pytest.raises(
        ExportError, match=r"(: exists; name a file|is inside .* which holds a data set; name a)"
    ):
        embed("resnet10t", ds, tmp_path / place, **TINY)
    assert (tmp_path / "there.parquet").read_text() == "mine"


def test_a_failure_leaves_nothing(ds: Dataset, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "pictures")
    (tmp_path / "pictures" / "d.png").unlink()
    with pytest.raises(DataNotFound):
        embed("resnet10t", replace(ds, root=tmp_path / "pictures"), tmp_path / "out.parquet", **TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_the_run_of_a_detector_is_refused(ds: Dataset, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", ds, baseline="yolo11m")
    with pytest.raises(
        ValueError, match="is a run of yolo11m, which is not a classifier; give the run of a classifier$"
    ):
        embed(run, ds, tmp_path / "out.parquet")


@pytest.mark.parametrize("given", [{"weights": "none"}, {"image_size": 32}, {"padding": 0}])
def test_a_run_has_its_own_preprocessing(given: dict[str, Any], ds: Dataset, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", ds)
    (name,) = given
    with pytest.raises(ValueError, match=f"^{name}: .*run is a run, which has its own; leave it out$"):
        embed(run, ds, tmp_path / "out.parquet", **given)


def test_a_run_that_has_learned_from_the_test_part_is_refused(ds: Dataset, tmp_path: Path) -> None:
    assert ds.split is not None
    other = {**ds.split.part_of, ImageId("a.png"): "test", ImageId("d.png"): "train"}
    run = trained(tmp_path / "run", ds.with_split(Split("other", other)))
    with pytest.raises(LeakySplit, match=r"d\.png"):
        embed(run, ds, tmp_path / "out.parquet")
    embed(run, ds.with_split(None), tmp_path / "out.parquet", device="cpu")  # no part of it can be scored


def test_a_split_that_leaks_is_refused(ds: Dataset, tmp_path: Path) -> None:
    images = tuple(replace(image, patient=PatientId("Pa")) for image in ds.images)
    with pytest.raises(LeakySplit, match=r'patient "Pa": is in train \(2 images\), val \(1 image\) and test'):
        embed("resnet10t", replace(ds, images=images), tmp_path / "out.parquet", **TINY)


def test_points_are_refused_and_crops_are_whole_images(ds: Dataset, tmp_path: Path) -> None:
    point = Point(20, 30)
    cells = [msgspec.structs.replace(ds.cells[0], shape=point, box=point.pixel(200, 80)), *ds.cells[1:]]
    with pytest.raises(UnfitForTask, match="^demo: 1 cell is a point without a box"):
        embed("resnet10t", replace(ds, cells=tuple(cells)), tmp_path / "points.parquet", **TINY)
    whole = [Cell(image.id, 0, "Monocyte", Box(0, 0, 200, 80)) for image in ds.images]
    for padding in (0, 50):  # there is nothing around a crop
        crops = replace(ds, cells=tuple(whole))
        embed("resnet10t", crops, tmp_path / f"{padding}.parquet", **TINY, padding=padding)
    np.testing.assert_array_equal(features(tmp_path / "0.parquet"), features(tmp_path / "50.parquet"))


def test_wrong_requests_are_one_sentence(
    ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.parquet"
    with pytest.raises(UnfitForTask, match="^demo: has no cell to embed; import its annotations"):
        embed("resnet10t", replace(ds, cells=()), out, **TINY)
    with pytest.raises(ValueError, match="^padding: is -1; give 0 or more pixels$"):
        embed("resnet10t", ds, out, **TINY, padding=-1)
    with pytest.raises(
        DataNotFound, match="is neither a run nor a folder with a model of timm; correct the path"
    ):
        embed(str(tmp_path / "runs"), ds, out, **TINY)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        MissingExtra, match=r"^pyarrow: not installed; run: pip install 'pcm-leukemia\[hf\]'$"
    ):
        embed("resnet10t", ds, out, **TINY)
