"""COCO: `read` and `write` for data sets, `read_results`, `write_results` and `with_results` for predictions."""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.converters.coco.preannotation import with_results
from pcm_leukemia.converters.coco.reader import json_files, read
from pcm_leukemia.converters.coco.results import (
    Result,
    Results,
    read_results,
    result_rows,
    write_results,
)
from pcm_leukemia.converters.coco.writer import write
from pcm_leukemia.files import written_as

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

TITLE = "a COCO file or folder (.json)"
PRECEDENCE = 1


def recognises(path: Path) -> bool:
    """Whether a path is a JSON file, or a folder with JSON files in it or in its ``annotations/``.

    JSON files next to XML files are ignored: they belong to an export in another format.
    """
    if path.is_file():
        return path.suffix.lower() == ".json"
    beside_xml = any(path.glob("*.[xX][mM][lL]"))
    return bool(json_files(path)) and not beside_xml and written_as(path) in ("", "coco")
