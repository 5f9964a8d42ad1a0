"""The curves of a run: precision over recall, how far its confidence can be trusted, and its training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pcm_leukemia.baselines.epoch_log import family_of, kind_of, read_epochs
from pcm_leukemia.baselines.evaluation import Evaluation
from pcm_leukemia.baselines.metrics.bootstrap import plain
from pcm_leukemia.baselines.metrics.calibration import Calibration
from pcm_leukemia.baselines.metrics.coverage import Selective
from pcm_leukemia.baselines.metrics.detection import DetectionScores
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.report import legible

__all__ = ["of_run"]


def of_run(evaluation: Evaluation, logs: Mapping[str, Path]) -> dict[str, object]:
    """The curves that there are; a run whose logs are lost or broken has no training curves."""
    curves: dict[str, object] = {}
    if evaluation.detection is not None:
        curves["precisionRecall"] = _precision_recall(evaluation.detection)
    if evaluation.classification is not None:
        curves["reliability"] = _reliability(evaluation.classification.calibration)
        curves["coverage"] = _coverage(evaluation.classification.selective)
    try:
        curves["training"] = _training(logs) if logs else None
    except (DataNotFound, CorruptFile):
        curves["training"] = None
    return curves


def _precision_recall(scores: DetectionScores) -> list[dict[str, object]]:
    return [
        {
            "class": number,
            "ap50": scores.of[label].ap50,
            "ap": scores.of[label].ap,
            "at50": _rounded(scores.curves[label].at50),
            "mean": _rounded(scores.curves[label].mean),
        }
        for number, label in enumerate(scores.labels)
        if label in scores.curves
    ]


def _reliability(calibration: Calibration) -> list[dict[str, object]]:
    found = [("as predicted", calibration)]
    if calibration.scaled is not None:
        found.append((f"at temperature {calibration.temperature:.2f}", calibration.scaled))
    return [
        {"name": name, "ece": plain(each.ece.value), "bins": [one.to_json() for one in each.bins]}
        for name, each in found
    ]


def _coverage(selective: Selective) -> dict[str, Any]:
    return {**selective.to_json(), "curve": _rounded(selective.curve)}


def _training(logs: Mapping[str, Path]) -> dict[str, object]:
    lines, phases = read_epochs(logs)
    return {
        "phases": [
            {"name": legible(name), "first": first, "last": last} for name, (first, last) in phases.items()
        ],
        "lines": [
            {
                "name": legible(name.replace("_", " ")),
                "family": legible(family_of(name)),
                "validation": name.startswith("val_"),
                "kind": kind_of(name),
                "epochs": epochs,
                "values": _rounded(values, 6),
            }
            for name, (epochs, values) in lines.items()
        ],
    }


def _rounded(values: Sequence[float], digits: int = 4) -> list[float | None]:
    """The numbers for JSON: shorter, and None for those that are not finite."""
    return [round(value, digits) if math.isfinite(value) else None for value in values]
