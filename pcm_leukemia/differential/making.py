"""From cells to a differential: counts annotated or predicted cells and computes shares, intervals and probabilities."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.differential.binomial import clopper_pearson, probability_of_at_least
from pcm_leukemia.differential.confusion import Confusion, Correction
from pcm_leukemia.differential.predictions import Limits, Predictions
from pcm_leukemia.differential.results import (
    AT_LEAST,
    Blasts,
    Corrected,
    Counted,
    Differential,
    PatientDifferential,
)
from pcm_leukemia.differential.tallying import OTHER, Reason, Tallies, Tally, annotated, tally, white_cells
from pcm_leukemia.errors import counted, option
from pcm_leukemia.patients import doubts
from pcm_leukemia.taxonomy import BLASTS, NINE

__all__ = ["count", "count_predictions"]

_CLASSIFY = (
    "predict with a model of these classes; to a detector that finds white cells alone, add the run of a classifier, which "
    "labels them: predict DETECTOR CLASSIFIER IMAGES OUT"
)

Floats: TypeAlias = npt.NDArray[np.float64]


def count(ds: Dataset, *, keep_incomplete: bool = False) -> Differential:
    """Count the annotated cells of each patient.

    Parameters
    ----------
    ds
        The data, with patients. Nucleated white cells count: the cells of every class but Other.
    keep_incomplete
        Whether to count images that may have unannotated cells, too.

    Raises
    ------
    MissingPatients
        If no image has a patient.
    UnfitForTask
        If the classes are not of the nine, or no image is completely annotated.
    MissingExtra
        If scipy is not installed.

    Examples
    --------
    >>> from pcm_leukemia import Box, Cell, Image, Patient
    >>> image = Image("a.png", 200, 100, "P1")
    >>> labels = ["Lymphoblast", "Monocyte", "Other"]
    >>> cells = tuple(Cell("a.png", n, label, Box(1, 1, 9, 9)) for n, label in enumerate(labels))
    >>> found = count(Dataset("demo", NINE, (image,), cells, (Patient("P1"),)))
    >>> blasts = found.patients[0].blasts
    >>> blasts.counted.count, blasts.counted.share, round(blasts.counted.low, 3)
    (1, 0.5, 0.013)
    """
    tallies = tally(ds, annotated(ds), keep_incomplete=keep_incomplete)
    return _differential(ds, tallies, notes=_absent_classes(ds.taxonomy.labels))


def count_predictions(
    predictions: Predictions,
    limits: Limits | None = None,
    *,
    confusion: Confusion | None = None,
    seen: Collection[str] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Differential:
    """Count the predicted cells of each patient.

    Parameters
    ----------
    predictions
        The predictions, as `read_predictions` reads them.
    limits
        The scores from which a cell counts; by default `Limits()`.
    confusion
        What the model confuses by the same limits, to correct the shares; see `Confusion`.
    seen
        The patients that the model has learned from, if that is known.
    draws, seed
        The draws for the intervals of corrected shares.

    Raises
    ------
    MissingPatients
        If no image has a patient.
    UnfitForTask
        If the classes are not of the nine.
    ValueError
        If the classes of the confusion are others, or there is a threshold for labels and they have no score.
    MissingExtra
        If scipy is not installed.
    """
    limits, ds = limits or Limits(), predictions.ds
    if limits.label_threshold and predictions.results and not predictions.two_stages:
        raise ValueError(
            "label_threshold: a detector alone gives labels no score of their own; leave it out, or predict in two stages"
        )
    white_cells(ds.taxonomy, ds.name, _CLASSIFY)
    tallies = tally(ds, predictions.cells(limits))
    notes = _absent_classes(ds.taxonomy.labels)
    correction = None
    if confusion is not None:
        if confusion.labels != tuple(label for label in ds.taxonomy.labels if label != OTHER):
            raise ValueError(
                f"confusion: of the classes {', '.join(confusion.labels)}, the predictions have "
                f"{', '.join(ds.taxonomy.labels)}; give the runs that predicted"
            )
        correction = confusion.correction(draws, seed)
        notes += _limits_of(confusion)
    if seen:
        known = f"the model has learned from {len(seen):,} of the patients (see the column seen)"
        notes += (f"{known}: their shares look better than those of new patients",)
    return _differential(ds, tallies, limits=limits, correction=correction, seen=seen, notes=notes)


def _differential(
    ds: Dataset,
    tallies: Tallies,
    *,
    limits: Limits | None = None,
    correction: Correction | None = None,
    seen: Collection[str] | None = None,
    notes: tuple[str, ...] = (),
) -> Differential:
    patients = tuple(
        _of_patient(each, correction, number, seen=None if seen is None else each.patient in seen)
        for number, each in enumerate(tallies.patients)
    )
    notes += (*_doubles(tallies), *_doubts(ds), *_without_cells(tallies, limits))
    labels = tuple(tallies.patients[0].counts)
    return Differential(ds.name, labels, patients, tallies, limits, correction, notes)


def _of_patient(
    found: Tally, correction: Correction | None, number: int, *, seen: bool | None
) -> PatientDifferential:
    labels, total = tuple(found.counts), found.total
    blasts = [place for place, label in enumerate(labels) if label in BLASTS]
    counts = [*found.counts.values(), sum(found.counts[labels[place]] for place in blasts)]
    low, high = clopper_pearson(counts, total)
    corrected: list[Corrected | None] = [None] * len(counts)
    chances = None
    if correction is not None:
        adjusted = correction.adjust([*found.counts.values(), found.left_out[Reason.OTHER]], number)
        shares, draws = (_with_sum(each, blasts) for each in adjusted)
        corrected = [_corrected(share, drawn) for share, drawn in zip(shares, draws.T, strict=True)]
        chances = tuple(_share_of_draws(draws[:, -1], share) for share in AT_LEAST)
    rows = [
        Counted(label, cells, cells / total if total else np.nan, float(least), float(most), better)
        for label, cells, least, most, better in zip(
            (*labels, "blasts"), counts, low, high, corrected, strict=True
        )
    ]
    # of no cell, the posterior would be the prior, which says nothing about the patient
    probabilities = tuple(
        float(probability_of_at_least(counts[-1], total, share)) if total else np.nan for share in AT_LEAST
    )
    together = Blasts(rows[-1], probabilities, chances) if blasts else None
    return PatientDifferential(found, tuple(rows[:-1]), together, seen)


def _with_sum(shares: Floats, of: list[int]) -> Floats:
    """The shares of the classes, ``(..., c)``, and last the sum of some of them."""
    return np.concatenate([shares, shares[..., of].sum(axis=-1, keepdims=True)], axis=-1)


def _corrected(share: float, drawn: Floats) -> Corrected:
    """The share with its interval, which contains it even where the prior pulls all draws to one side."""
    known = drawn[~np.isnan(drawn)]
    if not known.size or np.isnan(share):
        return Corrected(float(share), np.nan, np.nan)
    low, high = np.percentile(known, (2.5, 97.5)).tolist()
    return Corrected(float(share), min(low, float(share)), max(high, float(share)))


def _share_of_draws(drawn: Floats, share: float) -> float:
    known = drawn[~np.isnan(drawn)]
    return float((known >= share).mean()) if known.size else np.nan


def _doubles(tallies: Tallies) -> tuple[str, ...]:
    if not tallies.doubles:
        return ()
    have, are = ("has", "is") if tallies.doubles == 1 else ("have", "are")
    images = counted(tallies.doubles, "image")
    return (f"{images} {have} the file of another image of the same patient, and {are} not counted again",)


def _doubts(ds: Dataset) -> tuple[str, ...]:
    """What looks wrong about the patients, who are counted one by one."""
    return tuple(
        f"{doubt.problem.where} have a patient each: if these are the images' own numbers, nobody's cells are counted together; "
        "look at the path or table that the ids come from"
        for doubt in doubts(ds)
        if doubt.kind == "patient-for-each-image"
    )


def _without_cells(tallies: Tallies, limits: Limits | None) -> tuple[str, ...]:
    """The patients of whom no cell is counted, and whether a lower threshold would help."""
    empty = [each for each in tallies.patients if not each.total]
    if not empty:
        return ()
    note = f"{counted(len(empty), 'patient')} of {len(tallies.patients):,} without a counted cell: their shares are unknown"
    below = sum(each.left_out[Reason.BELOW] for each in empty)
    if limits and below:
        fix = f"to count cells of lower scores, lower {option('threshold')}"
        note += f"; their scores are below {limits.threshold:g} in {counted(below, 'cell')}: {fix}"
    return (note,)


def _absent_classes(labels: Iterable[str]) -> tuple[str, ...]:
    absent = [label for label in NINE.labels if label not in {*labels, OTHER}]
    if not absent:
        return ()
    return (f"the classes do not include {', '.join(absent)}: such cells are not in the totals",)


def _limits_of(confusion: Confusion) -> tuple[str, ...]:
    """What to know about a correction."""
    patients = counted(len(confusion.tables), confusion.unit.removesuffix("s"))
    corrected = f"shares are corrected for what the model confuses on {patients} of {confusion.source}"
    notes = [f"{corrected}, and are right only if it confuses the cells of new patients as often"]
    if absent := [label for label, cells in confusion.cells.items() if not cells]:
        notes.append(
            f"{confusion.source} has no {', '.join(absent)}: what the model takes them for is not known"
        )
    if len(confusion.tables) < 2:
        notes.append(f"corrected shares have no intervals: they need at least two {confusion.unit}")
    elif confusion.unit != "patients":
        notes.append(
            f"intervals of corrected shares are from draws of {confusion.unit}: they are narrower than they should be"
        )
    return tuple(notes)
