"""Writes a selection: a table, and its frames for CVAT."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from pcm_leukemia.converters import cvat
from pcm_leukemia.errors import option
from pcm_leukemia.files import Report, counts, new_folder

if TYPE_CHECKING:
    from pcm_leukemia.baselines.active_learning import Choice, Selection

__all__ = ["FORM", "FRAMES", "TABLE", "write"]

FORM = "next"
"""The name in the marker file of the folder."""
TABLE, FRAMES = "next.csv", "frames.zip"
COLUMNS = ("image", "rank", "patient", "score", "uncertainty", "novelty", "cells", "reason")


def write(selection: Selection, out: str | Path, *, progress: bool = False) -> Report:
    """Write a selection to a new folder: ``next.csv``, and ``frames.zip`` for CVAT.

    Parameters
    ----------
    selection
        The frames, as `select` returns them.
    out
        A new folder, or one that an earlier call wrote.
    progress
        Whether to show a progress bar.

    Raises
    ------
    ExportError
        If `out` holds something else, or cannot be written, or images are missing.
    """
    with new_folder(out, FORM) as folder:
        with (folder / TABLE).open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(COLUMNS)
            table.writerows(map(_row, selection.chosen))
        frames = selection.frames
        cvat.write(frames, folder / FRAMES, progress=progress)
        notes = [f"{FRAMES} is for CVAT: correct the predicted cells"]
        if not frames.cells:
            lower = f"lower {option('threshold')} to get some"
            notes = [
                f"{FRAMES} is for CVAT: no cell in it has the score that is asked for; {lower}, or draw them all"
            ]
        report = Report(
            FORM,
            Path(out),
            {"chosen": len(frames.images)},
            counts(("chosen", cell.written_label) for cell in frames.cells),
            notes=tuple(notes),
        )
        report.leave_in(
            folder, {"name": selection.name, "strategy": selection.strategy, "seed": selection.seed}
        )
    return report


def _row(each: Choice) -> tuple[object, ...]:
    numbers = (f"{number:.4f}" for number in (each.score, each.uncertainty, each.novelty))
    return (each.image, each.rank, each.patient or "", *numbers, each.cells, each.reason)
