"""Crops: one image file for each cell, one folder for each class, and a table of all crops."""

from __future__ import annotations

from pcm_leukemia.converters.crops.resume import check_out
from pcm_leukemia.converters.crops.table import files_of, read_table
from pcm_leukemia.converters.crops.writer import write

__all__ = ["check_out", "files_of", "read_table", "write"]
