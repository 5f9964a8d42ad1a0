"""The crops that a classifier trains on: prepared once, as uint8 of one size, in one memory-mapped file.

Cutting a crop means decoding its whole image, which takes 10 to 20 ms at 1920 x 1080; a GPU trains on the crop in
less than 1 ms. The paper's 40,103 crops of 224 px take 6 GB uncompressed, in the run's folder, while it trains. Each
epoch reads them through the system's page cache: at the speed of memory, if there is enough.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import PIL.Image
import torch
import torch.distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.contract import Target
from pcm_leukemia.baselines.cutting import cut_cells
from pcm_leukemia.dataset import Dataset as Cells
from pcm_leukemia.errors import ExportError
from pcm_leukemia.files import disk_errors, new_file
from pcm_leukemia.images import Pixels
from pcm_leukemia.progress import track
from pcm_leukemia.schema import IGNORE

__all__ = ["Draw", "Draws", "Pictures", "Prepare", "Rows", "loader", "write"]

Draw: TypeAlias = tuple[int, list[int]]
"""One batch: the epoch that it is drawn for, and the numbers of its items."""
Batch: TypeAlias = tuple[torch.Tensor, ...]
"""Inputs, labels and, of data with domains, the number of each item's domain."""


@dataclass(frozen=True)
class Prepare:
    """How a crop is prepared for the model, in training as in prediction.

    Its stain is normalised towards `reference`, if there is one. Then it is resized to `image_size` x `image_size`
    pixels, whatever its shape; Pillow's bilinear filter keeps large crops from aliasing.
    """

    image_size: int
    kind: stain.Kind = "none"
    reference: stain.Reference | None = None

    def __call__(self, crop: Pixels) -> torch.Tensor:
        """The crop as uint8, ``(3, image_size, image_size)``."""
        if self.reference is not None:
            crop = self._normalised(crop)
        side = (self.image_size, self.image_size)
        small = np.array(PIL.Image.fromarray(crop).resize(side, PIL.Image.Resampling.BILINEAR))
        return torch.from_numpy(small).permute(2, 0, 1).contiguous()

    @cached_property
    def _normalised(self) -> Callable[[Pixels], Pixels]:
        return stain.augmentation(self.kind, self.reference)

    def key(self) -> str:
        """A text that differs between any two preparations with different results."""
        return f"{self.image_size} {self.kind} {self.reference.to_json() if self.reference else ''}"


def write(
    ds: Cells,
    folder: Path,
    prepare: Prepare,
    padding: int,
    *,
    target: Target | None = None,
    workers: int = 0,
    progress: bool = False,
) -> Pictures:
    """Cut and prepare the cells of `ds` into a file in `folder`, or use the file that is already there.

    The items are those of `torchdata.Crops`, in the same order and with the same pixels before `prepare`. If there is a
    `target`, the domain of a cell is 1 in its images and 0 in others.

    Raises
    ------
    ExportError
        If the disk has too little room.
    DataNotFound, CorruptFile
        If an image is missing or cannot be decoded.
    """
    cells = [cell for cell in ds.cells if cell.label != IGNORE]
    side = prepare.image_size
    key = hashlib.sha256(f"{ds.fingerprint} {padding} {prepare.key()}".encode()).hexdigest()[:16]
    file = folder / f"crops-{key}.npy"
    if not file.is_file():
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        need, free = len(cells) * 3 * side * side, shutil.disk_usage(folder).free
        if need > free:
            raise ExportError(
                f"{folder}: the prepared crops need {need / 1e9:.1f} GB while training, but {free / 1e9:.1f} GB are "
                "free; put the run on a larger disk, or lower image_size"
            )
        with new_file(file) as work:
            array = np.lib.format.open_memmap(work, "w+", np.uint8, (len(cells), 3, side, side))
            pictures = cut_cells(ds, cells, padding, prepare, workers)
            bar = track(pictures, "cutting crops", len(cells), shown=progress)
            for place, picture in enumerate(bar):
                array[place] = picture.numpy()
            array.flush()
    labels = np.array([ds.taxonomy.ids[cell.label] for cell in cells], np.int64)
    domains = None if target is None else np.array([cell.image in target.images for cell in cells], np.int64)
    return Pictures(file, labels, domains=domains)


class Pictures(Dataset[Batch]):
    """Batches from a file of `write`: item ``(epoch, [i, ...])`` is (uint8 ``(n, 3, s, s)``, int64 ``(n,)``).

    `domains` has the number of each picture's domain; if given, it is the third tensor of a batch, int64 ``(n,)``.
    `change` may give each picture other colours. Before each call, torch is seeded from `seed`, the epoch and the
    picture's number, so that an epoch has the same pictures whichever process loads them.
    """

    def __init__(
        self,
        file: Path,
        labels: npt.NDArray[np.int64],
        change: Callable[[Pixels], Pixels] | None = None,
        seed: int = 0,
        domains: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.file, self.labels, self.change, self.seed = file, labels, change, seed
        self.domains = domains
        self._opened: npt.NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": None}  # pickling a mapped file would read all of it

    def __getitem__(self, draw: Draw) -> Batch:
        epoch, numbers = draw
        if self._opened is None:
            self._opened = np.load(self.file, mmap_mode="r")
        pictures = np.asarray(self._opened[numbers])
        if self.change is not None:
            with torch.random.fork_rng(devices=[]):
                for place, number in enumerate(numbers):
                    seeds = np.random.SeedSequence([self.seed, epoch, number])
                    # seeds the CPU only; torch.manual_seed would also seed the device that trains
                    torch.default_generator.manual_seed(int(seeds.generate_state(1)[0]))
                    seen = np.ascontiguousarray(pictures[place].transpose(1, 2, 0))
                    pictures[place] = self.change(seen).transpose(2, 0, 1)
        return torch.from_numpy(pictures), *_labels(self, numbers)


class Rows(Dataset[Batch]):
    """Batches of features, ``(n, width)``, drawn like those of `Pictures`."""

    def __init__(
        self,
        features: torch.Tensor,
        labels: npt.NDArray[np.int64],
        domains: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.features, self.labels, self.domains = features, labels, domains

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, draw: Draw) -> Batch:
        return self.features[draw[1]], *_labels(self, draw[1])


def _labels(data: Pictures | Rows, numbers: list[int]) -> Iterator[torch.Tensor]:
    """The labels of the items and, if there are any, their domains."""
    yield torch.from_numpy(data.labels[numbers])
    if data.domains is not None:
        yield torch.from_numpy(data.domains[numbers])


class Draws(Sampler[Draw]):
    """Draws the batches of an epoch, from the seed and the epoch alone, so that a run can resume at any epoch.

    Sizes of batches differ by at most one item, so that no item is dropped and no batch norm sees a last batch of a
    single item. With several processes, each draws its share. For training, the shares have equal lengths, for which
    a few items may be repeated.

    Parameters
    ----------
    count
        The number of items.
    batch
        The largest number of items in a batch, over all processes.
    seed
        Shuffles the items; None gives every item once, in order.
    weights
        One for each item, ``(count,)``: `count` items are drawn with these weights, with replacement.
    """

    def __init__(
        self, count: int, batch: int, seed: int | None = None, weights: npt.NDArray[np.float64] | None = None
    ) -> None:
        self.count, self.batch, self.seed, self.epoch = count, batch, seed, 0
        self.weights = None if weights is None else weights / weights.sum()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch to draw for; Lightning calls this before each."""
        self.epoch = epoch

    def __len__(self) -> int:
        rank, world = _place()
        share = len(range(rank, self.count, world)) if self.seed is None else math.ceil(self.count / world)
        return math.ceil(share / max(self.batch // world, 1))

    def __iter__(self) -> Iterator[Draw]:
        rank, world = _place()
        order = np.arange(self.count)
        if self.seed is not None:
            rng = np.random.default_rng([self.seed, self.epoch])
            order = (
                rng.choice(self.count, self.count, p=self.weights)
                if self.weights is not None
                else rng.permutation(order)
            )
            order = np.resize(order, math.ceil(self.count / world) * world)
        for part in np.array_split(order[rank::world], max(len(self), 1)):
            if len(part):
                yield self.epoch, part.tolist()


def loader(data: Pictures | Rows, draws: Draws, device: str, workers: int) -> DataLoader[Any]:
    """A loader of the batches of `draws` for a device.

    Worker processes are used only for pictures, and only if a GPU must be kept busy or colours are changed.
    """
    on_gpu = not device.startswith("cpu")
    changed = isinstance(data, Pictures) and data.change is not None
    worthwhile = isinstance(data, Pictures) and (on_gpu or changed)
    processes = min(workers, os.cpu_count() or 1) if worthwhile else 0
    return DataLoader(
        data,
        batch_size=None,
        sampler=draws,
        num_workers=processes,
        pin_memory=on_gpu and isinstance(data, Pictures),
        persistent_workers=processes > 0,
        # a loader draws a seed for its workers at each start; this keeps it off the generator that training uses
        generator=torch.Generator(),
    )


def _place() -> tuple[int, int]:
    """The number of this process, and the number of processes."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
