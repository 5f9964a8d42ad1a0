"""The score of RT-DETRv2 on the validation images, which chooses the epoch."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader

from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.metrics import average_precision
from pcm_leukemia.baselines.metrics.average_precision import Cells
from pcm_leukemia.baselines.rtdetrv2_deim.detector import Prepare, RtDetr
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.torchdata import Detection

__all__ = ["score"]


def score(
    detector: RtDetr, val: Dataset, *, multi_label: bool, batch: int, workers: int
) -> tuple[float, float]:
    """AP and AP50 of a detector on the images of a data set, 0 to 1; NaN if they have no cells.

    `multi_label` is that of `contract.Detector.detections`. Images are prepared by `workers` processes.
    """
    loader = DataLoader(
        _Prepared(Detection(val), detector.preparation),
        batch_size=batch,
        num_workers=workers,
        collate_fn=_together,
    )
    found: list[Detections] = []
    truth: list[Cells] = []
    for images, sizes, cells in loader:
        found += detector.detections(detector.forward(images), sizes, multi_label=multi_label)
        truth += cells
    return average_precision.of_arrays(truth, found, len(detector.labels))


class _Prepared(torch.utils.data.Dataset[tuple[torch.Tensor, tuple[int, int], Cells]]):
    """Images prepared for the detector, their (width, height), and their cells."""

    def __init__(self, images: Detection, prepare: Prepare) -> None:
        self.images, self.prepare = images, prepare

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, tuple[int, int], Cells]:
        image, target = self.images[number]
        pixels = image.as_subclass(torch.Tensor).permute(1, 2, 0).numpy()
        cells = target["boxes"].as_subclass(torch.Tensor).numpy(), target["labels"].numpy()
        return self.prepare(pixels), (pixels.shape[1], pixels.shape[0]), cells


def _together(
    items: list[tuple[torch.Tensor, tuple[int, int], Cells]],
) -> tuple[torch.Tensor, list[tuple[int, int]], list[Cells]]:
    images, sizes, cells = zip(*items, strict=True)
    return torch.stack(images), list(sizes), list(cells)
