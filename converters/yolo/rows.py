"""What the columns of a label row mean: a box, an outline, a turned box, or a box with key points.

All begin with a class id, and nothing in a row says which it is. A row of five columns is a box. Longer rows mean the
same in all label files of a data set: what data.yaml or the caller declares, otherwise outlines, if they can be nothing
else. Everything else is refused.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from pcm_leukemia.errors import InvalidExport, Problem, counted, option

__all__ = ["Meaning", "Row", "Rows", "declared", "meaning_of"]

Rows: TypeAlias = Literal["box", "outline", "obb", "pose"]

BOX_COLUMNS, CORNER_COLUMNS = 5, 9
_TASKS: Mapping[str, Rows] = {"segment": "outline", "obb": "obb", "pose": "pose"}
"""The tasks of ultralytics that fix the rows; to detect, it accepts boxes and outlines."""
_TOLERANCE = 0.01
"""By which a coordinate may leave the image, as a share of its size; ultralytics allows as much."""
_STRAY = 0.05
"""By which a box may leave the image; tools that do not cut boxes leave more of it outside, but seldom."""
_FEW, _MOST, _NEARLY_ALL = 0.2, 0.5, 0.9
"""Shares of rows. A few may be exceptions: boxes or points that stray from their image."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a label file: the file and line, and the numbers after the class id."""

    where: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of a data set's rows.

    `columns` is the only number of columns that rows may have, or None. `points` is the number of key points behind each
    box, or None if it is unknown.
    """

    rows: Rows
    columns: int | None = None
    points: int | None = None
    declared: bool = True

    def accepts(self, columns: int) -> bool:
        """Whether a row of so many columns can be read."""
        if self.columns is not None:
            return columns == self.columns
        if self.rows == "obb":
            return columns >= CORNER_COLUMNS
        if self.rows == "outline":
            whole = columns % 2 == 1 or self.declared  # a column after declared points is left out
            return columns == BOX_COLUMNS or (columns > BOX_COLUMNS + 1 and whole)
        return columns >= BOX_COLUMNS

    def left_out(self, counts: Mapping[int, int]) -> list[str]:
        """What is not read of rows with so many columns, and whether they are of two kinds, as warnings."""
        kept = CORNER_COLUMNS if self.rows == "obb" else BOX_COLUMNS
        longer = sum(count for columns, count in counts.items() if columns > kept)
        if not longer:
            return []
        if self.rows == "outline":
            boxes = counts.get(BOX_COLUMNS, 0)
            mixed = f"{counted(boxes, 'row is a box', 'rows are boxes')} and {counted(longer, 'is an outline', 'are outlines')}; ultralytics would ignore the outlines"
            odd = sum(count for columns, count in counts.items() if columns % 2 == 0)
            left = f"{counted(odd, 'row has a column after its points', 'rows have a column after their points')}, perhaps a confidence, that is not read"
            return [mixed] * (boxes > 0 and not self.declared) + [left] * (odd > 0)
        if self.rows == "pose" and self.points is not None:
            return [
                f"{counted(self.points * longer, 'key point')} of {counted(longer, 'box', 'boxes')} are not read, only the boxes"
            ]
        what = "corners" if self.rows == "obb" else "box"
        return [
            f"{counted(longer, 'row has', 'rows have')} columns after the {what} ({max(counts) - kept} at most), which are not read"
        ]


def declared(content: Mapping[str, Any], rows: Rows | None, where: str) -> Meaning | None:
    """The meaning that the caller or data.yaml declares; None if neither does.

    Raises
    ------
    InvalidExport
        If ``kpt_shape`` is not a number of key points and 2 or 3.
    ValueError
        If `rows` has an unknown value.
    """
    if rows is not None and rows not in get_args(Rows):
        raise ValueError(f'rows "{rows}": must be one of {", ".join(get_args(Rows))}')
    shape = content.get("kpt_shape")
    if rows not in (None, "pose") or (rows is None and shape is None):
        task = content.get("task")
        rows = rows or (_TASKS.get(task) if isinstance(task, str) else None)
        return Meaning(rows) if rows else None
    if shape is None:
        return Meaning("pose")
    match shape:
        case [int(points), (2 | 3) as numbers] if points >= 0 and not isinstance(points, bool):
            return Meaning("pose", BOX_COLUMNS + points * numbers, points)
    raise InvalidExport(
        [Problem(where, f"kpt_shape is {reprlib.repr(shape)}", "write [number of key points, 2 or 3]")]
    )


def meaning_of(rows: Sequence[Row], known: Meaning | None) -> tuple[Meaning, list[Problem]]:
    """The meaning of a data set's rows, and a problem for each kind of row that cannot be read.

    Parameters
    ----------
    rows
        Every row with more than five columns; where boxes alone are not allowed, every row.
    known
        What is declared.
    """
    if known is not None:
        return known, _contradictions(rows, known)
    odd = [row for row in rows if len(row.values) % 2]
    pairs = [row for row in rows if not len(row.values) % 2]
    reason = _no_outlines(pairs)
    problems = [_odd(odd)] if odd else []
    if reason is None:
        return Meaning("outline", declared=False), problems
    return Meaning("box", BOX_COLUMNS), [*problems, _problem(pairs, *reason)]


# Rows that are not declared


def _no_outlines(rows: Sequence[Row]) -> tuple[Row, str] | None:
    """The row that shows best that these need not be outlines, and why; None if they can be nothing else."""
    if not rows or all(_is_parallelogram(row.values) for row in rows):
        return None
    if all(_flags(row.values) >= 2 for row in rows):
        flags = _flags(rows[0].values)
        return rows[0], f"and the last {flags} are 0 or 1, so they may be a box and attributes"
    boxes = [row for row in rows if _can_be_box(row.values)]
    beyond = [row for row in rows if not all(map(_is_fraction, row.values))]
    shapes = sum(_begins_with_neighbours(row.values) for row in rows) / len(rows)
    no_boxes = not boxes or (len(boxes) <= (1 - _FEW) * len(rows) and shapes >= _MOST)
    contours = len({len(row.values) for row in rows}) > 1 and shapes >= _NEARLY_ALL
    if len(beyond) <= _FEW * len(rows) and (no_boxes or contours):
        return None
    if beyond:
        value = next(value for value in beyond[0].values if not _is_fraction(value))
        return beyond[0], f"and {value:g} is not a fraction of the image's size, so they are not points"
    return boxes[0], "and 2 to 5 can be the centre and size of a box, so they may be a box and key points"


def _is_fraction(value: float) -> bool:
    return -_TOLERANCE <= value <= 1 + _TOLERANCE


def _can_be_box(values: Sequence[float]) -> bool:
    """Whether a row can begin with the centre and size of a box in the image."""
    return all(
        size > 0 and centre - size / 2 >= -_STRAY and centre + size / 2 <= 1 + _STRAY
        for centre, size in zip(values[:2], values[2:4], strict=True)
    )


def _flags(values: Sequence[float]) -> int:
    """How many columns at the end of a row are 0 or 1."""
    count = 0
    for value in reversed(values):
        if value not in (0, 1):
            break
        count += 1
    return count


def _begins_with_neighbours(values: Sequence[float]) -> bool:
    """Whether the second point is about as near to the first as the other points are."""
    for axis in (0, 1):
        others = (values[axis], *values[axis + 4 :: 2])
        if abs(values[axis] - values[axis + 2]) > 1.5 * (max(others) - min(others)):
            return False
    return True


def _is_parallelogram(values: Sequence[float]) -> bool:
    """Whether four points are the corners of a turned rectangle, which stays a parallelogram as fractions."""
    if len(values) != CORNER_COLUMNS - 1 or _flags(values) >= 2:
        return False
    return all(
        abs(values[axis] + values[axis + 4] - values[axis + 2] - values[axis + 6]) < 5e-4 for axis in (0, 1)
    )


# Problems


def _odd(rows: Sequence[Row]) -> Problem:
    row = rows[0]
    if len(row.values) == BOX_COLUMNS and len({len(row.values) for row in rows}) == 1:
        return _problem(rows, row, "so they may be a box and the confidence of a prediction")
    return _problem(rows, row, "an even number, so they are not a class and points")


def _problem(rows: Sequence[Row], row: Row, what: str) -> Problem:
    """One problem for rows of one kind, at the row that shows it."""
    alike = f" ({len(rows):,} such rows)" if len(rows) > 1 else ""
    fix = (
        f"say what the rows are: {option('rows', 'box')} (columns after the box are counted, not read), outline, obb or "
        "pose"
    )
    return Problem(row.where, f"has {len(row.values) + 1} columns, {what}{alike}", fix)


def _contradictions(long: Iterable[Row], known: Meaning) -> list[Problem]:
    """The problem of long rows whose number of columns contradicts what is declared."""
    if known.rows == "pose" and known.columns is None:
        return _uneven(list(long))
    wrong = [row for row in long if not known.accepts(len(row.values) + 1)]
    return [_refused(known, wrong[0].where, len(wrong[0].values) + 1, len(wrong) - 1)] if wrong else []


def _uneven(long: Sequence[Row]) -> list[Problem]:
    other = next((row for row in long if len(row.values) != len(long[0].values)), None)
    if other is None:
        return []
    what = f"has {len(other.values) + 1} columns, but {long[0].where} has {len(long[0].values) + 1}"
    return [
        Problem(other.where, what, "rows with key points have equally many; write kpt_shape in data.yaml")
    ]


def _refused(known: Meaning, where: str, columns: int, others: int = 0) -> Problem:
    """The problem of a row whose number of columns contradicts what is declared."""
    needs, fix = {
        "box": ("boxes have 5", "write class cx cy w h"),
        "obb": (
            "four corners have 9",
            f"write class x1 y1 ... x4 y4, or read boxes: {option('rows', 'box')}",
        ),
        "outline": ("points have 7 or more", "write class x1 y1 x2 y2 x3 y3 ..."),
        "pose": (
            f"kpt_shape in data.yaml makes it {known.columns}",
            f"correct it, or read the boxes alone: {option('rows', 'box')}",
        ),
    }[known.rows]
    more = f" (and {counted(others, 'more such row')})" if others else ""
    return Problem(where, f"has {columns} columns; {needs}{more}", fix)
