"""What is kept of an image or a cell to find its copies: a digest of the pixels and a small grey thumbnail.

A thumbnail is square whatever the shape of its source, so that a turned or mirrored source has the turned
or mirrored thumbnail. Two of them are compared by correlation, after everything coarser than about five of
its pixels is taken away: what all smears share (lamp, a dark blob in the middle of a box) is coarse, and
what tells one field or cell from another is fine.

Why no difference hash of 64 bits: cells look alike, and of 6,629 drawn ones the nearest innocent pairs are
as near in a coarse picture of 8 x 8 as copies are whose boxes differ by a pixel (0.996). Comparing bits is not faster
either: numpy counts those of 80 million pairs in a second, and multiplies the vectors of 300 million.
Why not the library imagehash: its hashes are of that kind, and it needs scipy and PyWavelets.
Colour is not kept: it tells stains apart, not copies; the gap was no wider with it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import PIL.Image

from pcm_leukemia.shapes import Box

__all__ = [
    "ORIENTATIONS",
    "SIDE",
    "Floats",
    "Stack",
    "coarse",
    "correlation",
    "detail",
    "digest",
    "thumbnail",
    "turned",
]

Stack = npt.NDArray[np.uint8]
"""Thumbnails, ``(n, 32, 32)``."""
Floats = npt.NDArray[np.float32]

SIDE = 32
COARSE = 8
AT_ONCE = 1024
"""Thumbnails that are turned into floating-point numbers at a time."""
ORIENTATIONS = 8
"""As stored, turned by 90, 180 and 270 degrees against the clock; then the same after a mirror."""


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
    """The grey ``(32, 32)`` thumbnail of a picture, or of a box in it (pixels, fractions count)."""
    corners = (box.x1, box.y1, box.x2, box.y2) if box else (0.0, 0.0, *picture.size)
    small = picture.resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR, box=corners, reducing_gap=3.0)
    return np.asarray(small.convert("L"))


def turned(stack: Stack, orientation: int) -> Stack:
    """Thumbnails ``(n, side, side)`` in one of the 8 orientations.

    Examples
    --------
    >>> one = np.array([[[1, 2], [3, 4]]], np.uint8)
    >>> turned(one, 1).tolist(), turned(one, 4).tolist()
    ([[[2, 4], [1, 3]]], [[[2, 1], [4, 3]]])
    """
    mirrored = stack[:, :, ::-1] if orientation >= 4 else stack
    return np.rot90(mirrored, orientation % 4, axes=(1, 2))


def coarse(stack: Stack) -> Floats:
    """Vectors ``(n, 64)`` of length 1 whose product proposes pairs: the fine structure, 4 x 4 pixels as one."""
    step = SIDE // COARSE
    small = _fine(stack).reshape(len(stack), COARSE, step, COARSE, step).mean((2, 4))
    return _unit((small - small.mean((1, 2), keepdims=True)).reshape(len(stack), -1))


def detail(stack: Stack) -> Floats:
    """How much there is to compare, ``(n,)``: the deviation of the fine structure, in grey levels of 255."""
    deviations = np.zeros(len(stack), np.float32)
    for start in range(0, len(stack), AT_ONCE):
        above = _above_surroundings(stack[start : start + AT_ONCE])
        deviations[start : start + AT_ONCE] = np.sqrt((above**2).mean((1, 2)))
    return deviations


def correlation(one: Stack, other: Stack) -> Floats:
    """How far each thumbnail of `one` is the same picture as that of `other`, ``(n,)``, 1 at most.

    `one` may first be moved and stretched a little in x and y, as far as that brings it nearer
    (to first order, by least squares): the boxes of two copies of a cell, drawn by hand or rounded to
    pixels, differ by a per cent or so, which would otherwise spoil the fine structure.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 255, (2, 32, 32), dtype=np.uint8)
    >>> correlation(noise, noise).round(3).tolist(), bool(correlation(noise[:1], noise[1:])[0] < 0.3)
    ([1.0, 1.0], True)
    """
    count = len(one)
    first, second = _fine(one), _fine(other).reshape(count, -1)
    down, right = np.gradient(first, axis=(1, 2))
    along = np.linspace(-1, 1, SIDE, dtype=np.float32)
    # the picture, what moving it changes, and what stretching it about its middle changes
    terms = [first, right, down, right * along, down * along[:, None]]
    basis = np.stack(terms, axis=1).reshape(count, len(terms), -1)
    gram = basis @ basis.transpose(0, 2, 1)
    diagonal = np.arange(len(terms))
    gram[:, diagonal, diagonal] = (
        gram[:, diagonal, diagonal] * 1.0001 + 1e-5
    )  # keeps flat thumbnails solvable
    weights = np.linalg.solve(gram, basis @ second[:, :, None])
    moved = (basis * weights).sum(axis=1)
    alike: Floats = (_unit(moved) * _unit(second)).sum(axis=1)
    return np.where(weights[:, 0, 0] > 0, alike, np.float32(0))  # a negative is not a copy


def _fine(stack: Stack) -> Floats:
    """The fine structure, each with a mean of 0, evened out: what is strong counts little more than what is weak.

    Without that the outline of a cell would outweigh its chromatin, and round cells have one outline: the
    nearest innocent pairs of drawn cells then come to 0.93, evened out to 0.83.
    """
    above = _above_surroundings(stack)
    usual = np.sqrt((above**2).mean((1, 2), keepdims=True)) + np.float32(0.05)
    fine: Floats = above / (np.abs(above) + usual)
    fine -= fine.mean((1, 2), keepdims=True)
    return fine


def _above_surroundings(stack: Stack) -> Floats:
    grey = stack.astype(np.float32)
    return np.asarray(grey - _blurred(grey, 2), np.float32)


def _blurred(grey: Floats, radius: int) -> Floats:
    """The mean over ``2 radius + 1`` pixels each way; the border is repeated beyond itself."""
    means = _means(grey.shape[1], radius)
    return np.asarray(means @ grey @ means.T, np.float32)


@lru_cache
def _means(length: int, radius: int) -> Floats:
    """The matrix that gives each of `length` values the mean of those around it."""
    width = 2 * radius + 1
    steps = np.arange(-radius, radius + 1)
    sources = np.clip(np.arange(length)[:, None] + steps, 0, length - 1)
    means = np.zeros((length, length), np.float32)
    np.add.at(means, (np.arange(length)[:, None], sources), np.float32(1 / width))
    return means


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-6), np.float32)
