"""The training images of RT-DETRv2: each image's augmentation in each epoch, and batches of them.

The random numbers of an item are seeded with its epoch and number. So the item is the same in any process, with any
number of workers, and after resuming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Sampler

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.rtdetrv2_deim import augmentation as augment
from pcm_leukemia.baselines.rtdetrv2_deim import distortion
from pcm_leukemia.baselines.rtdetrv2_deim.augmentation import Picture
from pcm_leukemia.baselines.rtdetrv2_deim.distortion import Distortion
from pcm_leukemia.baselines.rtdetrv2_deim.loss import Targets
from pcm_leukemia.baselines.rtdetrv2_deim.settings import Settings
from pcm_leukemia.baselines.stain import Recolour
from pcm_leukemia.torchdata import Detection

__all__ = ["Batch", "Chances", "Order", "Views", "collate", "images_of", "seed_of", "targets_of"]

DEGREES, SHIFT, SCALE = 10.0, 0.1, (0.5, 1.5)
"""How far a mosaic is rotated, shifted and scaled, from DEIM's configs/base/rt_deim.yml."""


def seed_of(*numbers: int) -> int:
    """A 64-bit seed for torch from these numbers, whose order counts.

    Examples
    --------
    >>> seed_of(0, 1) == seed_of(0, 1), seed_of(0, 1) == seed_of(1, 0)
    (True, False)
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


class Chances(NamedTuple):
    """The probabilities of the augmentations, and their epochs, counted from 0.

    Colours, zooming out and cropping apply from epoch `first` until before `last`, mosaics until before `flat`, flips
    always. `rotation` is the largest angle of single images, in degrees; mosaics have their own.
    """

    size: int
    first: int
    flat: int
    last: int
    mosaic: float
    photometric_distort: float
    zoom_out: float
    iou_crop: float
    rotation: float
    flip_horizontal: float
    flip_vertical: float

    @classmethod
    def of(cls, settings: Settings) -> Chances:
        """Those of a run with these settings."""
        return cls(
            size=settings.image_size,
            first=settings.no_augment_first,
            flat=settings.flat_epochs,
            last=settings.epochs - settings.no_augment_last,
            mosaic=settings.mosaic,
            photometric_distort=settings.photometric_distort,
            zoom_out=settings.zoom_out,
            iou_crop=settings.iou_crop,
            rotation=settings.rotation,
            flip_horizontal=settings.flip_horizontal,
            flip_vertical=settings.flip_vertical,
        )


class Views(torch.utils.data.Dataset[Picture]):
    """Augmented training images: item (epoch, number) is that image in that epoch."""

    def __init__(
        self, images: Detection, chances: Chances, seed: int, recolour: Recolour | None = None
    ) -> None:
        self.images, self.chances, self.seed, self.recolour = images, chances, seed, recolour

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> Picture:
        epoch, number = key
        # torchvision draws from torch's global generator, whose state in the main process must stay as it is
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(self.seed, epoch, number))
            return self._drawn(epoch, number)

    def _drawn(self, epoch: int, number: int) -> Picture:
        of = self.chances
        changing = of.first <= epoch < of.last
        if changing and epoch < of.flat and _chance(of.mosaic):
            others = torch.randint(len(self), (3,)).tolist()
            picture = augment.mosaic([self._load(n) for n in (number, *others)], of.size)
            shift = (_between(-SHIFT, SHIFT) * of.size, _between(-SHIFT, SHIFT) * of.size)
            picture = augment.turned(picture, _between(-DEGREES, DEGREES), _between(*SCALE), shift)
            # the colours of a mosaic change as a whole, with the black around its pictures
            picture = self._to_distort(picture._replace(coverage=None))
        elif changing:
            # the colours of a single image change before it is zoomed out and cropped
            picture = self._cut(self._to_distort(self._load(number)))
        else:
            picture = augment.whole(self._load(number), of.size)
        return augment.flipped(picture, across=_chance(of.flip_horizontal), down=_chance(of.flip_vertical))

    def _to_distort(self, picture: Picture) -> Picture:
        if not self.chances.photometric_distort:
            return picture
        sample = augment.recoloured(distortion.sampled(picture.pixels), picture.recolour)
        return picture._replace(distortion=distortion.draw(self.chances.photometric_distort, sample))

    def _cut(self, picture: Picture) -> Picture:
        of = self.chances
        height, width = picture.pixels.shape[1:]
        window: augment.Window = (0, 0, width, height)
        if _chance(of.zoom_out):
            window = augment.zoomed_out(width, height)
        if _chance(of.iou_crop):
            window, inside = augment.cropped(picture.boxes, window)
            picture = picture._replace(boxes=picture.boxes[inside], labels=picture.labels[inside])
        picture = augment.cut(picture, window, of.size)
        return augment.turned(picture, _between(-of.rotation, of.rotation)) if of.rotation else picture

    def _load(self, number: int) -> Picture:
        image, target = self.images[number]
        boxes = target["boxes"].as_subclass(torch.Tensor)
        picture = Picture(image.as_subclass(torch.Tensor), boxes, target["labels"])
        if self.recolour is None:
            return picture
        # what is cut out changes as the whole image does in evaluation
        whole = augment.whole(picture, self.chances.size).pixels.permute(1, 2, 0)
        return picture._replace(recolour=stain.fitted(self.recolour, np.ascontiguousarray(whole.numpy())))


def _chance(chance: float) -> bool:
    return float(torch.rand(())) < chance


def _between(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


class Order(Sampler[tuple[int, int]]):
    """The share of one process of the images, shuffled anew in each epoch; all processes have shares of equal length.

    Examples
    --------
    >>> order = Order(5, seed=0)
    >>> order.epoch = 3
    >>> sorted(order)
    [(3, 0), (3, 1), (3, 2), (3, 3), (3, 4)]
    """

    def __init__(self, images: int, seed: int, rank: int = 0, ranks: int = 1) -> None:
        self.images, self.seed, self.rank, self.ranks = images, seed, rank, ranks
        self.epoch = 0

    def __len__(self) -> int:
        return self.images // self.ranks

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = torch.Generator().manual_seed(seed_of(self.seed, self.epoch))
        order = torch.randperm(self.images, generator=generator).tolist()
        mine = order[self.rank :: self.ranks][: len(self)]
        return iter([(self.epoch, number) for number in mine])


class Batch(NamedTuple):
    """Images, uint8, ``(batch, 3, size, size)``, and all their cells; `counts` is the number of cells of each image.

    Boxes are centre and size, as fractions of the image's size. The cells of all images share one tensor, because
    sending many small tensors to a GPU is slow. `coverage` and `distortion` are for `distortion.distorted`; without a
    distortion, the colours stay as they are.
    """

    images: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    counts: list[int]
    coverage: torch.Tensor
    distortion: Distortion | None


def collate(pictures: Sequence[Picture]) -> Batch:
    """A batch of pictures of one size."""
    size = pictures[0].pixels.shape[1]
    boxes = torch.cat([picture.boxes for picture in pictures]) / size
    centred = torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)
    changes = [picture.distortion for picture in pictures if picture.distortion is not None]
    return Batch(
        torch.stack([picture.pixels for picture in pictures]),
        centred,
        torch.cat([picture.labels for picture in pictures]),
        [len(picture.labels) for picture in pictures],
        torch.stack([picture.covered for picture in pictures]),
        Distortion(*map(torch.stack, zip(*changes, strict=True))) if changes else None,
    )


def images_of(batch: Batch) -> torch.Tensor:
    """The images of a batch with their colours changed, 0 to 255."""
    if batch.distortion is None:
        return batch.images
    return distortion.distorted(batch.images, batch.coverage, batch.distortion)


def targets_of(batch: Batch) -> Targets:
    """The cells of each image, in the form that transformers takes."""
    pairs = zip(
        batch.labels.split_with_sizes(batch.counts), batch.boxes.split_with_sizes(batch.counts), strict=True
    )
    return [{"class_labels": labels, "boxes": boxes} for labels, boxes in pairs]
