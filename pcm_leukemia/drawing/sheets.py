"""Draws a sheet of crops."""

from __future__ import annotations

import math

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from pcm_leukemia.colours import of_label, text_on
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.drawing.choosing import choose, cut, padded
from pcm_leukemia.drawing.tags import shortened
from pcm_leukemia.schema import Cell
from pcm_leukemia.taxonomy import check_classes

__all__ = ["gallery"]

_SIDE = 160
"""The width and height of a crop on the sheet, in pixels."""
_CAPTION = 20
_GAP = 6


def gallery(ds: Dataset, label: str | None, *, n: int, seed: int, padding: int) -> PIL.Image.Image:
    """Draw a sheet of crops; see `Dataset.gallery`."""
    cells = _chosen(ds, label, n, seed)
    crops = cut(ds, {cell: padded(cell, padding) for cell in cells})
    tiles = {cell: _tile(PIL.Image.fromarray(pixels), cell) for cell, pixels in crops}
    columns = min(math.ceil(math.sqrt(1.5 * len(cells))), len(cells))
    rows = math.ceil(len(cells) / columns)
    across, down = _SIDE + _GAP, _SIDE + _CAPTION + _GAP
    sheet = PIL.Image.new("RGB", (columns * across + _GAP, rows * down + _GAP), "white")
    for number, cell in enumerate(cells):
        sheet.paste(tiles[cell], (_GAP + number % columns * across, _GAP + number // columns * down))
    return sheet


def _chosen(ds: Dataset, label: str | None, n: int, seed: int) -> list[Cell]:
    """The cells on the sheet."""
    if n < 1:
        raise ValueError(f"gallery: n {n}; give 1 or more cells")
    if label is not None:
        check_classes([label], ds.taxonomy.labels, ds.name, where="gallery")
    chosen = choose(ds, ds.taxonomy.labels if label is None else (label,), n, seed)
    if not chosen:
        what = "no cells" if label is None else f'no cells of "{label}"'
        raise ValueError(
            f"gallery: {ds.name} has {what}; choose a class that has cells: see `Dataset.counts`"
        )
    return chosen


def _tile(cut: PIL.Image.Image, cell: Cell) -> PIL.Image.Image:
    """A crop, as large as fits, and below it its class."""
    tile = PIL.Image.new("RGB", (_SIDE, _SIDE + _CAPTION), "white")
    scale = _SIDE / max(cut.size)
    size = max(round(cut.width * scale), 1), max(round(cut.height * scale), 1)
    cut = cut.resize(size, PIL.Image.Resampling.LANCZOS)
    tile.paste(cut, ((_SIDE - cut.width) // 2, (_SIDE - cut.height) // 2))
    pen, font = PIL.ImageDraw.Draw(tile), PIL.ImageFont.load_default(14)
    colour = of_label(cell.written_label)
    pen.rectangle((0, _SIDE, _SIDE, _SIDE + _CAPTION), fill=colour)
    pen.text((4, _SIDE + 1), shortened(cell.written_label, _SIDE - 8, font), text_on(colour), font)
    return tile
