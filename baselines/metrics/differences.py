"""Differences between two models' scores on the same cells, with bootstrap intervals of the differences.

The bootstrap is paired: both models are scored on the same draws of patients. Patients that are hard for one model are
usually hard for the other, so the difference varies less than either score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.metrics import auroc, average_precision, blasts, calibration, confusions, matching
from pcm_leukemia.baselines.metrics.bootstrap import ROUNDING, Interval, interval, resampling, times_drawn
from pcm_leukemia.baselines.metrics.confusions import Floats
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import ImageId

__all__ = ["Difference", "Drawn", "differences", "of_classifier", "of_detector"]


class Drawn(NamedTuple):
    """A score of one model, 0 to 1, and the same score in each bootstrap draw, ``(draws,)``; NaN where it has no cells.

    `lower_is_better` is true for errors.
    """

    value: float
    draws: Floats
    lower_is_better: bool = False


class Difference(NamedTuple):
    """A score of two models, 0 to 1; `difference` is the second less the first.

    `interval` is the 95 % bootstrap interval of the difference, and `second_better` the share of the draws in which the
    second model is strictly better: has the higher score, or the lower error. In the share `equal`, both have the same score.
    These two are None without draws; the interval also if all draws are equal.
    """

    first: float
    second: float
    difference: float
    interval: Interval | None
    second_better: float | None
    equal: float | None


def differences(first: Mapping[str, Drawn], second: Mapping[str, Drawn]) -> dict[str, Difference]:
    """Compare two models score by score.

    Parameters
    ----------
    first, second
        The scores of each model, both from the same cells, groups, draws and seed.

    Examples
    --------
    >>> first = {"accuracy": Drawn(0.5, np.array([0.25, 0.5, 0.75]))}
    >>> second = {"accuracy": Drawn(0.75, np.array([0.5, 0.75, 0.75]))}
    >>> found = differences(first, second)["accuracy"]
    >>> found.difference, round(found.second_better, 2)
    (0.25, 0.67)
    """
    found = {}
    for name, one in first.items():
        other = second[name]
        drawn = other.draws - one.draws
        known = drawn[~np.isnan(drawn)]
        gains = -known if one.lower_is_better else known
        better, equal = (
            float(each.mean()) if len(known) else None for each in (gains > ROUNDING, abs(gains) <= ROUNDING)
        )
        found[name] = Difference(
            one.value, other.value, other.value - one.value, interval(drawn), better, equal
        )
    return found


def of_classifier(
    truths: Sequence[int],
    probabilities: npt.NDArray[np.floating],
    labels: Sequence[str],
    groups: Sequence[str],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Drawn]:
    """A classifier's scores and errors by name, with their draws.

    These are accuracy, balanced accuracy, macro F1 over the classes that have cells, weighted F1, the mean AUROC, the
    calibration error, blasts taken for normal cells and the reverse, and the F1 of each class. Those without cells are left
    out. The parameters are those of `classification.score`.

    Raises
    ------
    ValueError
        If a probability is not a number.

    Examples
    --------
    >>> sure = np.eye(2)[[0, 1, 1, 1]]
    >>> scores = of_classifier([0, 0, 1, 1], sure, ("A", "B"), ["p1", "p1", "p2", "p2"], draws=10)
    >>> [f"{name} {score.value:.2f}" for name, score in scores.items()][:4]
    ['accuracy 0.75', 'balanced accuracy 0.75', 'macro F1 0.73', 'weighted F1 0.73']
    >>> [f"{name} {score.value:.2f}" for name, score in scores.items()][4:]
    ['AUROC 0.75', 'calibration error (ECE) 0.25', 'F1 of A 0.67', 'F1 of B 0.80']
    """
    true, chance = np.asarray(truths, np.int64), np.asarray(probabilities, np.float64)
    if np.isnan(chance).any():
        raise ValueError("scores: a probability is not a number; check the model's weights")
    tables = confusions.by_group(true, chance.argmax(axis=1), groups, len(labels))
    sampled = resampling(groups, draws, seed)
    drawn = confusions.drawn(tables, sampled.times)
    stack = np.concatenate([tables.sum(axis=0, keepdims=True), drawn])
    scores = {
        "accuracy": confusions.accuracies(stack),
        "balanced accuracy": confusions.balanced_accuracies(stack),
        "macro F1": confusions.macro_f1s(stack, "present"),
        "weighted F1": confusions.weighted_f1s(stack),
        "AUROC": auroc.means(auroc.areas(true, chance, sampled)),
    }
    errors = {
        "calibration error (ECE)": calibration.errors(true, chance, sampled),
        **blasts.shares(stack, labels),
    }
    whole = np.where(stack[:1].sum(axis=2) > 0, confusions.f1s(stack[:1]), np.nan)
    f1s = np.concatenate([whole, confusions.drawn_f1s(tables, drawn)])
    of_class = {f"F1 of {label}": f1s[:, row] for row, label in enumerate(labels)}
    return _with_value(scores) | _with_value(errors, lower_is_better=True) | _with_value(of_class)


def of_detector(
    ds: Dataset,
    scored: Mapping[ImageId, Detections],
    found: Mapping[ImageId, Detections],
    groups: Sequence[str],
    *,
    threshold: float = 0.5,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Drawn]:
    """A detector's mAP 50-95, AP50, recall, and the AP of each class, with their draws.

    A class without cells is left out.

    Parameters
    ----------
    ds
        Images and cells of one task.
    scored
        The detections of each image, for average precision.
    found
        The detections of each image with one label for each box, for recall.
    groups
        The group (patient) of each image.
    threshold
        The lowest score of a found cell, 0 to 1. Recall is the share of cells found, in any class, except the class Other.
    draws
        Number of bootstrap draws.
    seed
        Seed of the draws.

    Raises
    ------
    ValueError
        If `threshold` is not from 0 to 1.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image
    >>> image = Image(ImageId("a.png"), 200, 100)
    >>> ds = Dataset("demo", NINE, (image,), (Cell(image.id, 0, "Monocyte", Box(10, 10, 50, 50)),))
    >>> box, label = np.array([[10, 10, 50, 50]], np.float32), np.array([NINE.ids["Monocyte"]])
    >>> found = {image.id: Detections(box, np.array([0.4], np.float32), label)}
    >>> {name: round(score.value, 2) for name, score in of_detector(ds, found, found, ["P1"]).items()}
    {'mAP 50-95': 1.0, 'AP50': 1.0, 'recall at score 0.5': 0.0, 'AP of Monocyte': 1.0}
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold}: out of range; give a value from 0 to 1")
    whole = average_precision.evaluate(ds, scored)
    tables = matching.by_group(ds, found, groups, threshold=threshold)
    draws = draws if len(tables) > 1 else 0
    drawn = average_precision.bootstrap(ds, scored, groups, draws, seed)
    findable = [row for row, label in enumerate(ds.taxonomy.labels) if label != matching.OTHER]
    times = np.concatenate([np.ones((1, len(tables)), np.int64), times_drawn(len(tables), draws, seed)])
    scores = {
        "mAP 50-95": np.concatenate([whole.twelve[:1], drawn[:, -1, 0]]),
        "AP50": np.concatenate([whole.twelve[1:2], drawn[:, -1, 1]]),
        f"recall at score {threshold:g}": matching.recalls(times, tables, findable),
    }
    for row, label in enumerate(ds.taxonomy.labels):
        scores[f"AP of {label}"] = np.concatenate([whole.of[row, :1], drawn[:, row, 0]])
    return _with_value(scores)


def _with_value(scores: Mapping[str, Floats], *, lower_is_better: bool = False) -> dict[str, Drawn]:
    """Divide each score into its value, which is first, and its draws; leave out scores without a value."""
    return {
        name: Drawn(float(each[0]), each[1:], lower_is_better)
        for name, each in scores.items()
        if not np.isnan(each[0])
    }
