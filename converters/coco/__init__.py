"""COCO: `write` and `read` for data sets, `with_results` for predictions in COCO's results format."""

from __future__ import annotations

from pcm_leukemia.converters.coco.reader import read
from pcm_leukemia.converters.coco.results import Predictions, with_predictions
from pcm_leukemia.converters.coco.writer import write

__all__ = ["Predictions", "read", "with_predictions", "write"]
