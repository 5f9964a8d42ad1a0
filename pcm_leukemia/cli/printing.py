"""How a command prints its result: as text, which may be two columns, or with --json as one JSON object."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable
from typing import Any, Protocol

__all__ = ["print_columns", "print_json", "print_result"]


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


def print_columns(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and texts in two columns as wide as the terminal; texts break between words alone, so that addresses stay whole.

    Examples
    --------
    >>> print_columns([("name", "BCCD"), ("home", "https://github.com/Shenggan/BCCD_Dataset")])
    name  BCCD
    home  https://github.com/Shenggan/BCCD_Dataset
    """
    rows = list(rows)
    left = max(len(name) for name, _ in rows) + 2
    for name, text in rows:
        lines = textwrap.wrap(
            text,
            max(shutil.get_terminal_size().columns - left, 20),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for index, line in enumerate(lines):
            print(f"{'' if index else name:{left}}{line}")
