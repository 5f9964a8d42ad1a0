"""Crops of cells, cut and prepared by threads, for every model, in training and in prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import TypeVar

from pcm_leukemia import images
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.execution import ahead
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import Cell
from pcm_leukemia.shapes import Box
from pcm_leukemia.torchdata import Frames

__all__ = ["cut", "cut_cells"]

Prepared = TypeVar("Prepared")

_DEPTH = 16
"""The largest number of images whose crops are in memory."""


def cut(
    load: Callable[[int], Pixels],
    boxes: Sequence[Sequence[Box]],
    padding: int,
    prepare: Callable[[Pixels], Prepared],
    workers: int,
) -> Iterator[list[Prepared]]:
    """Yield the prepared crops of each image in turn; every image is loaded once.

    Parameters
    ----------
    load
        Returns the pixels of an image by its number.
    boxes
        The boxes of each image's cells, in pixels.
    padding
        Pixels on each side of a box; a crop ends at the image's border.
    prepare
        Converts a crop to the input of a model.
    workers
        Threads, at least one.

    Raises
    ------
    DataNotFound, CorruptFile
        If `load` raises them.

    Examples
    --------
    >>> import numpy as np
    >>> picture = np.zeros((60, 80, 3), np.uint8)
    >>> boxes = [[Box(10, 10, 20, 20), Box(70, 50, 80, 60)], []]
    >>> list(cut(lambda number: picture, boxes, 5, lambda crop: crop.shape[:2], workers=2))
    [[(20, 20), (15, 15)], []]
    """

    def crops(number: int) -> list[Prepared]:
        if not boxes[number]:
            return []
        pixels = load(number)
        return [prepare(images.crop(pixels, box, padding)) for box in boxes[number]]

    return ahead(crops, range(len(boxes)), workers, _DEPTH)


def cut_cells(
    ds: Dataset,
    cells: Sequence[Cell],
    padding: int,
    prepare: Callable[[Pixels], Prepared],
    workers: int,
) -> Iterator[Prepared]:
    """Yield the prepared crop of each cell; `cells` must be in the order of their images. See `cut`.

    Of a JPEG, only what the crops need may be decoded; see `images.decode_excerpt`.

    Raises
    ------
    DataNotFound, CorruptFile
        If an image has no file, or cannot be decoded.
    """
    of_image = [list(those) for _, those in groupby(cells, key=attrgetter("image"))]
    frames = Frames(ds, [ds.image(those[0].image) for those in of_image])
    boxes = [[cell.box for cell in those] for those in of_image]

    def crops(number: int) -> list[Prepared]:
        excerpt = frames.excerpt(number, boxes[number], padding)
        return [prepare(excerpt.crop(box)) for box in boxes[number]]

    return chain.from_iterable(ahead(crops, range(len(boxes)), workers, _DEPTH))
