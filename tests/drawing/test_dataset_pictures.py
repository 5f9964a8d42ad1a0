"""`Dataset.show`, `gallery` and `compare`: what they draw, of which cells, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFont
import pytest
from msgspec import structs

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, drawing
from pcm_leukemia.colours import CLASSES, EXTRA, FOUND, MISSED, rgb
from pcm_leukemia.errors import CorruptFile, DataNotFound, InvalidDataset
from pcm_leukemia.images import Pixels, crop, files_of, load
from pcm_leukemia.schema import ImageId, PatientId, Split
from pcm_leukemia.shapes import Point

MONOCYTE = rgb(CLASSES["Monocyte"])
NAMES = tuple(f"P{patient}/{number}.png" for patient in (1, 2, 3) for number in (0, 1))


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    """Three patients with two images each: a monocyte on each, and another ten on the first image."""
    images = []
    for number, name in enumerate(NAMES):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (200, 100), (200 + 5 * number, 210, 220)).save(path)
        images.append(Image(ImageId(name), 200, 100, PatientId(name[:2]), file=name))
    cells = [Cell(ImageId(name), 0, "Monocyte", Box(60, 40, 100, 80)) for name in NAMES]
    cells += [
        Cell(ImageId(NAMES[0]), number, "Monocyte", Box(15 * number, 0, 15 * number + 9, 9))
        for number in range(1, 11)
    ]
    people = tuple(Patient(PatientId(f"P{number}")) for number in (1, 2, 3))
    return Dataset("ward", NINE, tuple(images), tuple(cells), people, root=tmp_path / "images")


def drawn(picture: PIL.Image.Image) -> Pixels:
    return np.asarray(picture)


def has(picture: PIL.Image.Image, colour: str) -> bool:
    return bool((drawn(picture) == rgb(colour)).all(-1).any())


def crops_of(sheet: PIL.Image.Image, ds: Dataset) -> list[int]:
    """How many crops of each image are on a sheet: their middles have the grey of the image."""
    middles = drawn(sheet)[6 + 80 :: 186, 6 + 80 :: 166, 0]
    return [int((middles == 200 + 5 * number).sum()) for number in range(len(ds.images))]


# show


def test_a_frame_with_its_cells(ds: Dataset) -> None:
    picture = ds.show("P2/0.png")
    assert picture.size == (200, 100)
    assert picture.getpixel((60, 60)) == MONOCYTE
    assert picture.getpixel((80, 60)) == (210, 210, 220)
    plain = ds.show("P2/0.png", cells=False)
    assert set(map(tuple, drawn(plain).reshape(-1, 3).tolist())) == {(210, 210, 220)}
    small = ds.show(ds.images[2], width=100)
    assert small.size == (100, 50)
    assert small.getpixel((30, 30)) == MONOCYTE


def test_an_image_is_found_by_the_end_of_its_path(ds: Dataset) -> None:
    one = ds.select(images=["P1/0.png", "P2/1.png"])
    assert one.show("0").getpixel((5, 50)) == (200, 210, 220)
    with pytest.raises(
        ValueError, match=r'^show: "0.png" can be 3 images of ward, for example "P1/0.png"; give'
    ):
        ds.show("0.png")
    wrong = r'^show: image "P1/00.png" is not in ward, the nearest is "P1/0.png"; give the id of an image$'
    with pytest.raises(ValueError, match=wrong):
        ds.show("P1/00.png")


def test_frames_without_their_files(ds: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match="ward: the images are not there; give images_root"):
        replace(ds, root=None).show("P1/0.png")
    (tmp_path / "images" / "P1" / "0.png").unlink()
    with pytest.raises(DataNotFound, match=r"P1/0\.png"):
        ds.show("P1/0.png")
    (tmp_path / "images" / "P1" / "0.png").write_text("no image", encoding="utf-8")
    with pytest.raises(CorruptFile, match=r"P1/0\.png"):
        ds.show("P1/0.png")


# gallery


def test_crops_are_drawn_evenly_over_patients(ds: Dataset) -> None:
    counts = crops_of(ds.gallery("Monocyte", n=6, padding=0), ds)
    by_patient = [sum(counts[number : number + 2]) for number in (0, 2, 4)]
    assert by_patient == [2, 2, 2]
    assert sum(crops_of(ds.gallery(n=99, padding=0), ds)) == 16


def test_all_classes_are_shown_in_their_order(ds: Dataset) -> None:
    cells = [
        structs.replace(cell, label="Basophil") if cell.image == "P3/1.png" else cell for cell in ds.cells
    ]
    sheet = replace(ds, cells=tuple(cells)).gallery(n=4)
    assert sheet.size == (3 * 166 + 6, 2 * 186 + 6)
    assert sheet.getpixel((160, 6 + 160 + 18)) == rgb(CLASSES["Basophil"])
    assert sheet.getpixel((166 + 160, 6 + 160 + 18)) == MONOCYTE


def test_the_seed_chooses_the_cells(ds: Dataset) -> None:
    first, same, other = (drawn(ds.gallery(n=3, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_a_point_is_shown_with_what_is_around_it(ds: Dataset) -> None:
    point = Point(100, 50)
    cells = (Cell(ImageId("P1/0.png"), 0, "Monocyte", point.pixel(200, 100), shape=point),)
    assert replace(ds, cells=cells).gallery(padding=0).size == (172, 192)


def test_galleries_that_cannot_be_drawn(ds: Dataset) -> None:
    with pytest.raises(
        ValueError,
        match='gallery: "Monocite" is not a class of ward, the nearest is "Monocyte"; use one of .*WBC .* or ignore',
    ):
        ds.gallery("Monocite")
    with pytest.raises(ValueError, match='gallery: ward has no cells of "Basophil"; choose a class'):
        ds.gallery("Basophil")
    with pytest.raises(ValueError, match="gallery: n 0; give 1 or more cells"):
        ds.gallery(n=0)
    with pytest.raises(ValueError, match="-1 px"):
        ds.gallery(padding=-1)
    with pytest.raises(DataNotFound, match="ward: the images are not there"):
        replace(ds, root=None).gallery()


# compare


def reviewed(ds: Dataset) -> Dataset:
    """On P3/1.png one cell is added; on P1/0.png cell 0 has moved, 1 is relabelled, and 2 is gone."""
    cells = [Cell(ImageId("P3/1.png"), 9, "Basophil", Box(120, 20, 180, 70))]
    for cell in ds.cells:
        if cell.image != "P1/0.png" or cell.id > 2:
            cells.append(cell)
        elif cell.id == 0:
            cells.append(structs.replace(cell, box=Box(66, 40, 106, 80)))
        elif cell.id == 1:
            cells.append(structs.replace(cell, label="Other"))
    return replace(ds, cells=tuple(cells), name="review")


def test_what_differs_is_marked_and_what_agrees_is_thin(ds: Dataset) -> None:
    picture = ds.compare(reviewed(ds), "P1/0.png")
    pixels = drawn(picture)
    assert picture.width == 200
    assert picture.height > 100
    assert pixels[70, 60].tolist() == list(rgb(MISSED))  # where it was
    assert pixels[70, 66].tolist() == list(rgb(EXTRA))  # where it is now
    assert pixels[5, 15].tolist() == list(rgb(FOUND))
    assert pixels[5, 30].tolist() == list(rgb(MISSED))
    assert pixels[5, 150].tolist() == list(MONOCYTE)
    assert pixels[5, 151].tolist() != list(MONOCYTE)
    assert pixels[100:].max(axis=(0, 1)).tolist() == [255] * 3


def test_the_frame_with_most_changes_is_compared_by_default(ds: Dataset) -> None:
    one, other = ds, reviewed(ds)
    np.testing.assert_array_equal(drawn(one.compare(other)), drawn(one.compare(other, "P1/0.png")))
    added = ds.compare(other, "P3/1.png")
    assert has(added, EXTRA)
    assert added.getpixel((120, 50)) == rgb(EXTRA)
    assert added.getpixel((60, 60)) == MONOCYTE


def test_two_equal_annotations(ds: Dataset) -> None:
    picture = ds.compare(ds).crop((0, 0, 200, 100))
    assert not any(has(picture, colour) for colour in (MISSED, EXTRA, FOUND))


def test_the_pixels_may_be_with_the_other_one(ds: Dataset) -> None:
    bare = replace(ds, root=None)
    np.testing.assert_array_equal(drawn(bare.compare(ds)), drawn(ds.compare(ds)))
    with pytest.raises(DataNotFound, match="ward: the images are not there"):
        bare.compare(bare)


def test_annotations_that_cannot_be_compared(ds: Dataset) -> None:
    one = ds.select(images=["P1/0.png"])
    with pytest.raises(ValueError, match='compare: image "P2/0.png" is not in ward; give an image that both'):
        ds.compare(one, "P2/0.png")
    with pytest.raises(InvalidDataset, match="have no image in common"):
        one.compare(ds.select(images=["P2/0.png"]))
    with pytest.raises(InvalidDataset, match="different classes"):
        ds.compare(ds.task("wbc"))
    with pytest.raises(ValueError, match="iou 2"):
        ds.compare(ds, iou=2)


# choosing and cutting cells, for galleries and figures


def test_chosen_cells_are_cut_out_of_their_images(ds: Dataset) -> None:
    cells = drawing.choose(ds, ("Basophil", "Monocyte"), 4, seed=1)
    assert [cell.label for cell in cells] == ["Monocyte"] * 4
    assert len({cell.image[:2] for cell in cells}) == 3  # of every patient
    crops = dict(drawing.cut(ds, dict.fromkeys(cells, 5)))
    assert set(crops) == set(cells)
    for cell, pixels in crops.items():
        np.testing.assert_array_equal(pixels, crop(load(files_of(ds), ds.image(cell.image)), cell.box, 5))
    assert drawing.choose(ds, ("Basophil",), 4) == []


def test_other_seeds_choose_other_patients_and_other_cells_of_each(ds: Dataset) -> None:
    chosen = [drawing.choose(ds, ("Monocyte",), 1, seed=seed)[0] for seed in range(30)]
    assert {cell.image[:2] for cell in chosen} == {"P1", "P2", "P3"}
    assert len({cell.id for cell in chosen if cell.image == NAMES[0]}) > 3
    assert [drawing.choose(ds, ("Monocyte",), 1, seed=seed)[0] for seed in range(30)] == chosen


def test_other_seeds_choose_frames_of_other_patients(ds: Dataset) -> None:
    chosen = [drawing.choose_frames(ds, 1, seed=seed)[0] for seed in range(30)]
    assert {image.patient for image in chosen} == {"P1", "P2", "P3"}


def test_tags_in_a_given_font() -> None:
    pixels = np.full((100, 200, 3), 255, np.uint8)
    boxes = [drawing.Drawn((60, 60, 160, 90), "Monocyte", "Monocyte")]

    def above_the_box(size: int) -> int:
        """How many pixels the tag takes."""
        font = PIL.ImageFont.load_default(size)
        assert isinstance(font, PIL.ImageFont.FreeTypeFont)
        return int((drawn(drawing.draw(pixels, boxes, font=font))[:58] != 255).sum())

    assert above_the_box(24) > 4 * above_the_box(8) > 0


def test_a_frame_is_enlarged_on_request() -> None:
    pixels = np.full((10, 20, 3), 255, np.uint8)
    boxes = [drawing.Drawn((5, 2, 15, 8), "", "Monocyte")]
    assert drawing.draw(pixels, boxes, width=200).size == (20, 10)
    picture = drawing.draw(pixels, boxes, width=200, enlarge=True)
    assert picture.size == (200, 100)
    assert picture.getpixel((50, 50)) == MONOCYTE


def test_chosen_frames_are_of_every_part_class_and_patient() -> None:
    """Of 300 frames of 10 patients 12 are chosen; rare classes, parts and frames without cells are among them."""
    images = tuple(
        Image(ImageId(f"{n:03}.png"), 20, 20, PatientId(f"P{n % 10}"), file=None if n == 1 else "a.png")
        for n in range(300)
    )
    cells = [Cell(image.id, 0, "Monocyte", Box(0, 0, 9, 9)) for image in images[:290]]
    cells += [Cell(images[17].id, 1, "Basophil", Box(0, 0, 9, 9))]
    cells += [Cell(images[1].id, 1, "Other", Box(0, 0, 9, 9))]  # it has no file
    people = tuple(Patient(PatientId(f"P{n}")) for n in range(10))
    part_of = {image.id: "test" if image.patient == "P3" else "train" for image in images}
    ds = Dataset("many", NINE, images, tuple(cells), people, Split("given", part_of))
    chosen = drawing.choose_frames(ds, 12)
    ids = [image.id for image in chosen]
    assert len(ids) == 12
    assert ids == sorted(set(ids))
    assert "017.png" in ids
    assert "001.png" not in ids
    assert any(not ds.cells_of(image) for image in chosen)
    assert {"train", "test"} == {ds.part_of(image) for image in chosen}
    assert len({image.patient for image in chosen}) >= 6
    assert drawing.choose_frames(ds, 12) == chosen
    assert drawing.choose_frames(ds, 12, seed=1) != chosen
    assert len(drawing.choose_frames(ds, 1000)) == 299


def test_frames_with_most_classes_are_chosen_first(ds: Dataset) -> None:
    richest = [image.id for image in ds.images if image.id.endswith("1.png")]
    more = [Cell(ImageId(name), 90, "Basophil", Box(0, 0, 9, 9)) for name in richest]
    chosen = drawing.choose_frames(replace(ds, cells=(*ds.cells, *more)), 3)
    assert [image.id for image in chosen] == richest
