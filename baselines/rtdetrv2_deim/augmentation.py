"""The augmentation of RT-DETRv2's training images: cropping, mosaics, rotation, flips and mixup; `distortion` has colours.

The steps and their probabilities are DEIM's (engine/data/transforms, configs/base/rt_deim.yml). Two things are done
differently to the same end: images are resampled once, and the box of a rotated cell is that of the rotated ellipse in its
box, because cells are round; the box of the rotated box would be a sixth too wide at 10 degrees.

Boxes are x1, y1, x2, y2 in pixels, origin at the top left, y down. Random numbers come from torch's generator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from pcm_leukemia.baselines.rtdetrv2_deim.distortion import Distortion
from pcm_leukemia.baselines.rtdetrv2_deim.loss import Targets
from pcm_leukemia.baselines.stain import Recolour

__all__ = ["Picture", "cut", "flipped", "mixed", "mosaic", "recoloured", "scales", "turned", "whole"]

cv2.setNumThreads(
    0
)  # OpenCV's threads do not survive the fork of a loader's worker, which could wait for them forever

Window = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of an image; may reach beyond it."""


class Picture(NamedTuple):
    """An image, uint8, ``(3, height, width)``, with its boxes, float32, ``(n, 4)``, and class ids, ``(n,)``.

    `stretch` is the size of a pixel of the original in pixels of this image, across and down; only their ratio counts.
    `coverage` says how much of each pixel belongs to the original, 0 to 255, uint8, ``(height, width)``; the rest is
    black. None is all of it. `recolour` changes the stain when the picture is resized, and `distortion` is how its colours
    are to be changed in the batch.
    """

    pixels: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    stretch: tuple[float, float] = (1.0, 1.0)
    coverage: torch.Tensor | None = None
    recolour: Recolour | None = None
    distortion: Distortion | None = None

    @property
    def covered(self) -> torch.Tensor:
        """The coverage of each pixel, even if it is None."""
        if self.coverage is None:
            return torch.full(self.pixels.shape[1:], 255, dtype=torch.uint8)
        return self.coverage


def whole(picture: Picture, size: int) -> Picture:
    """Resize the picture to `size` x `size` pixels, whatever its shape, as in evaluation."""
    height, width = picture.pixels.shape[1:]
    return cut(picture, (0, 0, width, height), size)


def cut(picture: Picture, window: Window, size: int) -> Picture:
    """Cut out `window` and resize it to `size` x `size` pixels; it is black outside the picture."""
    x1, y1, x2, y2 = window
    canvas = torch.zeros(4, size, size, dtype=torch.uint8)
    boxes = _paste(canvas, picture, window, (0, 0, size, size))
    stretch = (size / (x2 - x1), size / (y2 - y1))
    return _kept(
        picture._replace(pixels=canvas[:3], boxes=boxes, stretch=stretch, coverage=canvas[3], recolour=None)
    )


def zoomed_out(width: int, height: int, most: float = 4.0) -> Window:
    """Draw a window of 1 to `most` times the sides of an image, with the image anywhere in it.

    Same as torchvision's RandomZoomOut, but without enlarging the image.
    """
    factor = 1 + (most - 1) * float(torch.rand(()))
    wide, high = int(width * factor), int(height * factor)
    left, top = (
        int((outer - side) * float(torch.rand(()))) for outer, side in ((wide, width), (high, height))
    )
    return (-left, -top, wide - left, high - top)


def cropped(boxes: torch.Tensor, window: Window) -> tuple[Window, torch.Tensor]:
    """Draw a window inside `window` with the centre of at least one cell, by torchvision's RandomIoUCrop.

    Returns the window, and whether the centre of each cell is in it. Without cells, `window` is returned as it is.
    """
    everything = torch.ones(len(boxes), dtype=torch.bool)
    if not len(boxes):
        return window, everything
    x1, y1, x2, y2 = window
    moved = boxes - torch.tensor([x1, y1, x1, y1])
    sides = (int(y2 - y1), int(x2 - x1))
    drawn = v2.RandomIoUCrop().make_params(
        [tv_tensors.BoundingBoxes(moved, format="XYXY", canvas_size=sides)]
    )
    if not drawn:
        return window, everything
    left, top = x1 + drawn["left"], y1 + drawn["top"]
    return (left, top, left + drawn["width"], top + drawn["height"]), drawn["is_within_crop_area"]


def mosaic(pictures: Sequence[Picture], size: int) -> Picture:
    """Join four pictures in two rows, each scaled so that its shorter side has half of `size`, then fitted to `size`.

    Each picture is at the top left of its quarter, which is black where the picture is smaller than the largest.

    Examples
    --------
    >>> square = Picture(torch.zeros(3, 8, 8, dtype=torch.uint8), torch.tensor([[2.0, 2, 4, 4]]), torch.tensor([5]))
    >>> together = mosaic([square] * 4, 8)
    >>> together.boxes.tolist()
    [[1.0, 1.0, 2.0, 2.0], [5.0, 1.0, 6.0, 2.0], [1.0, 5.0, 2.0, 6.0], [5.0, 5.0, 6.0, 6.0]]
    """
    shapes = [picture.pixels.shape[1:] for picture in pictures]
    scale = [size / 2 / min(shape) for shape in shapes]
    high = max(shape[0] * factor for shape, factor in zip(shapes, scale, strict=True))
    wide = max(shape[1] * factor for shape, factor in zip(shapes, scale, strict=True))
    canvas = torch.zeros(4, size, size, dtype=torch.uint8)
    half = size // 2
    boxes = []
    for number, (picture, (height, width), factor) in enumerate(zip(pictures, shapes, scale, strict=True)):
        left, top = half * (number % 2), half * (number // 2)
        right = left + max(1, round(width * factor / wide * half))
        bottom = top + max(1, round(height * factor / high * half))
        boxes.append(_paste(canvas, picture, (0, 0, width, height), (left, top, right, bottom)))
    labels = torch.cat([picture.labels for picture in pictures])
    return _kept(Picture(canvas[:3], torch.cat(boxes), labels, (half / wide, half / high), canvas[3]))


def _paste(
    canvas: torch.Tensor, picture: Picture, window: Window, area: tuple[int, int, int, int]
) -> torch.Tensor:
    """Fill an area of the canvas, colours and coverage, with a window of the picture; returns the boxes on the canvas."""
    x1, y1, x2, y2 = window
    left, top, right, bottom = area
    across, down = (right - left) / (x2 - x1), (bottom - top) / (y2 - y1)
    height, width = picture.pixels.shape[1:]
    # the visible part of the picture, in whole pixels of the picture (a, b) and of the canvas (u, v)
    a1, b1, a2, b2 = (
        max(0, math.floor(x1)),
        max(0, math.floor(y1)),
        min(width, math.ceil(x2)),
        min(height, math.ceil(y2)),
    )
    u1, u2 = (min(right, max(left, round(left + (a - x1) * across))) for a in (a1, a2))
    v1, v2_ = (min(bottom, max(top, round(top + (b - y1) * down))) for b in (b1, b2))
    if a2 <= a1 or b2 <= b1 or u2 <= u1 or v2_ <= v1:
        return torch.full_like(picture.boxes, -1.0)
    part = functional.resize(picture.pixels[:, b1:b2, a1:a2], [v2_ - v1, u2 - u1], antialias=True)
    canvas[:3, v1:v2_, u1:u2] = recoloured(part, picture.recolour)
    canvas[3, v1:v2_, u1:u2] = 255
    # by the rounded pixels, so that boxes stay on their cells
    factor = torch.tensor([(u2 - u1) / (a2 - a1), (v2_ - v1) / (b2 - b1)]).repeat(2)
    return (picture.boxes - torch.tensor([a1, b1]).repeat(2)) * factor + torch.tensor([u1, v1]).repeat(2)


def recoloured(pixels: torch.Tensor, recolour: Recolour | None) -> torch.Tensor:
    """Change the stain of pixels, uint8, ``(3, height, width)``; without `recolour`, they are returned as they are."""
    if recolour is None:
        return pixels
    changed = recolour(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
    return torch.from_numpy(np.ascontiguousarray(changed)).permute(2, 0, 1)


def turned(
    picture: Picture, degrees: float, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> Picture:
    """Rotate the picture clockwise about its centre, scale it, and shift it by `shift` pixels; the rest is black.

    The rotation is that of the original image, even if the picture is stretched. A box becomes that of the rotated
    ellipse in it, and is clipped at the border.

    Examples
    --------
    >>> one = Picture(torch.zeros(3, 10, 10, dtype=torch.uint8), torch.tensor([[1.0, 4, 3, 8]]), torch.tensor([0]))
    >>> turned(one, 90).boxes.round().tolist()
    [[2.0, 1.0, 6.0, 3.0]]
    """
    size = picture.pixels.shape[1]
    across, down = picture.stretch
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    linear = scale * np.array([[cosine, -sine * across / down], [sine * down / across, cosine]])
    centre = np.full(2, size / 2)
    offset = centre + np.array(shift) - linear @ centre
    # OpenCV counts from the centre of a pixel
    rows = np.column_stack([linear, offset + linear.sum(1) / 2 - 0.5])
    layers = torch.cat([picture.pixels, picture.covered[None]]).permute(1, 2, 0)
    moved = cv2.warpAffine(np.ascontiguousarray(layers.numpy()), rows, (size, size), flags=cv2.INTER_LINEAR)
    pixels = torch.from_numpy(moved).permute(2, 0, 1)
    matrix = torch.from_numpy(linear).float()
    middle = (picture.boxes[:, :2] + picture.boxes[:, 2:]) / 2 @ matrix.T + torch.from_numpy(offset).float()
    # the half sides of the ellipse's box are the lengths of the matrix's rows, scaled by the half axes
    half = ((picture.boxes[:, None, 2:] - picture.boxes[:, None, :2]) / 2 * matrix).square().sum(-1).sqrt()
    boxes = torch.cat([middle - half, middle + half], 1)
    return _kept(picture._replace(pixels=pixels[:3], boxes=boxes, coverage=pixels[3]))


def flipped(picture: Picture, *, across: bool, down: bool) -> Picture:
    """Mirror the picture left to right, upside down, or both."""
    size = picture.pixels.shape[1]
    x1, y1, x2, y2 = picture.boxes.unbind(1)
    if across:
        x1, x2 = size - x2, size - x1
    if down:
        y1, y2 = size - y2, size - y1
    mirrored = [axis for axis, turn in ((-1, across), (-2, down)) if turn]
    return picture._replace(
        pixels=picture.pixels.flip(mirrored),
        boxes=torch.stack([x1, y1, x2, y2], 1),
        coverage=picture.covered.flip(mirrored),
    )


def _kept(picture: Picture) -> Picture:
    """Clip the boxes at the border, and remove those with less than a pixel left, as in DEIM."""
    boxes = picture.boxes.clamp(0, picture.pixels.shape[1])
    visible = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
    return picture._replace(boxes=boxes[visible], labels=picture.labels[visible])


def mixed(images: torch.Tensor, targets: Targets, beta: float) -> tuple[torch.Tensor, Targets]:
    """DEIM's mixup: blend each image with the one before it in the batch, the first with the last.

    Parameters
    ----------
    images
        Float, ``(batch, 3, height, width)``.
    targets
        The cells of each image; a blended image has those of both.
    beta
        The share of the image itself; the one before has 1 - `beta`.

    Examples
    --------
    >>> images = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    >>> targets = [{"class_labels": torch.tensor([7])}, {"class_labels": torch.tensor([8, 9])}]
    >>> images, targets = mixed(images, targets, 0.75)
    >>> images.flatten().tolist(), [target["class_labels"].tolist() for target in targets]
    ([0.25, 0.75], [[7, 8, 9], [8, 9, 7]])
    """
    images = images * beta + images.roll(1, 0) * (1 - beta)
    before = [targets[-1], *targets[:-1]]
    return images, [
        {key: torch.cat([own[key], other[key]]) for key in own}
        for own, other in zip(targets, before, strict=True)
    ]


def scales(size: int) -> list[int]:
    """The sizes of multi-scale training: from 3/4 to 5/4 of `size` in steps of 32, `size` itself three times.

    Same as `generate_scales` in DEIM's engine/data/dataloader.py with ``base_size_repeat: 3``.

    Examples
    --------
    >>> scales(640)
    [480, 512, 544, 576, 608, 640, 640, 640, 672, 704, 736, 768, 800]
    """
    low, high = int(size * 0.75 / 32) * 32, int(size * 1.25 / 32) * 32
    steps = (size - low) // 32
    below = [low + 32 * step for step in range(steps)]
    above = [high - 32 * step for step in range(steps)]
    return [*below, size, size, size, *reversed(above)]
