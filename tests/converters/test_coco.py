"""COCO: exports opened by other readers, the round trip, and errors in files of other tools."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from exports import png
from hypothesis import HealthCheck, given, settings
from msgspec import structs
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from strategies import datasets

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Patient, Split
from pcm_leukemia.converters import coco
from pcm_leukemia.errors import (
    DataNotFound,
    DataWarning,
    ExportError,
    InvalidExport,
    LeakySplit,
    UnknownLabel,
)
from pcm_leukemia.schema import ImageId, PatientId
from pcm_leukemia.shapes import Mask, Polygon


def loaded(path: Path) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


@pytest.fixture
def ds() -> Dataset:
    images = tuple(Image(ImageId(f"P{n}/a.png"), 200, 100, PatientId(f"P{n}")) for n in range(4))
    cells = tuple(
        Cell(image.id, number, label, Box(10 + 60 * number, 20, 55.25 + 60 * number, 70), label)
        for image in images[:3]
        for number, label in enumerate(("Lymphocyte", "Monocyte", "Other"))
    )
    patients = tuple(Patient(PatientId(f"P{n}"), "AML") for n in range(4))
    parts = dict(zip((image.id for image in images), ("train", "train", "val", "test"), strict=True))
    return Dataset("demo", NINE, images, cells, patients).with_split(Split("official", parts))


def test_ids(ds: Dataset, tmp_path: Path) -> None:
    report = coco.write(ds, tmp_path / "coco")
    assert dict(report.images) == {"train": 2, "val": 1, "test": 1}
    train = json.loads((tmp_path / "coco" / "annotations" / "train.json").read_text())
    val = json.loads((tmp_path / "coco" / "annotations" / "val.json").read_text())
    assert [(category["id"], category["name"]) for category in train["categories"]] == list(
        enumerate(NINE.labels, 1)
    )
    assert [row["id"] for row in train["annotations"]] == [1, 2, 3, 4, 5, 6]
    assert [row["category_id"] for row in val["annotations"]] == [1, 6, 9]
    assert [(row["id"], row["file_name"]) for row in (*train["images"], *val["images"])] == [
        (n + 1, f"P{n}/a.png") for n in range(3)
    ]
    first = train["annotations"][0]
    assert (first["bbox"], first["area"], first["iscrowd"], first["segmentation"]) == (
        [10, 20, 45.25, 50],
        2262.5,
        0,
        [],
    )


def test_a_part_whose_file_is_not_there_is_named(ds: Dataset, tmp_path: Path) -> None:
    coco.write(ds, tmp_path / "coco")
    assert len(coco.read(tmp_path / "coco").images) == 4
    (tmp_path / "coco" / "annotations" / "val.json").unlink()
    with pytest.warns(DataWarning, match="coco: the files of val are not there; copy them, too"):
        assert len(coco.read(tmp_path / "coco").images) == 3
    coco.read(tmp_path / "coco" / "annotations" / "test.json")  # one file is what was asked for


def test_zero_based_categories(ds: Dataset, tmp_path: Path) -> None:
    coco.write(ds, tmp_path / "coco", first_category=0)
    file = tmp_path / "coco" / "annotations" / "val.json"
    assert [row["category_id"] for row in json.loads(file.read_text())["annotations"]] == [0, 5, 8]
    assert coco.read(tmp_path / "coco").cells == ds.cells
    with pytest.raises(ValueError, match="first_category 2: must be 1"):
        coco.write(ds, tmp_path / "coco", first_category=2)


@pytest.mark.parametrize("task", ["detection", "wbc"])
def test_pycocotools_scores_the_truth_against_itself_at_1(ds: Dataset, tmp_path: Path, task: str) -> None:
    coco.write(ds, tmp_path / "coco", task=task)
    for part in ("train", "val"):
        truth = loaded(tmp_path / "coco" / "annotations" / f"{part}.json")
        results = [
            {**{key: row[key] for key in ("image_id", "category_id", "bbox")}, "score": 0.9}
            for row in truth.dataset["annotations"]
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        assert evaluation.stats[:3].tolist() == pytest.approx([1.0, 1.0, 1.0], abs=1e-12)
        assert len(truth.getCatIds()) == {"detection": 9, "wbc": 2}[task]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with numpy 2
def test_pycocotools_decodes_masks_and_outlines(tmp_path: Path) -> None:
    image = Image(ImageId("a.png"), 30, 20)
    bits = np.zeros((20, 30), dtype=bool)
    bits[5:9, 10:14] = True
    bits[7, 11] = False
    mask = Mask(10, 5, 4, 4, (0, 9, 1, 6))
    assert (mask.array() == bits[5:9, 10:14]).all()
    square = Polygon(((2.0, 2.0), (8.0, 2.0), (8.0, 6.0), (2.0, 6.0)))
    cells = (
        Cell(image.id, 0, "Other", Box(10, 5, 14, 9), "Other", mask),
        Cell(image.id, 1, "Other", Box(2, 2, 8, 6), "Other", square),
    )
    coco.write(Dataset("x", NINE, (image,), cells), tmp_path / "coco")
    read = loaded(tmp_path / "coco" / "annotations" / "all.json")
    first, second = read.loadAnns([1, 2])
    assert (read.annToMask(first).astype(bool) == bits).all()
    assert first["area"] == 15
    assert read.annToMask(second).sum() == second["area"] == 24


def test_transformers_takes_it(ds: Dataset, tmp_path: Path) -> None:
    from transformers import RTDetrImageProcessorPil

    coco.write(ds, tmp_path / "coco")
    read = loaded(tmp_path / "coco" / "annotations" / "train.json")
    number = read.getImgIds()[0]
    target = {"image_id": number, "annotations": read.loadAnns(read.getAnnIds(number))}
    made = RTDetrImageProcessorPil(size={"height": 64, "width": 64}).preprocess(
        images=PIL.Image.new("RGB", (200, 100)), annotations=target, return_tensors="pt"
    )
    assert made["labels"][0]["class_labels"].tolist() == [1, 6, 9]
    assert made["labels"][0]["boxes"][0].tolist() == pytest.approx([32.625 / 200, 0.45, 45.25 / 200, 0.5])


def to_thousandths(box: Box) -> Box:
    return Box(*(round(side, 3) for side in (box.x1, box.y1, box.x2, box.y2)))


def rounded(ds: Dataset) -> Dataset:
    """The data set after the declared rounding and losses."""
    people = {image.patient for image in ds.images}
    taxonomy = ds.taxonomy if ds.taxonomy == NINE else replace(ds.taxonomy, aliases={}, tasks=())
    return replace(
        ds,
        taxonomy=taxonomy,
        cells=tuple(
            structs.replace(cell, box=to_thousandths(cell.box)) for cell in ds.cells if cell.label != IGNORE
        ),
        patients=tuple(patient for patient in ds.patients if patient.id in people),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ds=datasets(told=True))
def test_any_data_set_survives(tmp_path_factory: pytest.TempPathFactory, ds: Dataset) -> None:
    folder = tmp_path_factory.mktemp("coco") / "out"
    coco.write(ds, folder, incomplete="keep")
    assert coco.read(folder) == rounded(ds)


def test_images_are_put_beside_it(ds: Dataset, tmp_path: Path) -> None:
    for image in ds.images:
        (tmp_path / "export" / image.id).parent.mkdir(parents=True)
        (tmp_path / "export" / image.id).write_bytes(png())
    there = replace(
        ds, root=tmp_path / "export", images=tuple(replace(image, file=str(image.id)) for image in ds.images)
    )
    for how in ("copy", "hardlink", "symlink"):
        coco.write(there, tmp_path / how, images=how)
        assert (tmp_path / how / "images" / "P0" / "a.png").read_bytes() == png()
        again = coco.read(tmp_path / how, check_images=how != "symlink")
        assert again.root == tmp_path / how / "images"
        assert [image.file for image in again.images] == [image.id for image in ds.images]
    assert (tmp_path / "symlink" / "images" / "P0" / "a.png").is_symlink()
    with pytest.raises(
        InvalidExport, match="a link that leads out of .*; give the real folder as images_root"
    ):
        coco.read(tmp_path / "symlink")
    assert coco.read(tmp_path / "symlink", images_root=tmp_path / "export").root == tmp_path / "export"
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for image in ds.images:
            archive.writestr(image.id, png())
    packed = replace(there, root=tmp_path / "export.zip")
    coco.write(packed, tmp_path / "copy", images="copy")
    with pytest.raises(
        ExportError, match='is a zip, and images in it cannot be linked to; pass images="copy"'
    ):
        coco.write(packed, tmp_path / "copy", images="hardlink")
    assert coco.read(tmp_path / "copy") == ds


def test_missing_images_are_all_named_and_nothing_is_left(ds: Dataset, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    gone = replace(
        ds, root=tmp_path / "export", images=tuple(replace(image, file=str(image.id)) for image in ds.images)
    )
    (tmp_path / "export" / "P1").mkdir()
    (tmp_path / "export" / "P1" / "a.png").write_bytes(png())
    for how in ("copy", "hardlink", "symlink"):
        with pytest.raises(ExportError, match=r'(?s)image "P0/a.png": .*image "P2/a.png": ') as caught:
            coco.write(gone, tmp_path / "coco", images=how)
        assert "P1/a.png" not in str(caught.value)
    with pytest.raises(ValueError, match='images "move": must be copy, hardlink, symlink or none'):
        coco.write(gone, tmp_path / "coco", images="move")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_annotations_only_says_so(ds: Dataset, tmp_path: Path) -> None:
    assert "no image files found: annotations only" in str(coco.write(ds, tmp_path / "coco", images="copy"))


def test_ignored_cells_are_counted(ds: Dataset, tmp_path: Path) -> None:
    unclear = replace(
        ds,
        cells=tuple(
            structs.replace(cell, label=IGNORE) if cell.label == "Other" else cell for cell in ds.cells
        ),
    )
    report = coco.write(unclear, tmp_path / "coco")
    assert report.skipped == {"cells to be ignored": 3}
    assert "left out: 3 cells to be ignored" in str(report)
    assert len(coco.read(tmp_path / "coco").cells) == 6


def test_a_part_that_was_copied_is_refused(ds: Dataset, tmp_path: Path) -> None:
    coco.write(ds, tmp_path / "coco")
    annotations = tmp_path / "coco" / "annotations"
    (annotations / "test.json").write_bytes((annotations / "val.json").read_bytes())
    with pytest.raises(
        InvalidExport, match='image "P2/a.png" is also in another file; list every image once'
    ):
        coco.read(tmp_path / "coco")


def test_a_leaking_split_is_refused(ds: Dataset, tmp_path: Path) -> None:
    leaking = replace(ds, images=tuple(replace(image, patient=PatientId("P0")) for image in ds.images))
    with pytest.raises(LeakySplit, match='patient "P0": is in train'):
        coco.write(leaking, tmp_path / "coco")
    assert not (tmp_path / "coco").exists()


# Anybody's COCO


def foreign(tmp_path: Path, **changes: Any) -> Path:
    content: dict[str, Any] = {
        "images": [{"id": 7, "file_name": "x/a.jpg", "width": 100, "height": 80}],
        "categories": [{"id": 9, "name": "wbc"}, {"id": 3, "name": "rbc"}],
        "annotations": [
            {
                "id": 0,
                "image_id": 7,
                "category_id": 9,
                "bbox": [1, 2, 30, 40],
                "segmentation": [[1, 2, 31, 2, 31, 42]],
            },
            {
                "id": 5,
                "image_id": 7,
                "category_id": 3,
                "bbox": [5, 5, 10, 10],
                "iscrowd": 1,
                "attributes": {"occluded": False},
            },
        ],
    }
    file = tmp_path / "instances_train2017.json"
    file.write_text(json.dumps(content | changes))
    return file


def test_foreign_coco(tmp_path: Path) -> None:
    ds = coco.read(foreign(tmp_path))
    assert ds.taxonomy.labels == ("rbc", "wbc")
    assert [(cell.label, cell.box) for cell in ds.cells] == [
        ("wbc", Box(1, 2, 31, 42)),
        (IGNORE, Box(5, 5, 15, 15)),
    ]
    assert ds.cells[0].shape == Polygon(((1, 2), (31, 2), (31, 42)))
    assert ds.cells[1].attributes == (("occluded", "false"),)
    assert ds.split is None
    assert coco.read(tmp_path).parts == ("train",)


def test_given_classes(tmp_path: Path) -> None:
    categories = [{"id": 9, "name": "lymphocytes"}, {"id": 3, "name": "Monocyte"}]
    ds = coco.read(foreign(tmp_path, categories=categories), taxonomy=NINE)
    assert [cell.label for cell in ds.cells] == ["Lymphocyte", IGNORE]
    with pytest.raises(UnknownLabel, match='category "rbc" is not a class of pcm-leukemia'):
        coco.read(foreign(tmp_path), taxonomy=NINE)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"annotations": [{"id": 1, "image_id": 8, "category_id": 9, "bbox": [1, 2, 3, 4]}]},
            r"annotations\[0\]: its image 8 is not in the file",
        ),
        (
            {"annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]}]},
            "its category 1 is not in the file",
        ),
        (
            {"annotations": [{"id": 1, "image_id": 7, "category_id": 9, "bbox": [1, 2, 300, 4]}]},
            "leaves the image of 100 x 80; correct it, or pass clip",
        ),
        (
            {"annotations": [{"id": 1, "image_id": 7, "category_id": 9, "bbox": [1, 2, -3, 4]}]},
            "has no area or is not finite",
        ),
        ({"annotations": [{"id": 1, "image_id": 7, "category_id": 9, "bbox": [1, 2]}]}, "cannot be read"),
        ({"annotations": [{"id": 1, "image_id": 7, "category_id": 9}]}, "lacks 'bbox'"),
        ({"annotations": [3]}, "not an object"),
        ({"images": [{"id": 7, "file_name": "a", "width": 1, "height": 1}] * 2}, 'image "a" occurs twice'),
        (
            {"images": [{"id": 7, "file_name": "a", "width": 0, "height": 1}], "annotations": []},
            "give pixels, 1 or more",
        ),
        (
            {"categories": [{"id": 9, "name": "wbc"}, {"id": 9, "name": "rbc"}]},
            "two categories with the same id or name",
        ),
        ({"categories": None}, "is not COCO"),
    ],
)
def test_problems(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidExport, match=sentence):
        coco.read(foreign(tmp_path, **changes))


def test_all_problems_at_once_and_rows_left_out(tmp_path: Path) -> None:
    row = {"image_id": 7, "category_id": 9, "bbox": [1, 2, 300, 4]}
    with pytest.raises(InvalidExport) as caught:
        coco.read(foreign(tmp_path, annotations=[row, {**row, "image_id": 1}, {**row, "bbox": None}]))
    assert len(caught.value.problems) == 3
    file = foreign(
        tmp_path, annotations=[row, {**row, "bbox": [1, 2, 0, 4]}, {**row, "bbox": [200, 2, 10, 4]}]
    )
    with pytest.warns(DataWarning, match="1 box without area"):
        ds = coco.read(file, clip=True)
    assert [cell.box for cell in ds.cells] == [Box(1, 2, 100, 6)]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": NaN}', "\udcff"])
def test_no_coco(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, errors="surrogateescape")
    with pytest.raises(InvalidExport, match=r"a\.json: is (not valid JSON|not COCO)"):
        coco.read(tmp_path / "a.json")
    (tmp_path / "a.json").unlink()
    with pytest.raises(DataNotFound, match="no COCO file in it"):
        coco.read(tmp_path)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with numpy 2
def test_outlines_end_where_the_image_does(tmp_path: Path) -> None:
    image = Image(ImageId("a.png"), 100, 50)
    square = Polygon(((80.0, 10.0), (120.0, 10.0), (120.0, 30.0), (80.0, 30.0)))
    mask = Mask(95, 40, 10, 20, (0, 200))
    cells = (
        Cell(image.id, 0, "Other", Box(80, 10, 100, 30), "Other", square),
        Cell(image.id, 1, "Other", Box(95, 40, 100, 50), "Other", mask),
    )
    coco.write(Dataset("x", NINE, (image,), cells), tmp_path / "coco")
    read = loaded(tmp_path / "coco" / "annotations" / "all.json")
    first, second = read.loadAnns([1, 2])
    assert first["area"] == 400
    assert max(first["segmentation"][0][::2]) == 100
    assert second["area"] == 50 == read.annToMask(second).sum()
