"""Which images of a YOLO folder are read, from which of the layouts that tools write, and what is never passed over."""

from __future__ import annotations

import csv
import math
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import exports
import PIL.Image
import pytest
from commands import Run
from yolo_folders import BOX, described, foreign, labelled

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Cell, Dataset, Image
from pcm_leukemia.converters import yolo
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, InvalidExport, PcmError
from pcm_leukemia.files import unlisted
from pcm_leukemia.schema import ImageId
from pcm_leukemia.shapes import Box, Polygon, RotatedBox

NAMES = "\nnames: [a]\n"


def parts(ds: Dataset) -> dict[str, int]:
    """The images in each part."""
    return dict(Counter(ds.part_of(image) for image in ds.images))


def problem(folder: Path) -> str:
    """The only problem of a folder, without the path of the folder."""
    with pytest.raises(InvalidExport) as caught:
        yolo.read(folder)
    assert len(caught.value.problems) == 1, caught.value
    return str(caught.value).replace(f"{folder}/", "")


# Parts


@pytest.mark.parametrize(
    "keys",
    [
        ("train", "valid", "test"),
        ("training", "validation", "testing"),
        ("Train", "DEV", "Test"),
        ("train", "val", "test"),
    ],
)
def test_parts_are_named_as_everywhere(tmp_path: Path, keys: tuple[str, ...]) -> None:
    for key in keys:
        labelled(tmp_path, f"{key}/images/{key}.png")
    described(tmp_path, "".join(f"{key}: {key}/images\n" for key in keys) + NAMES)
    ds = pcm.load_dataset(tmp_path)
    assert parts(ds) == {"train": 1, "val": 1, "test": 1}
    assert len(ds.cells) == 3


@pytest.mark.parametrize(
    "train", ["[images/a.png, images/b.png]", "[images/a.png, list.txt]", "[list.txt, images]"]
)
def test_a_part_may_be_a_list_of_images_lists_and_folders(tmp_path: Path, train: str) -> None:
    labelled(tmp_path, "images/a.png", "images/b.png")
    exports.write(tmp_path / "list.txt", "images/b.png\n")
    assert parts(yolo.read(described(tmp_path, f"train: {train}{NAMES}"))) == {"train": 2}


def test_two_keys_for_one_part_must_agree(tmp_path: Path) -> None:
    for place in ("train", "val", "valid"):
        labelled(tmp_path, f"{place}/images/{place}.png")
    described(tmp_path, f"train: train/images\nval: val/images\nvalid: valid/images{NAMES}")
    assert problem(tmp_path) == (
        'data.yaml: "val" and "valid" name different images, and both are val; list all of them under one key'
    )
    described(
        tmp_path,
        f"train: train/images\nval: [val/images, valid/images]\nvalid: [valid/images, val/images]{NAMES}",
    )
    assert parts(yolo.read(tmp_path)) == {"train": 1, "val": 2}


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("minival: images/val", "images/val"),
        ("extra: extra.txt", "extra.txt"),
        ("more: [gone, images/val]", "images/val"),
        ("data:\n  val: images/val", "images/val"),
        ("1: images/val", "images/val"),
        ("images: images/val/val.png", "images/val/val.png"),
    ],
)
def test_a_key_that_names_images_and_is_no_part_is_refused(tmp_path: Path, key: str, place: str) -> None:
    labelled(tmp_path, "images/train/train.png", "images/val/val.png")
    exports.write(tmp_path / "extra.txt", "images/val/val.png\n")
    described(tmp_path, f"train: images/train\n{key}{NAMES}")
    name = key.partition(":")[0]
    assert problem(tmp_path) == (
        f'data.yaml: "{name}" names images in {place}, but is not a part; rename the key to train, val or test, or '
        "remove it"
    )


def test_keys_that_name_no_other_images_are_left_alone(tmp_path: Path) -> None:
    labelled(tmp_path, "images/train/a.png")
    (tmp_path / "backup").mkdir()
    exports.write(tmp_path / "few.txt", "images/train/a.png\nimages/train/gone.png\n")
    exports.write(tmp_path / "LICENSE.txt", "\xa9 me".encode("latin-1"))
    keys = "license: LICENSE.txt\n"
    keys += "few: few.txt\nimages: images\nsite: https://example.org/images/train\nproject: {name: images/train}\n"
    keys += (
        "backup: backup\nnc: 2\ndownload: images\nroboflow: {version: 1, url: 'https://example.org'}\npath: ."
    )
    described(tmp_path, f"train: images/train\n{keys}\nnames: [images, train]")
    assert len(yolo.read(tmp_path).images) == 1


@pytest.mark.parametrize(
    "images",
    [
        "images/test/a.png",
        "images/test/deep/a.png",
        "test/images/a.png",
        "test/a.png",
        "valid/a.png",
        "more/images/a.png",
    ],
)
@pytest.mark.parametrize("labels", ["with labels", "without"])
def test_a_folder_of_images_that_no_key_names_is_refused(tmp_path: Path, images: str, labels: str) -> None:
    labelled(tmp_path, "images/train/a.png")
    if labels == "with labels":
        labelled(tmp_path, images)
    else:
        exports.write(tmp_path / images, exports.png())
    described(tmp_path, f"train: images/train{NAMES}")
    assert problem(tmp_path) == (
        f"{images.rpartition('/')[0]}: has 1 image, but data.yaml does not name it; add it to data.yaml as train, val "
        "or test, or move it elsewhere"
    )


def test_labelled_images_of_any_folder_belong_to_the_data(tmp_path: Path) -> None:
    labelled(tmp_path, "images/train/a.png", "batch 2/a.png")
    described(tmp_path, f"train: images/train{NAMES}")
    assert problem(tmp_path).startswith("batch 2: has 1 image, but data.yaml does not name it")


def test_other_images_are_counted_once(tmp_path: Path, run: Run) -> None:
    """Plots of ultralytics, pictures of a README, and images that a list leaves out."""
    labelled(tmp_path, "images/a.png", "images/b.png")
    for name in ("runs/detect/train/results.png", "runs/detect/train/labels.jpg", "logo.png"):
        exports.write(tmp_path / name, exports.png())
    exports.write(tmp_path / "train.txt", "images/a.png\n")
    described(tmp_path, f"train: train.txt{NAMES}")
    with pytest.warns(DataWarning) as caught:
        assert len(yolo.read(tmp_path).images) == 1
    assert [str(warning.message).replace(f"{tmp_path}/", "") for warning in caught] == [
        f"3 image files not named by data.yaml and ignored:\n{tmp_path}: 1\nruns/detect/train: 2",
        "1 label files belong to no image that data.yaml names, and are ignored:\nlabels/b.txt",
    ]
    told = run("import", tmp_path, tmp_path / "out").out
    assert "1 image file is not in the annotations: images/b.png" in told


def test_other_images_beside_parts_are_counted_by_import(tmp_path: Path, run: Run) -> None:
    labelled(tmp_path / "set", "train/images/a.png")
    exports.write(tmp_path / "set/logo.png", exports.png())
    described(tmp_path / "set", f"train: train/images{NAMES}")
    assert len(yolo.read(tmp_path / "set").images) == 1
    status, out, _ = run("import", tmp_path / "set", tmp_path / "out")
    assert (status, "1 image file is not in the annotations: logo.png" in out) == (0, True)


def test_a_data_set_below_is_another_one(tmp_path: Path) -> None:
    labelled(tmp_path, "images/train/a.png", "other/images/train/a.png")
    described(tmp_path / "other", f"train: images/train{NAMES}")
    described(tmp_path, f"train: images/train{NAMES}")
    with pytest.warns(DataWarning, match=r"1 other YOLO folders are below .*, and are not read:\nother"):
        assert len(yolo.read(tmp_path).images) == 1


def test_labels_without_images_and_parts_without_images_are_named(tmp_path: Path) -> None:
    labelled(tmp_path, "images/train/a.png")
    exports.write(tmp_path / "labels/test/b.txt", BOX)
    (tmp_path / "images/test").mkdir()
    described(tmp_path, f"train: images/train\ntest: images/test{NAMES}")
    with pytest.warns(DataWarning) as caught:
        assert parts(yolo.read(tmp_path)) == {"train": 1}
    assert [str(warning.message).replace(f"{tmp_path}/", "") for warning in caught] == [
        "data.yaml: test has no image files",
        "1 label files belong to no image that data.yaml names, and are ignored:\nlabels/test/b.txt",
    ]


def test_images_of_a_kind_that_is_not_read_are_named(tmp_path: Path) -> None:
    labelled(tmp_path, "images/a.png", "images/b.HEIC")
    described(tmp_path, f"train: images{NAMES}")
    assert problem(tmp_path) == (
        "images: 1 .heic file is not read, but has labels; save them as PNG, JPEG or TIFF under the same names"
    )
    (tmp_path / "labels/b.txt").unlink()
    with pytest.warns(DataWarning, match="1 .heic file is not read"):
        assert len(yolo.read(tmp_path).images) == 1


def test_linked_folders_are_read_once(tmp_path: Path) -> None:
    labelled(tmp_path / "disk", "images/a.png")
    (tmp_path / "set/images").mkdir(parents=True)
    (tmp_path / "set/labels").mkdir()
    for kind in ("images", "labels"):
        (tmp_path / "set" / kind / "P1").symlink_to(tmp_path / "disk" / kind)
    (tmp_path / "set/images/round").symlink_to(tmp_path / "set/images")
    described(tmp_path / "set", f"train: images{NAMES}")
    ds = yolo.read(tmp_path / "set", check_images=False)
    assert ([image.id for image in ds.images], len(ds.cells)) == (["images/P1/a.png"], 1)


# Labels that are not there


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        ({}, "; add the label files; that of an image without cells is empty"),
        (
            {"annotations/train/a.txt": BOX},
            ", but there is annotations/train/a.txt; move the label files to labels/train",
        ),
        ({"labels.zip": "PK"}, "; unzip labels.zip, if they are in it"),
        (
            {"Annotations/a.xml": "<a/>"},
            "; there are .xml files, which may be annotations in another format; give",
        ),
        ({"result.json": "{}"}, "; there are .json files, which may be"),
    ],
)
def test_a_folder_without_any_label_file_is_refused_with_the_cause(
    tmp_path: Path, other: dict[str, str], cause: str, run: Run
) -> None:
    for name in "ab":
        exports.write(tmp_path / f"images/train/{name}.png", exports.png())
    for name, text in other.items():
        exports.write(tmp_path / name, text)
    described(tmp_path, f"train: images/train{NAMES}")
    text = problem(tmp_path)
    looked_for = (
        "data.yaml: none of 2 images has a label file; that of images/train/a.png would be labels/train/a.txt"
    )
    assert text.startswith(f"{looked_for}{cause}")
    assert run("import", tmp_path, tmp_path / "out").status == 1


@pytest.mark.parametrize(
    ("images", "labels"), [("image", "labels"), ("Images", "Labels"), ("img/train", "labels/train")]
)
def test_a_folder_of_images_with_another_name_is_the_cause(tmp_path: Path, images: str, labels: str) -> None:
    exports.write(tmp_path / images / "a.png", exports.png())
    exports.write(tmp_path / labels / "a.txt", BOX)
    described(tmp_path, f"train: {images}{NAMES}")
    text = problem(tmp_path)
    assert text.startswith(
        f"data.yaml: none of 1 image has a label file; that of {images}/a.png would be {images}/a.txt"
    )
    assert text.endswith('call the folder of the images "images", and that of the labels "labels"')


def test_what_macos_leaves_and_a_description_in_a_folder_of_its_own(tmp_path: Path) -> None:
    labelled(tmp_path, "images/train/a.png")
    for name in (
        "images/train/._a.png",
        "labels/train/._a.txt",
        "__MACOSX/images/train/b.png",
        ".cache/images/c.png",
    ):
        exports.write(tmp_path / name, "\0\5\26\7")
    described(tmp_path / "config", f"path: ..\ntrain: images/train{NAMES}")
    assert len(yolo.read(tmp_path / "config/data.yaml").images) == 1


def test_pointers_of_git_lfs_are_the_cause(tmp_path: Path) -> None:
    labelled(tmp_path, "images/a.png")
    exports.write(
        tmp_path / "images/a.png", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    )
    described(tmp_path, f"train: images{NAMES}")
    assert "is a Git LFS pointer in place of the image; run git lfs pull" in problem(tmp_path)


def test_a_part_without_any_label_file_is_named(tmp_path: Path) -> None:
    labelled(tmp_path, "images/train/a.png")
    exports.write(tmp_path / "images/val/b.png", exports.png())
    described(tmp_path, f"train: images/train\nval: images/val{NAMES}")
    with pytest.warns(
        DataWarning, match=r"1 image has no label file and is read without cells \(all of val\)"
    ):
        yolo.read(tmp_path)


def test_labels_alone_are_refused(tmp_path: Path) -> None:
    exports.write(tmp_path / "labels/a.txt", BOX)
    exports.write(tmp_path / "classes.txt", "RBC\n")
    assert f"(.bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp) in {tmp_path}; export the" in problem(tmp_path)


@pytest.mark.parametrize("text", ["train: images\nval: images", "train: images/train"])
def test_a_folder_without_images_is_refused(tmp_path: Path, text: str) -> None:
    exports.write(tmp_path / "labels/train/a.txt", BOX)
    (tmp_path / "images/train").mkdir(parents=True)
    described(tmp_path, f"{text}{NAMES}")
    found = problem(tmp_path)
    assert found.startswith(
        "data.yaml: no image files (.bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp) in images"
    )
    assert found.endswith(
        "; export the labels with their images, or name the folder of the images: images_root"
    )


# Paths of other computers


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    ("place", "listed"),
    [
        ("images\\train", "images\\val\\b.png"),
        (".\\images\\train", ".\\images\\val\\b.png"),
        ("./images/train/", "./images/val/b.png"),
        ("../images/train", "data/images/val/b.png"),
        ("images/train", "b.png"),  # relative to the list
        ("Images/Train", "IMAGES/val/B.PNG"),  # which is the same on Windows
        ("images/train", "images/val/b.png "),
        ("images/train", "images/val/%62.png"),
    ],
)
def test_paths_lead_to_the_only_file_that_can_be_meant(tmp_path: Path, place: str, listed: str) -> None:
    labelled(tmp_path, "images/train/a.png", "images/val/b.png")
    exports.write(tmp_path / "images/val/val.txt", f"{listed}\r\n\r\n")
    described(tmp_path, f"path: .\\\ntrain: {place}\nval: images\\val\\val.txt{NAMES}")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ds = yolo.read(tmp_path)
    assert [(image.id, ds.part_of(image)) for image in ds.images] == [
        ("images/train/a.png", "train"),
        ("images/val/b.png", "val"),
    ]
    assert len(ds.cells) == 2
    assert len(told) == (place == "Images/Train")


@pytest.mark.parametrize(
    "start", ["C:\\Users\\me\\cells\\", "D:/cells/", "/content/cells-1/", "/kaggle/input/cells/", "cells/"]
)
def test_paths_of_another_computer_are_read_from_here_and_named(tmp_path: Path, start: str) -> None:
    labelled(tmp_path, "images/train/a.png", "images/val/b.png")
    exports.write(tmp_path / "val.txt", f"{start}images/val/b.png\n")
    described(tmp_path, f"path: {start}\ntrain: {start}images/train\nval: {start}val.txt{NAMES}")
    with pytest.warns(DataWarning) as caught:
        assert parts(yolo.read(tmp_path)) == {"train": 1, "val": 1}
    (warning,) = caught
    assert str(warning.message) == (
        f"{tmp_path}/data.yaml: {start}images/train does not exist; images/train is read instead"
    )


@pytest.mark.parametrize("place", ["../other/images", "/data/images", "/", "train\0", "x" * 5000, "images/*"])
def test_paths_that_lead_nowhere_are_refused(tmp_path: Path, place: str) -> None:
    labelled(tmp_path, "images/a.png")
    described(tmp_path, f"train: images\nval: {place!r}{NAMES}".replace("\\x00", "\\0").replace("'", '"'))
    with pytest.raises(
        DataNotFound, match="does not exist; correct path, train, val or test, or remove the key"
    ):
        yolo.read(tmp_path)


def test_images_that_a_list_names_and_are_not_there_are_one_problem(tmp_path: Path) -> None:
    labelled(tmp_path, "images/a.png")
    exports.write(tmp_path / "train.txt", "images/a.png\n" + "".join(f"images/x{n}.png\n" for n in range(30)))
    described(tmp_path, f"train: train.txt{NAMES}")
    assert problem(tmp_path) == (
        f"data.yaml: 30 of the images that are listed are not in {tmp_path}, for example images/x0.png; export the labels "
        "with their images, or name the folder of the images: images_root"
    )


@pytest.mark.parametrize(("here", "written"), [(_nfc, _nfd), (_nfd, _nfc)])
def test_names_in_another_unicode_form_lead_to_their_file(
    tmp_path: Path, here: Callable[[str], str], written: Callable[[str], str]
) -> None:
    folder, name = here("Größe/images"), here("Müller")
    exports.write(tmp_path / folder / f"{name}.png", exports.png())
    exports.write(tmp_path / here("Größe/labels") / written("Müller.txt"), BOX)
    exports.write(tmp_path / "train.txt", written("Größe/images/Müller.png\n"))
    described(tmp_path, f"train: {written('Größe/images')}{NAMES}")
    by_folder = yolo.read(tmp_path)
    described(tmp_path, f"train: train.txt{NAMES}")
    by_list = yolo.read(tmp_path)
    for ds in (by_folder, by_list):
        assert [image.file for image in ds.images] == [f"{folder}/{name}.png"]
        assert len(ds.cells) == 1


def test_two_names_that_look_alike_stay_two_images(tmp_path: Path) -> None:
    for form in (_nfc, _nfd):
        exports.write(tmp_path / form("images/ü.png"), exports.png())
        exports.write(tmp_path / form("labels/ü.txt"), BOX)
    described(tmp_path, f"train: images{NAMES}")
    ds = yolo.read(tmp_path)
    assert (len(ds.images), len(ds.cells)) == (2, 2)


def test_labels_stay_beside_data_yaml_if_the_images_are_elsewhere(tmp_path: Path) -> None:
    exports.write(tmp_path / "disk/images/train/a.png", exports.png())
    exports.write(tmp_path / "set/labels/train/a.txt", BOX)
    described(tmp_path / "set", f"train: images/train{NAMES}")
    ds = yolo.read(tmp_path / "set", images_root=tmp_path / "disk")
    assert len(ds.cells) == 1


def test_files_are_below_the_folder_of_the_images_if_data_yaml_is_elsewhere(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    for name in ("images/train/a.png", "images/val/b.png"):
        labelled(disk, name)
    exports.write(tmp_path / "other.png", exports.png())
    described(tmp_path / "job", f"path: {disk}\ntrain: images/train\nval: images/val{NAMES}")
    exports.write(tmp_path / "list/train.txt", f"{disk}/images/train/a.png\n{disk}/images/val/b.png\n")
    described(tmp_path / "list", f"train: train.txt{NAMES}")
    for folder, root in (("job", disk), ("list", disk / "images")):
        ds = yolo.read(tmp_path / folder)
        assert [image.id for image in ds.images] == ["disk/images/train/a.png", "disk/images/val/b.png"]
        assert ds.root == root
        assert unlisted(root, [image.file for image in ds.images if image.file]) == []
    assert yolo.read(tmp_path / "job", check_images=False).root == disk


def test_links_out_of_the_folder_of_the_images_stay_readable_if_data_yaml_is_elsewhere(
    tmp_path: Path,
) -> None:
    exports.write(tmp_path / "raw/a.png", exports.png())
    labelled(tmp_path / "disk", "images/b.png")
    exports.write(tmp_path / "disk/labels/a.txt", BOX)
    (tmp_path / "disk/images/a.png").symlink_to(tmp_path / "raw/a.png")
    described(tmp_path / "job", f"path: {tmp_path / 'disk'}\ntrain: images{NAMES}")
    ds = yolo.read(tmp_path / "job")
    assert (len(ds.images), ds.root) == (2, tmp_path)


def test_images_root_is_never_passed_over(tmp_path: Path) -> None:
    labelled(tmp_path / "set", "images/train/a.png")
    described(tmp_path / "set", f"train: train.txt{NAMES}")
    exports.write(tmp_path / "set/train.txt", "images/train/a.png\n")
    zipped = exports.zipped(tmp_path / "images.zip", {"images/train/a.png": exports.png()})
    with pytest.raises(
        DataNotFound, match=r"images.zip: is not a folder; give the folder that train, val and test"
    ):
        yolo.read(tmp_path / "set", images_root=zipped)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidExport, match="1 of the images that are listed are not in"):
        yolo.read(tmp_path / "set", images_root=tmp_path / "empty")
    described(tmp_path / "set", f"train: images/train{NAMES}")
    with pytest.raises(DataNotFound, match="names images/train, but .*/empty/images/train does not exist"):
        yolo.read(tmp_path / "set", images_root=tmp_path / "empty")


# Layouts of tools


def _cvat(folder: Path, rows: dict[str, str | None], more: str = "", prefix: str = "data/") -> Path:
    """CVAT's "Ultralytics YOLO 1.0": lists below data/, and no label file for an image without cells."""
    subsets: dict[str, list[str]] = {}
    for name, text in rows.items():
        subset = name.partition("/")[0]
        subsets.setdefault(subset, []).append(f"{prefix}images/{name}.png\n")
        exports.write(folder / f"images/{name}.png", exports.png())
        if text:
            exports.write(folder / f"labels/{name}.txt", text)
    for subset, listed in subsets.items():
        exports.write(folder / f"{subset}.txt", "".join(listed))
    lists = "".join(f"{subset}: {subset}.txt\n" for subset in subsets)
    return described(folder, f"{more}names:\n  0: a\npath: .\n{lists}")


@pytest.mark.parametrize("prefix", ["data/", ""])
def test_cvat_detection(tmp_path: Path, prefix: str) -> None:
    rows = {"train/P1/a": BOX, "train/P1/b": None, "Validation/a": BOX, "test/a": BOX}
    with pytest.warns(DataWarning, match="1 image has no label file"):
        ds = pcm.load_dataset(_cvat(tmp_path, rows, prefix=prefix))
    assert parts(ds) == {"train": 2, "val": 1, "test": 1}
    assert len(ds.cells) == 3
    assert {image.id for image in ds.images} >= {"images/test/a.png", "images/train/P1/b.png"}


def test_cvat_oriented_boxes(tmp_path: Path) -> None:
    """CVAT does not say that they are; all in the upper left, where corners could be a centre and a size."""
    drawn = [RotatedBox(30, 15, 70, 35, 30), RotatedBox(60, 20, 90, 40, 0), RotatedBox(20, 40, 60, 60, 300)]
    rows = ["0 " + " ".join(f"{x / 200:.6f} {y / 100:.6f}" for x, y in box.polygon()) for box in drawn]
    _cvat(tmp_path, {"train/a": "\n".join(rows)})
    outlines, turned = yolo.read(tmp_path), yolo.read(tmp_path, rows="obb")
    assert [type(cell.shape) for cell in outlines.cells] == [Polygon] * 3
    assert [cell.rotation for cell in turned.cells] == pytest.approx([30, 0, 300], abs=0.01)
    for one, other, box in zip(outlines.cells, turned.cells, drawn, strict=True):
        assert one.box == other.box
        assert (one.box.x1, one.box.y1, one.box.x2, one.box.y2) == pytest.approx(box.envelope(), abs=0.01)


def test_cvat_segmentation_and_pose(tmp_path: Path) -> None:
    outline = "0 " + " ".join(
        f"{0.3 + math.cos(turn) / 9:.6f} {0.3 + math.sin(turn) / 9:.6f}" for turn in (0, 0.9, 2, 3, 4, 5)
    )
    ds = yolo.read(_cvat(tmp_path / "segmentation", {"train/a": f"{outline}\n0 .3 .3 .3 .9 .9 .9"}))
    assert {type(cell.shape) for cell in ds.cells} == {Polygon}
    pose = _cvat(tmp_path / "pose", {"train/a": f"{BOX} .41 .41 2 0.0 0.0 0"}, "kpt_shape:\n- 2\n- 3\n")
    with pytest.warns(DataWarning, match="2 key points of 1 box are not read"):
        assert yolo.read(pose).cells[0].box == Box(80, 40, 120, 60)


def test_a_subset_of_cvat_that_is_no_part_is_refused(tmp_path: Path) -> None:
    text = problem(_cvat(tmp_path, {"train/a": BOX, "hospital A/a": BOX}))
    assert text.startswith(
        'data.yaml: "hospital A" names images in hospital A.txt, but is not a part; rename'
    )


def test_cvat_yolo_1_1(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        labelled(tmp_path, f"obj_{part}_data/P1/a.png")
        exports.write(tmp_path / f"{part}.txt", f"data/obj_{part}_data/P1/a.png\n")
    exports.write(tmp_path / "obj.names", "Monocyte\nOther\n")
    keys = "train = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = backup/\n"
    exports.write(tmp_path / "obj.data", f"classes = 2\n{keys}")
    ds = pcm.load_dataset(tmp_path)
    assert ds.taxonomy.labels == ("Monocyte", "Other")
    assert parts(ds) == {"train": 1, "val": 1}
    assert [cell.label for cell in ds.cells] == ["Monocyte"] * 2
    assert pcm.load_dataset(tmp_path / "obj.data") == ds
    (tmp_path / "obj.names").unlink()
    assert problem(tmp_path) == "obj.data: names data/obj.names, which does not exist; add the list of names"


def test_labels_beside_images_in_a_folder_called_images(tmp_path: Path) -> None:
    exports.write(tmp_path / "obj_train_data/images/a.png", exports.png())
    exports.write(tmp_path / "obj_train_data/images/a.txt", BOX)
    exports.write(tmp_path / "train.txt", "data/obj_train_data/images/a.png\n")
    exports.write(tmp_path / "obj.names", "a\n")
    exports.write(tmp_path / "obj.data", "train = data/train.txt\nnames = data/obj.names\n")
    assert len(yolo.read(tmp_path).cells) == 1


@pytest.mark.parametrize("file", ["data.yaml", "obj.data", "classes.txt", "obj.names"])
def test_a_zip_is_to_be_unpacked(tmp_path: Path, file: str) -> None:
    path = exports.zipped(
        tmp_path / "export.zip", {f"job/{file}": "names: [a]", "job/labels/train/a.txt": BOX}
    )
    with pytest.raises(
        DataNotFound, match=rf"is a zip of a YOLO folder \(job/{file}\); unzip it and give the folder"
    ):
        pcm.load_dataset(path)


def test_roboflow_with_three_parts(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        labelled(tmp_path, f"{part}/images/{part}_png.rf.0a1b.png")
    exports.write(tmp_path / "README.roboflow.txt", "text")
    described(
        tmp_path,
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\nnames: ['a']\nroboflow:\n"
        "  workspace: w\n  project: p\n  version: 1\n  license: CC BY 4.0\n",
    )
    assert parts(pcm.load_dataset(tmp_path)) == {"train": 1, "val": 1, "test": 1}


def test_fiftyone(tmp_path: Path) -> None:
    labelled(tmp_path / "5", "images/train/a.png", "images/val/b.png")
    keys = "path: /home/me/export\ntrain: ./images/train/\nval: ./images/val/\n"
    described(tmp_path / "5", f"names:\n  0: a\n{keys}", "dataset.yaml")
    assert parts(pcm.load_dataset(tmp_path / "5")) == {"train": 1, "val": 1}
    exports.write(tmp_path / "4/data/a.png", exports.png())
    exports.write(tmp_path / "4/data/a.txt", BOX)
    exports.write(tmp_path / "4/obj.names", "a\n")
    exports.write(tmp_path / "4/images.txt", "data/a.png\n")
    ds = pcm.load_dataset(tmp_path / "4")
    assert (ds.split, len(ds.images), len(ds.cells)) == (None, 1, 1)


def test_label_studio(tmp_path: Path) -> None:
    labelled(tmp_path, "images/0a1b-a.png")
    exports.write(tmp_path / "classes.txt", "Monocyte\nOther\n")
    exports.write(tmp_path / "notes.json", '{"categories": []}')
    ds = pcm.load_dataset(tmp_path)
    assert (ds.split, ds.taxonomy.labels, len(ds.cells)) == (None, ("Monocyte", "Other"), 1)
    (tmp_path / "images/0a1b-a.png").unlink()
    assert "export the labels with their images" in problem(tmp_path)


@pytest.mark.parametrize("layout", ["beside", "labels"])
def test_labelimg(tmp_path: Path, layout: str) -> None:
    labelled(tmp_path, "a.png" if layout == "beside" else "images/a.png")
    exports.write(tmp_path / ("classes.txt" if layout == "beside" else "labels/classes.txt"), "a\n")
    ds = pcm.load_dataset(tmp_path)
    assert (ds.split, len(ds.images), len(ds.cells)) == (None, 1, 1)


@pytest.mark.parametrize("images", ["images/{}/a.png", "{}/images/a.png"])
def test_folders_called_after_parts_are_parts_beside_classes_txt(tmp_path: Path, images: str) -> None:
    labelled(tmp_path, *(images.format(part) for part in ("train", "valid")))
    exports.write(tmp_path / "classes.txt", "a\n")
    assert parts(pcm.load_dataset(tmp_path)) == {"train": 1, "val": 1}


@pytest.mark.parametrize("name", ["data.yml", "dataset.yml", "blood.yaml"])
def test_a_description_of_another_name(tmp_path: Path, name: str) -> None:
    labelled(tmp_path, "images/train/a.png")
    described(tmp_path, f"train: images/train{NAMES}", name)
    assert len(pcm.load_dataset(tmp_path).cells) == 1


# Our own folders


def written(folder: Path, *names: str, without_file: tuple[str, ...] = ()) -> Path:
    images = []
    for name in names:
        exports.write(folder / "in" / name, exports.png())
        images.append(Image(ImageId(name), 200, 100, file=None if name in without_file else name))
    cells = [Cell(image.id, 0, "Other", Box(10, 20, 50, 60)) for image in images]
    yolo.write(Dataset("d", NINE, tuple(images), tuple(cells), root=folder / "in"), folder / "yolo")
    return folder / "yolo"


def test_files_are_compared_with_images_csv_and_their_digests_kept(tmp_path: Path, run: Run) -> None:
    folder = written(tmp_path, "a.png", "b.png", "c.png", "d.jpg")
    assert all(image.digest for image in yolo.read(folder).images)
    assert not any(image.digest for image in yolo.read(folder, check_images=False).images)
    PIL.Image.new("RGB", (100, 200)).save(folder / "images/all/a.png")
    exports.write(folder / "images/all/b.png", "version https://git-lfs.github.com/spec/v1\n")
    (folder / "images/all/c.png").unlink()
    exif = PIL.Image.Exif()
    exif[0x0112] = 3
    PIL.Image.new("RGB", (200, 100)).save(folder / "images/all/d.jpg", exif=exif)
    with pytest.raises(InvalidExport) as caught:
        pcm.load_dataset(folder)
    found = [str(each) for each in caught.value.problems]
    assert len(found) == 4
    assert f'image "c.png": has no file in {folder}/images; add the file' in found[0]
    assert 'image "a.png": is annotated as 200 x 100 pixels, its file is 100 x 200' in found[1]
    assert 'image "b.png": ' in found[2]
    assert "Git LFS pointer" in found[2]
    assert 'image "d.jpg": has EXIF orientation 3, which may turn it under its boxes' in found[3]
    assert run("import", folder, tmp_path / "out").status == 1
    assert run("info", folder).status == 0


def test_images_that_had_no_file_are_missed_no_more(tmp_path: Path) -> None:
    folder = written(tmp_path, "a.png", "b.png", "c.png", without_file=("b.png",))
    assert [image.file for image in yolo.read(folder).images] == ["all/a.png", None, "all/c.png"]
    (folder / "images/all/a.png").unlink()
    with pytest.raises(InvalidExport, match='image "a.png": has no file in'):
        yolo.read(folder)
    (folder / "images/all/c.png").unlink()
    assert yolo.read(folder).root is None  # labels alone


def test_foreign_images_that_exif_turns_are_refused(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 3
    (tmp_path / "images").mkdir()
    PIL.Image.new("RGB", (60, 40)).save(tmp_path / "images/a.jpg", exif=exif)
    exports.write(tmp_path / "labels/a.txt", BOX)
    described(tmp_path, f"train: images{NAMES}")
    assert "has EXIF orientation 3" in problem(tmp_path)


# Damage


def test_foreign_images_that_exif_gives_another_size_are_named(tmp_path: Path) -> None:
    labelled(tmp_path, "images/train/a.jpg")
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (60, 40)).save(tmp_path / "images/train/a.jpg", exif=exif)
    described(tmp_path, "train: images/train\nnames: [RBC]\n")
    with pytest.warns(
        DataWarning, match="1 image files are turned by their EXIF orientation, the first is .*a.jpg"
    ):
        (image,) = yolo.read(tmp_path).images
    assert (image.width, image.height) == (40, 60)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "labels/classes.txt",
            "WBC\nRBC\n",
            'class 0 is "RBC" in .*data.yaml, which is read, and "WBC" in .*labels/classes',
        ),
        (
            "labels/train/classes.txt",
            "RBC\ndog\nWBC\n",
            'class 1 is "WBC" in .* and "dog" in .*labels/train/classes.txt',
        ),
        (
            "dataset.yaml",
            "names: [RBC, Platelet]",
            'class 1 is "WBC" in .* and "Platelet" in .*dataset.yaml; look',
        ),
    ],
)
def test_another_list_of_the_classes_that_contradicts_is_named(
    tmp_path: Path, file: str, text: str, said: str
) -> None:
    foreign(tmp_path, {"train/a.png": BOX})
    exports.write(tmp_path / file, "rbc\nWBC \nPlatelet\n" if file.endswith(".txt") else "names: {0: RBC}")
    yolo.read(tmp_path)
    exports.write(tmp_path / file, text)
    with pytest.warns(DataWarning, match=said):
        assert yolo.read(tmp_path).cells[0].label == "RBC"


def test_images_that_share_a_label_file_are_named(tmp_path: Path) -> None:
    foreign(tmp_path, {"train/a.png": BOX, "train/b.png": BOX, "train/a.bmp": BOX})
    with pytest.warns(DataWarning, match=r"1 label files belong to several images.*\n.*a.bmp and .*a.png$"):
        assert len(yolo.read(tmp_path).cells) == 3


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("names: [1, null]", "name 1 is None, not text"),
        ("names: [{a: 1}]", "name 0 is {'a': 1}, not text"),
        ("names: [yes, no]", "name 0 is True, not text"),
        ("names: &a [*a]", "name 0 is [[["),
        (
            "a: &a [x, x]\n"
            + "".join(f"{y}: &{y} [*{x}, *{x}]\n" for x, y in pairwise("abcdefghijklmnopqrstu"))
            + "names: *u",
            "name 0 is [[[",  # which would be 4 MB long, and with more letters fill the memory
        ),
        ("names: abc", "has no names"),
        ("names: [a]\nnc: 2", "nc is 2, but there are 1 names"),
        ("names: [a]\ntrain: {x: 1}", "train is {'x': 1}; write the path of a folder"),
        ("names: [a]\ntrain: [images, 3]", "train is 3; write the path"),
        ("names: [a]\ntrain: ''", "names no images"),
        ("names: [a]\ntrain: 2020-13-45", "is not valid YAML"),
        ("[" * 3000, "is not valid YAML"),
        ("!!python/object:os.system {}", "is not valid YAML"),
        ("names: [ä]", "cannot be read"),
    ],
)
def test_data_yaml_of_odd_types(tmp_path: Path, text: str, what: str) -> None:
    labelled(tmp_path, "images/a.png")
    text = text if "train" in text else f"train: images\n{text}"
    exports.write(tmp_path / "data.yaml", text.encode("latin-1"))
    with pytest.raises((InvalidExport, CorruptFile)) as caught:
        yolo.read(tmp_path)
    assert what in str(caught.value)


@pytest.mark.parametrize("names", ["[0, 1]", "{0: 5, 1: 6}", "['0', '1']", "{'0': a, '1': b}"])
def test_names_that_are_numbers(tmp_path: Path, names: str) -> None:
    labelled(tmp_path, "images/a.png")
    described(tmp_path, f"train: images\nnames: {names}")
    assert len(yolo.read(tmp_path).taxonomy.labels) == 2


@pytest.mark.parametrize("content", [b"images/\xff.png", b"images/\0.png", b"\x89PNG\r\n", b"\xff\xfei\0"])
def test_damaged_lists(tmp_path: Path, content: bytes) -> None:
    labelled(tmp_path, "images/a.png")
    exports.write(tmp_path / "list.txt", content)
    described(tmp_path, f"train: list.txt{NAMES}")
    with pytest.raises(PcmError):
        yolo.read(tmp_path)


def test_damaged_label_files_images_and_links(tmp_path: Path) -> None:
    labelled(tmp_path, "images/a.png", "images/b.png", "images/c.png", "images/d.png")
    (tmp_path / "labels/a.txt").unlink()
    (tmp_path / "labels/a.txt").mkdir()
    exports.write(tmp_path / "labels/b.txt", BOX.encode("utf-16"))
    (tmp_path / "images/c.png").unlink()
    (tmp_path / "images/c.png").symlink_to(tmp_path / "images/c.png")
    (tmp_path / "images/d.png").rename(tmp_path / "images" / b"\xff.png".decode(errors="surrogateescape"))
    described(tmp_path, f"train: images{NAMES}")
    with pytest.raises(InvalidExport) as caught:
        yolo.read(tmp_path)
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b"a.png", b"\xff.png"),
        lambda text: text.replace(b"a.png", b"a\0.png"),
        lambda text: text.replace(b"200", b"9" * 5000),
        lambda text: text.replace(b"200", b"-200"),
        lambda text: text.replace(b",all,", b","),
        lambda text: text + text.splitlines(keepends=True)[1],
        lambda text: text + b'"' * 200_000,
        lambda text: text[:0],
    ],
)
def test_damaged_images_csv(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    folder = written(tmp_path, "a.png", "b.png")
    table = folder / "images.csv"
    table.write_bytes(damage(table.read_bytes()))
    with pytest.raises(PcmError):
        yolo.read(folder)


def test_a_field_of_images_csv_may_be_long(tmp_path: Path) -> None:
    folder = written(tmp_path, "a.png")
    with (folder / "images.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    rows[1][-1] = "x" * 1000
    with (folder / "images.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    assert yolo.read(folder).images[0].diagnosis == "x" * 1000


@pytest.mark.parametrize("mark", ["split", "made", "notes", "name"])
@pytest.mark.parametrize("value", ["null", "3", "[[]]", '{"a": []}', '"x"'])
def test_a_damaged_record_of_the_writer(tmp_path: Path, mark: str, value: str) -> None:
    folder = written(tmp_path, "a.png")
    record = folder / "pcm-leukemia.json"
    text = record.read_text(encoding="utf-8").rstrip().removesuffix("}")
    record.write_text(f'{text}, "{mark}": {value}}}', encoding="utf-8")
    assert len(yolo.read(folder).images) == 1


# Classes


def test_the_nine_classes_are_matched_by_spelling_on_the_command_line(tmp_path: Path, run: Run) -> None:
    labelled(tmp_path / "yolo", "images/a.png")
    described(tmp_path / "yolo", "train: images\nnames: [lymphocytes, promyelocyte (APL)]")
    assert run("import", tmp_path / "yolo", tmp_path / "nine", "--taxonomy", "pcm-leukemia").status == 0
    ds = pcm.load_dataset(tmp_path / "nine")
    assert (ds.taxonomy, ds.cells[0].label, ds.cells[0].raw_label) == (NINE, "Lymphocyte", "lymphocytes")
    described(tmp_path / "yolo", "train: images\nnames: [lymphocytes, RBC]")
    status, _, told = run("import", tmp_path / "yolo", tmp_path / "no", "--taxonomy", "pcm-leukemia")
    assert (status, (tmp_path / "no").exists()) == (1, False)
    assert 'name "RBC" is not a class of pcm-leukemia' in told
    assert '--map "RBC=CLASS"' in told
    options = ("--taxonomy", "pcm-leukemia", "--map", "RBC=ignore")
    assert run("import", tmp_path / "yolo", tmp_path / "mapped", *options).status == 0


def test_a_description_that_would_take_minutes_is_refused(tmp_path: Path) -> None:
    labelled(tmp_path, "images/a.png")
    described(tmp_path, f"train: images{NAMES}\n# {'x' * 2**20}")
    with pytest.raises(CorruptFile, match=r"data\.yaml: has more than 1,048,576 bytes; write train, val"):
        yolo.read(tmp_path)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A lone surrogate, which YAML can escape and no file can hold."""
    labelled(tmp_path, "images/a.png")
    described(tmp_path, 'train: images\nnames: [Lymphocyte, "\\ud800"]')
    with pytest.raises(InvalidExport, match=r"'\\ud800': empty, repeated, reserved, not text, or an alias"):
        yolo.read(tmp_path)
