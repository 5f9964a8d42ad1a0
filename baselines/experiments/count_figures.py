"""The paper's Figure 6: how many cells each class has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcm_leukemia import counting
from pcm_leukemia.baselines.experiments import drawing
from pcm_leukemia.baselines.experiments.drawing import STYLE, WIDTH
from pcm_leukemia.colours import PARTS, of_label
from pcm_leukemia.dataset import Dataset

__all__ = ["draw_counts"]

_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
_LONGEST = 1.4
"""The width of the longest name, in inches."""


def draw_counts(ds: Dataset, path: str | Path) -> Figure:
    """Cells of each class, divided by part if there is a split: Figure 6.

    Parameters
    ----------
    ds
        The data.
    path
        Where to; .png, .pdf or .svg.

    Raises
    ------
    ValueError
        If the file is of another kind.
    ExportError
        If the file cannot be written.
    """
    file = drawing.place(path)
    parts = counting.by_part(ds)
    totals = counting.overall(ds).cells
    with style.context(["default", {**STYLE, "axes.grid.axis": "x"}]):
        figure = Figure(figsize=(WIDTH, 0.7 + 0.26 * len(totals)), layout="constrained")
        axes = figure.subplots()
        ends = np.zeros(len(totals))
        for number, (part, counts) in enumerate(parts.items()):
            widths = np.array([counts.cells[label] for label in totals])
            _bars(axes, widths, ends, part if ds.split else "", number, list(totals))
            ends = ends + widths
        for row, total in enumerate(totals.values()):
            axes.annotate(
                f"{total:,}", (total, row), (3, 0), textcoords="offset points", va="center", fontsize=7
            )
        axes.set_yticks(range(len(totals)), [drawing.column(label, _LONGEST) for label in totals])
        axes.set(xlabel="cells", xlim=(0, 1.12 * max(ends.max(initial=0), 1)), ylim=(len(totals) - 0.4, -0.6))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.tick_params(axis="y", length=0)
        if ds.split:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(parts), frameon=False)
        drawing.save(figure, file)
    return figure


def _bars(
    axes: Axes, widths: np.ndarray, starts: np.ndarray, part: str, number: int, labels: list[str]
) -> None:
    """The bars of one part, or, without one, of all cells in the colours of the classes."""
    colours = [PARTS.get(part, of_label(part))] * len(labels) if part else list(map(of_label, labels))
    axes.barh(
        range(len(labels)),
        widths,
        0.72,
        starts,
        color=colours,
        hatch=_HATCHES[number % len(_HATCHES)] if part else None,
        edgecolor="white",
        linewidth=0.4,
        label=drawing.column(part, _LONGEST) if part else None,
    )
