from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, images
from pcm_leukemia.baselines.cutting import cut, cut_cells
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import ImageId

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 255, (60, 80, 3), np.uint8) for _ in range(5)]
BOXES = [[Box(10.5, 10, 20, 20), Box(70, 50, 80, 60)], [], [Box(0, 0, 5, 5)], [Box(1, 2, 3, 4)] * 3, []]


def test_crops_are_those_of_images_and_every_image_is_loaded_once() -> None:
    loaded: Counter[int] = Counter()

    def load(number: int) -> Pixels:
        loaded[number] += 1
        return PICTURES[number]

    found = list(cut(load, BOXES, 7, lambda crop: crop.sum(), workers=3))
    assert found == [
        [images.crop(picture, box, 7).sum() for box in boxes]
        for picture, boxes in zip(PICTURES, BOXES, strict=True)
    ]
    assert loaded == {0: 1, 2: 1, 3: 1}  # nothing is cut out of the others


def test_cells_come_in_their_order(tmp_path: Path) -> None:
    names = [ImageId(f"{number}.png") for number in range(len(PICTURES))]
    for name, picture in zip(names, PICTURES, strict=True):
        PIL.Image.fromarray(picture).save(tmp_path / name)
    cells = tuple(
        Cell(name, number, "Other", box)
        for name, boxes in zip(names, BOXES, strict=True)
        for number, box in enumerate(boxes)
    )
    rows = tuple(Image(name, 80, 60, file=name) for name in names)
    ds = Dataset("demo", NINE, rows, cells, root=tmp_path)
    found = list(cut_cells(ds, ds.cells, 3, lambda crop: crop, workers=2))
    for cell, crop in zip(ds.cells, found, strict=True):
        expected = images.crop(PICTURES[names.index(cell.image)], cell.box, 3)
        np.testing.assert_array_equal(crop, expected)
