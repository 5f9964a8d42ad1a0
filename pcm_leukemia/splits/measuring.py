"""How even a split is: the shares of images and classes in each part, and the classes that a part lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pcm_leukemia import counting
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.splits.balance import counts, deviations
from pcm_leukemia.splits.making import asked

__all__ = ["MissingClass", "PartEvenness", "evenness", "missing_classes"]


@dataclass(frozen=True, slots=True)
class PartEvenness:
    """The size of a part, and how far it is from its share.

    `reached` is its share of all images, and `asked` the share that it was to get, or None if the split does not record
    it. `cells` counts its cells by class. `off` is the distance of the part's share of each class's cells from `asked`,
    or from `reached` where that is None, 0 to 1; a class without cells has distance 0.
    """

    part: str
    patients: int
    images: int
    asked: float | None
    reached: float
    cells: Mapping[str, int]
    off: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MissingClass:
    """A class with cells in the data and none in some parts, and the number of patients known to have it."""

    label: str
    parts: tuple[str, ...]
    patients: int


def evenness(ds: Dataset) -> list[PartEvenness]:
    """Measure how even the split of a data set is; an empty list if it has no split or no images.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image, Split
    >>> images = tuple(Image(f"{n}.png", 200, 100) for n in range(4))
    >>> cells = tuple(Cell(f"{n}.png", 0, "Monocyte", Box(10, 20, 50, 60)) for n in range(2))
    >>> split = Split("demo", {"0.png": "train", "1.png": "train", "2.png": "train", "3.png": "test"})
    >>> [(each.part, each.reached, each.off["Monocyte"]) for each in evenness(Dataset("demo", NINE, images, cells, split=split))]
    [('train', 0.75, 0.25), ('test', 0.25, 0.25)]
    """
    if ds.split is None or not ds.images:
        return []
    shares = asked(ds.split)
    parts = ds.split.parts
    table = counts(ds, ds.split.part_of, parts)
    found = []
    for row, (part, size) in enumerate(counting.by_part(ds).items()):
        reached = size.images / len(ds.images)
        off = deviations(table, np.arange(len(parts)) == row, shares.get(part, reached))[1:]
        by_class = dict(zip(ds.taxonomy.labels, off.tolist(), strict=True))
        found.append(
            PartEvenness(part, size.patients, size.images, shares.get(part), reached, size.cells, by_class)
        )
    return found


def missing_classes(ds: Dataset) -> list[MissingClass]:
    """Find the classes that have cells in the data and none in some part of the split.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image, Split
    >>> images = (Image("a.png", 200, 100), Image("b.png", 200, 100))
    >>> cells = (Cell("a.png", 0, "Monocyte", Box(10, 20, 50, 60)),)
    >>> missing_classes(Dataset("demo", NINE, images, cells, split=Split("demo", {"a.png": "train", "b.png": "test"})))
    [MissingClass(label='Monocyte', parts=('test',), patients=0)]
    """
    if ds.split is None:
        return []
    sizes = counting.by_part(ds)
    people: dict[str, set[str]] = {label: set() for label in ds.taxonomy.labels}
    for cell in ds.cells:
        patient = ds.image(cell.image).patient
        if patient is not None and cell.label in people:
            people[cell.label].add(patient)
    found = []
    for label in ds.taxonomy.labels:
        lacking = tuple(part for part, size in sizes.items() if not size.cells[label])
        if lacking and len(lacking) < len(sizes):
            found.append(MissingClass(label, lacking, len(people[label])))
    return found
