"""How well a trained model does on a part of a data set that it has not learned from."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pcm_leukemia import files, sources
from pcm_leukemia.baselines import inference
from pcm_leukemia.baselines.metrics import classification as classification_scores
from pcm_leukemia.baselines.metrics import detection as detection_scores
from pcm_leukemia.baselines.metrics.classification import ClassificationScores
from pcm_leukemia.baselines.metrics.detection import DetectionScores
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.two_stage import OTHER, TwoStage
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import either
from pcm_leukemia.requirements import require
from pcm_leukemia.splits import LEARNED_FROM

__all__ = ["Evaluation", "evaluate", "evaluate_two_stage", "part_to_score", "reading_of"]


@dataclass(frozen=True)
class Evaluation:
    """The scores of one model, or of a detector with a classifier behind it, on one part of one data set.

    `detection` are a detector's scores for what it was trained for, `classification` a classifier's on the
    annotated cells; `end_to_end` has all classes, each white cell found by the one and named by the other.
    `reading` says how the labels of a public data set were read, where there are several ways.
    """

    runs: tuple[Path, ...]
    data: str
    part: str
    fingerprint: str
    reading: str = ""
    detection: DetectionScores | None = None
    classification: ClassificationScores | None = None
    end_to_end: DetectionScores | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain dictionaries and lists."""
        scores = {
            "detection": self.detection,
            "classification": self.classification,
            "end_to_end": self.end_to_end,
        }
        return {
            "runs": [str(run) for run in self.runs],
            "data": self.data,
            "part": self.part,
            "fingerprint": self.fingerprint,
            "reading": self.reading,
            **{name: each.to_json() for name, each in scores.items() if each is not None},
        }

    def __str__(self) -> str:
        titles = {
            "as a detector": self.detection,
            "on the annotated cells": self.classification,
            "end to end: found by the one, named by the other": self.end_to_end,
        }
        read = f", labels read as {self.reading}" if self.reading else ""
        lines = [f"{' and '.join(str(run) for run in self.runs)} on {self.data}, part {self.part}{read}"]
        for title, scores in titles.items():
            if scores is not None:
                lines += [f"{title}:", *(f"  {line}" for line in str(scores).splitlines())]
        return "\n".join(lines)


def evaluate(
    run: Run,
    ds: Dataset,
    part: str | None = None,
    *,
    device: str = "auto",
    batch: int = 16,
    workers: int = 4,
    progress: bool = False,
) -> Evaluation:
    """Score a model on a part of a data set; also left in the run's folder, below ``scores/``.

    Parameters
    ----------
    run
        The trained model.
    ds
        The data it was trained on, or any other of the same classes.
    part
        By default "test"; all of a data set without a split. "train" and "val" are for looking at what the
        model has learned from; from any other part, images and patients of those are refused.

    Raises
    ------
    LeakySplit
        If the model has learned from these images or their patients.
    UnfitForTask
        If cells have no box, or a detector is to be scored on images that are annotated in part.
    UnknownPart
        If there is no such part.
    ValueError
        If the data has other classes than the model.
    """
    chosen, part = part_to_score(ds, part)
    view = _view(run, chosen, part)
    options: dict[str, Any] = {"workers": workers, "progress": progress}
    result = Evaluation((run.folder,), ds.name, part, ds.fingerprint, reading_of(ds))
    if run.baseline.kind == "detector":
        found = inference.detect(run.detector(device), view, batch=batch, **options)
        result = replace(result, detection=detection_scores.score(view, found))
    else:
        named = inference.classify(run.classifier(device), view, batch=4 * batch, **options)
        truths = [view.taxonomy.ids[cell.label] for cell in named.cells]
        whose, unit = classification_scores.groups_of(view, [cell.image for cell in named.cells])
        scores = classification_scores.score(truths, named.probabilities, run.labels, whose, unit=unit)
        result = replace(result, classification=scores)
    _keep(run, result)
    return result


def evaluate_two_stage(
    detector: Run,
    classifier: Run,
    ds: Dataset,
    part: str | None = None,
    *,
    device: str = "auto",
    batch: int = 16,
    workers: int = 4,
    progress: bool = False,
) -> Evaluation:
    """Score the two-stage pipeline: the detector, the classifier on annotated cells, and both end to end.

    Parameters and errors are those of `evaluate`.
    """
    chosen, part = part_to_score(ds, part)
    view = _view(detector, chosen, part)
    _view(classifier, chosen, part)
    pipeline = TwoStage.of(detector, classifier, device=device)
    labelled = pipeline.predict(chosen, batch=batch, workers=workers, progress=progress)
    found = {image: each.found for image, each in labelled.items()}
    alone = Evaluation(
        (detector.folder,),
        ds.name,
        part,
        ds.fingerprint,
        reading_of(ds),
        detection_scores.score(view, found),
    )
    _keep(detector, alone)
    on_truth = evaluate(classifier, ds, part, device=device, batch=batch, workers=workers, progress=progress)
    nine = chosen.task("detection")
    other = nine.taxonomy.ids[OTHER]
    result = replace(
        alone,
        runs=(detector.folder, classifier.folder),
        classification=on_truth.classification,
        end_to_end=detection_scores.score(
            nine, {image: each.as_found(other) for image, each in labelled.items()}
        ),
    )
    _keep(classifier, result)
    return result


def part_to_score(ds: Dataset, part: str | None) -> tuple[Dataset, str]:
    """The part asked for and its name; by default "test", or everything where there is no split."""
    if part is None:
        part = "test" if ds.split else "all"
    return (ds, part) if part == "all" else (ds.part(part), part)


def reading_of(ds: Dataset) -> str:
    """How the labels of a public data set were read, where there are several ways; "" for any other."""
    if ds.name not in sources.names():
        return ""
    source = sources.get(ds.name)
    return " or ".join(sources.readings_of(source, ds)) if len(source.variants) > 1 else ""


def _view(run: Run, chosen: Dataset, part: str) -> Dataset:
    """The task's view of what is to be scored, which must be fit for it, and none of it learned from."""
    if part not in LEARNED_FROM:
        run.require_unseen(chosen)
    view = chosen.task(run.task)
    if view.taxonomy.labels != run.labels:
        raise ValueError(
            f"{view.name}: has the classes {', '.join(view.taxonomy.labels)}, {run.folder} was trained for "
            f"{', '.join(run.labels)}; bring the data to the same classes: "
            + either("Dataset.relabel", "pcm-leukemia import DATA NEW --map LABEL=CLASS")
        )
    require(view, boxes=True, incomplete="refuse" if run.baseline.kind == "detector" else None)
    return view


def _keep(run: Run, result: Evaluation) -> None:
    """Leave the scores in the run's folder."""
    folder = run.folder / "scores"
    name = re.sub(r"[^\w.-]+", "_", f"{result.data}-{result.part}")
    if result.reading:
        name += "-" + re.sub(r"[^\w.-]+", "_", result.reading)
    if result.end_to_end is not None:
        name += "-end-to-end"
    with files.disk_errors(folder):
        folder.mkdir(exist_ok=True)
        files.write_json(folder / f"{name}.json", result.to_json())
