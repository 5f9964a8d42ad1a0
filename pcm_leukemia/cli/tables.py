"""The paper's Tables 2 and 3 for any data: images, patients, and cells by class and part."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from pcm_leukemia.dataset import Dataset

__all__ = ["counts", "show"]


def counts(ds: Dataset) -> dict[str, Any]:
    """Images, patients and cells by part, and of the whole."""
    overall = ds.counts

    def cells_of(rows: Dataset) -> dict[str, int]:
        found = rows.counts
        return {label: found.get(label, 0) for label in overall}

    parts = {part: ds.part(part) if ds.split else ds for part in ds.parts}
    return {
        "name": ds.name,
        "split": ds.split.name if ds.split else None,
        "labels": list(ds.taxonomy.labels),
        "images": {part: len(rows.images) for part, rows in parts.items()},
        "patients": {part: len(rows.patients) for part, rows in parts.items()},
        "cells": {part: cells_of(rows) for part, rows in parts.items()},
        "overall": {"images": len(ds.images), "patients": len(ds.patients), "cells": overall},
    }


def show(ds: Dataset) -> None:
    """Print them as one table."""
    tables = counts(ds)
    overall = tables["overall"]
    table = Table("", *tables["images"], "overall", header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in ("patients", "images"):
        table.add_row(row, *(f"{count:,}" for count in tables[row].values()), f"{overall[row]:,}")
    table.add_section()
    for label, count in overall["cells"].items():
        table.add_row(label, *(f"{cells[label]:,}" for cells in tables["cells"].values()), f"{count:,}")
    sums = [sum(cells.values()) for cells in (*tables["cells"].values(), overall["cells"])]
    table.add_section()
    table.add_row("cells", *(f"{count:,}" for count in sums))
    Console().print(table)
