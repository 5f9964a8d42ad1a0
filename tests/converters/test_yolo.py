from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

import exports
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from strategies import datasets
from yolo_folders import foreign

from pcm_leukemia import cvat, sample, store
from pcm_leukemia.converters import yolo
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    DataWarning,
    ExportError,
    InvalidExport,
    LeakySplit,
    UnknownLabel,
)
from pcm_leukemia.images import Placing
from pcm_leukemia.schema import IGNORE, Cell, Image, ImageId, Patient, PatientId, Split, Taxonomy
from pcm_leukemia.shapes import Box, Polygon, RotatedBox
from pcm_leukemia.taxonomy import NINE

PLACINGS: tuple[Placing, ...] = ("copy", "hardlink", "symlink")
CELL_TAXONOMY = Taxonomy("cells", ("RBC", "WBC"))


def smears(*ids: str, split: dict[str, str] | None = None, root: Path | None = None) -> Dataset:
    """Images of 200 x 100 px with one cell each, with classes in turn; files below `root`."""
    images = tuple(Image(ImageId(name), 200, 100, file=name if root else None) for name in ids)
    cells = tuple(
        Cell(ImageId(name), 0, NINE.labels[number % 9], Box(10 + number, 20, 50, 70))
        for number, name in enumerate(ids)
    )
    if root:
        for name in ids:
            exports.write(root / name, exports.png())
    ds = Dataset("smears", NINE, images, cells, root=root)
    parts = {ImageId(name): part for name, part in (split or {}).items()}
    return ds.with_split(Split("official", parts)) if split else ds


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# What is written


def test_folders_rows_and_yaml(tmp_path: Path) -> None:
    split = {"P1/s/a.png": "train", "P2/b.png": "val", "P3/c.png": "test"}
    ds = smears(*split, split=split, root=tmp_path / "in")
    report = yolo.write(ds, tmp_path / "out")
    assert sorted(tree(tmp_path / "out")) == [
        "data.yaml",
        "images.csv",
        "images/test/P3/c.png",
        "images/train/P1/s/a.png",
        "images/val/P2/b.png",
        "labels/test/P3/c.txt",
        "labels/train/P1/s/a.txt",
        "labels/val/P2/b.txt",
        "pcm-leukemia.json",
    ]
    row = (tmp_path / "out/labels/val/P2/b.txt").read_text()
    assert row == "1 0.15250000 0.45000000 0.19500000 0.50000000\n"
    assert yaml.safe_load((tmp_path / "out/data.yaml").read_text()) == {
        "train": "images/train",
        "val": "images/val",
        "test": "images/test",
        "names": dict(enumerate(NINE.labels)),
    }
    assert str(report) == (
        f"yolo: {tmp_path / 'out'}\n  train: 1 image, 1 cell\n  val: 1 image, 1 cell\n  test: 1 image, 1 cell"
    )


def test_negatives_have_empty_files_and_ignored_cells_are_counted(tmp_path: Path) -> None:
    image = Image(ImageId("a.png"), 200, 100)
    cells = (Cell(image.id, 0, IGNORE, Box(1, 1, 9, 9)),)
    report = yolo.write(Dataset("d", NINE, (image,), cells), tmp_path / "out")
    assert (tmp_path / "out/labels/all/a.txt").read_bytes() == b""
    assert report.skipped == {"cells to be ignored": 1}
    assert report.cells == {"all": {}}


def test_task_gives_its_class_ids(tmp_path: Path) -> None:
    ds = smears(*(f"{n}.png" for n in range(9)))
    report = yolo.write(ds, tmp_path / "out", task="wbc")
    ids = [(tmp_path / f"out/labels/all/{n}.txt").read_text()[0] for n in range(9)]
    assert ids == ["0"] * 8 + ["1"]
    assert report.cells == {"all": {"WBC": 8, "Other": 1}}


def test_same_input_same_bytes(tmp_path: Path) -> None:
    ds = smears("b.png", "a/c.png", root=tmp_path / "in")
    yolo.write(ds, tmp_path / "one")
    yolo.write(ds, tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_names_that_mislead_ultralytics_are_changed(tmp_path: Path) -> None:
    names = (
        "a.jpg",
        "a.png",  # the same label file
        "A.JPG",  # the same on Windows and macOS
        "images/b.png",  # the last /images/ of the path
        ".hidden/.c.png",  # glob passes over them
        "d",
        "e.dcm",
        "f .png",
        'g"?.png',
        "a.txt/h.png",  # a folder where a label file was to be
        "con.png",
    )
    ds = smears(*names)
    report = yolo.write(ds, tmp_path / "out")
    labels = [path.casefold() for path in tree(tmp_path / "out") if path.startswith("labels/")]
    assert len(set(labels)) == len(names)
    files = {str(image.id): _file_of(tmp_path / "out", image.id) for image in ds.images}
    assert files["images/b.png"] == "all/_images/b.png"
    assert files[".hidden/.c.png"] == "all/_hidden/_c.png"
    assert files["e.dcm"] == "all/e.dcm.jpg"
    assert files['g"?.png'] == "all/g__.png"
    assert sorted(files[name].casefold()[:5] for name in names[:3]) == ["all/a"] * 3
    assert len({file.rpartition(".")[0].casefold() for file in files.values()}) == len(names)
    changed = sum(file != f"all/{image}" for image, file in files.items())
    assert (
        f"{changed} images were renamed for ultralytics; images.csv has their original names" in report.notes
    )
    assert {i.id for i in yolo.read(tmp_path / "out").images} == set(names)


def _file_of(out: Path, image: str) -> str:
    with (out / "images.csv").open(encoding="utf-8", newline="") as stream:
        return next(row["file"] for row in csv.DictReader(stream) if row["image"] == image)


def test_parts_that_differ_in_case_have_folders_of_their_own(tmp_path: Path) -> None:
    split = {"a.png": "train", "b.png": "Train"}
    yolo.write(smears(*split, split=split), tmp_path / "out")
    folders = [folder.name.casefold() for folder in (tmp_path / "out/images").iterdir()]
    assert sorted(folders) == ["train", "train~2"]
    assert (tmp_path / "out/labels/train/a.txt").is_file()


@pytest.mark.parametrize(
    ("parts", "expected", "note"),
    [
        (
            ("train", "test"),
            {"train": "images/train", "val": "images/train", "test": "images/test"},
            "no val part",
        ),
        (("test",), {"train": None, "val": None, "test": "images/test"}, "no train part"),
        (
            ("train", "val", "download"),
            {"train": "images/train", "val": "images/val"},
            "does not know: download",
        ),
    ],
)
def test_yaml_of_incomplete_splits(
    tmp_path: Path, parts: tuple[str, ...], expected: dict[str, str | None], note: str
) -> None:
    split = {f"{part}.png": part for part in parts}
    report = yolo.write(smears(*split, split=split), tmp_path / "out")
    content = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert {key: value for key, value in content.items() if key != "names"} == expected
    assert any(note in line for line in report.notes)


def test_without_a_split_one_part_all(tmp_path: Path) -> None:
    report = yolo.write(smears("a.png"), tmp_path / "out")
    content = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert (content["train"], content["val"]) == ("images/all", "images/all")
    assert report.images == {"all": 1}
    assert report.notes == (
        "no image files found: labels only; put each image below images/, at its path in images.csv",
        "the data has no split: train and val are the same images, so val scores are meaningless",
    )


def test_notes_on_what_ultralytics_would_drop(tmp_path: Path) -> None:
    image = Image(ImageId("a.png"), 200, 9)
    turned = RotatedBox(50, 2, 60, 6, 10)
    cells = (
        Cell(image.id, 0, "Other", Box(1, 1, 5, 5)),
        Cell(image.id, 1, "Other", Box(1, 1, 5, 5)),
        Cell(image.id, 2, "Other", Box(*turned.envelope()), shape=turned),
    )
    report = yolo.write(Dataset("d", NINE, (image,), cells), tmp_path / "out")
    assert report.notes[-3:] == (
        "1 image is less than 10 px wide or high; ultralytics skips them",
        "1 cell repeats the class and box of another cell; ultralytics keeps one of them",
        "1 outline or rotated box is written as its upright bounding box",
    )


# Images


def test_images_are_copied_linked_or_left(tmp_path: Path) -> None:
    ds = smears("P1/a.png", root=tmp_path / "in")
    source = tmp_path / "in/P1/a.png"
    for how in PLACINGS:
        yolo.write(ds, tmp_path / how, images=how)
        target = tmp_path / how / "images/all/P1/a.png"
        assert target.read_bytes() == source.read_bytes()
        assert target.samefile(source) == (how != "copy")
        assert target.is_symlink() == (how == "symlink")
    yolo.write(ds, tmp_path / "none", images="none")
    assert not [path for path in tree(tmp_path / "none") if path.startswith("images/")]


def test_missing_images_are_all_named_and_nothing_is_replaced(tmp_path: Path) -> None:
    ds = smears("a.png", "b.png", "c.png", root=tmp_path / "in")
    yolo.write(ds, tmp_path / "out")
    before = tree(tmp_path / "out")
    (tmp_path / "in/a.png").unlink()
    (tmp_path / "in/c.png").unlink()
    for how in PLACINGS:
        with pytest.raises(ExportError, match=r'(?s)image "a.png": .*image "c.png": ') as caught:
            yolo.write(ds, tmp_path / "out", images=how)
        assert '"b.png"' not in str(caught.value)
        assert tree(tmp_path / "out") == before


def test_a_zip_can_be_copied_from_but_not_linked_to(tmp_path: Path) -> None:
    exports.zipped(tmp_path / "in.zip", {"a.png": exports.png()})
    image = Image(ImageId("a.png"), 200, 100, file="a.png")
    ds = Dataset("d", NINE, (image,), root=tmp_path / "in.zip")
    yolo.write(ds, tmp_path / "out")
    assert (tmp_path / "out/images/all/a.png").read_bytes() == exports.png()
    with pytest.raises(ExportError, match='is a zip.*images="copy"'):
        yolo.write(ds, tmp_path / "linked", images="symlink")
    assert not (tmp_path / "linked").exists()


def test_refuses_leaks_and_unknown_options(tmp_path: Path) -> None:
    patient = Patient(PatientId("P1"))
    images = tuple(Image(ImageId(name), 200, 100, patient.id) for name in ("a.png", "b.png"))
    split = Split("bad", {ImageId("a.png"): "train", ImageId("b.png"): "test"})
    ds = Dataset("d", NINE, images, patients=(patient,), split=split)
    with pytest.raises(LeakySplit, match='patient "P1": is in train'):
        yolo.write(ds, tmp_path / "out")
    with pytest.raises(ValueError, match='images "move": must be copy, hardlink, symlink or none'):
        yolo.write(ds, tmp_path / "out", images="move")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


# Round trip


def upright(ds: Dataset) -> list[tuple[str, str, tuple[float, ...]]]:
    """The cells as YOLO keeps them, in thousandths of a pixel."""
    return [
        (c.image, c.label, tuple(round(v * 1000) for v in (c.box.x1, c.box.y1, c.box.x2, c.box.y2)))
        for c in ds.cells
        if c.label != IGNORE
    ]


@given(datasets(told=True))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@example(
    Dataset(
        "tiny",
        CELL_TAXONOMY,
        (Image(ImageId("a.png"), 50_000, 50_000),),
        (
            Cell(ImageId("a.png"), 0, "WBC", Box(49_999.99, 0, 50_000, 0.01)),
            Cell(ImageId("a.png"), 1, "RBC", Box(0, 0, 50_000, 50_000)),
        ),
    )
)
def test_round_trip(ds: Dataset) -> None:
    with TemporaryDirectory() as folder:
        yolo.write(ds, Path(folder, "out"), incomplete="keep")
        back = yolo.read(Path(folder, "out"))
        yolo.write(back, Path(folder, "again"))
        assert yolo.read(Path(folder, "again")) == back
    assert back.name == ds.name
    assert back.taxonomy.labels == ds.taxonomy.labels
    kept = [
        (
            i.id,
            i.width,
            i.height,
            i.patient,
            p.diagnosis if (p := ds.patient_of(i)) else i.diagnosis,
            ds.part_of(i),
        )
        for i in ds.images
    ]
    assert kept == [
        (i.id, i.width, i.height, i.patient, back.diagnosis_of(i), back.part_of(i)) for i in back.images
    ]
    assert back.split == ds.split
    ours, theirs = upright(ds), upright(back)
    assert [cell[:2] for cell in theirs] == [cell[:2] for cell in ours]
    for (_, _, one), (_, _, other) in zip(ours, theirs, strict=True):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 1


def test_boxes_below_the_rounding_stay_boxes_inside_the_image(tmp_path: Path) -> None:
    image = Image(ImageId("a.png"), 3000, 3000)
    tiny = [Box(x, x, x + 1e-9, x + 1e-6) for x in (0.0, 0.0004, 1499.9996, 2999.999)]
    cells = tuple(Cell(image.id, n, "Other", box) for n, box in enumerate(tiny))
    yolo.write(Dataset("d", NINE, (image,), cells), tmp_path / "out")
    back = yolo.read(tmp_path / "out")
    for box, cell in zip(tiny, back.cells, strict=True):
        assert abs(cell.box.x1 - box.x1) <= 0.0011
        assert cell.box.inside(3000, 3000)


def test_a_folder_of_ours_may_move_and_keeps_its_files(tmp_path: Path) -> None:
    yolo.write(smears("a/b.png", root=tmp_path / "in"), tmp_path / "out")
    shutil.move(tmp_path / "out", tmp_path / "moved")
    back = yolo.read(tmp_path / "moved")
    assert back.root == tmp_path / "moved/images"
    assert [image.file for image in back.images] == ["all/a/b.png"]


def test_a_folder_of_ours_that_was_changed_is_refused(tmp_path: Path) -> None:
    yolo.write(smears("a.png", "b.png", root=tmp_path / "in"), tmp_path / "out")
    (tmp_path / "out/labels/all/a.txt").unlink()
    exports.write(tmp_path / "out/labels/all/c.txt", "0 .5 .5 .1 .1\n")
    exports.write(tmp_path / "out/images/all/c.png", exports.png())
    with pytest.raises(InvalidExport) as caught:
        yolo.read(tmp_path / "out")
    assert [str(problem).removeprefix(f"{tmp_path}/out/") for problem in caught.value.problems] == [
        "images/all/c.png: is not in images.csv; add images to the export and convert it again",
        "labels/all/c.txt: is not in images.csv; add images to the export and convert it again",
        'labels/all/a.txt: the labels of image "a.png" are missing; convert the data again',
    ]


# Folders of other tools


def test_reads_a_foreign_folder(tmp_path: Path) -> None:
    labels: dict[str, str | None] = {
        "train/s/a.png": "1 0.5 0.5 0.5 0.5\r\n0.0 0.05 0.1 0.1 0.2\r\n",
        "train/b.png": "",
        "val/c.png": "\ufeff0 0.1 0.1 0.5 0.1 0.5 0.9\n\n",
    }
    with pytest.warns(DataWarning, match="2 rows are boxes and 1 is an outline; ultralytics would ignore"):
        ds = yolo.read(foreign(tmp_path / "set", labels, val=["images/val"]))
    assert ds.name == "set"
    assert ds.taxonomy.labels == ("RBC", "WBC")
    assert [(i.id, i.width, i.height, ds.part_of(i)) for i in ds.images] == [
        ("images/train/b.png", 200, 100, "train"),
        ("images/train/s/a.png", 200, 100, "train"),
        ("images/val/c.png", 200, 100, "val"),
    ]
    assert [(c.image, c.id, c.label, c.box, c.shape) for c in ds.cells] == [
        ("images/train/s/a.png", 0, "WBC", Box(50, 25, 150, 75), None),
        ("images/train/s/a.png", 1, "RBC", Box(0, 0, 20, 20), None),
        (
            "images/val/c.png",
            0,
            "RBC",
            Box(20, 10, 100, 90),
            Polygon(((20.0, 10.0), (100.0, 10.0), (100.0, 90.0))),
        ),
    ]
    assert ds.root == tmp_path / "set"


@pytest.mark.parametrize("path", ["..", "absolute", "elsewhere-that-is-not-there"])
def test_path_lists_and_names_in_every_form(tmp_path: Path, path: str) -> None:
    """`path` leads up, is absolute or does not exist; a text file lists images."""
    folder = tmp_path / "set"
    base = {"..": "..", "absolute": str(tmp_path)}.get(path, path)
    above = "" if base == path != ".." else "set/"
    foreign(
        folder,
        {"train/a.png": "1 .5 .5 .1 .1", "val/b.png": "0 .5 .5 .1 .1"},
        names={"1": "WBC", 0: "RBC"},
        path=base,
        train=f"{above}train.txt",
        val=f"{above}images/val",
    )
    exports.write(folder / "train.txt", "./images/train/a.png\n")
    ds = yolo.read(folder / "data.yaml")
    assert [(i.id, ds.part_of(i)) for i in ds.images] == [
        ("images/train/a.png", "train"),
        ("images/val/b.png", "val"),
    ]
    assert [cell.label for cell in ds.cells] == ["WBC", "RBC"]


def test_roboflow_layout(tmp_path: Path) -> None:
    """Images and labels below each part, and paths in data.yaml that lead one step too far up."""
    exports.write(tmp_path / "train/images/a.png", exports.png())
    exports.write(tmp_path / "train/labels/a.txt", "0 .5 .5 .1 .1\n")
    exports.write(tmp_path / "data.yaml", "train: ../train/images\nnames: [RBC]\n")
    ds = yolo.read(tmp_path)
    assert [(image.id, len(ds.cells_of(image))) for image in ds.images] == [("train/images/a.png", 1)]


def test_every_wrong_row_is_listed(tmp_path: Path) -> None:
    rows = {
        "2 .5 .5 .1 .1": "class 2 is not in 0 to 1; give the class an id and a name",
        "0.5 .5 .5 .1 .1": "class 0.5 is not in 0 to 1; give the class an id and a name",
        "-1 .5 .5 .1 .1": "class -1 is not in 0 to 1; give the class an id and a name",
        "0 .5 .5 .1": "has 4 columns; write class cx cy w h, or class x1 y1 x2 y2 x3 y3 ...",
        "0 .5 .5 .1 x": "has a column that is not a number; write class cx cy w h, or class x1 y1 x2 y2 x3 y3 ...",
        "0 .5 .5 .1 nan": "has a number that is not finite; write class cx cy w h, or class x1 y1 x2 y2 x3 y3 ...",
        "0 .5 .5 0 .1": "the box is 0 wide and .1 high; draw it again, or drop the row",
        "0 .1 .1 .1 .5 .1 .9": "the outline has no area; draw it again, or drop the row",
        "0 .99 .5 .1 .1": "the box leaves the image of 200 x 100 by 8.00 px; correct it, or pass clip=True; coordinates are fractions of the image's size, 0 to 1",
        "0 100 50 20 20": "the box leaves the image of 200 x 100 by 21800.00 px; correct it; coordinates are fractions of the image's size, 0 to 1",
    }
    folder = foreign(tmp_path, {"train/a.png": "\n".join(["1 .5 .5 .1 .1", *rows])})
    with pytest.raises(InvalidExport) as caught:
        yolo.read(folder)
    label = tmp_path / "labels/train/a.txt"
    assert [str(problem) for problem in caught.value.problems] == [
        f"{label}:{line}: {text}" for line, text in enumerate(rows.values(), 2)
    ]


def test_boxes_over_the_border_are_cut_with_a_warning(tmp_path: Path) -> None:
    folder = foreign(tmp_path, {"train/a.png": "0 .9525 .5 .1 .1\n1 .99 .5 .1 .1\n"})
    with pytest.warns(DataWarning, match="2 boxes were cut at their image's border"):
        ds = yolo.read(folder, clip=True)
    assert [cell.box for cell in ds.cells] == [Box(180.5, 45, 200, 55), Box(188, 45, 200, 55)]


def test_images_without_labels_are_kept_and_labels_without_images_are_warned_of(tmp_path: Path) -> None:
    folder = foreign(tmp_path, {"train/a.png": None, "train/b.png": "0 .5 .5 .1 .1\n"})
    exports.write(tmp_path / "labels/train/lost.txt", "0 .5 .5 .1 .1\n")
    exports.write(tmp_path / "labels/train/classes.txt", "RBC\n")
    with pytest.warns(DataWarning) as caught:
        ds = yolo.read(folder)
    assert [image.id for image in ds.images] == ["images/train/a.png", "images/train/b.png"]
    lost = f"{tmp_path}/labels/train/lost.txt"
    assert {str(warning.message) for warning in caught} == {
        "1 image has no label file and is read without cells:\nimages/train/a.png",
        f"1 label files belong to no image that data.yaml names, and are ignored:\n{lost}",
    }


def test_parts_that_are_the_same_are_no_split_and_shared_images_a_problem(tmp_path: Path) -> None:
    folder = foreign(tmp_path / "same", {"train/a.png": ""}, val="images/train")
    with pytest.warns(DataWarning, match="train and val are the same images; read without a split"):
        assert yolo.read(folder).split is None
    folder = foreign(tmp_path / "shared", {"train/a.png": "", "train/v/b.png": ""}, val="images/train/v")
    with pytest.raises(
        InvalidExport, match=r'image "images/train/v/b.png": is in train and in val; leave it in'
    ):
        yolo.read(folder)


def test_unreadable_images_are_problems(tmp_path: Path) -> None:
    folder = foreign(tmp_path, {"train/a.png": "", "train/b.png": ""})
    exports.write(tmp_path / "images/train/a.png", "no image")
    with pytest.raises(
        InvalidExport, match=r'^image "images/train/a.png": .*is not an image that can be read.*again$'
    ):
        yolo.read(folder)


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("train: [", CorruptFile, r"data.yaml:1: is not valid YAML; write train, val and names"),
        ("- 1", CorruptFile, "data.yaml: has no keys; write train, val and names"),
        ("train: images", InvalidExport, "data.yaml: has no names; list the classes below names"),
        (
            "names: {1: a, 2: b}",
            InvalidExport,
            "data.yaml: names have the ids 1, 2; number them from 0 without a gap",
        ),
        ("names: [a, a]", InvalidExport, "data.yaml: names; taxonomy"),
        ("names: [a]", InvalidExport, "data.yaml: names no images; write train, val and test"),
        (
            "names: [a]\ntrain: gone",
            DataNotFound,
            "data.yaml: names gone, but .*/gone does not exist; correct path",
        ),
    ],
)
def test_errors_of_data_yaml(tmp_path: Path, text: str, error: type[Exception], sentence: str) -> None:
    exports.write(tmp_path / "data.yaml", text)
    with pytest.raises(error, match=sentence):
        yolo.read(tmp_path)


def test_no_data_yaml(tmp_path: Path) -> None:
    with pytest.raises(
        DataNotFound, match=r"data.yaml: no such file; give a YOLO folder that has a data.yaml"
    ):
        yolo.read(tmp_path)


def test_names_stand_for_the_classes_of_a_taxonomy(tmp_path: Path) -> None:
    folder = foreign(
        tmp_path, {"train/a.png": "0 .5 .5 .1 .1\n1 .2 .2 .1 .1\n"}, names=["other", "Lymphocytes"]
    )
    ds = yolo.read(folder, taxonomy=NINE)
    assert [(cell.label, cell.raw_label) for cell in ds.cells] == [
        ("Other", "other"),
        ("Lymphocyte", "Lymphocytes"),
    ]
    with pytest.raises(
        UnknownLabel,
        match='name "other" is not a class of cells; rename it to one of RBC, WBC, or pass labels=',
    ):
        yolo.read(folder, taxonomy=CELL_TAXONOMY)


# ultralytics itself

TRAIN = """
    import json, sys
    import numpy as np
    from ultralytics import YOLO
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset, load_dataset_cache_file
    from pathlib import Path

    found = {}
    for data in sys.argv[1:]:
        info = check_det_dataset(data)
        for part in ("train", "val"):
            sets = YOLODataset(img_path=info[part], data=info, imgsz=64, augment=False, task="detect")
            caches = list(Path(data).parent.glob(f"labels/{part}*/**/*.cache")) + list(Path(data).parent.glob(f"labels/{part}*.cache"))
            cache = load_dataset_cache_file(caches[0])
            rows = {Path(row["im_file"]).name: row["cls"].ravel().tolist() for row in sets.labels}
            found[f"{Path(data).parent.name}/{part}"] = {"counts": cache["results"], "said": cache["msgs"], "rows": rows}
    model = YOLO("yolo11n.yaml")
    model.train(data=sys.argv[1], epochs=1, imgsz=64, batch=2, device="cpu", workers=0, plots=False,
                val=True, verbose=False, amp=False, project="runs", name="tiny")
    found["names"] = model.names
    print("FOUND", json.dumps(found, default=str))
"""


@pytest.mark.trains
def test_ultralytics_trains_on_a_moved_folder(tmp_path: Path) -> None:
    pytest.importorskip("ultralytics")
    split = {
        "P1/a.png": "train",
        "P1/a.jpg": "train",
        "images/b.png": "train",
        ".n.png": "train",
        "P2/v.png": "val",
    }
    ds = smears(*split, split=split, root=tmp_path / "in")
    negative = ImageId(".n.png")
    ds = Dataset(
        "d", NINE, ds.images, tuple(c for c in ds.cells if c.image != negative), split=ds.split, root=ds.root
    )
    for task, how in (("detection", "copy"), ("wbc", "symlink")):
        yolo.write(ds, tmp_path / "out" / task, task=task, images=how)  # type: ignore[arg-type]
    moved = tmp_path / "moved here"
    shutil.move(tmp_path / "out", moved)
    (tmp_path / "cwd").mkdir()
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(TRAIN),
            moved / "detection/data.yaml",
            moved / "wbc/data.yaml",
        ],
        cwd=tmp_path / "cwd",
        env={**os.environ, "YOLO_CONFIG_DIR": str(tmp_path), "YOLO_OFFLINE": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    found = json.loads(run.stdout.rpartition("FOUND ")[2])
    assert found["names"] == {str(number): label for number, label in enumerate(NINE.labels)}
    for task in ("detection", "wbc"):
        # found, missing, empty, corrupt, images
        assert found[f"{task}/train"]["counts"] == [4, 0, 1, 0, 4]
        assert found[f"{task}/val"]["counts"] == [1, 0, 0, 0, 1]
        assert found[f"{task}/train"]["said"] == found[f"{task}/val"]["said"] == []
    assert sorted(found["detection/train"]["rows"].values()) == [[], [0.0], [1.0], [2.0]]
    assert found["detection/val"]["rows"] == {"v.png": [4.0]}
    assert sorted(found["wbc/train"]["rows"].values()) == [[], [0.0], [0.0], [0.0]]


def test_how_a_split_was_made_is_text_whatever_the_record_holds(tmp_path: Path) -> None:
    """As in a damaged record, whose values may be of any type."""
    ds = cvat.read(sample.write(tmp_path / "s.zip", patients=2, images=4))
    split = Split("official", {image.id: "train" for image in ds.images}, {"method": "by hand"})
    yolo.write(ds.with_split(split), tmp_path / "yolo")
    record = json.loads((tmp_path / "yolo" / "pcm-leukemia.json").read_text())
    record["made"] = {"method": None, "seed": 3}
    (tmp_path / "yolo" / "pcm-leukemia.json").write_text(json.dumps(record))
    read = yolo.read(tmp_path / "yolo")
    assert read.split is not None
    assert read.split.made == {"method": "None", "seed": "3"}
    store.write(read, tmp_path / "data")
    assert store.read_split(tmp_path / "data", "official").made == read.split.made
