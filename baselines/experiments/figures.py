"""The paper's figures, drawn from scores and logs: precision and recall, confusion, training.

Each function draws into a file (.png, .pdf or .svg, by its name) and gives back matplotlib's figure. The same
numbers give the same bytes, whatever style matplotlib is set to: no date and no version is written.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pcm_leukemia.baselines.contract import DOMAINS
from pcm_leukemia.baselines.experiments import drawing
from pcm_leukemia.baselines.experiments.drawing import COLOURS, DASHES, STYLE
from pcm_leukemia.baselines.metrics.detection import DetectionScores
from pcm_leukemia.colours import of_label
from pcm_leukemia.errors import CorruptFile, DataNotFound

__all__ = ["draw_confusion", "draw_curves", "draw_detection_confusion", "draw_training"]

_SCORES = ("AP", "AP50", "accuracy", "macro_f1", "f1", "precision", "recall")


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
        figure = Figure(figsize=(4.4 * len(panels) + 0.4, 4.6), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for column, (title, scores) in enumerate(panels.items()):
            _curves(axes[column], scores, mean=iou == "mean")
            axes[column].set_title(title)
        axes[0].set_ylabel("precision" if iou == "0.5" else "precision, mean over IoU 0.50 to 0.95")
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
        side = 1.9 + 0.62 * len(columns)
        figure = Figure(figsize=(side + 0.9, 1.3 + 0.56 * len(rows)), layout="constrained")
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
                fontsize=7,
                color="white" if share > 0.55 else "#222222",
            )
        axes.set_xticks(range(len(columns)), [_plain(name) for name in columns], rotation=40, ha="right")
        names = [
            f"{_plain(name)} ({total:,})" for name, total in zip(rows, totals[:, 0].tolist(), strict=True)
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
    phases, borders = _phases(logs)
    kinds = [
        kind for kind in ("loss", "score", "learning rate") if any(_kind(name) == kind for name in phases)
    ]
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(4.3 * len(kinds), 3.6), layout="constrained")
        if title:
            figure.suptitle(title)
        for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
            _lines(axes, kind, {name: line for name, line in phases.items() if _kind(name) == kind})
            for phase, (start, end) in zip(logs, borders, strict=True):
                if len(logs) > 1:
                    middle, across = (start + end) / 2, axes.get_xaxis_transform()
                    axes.text(middle, 1.01, phase, transform=across, ha="center", fontsize=8, color="#555555")
                    axes.set_title(kind, pad=18)
                if start > 1:
                    axes.axvline(start - 0.5, color="#999999", linewidth=0.8)
        drawing.save(figure, file)
    return figure


# What is in a panel


def _curves(axes: Axes, scores: DetectionScores, *, mean: bool) -> None:
    recall = np.linspace(0, 1, 101)
    for number, label in enumerate(scores.labels):
        if label not in scores.curves:
            continue
        curve, of = scores.curves[label], scores.of[label]
        axes.plot(
            recall,
            curve.mean if mean else curve.at50,
            color=of_label(label),
            linestyle=DASHES[number // len(COLOURS) % len(DASHES)],
            linewidth=1.8,
            label=f"{_plain(label)}  {_percent(of.ap if mean else of.ap50)}",
        )
    if len(scores.curves) > 1:
        curves = [curve.mean if mean else curve.at50 for curve in scores.curves.values()]
        whole = _percent(scores.overall.ap if mean else scores.overall.ap50)
        axes.plot(recall, np.mean(curves, axis=0), color="black", linewidth=2.6, label=f"mean  {whole}")
    axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="recall", aspect="equal")
    axes.legend(loc="lower left", title="AP, IoU 0.50 to 0.95" if mean else "AP at IoU 0.5", fontsize=8)


def _grid(axes: Axes, shape: tuple[int, ...]) -> None:
    """White lines between the cells, and a grey one before the row and column that are not classes."""
    rows, columns = shape
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _lines(axes: Axes, kind: str, lines: Mapping[str, tuple[list[float], list[float]]]) -> None:
    """Solid lines for training, dashes for validation, one colour for each pair."""
    families = list(dict.fromkeys(_family(name) for name in lines))
    for name, (epochs, values) in lines.items():
        axes.plot(
            epochs,
            values,
            color=COLOURS[families.index(_family(name)) % len(COLOURS)],
            linestyle="--" if name.startswith("val_") and kind == "loss" else "-",
            linewidth=1.6,
            marker="." if len(epochs) < 3 else None,
            label=_plain(name),
        )
    axes.set(title=kind, xlabel="epoch", xlim=(1, max(max(epochs) for epochs, _ in lines.values()) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    if kind == "score":
        axes.set_ylim(0, 1)
        name, (epochs, values) = max(lines.items(), key=lambda item: item[0] in ("val_AP", "val_macro_f1"))
        best = int(np.nanargmax(values))
        axes.axvline(epochs[best], color="#999999", linestyle=":", linewidth=1.2)
        text = f"best {_plain(name)}: {values[best]:.3f}, epoch {epochs[best]:g}"
        axes.text(
            0.98,
            0.04,
            text,
            transform=axes.transAxes,
            ha="right",
            fontsize=8,
            color="#555555",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2},
        )
    elif kind == "learning rate":
        axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(fontsize=8, loc="upper left" if kind == "score" else "upper right")


# Logs


def _phases(
    logs: Mapping[str, str | Path],
) -> tuple[dict[str, tuple[list[float], list[float]]], list[tuple[float, float]]]:
    """The (epochs, values) of each column over all phases, and the first and last epoch of each phase."""
    columns: dict[str, tuple[list[float], list[float]]] = {}
    borders: list[tuple[float, float]] = []
    before = 0.0
    for file in logs.values():
        for epochs, values in columns.values():  # no line from one phase to the next
            epochs.append(before + 0.5)
            values.append(np.nan)
        last = before
        for epoch, row in _rows(Path(file)):
            last = max(last, before + epoch)
            for name, value in row.items():
                epochs, values = columns.setdefault(name, ([], []))
                epochs.append(before + epoch)
                values.append(value)
        borders.append((before + 1, last))
        before = last
    return columns, borders


def _rows(file: Path) -> Iterator[tuple[float, dict[str, float]]]:
    """The epoch and the numbers in each line of a log."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise DataNotFound(f"{file}: cannot be read ({error}); give the CSV in a run's logs/") from error
    try:
        parsed = [(float(row["epoch"]), row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile(
            f"{file}: has no column epoch of numbers ({error!r}); give the CSV in a run's logs/"
        ) from error
    if not parsed or any(later < earlier for (earlier, _), (later, _) in pairwise(parsed)):
        raise CorruptFile(f"{file}: has no epochs in their order; give the CSV in a run's logs/")
    for epoch, row in parsed:
        numbers = ((name, _number(text)) for name, text in row.items() if name not in ("epoch", "step", None))
        yield epoch, {name: value for name, value in numbers if value is not None}


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _kind(name: str) -> str:
    """The panel that a column belongs to."""
    if name in ("lr", "rate") or name.startswith(("lr_", "rate_")):
        return "learning rate"
    family = _family(name)
    is_score = family in _SCORES or family.rpartition("_")[2] in DOMAINS
    return "score" if is_score else "loss"


def _family(name: str) -> str:
    """The quantity in a column, in training or validation."""
    return name.removeprefix("train_").removeprefix("val_")


# Texts


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
