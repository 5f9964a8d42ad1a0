"""The dangerous errors of a classifier: blasts taken for normal cells, and normal cells taken for blasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pcm_leukemia.baselines.metrics.bootstrap import Estimate
from pcm_leukemia.baselines.metrics.confusions import Counts, Floats, ratio
from pcm_leukemia.taxonomy import BLASTS, NORMAL

__all__ = ["FALSE", "MISSED", "BlastErrors", "Rate", "score", "shares"]

MISSED = "blasts taken for normal cells"
FALSE = "normal cells taken for blasts"


class Rate(NamedTuple):
    """How many of `cells` were `wrong`, and their share."""

    wrong: int
    cells: int
    share: Estimate

    def __str__(self) -> str:
        if not self.cells:
            return "no such cells"
        shown = f", {self.share.interval}" if self.share.interval else ""
        return f"{self.wrong:,} of {self.cells:,} ({100 * self.share.value:.2f} %{shown})"

    def to_json(self) -> dict[str, Any]:
        """The counts and the share as plain values."""
        return {"wrong": self.wrong, "cells": self.cells, **self.share.to_json()}


@dataclass(frozen=True)
class BlastErrors:
    """What is confused between the blasts and the normal cells of the nine classes.

    `missed` are blasts that were taken for normal cells, `false` normal cells that were taken for blasts. A blast taken for
    another kind of blast is in neither.
    """

    missed: Rate
    false: Rate

    def lines(self) -> Iterator[str]:
        """A line for each kind of error whose cells exist."""
        for text, rate in ((MISSED, self.missed), (FALSE, self.false)):
            if rate.cells:
                yield f"{text}: {rate}"

    def to_json(self) -> dict[str, Any]:
        """Both errors as plain values."""
        return {"blasts_as_normal": self.missed.to_json(), "normal_as_blasts": self.false.to_json()}


def score(confusion: Counts, drawn: Counts, labels: Sequence[str]) -> BlastErrors | None:
    r"""Both errors; None if the classes do not include both blasts and normal cells.

    Parameters
    ----------
    confusion
        The confusion matrix, ``(k, k)``.
    drawn
        The confusion matrix of each draw, ``(m, k, k)``.
    labels
        The classes in the order of their ids, k of them.

    Examples
    --------
    >>> found = score(np.array([[9, 1], [2, 3]]), np.zeros((0, 2, 2), int), ("Lymphocyte", "Lymphoblast"))
    >>> print(*found.lines(), sep="\n")
    blasts taken for normal cells: 2 of 5 (40.00 %)
    normal cells taken for blasts: 1 of 10 (10.00 %)
    """
    counted = _counted(np.concatenate([confusion[None], drawn]), labels)
    if not counted:
        return None
    return BlastErrors(
        *(
            Rate(int(wrong[0]), int(cells[0]), Estimate.of(ratio(wrong, cells)))
            for wrong, cells in counted.values()
        )
    )


def shares(tables: Counts, labels: Sequence[str]) -> dict[str, Floats]:
    """The share of each error in each confusion matrix, ``(m,)``, by name; empty where `score` is None.

    Parameters
    ----------
    tables
        Confusion matrices, ``(m, k, k)``.
    labels
        The classes in the order of their ids, k of them.

    Examples
    --------
    >>> {name: share.tolist() for name, share in shares(np.array([[[9, 1], [2, 3]]]), ("Lymphocyte", "Lymphoblast")).items()}
    {'blasts taken for normal cells': [0.4], 'normal cells taken for blasts': [0.1]}
    """
    return {name: ratio(wrong, cells) for name, (wrong, cells) in _counted(tables, labels).items()}


def _counted(tables: Counts, labels: Sequence[str]) -> dict[str, tuple[Counts, Counts]]:
    """How many cells are in each error, and how many could be, ``(m,)``; empty without both kinds of classes."""
    blasts, normal = (
        [number for number, label in enumerate(labels) if label in kind] for kind in (BLASTS, NORMAL)
    )
    if not blasts or not normal:
        return {}
    return {
        name: (tables[:, rows][..., columns].sum(axis=(1, 2)), tables[:, rows].sum(axis=(1, 2)))
        for name, rows, columns in ((MISSED, blasts, normal), (FALSE, normal, blasts))
    }
