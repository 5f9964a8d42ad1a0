"""Reads a map of labels from a file: CSV or .xlsx with the columns label and class."""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.errors import CorruptFile, InvalidExport, Problem
from pcm_leukemia.files import read_user_table, wrong_rows
from pcm_leukemia.schema import IGNORE, letters

__all__ = ["read_label_map"]

_NAMES = {"label": ("label", "raw", "rawlabel"), "class": ("class",)}
"""The accepted names of each column, in lower case, without blanks, underscores and dashes; `raw` as in the maps of public data sets."""


def read_label_map(path: str | Path) -> dict[str, str]:
    r"""Read which class each label of the data becomes.

    Parameters
    ----------
    path
        A CSV (with commas, semicolons or tabs) or an .xlsx with the columns label and class. A class is one of the data or
        of the nine, "WBC" for white cells of unknown type, or "ignore". Other columns, such as reason, are not read.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If the file is not such a table.
    InvalidExport
        If rows lack a label or a class, or give a label two classes: every such row is listed.
    MissingExtra
        If it is an .xlsx and openpyxl is not installed.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "map.csv"
    >>> _ = file.write_text("label;class;reason\nBlast;Lymphoblast;ALL only\nsmudge;ignore;damaged\n")
    >>> read_label_map(file)
    {'Blast': 'Lymphoblast', 'smudge': 'ignore'}
    """
    table = read_user_table(path, "label and class")
    columns = []
    for meaning, names in _NAMES.items():
        places = [place for place, name in enumerate(table.header) if letters(name) in names]
        if len(places) != 1:
            has = "several columns" if places else "no column"
            raise CorruptFile(f"{table.where}: has {has} for the {meaning}; begin it with label,class")
        columns += places
    taken, problems = table.take(*columns)
    labels: dict[str, str] = {}
    wrong: dict[tuple[str, str], list[int]] = {}
    for line, (label, named) in taken:
        class_ = IGNORE if named.casefold() == IGNORE else named
        if not (label and class_):
            what = "has no class" if label else "names no label"
            wrong.setdefault((what, "fill it in, or delete the row"), []).append(line)
        elif labels.setdefault(label, class_) != class_:
            what = f'reads "{label}" as {class_}, and a row above reads it as {labels[label]}'
            problems.append(Problem(f"{path}:{line}", what, "keep one of them"))
    if problems := [*wrong_rows(path, wrong), *problems]:
        raise InvalidExport(problems)
    return labels
