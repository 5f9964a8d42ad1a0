"""Predictions as cells of a data set, to be corrected by an expert in CVAT."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pcm_leukemia.converters.coco.result_images import IMAGES, require_images
from pcm_leukemia.converters.coco.results import Result, Results, read_results
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, counted, either, some
from pcm_leukemia.requirements import require_boxes
from pcm_leukemia.schema import AUTO, Cell, Image
from pcm_leukemia.shapes import Box

__all__ = ["with_results"]

_SCORE = "score"
"""The attribute that holds the score."""


def with_results(
    ds: Dataset,
    results: Results,
    *,
    threshold: float = 0.5,
    onto: Literal["empty", "all"] = "empty",
    first_category: int = 1,
) -> Dataset:
    """Add predicted cells to a data set, so that an expert corrects them in CVAT instead of drawing every cell.

    A prediction becomes a cell with ``source="auto"`` and an attribute ``score``, a text with two decimals
    ("0.87"). Boxes are rounded to 0.01 px, as in CVAT, and cut at the image's border. New cells come after
    the existing ones.

    Parameters
    ----------
    ds
        The whole data set, with all its parts: image numbers count over them. Select a part afterwards.
    results, first_category
        As in `read_results`. The images and classes of a file are compared with ``images.json`` beside it, as `write_results`
        writes it.
    threshold
        The lowest score that is taken, 0 to 1; of two stages, the detector's.
    onto
        "empty" adds predictions only to images without cells: in images that an expert has annotated, every cell
        would appear twice. A warning counts the predictions left out. "all" adds them to every image.

    Returns
    -------
    Dataset
        The same data with the predicted cells added; in each image they are numbered in the order of the predictions.

    Raises
    ------
    DataNotFound
        If the results file cannot be read.
    InvalidExport
        If results are malformed or do not match the data: every such row is listed. Also if a file has the results of other
        images, or other classes.
    CorruptFile
        If ``images.json`` beside the results does not list images.
    UnfitForTask
        If cells are points without a box.
    ValueError
        If an option has an unknown value.

    Warns
    -----
    DataWarning
        If boxes lie outside their image or have no area, images already have cells, or there is no ``images.json`` beside a file.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, ImageId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100),))
    >>> row = {"image_id": 1, "category_id": 9, "bbox": [50, 20, 30, 40], "score": 0.871}
    >>> cell = with_results(ds, [row, {**row, "score": 0.3}]).cells[0]
    >>> cell.label, cell.box, cell.source, cell.attributes
    ('Other', Box(x1=50.0, y1=20.0, x2=80.0, y2=60.0), 'auto', (('score', '0.87'),))
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold}: must be a score from 0 to 1")
    if onto not in ("empty", "all"):
        raise ValueError(f'onto "{onto}": must be empty or all')
    require_boxes(ds)
    only_numbers = isinstance(results, str | Path) and not require_images(
        Path(results), ds, first_category=first_category
    )
    found = read_results(results, ds, first_category=first_category)
    if only_numbers:
        warnings.warn(
            f"{results}: has no {IMAGES} beside it, so its images are known by their numbers alone; look at some frames in CVAT",
            DataWarning,
            stacklevel=2,
        )
    left: Counter[str] = Counter()
    kept = [result for result in found if result.shown_score >= threshold]
    added = list(_cells(ds, kept, left, everywhere=onto == "all"))
    if left:
        lines = [
            f"{ds.name}: {counted(count, 'prediction')} {kind}: left out"
            for kind, count in sorted(left.items())
        ]
        warnings.warn(some(lines), DataWarning, stacklevel=2)
    return replace(ds, cells=(*ds.cells, *added))


def _cells(ds: Dataset, results: list[Result], left: Counter[str], *, everywhere: bool) -> Iterator[Cell]:
    """The cells to add; `left` counts the predictions left out."""
    free: dict[str, int] = {}
    for result in results:
        image = ds.image(result.image)
        there = ds.cells_of(image)
        if there and not everywhere:
            left[
                either('on images that have cells (onto="all" keeps them)', "on images that have cells")
            ] += 1
            continue
        box = _inside(result, image)
        if box is None:
            left["outside their image or without area"] += 1
            continue
        number = free.setdefault(image.id, there[-1].id + 1 if there else 0)
        free[image.id] = number + 1
        score = ((_SCORE, f"{result.shown_score:.2f}"),)
        yield Cell(image.id, number, result.label, box, result.label, source=AUTO, attributes=score)


def _inside(result: Result, image: Image) -> Box | None:
    """The box, rounded to 0.01 px and cut at the image's border; None if it is outside the image."""
    x1, y1, x2, y2 = (round(side, 2) for side in result.sides)
    if x1 >= x2 or y1 >= y2:
        return None
    return Box(x1, y1, x2, y2).clip(image.width, image.height)
