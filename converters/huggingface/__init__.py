"""Hugging Face: parquet files for `datasets.load_dataset` with a dataset card; `push` uploads them."""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.converters.huggingface.reader import read
from pcm_leukemia.converters.huggingface.writer import check_out, push, write

__all__ = ["check_out", "push", "read", "write"]

TITLE = "a Hugging Face folder that pcm-leukemia wrote"
PRECEDENCE = 0


def recognises(path: Path) -> bool:
    """Whether a path is a folder with ``detection/*.parquet``."""
    return any(path.glob("detection/*.parquet"))
