"""The pictures of a page. Sections ask for them first; then each image is decoded once, and all are cut."""

from __future__ import annotations

import base64
import io
import os
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing

import numpy as np
import PIL.Image

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import PcmError
from pcm_leukemia.execution import ahead
from pcm_leukemia.images import Files, Pixels, crop, encode, load
from pcm_leukemia.progress import track
from pcm_leukemia.schema import Cell, Image, ImageId
from pcm_leukemia.shapes import Box, Point

__all__ = ["Pictures"]

CROP = 96
"""The longest side of a crop on the page, in pixels."""
FRAME = 960
"""The longest side of a frame on the page, in pixels."""
CROP_BYTES, FRAME_BYTES = 3_100, 93_000
"""The most bytes of a crop and of a frame; grainy images get a lower quality. 480 crops and 40 frames are 2 and 5 MB then."""
PADDING = 0.2
"""What a crop shows around a cell's box, as a share of its longer side."""
AROUND_POINTS = 40
"""The same for a cell that is a point, in pixels."""


class Pictures:
    """Small JPEGs without metadata, each known by its number.

    Examples
    --------
    >>> from pcm_leukemia import NINE
    >>> pictures = Pictures(Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100),)))
    >>> number = pictures.frame(pictures.ds.images[0])
    >>> pictures.cut()
    >>> pictures.encoded[number] is None  # the image has no file
    True
    """

    def __init__(self, ds: Dataset) -> None:
        self.ds = ds
        self.encoded: list[str | None] = []
        """Base64 of each JPEG; None if it has not been cut, because its file could not be read."""
        self._wanted: dict[ImageId, list[Callable[[Pixels], None]]] = defaultdict(list)
        self._crops: dict[tuple[ImageId, int], int] = {}

    @property
    def possible(self) -> bool:
        """Whether any image has a file."""
        return self.ds.root is not None and any(image.file for image in self.ds.images)

    def crop(self, cell: Cell) -> int:
        """Ask for a cell with a little of what is around it; returns the number of the picture."""
        key = (cell.image, cell.id)
        if key not in self._crops:
            self._crops[key] = self._ask(
                cell.image, lambda pixels: _shrunk(_cut_cell(pixels, cell), CROP, 80, CROP_BYTES)
            )
        return self._crops[key]

    def crop_of(self, image: Image, box: Box) -> int:
        """Ask for a box in an image, which need not be a cell's, as `crop` shows it; returns the number of the picture."""
        return self._ask(image.id, lambda pixels: _shrunk(_cut(pixels, box), CROP, 80, CROP_BYTES))

    def frame(self, image: Image) -> int:
        """Ask for a whole image, without boxes; returns the number of the picture."""
        return self._ask(image.id, lambda pixels: _shrunk(pixels, FRAME, 75, FRAME_BYTES))

    def drawn(self, image: Image, draw: Callable[[Pixels], PIL.Image.Image]) -> int:
        """Ask for a picture that `draw` makes of the pixels of an image, in a thread; returns its number."""
        return self._ask(image.id, lambda pixels: _with_lines(draw(pixels)))

    def each(self, image: Image, take: Callable[[Pixels], None]) -> None:
        """Ask for the pixels of an image, RGB, uint8, ``(height, width, 3)``: `take` is called with them, in a thread."""
        self._wanted[image.id].append(take)

    def cut(self, *, workers: int | None = None, progress: bool = False) -> None:
        """Decode each image that something was asked of, and cut what was asked; what cannot be read stays None."""
        files = Files(self.ds.root) if self.ds.root else None
        order = sorted(self._wanted)

        def work(image: ImageId) -> None:
            found = self.ds.image(image)
            if files is None or found.file is None:
                return
            try:
                pixels = load(files, found)
            except (PcmError, OSError, ValueError, MemoryError):
                return
            for take in self._wanted[image]:
                take(pixels)

        threads = workers or os.cpu_count() or 1
        with closing(ahead(work, order, threads, 2 * threads)) as results:
            for _ in track(results, "pictures", total=len(order), shown=progress):
                pass

    def _ask(self, image: ImageId, make: Callable[[Pixels], bytes]) -> int:
        place = len(self.encoded)
        self.encoded.append(None)

        def take(pixels: Pixels) -> None:
            self.encoded[place] = _base64(make(pixels))

        self._wanted[image].append(take)
        return place


def _cut_cell(pixels: Pixels, cell: Cell) -> Pixels:
    return crop(pixels, cell.box, AROUND_POINTS) if isinstance(cell.shape, Point) else _cut(pixels, cell.box)


def _cut(pixels: Pixels, box: Box) -> Pixels:
    return crop(pixels, box, round(PADDING * max(box.width, box.height)))


def _shrunk(pixels: Pixels, side: int, quality: int, most: int) -> bytes:
    """A JPEG of the pixels, no wider and no higher than `side`, of at most `most` bytes."""
    small = PIL.Image.fromarray(pixels)
    small.thumbnail((side, side), PIL.Image.Resampling.LANCZOS)
    for lower in (quality, 60, 45, 30):
        found = encode(np.asarray(small), "jpg", lower)
        if len(found) <= most:
            return found
    return _shrunk(pixels, 3 * side // 4, quality, most)


def _with_lines(picture: PIL.Image.Image) -> bytes:
    """A JPEG in which thin lines keep their colours."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=75, subsampling=0)
    return out.getvalue()


def _base64(jpeg: bytes) -> str:
    return base64.b64encode(jpeg).decode()
