"""Match the images and cells of two data sets; cells by the overlap of their boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidDataset, Problem
from pcm_leukemia.grouping import groups
from pcm_leukemia.overlaps import iou
from pcm_leukemia.schema import Cell, Image

__all__ = ["By", "Common", "images_in_common", "pair"]

_SAME_LABEL = 1e-9
"""The weight of an equal label: it only decides between pairings of equal overlap."""

By = Literal["id", "name"]
Weights = dict[tuple[int, int], float]


def pair(ones: Sequence[Cell], others: Sequence[Cell], threshold: float) -> list[tuple[Cell, Cell, float]]:
    """Pairs (one, other, IoU) of cells of one image: the same box first, then the highest sum of IoU.

    No cell is in two pairs, and no pair is below `threshold`. The order of the data sets and the
    numbers of the cells make no difference.

    Examples
    --------
    >>> from pcm_leukemia.schema import ImageId
    >>> from pcm_leukemia.shapes import Box
    >>> a, b = (Cell(ImageId("a"), n, "Other", Box(0, 0, 10, 10 - n)) for n in (0, 1))
    >>> [(one.id, other.id, overlap) for one, other, overlap in pair([a], [b], 0.5)]
    [(0, 1, 0.9)]
    """
    left, right = sorted(ones, key=_content), sorted(others, key=_content)
    turned = [_content(cell) for cell in left] > [_content(cell) for cell in right]
    if turned:
        left, right = right, left
    pairs = _same(left, right)
    if left and right:
        weights = _weights(left, right, threshold)
        for group in _groups(weights):
            pairs += [(left[i], right[j], iou(left[i].box, right[j].box)) for i, j in _best(group)]
    return [(b, a, overlap) for a, b, overlap in pairs] if turned else pairs


def _content(cell: Cell) -> tuple[float, float, float, float, str, int]:
    box = cell.box
    return box.x1, box.y1, box.x2, box.y2, cell.written_label, cell.id


def _same(left: list[Cell], right: list[Cell]) -> list[tuple[Cell, Cell, float]]:
    """Remove pairs with identical boxes from both lists, first those that also have the same label."""
    pairs = []
    for label_counts in (True, False):
        waiting: dict[object, list[Cell]] = {}
        for cell in reversed(right):
            waiting.setdefault((cell.box, cell.written_label if label_counts else ""), []).append(cell)
        taken = set()
        for cell in tuple(left):
            there = waiting.get((cell.box, cell.written_label if label_counts else ""))
            if there:
                other = there.pop()
                pairs.append((cell, other, 1.0))
                taken |= {("left", cell.id), ("right", other.id)}
        left[:] = [cell for cell in left if ("left", cell.id) not in taken]
        right[:] = [cell for cell in right if ("right", cell.id) not in taken]
    return pairs


def _weights(left: Sequence[Cell], right: Sequence[Cell], threshold: float) -> Weights:
    """The weight of each possible pair; both lists are sorted by x1."""
    weights: Weights = {}
    for i, one in enumerate(left):
        end = one.box.x2
        for j, other in enumerate(right):
            if other.box.x1 >= end:
                break
            overlap = iou(one.box, other.box)
            if overlap >= threshold and overlap > 0:
                weights[i, j] = overlap + _SAME_LABEL * (one.written_label == other.written_label)
    return weights


def _groups(weights: Weights) -> Iterable[Weights]:
    """Split the possible pairs into groups that share no cell."""
    connected = groups((("left", i), ("right", j)) for i, j in weights)
    number_of = {i: number for number, group in enumerate(connected) for side, i in group if side == "left"}
    split: dict[int, Weights] = {}
    for (i, j), weight in weights.items():
        split.setdefault(number_of[i], {})[i, j] = weight
    return split.values()


def _best(weights: Weights) -> list[tuple[int, int]]:
    """The pairs of one group with the highest sum, each row and column once."""
    if len(weights) == 1:
        return list(weights)
    rows, columns = sorted({i for i, _ in weights}), sorted({j for _, j in weights})
    # an extra column of weight 0 for each row lets any row stay without a partner
    worth = [[weights.get((i, j), 0.0) for j in columns] + [0.0] * len(rows) for i in rows]
    chosen = _assign([[-value for value in row] for row in worth])
    found = [(rows[i], columns[j]) for i, j in enumerate(chosen) if j < len(columns)]
    return [each for each in found if each in weights]


def _assign(costs: list[list[float]]) -> list[int]:
    """The column of each row with the lowest sum of costs, by shortest augmenting paths.

    There are at most as many rows as columns. Prices keep all reduced costs at zero or above (Kuhn, 1955, in the
    form of Jonker and Volgenant, 1987); the time grows with the cube of the rows.
    """
    height, width = len(costs), len(costs[0])
    row_price, column_price = [0.0] * height, [0.0] * width
    row_of: list[int | None] = [None] * width
    for start in range(height):
        distance, came_from = [float("inf")] * width, [start] * width
        previous: list[int | None] = [None] * width
        done: list[int] = []
        open_columns = set(range(width))
        row, reached, last = start, 0.0, None
        while True:
            for column in open_columns:
                length = reached + costs[row][column] - row_price[row] - column_price[column]
                if length < distance[column]:
                    distance[column], came_from[column], previous[column] = length, row, last
            last = min(open_columns, key=lambda column: (distance[column], column))
            reached = distance[last]
            open_columns.remove(last)
            taken = row_of[last]
            if taken is None:
                break
            done.append(last)
            row = taken
        row_price[start] += reached
        for column in done:
            slack = reached - distance[column]
            column_price[column] -= slack
            owner = row_of[column]
            assert owner is not None
            row_price[owner] += slack
        end: int | None = last
        while end is not None:
            row_of[end] = came_from[end]
            end = previous[end]
    chosen = [0] * height
    for column, owner in enumerate(row_of):
        if owner is not None:
            chosen[owner] = column
    return chosen


# Which images and cells are compared


class Common(NamedTuple):
    """The images of both data sets, in pairs, and the ids of images that only one data set has."""

    pairs: list[tuple[Image, Image]]
    only_one: tuple[str, ...]
    only_other: tuple[str, ...]


def images_in_common(one: Dataset, other: Dataset, iou: float, by: By) -> Common:
    """Pair the images of two data sets.

    Raises
    ------
    InvalidDataset
        If the two have different classes, no image in common, or images with the same id but different sizes.
    ValueError
        If an option has an unknown value, or images are compared by name and names repeat.
    """
    if not 0 < iou <= 1:
        raise ValueError(f"iou {iou}: must be above 0, up to 1")
    if by not in ("id", "name"):
        raise ValueError(f'by "{by}": must be id or name')
    if set(one.taxonomy.labels) != set(other.taxonomy.labels):
        odd = sorted(set(one.taxonomy.labels) ^ set(other.taxonomy.labels))
        what = f"have different classes: only one of them has {', '.join(odd)}"
        raise InvalidDataset(
            [Problem(_both(one, other), what, "read both with the same taxonomy and labels")]
        )
    left, right = _keyed(one, by), _keyed(other, by)
    pairs = [(image, right[key]) for key, image in left.items() if key in right]
    problems = [
        Problem(
            f'image "{a.id}"',
            f"is {a.width} x {a.height} pixels in one data set, {b.width} x {b.height} in the other",
            "compare the same images",
        )
        for a, b in pairs
        if (a.width, a.height) != (b.width, b.height)
    ]
    if not pairs and (left or right):
        fix = "compare by name: by='name'" if by == "id" else "compare data of the same images"
        problems.append(Problem(_both(one, other), "have no image in common", fix))
    if problems:
        raise InvalidDataset(problems)
    return Common(
        pairs,
        tuple(image.id for key, image in left.items() if key not in right),
        tuple(image.id for key, image in right.items() if key not in left),
    )


def _both(one: Dataset, other: Dataset) -> str:
    return f"{one.name} and {other.name}"


def _keyed(ds: Dataset, by: By) -> dict[str, Image]:
    if by == "id":
        return {image.id: image for image in ds.images}
    often = Counter(image.name for image in ds.images)
    if twice := sorted(name for name, count in often.items() if count > 1):
        raise ValueError(
            f'{ds.name}: {len(twice):,} names of images repeat, for example "{twice[0]}"; compare by id'
        )
    return {image.name: image for image in ds.images}
