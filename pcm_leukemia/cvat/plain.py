"""Reads plain exports quickly: images with upright boxes and nothing else, as CVAT itself writes them.

One regular expression describes an image or a box. It splits the file into columns, and the rows are built column by
column. What few texts can be, such as the size of an image or the source of a box, is one column, and each text is
understood once. Anything else, such as a tag, another shape, an attribute, a name with a special character, a box outside its image
or a label without a class, makes the file not plain. `cvat.document` then reads all of it, and names every problem.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import chain, compress, islice, pairwise, repeat
from operator import le, lt
from typing import IO, TypeVar

import msgspec

from pcm_leukemia.cvat.document import MOST_PIXELS_A_SIDE, NOT_PLAIN, Parsed, read_document
from pcm_leukemia.cvat.labels import Labels
from pcm_leukemia.files import BAD_FILE, Document
from pcm_leukemia.schema import Cell, Image
from pcm_leukemia.shapes import Box

__all__ = ["read_plain"]

_Value = TypeVar("_Value")

_CHUNK = 1 << 16
"""Bytes read at once. The columns of so many fit in the cache of a processor: reading takes half as long as with 1 MB."""
_MOST_HEAD = 1 << 20
"""Bytes; the header of an export is a few thousand long."""
_MOST_IMAGE = 1 << 20
"""Bytes; a few thousand boxes."""

_START = re.compile(rb'<\?xml version="1\.0" encoding="utf-8"\?>\s*<annotations>', re.IGNORECASE)
_END = re.compile(r"[ \t\n]*</annotations>[ \t\n]*")

_TEXT = r"[ !#-%'-;=?-~]"  # printable ASCII without the characters that XML escapes
_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_IMAGE = (
    rf'<image id="\d{{1,9}}" name="({_TEXT}+)"(?: subset="({_TEXT}*)")?(?: task_id="\d{{1,9}}")?'
    r' width="(\d{1,9}" height="\d{1,9})">'
)
_BEFORE = rf'(?: source="{_TEXT}*")? occluded="[01]"'
_CORNERS = rf'{_NUMBER}" ytl="{_NUMBER}" xbr="{_NUMBER}" ybr="{_NUMBER}'
_AFTER = r'(?: z_order="-?\d{1,9}")?(?: group_id="\d{1,9}")?'
_BOX = rf'<box label="({_TEXT}*)"({_BEFORE}) xtl="({_CORNERS})"({_AFTER})(?:/>|>[ \t\n]*</box>)'
_ROW = re.compile(rf"(?:{_IMAGE}|{_BOX})([ \t\n]*</image>)?")
_WIDTH = _ROW.groups + 1
"""Columns of a split: the text before a row, then the groups of the row."""
_NOT_PLAIN_LINE = re.compile(NOT_PLAIN.pattern, re.MULTILINE)
_SUSPICIOUS = ("..", "//", "./", "\n/", "\n.", ":", "\0", "\\")
"""One of them is in all lines that `_NOT_PLAIN_LINE` matches; they are found several times faster."""
_ATTRIBUTE = re.compile(r' (\w+)="([^"]*)')
_numbers = msgspec.json.Decoder(list[float]).decode


class _NotPlain(Exception):
    """Stops the quick reader."""


@dataclass(slots=True)
class _Rows:
    """The rows of one document, and the place where each label is used first.

    `classes` and the fields below it have what each text of a column means, which later texts of the column repeat.
    """

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
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    occluded: dict[str, bool] = field(default_factory=dict)
    z_orders: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)


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
    except (_NotPlain, msgspec.DecodeError, *BAD_FILE):
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
        if end >= len(b"</image>"):
            yield rest[:end].decode("ascii")
            rest = rest[end:]
        elif len(rest) > _MOST_IMAGE:
            raise _NotPlain
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
    names, subsets, sizes, *box_columns, ends = (parts[group::_WIDTH] for group in range(1, _WIDTH))
    is_image = [name is not None for name in names]
    closed = [end is not None for end in ends]
    if not (is_image and is_image[0] and is_image[1:] == closed[:-1] and closed[-1]):
        raise _NotPlain
    names, subsets, sizes = (list(compress(column, is_image)) for column in (names, subsets, sizes))
    images = _images(names, subsets, sizes, rows)
    starts = [*compress(range(len(is_image)), is_image), len(is_image)]
    counts = [end - start - 1 for start, end in pairwise(starts)]
    is_box = [not each for each in is_image]
    labels, before, corners, after = (list(compress(column, is_box)) for column in box_columns)
    _note_labels(text, labels, images, counts, rows)
    boxes = _boxes(corners, images, counts)
    rows.cells += _cells(labels, before, boxes, after, images, counts, rows)
    rows.images += images
    rows.empty_images += counts.count(0)
    rows.line += text.count("\n")


def _images(names: list[str], subsets: list[str], sizes: list[str], rows: _Rows) -> list[Image]:
    for text in {*sizes} - rows.sizes.keys():
        width, height = map(int, text.split('" height="'))
        if not (0 < width <= MOST_PIXELS_A_SIDE and 0 < height <= MOST_PIXELS_A_SIDE):
            raise _NotPlain
        rows.sizes[text] = width, height
    prefix = f"{rows.document.prefix}/" if rows.document.prefix else ""
    ids = [
        f"{prefix}{subset}/{name}" if subset else prefix + name
        for name, subset in zip(names, subsets, strict=True)
    ]
    lines = "\n".join(("", *ids))
    if any(part in lines for part in _SUSPICIOUS) and _NOT_PLAIN_LINE.search(lines):
        raise _NotPlain
    known = {subset: sys.intern(subset or rows.subset) for subset in {*subsets}}
    widths, heights = zip(*map(rows.sizes.__getitem__, sizes), strict=True)
    return list(map(Image, ids, widths, heights, repeat(None), names, map(known.__getitem__, subsets)))


def _note_labels(text: str, labels: list[str], images: list[Image], counts: list[int], rows: _Rows) -> None:
    """Find the class of each new label, and its first place."""
    rows.counts.update(labels)
    for raw in dict.fromkeys(labels):
        if raw not in rows.classes:
            label = rows.labels.find(raw)
            if label is None:
                raise _NotPlain
            rows.classes[sys.intern(raw)] = label
            line = rows.line + text.count("\n", 0, text.index(f'<box label="{raw}"'))
            image = next(islice(_spread(images, counts), labels.index(raw), None))
            rows.firsts[raw] = f'{rows.document.where}:{line} image "{image.name}"'


def _boxes(corners: list[str], images: list[Image], counts: list[int]) -> Iterator[Box]:
    text = ",".join(corners)
    for name in ("ytl", "xbr", "ybr"):
        text = text.replace(f'" {name}="', ",")
    numbers = _numbers(f"[{text}]")
    x1, y1, x2, y2 = (numbers[side::4] for side in range(4))
    widths = _spread([image.width for image in images], counts)
    heights = _spread([image.height for image in images], counts)
    if not (
        all(map(lt, x1, x2))
        and all(map(lt, y1, y2))
        and all(map(le, x2, widths))
        and all(map(le, y2, heights))
    ):
        raise _NotPlain
    return map(Box, x1, y1, x2, y2)


def _cells(
    labels: list[str],
    before: list[str],
    boxes: Iterator[Box],
    after: list[str],
    images: list[Image],
    counts: list[int],
    rows: _Rows,
) -> Iterator[Cell]:
    for text in {*before} - rows.sources.keys():
        found = dict(_ATTRIBUTE.findall(text))
        rows.sources[text] = sys.intern(found.get("source", ""))
        rows.occluded[text] = found["occluded"] == "1"
    for text in {*after} - rows.groups.keys():
        found = dict(_ATTRIBUTE.findall(text))
        rows.z_orders[text] = int(found.get("z_order", 0))
        rows.groups[text] = int(found.get("group_id", 0))
    raws = {raw: raw for raw in rows.classes}
    return map(
        Cell,
        _spread([image.id for image in images], counts),
        chain.from_iterable(map(range, counts)),
        map(rows.classes.__getitem__, labels),
        boxes,
        map(raws.__getitem__, labels),
        repeat(None),
        map(rows.occluded.__getitem__, before),
        map(rows.sources.__getitem__, before),
        map(rows.z_orders.__getitem__, after),
        map(rows.groups.__getitem__, after),
    )


def _spread(values: list[_Value], counts: list[int]) -> Iterator[_Value]:
    """Each value as many times as its image has cells."""
    return chain.from_iterable(map(repeat, values, counts))
