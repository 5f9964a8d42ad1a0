"""The page of a data set: one HTML file with its counts, patients, cells, frames, findings, suspects and split.

`write` makes it. A `Section` is a view of the page: its data, and the script that draws it; `baselines` adds those of runs.
"""

from __future__ import annotations

from pcm_leukemia.report.frames import to_show as frames_to_show
from pcm_leukemia.report.pictures import Pictures
from pcm_leukemia.report.sections import Section, legible, script, style
from pcm_leukemia.report.suspects import SUSPECTS_COLUMNS, SUSPECTS_TABLE, Suspect, read_suspects
from pcm_leukemia.report.writer import data_sections, write, write_sections

__all__ = [
    "SUSPECTS_COLUMNS",
    "SUSPECTS_TABLE",
    "Pictures",
    "Section",
    "Suspect",
    "data_sections",
    "frames_to_show",
    "legible",
    "read_suspects",
    "script",
    "style",
    "write",
    "write_sections",
]
