"""Stain in training and prediction: random colour changes, or normalisation to a reference.

`colours` has the methods themselves and their sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec
import numpy as np
import torch
from torch.utils.data import get_worker_info

from pcm_leukemia.baselines.stain import colours
from pcm_leukemia.baselines.stain.colours import ColourStats, Stains
from pcm_leukemia.errors import CorruptFile, DataNotFound, counted
from pcm_leukemia.images import Pixels

__all__ = [
    "FILE",
    "KINDS",
    "NORMALISING",
    "Jitter",
    "Kind",
    "Normalisation",
    "Recolour",
    "Reference",
    "augmentation",
    "fitted",
    "spread",
]

Recolour: TypeAlias = Callable[[Pixels], Pixels]
"""A change of an image's colours; the image is RGB, uint8, ``(height, width, 3)``."""

Kind: TypeAlias = Literal["none", "hed", "reinhard", "macenko"]
KINDS: tuple[Kind, ...] = get_args(Kind)

NORMALISING = frozenset({"reinhard", "macenko"})
"""The kinds that normalise images to a reference, in training and in prediction."""

FILE = "stain.json"
"""The file in a run's folder that holds its reference."""

SAMPLES = 200
"""The most images that a reference is computed from."""

SIGMA = BIAS = 0.05
_SLOTS = 64


class Reference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The colours that images are normalised to.

    A reference is computed from `images` images; `blank` of them showed nothing, and `unstained` lacked two
    stains. `stats` and `stains` hold the median of each number over the others, or None if no image was left.

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
    stats: ColourStats | None = msgspec.field(name="look")
    stains: Stains | None

    @classmethod
    def of(cls, images: Iterable[Pixels]) -> Reference:
        """Compute the reference of training images, of the kind that will be normalised (crops, or whole).

        Raises
        ------
        ValueError
            If an image is not RGB, uint8.
        """
        stats: list[ColourStats] = []
        pairs: list[Stains] = []
        count = 0
        for pixels in images:
            count += 1
            stats += filter(None, [colours.colour_stats(pixels)])
            pairs += filter(None, [colours.stains(pixels)])
        return cls(
            images=count,
            blank=count - len(stats),
            unstained=count - len(pairs),
            stats=colours.typical_stats(stats),
            stains=colours.typical_stains(pairs),
        )

    def to_json(self) -> str:
        """One line of JSON; `from_json` reads it back."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Reference:
        """Read what `to_json` wrote.

        Raises
        ------
        CorruptFile
            If the text is not a reference in JSON.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptFile(
                f"stain reference: {error}; copy it from the run again, or train again"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the reference to a run's folder."""
        (folder / FILE).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Reference:
        """Read the reference in a run's folder.

        Raises
        ------
        DataNotFound
            If the folder has no reference.
        CorruptFile
            If the reference cannot be read.
        """
        if not (folder / FILE).is_file():
            raise DataNotFound(
                f"{folder}: lacks {FILE}, the colours that images are normalised to; copy the whole run"
            )
        return cls.from_json((folder / FILE).read_bytes())


@dataclass(frozen=True, slots=True)
class Jitter:
    """`colours.jitter` with new random numbers at each call.

    The numbers come from `seed` and from torch's global generator, as in torchvision's transforms: seeding torch
    seeds the jitter, and a DataLoader gives each worker and each epoch different numbers.
    """

    seed: int = 0
    sigma: float = SIGMA
    bias: float = BIAS

    def __call__(self, pixels: Pixels) -> Pixels:
        """The pixels with their stain changed."""
        return self.fitted()(pixels)

    def fitted(self) -> Recolour:
        """One change, with the same random numbers at each call."""
        drawn = int(torch.randint(1 << 62, ()).item())
        return lambda pixels: colours.jitter(
            pixels, np.random.default_rng([self.seed, drawn]), sigma=self.sigma, bias=self.bias
        )


class Normalisation:
    """Normalise an image to a reference; the result is always the same for the same image.

    An image that cannot be normalised (a blank; for "macenko", one without two stains) is left unchanged, because
    only its grain would be stretched. `left` counts such images over all workers of a loader that uses this
    object; a copy has its own count.
    """

    def __init__(self, kind: Literal["reinhard", "macenko"], reference: Reference) -> None:
        wanted = reference.stats if kind == "reinhard" else reference.stains
        if wanted is None:
            lack = "shows more than a blank" if kind == "reinhard" else "has two stains"
            raise ValueError(
                f'stain "{kind}": none of the {counted(reference.images, "image")} of the reference {lack}; '
                'check the training images, or use "hed" or "none"'
            )
        self.wanted = wanted
        # in shared memory; each worker adds to its own number
        self._left = torch.zeros(_SLOTS, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    @property
    def left(self) -> int:
        """Number of images left unchanged."""
        return int(self._left.sum())

    def __call__(self, pixels: Pixels) -> Pixels:
        """The pixels in the reference's colours; the same array if they cannot be normalised."""
        return self.fitted(pixels)(pixels)

    def fitted(self, whole: Pixels) -> Recolour:
        """The change that brings `whole` to the reference; it can be made to a part of it."""
        change: Recolour | None = None
        if isinstance(self.wanted, ColourStats):
            if (stats := colours.colour_stats(whole)) is not None:
                change = partial(colours.from_stats, seen=stats, wanted=self.wanted)
        elif (stains := colours.stains(whole)) is not None:
            change = partial(colours.from_stains, seen=stains, wanted=self.wanted)
        if change is None:
            worker = get_worker_info()
            self._left[0 if worker is None else 1 + worker.id % (_SLOTS - 1)].add_(1)
        return change or _as_is


def augmentation(
    kind: Kind,
    reference: Reference | None = None,
    *,
    seed: int = 0,
    sigma: float = SIGMA,
    bias: float = BIAS,
) -> Recolour:
    """The change to apply to each image, RGB, uint8, ``(height, width, 3)``, before it becomes a tensor.

    The result can be pickled, as loaders with spawned workers need.

    Parameters
    ----------
    kind
        "none"; "hed" for random changes, in training only; "reinhard" or "macenko" for the reference's colours,
        in training and in prediction.
    reference
        The reference that "reinhard" and "macenko" normalise images to.
    seed, sigma, bias
        Parameters of "hed": see `Jitter` and `colours.jitter`.

    Raises
    ------
    ValueError
        If `kind` is unknown, if its reference is missing or lacks the numbers it needs, or if a number is negative.

    Examples
    --------
    >>> augmentation("none")(np.zeros((2, 2, 3), np.uint8)).shape
    (2, 2, 3)
    """
    if kind not in KINDS:
        raise ValueError(f'stain "{kind}": unknown method; use one of: {", ".join(KINDS)}')
    if kind == "none":
        return _as_is
    if kind == "hed":
        if min(seed, sigma, bias) < 0:
            raise ValueError(f'stain "hed": seed {seed}, sigma {sigma}, bias {bias}; give 0 or more')
        return Jitter(seed, sigma, bias)
    if reference is None:
        raise ValueError(f'stain "{kind}": the reference is missing; give Reference.of(training images)')
    return Normalisation(kind, reference)


def fitted(recolour: Recolour, whole: Pixels) -> Recolour:
    """The change that `recolour` makes to the image `whole`, for parts of that image: the same colours change alike.

    A function of another kind is returned as it is.

    Examples
    --------
    >>> smear = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    >>> reinhard = augmentation("reinhard", Reference.of([smear // 2]))
    >>> np.array_equal(fitted(reinhard, smear)(smear[:9, :9]), reinhard(smear)[:9, :9])
    True
    """
    if isinstance(recolour, Normalisation):
        return recolour.fitted(whole)
    return recolour.fitted() if isinstance(recolour, Jitter) else recolour


def spread(count: int, most: int = SAMPLES) -> list[int]:
    """At most `most` evenly spread numbers from 0 to `count` - 1: the images to compute a reference from.

    Examples
    --------
    >>> spread(3), spread(9, 3)
    ([0, 1, 2], [0, 4, 8])
    """
    return sorted({round(place) for place in np.linspace(0, count - 1, min(most, count)).tolist()})


def _as_is(pixels: Pixels) -> Pixels:
    return pixels
