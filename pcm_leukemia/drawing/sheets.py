"""Draws a sheet of crops, chosen evenly over patients."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import TypeVar

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from pcm_leukemia.colours import of_label, text_on
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.drawing.tags import shortened
from pcm_leukemia.errors import nearest
from pcm_leukemia.images import crop, files_of, load
from pcm_leukemia.schema import IGNORE, Cell
from pcm_leukemia.shapes import Point

__all__ = ["gallery"]

_SIDE = 160
"""The width and height of a crop on the sheet, in pixels."""
_CAPTION = 20
_GAP = 6
_AROUND_POINTS = 40
"""The least padding of a cell that is a point, in pixels."""

T = TypeVar("T")


def gallery(ds: Dataset, label: str | None, *, n: int, seed: int, padding: int) -> PIL.Image.Image:
    """Draw a sheet of crops; see `Dataset.gallery`."""
    cells = _chosen(ds, label, n, seed)
    tiles = {cell: _tile(pixels, cell) for cell, pixels in _crops(ds, cells, padding)}
    columns = min(math.ceil(math.sqrt(1.5 * len(cells))), len(cells))
    rows = math.ceil(len(cells) / columns)
    across, down = _SIDE + _GAP, _SIDE + _CAPTION + _GAP
    sheet = PIL.Image.new("RGB", (columns * across + _GAP, rows * down + _GAP), "white")
    for number, cell in enumerate(cells):
        sheet.paste(tiles[cell], (_GAP + number % columns * across, _GAP + number // columns * down))
    return sheet


def _chosen(ds: Dataset, label: str | None, n: int, seed: int) -> list[Cell]:
    """`n` cells, from one class after the other and in each from one patient after the other; sorted by class."""
    if n < 1:
        raise ValueError(f"gallery: n {n}; give 1 or more cells")
    if label is not None and label not in (*ds.taxonomy.labels, IGNORE):
        raise ValueError(
            f'gallery: label "{label}" is not a class of {ds.name}{nearest(label, ds.taxonomy.labels)}; '
            f"give one of {', '.join(ds.taxonomy.labels)}"
        )
    labels = ds.taxonomy.labels if label is None else (label,)
    by_class: dict[str, dict[str, list[Cell]]] = {each: {} for each in labels}
    for image in ds.images:
        for cell in ds.cells_of(image):
            if cell.label in by_class:
                by_class[cell.label].setdefault(image.patient or image.id, []).append(cell)
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    queues = []
    for patients in by_class.values():
        drawn = [rng.sample(cells, len(cells)) for _, cells in sorted(patients.items())]
        rng.shuffle(drawn)
        queues.append(list(_in_turn(drawn)))
    chosen = list(islice(_in_turn(queues), n))
    if not chosen:
        what = "no cells" if label is None else f'no cells of "{label}"'
        raise ValueError(
            f"gallery: {ds.name} has {what}; choose a class that has cells: see `Dataset.counts`"
        )
    return sorted(chosen, key=lambda cell: labels.index(cell.label))


def _in_turn(queues: Iterable[Sequence[T]]) -> Iterator[T]:
    """The first of each queue, then the second of each, and so on."""
    nothing = object()
    for each in chain.from_iterable(zip_longest(*queues, fillvalue=nothing)):
        if each is not nothing:
            yield each  # type: ignore[misc]


def _crops(ds: Dataset, cells: Sequence[Cell], padding: int) -> Iterator[tuple[Cell, PIL.Image.Image]]:
    """The crop of each cell; each image is decoded once."""
    files = files_of(ds)
    by_image: dict[str, list[Cell]] = {}
    for cell in cells:
        by_image.setdefault(cell.image, []).append(cell)
    for image, inside in by_image.items():
        pixels = load(files, ds.image(image))
        for cell in inside:
            around = max(padding, _AROUND_POINTS) if isinstance(cell.shape, Point) else padding
            yield cell, PIL.Image.fromarray(crop(pixels, cell.box, around))


def _tile(cut: PIL.Image.Image, cell: Cell) -> PIL.Image.Image:
    """A crop, as large as fits, and below it its class."""
    tile = PIL.Image.new("RGB", (_SIDE, _SIDE + _CAPTION), "white")
    scale = _SIDE / max(cut.size)
    size = max(round(cut.width * scale), 1), max(round(cut.height * scale), 1)
    cut = cut.resize(size, PIL.Image.Resampling.LANCZOS)
    tile.paste(cut, ((_SIDE - cut.width) // 2, (_SIDE - cut.height) // 2))
    pen, font = PIL.ImageDraw.Draw(tile), PIL.ImageFont.load_default(14)
    colour = of_label(cell.label)
    pen.rectangle((0, _SIDE, _SIDE, _SIDE + _CAPTION), fill=colour)
    pen.text((4, _SIDE + 1), shortened(cell.label, _SIDE - 8, font), text_on(colour), font)
    return tile
