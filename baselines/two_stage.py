"""The two-stage pipeline: a detector of white cells, then a classifier for each detected cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import nms

from pcm_leukemia.baselines.contract import Classifier, Detections, Detector
from pcm_leukemia.baselines.cutting import cut
from pcm_leukemia.baselines.inference import batches
from pcm_leukemia.baselines.machine import workers_of
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import option
from pcm_leukemia.execution import ahead
from pcm_leukemia.images import Pixels
from pcm_leukemia.progress import track
from pcm_leukemia.schema import ImageId
from pcm_leukemia.shapes import Box
from pcm_leukemia.torchdata import Frames

__all__ = ["OTHER", "Labelled", "TwoStage"]

WBC, OTHER = "WBC", "Other"


class Labelled(NamedTuple):
    """White cells of one image, best detection first.

    `boxes` are x1, y1, x2, y2 in pixels of the image as annotated, float32, ``(n, 4)``. `scores` are the detector's,
    float32, ``(n,)``. `labels` are the classifier's class ids, int64, ``(n,)``, and `label_scores` their probabilities,
    float32, ``(n,)``. `others` are the detections of other cells, and `found` is all detections, whatever their score,
    with those of the same place.
    """

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    label_scores: npt.NDArray[np.float32]
    others: Detections
    found: Detections
    scored: Detections

    def as_found(self, other: int | None = None, *, ranked: bool = True) -> Detections:
        """The result as detections of a single model.

        Parameters
        ----------
        other
            The class id for detections that are not white cells; by default they are left out.
        ranked
            Whether the score of a cell is the product of its two scores, which ranks cells for average precision.
            Otherwise it is the detector's: a cell that was found stays found, however unsure its label is.
        """
        boxes, labels = self.boxes, self.labels
        scores = self.scores * self.label_scores if ranked else self.scores
        if other is not None:
            boxes = np.concatenate([boxes, self.others.boxes])
            scores = np.concatenate([scores, self.others.scores])
            labels = np.concatenate([labels, np.full(len(self.others.labels), other, np.int64)])
        order = np.argsort(-scores, kind="stable")
        return Detections(boxes[order], scores[order], labels[order])


@dataclass(frozen=True)
class TwoStage:
    """A detector for the task "wbc" and a classifier, used as one model.

    Parameters
    ----------
    detector
        Distinguishes white cells from others: its labels are WBC and Other.
    classifier
        Distinguishes the types of white cells.
    threshold
        The lowest score of a detection to classify, 0 to 1.
    nms_iou
        Of two detections that overlap by more, whatever their classes, only the better is kept: one cell is not
        classified twice.

    Raises
    ------
    ValueError
        If the detector was trained for another task.
    """

    detector: Detector
    classifier: Classifier
    threshold: float = 0.05
    nms_iou: float = 0.7

    def __post_init__(self) -> None:
        if WBC not in self.detector.labels:
            raise ValueError(
                f"two-stage pipeline: the detector finds {', '.join(self.detector.labels)}; "
                f"give one that was trained with {option('task', 'wbc')}"
            )

    @classmethod
    def of(cls, detector: Run, classifier: Run, *, device: str = "auto", threshold: float = 0.05) -> TwoStage:
        """The pipeline of two runs."""
        return cls(detector.detector(device), classifier.classifier(device), threshold)

    @property
    def labels(self) -> tuple[str, ...]:
        """The types of white cells, in the order of their ids."""
        return self.classifier.labels

    def predict(
        self, ds: Dataset, *, batch: int = 16, workers: int | None = None, progress: bool = False
    ) -> dict[ImageId, Labelled]:
        """Detect and classify the white cells in every image of a data set; annotations are not used.

        Raises
        ------
        DataNotFound, CorruptFile
            If an image has no file, or cannot be decoded.
        """
        frames = Frames(ds, ds.images)
        threads = workers_of(workers)

        def prepared(number: int) -> tuple[Pixels, torch.Tensor]:
            pixels = frames.load(number)
            return pixels, self.detector.prepare(pixels)

        # at most two batches of decoded images are in memory
        loaded = batches(ahead(prepared, range(len(frames)), threads, batch), batch)
        pairs = zip(batches(ds.images, batch), loaded, strict=True)
        labelled: dict[ImageId, Labelled] = {}
        for those, ready in track(
            pairs, "predicting", total=-(-len(frames) // batch), shown=progress, stays=True
        ):
            sizes = [(image.width, image.height) for image in those]
            raw = self.detector.forward(torch.stack([tensor for _, tensor in ready]))
            found = self.detector.detections(raw, sizes, multi_label=False)
            scored = self.detector.detections(raw, sizes, multi_label=self.detector.multi_label)
            named = self._named([pixels for pixels, _ in ready], found, scored, threads)
            labelled |= {image.id: one for image, one in zip(those, named, strict=True)}
        return labelled

    def _named(
        self,
        pixels: Sequence[Pixels],
        found: Sequence[Detections],
        scored: Sequence[Detections],
        workers: int,
    ) -> list[Labelled]:
        """The white cells of a batch of images, classified together."""
        wbc = self.detector.labels.index(WBC)
        single = [self._single(each) for each in found]
        cells = [_only(each, each.labels == wbc) for each in single]
        others = [_only(each, each.labels != wbc) for each in single]
        boxes = [[Box(*sides) for sides in each.boxes.tolist()] for each in cells]
        cutting = cut(pixels.__getitem__, boxes, self.classifier.padding, self.classifier.prepare, workers)
        crops = batches(chain.from_iterable(cutting), 256)
        rows = [self.classifier.probabilities(torch.stack(those)).numpy() for those in crops]
        probabilities = np.concatenate([np.zeros((0, len(self.labels)), np.float32), *rows])
        ends = np.cumsum([len(each.boxes) for each in cells])[:-1]
        return [
            Labelled(each.boxes, each.scores, of_these.argmax(1), of_these.max(1, initial=0), *more)
            for each, of_these, *more in zip(
                cells, np.split(probabilities, ends), others, found, scored, strict=True
            )
        ]

    def _single(self, found: Detections) -> Detections:
        """The detections that reach the threshold, one for each place."""
        found = _only(found, found.scores >= self.threshold)
        kept = np.zeros(len(found.scores), bool)
        kept[nms(torch.from_numpy(found.boxes), torch.from_numpy(found.scores), self.nms_iou).numpy()] = True
        return _only(found, kept)


def _only(found: Detections, wanted: npt.NDArray[np.bool_]) -> Detections:
    """The detections that are wanted."""
    return Detections(found.boxes[wanted], found.scores[wanted], found.labels[wanted])
