"""The rows of a COCO file as images and cells, with the keys that `write` adds to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from pcm_leukemia.converters.coco.refused import Refused
from pcm_leukemia.schema import IGNORE, Attributes, Cell, Image, ImageId, PatientId, Tag
from pcm_leukemia.shapes import Box, RotatedBox, Shape

__all__ = ["CocoRow", "cell_of", "image_of", "size_of"]

CocoRow: TypeAlias = Mapping[str, Any]
"""One JSON object of ``images`` or ``annotations``."""

_YES = (1, "1", "true")


def size_of(row: CocoRow) -> tuple[int, int] | None:
    """Width and height in pixels of a row of ``images``; None if the tool did not know them.

    Raises
    ------
    Refused
        If they are not whole numbers.
    """
    width, height = (_whole(row, key) if row.get(key) is not None else 0 for key in ("width", "height"))
    return (width, height) if width and height else None


def image_of(
    row: CocoRow, image: ImageId, size: tuple[int, int], *, subset: str = "", file: str | None = None
) -> Image:
    """The image of a row of ``images``.

    `subset` is that of its JSON file, if it is a part of the id; `file` is the path of the image file.

    Raises
    ------
    Refused, KeyError, ValueError
        If a value is missing or invalid.
    """
    patient, group = _text(row, "patient"), _text(row, "group")
    if patient == "":
        raise Refused("its patient is empty", "give the patient's id, or leave the key out")
    diagnosis = _text(row, "diagnosis" if patient is None else "image_diagnosis")
    return Image(
        image,
        *size,
        None if patient is None else PatientId(patient),
        _text(row, "name") or row["file_name"],
        _text(row, "subset") or subset,
        file,
        tags=tuple(map(_tag, row["tags"] or ())) if "tags" in row else (),
        annotation_state=row.get("annotation_state", "complete"),
        diagnosis=diagnosis,
        group=group,
        white_level=row.get("white_level"),
    )


def cell_of(
    row: CocoRow, image: ImageId, number: int, label: tuple[str, str], box: Box, shape: Shape | None
) -> Cell:
    """The cell of a row of ``annotations``; it is ignored if the row is a crowd. `label` is its class and its category.

    Raises
    ------
    Refused, KeyError, ValueError
        If a value is missing or invalid.
    """
    return Cell(
        image=image,
        id=_whole(row, "cell") if "cell" in row else number,
        label=IGNORE if row.get("iscrowd") in _YES or row.get("ignore") in _YES else label[0],
        box=box,
        raw_label=label[1] if row.get("raw_label") is None else _text(row, "raw_label") or "",
        shape=shape,
        occluded=row.get("occluded") in _YES or _occluded_in_cvat(row),
        source=_text(row, "source") or "" if "source" in row else "",
        z_order=_whole(row, "z_order") if "z_order" in row else 0,
        group=_whole(row, "group") if "group" in row else 0,
        track=None if row.get("track") is None else _whole(row, "track"),
        attributes=_attributes(row.get("attributes"), turned=isinstance(shape, RotatedBox)),
    )


def _occluded_in_cvat(row: CocoRow) -> bool:
    """Whether a cell is occluded according to CVAT, which puts it among the attributes, as true or false."""
    attributes = row.get("attributes")
    return isinstance(attributes, dict) and attributes.get("occluded") is True


def _whole(row: CocoRow, key: str) -> int:
    value = row[key]
    if isinstance(value, int):
        return int(value)
    try:
        number = float(value)
        if math.isfinite(number) and number.is_integer():
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Refused(f"{key} {value!r} is not a whole number")


def _text(row: CocoRow, key: str) -> str | None:
    value = row.get(key)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise Refused(f"{key} {value!r} is not text")


def _tag(tag: object) -> Tag:
    """A tag as `write` stores it, or only its label, as FiftyOne has it."""
    if isinstance(tag, str) and tag:
        return Tag(tag)
    if not isinstance(tag, dict) or not isinstance(tag.get("label"), str):
        raise Refused(f"its tags hold {tag!r}, which is neither text nor an object with a label")
    group = _whole(tag, "group") if "group" in tag else 0
    return Tag(tag["label"], _attributes(tag.get("attributes")), _text(tag, "source") or "", group)


def _attributes(attributes: object, *, turned: bool = False) -> Attributes:
    """Attributes from an object, as CVAT has them, or a list: of pairs, as `write` stores them, of names and values, or flags.

    The rotation of a box that is `turned` is in its shape.
    """
    if not attributes:
        return ()
    if isinstance(attributes, dict):
        pairs = [(str(name), _plain(value)) for name, value in attributes.items()]
        return tuple(pair for pair in pairs if not (turned and pair[0] == "rotation"))
    if isinstance(attributes, list):
        return tuple(map(_attribute, attributes))
    raise Refused(f"attributes {attributes!r}: must be an object, or a list of names and values")


def _attribute(item: object) -> tuple[str, str]:
    match item:
        case [name, value]:
            return _plain(name), _plain(value)
        case {"name": str(name), "value": value}:
            return name, _plain(value)
        case {"groupName": str(name), "name": value}:  # SuperAnnotate
            return name, _plain(value)
        case str(name):
            return name, "true"
    raise Refused(f"attribute {item!r}: must be an object with name and value")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
