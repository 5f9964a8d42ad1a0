"""Runs a trained model over a whole data set: threads decode and prepare the images, the model takes them in batches.

Threads are enough, because decoding and resizing release the interpreter, and no data has to move between processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from pcm_leukemia.baselines.contract import Classifier, Detections, Detector
from pcm_leukemia.baselines.cutting import cut_cells
from pcm_leukemia.baselines.machine import workers_of
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.execution import ahead
from pcm_leukemia.progress import track
from pcm_leukemia.schema import IGNORE, Cell, ImageId
from pcm_leukemia.torchdata import Frames

__all__ = ["Classified", "Detected", "batches", "classify", "detect", "detect_by"]

One = TypeVar("One")


class Classified(NamedTuple):
    """A classifier's result: one row of `probabilities`, float32 ``(n, k)``, for each of `cells`.

    `temperature` would calibrate them, if it is known; see `metrics.calibration`.
    """

    cells: tuple[Cell, ...]
    probabilities: npt.NDArray[np.float32]
    temperature: float | None = None


class Detected(NamedTuple):
    """A detector's result for each image: `scored` by its own rule, `found` with one label for each box.

    Average precision is that of `scored`; cells are found and missed by `found`.
    """

    scored: dict[ImageId, Detections]
    found: dict[ImageId, Detections]


def detect(
    detector: Detector,
    ds: Dataset,
    *,
    multi_label: bool = False,
    batch: int = 16,
    workers: int | None = None,
    progress: bool = False,
) -> dict[ImageId, Detections]:
    """Run a detector on every image of a data set; annotations are not used.

    With `multi_label`, a box is a detection of each of its classes; see `contract.Detector`.

    Raises
    ------
    DataNotFound, CorruptFile
        If an image has no file, or cannot be decoded.
    """
    (found,) = detect_by(detector, ds, (multi_label,), batch=batch, workers=workers, progress=progress)
    return found


def detect_by(
    detector: Detector,
    ds: Dataset,
    rules: Sequence[bool],
    *,
    batch: int = 16,
    workers: int | None = None,
    progress: bool = False,
) -> list[dict[ImageId, Detections]]:
    """The detections by several rules, each a value of `multi_label`; the network runs once. See `detect`."""
    frames = Frames(ds, ds.images)

    def prepared(number: int) -> torch.Tensor:
        return detector.prepare(frames.load(number))

    found: list[dict[ImageId, Detections]] = [{} for _ in rules]
    tensors = ahead(prepared, range(len(frames)), workers_of(workers), 2 * batch)
    pairs = zip(batches(ds.images, batch), batches(tensors, batch), strict=True)
    for those, ready in track(pairs, "detecting", total=-(-len(frames) // batch), shown=progress, stays=True):
        raw = detector.forward(torch.stack(ready))
        sizes = [(image.width, image.height) for image in those]
        for rule, by_image in zip(rules, found, strict=True):
            results = detector.detections(raw, sizes, multi_label=rule)
            by_image |= {image.id: result for image, result in zip(those, results, strict=True)}
    return found


def classify(
    classifier: Classifier,
    ds: Dataset,
    *,
    batch: int = 64,
    workers: int | None = None,
    progress: bool = False,
) -> Classified:
    """Classify every cell of a data set except ignored ones, from crops cut as in training.

    Raises
    ------
    DataNotFound, CorruptFile
        If an image has no file, or cannot be decoded.
    """
    cells = [cell for cell in ds.cells if cell.label != IGNORE]
    prepared = cut_cells(ds, cells, classifier.padding, classifier.prepare, workers_of(workers))
    crops = track(prepared, "classifying", total=len(cells), shown=progress, stays=True)
    rows = [classifier.probabilities(torch.stack(those)).numpy() for those in batches(crops, batch)]
    probabilities = np.concatenate(rows) if rows else np.zeros((0, len(classifier.labels)), np.float32)
    return Classified(tuple(cells), probabilities)


def batches(items: Iterable[One], size: int) -> Iterator[tuple[One, ...]]:
    """The items in tuples of `size`; the last may be shorter.

    Examples
    --------
    >>> list(batches("abcde", 2))
    [('a', 'b'), ('c', 'd'), ('e',)]
    """
    rest = iter(items)
    while batch := tuple(islice(rest, size)):
        yield batch
