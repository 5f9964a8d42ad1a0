"""What training does to a batch of crops at random, all at once and on the device that trains."""

from __future__ import annotations

import torch

__all__ = ["augment"]

_GREY = (0.299, 0.587, 0.114)


def augment(pictures: torch.Tensor, colour: float = 0.1) -> torch.Tensor:
    """Each picture flipped and turned by quarters, all eight ways equally likely, and its colours moved a little.

    Takes uint8, ``(n, 3, s, s)``, and gives float32, 0 to 1. Random numbers are torch's, of the batch's device.

    Parameters
    ----------
    pictures
        RGB; square, since a quarter turn must leave the shape.
    colour
        Brightness, contrast and saturation are multiplied by numbers within 1 +- `colour`. Small by default: how
        a nucleus and its cytoplasm are stained is what tells classes apart.

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
