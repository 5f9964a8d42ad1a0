"""Draws what a finding is about: images and cells side by side, their boxes, and captions with what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from pcm_leukemia.checks.findings import Finding
from pcm_leukemia.colours import FOUND, MISSED
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.drawing import shortened
from pcm_leukemia.errors import PcmError
from pcm_leukemia.images import Files, Pixels, crop_corners, load
from pcm_leukemia.schema import Cell, Image, ImageId
from pcm_leukemia.shapes import Box

__all__ = [
    "FIRST",
    "LINE",
    "MOST",
    "PICTURED",
    "SECOND",
    "SIDE",
    "Line",
    "Outline",
    "Shown",
    "Tile",
    "draw",
    "shown",
    "tiles_of",
]

PICTURED = frozenset(
    {
        *("patient-in-two-parts", "group-in-two-parts", "patient-spelled-twice", "changed-file", "blank"),
        *("same-pixels", "near-duplicate", "cell-again", "image-is-cell", "cell-twice", "unusual-box"),
    }
)
"""The kinds of findings that a picture helps to judge."""

MOST = 4
"""At most this many images or cells of one finding are shown."""
SIDE = 480
"""The width and height of each tile, in pixels."""
GAP = 8
DASH = 12
LINE = 18
"""The height of a line of a caption, in pixels."""
MARGIN = 50
"""Pixels of the image that are shown around a cell's box."""
FIRST, SECOND = FOUND, MISSED
"""The colours of a box, and of one to compare it with."""


class Line(NamedTuple):
    """A line of a caption; with a colour it explains a box that is drawn in it."""

    text: str
    colour: str = ""
    dashed: bool = False


class Outline(NamedTuple):
    """A box to draw, and its line."""

    box: Box
    colour: str = FIRST
    dashed: bool = False


@dataclass(frozen=True)
class Tile:
    """An image, or as much of it as is around some of its cells, with boxes to draw on it and a caption."""

    image: Image
    caption: tuple[Line, ...]
    outlines: tuple[Outline, ...]
    whole: bool

    def draw(self, pixels: Pixels, side: int = SIDE) -> PIL.Image.Image:
        """Draw the tile; its longer side gets `side` pixels.

        Parameters
        ----------
        pixels
            Those of the image, RGB, uint8, ``(height, width, 3)``.
        side
            The size of the picture, in pixels.
        """
        picture = PIL.Image.fromarray(pixels)
        around = Box(0, 0, *picture.size) if self.whole else _around([each.box for each in self.outlines])
        left, top, right, bottom = crop_corners(around, 0 if self.whole else MARGIN, *picture.size)
        scale = side / max(right - left, bottom - top)
        size = max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1)
        tile = picture.crop((left, top, right, bottom)).resize(size, PIL.Image.Resampling.BILINEAR)
        pen = PIL.ImageDraw.Draw(tile)
        for box, colour, dashed in self.outlines:
            x1, y1, x2, y2 = ((box.x1 - left), (box.y1 - top), (box.x2 - left), (box.y2 - top))
            corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
            for start, end in pairwise(corners):
                ends = (round(scale * each) for each in (*start, *end))
                _stroke(pen, *ends, colour=colour, dashed=dashed)
        return tile


@dataclass(frozen=True)
class Shown:
    """An image, or some of its cells, as one tile of a picture; `measured` is what the finding measured of it."""

    image: Image
    cells: tuple[Cell, ...] = ()
    measured: str = ""


def shown(finding: Finding, ds: Dataset) -> list[Shown]:
    """Everything that a finding concerns, each as a tile: its cells, and images of which it names no cell.

    The two boxes of a cell that is annotated twice are one tile.
    """
    concerned = finding.cells or finding.images
    measured = dict(zip(concerned, finding.measured or ("",) * len(concerned), strict=True))
    named: dict[ImageId, list[Cell]] = {image: [] for image in finding.images}
    numbers = set(finding.cells)
    for name, cells in named.items():
        cells += [cell for cell in ds.cells_of(name) if (name, cell.id) in numbers]
    found: list[Shown] = []
    for name, cells in named.items():
        image = ds.image(name)
        if finding.kind == "cell-twice":
            found.append(Shown(image, tuple(cells), measured[name, cells[0].id]))
        elif cells:
            found += [Shown(image, (cell,), measured[name, cell.id]) for cell in cells]
        else:
            found.append(Shown(image, (), measured.get(name, "")))
    return found


def tiles_of(finding: Finding, ds: Dataset, medians: Mapping[str, tuple[float, float]]) -> list[Tile]:
    """The images or cells of a finding, each with its boxes and its caption, to be drawn; at most `MOST`.

    Parameters
    ----------
    finding
        The finding, of a kind in `PICTURED`.
    ds
        The data set.
    medians
        The median width and height of the boxes of each class, in pixels, drawn beside an unusual box.

    Examples
    --------
    >>> from pcm_leukemia import NINE, checks
    >>> cells = [Cell(ImageId("a.jpg"), number, "Monocyte", Box(10, 10, 60, 60)) for number in (0, 1)]
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.jpg"), 200, 100),), tuple(cells))
    >>> (tile,) = tiles_of(checks.check(ds).findings[0], ds, checks.median_sides(ds))
    >>> [line.text for line in tile.caption][1:3]
    ['cell 0: Monocyte, 50 x 50 px', 'cell 1: Monocyte, 50 x 50 px']
    """
    return [_explained(each, finding, ds, medians) for each in _spread(shown(finding, ds), ds)]


def draw(
    finding: Finding, ds: Dataset, files: Files, medians: Mapping[str, tuple[float, float]]
) -> PIL.Image.Image | None:
    """Draw the images or cells of a finding side by side, with a caption above each; None if no image can be read.

    Parameters
    ----------
    finding
        The finding, of a kind in `PICTURED`.
    ds, files
        The data set, and its files.
    medians
        The median width and height of the boxes of each class, in pixels, drawn beside an unusual box.
    """
    tiles: list[tuple[PIL.Image.Image | None, Sequence[Line]]] = []
    for each in tiles_of(finding, ds, medians):
        try:
            tiles.append((each.draw(load(files, each.image)), each.caption))
        except PcmError:
            tiles.append((None, [each.caption[0], Line("cannot be read")]))
    if all(tile is None for tile, _ in tiles):
        return None
    above = LINE * max(len(lines) for _, lines in tiles) + 6
    height = max(tile.height for tile, _ in tiles if tile is not None)
    sheet = PIL.Image.new("RGB", (len(tiles) * (SIDE + GAP) - GAP, above + height), "white")
    for column, (tile, lines) in enumerate(tiles):
        left = column * (SIDE + GAP)
        if tile is not None:
            sheet.paste(tile, (left, above))
        _write(sheet, left, lines)
    return sheet


def _spread(tiles: Sequence[Shown], ds: Dataset) -> list[Shown]:
    """Up to `MOST` tiles, from as many parts and patients as possible, those of one patient side by side."""
    by_origin: dict[tuple[str, str | None], list[int]] = {}
    for number, each in enumerate(tiles):
        by_origin.setdefault((_part(each.image, ds), each.image.patient), []).append(number)
    rank = {number: place for members in by_origin.values() for place, number in enumerate(members)}
    chosen = sorted(rank, key=lambda number: (rank[number], number))[:MOST]
    return [tiles[number] for members in by_origin.values() for number in members if number in chosen]


def _part(image: Image, ds: Dataset) -> str:
    return ds.split.part_of.get(image.id, "no part") if ds.split else "no split"


def _explained(
    each: Shown, finding: Finding, ds: Dataset, medians: Mapping[str, tuple[float, float]]
) -> Tile:
    """A tile with its boxes and its caption."""
    outlines, lines = [], [Line(each.image.id)]
    for cell, (colour, dashed) in zip(each.cells, ((FIRST, False), (SECOND, True)), strict=False):
        outlines.append(Outline(cell.box, colour, dashed))
        text = f"cell {cell.id}: {_short(cell.written_label)}"
        if finding.kind in ("cell-twice", "unusual-box"):
            text += f", {cell.box.width:.0f} x {cell.box.height:.0f} px"
        lines.append(Line(text, colour, dashed))
    if finding.kind == "unusual-box":
        label = each.cells[0].label
        outlines.append(Outline(_resized(each.cells[0].box, *medians[label]), SECOND, dashed=True))
        text = "the median {} is {:.0f} x {:.0f} px".format(_short(label), *medians[label])
        lines.append(Line(text, SECOND, dashed=True))
    if finding.kind == "changed-file":
        outlines += [Outline(cell.box) for cell in ds.cells_of(each.image)]
        lines.append(Line("the boxes that were drawn on the imported file", FIRST))
    if each.measured:
        lines.append(Line(each.measured))
    lines.append(Line(f"{_part(each.image, ds)}, patient {_short(each.image.patient or 'unknown')}"))
    return Tile(each.image, tuple(lines), tuple(outlines), whole=not each.cells)


def _resized(box: Box, width: float, height: float) -> Box:
    """A box of another size about the same centre."""
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _around(boxes: Sequence[Box]) -> Box:
    return Box(
        min(box.x1 for box in boxes),
        min(box.y1 for box in boxes),
        max(box.x2 for box in boxes),
        max(box.y2 for box in boxes),
    )


def _stroke(
    pen: PIL.ImageDraw.ImageDraw,
    x1: int,
    y1: int,
    x2: int,
    y2: int,
    *,
    colour: str,
    dashed: bool,
) -> None:
    """A line across or down, in pixels of the tile; between its dashes, what is below it stays visible."""
    length = max(abs(x2 - x1), abs(y2 - y1))
    step = DASH if dashed else max(length, 1)
    for start in range(0, max(length, 1), 2 * step):
        a, b = start / max(length, 1), min(start + step, length) / max(length, 1)
        ends = [(x1 + (x2 - x1) * part, y1 + (y2 - y1) * part) for part in (a, b)]
        pen.line(ends, fill=colour, width=3)


def _write(sheet: PIL.Image.Image, left: int, lines: Sequence[Line]) -> None:
    """A caption at the top of the sheet, in the width of one tile."""
    pen, font = PIL.ImageDraw.Draw(sheet), PIL.ImageFont.load_default(14)
    for number, (text, colour, dashed) in enumerate(lines):
        top, indent = 2 + LINE * number, 0
        if colour:
            indent = 3 * DASH + 8
            _stroke(pen, left + 2, top + 9, left + 2 + 3 * DASH, top + 9, colour=colour, dashed=dashed)
        pen.text((left + 2 + indent, top), shortened(text, SIDE - 4 - indent, font), "black", font)


def _short(name: str) -> str:
    """A label or a patient's id, so short that the rest of its line stays readable."""
    return name if len(name) <= 28 else f"{name[:13]}...{name[-12:]}"
