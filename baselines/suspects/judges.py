"""Models as judges of the annotations: each judges only images of patients that it has not learned from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pcm_leukemia.baselines import inference
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.evaluation import view_for
from pcm_leukemia.baselines.run import Run, is_run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import LeakySplit, Problem
from pcm_leukemia.schema import Cell, ImageId
from pcm_leukemia.shapes import Box

__all__ = ["Classes", "Judges", "Sight", "runs_at"]


class Sight(NamedTuple):
    """What detectors of one task found in the images of `view`, whose classes are those of the task."""

    view: Dataset
    found: Mapping[ImageId, Detections]


class Classes(NamedTuple):
    """The probability of each label, float32 ``(n, k)``: one row for each of `cells`."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    probabilities: npt.NDArray[np.float32]


def runs_at(folder: str | Path) -> list[Run]:
    """The run in a folder, or the runs of the folders in it, such as those of a cross-validation.

    Raises
    ------
    DataNotFound
        If there is no run.
    """
    path = Path(folder)
    inside = [] if is_run(path) or not path.is_dir() else sorted(filter(is_run, path.iterdir()))
    return [Run.open(each) for each in inside or [path]]


class Judges:
    """Runs, and the images that each may judge: those that `Run.require_unseen` does not refuse.

    `left_out` are the images that no run may judge.

    Parameters
    ----------
    ds
        The annotations.
    runs
        Detectors, classifiers, or both.
    device, batch, workers, progress
        As in `baselines.evaluate`.

    Raises
    ------
    LeakySplit
        If every run has learned from every image, or from its patient.
    ValueError
        If there is no run.
    """

    def __init__(
        self,
        ds: Dataset,
        runs: Sequence[Run],
        *,
        device: str = "auto",
        batch: int = 16,
        workers: int | None = None,
        progress: bool = False,
    ) -> None:
        if not runs:
            raise ValueError("suspects: there is no run; give runs that have not learned from the patients")
        everything = {image.id for image in ds.images}
        may = [everything - {image for leak in run.seen(ds) for image in leak.images} for run in runs]
        self.left_out = everything.difference(*may) if may else everything
        if everything and len(self.left_out) == len(everything):
            raise LeakySplit(
                [
                    Problem(
                        ds.name,
                        f"all {len(everything):,} images are of patients that the runs have learned from",
                        "give the runs of a cross-validation (pcm-leukemia train --folds 5), or images of other patients",
                    )
                ]
            )
        self._ds = ds
        self._detectors = [(run, ids) for run, ids in zip(runs, may, strict=True) if _detects(run)]
        self._classifiers = [(run, ids) for run, ids in zip(runs, may, strict=True) if not _detects(run)]
        self._device, self._batch = device, batch
        self._options: dict[str, Any] = {"workers": workers, "progress": progress}

    def look(self) -> tuple[Sight, ...]:
        """What the detectors find; an image is judged by the first that may judge it.

        Raises
        ------
        UnfitForTask
            If the classes of the data are not those of a run, cells have no box, or images are annotated in part.
        """
        found: dict[str, dict[ImageId, Detections]] = {}
        done: set[ImageId] = set()
        for run, may in self._detectors:
            if mine := may - done:
                done |= mine
                view = view_for(run, _only(self._ds, mine), unseen=False)
                detected = inference.detect(
                    run.detector(self._device), view, batch=self._batch, **self._options
                )
                found.setdefault(run.task, {}).update(detected)
        return tuple(Sight(_only(self._ds, each).task(task), each) for task, each in found.items())

    def classify(self) -> Classes | None:
        """The mean of what the classifiers that may judge a cell say of it; None if there is no classifier.

        Raises
        ------
        UnfitForTask
            If the classes of the data are not those of a run, or cells have no box.
        """
        return self._classified(self._ds)

    def name(self, boxes: Sequence[tuple[ImageId, Box]]) -> list[str | None]:
        """The most probable class of the cell in each box; None if no classifier may judge its image."""
        if not self._classifiers:
            return [None] * len(boxes)
        label = self._classifiers[0][0].labels[0]  # any: the classifier does not see it
        cells = [Cell(image, number, label, box) for number, (image, box) in enumerate(boxes)]
        order = {image.id: number for number, image in enumerate(self._ds.images)}
        ds = replace(self._ds, cells=tuple(sorted(cells, key=lambda cell: order[cell.image])))
        named = self._classified(ds.select(images={image for image, _ in boxes}))
        best = dict[int, str]()
        if named:
            tops = named.probabilities.argmax(axis=1).tolist()
            best = {cell.id: named.labels[top] for cell, top in zip(named.cells, tops, strict=True)}
        return [best.get(number) for number in range(len(boxes))]

    def _classified(self, ds: Dataset) -> Classes | None:
        if not self._classifiers:
            return None
        said: dict[tuple[ImageId, int], list[npt.NDArray[np.float32]]] = {}
        those: dict[tuple[ImageId, int], Cell] = {}
        for run, may in self._classifiers:
            if not may.intersection(image.id for image in ds.images):
                continue
            view = view_for(run, _only(ds, may), unseen=False)
            classifier = run.classifier(self._device)
            named = inference.classify(classifier, view, batch=4 * self._batch, **self._options)
            for cell, row in zip(named.cells, named.probabilities, strict=True):
                said.setdefault((cell.image, cell.id), []).append(row)
                those[cell.image, cell.id] = cell
        labels = self._classifiers[0][0].labels
        rows = [np.mean(each, axis=0) for each in said.values()]
        return Classes(labels, tuple(those.values()), np.array(rows, np.float32).reshape(-1, len(labels)))


def _detects(run: Run) -> bool:
    return run.baseline.kind == "detector"


def _only(ds: Dataset, images: Collection[ImageId]) -> Dataset:
    return ds.select(images=lambda image: image.id in images)
