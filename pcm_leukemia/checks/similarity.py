"""Find similar thumbnails among tens of thousands, in all 8 orientations.

Every pair is first compared coarsely, as one product of matrices a block and orientation; pairs that
pass are compared finely. The radius lies in a gap that was measured (`benchmarks/duplicates.py`, docs/trust.md) on
1,000 drawn smears with 6,629 cells and on BCCD, 364 real frames with 4,886 cells, whose nearest pairs were inspected:

- images: the nearest innocent pairs come to 0.29 (drawn) and 0.32 (BCCD) finely, copies that were compressed
  again, halved, turned or mirrored to 0.98 and above. BCCD has a field at two focuses, 0.97, and one that was taken
  again with the stage moved by a few per cent, 0.61, which is not found: the radius of images is no wider than that
  of cells, because an image may show a single cell.
- cells: the nearest innocent pairs come to 0.83 (drawn) and 0.84 (BCCD), and with 40,000 cells may come to 0.86. Of
  cells of 70 px and more, copies at quality 60 come to 0.90 and above in 98 of 100 cases, boxes drawn 1 % off to 0.92.
  BCCD holds cells that were photographed twice: 0.94, 0.94, 0.91, 0.88, 0.88, and beyond the radius 0.86 and 0.83.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pcm_leukemia.checks.thumbnails import ORIENTATIONS, Stack, coarse, correlation, detail, turned

__all__ = ["COPIES", "Link", "Radius", "near"]

ROWS, COLUMNS = 1024, 8192
"""The size of a block of pairs; 34 MB of products at a time."""
AT_ONCE = 256
"""Pairs that are compared finely at a time: their arrays stay in the cache."""


@dataclass(frozen=True, slots=True)
class Radius:
    """The coarse and the fine correlation that two thumbnails must reach to count as copies.

    `least_detail` is the deviation (grey levels of 255) below which there is nothing to compare.
    """

    propose: float = 0.92
    confirm: float = 0.87
    least_detail: float = 0.5


COPIES = Radius()
"""The radius for images and for cells."""


@dataclass(frozen=True, slots=True)
class Link:
    """Two copies, by their places in the stack.

    `distance` is 1 less the fine correlation; turned by `orientation` (see `thumbnails.turned`) the first
    looks like the second.
    """

    first: int
    second: int
    distance: float
    orientation: int


def near(
    stack: Stack,
    owners: Sequence[int] | npt.NDArray[np.intp],
    radius: Radius = COPIES,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> list[Link]:
    """Every pair within `radius`, each once, in the orientation that fits best.

    Parameters
    ----------
    stack
        Thumbnails, ``(n, 32, 32)``.
    owners
        The owner of each thumbnail, ``(n,)``; pairs with the same owner are skipped.
    radius
        How near a copy is.
    on_progress
        Called now and then with the share of the work that is done.

    Examples
    --------
    >>> one = np.random.default_rng(0).integers(0, 255, (3, 32, 32), dtype=np.uint8)
    >>> one[2] = np.rot90(one[0])
    >>> [(link.first, link.second, link.orientation) for link in near(one, [0, 1, 2])]
    [(0, 2, 1)]
    """
    best: dict[tuple[int, int], Link] = {}
    owned = np.asarray(owners)
    fit = np.flatnonzero(detail(stack) >= radius.least_detail)
    stack, owned = stack[fit], owned[fit]
    for first, second, orientation in _proposed(stack, owned, radius.propose, on_progress):
        for start in range(0, len(first), AT_ONCE):
            a, b = first[start : start + AT_ONCE], second[start : start + AT_ONCE]
            alike = correlation(turned(stack[a], orientation), stack[b])
            for index in np.flatnonzero(alike >= radius.confirm).tolist():
                pair = (int(fit[a[index]]), int(fit[b[index]]))
                link = Link(*pair, max(round(1 - float(alike[index]), 4), 0.0), orientation)
                if pair not in best or link.distance < best[pair].distance:
                    best[pair] = link
    return [best[pair] for pair in sorted(best)]


def _proposed(
    stack: Stack,
    owners: npt.NDArray[np.intp],
    least: float,
    on_progress: Callable[[float], None] | None,
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], int]]:
    """Places of pairs, first below second, whose coarse correlation is `least` or more, a block at a time."""
    if not len(stack):
        return
    upright = np.concatenate([coarse(stack[start : start + ROWS]) for start in range(0, len(stack), ROWS)])
    total = len(stack)
    for top in range(0, total, ROWS):
        rows = stack[top : top + ROWS]
        for orientation in range(ORIENTATIONS):
            turned_rows = coarse(turned(rows, orientation))
            for left in range(top, total, COLUMNS):
                products = turned_rows @ upright[left : left + COLUMNS].T
                a, b = np.divmod(np.flatnonzero(products >= least), products.shape[1])
                a, b = a + top, b + left
                kept = (a < b) & (owners[a] != owners[b])
                if kept.any():
                    yield a[kept], b[kept], orientation
        if on_progress:
            on_progress(1 - ((total - min(top + ROWS, total)) / total) ** 2)
