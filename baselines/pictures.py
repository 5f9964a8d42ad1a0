"""Pictures of cells: their boxes, with labels and scores, drawn onto the image."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import IGNORE, Cell

__all__ = ["Drawn", "colours", "draw", "of_cells", "of_found"]

_COLOURS = ("#1f4fff", "#00a34a", "#e6194b", "#f58231", "#911eb4", "#008080", "#c2185b", "#7a4a00", "#555555")
_IGNORED = "#8a8a8a"
Colour = tuple[int, int, int]


class Drawn(NamedTuple):
    """A box to draw, ``(x1, y1, x2, y2)`` in pixels of the image, its text, and the label that sets its colour."""

    sides: tuple[float, float, float, float]
    text: str
    label: str


def of_found(found: Detections, labels: Sequence[str], threshold: float = 0.25) -> list[Drawn]:
    """The detections with a score of `threshold` or more, the best last so that it is drawn on top.

    Examples
    --------
    >>> box = np.array([[10, 20, 30, 40]], np.float32)
    >>> of_found(Detections(box, np.array([0.875], np.float32), np.array([1])), ("WBC", "Other"))
    [Drawn(sides=(10.0, 20.0, 30.0, 40.0), text='Other 0.88', label='Other')]
    """
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    kept = [
        Drawn((x1, y1, x2, y2), f"{labels[label]} {score:.2f}", labels[label])
        for (x1, y1, x2, y2), score, label in rows
        if score >= threshold
    ]
    return kept[::-1]


def of_cells(cells: Iterable[Cell]) -> list[Drawn]:
    """Annotated cells as upright boxes.

    Examples
    --------
    >>> from pcm_leukemia import Box
    >>> from pcm_leukemia.schema import ImageId
    >>> of_cells([Cell(ImageId("a"), 0, "Monocyte", Box(1, 2, 3, 4))])
    [Drawn(sides=(1.0, 2.0, 3.0, 4.0), text='Monocyte', label='Monocyte')]
    """
    return [Drawn((c.box.x1, c.box.y1, c.box.x2, c.box.y2), c.label, c.label) for c in cells]


def draw(pixels: Pixels, boxes: Iterable[Drawn], labels: Sequence[str]) -> Pixels:
    """Draw boxes onto a copy of the image, with their text above each box, or inside it if there is no room.

    Parameters
    ----------
    pixels
        RGB, uint8, ``(height, width, 3)``.
    boxes
        The boxes from `of_found` or `of_cells`; later ones are on top.
    labels
        All classes, in order: each has the same colour in every image.

    Examples
    --------
    >>> image = np.full((60, 100, 3), 255, np.uint8)
    >>> drawn = draw(image, [Drawn((20, 20, 60, 50), "WBC 0.90", "WBC")], ("WBC", "Other"))
    >>> tuple(drawn[35, 20].tolist()) == colours(("WBC", "Other"))["WBC"], int(image.min())
    (True, 255)
    """
    picture = PIL.Image.fromarray(pixels).copy()
    pen = PIL.ImageDraw.Draw(picture)
    width, height = picture.size
    line = max(round(max(width, height) / 500), 2)
    font = PIL.ImageFont.load_default(max(round(max(width, height) / 75), 10))
    colour_of = colours(labels)
    texts = []
    for (x1, y1, x2, y2), text, label in boxes:
        colour = colour_of.get(label, colour_of[IGNORE])
        left, top = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
        right, bottom = max(min(x2, width) - 1, left), max(min(y2, height) - 1, top)
        pen.rectangle((left, top, right, bottom), outline=colour, width=line)
        texts.append(((left, top), text, colour))
    for corner, text, colour in texts:  # texts last, so that no line crosses them
        _write(pen, corner, text, colour, font, (width, height))
    return np.asarray(picture)


def colours(labels: Sequence[str]) -> dict[str, Colour]:
    """The colour of each class and of ignored cells, dark enough for white letters.

    Examples
    --------
    >>> colours(("WBC", "Other"))["WBC"]
    (31, 79, 255)
    """
    given = [_rgb(colour) for colour in _COLOURS[: len(labels)]]
    more = len(labels) - len(given)
    given += [_hue(number / more) for number in range(more)]
    return {**dict(zip(labels, given, strict=True)), IGNORE: _rgb(_IGNORED)}


def _write(
    pen: PIL.ImageDraw.ImageDraw,
    corner: tuple[float, float],
    text: str,
    colour: Colour,
    font: PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    """White letters on the colour, fully inside the image if it is large enough."""
    # Pillow's font has only Latin-1
    plain = text.encode("latin-1", "replace").decode("latin-1")
    _, _, wide, high = pen.textbbox((0, 0), plain, font=font)
    wide, high = wide + 4, high + 4
    left = max(min(corner[0], size[0] - wide), 0)
    top = corner[1] - high if corner[1] >= high else corner[1]
    pen.rectangle((left, top, left + wide - 1, top + high - 1), fill=colour)
    pen.text((left + 2, top + 1), plain, "white", font)


def _rgb(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def _hue(hue: float) -> Colour:
    red, green, blue = (round(255 * each) for each in colorsys.hsv_to_rgb(hue, 0.9, 0.65))
    return red, green, blue
