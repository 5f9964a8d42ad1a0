"""Draws the outlines of cells and their tags onto an image."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import PIL.Image
import PIL.ImageChops
import PIL.ImageDraw
import PIL.ImageFilter
import PIL.ImageFont
import PIL.ImageOps

from pcm_leukemia.colours import of_label, rgb
from pcm_leukemia.drawing.tags import Rectangle, Tag, font_for, write_tags
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import Cell
from pcm_leukemia.shapes import Ellipse, Mask, Point, Polygon, RotatedBox, Shape

__all__ = ["Drawn", "draw", "of_cells"]

_CASING = "#ffffff"
"""The colour around each line, so that it is seen on dark cells, too."""


class Drawn(NamedTuple):
    """A box to draw, ``(x1, y1, x2, y2)`` in pixels of the image, its text, and the label that sets its colour.

    A shape is drawn in place of the box. `colour` replaces the label's, and a thin line marks what matters less.
    """

    sides: tuple[float, float, float, float]
    text: str
    label: str
    shape: Shape | None = None
    colour: str | None = None
    thin: bool = False


def of_cells(cells: Iterable[Cell]) -> list[Drawn]:
    """Annotated cells with their outlines.

    Examples
    --------
    >>> from pcm_leukemia import Box
    >>> from pcm_leukemia.schema import ImageId
    >>> (drawn,) = of_cells([Cell(ImageId("a"), 0, "Monocyte", Box(1, 2, 3, 4))])
    >>> drawn.sides, drawn.text, drawn.label
    ((1.0, 2.0, 3.0, 4.0), 'Monocyte', 'Monocyte')
    """
    return [
        Drawn((c.box.x1, c.box.y1, c.box.x2, c.box.y2), c.written_label, c.written_label, c.shape)
        for c in cells
    ]


def draw(
    pixels: Pixels,
    boxes: Iterable[Drawn],
    *,
    width: int | None = None,
    enlarge: bool = False,
    font: PIL.ImageFont.FreeTypeFont | None = None,
) -> PIL.Image.Image:
    """Draw boxes onto a copy of the image, each with its text beside it.

    Parameters
    ----------
    pixels
        RGB, uint8, ``(height, width, 3)``.
    boxes
        The boxes; later ones are on top.
    width
        Shrink the image to this width in pixels before drawing, if it is wider.
    enlarge
        Enlarge it to this width, too, if it is narrower.
    font
        The font of the texts, to whose size lines are as wide as suits; by default one that suits the picture's size.

    Raises
    ------
    ValueError
        If `width` is not 1 or more.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.full((60, 100, 3), 255, np.uint8)
    >>> drawn = draw(image, [Drawn((20, 20, 60, 50), "Monocyte 0.90", "Monocyte")])
    >>> drawn.getpixel((20, 35)) == rgb(of_label("Monocyte")), int(image.min())
    (True, 255)
    """
    if width is not None and width < 1:
        raise ValueError(f"width {width}: must be 1 or more pixels")
    picture = PIL.Image.fromarray(pixels).copy()
    scale = 1.0
    if width is not None and (enlarge or width < picture.width):
        scale = width / picture.width
        height = max(round(picture.height * scale), 1)
        picture = picture.resize((width, height), PIL.Image.Resampling.LANCZOS)
    line = max(round(max(picture.size) / 500 if font is None else 0.15 * font.size), 2)
    tags = []
    for drawn in boxes:
        colour = drawn.colour or of_label(drawn.label)
        place = _outline(picture, drawn, colour, scale, max(line // 2, 1) if drawn.thin else line)
        tags.append(Tag(place, drawn.text, colour))
    write_tags(picture, tags, font or font_for(picture.size))  # last, so that no line crosses them
    return picture


def _outline(picture: PIL.Image.Image, drawn: Drawn, colour: str, scale: float, line: int) -> Rectangle:
    """Draw one outline; returns the rectangle around it inside the picture, in its pixels."""
    pen = PIL.ImageDraw.Draw(picture)
    x1, y1, x2, y2 = (round(scale * side) for side in drawn.sides)
    left, top = min(max(x1, 0), picture.width - 1), min(max(y1, 0), picture.height - 1)
    right, bottom = max(min(x2, picture.width) - 1, left), max(min(y2, picture.height) - 1, top)
    shape = drawn.shape
    if shape is None:
        pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_CASING)
        pen.rectangle((left, top, right, bottom), outline=colour, width=line)
    elif isinstance(shape, Point):
        x, y, radius = scale * shape.x, scale * shape.y, 2 * line
        pen.circle((x, y), radius + 1, fill=_CASING)
        pen.circle((x, y), radius, fill=colour)
        return max(x - radius, 0), max(y - radius, 0), x + radius + 1, y + radius + 1
    else:
        _outline_shape(picture, shape, colour, scale, line)
    return left, top, right + 1, bottom + 1


def _outline_shape(
    picture: PIL.Image.Image,
    shape: Mask | RotatedBox | Polygon | Ellipse,
    colour: str,
    scale: float,
    line: int,
) -> None:
    """Draw the rim of a shape, as wide on slopes as on straight sides."""
    if isinstance(shape, Mask):
        corner = round(scale * shape.left), round(scale * shape.top)
        size = max(round(scale * shape.width), 1), max(round(scale * shape.height), 1)
        inside = PIL.Image.fromarray(shape.array().astype("uint8") * 255).resize(size)
    else:
        x1, y1, x2, y2 = (scale * side for side in shape.envelope())
        beyond = 2 * line + 2  # where the rim of what goes on outside the picture is not seen
        corner = max(math.floor(x1), -beyond), max(math.floor(y1), -beyond)
        right, bottom = min(x2, picture.width + beyond), min(y2, picture.height + beyond)
        size = max(math.ceil(right) - corner[0], 1), max(math.ceil(bottom) - corner[1], 1)
        inside = PIL.Image.new("L", size)
        points = [(scale * x - corner[0], scale * y - corner[1]) for x, y in shape.polygon()]
        PIL.ImageDraw.Draw(inside).polygon(points, fill=255)
    whole = PIL.ImageOps.expand(inside, line + 1)
    core = whole
    for _ in range(line):
        core = core.filter(PIL.ImageFilter.MinFilter(3))
    for outside, paint in ((whole.filter(PIL.ImageFilter.MaxFilter(3)), _CASING), (whole, colour)):
        rim = PIL.ImageChops.subtract(outside, core)
        picture.paste(rgb(paint), (corner[0] - line - 1, corner[1] - line - 1), rim)
