"""What a task asks of the data: boxes where only points are known, and images in which every cell is annotated.

Each check raises one `UnfitForTask` that says why, and what can be left out.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import Problem, UnfitForTask
from pcm_leukemia.schema import IGNORE
from pcm_leukemia.shapes import Point

__all__ = ["Incomplete", "require_boxes", "require_complete"]

Incomplete: TypeAlias = Literal["refuse", "keep"]
"""What is done with images in which cells may be unannotated."""


def require_boxes(ds: Dataset) -> None:
    """Refuse cells of which only a point is known; such as are to be ignored may stay.

    Raises
    ------
    UnfitForTask
        If there are any: how many, by label.

    Examples
    --------
    >>> from pcm_leukemia.schema import Cell, Image, ImageId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image, point = Image(ImageId("a.png"), 200, 100), Point(10, 20)
    >>> ds = Dataset("demo", NINE, (image,), (Cell(image.id, 0, "Other", point.pixel(200, 100), shape=point),))
    >>> require_boxes(ds)
    Traceback (most recent call last):
    ...
    pcm_leukemia.errors.UnfitForTask: demo: 1 cell is a point without a box (1 Other), the first in image "a.png", and boxes are needed here; leave such cells out with Dataset.select(labels=...), or set them aside with Dataset.relabel({"Other": "ignore"})
    """
    points = [cell for cell in ds.cells if isinstance(cell.shape, Point) and cell.label != IGNORE]
    if not points:
        return
    found = Counter(cell.label for cell in points)
    counts = ", ".join(f"{count:,} {label}" for label, count in found.items())
    are = "cell is a point without a box" if len(points) == 1 else "cells are points without a box"
    raise UnfitForTask(
        [
            Problem(
                ds.name,
                f'{len(points):,} {are} ({counts}), the first in image "{points[0].image}", and boxes are needed here',
                "leave such cells out with Dataset.select(labels=...), or set them aside with "
                f'Dataset.relabel({{"{points[0].label}": "ignore"}})',
            )
        ]
    )


def require_complete(ds: Dataset, incomplete: Incomplete = "refuse") -> None:
    """Refuse images in which cells may be unannotated, since a detector takes these for background.

    Raises
    ------
    UnfitForTask
        If there are any, and `incomplete` is "refuse": how many, by state.
    ValueError
        If `incomplete` is neither.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, ImageId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100, annotation_state="partial"),))
    >>> require_complete(ds)
    Traceback (most recent call last):
    ...
    pcm_leukemia.errors.UnfitForTask: demo: of 1 image, the first "a.png", not all cells are known to be annotated (1 partial), and a detector takes what is not annotated for background; leave such images out with Dataset.select, or pass incomplete="keep" / --incomplete keep
    >>> require_complete(ds, "keep")
    """
    if incomplete not in ("refuse", "keep"):
        raise ValueError(f'incomplete "{incomplete}": must be refuse or keep')
    lacking = [image for image in ds.images if image.annotation_state != "complete"]
    if incomplete == "keep" or not lacking:
        return
    found = Counter(image.annotation_state for image in lacking)
    counts = ", ".join(f"{count:,} {state}" for state, count in sorted(found.items()))
    raise UnfitForTask(
        [
            Problem(
                ds.name,
                f'of {len(lacking):,} image{"s" * (len(lacking) > 1)}, the first "{lacking[0].id}", not all cells are '
                f"known to be annotated ({counts}), and a detector takes what is not annotated for background",
                'leave such images out with Dataset.select, or pass incomplete="keep" / --incomplete keep',
            )
        ]
    )
