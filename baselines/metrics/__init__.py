"""Scores: `detection` (COCO's average precision) and `classification` (accuracy, F1, AUC), with bootstrap intervals over patients."""

from __future__ import annotations

__all__: list[str] = []
