"""A small square canvas on which a cell is painted, shape by shape, and the stamp that results.

Its origin is its middle, x to the right and y down, in pixels; colours are 0 to 255.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageFilter

__all__ = ["Canvas", "Colour", "Plane", "Stamp"]

Plane: TypeAlias = npt.NDArray[np.float32]
Colour: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Stamp:
    """A drawn cell: colours `(n, n, 3)` and coverage `(n, n)`, both 0 to 255, and its traits."""

    rgb: npt.NDArray[np.uint8]
    cover: npt.NDArray[np.uint8]
    traits: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The side of the square, in pixels."""
        return len(self.cover)


class Canvas:
    """A square to paint on. Shapes are planes of signed distances in pixels, positive inside."""

    def __init__(self, radius: float, rng: np.random.Generator, edge: float) -> None:
        half = math.ceil(radius) + 6
        self.rng, self.edge, self.size = rng, edge, 2 * half
        axis = np.arange(-half, half, dtype=np.float32) + np.float32(0.5)
        self.x, self.y = axis[None, :], axis[:, None]
        self.rgb = np.zeros((self.size, self.size, 3), np.float32)
        self.cover = np.zeros((self.size, self.size), np.float32)

    def noise(self, scale: float) -> Plane:
        """Smooth noise, mean 0 and deviation about 0.7, with features `scale` pixels wide."""
        cells = math.ceil(self.size / scale) + 3
        coarse = PIL.Image.fromarray(self.rng.standard_normal((cells, cells), np.float32))
        span = self.size / scale
        shift = self.rng.uniform(0, 2)
        window = (shift, shift, shift + span, shift + span)
        smooth = coarse.resize((self.size, self.size), PIL.Image.Resampling.BICUBIC, box=window)
        return np.asarray(smooth, np.float32)

    def oval(self, cx: float, cy: float, rx: float, ry: float | None = None, turn: float = 0.0) -> Plane:
        """An ellipse; `turn` is in radians, clockwise."""
        ry = rx if ry is None else ry
        cos, sin = math.cos(turn), math.sin(turn)
        dx, dy = self.x - np.float32(cx), self.y - np.float32(cy)
        across = (dx * cos + dy * sin) / rx
        down = (dy * cos - dx * sin) / ry
        return np.asarray((1 - np.hypot(across, down)) * min(rx, ry), np.float32)

    def thread(self, start: tuple[float, float], end: tuple[float, float], thickness: float) -> Plane:
        """A straight thread with round ends."""
        (x1, y1), (x2, y2) = start, end
        length = max((x2 - x1) ** 2 + (y2 - y1) ** 2, 1e-6)
        along = np.clip(((self.x - x1) * (x2 - x1) + (self.y - y1) * (y2 - y1)) / length, 0, 1)
        gap = np.hypot(self.x - x1 - along * (x2 - x1), self.y - y1 - along * (y2 - y1))
        return np.asarray(thickness / 2 - gap, np.float32)

    def paint(self, shape: Plane, colour: npt.ArrayLike, opacity: float = 1.0) -> None:
        """Paint over the canvas; `colour` is a single colour, or a plane `(n, n, 3)` of colours."""
        cover = np.clip(shape / self.edge + 0.5, 0, 1) * np.float32(opacity)
        self.rgb += (np.asarray(colour, np.float32) - self.rgb) * cover[..., None]

    def body(self, shape: Plane, colour: npt.ArrayLike) -> None:
        """Paint the outermost shape, which the cell covers."""
        self.cover = np.clip(shape / self.edge + 0.5, 0, 1)
        self.rgb[:] = colour

    def dots(
        self,
        centres: Iterable[tuple[float, float]],
        radii: tuple[float, float],
        colour: Colour,
        opacity: float = 1.0,
        shine: float = 0.0,
    ) -> None:
        """Paint small round granules; `shine` lightens their centres, as in refractile granules."""
        points = np.asarray(list(centres), np.float32).reshape(-1, 2)
        reach = math.ceil(radii[1] + self.edge)
        steps = np.arange(-reach, reach + 1)
        size = self.rng.uniform(*radii, len(points)).astype(np.float32)[:, None, None]
        columns = (points[:, 0] + self.size / 2).astype(int)[:, None, None] + steps[None, None, :]
        rows = (points[:, 1] + self.size / 2).astype(int)[:, None, None] + steps[None, :, None]
        columns, rows = (np.clip(axis, 0, self.size - 1) for axis in (columns, rows))
        gap = np.hypot(
            self.x[0, columns] - points[:, 0, None, None], self.y[rows, 0] - points[:, 1, None, None]
        )
        cover, middle = np.zeros_like(self.cover), np.zeros_like(self.cover)
        np.maximum.at(cover, (rows, columns), np.clip((size - gap) / self.edge + 0.5, 0, 1))
        np.maximum.at(middle, (rows, columns), np.clip(1 - gap / size, 0, 1))
        tint = np.asarray(colour, np.float32) * (1 + 0.07 * self.noise(7))[..., None]
        tint += (255 - tint) * (shine * middle)[..., None]
        self.rgb += (tint - self.rgb) * (cover * np.float32(opacity))[..., None]

    def scatter(self, shape: Plane, spacing: float) -> list[tuple[float, float]]:
        """Randomly displaced points, about `spacing` pixels apart, where `shape` is positive."""
        half = self.size / 2
        steps = np.arange(-half, half, spacing)
        xs, ys = np.meshgrid(steps, steps)
        xs = xs + (np.arange(len(steps)) % 2)[:, None] * spacing / 2
        shake = spacing * 0.32
        xs, ys = (axis.ravel() + self.rng.uniform(-shake, shake, axis.size) for axis in (xs, ys))
        last = self.size - 1
        rows, columns = (np.clip((axis + half).astype(int), 0, last) for axis in (ys, xs))
        inside = shape[rows, columns] > 0
        points = np.stack([xs, ys], 1)[inside]
        self.rng.shuffle(points)
        return [(float(x), float(y)) for x, y in points]

    def stamp(self, **traits: str) -> Stamp:
        """The painted cell."""
        sharp = PIL.Image.fromarray(np.clip(self.rgb, 0, 255).astype(np.uint8))
        soft = sharp.filter(PIL.ImageFilter.GaussianBlur(self.edge * 0.45))
        return Stamp(np.asarray(soft), (self.cover * 255).astype(np.uint8), traits)
