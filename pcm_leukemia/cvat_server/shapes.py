"""A cell as a shape in CVAT's schema, with CVAT's own score, and a tag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pcm_leukemia.schema import Attributes, Cell, Tag
from pcm_leukemia.shapes import Box, Ellipse, Mask, Point, Polygon, RotatedBox

if TYPE_CHECKING:
    from cvat_sdk.models import AttributeValRequest, LabeledImageRequest, LabeledShapeRequest

__all__ = ["SCORE", "TAG", "as_shape", "as_tag", "shape_kind"]

SCORE = "score"
"""The attribute in which a predicted cell has its score."""
TAG = "tag"
"""What CVAT calls the kind of a label that is for tags alone."""


def as_shape(
    cell: Cell,
    label: int,
    *,
    frame: int = 0,
    source: str | None = None,
    attributes: Mapping[str, int] | None = None,
    upright: bool = False,
) -> LabeledShapeRequest:
    """The shape of a cell; coordinates are in pixels of the image, as in the cell.

    Parameters
    ----------
    cell
        The cell. If it has an attribute "score", a number from 0 to 1, the shape has this score.
    label, frame
        The numbers of its label and its frame.
    source
        Who drew it, as CVAT says it; by default that is not said.
    attributes
        The attributes of the label, by name -> number; others are left out.
    upright
        Whether to give the upright box in place of an outline.

    Examples
    --------
    >>> from pcm_leukemia.schema import ImageId
    >>> cell = Cell(ImageId("a.png"), 0, "Other", Box(8, 8, 20, 20), attributes=(("score", "0.87"),))
    >>> shape = as_shape(cell, 5, source="auto")
    >>> shape.label_id, shape.points, shape.score
    (5, [8.0, 8.0, 20.0, 20.0], 0.87)
    """
    from cvat_sdk.models import LabeledShapeRequest

    kind, points, more = ("rectangle", _corners(cell.box), dict[str, Any]()) if upright else _geometry(cell)
    if (score := _score(cell)) is not None:
        more["score"] = score
    if source is not None:
        more["source"] = source
    return LabeledShapeRequest(
        type=kind,
        label_id=label,
        frame=frame,
        points=points,
        occluded=cell.occluded,
        z_order=cell.z_order,
        group=cell.group,
        attributes=_values(cell.attributes, attributes or {}),
        **more,
    )


def as_tag(tag: Tag, label: int, *, frame: int, attributes: Mapping[str, int]) -> LabeledImageRequest:
    """A tag of an image; the arguments are those of `as_shape`."""
    from cvat_sdk.models import LabeledImageRequest

    return LabeledImageRequest(
        label_id=label,
        frame=frame,
        group=tag.group,
        source=tag.source or "manual",
        attributes=_values(tag.attributes, attributes),
    )


def _values(attributes: Attributes, known: Mapping[str, int]) -> list[AttributeValRequest]:
    from cvat_sdk.models import AttributeValRequest

    return [AttributeValRequest(known[name], value) for name, value in attributes if name in known]


def shape_kind(cell: Cell) -> str:
    """What CVAT calls the kind of a cell's shape."""
    return _geometry(cell)[0]


def _geometry(cell: Cell) -> tuple[str, list[float], dict[str, Any]]:
    """The kind of a shape, its numbers in CVAT's order, and its rotation in degrees if it has one."""
    match cell.shape:
        case None:
            return "rectangle", _corners(cell.box), {}
        case RotatedBox() as box:
            return "rectangle", _corners(box), {"rotation": box.rotation % 360}
        case Polygon(points):
            return "polygon", [float(number) for point in points for number in point], {}
        case Ellipse(cx, cy, rx, ry, rotation):
            return "ellipse", [cx, cy, cx + rx, cy - ry], {"rotation": rotation % 360}
        case Mask(left, top, width, height, runs):
            sides = (left, top, left + width - 1, top + height - 1)
            return "mask", [float(number) for number in (*runs, *sides)], {}
        case Point(x, y):
            return "points", [x, y], {}


def _corners(box: Box | RotatedBox) -> list[float]:
    return [float(side) for side in (box.x1, box.y1, box.x2, box.y2)]


def _score(cell: Cell) -> float | None:
    """The score of a predicted cell; None for other cells."""
    for name, value in cell.attributes:
        if name == SCORE:
            try:
                score = float(value)
            except ValueError:
                return None
            return score if 0 <= score <= 1 else None
    return None
