"""A few cells of a data set as small inline JPEGs, if their files can be read at once."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Queue
from threading import Thread
from typing import NamedTuple

import numpy as np
import PIL.Image

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import PcmError
from pcm_leukemia.images import Pixels, crop, encode, files_of, load
from pcm_leukemia.notebook.elements import Element, clipped, element
from pcm_leukemia.schema import Cell
from pcm_leukemia.shapes import Point

__all__ = ["crops"]

MOST = 8
SECONDS = 1.0
"""Reading takes no longer; what has not been read then is not shown."""
MOST_PIXELS = 30_000_000
"""A larger image would take too long to decode."""
SIDE = 92
MOST_BYTES = 5_400
"""Of one JPEG; eight of them are 58 kB in base64."""

_UNREADABLE = (PcmError, OSError, ValueError, MemoryError)


class _Crop(NamedTuple):
    cell: Cell
    jpeg: bytes


def crops(ds: Dataset) -> tuple[Element | None, str]:
    """Up to eight cells, of as many classes as possible; and what could not be shown, or "".

    The files are read by a thread that nothing waits for longer than a second: a disk may sleep, a network may hang.
    """
    chosen = _chosen(ds)
    if not chosen:
        return None, "no crops: the images have no files here, or large ones" if ds.cells else ""
    results: Queue[_Crop | None] = Queue()
    until = time.monotonic() + SECONDS
    Thread(target=_read, args=(ds, chosen, results, until), daemon=True).start()
    found = list(_arriving(results, until))
    lost = len(chosen) - len(found)
    said = (
        f"{lost} of {len(chosen)} crops left out: the files cannot be read, or are slow to read"
        if lost
        else ""
    )
    side_by_side = "display:flex;flex-wrap:wrap;gap:8px;margin:8px 0"
    return element("div", *map(_figure, found), style=side_by_side) if found else None, said


def _chosen(ds: Dataset) -> list[Cell]:
    """Cells with a file, by turns from each class, spread over its cells."""
    usable = {image.id for image in ds.images if image.file and image.width * image.height <= MOST_PIXELS}
    if ds.root is None or not usable:
        return []
    of_label: dict[str, list[Cell]] = {label: [] for label in ds.taxonomy.labels}
    for cell in ds.cells:
        if cell.image in usable and cell.label in of_label and not isinstance(cell.shape, Point):
            of_label[cell.label].append(cell)
    there = [cells for cells in of_label.values() if cells]
    turns = [there[number % len(there)] for number in range(MOST)] if there else []
    spread = [cells[len(cells) * (2 * number + 1) // (2 * MOST)] for number, cells in enumerate(turns)]
    chosen = {(cell.image, cell.id): cell for cell in spread}.values()
    order = ds.taxonomy.ids
    return sorted(chosen, key=lambda cell: order[cell.label])


def _read(ds: Dataset, cells: list[Cell], results: Queue[_Crop | None], until: float) -> None:
    """Put each crop that can be cut before `until` into the queue, and None at the end."""
    with suppress(*_UNREADABLE):
        files = files_of(ds)
        for cell in cells:
            if time.monotonic() > until:
                break
            with suppress(*_UNREADABLE):
                pixels = load(files, ds.image(cell.image))
                padding = round(0.2 * max(cell.box.width, cell.box.height))
                results.put(_Crop(cell, _jpeg(crop(pixels, cell.box, padding))))
    results.put(None)


def _arriving(results: Queue[_Crop | None], until: float) -> Iterator[_Crop]:
    """The crops that arrive before `until`."""
    while True:
        try:
            found = results.get(timeout=max(until - time.monotonic(), 0))
        except Empty:
            return
        if found is None:
            return
        yield found


def _jpeg(pixels: Pixels) -> bytes:
    """A small JPEG, without metadata."""
    small = PIL.Image.fromarray(pixels)
    small.thumbnail((SIDE, SIDE), PIL.Image.Resampling.LANCZOS)
    data = b""
    for quality in (85, 60, 30, 10):
        data = encode(np.asarray(small), "jpg", quality)
        if len(data) <= MOST_BYTES:
            break
    return data


def _figure(found: _Crop) -> Element:
    said = clipped(f"{found.cell.label}, {found.cell.image} cell {found.cell.id}")
    source = f"data:image/jpeg;base64,{base64.b64encode(found.jpeg).decode()}"
    box = f"width:{SIDE}px;height:{SIDE}px;object-fit:contain;display:block;margin:0"
    name = f"max-width:{SIDE}px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-size:11px;text-align:center"
    return element(
        "figure",
        element("img", src=source, alt=said, style=box),
        element("figcaption", clipped(found.cell.label), style=name),
        style="margin:0",
        title=said,
    )
