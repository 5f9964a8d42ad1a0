"""What the rows of YOLO label files mean, and which are refused."""

from __future__ import annotations

import math
import random
from pathlib import Path

import exports
import pytest
from commands import Run
from yolo_folders import foreign

import pcm_leukemia as pcm
from pcm_leukemia.converters import yolo
from pcm_leukemia.converters.yolo.rows import Rows
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidExport
from pcm_leukemia.shapes import Box, Polygon, RotatedBox

BOX = ".5 .5 .2 .2"
MIDDLE = Box(80, 40, 120, 60)
"""The box of that row in an image of 200 x 100 px."""


def folder(path: Path, *rows: str, **keys: object) -> Path:
    """A YOLO folder with one image for each text of rows."""
    return foreign(path, {f"train/{n}.png": text for n, text in enumerate(rows)}, **keys)


def circle(cx: float, cy: float, radius: float, points: int) -> str:
    """An outline, as fractions of an image."""
    turns = [2 * math.pi * n / points for n in range(points)]
    return "0 " + " ".join(f"{cx + radius * math.cos(t):.6f} {cy + radius * math.sin(t):.6f}" for t in turns)


def boxes(ds: Dataset) -> list[Box]:
    return [cell.box for cell in ds.cells]


def refusal(path: Path, rows: Rows | None = None) -> str:
    with pytest.raises(InvalidExport) as caught:
        yolo.read(path, rows=rows)
    assert len(caught.value.problems) == 1, caught.value
    return str(caught.value).replace(f"{path}/", "")


# Undeclared rows that are not read as geometry


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ((f"0 {BOX} 0 1 0 1 0 1", f"1 {BOX} 1 0 0 0"), "has 11 columns, and the last 6 are 0 or 1"),
        ((f"0 {BOX} 0 0",), "has 7 columns, and the last 2 are 0 or 1"),
        (
            ("0 .3 .3 .5 .3 .5 .5 .3 .5 1 0",),
            "has 11 columns, and the last 2 are 0 or 1",
        ),  # corners, attributes
        ((f"0 {BOX} 0 2 1 3",), "has 9 columns, and 2 is not a fraction of the image's size"),
        ((f"0 {BOX} -1 0",), "has 7 columns, and -1 is not a fraction"),
        ((f"0 {BOX} .93 17",), "has 7 columns, and 17 is not a fraction"),  # a confidence and a track
        ((f"0 {BOX} .93",), "has 6 columns, so they may be a box and the confidence of a prediction"),
        ((f"0 {BOX} 1",), "has 6 columns"),
        ((f"0 {BOX} 1 0 1",), "has 8 columns, an even number, so they are not a class and points"),
        ((f"0 {BOX} .41 .41 .59 .59",), "has 9 columns, and 2 to 5 can be the centre and size of a box"),
        ((f"0 {BOX} .41 .41 1 .59 .59 1 .5 .5 0 .5 .5 0",), "has 17 columns, and 2 to 5 can be the centre"),
        ((f"0 {BOX} .93 .88",), "has 7 columns, and 2 to 5 can be the centre"),
        # a box that strays from its image, as some tools leave it, does not make outlines of the rest
        (
            (*(f"0 {BOX} .{n}1 .41 .59 .59" for n in range(1, 9)), "0 .02 .5 .2 .2 .03 .5 .04 .5"),
            "has 9 columns, and 2 to 5 can be the centre",
        ),
        # nor do many that stray far, since their second point is a size
        (
            (*(f"0 {BOX} .{n}1 .41 .59 .59" for n in range(1, 4)), "0 .02 .5 .2 .2 .03 .5 .04 .5"),
            "has 9 columns, and 2 to 5 can be the centre",
        ),
        # as many boxes without more columns do not
        ((f"0 {BOX}\n" * 9 + f"0 {BOX} .41 .41 .59 .59",), "has 9 columns, and 2 to 5 can be the centre"),
    ],
)
def test_rows_that_need_not_be_points_are_refused_with_the_option(
    tmp_path: Path, rows: tuple[str, ...], what: str
) -> None:
    text = refusal(folder(tmp_path, *rows))
    assert text.startswith("labels/train/0.txt:")
    assert what in text
    assert 'say what the rows are: rows="box" (columns after the box are counted, not read), outline' in text


def test_rows_of_one_kind_are_one_problem(tmp_path: Path) -> None:
    text = refusal(folder(tmp_path, f"0 {BOX} 0 1\n" * 30, f"0 {BOX} 1 1\n"))
    assert "(31 such rows)" in text


# Outlines


@pytest.mark.parametrize(
    "rows",
    [
        ("0 .1 .1 .5 .1 .5 .9",),  # its first two points are no box
        (
            circle(0.8, 0.8, 0.1, 12),
            circle(0.3, 0.3, 0.1, 12),
            circle(0.3, 0.3, 0.1, 12),
        ),  # one of three is no box
        (circle(0.3, 0.3, 0.1, 12), circle(0.2, 0.3, 0.1, 15)),  # as many points as the shape needs
        ("0 .1 .1 .5 .1 .3 .5",),  # a triangle
        ("0 .4 .2 .5 .2 .5 .3 .4 .3",),  # a rectangle
        ("0 .4 .2 .5 .25 .47 .31 .37 .26",),  # a turned rectangle, that need not be as wide as the image
        ("0 0 0 0 1 1 1 1.000002 0",),  # rounded over the border
        ("0 .1 .1 .5 .1 .5 .9 .3 1",),  # one coordinate that is 1
    ],
)
def test_points_that_can_be_nothing_else_are_outlines(tmp_path: Path, rows: tuple[str, ...]) -> None:
    ds = yolo.read(folder(tmp_path, *rows))
    assert [type(cell.shape) for cell in ds.cells] == [Polygon] * len(rows)
    for cell, row in zip(ds.cells, rows, strict=True):
        assert isinstance(cell.shape, Polygon)
        assert len(cell.shape.points) == len(row.split()) // 2


@pytest.mark.parametrize("seed", range(5))
def test_outlines_all_over_the_images_are_read(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    texts = [
        "\n".join(circle(draw.uniform(0.1, 0.9), draw.uniform(0.1, 0.9), 0.05, 20) for _ in range(5))
        for _ in range(8)
    ]
    assert len(yolo.read(folder(tmp_path, *texts)).cells) == 40


def test_boxes_among_outlines_are_boxes_and_counted(tmp_path: Path) -> None:
    path = folder(tmp_path, f"0 {BOX}\n0 .1 .1 .5 .1 .5 .9")
    with pytest.warns(DataWarning, match="1 row is a box and 1 is an outline; ultralytics would ignore"):
        ds = yolo.read(path)
    assert [cell.shape is None for cell in ds.cells] == [True, False]
    assert yolo.read(path, rows="outline") == ds  # and no warning, since it was declared


def test_an_outline_that_strays_is_named_as_one(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [circle(draw.uniform(0.1, 0.9), draw.uniform(0.1, 0.9), 0.05, 20) for _ in range(20)]
    path = folder(tmp_path, "\n".join(rows), circle(0.97, 0.5, 0.05, 20))
    assert "labels/train/1.txt:1: the box leaves the image of 200 x 100 by 4.00 px" in refusal(path)


# Declared rows


@pytest.mark.parametrize("behind", ["0 1 0 1 0 1", ".93", ".41 .41 .59 .59", "0 2 1 0", ".1 7"])
def test_declared_boxes_are_read_and_what_is_behind_them_is_counted(tmp_path: Path, behind: str) -> None:
    path = folder(tmp_path, f"0 {BOX} {behind}\n0 {BOX}", f"1 {BOX} {behind}")
    count = len(behind.split())
    with pytest.warns(DataWarning, match=rf"2 rows have columns after the box \({count} at most\), which"):
        ds = yolo.read(path, rows="box")
    assert boxes(ds) == [MIDDLE] * 3


@pytest.mark.parametrize(
    ("shape", "behind", "points"),
    [
        ([2, 2], ".41 .41 .59 .59", 2),
        ([2, 3], ".41 .41 2 .59 .59 0", 2),
        ([1, 3], ".5 .5 1", 1),
        ([17, 3], "0 0 0 " * 17, 17),
    ],
)
def test_key_points_are_counted_and_their_boxes_read(
    tmp_path: Path, shape: list[int], behind: str, points: int
) -> None:
    path = folder(tmp_path, f"0 {BOX} {behind}", f"1 {BOX} {behind}", kpt_shape=shape)
    with pytest.warns(DataWarning, match=f"{2 * points} key points of 2 boxes are not read, only the boxes"):
        ds = yolo.read(path)
    assert boxes(ds) == [MIDDLE] * 2
    assert {cell.shape for cell in ds.cells} == {None}


@pytest.mark.parametrize("row", [f"0 {BOX}", f"0 {BOX} .4 .4", f"0 {BOX} .4 .4 2 .5 .5 2 .6 .6 2"])
def test_rows_that_contradict_kpt_shape_are_refused(tmp_path: Path, row: str) -> None:
    path = folder(tmp_path, f"0 {BOX} .41 .41 .59 .59", row, kpt_shape=[2, 2])
    columns = len(row.split())
    assert refusal(path).startswith(
        f"labels/train/1.txt:1: has {columns} columns; kpt_shape in data.yaml makes it 9; correct it, or read the "
        'boxes alone: rows="box"'
    )


@pytest.mark.parametrize("shape", [2, "17, 3", [2], [2, 4], ["a", 2], [2.5, 2], [-1, 2], [True, 2], {}])
def test_a_kpt_shape_that_is_none_is_refused(tmp_path: Path, shape: object) -> None:
    assert "data.yaml: kpt_shape is " in refusal(folder(tmp_path, f"0 {BOX}", kpt_shape=shape))


def test_declared_pose_without_kpt_shape_needs_rows_of_one_length(tmp_path: Path) -> None:
    path = folder(tmp_path / "even", f"0 {BOX} .41 .41 .59 .59")
    with pytest.warns(DataWarning, match=r"1 row has columns after the box \(4 at most\)"):
        assert boxes(yolo.read(path, rows="pose")) == [MIDDLE]
    path = folder(tmp_path / "uneven", f"0 {BOX} .41 .41 .59 .59", f"0 {BOX} .41 .41")
    assert "1.txt:1: has 7 columns, but " in refusal(path, "pose")


def test_four_corners_are_turned_boxes_if_declared_and_outlines_otherwise(tmp_path: Path) -> None:
    turned = RotatedBox(50, 20, 90, 40, 30)
    corners = [(x / 200, y / 100) for x, y in turned.polygon()]
    row = "0 " + " ".join(f"{x:.6f} {y:.6f}" for x, y in corners)
    upright = "0 .2 .2 .6 .2 .6 .6 .2 .6"
    skew = "0 .2 .2 .6 .2 .7 .6 .2 .5"
    path = folder(tmp_path, f"{row}\n{upright}\n{skew}")
    shapes = [cell.shape for cell in yolo.read(path, rows="obb").cells]
    assert isinstance(shapes[0], RotatedBox)
    assert shapes[0].rotation == pytest.approx(30, abs=0.01)
    assert shapes[0].envelope() == pytest.approx(turned.envelope(), abs=0.01)
    assert shapes[1] is None
    assert isinstance(shapes[2], Polygon)
    outlines = yolo.read(path)
    assert [type(cell.shape) for cell in outlines.cells] == [Polygon] * 3
    for one, other in zip(outlines.cells, yolo.read(path, rows="obb").cells, strict=True):
        assert one.box == other.box
    assert "has 5 columns; four corners have 9" in refusal(folder(tmp_path / "box", f"0 {BOX}"), "obb")


def test_columns_behind_four_corners_are_counted(tmp_path: Path) -> None:
    path = folder(tmp_path, "0 .2 .2 .6 .2 .6 .6 .2 .6 .87")
    with pytest.warns(DataWarning, match=r"1 row has columns after the corners \(1 at most\)"):
        assert boxes(yolo.read(path, rows="obb")) == [Box(40, 20, 120, 60)]


@pytest.mark.parametrize(("task", "shape"), [("segment", Polygon), ("obb", RotatedBox)])
def test_the_task_in_data_yaml_is_a_declaration(tmp_path: Path, task: str, shape: type) -> None:
    corners = RotatedBox(50, 20, 90, 40, 30).polygon()
    row = "0 " + " ".join(f"{x / 200:.6f} {y / 100:.6f}" for x, y in corners)
    (cell,) = yolo.read(folder(tmp_path / task, row, task=task)).cells
    assert isinstance(cell.shape, shape)
    # ultralytics trains its detectors on boxes and on outlines
    assert "2 to 5 can be" in refusal(folder(tmp_path / "detect", f"0 {BOX} .4 .4 .6 .6", task="detect"))


def test_a_column_behind_declared_points_is_counted(tmp_path: Path) -> None:
    path = folder(tmp_path, "0 .1 .1 .5 .1 .5 .9 .87")
    assert "has 8 columns, an even number, so they are not a class and points" in refusal(path)
    with pytest.warns(DataWarning, match="1 row has a column after its points, perhaps a confidence, that"):
        assert boxes(yolo.read(path, rows="outline")) == [Box(20, 10, 100, 90)]
    path = folder(tmp_path / "short", f"0 {BOX} .87")
    assert "has 6 columns; points have 7 or more; write class x1 y1 x2 y2 x3 y3" in refusal(path, "outline")


# The option


def test_rows_on_the_command_line(tmp_path: Path, run: Run) -> None:
    path = folder(tmp_path / "yolo", f"0 {BOX} 0 1 0 1 0 1")
    status, _, told = run("import", path, tmp_path / "data")
    assert status == 1
    assert "--rows box (columns after the box are counted, not read), outline, obb or pose" in told
    assert not (tmp_path / "data").exists()
    status, _, told = run("import", path, tmp_path / "data", "--rows", "box")
    assert (status, "(6 at most)" in told) == (0, True)
    assert run("info", path).status == run("check", path, "--no-pixels").status == 1
    assert run("info", path, "--rows", "box").status == 0
    assert boxes(pcm.load_dataset(tmp_path / "data")) == [MIDDLE]


def test_rows_are_refused_for_formats_without_them(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "a.xml", "<annotations/>")
    with pytest.raises(ValueError, match="rows does not apply to a CVAT export"):
        pcm.load_dataset(path, rows="box")
    with pytest.raises(ValueError, match='rows "polygon": must be one of box, outline, obb, pose'):
        yolo.read(folder(tmp_path, f"0 {BOX}"), rows="polygon")  # type: ignore[arg-type]
