"""Where an annotation of COCO is: its box, its turn and its outline, and whether these agree.

Conventions: the COCO format (bbox, polygons, run lengths column by column; the compressed form is that of
pycocotools); for ``attributes.rotation``, CVAT's exporter, which keeps the box before the turn in `bbox` and the
angle in degrees clockwise, as in its XML.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from pcm_leukemia.converters.coco.refused import Refused
from pcm_leukemia.shapes import Polygon, RotatedBox, Shape

__all__ = ["Drawn", "Placed", "Sides", "agree", "are_corners", "corners_of", "drawn", "placed_by", "sides_of"]

Sides: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""

TOLERANCE = 2.0
"""By how many pixels the sides of a box and its outline may differ. Tools round both, and some count an outline from the
centres of pixels and the box from their borders."""


class Drawn(NamedTuple):
    """What the outline of an annotation says: the shape to keep, its extent, and why an outline is not kept."""

    shape: Polygon | None = None
    extent: Sides | None = None
    why_not_kept: str = ""


_NOTHING = Drawn()


class Placed(NamedTuple):
    """The sides and the shape of an annotation.

    `contradicting` is the extent of an outline that is not where the box is, and `why_not_kept` why an outline is not
    the shape.
    """

    sides: Sides
    shape: Shape | None = None
    contradicting: Sides | None = None
    why_not_kept: str = ""


def placed_by(row: Mapping[str, Any], width: int, height: int) -> Placed:
    """Where an annotation of another tool is, in an image of `width` x `height` pixels.

    Raises
    ------
    KeyError
        If it has neither a box nor an outline.
    Refused
        If its box or outline is invalid.

    Examples
    --------
    >>> placed_by({"bbox": [10, 15, 40, 10], "attributes": {"rotation": 90.0}}, 60, 40).sides
    (25.0, 0.0, 35.0, 40.0)
    """
    segmentation = row.get("segmentation")
    outline = drawn(segmentation, width, height) if segmentation else _NOTHING
    if outline.extent is not None and not row.get("bbox"):
        return Placed(outline.extent, outline.shape, None, outline.why_not_kept)
    sides = sides_of(row["bbox"])
    box = _turned(row, sides)
    if box is not None and (outline.extent is None or _is_of_turned(outline, sides, box)):
        return Placed(box.envelope(), box)
    if outline.extent is not None and not agree(sides, outline.extent, (width, height)):
        return Placed(sides, outline.shape, outline.extent, outline.why_not_kept)
    return Placed(sides, outline.shape, None, outline.why_not_kept)


def _is_of_turned(outline: Drawn, sides: Sides, box: RotatedBox) -> bool:
    """Whether an outline is a turned box after all: its corners, before or after the turn."""
    if outline.shape is None or not 4 <= len(outline.shape.points) <= 5:
        return False
    x1, y1, x2, y2 = sides
    return any(
        all(
            min(math.dist(point, corner) for corner in corners) <= TOLERANCE for point in outline.shape.points
        )
        for corners in (((x1, y1), (x2, y1), (x2, y2), (x1, y2)), box.polygon())
    )


def sides_of(bbox: object) -> Sides:
    """The sides of a `bbox`, which is ``[x, y, width, height]``.

    Raises
    ------
    Refused
        If it is something else.

    Examples
    --------
    >>> sides_of([10, 15, 40, 10])
    (10.0, 15.0, 50.0, 25.0)
    """
    x, y, width, height = corners_of(bbox)
    return x, y, round(x + width, 3), round(y + height, 3)


def corners_of(bbox: object) -> Sides:
    """The four numbers of a `bbox`: the sides, if a tool wrote ``[x1, y1, x2, y2]``.

    Raises
    ------
    Refused
        If they are not four numbers.
    """
    try:
        x, y, width, height = map(float, bbox)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(f"its bbox {_short(bbox)} cannot be read as [x, y, width, height]") from error
    return x, y, width, height


def _turned(row: Mapping[str, Any], sides: Sides) -> RotatedBox | None:
    """The box that CVAT turned by ``attributes.rotation``; None if it is upright."""
    attributes = row.get("attributes")
    angle = attributes.get("rotation") if isinstance(attributes, dict) else None
    if isinstance(angle, bool) or not isinstance(angle, int | float):
        return None
    if not math.isfinite(angle):
        raise Refused(f"its rotation {angle} is not finite")
    return RotatedBox(*sides, float(angle) % 360) if angle % 360 else None


def drawn(segmentation: object, width: int, height: int) -> Drawn:
    """What a `segmentation` says, in an image of `width` x `height` pixels.

    Raises
    ------
    Refused
        If it is neither a list of polygons nor run lengths of the image's size.

    Examples
    --------
    >>> drawn([[1, 2, 3, 4, 6, 5]], 60, 40).extent
    (1.0, 2.0, 6.0, 5.0)
    >>> drawn({"size": [40, 60], "counts": [41, 3, 2356]}, 60, 40).extent
    (1.0, 1.0, 2.0, 4.0)
    """
    if not segmentation:
        return _NOTHING
    if isinstance(segmentation, dict):
        return _run_lengths(segmentation, width, height)
    if not isinstance(segmentation, list):
        raise Refused(
            f"its segmentation {_short(segmentation)} is neither a list of polygons nor run lengths"
        )
    polygons = [points for points in map(_points, _pieces(segmentation)) if points]
    outlines = [points for points in polygons if len(points) > 2]
    if not outlines:
        return Drawn(
            None, None, "outlines with fewer than three points: their boxes are kept" * bool(polygons)
        )
    xs = [x for points in outlines for x, _ in points]
    ys = [y for points in outlines for _, y in points]
    extent = min(xs), min(ys), max(xs), max(ys)
    if len(polygons) > 1:
        return Drawn(None, extent, _PIECES)
    return Drawn(Polygon(tuple(outlines[0])), extent)


_PIECES = "outlines in several pieces or as run lengths: their boxes are kept"


def _pieces(segmentation: list[Any]) -> list[Any]:
    """The polygons; some tools write one polygon without the list around it, as numbers or as points."""
    if all(isinstance(item, int | float) for item in segmentation):
        return [segmentation]
    if len(segmentation) > 2 and all(isinstance(item, list) and len(item) == 2 for item in segmentation):
        return [segmentation]
    return segmentation


def _points(piece: object) -> list[tuple[float, float]]:
    """The points of a polygon given as x, y, x, y, ... or as [x, y], [x, y], ..."""
    try:
        numbers = list(piece)  # type: ignore[call-overload]
        if numbers and all(isinstance(item, list) for item in numbers):
            numbers = list(chain.from_iterable(numbers))
        values = list(map(float, numbers))
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(f"its outline {_short(piece)} is not numbers, x and y in turn") from error
    if len(values) % 2:
        raise Refused(f"its outline has {len(values)} numbers, but x and y must alternate")
    if not all(map(math.isfinite, values)):
        raise Refused("a point of its outline is not finite")
    return list(zip(values[::2], values[1::2], strict=True))


def _run_lengths(segmentation: dict[str, Any], width: int, height: int) -> Drawn:
    counts, size = segmentation.get("counts"), segmentation.get("size")
    if counts is None:
        raise Refused(f"its segmentation {_short(segmentation)} has no counts, which run lengths need")
    if size is not None and size != [height, width]:
        raise Refused(
            f"its run lengths are of {_short(size)}, the image is [{height}, {width}], height first"
        )
    try:
        runs = _uncompressed(counts) if isinstance(counts, str) else list(map(int, counts))
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(
            f"its run lengths {_short(counts)} are neither whole numbers nor text of pycocotools"
        ) from error
    if runs and (min(runs) < 0 or sum(runs) > width * height):
        raise Refused(f"its run lengths add up to {sum(runs)} pixels, the image has {width * height}")
    return Drawn(None, _extent_of_runs(runs, height), _PIECES)


def _uncompressed(text: str) -> list[int]:
    """Run lengths from the text of pycocotools: 5 bits a character, each run from the third on as a difference."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("not run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("not run lengths")
    return runs


def _extent_of_runs(runs: list[int], height: int) -> Sides | None:
    """The extent of the set pixels, which are every second run; None if no pixel is set."""
    left = top = math.inf
    right = bottom = -math.inf
    start = 0
    for index, run in enumerate(runs):
        end = start + run
        if index % 2 and run:
            first, last = start // height, (end - 1) // height
            wraps = last > first
            left, right = min(left, first), max(right, last + 1)
            top = min(top, 0 if wraps else start % height)
            bottom = max(bottom, height if wraps else (end - 1) % height + 1)
        start = end
    return None if left == math.inf else (float(left), float(top), float(right), float(bottom))


def agree(box: Sides, outline: Sides, size: tuple[int, int]) -> bool:
    """Whether a box can be that of an outline: tools may have cut either at the border of the image.

    Examples
    --------
    >>> agree((0, 0, 10, 10), (-5, 0, 11, 10), (60, 40)), agree((2, 2, 12, 12), (30, 10, 50, 30), (60, 40))
    (True, False)
    """
    return _near(box, outline) or _near(_cut(box, size), _cut(outline, size))


def _cut(sides: Sides, size: tuple[int, int]) -> Sides:
    x1, y1, x2, y2 = sides
    width, height = size
    return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)


def _near(one: Sides, other: Sides) -> bool:
    return all(abs(a - b) <= TOLERANCE + 1e-6 for a, b in zip(one, other, strict=True))


def are_corners(bbox: Sides, area: object) -> bool:
    """Whether the area of a box shows that its `bbox` is ``[x1, y1, x2, y2]``, given the sides read from it.

    Examples
    --------
    >>> are_corners(sides_of([10, 10, 30, 40]), 600), are_corners(sides_of([10, 10, 30, 40]), 1200)
    (True, False)
    """
    if isinstance(area, bool) or not isinstance(area, int | float) or area <= 0:
        return False
    x, y = bbox[:2]
    x2, y2 = bbox[2] - x, bbox[3] - y
    if x2 <= x or y2 <= y:
        return False
    slack = 1 + 0.02 * area
    return abs(x2 * y2 - area) > 2 * slack and abs((x2 - x) * (y2 - y) - area) <= slack


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
