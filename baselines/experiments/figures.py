"""The paper's figures of scores: precision against recall, and the confusion matrix.

Each function draws into a file (.png, .pdf or .svg, by its name) and returns matplotlib's figure. The same
numbers give the same bytes, whatever style matplotlib is set to: no date and no version is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pcm_leukemia.baselines.experiments import drawing
from pcm_leukemia.baselines.experiments.drawing import DASHES, SMALLEST, STYLE, WIDTH
from pcm_leukemia.baselines.metrics.detection import DetectionScores
from pcm_leukemia.colours import of_label

__all__ = ["draw_confusion", "draw_curves", "draw_detection_confusion"]

_LONGEST = 1.1
"""The width of the longest name of a class, in inches."""


def draw_curves(panels: Mapping[str, DetectionScores], path: str | Path, *, iou: str = "0.5") -> Figure:
    """Precision against recall of each class, with one panel per test set: Figures 2 and 8.

    Parameters
    ----------
    panels
        What to write above each panel, and the scores in it. A class that a set has no cell of has no curve.
    path
        Where to; .png, .pdf or .svg.
    iou
        "0.5": what is right from IoU 0.5 on, with AP50 in the legend; or "mean": the mean over IoU 0.50 to 0.95,
        with AP. The APs in the paper's Figure 2 are the latter: their mean is the mAP of its Table 5.

    Raises
    ------
    ValueError
        If `iou` is neither, the file is of another kind, or there is no panel.
    ExportError
        If the file cannot be written.
    """
    if iou not in ("0.5", "mean"):
        raise ValueError(f'iou "{iou}": must be 0.5 or mean')
    if not panels:
        raise ValueError(f"{path}: no scores to draw; give one panel or more")
    file = drawing.place(path)
    with style.context(["default", STYLE]):
        columns, rows = min(len(panels), 2), -(-len(panels) // 2)
        width, lines = (WIDTH / 2, 1) if columns == 2 else (4.0, 2)
        legend = 0.4 + 0.16 * -(-max(len(scores.curves) + 1 for scores in panels.values()) // lines)
        figure = Figure(figsize=(width * columns, rows * (width + 0.2 + legend)), layout="constrained")
        every = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axes, (title, scores) in zip(every.flat, panels.items(), strict=False):
            _curves(axes, scores, mean=iou == "mean", columns=lines)
            axes.set_title(title)
        for axes in every[:, 0]:
            axes.set_ylabel("precision" if iou == "0.5" else "precision, mean over IoU 0.50 to 0.95")
        for axes in every.flat[len(panels) :]:
            axes.remove()
        drawing.save(figure, file)
    return figure


def draw_detection_confusion(scores: DetectionScores, path: str | Path, *, title: str = "") -> Figure:
    """The confusion matrix of a detector, with missed cells and false detections: Figures 3 and 10.

    See `draw_confusion`.
    """
    return draw_confusion(
        scores.confusion,
        (*scores.labels, "no cell"),
        (*scores.labels, "missed"),
        path,
        title=title or f"score {scores.threshold:g}, IoU {scores.iou:g}",
    )


def draw_confusion(
    counts: Sequence[Sequence[int]] | np.ndarray[Any, Any],
    rows: Sequence[str],
    columns: Sequence[str],
    path: str | Path,
    *,
    title: str = "",
) -> Figure:
    """A confusion matrix: each count, and below it its share of the row, which also sets the shade.

    Parameters
    ----------
    counts
        Cells, a row for each true class and a column for each predicted one.
    rows, columns
        Their names.
    path
        Where to; .png, .pdf or .svg.
    title
        What to write above it.

    Raises
    ------
    ValueError
        If names and counts don't fit together, or the file is of another kind.
    ExportError
        If the file cannot be written.
    """
    table = np.asarray(counts, np.int64)
    if table.shape != (len(rows), len(columns)):
        raise ValueError(
            f"confusion matrix {table.shape}: has {len(rows)} names of rows and {len(columns)} of columns"
        )
    file = drawing.place(path)
    totals = table.sum(1, keepdims=True)
    shares = table / np.maximum(totals, 1)
    with style.context(["default", {**STYLE, "axes.grid": False}]):
        longest = drawing.width_of(f"{table.max(initial=0):,}")
        side = 2.1 + max(0.39, longest + 0.05) * len(columns)  # 6 for nine classes and one more column
        figure = Figure(figsize=(side, 1.3 + 0.36 * len(rows)), layout="constrained")
        axes = figure.subplots()
        drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for row, column in np.argwhere(table).tolist():
            share = shares[row, column]
            text = f"{table[row, column]:,}\n{100 * share:.0f} %"
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=SMALLEST,
                color="white" if share > 0.55 else "#222222",
            )
        named = [drawing.column(name, _LONGEST) for name in columns]
        axes.set_xticks(range(len(columns)), named, rotation=40, ha="right", rotation_mode="anchor")
        names = [
            f"{drawing.column(name, _LONGEST)} ({total:,})"
            for name, total in zip(rows, totals[:, 0].tolist(), strict=True)
        ]
        axes.set_yticks(range(len(rows)), names)
        axes.set_xlabel("predicted")
        axes.set_ylabel("annotated")
        axes.set_title(title)
        _grid(axes, table.shape)
        bar = figure.colorbar(
            drawn, ax=axes, fraction=0.04, pad=0.02, format=PercentFormatter(1, 0, symbol=" %")
        )
        bar.set_label("share of the row")
        bar.outline.set_visible(False)
        drawing.save(figure, file)
    return figure


def _curves(axes: Axes, scores: DetectionScores, *, mean: bool, columns: int) -> None:
    recall = np.linspace(0, 1, 101)
    for number, label in enumerate(scores.labels):
        if label not in scores.curves:
            continue
        curve, of = scores.curves[label], scores.of[label]
        axes.plot(
            recall,
            curve.mean if mean else curve.at50,
            color=of_label(label),
            linestyle=DASHES[number % len(DASHES)],
            **drawing.marks_of(number, len(recall)),
            linewidth=1.3,
            label=f"{drawing.column(label, _LONGEST)}  {_percent(of.ap if mean else of.ap50)}",
        )
    if len(scores.curves) > 1:
        curves = [curve.mean if mean else curve.at50 for curve in scores.curves.values()]
        whole = _percent(scores.overall.ap if mean else scores.overall.ap50)
        axes.plot(recall, np.mean(curves, axis=0), color="black", linewidth=2.2, label=f"mean  {whole}")
    axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="recall", aspect="equal")
    if scores.curves:
        drawing.legend_below(axes, title="AP, IoU 0.50 to 0.95" if mean else "AP at IoU 0.5", columns=columns)


def _grid(axes: Axes, shape: tuple[int, ...]) -> None:
    """White lines between the cells, and a grey one before the row and column that are not classes."""
    rows, columns = shape
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
