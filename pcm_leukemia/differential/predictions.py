"""The cells in a folder that `pcm-leukemia predict` wrote, as a differential counts them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pcm_leukemia.converters import coco
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.differential.tallying import OTHER, Reason
from pcm_leukemia.files import MARKER, written_as
from pcm_leukemia.overlaps import ONE_CELL, best_of_each_cell
from pcm_leukemia.schema import ImageId

__all__ = ["Limits", "Predictions", "Scored", "is_predictions", "read_predictions"]


class Scored(NamedTuple):
    """A predicted cell: x1, y1, x2, y2 in pixels, its score, and that of its label, if a second model gave it."""

    label: str
    sides: tuple[float, float, float, float]
    score: float
    label_score: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Which predicted cells count; all from 0 to 1.

    A cell with a score below `threshold` is not taken to exist; of two stages, the detector's score decides. Of the others, those
    that overlap by an IoU above `nms_iou` are one cell, whatever their classes: the best of them counts. A cell that the
    classifier is less sure of than `label_threshold` is left out as unsure.

    Raises
    ------
    ValueError
        If one is not from 0 to 1.
    """

    threshold: float = 0.5
    label_threshold: float = 0.0
    nms_iou: float = ONE_CELL

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} {value}: must be from 0 to 1")

    def judged(self, ones: Sequence[Scored]) -> list[str]:
        """The class of each predicted cell of an image, or the `Reason` why it is not counted.

        Examples
        --------
        >>> limits = Limits(label_threshold=0.6)
        >>> sure, unsure = Scored("Monocyte", (0, 0, 9, 9), 0.9, 0.8), Scored("Basophil", (0, 0, 9, 8), 0.7, 0.4)
        >>> limits.judged([sure]), limits.judged([unsure]), limits.judged([sure, unsure])[1]
        (['Monocyte'], [<Reason.UNSURE: 'unsure'>], <Reason.AGAIN: 'found_again'>)
        """
        there = [number for number, one in enumerate(ones) if one.score >= self.threshold]
        best = best_of_each_cell(
            [ones[number].sides for number in there], [ones[number].score for number in there], self.nms_iou
        )
        judged: list[str] = [Reason.BELOW] * len(ones)
        for number in there:
            judged[number] = Reason.AGAIN
        for place in best:
            judged[there[place]] = self._counted_as(ones[there[place]])
        return judged

    def _counted_as(self, one: Scored) -> str:
        if one.label == OTHER:
            return Reason.OTHER
        unsure = one.label_score is not None and one.label_score < self.label_threshold
        return Reason.UNSURE if unsure else one.label


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
        of_image: dict[ImageId, list[Scored]] = {}
        for result in self.results:
            one = Scored(result.label, result.sides, result.shown_score, result.more.get("label_score"))
            of_image.setdefault(result.image, []).append(one)
        for image, ones in of_image.items():
            yield from ((image, each) for each in limits.judged(ones))


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
