"""TXL-PBC: which number is which class, and boxes at the border."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_layouts import picture
from source_layouts import txl_pbc as layout

import pcm_leukemia as pcm
from pcm_leukemia import sources
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, InvalidExport, UnknownLabel
from pcm_leukemia.schema import Image, ImageId
from pcm_leukemia.sources import txl_pbc


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layout.make(tmp_path)
    return tmp_path


def test_published_counts() -> None:
    assert sum(txl_pbc.SOURCE.counts.values()) == 26_637
    labels = sources.read_map(txl_pbc.SOURCE)
    assert {raw: labels.label(raw) for raw in txl_pbc.SOURCE.counts} == {
        "WBC": "WBC",
        "RBC": "RBC",
        "Platelets": "Platelets",
    }


def test_the_order_is_that_of_data_yaml(root: Path) -> None:
    ds = txl_pbc.read(root)
    assert [cell.label for cell in ds.cells_of("images/train/01e4af27-0d62-557e-b967-cd665b590d45.jpg")] == [
        "WBC",
        "RBC",
    ]
    table = root / "TXL_PBC" / "data.yaml"
    swapped = table.read_text(encoding="utf-8").replace("'WBC', 'RBC'", "'RBC', 'WBC'")
    table.write_text(swapped, encoding="utf-8")
    ds = txl_pbc.read(root)
    assert [cell.label for cell in ds.cells_of("images/train/01e4af27-0d62-557e-b967-cd665b590d45.jpg")] == [
        "RBC",
        "WBC",
    ]


def test_boxes_are_in_pixels(root: Path) -> None:
    first, second = txl_pbc.read(root).cells_of("images/train/01e4af27-0d62-557e-b967-cd665b590d45.jpg")
    assert (first.box.x1, first.box.x2) == pytest.approx((128, 192))
    assert (first.box.y1, first.box.y2) == pytest.approx((84, 156))
    assert second.box == pcm.Box(0, 0, 64, 48)


def test_an_image_without_a_label_file_is_not_annotated(root: Path) -> None:
    (root / "TXL_PBC" / "labels" / "test" / "04b0c5c4-6135-51fa-a213-57c40224a22f.txt").unlink()
    empty = root / "TXL_PBC" / "labels" / "val" / "02db46d5-f0f3-511c-b2cc-e907946e88e2.txt"
    empty.write_text("\n", encoding="utf-8")
    with pytest.warns(
        DataWarning,
        match=r"1 image has no label file; .*\nimages/test/04b0c5c4-6135-51fa-a213-57c40224a22f\.jpg",
    ):
        ds = txl_pbc.read(root)
    assert ds.image("images/test/04b0c5c4-6135-51fa-a213-57c40224a22f.jpg").annotation_state == "none"
    assert ds.image("images/val/02db46d5-f0f3-511c-b2cc-e907946e88e2.jpg").annotation_state == "complete"
    assert ds.cells_of("images/val/02db46d5-f0f3-511c-b2cc-e907946e88e2.jpg") == ()


def test_every_bad_row_is_named(root: Path) -> None:
    table = root / "TXL_PBC" / "labels" / "val" / "02db46d5-f0f3-511c-b2cc-e907946e88e2.txt"
    boxes = (".5 .5 .1 .1", ".5 .5 .1", ".5 .5 .1 x", ".5 .5 .1 -.1", ".01 .5 .1 .1", "nan .5 .1 .1")
    rows = [f"3 {boxes[0]}", f"-1 {boxes[0]}", *(f"0 {box}" for box in boxes[1:])]
    table.write_text("\n".join(rows), encoding="utf-8")
    picture(root / "TXL_PBC" / "images" / "more" / "1.jpg")
    with pytest.raises(InvalidExport) as error:
        txl_pbc.read(root)
    said = [str(problem) for problem in error.value.problems]
    where = "labels/val/02db46d5-f0f3-511c-b2cc-e907946e88e2.txt"
    fix = "; write class cx cy w h, as fractions of the image size"
    assert (
        said[0]
        == "images/more/1.jpg: is in none of images/train, images/val and images/test; put it where it was"
    )
    assert said[1:4] == [
        f"{where}:1: has class 3, not one of 0 to 2{fix}",
        f"{where}:2: has class -1, not one of 0 to 2{fix}",
        f"{where}:3: has 4 columns{fix}",
    ]
    assert said[4].startswith(f"{where}:4: could not convert string to float")
    assert said[5:] == [
        f"{where}:{line}: is not a box inside the image of 320 x 240{fix}" for line in (5, 6, 7)
    ]


def test_boxes_at_the_border_are_cut_and_those_without_area_left_out(root: Path) -> None:
    table = root / "TXL_PBC" / "labels" / "val" / "02db46d5-f0f3-511c-b2cc-e907946e88e2.txt"
    table.write_text("0 .048 .5 .1 .1\n0 .952 .952 .1 .1\n1 .5 .5 0 .1\n0 .5 .048 .1 .1\n", encoding="utf-8")
    with pytest.warns(DataWarning, match=r"1 box has no area and is left out:\nlabels/val/.*\.txt:3"):
        cells = txl_pbc.read(root).cells_of("images/val/02db46d5-f0f3-511c-b2cc-e907946e88e2.jpg")
    assert [cell.id for cell in cells] == [0, 1, 3]
    assert (cells[0].box.x1, cells[1].box.x2, cells[1].box.y2, cells[2].box.y1) == (0, 320, 240, 0)
    assert (cells[0].box.x2, cells[1].box.x1) == pytest.approx((31.36, 288.64))


def test_data_yaml_that_names_no_classes(root: Path) -> None:
    table = root / "TXL_PBC" / "data.yaml"
    for text in ("train: x\n", "names: 3\n", "[", "names:\n  0: WBC\n"):
        table.write_text(text, encoding="utf-8")
        with pytest.raises(CorruptFile, match="data.yaml: names no (list of )?classes; get TXL-PBC again"):
            txl_pbc.read(root)
    table.write_text("names: ['WBC', 'Blast']\n", encoding="utf-8")
    with pytest.raises(UnknownLabel, match=r'txl_pbc\.csv: has no row for "Blast"'):
        txl_pbc.read(root)


def test_no_images(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "data.yaml").write_text("names: [WBC]\n", encoding="utf-8")
    with pytest.raises(DataNotFound, match="holds no image; to get TXL-PBC"):
        txl_pbc.read(tmp_path)


@given(st.tuples(st.integers(0, 315), st.integers(0, 235), st.integers(1, 320), st.integers(1, 240)))
def test_boxes_come_back_from_shares_of_six_digits(drawn: tuple[int, int, int, int]) -> None:
    x1, y1, width, height = drawn
    x2, y2 = min(x1 + width, 320), min(y1 + height, 240)
    shares = ((x1 + x2) / 640, (y1 + y2) / 480, (x2 - x1) / 320, (y2 - y1) / 240)
    box = txl_pbc._box([round(share, 6) for share in shares], Image(ImageId("a"), 320, 240))
    assert box is not None
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((x1, y1, x2, y2), abs=0.001)
    assert box.x2 <= 320
    assert box.y2 <= 240
