"""The changes of a reviewer, and the agreement of two annotators.

Both compare the cells of two data sets, image by image. Cells are matched by their boxes: first
identical boxes, then the pairing with the highest sum of IoU among pairs that reach
the threshold. This pairing is exact, not greedy: where two cells touch, a greedy pairing may match the
neighbour's box and report the other cell as deleted. It is fast, since overlapping pairs form
groups of a few cells, and it does without scipy, which the core does not depend on.

Only boxes and labels are compared; outlines, attributes, occlusion and tags are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.review.matching import By, images_in_common, pair
from pcm_leukemia.review.results import KIND_OF, UNKNOWN, Agreement, Change, Confusion, Diff
from pcm_leukemia.schema import Cell, Image

__all__ = ["Agreement", "Change", "Diff", "agreement", "diff"]


def diff(
    before: Dataset,
    after: Dataset,
    *,
    iou: float = 0.5,
    tolerance: float = 0.01,
    annotator: str = "source",
    by: By = "id",
) -> Diff:
    """Find what a reviewer changed.

    Parameters
    ----------
    before, after
        Data of the same images and classes, for example as uploaded to CVAT and as exported again.
    iou
        The lowest IoU at which a cell counts as moved, not as another cell; above 0, up to 1.
    tolerance
        Pixels by which a side may differ without the cell being moved: CVAT rounds to 0.01.
    annotator
        The attribute that says who drew a cell; "source" is CVAT's own (manual, auto, file).
    by
        How images are matched: by their "id", or by the "name" that CVAT shows, if only one of the data sets
        has subsets in its ids.

    Raises
    ------
    InvalidDataset
        If the two have different classes, no image in common, or images with the same id but different
        sizes: every such image is listed.
    ValueError
        If an option has an unknown value, or images are compared by name and names repeat.

    Examples
    --------
    >>> from pcm_leukemia.schema import ImageId
    >>> from pcm_leukemia.shapes import Box
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("a.png"), 100, 100)
    >>> def data(*labels: str) -> Dataset:
    ...     boxes = (Box(20 * n, 0, 20 * n + 15, 15) for n in range(9))
    ...     cells = (Cell(image.id, n, label, box) for n, (label, box) in enumerate(zip(labels, boxes)))
    ...     return Dataset("demo", NINE, (image,), tuple(cells))
    >>> found = diff(data("Other", "Monocyte"), data("Other", "Lymphocyte", "Basophil"))
    >>> found.unchanged, found.confusion, [cell.label for cell in found.added]
    (1, {('Monocyte', 'Lymphocyte'): 1}, ['Basophil'])
    """
    if tolerance < 0:
        raise ValueError(f"tolerance {tolerance}: must be 0 or more pixels")
    common = images_in_common(before, after, iou, by)
    unchanged = 0
    added: list[Cell] = []
    removed: list[Cell] = []
    moved: list[Change] = []
    relabelled: list[Change] = []
    by_class: dict[str, Counter[str]] = {}
    by_annotator: dict[str, Counter[str]] = {}

    def count(cell: Cell, kind: str) -> None:
        by_class.setdefault(cell.written_label, Counter())[kind] += 1
        by_annotator.setdefault(_annotator(cell, annotator), Counter())[kind] += 1

    for old, new, pairs in _paired(before, after, common.pairs, iou):
        for change in pairs:
            is_moved = _differ(change, tolerance)
            count(change.before, KIND_OF[is_moved, change.relabelled])
            moved += [change] * is_moved
            relabelled += [change] * change.relabelled
            unchanged += not (is_moved or change.relabelled)
        for cell in old:
            count(cell, "removed")
        for cell in new:
            count(cell, "added")
        removed += old
        added += new
    order = {label: number for number, label in enumerate(before.taxonomy.written_labels)}
    return Diff(
        len(common.pairs),
        unchanged,
        tuple(added),
        tuple(removed),
        tuple(moved),
        tuple(relabelled),
        {label: dict(by_class[label]) for label in sorted(by_class, key=order.__getitem__)},
        {name: dict(by_annotator[name]) for name in sorted(by_annotator)},
        common.only_one,
        common.only_other,
    )


def agreement(one: Dataset, other: Dataset, *, iou: float = 0.5, by: By = "id") -> Agreement:
    """Measure the agreement of two annotators on the places and the classes of cells.

    Parameters
    ----------
    one, other
        The same images, each annotated by one of them, with the same classes.
    iou
        The lowest IoU at which two boxes count as the same cell; above 0, up to 1.
    by
        How images are matched; see `diff`.

    Raises
    ------
    InvalidDataset, ValueError
        As `diff` does.

    Examples
    --------
    >>> from pcm_leukemia.schema import ImageId
    >>> from pcm_leukemia.shapes import Box
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("a.png"), 100, 100)
    >>> ds = Dataset("demo", NINE, (image,), (Cell(image.id, 0, "Other", Box(0, 0, 9, 9)),))
    >>> found = agreement(ds, ds)
    >>> found.matched, found.f1, found.kappa
    (1, 1.0, None)
    """
    common = images_in_common(one, other, iou, by)
    pairs: list[Change] = []
    only_one: list[Cell] = []
    only_other: list[Cell] = []
    for left, right, found in _paired(one, other, common.pairs, iou):
        pairs += found
        only_one += left
        only_other += right
    seen = {cell.written_label for pair_ in pairs for cell in pair_[:2]} | {
        c.written_label for c in (*only_one, *only_other)
    }
    drawn = 2 * len(pairs) + len(only_one) + len(only_other)
    table = Counter((change.before.written_label, change.after.written_label) for change in pairs)
    return Agreement(
        len(common.pairs),
        tuple(label for label in one.taxonomy.written_labels if label in seen),
        len(pairs),
        sum(not change.relabelled for change in pairs),
        _kappa(table),
        sum(change.iou for change in pairs) / len(pairs) if pairs else None,
        2 * len(pairs) / drawn if drawn else None,
        dict(table),
        tuple(only_one),
        tuple(only_other),
        common.only_one,
        common.only_other,
    )


def _kappa(table: Confusion) -> float | None:
    """Cohen's kappa: the agreement beyond chance (Cohen, 1960)."""
    total = sum(table.values())
    rows: Counter[str] = Counter()
    columns: Counter[str] = Counter()
    for (row, column), count in table.items():
        rows[row] += count
        columns[column] += count
    by_chance = sum(rows[label] * columns[label] for label in rows)
    if by_chance == total * total:  # also if there are no cells
        return None
    same = sum(count for (row, column), count in table.items() if row == column)
    return (same * total - by_chance) / (total * total - by_chance)


def _paired(
    one: Dataset, other: Dataset, images: Iterable[tuple[Image, Image]], iou: float
) -> Iterator[tuple[list[Cell], list[Cell], list[Change]]]:
    """For each image, the cells of only one data set, the cells of only the other, and the pairs."""
    for a, b in images:
        left, right = one.cells_of(a), other.cells_of(b)
        found = sorted((Change(*each) for each in pair(left, right, iou)), key=_number)
        mine, theirs = {change.before.id for change in found}, {change.after.id for change in found}
        yield (
            [cell for cell in left if cell.id not in mine],
            [cell for cell in right if cell.id not in theirs],
            found,
        )


def _number(change: Change) -> int:
    return change.before.id


def _differ(change: Change, tolerance: float) -> bool:
    """Whether a side of the box moved by more than rounding."""
    a, b = change.before.box, change.after.box
    return a != b and any(
        abs(p - q) > tolerance + 1e-9 for p, q in ((a.x1, b.x1), (a.y1, b.y1), (a.x2, b.x2), (a.y2, b.y2))
    )


def _annotator(cell: Cell, name: str) -> str:
    """Who drew a cell, according to an attribute or the source."""
    found = next((value for key, value in cell.attributes if key == name), "")
    return found or (cell.source if name == "source" else "") or UNKNOWN
