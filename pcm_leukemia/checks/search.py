"""Find the pairs of similar pictures among tens of thousands of thumbnails, in all 8 orientations.

A pair is similar if its coarse and its fine correlation reach the radius (see `similarity`). Every pair is looked at, in three
steps that exclude only pairs outside the radius:

1. One matrix product of 48 numbers that do not depend on the orientation (`orientations.invariants`). Of a million pairs of
   different cells, 20,000 to 40,000 (drawn) or 15 (BCCD) pass.
2. The coarse correlations in all 8 orientations. Of these million pairs, 76 (drawn) or 5 (BCCD) pass.
3. The largest fine correlation that moving and stretching could give. Hardly any pair of different cells passes.

What passes is compared as `similarity.correlation` says. So the pairs found do not depend on blocks or threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pcm_leukemia.checks.orientations import components, invariants, products
from pcm_leukemia.checks.similarity import (
    COPIES,
    ORIENTATIONS,
    SIDE,
    Floats,
    Radius,
    Stack,
    coarse,
    correlation,
    detail,
    fine,
    inverse,
    moves,
    turned,
)

__all__ = ["Link", "near"]

Indices = npt.NDArray[np.intp]
Pairs = tuple[Indices, Indices, Indices]
"""The first and the second of each pair, and the orientation of the first."""

ROWS, COLUMNS = 256, 2048
"""The size of a block of pairs; its products stay in the cache."""
PAIRS_AT_ONCE = 2048
"""Pairs whose coarse correlations are computed at a time."""
PROPOSED_AT_ONCE = 8192
"""Pairs whose fine correlations are bounded at a time; 34 MB."""
FLOATS_AT_ONCE = 256
"""Thumbnails that are converted to floating-point numbers, or compared finely, at a time."""
ROUNDING = 1e-4
"""Far more than single precision can change a coarse correlation."""
FINE_ROUNDING = 1e-2
"""The same for the bound of a fine correlation, whose least squares are regularised."""


@dataclass(frozen=True, slots=True)
class Link:
    """Two copies, by their indices in the stack.

    `distance` is 1 minus the fine correlation. In this `orientation` (see `similarity.turned`), the first looks like the
    second.
    """

    first: int
    second: int
    distance: float
    orientation: int


@dataclass(frozen=True, slots=True)
class _Pictures:
    """Thumbnails, and what is computed once for each of them.

    `structure` is the fine structure, ``(n, 1024)``, divided by `step` to fit into 8 bits, of length 1 when multiplied by
    it, and up to `lost` away from what it was.
    """

    stack: Stack
    owners: Indices
    components: Floats
    invariants: Floats
    structure: npt.NDArray[np.int8]
    step: Floats
    lost: Floats


def near(
    stack: Stack,
    owners: Sequence[int] | Indices,
    radius: Radius = COPIES,
    *,
    workers: int | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> list[Link]:
    """Find every pair within `radius`, each once, in the orientation that fits best.

    Parameters
    ----------
    stack
        Thumbnails, ``(n, 32, 32)``.
    owners
        The owner of each thumbnail, ``(n,)``; pairs with the same owner are skipped.
    radius
        How similar copies are.
    workers
        Threads; by default one for each core.
    on_progress
        Called now and then with the fraction of the work that is done.

    Examples
    --------
    >>> one = np.random.default_rng(0).integers(0, 255, (3, 32, 32), dtype=np.uint8)
    >>> one[2] = np.rot90(one[0])
    >>> [(link.first, link.second, link.orientation) for link in near(one, [0, 1, 2])]
    [(0, 2, 1)]
    """
    from threadpoolctl import threadpool_limits

    best: dict[tuple[int, int], Link] = {}
    pool = ThreadPoolExecutor(workers or os.cpu_count())
    # the products are small, so threads of BLAS would mostly wait for each other: up to 20 times the time on busy cores
    with threadpool_limits(1, user_api="blas"):
        fit = np.flatnonzero(detail(stack) >= radius.least_detail)
        if len(fit) < len(stack):
            stack = stack[fit]
        pictures = _described(stack, np.asarray(owners, np.intp)[fit])
        total = len(stack)
        tops = range(0, total, ROWS)
        try:
            found = pool.map(lambda top: _found(pictures, top, radius), tops)
            for top, links in zip(tops, found, strict=True):
                for link in links:
                    pair = int(fit[link.first]), int(fit[link.second])
                    new = Link(*pair, link.distance, link.orientation)
                    best[pair] = min(
                        best.get(pair, new), new, key=lambda each: (each.distance, each.orientation)
                    )
                if on_progress:
                    on_progress(1 - ((total - min(top + ROWS, total)) / total) ** 2)
        finally:
            pool.shutdown(cancel_futures=True)
    return [best[pair] for pair in sorted(best)]


def _described(stack: Stack, owners: Indices) -> _Pictures:
    total = len(stack)
    described = _Pictures(
        stack,
        owners,
        np.empty((total, 64), np.float32),
        np.empty((total, 48), np.float32),
        np.empty((total, SIDE**2), np.int8),
        np.empty(total, np.float32),
        np.empty(total, np.float32),
    )
    for start in range(0, total, FLOATS_AT_ONCE):
        here = slice(start, start + FLOATS_AT_ONCE)
        structure = fine(stack[here])
        described.components[here] = components(coarse(structure))
        described.invariants[here] = invariants(described.components[here])
        flat = structure.reshape(len(structure), -1)
        flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
        step = np.maximum(np.abs(flat).max(axis=1), 1e-6) / 127
        rounded = np.rint(flat / step[:, None])
        described.structure[here], described.step[here] = rounded, step
        described.lost[here] = np.linalg.norm(flat - rounded * step[:, None], axis=1)
    return described


def _found(pictures: _Pictures, top: int, radius: Radius) -> list[Link]:
    """The links of the rows from `top`: pairs with a later thumbnail, each in every orientation that is within the radius."""
    links: list[Link] = []
    waiting: list[Pairs] = []
    for pairs in _proposed(pictures, top, radius.propose - ROUNDING):
        waiting.append(pairs)
        if sum(len(first) for first, _, _ in waiting) >= PROPOSED_AT_ONCE:
            links += _confirmed(pictures, _joined(waiting), radius)
            waiting.clear()
    if waiting:
        links += _confirmed(pictures, _joined(waiting), radius)
    return links


def _joined(pairs: list[Pairs]) -> Pairs:
    first, second, orientation = (np.concatenate(each) for each in zip(*pairs, strict=True))
    return first, second, orientation


def _proposed(pictures: _Pictures, top: int, least: float) -> Iterator[Pairs]:
    """The pairs of the rows from `top` and later thumbnails with a coarse correlation of at least `least`."""
    rows, owners = pictures.invariants[top : top + ROWS], pictures.owners
    for left in range(top, len(owners), COLUMNS):
        those = owners[left : left + COLUMNS]
        if (those == those[0]).all() and (owners[top : top + ROWS] == those[0]).all():
            continue
        bound = rows @ pictures.invariants[left : left + COLUMNS].T
        first, second = np.divmod(np.flatnonzero(bound >= least), bound.shape[1])
        first, second = first + top, second + left
        kept = (first < second) & (owners[first] != owners[second])
        first, second = first[kept], second[kept]
        for start in range(0, len(first), PAIRS_AT_ONCE):
            here = slice(start, start + PAIRS_AT_ONCE)
            alike = products(
                pictures.components.take(first[here], axis=0), pictures.components.take(second[here], axis=0)
            )
            pair, orientation = np.divmod(np.flatnonzero(alike >= least), ORIENTATIONS)
            if len(pair):
                yield first[here][pair], second[here][pair], orientation


def _confirmed(pictures: _Pictures, pairs: Pairs, radius: Radius) -> Iterator[Link]:
    """The pairs that are within the radius."""
    possible = _reachable(pictures, pairs) >= radius.confirm - FINE_ROUNDING
    first, second, orientations = (each[possible] for each in pairs)
    for orientation in np.unique(orientations).tolist():
        those = np.flatnonzero(orientations == orientation)
        for start in range(0, len(those), FLOATS_AT_ONCE):
            a, b = (each[those[start : start + FLOATS_AT_ONCE]] for each in (first, second))
            one, other = turned(pictures.stack[a], orientation), pictures.stack[b]
            alike = correlation(one, other)
            # summed for each pair by itself, so that rounding does not depend on the other pairs
            coarsely = (coarse(fine(one)) * coarse(fine(other))).sum(axis=1)
            for index in np.flatnonzero((alike >= radius.confirm) & (coarsely >= radius.propose)).tolist():
                distance = max(round(1 - float(alike[index]), 4), 0.0)
                yield Link(int(a[index]), int(b[index]), distance, orientation)


def _reachable(pictures: _Pictures, pairs: Pairs) -> Floats:
    """What the fine correlation of each pair is at most, ``(n,)``, however the first is moved and stretched.

    The moved picture is a sum of five (`similarity.moves`), so the correlation is at most the length of the second
    picture's projection onto the space of these five.
    """
    first, second, orientations = pairs
    structure = np.empty((len(first), SIDE**2), np.float32)
    for orientation in np.unique(orientations).tolist():
        those = np.flatnonzero(orientations == orientation)
        others = pictures.structure[second[those]].reshape(-1, SIDE, SIDE)
        # instead of the first, the second is turned, the other way round
        structure[those] = turned(others, inverse(orientation)).reshape(len(those), -1)
    rows, row_of = np.unique(first, return_inverse=True)
    order = np.argsort(row_of, kind="stable")
    ends = np.cumsum(np.bincount(row_of)).tolist()
    reached = np.empty(len(first), np.float32)
    for space, start, end in zip(_spaces(pictures.stack[rows]), [0, *ends], ends, strict=False):
        those = order[start:end]
        reached[those] = np.linalg.norm(structure[those] @ space.T, axis=1)
    return np.asarray(reached * pictures.step[second] + pictures.lost[second], np.float32)


def _spaces(stack: Stack) -> Floats:
    """An orthonormal basis of what moving and stretching makes of each thumbnail, ``(n, 5, 1024)``."""
    terms = moves(fine(stack))
    terms /= np.maximum(np.linalg.norm(terms, axis=2, keepdims=True), 1e-6)
    gram = (terms @ terms.transpose(0, 2, 1)).astype(np.float64)
    lower = np.linalg.cholesky(gram + 1e-6 * np.eye(gram.shape[1]))
    return np.asarray(np.linalg.inv(lower).astype(np.float32) @ terms, np.float32)
