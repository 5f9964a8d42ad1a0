"""Writes an .xlsx, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["xlsx"]


def xlsx(
    path: Path, *rows: Sequence[object], formats: dict[str, str] | None = None, **sheets: object
) -> Path:
    """Write rows into a workbook; `formats` are of its cells, and each of `sheets` is a further sheet with one value."""
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    for cell, number_format in (formats or {}).items():
        book.worksheets[0][cell].number_format = number_format
    for name, value in sheets.items():
        book.create_sheet(name)["B2"] = value
    book.save(path)
    return path
