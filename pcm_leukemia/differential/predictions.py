"""The cells in a folder that `pcm-leukemia predict` wrote, as a differential counts them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pcm_leukemia.converters import coco
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.differential.tallying import OTHER, Reason
from pcm_leukemia.files import MARKER, written_as
from pcm_leukemia.schema import ImageId

__all__ = ["Limits", "Predictions", "is_predictions", "read_predictions"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The scores from which a predicted cell counts, 0 to 1.

    A cell below `threshold` is not taken to exist; of two stages, the detector's score decides. A cell that the classifier
    is less sure of than `label_threshold` is left out as unsure.

    Raises
    ------
    ValueError
        If one is not from 0 to 1.
    """

    threshold: float = 0.5
    label_threshold: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} {value}: must be from 0 to 1")

    def counted_as(self, label: str, score: float, label_score: float | None) -> str:
        """The class of a predicted cell, or the `Reason` why it is not counted.

        Examples
        --------
        >>> limits = Limits(label_threshold=0.6)
        >>> limits.counted_as("Monocyte", 0.9, 0.8), limits.counted_as("Monocyte", 0.9, 0.4)
        ('Monocyte', <Reason.UNSURE: 'unsure'>)
        """
        if score < self.threshold:
            return Reason.BELOW
        if label == OTHER:
            return Reason.OTHER
        if label_score is not None and label_score < self.label_threshold:
            return Reason.UNSURE
        return label


@dataclass(frozen=True)
class Predictions:
    """What models predicted: the images with their patients, the predictions, and the folders of the runs, if recorded."""

    ds: Dataset
    results: tuple[coco.Result, ...]
    runs: tuple[Path, ...] = ()

    @property
    def two_stages(self) -> bool:
        """Whether a second model gave the labels, with a score of its own."""
        return any("label_score" in result.more for result in self.results)

    def cells(self, limits: Limits) -> Iterator[tuple[ImageId, str]]:
        """The image of each predicted cell, and its class or the reason why it is not counted."""
        for result in self.results:
            label_score = result.more.get("label_score")
            yield result.image, limits.counted_as(result.label, result.shown_score, label_score)


def is_predictions(path: str | Path) -> bool:
    """Whether `pcm-leukemia predict` wrote a folder, as COCO results."""
    return written_as(Path(path)) == "predictions"


def read_predictions(folder: str | Path) -> Predictions:
    """Read a folder that `pcm-leukemia predict` wrote.

    Folders of earlier versions have no patients; give them with `patients.assign`.

    Raises
    ------
    DataNotFound
        If it is no such folder.
    CorruptFile, InvalidExport
        If a file in it was changed.
    """
    ds, results = coco.read_result_folder(folder)
    try:
        record = json.loads((Path(folder) / MARKER).read_text(encoding="utf-8"))
        runs = tuple(Path(os.path.normpath(Path(folder).resolve() / run)) for run in record.get("runs", ()))
    except (OSError, ValueError, TypeError, AttributeError):
        runs = ()
    return Predictions(ds, tuple(results), runs)
