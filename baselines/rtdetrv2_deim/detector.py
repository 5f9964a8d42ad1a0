"""Prediction with a trained RT-DETRv2: from images to detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchvision.transforms.v2 import functional
from transformers import RTDetrV2ForObjectDetection
from transformers.utils.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from pcm_leukemia.baselines.contract import Detections, inside
from pcm_leukemia.baselines.stain import Recolour
from pcm_leukemia.images import Pixels

__all__ = ["Prepare", "RtDetr", "scaled"]

_TOP = 300
"""Detections of an image: num_top_queries in DEIM's configs/base/rtdetrv2_r50vd.yml."""


def scaled(images: torch.Tensor, *, imagenet: bool = False) -> torch.Tensor:
    """Scale uint8 pixels to 0 to 1 and, if `imagenet`, normalise them with ImageNet's mean and standard deviation.

    Examples
    --------
    >>> scaled(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    images = images.float() / 255
    return functional.normalize(images, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD) if imagenet else images


@dataclass(frozen=True)
class Prepare:
    """Resizes an image for the model and changes its colours; can be sent to a loader's worker, without the model."""

    size: int
    recolour: Recolour | None = None

    def __call__(self, image: Pixels) -> torch.Tensor:
        """The image, whatever its shape, as uint8, ``(3, size, size)``."""
        pixels = torch.from_numpy(image).permute(2, 0, 1)
        pixels = functional.resize(pixels, [self.size, self.size], antialias=True)
        if self.recolour is not None:
            changed = self.recolour(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
            pixels = torch.from_numpy(np.array(changed)).permute(2, 0, 1)
        return pixels.contiguous()


class RtDetr:
    """A `contract.Detector`: the model on its device, in evaluation mode, for images of `size` x `size` pixels."""

    def __init__(
        self,
        model: RTDetrV2ForObjectDetection,
        labels: tuple[str, ...],
        size: int,
        recolour: Recolour | None = None,
        *,
        imagenet: bool = False,
        multi_label: bool = True,
    ) -> None:
        self.model, self.labels, self.imagenet, self.multi_label = model, labels, imagenet, multi_label
        self.preparation = Prepare(size, recolour)

    def prepare(self, image: Pixels) -> torch.Tensor:
        """An image resized for the model, whatever its shape: uint8, ``(3, size, size)``."""
        return self.preparation(image)

    @torch.no_grad()
    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The scores of each query and class, ``(batch, queries, classes)``, and the boxes of the queries.

        `batch` has prepared images, uint8, ``(batch, 3, size, size)``. The boxes are cx, cy, width and height as fractions
        of the image, ``(batch, queries, 4)``.
        """
        device = next(self.model.parameters()).device
        images = scaled(batch.to(device, non_blocking=True), imagenet=self.imagenet)
        # in single precision, even if the caller has autocast on
        with torch.autocast(device.type, enabled=False):
            outputs = self.model(images)
        return outputs.logits.float().sigmoid(), outputs.pred_boxes.float()

    def detections(
        self, raw: tuple[torch.Tensor, torch.Tensor], sizes: Sequence[tuple[int, int]], *, multi_label: bool
    ) -> list[Detections]:
        """The detections of each image, best first; see `contract.Detector`.

        With `multi_label`, the best 300 pairs of query and class, as in DEIM's engine/deim/postprocessor.py and in the
        ``post_process_object_detection`` of transformers; otherwise one for each query.
        """
        of_class, boxes = raw
        if multi_label:
            scores, pairs = of_class.flatten(1).topk(min(_TOP, of_class[0].numel()))
            labels, queries = pairs % len(self.labels), pairs // len(self.labels)
        else:
            best, best_labels = of_class.max(-1)
            scores, queries = best.sort(descending=True, stable=True)
            labels = best_labels.gather(1, queries)
        boxes = boxes.gather(1, queries[..., None].expand(-1, -1, 4))
        corners = torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)
        sides = torch.tensor([[*size, *size] for size in sizes], dtype=torch.float32, device=corners.device)
        found = zip(
            (corners * sides[:, None]).cpu().numpy(), scores.cpu().numpy(), labels.cpu().numpy(), strict=True
        )
        return [inside(Detections(*each), *size) for each, size in zip(found, sizes, strict=True)]
