"""Small grey thumbnails, and how alike two of them are in each of 8 orientations.

A thumbnail is square whatever the shape of its source, so that a turned or mirrored source has the turned or mirrored
thumbnail. Two thumbnails are compared by correlation, after everything coarser than about five of their pixels is
removed: all smears share what is coarse (the lamp, a dark blob in the middle of a box), and fine structure
distinguishes one field or cell from another.

Every pair is first compared coarsely; pairs that pass are compared finely (`search` says how). The radius lies in a gap that was measured (`benchmarks/duplicates.py`, docs/trust.md) on 1,000 drawn
smears with 6,629 cells and on BCCD, 364 real frames with 4,886 cells, whose nearest pairs were inspected:

- images: the nearest different images reach a fine correlation of 0.29 (drawn) and 0.32 (BCCD); copies that were
  compressed again, halved, turned or mirrored reach 0.98 and above. BCCD has one field at two focuses, 0.97, and one
  that was photographed again with the stage moved by a few per cent, 0.61, which is not found: the radius for images
  is no wider than the one for cells, because an image may show a single cell.
- cells: the nearest different cells reach 0.83 (drawn) and 0.84 (BCCD), and with 40,000 cells may reach 0.86. For
  cells of 70 px and more, copies at JPEG quality 60 reach 0.90 and above in 98 of 100 cases, and boxes drawn 1 % off
  reach 0.92. BCCD has cells that were photographed twice: 0.94, 0.94, 0.91, 0.88, 0.88, and outside the radius 0.86
  and 0.83.

Why not a difference hash of 64 bits: cells look alike. Among 6,629 drawn cells, the nearest different pairs correlate
by 0.996 in a coarse picture of 8 x 8, as do copies whose boxes differ by a pixel. Comparing bits is not faster
either: in a second, numpy counts the bits of 80 million pairs and multiplies the vectors of 300 million. Why not the
library imagehash: its hashes are of that kind, and it needs scipy and PyWavelets. Colour is not kept: it distinguishes
stains, not copies, and did not widen the gap.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import PIL.Image

from pcm_leukemia.shapes import Box

__all__ = [
    "COARSE",
    "COPIES",
    "ORIENTATIONS",
    "SIDE",
    "Floats",
    "Radius",
    "Stack",
    "coarse",
    "correlation",
    "detail",
    "digest",
    "fine",
    "inverse",
    "moves",
    "orientation_in_words",
    "thumbnail",
    "turned",
]

Stack = npt.NDArray[np.uint8]
"""Thumbnails, ``(n, 32, 32)``."""
Floats = npt.NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)

SIDE = 32
"""Pixels of a thumbnail, wide and high."""
COARSE = 8
"""Pixels of the coarse picture, wide and high, that proposes pairs."""
ORIENTATIONS = 8
"""As stored, turned counter-clockwise by 90, 180 and 270 degrees; then the same after mirroring."""
FLOATS_AT_ONCE = 1024
"""Thumbnails that are converted to floating-point numbers at a time."""


@dataclass(frozen=True, slots=True)
class Radius:
    """The coarse and the fine correlation that two thumbnails must reach to count as copies.

    `least_detail` is the deviation (in grey levels of 255) below which a thumbnail is too plain to compare.
    """

    propose: float = 0.92
    confirm: float = 0.87
    least_detail: float = 0.5


COPIES = Radius()
"""The radius for images and for cells."""

# Thumbnails


def digest(pixels: npt.NDArray[np.uint8]) -> str:
    """SHA-256 of decoded pixels and their shape: the same for the same picture in any lossless file.

    Examples
    --------
    >>> flat = np.zeros((2, 3, 3), np.uint8)
    >>> digest(flat) == digest(flat.copy()), digest(flat) == digest(flat.reshape(3, 2, 3))
    (True, False)
    """
    found = hashlib.sha256(repr(pixels.shape).encode())
    found.update(np.ascontiguousarray(pixels).data)
    return found.hexdigest()


def thumbnail(picture: PIL.Image.Image, box: Box | None = None) -> Stack:
    """The grey ``(32, 32)`` thumbnail of a picture, or of a box in it (in pixels, which may be fractions)."""
    corners = (box.x1, box.y1, box.x2, box.y2) if box else (0.0, 0.0, *picture.size)
    small = picture.resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR, box=corners, reducing_gap=3.0)
    return np.asarray(small.convert("L"))


def turned(stack: npt.NDArray[Number], orientation: int) -> npt.NDArray[Number]:
    """Thumbnails ``(n, side, side)`` in one of the 8 orientations.

    Examples
    --------
    >>> one = np.array([[[1, 2], [3, 4]]], np.uint8)
    >>> turned(one, 1).tolist(), turned(one, 4).tolist()
    ([[[2, 4], [1, 3]]], [[[2, 1], [4, 3]]])
    """
    mirrored = stack[:, :, ::-1] if orientation >= 4 else stack
    return np.rot90(mirrored, orientation % 4, axes=(1, 2))


def orientation_in_words(orientation: int) -> str:
    """How a copy lies whose original looks like it in this orientation (see `turned`); "" if it lies as the original.

    Examples
    --------
    >>> orientation_in_words(0), orientation_in_words(1), orientation_in_words(4)
    ('', 'rotated by 90 degrees counter-clockwise', 'mirrored left to right')
    """
    if orientation == 6:  # mirrored left to right and rotated by 180 degrees
        return "mirrored top to bottom"
    rotated = (
        "",
        "rotated by 90 degrees counter-clockwise",
        "rotated by 180 degrees",
        "rotated by 90 degrees clockwise",
    )[orientation % 4]
    mirrored = "mirrored left to right" if orientation >= 4 else ""
    return " and ".join(filter(None, (mirrored, rotated)))


def inverse(orientation: int) -> int:
    """The orientation that undoes another: a mirrored one undoes itself.

    Examples
    --------
    >>> one = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)
    >>> all((turned(turned(one, each), inverse(each)) == one).all() for each in range(ORIENTATIONS))
    True
    """
    return orientation if orientation >= 4 else -orientation % 4


def coarse(structure: Floats) -> Floats:
    """Vectors ``(n, 64)`` of length 1 whose product proposes pairs: `fine` structure, averaged over 4 x 4 pixels."""
    step = SIDE // COARSE
    small = structure.reshape(len(structure), COARSE, step, COARSE, step).mean((2, 4))
    return _unit((small - small.mean((1, 2), keepdims=True)).reshape(len(structure), -1))


def detail(stack: Stack) -> Floats:
    """The standard deviation of the fine structure of each thumbnail, ``(n,)``, in grey levels of 255."""
    deviations = np.zeros(len(stack), np.float32)
    for start in range(0, len(stack), FLOATS_AT_ONCE):
        above = _above_surroundings(stack[start : start + FLOATS_AT_ONCE])
        deviations[start : start + FLOATS_AT_ONCE] = np.sqrt((above**2).mean((1, 2)))
    return deviations


def correlation(one: Stack, other: Stack) -> Floats:
    """The fine correlation of each thumbnail of `one` with the same one of `other`, ``(n,)``, 1 at most.

    `one` is first moved and stretched a little in x and y to fit better (to first order, by least squares). The boxes
    of two copies of a cell, drawn by hand or rounded to pixels, differ by about one per cent, which would otherwise
    spoil the match of the fine structure.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 255, (2, 32, 32), dtype=np.uint8)
    >>> correlation(noise, noise).round(3).tolist(), bool(correlation(noise[:1], noise[1:])[0] < 0.3)
    ([1.0, 1.0], True)
    """
    count = len(one)
    basis, second = moves(fine(one)), fine(other).reshape(count, -1)
    gram = basis @ basis.transpose(0, 2, 1)
    diagonal = np.arange(basis.shape[1])
    gram[:, diagonal, diagonal] = (
        gram[:, diagonal, diagonal] * 1.0001 + 1e-5
    )  # keeps flat thumbnails solvable
    weights = np.linalg.solve(gram, basis @ second[:, :, None])
    moved = (basis * weights).sum(axis=1)
    alike: Floats = (_unit(moved) * _unit(second)).sum(axis=1)
    return np.where(weights[:, 0, 0] > 0, alike, np.float32(0))  # a negative image is not a copy


def moves(structure: Floats) -> Floats:
    """Each picture, and its changes when it is moved and when it is stretched about its centre, ``(n, 5, 1024)``."""
    down, right = np.gradient(structure, axis=(1, 2))
    along = np.linspace(-1, 1, SIDE, dtype=np.float32)
    terms = [structure, right, down, right * along, down * along[:, None]]
    return np.stack(terms, axis=1).reshape(len(structure), len(terms), -1)


def fine(stack: Stack) -> Floats:
    """The fine structure of each thumbnail, ``(n, 32, 32)``, with mean 0 and compressed: strong edges count little more than weak ones.

    Uncompressed, the outline of a cell would outweigh its chromatin, and round cells share one outline: the nearest
    different pairs of drawn cells would then reach 0.93 instead of 0.83.
    """
    above = _above_surroundings(stack)
    usual = np.sqrt((above**2).mean((1, 2), keepdims=True)) + np.float32(0.05)
    structure: Floats = above / (np.abs(above) + usual)
    structure -= structure.mean((1, 2), keepdims=True)
    return structure


def _above_surroundings(stack: Stack) -> Floats:
    grey = stack.astype(np.float32)
    return np.asarray(grey - _blurred(grey, 2), np.float32)


def _blurred(grey: Floats, radius: int) -> Floats:
    """The mean over a square of ``2 radius + 1`` pixels; pixels beyond the border repeat the border."""
    means = _means(grey.shape[1], radius)
    return np.asarray(means @ grey @ means.T, np.float32)


@lru_cache
def _means(length: int, radius: int) -> Floats:
    """The matrix that replaces each of `length` values by the mean of those around it."""
    width = 2 * radius + 1
    steps = np.arange(-radius, radius + 1)
    sources = np.clip(np.arange(length)[:, None] + steps, 0, length - 1)
    means = np.zeros((length, length), np.float32)
    np.add.at(means, (np.arange(length)[:, None], sources), np.float32(1 / width))
    return means


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-6), np.float32)
