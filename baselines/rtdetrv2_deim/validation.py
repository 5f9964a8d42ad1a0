"""The score of RT-DETRv2 on the validation images, which chooses the epoch."""

from __future__ import annotations

from statistics import fmean

import torch
from torch.utils.data import DataLoader

from pcm_leukemia.baselines.contract import DOMAINS, Detections, Job
from pcm_leukemia.baselines.metrics import average_precision
from pcm_leukemia.baselines.metrics.average_precision import Cells
from pcm_leukemia.baselines.rtdetrv2_deim.detector import Prepare, RtDetr
from pcm_leukemia.torchdata import Detection

__all__ = ["score"]


def score(detector: RtDetr, job: Job, *, multi_label: bool, batch: int) -> dict[str, float]:
    """AP and AP50 of a detector on the validation images of a job, 0 to 1; NaN if they have no cells.

    If val has several domains, these are the means over the domains, and ``AP_DOMAIN`` has the AP of each. `multi_label`
    is that of `contract.Detector.detections`.
    """
    loader = DataLoader(
        _Prepared(Detection(job.val), detector.preparation),
        batch_size=batch,
        num_workers=job.workers,
        collate_fn=_together,
    )
    found: list[Detections] = []
    truth: list[Cells] = []
    for images, sizes, cells in loader:
        found += detector.detections(detector.forward(images), sizes, multi_label=multi_label)
        truth += cells
    classes = len(detector.labels)
    if job.target is None or not job.domains:
        ap, ap50 = average_precision.of_arrays(truth, found, classes)
        return {"AP": ap, "AP50": ap50}
    domain_of = [DOMAINS[image.id in job.target.images] for image in job.val.images]
    of = average_precision.of_domains(truth, found, classes, domain_of)
    ap, ap50 = (fmean(scores) for scores in zip(*of.values(), strict=True))
    return {"AP": ap, "AP50": ap50, **{f"AP_{domain}": of[domain][0] for domain in DOMAINS}}


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
