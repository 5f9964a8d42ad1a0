"""CVAT: writes "CVAT for images 1.1". The reader is `pcm_leukemia.cvat`, since exports are where data come from."""

from __future__ import annotations

from pcm_leukemia.converters.cvat.writer import write
from pcm_leukemia.cvat import read

__all__ = ["read", "write"]
