"""Boxes are drawn where the cells are, in their class's colour, and their tags can be read and hide no cell."""

from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageFont
import pytest

from pcm_leukemia import IGNORE, Box, Cell
from pcm_leukemia.colours import CLASSES, IGNORED, of_label, rgb
from pcm_leukemia.drawing import Drawn, draw, of_cells, shortened
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import ImageId
from pcm_leukemia.shapes import Ellipse, Mask, Point, Polygon, RotatedBox, Shape

COLOURS = {label: rgb(colour) for label, colour in CLASSES.items()}
HOSTILE = (
    "x" * 200,
    "\u05d0\u05d1\u05d2 \u0627\u0628",
    "\U0001f9a0\U0001f469\u200d\U0001f52c",
    "a\nb\x00\u202e",
    "",
)


def white(width: int = 200, height: int = 100) -> Pixels:
    return np.full((height, width, 3), 255, np.uint8)


def drawn_on(image: Pixels, boxes: list[Drawn], width: int | None = None) -> Pixels:
    return np.asarray(draw(image, boxes, width=width))


def where(pixels: Pixels, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """The box around everything of that colour: x1, y1, x2, y2."""
    rows, columns = np.nonzero((pixels == colour).all(-1))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def shaped(shape: Shape) -> Drawn:
    """A basophil of this shape in an image of 200 x 100, without a tag."""
    around = shape.pixel(200, 100) if isinstance(shape, Point) else Box(*(shape.envelope() or ()))
    return of_cells([Cell(ImageId("a"), 0, "Basophil", around, shape=shape)])[0]._replace(text="")


def test_a_box_is_drawn_where_it_is_and_nothing_inside_it_is_changed() -> None:
    image = white()
    drawn = drawn_on(image, [Drawn((60, 40, 120, 90), "", "Monocyte")])
    assert image.min() == 255
    x1, _, x2, y2 = where(drawn, COLOURS["Monocyte"])
    assert (x1, x2, y2) == (60, 120, 90)
    assert tuple(drawn[60, 60]) == COLOURS["Monocyte"]
    assert drawn[42:88, 62:118].min() == 255
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8


def test_a_line_has_a_white_casing_on_dark_cells() -> None:
    drawn = drawn_on(np.full((100, 200, 3), 40, np.uint8), [Drawn((60, 40, 120, 90), "", "Monocyte")])
    across = [drawn[60, column].tolist() for column in (58, 59, 60)]
    assert across == [[40] * 3, [255] * 3, list(COLOURS["Monocyte"])]


def test_text_is_above_the_box_and_always_inside_the_image() -> None:
    font = 12
    below = drawn_on(white(), [Drawn((60, 40, 120, 90), "Monocyte 0.95", "Monocyte")])
    assert where(below, COLOURS["Monocyte"])[1] < 40 - font / 2
    text = below[25:40, 60:140]
    assert (text == COLOURS["Monocyte"]).all(-1).any()
    assert (text == 255).all(-1).any()
    for sides in ((0, 0, 30, 30), (180, 2, 200, 30), (-20, -20, 10, 10), (150, 80, 300, 300)):
        drawn = drawn_on(white(), [Drawn(sides, "Myeloblast_AML 0.95", "Other")])
        x1, y1, x2, y2 = where(drawn, COLOURS["Other"])
        # all of the letters: as wide as with room around it
        assert x2 - x1 >= 100
        assert x1 >= 0
        assert y1 >= 0
        assert x2 <= 200
        assert y2 <= 100


def test_a_later_box_is_on_top_and_texts_are_above_all_boxes() -> None:
    boxes = [Drawn((50, 50, 100, 90), "", "Other"), Drawn((50, 50, 100, 90), "", "Monocyte")]
    assert tuple(drawn_on(white(), boxes)[70, 50]) == COLOURS["Monocyte"]
    # the second box's line would go through the first one's text
    labelled = [Drawn((40, 50, 100, 90), "Other 0.90", "Other"), Drawn((60, 20, 70, 95), "", "Monocyte")]
    drawn = drawn_on(white(), labelled)
    alone = drawn_on(white(), labelled[:1])
    np.testing.assert_array_equal(drawn[38:48, 42:80], alone[38:48, 42:80])


def test_annotated_cells_and_those_to_be_ignored() -> None:
    cells = [
        Cell(ImageId("a"), 0, IGNORE, Box(20, 40, 60, 80)),
        Cell(ImageId("a"), 1, "Basophil", Box(100, 40, 140, 80)),
    ]
    drawn = drawn_on(white(), of_cells(cells))
    assert tuple(drawn[60, 20]) == rgb(IGNORED)
    assert tuple(drawn[60, 100]) == COLOURS["Basophil"]


def test_outlines_are_drawn_in_place_of_the_boxes_around_them() -> None:
    colour = COLOURS["Basophil"]
    for shape in (RotatedBox(60, 40, 120, 60, 45), Polygon(((90, 20), (120, 50), (90, 80), (60, 50)))):
        drawn = drawn_on(white(), [shaped(shape)])
        x1, y1, x2, y2 = shape.envelope()
        assert np.allclose(where(drawn, colour), (x1, y1, x2, y2), atol=3)
        corners = drawn[int(y1) + 1, int(x1) + 1], drawn[int(y2) - 2, int(x2) - 2]
        assert all(tuple(corner) != colour for corner in corners)
        assert drawn[50, 90].min() == 255
    ellipse = drawn_on(white(), [shaped(Ellipse(100, 50, 40, 20))])
    assert np.allclose(where(ellipse, colour), (60, 30, 140, 70), atol=2)
    assert ellipse[50, 100].min() == 255


def test_an_outline_that_leaves_the_image_is_not_closed_at_its_border() -> None:
    far = Polygon(((-1e6, 20), (150, 20), (150, 1e6)))
    drawn = drawn_on(white(), [shaped(far)])
    assert where(drawn, COLOURS["Basophil"]) == (0, 20, 150, 100)
    assert drawn[23:, 0:147].min() == 255


def test_a_mask_has_its_rim_drawn() -> None:
    disc = np.hypot(*np.mgrid[-20:20, -20:20] + 0.5) < 20
    changes = np.flatnonzero(np.diff(disc.ravel(), prepend=False))
    mask = Mask(80, 30, 40, 40, tuple(np.diff(changes, prepend=0, append=disc.size).tolist()))
    assert (mask.array() == disc).all()
    drawn = drawn_on(white(), [shaped(mask)])
    assert np.allclose(where(drawn, COLOURS["Basophil"]), (80, 30, 120, 70), atol=1)
    assert drawn[50, 100].min() == 255
    assert tuple(drawn[31, 81]) != COLOURS["Basophil"]


def test_a_point_is_a_dot_that_its_tag_does_not_hide() -> None:
    drawn = drawn_on(white(), [shaped(Point(100, 50))])
    assert tuple(drawn[50, 100]) == COLOURS["Basophil"]
    assert where(drawn, COLOURS["Basophil"]) == (96, 46, 105, 55)
    tagged = drawn_on(white(), [shaped(Point(100, 50))._replace(text="Basophil")])
    np.testing.assert_array_equal(tagged[46:55, 96:105], drawn[46:55, 96:105])


def test_a_frame_is_shrunk_before_it_is_drawn_on() -> None:
    drawn = drawn_on(white(800, 400), [Drawn((240, 160, 480, 360), "Monocyte", "Monocyte")], width=200)
    # the letters are as large as on a small frame, and the line is as thick
    same = drawn_on(white(), [Drawn((60, 40, 120, 90), "Monocyte", "Monocyte")])
    np.testing.assert_array_equal(drawn, same)
    assert draw(white(), [], width=4000).size == (200, 100)
    with pytest.raises(ValueError, match="width 0: must be 1 or more pixels"):
        draw(white(), [], width=0)


@pytest.mark.parametrize("size", [(1920, 1080), (400, 300), (200, 150)])
def test_tags_never_hide_most_of_a_cell(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    boxes = []
    for x, y, share in rng.uniform((0, 0, 0.02), (0.9, 0.9, 0.15), (40, 3)):
        x1, y1, side = x * size[0], y * size[1], share * size[0]
        boxes.append(Drawn((x1, y1, x1 + side, y1 + side), "Myeloblast_AML", "Myeloblast_AML"))
    untagged = drawn_on(white(*size), [box._replace(text="") for box in boxes])
    hidden = (drawn_on(white(*size), boxes) != untagged).any(-1)
    assert hidden.any()
    for drawn in boxes:
        x1, y1, x2, y2 = (round(side) for side in drawn.sides)
        assert hidden[y1:y2, x1:x2].mean() < 0.6


def test_a_tag_goes_beside_the_middle_where_all_corners_are_taken() -> None:
    small = [
        (105, 88, 111, 94),
        (105, 136, 111, 142),
        (86, 112, 92, 118),
        (146, 100, 150, 105),
        (146, 125, 150, 130),
    ]
    neighbours = [Drawn(sides, "", "Other") for sides in small]
    untagged = drawn_on(white(400, 300), [Drawn((100, 100, 140, 130), "", "Monocyte"), *neighbours])
    drawn = drawn_on(white(400, 300), [Drawn((100, 100, 140, 130), "Monocyte", "Monocyte"), *neighbours])
    rows, columns = (drawn != untagged).any(-1).nonzero()
    assert columns.min() >= 139
    assert (rows.min() + rows.max()) / 2 == pytest.approx(114.5, abs=1.5)


def test_a_tag_never_hides_its_own_cell_even_in_the_smallest_frame() -> None:
    drawn = drawn_on(white(40, 24), [Drawn((0, 0, 40, 24), "Lymphoblast", "Other")])
    assert (drawn[2:22, 2:38] == 255).all(-1).mean() > 0.4
    tiny = drawn_on(white(9, 7), [Drawn((2, 2, 6, 5), "Lymphoblast", "Other")])
    assert tuple(tiny[2, 2]) == COLOURS["Other"]


@pytest.mark.parametrize("label", HOSTILE)
@pytest.mark.parametrize("size", [(400, 300), (30, 20), (1, 1)])
def test_no_label_is_an_error(label: str, size: tuple[int, int]) -> None:
    sides = (0.2 * size[0], 0.4 * size[1], 0.6 * size[0] + 1, 0.8 * size[1] + 1)
    drawn = drawn_on(white(*size), [Drawn(sides, label, label)])
    assert drawn.shape == (size[1], size[0], 3)
    if size[0] == 400:
        assert tuple(drawn[180, 80]) == rgb(of_label(label))


def test_letters_that_the_font_lacks_are_no_error() -> None:
    drawn = drawn_on(white(), [Drawn((60, 40, 120, 90), "白血病 0.95", "白血病")])
    assert drawn.min() < 255


def test_text_is_dark_on_bright_colours_and_bright_on_dark_ones() -> None:
    for label, ink in (("Lymphocyte", 0), ("Basophil", 255)):
        drawn = drawn_on(white() // 2, [Drawn((60, 40, 120, 90), label, label)])
        tag = drawn[26:39, 61:110].reshape(-1, 3).tolist()
        assert [ink] * 3 in tag
        assert [255 - ink] * 3 not in tag


def test_the_image_is_left_as_it_is() -> None:
    image = white()
    image.flags.writeable = False
    assert isinstance(draw(image, [Drawn((0, 0, 9, 9), "a", "a")]), PIL.Image.Image)
    assert image.min() == 255


def test_long_names_are_shortened_in_the_middle() -> None:
    font = PIL.ImageFont.load_default(14)
    name = f"Station 7/{'x' * 200}/0001.png"
    for width in (60, 200, 470):
        short = shortened(name, width, font)
        assert font.getlength(short) <= width
        assert short.startswith("Sta")
        assert short.endswith("png")
    assert shortened("急性白血病.png", 470, font) == "?????.png"
    assert shortened("two\nlines", 470, font) == "two lines"
