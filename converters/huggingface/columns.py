"""The columns of both configurations, as features of `datasets` and as Arrow types.

A feature is the JSON object from which `datasets.Features` makes a feature; the metadata of every parquet file
contains it. Lists are called "Sequence", which every version of `datasets` reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pcm_leukemia.errors import MissingExtra
from pcm_leukemia.schema import AnnotationState, Cell, Image
from pcm_leukemia.shapes import Box, pack

__all__ = [
    "CellRest",
    "ImageRest",
    "arrow_schema",
    "classification_features",
    "classification_row",
    "corners",
    "detection_features",
    "detection_row",
    "pyarrow",
    "yaml_features",
]

Feature = dict[str, Any]

_DIGITS = 6
"""Decimals of a width or height in pixels: few enough that 50.4 - 10.1 gives 40.3."""


def pyarrow() -> Any:
    """Import pyarrow with `pyarrow.parquet`.

    Raises
    ------
    MissingExtra
        If pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "hf") from error
    return pa


# Features


def detection_features(labels: tuple[str, ...]) -> dict[str, Feature]:
    """One row for each image; `objects` is a struct of lists, as in Hugging Face's object detection guide."""
    return {
        "image": {"_type": "Image"},
        "image_id": _value("int64"),
        "width": _value("int64"),
        "height": _value("int64"),
        "file_name": _value("string"),
        "patient": _value("string"),
        "diagnosis": _value("string"),
        "objects": {
            "id": _list(_value("int64")),
            "area": _list(_value("float64")),
            "bbox": _list(_list(_value("float64"), length=4)),
            "category": _list(_classes(labels)),
            "cell": _list(_value("int64")),
            "raw_label": _list(_value("string")),
        },
        "pcm": _value("string"),
    }


def classification_features(labels: tuple[str, ...]) -> dict[str, Feature]:
    """One row for each cell."""
    return {
        "image": {"_type": "Image"},
        "label": _classes(labels),
        "image_id": _value("int64"),
        "file_name": _value("string"),
        "cell": _value("int64"),
        "bbox": _list(_value("float64"), length=4),
        "patient": _value("string"),
        "diagnosis": _value("string"),
    }


def _value(dtype: str) -> Feature:
    return {"dtype": dtype, "_type": "Value"}


def _classes(labels: tuple[str, ...]) -> Feature:
    return {"names": list(labels), "_type": "ClassLabel"}


def _list(feature: Feature, length: int = -1) -> Feature:
    return {"feature": feature, "length": length, "_type": "Sequence"}


def arrow_schema(features: Mapping[str, Feature], more: Mapping[str, object] | None = None) -> Any:
    """The Arrow schema, with the features in its metadata, where `datasets` looks for them.

    `more` is added to the metadata under the key ``pcm_leukemia``.
    """
    pa = pyarrow()
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    if more is not None:
        metadata["pcm_leukemia"] = json.dumps(more, ensure_ascii=False)
    fields = [pa.field(name, _arrow_type(pa, feature)) for name, feature in features.items()]
    return pa.schema(fields, metadata=metadata)


def _arrow_type(pa: Any, feature: Feature) -> Any:
    match feature.get("_type"):
        case "Value":
            return pa.type_for_alias(feature["dtype"])
        case "ClassLabel":
            return pa.int64()
        case "Image":
            return pa.struct({"bytes": pa.binary(), "path": pa.string()})
        case "Sequence":
            return pa.list_(_arrow_type(pa, feature["feature"]), feature["length"])
        case _:
            return pa.struct({name: _arrow_type(pa, inner) for name, inner in feature.items()})


def yaml_features(features: Mapping[str, Feature]) -> list[Feature]:
    """The features in the form of a dataset card's header."""
    return [{"name": name, **_yaml_feature(feature)} for name, feature in features.items()]


def _yaml_feature(feature: Feature) -> Feature:
    match feature.get("_type"):
        case "Value":
            return {"dtype": feature["dtype"]}
        case "ClassLabel":
            names = {str(number): name for number, name in enumerate(feature["names"])}
            return {"dtype": {"class_label": {"names": names}}}
        case "Image":
            return {"dtype": "image"}
        case "Sequence":
            inner = _yaml_feature(feature["feature"])
            length = {"length": feature["length"]} if feature["length"] >= 0 else {}
            plain = inner.keys() == {"dtype"} and isinstance(inner["dtype"], str)
            return {"sequence": inner["dtype"] if plain else inner, **length}
        case _:
            return {"struct": yaml_features(feature)}


# Rows


class CellRest(msgspec.Struct, omit_defaults=True, gc=False):
    """Cell properties that the column `objects` cannot hold; `box` only if `bbox` does not give it exactly."""

    box: tuple[float, float, float, float] | None = None
    shape: tuple[str, list[float]] | None = None
    occluded: bool = False
    source: str = ""
    z_order: int = 0
    group: int = 0
    track: int | None = None
    attributes: list[tuple[str, str]] = []


class ImageRest(msgspec.Struct, omit_defaults=True):
    """The column `pcm`: properties of the image, its tags and cells that no other column holds."""

    name: str = ""
    subset: str = ""
    tags: list[tuple[str, list[tuple[str, str]], str, int]] = []
    state: AnnotationState = "complete"
    diagnosis: str = ""
    group: str = ""
    cells: list[CellRest] = []
    white_level: float | None = None


def detection_row(
    image: Image,
    cells: list[Cell],
    data: bytes,
    diagnosis: str | None,
    numbers: tuple[int, int],
    ids: Mapping[str, int],
) -> dict[str, Any]:
    """A row of the detection configuration; `numbers` are the ids of the image and of its first object."""
    number, first = numbers
    boxes = [_xywh(cell.box) for cell in cells]
    rest = ImageRest(
        image.name if image.name != image.id else "",
        image.subset,
        [(tag.label, list(tag.attributes), tag.source, tag.group) for tag in image.tags],
        image.annotation_state,
        (image.diagnosis or "") if image.patient else "",
        image.group or "",
        [_rest(cell, box) for cell, box in zip(cells, boxes, strict=True)],
        image.white_level,
    )
    if all(cell == CellRest() for cell in rest.cells):
        rest.cells = []
    return {
        "image": {"bytes": data, "path": image.id},
        "image_id": number,
        "width": image.width,
        "height": image.height,
        "file_name": image.id,
        "patient": image.patient,
        "diagnosis": diagnosis,
        "objects": {
            "id": list(range(first, first + len(cells))),
            "area": [round(width * height, _DIGITS) for _, _, width, height in boxes],
            "bbox": boxes,
            "category": [ids[cell.label] for cell in cells],
            "cell": [cell.id for cell in cells],
            "raw_label": [cell.raw_label for cell in cells],
        },
        "pcm": None if rest == ImageRest() else msgspec.json.encode(rest).decode(),
    }


def classification_row(
    image: Image, cell: Cell, crop: bytes, diagnosis: str | None, number: int, ids: Mapping[str, int]
) -> dict[str, Any]:
    """A row of the classification configuration; `number` is the id of the image."""
    return {
        "image": {"bytes": crop, "path": f"{image.id}_{cell.id}.png"},
        "label": ids[cell.label],
        "image_id": number,
        "file_name": image.id,
        "cell": cell.id,
        "bbox": _xywh(cell.box),
        "patient": image.patient,
        "diagnosis": diagnosis,
    }


def corners(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    """The corners ``(x1, y1, x2, y2)`` of a box given as x, y, width, height; all in pixels."""
    x, y, width, height = bbox
    return x, y, round(x + width, _DIGITS), round(y + height, _DIGITS)


def _xywh(box: Box) -> list[float]:
    return [box.x1, box.y1, round(box.width, _DIGITS), round(box.height, _DIGITS)]


def _rest(cell: Cell, bbox: list[float]) -> CellRest:
    box = cell.box
    exact = (box.x1, box.y1, box.x2, box.y2)
    return CellRest(
        None if corners(bbox) == exact else exact,
        None if cell.shape is None else pack(cell.shape),
        cell.occluded,
        cell.source,
        cell.z_order,
        cell.group,
        cell.track,
        list(cell.attributes),
    )
