"""Compares two runs of one task on the same part of a data set, which neither has learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcm_leukemia.baselines.evaluation import THRESHOLD, part_to_score, predictions, reading_of, view_for
from pcm_leukemia.baselines.inference import Classified, Detected
from pcm_leukemia.baselines.metrics.differences import (
    Difference,
    Drawn,
    differences,
    of_classifier,
    of_detector,
)
from pcm_leukemia.baselines.metrics.groups import caution, groups_of
from pcm_leukemia.baselines.pretraining import note_on
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.dataset import Dataset

__all__ = ["PairedComparison", "compare"]

DRAWS = 1000
SEED = 0


@dataclass(frozen=True)
class PairedComparison:
    """The scores of two runs on one part of one data set, and their differences, by the name of the score.

    The intervals come from `draws` draws of `groups` groups, the same for both runs; `unit` says what a group is: "patients",
    "groups" or "images". `reading` says how the labels of a public data set were read, if there are several ways,
    `started_from` from which weights the training of each run started, and `pretraining` whether these weights may have seen
    the data set without labels.
    """

    runs: tuple[Path, Path]
    data: str
    part: str
    fingerprint: str
    reading: str
    scores: Mapping[str, Difference]
    unit: str
    groups: int
    started_from: tuple[str, str]
    pretraining: tuple[str, ...]
    draws: int = DRAWS
    seed: int = SEED

    def to_json(self) -> dict[str, Any]:
        """The scores as plain dictionaries and lists."""
        return {
            "runs": [str(run) for run in self.runs],
            "data": self.data,
            "part": self.part,
            "fingerprint": self.fingerprint,
            "reading": self.reading,
            "started_from": list(self.started_from),
            "pretraining": list(self.pretraining),
            "scores": {name: each._asdict() for name, each in self.scores.items()},
            "intervals": {
                "over": self.unit,
                "groups": self.groups,
                "draws": self.draws,
                "seed": self.seed,
                "paired": True,
            },
        }

    def __str__(self) -> str:
        first, second = self.runs
        read = f", labels read as {self.reading}" if self.reading else ""
        width = max(map(len, self.scores), default=0)
        lines = [
            f"first: {first}, second: {second}, on {self.data}, part {self.part}{read}",
            f"started from: {' and '.join(self.started_from)}",
            *(f"note: {note}" for note in self.pretraining),
            f"{'':{width}}{'first':>7}{'second':>7}{'diff.':>8}{'95 % interval':>18}{'better':>8}{'equal':>8}",
        ]
        for name, each in self.scores.items():
            line = (
                f"{name:{width}}{100 * each.first:7.2f}{100 * each.second:7.2f}{100 * each.difference:+8.2f}"
            )
            better, equal = (
                "–" if share is None else f"{100 * share:.1f} %" for share in (each.second_better, each.equal)
            )
            if each.equal == 1:
                better = "–"  # 0 % would read as if the first were always better
            lines.append(f"{line}{each.interval or '–'!s:>18}{better:>8}{equal:>8}")
        lines.append(self._how_sure())
        return "\n".join(lines)

    def _how_sure(self) -> str:
        if self.groups < 2:
            return f"no intervals: they need at least two {self.unit}"
        more = caution(self.unit, self.groups)
        return (
            "diff.: second less first. 95 % interval, and shares of draws in which the second is better and in which "
            f"both are equal: {self.draws:,} draws of {self.groups:,} {self.unit}, the same for both, seed {self.seed}"
            + (more and f"; {more}")
        )


def compare(
    first: Run,
    second: Run,
    ds: Dataset,
    part: str | None = None,
    *,
    threshold: float = THRESHOLD,
    device: str = "auto",
    batch: int = 16,
    workers: int | None = None,
    progress: bool = False,
) -> PairedComparison:
    """Compare two models of one task, with 95 % intervals of the difference from a paired bootstrap over patients.

    Classifiers are compared by accuracy, balanced accuracy, macro F1 over the classes that have cells, weighted F1, AUROC,
    calibration error, blasts taken for normal cells and the reverse, and the F1 of each class; detectors by mAP 50-95, AP50,
    recall, and the AP of each class. Classes without cells are left out. The groups drawn are those of `metrics.groups.groups_of`.

    Parameters
    ----------
    first, second
        The trained models. The differences are those of the second less the first.
    ds
        A data set with their classes.
    part
        By default "test", or the whole of a data set without a split.
    threshold
        The lowest score at which a detector has found a cell, 0 to 1, for recall.
    device, batch, workers, progress
        As in `baselines.evaluate`.

    Raises
    ------
    LeakySplit
        If either model has learned from these images or their patients.
    UnfitForTask
        If cells have no box, or detectors would be scored on images that are annotated in part.
    UnknownPart
        If there is no such part.
    ValueError
        If the models differ in task or classes, or the classes of the data are not theirs.
    """
    if first.task != second.task:
        raise ValueError(
            f"{first.folder} was trained for {first.task}, {second.folder} for {second.task}; compare runs of one task"
        )
    if first.labels != second.labels:
        raise ValueError(
            f"{first.folder} has the classes {', '.join(first.labels)}, {second.folder} has {', '.join(second.labels)}; "
            "compare runs of the same classes"
        )
    chosen, part = part_to_score(ds, part)
    second.require_unseen(chosen)
    view = view_for(first, chosen)
    options: dict[str, Any] = {"device": device, "batch": batch, "workers": workers, "progress": progress}
    one, other = (predictions(run, view, **options) for run in (first, second))
    groups, unit = _groups(view, one)
    scores = differences(_drawn(view, one, groups, threshold), _drawn(view, other, groups, threshold))
    return PairedComparison(
        runs=(first.folder, second.folder),
        data=ds.name,
        part=part,
        fingerprint=ds.fingerprint,
        reading=reading_of(ds),
        scores=scores,
        unit=unit,
        groups=len(set(groups)),
        started_from=(first.started_from, second.started_from),
        pretraining=tuple(note for run in (first, second) if (note := note_on(run, ds))),
    )


def _groups(view: Dataset, predicted: Detected | Classified) -> tuple[list[str], str]:
    """The group of each image that was searched, or of each cell that was classified, and what a group is."""
    if isinstance(predicted, Detected):
        return groups_of(view, [image.id for image in view.images])
    return groups_of(view, [cell.image for cell in predicted.cells])


def _drawn(
    view: Dataset, predicted: Detected | Classified, groups: list[str], threshold: float
) -> dict[str, Drawn]:
    """A model's scores with their draws."""
    if isinstance(predicted, Detected):
        return of_detector(view, *predicted, groups, threshold=threshold, draws=DRAWS, seed=SEED)
    truths = [view.taxonomy.ids[cell.label] for cell in predicted.cells]
    labels = view.taxonomy.labels
    return of_classifier(truths, predicted.probabilities, labels, groups, draws=DRAWS, seed=SEED)
