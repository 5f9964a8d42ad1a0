"""Puts a tag beside each outline, where it hides the least, and lines of text below a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from pcm_leukemia.colours import text_on

__all__ = ["Font", "Rectangle", "Tag", "fitting", "font_for", "legend", "shortened", "write_tags"]

Rectangle: TypeAlias = tuple[float, float, float, float]
"""``(x1, y1, x2, y2)`` in pixels of the picture."""
Font: TypeAlias = PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont
Rectangles: TypeAlias = npt.NDArray[np.float64]
"""``(n, 4)``"""

_SMALLEST = 11
"""The size of the smallest letters, in pixels."""
_HIDDEN = 0.25
"""The share of a cell that tags may hide before another place is looked for."""
_MOST_HIDDEN = 0.5
"""The share of a cell that tags may hide; one that would hide more is left out."""


class Tag(NamedTuple):
    """The rectangle around an outline, and the text and colour of its tag."""

    place: Rectangle
    text: str
    colour: str


def font_for(size: tuple[int, int]) -> PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont:
    """The font for a picture of this width and height."""
    return PIL.ImageFont.load_default(max(round(max(size) / 75), _SMALLEST))


def shortened(text: str, width: float, font: Font) -> str:
    r"""A text on one line of at most `width` pixels, with its middle left out, in characters that the font has.

    Examples
    --------
    >>> font = PIL.ImageFont.load_default(14)
    >>> shortened("train/P001/smear-0001.png", 100, font), shortened("a\nb.png", 100, font)
    ('train/...01.png', 'a b.png')
    """
    line = "".join(each if each.isprintable() else " " for each in text)
    return fitting(line.encode("latin-1", "replace").decode("latin-1"), width, font)


def fitting(line: str, width: float, font: Font) -> str:
    """A line of at most `width` pixels, with its middle left out if need be."""
    kept, found = len(line), line
    if kept > width:  # no letter is as narrow as a pixel
        kept = max(int(width), 2)
        found = f"{line[: (kept + 1) // 2]}...{line[-(kept // 2) :]}"
    while kept > 2 and font.getlength(found) > width:
        kept -= 1
        found = f"{line[: (kept + 1) // 2]}...{line[-(kept // 2) :]}"
    return found


def write_tags(picture: PIL.Image.Image, tags: Sequence[Tag], font: Font) -> None:
    """Write the tags inside the picture, so that they never hide most of a cell."""
    pen = PIL.ImageDraw.Draw(picture)
    room = min(max(0.4 * picture.width, 12 * font.size), picture.width - 4)  # type: ignore[union-attr]
    cells = np.array([tag.place for tag in tags], np.float64).reshape(-1, 4)
    hidden, taken = np.zeros(len(cells)), np.empty((0, 4))
    for tag in tags:
        if not tag.text:
            continue
        text = shortened(tag.text, room, font)
        _, _, wide, high = pen.textbbox((0, 0), text, font=font)
        corners = _corners(tag.place, (wide + 4, high + 4), picture.size)
        hides = _overlap(corners, cells) / np.maximum(_area(cells), 1)
        best = _cheapest(corners, np.where(hides > 0, hidden + hides, 0), taken)
        if best is not None:
            hidden, taken = hidden + hides[best], np.vstack((taken, corners[best]))
            _write(pen, corners[best].tolist(), text, tag.colour, font)


def legend(lines: Iterable[tuple[str, int, str]], width: int) -> PIL.Image.Image:
    """A strip, `width` pixels wide, of boxes (their colour and the width of their line) and what they mean."""
    given = list(lines)
    font = font_for((width, 1))
    high = round(1.5 * font.size)  # type: ignore[union-attr]
    strip = PIL.Image.new("RGB", (width, high * len(given) + 8), "white")
    pen = PIL.ImageDraw.Draw(strip)
    for number, (colour, line, text) in enumerate(given):
        top = 4 + number * high
        pen.rectangle((4, top + 2, 4 + 2 * high, top + high - 3), outline=colour, width=line)
        pen.text((2 * high + 12, top), shortened(text, width - 2 * high - 16, font), "black", font)
    return strip


def _corners(cell: Rectangle, tag: tuple[float, float], size: tuple[int, int]) -> Rectangles:
    """The places that a tag of this width and height can have, from the first choice (above its cell) to the last."""
    (x1, y1, x2, y2), (wide, high) = cell, tag
    x, y = (x1 + x2 - wide) / 2, (y1 + y2 - high) / 2
    choices = [
        *((x1, y1 - high), (x2 - wide, y1 - high), (x1, y2), (x2 - wide, y2)),
        *((x2, y1), (x1 - wide, y1), (x1, y1), (x1, y2 - high)),
        *((x, y1 - high), (x, y2), (x2, y), (x1 - wide, y), (x2, y2 - high), (x1 - wide, y2 - high)),
    ]
    inside = np.clip(choices, 0, np.maximum(np.subtract(size, tag), 0)).round()
    return np.hstack((inside, inside + tag))


def _cheapest(places: Rectangles, hides: Rectangles, taken: Rectangles) -> int | None:
    """The place where a tag hides and crosses the least; None if it would hide too much everywhere.

    `hides` is the share of each cell that is hidden then, ``(places, cells)``; 0 if this tag hides nothing of it.
    """
    most = hides.max(1)
    crossed = _overlap(places, taken).sum(1) / _area(places)
    costs = 4 * crossed + 4 * np.maximum(most - _HIDDEN, 0) + 0.05 * np.arange(len(places))
    costs[most > _MOST_HIDDEN] = np.inf
    best = int(costs.argmin())
    return None if costs[best] == np.inf else best


def _overlap(ones: Rectangles, others: Rectangles) -> Rectangles:
    """The common area of each pair, ``(len(ones), len(others))``, in square pixels."""
    low = np.maximum(ones[:, None, :2], others[None, :, :2])
    high = np.minimum(ones[:, None, 2:], others[None, :, 2:])
    sides: Rectangles = np.maximum(high - low, 0)
    return sides[..., 0] * sides[..., 1]


def _area(rectangles: Rectangles) -> Rectangles:
    sides: Rectangles = rectangles[:, 2:] - rectangles[:, :2]
    return sides[:, 0] * sides[:, 1]


def _write(pen: PIL.ImageDraw.ImageDraw, place: Sequence[float], text: str, colour: str, font: Font) -> None:
    left, top, right, bottom = place
    pen.rectangle((left, top, right - 1, bottom - 1), fill=colour)
    pen.text((left + 2, top + 1), text, text_on(colour), font)
