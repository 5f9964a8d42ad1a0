"""The data that worker processes need to load images: flat arrays, and access to the pixels.

A loader gives every worker a copy of its data set. Rows as Python objects would be pickled for each
spawned worker, and gradually copied by each forked worker, since reading an object writes its
reference count. Arrays, and one block of bytes for all the names, avoid both.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, option
from pcm_leukemia.files import no_images
from pcm_leukemia.images import Border, Excerpt, Files, Pixels, decode, load, load_excerpt
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import Image, ImageId
from pcm_leukemia.shapes import Box

__all__ = ["CutCrops", "Frames", "Texts", "WrittenCrops"]

Ints = npt.NDArray[np.int32]


class Texts(Sequence[str]):
    """Many texts in one block of bytes: a sequence of str, pickled as UTF-8 plus 8 bytes for each text.

    Examples
    --------
    >>> names = Texts(["P1/a.png", "", "白血病.jpg"])
    >>> len(names), names[2], names[-1]
    (3, '白血病.jpg', '白血病.jpg')
    """

    def __init__(self, texts: Iterable[str]) -> None:
        # a file name may have bytes that are not UTF-8, which Python represents as lone surrogates
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        self._bytes = b"".join(encoded)
        self._ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = range(len(self))[index]
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode("utf-8", "surrogatepass")


class _OwnFiles:
    """The `Files` below a root, opened anew in every process.

    A forked worker would share an open zip, and its read position, with its parent.
    """

    def __init__(self, root: Place) -> None:
        self.root = root
        self._opened: tuple[int, Files] | None = None

    def __call__(self) -> Files:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), Files(self.root)
        return self._opened[1]

    def __getstate__(self) -> Place:
        return self.root

    def __setstate__(self, root: Place) -> None:
        self.root, self._opened = root, None


class Frames:
    """Images of a data set, by number from 0, decoded as they were annotated.

    Raises
    ------
    DataNotFound
        If an image has no file, or the folder or zip with the images does not exist.
    """

    def __init__(self, ds: Dataset, images: Sequence[Image]) -> None:
        lost = [image.id for image in images if image.file is None or ds.root is None]
        if lost:
            raise DataNotFound(
                f'{ds.name}: {len(lost):,} of {len(images):,} images have no file, the first "{lost[0]}"; '
                f"give {option('images_root')}"
            )
        if ds.root is not None and images and not ds.root.exists():
            raise no_images(ds.root)
        self.ids = Texts(image.id for image in images)
        self.sizes: Ints = np.array([(image.width, image.height) for image in images], np.int32).reshape(
            -1, 2
        )
        self._white = np.array([image.white_level or 0.0 for image in images], np.float64)
        self._names = Texts(str(image.file) for image in images)
        self._files = _OwnFiles((ds.root or Path()).absolute())

    def __len__(self) -> int:
        return len(self.ids)

    def load(self, number: int) -> Pixels:
        """The pixels of one image, a new array each time.

        Raises
        ------
        DataNotFound
            If its file does not exist.
        CorruptFile
            If the file cannot be decoded, or has another size than recorded.
        """
        return load(self._files(), self._image(number))

    def excerpt(self, number: int, boxes: Sequence[Box], padding: int, border: Border = "clip") -> Excerpt:
        """What the padded crops of these boxes need of one image; see `images.decode_excerpt`.

        Raises
        ------
        DataNotFound, CorruptFile
            As `load` does.
        """
        return load_excerpt(self._files(), self._image(number), boxes, padding, border)

    def _image(self, number: int) -> Image:
        width, height = self.sizes[number].tolist()
        white = float(self._white[number]) or None
        return Image(ImageId(self.ids[number]), width, height, file=self._names[number], white_level=white)


class CutCrops:
    """Crops by number from 0, cut on demand. What was decoded last is kept.

    If the crop before was of the same or a neighbouring image, the crops are read in order, and what all crops of an
    image need is decoded at once. Otherwise only what the crop itself needs is.

    `of` has the number of each crop's image, shape ``(n,)``; `boxes` has its corners in whole pixels,
    before padding, shape ``(n, 4)``. The crops of an image follow each other.
    """

    def __init__(self, frames: Frames, of: Ints, boxes: Ints, padding: int, border: Border) -> None:
        self._frames, self._of, self._boxes = frames, of, boxes
        self._padding, self._border = padding, border
        self._last: tuple[int, Excerpt] | None = None

    def __str__(self) -> str:
        return f"cut with {self._padding} px, {self._border}"

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_last": None}  # a worker decodes for itself

    def load(self, number: int) -> Pixels:
        """The pixels of one crop.

        Raises
        ------
        DataNotFound, CorruptFile
            As `Frames.load` does.
        """
        image, box = int(self._of[number]), self._box(number)
        last = self._last  # read once: another thread may replace it
        if last is None or last[0] != image or box not in last[1]:
            in_order = last is None or abs(last[0] - image) <= 1
            boxes = self._boxes_around(number) if in_order else [box]
            self._last = last = image, self._frames.excerpt(image, boxes, self._padding, self._border)
        return last[1].crop(box)

    def _box(self, number: int) -> Box:
        return Box(*self._boxes[number].tolist())

    def _boxes_around(self, number: int) -> list[Box]:
        """The boxes of all crops of a crop's image."""
        first, end = number, number + 1
        while first > 0 and self._of[first - 1] == self._of[number]:
            first -= 1
        while end < len(self._of) and self._of[end] == self._of[number]:
            end += 1
        return [self._box(each) for each in range(first, end)]


class WrittenCrops:
    """Crops by number from 0, read from a folder that `converters.crops` wrote."""

    def __init__(self, folder: Path, files: Iterable[str]) -> None:
        self._names = Texts(files)
        self._files = _OwnFiles(folder.absolute())

    def __str__(self) -> str:
        return f"from {self._files.root}"

    def load(self, number: int) -> Pixels:
        """The pixels of one crop.

        Raises
        ------
        DataNotFound
            If its file does not exist.
        CorruptFile
            If it cannot be decoded.
        """
        name, folder = self._names[number], self._files.root
        try:
            data = self._files().read(name)
        except DataNotFound as error:
            raise DataNotFound(
                f"{folder}: has no {name}, which its crops.csv lists; write the crops again"
            ) from error
        return decode(data, f"{folder / name}")
