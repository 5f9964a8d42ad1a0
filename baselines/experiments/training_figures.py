"""The paper's figures of training, drawn from a run's logs; see `figures` for what they have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pcm_leukemia.baselines.epoch_log import Kind, family_of, kind_of, read_epochs
from pcm_leukemia.baselines.experiments import drawing
from pcm_leukemia.baselines.experiments.drawing import COLOURS, SMALLEST, STYLE, WIDTH, plain

__all__ = ["draw_training"]

_LONGEST = 1.1
"""The width of the longest name in a legend, in inches."""


def draw_training(logs: Mapping[str, str | Path], path: str | Path, *, title: str = "") -> Figure:
    """Losses, scores and the learning rate over the epochs: Figures 7 and 9.

    Parameters
    ----------
    logs
        The phases of a training, in their order, and the table of each: a CSV as the models leave it in their
        ``logs/``, with the column ``epoch`` and any others. Those that hold no number are passed over.
    path
        Where to; .png, .pdf or .svg.
    title
        What to write above it.

    Raises
    ------
    DataNotFound, CorruptFile
        If a log is missing, or is not a log.
    ValueError
        If there is no log, or the file is of another kind.
    ExportError
        If the file cannot be written.
    """
    if not logs:
        raise ValueError(f"{path}: no log to draw; give one or more")
    file = drawing.place(path)
    lines, phases = read_epochs(logs)
    kinds = [kind for kind in get_args(Kind) if any(kind_of(name) == kind for name in lines)]
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(WIDTH, 1.9 * len(kinds)), layout="constrained")
        if title:
            figure.suptitle(title)
        for axes, kind in zip(figure.subplots(len(kinds), 1, squeeze=False)[:, 0], kinds, strict=True):
            _lines(axes, kind, {name: line for name, line in lines.items() if kind_of(name) == kind})
            for phase, (start, end) in phases.items():
                if len(phases) > 1:
                    middle, across = (start + end) / 2, axes.get_xaxis_transform()
                    axes.text(
                        middle, 1.01, phase, transform=across, ha="center", fontsize=SMALLEST, color="#555555"
                    )
                    axes.set_title(kind, pad=15)
                if start > 1:
                    axes.axvline(start - 0.5, color="#999999", linewidth=0.8)
        drawing.save(figure, file)
    return figure


def _lines(axes: Axes, kind: str, lines: Mapping[str, tuple[list[float], list[float]]]) -> None:
    """Solid lines for training, dashes for validation, one colour for each pair."""
    families = list(dict.fromkeys(family_of(name) for name in lines))
    for name, (epochs, values) in lines.items():
        axes.plot(
            epochs,
            values,
            color=COLOURS[families.index(family_of(name)) % len(COLOURS)],
            linestyle="--" if name.startswith("val_") and kind == "loss" else "-",
            linewidth=1.3,
            **drawing.marks_of(families.index(family_of(name)), len(epochs)),
            label=drawing.column(name, _LONGEST),
        )
    every = [epoch for epochs, _ in lines.values() for epoch in epochs]
    axes.set(title=kind, xlabel="epoch", xlim=(min(1, *every), max(every) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    if kind == "score":
        axes.set_ylim(0, 1)
        name, (epochs, values) = max(lines.items(), key=lambda item: item[0] in ("val_AP", "val_macro_f1"))
        best = int(np.nanargmax(values))
        axes.axvline(epochs[best], color="#999999", linestyle=":", linewidth=1.2)
        text = f"best {plain(name)}: {values[best]:.3f}, epoch {epochs[best]:g}"
        axes.text(
            0.98,
            0.08,
            text,
            transform=axes.transAxes,
            ha="right",
            fontsize=SMALLEST,
            color="#444444",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2},
        )
    elif kind == "learning rate":
        axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.04), handlelength=2.6)
