"""Chooses cells and frames evenly over classes and patients, and cuts cells out of their images."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest
from typing import TypeVar

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.images import Pixels, crop, files_of, load
from pcm_leukemia.schema import Cell, Image
from pcm_leukemia.shapes import Box, Point

__all__ = ["choose", "choose_frames", "cut", "padded"]

_AROUND_POINTS = 40
"""The least padding of a cell that is a point, in pixels."""

T = TypeVar("T")


def choose(ds: Dataset, labels: Sequence[str], n: int, seed: int = 0) -> list[Cell]:
    """Up to `n` cells, from one class after the other and in each from one patient after the other; sorted by class.

    The same seed gives the same cells.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Image
    >>> image = Image("a.png", 200, 100)
    >>> ds = Dataset("demo", NINE, (image,), tuple(Cell(image.id, n, "Other", Box(n, 0, 9, 9)) for n in range(5)))
    >>> len(choose(ds, ("Monocyte", "Other"), 3))
    3
    """
    by_class: dict[str, dict[str, list[Cell]]] = {each: {} for each in labels}
    for image in ds.images:
        for cell in ds.cells_of(image):
            if cell.written_label in by_class:
                by_class[cell.written_label].setdefault(image.patient or image.id, []).append(cell)
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    queues = []
    for patients in by_class.values():
        drawn = [rng.sample(cells, len(cells)) for _, cells in sorted(patients.items())]
        rng.shuffle(drawn)
        queues.append(list(_in_turn(drawn)))
    return sorted(islice(_in_turn(queues), n), key=lambda cell: labels.index(cell.written_label))


def choose_frames(ds: Dataset, n: int, seed: int = 0) -> list[Image]:
    """Up to `n` images with files: from each part and class in turn, and in these from one patient after the other.

    Of each patient, images with the most classes come first. Images without cells are drawn like those of a class. The
    same seed gives the same images, sorted by id.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Image
    >>> images = tuple(Image(f"{n}.png", 200, 100, file=f"{n}.png") for n in range(5))
    >>> ds = Dataset("demo", NINE, images, (Cell("3.png", 0, "Other", Box(0, 0, 9, 9)),))
    >>> "3.png" in [image.id for image in choose_frames(ds, 2)]
    True
    """
    queues: dict[tuple[str, str], dict[str, list[Image]]] = {}
    classes_of = {image.id: {cell.label for cell in ds.cells_of(image)} for image in ds.images}
    with_file = [image for image in ds.images if image.file is not None]
    for image in sorted(with_file, key=lambda image: -len(classes_of[image.id])):
        for label in classes_of[image.id] or {""}:
            patients = queues.setdefault((ds.part_of(image), label), {})
            patients.setdefault(image.patient or image.id, []).append(image)
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    drawn = []
    for _, patients in sorted(queues.items()):
        of_patients = [images for _, images in sorted(patients.items())]
        rng.shuffle(of_patients)
        drawn.append(list(_in_turn(of_patients)))
    chosen = islice(dict.fromkeys(_in_turn(drawn)), n)
    return sorted(chosen, key=lambda image: image.id)


def padded(cell: Cell, padding: int) -> int:
    """The padding around a cell in pixels: that given, or enough to show something if the cell is a point."""
    return max(padding, _AROUND_POINTS) if isinstance(cell.shape, Point) else padding


def cut(ds: Dataset, paddings: Mapping[Cell, int], *, square: bool = False) -> Iterator[tuple[Cell, Pixels]]:
    """The crop of each cell with so many pixels around its box, or around the square about it; each image is decoded once.

    Raises
    ------
    DataNotFound
        If the data set has no image files, or one of them is missing.
    CorruptFile
        If a file cannot be decoded, or has another size than recorded.
    """
    files = files_of(ds)
    by_image: dict[str, list[Cell]] = {}
    for cell in paddings:
        by_image.setdefault(cell.image, []).append(cell)
    for image, inside in by_image.items():
        pixels = load(files, ds.image(image))
        for cell in inside:
            yield cell, crop(pixels, _squared(cell.box) if square else cell.box, paddings[cell])


def _squared(box: Box) -> Box:
    """The smallest square about a box, with the same middle."""
    wider, higher = (max(box.height - box.width, 0) / 2, max(box.width - box.height, 0) / 2)
    return Box(box.x1 - wider, box.y1 - higher, box.x2 + wider, box.y2 + higher)


def _in_turn(queues: Iterable[Sequence[T]]) -> Iterator[T]:
    """The first of each queue, then the second of each, and so on."""
    nothing = object()
    for each in chain.from_iterable(zip_longest(*queues, fillvalue=nothing)):
        if each is not nothing:
            yield each  # type: ignore[misc]
