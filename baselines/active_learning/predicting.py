"""What the run of a detector, of a classifier, or both say of the cells in frames: for annotators, and for the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch

from pcm_leukemia.baselines import prediction
from pcm_leukemia.baselines.active_learning.choosing import Pool
from pcm_leukemia.baselines.classifiers.network import CellClassifier
from pcm_leukemia.baselines.cutting import cut_cells
from pcm_leukemia.baselines.inference import batches
from pcm_leukemia.baselines.machine import workers_of
from pcm_leukemia.baselines.prediction import Predicted
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.progress import track
from pcm_leukemia.schema import AUTO, IGNORE, Cell, ImageId, Taxonomy
from pcm_leukemia.taxonomy import taxonomy_with

__all__ = ["Said", "boxes_alone", "say"]

Floats = npt.NDArray[np.float32]


class Said(NamedTuple):
    """The predicted cells of each image, their classes, and the frames as `choose` takes them, in the order of the images."""

    predicted: Mapping[ImageId, Sequence[Predicted]]
    taxonomy: Taxonomy
    pool: Pool


def boxes_alone(cell: Cell) -> bool:
    """Whether nobody has named a cell: a model drew it, or it is ignored."""
    return cell.source == AUTO or cell.label == IGNORE


def say(
    runs: Sequence[Run],
    ds: Dataset,
    *,
    threshold: float,
    device: str,
    batch: int,
    workers: int | None,
    progress: bool,
) -> Said:
    """Predict the cells of every image.

    Without a classifier, the detector's labels and scores are probabilities and features. Otherwise, they are those of the
    classifier. Without a detector, the boxes are those of the data.

    Raises
    ------
    ValueError
        If the runs are not a detector, a classifier, or one of each.
    DataNotFound, CorruptFile
        If an image has no file, or cannot be decoded.
    """
    classifiers = [run for run in runs if run.baseline.kind == "classifier"]
    if len(runs) == 1 and classifiers:
        given = {image.id: ds.cells_of(image) for image in ds.images}
        classified = _classify(classifiers[0], ds, given, device, batch, workers, progress=progress)
        named = _named(given, classified, classifiers[0].labels)
        return Said(named, taxonomy_with(classifiers[0].labels), _pool(ds, given, *classified))
    every, taxonomy = prediction.predict(
        runs,
        ds,
        threshold=min(threshold, prediction.LOWEST),
        device=device,
        batch=batch,
        workers=workers,
        progress=progress,
    )
    predicted = prediction.best(every)
    judged = {image: _judged(ones, threshold, white=bool(classifiers)) for image, ones in predicted.items()}
    if not classifiers:
        votes = _votes(judged, ds, taxonomy.labels)
        return Said(predicted, taxonomy, _pool(ds, judged, votes, votes))
    label = classifiers[0].labels[0]  # any: the classifier does not see it
    cells = {
        image: [Cell(image, number, label, one.box) for number, one in enumerate(ones)]
        for image, ones in judged.items()
    }
    classified = _classify(classifiers[0], ds, cells, device, batch, workers, progress=progress)
    return Said(predicted, taxonomy, _pool(ds, cells, *classified))


def _judged(ones: Sequence[Predicted], threshold: float, *, white: bool) -> list[Predicted]:
    """The cells of a frame by which it is judged: those that are shown, or else the likeliest."""
    every = [one for one in ones if not white or one.detection_score is not None]
    shown = [one for one in every if one.shown_score >= threshold]
    return shown or sorted(every, key=lambda one: -one.shown_score)[:1]


def _votes(judged: Mapping[ImageId, Sequence[Predicted]], ds: Dataset, labels: Sequence[str]) -> Floats:
    """A detector's labels as probabilities: its score for the label, and the rest for no cell, in the last column."""
    ones = [one for image in ds.images for one in judged[image.id]]
    votes = np.zeros((len(ones), len(labels) + 1), np.float32)
    for row, one in zip(votes, ones, strict=True):
        row[labels.index(one.label)] = one.score
        row[-1] = 1 - one.score
    return votes


def _classify(
    run: Run,
    ds: Dataset,
    cells: Mapping[ImageId, Sequence[Cell]],
    device: str,
    batch: int,
    workers: int | None,
    *,
    progress: bool,
) -> tuple[Floats, Floats]:
    """The probabilities and the features of the cells, in the order of the images."""
    classifier = cast(CellClassifier, run.classifier(device))
    every = [cell for image in ds.images for cell in cells[image.id]]
    cut = cut_cells(replace(ds, cells=()), every, classifier.padding, classifier.prepare, workers_of(workers))
    crops = track(cut, "classifying", total=len(every), shown=progress, stays=True)
    rows = [classifier.features_and_probabilities(torch.stack(those)) for those in batches(crops, 4 * batch)]
    width = classifier.network.head.in_features
    features = np.concatenate([np.zeros((0, width), np.float32), *(row[0].numpy() for row in rows)])
    probabilities = [np.zeros((0, len(run.labels)), np.float32), *(row[1].numpy() for row in rows)]
    return np.concatenate(probabilities), features


def _named(
    cells: Mapping[ImageId, Sequence[Cell]], classified: tuple[Floats, Floats], labels: Sequence[str]
) -> dict[ImageId, list[Predicted]]:
    """The cells of the data, with the classifier's labels."""
    rows = iter(classified[0])
    named: dict[ImageId, list[Predicted]] = {}
    for image, those in cells.items():
        pairs = [(cell, next(rows)) for cell in those]
        named[image] = [
            Predicted(labels[int(row.argmax())], cell.box, float(row.max())) for cell, row in pairs
        ]
    return named


def _pool(
    ds: Dataset, cells: Mapping[ImageId, Sequence[object]], probabilities: Floats, features: Floats
) -> Pool:
    counts = [len(cells[image.id]) for image in ds.images]
    frames = np.repeat(np.arange(len(counts)), counts)
    return Pool([image.patient for image in ds.images], frames, probabilities, features)
