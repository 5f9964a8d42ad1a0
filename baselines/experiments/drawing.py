"""What all figures have in common: width, style, colours, the spelling of names, and writing a file."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageFont
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from pcm_leukemia.colours import CLASSES
from pcm_leukemia.drawing import fitting
from pcm_leukemia.files import new_file
from pcm_leukemia.images import Pixels

__all__ = [
    "COLOURS",
    "DASHES",
    "DOTS",
    "FORMS",
    "SMALLEST",
    "STYLE",
    "WIDTH",
    "blank",
    "column",
    "font_of_size",
    "legend_below",
    "literal",
    "marks_of",
    "place",
    "plain",
    "save",
    "show",
    "width_of",
    "wrapped",
    "write",
]

_MARGIN = 0.02
WIDTH = 6 - 2 * _MARGIN
"""The widest figure in inches: with its margin it is as wide as the text of the paper."""
SMALLEST = 7
"""The size of the smallest text in points, if a figure is printed as wide as it was drawn."""
DOTS = 300
"""Pixels in an inch of print."""
COLOURS = tuple(CLASSES.values())
"""The colours of lines that are not classes, such as models."""
DASHES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "v", "D", "P", "X", "*", "d")
_FAMILY = "DejaVu Sans"
"""Comes with matplotlib."""
STYLE: Any = {
    "font.family": _FAMILY,
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "xtick.labelsize": SMALLEST,
    "ytick.labelsize": SMALLEST,
    "hatch.linewidth": 0.8,
    "legend.edgecolor": "white",
    "legend.fontsize": SMALLEST,
    "legend.framealpha": 0.85,
    "legend.title_fontsize": SMALLEST,
    "pdf.fonttype": 42,  # printers and proceedings refuse Type 3 fonts
    "svg.hashsalt": "pcm-leukemia",
    "savefig.dpi": DOTS,
}
_NO_DATE: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}
FORMS = tuple(_NO_DATE)
"""The kinds of files that figures are written as."""


def place(path: str | Path) -> Path:
    """Where to draw; raises ValueError if the file is of another kind than .png, .pdf and .svg."""
    file = Path(path)
    if file.suffix[1:].lower() not in FORMS:
        raise ValueError(f"{path}: figures are written as {', '.join(FORMS)}; give the file such an ending")
    return file


def save(figure: Figure, file: Path) -> None:
    """Write a figure, without a date and version; raises ExportError if that fails."""
    form = file.suffix[1:].lower()
    file.parent.mkdir(parents=True, exist_ok=True)
    with new_file(file) as work:
        # tight: a legend or title beyond the planned size makes the figure larger and is not cut off
        figure.savefig(work, format=form, metadata=_NO_DATE[form], bbox_inches="tight", pad_inches=_MARGIN)


def blank(height: float) -> Figure:
    """A figure as wide as the paper's text and so many inches high, on which `show` and `write` put what they are given."""
    return Figure(figsize=(WIDTH, height))


def show(
    figure: Figure,
    pixels: Pixels | PIL.Image.Image,
    place: tuple[float, float, float, float],
    colour: str = "",
) -> Axes:
    """Put an image into a rectangle: left, top, width and height in inches from the figure's upper left corner.

    It is as large as fits, in the middle, with a frame in the colour if one is given.
    """
    (wide, high), (left, top, width, height) = figure.get_size_inches(), place
    axes = figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))
    axes.imshow(pixels, interpolation="hanning")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=bool(colour), color=colour or "none", linewidth=1.2)
    return axes


def write(figure: Figure, text: str, left: float, top: float, **how: Any) -> Text:
    """Write a text whose upper left corner is so many inches from the figure's; `how` is as for `Figure.text`."""
    wide, high = figure.get_size_inches()
    return figure.text(left / wide, 1 - top / high, text, **{"va": "top", "fontsize": SMALLEST, **how})


def marks_of(number: int, points: int) -> dict[str, Any]:
    """The markers of one of several lines with so many points, which tell it apart without its colour."""
    step = max(points // 8, 1)
    start = number % step  # so that the markers of equal lines do not hide each other
    return {"marker": _MARKERS[number % len(_MARKERS)], "markersize": 3.5, "markevery": (start, step)}


def legend_below(axes: Axes, *, title: str = "", columns: int = 2) -> None:
    """A legend below a panel, where it hides no line."""
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.13 if columns == 2 else -0.16),
        ncols=columns,
        title=title,
        handlelength=2.6,
    )


def plain(name: str) -> str:
    """A name as it is written in a figure.

    Examples
    --------
    >>> plain("macro_f1")
    'macro f1'
    """
    return literal(name.replace("_", " "))


def literal(text: str) -> str:
    r"""A text in which matplotlib does not take dollar signs for a formula, in characters that the font has.

    Examples
    --------
    >>> print(literal("$5 to $6"), literal("a\tb \U0001f9a0"))
    \$5 to \$6 a b ?
    """
    return _known(text).replace("$", r"\$")


def column(name: str, width: float, size: float = SMALLEST) -> str:
    """A name on one line of at most `width` inches, with its middle left out if need be.

    Examples
    --------
    >>> column("Myeloblast_AML", 2), column("Myeloblast_AML", 0.5)
    ('Myeloblast AML', 'Mye...ML')
    """
    return _cut(_known(name.replace("_", " ")), width, size).replace("$", r"\$")


def wrapped(text: str, width: float, size: float = SMALLEST, *, most: int | None = None) -> str:
    """A text on lines of at most `width` inches; at most `most` lines, the last of which may lack its middle.

    Examples
    --------
    >>> print(wrapped("round or slightly indented; dense chromatin", 1.2))
    round or slightly
    indented; dense
    chromatin
    """
    font = font_of_size(size)
    lines: list[str] = []
    for word in _known(text).split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and (len(lines) == most or font.getlength(joined) <= width * _UNITS):
            lines[-1] = joined
        else:
            lines.append(word)
    return "\n".join(_cut(line, width, size).replace("$", r"\$") for line in lines)


def width_of(text: str, size: float = SMALLEST) -> float:
    """The width of a line in inches."""
    return font_of_size(size).getlength(text) / _UNITS


_UNITS = 1440
"""The pixels of an inch in which text is measured."""


@cache
def font_of_size(size: float, dots: int = _UNITS) -> PIL.ImageFont.FreeTypeFont:
    """The figures' font for Pillow, `size` points high on a picture of `dots` pixels an inch."""
    return PIL.ImageFont.truetype(findfont(FontProperties(family=_FAMILY)), round(size * dots / 72))


def _cut(line: str, width: float, size: float) -> str:
    return fitting(line, width * _UNITS, font_of_size(size))


def _known(text: str) -> str:
    """A text with a question mark for each character that the font does not have."""
    characters = _characters()
    line = (each if each.isprintable() else " " for each in text)
    return "".join(each if ord(each) in characters else "?" for each in line)


@cache
def _characters() -> frozenset[int]:
    return frozenset(FT2Font(findfont(FontProperties(family=_FAMILY))).get_charmap())
