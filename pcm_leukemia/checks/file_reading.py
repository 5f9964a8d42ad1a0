"""`FileReading`: the content of an image file, reduced to what the checks need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pcm_leukemia.checks.blank import NOT_BLANK, Blank
from pcm_leukemia.checks.similarity import COPIES, SIDE, Stack, detail
from pcm_leukemia.errors import Problem
from pcm_leukemia.images import Identifier
from pcm_leukemia.schema import Image

__all__ = ["FileReading", "count_featureless", "stack_of"]


@dataclass(frozen=True, slots=True)
class FileReading:
    """The content of one image file, reduced to what the checks need.

    A file that is damaged or does not fit its annotations has a `problem`, and no digest or thumbnails. `digest` is that
    of the pixels. A file is `changed` if its own digest is not the one recorded at import.
    """

    image: Image
    problem: Problem | None = None
    identifiers: tuple[Identifier, ...] = ()
    digest: str = ""
    whole: Stack | None = None
    cells: tuple[Stack, ...] = ()
    with_margin: tuple[Stack, ...] = field(default=(), repr=False)
    blank: Blank = NOT_BLANK
    changed: bool = False


def count_featureless(readings: Iterable[FileReading]) -> tuple[int, int]:
    """The numbers of images and of cells with too little detail to distinguish a copy from any other."""
    seen = [each for each in readings if each.whole is not None]
    images = detail(stack_of(each.whole for each in seen if each.whole is not None))
    cells = detail(stack_of(cell for each in seen for cell in each.cells))
    return int((images < COPIES.least_detail).sum()), int((cells < COPIES.least_detail).sum())


def stack_of(thumbnails: Iterable[Stack]) -> Stack:
    """Thumbnails as one array, ``(n, 32, 32)``."""
    rows = list(thumbnails)
    return np.stack(rows) if rows else np.zeros((0, SIDE, SIDE), np.uint8)
