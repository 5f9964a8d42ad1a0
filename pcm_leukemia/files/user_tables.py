"""Tables that people make in a spreadsheet, such as a list of patients: CSV as spreadsheets save it, or .xlsx."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pcm_leukemia.errors import CorruptFile, DataNotFound, Problem
from pcm_leukemia.files.reading import GIT_LFS, PULL

__all__ = ["UserRow", "UserTable", "read_user_table", "wrong_rows"]

_SAVE_CSV = "save it as CSV in UTF-8"
_SAVE = "save it as .xlsx, or as CSV in UTF-8"
_OTHER_FILES = {
    b"PK": ("a zip file", "give the table in it, as .xlsx or as CSV in UTF-8"),
    b"\xd0\xcf\x11\xe0": (
        "an Excel file",
        "save it as .xlsx without a password, or as CSV in UTF-8",
    ),
    b"%PDF": ("a PDF file", _SAVE),
    b"\x1f\x8b": ("a gzip file", "unpack it"),
    b"<": ("an HTML or XML file", _SAVE),
    b"{": ("a JSON file", _SAVE),
    GIT_LFS: ("a Git LFS pointer", PULL),
}
"""First bytes -> what people give in place of a table, and what to do."""
_SPREADSHEETS = {b"opendocument": "a LibreOffice file", b"Index/": "a Numbers file"}
"""What is in a zip file -> the program that wrote it."""
_COMMENT = re.compile(r"# \w+: ")


class UserRow(NamedTuple):
    """A row of a table: its line, its values without blanks around them, and what is wrong with single values.

    `wrong` has the index of a value -> what is wrong with it and how to correct it, for values that a spreadsheet has
    changed. They matter only in columns that are read.
    """

    line: int
    values: list[str]
    wrong: Mapping[int, tuple[str, str]] = {}


@dataclass(frozen=True, slots=True)
class UserTable:
    """A table: the names of its columns, and its rows that are not empty."""

    path: str
    header: list[str]
    header_line: int
    rows: list[UserRow] = field(repr=False)

    @property
    def where(self) -> str:
        """The place of the header, for messages."""
        return f"{self.path}:{self.header_line}"

    def take(self, *columns: int) -> tuple[list[tuple[int, list[str]]], list[Problem]]:
        """Return the line and the values in some columns of each row, and the problems of the rows.

        A row with more values than there are columns is a problem, and so is a value that a spreadsheet has changed.
        """
        taken: list[tuple[int, list[str]]] = []
        long: list[int] = []
        problems: list[Problem] = []
        for row in self.rows:
            if any(row.values[len(self.header) :]):
                long.append(row.line)
                continue
            problems += [
                Problem(f"{self.path}: cell {_letter(column)}{row.line}", *row.wrong[column])
                for column in columns
                if column in row.wrong
            ]
            values = row.values + [""] * len(self.header)
            taken.append((row.line, [values[column] for column in columns]))
        more = f"has more values than the {len(self.header)} columns"
        return taken, [*problems, *wrong_rows(self.path, {(more, "quote values with commas"): long})]


def read_user_table(path: str | Path, wanted: str) -> UserTable:
    r"""Read a table.

    Parameters
    ----------
    path
        A CSV with commas, semicolons, tabs or bars, in UTF-8 (or UTF-16 with its mark); or an .xlsx.
    wanted
        The columns that it should have, for messages: "path and patient".

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If the file is not a table.
    MissingExtra
        If it is an .xlsx and openpyxl is not installed.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "patients.csv"
    >>> _ = file.write_text("sep=;\npath;patient\na.png; 007 \n")
    >>> read_user_table(file, "path and patient").take(1)
    ([(3, ['007'])], [])
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataNotFound(
            f"{path}: cannot be read ({error.strerror}); give the path of a CSV or .xlsx with the columns {wanted}"
        ) from error
    if data.startswith(b"PK") and b"xl/" in data:
        from pcm_leukemia.files.workbooks import read_workbook

        rows = read_workbook(str(path), data)
    else:
        rows = _csv_rows(path, _text(path, data))
    if not rows:
        raise CorruptFile(f"{path}:1: names no columns; give a table with the columns {wanted}")
    header, *rest = rows
    return UserTable(
        str(path), header.values, header.line, [row for row in rest if any(row.values) or row.wrong]
    )


def _text(path: str | Path, data: bytes) -> str:
    for start, (kind, fix) in _OTHER_FILES.items():
        if data[:1000].lstrip().startswith(start):
            sheets = (name for mark, name in _SPREADSHEETS.items() if start == b"PK" and mark in data)
            sheet = next(sheets, None)
            raise CorruptFile(f"{path}: is {sheet or kind}, not a CSV or .xlsx; {_SAVE if sheet else fix}")
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptFile(f"{path}: is not in UTF-8; {_SAVE_CSV}") from error
    if "\0" in text:
        raise CorruptFile(f"{path}: is not text in UTF-8; {_SAVE_CSV}")
    return text


def _csv_rows(path: str | Path, text: str) -> list[UserRow]:
    """All rows from the header on; above it may be Excel's line "sep=;", or a comment such as "# version: 2"."""
    lines = io.StringIO(text, newline="")
    first = next(lines, "")
    while _COMMENT.match(first):
        first = next(lines, "")
    delimiter = _delimiter(first)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[UserRow] = []
    try:
        for values in reader:
            line = delimiter.join(values)
            if rows or not (_COMMENT.match(line) or _named(line)):
                rows.append(UserRow(reader.line_num, [_value(value) for value in values]))
    except csv.Error as error:
        raise CorruptFile(f"{path}:{reader.line_num}: is not a CSV ({error}); {_SAVE_CSV}") from error
    return rows


def _named(line: str) -> str:
    """The delimiter that Excel's first line names, "sep=;"; "" for any other line."""
    named = re.fullmatch(r'"?sep=(.)"?', line.strip(), re.IGNORECASE)
    return named[1] if named else ""


def _delimiter(line: str) -> str:
    """What separates the values, from Excel's "sep=;" or from the header; a comma, if there is only one column."""
    if named := _named(line):
        return named
    unquoted = re.sub(r'"[^"]*"', "", line)
    return max(",;\t|", key=unquoted.count)


def _value(text: str) -> str:
    """A value without blanks around it, and without the form ="007" that keeps zeros in a spreadsheet."""
    text = text.strip()
    formula = re.fullmatch(r'="([^"]*)"', text)
    return formula[1].strip() if formula else text


def _letter(column: int) -> str:
    """The name of a column in a spreadsheet: A for 0, AA for 26.

    Examples
    --------
    >>> [_letter(column) for column in (0, 25, 26, 701, 702)]
    ['A', 'Z', 'AA', 'ZZ', 'AAA']
    """
    name = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def wrong_rows(path: str | Path, wrong: Mapping[tuple[str, str], Sequence[int]]) -> Iterable[Problem]:
    """One problem for each kind of wrong row: (what, fix) -> the lines.

    Examples
    --------
    >>> for problem in wrong_rows("p.csv", {("has no patient", "fill it in"): [3, 4], ("has no path", "add it"): [7]}):
    ...     print(problem)
    p.csv: 2 rows (lines 3, 4) have no patient; fill it in
    p.csv:7: has no path; add it
    """
    for (what, fix), lines in wrong.items():
        if len(lines) == 1:
            yield Problem(f"{path}:{lines[0]}", what, fix)
        elif lines:
            have = what.replace("has ", "have ").replace("names ", "name ")
            rows = f"{len(lines):,} rows (lines {', '.join(map(str, lines[:5]))}{', ...' * (len(lines) > 5)})"
            yield Problem(f"{path}", f"{rows} {have}", fix)
