"""Compare two pictures of 8 x 8 in all 8 orientations at once.

To turn or mirror a picture is to permute its pixels. In the basis of `components`, which is that of the cosine transform
with its coefficients for rows and columns added and subtracted, it is simpler: of the 64 components, 32 keep or change
their sign, and the other 32 are 16 pairs, whose two members keep or change their signs and may change places. Two things
follow:

- The absolute values of the former and the lengths of the latter do not depend on the orientation (`invariants`). They are
  48 numbers, and their product is never less than the product of the two pictures in any orientation. So one product of 48
  numbers excludes most pairs from 8 products of 64.
- All 8 products are sums of the same 96 products of components, with different signs (`products`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pcm_leukemia.checks.similarity import COARSE, ORIENTATIONS, Floats, turned

__all__ = ["components", "invariants", "products"]

ALONE, PAIRED = 32, 16
"""Components that change nothing but their sign, and pairs: first the former, then the first members, then the second."""


def components(coarse: Floats) -> Floats:
    """Pictures ``(n, 64)`` in the basis that orientations treat simply, ``(n, 64)``; products stay the same."""
    return np.asarray(coarse @ _basis().T, np.float32)


def invariants(of: Floats) -> Floats:
    """Numbers ``(n, 48)`` of `components` that are the same in all orientations, with products that are no less.

    Examples
    --------
    >>> pictures = np.random.default_rng(0).normal(size=(2, 8, 8)).astype(np.float32)
    >>> flat = lambda orientation: components(turned(pictures, orientation).reshape(2, 64))
    >>> all(np.allclose(invariants(flat(each)), invariants(flat(0)), atol=1e-4) for each in range(8))
    True
    >>> bound = invariants(flat(0)) @ invariants(flat(0)).T
    >>> all(bool((flat(each) @ flat(0).T <= bound + 1e-4).all()) for each in range(8))
    True
    """
    alone = np.where(_signs()[0][:ALONE].min(axis=1) > 0, of[:, :ALONE], np.abs(of[:, :ALONE]))
    first, second = of[:, ALONE:].reshape(len(of), 2, PAIRED).transpose(1, 0, 2)
    return np.ascontiguousarray(np.concatenate([alone, np.hypot(first, second)], axis=1))


def products(one: Floats, other: Floats) -> Floats:
    """The product of each picture of `one`, in each orientation, and the same one of `other`, ``(n, 8)``.

    Both are given by their `components`.

    Examples
    --------
    >>> pictures = np.random.default_rng(0).normal(size=(2, 8, 8)).astype(np.float32)
    >>> one, other = components(pictures[:1].reshape(1, 64)), components(pictures[1:].reshape(1, 64))
    >>> expected = [float((turned(pictures[:1], each) * pictures[1:]).sum()) for each in range(8)]
    >>> bool(np.allclose(products(one, other)[0], expected, atol=1e-4))
    True
    """
    straight, crossed = _signs()
    swapped = other[:, ALONE:].reshape(len(other), 2, PAIRED)[:, ::-1]
    across = (one[:, ALONE:].reshape(len(one), 2, PAIRED) * swapped).reshape(len(one), 2 * PAIRED)
    return np.asarray((one * other) @ straight + across @ crossed, np.float32)


@lru_cache
def _basis() -> Floats:
    """The components, as rows of an orthogonal matrix ``(64, 64)``."""
    along = np.arange(COARSE)
    waves = np.cos(np.pi * (along + 0.5) * along[:, None] / COARSE)
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    alone, firsts, seconds = [], [], []
    for row in range(COARSE):
        for column in range(row + 1):
            one, other = np.outer(waves[row], waves[column]), np.outer(waves[column], waves[row])
            if (row + column) % 2:
                even, odd = (one, other) if row % 2 == 0 else (other, one)
                firsts.append(even)
                seconds.append(odd)
            elif row == column:
                alone.append(one)
            else:
                alone += [(one + other) / np.sqrt(2), (one - other) / np.sqrt(2)]
    return np.asarray([*alone, *firsts, *seconds], np.float32).reshape(COARSE**2, COARSE**2)


@lru_cache
def _signs() -> tuple[Floats, Floats]:
    """The signs, 1, -1 or 0, with which each product of components is part of the product in each orientation.

    The products are those of the same component, ``(64, 8)``, and those of the members of a pair that change places,
    ``(32, 8)``.
    """
    basis, each = _basis(), np.arange(COARSE**2)
    partner = np.roll(each[ALONE:].reshape(2, PAIRED), 1, axis=0).ravel()
    pixels = np.eye(COARSE**2, dtype=np.float32).reshape(-1, COARSE, COARSE)
    straight, crossed = [], []
    for orientation in range(ORIENTATIONS):
        effect = basis @ turned(pixels, orientation).reshape(len(each), -1) @ basis.T
        straight.append(np.rint(effect[each, each]))
        crossed.append(np.rint(effect[each[ALONE:], partner]))
    return np.stack(straight, axis=1), np.stack(crossed, axis=1)
