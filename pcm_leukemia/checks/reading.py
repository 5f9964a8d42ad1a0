"""Reads every image file once, for all checks.

Each file is read and decoded once, in threads. Only a digest of its pixels and thumbnails of 1 KB are kept: of the
image, of every cell in its own box, and of every cell with the margin that crops have. An image of 1920 x 1080 pixels
with 7 cells takes 13.5 ms of a core, including 3.4 ms for the digest (docs/trust.md).
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import PIL.Image

from pcm_leukemia import images
from pcm_leukemia.checks.blank import NOT_BLANK, Blank, look_for_blank
from pcm_leukemia.checks.similarity import COPIES, SIDE, Stack, detail, digest, thumbnail
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, PcmError, Problem
from pcm_leukemia.files import digest as file_digest
from pcm_leukemia.images import Identifier, find_identifiers
from pcm_leukemia.progress import track
from pcm_leukemia.schema import Cell, Image
from pcm_leukemia.shapes import Box

__all__ = ["MARGIN", "FileReading", "count_featureless", "read_files", "stack_of"]

MARGIN = 50
"""Pixels around a cell's box in a saved crop, as in the paper and in `converters.crops`."""


@dataclass(frozen=True, slots=True)
class FileReading:
    """The content of one image file, reduced to what the checks need.

    A file that is damaged or does not fit its annotations has a `problem`, and no digest or thumbnails. `digest` is that
    of the pixels. A file is `changed` if its own digest is not the one recorded at import.
    """

    image: Image
    problem: Problem | None = None
    identifiers: tuple[Identifier, ...] = ()
    digest: str = ""
    whole: Stack | None = None
    cells: tuple[Stack, ...] = ()
    with_margin: tuple[Stack, ...] = field(default=(), repr=False)
    blank: Blank = NOT_BLANK
    changed: bool = False


def read_files(
    ds: Dataset, *, pixels: bool = True, workers: int | None = None, progress: bool = False
) -> list[FileReading]:
    """Read every image file of `ds` once, in the order of the images; images without a file are skipped.

    Parameters
    ----------
    ds
        The data set. Without a root, nothing is read.
    pixels
        Whether to decode the images. Otherwise files are read only for sizes and identifiers.
    workers
        Threads; by default one for each core.
    progress
        Whether to show a progress bar.
    """
    there = [image for image in ds.images if image.file is not None]
    if ds.root is None or not there:
        return []
    files = images.Files(ds.root)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        done = pool.map(lambda image: _read_file(files, image, ds.cells_of(image), pixels=pixels), there)
        return list(track(done, "images", total=len(there), shown=progress))


def count_featureless(readings: Iterable[FileReading]) -> tuple[int, int]:
    """The numbers of images and of cells with too little detail to distinguish a copy from any other."""
    seen = [each for each in readings if each.whole is not None]
    images = detail(stack_of(each.whole for each in seen if each.whole is not None))
    cells = detail(stack_of(cell for each in seen for cell in each.cells))
    return int((images < COPIES.least_detail).sum()), int((cells < COPIES.least_detail).sum())


def _read_file(files: images.Files, image: Image, cells: tuple[Cell, ...], *, pixels: bool) -> FileReading:
    where = f'image "{image.id}"'
    try:
        data = files.read(str(image.file))
        identifiers = find_identifiers(data)
        problem = images.misfit(data, image)
        changed = image.digest not in (None, file_digest(io.BytesIO(data), len(data)))
        if problem or not pixels:
            return FileReading(image, problem, identifiers, changed=changed and not problem)
        decoded = images.decode_as_annotated(data, image)
    except PcmError as error:
        what, _, fix = str(error).rpartition("; ")
        if isinstance(error, CorruptFile):  # another file is not the one that was imported
            fix += ", then import again"
        return FileReading(image, Problem(where, what, fix))
    picture = PIL.Image.fromarray(decoded)
    whole = thumbnail(picture)
    in_boxes = tuple(thumbnail(picture, cell.box) for cell in cells)
    boxes = [(cell.id, cell.box) for cell in cells]
    wide = [_wider(cell.box, image) for cell in cells]
    return FileReading(
        image,
        None,
        identifiers,
        digest(decoded),
        whole,
        in_boxes,
        tuple(thumbnail(picture, box) for box in wide),
        look_for_blank(data, image, decoded, boxes, [whole, *in_boxes]),
        changed,
    )


def _wider(box: Box, image: Image) -> Box:
    """The box of a saved crop, in whole pixels: the margin is cut off at the image's border."""
    x1, y1, x2, y2 = images.crop_corners(box, MARGIN, image.width, image.height)
    return Box(float(x1), float(y1), float(x2), float(y2))


def stack_of(thumbnails: Iterable[Stack]) -> Stack:
    """Thumbnails as one array, ``(n, 32, 32)``."""
    rows = list(thumbnails)
    return np.stack(rows) if rows else np.zeros((0, SIDE, SIDE), np.uint8)
