"""Predictions for CVAT beside the cells that people have drawn: which images get some, and how both are written."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import structs

from pcm_leukemia.converters import coco
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, Problem, UnfitForTask, counted, option
from pcm_leukemia.schema import ImageId, Taxonomy
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import taxonomy_with

if TYPE_CHECKING:
    from pcm_leukemia.baselines.prediction import Predicted

__all__ = ["Onto", "as_cells", "beside", "to_predict"]

Onto: TypeAlias = Literal["empty", "all"]
"""The images that get predictions: those without cells, or all."""


def to_predict(ds: Dataset, onto: Onto = "empty") -> Dataset:
    """The images of a data set that get predictions.

    Raises
    ------
    UnfitForTask
        If `onto` is "empty" and every image has cells.
    ValueError
        If `onto` is neither "empty" nor "all".

    Warns
    -----
    DataWarning
        If images with cells get no predictions.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image
    >>> ds = Dataset("demo", NINE, (Image("a.png", 90, 60),), (Cell("a.png", 0, "Other", Box(1, 1, 9, 9)),))
    >>> to_predict(ds)
    Traceback (most recent call last):
    pcm_leukemia.errors.UnfitForTask: demo: has cells on every image; to add predictions beside them, give onto="all"
    """
    if onto not in ("empty", "all"):
        raise ValueError(f'onto "{onto}": must be empty or all')
    having = {cell.image for cell in ds.cells}
    if onto == "all" or not having:
        return ds
    fix = f"to add predictions beside them, give {option('onto', 'all')}"
    if len(having) == len(ds.images):
        raise UnfitForTask([Problem(ds.name, "has cells on every image", fix)])
    warnings.warn(
        f"{ds.name}: {counted(len(having), 'image')} of {len(ds.images):,} with cells, which are kept and get no predictions; {fix}",
        DataWarning,
        stacklevel=2,
    )
    return ds.select(images=lambda image: image.id not in having)


def as_cells(
    predicted: Mapping[ImageId, Sequence[Predicted]], ds: Dataset, *, threshold: float = 0.5
) -> Dataset:
    """Add predictions to images without cells, as cells that an expert corrects; see `converters.coco.with_results`.

    Parameters
    ----------
    predicted
        The cells of each image, as `predict` returns them.
    ds
        The images, with the classes that `predict` returns.
    threshold
        The lowest score that is taken; of two stages, the detector's.
    """
    boxes: dict[str, list[tuple[str, Box, float]]] = {
        image: [(one.label, one.box, one.shown_score) for one in ones] for image, ones in predicted.items()
    }
    return coco.with_results(ds, boxes, threshold=threshold)


def beside(
    predicted: Mapping[ImageId, Sequence[Predicted]],
    ds: Dataset,
    taxonomy: Taxonomy,
    *,
    threshold: float = 0.5,
) -> Dataset:
    """Add predictions to the cells of a data set, with the source "auto" and their score, after the cells of each image.

    The classes of the predictions are added to those of the data.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image
    >>> from pcm_leukemia.baselines.prediction import Predicted
    >>> drawn = Cell("a.png", 0, "Other", Box(1, 1, 9, 9), source="manual")
    >>> ds = Dataset("demo", NINE, (Image("a.png", 90, 60),), (drawn,))
    >>> both = beside({"a.png": [Predicted("Monocyte", Box(20, 20, 40, 40), 0.9)]}, ds, NINE)
    >>> [(cell.id, cell.label, cell.source) for cell in both.cells]
    [(0, 'Other', 'manual'), (1, 'Monocyte', 'auto')]
    """
    bare = replace(ds, taxonomy=taxonomy, cells=(), split=None)
    added = as_cells(predicted, bare, threshold=threshold)
    if not ds.cells:
        return added
    first = {cell.image: cell.id + 1 for cell in ds.cells}  # cells are in the order of their ids
    new = (structs.replace(cell, id=cell.id + first.get(cell.image, 0)) for cell in added.cells)
    labels = dict.fromkeys((*ds.taxonomy.labels, *taxonomy.labels))
    return replace(ds, taxonomy=taxonomy_with(tuple(labels)), cells=(*ds.cells, *new), split=None)
