"""COCO: `write` and `read` for data sets; `with_results`, `read_results` and the writers for predictions."""

from __future__ import annotations

from pcm_leukemia.converters.coco.reader import read
from pcm_leukemia.converters.coco.results import (
    Result,
    Results,
    read_results,
    result_rows,
    with_results,
    write_results,
)
from pcm_leukemia.converters.coco.writer import write

__all__ = [
    "Result",
    "Results",
    "read",
    "read_results",
    "result_rows",
    "with_results",
    "write",
    "write_results",
]
