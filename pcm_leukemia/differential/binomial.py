"""Exact statistics of a share that was counted: the Clopper-Pearson interval, and how probable a share of at least so much is."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pcm_leukemia.errors import MissingExtra

__all__ = ["JEFFREYS", "clopper_pearson", "probability_of_at_least"]

Floats: TypeAlias = npt.NDArray[np.float64]

JEFFREYS = 0.5
"""The prior of every share: Beta(1/2, 1/2), Jeffreys' prior; Dirichlet(1/2, 1/2, ...) for several classes."""


def clopper_pearson(
    counts: npt.ArrayLike, totals: npt.ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """The exact two-sided interval of a share, which haematologists know as Rümke's table.

    It contains the true share in at least `level` of all samples, whatever the share. It is conservative: for a given share
    and total it contains the share more often than `level`, with few cells or a rare class much more often.

    Parameters
    ----------
    counts
        The cells of the class, any shape.
    totals
        The cells counted in all, of the same shape or one number.
    level
        The confidence, 0 to 1.

    Returns
    -------
    tuple of arrays
        The lower and the upper limits, 0 to 1; 0 and 1 without cells.

    Raises
    ------
    MissingExtra
        If scipy is not installed.
    ValueError
        If a count is negative or above its total.

    References
    ----------
    C. J. Clopper and E. S. Pearson, Biometrika 26 (1934), 404; as quantiles of beta distributions.

    Examples
    --------
    >>> low, high = clopper_pearson([0, 5, 50], 100)
    >>> (100 * low).round(1).tolist(), (100 * high).round(1).tolist()
    ([0.0, 1.6, 39.8], [3.6, 11.3, 60.2])
    """
    found, cells = _checked(counts, totals)
    special, tail = _special(), (1 - level) / 2
    # the limits of a beta distribution whose parameter is 0 are given, not computed
    low = np.where(found > 0, special.betaincinv(np.maximum(found, 1), cells - found + 1, tail), 0.0)
    high = np.where(found < cells, special.betaincinv(found + 1, np.maximum(cells - found, 1), 1 - tail), 1.0)
    return low, high


def probability_of_at_least(counts: npt.ArrayLike, totals: npt.ArrayLike, share: float) -> Floats:
    """The posterior probability that the true share is `share` or more, under Jeffreys' prior.

    Before counting, the share is distributed as Beta(1/2, 1/2), and after counting as Beta(1/2 + count, 1/2 + rest). Only
    the counting error is in this probability: not errors of labels, nor that a smear may differ from the blood.

    Parameters
    ----------
    counts, totals
        As in `clopper_pearson`.
    share
        The share in question, 0 to 1.

    Raises
    ------
    MissingExtra
        If scipy is not installed.
    ValueError
        If a count is negative or above its total.

    Examples
    --------
    >>> probability_of_at_least([10, 20, 40], 100, 0.2).round(3).tolist()
    [0.004, 0.51, 1.0]
    """
    found, cells = _checked(counts, totals)
    above: Floats = 1 - _special().betainc(found + JEFFREYS, cells - found + JEFFREYS, share)
    return above


def _checked(counts: npt.ArrayLike, totals: npt.ArrayLike) -> tuple[Floats, Floats]:
    found, cells = np.broadcast_arrays(np.asarray(counts, np.float64), np.asarray(totals, np.float64))
    if (found < 0).any() or (found > cells).any():
        raise ValueError("counts: each must be from 0 to its total")
    return found, cells


def _special() -> Any:
    try:
        from scipy import special
    except ModuleNotFoundError as error:
        raise MissingExtra("scipy", "baselines") from error
    return special
