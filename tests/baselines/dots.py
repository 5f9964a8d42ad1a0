"""Cells that classifiers learn in no time, and jobs on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from pcm_leukemia import NINE, Box, Cell, Dataset, Image
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.schema import ImageId

EIGHT = NINE.labels[:-1]


def draw(folder: Path) -> Dataset:
    """Draw small pictures in which each cell is a square of its class's colour, on grain."""
    rng = np.random.default_rng(0)
    rows, cells = [], []
    for number in range(8):
        pixels = rng.integers(180, 256, (64, 200, 3), dtype=np.uint8)
        rows.append(Image(ImageId(f"{number}.png"), 200, 64, file=f"{number}.png"))
        for cell in range(4):
            label = EIGHT[(number + cell) % 3]
            x = 10 + 45 * cell
            pixels[20:44, x : x + 24] = (40 + 60 * ((number + cell) % 3), 40, 120)
            cells.append(Cell(rows[-1].id, cell, label, Box(x, 20, x + 24, 44)))
        PIL.Image.fromarray(pixels).save(folder / f"{number}.png")
    return Dataset("dots", NINE, tuple(rows), tuple(cells), root=folder).task("classification")


def job(ds: Dataset, out: Path, **changes: Any) -> Job:
    """Learn from all images but the last two, which choose the epoch."""
    names = [image.id for image in ds.images]
    parts = (ds.select(images=names[:-2]), ds.select(images=names[-2:]))
    return Job(*parts, out, **changes)
