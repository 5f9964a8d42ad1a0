"""Prediction with a trained RT-DETRv2: from images to detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchvision.transforms.v2 import functional
from transformers import RTDetrV2ForObjectDetection
from transformers.utils.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.stain import Recolour
from pcm_leukemia.images import Pixels

__all__ = ["Prepare", "RtDetr", "scaled"]


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
    ) -> None:
        self.model, self.labels, self.imagenet = model, labels, imagenet
        self.preparation = Prepare(size, recolour)

    def prepare(self, image: Pixels) -> torch.Tensor:
        """An image resized for the model, whatever its shape: uint8, ``(3, size, size)``."""
        return self.preparation(image)

    @torch.no_grad()
    def detect(self, batch: torch.Tensor, sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """The detections of each image, best first: one for each of the model's queries, with its best label.

        Parameters
        ----------
        batch
            Prepared images, uint8, ``(batch, 3, size, size)``.
        sizes
            Their (width, height) as annotated, in pixels.
        """
        device = next(self.model.parameters()).device
        images = scaled(batch.to(device, non_blocking=True), imagenet=self.imagenet)
        # in single precision, even if the caller has autocast on
        with torch.autocast(device.type, enabled=False):
            outputs = self.model(images)
        scores, labels = outputs.logits.float().sigmoid().max(-1)
        scores, order = scores.sort(descending=True, stable=True)
        labels = labels.gather(1, order)
        boxes = outputs.pred_boxes.float().gather(1, order[..., None].expand(-1, -1, 4))
        corners = torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)
        sides = torch.tensor([[*size, *size] for size in sizes], dtype=torch.float32, device=device)
        corners = corners.clamp(0, 1) * sides[:, None]
        found = zip(corners.cpu().numpy(), scores.cpu().numpy(), labels.cpu().numpy(), strict=True)
        return [Detections(*each) for each in found]
