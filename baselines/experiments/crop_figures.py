"""The paper's Figures 4 and 5: cells of several data sets side by side, and a guide to the classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pcm_leukemia import criteria
from pcm_leukemia.baselines.experiments import drawing
from pcm_leukemia.baselines.experiments.drawing import STYLE, WIDTH
from pcm_leukemia.baselines.experiments.frame_figures import padding_of
from pcm_leukemia.colours import of_label
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.drawing import choose, cut
from pcm_leukemia.errors import Problem, UnfitForTask
from pcm_leukemia.images import Pixels, files_of
from pcm_leukemia.schema import Cell

__all__ = ["ROWS", "classes_to_compare", "draw_guide", "draw_side_by_side"]

ROWS = ("Neutrophil", "Monocyte", "Lymphoblast", "Myeloblast_AML")
"""The classes of the paper's Figure 4, from top to bottom."""
_GAP = 0.05
_BETWEEN = 0.15
_NAMES = 0.72
"""The width of the names of classes in Figure 4. All lengths are in inches."""
_CROP = 0.75
_OF_EACH = 3
"""Crops of each class in the guide, and their side."""
_LINE = 0.125
"""The height of a line of the smallest text."""


def draw_side_by_side(sets: Sequence[Dataset], path: str | Path) -> Figure:
    """Cells of several data sets, a panel for each and a row for each class: Figure 4.

    Parameters
    ----------
    sets
        Two data sets or more, with image files. `classes_to_compare` says which classes are drawn. Cells are drawn evenly
        over patients.
    path
        Where to; .png, .pdf or .svg.

    Raises
    ------
    UnfitForTask
        If the first data set has no class in common with another.
    DataNotFound, CorruptFile
        If a data set has no image files, or one of them is missing or cannot be decoded.
    ValueError
        If the file is of another kind.
    ExportError
        If the file cannot be written.
    """
    file = drawing.place(path)
    sets = [_with_files(ds) for ds in sets]
    labels = classes_to_compare(sets)
    columns = max(8 // len(sets), 1)
    panel = (WIDTH - _NAMES - (len(sets) - 1) * _BETWEEN) / len(sets)
    side = (panel - (columns - 1) * _GAP) / columns
    title = 0.2
    with style.context(["default", {**STYLE, "axes.grid": False}]):
        figure = drawing.blank(title + len(labels) * (side + _GAP))
        for row, label in enumerate(labels):
            middle = title + row * (side + _GAP) + side / 2
            name = drawing.wrapped(label.replace("_", " "), _NAMES - _GAP, most=3)
            drawing.write(figure, name, 0, middle, va="center")
        for number, ds in enumerate(sets):
            left = _NAMES + number * (panel + _BETWEEN)
            named = drawing.wrapped(ds.name, panel, 8, most=1)
            drawing.write(figure, named, left + panel / 2, 0.02, ha="center", fontsize=8)
            crops = _crops(ds, labels, columns)
            for row, label in enumerate(labels):
                top = title + row * (side + _GAP)
                _row(figure, crops[label], (left, top, side), label)
        drawing.save(figure, file)
    return figure


def classes_to_compare(sets: Sequence[Dataset]) -> tuple[str, ...]:
    """The classes with cells both in the first data set and in another: of `ROWS`, or else the first four.

    Raises
    ------
    UnfitForTask
        If there is no such class.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Image
    >>> image = Image("a.png", 200, 100)
    >>> labels = ("Basophil", "Monocyte", "Neutrophil")
    >>> ds = Dataset("a", NINE, (image,), tuple(Cell(image.id, n, x, Box(n, 0, 9, 9)) for n, x in enumerate(labels)))
    >>> classes_to_compare([ds, ds])
    ('Neutrophil', 'Monocyte')
    """
    ours, *others = ([label for label in ds.taxonomy.labels if ds.counts[label]] for ds in sets)
    shared = [label for label in ours if any(label in other for other in others)]
    if not shared:
        raise UnfitForTask(
            [
                Problem(
                    " and ".join(ds.name for ds in sets),
                    "have cells of no class in common",
                    "read both with the same classes",
                )
            ]
        )
    return tuple(label for label in ROWS if label in shared) or tuple(shared[: len(ROWS)])


def draw_guide(ds: Dataset, path: str | Path) -> Figure:
    """Cells of each class beside the criteria by which it is recognised: Figure 5.

    Parameters
    ----------
    ds
        Data with image files, and with some of the nine classes.
    path
        Where to; .png, .pdf or .svg.

    Raises
    ------
    UnfitForTask
        If none of its classes has criteria.
    DataNotFound, CorruptFile
        If the data set has no image files, or one of them is missing or cannot be decoded.
    ValueError
        If the file is of another kind.
    ExportError
        If the file cannot be written.
    """
    file = drawing.place(path)
    ds, labels = _with_files(ds), ds.taxonomy.labels
    if not any(map(criteria.of_label, labels)):
        raise UnfitForTask(
            [
                Problem(
                    ds.name,
                    "has none of the classes that have criteria",
                    "read the data into the nine classes",
                )
            ]
        )
    beside = _OF_EACH * (_CROP + _GAP) + _BETWEEN
    texts = {label: _described(label, WIDTH - beside) for label in labels}
    heights = [max(_CROP, _LINE * (len(lines) + 1.3)) + 0.12 for lines in texts.values()]
    crops = _crops(ds, labels, _OF_EACH)
    with style.context(["default", {**STYLE, "axes.grid": False}]):
        figure = drawing.blank(sum(heights))
        for row, (label, lines) in enumerate(texts.items()):
            top = sum(heights[:row])
            _row(figure, crops[label], (0, top, _CROP), label)
            _swatch(figure, label, beside - 0.1, top)
            name = drawing.column(label, 0.8 * (WIDTH - beside), 8)  # bold letters are wider
            drawing.write(figure, name, beside + 0.06, top, fontsize=8, fontweight="bold")
            for number, (what, line) in enumerate(lines):
                below = top + _LINE * (number + 1.3)
                drawing.write(figure, what, beside + 0.06, below, style="italic")
                drawing.write(
                    figure, line, beside + 0.06 + (_WORDS if criteria.of_label(label) else 0), below
                )
        drawing.save(figure, file)
    return figure


_WORDS = 0.65
"""The width of "Cytoplasm", in inches."""


def _described(label: str, width: float) -> list[tuple[str, str]]:
    """The criteria of a class in lines of this width, each with what is looked at, or with "" if that goes on."""
    found = criteria.of_label(label) or {"": "no criteria are known for this class"}
    lines = []
    for what, how in found.items():
        first, *others = drawing.wrapped(how, width - _WORDS - 0.1).split("\n")
        lines += [(what, first), *(("", line) for line in others)]
    return lines


def _with_files(ds: Dataset) -> Dataset:
    """The images that have a file; raises DataNotFound if none has."""
    files_of(ds)
    return ds.select(images=lambda image: image.file is not None)


def _crops(ds: Dataset, labels: Sequence[str], n: int) -> dict[str, list[Pixels]]:
    """Up to `n` crops of each class."""
    cells: dict[str, list[Cell]] = {label: choose(ds, (label,), n) for label in labels}
    every = [cell for chosen in cells.values() for cell in chosen]
    crops = dict(cut(ds, {cell: padding_of(cell) for cell in every}, square=True))
    return {label: [crops[cell] for cell in chosen] for label, chosen in cells.items()}


def _row(figure: Figure, crops: Sequence[Pixels], place: tuple[float, float, float], label: str) -> None:
    """Crops in a row from this place (left, top, and the side of each) on, or the words that there are none."""
    left, top, side = place
    for column, pixels in enumerate(crops):
        drawing.show(figure, pixels, (left + column * (side + _GAP), top, side, side), of_label(label))
    if not crops:
        middle = left + side / 2, top + side / 2
        drawing.write(figure, "no cells", *middle, ha="center", va="center", color="#555555")


def _swatch(figure: Figure, label: str, left: float, top: float) -> None:
    """A bar in the colour of the class, before its name."""
    wide, high = figure.get_size_inches()
    corner, size = (left / wide, 1 - (top + 0.12) / high), (0.1 / wide, 0.11 / high)
    figure.add_artist(Rectangle(corner, *size, color=of_label(label), transform=figure.transFigure))
