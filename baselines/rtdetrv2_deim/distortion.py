"""DEIM's random change of colours, for a whole batch at once, on the device that trains.

It is torchvision's `RandomPhotometricDistort`, which takes more time than all other augmentations together on a CPU.
A loader's worker only draws the numbers for an image. DEIM changes colours before zooming out, at the full size of the
image. Each pixel changes by itself, except that contrast depends on the mean grey of the whole image, so the worker
also keeps a sample of the image's pixels, which is changed along with it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torchvision.transforms import v2

__all__ = ["Distortion", "distorted", "draw", "sampled"]

SIDE = 64
"""The rows and columns of a sample; its mean grey is within about half a grey level of the image's."""

_GREY = (0.2989, 0.587, 0.114)
"""The shares of red, green and blue in grey, as in torchvision."""


class Distortion(NamedTuple):
    """The change of colours of one image; for a batch, each tensor has one more dimension in front.

    `factors`, float32, ``(5,)``, apply in this order: brightness, contrast, saturation, hue (a part of a turn), contrast.
    One of the contrasts is 1. `channels`, int64, ``(3,)``, is the new order of the channels. `sample`, uint8,
    ``(3, side, side)``, shows the image as it is when DEIM changes its colours.
    """

    factors: torch.Tensor
    channels: torch.Tensor
    sample: torch.Tensor


def sampled(pixels: torch.Tensor) -> torch.Tensor:
    """A grid of an image's pixels: `SIDE` rows and columns of ``(3, height, width)``.

    Examples
    --------
    >>> sampled(torch.zeros(3, 1080, 1920)).shape
    torch.Size([3, 64, 64])
    """
    rows, columns = ((2 * torch.arange(SIDE) + 1) * side // (2 * SIDE) for side in pixels.shape[1:])
    return pixels[:, rows[:, None], columns]


def draw(chance: float, sample: torch.Tensor) -> Distortion:
    """Draw a change of colours as torchvision does; each of its five steps has this probability."""
    drawn = v2.RandomPhotometricDistort(p=chance).make_params([sample])
    brightness, contrast, saturation = (
        1.0 if drawn[f"{name}_factor"] is None else drawn[f"{name}_factor"]
        for name in ("brightness", "contrast", "saturation")
    )
    first, last = (contrast, 1.0) if drawn["contrast_before"] else (1.0, contrast)
    order = drawn["channel_permutation"]
    return Distortion(
        torch.tensor([brightness, first, saturation, drawn["hue_factor"] or 0.0, last]),
        torch.arange(3) if order is None else order,
        sample,
    )


def distorted(images: torch.Tensor, coverage: torch.Tensor, distortion: Distortion) -> torch.Tensor:
    """Change the colours of each image of a batch; what does not belong to an image stays black.

    Parameters
    ----------
    images
        uint8, ``(batch, 3, height, width)``.
    coverage
        How much of each pixel belongs to the image, 0 to 255, uint8, ``(batch, height, width)``. The rest is black.
    distortion
        The change of each image.

    Returns
    -------
    torch.Tensor
        float32, 0 to 255, not rounded, of the shape of `images`.

    Examples
    --------
    >>> half = Distortion(
    ...     torch.tensor([[0.5, 1, 1, 0, 1]]), torch.tensor([[0, 1, 2]]), torch.zeros(1, 3, 1, 1)
    ... )
    >>> distorted(torch.full((1, 3, 1, 1), 80, dtype=torch.uint8), torch.full((1, 1, 1), 255), half).flatten()
    tensor([40., 40., 40.])
    """
    share = coverage.flatten(1)[:, None].float() / 255
    # a pixel on the edge is the image's own colour and black
    own = images.flatten(2).float() / 255 / share.clamp(min=1 / 255)
    sample = distortion.sample.flatten(2).float() / 255
    colours = torch.cat([own.clamp(max=1), sample], 2)
    brightness, first, saturation, hue, last = distortion.factors.T[:, :, None, None]
    colours = (colours * brightness).clamp(0, 1)
    colours = _contrasted(colours, first, sample.shape[2])
    colours = _blended(colours, _grey(colours), saturation)
    colours = _turned(colours, hue[:, 0])
    colours = _contrasted(colours, last, sample.shape[2])
    colours = colours.gather(1, distortion.channels[:, :, None].expand_as(colours))
    changed: torch.Tensor = colours[:, :, : own.shape[2]] * share * 255
    return changed.view_as(images)


def _grey(colours: torch.Tensor) -> torch.Tensor:
    red, green, blue = (share * colours[:, channel] for channel, share in enumerate(_GREY))
    return (red + green + blue)[:, None]


def _blended(colours: torch.Tensor, other: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    return (colours * share + other * (1 - share)).clamp(0, 1)


def _contrasted(colours: torch.Tensor, factor: torch.Tensor, sample: int) -> torch.Tensor:
    """Blend with the mean grey of the last `sample` pixels."""
    mean = _grey(colours[:, :, -sample:]).mean(2, keepdim=True)
    return _blended(colours, mean, factor)


def _turned(colours: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Change the hue by a part of a turn, with saturation and value of HSV unchanged."""
    red, green, blue = colours.unbind(1)
    high, low = colours.amax(1), colours.amin(1)
    chroma = high - low
    divisor = torch.where(chroma > 0, chroma, 1.0)
    # where on the hexagon of colours, 0 to 6, from red over green to blue
    place = torch.where(high == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor)
    place = torch.where(high == red, (green - blue) / divisor, place) + 6 * turn
    # a channel falls from `high` to `low` over one side of the hexagon, stays for two, and rises over the next
    steps = ((corner + place) % 6 for corner in (5, 3, 1))
    return torch.stack([high - chroma * torch.minimum(step, 4 - step).clamp(0, 1) for step in steps], 1)
