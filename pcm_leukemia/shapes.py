"""The shapes that a cell can be drawn as, and the axis-aligned box around each.

Coordinates are pixels: origin at the image's top-left corner, x to the right, y down,
continuous, so that a full image is the box ``(0, 0, width, height)``. Angles are degrees,
clockwise as seen on the screen, as CVAT writes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec.structs import force_setattr

from pcm_leukemia.errors import ImpossibleValue

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "XY",
    "Box",
    "Ellipse",
    "Mask",
    "Point",
    "Polygon",
    "RotatedBox",
    "Shape",
    "clipped",
    "pack",
    "unpack",
]

XY: TypeAlias = tuple[float, float]

ELLIPSE_POINTS = 36


class Box(msgspec.Struct, frozen=True, gc=False):
    """An axis-aligned box ``[x1, x2) x [y1, y2)`` in pixels, with a positive area.

    Raises
    ------
    ImpossibleValue
        If a coordinate is not finite, or the box has no area.

    Examples
    --------
    >>> box = Box(10, 20, 40, 60)
    >>> box.width, box.height, box.area
    (30.0, 40.0, 1200.0)
    >>> box.clip(30, 100)
    Box(x1=10.0, y1=20.0, x2=30.0, y2=60.0)
    """

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        if not (-math.inf < self.x1 < self.x2 < math.inf and -math.inf < self.y1 < self.y2 < math.inf):
            raise ImpossibleValue(
                f"box ({self.x1}, {self.y1}, {self.x2}, {self.y2}): has no area or is not finite; "
                "give x1 < x2 and y1 < y2"
            )
        if not (type(self.x1) is type(self.y1) is type(self.x2) is type(self.y2) is float):
            for side in ("x1", "y1", "x2", "y2"):
                force_setattr(self, side, float(getattr(self, side)))

    @property
    def width(self) -> float:
        """x2 - x1, in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """y2 - y1, in pixels."""
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Width times height, in square pixels."""
        return (self.x2 - self.x1) * (self.y2 - self.y1)

    def inside(self, width: float, height: float) -> bool:
        """Whether the box lies within an image of `width` x `height` pixels."""
        return self.x1 >= 0 and self.y1 >= 0 and self.x2 <= width and self.y2 <= height

    def clip(self, width: float, height: float) -> Box | None:
        """The part of the box inside an image of `width` x `height` pixels, or None."""
        x1, y1 = max(self.x1, 0), max(self.y1, 0)
        x2, y2 = min(self.x2, width), min(self.y2, height)
        return Box(x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


@dataclass(frozen=True, slots=True)
class RotatedBox:
    """A box turned about its own centre; `x1` to `y2` are its corners before the turn.

    Examples
    --------
    >>> RotatedBox(0, 0, 4, 2, 90).envelope()
    (1.0, -1.0, 3.0, 3.0)
    """

    x1: float
    y1: float
    x2: float
    y2: float
    rotation: float

    def polygon(self) -> tuple[XY, ...]:
        """The four corners after the turn, from the one that was top left, clockwise."""
        cx, cy = (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2
        cos, sin = _cos_sin(self.rotation)
        corners = ((self.x1, self.y1), (self.x2, self.y1), (self.x2, self.y2), (self.x1, self.y2))
        return tuple(
            (cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos) for x, y in corners
        )

    def envelope(self) -> tuple[float, float, float, float]:
        """The axis-aligned extent ``(x1, y1, x2, y2)`` of the turned box."""
        return _extent(self.polygon())


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed outline; the last point is joined to the first.

    Examples
    --------
    >>> Polygon(((1, 2), (3, 4), (6, 5))).envelope()
    (1, 2, 6, 5)
    """

    points: tuple[XY, ...]

    def polygon(self) -> tuple[XY, ...]:
        """The points themselves."""
        return self.points

    def envelope(self) -> tuple[float, float, float, float]:
        """The axis-aligned extent ``(x1, y1, x2, y2)``."""
        return _extent(self.points)


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse: its centre, its two radii, and its rotation about the centre.

    Examples
    --------
    >>> Ellipse(10, 10, 4, 2, 90).envelope()
    (8.0, 6.0, 12.0, 14.0)
    """

    cx: float
    cy: float
    rx: float
    ry: float
    rotation: float = 0.0

    def polygon(self) -> tuple[XY, ...]:
        """36 points on the ellipse, its parameter in steps of ten degrees."""
        cos, sin = _cos_sin(self.rotation)
        points = []
        for step in range(ELLIPSE_POINTS):
            ux, uy = _cos_sin(360 * step / ELLIPSE_POINTS)
            x, y = self.rx * ux, self.ry * uy
            points.append((self.cx + x * cos - y * sin, self.cy + x * sin + y * cos))
        return tuple(points)

    def envelope(self) -> tuple[float, float, float, float]:
        """The exact axis-aligned extent ``(x1, y1, x2, y2)``."""
        cos, sin = _cos_sin(self.rotation)
        half_width = math.hypot(self.rx * cos, self.ry * sin)
        half_height = math.hypot(self.rx * sin, self.ry * cos)
        return (
            self.cx - half_width,
            self.cy - half_height,
            self.cx + half_width,
            self.cy + half_height,
        )


@dataclass(frozen=True, slots=True)
class Mask:
    """A bitmap as CVAT stores it: run lengths, row by row over a crop of the image.

    Runs of zeros and ones alternate. The first one counts zeros (it may be 0). Together they
    add up to ``width * height``. Source: CVAT's XML format, "mask", `rle`.

    Raises
    ------
    ImpossibleValue
        If a run is negative, or the runs do not fill the crop.

    Examples
    --------
    >>> mask = Mask(left=10, top=5, width=3, height=2, runs=(1, 2, 2, 1))
    >>> mask.array().astype(int).tolist()
    [[0, 1, 1], [0, 0, 1]]
    >>> mask.envelope()
    (11, 5, 13, 7)
    """

    left: int
    top: int
    width: int
    height: int
    runs: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0 or any(run < 0 for run in self.runs):
            raise ImpossibleValue(
                "mask: a size is not positive or a run is negative; give alternating run lengths of zeros and ones"
            )
        if sum(self.runs) != self.width * self.height:
            raise ImpossibleValue(
                f"mask: its runs add up to {sum(self.runs)}, but the crop of {self.width} x {self.height} "
                f"has {self.width * self.height} pixels; export it again from CVAT"
            )

    def array(self) -> npt.NDArray[np.bool_]:
        """The crop as a ``(height, width)`` array of booleans."""
        import numpy as np

        ones = np.arange(len(self.runs)) % 2 == 1
        return np.repeat(ones, self.runs).reshape(self.height, self.width)

    @property
    def area(self) -> int:
        """The number of set pixels."""
        return sum(self.runs[1::2])

    def envelope(self) -> tuple[float, float, float, float] | None:
        """The extent ``(x1, y1, x2, y2)`` of the set pixels; None if no pixel is set."""
        columns: tuple[int, int] | None = None
        rows: tuple[int, int] | None = None
        start = 0
        for index, run in enumerate(self.runs):
            end = start + run
            if index % 2 and run:
                first_row, last_row = start // self.width, (end - 1) // self.width
                # a run that wraps into the next row touches both sides of the crop
                wraps = last_row > first_row
                left = 0 if wraps else start % self.width
                right = self.width - 1 if wraps else (end - 1) % self.width
                rows = (rows[0] if rows else first_row, last_row)
                columns = (min(columns[0], left), max(columns[1], right)) if columns else (left, right)
            start = end
        if rows is None or columns is None:
            return None
        return (
            self.left + columns[0],
            self.top + rows[0],
            self.left + columns[1] + 1,
            self.top + rows[1] + 1,
        )


@dataclass(frozen=True, slots=True)
class Point:
    """A cell annotated with a point, so that its extent is unknown.

    `Cell.box` is then the pixel at the point. It is not the extent of the cell, so tasks that need boxes
    refuse it; see `requirements.require_boxes`.

    Examples
    --------
    >>> Point(10.5, 20).pixel(200, 100)
    Box(x1=10.0, y1=20.0, x2=11.0, y2=21.0)
    >>> Point(200, 0).pixel(200, 100)
    Box(x1=199.0, y1=0.0, x2=200.0, y2=1.0)
    """

    x: float
    y: float

    def polygon(self) -> tuple[XY, ...]:
        """The point itself."""
        return ((self.x, self.y),)

    def envelope(self) -> tuple[float, float, float, float]:
        """The extent ``(x, y, x, y)``, which has no area."""
        return self.x, self.y, self.x, self.y

    def pixel(self, width: int, height: int) -> Box:
        """The pixel at the point, in an image of `width` x `height` pixels.

        Raises
        ------
        ImpossibleValue
            If the point lies outside the image.
        """
        if not (0 <= self.x <= width and 0 <= self.y <= height):
            raise ImpossibleValue(
                f"point ({self.x}, {self.y}): lies outside the image of {width} x {height}; give a point inside"
            )
        x, y = min(math.floor(self.x), width - 1), min(math.floor(self.y), height - 1)
        return Box(x, y, x + 1, y + 1)


def clipped(points: Sequence[XY], width: float, height: float) -> tuple[XY, ...]:
    """The part of a closed outline inside an image of `width` x `height` pixels; () if all of it is outside.

    It is cut at one side of the image after the other (Sutherland and Hodgman, 1974).

    Examples
    --------
    >>> clipped(((-2, 0), (2, 0), (2, 2), (-2, 2)), 10, 10)
    ((0, 0.0), (2, 0), (2, 2), (0, 2.0))
    """
    kept = list(points)
    for axis, border, sign in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
        corners, kept = kept, []
        for before, here in zip([*corners[-1:], *corners[:-1]], corners, strict=True):
            inside = [sign * (point[axis] - border) >= 0 for point in (before, here)]
            if inside[0] != inside[1]:
                share = (border - before[axis]) / (here[axis] - before[axis])
                across = before[1 - axis] + share * (here[1 - axis] - before[1 - axis])
                kept.append((border, across) if axis == 0 else (across, border))
            if inside[1]:
                kept.append(here)
    return tuple(kept)


Shape: TypeAlias = RotatedBox | Polygon | Ellipse | Mask | Point


def pack(shape: Shape) -> tuple[str, list[float]]:
    """The name of a shape and its numbers, as tables and JSON hold them.

    Examples
    --------
    >>> pack(Polygon(((1.0, 2.0), (3.0, 4.5), (6.0, 5.0))))
    ('polygon', [1.0, 2.0, 3.0, 4.5, 6.0, 5.0])
    >>> unpack(*pack(Ellipse(10, 10, 4, 2, 90)))
    Ellipse(cx=10, cy=10, rx=4, ry=2, rotation=90)
    """
    match shape:
        case RotatedBox(x1, y1, x2, y2, rotation):
            return "rotated", [x1, y1, x2, y2, rotation]
        case Polygon(points):
            return "polygon", [number for point in points for number in point]
        case Ellipse(cx, cy, rx, ry, rotation):
            return "ellipse", [cx, cy, rx, ry, rotation]
        case Mask(left, top, width, height, runs):
            return "mask", [left, top, width, height, *runs]
        case Point(x, y):
            return "point", [x, y]


def unpack(kind: str, numbers: Sequence[float]) -> Shape:
    """The shape with this name and these numbers, as `pack` returns them.

    Raises
    ------
    ImpossibleValue
        If the kind of shape is unknown, or it needs another count of numbers.
    """
    if not all(map(math.isfinite, numbers)):
        raise ImpossibleValue(f'shape "{kind}": a number is not finite; draw it again')
    if kind == "rotated" and len(numbers) == 5:
        return RotatedBox(*numbers)
    if kind == "polygon" and numbers and len(numbers) % 2 == 0:
        return Polygon(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    if kind == "ellipse" and len(numbers) == 5:
        return Ellipse(*numbers)
    if kind == "mask" and len(numbers) > 4:
        left, top, width, height, *runs = map(int, numbers)
        return Mask(left, top, width, height, tuple(runs))
    if kind == "point" and len(numbers) == 2:
        return Point(*numbers)
    raise ImpossibleValue(
        f'shape "{kind}" with {len(numbers)} numbers: unknown kind or wrong count of numbers; '
        "use rotated, polygon, ellipse, mask or point"
    )


def _cos_sin(degrees: float) -> tuple[float, float]:
    """Cosine and sine, exact at the quarter turns."""
    quarter = {0.0: (1.0, 0.0), 90.0: (0.0, 1.0), 180.0: (-1.0, 0.0), 270.0: (0.0, -1.0)}.get(degrees % 360)
    return quarter or (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))


def _extent(points: Sequence[XY]) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)
