"""Draws two annotations of one frame, with what differs marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import PIL.Image

from pcm_leukemia.colours import EXTRA, FOUND, MISSED, of_label
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.drawing.boxes import Drawn, draw, of_cells
from pcm_leukemia.drawing.frames import image_named
from pcm_leukemia.drawing.tags import legend
from pcm_leukemia.images import files_of, load
from pcm_leukemia.review import Change, Diff, diff
from pcm_leukemia.schema import Cell, Image

__all__ = ["compare"]


def compare(
    one: Dataset, other: Dataset, image: Image | str | None, *, iou: float, width: int | None
) -> PIL.Image.Image:
    """Draw two annotations of one frame; see `Dataset.compare`."""
    if image is None:
        frame = one.image(_most_different(diff(one, other, iou=iou), one))
    else:
        frame = image_named(one, image, "compare")
        if frame.id not in {each.id for each in other.images}:
            raise ValueError(
                f'compare: image "{frame.id}" is not in {other.name}; give an image that both data sets have'
            )
    found = diff(
        one.select(images=[frame.id]), other.select(images=lambda each: each.id == frame.id), iou=iou
    )
    holder = one if one.root is not None and frame.file is not None else other
    pixels = load(files_of(holder), holder.image(frame.id))
    names = (one.name, other.name) if one.name != other.name else ("the first", "the second")
    marked = list(_marked(found, names))
    picture = draw(pixels, [*_agreed(found, one.cells_of(frame)), *marked], width=width)
    strip = legend(_meanings(found, names), picture.width)
    sheet = PIL.Image.new("RGB", (picture.width, picture.height + strip.height))
    sheet.paste(picture, (0, 0))
    sheet.paste(strip, (0, picture.height))
    return sheet


def _most_different(found: Diff, one: Dataset) -> str:
    """The id of the compared image with the most changed cells, the first of several."""
    cells = [*found.added, *found.removed, *(change.before for change in _changes(found))]
    counts = Counter({image.id: 0 for image in one.images if image.id not in found.only_before})
    counts.update(cell.image for cell in cells)
    return max(counts, key=counts.__getitem__)


def _changes(found: Diff) -> list[Change]:
    """The cells in both that differ, each once."""
    return list(dict.fromkeys((*found.moved, *found.relabelled)))


def _agreed(found: Diff, cells: tuple[Cell, ...]) -> Iterator[Drawn]:
    """The cells that both have, as thin lines without tags."""
    differ = {cell.id for cell in found.removed} | {change.before.id for change in _changes(found)}
    for drawn in of_cells(cell for cell in cells if cell.id not in differ):
        yield drawn._replace(text="", thin=True)


def _marked(found: Diff, names: tuple[str, str]) -> Iterator[Drawn]:
    """The cells that differ."""
    for cells, name, colour in ((found.removed, names[0], MISSED), (found.added, names[1], EXTRA)):
        for drawn in of_cells(cells):
            yield drawn._replace(text=f"only {name}: {drawn.label}", colour=colour)
    moved = set(found.moved)
    for change in _changes(found):
        labels = " -> ".join(dict.fromkeys((change.before.written_label, change.after.written_label)))
        before, after = of_cells(change[:2])
        if change in moved:
            yield before._replace(text="", colour=MISSED)
            yield after._replace(text=f"moved: {labels}", colour=EXTRA)
        else:
            yield after._replace(text=labels, colour=FOUND)


def _meanings(found: Diff, names: tuple[str, str]) -> Iterator[tuple[str, int, str]]:
    """The colour and width of each kind of line, and what it means."""
    counts = found.counts
    moved = counts["moved"] + counts["both"]
    yield of_label("Other"), 1, f"agree, in the colour of the class: {counts['unchanged']:,}"
    for name, kind, colour in ((names[0], "removed", MISSED), (names[1], "added", EXTRA)):
        yield colour, 3, f"only {name}: {counts[kind]:,}; moved, as in {name}: {moved:,}"
    yield FOUND, 3, f"same box, other class: {counts['relabelled']:,}"
