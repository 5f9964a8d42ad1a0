"""What a notebook shows in place of `repr`: HTML for data sets, splits, reports of writers, and findings.

A method `_repr_html_` calls `of_dataset` and the like. The pieces (`frame`, `table`, `count_table`, ...) serve whatever else is
written as HTML.
"""

from __future__ import annotations

from pcm_leukemia.notebook.data import of_dataset, of_split
from pcm_leukemia.notebook.elements import Child, Element, clipped, element, html
from pcm_leukemia.notebook.pieces import (
    Bar,
    count_table,
    facts,
    folded,
    frame,
    hint,
    table,
    warnings_box,
)
from pcm_leukemia.notebook.results import of_checked, of_report

__all__ = [
    "Bar",
    "Child",
    "Element",
    "clipped",
    "count_table",
    "element",
    "facts",
    "folded",
    "frame",
    "hint",
    "html",
    "of_checked",
    "of_dataset",
    "of_report",
    "of_split",
    "table",
    "warnings_box",
]
