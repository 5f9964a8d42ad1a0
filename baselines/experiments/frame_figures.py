"""The paper's Figure 1: annotated frames, and below each some of its cells."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure

from pcm_leukemia.baselines.experiments import drawing
from pcm_leukemia.baselines.experiments.drawing import DOTS, STYLE, WIDTH
from pcm_leukemia.colours import of_label
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.drawing import cut, draw, of_cells, padded
from pcm_leukemia.errors import Problem, UnfitForTask
from pcm_leukemia.images import files_of, load
from pcm_leukemia.schema import Cell, Image
from pcm_leukemia.taxonomy import NINE

__all__ = ["cells_below", "draw_frames", "two_frames"]

_GAP = 0.06
_BETWEEN = 0.2
_HIGHEST = 3.0
"""The highest frame. All lengths are in inches."""
_CROPS = 4
"""The most crops below a frame."""
_SEVERAL = 6
"""So many cells of one class are enough for the second frame."""
_CROWDED = 9
"""So many cells crowd a frame: their tags overlap."""
_MARGIN = 0.15
"""The padding of a crop, as a share of its cell's longer side."""


def draw_frames(ds: Dataset, path: str | Path) -> Figure:
    """Two frames with their cells, and below each the crops of up to four of them: Figure 1.

    Parameters
    ----------
    ds
        Data with image files; `two_frames` says which frames are drawn.
    path
        Where to; .png, .pdf or .svg.

    Raises
    ------
    UnfitForTask
        If no image has a cell.
    DataNotFound, CorruptFile
        If the data set has no image files, or one of them is missing or cannot be decoded.
    ValueError
        If the file is of another kind.
    ExportError
        If the file cannot be written.
    """
    file = drawing.place(path)
    files, frames = files_of(ds), two_frames(ds)
    width = (WIDTH - _BETWEEN) / 2
    heights = [min(width * frame.height / frame.width, _HIGHEST) for frame in frames]
    side = (width - (_CROPS - 1) * _GAP) / _CROPS
    top = max(heights) + 2 * _GAP
    with style.context(["default", {**STYLE, "axes.grid": False}]):
        figure = drawing.blank(top + side + 0.35)
        for number, (frame, height) in enumerate(zip(frames, heights, strict=True)):
            left = number * (width + _BETWEEN)
            dots = 2 * DOTS  # smooth after it has been shrunk
            tagged = [
                each._replace(text=each.text.replace("_", " ")) for each in of_cells(ds.cells_of(frame))
            ]
            drawn = draw(
                load(files, frame),
                tagged,
                width=max(round(dots * height * frame.width / frame.height), 1),
                enlarge=True,
                font=drawing.font_of_size(drawing.SMALLEST, dots),
            )
            drawing.show(figure, drawn, (left, max(heights) - height, width, height))
            cells = cells_below(ds, frame, several=number == 1)
            middle = (width - len(cells) * side - (len(cells) - 1) * _GAP) / 2
            crops = dict(cut(ds, {cell: padding_of(cell) for cell in cells}, square=True))
            for column, cell in enumerate(cells):
                corner = left + middle + column * (side + _GAP)
                drawing.show(figure, crops[cell], (corner, top, side, side), of_label(cell.label))
                name = drawing.wrapped(cell.label.replace("_", " "), side, most=2)
                drawing.write(figure, name, corner + side / 2, top + side + 0.05, ha="center")
        drawing.save(figure, file)
    return figure


def two_frames(ds: Dataset) -> list[Image]:
    """The frames of Figure 1: one with a variety of cells, and one with several cells of one class.

    The first has the most classes, and of several such the fewest cells. The second is another one, preferably with a
    single class other than "Other" and at least six cells of it, and then again the fewest cells. It is left out if no other
    image has two cells of a class. Images with nine cells or more are chosen only if there are no others.

    Raises
    ------
    UnfitForTask
        If no image with a file has a cell.

    Examples
    --------
    >>> from pcm_leukemia import Box
    >>> images = tuple(Image(f"{name}.png", 200, 100, file=f"{name}.png") for name in "abc")
    >>> labels = {"a.png": ("Other",), "b.png": ("Monocyte", "Monocyte"), "c.png": ("Monocyte", "Other")}
    >>> cells = [Cell(i, n, label, Box(n, 0, 9, 9)) for i, each in labels.items() for n, label in enumerate(each)]
    >>> [image.id for image in two_frames(Dataset("demo", NINE, images, tuple(cells)))]
    ['c.png', 'b.png']
    """
    counts = {
        image.id: Counter(cell.label for cell in ds.cells_of(image) if cell.label in ds.taxonomy.labels)
        for image in ds.images
        if image.file is not None
    }
    having = [image for image in ds.images if counts.get(image.id)]
    if not having:
        raise UnfitForTask(
            [Problem(ds.name, "has no image with a file and a cell", "choose data that are annotated")]
        )

    def variety(image: Image) -> tuple[bool, int, int]:
        total = counts[image.id].total()
        return total < _CROWDED, len(counts[image.id]), -total

    def monotony(image: Image) -> tuple[bool, bool, bool, int, int]:
        ((label, most),) = counts[image.id].most_common(1)
        total = counts[image.id].total()
        return total < _CROWDED, most == total, NINE.match(label) != "Other", min(most, _SEVERAL), -total

    varied = max(having, key=variety)

    others = [image for image in having if image is not varied and max(counts[image.id].values()) > 1]
    return [varied, *([max(others, key=monotony)] if others else [])]


def cells_below(ds: Dataset, frame: Image, *, several: bool = False) -> list[Cell]:
    """Up to four cells of a frame, from left to right: of as many classes as possible, or `several` of the most frequent.

    Whole cells come before cells at the border, and others before the class "Other".
    """
    cells = [cell for cell in ds.cells_of(frame) if cell.label in ds.taxonomy.labels]
    in_order = sorted(
        cells, key=lambda cell: (NINE.match(cell.label) == "Other", _is_cut(cell, frame), cell.box.x1)
    )
    first = {cell.label: cell for cell in reversed(in_order)}
    others = [cell for cell in in_order if cell is not first[cell.label]]
    chosen = [*sorted(first.values(), key=in_order.index), *others]
    if several:
        ((most, _),) = Counter(cell.label for cell in cells).most_common(1)
        chosen = [cell for cell in in_order if cell.label == most]
    return sorted(chosen[:_CROPS], key=lambda cell: cell.box.x1 + cell.box.x2)


def padding_of(cell: Cell) -> int:
    """The padding of a cell's crop in pixels."""
    return padded(cell, round(_MARGIN * max(cell.box.width, cell.box.height)))


def _is_cut(cell: Cell, frame: Image) -> bool:
    """Whether the border of the image cuts a cell off."""
    box = cell.box
    return box.x1 <= 1 or box.y1 <= 1 or box.x2 >= frame.width - 1 or box.y2 >= frame.height - 1
