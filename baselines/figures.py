"""The paper's figures, of anybody's runs: curves of precision over recall, of training, and confusion matrices.

Files hold no date and no version, so that the same numbers give the same bytes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcm_leukemia import output
from pcm_leukemia.baselines.detection_scores import DetectionScores
from pcm_leukemia.errors import DataNotFound

__all__ = ["confusion", "precision_recall", "training"]

_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "svg.hashsalt": "pcm-leukemia",
}
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee7733", "#009988", "#777777")
RECALL = np.linspace(0, 1, 101)


def precision_recall(scores: Mapping[str, DetectionScores], path: str | Path) -> Figure:
    """Precision over recall at IoU 0.5, a curve for each class, a panel for each test set (Figures 2 and 8).

    Parameters
    ----------
    scores
        Test set -> a detector's scores on it.
    path
        Where the picture goes; ``.png``, ``.svg`` or ``.pdf``.
    """
    with _figure(path, len(scores)) as (figure, axes):
        for panel, (name, found) in zip(axes, scores.items(), strict=True):
            for colour, (label, curve) in zip(_repeated(), found.curves.items(), strict=False):
                average = found.of[label].ap50
                told = label if average is None else f"{label}  {100 * average:.1f}"
                panel.plot(RECALL, curve.at50, color=colour, label=told, linewidth=1.6)
            overall = found.overall.ap50
            panel.set(title=name, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
            panel.legend(
                title="AP50, %" + ("" if overall is None else f" (mean {100 * overall:.1f})"),
                loc="lower left",
            )
    return figure


def confusion(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[int]],
    path: str | Path,
    title: str = "",
) -> Figure:
    """A confusion matrix: counts, shaded by their share of the row (Figures 3 and 10).

    Parameters
    ----------
    rows, columns
        What is true, and what was predicted; those of a detector end with "spurious" and "missed".
    cells
        How many, a list for each row.
    path
        Where the picture goes.
    title
        Above it.
    """
    counts = np.asarray(cells)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 1.6 + 0.62 * max(len(rows), len(columns))
    with _figure(path, 1, (side + 1, side)) as (figure, (panel,)):
        panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        panel.grid(visible=False)
        panel.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
        panel.set_yticks(range(len(rows)), rows)
        panel.set(xlabel="predicted", ylabel="annotated", title=title)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.55 else "black"
                text = f"{count:,}\n{100 * shares[row, column]:.0f} %"
                panel.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    return figure


def training(logs: str | Path, path: str | Path) -> Figure:
    """Losses and scores over the epochs of a run (Figures 7 and 9).

    Parameters
    ----------
    logs
        The ``logs`` folder of a run: every CSV file in it with a column "epoch" is drawn, one after the other.
    path
        Where the picture goes.

    Raises
    ------
    DataNotFound
        If there is no such file.
    """
    phases = [(file.stem, _columns(file)) for file in sorted(Path(logs).glob("*.csv"), key=_phase)]
    phases = [(name, columns) for name, columns in phases if "epoch" in columns]
    if not phases:
        raise DataNotFound(f"{logs}: holds no log of epochs; give the logs folder of a run")
    with _figure(path, 2) as (figure, (losses, scores)):
        start = 0.0
        colours: dict[str, str] = {}
        for _, columns in phases:
            epochs = [start + epoch for epoch in columns["epoch"]]
            for name, values in columns.items():
                if name in ("epoch", "step") or name.startswith(("lr", "learning_rate")):
                    continue
                panel = losses if "loss" in name else scores
                first = name not in colours
                colour = colours.setdefault(name, _COLOURS[len(colours) % len(_COLOURS)])
                shown = [(x, y) for x, y in zip(epochs, values, strict=True) if not np.isnan(y)]
                if shown:
                    x, y = zip(*shown, strict=True)
                    panel.plot(
                        x, y, color=colour, label=name if first else None, marker="." if len(x) < 3 else None
                    )
            start = max(epochs) + 1
        losses.set(title="losses", xlabel="epoch")
        scores.set(title="scores on val", xlabel="epoch")
        for panel in (losses, scores):
            if panel.lines:
                panel.legend(fontsize=7)
    return figure


def _phase(file: Path) -> tuple[bool, str]:
    """Linear probing comes before tuning."""
    return (not file.stem.startswith("probe"), file.stem)


def _columns(file: Path) -> dict[str, list[float]]:
    """The numbers of a log by column, a row for each epoch: what is logged on several lines is brought together."""
    with file.open(encoding="utf-8", newline="") as stream:
        lines = [
            {key.strip(): value for key, value in line.items() if key} for line in csv.DictReader(stream)
        ]
    rows: dict[float, dict[str, float]] = {}
    for line in lines:
        if line.get("epoch"):
            row = rows.setdefault(float(line["epoch"]), {})
            row.update({key: float(value) for key, value in line.items() if value not in ("", None)})
    names = dict.fromkeys(name for row in rows.values() for name in row)
    return {name: [row.get(name, float("nan")) for row in rows.values()] for name in names}


def _repeated() -> Iterator[str]:
    while True:
        yield from _COLOURS


@contextmanager
def _figure(
    path: str | Path, panels: int, size: tuple[float, float] | None = None
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure with panels side by side; written when the block ends well."""
    path = Path(path)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size or (5.6 * panels, 3.8), layout="constrained")
        axes = list(np.atleast_1d(figure.subplots(1, panels)))
        yield figure, axes
        path.parent.mkdir(parents=True, exist_ok=True)
        without = {
            "png": {"Software": None},
            "svg": {"Date": None},
            "pdf": {"CreationDate": None, "Producer": None},
        }
        form = path.suffix.removeprefix(".")
        with output.new_file(path) as work:
            figure.savefig(work, format=form, dpi=150, metadata=without.get(form))
