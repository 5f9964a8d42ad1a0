"""Rows of a COCO file as images and cells, with the keys that `write` adds to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import msgspec

from pcm_leukemia.schema import IGNORE, Attributes, Cell, Image, ImageId, PatientId, Tag
from pcm_leukemia.shapes import Box, Polygon, Shape, unpack

__all__ = ["CocoRow", "cell_of", "image_of"]

CocoRow: TypeAlias = Mapping[str, Any]
"""One JSON object of ``images`` or ``annotations``."""


def image_of(row: CocoRow) -> Image:
    """The image of a row of ``images``.

    Raises
    ------
    KeyError
        If a required key is missing.
    TypeError, ValueError
        If a value is invalid.
    """
    name, patient, group = row["file_name"], row.get("patient"), row.get("group")
    diagnosis = row.get("diagnosis" if patient is None else "image_diagnosis")
    return Image(
        ImageId(name),
        int(row["width"]),
        int(row["height"]),
        None if patient is None else PatientId(str(patient)),
        row.get("name", name),
        row.get("subset", ""),
        tags=tuple(
            Tag(tag["label"], _pairs(tag["attributes"]), tag["source"], tag["group"])
            for tag in row.get("tags", ())
        ),
        annotation_state=row.get("annotation_state", "complete"),
        diagnosis=None if diagnosis is None else str(diagnosis),
        group=None if group is None else str(group),
        white_level=row.get("white_level"),
    )


def cell_of(row: CocoRow, image: ImageId, number: int, label: str, box: Box) -> Cell:
    """The cell of a row of ``annotations``; it is ignored if the row is a crowd.

    Raises
    ------
    KeyError
        If an attribute or shape is incomplete.
    TypeError, ValueError
        If a value is invalid.
    """
    track = row.get("track")
    return Cell(
        image=image,
        id=number,
        label=IGNORE if row.get("iscrowd") == 1 else label,
        box=box,
        raw_label=row.get("raw_label", label),
        shape=_shape(row),
        occluded=bool(row.get("occluded")),
        source=row.get("source", ""),
        z_order=int(row.get("z_order", 0)),
        group=int(row.get("group", 0)),
        track=None if track is None else int(track),
        attributes=_pairs(row.get("attributes")),
    )


def _shape(row: CocoRow) -> Shape | None:
    """The shape that `write` stored, or else a segmentation that is a single polygon."""
    if "shape" in row:
        kind, numbers = row["shape"]
        return unpack(kind, numbers)
    match row.get("segmentation"):
        case [list(numbers)] if len(numbers) >= 6:
            values = [float(number) for number in numbers]
            return Polygon(tuple(zip(values[::2], values[1::2], strict=True)))
        case _:
            return None


def _pairs(attributes: object) -> Attributes:
    """Attributes from a list of pairs, as `write` stores them, or from an object, as CVAT does."""
    if not attributes:
        return ()
    if isinstance(attributes, dict):
        return tuple((str(name), _text(value)) for name, value in attributes.items())
    return tuple((str(name), str(value)) for name, value in cast("list[list[str]]", attributes))


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
