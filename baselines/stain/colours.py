"""The colours of a smear as numbers: statistics of an image, and how to change its stain.

Dyes add up as optical density, the negative natural logarithm of the light that passes (Beer and Lambert).
In that space a change of stain is a matrix and a change of lamp an offset, which is all that the jitter in HED
space (Tellez et al., IEEE Trans Med Imaging 37, 2018) and Macenko's normalisation (Macenko et al., ISBI 2009)
do. Reinhard's (Reinhard et al., IEEE CG&A 21, 2001) sets mean and deviation of each channel in l-alpha-beta.

Pixels are RGB, uint8, ``(height, width, 3)``; the functions return arrays of the same shape and never change
their input. Statistics use a grid of at most 128 x 128 pixels, so that large images cost little.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar, cast

import msgspec
import numpy as np
import numpy.typing as npt

from pcm_leukemia.images import Pixels

__all__ = [
    "ColourStats",
    "Stains",
    "colour_stats",
    "from_hed",
    "from_stains",
    "from_stats",
    "jitter",
    "stains",
    "to_hed",
    "typical_stains",
    "typical_stats",
]

Floats: TypeAlias = npt.NDArray[np.float32]
Triple: TypeAlias = tuple[float, float, float]

HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], np.float32)
"""Density in red, green and blue of one unit of haematoxylin, eosin and DAB.

Source: Ruifrok and Johnston, Anal Quant Cytol Histol 23 (2001). In a Wright or Giemsa stain, azure is close to
haematoxylin, and eosin is eosin; a jitter only needs any colour to be a mixture of the three.
"""
_FROM_HED = np.linalg.inv(HED)

_LMS = np.array([[0.3811, 0.1967, 0.0241], [0.5783, 0.7244, 0.1288], [0.0402, 0.0782, 0.8444]], np.float32)
"""RGB to LMS (cone space), for pixels as rows; source: Reinhard et al. (2001)."""
_TO_RGB = np.linalg.inv(_LMS)
_LAB = np.array([[1, 1, 1], [1, 1, -1], [1, -2, 0]], np.float32) / np.sqrt(np.array([3, 6, 2], np.float32))
"""Log LMS to l-alpha-beta, for pixels as rows; same source. Orthonormal, so its transpose is its inverse."""

_LEVELS: Floats = (np.maximum(np.arange(256), 1) / 255).astype(np.float32)
"""Each grey level as a share of white; black counts as 1 of 255, since its density would be infinite."""
_DENSITY: Floats = -np.log(_LEVELS)

SAMPLE = 128
"""The most rows and columns that statistics use."""
LAMP = 95.0
"""The lamp's colour in an image is this percentile of each channel: glass is the brightest part."""
STAINED = 0.15
"""A pixel is stained if the mean density of its channels is above this. Macenko's beta; Macenko requires it of
every channel, but eosin lets red light pass, so red cells would count as glass."""
ENDS = (1.0, 99.0)
"""Percentiles of the angle that define the two stains: Macenko's alpha."""
LEAST_SHARE, LEAST_ANGLE, LEAST_AMOUNT = 0.01, np.radians(10.0), 0.1
"""Below these (share of stained pixels, angle between the stains in radians, amount of a stain), two stains cannot
be separated."""
BLANK = 0.02
"""Below this deviation of l, an image shows only glass and the camera's grain."""
MOST = 4.0
"""The largest factor to stretch or shrink by: beyond it, differences are grain."""

_Level: TypeAlias = Annotated[float, msgspec.Meta(ge=1, le=255)]


class ColourStats(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mean and standard deviation of l, alpha and beta over an image's pixels.

    As in Reinhard et al., for colours from 0 to 1 and natural logarithms.
    """

    mean: Triple
    deviation: Triple


class Stains(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lamp and the two stains of an image, by Macenko's method.

    `lamp` is the light beside the cells in red, green and blue, 1 to 255. `vectors` holds the density of one unit
    of each stain, of length 1; the stain that absorbs more red than blue (azure, haematoxylin) comes first.
    `amounts` holds the 99th percentile of each stain's amount.
    """

    lamp: tuple[_Level, _Level, _Level]
    vectors: tuple[Triple, Triple]
    amounts: tuple[float, float]


_Seen = TypeVar("_Seen", ColourStats, Stains)

# ----------------------------------------------------------------------------------------------
# HED


def to_hed(pixels: Pixels) -> Floats:
    """The amounts of haematoxylin, eosin and DAB that give each pixel its colour, ``(height, width, 3)``.

    A unit of a stain has the density in `HED`. Amounts are negative for colours that no mixture of the three
    gives; clipped at 0, they could not be converted back.

    Raises
    ------
    ValueError
        If the pixels are not RGB, uint8.

    Examples
    --------
    >>> to_hed(np.full((1, 1, 3), 255, np.uint8)).tolist()
    [[[0.0, 0.0, 0.0]]]
    """
    return _DENSITY[_checked(pixels)] @ _FROM_HED


def from_hed(amounts: Floats) -> Pixels:
    """The pixels for amounts of haematoxylin, eosin and DAB: the inverse of `to_hed`, except that 0 becomes 1.

    Examples
    --------
    >>> from_hed(np.array([[[0.0, 1.0, 0.0]]], np.float32)).tolist()  # eosin: 255 exp(-0.07), ...
    [[[238, 95, 228]]]
    """
    return _light(amounts @ HED)


def jitter(pixels: Pixels, rng: np.random.Generator, *, sigma: float = 0.05, bias: float = 0.05) -> Pixels:
    """Change the strength of each of three stains, as another batch of dye and another lamp would.

    Each amount is multiplied by a factor within 1 +- `sigma`, and up to `bias` is added or subtracted over the
    whole image; both are drawn uniformly for each stain. Tellez et al. (2018) use 0.05 for both.

    Raises
    ------
    ValueError
        If the pixels are not RGB, uint8.

    Examples
    --------
    >>> grey = np.full((1, 1, 3), 128, np.uint8)
    >>> jitter(grey, np.random.default_rng(0), sigma=0, bias=0).tolist()
    [[[128, 128, 128]]]
    """
    factors, added = 1 + sigma * rng.uniform(-1, 1, 3), bias * rng.uniform(-1, 1, 3)
    return _restained(pixels, _FROM_HED * factors @ HED, added @ HED)


# ----------------------------------------------------------------------------------------------
# Reinhard


def colour_stats(pixels: Pixels) -> ColourStats | None:
    """Mean and deviation in l-alpha-beta; None for a blank.

    Raises
    ------
    ValueError
        If the pixels are not RGB, uint8.

    Examples
    --------
    >>> colour_stats(np.full((9, 9, 3), 200, np.uint8)) is None
    True
    """
    sample = _sample(pixels)
    if not len(sample):
        return None
    lab = _log_lms(sample) @ _LAB
    mean, deviation = lab.mean(axis=0), lab.std(axis=0)
    return _struct(ColourStats, mean, deviation) if deviation[0] >= BLANK else None


def typical_stats(stats: list[ColourStats]) -> ColourStats | None:
    """The median of each number; None for an empty list."""
    return _struct(ColourStats, *_medians(stats)) if stats else None


def from_stats(pixels: Pixels, seen: ColourStats, wanted: ColourStats) -> Pixels:
    """Change pixels to the wanted mean and deviation (Reinhard), given those of the whole image that they are a part of.

    Raises
    ------
    ValueError
        If the pixels are not RGB, uint8.

    Examples
    --------
    >>> one = ColourStats((-1.0, 0.1, 0.0), (0.2, 0.1, 0.1))
    >>> from_stats(np.full((1, 1, 3), 99, np.uint8), one, one).tolist()
    [[[99, 99, 99]]]
    """
    factors = np.clip(np.divide(wanted.deviation, np.maximum(seen.deviation, 1e-6)), 1 / MOST, MOST)
    # l-alpha-beta is a rotation of log LMS, so the change is one matrix and one offset there
    matrix = _LAB * factors.astype(np.float32) @ _LAB.T
    offset = (np.array(wanted.mean) - seen.mean * factors).astype(np.float32) @ _LAB.T
    log_lms = _log_lms(_checked(pixels)) @ matrix
    log_lms += offset
    # 5 is far above white and far below overflow
    np.exp(np.minimum(log_lms, 5, out=log_lms), out=log_lms)
    return _whole(log_lms @ _TO_RGB)


# ----------------------------------------------------------------------------------------------
# Macenko


def stains(pixels: Pixels) -> Stains | None:
    """The lamp and the two stains of an image, by Macenko's method; None without two stains.

    Raises
    ------
    ValueError
        If the pixels are not RGB, uint8.

    Examples
    --------
    >>> stains(np.full((9, 9, 3), 200, np.uint8)) is None
    True
    """
    sample = _sample(pixels)
    if not len(sample):
        return None
    lamp = np.maximum(np.percentile(sample, LAMP, axis=0), 1)
    density = _DENSITY[sample] + np.log(lamp / 255).astype(np.float32)
    stained = density[density.mean(axis=1) > STAINED]
    if len(stained) <= LEAST_SHARE * len(sample):
        return None
    # the plane through the origin that the stains span, its axes by falling share
    plane = np.linalg.eigh(stained.T @ stained)[1][:, :0:-1]
    plane *= np.where(plane.sum(axis=0) < 0, -1, 1)
    angles = np.arctan2(stained @ plane[:, 1], stained @ plane[:, 0])
    ends = np.percentile(angles, ENDS)
    if ends[1] - ends[0] < LEAST_ANGLE:
        return None
    vectors = np.stack([np.cos(ends), np.sin(ends)], axis=1) @ plane.T
    vectors = vectors[np.argsort(vectors[:, 2] - vectors[:, 0])]
    amounts = np.percentile(stained @ np.linalg.pinv(vectors), ENDS[1], axis=0)
    return _struct(Stains, lamp, vectors, amounts) if amounts.min() >= LEAST_AMOUNT else None


def typical_stains(pairs: list[Stains]) -> Stains | None:
    """The median of each number, with vectors of length 1 again; None for an empty list."""
    if not pairs:
        return None
    lamp, vectors, amounts = _medians(pairs)
    return _struct(Stains, lamp, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), amounts)


def from_stains(pixels: Pixels, seen: Stains, wanted: Stains) -> Pixels:
    """Change pixels to the wanted lamp and stains (Macenko), given those of the whole image that they are a part of.

    The part of a colour that belongs to neither stain is lost, as in Macenko's method.

    Raises
    ------
    ValueError
        If the pixels are not RGB, uint8.

    Examples
    --------
    >>> one = Stains((240, 240, 240), ((0.7, 0.6, 0.3), (0.1, 0.9, 0.3)), (1.0, 1.0))
    >>> from_stains(np.full((1, 1, 3), 240, np.uint8), one, one).tolist()
    [[[240, 240, 240]]]
    """
    factors = np.clip(np.divide(wanted.amounts, seen.amounts), 1 / MOST, MOST)
    matrix = np.linalg.pinv(seen.vectors) * factors @ np.array(wanted.vectors)
    offset = np.log(np.divide(seen.lamp, 255)) @ matrix - np.log(np.divide(wanted.lamp, 255))
    return _restained(pixels, matrix, offset)


# ----------------------------------------------------------------------------------------------
# Pixels and numbers


def _checked(pixels: Pixels) -> Pixels:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(
            f"stain: pixels are {pixels.dtype}, {pixels.shape}; give RGB as uint8, (height, width, 3)"
        )
    return pixels


def _sample(pixels: Pixels) -> Pixels:
    """A grid of the pixels as rows, ``(n, 3)``."""
    height, width = _checked(pixels).shape[:2]
    return pixels[:: -(-height // SAMPLE) or 1, :: -(-width // SAMPLE) or 1].reshape(-1, 3)


def _restained(pixels: Pixels, matrix: npt.NDArray[np.floating], offset: npt.NDArray[np.floating]) -> Pixels:
    density = _DENSITY.take(_checked(pixels)).reshape(-1, 3) @ matrix.astype(np.float32)
    density += offset.astype(np.float32)
    return _light(density).reshape(pixels.shape)


def _light(density: Floats) -> Pixels:
    """The grey levels, of 255, for a density; overwrites `density`."""
    # in place, since new memory of this size costs as much as the arithmetic
    np.negative(np.maximum(density, 0, out=density), out=density)
    return _whole(np.exp(density, out=density))


def _whole(light: Floats) -> Pixels:
    """The grey levels of light, clipped to 0 to 1; overwrites `light`."""
    light *= np.float32(255)
    light += np.float32(0.5)
    return cast(Pixels, np.clip(light, 0, 255, out=light).astype(np.uint8))


def _log_lms(pixels: Pixels) -> Floats:
    lms = _LEVELS.take(pixels) @ _LMS
    return cast(Floats, np.log(lms, out=lms))


def _medians(seen: list[_Seen]) -> list[npt.NDArray[np.float64]]:
    rows = zip(*map(msgspec.structs.astuple, seen), strict=True)
    return [np.median(each, axis=0) for each in rows]


def _struct(kind: type[_Seen], *numbers: npt.NDArray[np.floating]) -> _Seen:
    """A struct from arrays, with tuples that JSON can hold."""
    fields = zip(kind.__struct_fields__, numbers, strict=True)
    return msgspec.convert({name: each.tolist() for name, each in fields}, kind)
