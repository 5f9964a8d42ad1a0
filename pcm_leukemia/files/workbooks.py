"""Reads the table in an .xlsx as text, and says where Excel holds something else than what was typed."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from pcm_leukemia.errors import CorruptFile, MissingExtra
from pcm_leukemia.files.reading import BAD_CONTENT
from pcm_leukemia.files.user_tables import UserRow

if TYPE_CHECKING:
    from openpyxl import Workbook

__all__ = ["read_workbook"]

_DIGITS = 15
"""Excel keeps this many digits of a number."""
_RETYPE = "format the column as text and type it again"


def read_workbook(path: str, data: bytes) -> list[UserRow]:
    """Read the rows of the only sheet with content; empty rows are left out.

    Raises
    ------
    MissingExtra
        If openpyxl is not installed.
    CorruptFile
        If it cannot be read, or several sheets have content.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise MissingExtra("openpyxl", "xlsx") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of styles and features that do not matter here
            values, formulas = (
                openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=data_only)
                for data_only in (True, False)
            )
            found = {sheet.title: list(_rows(values, formulas, sheet.title)) for sheet in values.worksheets}
    except (*BAD_CONTENT, OSError, EOFError, zipfile.BadZipFile, ParseError) as error:
        raise CorruptFile(
            f"{path}: is an Excel file that cannot be read ({error}); save it again, or as CSV in UTF-8"
        ) from error
    filled = {name: rows for name, rows in found.items() if rows}
    if len(filled) > 1:
        named = ", ".join(f'"{name}"' for name in filled)
        raise CorruptFile(
            f"{path}: has several sheets with content ({named}); keep the sheet with the table alone"
        )
    return next(iter(filled.values()), [])


def _rows(values: Workbook, formulas: Workbook, sheet: str) -> Iterator[UserRow]:
    """The rows of a sheet that are not empty; a formula has its value as Excel computed it."""
    both = zip(values[sheet].iter_rows(), formulas[sheet].iter_rows(), strict=True)
    for line, (row, typed) in enumerate(both, 1):
        texts: list[str] = []
        wrong: dict[int, tuple[str, str]] = {}
        for column, (cell, source) in enumerate(zip(row, typed, strict=True)):
            text = _text(cell)
            if cell.value is None and source.value is not None:
                text = ("is a formula without a value", "open the file in Excel and save it")
            if isinstance(text, tuple):
                wrong[column] = text
                text = str(source.value)
            texts.append(text)
        if any(texts):
            yield UserRow(line, texts, wrong)


def _text(cell: Any) -> str | tuple[str, str]:
    """The text that was typed into a cell; or what is wrong with it, and how to correct it."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return (f"is the error {value}", "correct the formula") if cell.data_type == "e" else value.strip()
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, date | time | timedelta):
        shown = str(value).removesuffix(" 00:00:00")
        return f"is a date ({shown}), which Excel also makes of text such as 3-5", _RETYPE
    if not isinstance(value, int | float):
        return f"is a {type(value).__name__}", _RETYPE
    if value != int(value):
        return repr(value)
    if abs(value) >= 10**_DIGITS:
        return f"is a number of more than {_DIGITS} digits, which Excel rounds", _RETYPE
    zeros = re.fullmatch("0+", str(cell.number_format))  # the format 000 shows 7 as 007
    return f"{int(value):0{len(zeros[0]) if zeros else 1}d}"
