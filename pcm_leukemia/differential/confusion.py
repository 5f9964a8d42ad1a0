"""Corrects the shares that a model has counted for what it confuses, as seen on patients whose cells are annotated.

If a model takes every tenth lymphocyte for a lymphoblast, a healthy patient has blasts. How often it takes one class for
another is seen on validation patients. The corrected shares are those under which the predicted labels are most likely:
maximum likelihood, found by expectation maximisation, so that no share is negative and their sum is 1. This is the "adjusted
count" of quantification (Forman 2008), and the estimate of label shift by a black box (Lipton et al. 2018, which inverts the matrix
and so can give shares below 0), with the algorithm of Saerens et al. 2002 on counts of labels instead of probabilities.

It assumes that the model confuses a new patient's cells as often as those of the validation patients.

References
----------
M. Saerens, P. Latinne, C. Decaestecker, Neural Computation 14 (2002), 21. G. Forman, Data Mining and Knowledge Discovery 17
(2008), 164. Z. Lipton, Y.-X. Wang, A. Smola, ICML 2018, arXiv:1802.03916.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from pcm_leukemia.differential.binomial import JEFFREYS

__all__ = ["Adjusted", "Confusion", "Correction"]

Floats: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.int64]

_TOLERANCE, _MOST_ROUNDS = 1e-5, 1000
"""The largest change of a share at which the search ends, and its most rounds."""


class Rates(NamedTuple):
    """What a model does to cells, for one matrix or a stack of them.

    `labels` has the probability of each predicted label if the cell is found, ``(..., c + 1, c + 1)``, and `found` the
    probability that it is found, ``(..., c + 1)``; the last class is "not a white cell" in both.
    """

    labels: Floats
    found: Floats


class Adjusted(NamedTuple):
    """Corrected shares of the classes, 0 to 1: the most likely ones, ``(c,)``, and those of each draw, ``(m, c)``.

    There are no draws with fewer than two validation patients.
    """

    shares: Floats
    draws: Floats


@dataclass(frozen=True)
class Confusion:
    """What a model confused on validation patients.

    Parameters
    ----------
    labels
        The classes that are counted, c of them.
    tables
        The cells of each patient, ``(patients, c + 1, c + 2)``. Rows are the true classes, and last everything that is not
        counted: Other, and detections where no cell is. Columns are the predicted classes, then Other, and last the
        cells that were missed or left out as unsure.
    source
        Where the patients are from, in words for the reader of a result.
    unit
        What `tables` are of: "patients", or "groups" or "images" if patients are not known.

    Raises
    ------
    ValueError
        If the shapes do not match.
    """

    labels: tuple[str, ...]
    tables: Counts
    source: str = "validation"
    unit: str = "patients"

    def __post_init__(self) -> None:
        classes = len(self.labels)
        if self.tables.ndim != 3 or self.tables.shape[1:] != (classes + 1, classes + 2):
            raise ValueError(
                f"confusion: tables of the shape {self.tables.shape} for {classes} labels; give (patients, c + 1, c + 2)"
            )

    @property
    def cells(self) -> dict[str, int]:
        """The annotated cells of each class."""
        return dict(zip(self.labels, self.tables[:, :-1].sum(axis=(0, 2)).tolist(), strict=True))

    def correction(self, draws: int = 1000, seed: int = 0) -> Correction:
        """The correction, with `draws` draws of the patients for intervals."""
        return Correction(self, draws, seed)


@dataclass(frozen=True)
class Correction:
    """Corrects counts by a confusion; the intervals come from draws of its patients and of the patient's own labels.

    To every class, one cell is added that the model labels right, in every draw: a class without validation cells is then
    taken at its word, and a label that was never seen is possible.
    """

    confusion: Confusion
    draws: int
    seed: int

    def adjust(self, counts: npt.ArrayLike, patient: int = 0) -> Adjusted:
        """The corrected shares of one patient among the counted classes.

        Each draw takes as many validation patients as there are, with replacement, and the shares of the predicted
        labels from their posterior distribution, Dirichlet(1/2 + counts).

        Parameters
        ----------
        counts
            The predicted cells of each class and of Other, ``(c + 1,)``.
        patient
            The patient's number, so that each has draws of its own.

        Returns
        -------
        Adjusted
            NaN where no cell is found, or all are Other.

        Examples
        --------
        >>> table = np.array([[[90, 10, 0, 0], [0, 100, 0, 0], [0, 0, 50, 0]]])
        >>> correction = Confusion(("Lymphocyte", "Lymphoblast"), table).correction()
        >>> correction.adjust([90, 10, 3]).shares.round(2).tolist()
        [1.0, 0.0]
        """
        found = np.asarray(counts, np.float64)
        if not found.sum():
            return Adjusted(
                np.full(len(found) - 1, np.nan), np.full((len(self._drawn.found), len(found) - 1), np.nan)
            )
        rng = np.random.default_rng([self.seed, patient])
        posterior = rng.dirichlet(found + JEFFREYS, len(self._drawn.found))
        return Adjusted(_shares(found / found.sum(), self._rates), _shares(posterior, self._drawn))

    @cached_property
    def _rates(self) -> Rates:
        return _rates(self.confusion.tables.sum(axis=0))

    @cached_property
    def _drawn(self) -> Rates:
        tables = self.confusion.tables
        patients, draws = len(tables), self.draws if len(tables) > 1 else 0
        rng = np.random.default_rng(self.seed)
        times = rng.multinomial(patients, np.full(patients, 1 / patients), draws) if draws else None
        return _rates(np.zeros((0, *tables.shape[1:])) if times is None else np.tensordot(times, tables, 1))


def _rates(tables: npt.NDArray[Any]) -> Rates:
    """The rates of one table, or of a stack of them."""
    labelled = tables[..., :-1] + np.eye(tables.shape[-2])
    cells = labelled.sum(axis=-1)
    missed = tables[..., -1].astype(np.float64)
    missed[..., -1] = 0  # what is no white cell need not be found
    return Rates(labelled / cells[..., None], cells / (cells + missed))


def _shares(predicted: Floats, rates: Rates) -> Floats:
    """The most likely shares of the classes, ``(..., c)``, given the shares of the predicted labels, ``(..., c + 1)``."""
    among_found = np.full(np.broadcast_shapes(predicted.shape, rates.found.shape), 1 / predicted.shape[-1])
    for _ in range(_MOST_ROUNDS):
        expected = (among_found[..., None, :] @ rates.labels)[..., 0, :]
        ratio = predicted / np.maximum(expected, np.finfo(float).tiny)
        before, among_found = among_found, among_found * (rates.labels @ ratio[..., None])[..., 0]
        if not among_found.size or np.abs(among_found - before).max() < _TOLERANCE:
            break
    cells = (among_found / rates.found)[..., :-1]
    total = cells.sum(axis=-1, keepdims=True)
    shares: Floats = np.divide(cells, total, out=np.full_like(cells, np.nan), where=total > 1e-12)
    return shares
