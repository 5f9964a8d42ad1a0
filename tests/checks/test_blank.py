"""Images and cells that show nothing, whatever the reason."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, checks
from pcm_leukemia.checks import Finding
from pcm_leukemia.schema import ImageId

SMEAR = np.random.default_rng(0).integers(60, 240, (80, 100, 3), dtype=np.uint8)


def found(folder: Path, *files: bytes) -> list[Finding]:
    """What `check` says of blank images; each has a cell at its upper left."""
    for number, data in enumerate(files):
        (folder / f"{number}.png").write_bytes(data)
    rows = tuple(Image(ImageId(f"{n}.png"), 100, 80, file=f"{n}.png") for n in range(len(files)))
    cells = tuple(Cell(row.id, 7, "Monocyte", Box(10, 10, 40.5, 40)) for row in rows)
    result = checks.check(Dataset("x", NINE, rows, cells, root=folder))
    return [finding for finding in result.findings if finding.kind == "blank"]


def encoded(pixels: npt.NDArray[np.uint8], form: str = "PNG") -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).save(out, form)
    return out.getvalue()


def palette_of_one_colour() -> bytes:
    picture = PIL.Image.fromarray(SMEAR).quantize(16)
    picture.putpalette([0, 0, 0] * 16)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def test_images_that_show_something_are_no_finding(tmp_path: Path) -> None:
    dot = np.full_like(SMEAR, 200)
    dot[20, 20] = 190  # lost in a thumbnail, but there
    dark = SMEAR // 15 + 1  # up to 16
    assert not found(tmp_path, encoded(SMEAR), encoded(dot), encoded(dark, "BMP"))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_frame_is_a_warning(tmp_path: Path, form: str, level: int) -> None:
    flat = np.full_like(SMEAR, level)
    flat[:, :, 0] = max(level - 40, 0)
    (finding,) = found(tmp_path, encoded(SMEAR), encoded(flat, form), encoded(flat, form))
    assert (finding.severity, finding.images) == ("warning", ("1.png", "2.png"))
    assert (
        str(finding) == 'image "1.png" and 1 more: shows one colour; replace its file, or leave the image out'
    )


def test_what_is_only_in_an_alpha_channel_or_under_one_colour_is_lost(tmp_path: Path) -> None:
    alpha = np.dstack([np.zeros_like(SMEAR), SMEAR[..., 0]])
    (finding,) = found(tmp_path, encoded(alpha), palette_of_one_colour())
    assert (finding.severity, finding.images) == ("problem", ("0.png", "1.png"))
    assert "shows one colour, though its file holds more than that; save it as RGB" in str(finding)


def test_a_constant_alpha_channel_holds_nothing(tmp_path: Path) -> None:
    clear = np.dstack([np.full_like(SMEAR, 9), np.zeros_like(SMEAR[..., :1])])
    (finding,) = found(tmp_path, encoded(clear))
    assert finding.severity == "warning"


def test_a_black_image_is_a_problem(tmp_path: Path) -> None:
    """What is left of 12 bits if a program takes the upper 8 of 16."""
    (finding,) = found(tmp_path, encoded(SMEAR // 16))
    assert finding.severity == "problem"
    assert str(finding) == (
        'image "0.png": is black: no value is above 15 of 255; save it again from the original, scaled to 8 bits'
    )


@pytest.mark.parametrize("level", [0, 210])
def test_cells_whose_box_shows_nothing(tmp_path: Path, level: int) -> None:
    pixels = SMEAR.copy()
    pixels[5:50, 5:50] = level
    (finding,) = found(tmp_path, encoded(SMEAR), encoded(pixels), encoded(pixels))
    assert (finding.severity, finding.cells) == ("warning", (("1.png", 7), ("2.png", 7)))
    assert str(finding) == (
        'image "1.png" cell 7: its box and those of 1 other cell show one colour or black; correct the box, or delete it'
    )
    pixels[40, 40] = 90  # the box ends before its lower corner
    (finding,) = found(tmp_path, encoded(pixels))
    assert str(finding).startswith('image "0.png" cell 7: its box shows one colour or black; correct')
    pixels[39, 40] = 90
    assert not found(tmp_path, encoded(pixels))


def test_a_deep_image_that_its_own_file_makes_black_is_lost(tmp_path: Path) -> None:
    deep = np.array([[1, 2, 3, 4] * 25] * 80, np.uint16)
    data = b"P5 100 80 4095\n" + deep.astype(">u2").tobytes()
    (finding,) = found(tmp_path, data)
    assert finding.severity == "problem"


@pytest.mark.parametrize("side", [3, 20, 31, 40, 70])
@pytest.mark.parametrize("level", [0, 128])
def test_a_cell_of_one_colour_is_a_warning_whatever_is_around_it(
    tmp_path: Path, side: int, level: int
) -> None:
    rng = np.random.default_rng(side)
    smear = rng.integers(60, 240, (80, 100, 3), dtype=np.uint8)
    smear[5 : 5 + side, 5 : 5 + side] = level
    PIL.Image.fromarray(smear).save(tmp_path / "a.png")
    row = Image(ImageId("a.png"), 100, 80, file="a.png")
    cells = (
        Cell(row.id, 3, "Other", Box(5, 5, 5 + side, 5 + side)),
        Cell(row.id, 4, "Other", Box(4, 4, 76, 76)),
    )
    result = checks.check(Dataset("x", NINE, (row,), cells, root=tmp_path))
    (finding,) = (each for each in result.findings if each.kind == "blank")
    assert (finding.severity, finding.cells) == ("warning", (("a.png", 3),))
