"""The colours of a smear: moved at random for training, or brought to those of a reference.

Dyes add up as optical density, the negative natural logarithm of the light that passes (Beer and Lambert).
In that space a change of stain is a matrix and a change of lamp an offset, which is all that the jitter in HED
space (Tellez et al., IEEE Trans Med Imaging 37, 2018) and Macenko's normalisation (Macenko et al., ISBI 2009)
do. Reinhard's (Reinhard et al., IEEE CG&A 21, 2001) sets mean and deviation of each channel in l-alpha-beta.

Pixels are RGB, uint8, ``(height, width, 3)``; each function gives back as many, and never changes those that
it was given. Statistics are of a grid of at most 128 x 128 pixels, so that large images cost little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, cast, get_args

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import get_worker_info

from pcm_leukemia.errors import CorruptFile
from pcm_leukemia.images import Pixels

__all__ = [
    "KINDS",
    "Jitter",
    "Kind",
    "Look",
    "Normalisation",
    "Reference",
    "Stains",
    "augmentation",
    "from_hed",
    "jitter",
    "look",
    "stains",
    "to_hed",
]

Floats: TypeAlias = npt.NDArray[np.float32]
Triple: TypeAlias = tuple[float, float, float]
Kind: TypeAlias = Literal["none", "hed", "reinhard", "macenko"]
KINDS: tuple[Kind, ...] = get_args(Kind)

HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], np.float32)
"""Density in red, green and blue of a unit of haematoxylin, eosin and DAB.

Source: Ruifrok and Johnston, Anal Quant Cytol Histol 23 (2001). Of a Wright or Giemsa stain, azure lies near
haematoxylin, and eosin is eosin; what matters for a jitter is that any colour can be written in the three.
"""
_FROM_HED = np.linalg.inv(HED)

_LMS = np.array([[0.3811, 0.1967, 0.0241], [0.5783, 0.7244, 0.1288], [0.0402, 0.0782, 0.8444]], np.float32)
"""RGB to the cones' LMS, for pixels as rows; source: Reinhard et al. (2001)."""
_TO_RGB = np.linalg.inv(_LMS)
_LAB = np.array([[1, 1, 1], [1, 1, -1], [1, -2, 0]], np.float32) / np.sqrt(np.array([3, 6, 2], np.float32))
"""Log LMS to l-alpha-beta, for pixels as rows; source: there. Orthonormal: its transpose undoes it."""

_DENSITY: Floats = -np.log(np.maximum(np.arange(256), 1) / 255).astype(np.float32)
"""Of each grey level against 255; black counts as 1, for its density would be infinite."""

SAMPLE = 128
"""The most rows and columns that statistics look at."""
LAMP = 95.0
"""The lamp's colour in an image is this percentile of each channel: glass is its brightest part."""
STAINED = 0.15
"""Light passed a stain where the mean density of the channels is above that. Macenko's beta; he asks it of every
channel, but eosin lets red light pass, and red cells would be taken for glass."""
ENDS = (1.0, 99.0)
"""Percentiles of the angle at which the two stains are taken: Macenko's alpha."""
LEAST_SHARE, LEAST_ANGLE, LEAST_AMOUNT = 0.01, np.radians(10.0), 0.1
"""With a smaller share of stained pixels, smaller angle between the stains or smaller amount of one, no two
stains can be told apart."""
BLANK = 0.02
"""With a smaller deviation of l, there is nothing to be seen but glass and the camera's grain."""
MOST = 4.0
"""Nothing is stretched by more than that, or shrunk: beyond, it is grain."""


class Look(NamedTuple):
    """Mean and standard deviation of l, alpha and beta over an image's pixels.

    l, alpha and beta are those of Reinhard et al., of colours from 0 to 1 and with natural logarithms.
    """

    mean: Triple
    deviation: Triple


class Stains(NamedTuple):
    """What Macenko's method finds in an image.

    `lamp` is the light beside the cells in red, green and blue, 0 to 255; `vectors` the density of a unit of each
    of the two stains, of length 1, the one that takes more red than blue (azure, haematoxylin) first; `amounts`
    the 99th percentiles of how much of each there is.
    """

    lamp: Triple
    vectors: tuple[Triple, Triple]
    amounts: tuple[float, float]


class Reference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the images look like that others are brought to.

    It was taken of so many `images`, of which `blank` showed nothing and `unstained` no two stains. `look` and
    `stains` hold the median of every number over the others; None where there were none.

    Examples
    --------
    >>> smear = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    >>> reference = Reference.of([smear, smear // 2, np.zeros_like(smear)])
    >>> reference.images, reference.blank, reference.unstained
    (3, 1, 1)
    >>> Reference.from_json(reference.to_json()) == reference
    True
    """

    images: int
    blank: int
    unstained: int
    look: Look | None
    stains: Stains | None

    @classmethod
    def of(cls, images: Iterable[Pixels]) -> Reference:
        """What `images` have in common: training images, of the kind that will be normalised (crops, or whole).

        Raises
        ------
        ValueError
            If one is not RGB, uint8.
        """
        looks, found, count = [], [], 0
        for pixels in images:
            count += 1
            seen = look(pixels)
            if seen is not None:
                looks.append(np.array(seen))
            pair = stains(pixels)
            if pair is not None:
                found.append([np.array(part) for part in pair])
        return cls(
            images=count,
            blank=count - len(looks),
            unstained=count - len(found),
            look=_as_look(np.median(looks, axis=0)) if looks else None,
            stains=_as_stains(*(np.median(part, axis=0) for part in zip(*found, strict=True)))
            if found
            else None,
        )

    def to_json(self) -> str:
        """One line of JSON, of which `from_json` makes an equal reference."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Reference:
        """What `to_json` wrote.

        Raises
        ------
        CorruptFile
            If it is not that.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise CorruptFile(
                f"stain reference: {error}; copy it from the run again, or train again"
            ) from error


# ----------------------------------------------------------------------------------------------
# What an image looks like


def look(pixels: Pixels) -> Look | None:
    """Mean and deviation in l-alpha-beta; None for a blank.

    Raises
    ------
    ValueError
        If the pixels are not RGB, uint8.

    Examples
    --------
    >>> look(np.full((9, 9, 3), 200, np.uint8)) is None
    True
    """
    sample = _sample(pixels)
    if not len(sample):
        return None
    lab = _log_lms(sample) @ _LAB
    seen = _as_look(np.array([lab.mean(axis=0), lab.std(axis=0)], np.float64))
    return seen if seen.deviation[0] >= BLANK else None


def stains(pixels: Pixels) -> Stains | None:
    """The lamp and the two stains of an image, by Macenko's method; None if it hasn't two.

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
    # the plane through the origin that the stains span: its axes by falling share
    plane = np.linalg.eigh(stained.T @ stained)[1][:, :0:-1]
    plane *= np.where(plane.sum(axis=0) < 0, -1, 1)
    angles = np.arctan2(stained @ plane[:, 1], stained @ plane[:, 0])
    ends = np.percentile(angles, ENDS)
    vectors = np.stack([np.cos(ends), np.sin(ends)], axis=1) @ plane.T
    vectors = vectors[np.argsort(vectors[:, 2] - vectors[:, 0])]
    if ends[1] - ends[0] < LEAST_ANGLE:
        return None
    amounts = np.percentile(stained @ np.linalg.pinv(vectors), ENDS[1], axis=0)
    return _as_stains(lamp, vectors, amounts) if amounts.min() >= LEAST_AMOUNT else None


# ----------------------------------------------------------------------------------------------
# Jitter


def to_hed(pixels: Pixels) -> Floats:
    """How much haematoxylin, eosin and DAB would give each pixel its colour, ``(height, width, 3)``.

    In natural units, 1.0 of a stain having the density in `HED`. May be negative, for colours that no mixture of
    the three has: cut off there, it would not lead back.

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
    """The pixels of so much haematoxylin, eosin and DAB; undoes `to_hed`, but that 0 becomes 1.

    Examples
    --------
    >>> from_hed(np.array([[[0.0, 1.0, 0.0]]], np.float32)).tolist()  # eosin: 255 exp(-0.07), ...
    [[[238, 95, 228]]]
    """
    return _light(amounts @ HED)


def jitter(pixels: Pixels, rng: np.random.Generator, *, sigma: float = 0.05, bias: float = 0.05) -> Pixels:
    """Change the strength of each of three stains, as another batch of dye and another lamp would.

    Each amount is multiplied by a factor within 1 +- `sigma`, and up to `bias` is added or taken away all over
    the image, both drawn evenly for each stain. Tellez et al. (2018) use 0.05 for both.

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


@dataclass(frozen=True, slots=True)
class Jitter:
    """`jitter` with new numbers at each call.

    They come from `seed` and torch's generator of the process, as those of torchvision's transforms do: what
    seeds torch seeds this, and a DataLoader gives each worker and each epoch others.
    """

    seed: int = 0
    sigma: float = 0.05
    bias: float = 0.05

    def __call__(self, pixels: Pixels) -> Pixels:
        """The pixels with other colours."""
        drawn = int(torch.randint(1 << 62, ()).item())
        return jitter(pixels, np.random.default_rng([self.seed, drawn]), sigma=self.sigma, bias=self.bias)


# ----------------------------------------------------------------------------------------------
# Normalisation


class Normalisation:
    """Brings an image to a reference's colours; the same image always to the same.

    An image with nothing to go by (a blank; for "macenko", one without two stains) stays as it is, since what
    would be stretched to fit is grain. `left` counts them, over all workers of a loader that was given this
    object; what was pickled by hand counts on its own.
    """

    def __init__(self, kind: Literal["reinhard", "macenko"], reference: Reference) -> None:
        self.kind, self.reference = kind, reference
        # in shared memory, each process adding to a number of its own
        self._left = torch.zeros(64, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    @property
    def left(self) -> int:
        """How many images were left as they were."""
        return int(self._left.sum())

    def __call__(self, pixels: Pixels) -> Pixels:
        """The pixels in the reference's colours; the very array if there is nothing to go by."""
        changed = (_reinhard if self.kind == "reinhard" else _macenko)(pixels, self.reference)
        if changed is None:
            worker = get_worker_info()
            self._left[0 if worker is None else 1 + worker.id % 63] += 1
            return pixels
        return changed


def augmentation(
    kind: Kind, reference: Reference | None = None, *, seed: int = 0, sigma: float = 0.05, bias: float = 0.05
) -> Callable[[Pixels], Pixels]:
    """What to do with each image before it is made a tensor; can be pickled, as spawned workers need.

    Parameters
    ----------
    kind
        "none"; "hed" for random changes, in training only; "reinhard" or "macenko" for the reference's colours,
        in training and ever after.
    reference
        What "reinhard" and "macenko" bring images to.
    seed, sigma, bias
        Of "hed": see `Jitter`.

    Raises
    ------
    ValueError
        If there is no such kind, or it lacks a reference that tells what it needs; if a number is negative.

    Examples
    --------
    >>> augmentation("none")(np.zeros((2, 2, 3), np.uint8)).shape
    (2, 2, 3)
    """
    if kind not in KINDS:
        raise ValueError(f'stain "{kind}": is none; use one of: {", ".join(KINDS)}')
    if kind == "none":
        return _as_is
    if kind == "hed":
        if min(seed, sigma, bias) < 0:
            raise ValueError(f'stain "hed": seed {seed}, sigma {sigma}, bias {bias}; give 0 or more')
        return Jitter(seed, sigma, bias)
    if reference is None:
        raise ValueError(
            f'stain "{kind}": has nothing to bring images to; give Reference.of(training images)'
        )
    if (reference.look if kind == "reinhard" else reference.stains) is None:
        lack = "something to see" if kind == "reinhard" else "two stains"
        raise ValueError(
            f'stain "{kind}": none of the {reference.images:,} images of the reference has {lack}; '
            'look at them, or use "hed" or "none"'
        )
    return Normalisation(kind, reference)


def _as_is(pixels: Pixels) -> Pixels:
    return pixels


def _reinhard(pixels: Pixels, reference: Reference) -> Pixels | None:
    seen, wanted = look(pixels), reference.look
    if seen is None or wanted is None:
        return None
    factors = np.clip(np.divide(wanted.deviation, np.maximum(seen.deviation, 1e-6)), 1 / MOST, MOST)
    # l-alpha-beta is a rotation of log LMS, and all of it is one matrix and one offset there
    matrix = _LAB * factors.astype(np.float32) @ _LAB.T
    offset = (np.array(wanted.mean) - seen.mean * factors).astype(np.float32) @ _LAB.T
    log_lms = _log_lms(pixels) @ matrix + offset
    colours = np.exp(np.minimum(log_lms, 1, out=log_lms), out=log_lms) @ (_TO_RGB * 255)
    return _whole(colours)


def _macenko(pixels: Pixels, reference: Reference) -> Pixels | None:
    seen, wanted = stains(pixels), reference.stains
    if seen is None or wanted is None:
        return None
    factors = np.clip(np.divide(wanted.amounts, seen.amounts), 1 / MOST, MOST)
    matrix = np.linalg.pinv(np.array(seen.vectors)) * factors @ np.array(wanted.vectors)
    offset = np.log(np.divide(seen.lamp, 255)) @ matrix - np.log(np.divide(wanted.lamp, 255))
    return _restained(pixels, matrix, offset)


# ----------------------------------------------------------------------------------------------
# Pixels


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
    """The grey levels that so much density leaves of 255."""
    return _whole(255 * np.exp(-np.maximum(density, 0)))


def _whole(levels: Floats) -> Pixels:
    return cast(Pixels, np.rint(np.clip(levels, 0, 255)).astype(np.uint8))


def _log_lms(pixels: Pixels) -> Floats:
    return cast(Floats, np.log((np.maximum(pixels, 1) / np.float32(255)) @ _LMS))


def _triple(numbers: npt.NDArray[np.floating]) -> Triple:
    red, green, blue = numbers.tolist()
    return red, green, blue


def _as_look(numbers: npt.NDArray[np.floating]) -> Look:
    return Look(_triple(numbers[0]), _triple(numbers[1]))


def _as_stains(
    lamp: npt.NDArray[np.floating], vectors: npt.NDArray[np.floating], amounts: npt.NDArray[np.floating]
) -> Stains:
    first, second = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    blue, red = amounts.tolist()
    return Stains(_triple(lamp), (_triple(first), _triple(second)), (blue, red))
