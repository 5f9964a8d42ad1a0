"""COCO as other tools write it: layouts, files, parts, turned boxes, outlines, ids and what is refused."""

from __future__ import annotations

import codecs
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from commands import (
    Run,
    run,  # noqa: F401
)
from exports import box, document, image, zipped

from pcm_leukemia import NINE, Box, Dataset, cvat
from pcm_leukemia.converters import coco, recognise
from pcm_leukemia.errors import DataNotFound, DataWarning, InvalidExport, UnknownLabel
from pcm_leukemia.schema import IGNORE
from pcm_leukemia.shapes import Polygon, RotatedBox

WIDTH, HEIGHT = 60, 40
AGAIN = "correct it in the file, or export it again"
CATEGORIES = [{"id": 1, "name": "Lymphocyte"}, {"id": 2, "name": "Neutrophil"}]


def picture(
    file: Path, size: tuple[int, int] = (WIDTH, HEIGHT), orientation: int = 0, shade: int = 0
) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    exif = PIL.Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    PIL.Image.new("RGB", size, (shade, 9, 9)).save(file, exif=exif)


def listed(number: object, name: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, **more}


def cell(image: object, number: int = 1, bbox: Any = (5, 5, 20, 20), **more: Any) -> dict[str, Any]:
    row = {"id": number, "image_id": image, "category_id": 1, "bbox": bbox, "iscrowd": 0, "segmentation": []}
    return {**row, **more}


def content(*names: str, first: int = 1, **changes: Any) -> dict[str, Any]:
    rows = [listed(first + index, name) for index, name in enumerate(names)]
    cells = [cell(row["id"], row["id"]) for row in rows]
    return {"images": rows, "annotations": cells, "categories": CATEGORIES, **changes}


def write(file: Path, *names: str, **changes: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content(*names, **changes)), encoding="utf-8")
    return file


def one(tmp_path: Path, **more: Any) -> Path:
    """A file with one image and one annotation."""
    return write(tmp_path / "c.json", "a.png", annotations=[cell(1, **more)])


def refused(path: Path, **options: Any) -> list[str]:
    with pytest.raises(InvalidExport) as caught:
        coco.read(path, **options)
    return [str(problem) for problem in caught.value.problems]


def files_of(ds: Dataset) -> dict[str, str | None]:
    return {str(image.id): image.file for image in ds.images}


def parts_of(ds: Dataset) -> dict[str, str]:
    return {str(image): part for image, part in ds.split.part_of.items()} if ds.split else {}


# Image files


def test_files_are_compared_with_their_rows(tmp_path: Path) -> None:
    write(tmp_path / "annotations" / "train.json", "good.png", "big.png", "lfs.png", "gone.png", "turned.jpg")
    picture(tmp_path / "images" / "good.png")
    picture(tmp_path / "images" / "big.png", (120, 80))
    picture(tmp_path / "images" / "turned.jpg", (WIDTH, HEIGHT), orientation=6)
    (tmp_path / "images" / "lfs.png").write_text("version https://git-lfs.github.com/spec/v1\n")
    for options in ({}, {"images_root": tmp_path / "images"}):
        problems = refused(tmp_path, **options)
        assert [problem.split('"')[1] for problem in problems] == [
            "gone.png",
            "big.png",
            "lfs.png",
            "turned.jpg",
        ]
        assert "has no file in" in problems[0]
        assert "is annotated as 60 x 40 pixels, its file is 120 x 80" in problems[1]
        assert "its file is 40 x 60 as its EXIF orientation 6 turns it" in problems[3]
    ds = coco.read(tmp_path, check_images=False)
    assert files_of(ds) == {name: name for name in ("big.png", "good.png", "lfs.png", "turned.jpg")} | {
        "gone.png": None
    }


def test_files_leave_their_digests(tmp_path: Path) -> None:
    write(tmp_path / "c.json", "a.png")
    assert coco.read(tmp_path / "c.json").root is None
    picture(tmp_path / "images" / "a.png")
    assert coco.read(tmp_path / "c.json").images[0].digest


def test_image_files_of_other_names_are_named(tmp_path: Path) -> None:
    write(tmp_path / "annotations" / "train.json", "a.png")
    picture(tmp_path / "images" / "b.png")
    for path in (tmp_path, tmp_path / "annotations" / "train.json"):
        (problem,) = refused(path)
        assert 'no image has a file, "a.png" for example; 1 image file is not in the annotations' in problem


def test_names_of_another_system(tmp_path: Path) -> None:
    names = [r"P1\a.png", "Mu\u0308ller.png", "/home/lab/data/images/P2/b.png", "with%20blank.png"]
    write(tmp_path / "c.json", *names)
    for name in ("P1/a.png", "M\u00fcller.png", "P2/b.png", "with blank.png"):
        picture(tmp_path / "images" / name)
    ds = coco.read(tmp_path / "c.json")
    files = ["P1/a.png", "M\u00fcller.png", "P2/b.png", "with blank.png"]
    assert files_of(ds) == dict(zip(names, files, strict=True))


@pytest.mark.parametrize("size", [{}, {"width": None, "height": None}, {"width": 0, "height": 0}])
def test_sizes_that_a_tool_did_not_know_are_measured(tmp_path: Path, size: dict[str, Any]) -> None:
    row = {key: value for key, value in listed(1, "a.png").items() if key not in ("width", "height")} | size
    file = write(tmp_path / "c.json", images=[row], annotations=[cell(1)])
    assert "there is no file to measure; give pixels, 1 or more" in refused(file)[0]
    picture(tmp_path / "images" / "a.png")
    assert (coco.read(file).images[0].width, coco.read(file).images[0].height) == (WIDTH, HEIGHT)


# Layouts and parts


def roboflow(folder: Path) -> None:
    groups = [{"id": 0, "name": "cells", "supercategory": "none"}]
    groups += [{**each, "supercategory": "cells"} for each in CATEGORIES]
    for part in ("train", "valid", "test"):
        write(folder / part / "_annotations.coco.json", f"{part}.png", categories=groups)
        picture(folder / part / f"{part}.png")


def label_studio(folder: Path) -> None:
    write(folder / "result.json", "images/a.png")
    picture(folder / "images" / "a.png")


def fiftyone(folder: Path) -> None:
    write(folder / "labels.json", "a.png", "P1/a.png")
    picture(folder / "data" / "a.png")
    picture(folder / "data" / "P1" / "a.png")


def cvat_tasks(folder: Path) -> None:
    for task in ("t1", "t2"):
        picture(folder / task / "images/default/frame_0.png", shade=len(task) + int(task[1]))
        write(folder / task / "annotations/instances_default.json", "frame_0.png")


def fiftyone_parts(folder: Path) -> None:
    for part in ("train", "validation"):
        write(folder / part / "labels.json", "a.png")
        picture(folder / part / "data" / "a.png", shade=len(part))


def official(folder: Path) -> None:
    for part in ("train", "val"):
        write(folder / "annotations" / f"instances_{part}2017.json", f"{part}.png")
        picture(folder / f"{part}2017" / f"{part}.png")


def cvat_task(folder: Path) -> None:
    write(folder / "annotations" / "instances_default.json", "a.png")
    picture(folder / "images" / "default" / "a.png")


def cvat_project(folder: Path) -> None:
    for number, part in enumerate(("Train", "Validation")):
        write(folder / "annotations" / f"instances_{part}.json", "frame_000000.png", first=number)
        picture(folder / "images" / part / "frame_000000.png", shade=number)


def mmdetection(folder: Path) -> None:
    for part in ("train", "val"):
        write(folder / "annotations" / f"{part}.json", f"{part}.png")
        picture(folder / part / f"{part}.png")


def capitals(folder: Path) -> None:
    write(folder / "Annotations" / "instances_Train.JSON", "a.png")
    picture(folder / "Images" / "a.png")


def one_folder_in_a_zip(folder: Path) -> None:
    official(folder / "coco")


LAYOUTS: dict[Callable[[Path], None], tuple[dict[str, str], dict[str, str]]] = {
    roboflow: (
        {name: f"{name[:-4]}/{name}" for name in ("train.png", "valid.png", "test.png")},
        {"train.png": "train", "valid.png": "val", "test.png": "test"},
    ),
    label_studio: ({"images/a.png": "a.png"}, {}),
    fiftyone: ({"a.png": "data/a.png", "P1/a.png": "data/P1/a.png"}, {}),
    fiftyone_parts: (
        {"train/a.png": "train/data/a.png", "validation/a.png": "validation/data/a.png"},
        {"train/a.png": "train", "validation/a.png": "val"},
    ),
    official: (
        {"train.png": "train2017/train.png", "val.png": "val2017/val.png"},
        {"train.png": "train", "val.png": "val"},
    ),
    cvat_task: ({"a.png": "default/a.png"}, {}),
    cvat_project: (
        {f"{part}/frame_000000.png": f"{part}/frame_000000.png" for part in ("Train", "Validation")},
        {"Train/frame_000000.png": "train", "Validation/frame_000000.png": "val"},
    ),
    cvat_tasks: (
        {f"{task}/frame_0.png": f"{task}/images/default/frame_0.png" for task in ("t1", "t2")},
        {},
    ),
    mmdetection: (
        {"train.png": "train/train.png", "val.png": "val/val.png"},
        {"train.png": "train", "val.png": "val"},
    ),
    capitals: ({"a.png": "Images/a.png"}, {"a.png": "train"}),
    one_folder_in_a_zip: (
        {"train.png": "coco/train2017/train.png", "val.png": "coco/val2017/val.png"},
        {"train.png": "train", "val.png": "val"},
    ),
}


@pytest.mark.filterwarnings("ignore:categories without annotations")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_layouts(layout: Callable[[Path], None], tmp_path: Path, *, packed: bool) -> None:
    files, parts = LAYOUTS[layout]
    path = tmp_path / "export"
    layout(path)
    if packed:
        path = tmp_path / "export.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted((tmp_path / "export").rglob("*.*")):
                archive.write(file, file.relative_to(tmp_path / "export").as_posix())
    form = recognise(path)
    assert form is not None
    assert form.TITLE == coco.TITLE
    ds = coco.read(path)
    assert ds.root is not None
    if packed:
        assert {image: str(file).removeprefix("images/") for image, file in files_of(ds).items()} == files
    else:
        assert files_of(ds) == files
        assert all((ds.root / str(image.file)).is_file() for image in ds.images)
    assert parts_of(ds) == parts
    assert ds.taxonomy.labels == ("Lymphocyte", "Neutrophil")
    assert all(image.digest for image in ds.images)


def test_a_category_that_only_names_the_others_is_left_out(tmp_path: Path) -> None:
    roboflow(tmp_path)
    with pytest.warns(DataWarning, match=r'only name a group of others: "cells" \(id 0\): left out'):
        coco.read(tmp_path)
    same = [{"id": 0, "name": "Lymphocyte", "supercategory": "none"}, *CATEGORIES]
    file = write(tmp_path / "c.json", "a.png", categories=same)
    with pytest.warns(DataWarning, match=r'"Lymphocyte" \(id 0\)'):
        assert coco.read(file).taxonomy.labels == ("Lymphocyte", "Neutrophil")
    both = [cell(1), cell(1, category_id=0)]
    (problem,) = refused(write(tmp_path / "c.json", "a.png", categories=same, annotations=both))
    assert '"Lymphocyte" (id 0) and "Lymphocyte" (id 1)' in problem


def test_one_name_in_two_parts_is_two_images(tmp_path: Path) -> None:
    cvat_project(tmp_path)
    ds = coco.read(tmp_path)
    assert [(image.id, image.name, image.subset) for image in ds.images] == [
        ("Train/frame_000000.png", "frame_000000.png", "Train"),
        ("Validation/frame_000000.png", "frame_000000.png", "Validation"),
    ]
    assert [each.image for each in ds.cells] == [image.id for image in ds.images]
    (tmp_path / "images" / "Validation" / "frame_000000.png").unlink()
    (problem,) = refused(tmp_path)
    assert problem.startswith('image "Validation/frame_000000.png": has no file in')


def test_ids_are_names_while_these_are_unique(tmp_path: Path) -> None:
    official(tmp_path)
    assert [(image.id, image.subset) for image in coco.read(tmp_path).images] == [
        ("train.png", ""),
        ("val.png", ""),
    ]


def test_one_file_in_two_parts_leaks(tmp_path: Path) -> None:
    write(tmp_path / "annotations" / "train.json", "a.png", "b.png")
    write(tmp_path / "annotations" / "val.json", "b.png", "c.png")
    for name in "abc":
        picture(tmp_path / "images" / f"{name}.png")
    (problem,) = refused(tmp_path)
    what = "1 image is also in train.json, the first is images/b.png: one file in two parts, train and val, is a leak"
    assert problem == f"val.json: {what}; take these images out of one of the parts"


def test_a_file_of_another_part_is_not_taken(tmp_path: Path) -> None:
    write(tmp_path / "annotations" / "instances_Validation.json", "a.png", "b.png")
    picture(tmp_path / "images" / "Train" / "a.png")
    picture(tmp_path / "images" / "Validation" / "b.png")
    (problem,) = refused(tmp_path / "annotations" / "instances_Validation.json")
    assert "images/Train/a.png is that of another part" in problem


@pytest.mark.parametrize(
    "name", ["instances_default.json", "result.json", "labels.json", "_annotations.coco.json"]
)
def test_a_lone_file_of_another_name_is_no_split(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "a.png")
    assert coco.read(tmp_path).split is None


@pytest.mark.filterwarnings("ignore:package.json", "ignore:categories without")
def test_other_json_files_do_not_count(tmp_path: Path) -> None:
    cvat_task(tmp_path)
    (tmp_path / "annotations" / "package.json").write_text("{}")
    assert coco.read(tmp_path).split is None
    roboflow(tmp_path / "robo")
    (tmp_path / "robo" / "package.json").write_text("{}")
    with pytest.warns(DataWarning, match="package.json: is not COCO"):
        assert coco.read(tmp_path / "robo").parts == ("train", "val", "test")


def test_names_in_two_parts_without_files_are_said(tmp_path: Path) -> None:
    write(tmp_path / "train.json", "a.png")
    write(tmp_path / "val.json", "a.png")
    with pytest.warns(DataWarning, match="list images of the same names, which are read as different images"):
        assert len(coco.read(tmp_path).images) == 2


def test_spellings_of_parts(tmp_path: Path) -> None:
    for name in ("instances_TRAINING", "cells_dev_2024", "annotations_testing"):
        write(tmp_path / f"{name}.json", f"{name}.png")
    assert coco.read(tmp_path).parts == ("train", "val", "test")


# What is not read is named


def test_images_that_are_not_read_are_named(tmp_path: Path) -> None:
    official(tmp_path)
    picture(tmp_path / "images" / "P3" / "unlisted.png")
    picture(tmp_path / "train2017" / "P3" / "unlisted.png")
    assert len(coco.read(tmp_path).images) == 2
    picture(tmp_path / "test2017" / "t.png")
    (problem,) = refused(tmp_path)
    assert problem.startswith(f"{tmp_path / 'test2017'}: has 1 image that no COCO file lists")
    assert len(coco.read(tmp_path, images_root=tmp_path).images) == 2


@pytest.mark.filterwarnings("ignore:captions_train2017")
def test_json_files_that_are_not_instances(tmp_path: Path) -> None:
    official(tmp_path)
    annotations = tmp_path / "annotations"
    captions = {"images": [listed(1, "train.png")], "annotations": [{"id": 1, "image_id": 1, "caption": "x"}]}
    (annotations / "captions_train2017.json").write_text(json.dumps(captions))
    (annotations / "package.json").write_text('{"name": "x"}')
    with pytest.warns(
        DataWarning, match=r"captions_train2017.json: holds COCO captions.*: ignored\npackage.json: is not"
    ):
        assert len(coco.read(tmp_path).images) == 2
    write(annotations / "person_keypoints_train2017.json", "train.png")
    with pytest.warns(DataWarning, match="person_keypoints_train2017.json: holds another task of COCO"):
        assert len(coco.read(tmp_path).images) == 2
    unread = {"images": [listed(1, "t.png"), listed(2, "train.png")], "categories": []}
    (annotations / "image_info_test2017.json").write_text(json.dumps(unread))
    (problem,) = refused(tmp_path)
    assert problem.startswith(
        "image_info_test2017.json: is not COCO: it has no list of annotations, and lists 1 image that"
    )
    (annotations / "image_info_test2017.json").unlink()
    write(tmp_path / "more" / "extra.json", "z.png")
    assert "more/extra.json: is not read beside" in refused(tmp_path)[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[{"image_id": 1, "score": 0.5}]', "is a list of COCO results"),
        ('[{"id": 1, "data": {"image": "a.png"}}]', "is Label Studio's own JSON"),
        ('{"shapes": [], "imagePath": "a.png"}', "is LabelMe's own JSON"),
        ('{"_via_img_metadata": {}}', "is VIA's own JSON"),
        ('{"images": [], "annotations": [{"segments_info": []}], "categories": []}', "holds COCO panoptic"),
        ('{"images": [], "annotations": [{"caption": "x"}]}', "holds COCO captions"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no images"),
        ("version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer in place of the file"),
    ],
)
def test_files_that_hold_something_else(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "c.json").write_text(text)
    assert refused(tmp_path / "c.json")[0].startswith(f"c.json: {what}")


def test_many_files_that_hold_something_else_are_one_problem(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.json").write_text('{"shapes": [], "imagePath": "a.png"}')
    what = "0.json: is LabelMe's own JSON, not COCO (29 more files too)"
    assert refused(tmp_path) == [f"{what}; give a COCO instances file"]


def test_a_folder_without_coco(tmp_path: Path) -> None:
    (tmp_path / "src" / "node").mkdir(parents=True)
    (tmp_path / "src" / "package.json").write_text("{}")
    assert recognise(tmp_path) is None
    with pytest.raises(DataNotFound):
        coco.read(tmp_path / "nothing")


def test_no_annotation_at_all_is_said(tmp_path: Path) -> None:
    with pytest.warns(DataWarning, match=r"c\.json: no image has an annotation"):
        coco.read(write(tmp_path / "c.json", "a.png", annotations=[]))


# Boxes and outlines


@pytest.mark.parametrize("angle", [90.0, 30.5, -45, 359.5, 400])
def test_a_box_is_turned_as_in_the_xml_of_cvat(tmp_path: Path, angle: float) -> None:
    text = document(
        image("a.png", box("Lymphocyte", (20, 15, 40, 25), rotation=angle % 360), width=WIDTH, height=HEIGHT)
    )
    (expected,) = cvat.read(zipped(tmp_path / "export.zip", {"annotations.xml": text})).cells
    attributes = {"occluded": False, "rotation": angle}
    (read,) = coco.read(one(tmp_path, bbox=[20, 15, 20, 10], attributes=attributes)).cells
    assert (read.box, read.shape) == (expected.box, expected.shape)
    assert read.rotation == pytest.approx(angle % 360)
    assert read.attributes == (("occluded", "false"),)


def test_occluded_among_the_attributes_of_cvat_is_that_of_the_cell(tmp_path: Path) -> None:
    given: list[Any] = [
        {"occluded": True},
        {"occluded": False},
        {"occluded": "yes"},
        {},
        [["occluded", "true"]],
    ]
    read = [coco.read(one(tmp_path, attributes=each)).cells[0] for each in given]
    assert [each.occluded for each in read] == [True, False, False, False, False]
    assert read[0].attributes == (("occluded", "true"),)


@pytest.mark.parametrize("size", [(None, HEIGHT), (WIDTH, None), (0, HEIGHT), (None, None)])
def test_a_size_of_which_one_side_is_missing_is_measured(
    tmp_path: Path, size: tuple[int | None, int | None]
) -> None:
    picture(tmp_path / "images/a.png")
    rows = [{**listed(1, "a.png"), "width": size[0], "height": size[1]}]
    write(tmp_path / "c.json", "a.png", images=rows)
    (read,) = coco.read(tmp_path).images
    assert (read.width, read.height) == (WIDTH, HEIGHT)


def test_a_turned_box_survives_writing(tmp_path: Path) -> None:
    ds = coco.read(one(tmp_path, bbox=[20, 15, 20, 10], attributes={"rotation": 30.0}))
    coco.write(ds, tmp_path / "out")
    assert coco.read(tmp_path / "out").cells[0].shape == ds.cells[0].shape == RotatedBox(20, 15, 40, 25, 30)


def test_what_is_not_turned(tmp_path: Path) -> None:
    attributes: list[Any] = [{"rotation": 0.0}, {"rotation": 360}, {"rotation": "90"}, [["rotation", "90"]]]
    for each in attributes:
        assert coco.read(one(tmp_path, attributes=each)).cells[0].box == Box(5, 5, 25, 25)
    # a polygon is drawn as it is, but older exporters write the corners of a box
    triangle = [[5, 5, 25, 5, 25, 25]]
    read = coco.read(one(tmp_path, segmentation=triangle, attributes={"rotation": 30})).cells[0]
    assert read.shape == Polygon(((5, 5), (25, 5), (25, 25)))
    corners = [[20, 15, 40, 15, 40, 25, 20, 25]]
    turned = {"bbox": [20, 15, 20, 10], "segmentation": corners, "attributes": {"rotation": 90}}
    assert coco.read(one(tmp_path, **turned)).cells[0].box == Box(25, 10, 35, 30)


def test_a_turned_box_that_leaves_the_image(tmp_path: Path) -> None:
    (problem,) = refused(one(tmp_path, bbox=[20, 2, 38, 5], attributes={"rotation": 90.0}))
    assert "turned by 90 degrees to (36.5, -14.5, 41.5, 23.5), leaves the image of 60 x 40" in problem
    file = one(tmp_path, bbox=[20, 2, 38, 5], attributes={"rotation": 90.0})
    with pytest.warns(DataWarning, match=r"1 box that leaves the image, the first .*: cut at its border"):
        ds = coco.read(file, clip=True)
    assert ds.cells[0].box == Box(36.5, 0, 41.5, 23.5)


SQUARE = [[30, 10, 50, 10, 50, 30, 30, 30]]
RUNS = {"size": [HEIGHT, WIDTH], "counts": [30 * HEIGHT + 10, 20, *[20, 20] * 19, 410]}


@pytest.mark.parametrize("outline", [SQUARE, [*SQUARE, [31, 11, 33, 11, 33, 13]], RUNS])
def test_a_box_and_an_outline_that_contradict_each_other(tmp_path: Path, outline: Any) -> None:
    file = one(tmp_path, bbox=[2, 2, 10, 10], segmentation=outline)
    (problem,) = refused(file)
    assert "its bbox is (2, 2, 12, 12), its outline is within (30, 10, 50, 30)" in problem
    assert 'pass rows="outline" or rows="box"' in problem
    with pytest.warns(DataWarning, match="1 box with an outline elsewhere"):
        assert coco.read(file, rows="outline").cells[0].box == Box(30, 10, 50, 30)
    with pytest.warns(DataWarning, match="the box is kept"):
        kept = coco.read(file, rows="box").cells[0]
    assert (kept.box, kept.shape) == (Box(2, 2, 12, 12), None)
    with pytest.raises(ValueError, match='rows "obb": must be box or outline'):
        coco.read(file, rows="obb")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bbox", "outline"),
    [
        ([30, 10, 21, 21], SQUARE),  # pixels are counted, not their borders
        ([29, 9, 22, 22], SQUARE),
        ([0, 10, 20, 20], [[-8, 10, 20, 10, 20, 30, -8, 30]]),  # only the box is cut at the border
        ([30, 10, 20, 20], [30, 10, 50, 10, 50, 30, 30, 30]),  # without the list around it
        ([30, 10, 20, 20], [[30, 10], [50, 10], [50, 30], [30, 30]]),
    ],
)
def test_rounding_is_no_contradiction(tmp_path: Path, bbox: list[int], outline: Any) -> None:
    assert isinstance(coco.read(one(tmp_path, bbox=bbox, segmentation=outline)).cells[0].shape, Polygon)


@pytest.mark.filterwarnings("ignore::pcm_leukemia.errors.DataWarning")
def test_run_lengths_of_pycocotools(tmp_path: Path) -> None:
    import numpy as np
    from pycocotools import mask

    bits = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F")
    bits[10:30, 30:50] = 1
    bits[12, 52] = 1
    runs = mask.encode(bits)
    runs["counts"] = runs["counts"].decode()
    read = coco.read(one(tmp_path, bbox=mask.toBbox(runs).tolist(), segmentation=runs, area=401)).cells[0]
    assert read.box == Box(30, 10, 53, 30)
    assert (
        "its outline is within (30, 10, 53, 30)"
        in refused(one(tmp_path, bbox=[2, 2, 5, 5], segmentation=runs))[0]
    )
    assert refused(one(tmp_path, segmentation={**runs, "size": [WIDTH, HEIGHT]}))[0].count("[60, 40]")


@pytest.mark.parametrize("segmentation", [None, [], {}, [[]], ""])
def test_no_outline(tmp_path: Path, segmentation: Any) -> None:
    assert coco.read(one(tmp_path, segmentation=segmentation)).cells[0].shape is None


def test_a_box_may_be_that_of_the_outline(tmp_path: Path) -> None:
    none: list[Any] = [None, []]
    for bbox in none:
        assert coco.read(one(tmp_path, bbox=bbox, segmentation=SQUARE)).cells[0].box == Box(30, 10, 50, 30)


def test_outlines_that_are_points_are_counted(tmp_path: Path) -> None:
    with pytest.warns(DataWarning, match="1 outline with fewer than three points: their boxes are kept"):
        coco.read(one(tmp_path, segmentation=[[5, 5, 25, 25]]))


def test_key_points_are_counted(tmp_path: Path) -> None:
    with pytest.warns(DataWarning, match="1 annotation with key points"):
        coco.read(one(tmp_path, keypoints=[9, 9, 2], num_keypoints=1))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"bbox": [1, 2, 3, 4, 30]}, "its bbox [1, 2, 3, 4, 30] cannot be read as [x, y, width, height]"),
        ({"bbox": {"x": 1}}, "its bbox {'x': 1} cannot be read"),
        ({"bbox": "12"}, "cannot be read as"),
        ({"bbox": [5, 5, -3, 4]}, "has no area or is not finite"),
        ({"bbox": [5, 5, 1e400, 4]}, "has no area or is not finite"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "its outline has 7 numbers"),
        ({"segmentation": "x"}, "is neither a list of polygons nor run lengths"),
        ({"segmentation": {"size": [40, 60]}}, "has no counts"),
        (
            {"segmentation": {"size": [40, 60], "counts": [9, 5000]}},
            "add up to 5009 pixels, the image has 2400",
        ),
        ({"attributes": 7}, "attributes 7: must be an object"),
        ({"attributes": {"rotation": float("nan")}}, "its rotation nan is not finite"),
        ({"track": "x"}, "track 'x' is not a whole number"),
    ],
)
def test_rows_that_are_refused(tmp_path: Path, row: dict[str, Any], sentence: str) -> None:
    (problem,) = refused(one(tmp_path, **row))
    assert problem.startswith("c.json annotations[0]")
    assert sentence in problem


def test_corners_in_place_of_sizes(tmp_path: Path) -> None:
    rows = [cell(1, number, [10 + number, 5, 50, 30]) for number in range(4)]
    file = write(tmp_path / "c.json", "a.png", annotations=rows)
    for clip in (False, True):
        (problem,) = refused(file, clip=clip)
        assert "3 of 4 boxes leave their image, and all lie in it if bbox is [x1, y1, x2, y2]" in problem
    (problem,) = refused(one(tmp_path, bbox=[5, 5, 20, 20], area=225))
    assert "has the area of [x1, y1, x2, y2], as 1 box of the file has" in problem
    (problem,) = refused(one(tmp_path, bbox=[5, 5, 20, 20], segmentation=[[5, 5, 20, 5, 20, 20, 5, 20]]))
    assert "as if bbox were [x1, y1, x2, y2]" in problem
    assert coco.read(one(tmp_path, bbox=[5, 5, 20, 20], area=400)).cells[0].box == Box(5, 5, 25, 25)


def test_fractions_in_place_of_pixels(tmp_path: Path) -> None:
    rows = [cell(1, number, [0.1 * number, 0.2, 0.3, 0.4]) for number in range(4)]
    (problem,) = refused(write(tmp_path / "c.json", "a.png", annotations=rows))
    assert "all 4 boxes lie within 1 pixel of the corner, as if bbox were fractions of the image" in problem


# Ids, causes and values


@pytest.mark.parametrize(("there", "here"), [("1", 1), (1, "1"), (1.0, "1"), ("a7", "a7"), (1, 1.0)])
def test_ids_as_numbers_and_text(tmp_path: Path, there: Any, here: Any) -> None:
    rows = {"images": [listed(there, "a.png")], "annotations": [cell(here)]}
    assert len(coco.read(write(tmp_path / "c.json", **rows)).cells) == 1
    rows = {
        "categories": [{"id": there, "name": "Monocyte"}],
        "annotations": [cell(1, category_id=here)],
    }
    assert coco.read(write(tmp_path / "c.json", "a.png", **rows)).cells[0].label == "Monocyte"


def test_a_cause_is_named_once(tmp_path: Path) -> None:
    images = [listed(1, "a.png", tags=[3]), listed(2, "b.png"), listed(2, "c.png")]
    rows = [*(cell(1, number) for number in range(50)), *(cell(9, number) for number in range(30)), cell(2)]
    problems = refused(write(tmp_path / "c.json", images=images, annotations=rows))
    assert problems == [
        'c.json images[2]: the id 2 of image "c.png" is also that of "b.png"; give every image its own id',
        "c.json images[0]: its tags hold 3, which is neither text nor an object with a label; " + AGAIN,
    ]
    images[2:] = []
    problems = refused(write(tmp_path / "c.json", images=images, annotations=rows))
    where = "c.json annotations[50]"
    what = "its image 9 is not in the file (29 more annotations too)"
    assert problems[1:] == [f"{where}: {what}; add it, or drop the annotations"]


def test_values_of_other_tools(tmp_path: Path) -> None:
    read = coco.read(
        one(tmp_path, attributes=[{"name": "shape", "value": "round"}, {"name": "n", "value": 2}])
    )
    assert read.cells[0].attributes == (("shape", "round"), ("n", "2"))
    ds = coco.read(
        write(tmp_path / "c.json", images=[listed(1, "a.png", tags=["train"])], annotations=[cell(1)])
    )
    assert [tag.label for tag in ds.images[0].tags] == ["train"]
    assert coco.read(one(tmp_path, iscrowd=True)).cells[0].label == IGNORE
    assert coco.read(one(tmp_path, ignore=1)).cells[0].label == IGNORE
    (problem,) = refused(write(tmp_path / "c.json", images=[listed(1, "a.png", patient="")]))
    assert problem == "c.json images[0]: its patient is empty; give the patient's id, or leave the key out"
    people = [
        listed(n, f"{n}.png", patient="P1", diagnosis=what) for n, what in enumerate(("AML", None, "ALL"))
    ]
    (problem,) = refused(write(tmp_path / "c.json", images=people, annotations=[]))
    assert 'the diagnosis of patient "P1" is "ALL", but "AML" in a row before' in problem


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "c.json"
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    file.write_bytes(mark + json.dumps(content("Bl\u00e4st.png"), ensure_ascii=False).encode(encoding))
    assert coco.read(file).images[0].id == "Bl\u00e4st.png"
    file.write_bytes(json.dumps(content("Bl\u00e4st.png"), ensure_ascii=False).encode("latin-1"))
    assert refused(file) == ["c.json: is not valid JSON: its text is not utf-8; save it in UTF-8"]


def test_numbers_that_only_python_writes(tmp_path: Path) -> None:
    assert len(coco.read(one(tmp_path, area=float("nan"))).cells) == 1
    assert "has no area or is not finite" in refused(one(tmp_path, bbox=[float("nan"), 1, 2, 3]))[0]


# Classes


def test_categories_that_are_refused(tmp_path: Path) -> None:
    reserved = [{"id": 1, "name": "ignore"}, {"id": 2, "name": "RBC"}]
    file = write(tmp_path / "c.json", "a.png", categories=reserved)
    (problem,) = refused(file)
    assert 'c.json: category "ignore" has the name that is reserved' in problem
    assert 'pass labels={"ignore": "ignore"}' in problem
    assert coco.read(file, labels={"ignore": "ignore"}).cells[0].label == IGNORE
    problems = refused(
        write(tmp_path / "c.json", "a.png", categories=[{"name": "x"}, "RBC", {"id": 1, "name": " "}])
    )
    assert [problem.split(";")[0] for problem in problems] == [
        "c.json categories[0]: lacks 'id'",
        "c.json categories[1]: is not an object",
        "c.json: has a category whose name is blank",
    ]
    write(tmp_path / "two" / "train.json", "a.png")
    write(tmp_path / "two" / "val.json", "b.png", categories=CATEGORIES[:1])
    assert refused(tmp_path / "two")[0].startswith(
        "val.json: has different categories from the files before it: without Neutrophil"
    )


def test_the_nine_classes_can_be_asked_for(tmp_path: Path) -> None:
    names = [{"id": 1, "name": "lymphocyte"}, {"id": 2, "name": "promyelocyte (APL)"}]
    rows = [cell(1), cell(1, 2, category_id=2)]
    ds = coco.read(write(tmp_path / "c.json", "a.png", categories=names, annotations=rows), taxonomy=NINE)
    assert [(each.label, each.raw_label) for each in ds.cells] == [
        ("Lymphocyte", "lymphocyte"),
        ("Myeloblast_APL", "promyelocyte (APL)"),
    ]
    with pytest.raises(
        UnknownLabel, match='category "lymphocite" is not a class of .* the nearest is "Lymphocyte"'
    ):
        coco.read(
            write(tmp_path / "c.json", "a.png", categories=[{"id": 1, "name": "lymphocite"}]), taxonomy=NINE
        )


# The command line


def test_the_command_line_says_what_to_type(tmp_path: Path, run: Run) -> None:  # noqa: F811
    file = one(tmp_path, bbox=[2, 2, 10, 10], segmentation=SQUARE)
    refusal = run("import", file, tmp_path / "data")
    assert refusal.status == 1
    assert "--rows outline or --rows box" in refusal.err
    assert run("import", file, tmp_path / "data", "--rows", "outline").status == 0
    reserved = write(tmp_path / "c.json", "a.png", categories=[{"id": 1, "name": "ignore"}])
    refusal = run("import", reserved, tmp_path / "more")
    assert (refusal.status, "--map ignore=ignore" in refusal.err) == (1, True)
    assert not (tmp_path / "more").exists()
