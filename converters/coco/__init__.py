"""COCO: `read` and `write` for data sets; `read_results`, `write_results`, `read_result_folder` and `with_results` for predictions."""

from __future__ import annotations

from pcm_leukemia.converters.coco.layout import recognises
from pcm_leukemia.converters.coco.preannotation import with_results
from pcm_leukemia.converters.coco.reader import read
from pcm_leukemia.converters.coco.result_folder import read_result_folder, write_results
from pcm_leukemia.converters.coco.results import (
    Result,
    Results,
    read_results,
    result_rows,
)
from pcm_leukemia.converters.coco.writer import write

__all__ = [
    "Result",
    "Results",
    "read",
    "read_result_folder",
    "read_results",
    "recognises",
    "result_rows",
    "with_results",
    "write",
    "write_results",
]

TITLE = "a COCO file or folder (.json)"
PRECEDENCE = 1
