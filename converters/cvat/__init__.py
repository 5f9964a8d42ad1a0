"""CVAT: writes "CVAT for images 1.1". The reader is `pcm_leukemia.cvat`, which belongs to the core."""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.converters.cvat.labels import CvatLabel, LabelChoice, declare, for_cvat, spell
from pcm_leukemia.converters.cvat.writer import check_out, write
from pcm_leukemia.cvat import read
from pcm_leukemia.files import looks_like_zip

__all__ = ["CvatLabel", "LabelChoice", "check_out", "declare", "for_cvat", "read", "spell", "write"]

TITLE = "a CVAT export (.xml, .zip or a folder)"
PRECEDENCE = 2


def recognises(path: Path) -> bool:
    """Whether a path is an XML file, a zip, or a folder with an XML file in it or below it."""
    if path.is_file():
        return path.suffix.lower() == ".xml" or looks_like_zip(path)
    return any(path.rglob("*.[xX][mM][lL]"))
