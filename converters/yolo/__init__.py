"""YOLO: the folder that ultralytics trains on, with one ``data.yaml`` and a file of labels for each image."""

from __future__ import annotations

from pcm_leukemia.converters.yolo.reader import read
from pcm_leukemia.converters.yolo.writer import write

__all__ = ["read", "write"]
