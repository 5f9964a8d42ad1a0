"""Scores with bootstrap intervals over patients: `detection` (COCO's average precision) and `classification`.

A classifier's scores are put together from `confusions`, `auroc`, `blasts`, `calibration` and `coverage`.
"""

from __future__ import annotations

__all__: list[str] = []
