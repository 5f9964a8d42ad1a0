"""`Detection`, `Crops` and `collate`; the only file of the core that imports torch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import PIL.Image

from pcm_leukemia.converters.crops import files_of, read_table
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, MissingExtra, UnknownPart, counted
from pcm_leukemia.images import BORDERS, Border
from pcm_leukemia.requirements import Incomplete, require
from pcm_leukemia.schema import IGNORE, Cell, ImageId
from pcm_leukemia.torchdata.frames import CutCrops, Frames, Ints, Texts, WrittenCrops

try:
    import torch
    import torch.utils.data
except ImportError as error:
    raise MissingExtra("torch", "baselines") from error
try:
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import functional
except ImportError as error:
    raise MissingExtra("torchvision", "baselines") from error

__all__ = ["Crops", "Detection", "collate"]

Target: TypeAlias = dict[str, Any]
"""The boxes and labels that a detector should find in one image; see `Detection`."""


class Detection(torch.utils.data.Dataset[tuple[Any, Target]]):
    """Images with the boxes of their cells, in the form of torchvision's detectors and v2 transforms.

    Item `i` is ``(image, target)``: a `tv_tensors.Image`, RGB, uint8, ``(3, height, width)``, and a dict of

    - ``boxes``: `tv_tensors.BoundingBoxes`, XYXY in pixels of the image, float32, ``(n, 4)``;
    - ``labels``: int64, ``(n,)``, class ids in the taxonomy's order, from `first_label`;
    - ``image_id``: the int `i`; ``ids[i]`` is the image's id;
    - ``area``: of the boxes, square pixels, float32, ``(n,)``;
    - ``iscrowd``: int64 zeros, ``(n,)``.

    An image without cells has boxes of shape ``(0, 4)``. `area` and `iscrowd` are computed after the transforms,
    which move and remove boxes without updating them. Cells to ignore are left out, as torchvision's references do
    with crowds, so a detector learns them as background. `ignored` counts them, and a warning says so.

    Parameters
    ----------
    ds
        The images and cells. The split is not applied: pass ``ds.part("train")``.
    transform
        Takes image and target and returns both, like the transforms of `torchvision.transforms.v2`. If it returns
        boxes as a plain tensor, they count as XYXY.
    first_label
        The id of the first class: 0, or 1 for models that reserve 0 for the background. All of torchvision's
        models do (Faster R-CNN, RetinaNet, SSD, FCOS; their `num_classes` is the number of classes plus one). With 0,
        they would learn the first class as background.
    incomplete
        "refuse" images in which cells may be unannotated (`Image.annotation_state`), or "keep" them, so that
        the detector learns unannotated cells as background.

    Raises
    ------
    TypeError
        If `transform` cannot be called.
    DataNotFound
        If an image has no file.
    UnfitForTask
        If cells are points without a box, or images are annotated in part and `incomplete` is "refuse".
    ValueError
        If `first_label` is neither 0 nor 1.

    Warns
    -----
    DataWarning
        If cells to ignore are left out.

    Examples
    --------
    >>> import tempfile
    >>> from pcm_leukemia import NINE, Box, Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     PIL.Image.new("RGB", (200, 100)).save(f"{folder}/a.png")
    ...     ds = Dataset(
    ...         "demo",
    ...         NINE,
    ...         (Image(ImageId("a.png"), 200, 100, file="a.png"),),
    ...         (Cell(ImageId("a.png"), 0, "Lymphocyte", Box(10, 20, 50, 60)),),
    ...         root=Path(folder),
    ...     )
    ...     detection = Detection(ds, first_label=1)
    ...     image, target = detection[0]
    >>> detection
    Detection(demo: 1 image, 1 cell, 9 classes from 1)
    >>> tuple(image.shape), target["boxes"].tolist(), target["labels"].tolist()
    ((3, 100, 200), [[10.0, 20.0, 50.0, 60.0]], [1])
    """

    def __init__(
        self,
        ds: Dataset,
        transform: Callable[[Any, Target], tuple[Any, Any]] | None = None,
        *,
        first_label: Literal[0, 1] = 0,
        incomplete: Incomplete = "refuse",
    ) -> None:
        if first_label not in (0, 1):
            raise ValueError(f"first_label {first_label}: must be 0, or 1 for models whose 0 is background")
        require(ds, boxes=True, incomplete=incomplete)
        self.transform = _callable(transform, "Detection")
        self.classes = ds.taxonomy.labels
        self.class_to_idx = {label: first_label + index for label, index in ds.taxonomy.ids.items()}
        self._name, self._first = ds.name, first_label
        self._frames = Frames(ds, ds.images)
        shown = [[cell for cell in ds.cells_of(image) if cell.label != IGNORE] for image in ds.images]
        cells = [cell for each in shown for cell in each]
        self._ends = np.cumsum([0, *map(len, shown)], dtype=np.int64)
        self._boxes = np.array([_sides(cell) for cell in cells], np.float32).reshape(-1, 4)
        self._labels: Ints = np.array([self.class_to_idx[cell.label] for cell in cells], np.int32)
        self.ignored = len(ds.cells) - len(cells)
        if self.ignored:
            warnings.warn(
                f"{ds.name}: {counted(self.ignored, 'cell to be ignored is', 'cells to be ignored are')} left out, and a detector takes them for "
                "background; leave their images out (Dataset.select), or give them a class (Dataset.relabel)",
                DataWarning,
                stacklevel=2,
            )

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the images, in the order of the items."""
        return self._frames.ids

    def __len__(self) -> int:
        return len(self._frames)

    def __repr__(self) -> str:
        ignored = f", {self.ignored:,} ignored" if self.ignored else ""
        return (
            f"Detection({self._name}: {counted(len(self), 'image')}, {counted(len(self._labels), 'cell')}, "
            f"{counted(len(self.classes), 'class', 'classes')} from {self._first}{ignored})"
        )

    def __getitem__(self, index: int) -> tuple[Any, Target]:
        """An image and its target.

        Raises
        ------
        IndexError
            If `index` is out of range.
        DataNotFound, CorruptFile
            If the image does not exist, cannot be decoded, or has another size than annotated.
        """
        number = range(len(self))[index]
        pixels = self._frames.load(number)
        image: Any = tv_tensors.Image(torch.from_numpy(pixels).permute(2, 0, 1))
        inside = slice(self._ends[number], self._ends[number + 1])
        target: Target = {
            "boxes": tv_tensors.BoundingBoxes(
                torch.tensor(self._boxes[inside]), format="XYXY", canvas_size=pixels.shape[:2]
            ),
            "labels": torch.tensor(self._labels[inside], dtype=torch.int64),
            "image_id": number,
        }
        if self.transform is not None:
            image, target = self.transform(image, target)
        if isinstance(target, dict) and isinstance(target.get("boxes"), torch.Tensor):
            target["area"] = _areas(target["boxes"])
            target["iscrowd"] = torch.zeros(len(target["boxes"]), dtype=torch.int64)
        return image, target


def collate(batch: Iterable[tuple[Any, Target]]) -> tuple[list[Any], list[Target]]:
    """Collate items of `Detection` into a list of images and a list of targets, as detectors take them.

    Images of a batch may differ in size, so they cannot form one tensor. Pass this function to a loader:
    ``DataLoader(detection, batch_size=2, collate_fn=collate)``.

    Examples
    --------
    >>> collate([("image 0", {"image_id": 0}), ("image 1", {"image_id": 1})])
    (['image 0', 'image 1'], [{'image_id': 0}, {'image_id': 1}])
    """
    pairs = list(batch)
    return [image for image, _ in pairs], [target for _, target in pairs]


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
    >>> import tempfile
    >>> from pcm_leukemia import NINE, Box, Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     PIL.Image.new("RGB", (200, 100)).save(f"{folder}/a.png")
    ...     ds = Dataset(
    ...         "demo",
    ...         NINE,
    ...         (Image(ImageId("a.png"), 200, 100, file="a.png"),),
    ...         (Cell(ImageId("a.png"), 0, "Monocyte", Box(10, 20, 50, 60)),),
    ...         root=Path(folder),
    ...     )
    ...     crops = Crops(ds, padding=20)
    ...     image, label = crops[0]
    >>> crops
    Crops(demo: 1 cell, 9 classes, cut with 20 px, clip)
    >>> image.size, label, crops.classes[label]
    ((70, 80), 5, 'Monocyte')
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
        self.transform = _callable(transform, "Crops")
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


def _callable(transform: Any, of: str) -> Any:
    """The transform; TypeError if it cannot be called."""
    if transform is not None and not callable(transform):
        hint = f"; for the padding pass padding={transform!r}" if isinstance(transform, int) else ""
        raise TypeError(f"{of}: transform {transform!r} cannot be called; pass a function, or nothing{hint}")
    return transform


def _sides(cell: Cell) -> tuple[float, float, float, float]:
    box = cell.box
    return box.x1, box.y1, box.x2, box.y2


def _whole(cell: Cell) -> tuple[int, int, int, int]:
    """The box, widened to whole pixels, as `images.crop_corners` begins."""
    box = cell.box
    return math.floor(box.x1), math.floor(box.y1), math.ceil(box.x2), math.ceil(box.y2)


def _areas(boxes: torch.Tensor) -> torch.Tensor:
    """The areas of boxes of shape ``(n, 4)``, in any form that transforms return."""
    if isinstance(boxes, tv_tensors.BoundingBoxes):
        boxes = functional.convert_bounding_box_format(boxes, new_format="XYXY").as_subclass(torch.Tensor)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
