"""Pictures of findings show what is wrong, and say what was measured and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageColor
import PIL.ImageFont
import pytest

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, checks
from pcm_leukemia.checks import Finding, boxes, tiles
from pcm_leukemia.images import Files, compare_files
from pcm_leukemia.schema import ImageId, PatientId

Pixels = npt.NDArray[np.int_]
Turn = PIL.Image.Transpose


def field(seed: int, width: int = 640, height: int = 480) -> PIL.Image.Image:
    """A picture with much detail, unlike that of any other seed."""
    noise = np.random.default_rng(seed).integers(90, 200, (height // 8, width // 8, 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise).resize((width, height), PIL.Image.Resampling.BICUBIC)


def dataset(
    folder: Path, pictures: dict[str, PIL.Image.Image], *cells: Cell, parts: dict[str, str] | None = None
) -> Dataset:
    """These pictures, each of a patient of its own."""
    rows, people = [], []
    for number, (name, picture) in enumerate(pictures.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name)
        people.append(Patient(PatientId(f"P{number}")))
        rows.append(Image(ImageId(name), *picture.size, people[-1].id, file=name))
    ds = Dataset("demo", NINE, tuple(rows), cells, tuple(people), root=folder)
    return ds.with_split(Split("x", {ImageId(name): part for name, part in parts.items()})) if parts else ds


def cell(image: str, number: int, label: str, *sides: float) -> Cell:
    return Cell(ImageId(image), number, label, Box(*sides))


def found(ds: Dataset, kind: str) -> Finding:
    (finding,) = [each for each in checks.check(ds).findings if each.kind == kind]
    return finding


def drawn(
    ds: Dataset, finding: Finding, monkeypatch: pytest.MonkeyPatch
) -> tuple[PIL.Image.Image, list[list[str]]]:
    """The picture of a finding, and the captions of its tiles as they are written."""
    captions: list[list[str]] = []
    write = tiles._write

    def listened(sheet: PIL.Image.Image, left: int, lines: Any) -> None:
        captions.append([line.text for line in lines])
        write(sheet, left, lines)

    monkeypatch.setattr(tiles, "_write", listened)
    assert ds.root
    picture = tiles.draw(finding, ds, Files(ds.root), boxes.median_sides(ds))
    assert picture
    return picture, captions


def in_colour(picture: PIL.Image.Image, colour: str) -> Pixels:
    """Where a colour is: the rows and columns, ``(n, 2)``."""
    return np.argwhere((np.asarray(picture) == PIL.ImageColor.getrgb(colour)).all(-1))


def test_both_boxes_of_a_cell_annotated_twice_are_in_one_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = (
        cell("a.png", 3, "Neutrophil", 200, 100, 300, 200),
        cell("a.png", 8, "Myeloblast_APL", 204, 100, 304, 200),
    )
    ds = dataset(tmp_path, {"a.png": field(1)}, *twice)
    picture, captions = drawn(ds, found(ds, "cell-twice"), monkeypatch)
    assert captions == [
        [
            "a.png",
            "cell 3: Neutrophil, 100 x 100 px",
            "cell 8: Myeloblast_APL, 100 x 100 px",
            "the boxes overlap by 0.92 (IoU)",
            "no split, patient P0",
        ]
    ]
    above = tiles.LINE * 5 + 6
    assert picture.width == 480  # one tile
    scale = 480 / 204  # both boxes and 50 px around them
    for colour, sides in ((tiles.FIRST, (50, 150)), (tiles.SECOND, (54, 154))):
        rows, columns = (in_colour(picture.crop((0, above, *picture.size)), colour)).T
        assert (columns.min(), columns.max()) == pytest.approx([side * scale for side in sides], abs=3)
        assert (rows.min(), rows.max()) == pytest.approx([50 * scale, 150 * scale], abs=3)


def test_boxes_that_are_equal_are_both_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [cell("a.png", number, "Monocyte", 200, 100, 300, 200) for number in (0, 1)]
    ds = dataset(tmp_path, {"a.png": field(1)}, *twice)
    picture, _ = drawn(ds, found(ds, "cell-twice"), monkeypatch)
    below = picture.crop((0, tiles.LINE * 5 + 6, *picture.size))
    first, second = (len(in_colour(below, colour)) for colour in (tiles.FIRST, tiles.SECOND))
    assert min(first, second) > 0.3 * (first + second)


def test_an_unusual_box_is_shown_beside_the_median_of_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = [
        cell(
            "a.png",
            n,
            "Neutrophil",
            5 + 92 * (n % 6),
            5 + 97 * (n // 6),
            95 + 92 * (n % 6),
            100 + 97 * (n // 6),
        )
        for n in range(24)
    ]
    odd = cell("a.png", 99, "Neutrophil", 600, 10, 612, 430)
    ds = dataset(tmp_path, {"a.png": field(1)}, *usual, odd)
    finding = found(ds, "unusual-box")
    assert finding.what.startswith('"Neutrophil" has a box of 12 x 420 px, ')
    assert finding.what.endswith(
        " deviations from the usual shape: the median of the 25 of its class is 90 x 95 px"
    )
    picture, (caption,) = drawn(ds, finding, monkeypatch)
    assert caption[1:3] == ["cell 99: Neutrophil, 12 x 420 px", "the median Neutrophil is 90 x 95 px"]
    assert caption[3] == finding.measured[0]
    assert caption[3] in finding.what
    assert caption[3].endswith(" deviations from the usual shape")
    below = picture.crop((0, tiles.LINE * 5 + 6, *picture.size))
    scale = below.height / (10 + 420 + 50)  # the image ends 10 px above the box
    for colour, height in ((tiles.FIRST, 420), (tiles.SECOND, 95)):
        rows = in_colour(below, colour)[:, 0]
        assert rows.max() - rows.min() == pytest.approx(height * scale, abs=4)


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (None, ""),
        (Turn.ROTATE_90, "rotated by 90 degrees counter-clockwise"),
        (Turn.ROTATE_180, "rotated by 180 degrees"),
        (Turn.ROTATE_270, "rotated by 90 degrees clockwise"),
        (Turn.FLIP_LEFT_RIGHT, "mirrored left to right"),
        (Turn.FLIP_TOP_BOTTOM, "mirrored top to bottom"),
        (Turn.TRANSPOSE, "mirrored left to right and rotated by 90 degrees counter-clockwise"),
        (Turn.TRANSVERSE, "mirrored left to right and rotated by 90 degrees clockwise"),
    ],
)
def test_a_copy_is_said_to_lie_as_it_was_measured(
    turn: PIL.Image.Transpose | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = field(1)
    copy = (original if turn is None else original.transpose(turn)).convert("RGB")
    copy.putpixel((0, 0), (0, 0, 0))  # other pixels
    # half the size, a copy in the same orientation, and one whose pixels are the same
    small = original.resize((320, 240))
    ds = dataset(tmp_path, {"a.png": original, "b.png": copy, "c.png": small})
    finding = found(ds, "near-duplicate")
    said = f" ({words})" if words else ""
    assert f'looks like a copy of "b.png"{said}, "c.png" (320 x 240 px), across' in finding.what
    _, captions = drawn(ds, finding, monkeypatch)
    assert captions[0] == ["a.png", "no split, patient P0"]
    assert captions[1][1].startswith(f"against the first: {words + ', ' if words else ''}correlation 1.00")
    assert captions[2][1].startswith("against the first: 320 x 240 px, correlation ")


def test_the_same_pixels_are_said_to_be_the_same_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = dataset(tmp_path, {"a.png": field(1), "b.png": field(1)})
    finding = found(ds, "same-pixels")
    assert finding.what == 'has the same pixels as "b.png", across patients (P0, P1)'
    _, captions = drawn(ds, finding, monkeypatch)
    assert captions[1] == ["b.png", "has the same pixels as the first", "no split, patient P1"]


def test_a_cell_that_appears_again_is_said_to_lie_as_it_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = field(1).crop((150, 100, 350, 300))
    ds = dataset(
        tmp_path,
        {"z.png": field(1), "b.png": crop.transpose(Turn.ROTATE_90)},
        cell("z.png", 0, "Monocyte", 200, 150, 300, 250),
        cell("b.png", 5, "Monocyte", 50, 50, 150, 150),
    )
    finding = found(ds, "cell-again")  # the first by name is the crop
    assert (
        'appears again as cell 0 of image "z.png" (rotated by 90 degrees clockwise), across' in finding.what
    )
    picture, captions = drawn(ds, finding, monkeypatch)
    assert captions[0] == ["b.png", "cell 5: Monocyte", "no split, patient P1"]
    assert captions[1][2].startswith("against the first: rotated by 90 degrees clockwise, correlation ")
    assert picture.width == 2 * 480 + 8


def test_a_saved_crop_is_shown_beside_its_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crop = field(1).crop((200, 150, 300, 250)).transpose(Turn.ROTATE_90)
    ds = dataset(
        tmp_path,
        {"a.png": field(1), "b.png": field(2), "crop.png": crop},
        cell("a.png", 7, "Monocyte", 200, 150, 300, 250),
    )
    finding = found(ds, "image-is-cell")
    assert (finding.images, finding.cells) == (("crop.png", "a.png"), (("a.png", 7),))
    picture, captions = drawn(ds, finding, monkeypatch)
    assert captions[0] == ["crop.png", "no split, patient P2"]
    assert captions[1][:2] == ["a.png", "cell 7: Monocyte"]
    assert captions[1][2].startswith(
        "the crop against it: rotated by 90 degrees counter-clockwise, correlation "
    )
    columns = in_colour(picture, tiles.FIRST)[:, 1]
    assert columns.min() > 480  # a box in the frame alone


def test_a_changed_file_is_shown_with_its_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = dataset(tmp_path, {"a.png": field(1)}, cell("a.png", 0, "Monocyte", 100, 100, 300, 300))
    ds = replace(ds, images=compare_files(ds.images, tmp_path)[0])
    field(2).save(tmp_path / "a.png")
    picture, (caption,) = drawn(ds, found(ds, "changed-file"), monkeypatch)
    assert caption == ["a.png", "the boxes that were drawn on the imported file", "no split, patient P0"]
    columns = in_colour(picture.crop((0, 3 * tiles.LINE + 6, *picture.size)), tiles.FIRST)[:, 1]
    assert (columns.min(), columns.max()) == pytest.approx((75, 225), abs=3)  # 640 px are 480


def test_what_is_blank_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, patched = PIL.Image.new("RGB", (640, 480), "#e0d0d8"), field(1)
    patched.paste("#e0d0d8", (90, 90, 210, 210))
    ds = dataset(
        tmp_path, {"a.png": plain, "b.png": patched}, cell("b.png", 0, "Monocyte", 100, 100, 200, 200)
    )
    of_image, of_cell = sorted(
        (each for each in checks.check(ds).findings if each.kind == "blank"), key=lambda each: each.images
    )
    assert drawn(ds, of_image, monkeypatch)[1][0][1] == "shows one colour"
    assert drawn(ds, of_cell, monkeypatch)[1][-1][1:3] == [
        "cell 0: Monocyte",
        "the box shows one colour or black",
    ]


def test_a_leak_is_shown_in_every_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number}.png" for number in range(6)]
    parts = {name: "test" if name == "5.png" else "train" for name in names}
    ds = dataset(tmp_path, {name: field(int(name[0])) for name in names}, parts=parts)
    ds = replace(ds, images=tuple(replace(image, patient=PatientId("P0")) for image in ds.images))
    _, captions = drawn(ds, found(ds, "patient-in-two-parts"), monkeypatch)
    assert captions == [
        *([name, "train, patient P0"] for name in names[:3]),
        ["5.png", "test, patient P0"],
    ]


def test_an_image_that_cannot_be_read_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = dataset(tmp_path, {"a.png": field(1), "b.png": field(1)})
    finding = found(ds, "same-pixels")
    (tmp_path / "a.png").unlink()
    _, captions = drawn(ds, finding, monkeypatch)
    assert captions[0] == ["a.png", "cannot be read"]
    (tmp_path / "b.png").unlink()
    assert tiles.draw(finding, ds, Files(tmp_path), {}) is None
    assert "left out: 1 picture of images that cannot be read" in str(
        checks.write_pictures([finding], tmp_path / "out", ds)
    )


def test_captions_stay_inside_their_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{'<Station> & Grün ' * 12}{number}.png" for number in range(2)]
    ds = dataset(tmp_path, {name: field(1) for name in names})
    patient = PatientId("W" * 200)
    people = (*ds.patients, Patient(patient))
    ds = replace(ds, images=(replace(ds.images[0], patient=patient), ds.images[1]), patients=people)
    picture, captions = drawn(ds, found(ds, "same-pixels"), monkeypatch)
    shade = np.asarray(picture.convert("L"))[: 3 * tiles.LINE + 6]
    assert (shade < 128).any()
    assert (shade[:, [*range(478, 490), -1, -2]] == 255).all()  # between the tiles, and at the right
    for top in range(0, 4 * tiles.LINE, tiles.LINE):  # a white row between lines
        assert (shade[top + 1 : top + 4] == 255).all()
    assert captions[0][1] == f"no split, patient {'W' * 13}...{'W' * 12}"


def test_the_index_and_the_table_name_no_folder_of_the_disk(tmp_path: Path) -> None:
    """They may be given away, as the page of a data set."""
    ds = dataset(tmp_path / "ward", {"a.png": field(1)})
    (tmp_path / "ward" / "a.png").unlink()
    (finding,) = [each for each in checks.check(ds).findings if each.kind == "unreadable"]
    assert str(tmp_path) in str(finding)
    report = checks.write_pictures([finding], tmp_path / "out", ds)
    for name in ("index.html", "findings.csv"):
        text = (tmp_path / "out" / name).read_text("utf-8")
        assert str(tmp_path) not in text
        assert "ward" in text
    assert str(report).startswith(f"pictures: {tmp_path / 'out'}")
    assert "1 finding, 0 with a picture" in str(report)
    assert "<title>demo: 1 finding</title>" in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_a_folder_of_an_earlier_version_is_replaced(tmp_path: Path) -> None:
    """Its form is "pairs", which is on the disk alone."""
    ds = dataset(tmp_path, {"a.png": field(1)})
    checks.write_pictures([], tmp_path / "out", ds)
    mark = (tmp_path / "out" / "pcm-leukemia.json").read_text("utf-8")
    assert '"format": "pairs"' in mark
    checks.write_pictures([], tmp_path / "out", ds)
