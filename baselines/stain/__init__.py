"""What is done about stain in training and prediction: colours moved at random, or brought to a reference's.

The methods themselves, and their sources, are in `colours`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec
import numpy as np
import torch
from torch.utils.data import get_worker_info

from pcm_leukemia.baselines.stain import colours
from pcm_leukemia.baselines.stain.colours import ColourStats, Stains
from pcm_leukemia.errors import CorruptFile, DataNotFound
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
    "spread",
]

Recolour: TypeAlias = Callable[[Pixels], Pixels]
"""What is done to the colours of an image, RGB, uint8, ``(height, width, 3)``."""

Kind: TypeAlias = Literal["none", "hed", "reinhard", "macenko"]
KINDS: tuple[Kind, ...] = get_args(Kind)

NORMALISING = frozenset({"reinhard", "macenko"})
"""The kinds that bring images to a reference's colours, in training and in prediction."""

FILE = "stain.json"
"""Where a run keeps its reference."""

SAMPLES = 200
"""A reference is taken from so many images at most."""

SIGMA = BIAS = 0.05
_SLOTS = 64


class Reference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the images look like that others are brought to.

    It was taken of so many `images`, of which `blank` showed nothing and `unstained` no two stains. `stats` and
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
    stats: ColourStats | None = msgspec.field(name="look")
    stains: Stains | None

    @classmethod
    def of(cls, images: Iterable[Pixels]) -> Reference:
        """What `images` have in common: training images, of the kind that will be normalised (crops, or whole).

        Raises
        ------
        ValueError
            If one is not RGB, uint8.
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
        """One line of JSON, from which `from_json` makes an equal reference."""
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
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptFile(
                f"stain reference: {error}; copy it from the run again, or train again"
            ) from error

    def write(self, folder: Path) -> None:
        """Keep it in a run's folder."""
        (folder / FILE).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Reference:
        """The reference in a run's folder.

        Raises
        ------
        DataNotFound
            If there is none.
        CorruptFile
            If it cannot be read.
        """
        if not (folder / FILE).is_file():
            raise DataNotFound(
                f"{folder}: lacks {FILE}, the colours that images are brought to; copy the whole run"
            )
        return cls.from_json((folder / FILE).read_bytes())


@dataclass(frozen=True, slots=True)
class Jitter:
    """`colours.jitter` with new numbers at each call.

    They come from `seed` and torch's generator of the process, as those of torchvision's transforms do: what
    seeds torch seeds this, and a DataLoader gives each worker and each epoch others.
    """

    seed: int = 0
    sigma: float = SIGMA
    bias: float = BIAS

    def __call__(self, pixels: Pixels) -> Pixels:
        """The pixels in other colours."""
        drawn = int(torch.randint(1 << 62, ()).item())
        rng = np.random.default_rng([self.seed, drawn])
        return colours.jitter(pixels, rng, sigma=self.sigma, bias=self.bias)


class Normalisation:
    """Brings an image to a reference's colours; the same image always to the same.

    An image with nothing to go by (a blank; for "macenko", one without two stains) stays as it is, since what
    would be stretched to fit is grain. `left` counts them, over all workers of a loader that was given this
    object; a copy counts on its own.
    """

    def __init__(self, kind: Literal["reinhard", "macenko"], reference: Reference) -> None:
        wanted = reference.stats if kind == "reinhard" else reference.stains
        if wanted is None:
            lack = "is more than a blank" if kind == "reinhard" else "has two stains"
            raise ValueError(
                f'stain "{kind}": of the {reference.images:,} images of the reference none {lack}; '
                'look at them, or use "hed" or "none"'
            )
        self.wanted = wanted
        # in shared memory, where each worker adds to a number of its own
        self._left = torch.zeros(_SLOTS, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    @property
    def left(self) -> int:
        """How many images were left as they were."""
        return int(self._left.sum())

    def __call__(self, pixels: Pixels) -> Pixels:
        """The pixels in the reference's colours; the very array if there is nothing to go by."""
        if isinstance(self.wanted, ColourStats):
            changed = colours.match_stats(pixels, self.wanted)
        else:
            changed = colours.match_stains(pixels, self.wanted)
        if changed is None:
            worker = get_worker_info()
            self._left[0 if worker is None else 1 + worker.id % (_SLOTS - 1)].add_(1)
            return pixels
        return changed


def augmentation(
    kind: Kind,
    reference: Reference | None = None,
    *,
    seed: int = 0,
    sigma: float = SIGMA,
    bias: float = BIAS,
) -> Recolour:
    """What to do with each image, RGB, uint8, ``(height, width, 3)``, before it is made a tensor.

    It can be pickled, as loaders with spawned workers need.

    Parameters
    ----------
    kind
        "none"; "hed" for random changes, in training only; "reinhard" or "macenko" for the reference's colours,
        in training and ever after.
    reference
        What "reinhard" and "macenko" bring images to.
    seed, sigma, bias
        Of "hed": see `Jitter`, and `colours.jitter`.

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
        raise ValueError(f'stain "{kind}": no such method; use one of: {", ".join(KINDS)}')
    if kind == "none":
        return _as_is
    if kind == "hed":
        if min(seed, sigma, bias) < 0:
            raise ValueError(f'stain "hed": seed {seed}, sigma {sigma}, bias {bias}; give 0 or more')
        return Jitter(seed, sigma, bias)
    if reference is None:
        raise ValueError(f'stain "{kind}": nothing to bring images to; give Reference.of(training images)')
    return Normalisation(kind, reference)


def spread(count: int, most: int = SAMPLES) -> list[int]:
    """At most `most` of the numbers 0 to `count` - 1, evenly: the images that a reference is taken from.

    Examples
    --------
    >>> spread(3), spread(9, 3)
    ([0, 1, 2], [0, 4, 8])
    """
    return sorted({round(place) for place in np.linspace(0, count - 1, min(most, count)).tolist()})


def _as_is(pixels: Pixels) -> Pixels:
    return pixels
