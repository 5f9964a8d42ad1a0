"""Active learning: which frames to annotate next, so that few labels teach a model much about a new hospital.

::

    next.csv      the chosen frames, the most useful first
    frames.zip    these frames for CVAT, with the predicted cells to correct

`select` chooses frames of which nobody has annotated a cell, and which the runs have not learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pcm_leukemia.baselines.active_learning.choosing import (
    STRATEGIES,
    Pick,
    Pool,
    Strategy,
    check,
    choose,
    share,
)
from pcm_leukemia.baselines.active_learning.predicting import boxes_alone, say
from pcm_leukemia.baselines.active_learning.writer import FORM, write
from pcm_leukemia.baselines.preannotation import beside
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import Problem, UnfitForTask, counted
from pcm_leukemia.schema import Image, ImageId, PatientId

__all__ = [
    "FORM",
    "STRATEGIES",
    "Choice",
    "Pick",
    "Pool",
    "Selection",
    "Strategy",
    "choose",
    "select",
    "share",
    "write",
]


@dataclass(frozen=True)
class Choice:
    """A frame to annotate; `rank` 1 is the most useful.

    `score` is what it was chosen by, from `uncertainty` and `novelty`, as `Pick` has them. `cells` counts the predicted cells
    that an annotator gets. `reason` is for people.
    """

    image: ImageId
    rank: int
    patient: PatientId | None
    score: float
    uncertainty: float
    novelty: float
    cells: int
    reason: str


@dataclass(frozen=True)
class Selection:
    """The frames to annotate next.

    `frames` are the chosen images with the predicted cells. `candidates` counts the images that could be chosen; `annotated`
    those with cells already, `learned_from` the others that a run has learned from, and `boxless` those without a box where a
    classifier has no detector. `share` is the most frames of one
    patient; None if it does not apply.
    """

    name: str
    strategy: Strategy
    seed: int
    budget: int
    chosen: tuple[Choice, ...]
    frames: Dataset
    candidates: int
    annotated: int
    learned_from: int
    boxless: int
    share: int | None

    @property
    def cells(self) -> int:
        """The number of predicted cells in the chosen frames: about as many labels."""
        return len(self.frames.cells)

    def to_json(self) -> dict[str, Any]:
        """The selection as plain dictionaries and lists, without the frames."""
        return {
            "name": self.name,
            "strategy": self.strategy,
            "seed": self.seed,
            "budget": self.budget,
            "candidates": self.candidates,
            "annotated": self.annotated,
            "learned_from": self.learned_from,
            "boxless": self.boxless,
            "share": self.share,
            "cells": self.cells,
            "chosen": [msgspec.to_builtins(each) for each in self.chosen],
        }

    def __str__(self) -> str:
        chosen = f"{len(self.chosen):,} of {counted(self.candidates, 'candidate')}"
        lines = [
            f"{self.name}: {chosen} chosen by {self.strategy}, with {counted(self.cells, 'predicted cell')}"
        ]
        if self.budget > self.candidates:
            lines.append(f"  fewer than the budget of {self.budget:,}: there are no more")
        if self.share is not None:
            patients = len({each.patient for each in self.chosen})
            lines.append(f"  {counted(patients, 'patient')}, {counted(self.share, 'frame')} of each at most")
        elif self.strategy != "random":
            lines.append("  no patient is known, so one may have many of the frames")
        lines += [
            f"  left out: {counted(count, 'image')} {why}"
            for count, why in (
                (self.annotated, "with cells already"),
                (self.learned_from, "without cells that a run has learned from"),
                (self.boxless, "without a box for the classifier"),
            )
            if count
        ]
        return "\n".join(lines)


def select(
    runs: Sequence[Run],
    ds: Dataset,
    budget: int,
    *,
    strategy: Strategy = "mixed",
    seed: int = 0,
    threshold: float = 0.5,
    device: str = "auto",
    batch: int = 16,
    workers: int | None = None,
    progress: bool = False,
) -> Selection:
    """Choose the frames to annotate next.

    Parameters
    ----------
    runs
        As in `baselines.predict`: a detector, or a detector and a classifier. Also a classifier alone, for images whose boxes
        nobody has named: those with the source "auto", and ignored cells.
    ds
        The images. Those with cells count as annotated; for a classifier alone, those with other cells than these boxes.
    budget
        The number of frames.
    strategy, seed
        How frames are chosen; see `choose`.
    threshold
        The lowest score of a predicted cell that the annotator gets, 0 to 1; of two stages, the detector's.
    device, batch, workers, progress
        As in `baselines.evaluate`.

    Raises
    ------
    UnfitForTask
        If there is no image to choose, or a classifier alone gets no boxes.
    ValueError
        If the runs are others, the budget is less than 1, or an option has an unknown value.
    DataNotFound, CorruptFile
        If an image cannot be read, or the training of a run has not finished.
    """
    check(budget, strategy)  # before the work
    classifier_alone = [run.baseline.kind for run in runs] == ["classifier"]
    annotated = {cell.image for cell in ds.cells if not (classifier_alone and boxes_alone(cell))}
    rest = [image for image in ds.images if image.id not in annotated]
    learned = _learned_from(runs, ds, rest)
    candidates = {image.id for image in rest if image.id not in learned}
    _check(ds, candidates, len(annotated))
    boxless = len(candidates)
    if classifier_alone:
        candidates &= {cell.image for cell in ds.cells}
        _check_boxes(ds, candidates)
    boxless -= len(candidates)
    part = replace(ds, split=None).select(images=candidates)
    said = say(
        runs, part, threshold=threshold, device=device, batch=batch, workers=workers, progress=progress
    )
    picks = choose(said.pool, budget, strategy=strategy, seed=seed)
    bare = replace(ds, split=None, cells=tuple(cell for cell in ds.cells if cell.image not in candidates))
    frames = beside(
        said.predicted, bare, said.taxonomy, threshold=0.0 if classifier_alone else threshold
    ).select(images={part.images[pick.frame].id for pick in picks})
    quota = strategy != "random" and any(image.patient is not None for image in part.images)
    return Selection(
        ds.name,
        strategy,
        seed,
        budget,
        tuple(
            _choice(part.images[each.frame], rank, each, frames, strategy)
            for rank, each in enumerate(picks, 1)
        ),
        frames,
        len(candidates),
        len(annotated),
        len(learned),
        boxless,
        share(said.pool.patients, budget) if quota else None,
    )


def _learned_from(runs: Sequence[Run], ds: Dataset, images: Sequence[Image]) -> set[ImageId]:
    """The images that a run has learned from. Other images of the same patients may be annotated: they are not scored."""
    alone = tuple(replace(image, patient=None) for image in images)
    unnamed = replace(ds, images=alone, cells=(), patients=(), split=None)
    return {image for run in runs for leak in run.seen(unnamed) for image in leak.images}


def _check(ds: Dataset, candidates: set[ImageId], annotated: int) -> None:
    if not candidates:
        what = f"has no image to choose: {counted(annotated, 'image')} of {len(ds.images):,} with cells, and the runs have learned from the others"
        raise UnfitForTask([Problem(ds.name, what, "add images that nobody has annotated")])


def _check_boxes(ds: Dataset, candidates: set[ImageId]) -> None:
    if not candidates:
        what = "has no box for the classifier in the images that can be chosen"
        raise UnfitForTask([Problem(ds.name, what, "give the run of a detector, too")])


def _choice(image: Image, rank: int, pick: Pick, frames: Dataset, strategy: Strategy) -> Choice:
    score, uncertainty, novelty = (round(each, 4) for each in pick[1:])
    cells = len(frames.cells_of(image.id))
    return Choice(image.id, rank, image.patient, score, uncertainty, novelty, cells, _reason(pick, strategy))


def _reason(pick: Pick, strategy: Strategy) -> str:
    if strategy == "random":
        return "drawn at random"
    if not pick.uncertainty:
        return "the runs see no cell that they are unsure of"
    unsure = f"the runs are unsure of its cells ({pick.uncertainty:.2f})"
    return (
        unsure
        if strategy == "uncertainty"
        else f"{unsure}, which differ from those before ({pick.novelty:.2f})"
    )
