"""The paper's figures of training, drawn from a run's logs; see `figures` for what they have in common."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pcm_leukemia.baselines.contract import DOMAINS
from pcm_leukemia.baselines.experiments import drawing
from pcm_leukemia.baselines.experiments.drawing import COLOURS, SMALLEST, STYLE, WIDTH, plain
from pcm_leukemia.errors import CorruptFile, DataNotFound

__all__ = ["draw_training", "logs_of"]

_LONGEST = 1.1
"""The width of the longest name in a legend, in inches."""
_SCORES = ("AP", "AP50", "accuracy", "macro_f1", "f1", "precision", "recall")


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
        figure = Figure(figsize=(WIDTH, 1.9 * len(kinds)), layout="constrained")
        if title:
            figure.suptitle(title)
        for axes, kind in zip(figure.subplots(len(kinds), 1, squeeze=False)[:, 0], kinds, strict=True):
            _lines(axes, kind, {name: line for name, line in phases.items() if _kind(name) == kind})
            for phase, (start, end) in zip(logs, borders, strict=True):
                if len(logs) > 1:
                    middle, across = (start + end) / 2, axes.get_xaxis_transform()
                    axes.text(
                        middle, 1.01, phase, transform=across, ha="center", fontsize=SMALLEST, color="#555555"
                    )
                    axes.set_title(kind, pad=15)
                if start > 1:
                    axes.axvline(start - 0.5, color="#999999", linewidth=0.8)
        drawing.save(figure, file)
    return figure


def logs_of(run: Path) -> dict[str, Path]:
    """The phases of a run, given by its folder, and the log of each."""
    logs = sorted((run / "logs").glob("*.csv"), key=lambda file: file.stem != "probe")
    return {file.stem: file for file in logs}


def _lines(axes: Axes, kind: str, lines: Mapping[str, tuple[list[float], list[float]]]) -> None:
    """Solid lines for training, dashes for validation, one colour for each pair."""
    families = list(dict.fromkeys(_family(name) for name in lines))
    for name, (epochs, values) in lines.items():
        axes.plot(
            epochs,
            values,
            color=COLOURS[families.index(_family(name)) % len(COLOURS)],
            linestyle="--" if name.startswith("val_") and kind == "loss" else "-",
            linewidth=1.3,
            **drawing.marks_of(families.index(_family(name)), len(epochs)),
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
