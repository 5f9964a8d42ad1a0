"""Selective prediction: how accurate a classifier is on the cells that it is surest of, if it may leave the rest to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pcm_leukemia.baselines.metrics.bootstrap import Estimate, Resampling, plain
from pcm_leukemia.baselines.metrics.confusions import Counts, Floats, ratio

__all__ = ["COVERAGES", "Selective", "score"]

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
"""The shares of cells, surest first, whose accuracy is given."""
_PRINTED = (0.9, 0.7, 0.5)
_CURVE = tuple(share / 100 for share in range(1, 101))


@dataclass(frozen=True)
class Selective:
    """The accuracy at each coverage, and the area under the risk-coverage curve, `aurc`: 0 at best.

    `curve` is the accuracy of the surest 1, 2, ... 100 % of the cells, without intervals.

    A cell's confidence is the probability of its predicted class. The risk at a cell's confidence is the share of
    errors among the cells that are as sure or surer; the area is its mean over all cells (Geifman et al., Bias-Reduced
    Uncertainty Estimation for Deep Neural Classifiers, ICLR 2019).
    """

    accuracies: Mapping[float, Estimate]
    aurc: Estimate
    curve: tuple[float, ...]

    def lines(self) -> Iterator[str]:
        """The accuracy at three coverages, and the area."""
        first, *others = (f"{100 * share:.0f} %" for share in _PRINTED)
        shares = (f"{first} of cells", *others)
        at = (self.accuracies[share] for share in _PRINTED)
        shown = ", ".join(f"{share}: {accuracy}" for share, accuracy in zip(shares, at, strict=True))
        yield f"accuracy of the surest {shown}"
        yield f"area under the risk-coverage curve {self.aurc}"

    def to_json(self) -> dict[str, Any]:
        """The accuracies and the area as plain values."""
        return {
            "accuracy_at": [
                {"coverage": coverage, **each.to_json()} for coverage, each in self.accuracies.items()
            ],
            "aurc": self.aurc.to_json(),
            "curve": [plain(accuracy) for accuracy in self.curve],
        }


def score(truths: npt.NDArray[np.int64], probabilities: Floats, resampling: Resampling) -> Selective:
    """The accuracies and the area, and their intervals over groups.

    Of equally sure cells, an equal share is counted, whichever come first.

    Parameters
    ----------
    truths
        The true class ids, ``(n,)``.
    probabilities
        The probability of each class, ``(n, k)``.
    resampling
        The draws.

    Examples
    --------
    >>> from pcm_leukemia.baselines.metrics.bootstrap import resampling
    >>> chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> found = score(np.array([0, 0, 0, 1]), chances, resampling(["P1"] * 4, 0, 0))
    >>> found.accuracies[1.0].value, found.accuracies[0.5].value, found.aurc.value
    (0.75, 1.0, 0.0625)
    """
    confidences = probabilities.max(axis=1, initial=0)
    right = probabilities.argmax(axis=1) == truths
    order = np.argsort(-confidences, kind="stable")
    group, is_wrong = resampling.group[order], ~right[order, None]
    # of equally sure cells, the last
    lasts = np.flatnonzero(np.diff(confidences[order], append=-1))
    rows: list[Floats] = []
    for times in resampling.blocks():
        weights = times[group]
        surer = weights.cumsum(axis=0, dtype=np.int32)[lasts]
        errors = (weights * is_wrong).cumsum(axis=0, dtype=np.int32)[lasts]
        if not rows:  # the first column has each cell once
            curve = _accuracies(surer[:, :1], errors[:, :1], _CURVE)[0]
        rows.append(np.column_stack([_accuracies(surer, errors, COVERAGES), _areas(surer, errors)]))
    values = np.concatenate(rows)
    of = {coverage: Estimate.of(values[:, number]) for number, coverage in enumerate(COVERAGES)}
    return Selective(of, Estimate.of(values[:, -1]), tuple(curve.tolist()))


def _areas(surer: Counts, errors: Counts) -> Floats:
    """The area of each draw, from its cumulative counts, surest cells first, ``(n, m)``: ``(m,)``."""
    cells = np.diff(surer, axis=0, prepend=0)
    return ratio(np.nansum(cells * ratio(errors, surer), axis=0), cells.sum(axis=0))


def _accuracies(surer: Counts, errors: Counts, coverages: Sequence[float]) -> Floats:
    """The accuracy of each draw at each coverage: ``(m, coverages)``."""
    found = np.full((surer.shape[1], len(coverages)), np.nan)
    for row, cells, wrong in zip(found, surer.T, errors.T, strict=True):
        if len(cells):
            kept = np.array(coverages) * cells[-1]
            row[:] = 1 - np.interp(kept, np.append(0, cells), np.append(0, wrong)) / kept
    return found
