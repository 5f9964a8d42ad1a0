"""The dangerous errors of a classifier: blasts taken for normal cells, and normal cells taken for blasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pcm_leukemia.baselines.metrics.bootstrap import Estimate
from pcm_leukemia.baselines.metrics.confusions import Counts, ratio
from pcm_leukemia.taxonomy import BLASTS, NORMAL

__all__ = ["BlastErrors", "Rate", "score"]


class Rate(NamedTuple):
    """How many of `cells` were `wrong`, and their share."""

    wrong: int
    cells: int
    share: Estimate

    def __str__(self) -> str:
        if not self.cells:
            return "no such cells"
        between = self.share.interval if self.wrong else None  # without an error, all draws are equal
        shown = f", {100 * between.low:.2f} to {100 * between.high:.2f}" if between else ""
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
        for text, rate in (
            ("blasts taken for normal cells", self.missed),
            ("normal cells taken for blasts", self.false),
        ):
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
    blasts, normal = (
        [number for number, label in enumerate(labels) if label in group] for group in (BLASTS, NORMAL)
    )
    if not blasts or not normal:
        return None
    return BlastErrors(_rate(confusion, drawn, blasts, normal), _rate(confusion, drawn, normal, blasts))


def _rate(confusion: Counts, drawn: Counts, rows: Sequence[int], columns: Sequence[int]) -> Rate:
    """How many cells of the classes `rows` were taken for one of `columns`."""
    tables = np.concatenate([confusion[None], drawn])
    cells = tables[:, rows].sum(axis=(1, 2))
    wrong = tables[:, rows][..., columns].sum(axis=(1, 2))
    shares = ratio(wrong, cells)
    return Rate(int(wrong[0]), int(cells[0]), Estimate.of(shares))
