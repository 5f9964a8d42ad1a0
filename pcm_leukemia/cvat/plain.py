"""Reads plain exports quickly: images with upright boxes and nothing else, as CVAT itself writes them.

One regular expression describes an image or a box. It splits the file into columns, and the rows are built column by
column. Anything else, such as a tag, another shape, an attribute, a name with a special character, a box outside its image
or a label without a class, makes the file not plain. `cvat.document` then reads all of it, and names every problem.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import chain, compress, pairwise, repeat
from operator import le, lt
from typing import IO, TypeVar

from pcm_leukemia.cvat.document import MOST_PIXELS_A_SIDE, NOT_PLAIN, Parsed, read_document
from pcm_leukemia.cvat.labels import Labels
from pcm_leukemia.files import BAD_FILE, Document
from pcm_leukemia.schema import Cell, Image, ImageId
from pcm_leukemia.shapes import Box

__all__ = ["read_plain"]

_Value = TypeVar("_Value")

_CHUNK = 1 << 20
_MOST_HEAD = 1 << 20
"""Bytes; the header of an export is a few thousand long."""

_START = re.compile(rb'<\?xml version="1\.0" encoding="utf-8"\?>\s*<annotations>', re.IGNORECASE)
_END = re.compile(r"[ \t\n]*</annotations>[ \t\n]*")

_TEXT = r"[ !#-%'-;=?-~]"  # printable ASCII without the characters that XML escapes
_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_IMAGE = (
    rf'<image id="\d{{1,9}}" name="({_TEXT}+)"(?: subset="({_TEXT}*)")?(?: task_id="\d{{1,9}}")?'
    r' width="(\d{1,9})" height="(\d{1,9})">'
)
_BOX = (
    rf'<box label="({_TEXT}*)"(?: source="({_TEXT}*)")? occluded="([01])" xtl="({_NUMBER})" ytl="({_NUMBER})"'
    rf' xbr="({_NUMBER})" ybr="({_NUMBER})"(?: z_order="(-?\d{{1,9}})")?(?: group_id="(\d{{1,9}})")?'
    r"(?:/>|>[ \t\n]*</box>)"
)
_ROW = re.compile(rf"(?:{_IMAGE}|{_BOX})([ \t\n]*</image>)?")
_WIDTH = _ROW.groups + 1
"""Columns of a split: the text before a row, then the groups of the row."""
_NOT_PLAIN_LINE = re.compile(NOT_PLAIN.pattern, re.MULTILINE)


class _NotPlain(Exception):
    """Stops the quick reader."""


@dataclass(slots=True)
class _Rows:
    """The rows of one document, and the place where each label is used first."""

    document: Document
    subset: str
    labels: Labels
    line: int
    images: list[Image] = field(default_factory=list)
    empty_images: int = 0
    cells: list[Cell] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    firsts: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)


def read_plain(document: Document, parsed: Parsed) -> bool:
    """Read a plain document into `parsed`; returns False, with `parsed` unchanged, if the document is not plain."""
    try:
        with document.open() as stream:
            head, rest = _head(stream)
            only_head = replace(document, open=lambda: BytesIO(head + b"</annotations>"))
            scratch = Parsed(Labels(None, {}))
            subset = read_document(only_head, scratch).subset
            if scratch.inspection.problems or scratch.inspection.warnings or scratch.inspection.tracks:
                return False
            rows = _Rows(document, subset, parsed.labels, head.count(b"\n") + 1)
            for chunk in _chunks(stream, rest):
                _read_chunk(chunk, rows)
    except (_NotPlain, *BAD_FILE):
        return False
    images = {image.id: image for image in rows.images}
    if len(images) < len(rows.images) or not parsed.images.keys().isdisjoint(images):
        return False
    read_document(only_head, parsed)
    parsed.images |= images
    parsed.bases |= dict.fromkeys(images, document.base) if document.base else {}
    parsed.cells += rows.cells
    for raw, first in rows.firsts.items():
        parsed.labels.resolve(raw, lambda first=first: first)  # type: ignore[misc]
    inspection = parsed.inspection
    inspection.images += len(images)
    inspection.empty_images += rows.empty_images
    inspection.labels.update(rows.counts)
    if rows.cells:
        inspection.shapes["box"] += len(rows.cells)
    return True


def _head(stream: IO[bytes]) -> tuple[bytes, bytes]:
    """What is before the first image, and the rest of what was read."""
    start = stream.read(_MOST_HEAD)
    end = start.find(b"<image ")
    if end < 0 or not _START.match(start):
        raise _NotPlain
    return start[:end], start[end:]


def _chunks(stream: IO[bytes], rest: bytes) -> Iterator[str]:
    """The images of a document in pieces of whole images, up to the end of the document."""
    while block := stream.read(_CHUNK):
        rest += block
        end = rest.rfind(b"</image>") + len(b"</image>")
        if end < len(b"</image>"):
            raise _NotPlain  # an image of more than a chunk
        yield rest[:end].decode("ascii")
        rest = rest[end:]
    images, end_of_last, tail = rest.decode("ascii").rpartition("</image>")
    if not _END.fullmatch(tail):
        raise _NotPlain
    if end_of_last:
        yield images + end_of_last


def _read_chunk(text: str, rows: _Rows) -> None:
    """Add the images and cells of whole images to `rows`."""
    parts = _ROW.split(text)
    if "".join(parts[::_WIDTH]).strip(" \t\n"):
        raise _NotPlain
    names, subsets, widths, heights, *box_columns, ends = (parts[group::_WIDTH] for group in range(1, _WIDTH))
    is_image = [name is not None for name in names]
    closed = [end is not None for end in ends]
    if not (is_image and is_image[0] and is_image[1:] == closed[:-1] and closed[-1]):
        raise _NotPlain
    image_columns = (names, subsets, widths, heights)
    images = _images([list(compress(column, is_image)) for column in image_columns], rows)
    starts = [*compress(range(len(is_image)), is_image), len(is_image)]
    counts = [end - start - 1 for start, end in pairwise(starts)]
    is_box = [not each for each in is_image]
    columns = [list(compress(column, is_box)) for column in box_columns]
    _note_labels(text, columns[0], [*_spread(images, counts)], rows)
    rows.cells += _cells(columns, images, counts, rows)
    rows.images += images
    rows.empty_images += counts.count(0)
    rows.line += text.count("\n")


def _images(columns: list[list[str]], rows: _Rows) -> list[Image]:
    names, subsets, widths, heights = columns
    pixels = {text: int(text) for text in {*widths, *heights}}
    prefix = f"{rows.document.prefix}/" if rows.document.prefix else ""
    ids = [
        f"{prefix}{subset}/{name}" if subset else prefix + name
        for name, subset in zip(names, subsets, strict=True)
    ]
    if not all(0 < side <= MOST_PIXELS_A_SIDE for side in pixels.values()) or _NOT_PLAIN_LINE.search(
        "\n".join(ids)
    ):
        raise _NotPlain
    known = {subset: sys.intern(subset or rows.subset) for subset in {*subsets}}
    return [
        Image(ImageId(image), pixels[width], pixels[height], name=name, subset=known[subset])
        for image, width, height, name, subset in zip(ids, widths, heights, names, subsets, strict=True)
    ]


def _note_labels(text: str, labels: list[str], images: list[Image], rows: _Rows) -> None:
    """Find the class of each new label, and its first place."""
    rows.counts.update(labels)
    for raw in dict.fromkeys(labels):
        if raw not in rows.classes:
            label = rows.labels.find(raw)
            if label is None:
                raise _NotPlain
            rows.classes[raw] = label
            line = rows.line + text.count("\n", 0, text.index(f'<box label="{raw}"'))
            rows.firsts[raw] = f'{rows.document.where}:{line} image "{images[labels.index(raw)].name}"'


def _cells(columns: list[list[str]], images: list[Image], counts: list[int], rows: _Rows) -> Iterator[Cell]:
    labels, sources, occluded, *corners, z_orders, groups = columns
    x1, y1, x2, y2 = (list(map(float, column)) for column in corners)
    widths, heights = (
        [*_spread([getattr(image, side) for image in images], counts)] for side in ("width", "height")
    )
    if not (
        all(map(lt, x1, x2))
        and all(map(lt, y1, y2))
        and all(map(le, x2, widths))
        and all(map(le, y2, heights))
    ):
        raise _NotPlain
    raws = {raw: sys.intern(raw) for raw in rows.classes}
    shared = {source: sys.intern(source or "") for source in {*sources}}
    numbers = {text: int(text or 0) for text in {*z_orders, *groups}}
    return map(
        Cell,
        _spread([image.id for image in images], counts),
        chain.from_iterable(map(range, counts)),
        map(rows.classes.__getitem__, labels),
        map(Box, x1, y1, x2, y2),
        map(raws.__getitem__, labels),
        repeat(None),
        map("1".__eq__, occluded),
        map(shared.__getitem__, sources),
        map(numbers.__getitem__, z_orders),
        map(numbers.__getitem__, groups),
    )


def _spread(values: list[_Value], counts: list[int]) -> Iterator[_Value]:
    """Each value as many times as its image has cells."""
    return chain.from_iterable(map(repeat, values, counts))
