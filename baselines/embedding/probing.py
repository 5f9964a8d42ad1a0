"""How well simple classifiers do on embeddings: nearest neighbours and a linear probe, as DinoBloom is evaluated.

The protocol is that of Koch et al. 2024 (arXiv 2404.05022) and of the code beside it, `dinov2/eval`: scikit-learn's
nearest neighbours with k = 1 and k = 20 by Euclidean distance, and its logistic regression with the L2 penalty
100 / (features x classes) and 1,000 steps at most, both on the features as they are. They learn from the part train and
are scored on the part test. Intervals over patients are ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from pcm_leukemia.baselines.embedding import parquet
from pcm_leukemia.baselines.embedding.parquet import Embeddings
from pcm_leukemia.baselines.metrics import classification
from pcm_leukemia.baselines.metrics.classification import ClassificationScores
from pcm_leukemia.baselines.metrics.groups import groups_of
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import LeakySplit, MissingPart, Problem, UnfitForTask, counted, either
from pcm_leukemia.progress import track
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import Image, Patient, Split
from pcm_leukemia.taxonomy import taxonomy_with

__all__ = ["Probe", "Probes", "probe"]

Floats = npt.NDArray[np.float64]

NEIGHBOURS = (1, 20)
STEPS = 1000
"""The most steps of the logistic regression."""


@dataclass(frozen=True)
class Probe:
    """One file of embeddings: the scores on the part test by method, and notes on them."""

    file: Path
    model: str
    weights: str
    features: int
    scores: Mapping[str, ClassificationScores]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The scores as plain values."""
        return {
            "file": str(self.file),
            "model": self.model,
            "weights": self.weights,
            "features": self.features,
            "scores": {method: scores.to_json() for method, scores in self.scores.items()},
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Probes:
    """Files of embeddings of the same cells beside each other; prints as a table.

    `cells` counts the cells of the parts train and test.
    """

    data: str
    labels: tuple[str, ...]
    cells: Mapping[str, int]
    files: tuple[Probe, ...]

    def to_json(self) -> dict[str, Any]:
        """All scores as plain values."""
        return {
            "data": self.data,
            "labels": list(self.labels),
            "cells": dict(self.cells),
            "files": [each.to_json() for each in self.files],
        }

    def __str__(self) -> str:
        cells = ", ".join(f"{part} {counted(count, 'cell')}" for part, count in self.cells.items())
        lines = [f"{self.data}: {cells}, {len(self.labels)} classes"]
        lines += [
            f"{each.file}: {each.model}, weights {each.weights}, {each.features:,} features"
            for each in self.files
        ]
        lines += _aligned(list(self._rows()))
        lines.append(next(iter(self.files[0].scores.values())).how_sure)
        lines += [f"note: {each.file}: {note}" for each in self.files for note in each.notes]
        return "\n".join(lines)

    def _rows(self) -> Iterator[tuple[str, ...]]:
        yield ("method", "file", "accuracy", "balanced accuracy", "weighted F1")
        for method in dict.fromkeys(method for each in self.files for method in each.scores):
            for each in self.files:
                if method in each.scores:
                    scores = each.scores[method]
                    accuracy = classification.Estimate(scores.accuracy, scores.accuracy_interval)
                    shown = (accuracy, scores.balanced_accuracy, scores.weighted_f1)
                    yield (method, str(each.file), *map(str, shown))


def probe(*files: str | Path, draws: int = 1000, seed: int = 0, progress: bool = False) -> Probes:
    """Score embeddings by nearest neighbours and a linear probe that learn from the part train, on the part test.

    Parameters
    ----------
    files
        One or more files that `embed` wrote, of the same cells.
    draws
        Number of bootstrap draws of patients; 0 for no intervals.
    seed
        Seed of the draws.
    progress
        Whether to show a progress bar for each file.

    Raises
    ------
    MissingPart
        If the cells are not in parts, or train or test has none.
    LeakySplit
        If a patient, a group or an image is in both parts.
    UnfitForTask
        If train has cells of one class only, or the files have other classes or other cells than the first.
    DataNotFound, CorruptFile
        If a file is missing, or is not one of `embed`.
    MissingExtra
        If pyarrow is not installed.
    """
    if not files:
        raise ValueError("probe: no file is given; give one or more files that embed wrote")
    probed: list[Probe] = []
    first: Embeddings | None = None
    for file in files:
        read = parquet.read(file)
        if first is None:
            first = _without_features(read)
        else:
            _require_same(read, first)
        probed.append(_probed(read, draws, seed, progress=progress))
    assert first is not None
    cells = {part: first.rows["part"].count(part) for part in ("train", "test")}
    return Probes(first.about.data, first.about.labels, cells, tuple(probed))


def _without_features(read: Embeddings) -> Embeddings:
    """What the next files are compared with; the features of one file at a time are in memory."""
    return Embeddings(read.path, read.about, read.rows, np.empty((0, read.about.width), np.float32))


def _require_same(read: Embeddings, first: Embeddings) -> None:
    if read.about.labels != first.about.labels:
        raise UnfitForTask(
            [
                Problem(
                    str(read.path),
                    f"has the classes {', '.join(read.about.labels)}, but {first.path} has {', '.join(first.about.labels)}",
                    "embed both with the same task",
                )
            ]
        )
    if any(read.rows[name] != first.rows[name] for name in ("image", "cell", "label", "part")):
        raise UnfitForTask(
            [
                Problem(
                    str(read.path),
                    f"has other cells, labels or parts than {first.path}, so that their scores cannot be compared",
                    "embed the same data with the same split",
                )
            ]
        )


def _probed(read: Embeddings, draws: int, seed: int, *, progress: bool) -> Probe:
    part = np.array(read.rows["part"], object)
    learned, scored = (np.flatnonzero(part == name) for name in ("train", "test"))
    _require_parts(read, learned, scored)
    ds = _images_of(read, (*learned, *scored))
    require(ds)
    about = read.about
    ids = {label: number for number, label in enumerate(about.labels)}
    truths = np.array([ids[label] for label in read.rows["label"]], np.int64)
    classes = np.unique(truths[learned])
    if len(classes) < 2:
        what, fix = "train has cells of one class only", "use a split with more cells in train"
        raise UnfitForTask([Problem(str(read.path), what, fix)])
    whose, unit = groups_of(ds, [read.rows["image"][place] for place in scored])
    # double precision, as in the published evaluation
    seen, unseen = (read.features[places].astype(np.float64) for places in (learned, scored))
    scores: dict[str, ClassificationScores] = {}
    notes = [about.pretraining] if about.pretraining else []
    methods = _methods(about.width, len(classes)).items()
    for method, model in track(methods, f"probing {read.path.name}", shown=progress, stays=True):
        if isinstance(model, KNeighborsClassifier) and model.n_neighbors > len(seen):
            notes.append(f"{method} is left out: train has {counted(len(seen), 'cell')}")
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # said below
            model.fit(seen, truths[learned])
        chances = np.zeros((len(unseen), len(ids)))
        chances[:, model.classes_] = model.predict_proba(unseen)
        scores[method] = classification.score(
            truths[scored], chances, about.labels, whose, unit=unit, draws=draws, seed=seed
        )
        if isinstance(model, LogisticRegression) and model.n_iter_.max() >= STEPS:
            notes.append(
                f"{method} had not converged after {STEPS:,} steps, where the published evaluation stops, too"
            )
    return Probe(read.path, about.model, about.weights, about.width, scores, tuple(notes))


def _methods(features: int, classes: int) -> dict[str, Any]:
    """The classifiers of the protocol; `classes` counts those in train."""
    penalty = 100 / (features * classes)
    return {
        **{f"{k}-NN": KNeighborsClassifier(n_neighbors=k) for k in NEIGHBOURS},
        "linear probe": LogisticRegression(C=1 / penalty, max_iter=STEPS),
    }


def _require_parts(read: Embeddings, learned: npt.NDArray[np.int64], scored: npt.NDArray[np.int64]) -> None:
    empty = [name for name, places in (("train", learned), ("test", scored)) if not len(places)]
    if empty:
        raise MissingPart(
            f"{read.path}: has no cells in {' and '.join(empty)}, but probing learns from train and is scored on test; "
            "split the data and embed again: "
            + either("splits.by_patient", "pcm-leukemia split DATA --test 0.25")
        )


def _images_of(read: Embeddings, places: Sequence[int]) -> Dataset:
    """The images of some cells as a data set, so that the one rule of leaks is asked; sizes are not known and not needed."""
    rows = read.rows
    images: dict[str, Image] = {}
    part_of: dict[Any, str] = {}
    for place in places:
        name, part = rows["image"][place], rows["part"][place]
        if part_of.setdefault(name, part) != part:
            raise LeakySplit(
                [
                    Problem(
                        f'{read.path} image "{name}"',
                        "has cells in train and in test",
                        "embed the data again, with a split of whole images and patients",
                    )
                ]
            )
        images[name] = Image(name, 1, 1, rows["patient"][place], group=rows["group"][place])
    patients = {image.patient for image in images.values() if image.patient is not None}
    split = Split(str(read.path), part_of)
    people = tuple(map(Patient, patients))
    return Dataset(
        str(read.path), taxonomy_with(read.about.labels), tuple(images.values()), (), people, split
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
