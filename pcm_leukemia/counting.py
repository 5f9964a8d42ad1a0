"""Counts images, patients and cells by part: the paper's Tables 2 and 3 for any data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted, option

__all__ = ["Counts", "background_of", "by_part", "learned_as_background", "overall", "without_class"]


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of one part, or of a whole data set; `cells` has what `Dataset.counts` has."""

    patients: int
    images: int
    cells: Mapping[str, int]

    def share(self, label: str) -> float:
        """The share of a class among the cells, 0 to 1; 0 without cells.

        Examples
        --------
        >>> Counts(1, 2, {"Monocyte": 3, "Other": 1}).share("Monocyte")
        0.75
        """
        return self.cells[label] / max(sum(self.cells.values()), 1)


def without_class(ds: Dataset) -> dict[str, int]:
    """The cells without a class, by kind: what formats that hold classes alone leave out.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image
    >>> image = Image("a.png", 200, 100)
    >>> ds = Dataset("demo", NINE, (image,), (Cell(image.id, 0, "WBC", Box(10, 20, 50, 60)),))
    >>> without_class(ds), without_class(ds.task("wbc"))
    ({'cells to be ignored': 0, 'white cells of unknown type': 1}, {'cells to be ignored': 0})
    """
    untyped = {"white cells of unknown type": ds.untyped} if ds.untyped else {}
    return {"cells to be ignored": ds.ignored, **untyped}


def background_of(ds: Dataset) -> str:
    """What a detector takes for background, although it is a cell, for messages; "" if there are no such cells.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image
    >>> image = Image("a.png", 200, 100)
    >>> background_of(Dataset("demo", NINE, (image,), (Cell(image.id, 0, "ignore", Box(10, 20, 50, 60)),)))
    'takes 1 cell without a class for background'
    """
    cells = ds.ignored + ds.untyped
    if not cells:
        return ""
    return f"takes {counted(cells, 'cell without a class', 'cells without a class')} for background"


def learned_as_background(ds: Dataset) -> list[str]:
    """A note for the report of a format without ignored cells: what a detector that learns from it takes for background.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image
    >>> image = Image("a.png", 200, 100)
    >>> ds = Dataset("demo", NINE, (image,), (Cell(image.id, 0, "WBC", Box(10, 20, 50, 60)),))
    >>> learned_as_background(ds)
    ['a detector that learns from these files takes 1 cell without a class for background; task="wbc" has the white cells among them']
    >>> learned_as_background(ds.task("wbc"))
    []
    """
    white = f"; {option('task', 'wbc')} has the white cells among them" if ds.untyped else ""
    background = background_of(ds)
    return [f"a detector that learns from these files {background}{white}"] if background else []


def overall(ds: Dataset) -> Counts:
    """The counts of the whole data set."""
    return Counts(len(ds.patients), len(ds.images), ds.counts)


def by_part(ds: Dataset) -> dict[str, Counts]:
    """The counts of each part; those of the part "all" where the data set has no split.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image
    >>> by_part(Dataset("demo", NINE, (Image("a.png", 200, 100),)))["all"].images
    1
    """
    whole = overall(ds)
    if ds.split is None:
        return {"all": whole}
    part_of = ds.split.part_of
    images = Counter(part_of[image.id] for image in ds.images)
    owners = {(part_of[image.id], image.patient) for image in ds.images if image.patient is not None}
    patients = Counter(part for part, _ in owners)
    cells = Counter((part_of[cell.image], cell.written_label) for cell in ds.cells)
    return {
        part: Counts(patients[part], images[part], {label: cells[part, label] for label in whole.cells})
        for part in ds.parts
    }
