"""Prediction with a trained detector of ultralytics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from pcm_leukemia.baselines.contract import Detections, inside
from pcm_leukemia.baselines.stain import Recolour
from pcm_leukemia.baselines.yolo11m import ultralytics
from pcm_leukemia.baselines.yolo11m.settings import Settings
from pcm_leukemia.images import Pixels

__all__ = ["Prepare", "Yolo", "fitted"]


class Yolo:
    """A `contract.Detector` by ultralytics; `recolour` changes the colours of an image after resizing."""

    def __init__(
        self,
        model: nn.Module,
        labels: tuple[str, ...],
        settings: Settings,
        device: str = "cpu",
        recolour: Recolour | None = None,
    ) -> None:
        self.labels = labels
        self.settings = settings
        self.device = torch.device(device)
        model.eval()
        with ultralytics.isolated():
            self.model: nn.Module = model.fuse(verbose=False).to(self.device)  # type: ignore[operator]
        self._prepare = Prepare(settings.image_size, recolour)

    def prepare(self, image: Pixels) -> torch.Tensor:
        """The image in the middle of a grey square: uint8, ``(3, image_size, image_size)``."""
        return self._prepare(image)

    @property
    def multi_label(self) -> bool:
        """Whether a box counts for each of its classes when the model is scored."""
        return self.settings.multi_label

    @torch.inference_mode()
    def forward(self, batch: torch.Tensor) -> Any:
        """What the network says of prepared images, uint8, ``(batch, 3, image_size, image_size)``."""
        raw = self.model(batch.to(self.device, non_blocking=True).float().div_(255))
        return raw[0] if isinstance(raw, list | tuple) else raw  # the rest is for the loss

    @torch.inference_mode()
    def detections(
        self, raw: Any, sizes: Sequence[tuple[int, int]], *, multi_label: bool
    ) -> list[Detections]:
        """The detections of each image, in pixels of the image as annotated, best first; see `contract.Detector`."""
        settings = self.settings
        rows = ultralytics.non_max_suppression(
            raw.clone(),  # it writes into what it is given
            settings.confidence,
            settings.nms_iou,
            multi_label=multi_label,
            max_det=settings.max_detections,
            nc=len(self.labels),
            max_time_img=math.inf,  # a time limit would skip the last images of a slow batch
            end2end=getattr(self.model, "end2end", False),
        )
        return [self._found(found.float(), *size) for found, size in zip(rows, sizes, strict=True)]

    def _found(self, rows: torch.Tensor, width: int, height: int) -> Detections:
        side = self.settings.image_size
        boxes = ultralytics.scale_boxes((side, side), rows[:, :4], (height, width))
        order = torch.argsort(rows[:, 4], descending=True, stable=True)
        found = Detections(
            boxes[order].cpu().numpy(),
            rows[order, 4].cpu().numpy(),
            rows[order, 5].cpu().numpy().astype(np.int64),
        )
        return inside(found, width, height)


class Prepare:
    """Fits an image into a square, as ultralytics does for prediction; can be sent to a loader's worker."""

    def __init__(self, side: int, recolour: Recolour | None) -> None:
        self.side, self.recolour = side, recolour
        self._square = ultralytics.LetterBox((side, side))

    def __call__(self, image: Pixels) -> torch.Tensor:
        """The image, uint8, ``(3, side, side)``."""
        if self.recolour is not None:
            image = self.recolour(fitted(image, self.side))
        pixels: Pixels = self._square(image=image)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def fitted(image: Pixels, side: int) -> Pixels:
    """The image resized so that its longer side has `side` pixels."""
    height, width = image.shape[:2]
    ratio = side / max(height, width)
    size = max(round(width * ratio), 1), max(round(height * ratio), 1)
    resized: Pixels = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return resized
