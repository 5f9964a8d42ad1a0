"""What all figures have in common: style, colours, the spelling of names, and writing a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pcm_leukemia.colours import CLASSES
from pcm_leukemia.files import new_file

__all__ = ["COLOURS", "DASHES", "STYLE", "legend_below", "literal", "place", "plain", "save"]

COLOURS = tuple(CLASSES.values())
"""The colours of lines that are not classes, such as models."""
DASHES = ("-", "--", "-.")
STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "legend.edgecolor": "white",
    "legend.framealpha": 0.85,
    "svg.hashsalt": "pcm-leukemia",
    "savefig.dpi": 150,
}
_NO_DATE: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


def place(path: str | Path) -> Path:
    """Where to draw; raises ValueError if the file is of another kind than .png, .pdf and .svg."""
    file = Path(path)
    if file.suffix[1:].lower() not in _NO_DATE:
        raise ValueError(
            f"{path}: figures are written as {', '.join(_NO_DATE)}; give the file such an ending"
        )
    return file


def save(figure: Figure, file: Path) -> None:
    """Write a figure, without a date and version; raises ExportError if that fails."""
    form = file.suffix[1:].lower()
    file.parent.mkdir(parents=True, exist_ok=True)
    with new_file(file) as work:
        # tight: a legend or title beyond the planned size makes the figure larger and is not cut off
        figure.savefig(work, format=form, metadata=_NO_DATE[form], bbox_inches="tight")


def legend_below(axes: Axes, *, title: str = "") -> None:
    """A legend below a panel, where it hides no line."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, title=title, fontsize=8)


def plain(name: str) -> str:
    """A name as it is written in a figure.

    Examples
    --------
    >>> plain("macro_f1")
    'macro f1'
    """
    return literal(name.replace("_", " "))


def literal(text: str) -> str:
    r"""A text in which matplotlib does not take dollar signs for a formula.

    Examples
    --------
    >>> print(literal("$5 to $6"))
    \$5 to \$6
    """
    return text.replace("$", r"\$")
