"""A differential as rows of CSV and as JSON."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pcm_leukemia.differential.results import (
    AT_LEAST,
    RESEARCH,
    Blasts,
    Corrected,
    Counted,
    Differential,
    PatientDifferential,
)
from pcm_leukemia.differential.tallying import Reason

__all__ = ["class_rows", "patient_rows", "to_json", "write_csv"]

_SHARE = ("count", "total", "share", "low", "high")
_ADJUSTED = ("adjusted_share", "adjusted_low", "adjusted_high")
_CHANCES = tuple(f"blasts_at_least_{100 * share:.0f}" for share in AT_LEAST)

Rows = Iterator[dict[str, Any]]


def class_rows(found: Differential) -> Rows:
    """A row for each patient and class."""
    for each in found.patients:
        for row in each.classes:
            yield {
                **_person(found, each),
                "label": row.label,
                **_share(row, each.tally.total),
                **_remarks(each),
            }


def patient_rows(found: Differential) -> Rows:
    """A row for each patient: the blasts together, and what was left out."""
    for each in found.patients:
        yield {
            **_person(found, each),
            "images": each.tally.images,
            **_blasts(each.blasts, each.tally.total),
            **{f"left_out_{reason}": each.tally.left_out[reason] for reason in Reason},
            **_remarks(each),
        }


def write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as CSV in UTF-8; what is not known is empty, and shares have six digits."""
    lines = [{name: _cell(value) for name, value in row.items()} for row in rows]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def to_json(found: Differential) -> dict[str, Any]:
    """Everything as plain values; None for what is not known."""
    tallies, limits, correction = found.tallies, found.limits, found.correction
    return {
        "research": RESEARCH,
        "name": found.name,
        "counted_classes": list(found.labels),
        "intervals": "Clopper-Pearson, 95 %, two-sided",
        "probabilities": "posterior under Jeffreys' prior, Beta(1/2, 1/2); of corrected shares: the share of the draws",
        "limits": limits
        and {
            "threshold": limits.threshold,
            "label_threshold": limits.label_threshold or None,
            "nms_iou": limits.nms_iou,
        },
        "correction": correction
        and {
            "source": correction.confusion.source,
            correction.confusion.unit: len(correction.confusion.tables),
            "cells": correction.confusion.cells,
            "rows_true_columns_predicted_other_missed": correction.confusion.tables.sum(axis=0).tolist(),
            "draws": correction.draws,
            "seed": correction.seed,
        },
        "left_out": {
            "images_without_patient": tallies.without_patient,
            "cells_without_patient": tallies.cells_without_patient,
            "incomplete_images": tallies.incomplete,
            "images_counted_already": tallies.doubles,
        },
        "notes": list(found.notes),
        "patients": [_patient(found, each) for each in found.patients],
    }


def _patient(found: Differential, each: PatientDifferential) -> dict[str, Any]:
    total, blasts = each.tally.total, each.blasts
    return {
        **_person(found, each),
        "seen": each.seen,
        "images": each.tally.images,
        "total": total,
        "classes": {row.label: _plain(_share(row)) for row in each.classes},
        "blasts": blasts and _plain(_blasts(blasts)),
        "left_out": {str(reason): count for reason, count in each.tally.left_out.items()},
    }


def _person(found: Differential, each: PatientDifferential) -> dict[str, Any]:
    patient = each.tally.patient
    led_back = {"patient_id": found.ids.get(patient)} if found.ids else {}
    return {"patient": patient, **led_back, "diagnosis": each.tally.diagnosis}


def _remarks(each: PatientDifferential) -> dict[str, Any]:
    seen = {True: "yes", False: "no", None: None}[each.seen]
    return {"seen": seen, "note": RESEARCH}


def _share(row: Counted, total: int | None = None) -> dict[str, Any]:
    shown = (row.count, total, row.share, row.low, row.high)
    adjusted: Sequence[Any] = row.corrected or (None, None, None)
    table = dict(zip((*_SHARE, *_ADJUSTED), (*shown, *adjusted), strict=True))
    if total is None:
        del table["total"]
    return table


def _blasts(blasts: Blasts | None, total: int | None = None) -> dict[str, Any]:
    nothing = Counted("blasts", 0, math.nan, math.nan, math.nan, Corrected(math.nan, math.nan, math.nan))
    shares = _share(blasts.counted if blasts else nothing, total)
    unknown: tuple[None, ...] = (None,) * len(_CHANCES)
    chances = dict(zip(_CHANCES, blasts.probabilities if blasts else unknown, strict=True))
    adjusted = dict(zip(_CHANCES, (blasts and blasts.corrected) or unknown, strict=True))
    if not blasts:
        shares["count"] = None
    return {
        **{"blasts" if name == "count" else name: value for name, value in shares.items()},
        **chances,
        **{f"adjusted_{name}": value for name, value in adjusted.items()},
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if _unknown(value) else value for name, value in values.items()}


def _cell(value: Any) -> Any:
    if _unknown(value):
        return ""
    return f"{value:.6f}" if isinstance(value, float) else value


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
