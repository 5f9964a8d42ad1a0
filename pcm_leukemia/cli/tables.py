"""The paper's Tables 2 and 3 for any data, in the terminal: counts by part, and the classes of each part as bars.

No name is cut: in a narrow terminal, it is folded.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pcm_leukemia import counting
from pcm_leukemia.counting import Counts
from pcm_leukemia.dataset import Dataset

__all__ = ["counts", "show"]

EIGHTHS = " ▏▎▍▌▋▊▉█"
WIDEST_BAR = 24
"""In characters, on a wide terminal."""
WIDEST_LABEL = 24
"""In characters: longer labels may take the room of the bars, or are folded."""


def counts(ds: Dataset) -> dict[str, Any]:
    """Images, patients and cells by part, and of the whole."""
    parts, whole = counting.by_part(ds), counting.overall(ds)
    return {
        "name": ds.name,
        "split": ds.split.name if ds.split else None,
        "labels": list(ds.taxonomy.labels),
        "images": {part: found.images for part, found in parts.items()},
        "patients": {part: found.patients for part, found in parts.items()},
        "cells": {part: dict(found.cells) for part, found in parts.items()},
        "overall": {key: asdict(whole)[key] for key in ("images", "patients", "cells")},
    }


def show(ds: Dataset) -> None:
    """Print them as one table, and below it the share of each class in each part as a bar."""
    console = Console()
    parts, whole = counting.by_part(ds), counting.overall(ds)
    console.print(_numbers([*parts.items(), ("overall", whole)]))
    if sum(whole.cells.values()):
        console.print(_bars(parts, console.width, ascii_only=console.options.ascii_only))


def _numbers(columns: list[tuple[str, Counts]]) -> Table:
    """Each part and the whole, which comes last, as a column."""
    table = Table("", header_style="bold")
    table.columns[0].overflow = "fold"
    for name, _ in columns:
        table.add_column(Text(name), justify="right", overflow="fold")
    found = [each for _, each in columns]
    table.add_row("patients", *(f"{each.patients:,}" for each in found))
    table.add_row("images", *(f"{each.images:,}" for each in found))
    table.add_section()
    for label in found[-1].cells:
        table.add_row(Text(label), *(f"{each.cells[label]:,}" for each in found))
    table.add_section()
    table.add_row("cells", *(f"{sum(each.cells.values()):,}" for each in found))
    return table


def _bars(parts: dict[str, Counts], width: int, *, ascii_only: bool) -> Table:
    """The share of each class in each part; the largest share of all fills a bar, if there is room for bars."""
    labels = list(next(iter(parts.values())).cells)
    longest = min(max(map(len, labels)), max(width - 8 * len(parts) - 2, WIDEST_LABEL))
    # each column has a bar, a blank, a number of up to five characters, and two blanks before the next column
    bar = max(min((width - longest) // len(parts) - 8, WIDEST_BAR), 0)
    largest = max(found.share(label) for found in parts.values() for label in labels)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("cells, %", max_width=longest, overflow="fold")
    for part in parts:
        table.add_column(Text(part), overflow="fold")
    for label in labels:
        shares = [found.share(label) for found in parts.values()]
        table.add_row(
            Text(label),
            *(_bar(share, share / largest, bar, ascii_only=ascii_only) for share in shares),
        )
    return table


def _bar(share: float, filled: float, width: int, *, ascii_only: bool) -> Text:
    """A bar of this width, filled to a share of it, then the share in per cent; a class with any cell has a visible bar."""
    if not share:
        return Text()
    if not width:
        return Text(f"{100 * share:5.1f}")
    if ascii_only:
        bar = "#" * max(round(filled * width), 1)
    else:
        whole, eighths = divmod(max(round(8 * filled * width), 1), 8)
        bar = EIGHTHS[8] * whole + EIGHTHS[eighths].strip()
    return Text(f"{bar:{width}} {100 * share:5.1f}")
