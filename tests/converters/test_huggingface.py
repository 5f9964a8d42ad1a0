"""Hugging Face: exports opened by datasets, transformers, the Hub's card and mlcroissant; the round trip."""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damaged.mutations import LFS_POINTER
from exports import SHARED, png
from hypothesis import HealthCheck, given, settings
from msgspec import structs
from strategies import datasets
from test_crops import divided, smears, tree

import pcm_leukemia as pcm
from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Patient, Split, Taxonomy, images
from pcm_leukemia.converters import huggingface
from pcm_leukemia.converters.huggingface import columns
from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    DataWarning,
    ExportError,
    InvalidDataset,
    LeakySplit,
    MissingExtra,
)
from pcm_leukemia.images import excerpts
from pcm_leukemia.images import pixels as decoding
from pcm_leukemia.schema import ImageId, PatientId, Tag
from pcm_leukemia.shapes import Mask, RotatedBox

OPEN = """
import base64, datasets, json, sys
found = {}
for folder, config in json.loads(sys.argv[1]):
    opened = datasets.load_dataset(folder, config)
    raw = opened.cast_column("image", datasets.Image(decode=False))
    rows = {split: [dict(row, image=base64.b64encode(row["image"]["bytes"]).decode()) for row in raw[split]] for split in raw}
    first = next((row["image"] for split in opened.values() for row in split), None)
    features = next(iter(opened.values())).features
    labels = features["objects"]["category"].feature if "objects" in features else features["label"]
    found[f"{folder} {config}"] = {
        "rows": rows, "labels": labels.names, "image": type(first).__module__, "columns": list(features),
    }
print(json.dumps(found))
"""
"""The code of a user who has only `datasets`."""


def offline(home: Path) -> dict[str, str]:
    """The environment of a machine without a network and without a cache."""
    return {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


def opened(home: Path, *what: tuple[Path, str]) -> list[Any]:
    """The folders and configurations as `datasets` reads them in a new process."""
    asked = json.dumps([(str(folder), config) for folder, config in what])
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", OPEN, asked],
        capture_output=True,
        text=True,
        check=False,
        env=offline(home),
        cwd=home.parent,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    return [found[f"{folder} {config}"] for folder, config in what]


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six smears in three parts: the first has unusual values, the last but one has no cells."""
    ds = divided(smears(tmp_path_factory.mktemp("smears") / "export"))
    first, *others = ds.cells
    odd = structs.replace(
        first,
        box=Box(10.1, 20.2, 50.7, 60.9),
        shape=RotatedBox(12, 22, 48, 58, 12.5),
        occluded=True,
        source="manual",
        z_order=2,
        group=3,
        track=0,
        attributes=(("age", "007"),),
    )
    unclear = structs.replace(others[1], label=IGNORE)
    cells = [odd, others[0], unclear, *(cell for cell in others[2:] if cell.image != "P4/a.png")]
    tagged = replace(ds.images[0], name="a.png", subset="P0", tags=(Tag("good", (("a", "b"),), "manual", 1),))
    patients = (*ds.patients, Patient(PatientId("P9"), "Normal"))
    assert ds.split
    split = replace(ds.split, made={"method": "by patient", "seed": "0"})
    return replace(ds, images=(tagged, *ds.images[1:]), cells=tuple(cells), patients=patients, split=split)


@pytest.fixture(scope="module")
def folder(ds: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hf") / "out"
    huggingface.write(ds, out, max_shard_bytes=300_000)
    return out


def source(ds: Dataset, image: str) -> Path:
    assert isinstance(ds.root, Path)
    return ds.root / str(ds.image(image).file)


def turned(row: dict[str, Any]) -> bytes:
    """A file of the size of a row's image whose EXIF orientation turns it by half a turn."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 3
    out = io.BytesIO()
    PIL.Image.new("RGB", (row["width"], row["height"])).save(out, "PNG", exif=exif)
    return out.getvalue()


def without_ignored(ds: Dataset) -> Dataset:
    return replace(ds, cells=tuple(cell for cell in ds.cells if cell.label != IGNORE))


# What its readers say


def test_datasets_opens_it_in_a_fresh_process(ds: Dataset, folder: Path, tmp_path: Path) -> None:
    detection, classification = opened(tmp_path / "home", (folder, "detection"), (folder, "classification"))
    assert detection["columns"] == [
        *("image", "image_id", "width", "height", "file_name", "patient", "diagnosis", "objects", "pcm")
    ]
    assert detection["labels"] == list(NINE.labels)
    assert classification["labels"] == list(NINE.labels[:-1])
    assert detection["image"].startswith("PIL.")
    expected = {"train": "train", "validation": "val", "test": "test"}
    assert list(detection["rows"]) == list(expected)
    assert list(classification["rows"]) == ["train", "test"]  # it opens no split without rows
    for split, part in expected.items():
        inside = [image for image in ds.images if ds.part_of(image) == part]
        rows = detection["rows"][split]
        assert [row["file_name"] for row in rows] == [image.id for image in inside]
        for row, image in zip(rows, inside, strict=True):
            cells = [cell for cell in ds.cells_of(image) if cell.label != IGNORE]
            assert (row["width"], row["height"], row["patient"], row["diagnosis"]) == (
                *(image.width, image.height, image.patient, "AML"),
            )
            assert row["image_id"] == ds.images.index(image) + 1
            objects = row["objects"]
            assert objects["category"] == [NINE.ids[cell.label] for cell in cells]
            assert [(x, y, x + w, y + h) for x, y, w, h in objects["bbox"]] == [
                pytest.approx((cell.box.x1, cell.box.y1, cell.box.x2, cell.box.y2)) for cell in cells
            ]
            assert objects["area"] == [pytest.approx(cell.box.area) for cell in cells]
            assert objects["raw_label"] == [cell.raw_label for cell in cells]
    numbers = [each for rows in detection["rows"].values() for row in rows for each in row["objects"]["id"]]
    assert numbers == list(range(1, 15))  # 18 cells, less three of the negative and the one to be ignored
    assert "pcm" not in classification["columns"]


def test_images_are_the_files_own_bytes_and_crops_their_pixels(
    ds: Dataset, folder: Path, tmp_path: Path
) -> None:
    detection, classification = opened(tmp_path / "home", (folder, "detection"), (folder, "classification"))
    import base64

    seen = 0
    for split in ("train", "validation", "test"):
        for row in detection["rows"][split]:
            assert base64.b64decode(row["image"]) == source(ds, row["file_name"]).read_bytes()
        for row in classification["rows"].get(split, ()):
            seen += 1
            cell = ds.cells_of(row["file_name"])[row["cell"]]
            assert NINE.labels[row["label"]] == cell.label
            assert row["patient"] == ds.image(row["file_name"]).patient
            x1, y1, x2, y2 = images.crop_corners(cell.box, 50, 320, 200)
            with (
                PIL.Image.open(source(ds, row["file_name"])) as whole,
                PIL.Image.open(io.BytesIO(base64.b64decode(row["image"]))) as crop,
            ):
                assert crop.format == "PNG"
                assert (np.asarray(crop) == np.asarray(whole.convert("RGB").crop((x1, y1, x2, y2)))).all()
    assert seen == sum(cell.label not in (IGNORE, "Other") for cell in ds.cells)


def test_other_classes_gaps_and_names_open_too(ds: Dataset, tmp_path: Path) -> None:
    """No split, two classes, parts and data sets without crops, and parts with any name."""
    whole = replace(ds, split=None)
    report = huggingface.write(whole, tmp_path / "wbc", task="wbc")
    assert 'note: the data has no split: everything is in "train"' in str(report)
    assert dict(report.images) == {"train": 6}
    parts = dict(zip((i.id for i in ds.images), ["fold 1", "fold-1", "all", "x", "x", "x"], strict=True))
    bare = tuple(cell for cell in ds.cells if cell.image != "P1/a.jpg")
    folds = replace(ds, cells=bare, split=Split("folds", parts))
    report = huggingface.write(folds, tmp_path / "folds")
    assert list(report.images) == ["all_2", "fold_1", "fold_1_2", "x"]
    assert 'note: part "all" is written as split "all_2"' in str(report)
    report = huggingface.write(replace(whole, cells=()), tmp_path / "bare")
    assert "classification has no split train: datasets cannot open a split without rows" in str(report)
    assert not (tmp_path / "bare" / "classification").exists()
    wbc, crops, gap, detection = opened(
        tmp_path / "home",
        (tmp_path / "wbc", "detection"),
        (tmp_path / "wbc", "classification"),
        (tmp_path / "folds", "classification"),
        (tmp_path / "bare", "detection"),
    )
    assert wbc["labels"] == crops["labels"] == ["WBC", "Other"]
    assert {name: len(rows) for name, rows in crops["rows"].items()} == {"train": 14}
    assert {name: len(rows) for name, rows in gap["rows"].items()} == {"all_2": 2, "fold_1": 2, "x": 4}
    assert [row["objects"]["bbox"] for row in detection["rows"]["train"]] == [[]] * 6
    for name, written in (("wbc", whole.task("wbc")), ("folds", folds), ("bare", replace(whole, cells=()))):
        assert huggingface.read(tmp_path / name) == without_ignored(written)


@pytest.mark.parametrize("labels", [NINE.labels, ("007", "yes", "a: b", 'say "hi"')])
def test_features_are_those_of_datasets(labels: tuple[str, ...]) -> None:
    import datasets as library
    import yaml

    for made in (columns.detection_features(labels), columns.classification_features(labels)):
        schema = columns.arrow_schema(made)
        theirs = library.Features.from_arrow_schema(schema)
        assert theirs.arrow_schema.remove_metadata() == schema.remove_metadata()
        assert library.Features.from_dict(made) == theirs
        header = yaml.safe_load(yaml.safe_dump(columns.yaml_features(made), sort_keys=False))
        assert library.Features._from_yaml_list(header) == theirs


def test_transformers_takes_a_row(ds: Dataset, folder: Path, tmp_path: Path) -> None:
    """One dictionary for each object, as in Hugging Face's object detection guide."""
    import datasets as library
    from transformers import RTDetrImageProcessorPil

    train = library.load_dataset(str(folder), "detection", split="train", cache_dir=str(tmp_path))
    row = train[1]
    objects = row["objects"]
    annotations = [
        {"image_id": row["image_id"], "category_id": category, "iscrowd": 0, "area": area, "bbox": bbox}
        for category, area, bbox in zip(objects["category"], objects["area"], objects["bbox"], strict=True)
    ]
    made = RTDetrImageProcessorPil(size={"height": 64, "width": 64}).preprocess(
        images=row["image"].convert("RGB"),
        annotations={"image_id": row["image_id"], "annotations": annotations},
        return_tensors="pt",
    )
    cells = ds.cells_of(row["file_name"])
    truth = made["labels"][0]
    assert truth["class_labels"].tolist() == [NINE.ids[cell.label] for cell in cells] == [0, 5, 8]
    assert truth["image_id"].tolist() == [2]
    for box, cell in zip(truth["boxes"].tolist(), cells, strict=True):
        centre = (cell.box.x1 + cell.box.x2) / 2 / 320, (cell.box.y1 + cell.box.y2) / 2 / 200
        assert box == pytest.approx((*centre, cell.box.width / 320, cell.box.height / 200))


CROISSANT = """
import json, sys
import mlcroissant
described = mlcroissant.Dataset(jsonld=sys.argv[1] + "/croissant.json")
issues = described.metadata.ctx.issues
rows = {name: list(described.records(name)) for name in ("detection", "classification")}
print(json.dumps({
    "errors": sorted(issues.errors),
    "images": [row["detection/image"].size for row in rows["detection"]],
    "splits": {name: sorted(row[name + "/split"].decode() for row in found) for name, found in rows.items()},
    "boxes": [row["detection/objects"]["detection/objects/bbox"] for row in rows["detection"]],
    "files": {node.id: node.sha256 for node in described.metadata.file_objects},
}, default=lambda value: value.tolist()))
"""
"""In a separate process, since mlcroissant causes warnings in rdflib and pandas."""


def test_mlcroissant_finds_no_error_and_reads_every_row(folder: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", CROISSANT, folder],
        capture_output=True,
        text=True,
        check=False,
        env=offline(tmp_path),
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["errors"] == []
    assert "Could not match" not in run.stderr
    assert found["images"] == [[320, 200]] * 6
    assert found["splits"]["detection"] == ["test", *["train"] * 4, "validation"]
    assert len(found["splits"]["classification"]) == 10
    assert sum(map(len, found["boxes"])) == 14
    assert found["files"] == {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.parquet")
    }


# The card


def test_the_card(folder: Path) -> None:
    card = huggingface_hub.DatasetCard.load(folder / "README.md")
    data = card.data.to_dict()
    assert (data["pretty_name"], data["license"]) == ("demo", "unknown")
    assert data["task_categories"] == ["object-detection", "image-classification"]
    assert data["size_categories"] == ["n<1K"]
    first, second = data["configs"]
    assert (first["config_name"], first["default"]) == ("detection", True)
    assert [each["split"] for each in second["data_files"]] == ["train", "test"]
    counted = {
        (info["config_name"], split["name"]): split["num_examples"]
        for info in data["dataset_info"]
        for split in info["splits"]
    }
    assert counted["detection", "train"] == 4
    assert sum(counted["classification", split] for split in ("train", "test")) == 10
    sizes = sum(path.stat().st_size for path in (folder / "detection").iterdir())
    assert data["dataset_info"][0]["download_size"] == sizes
    assert "| Lymphocyte | 4 | 0 | 1 | 5 |" in card.text
    assert "| Other | 3 | 0 | 1 | 4 |" in card.text
    assert "| train | 4 | 4 | 0 |" in card.text
    assert "- method: by patient\n- seed: 0" in card.text
    assert "only the owner may distribute the data" in " ".join(card.text.split())
    assert "Lin Tun Naing" in card.text
    assert "synthetic" not in card.text.lower()


def test_the_cards_snippet_runs(folder: Path, tmp_path: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code
    asks = "\nprint(first['image'].size, names[5], len(crops['train']))"
    run = subprocess.run(
        [sys.executable, "-c", code[1] + asks],
        capture_output=True,
        text=True,
        check=False,
        env=offline(tmp_path),
        cwd=folder,
    )
    assert run.stdout == "(320, 200) Monocyte 8\n", run.stderr


def test_the_card_says_that_data_are_synthetic_and_what_their_licence_is(ds: Dataset, tmp_path: Path) -> None:
    people = {patient.id: PatientId(f"SYN-{patient.id}") for patient in ds.patients}
    drawn = replace(
        ds,
        name="a | b\n---\n# c",
        patients=tuple(Patient(people[p.id], p.diagnosis) for p in ds.patients),
        images=tuple(replace(i, patient=i.patient and people[i.patient]) for i in ds.images),
    )
    huggingface.write(drawn, tmp_path / "hf", license="cc-by-nc-4.0", configs=["detection"])
    card = huggingface_hub.DatasetCard.load(tmp_path / "hf" / "README.md")
    assert "**These data are synthetic.**" in card.text
    assert "synthetic" in (card.data.tags or [])
    assert (card.data.license, card.data.pretty_name) == ("cc-by-nc-4.0", "a | b\n---\n# c")
    assert card.text.lstrip().startswith("# a \\| b --- \\# c\n")
    assert "Stated by the owner of the data: cc-by-nc-4.0." in card.text
    assert (tmp_path / "hf" / "detection").is_dir()
    assert not (tmp_path / "hf" / "classification").exists()


# Files


def test_shards_are_several_and_none_is_lost(folder: Path) -> None:
    for config, rows in (("detection", 4), ("classification", 8)):
        files = sorted((folder / config).glob("train-*"))
        assert len(files) > 1
        assert [file.name for file in files] == [
            f"train-{index:05d}-of-{len(files):05d}.parquet" for index in range(len(files))
        ]
        assert sum(pq.read_metadata(file).num_rows for file in files) == rows
        assert all(file.stat().st_size < 320_000 for file in files)
    one = sorted((folder / "detection").glob("test-*"))
    assert [file.name for file in one] == ["test-00000-of-00001.parquet"]


def test_a_file_holds_one_image_at_least_and_row_groups_are_small(ds: Dataset, tmp_path: Path) -> None:
    huggingface.write(ds, tmp_path / "tiny", max_shard_bytes=1)
    assert len(list((tmp_path / "tiny" / "detection").glob("train-*"))) == 4
    assert huggingface.read(tmp_path / "tiny") == without_ignored(ds)
    many = [Image(ImageId(f"{number:03d}.png"), 200, 100, file="one.png") for number in range(230)]
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "one.png").write_bytes(png())
    huggingface.write(Dataset("many", NINE, tuple(many), root=tmp_path / "export"), tmp_path / "many")
    (file,) = (tmp_path / "many" / "detection").iterdir()
    found = pq.read_metadata(file)
    assert [found.row_group(index).num_rows for index in range(found.num_row_groups)] == [100, 100, 30]


def test_the_same_input_gives_the_same_bytes(ds: Dataset, tmp_path: Path) -> None:
    for number in (1, 3):
        huggingface.write(ds, tmp_path / str(number), workers=number, max_shard_bytes=300_000)
    assert tree(tmp_path / "1") == tree(tmp_path / "3")


def test_each_image_is_read_once_and_decoded_once(
    ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, decoded = [], []
    reads, decodes = images.Files.read, decoding._pixels

    def counted(files: images.Files, file: str) -> bytes:
        read.append(file)
        return reads(files, file)

    def pixels(
        data: bytes, picture: PIL.Image.Image, where: str, white_level: float | None, *, turned: bool
    ) -> images.Pixels:
        decoded.append(where)
        return decodes(data, picture, where, white_level, turned=turned)

    monkeypatch.setattr(images.Files, "read", counted)
    monkeypatch.setattr(decoding, "_pixels", pixels)
    monkeypatch.setattr(excerpts, "decode_regions", lambda *_: None)  # as without libjpeg-turbo 3
    huggingface.write(ds, tmp_path / "hf")
    assert sorted(read) == sorted(str(image.file) for image in ds.images)
    assert sorted(decoded) == sorted(str(image.file) for image in ds.images if ds.cells_of(image))


def test_report(ds: Dataset, tmp_path: Path) -> None:
    report = huggingface.write(ds, tmp_path / "hf")
    assert dict(report.images) == {"train": 4, "validation": 1, "test": 1}
    assert report.cells["test"] == {"Lymphocyte": 1, "Monocyte": 1, "Other": 1}
    text = str(report)
    assert "left out: 1 cell to be ignored" in text
    assert "note: classification: 8 crops in train, 0 crops in validation, 2 crops in test" in text
    assert "note: classification has no split validation: datasets cannot open a split without rows" in text
    assert "note: classification leaves out 4 cells whose class it does not have" in text
    assert "note: 1 outline or rotated box is in the column pcm" in text
    huggingface.write(ds, tmp_path / "hf")  # what this package wrote, it may replace


# The round trip


def test_all_but_the_declared_loss_is_read_back(ds: Dataset, folder: Path) -> None:
    again = huggingface.read(folder)
    assert again == without_ignored(ds)
    assert again.root is None
    assert all(image.file is None for image in again.images)


@pytest.mark.parametrize(
    "corners", [(0.1, 0.2, 0.30000000000000004, 1e-3), (1e-9, 1e-9, 2e-9, 20), (1 / 3, 2 / 3, 7, 8)]
)
def test_boxes_are_read_back_exactly(corners: tuple[float, ...], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    x1, y1, x2, y2 = corners
    box = Box(x1, y1, x2, max(y2, 1.0))
    ds = Dataset(
        "x",
        NINE,
        (Image(ImageId("a.png"), 200, 100, file="a.png"),),
        (Cell(ImageId("a.png"), 0, "Other", box, shape=Mask(0, 0, 2, 2, (1, 3))),),
        root=tmp_path,
    )
    huggingface.write(ds, tmp_path / "hf")
    assert huggingface.read(tmp_path / "hf") == ds


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ds=datasets(told=True))
def test_any_data_set_survives(tmp_path_factory: pytest.TempPathFactory, ds: Dataset) -> None:
    """Each image has one colour and is written without crops, which would take minutes."""
    work = tmp_path_factory.mktemp("any")
    there = []
    for number, image in enumerate(ds.images):
        PIL.Image.new("1", (image.width, image.height)).save(work / f"{number}.png")
        there.append(replace(image, file=f"{number}.png"))
    ds_there = replace(ds, images=tuple(there), root=work)
    huggingface.write(ds_there, work / "out", configs=["detection"], incomplete="keep")
    assert huggingface.read(work / "out") == without_ignored(ds)


def test_one_split_alone_is_read(ds: Dataset, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "detection").mkdir()
    for file in (folder / "detection").glob("test-*"):
        (tmp_path / "detection" / file.name).write_bytes(file.read_bytes())
    again = huggingface.read(tmp_path)
    assert again.images == ds.part("test").images
    assert again.parts == ("test",)


def test_splits_of_the_card_without_a_file_are_named(ds: Dataset, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "hf")
    for file in (tmp_path / "hf" / "detection").glob("test-*"):
        file.unlink()
    with pytest.warns(
        DataWarning, match=r"README\.md names the splits test, but detection/ has no files of them"
    ):
        again = huggingface.read(tmp_path / "hf")
    assert set(again.images) == set(ds.images) - set(ds.part("test").images)


def test_what_cannot_be_read(ds: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match=r"no detection/\*\.parquet in it; give a folder"):
        huggingface.read(tmp_path)
    out = tmp_path / "hf"
    huggingface.write(ds, out, max_shard_bytes=100_000, configs=["detection"])
    huggingface.write(replace(ds, name="other"), tmp_path / "other", configs=["detection"])
    file = next((out / "detection").glob("train-00001-*"))
    content = file.read_bytes()
    file.unlink()
    with pytest.raises(CorruptFile, match=r"train-00001-of-\d+\.parquet: is missing"):
        huggingface.read(out)
    for bad in (content[:-100], b"", b"no parquet"):
        file.write_bytes(bad)
        with pytest.raises(CorruptFile, match=r"train-00001-of-\d+\.parquet: cannot be read"):
            huggingface.read(out)
    table = pq.read_table(io.BytesIO(content))
    pq.write_table(table.replace_schema_metadata(None), file)
    with pytest.raises(CorruptFile, match="is not a detection file of pcm-leukemia"):
        huggingface.read(out)
    pq.write_table(table.drop_columns(["width"]), file)
    with pytest.raises(CorruptFile, match="cannot be read"):
        huggingface.read(out)
    newer = table.schema.metadata[b"pcm_leukemia"].replace(b'"schema_version": 1', b'"schema_version": 2')
    pq.write_table(table.replace_schema_metadata({b"pcm_leukemia": newer}), file)
    with pytest.raises(CorruptFile, match="schema_version 2, this version of pcm-leukemia reads 1"):
        huggingface.read(out)
    file.write_bytes(next((tmp_path / "other" / "detection").glob("train-*")).read_bytes())
    with pytest.raises(CorruptFile, match="belongs to another data set than"):
        huggingface.read(out)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row["image"].update(bytes=png(20, 10)), "its file is 20 x 10"),
        (lambda row: row["image"].update(bytes=turned(row)), "has EXIF orientation 3"),
        (lambda row: row["image"].update(bytes=LFS_POINTER), "Git LFS"),
        (lambda row: row["image"].update(bytes=None), 'image "P0/a.png": '),
        (lambda row: row["image"].update(bytes=row["image"]["bytes"][:-60]), "is truncated"),
    ],
    ids=["another size", "turned", "pointer", "none", "cut short"],
)
def test_images_are_compared_with_their_rows(
    change: Callable[[dict[str, Any]], None], said: str, ds: Dataset, tmp_path: Path
) -> None:
    huggingface.write(ds, tmp_path / "hf", configs=["detection"])
    assert all(image.digest for image in huggingface.read(tmp_path / "hf").images)
    file = next((tmp_path / "hf" / "detection").glob("train-*"))
    table = pq.read_table(file)
    rows = table.to_pylist()
    change(rows[0])
    pq.write_table(pa.Table.from_pylist(rows, table.schema), file)
    with pytest.raises(InvalidDataset, match=said):
        huggingface.read(tmp_path / "hf")
    unread = huggingface.read(tmp_path / "hf", check_images=False)
    assert {image.digest for image in unread.images} == {None}


def test_a_folder_without_rows_is_refused(ds: Dataset, tmp_path: Path) -> None:
    huggingface.write(ds, tmp_path / "hf", configs=["detection"])
    for file in (tmp_path / "hf" / "detection").glob("*.parquet"):
        pq.write_table(pq.read_table(file).slice(0, 0), file)
    with pytest.raises(DataNotFound, match="its detection files have no rows"):
        huggingface.read(tmp_path / "hf")


@pytest.mark.parametrize("category", [-1, 99])
def test_a_category_that_does_not_exist_names_its_row(category: int, ds: Dataset, tmp_path: Path) -> None:
    huggingface.write(ds, tmp_path / "hf", configs=["detection"])
    file = next((tmp_path / "hf" / "detection").glob("train-*"))
    table = pq.read_table(file)
    rows = table.to_pylist()
    next(row for row in rows if row["objects"]["category"])["objects"]["category"][0] = category
    pq.write_table(pa.Table.from_pylist(rows, table.schema), file)
    with pytest.raises(CorruptFile, match=r"\.parquet row \d+: cannot be read \(categories \["):
        huggingface.read(tmp_path / "hf")


# Refusals


def test_a_leaking_split_is_refused(ds: Dataset, tmp_path: Path) -> None:
    leaking = replace(ds, images=tuple(replace(image, patient=PatientId("P0")) for image in ds.images))
    with pytest.raises(LeakySplit, match='patient "P0": is in train'):
        huggingface.write(leaking, tmp_path / "hf")
    assert list(tmp_path.iterdir()) == []


def test_images_that_cannot_be_read_are_all_named_and_nothing_is_written(tmp_path: Path) -> None:
    ds = divided(smears(tmp_path / "export"))
    ds = replace(ds, cells=tuple(cell for cell in ds.cells if cell.image != "P3/a.jpg"))
    whole = source(ds, "P5/a.jpg").read_bytes()
    source(ds, "P0/a.png").write_bytes(b"no image")
    source(ds, "P2/a.png").unlink()
    source(ds, "P3/a.jpg").write_bytes(png())  # a negative, of another size
    source(ds, "P5/a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ExportError) as caught:
        huggingface.write(ds, tmp_path / "hf")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        *('image "P0/a.png"', 'image "P2/a.png"', 'image "P3/a.jpg"', 'image "P5/a.jpg"')
    ]
    assert "P0/a.png: is not an image" in lines[0]
    assert "has no file P2/a.png" in lines[1]
    assert "is annotated as 320 x 200 pixels, its file is 200 x 100" in lines[2]
    assert "leave the image out with Dataset.select" in lines[3]
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    left = ds.select(images=["P1/a.jpg", "P4/a.png"])
    assert dict(huggingface.write(left, tmp_path / "hf").images) == {"train": 1, "validation": 1}


def test_refusals(ds: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match="the images are not there; give"):
        huggingface.write(replace(ds, root=None), tmp_path / "hf")
    with pytest.raises(DataNotFound, match="the images are not there"):
        huggingface.write(replace(ds, root=tmp_path / "gone"), tmp_path / "hf")
    for options, sentence in (
        ({"padding": -1}, "padding -1"),
        ({"max_shard_bytes": 0}, "max_shard_bytes 0"),
        ({"configs": ["detection", "x"]}, "configs x: must be one or more of detection, classification"),
        ({"configs": []}, r"configs \(empty\)"),
        ({"task": "x"}, 'task "x"'),
    ):
        with pytest.raises(ValueError, match=sentence):
            huggingface.write(ds, tmp_path / "hf", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named(ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("pyarrow", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"pyarrow: not installed; run: pip install 'pcm-leukemia\[hf\]'"):
        huggingface.write(ds, tmp_path / "hf")
    with pytest.raises(MissingExtra, match="pyarrow: not installed"):
        huggingface.read(tmp_path / "hf")
    with pytest.raises(MissingExtra, match="huggingface_hub: not installed"):
        huggingface.push(ds, "owner/name")
    assert list(tmp_path.iterdir()) == []


# The Hub


REAL = huggingface_hub.HfApi


class Hub:
    """A stand-in for the Hub that accepts only calls that fit the signatures of the real library."""

    def __init__(self, **options: Any) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = [("login", options)]
        self.files: dict[str, bytes] = {}

    def take(self, name: str, *args: Any, **options: Any) -> None:
        real = inspect.signature(getattr(REAL, name))
        self.calls.append((name, dict(real.bind(self, *args, **options).arguments)))

    def create_repo(self, *args: Any, **options: Any) -> str:
        self.take("create_repo", *args, **options)
        return "https://huggingface.co/datasets/owner/smears"

    def upload_folder(self, *args: Any, **options: Any) -> None:
        self.take("upload_folder", *args, **options)
        root = Path(options["folder_path"])
        self.files = {
            path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
        }


def test_push(ds: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hubs: list[Hub] = []

    def hub(**options: Any) -> Hub:
        hubs.append(Hub(**options))
        return hubs[-1]

    monkeypatch.setattr(huggingface_hub, "HfApi", hub)
    report = huggingface.push(
        ds, "owner/smears", token="secret", revision="v2", max_shard_bytes=300_000, license="mit"
    )
    assert "note: uploaded to https://huggingface.co/datasets/owner/smears" in str(report)
    (sent,) = hubs
    assert sent.calls[0] == ("login", {"token": "secret"})
    made, uploaded = sent.calls[1][1], sent.calls[2][1]
    assert (made["repo_id"], made["repo_type"], made["private"], made["exist_ok"]) == (
        *("owner/smears", "dataset", True, True),
    )
    assert (uploaded["repo_id"], uploaded["repo_type"], uploaded["revision"]) == (
        *("owner/smears", "dataset", "v2"),
    )
    assert uploaded["commit_message"] == "demo, written by pcm-leukemia"
    assert uploaded["delete_patterns"] == ["detection/*.parquet", "classification/*.parquet"]
    assert sent.files.keys() == {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    for path in folder.rglob("*.parquet"):
        assert sent.files[path.relative_to(folder).as_posix()] == path.read_bytes()
    card = huggingface_hub.DatasetCard(sent.files["README.md"].decode())
    assert 'load_dataset("owner/smears", "detection")' in card.text
    assert card.data.get("license") == "mit"
    assert not Path(uploaded["folder_path"]).exists()
    leaking = replace(ds, images=tuple(replace(image, patient=PatientId("P0")) for image in ds.images))
    with pytest.raises(LeakySplit):
        huggingface.push(leaking, "owner/smears")
    assert len(hubs) == 1


# Real data


def test_real_smears(tmp_path: Path) -> None:
    export = SHARED / "bccd-cvat-images-1.1.zip"
    if not export.is_file():
        pytest.skip(f"{export} is not there")
    with pytest.warns(DataWarning, match="has no area and is left out"):
        ds = pcm.load_dataset(export, taxonomy="declared", name="bccd")
    few = ds.select(images=[image.id for image in ds.images[:40]])
    huggingface.write(few, tmp_path / "hf")
    assert huggingface.read(tmp_path / "hf") == few
    (crops,) = opened(tmp_path / "home", (tmp_path / "hf", "classification"))
    assert crops["labels"] == list(few.taxonomy.labels)
    assert len(crops["rows"]["train"]) == len(few.cells)


def test_any_taxonomy_is_read_back(ds: Dataset, tmp_path: Path) -> None:
    own = Taxonomy("own", ("A", "Other"), {"a cell": "A"})
    cells = (Cell(ds.images[0].id, 4, "A", Box(1, 2, 3, 4), "a cell"),)
    changed = replace(ds, taxonomy=own, cells=cells)
    huggingface.write(changed, tmp_path / "hf")
    assert huggingface.read(tmp_path / "hf") == changed
