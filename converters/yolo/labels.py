"""Label files: one row for each cell, with a box or an outline as fractions of the image's size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pcm_leukemia.converters.yolo.listing import Issues, ListedImage
from pcm_leukemia.converters.yolo.rows import Meaning, Row
from pcm_leukemia.errors import Problem, option
from pcm_leukemia.schema import Cell, Image
from pcm_leukemia.shapes import Box, Polygon, RotatedBox

__all__ = ["LabelFile", "read_cells", "read_file", "rows_to_judge"]

_ROUNDING = 1.0
"""Pixels by which a box may leave its image, since other tools round coordinates."""
_COLUMNS = "write class cx cy w h, or class x1 y1 x2 y2 x3 y3 ..."
_BOX = 5
"""The columns of a box."""


@dataclass(frozen=True, slots=True)
class LabelFile:
    """An image and the text of its label file."""

    listed: ListedImage
    text: str

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The number and the columns of each line that is not empty."""
        for line, row in enumerate(self.text.splitlines(), 1):
            if columns := row.split():
                yield line, columns


def read_file(listed: ListedImage, issues: Issues, *, must_exist: bool) -> LabelFile:
    """Read the label file of an image.

    Parameters
    ----------
    listed
        The image and its label file.
    issues
        Collects files that cannot be read, and images without a label file.
    must_exist
        Whether a missing label file is a problem or an image without cells.
    """
    try:
        with open(listed.labels, encoding="utf-8-sig") as stream:  # noqa: PTH123 - called for every image
            text = stream.read()
    except FileNotFoundError:
        if must_exist:
            what = f'the labels of image "{listed.image.id}" are missing'
            issues.problems.append(Problem(str(listed.labels), what, "convert the data again"))
        issues.unlabelled.append(listed)
        return LabelFile(listed, "")
    except (OSError, ValueError) as error:
        issues.problems.append(Problem(str(listed.labels), f"cannot be read ({error})", "replace the file"))
        return LabelFile(listed, "")
    return LabelFile(listed, text)


def rows_to_judge(files: Sequence[LabelFile], known: Meaning | None) -> list[Row]:
    """The rows whose meaning must be known: those that are more than a box, or boxes where none may be."""
    rows = []
    least = _BOX if known is None or known.accepts(_BOX) else _BOX - 1
    for file in files:
        for line, columns in file.rows():
            if len(columns) > least:
                try:
                    rows.append(Row(f"{file.listed.labels}:{line}", tuple(map(float, columns[1:]))))
                except ValueError:
                    continue  # `read_cells` says so
    return rows


def read_cells(
    file: LabelFile,
    labels: list[tuple[str, str]],
    meaning: Meaning,
    issues: Issues,
    *,
    clip: bool,
) -> Iterator[Cell]:
    """Read the cells of one image.

    Parameters
    ----------
    file
        The image and its rows.
    labels
        The class and its name in data.yaml, by class id.
    meaning
        The meaning of the columns.
    issues
        Collects rows that cannot be read, boxes that were cut, and columns that are left out.
    clip
        Cut boxes at the image's border, however far they leave it.
    """
    image, count = file.listed.image, 0
    for line, columns in file.rows():
        if not meaning.accepts(len(columns)):
            if len(columns) < _BOX:
                where = f"{file.listed.labels}:{line}"
                issues.problems.append(Problem(where, f"has {len(columns)} columns", _COLUMNS))
            continue  # longer rows are problems already
        try:
            number, box, shape, cut = _parse(columns, meaning, image, len(labels), clip=clip)
        except _BadRow as error:
            issues.problems.append(Problem(f"{file.listed.labels}:{line}", error.what, error.fix))
            continue
        issues.cut += cut
        issues.columns[len(columns)] += 1
        label, name = labels[number]
        yield Cell(image.id, count, label, box, name, shape)
        count += 1


class _BadRow(Exception):
    """A row that does not describe a cell."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def _parse(
    columns: list[str], meaning: Meaning, image: Image, classes: int, *, clip: bool
) -> tuple[int, Box, Polygon | RotatedBox | None, bool]:
    """The class id, box and shape of a row, and whether the box was cut."""
    try:
        number, *values = map(float, columns)
    except ValueError:
        raise _BadRow("has a column that is not a number", _COLUMNS) from None
    if not all(map(math.isfinite, values)):
        raise _BadRow("has a number that is not finite", _COLUMNS)
    if not (number.is_integer() and 0 <= number < classes):
        raise _BadRow(f"class {columns[0]} is not in 0 to {classes - 1}", "give the class an id and a name")
    width, height = image.width, image.height
    shape: Polygon | RotatedBox | None = None
    if len(values) == 4 or meaning.rows in ("box", "pose"):
        cx, cy, w, h = values[:4]
        if w <= 0 or h <= 0:
            raise _BadRow(
                f"the box is {columns[3]} wide and {columns[4]} high", "draw it again, or drop the row"
            )
        x1, x2 = (cx - w / 2) * width, (cx + w / 2) * width
        y1, y2 = (cy - h / 2) * height, (cy + h / 2) * height
    else:
        del values[8 if meaning.rows == "obb" else len(values) // 2 * 2 :]
        xs = [round(x * width, 3) for x in values[::2]]
        ys = [round(y * height, 3) for y in values[1::2]]
        outline = Polygon(tuple(zip(xs, ys, strict=True)))
        x1, y1, x2, y2 = outline.envelope()
        if x1 == x2 or y1 == y2:
            raise _BadRow("the outline has no area", "draw it again, or drop the row")
        shape = _turned(outline) if meaning.rows == "obb" else outline
    leaves = max(-x1, -y1, x2 - width, y2 - height)
    elsewhere = x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0
    if (leaves > _ROUNDING and not clip) or elsewhere:
        way = "" if elsewhere else f", or pass {option('clip', value=True)}"
        raise _BadRow(
            f"the box leaves the image of {width} x {height} by {leaves:.2f} px",
            f"correct it{way}; coordinates are fractions of the image's size, 0 to 1",
        )
    x1, x2 = _span(x1, x2, width)
    y1, y2 = _span(y1, y2, height)
    return int(number), Box(x1, y1, x2, y2), shape, leaves > 0.001


def _turned(corners: Polygon) -> Polygon | RotatedBox | None:
    """Four corners as a turned box; None for an upright one, and the corners themselves if they are no rectangle."""
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = corners.points
    width, height = math.dist((x1, y1), (x2, y2)), math.dist((x2, y2), (x3, y3))
    skew = max(abs(x1 + x3 - x2 - x4), abs(y1 + y3 - y2 - y4))
    diagonals = abs(math.dist((x1, y1), (x3, y3)) - math.dist((x2, y2), (x4, y4)))
    if max(skew, diagonals) > _ROUNDING:
        return corners
    if min(abs(x2 - x1), abs(y2 - y1)) < 0.01:
        return None
    cx, cy = (x1 + x2 + x3 + x4) / 4, (y1 + y2 + y3 + y4) / 4
    left, top, right, bottom = (
        round(value, 3) for value in (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
    )
    return RotatedBox(left, top, right, bottom, round(math.degrees(math.atan2(y2 - y1, x2 - x1)), 3) % 360)


def _span(low: float, high: float, size: int) -> tuple[float, float]:
    """The two ends of a side: cut at the image's border, rounded to 0.001 px, and at least that far apart."""
    low = min(max(round(low, 3), 0.0), size - 0.001)
    return low, max(min(round(high, 3), float(size)), round(low + 0.001, 3))
