"""The fingerprint of a data set: what counts in it, and in which form.

Fingerprints are in headers, splits and runs on disk, so that what is hashed here may never change for data that exist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby, starmap
from operator import attrgetter
from types import SimpleNamespace
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import structs
from msgspec.json import encode

from pcm_leukemia.schema import NOT_COMPARED, Cell, Image
from pcm_leukemia.shapes import pack

if TYPE_CHECKING:
    from pcm_leukemia.dataset import Dataset

__all__ = ["fingerprint"]

_CELL_FIELDS = (
    *("image", "id", "label", "box", "raw_label", "shape"),
    *("occluded", "source", "z_order", "group", "track", "attributes"),
)
"""The fields of a cell that always count. Do not add to them.

A field that `Cell` gains later counts by itself, and only in cells where it differs from its default: data sets without
it keep their fingerprint.
"""
_cell_values = attrgetter(*_CELL_FIELDS)
_FingerprintedCell = msgspec.defstruct("_FingerprintedCell", _CELL_FIELDS, gc=False)

_IMAGE_FIELDS = ("id", "width", "height", "patient", "name", "subset", "tags")
"""The same for images."""
_image_values = attrgetter(*_IMAGE_FIELDS)
_FIRST_GAINED: Mapping[str, object] = {"annotation_state": "complete", "diagnosis": None, "group": None}
"""The fields that `Image` gained first, with their defaults. All count if one differs."""
_first_gained_values = attrgetter(*_FIRST_GAINED)

_ROWS = 20_000
"""Rows encoded at once; limits the use of memory."""

_Row = TypeVar("_Row", Image, Cell)


def fingerprint(ds: Dataset) -> str:
    """SHA-256 of the content; see `Dataset.fingerprint`."""
    digest = hashlib.sha256()
    for text in _content(ds):
        digest.update(text)
    return digest.hexdigest()


def _content(ds: Dataset) -> Iterator[bytes | memoryview]:
    """What the fingerprint covers as JSON, with every number in one form."""
    yield encode(ds.taxonomy.labels)
    yield encode(ds.patients)
    yield from _encoded(ds.images, lambda images: [*map(_image_values, images)])
    yield from _encoded(ds.cells, _with_first_fields)
    for cell in ds.cells:
        if cell.shape is not None:
            kind, numbers = pack(cell.shape)
            yield encode((cell.image, cell.id, kind, [float(number) for number in numbers]))
    for image in _not_default(ds.images, _FIRST_GAINED):
        if (values := _first_gained_values(image)) != tuple(_FIRST_GAINED.values()):
            yield encode((image.id, *values))
        if added := _added(image):
            yield encode((image.id, added))
    for cell in _not_default(ds.cells, {}):
        yield encode((cell.image, cell.id, _added(cell)))


def _encoded(
    rows: Sequence[_Row], values: Callable[[Sequence[_Row]], Sequence[object]]
) -> Iterator[bytes | memoryview]:
    """The JSON array of the values of all rows, in pieces."""
    for start in range(0, len(rows), _ROWS):
        yield b"," if start else b"["
        yield memoryview(encode(values(rows[start : start + _ROWS])))[1:-1]
    yield b"]" if rows else b"[]"


def _with_first_fields(cells: Sequence[Cell]) -> Sequence[object]:
    """The cells without their shapes and later fields."""
    if any(cell.shape is not None for cell in cells):
        cells = [cell if cell.shape is None else structs.replace(cell, shape=None) for cell in cells]
    if any(map(_later_fields, {*map(type, cells)})):
        return [*starmap(_FingerprintedCell, map(_cell_values, cells))]
    return cells


@cache
def _later_fields(kind: type[Image | Cell]) -> Mapping[str, object]:
    """The fields that rows gained later, with their defaults."""
    known = _CELL_FIELDS if issubclass(kind, Cell) else (*_IMAGE_FIELDS, *_FIRST_GAINED, *NOT_COMPARED)
    return {each.name: each.default for each in structs.fields(kind) if each.name not in known}


def _not_default(rows: Sequence[_Row], more: Mapping[str, object]) -> Iterator[_Row]:
    """The rows in which a later field, or one of `more`, differs from its default."""
    for kind, alike in groupby(rows, type):
        if defaults := {**more, **_later_fields(kind)}:
            values = attrgetter(*defaults)
            usual = values(SimpleNamespace(**defaults))
            yield from (row for row in alike if values(row) != usual)


def _added(row: Image | Cell) -> dict[str, object]:
    """The later fields of a row that differ from their defaults."""
    defaults = _later_fields(type(row)).items()
    return {name: value for name, default in defaults if (value := getattr(row, name)) != default}
