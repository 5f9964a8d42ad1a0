"""The requirements on a data set before it is written, trained on or scored.

`require` is the gate: writers, trainers and scorers call it first. `require_boxes` and `require_complete` are its parts.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import Problem, UnfitForTask, either, option
from pcm_leukemia.schema import IGNORE
from pcm_leukemia.shapes import Point
from pcm_leukemia.splits import require_known_patients, require_sound

__all__ = ["Incomplete", "require", "require_boxes", "require_complete"]

Incomplete: TypeAlias = Literal["refuse", "keep"]
"""What to do with images that may have cells without an annotation."""


def require(ds: Dataset, *, boxes: bool = False, incomplete: Incomplete | None = None) -> None:
    """Refuse a data set whose split leaks or whose patients are lost, and one that is unfit for its use.

    Parameters
    ----------
    ds
        The data set.
    boxes
        Whether every cell needs a box (`require_boxes`).
    incomplete
        "refuse" images that may have cells without an annotation, or "keep" them (`require_complete`); None if the
        use does not depend on it.

    Raises
    ------
    LeakySplit
        If a patient or a group is in two parts, or an image is in none.
    MissingPatients
        If images have lost the patient that the split recorded.
    UnfitForTask
        If there are no images, cells have no box, or images are annotated in part.
    ValueError
        If `incomplete` has an unknown value.

    Examples
    --------
    >>> from pcm_leukemia.taxonomy import NINE
    >>> require(Dataset("demo", NINE, ()))
    Traceback (most recent call last):
    ...
    pcm_leukemia.errors.UnfitForTask: demo: has no images; import the data again, or select other images
    """
    if not ds.images:
        raise UnfitForTask(
            [Problem(ds.name, "has no images", "import the data again, or select other images")]
        )
    require_sound(ds)
    if ds.split is not None:
        require_known_patients(ds, ds.split)
    if boxes:
        require_boxes(ds)
    if incomplete is not None:
        require_complete(ds, incomplete)


def require_boxes(ds: Dataset) -> None:
    """Refuse cells that have only a point and no box. Ignored cells are allowed.

    Raises
    ------
    UnfitForTask
        If there are such cells, with their counts by label.

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
                either(
                    "leave such cells out with Dataset.select(labels=...), or set them aside with "
                    f'Dataset.relabel({{"{points[0].label}": "ignore"}})',
                    f"leave such cells out, or set them aside with --map {points[0].label}=ignore",
                ),
            )
        ]
    )


def require_complete(ds: Dataset, incomplete: Incomplete = "refuse") -> None:
    """Refuse images that may have cells without an annotation, since a detector learns such cells as background.

    Raises
    ------
    UnfitForTask
        If there are such images and `incomplete` is "refuse", with their counts by state.
    ValueError
        If `incomplete` has another value.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, ImageId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100, annotation_state="partial"),))
    >>> require_complete(ds)
    Traceback (most recent call last):
    ...
    pcm_leukemia.errors.UnfitForTask: demo: of 1 image, the first "a.png", not all cells are known to be annotated (1 partial), and a detector takes what is not annotated for background; leave such images out with Dataset.select, or pass incomplete="keep"
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
                f"leave such images out{either(' with Dataset.select', '')}, or pass {option('incomplete', 'keep')}",
            )
        ]
    )
