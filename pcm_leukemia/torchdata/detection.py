"""`Detection`, whole images with the boxes of their cells, and `collate`, which makes batches of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
import torch.utils.data
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from pcm_leukemia.counting import background_of
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, counted
from pcm_leukemia.requirements import Incomplete, require
from pcm_leukemia.schema import IGNORE, Cell
from pcm_leukemia.torchdata.frames import Frames, Ints
from pcm_leukemia.torchdata.transforms import require_callable

__all__ = ["Detection", "collate"]

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
    >>> import tempfile, pcm_leukemia as pcm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ds = pcm.load_dataset(pcm.sample.write(f"{folder}/sample.zip", patients=1, images=1))
    ...     detection = Detection(ds, first_label=1)
    ...     image, target = detection[0]
    >>> detection
    Detection(sample: 1 image, 8 cells, 9 classes from 1)
    >>> tuple(image.shape), tuple(target["boxes"].shape), target["labels"].tolist()
    ((3, 1080, 1920), (8, 4), [6, 1, 3, 5, 4, 5, 9, 2])
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
        require_callable(transform, "Detection")
        self.transform = transform
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
        if background := background_of(ds):
            warnings.warn(
                f"{ds.name}: a detector {background}; leave their images out (Dataset.select), or give them a class "
                "(Dataset.relabel)",
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


def _sides(cell: Cell) -> tuple[float, float, float, float]:
    box = cell.box
    return box.x1, box.y1, box.x2, box.y2


def _areas(boxes: torch.Tensor) -> torch.Tensor:
    """The areas of boxes of shape ``(n, 4)``, in any form that transforms return."""
    if isinstance(boxes, tv_tensors.BoundingBoxes):
        boxes = functional.convert_bounding_box_format(boxes, new_format="XYXY").as_subclass(torch.Tensor)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
