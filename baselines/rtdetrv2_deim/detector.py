"""A trained RT-DETRv2 at work: from images to what is found in them, and the score by which the best is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from hotcoco import COCO, COCOeval
from torchvision.transforms.v2 import functional
from transformers import RTDetrV2ForObjectDetection
from transformers.utils.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.stain import Recolour
from pcm_leukemia.images import Pixels

__all__ = ["Cells", "RtDetr", "average_precision", "scaled"]

Cells: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
"""The cells of an image: boxes, x1, y1, x2, y2 in pixels, ``(n, 4)``, and class ids from 0, ``(n,)``."""


def scaled(images: torch.Tensor, *, imagenet: bool = False) -> torch.Tensor:
    """Bytes as the model takes them: 0 to 1, and in ImageNet's units if asked.

    Examples
    --------
    >>> scaled(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    images = images.float() / 255
    return functional.normalize(images, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD) if imagenet else images


class RtDetr:
    """A `contract.Detector`: the model on its device, in evaluation mode, for images of `size` times `size`."""

    def __init__(
        self,
        model: RTDetrV2ForObjectDetection,
        labels: tuple[str, ...],
        size: int,
        recolour: Recolour | None = None,
        *,
        imagenet: bool = False,
    ) -> None:
        self.model, self.labels, self.size, self.recolour, self.imagenet = (
            model,
            labels,
            size,
            recolour,
            imagenet,
        )

    def prepare(self, image: Pixels) -> torch.Tensor:
        """An image brought to the model's size, uint8, ``(3, size, size)``; what is not square is squeezed."""
        pixels = torch.from_numpy(image).permute(2, 0, 1)
        pixels = functional.resize(pixels, [self.size, self.size], antialias=True)
        if self.recolour is not None:
            changed = self.recolour(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
            pixels = torch.from_numpy(np.array(changed)).permute(2, 0, 1)
        return pixels.contiguous()

    @torch.no_grad()
    def detect(self, batch: torch.Tensor, sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """What is found in each image: one label for each of the model's queries, best first.

        Parameters
        ----------
        batch
            Prepared images, uint8, ``(batch, 3, size, size)``.
        sizes
            Their (width, height) as annotated, in pixels.
        """
        device = next(self.model.parameters()).device
        images = scaled(batch.to(device, non_blocking=True), imagenet=self.imagenet)
        # in single precision, wherever this is called from
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


def average_precision(
    truth: Sequence[Cells], found: Sequence[Detections], classes: int
) -> tuple[float, float]:
    """COCO's AP (mean over IoU 0.5 to 0.95) and AP50, over all classes that occur, 0 to 1; NaN without a cell.

    Parameters
    ----------
    truth
        For each image its cells.
    found
        For each image what was found.
    classes
        How many there are.

    Examples
    --------
    >>> box = np.array([[10, 10, 30, 40]], np.float32)
    >>> average_precision([(box, np.array([1]))], [Detections(box, np.ones(1, np.float32), np.array([1]))], 2)
    (1.0, 1.0)
    """
    if not any(len(labels) for _, labels in truth):
        return float("nan"), float("nan")
    rows = [
        np.column_stack([np.full(len(labels), number), boxes[:, :2], boxes[:, 2:] - boxes[:, :2], labels + 1])
        for number, (boxes, labels) in enumerate(truth, 1)
    ]
    cells = np.concatenate(rows).astype(np.float64)
    results = [
        np.column_stack(
            [
                np.full(len(f.scores), number),
                f.boxes[:, :2],
                f.boxes[:, 2:] - f.boxes[:, :2],
                f.scores,
                f.labels + 1,
            ]
        )
        for number, f in enumerate(found, 1)
    ]
    gold = COCO.from_arrays(
        [{"id": number, "width": 1, "height": 1} for number in range(1, len(truth) + 1)],
        [{"id": number, "name": str(number)} for number in range(1, classes + 1)],
        cells[:, 0].astype(np.int64),
        cells[:, 5].astype(np.int64),
        cells[:, 1:5],
    )
    ran = COCOeval(gold, gold.load_res(np.concatenate(results).astype(np.float64)), "bbox")
    ran.evaluate()
    ran.accumulate()
    assert ran.eval is not None
    # IoU, recall, class, size of cell, most predictions
    precision = ran.eval["precision"][:, :, :, 0, 2]
    return tuple(round(float(values[values > -1].mean()), 6) for values in (precision, precision[0]))  # type: ignore[return-value]
