"""Figures of a classifier's confidence: the reliability diagram, and accuracy over coverage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pcm_leukemia.baselines.experiments import drawing
from pcm_leukemia.baselines.experiments.drawing import COLOURS, DASHES, STYLE, WIDTH
from pcm_leukemia.baselines.metrics.bootstrap import percent
from pcm_leukemia.baselines.metrics.calibration import Calibration
from pcm_leukemia.baselines.metrics.coverage import Selective

__all__ = ["draw_coverage", "draw_reliability"]

_IN_A_ROW = 2


def draw_reliability(panels: Mapping[str, Calibration], path: str | Path) -> Figure:
    """Accuracy against confidence, with the share of cells at each confidence; on the diagonal if calibrated.

    Parameters
    ----------
    panels
        What to write above each panel, and the calibration in it, as it is and at the fitted temperature.
    path
        Where to; .png, .pdf or .svg.

    Raises
    ------
    ValueError
        If the file is of another kind, or there is no panel.
    ExportError
        If the file cannot be written.
    """
    file = _checked(panels, path)
    rows, columns = -(-len(panels) // _IN_A_ROW), min(len(panels), _IN_A_ROW)
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(WIDTH / 2 * columns, 3.7 * rows), layout="constrained")
        every = figure.subplots(rows, columns, squeeze=False).flat
        for axes, (title, calibration) in zip(every, panels.items(), strict=False):
            _reliability(axes, calibration)
            axes.set_title(title)
        for axes in every[len(panels) :]:
            axes.set_visible(False)
        drawing.save(figure, file)
    return figure


def draw_coverage(panels: Mapping[str, Mapping[str, Selective]], path: str | Path) -> Figure:
    """Accuracy of the surest cells against their share, a line for each model, with some 95 % intervals.

    The legend has the area under each model's risk-coverage curve (AURC).

    Parameters
    ----------
    panels
        What to write above each panel, and in it the models by name.
    path
        Where to; .png, .pdf or .svg.

    Raises
    ------
    ValueError
        If the file is of another kind, or there is no panel.
    ExportError
        If the file cannot be written.
    """
    file = _checked(panels, path)
    with style.context(["default", STYLE]):
        columns, rows = min(len(panels), _IN_A_ROW), -(-len(panels) // _IN_A_ROW)
        figure = Figure(figsize=(4.0 if columns == 1 else WIDTH, 3.0 * rows), layout="constrained")
        every = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axes, (title, models) in zip(every.flat, panels.items(), strict=False):
            for number, (name, selective) in enumerate(models.items()):
                _coverage(axes, name, selective, number)
            axes.set(title=title, xlabel="share of cells, surest first", xlim=(0, 1.02))
            axes.xaxis.set_major_formatter(PercentFormatter(1, 0, symbol=" %"))
            axes.yaxis.set_major_formatter(PercentFormatter(1, 0, symbol=" %"))
            axes.legend(loc="best")
        for axes in every[:, 0]:
            axes.set_ylabel("accuracy")
        for axes in every.flat[len(panels) :]:
            axes.remove()
        drawing.save(figure, file)
    return figure


def _checked(panels: Mapping[str, object], path: str | Path) -> Path:
    if not panels:
        raise ValueError(f"{path}: no scores to draw; give one panel or more")
    return drawing.place(path)


def _reliability(axes: Axes, calibration: Calibration) -> None:
    axes.plot((0, 1), (0, 1), color="#999999", linestyle=":", linewidth=1.2)
    cells = np.array([each.cells for each in calibration.bins])
    lows, highs = (np.array([getattr(each, side) for each in calibration.bins]) for side in ("low", "high"))
    shares = cells / max(cells.sum(), 1)
    axes.bar(lows, shares, highs - lows, align="edge", color="#dddddd", label="share of cells")
    lines = [("as predicted", calibration)]
    if calibration.scaled is not None:
        lines.append((f"at temperature {calibration.temperature:.2f}", calibration.scaled))
    for number, (name, each) in enumerate(lines):
        known = [one for one in each.bins if one.cells]
        axes.plot(
            [one.confidence for one in known],
            [one.accuracy for one in known],
            color=COLOURS[number],
            linestyle=DASHES[number],
            marker="o",
            markersize=3.5,
            linewidth=1.6,
            label=f"{name}: ECE {percent(each.ece.value)} %",
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy", aspect="equal")
    drawing.legend_below(axes, columns=1)


def _coverage(axes: Axes, name: str, selective: Selective, number: int) -> None:
    colour = COLOURS[number % len(COLOURS)]
    shares = np.linspace(0, 1, len(selective.curve) + 1)[1:]
    axes.plot(
        shares,
        selective.curve,
        color=colour,
        linestyle=DASHES[number % len(DASHES)],
        linewidth=1.6,
        label=f"{name}: AURC {percent(selective.aurc.value)} %",
    )
    for coverage, accuracy in selective.accuracies.items():
        if accuracy.interval is not None:  # beside those of other models
            place = coverage - 0.005 * number
            axes.plot((place, place), accuracy.interval, color=colour, linewidth=1, alpha=0.6)
