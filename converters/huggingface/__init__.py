"""Hugging Face: parquet files that `datasets.load_dataset` opens, with a card; `push` uploads them."""

from __future__ import annotations

from pcm_leukemia.converters.huggingface.reader import read
from pcm_leukemia.converters.huggingface.writer import push, write

__all__ = ["push", "read", "write"]
