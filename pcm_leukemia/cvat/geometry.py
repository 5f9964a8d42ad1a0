"""Converts the attributes of a shape in CVAT's XML to its envelope and the drawn shape.

Each function returns ``((x1, y1, x2, y2), shape)`` in pixels, where `shape` is None for an
upright box. The functions raise KeyError for a missing attribute and ValueError for an attribute that cannot be
read. The caller checks whether the envelope has an area and lies in the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pcm_leukemia.shapes import Ellipse, Mask, Polygon, RotatedBox, Shape

__all__ = ["GEOMETRIES", "Envelope"]

Envelope = tuple[float, float, float, float]
_Attrs = Mapping[str, str]


def _box(attrs: _Attrs) -> tuple[Envelope, Shape | None]:
    envelope = float(attrs["xtl"]), float(attrs["ytl"]), float(attrs["xbr"]), float(attrs["ybr"])
    rotation = _rotation(attrs) if "rotation" in attrs else 0.0
    if not rotation:
        return envelope, None
    turned = RotatedBox(*envelope, rotation)
    return turned.envelope(), turned


def _polygon(attrs: _Attrs) -> tuple[Envelope, Shape | None]:
    points = []
    for pair in attrs["points"].split(";"):
        x, y = map(float, pair.split(","))
        points.append((x, y))
    if not all(math.isfinite(x) and math.isfinite(y) for x, y in points):
        raise ValueError("a point is not finite")
    outline = Polygon(tuple(points))
    return outline.envelope(), outline


def _ellipse(attrs: _Attrs) -> tuple[Envelope, Shape | None]:
    cx, cy, rx, ry = (float(attrs[key]) for key in ("cx", "cy", "rx", "ry"))
    if rx < 0 or ry < 0:
        raise ValueError("a radius is negative")
    ellipse = Ellipse(cx, cy, rx, ry, _rotation(attrs))
    return ellipse.envelope(), ellipse


def _mask(attrs: _Attrs) -> tuple[Envelope, Shape | None]:
    left, top, width, height = (int(float(attrs[key])) for key in ("left", "top", "width", "height"))
    mask = Mask(left, top, width, height, tuple(int(run) for run in attrs["rle"].split(",")))
    return mask.envelope() or (left, top, left, top), mask


def _rotation(attrs: _Attrs) -> float:
    return float(attrs.get("rotation") or 0) % 360


GEOMETRIES: Mapping[str, Callable[[_Attrs], tuple[Envelope, Shape | None]]] = {
    "box": _box,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
}
"""The shapes of cells, by the name of their XML element."""
