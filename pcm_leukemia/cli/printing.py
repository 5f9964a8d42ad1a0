"""How a command prints its result: as text, or with --json as one JSON object."""

from __future__ import annotations

import json
from typing import Any, Protocol

__all__ = ["print_json", "print_result"]


class Result(Protocol):
    """What a command has found; printed as text, it is its `str`."""

    def to_json(self) -> Any:
        """The result as plain dictionaries and lists."""


def print_result(found: Result, *written: object, as_json: bool) -> None:
    """Print a result, and in text also the reports of what was written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pcm_leukemia import Report
    >>> print_result(Report("coco", Path("out"), {"train": 2}, {}), as_json=False)
    coco: out
      train: 2 images, 0 cells
    """
    if as_json:
        print_json(found.to_json())
    else:
        print(found, *written, sep="\n")


def print_json(content: object) -> None:
    """Print plain dictionaries and lists as JSON, with all letters as they are.

    Examples
    --------
    >>> print_json({"name": "Jürgen"})
    {
     "name": "Jürgen"
    }
    """
    print(json.dumps(content, ensure_ascii=False, indent=1))
