"""Random augmentation of training crops: a whole batch at once, on the device that trains."""

from __future__ import annotations

import torch

__all__ = ["augment"]

_GREY = (0.299, 0.587, 0.114)


def augment(pictures: torch.Tensor, colour: float = 0.1) -> torch.Tensor:
    """Flip and turn each picture at random, and change its colours a little.

    The eight flips and quarter turns are equally likely. Random numbers come from torch's generator for the batch's
    device.

    Parameters
    ----------
    pictures
        RGB, uint8, ``(n, 3, s, s)``: square, because a quarter turn must keep the shape.
    colour
        Brightness, contrast and saturation are each multiplied by a factor within 1 +- `colour`. The default is
        small, because classes are told apart by the stain of nucleus and cytoplasm.

    Returns
    -------
    torch.Tensor
        float32, 0 to 1, of the same shape.

    Examples
    --------
    >>> augment(torch.full((2, 3, 4, 4), 51, dtype=torch.uint8), colour=0).unique()
    tensor([0.2000])
    """
    count = len(pictures)
    device = pictures.device
    for axis in (3, 2):
        pictures = torch.where(_coins(count, device), pictures.flip(axis), pictures)
    pictures = torch.where(_coins(count, device), pictures.transpose(2, 3), pictures)
    colours = pictures.float() / 255
    if not colour:
        return colours
    brightness, contrast, saturation = 1 + colour * (2 * torch.rand(3, count, 1, 1, 1, device=device) - 1)
    grey = (colours * torch.tensor(_GREY, device=device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    colours = (grey + (colours - grey) * saturation) * brightness
    mean = grey.mean((2, 3), keepdim=True) * brightness
    changed: torch.Tensor = (mean + (colours - mean) * contrast).clamp(0, 1)
    return changed


def _coins(count: int, device: torch.device) -> torch.Tensor:
    return torch.rand(count, 1, 1, 1, device=device) < 0.5
