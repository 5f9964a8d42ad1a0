"""Scores a trained model on a part of a data set that it has not learned from."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pcm_leukemia import files, sources
from pcm_leukemia.baselines import inference
from pcm_leukemia.baselines.classifiers.batch_norm import BatchNorm, classifier_for
from pcm_leukemia.baselines.contract import Classifier
from pcm_leukemia.baselines.inference import Classified, Detected
from pcm_leukemia.baselines.metrics import classification as classification_scores
from pcm_leukemia.baselines.metrics import detection as detection_scores
from pcm_leukemia.baselines.metrics.classification import ClassificationScores
from pcm_leukemia.baselines.metrics.detection import AveragePrecision, DetectionScores
from pcm_leukemia.baselines.metrics.groups import groups_of
from pcm_leukemia.baselines.pretraining import note_on
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.scored_on import ScoredOn
from pcm_leukemia.baselines.two_stage import OTHER, TwoStage
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import Problem, UnfitForTask, either
from pcm_leukemia.requirements import require
from pcm_leukemia.splits import LEARNED_FROM

__all__ = [
    "Evaluation",
    "Scored",
    "evaluate",
    "evaluate_two_stage",
    "part_to_score",
    "predictions",
    "reading_of",
    "scored",
    "scores_of",
    "view_for",
]


_NOTHING = ScoredOn()
THRESHOLD = 0.5
"""The lowest score of a found cell, unless another is asked for."""


@dataclass(frozen=True)
class Evaluation:
    """The scores of one model, or of the two-stage pipeline, on one part of one data set.

    `detection` has a detector's scores on its own task, by its setting ``multi_label``; what is found and missed counts one
    label for each box. `one_label` is its average precision if a box has only its best label, `classification` has a
    classifier's scores on the annotated cells.
    `end_to_end` has the scores of the pipeline over all classes: each white cell is located by the detector and labelled
    by the classifier. There, a cell counts as found by the detector's score, and the product of both scores ranks the cells
    for average precision. `reading` says how the labels of a public data set were read, if there are several ways, and
    `started_from` from which weights the training of each run started. `pretraining` says so if these weights may
    have seen the data set without labels. `learned` has a sentence for each model that has learned from images that are scored:
    those of the parts train and val. `scored_on` counts what is scored, and the cells that a model drew. `batch_norm` says whose batch-norm statistics the classifier used.
    """

    runs: tuple[Path, ...]
    data: str
    part: str
    fingerprint: str
    reading: str = ""
    started_from: tuple[str, ...] = ()
    detection: DetectionScores | None = None
    one_label: AveragePrecision | None = None
    classification: ClassificationScores | None = None
    end_to_end: DetectionScores | None = None
    pretraining: str = ""
    batch_norm: BatchNorm = "run"
    learned: tuple[str, ...] = ()
    scored_on: ScoredOn = _NOTHING

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the scores must know, in sentences: `learned`, the cells that a model drew, and `pretraining`."""
        return tuple(note for note in (*self.learned, self.scored_on.note, self.pretraining) if note)

    def to_json(self) -> dict[str, Any]:
        """All scores as plain dictionaries and lists."""
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
            "started_from": list(self.started_from),
            "scored_on": self.scored_on._asdict(),
            **({"batch_norm": self.batch_norm} if self.batch_norm != "run" else {}),
            **{name: each.to_json() for name, each in scores.items() if each is not None},
            **({"one_label": {"mAP": self.one_label._asdict()}} if self.one_label else {}),
            **({"pretraining": self.pretraining} if self.pretraining else {}),
            **({"learned": list(self.learned)} if self.learned else {}),
        }

    def _repr_html_(self) -> str:
        from pcm_leukemia.baselines import evaluation_html

        return evaluation_html.of_evaluation(self)

    def __str__(self) -> str:
        titles = {
            "as a detector": self.detection,
            "on the annotated cells": self.classification,
            "end to end: located by the detector, labelled by the classifier": self.end_to_end,
        }
        read = f", labels read as {self.reading}" if self.reading else ""
        lines = [f"{' and '.join(str(run) for run in self.runs)} on {self.data}, part {self.part}{read}"]
        if self.started_from:
            lines.append(f"started from: {' and '.join(self.started_from)}")
        lines += [f"note: {note}" for note in self.notes]
        if self.batch_norm == "target":
            lines.append("with batch-norm statistics of the target, from its cells without their labels")
        for title, scores in titles.items():
            if scores is not None:
                lines += [f"{title}:", *(f"  {line}" for line in str(scores).splitlines())]
            if scores is self.detection and self.one_label and self.one_label.ap is not None:
                lines.append(f"  with one label for each box: mAP 50-95 {100 * self.one_label.ap:.1f}")
        return "\n".join(lines)


def evaluate(
    run: Run,
    ds: Dataset,
    part: str | None = None,
    *,
    threshold: float = THRESHOLD,
    batch_norm: BatchNorm = "run",
    device: str = "auto",
    batch: int = 16,
    workers: int | None = None,
    progress: bool = False,
) -> Evaluation:
    """Score a model on a part of a data set, and keep the scores in the run's folder, in ``scores/``.

    Parameters
    ----------
    run
        The trained model.
    ds
        The data set it was trained on, or another with the same classes.
    part
        By default "test", or the whole of a data set without a split. "train" and "val" show how well the model fits
        what it has learned from, and `Evaluation.learned` says so. In any other part, images and patients that it has learned from are refused.
    threshold
        The lowest score at which a detector has found a cell, 0 to 1; average precision uses all scores.
    batch_norm
        "target" replaces a classifier's batch-norm statistics with those of the part's cells, without their labels; the
        run itself does not change. See `classifiers.batch_norm`.

    Raises
    ------
    LeakySplit
        If the model has learned from these images or their patients.
    UnfitForTask
        If cells have no box, or a detector would be scored on images that are annotated in part.
    UnknownPart
        If there is no such part.
    ValueError
        If the classes of the data are not those of the model, or `batch_norm` is "target" for a model without batch norms.
    """
    options: dict[str, Any] = {"device": device, "batch": batch, "workers": workers, "progress": progress}
    return scored(run, ds, part, batch_norm, threshold=threshold, **options).evaluation


class Scored(NamedTuple):
    """An evaluation, with the data of the task and the predictions that it was computed from."""

    evaluation: Evaluation
    view: Dataset
    predicted: Detected | Classified


def scored(
    run: Run,
    ds: Dataset,
    part: str | None,
    batch_norm: BatchNorm = "run",
    *,
    threshold: float,
    **options: Any,
) -> Scored:
    """`evaluate`, with what the scores were computed from; `options` are those of `predictions`."""
    chosen, part = part_to_score(ds, part)
    view = view_for(run, chosen, unseen=part not in LEARNED_FROM)
    predicted = predictions(run, view, batch_norm=batch_norm, **options)
    result = _of_run(run, ds, part, chosen, batch_norm=batch_norm, **scores_of(view, predicted, threshold))
    _keep(run, result)
    return Scored(result, view, predicted)


def evaluate_two_stage(
    detector: Run,
    classifier: Run,
    ds: Dataset,
    part: str | None = None,
    *,
    threshold: float = THRESHOLD,
    device: str = "auto",
    batch: int = 16,
    workers: int | None = None,
    progress: bool = False,
) -> Evaluation:
    """Score the two-stage pipeline: the detector, the classifier on annotated cells, and both end to end.

    Parameters and errors are those of `evaluate`.
    """
    chosen, part = part_to_score(ds, part)
    view = view_for(detector, chosen, unseen=part not in LEARNED_FROM)
    view_for(classifier, chosen, unseen=part not in LEARNED_FROM)
    pipeline = TwoStage.of(detector, classifier, device=device)
    labelled = pipeline.predict(chosen, batch=batch, workers=workers, progress=progress)
    detected = Detected(
        {image: each.scored for image, each in labelled.items()},
        {image: each.found for image, each in labelled.items()},
    )
    alone = _of_run(detector, ds, part, chosen, **scores_of(view, detected, threshold))
    _keep(detector, alone)
    on_truth = evaluate(classifier, ds, part, device=device, batch=batch, workers=workers, progress=progress)
    nine = chosen.task("detection")
    other = nine.taxonomy.ids[OTHER]
    result = replace(
        alone,
        runs=(detector.folder, classifier.folder),
        started_from=(detector.started_from, classifier.started_from),
        classification=on_truth.classification,
        pretraining=on_truth.pretraining,
        learned=(*alone.learned, *on_truth.learned),
        end_to_end=detection_scores.score(
            nine,
            {image: each.as_found(other) for image, each in labelled.items()},
            counted={image: each.as_found(other, ranked=False) for image, each in labelled.items()},
            threshold=threshold,
        ),
    )
    _keep(classifier, result)
    return result


def predictions(
    run: Run,
    view: Dataset,
    *,
    batch_norm: BatchNorm = "run",
    device: str,
    batch: int,
    workers: int | None,
    progress: bool,
) -> Detected | Classified:
    """What a model predicts for data of its task, as from `view_for`."""
    options: dict[str, Any] = {"workers": workers, "progress": progress}
    if batch_norm == "target":
        classifier: Classifier = classifier_for(run, view, device, workers=workers)
        return inference.classify(classifier, view, batch=4 * batch, **options)
    if run.baseline.kind == "detector":
        detector = run.detector(device)
        rules = (detector.multi_label, False)
        return Detected(*inference.detect_by(detector, view, rules, batch=batch, **options))
    named = inference.classify(run.classifier(device), view, batch=4 * batch, **options)
    return named._replace(temperature=run.temperature)


def scores_of(view: Dataset, predicted: Detected | Classified, threshold: float) -> dict[str, Any]:
    """The scores of predictions, by their names in `Evaluation`."""
    if isinstance(predicted, Detected):
        scored, found = predicted
        scores = detection_scores.score(view, scored, counted=found, threshold=threshold)
        return {"detection": scores, "one_label": detection_scores.overall(view, found)}
    truths = [view.taxonomy.ids[cell.label] for cell in predicted.cells]
    whose, unit = groups_of(view, [cell.image for cell in predicted.cells])
    labels = view.taxonomy.labels
    return {
        "classification": classification_scores.score(
            truths, predicted.probabilities, labels, whose, unit=unit, temperature=predicted.temperature
        )
    }


def part_to_score(ds: Dataset, part: str | None) -> tuple[Dataset, str]:
    """The requested part and its name; by default "test", or the whole of a data set without a split."""
    if part is None:
        part = "test" if ds.split else "all"
    return (ds, part) if part == "all" else (ds.part(part), part)


def reading_of(ds: Dataset) -> str:
    """How the labels of a public data set were read, if there are several ways; otherwise ""."""
    if ds.name not in sources.names():
        return ""
    source = sources.get(ds.name)
    return " or ".join(sources.readings_of(source, ds)) if len(source.variants) > 1 else ""


def view_for(run: Run, chosen: Dataset, *, unseen: bool = True) -> Dataset:
    """The data to score, reduced to the task; it must suit the task and, with `unseen`, not have been learned from."""
    if unseen:
        run.require_unseen(chosen)
    view = chosen.task(run.task)
    if view.taxonomy.labels != run.labels:
        raise UnfitForTask(
            [
                Problem(
                    view.name,
                    f"has the classes {', '.join(view.taxonomy.labels)}, {run.folder} was trained for "
                    f"{', '.join(run.labels)}",
                    "bring the data to the same classes: "
                    + either("Dataset.relabel", "pcm-leukemia import DATA NEW --map LABEL=CLASS"),
                )
            ]
        )
    require(view, boxes=True, incomplete="refuse" if run.baseline.kind == "detector" else None)
    return view


def _of_run(run: Run, ds: Dataset, part: str, chosen: Dataset, **scores: Any) -> Evaluation:
    """The evaluation of one model with these scores, and what the run and the data say about themselves."""
    seen = run.note_on_seen(chosen) if part in LEARNED_FROM else ""  # in other parts, such images are refused
    return Evaluation(
        (run.folder,),
        ds.name,
        part,
        ds.fingerprint,
        reading_of(ds),
        (run.started_from,),
        pretraining=note_on(run, ds),
        learned=(seen,) if seen else (),
        scored_on=ScoredOn.of(chosen.task(run.task)),
        **scores,
    )


def _keep(run: Run, result: Evaluation) -> None:
    """Write the scores to the run's folder."""
    folder = run.folder / "scores"
    name = re.sub(r"[^\w.-]+", "_", f"{result.data}-{result.part}")
    if result.reading:
        name += "-" + re.sub(r"[^\w.-]+", "_", result.reading)
    if result.end_to_end is not None:
        name += "-end-to-end"
    if result.detection is not None and result.detection.threshold != THRESHOLD:
        name += f"-threshold-{result.detection.threshold:g}"
    if result.batch_norm != "run":
        name += "-batch-norm-of-target"
    with files.disk_errors(folder):
        folder.mkdir(exist_ok=True)
        files.write_json(folder / f"{name}.json", result.to_json())
