"""YOLO: the folder layout of ultralytics, with a ``data.yaml`` and one label file for each image."""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.converters.yolo import description
from pcm_leukemia.converters.yolo.reader import read
from pcm_leukemia.converters.yolo.writer import write

__all__ = ["read", "write"]

TITLE = "a YOLO folder (data.yaml)"
PRECEDENCE = 0


def recognises(path: Path) -> bool:
    """Whether a path is a YAML file or obj.data, a folder that one of them or classes.txt describes, or a zip of it."""
    return description.describes(path)
