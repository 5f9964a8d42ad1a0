"""Crops: one image file for each cell, in a folder for each class, with a table beside them."""

from __future__ import annotations

from pcm_leukemia.converters.crops.table import files_of, read_table
from pcm_leukemia.converters.crops.writer import write

__all__ = ["files_of", "read_table", "write"]
