"""Boxes are drawn where the cells are, in their class's colour, and can be read."""

from __future__ import annotations

import numpy as np
import pytest

from pcm_leukemia import IGNORE, NINE, Box, Cell
from pcm_leukemia.baselines import pictures
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.pictures import Drawn
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import ImageId

COLOURS = pictures.colours(NINE.labels)


def white(width: int = 200, height: int = 100) -> Pixels:
    return np.full((height, width, 3), 255, np.uint8)


def where(pixels: Pixels, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """The box around everything of that colour: x1, y1, x2, y2."""
    rows, columns = np.nonzero((pixels == colour).all(-1))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_a_box_is_drawn_where_it_is_and_nothing_inside_it_is_changed() -> None:
    image = white()
    drawn = pictures.draw(image, [Drawn((60, 40, 120, 90), "", "Monocyte")], NINE.labels)
    assert image.min() == 255
    x1, _, x2, y2 = where(drawn, COLOURS["Monocyte"])
    assert (x1, x2, y2) == (60, 120, 90)
    assert tuple(drawn[60, 60]) == COLOURS["Monocyte"]
    assert drawn[42:88, 62:118].min() == 255
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8


def test_text_is_above_the_box_and_always_inside_the_image() -> None:
    font = 12
    below = pictures.draw(white(), [Drawn((60, 40, 120, 90), "Monocyte 0.95", "Monocyte")], NINE.labels)
    assert where(below, COLOURS["Monocyte"])[1] < 40 - font / 2
    text = below[25:40, 60:140]
    assert (text == COLOURS["Monocyte"]).all(-1).any()
    assert (text == 255).all(-1).any()
    for sides in ((0, 0, 30, 30), (180, 2, 200, 30), (-20, -20, 10, 10), (150, 80, 300, 300)):
        drawn = pictures.draw(white(), [Drawn(sides, "Myeloblast_AML 0.95", "Other")], NINE.labels)
        x1, y1, x2, y2 = where(drawn, COLOURS["Other"])
        # all of the letters: as wide as with room around it
        assert x2 - x1 >= 100
        assert x1 >= 0
        assert y1 >= 0
        assert x2 <= 200
        assert y2 <= 100


def test_a_later_box_is_on_top_and_texts_are_above_all_boxes() -> None:
    boxes = [Drawn((50, 50, 100, 90), "", "Other"), Drawn((50, 50, 100, 90), "", "Monocyte")]
    assert tuple(pictures.draw(white(), boxes, NINE.labels)[70, 50]) == COLOURS["Monocyte"]
    # the second box's line would go through the first one's text
    labelled = [Drawn((40, 50, 100, 90), "Other 0.90", "Other"), Drawn((60, 20, 70, 95), "", "Monocyte")]
    drawn = pictures.draw(white(), labelled, NINE.labels)
    alone = pictures.draw(white(), labelled[:1], NINE.labels)
    np.testing.assert_array_equal(drawn[37:48, 42:80], alone[37:48, 42:80])


def test_what_was_found() -> None:
    boxes = np.array([[1, 2, 30, 40], [5, 6, 7, 8], [9, 9, 10, 10]], np.float32)
    found = Detections(boxes, np.array([0.95, 0.5, 0.1], np.float32), np.array([5, 0, 1]))
    rows = pictures.of_found(found, NINE.labels)
    assert rows == [
        Drawn((5, 6, 7, 8), "Lymphocyte 0.50", "Lymphocyte"),
        Drawn((1, 2, 30, 40), "Monocyte 0.95", "Monocyte"),
    ]
    assert len(pictures.of_found(found, NINE.labels, threshold=0.05)) == 3


def test_annotated_cells_and_those_to_be_ignored() -> None:
    cells = [
        Cell(ImageId("a"), 0, IGNORE, Box(20, 40, 60, 80)),
        Cell(ImageId("a"), 1, "Basophil", Box(100, 40, 140, 80)),
    ]
    drawn = pictures.draw(white(), pictures.of_cells(cells), NINE.labels)
    assert tuple(drawn[60, 20]) == COLOURS[IGNORE]
    assert tuple(drawn[60, 100]) == COLOURS["Basophil"]


@pytest.mark.parametrize("count", [1, 2, 9, 14, 30])
def test_every_class_has_a_colour_of_its_own_that_white_letters_can_be_read_on(count: int) -> None:
    labels = tuple(f"class {number}" for number in range(count))
    given = pictures.colours(labels)
    assert len(set(given.values())) == count + 1
    for colour in given.values():
        linear = [((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
        light = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
        assert 1.05 / (light + 0.05) > 2.5  # contrast as WCAG counts it


def test_letters_that_the_font_lacks_are_no_error() -> None:
    drawn = pictures.draw(white(), [Drawn((60, 40, 120, 90), "白血病 0.95", "白血病")], ("白血病",))
    assert drawn.min() < 255
