"""`Crops`, single cells with their classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
import torch.utils.data

from pcm_leukemia.converters.crops import files_of, read_table
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import UnknownPart, counted
from pcm_leukemia.images import BORDERS, Border
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import IGNORE, Cell, ImageId
from pcm_leukemia.torchdata.frames import CutCrops, Frames, Ints, Texts, WrittenCrops
from pcm_leukemia.torchdata.transforms import require_callable

__all__ = ["Crops"]


class Crops(torch.utils.data.Dataset[tuple[Any, int]]):
    """Single cells with their classes for classifiers, like the items of torchvision's ImageFolder.

    Item `i` is ``(image, label)``: a PIL image, RGB, or the result of `transform`, and the class id from
    0 in the taxonomy's order. A class without cells in a part keeps its id, whereas ImageFolder numbers the folders
    that it finds. Cells to ignore are left out and counted in `ignored`.

    Without a folder, crops are cut out of the images on the fly, with the pixels that `converters.crops`
    writes. Each process keeps what it decoded last: read in order, an image is decoded once, however many cells it
    has; shuffled, or drawn by weights, it is decoded for nearly each of them, though of a JPEG only what the crop
    needs, see `images.region_decoder`. Then, or for many epochs, write the crops once and give their `folder`.

    For rare classes, weigh the loss or the draw, not both:

    - ``CrossEntropyLoss(weight=crops.weights)``
    - ``DataLoader(crops, sampler=WeightedRandomSampler(crops.sample_weights, len(crops)))``

    Parameters
    ----------
    ds
        The cells. The split is not applied: pass ``ds.part("train")``.
    transform
        Takes a PIL image, like those of `torchvision.transforms`.
    padding
        Pixels on each side of the box.
    border
        The padding outside the image: "clip" leaves it out, "reflect" mirrors the image, "constant" is black.
    folder
        The folder in which `converters.crops` wrote these cells, with this padding and border.

    Raises
    ------
    TypeError
        If `transform` cannot be called.
    DataNotFound
        If an image with cells has no file, or the folder lacks a cell.
    CorruptFile
        If the folder's table was changed after it was written.
    UnfitForTask
        If cells are points without a box.
    ValueError
        If the padding or border is invalid, or differs from those of the folder.

    Examples
    --------
    >>> import tempfile, pcm_leukemia as pcm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ds = pcm.load_dataset(pcm.sample.write(f"{folder}/sample.zip", patients=1, images=1))
    ...     crops = Crops(ds, padding=20)
    ...     image, label = crops[0]
    >>> crops
    Crops(sample: 8 cells, 9 classes, cut with 20 px, clip)
    >>> image.size, label, crops.classes[label]
    ((249, 253), 5, 'Monocyte')
    """

    def __init__(
        self,
        ds: Dataset,
        transform: Callable[[PIL.Image.Image], Any] | None = None,
        *,
        padding: int = 50,
        border: Border = "clip",
        folder: str | Path | None = None,
    ) -> None:
        if padding < 0:
            raise ValueError(f"padding {padding}: must be 0 or more pixels")
        if border not in BORDERS:
            raise ValueError(f'border "{border}": must be one of {", ".join(BORDERS)}')
        require(ds, boxes=True)
        cells = [cell for cell in ds.cells if cell.label != IGNORE]
        self._fill(ds.name, ds.taxonomy.labels, transform, cells=[(c.image, c.id, c.label) for c in cells])
        self.ignored = len(ds.cells) - len(cells)
        self._source: CutCrops | WrittenCrops
        if folder is not None:
            self._source = WrittenCrops(Path(folder), files_of(ds, cells, Path(folder), padding, border))
            return
        frames = Frames(ds, [ds.image(image) for image in self._images])
        # whole pixels are what a crop begins with, and take half the room
        boxes = [_whole(cell) for cell in cells]
        self._source = CutCrops(frames, self._of, np.array(boxes, np.int32).reshape(-1, 4), padding, border)

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        part: str,
        classes: Sequence[str],
        transform: Callable[[PIL.Image.Image], Any] | None = None,
    ) -> Crops:
        """The crops of one part in a folder that `converters.crops` wrote, without the data set itself.

        Parameters
        ----------
        folder
            The folder with ``crops.csv`` in it.
        part
            "train", "val" or "test"; "all" if the data had no split.
        classes
            The labels in the order of their ids, which the folder does not record: those of the taxonomy
            with which it was written, for example ``NINE.labels``.
        transform
            Takes a PIL image.

        Raises
        ------
        TypeError
            If `transform` cannot be called.
        DataNotFound
            If the folder has no table of crops.
        CorruptFile
            If the table was changed after it was written.
        UnknownPart
            If the table does not have this part.
        ValueError
            If `classes` lack a label of the table, or repeat.
        """
        folder = Path(folder)
        rows = read_table(folder)
        parts = list(dict.fromkeys(row.part for row in rows))
        if part not in parts:
            raise UnknownPart(f'part "{part}": {folder} has {", ".join(parts) or "none"}; use one of them')
        strange = sorted({row.label for row in rows} - set(classes))
        if strange or len(set(classes)) < len(classes):
            raise ValueError(
                f"{folder}: classes {', '.join(classes)} repeat, or lack {', '.join(strange) or 'none'}; "
                "give the labels of the taxonomy that the crops were written with"
            )
        rows = [row for row in rows if row.part == part]
        crops = cls.__new__(cls)
        crops._fill(  # noqa: SLF001 - of this class
            part, tuple(classes), transform, cells=[(row.image, row.cell, row.label) for row in rows]
        )
        crops.ignored = 0
        crops._source = WrittenCrops(folder, (row.file for row in rows))  # noqa: SLF001
        return crops

    def _fill(
        self,
        name: str,
        classes: tuple[str, ...],
        transform: Callable[[PIL.Image.Image], Any] | None,
        *,
        cells: Sequence[tuple[str, int, str]],
    ) -> None:
        """Store the cells, each given as (image, cell, label)."""
        fix = f"; for the padding pass padding={transform!r}" if isinstance(transform, int) else ""
        require_callable(transform, "Crops", fix)
        self.transform = transform
        self.classes = classes
        self.class_to_idx = {label: index for index, label in enumerate(classes)}
        self._name = name
        numbers: dict[str, int] = {}
        self._of: Ints = np.array(
            [numbers.setdefault(image, len(numbers)) for image, _, _ in cells], np.int32
        )
        self._images = Texts(numbers)
        self._cells = np.array([cell for _, cell, _ in cells], np.int64)
        self._labels: Ints = np.array([self.class_to_idx[label] for _, _, label in cells], np.int32)

    @property
    def targets(self) -> list[int]:
        """The class id of each item."""
        targets: list[int] = self._labels.tolist()
        return targets

    @property
    def cells(self) -> list[tuple[ImageId, int]]:
        """For each item, the image's id and the cell's id in it, as in `Dataset`."""
        images = [ImageId(image) for image in self._images]
        return [(images[of], cell) for of, cell in zip(self._of.tolist(), self._cells.tolist(), strict=True)]

    @property
    def weights(self) -> torch.Tensor:
        """The weight of each class, float32: the mean number of cells of a class over its own number.

        Only classes that occur are counted; the others have weight 0. The mean over all items is 1.
        """
        counts = np.bincount(self._labels, minlength=len(self.classes))
        even = len(self) / max(int(np.count_nonzero(counts)), 1)
        return torch.from_numpy(
            np.divide(even, counts, out=np.zeros(len(counts)), where=counts > 0).astype(np.float32)
        )

    @property
    def sample_weights(self) -> torch.Tensor:
        """The weight of each item's class, float64; sampling by these weights draws all classes equally often."""
        return self.weights.double()[torch.from_numpy(self._labels.astype(np.int64))]

    def __len__(self) -> int:
        return len(self._labels)

    def __repr__(self) -> str:
        ignored = f", {self.ignored:,} ignored" if self.ignored else ""
        return f"Crops({self._name}: {counted(len(self), 'cell')}, {counted(len(self.classes), 'class', 'classes')}, {self._source}{ignored})"

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """A crop and its class id.

        Raises
        ------
        IndexError
            If `index` is out of range.
        DataNotFound, CorruptFile
            If the image or the crop does not exist, cannot be decoded, or has another size than annotated.
        """
        number = range(len(self))[index]
        image = PIL.Image.fromarray(self._source.load(number))
        return self.transform(image) if self.transform else image, int(self._labels[number])


def _whole(cell: Cell) -> tuple[int, int, int, int]:
    """The box, widened to whole pixels, as `images.crop_corners` begins."""
    box = cell.box
    return math.floor(box.x1), math.floor(box.y1), math.ceil(box.x2), math.ceil(box.y2)
