"""The scores as the page shows them: measures with their intervals, and a table by class."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from pcm_leukemia.baselines.evaluation import Evaluation
from pcm_leukemia.baselines.metrics import blasts
from pcm_leukemia.baselines.metrics.bootstrap import Estimate, Interval, plain
from pcm_leukemia.baselines.metrics.classification import ClassificationScores
from pcm_leukemia.baselines.metrics.detection import AveragePrecision, DetectionScores
from pcm_leukemia.report import legible

__all__ = ["of_evaluation"]

Number: TypeAlias = dict[str, Any]
"""A score from 0 to 1 and its interval; `value` is None if there is no score. Or a `count`."""

_FOLDERS = re.compile(r"(?<![\w:/.\\])(?:[A-Za-z]:)?[/\\]+(?:[^/\\:\n]+[/\\])+")


def of_evaluation(evaluation: Evaluation) -> dict[str, object]:
    """The scores of one model, as columns and rows of words and numbers."""
    if evaluation.detection is not None:
        shown = _detector(evaluation.detection, evaluation.one_label)
    else:
        assert evaluation.classification is not None  # a model is a detector or a classifier
        shown = _classifier(evaluation.classification)
    return {
        "facts": [legible(_without_folders(each)) for each in _facts(evaluation)],
        "note": legible(_without_folders("; ".join(evaluation.notes))),
        **shown,
    }


def _facts(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.reading:
        yield f"labels read as {evaluation.reading}"
    if evaluation.started_from:
        yield f"weights at the start: {' and '.join(evaluation.started_from)}"
    if evaluation.batch_norm == "target":
        yield "with batch-norm statistics of the target"


def _without_folders(text: str) -> str:
    """The text with the names of files alone instead of their absolute paths, which say whose disk it is.

    Examples
    --------
    >>> _without_folders("started from /home/ada/runs/yolo, https://example.org/a.pt")
    'started from yolo, https://example.org/a.pt'
    """
    return _FOLDERS.sub("", text)


def _detector(scores: DetectionScores, one_label: AveragePrecision | None) -> dict[str, object]:
    whole, at = scores.overall, f"at score {scores.threshold:g}"
    measures: dict[str, Number] = {
        "mAP 50-95": _number(whole.ap, whole.interval),
        "AP50": _number(whole.ap50, whole.interval50),
        "AP75": _number(whole.ap75),
        **({"mAP 50-95, one label for each box": _number(one_label.ap)} if one_label else {}),
        f"cells found in any class {at}": _number(scores.recall, scores.recall_interval),
        **{
            f"cells found in any class at score {lowest:g}": _number(share)
            for lowest, share in scores.recalls.items()
            if lowest != scores.threshold
        },
    }
    by_class = [
        {
            "name": legible(label),
            "numbers": [
                {"count": scores.cells[label]},
                _number(scores.of[label].ap, scores.of[label].interval),
                _number(scores.of[label].ap50, scores.of[label].interval50),
                {"count": scores.confusion[number][number]},
                {"count": scores.confusion[number][-1]},
            ],
        }
        for number, label in enumerate(scores.labels)
    ]
    return {
        "measures": _named(measures),
        "howSure": scores.how_sure,
        "columns": ["cells", "AP 50-95, %", "AP50, %", f"right {at}", f"missed {at}"],
        "byClass": by_class,
        "more": {
            "title": "COCO's twelve numbers",
            "measures": _named({name: _number(value) for name, value in scores.coco.items()}),
        },
    }


def _classifier(scores: ClassificationScores) -> dict[str, object]:
    calibration, selective = scores.calibration, scores.selective
    measures: dict[str, Number] = {
        **{name: _estimate(each) for name, each in scores.in_tables().items()},
        "balanced accuracy": _estimate(scores.balanced_accuracy),
        "weighted F1": _estimate(scores.weighted_f1),
        "AUROC (mean of each class against the rest)": _estimate(scores.auroc.macro),
    }
    if scores.blasts is not None:
        measures[blasts.MISSED] = _estimate(scores.blasts.missed.share)
        measures[blasts.FALSE] = _estimate(scores.blasts.false.share)
    measures["calibration error (ECE)"] = _estimate(calibration.ece)
    if calibration.scaled is not None:
        at = f"calibration error at temperature {calibration.temperature:.2f}, fitted on validation"
        measures[at] = _estimate(calibration.scaled.ece)
    measures["area under the risk-coverage curve"] = _estimate(selective.aurc)
    by_class = [
        {
            "name": legible(row.label),
            "numbers": [
                {"count": row.support},
                _number(row.precision),
                _number(row.recall),
                _number(row.f1, row.f1_interval),
                _estimate(scores.auroc.of[row.label]),
            ],
        }
        for row in scores.classes
    ]
    at_coverage = {
        f"accuracy of the surest {100 * coverage:g} % of cells": _estimate(each)
        for coverage, each in selective.accuracies.items()
    }
    return {
        "measures": _named(measures),
        "howSure": scores.how_sure,
        "columns": ["cells", "precision, %", "recall, %", "F1, %", "AUROC, %"],
        "byClass": by_class,
        "more": {"title": "Accuracy of the surest cells", "measures": _named(at_coverage)},
    }


def _named(measures: Mapping[str, Number]) -> list[dict[str, Any]]:
    return [{"name": name, **number} for name, number in measures.items()]


def _estimate(estimate: Estimate) -> Number:
    return _number(estimate.value, estimate.interval)


def _number(value: float | None, interval: Interval | None = None) -> Number:
    return {
        "value": None if value is None else plain(value),
        "interval": list(interval) if interval else None,
    }
