"""Label files: one row for each cell, with a box or an outline as fractions of the image's size."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pcm_leukemia.converters.yolo.listing import Issues, ListedImage
from pcm_leukemia.errors import Problem
from pcm_leukemia.schema import Cell, Image
from pcm_leukemia.shapes import Box, Polygon

__all__ = ["read_cells"]

_ROUNDING = 1.0
"""Pixels by which a box may leave its image, since other tools round coordinates."""
_COLUMNS = "write class cx cy w h, or class x1 y1 x2 y2 x3 y3 ..."


def read_cells(
    listed: ListedImage, labels: list[tuple[str, str]], issues: Issues, *, must_exist: bool, clip: bool
) -> Iterator[Cell]:
    """Read the cells of one image.

    Parameters
    ----------
    listed
        The image and its label file.
    labels
        The class and its name in data.yaml, by class id.
    issues
        Collects rows that cannot be read, images without a label file and boxes that were cut.
    must_exist
        Whether a missing label file is a problem or an image without cells.
    clip
        Cut boxes at the image's border, however far they leave it.
    """
    try:
        text = listed.labels.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if must_exist:
            what = f'the labels of image "{listed.image.id}" are missing'
            issues.problems.append(Problem(str(listed.labels), what, "convert the data again"))
        issues.unlabelled.append(listed.image.id)
        return
    except (OSError, UnicodeDecodeError) as error:
        issues.problems.append(Problem(str(listed.labels), f"cannot be read ({error})", "replace the file"))
        return
    count = 0
    for line, row in enumerate(text.splitlines(), 1):
        columns = row.split()
        if not columns:
            continue
        try:
            number, box, outline, cut = _parse(columns, listed.image, len(labels), clip=clip)
        except _BadRow as error:
            issues.problems.append(Problem(f"{listed.labels}:{line}", error.what, error.fix))
            continue
        issues.cut += cut
        label, name = labels[number]
        yield Cell(listed.image.id, count, label, box, name, outline)
        count += 1


class _BadRow(Exception):
    """A row that does not describe a cell."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def _parse(
    columns: list[str], image: Image, classes: int, *, clip: bool
) -> tuple[int, Box, Polygon | None, bool]:
    """The class id, box and outline of a row, and whether the box was cut."""
    if len(columns) < 5 or len(columns) % 2 == 0:
        raise _BadRow(f"has {len(columns)} columns", _COLUMNS)
    try:
        number, *values = map(float, columns)
    except ValueError:
        raise _BadRow("has a column that is not a number", _COLUMNS) from None
    if not all(map(math.isfinite, values)):
        raise _BadRow("has a number that is not finite", _COLUMNS)
    if not (number.is_integer() and 0 <= number < classes):
        raise _BadRow(f"class {columns[0]} is not in 0 to {classes - 1}", "give the class an id and a name")
    width, height = image.width, image.height
    outline = None
    if len(values) == 4:
        cx, cy, w, h = values
        if w <= 0 or h <= 0:
            raise _BadRow(
                f"the box is {columns[3]} wide and {columns[4]} high", "draw it again, or drop the row"
            )
        x1, x2 = (cx - w / 2) * width, (cx + w / 2) * width
        y1, y2 = (cy - h / 2) * height, (cy + h / 2) * height
    else:
        xs = [round(x * width, 3) for x in values[::2]]
        ys = [round(y * height, 3) for y in values[1::2]]
        outline = Polygon(tuple(zip(xs, ys, strict=True)))
        x1, y1, x2, y2 = outline.envelope()
        if x1 == x2 or y1 == y2:
            raise _BadRow("the outline has no area", "draw it again, or drop the row")
    leaves = max(-x1, -y1, x2 - width, y2 - height)
    if (leaves > _ROUNDING and not clip) or x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        raise _BadRow(
            f"the box leaves the image of {width} x {height} by {leaves:.2f} px",
            "correct it; coordinates are fractions of the image's size, 0 to 1",
        )
    x1, x2 = _span(x1, x2, width)
    y1, y2 = _span(y1, y2, height)
    return int(number), Box(x1, y1, x2, y2), outline, leaves > 0.001


def _span(low: float, high: float, size: int) -> tuple[float, float]:
    """The two ends of a side: cut at the image's border, rounded to 0.001 px, and at least that far apart."""
    low = min(max(round(low, 3), 0.0), size - 0.001)
    return low, max(min(round(high, 3), float(size)), round(low + 0.001, 3))
