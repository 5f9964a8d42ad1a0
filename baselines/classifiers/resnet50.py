"""The paper's convolutional classifier, a ResNet50 pretrained on ImageNet, and timm's other residual networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from pcm_leukemia.baselines import weight_files
from pcm_leukemia.baselines.classifiers import training
from pcm_leukemia.baselines.classifiers.network import CellClassifier
from pcm_leukemia.baselines.classifiers.settings import Settings
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.errors import CorruptFile

__all__ = ["Settings", "backbone", "load", "train"]


def backbone(
    model: str = "resnet50", weights: str | Path = "hub", *, image_size: int = 224, sha256: str = ""
) -> nn.Module:
    """Build a module that maps normalised pixels, ``(n, 3, s, s)``, to the features after its last pooling.

    Parameters
    ----------
    model
        Any of timm's residual networks: "resnet50", "resnet18", ...
    weights
        "hub" for timm's default ImageNet weights of that model; a name on the hub, such as "timm/resnet50.a1_in1k"; a
        file with a state_dict in timm's or torchvision's names, except for its classifier; or "none" for random
        weights.
    image_size
        The side of the pictures in pixels, at least 32, because the network halves it five times.
    sha256
        The SHA-256 of the file; "" to skip the check.

    Raises
    ------
    DataNotFound
        If the weights cannot be found.
    CorruptFile
        If they are for another model, or have another checksum.
    ValueError
        If timm has no such residual network, or the image size is below 32.

    Examples
    --------
    >>> backbone("resnet18", "none")(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 512])
    """
    if model not in timm.list_models("*resne*"):
        raise ValueError(
            f'model "{model}": timm has no residual network of that name; use resnet50, resnet18 or another one'
        )
    if image_size < 32:
        raise ValueError(f"image_size {image_size}: a residual network halves it five times; give 32 or more")
    text, origin = str(weights), weight_files.origin(weights)
    if origin != "hub":
        made: nn.Module = timm.create_model(model, num_classes=0)
        if origin == "file":
            _fill(made, Path(text), sha256)
        return made
    name = model if text == "hub" else f"hf-hub:{text.removeprefix('hf-hub:')}"
    made = weight_files.from_hub(text, lambda: timm.create_model(name, pretrained=True, num_classes=0))
    if made.pretrained_cfg["architecture"] != model:  # type: ignore[index]
        raise CorruptFile(
            f'weights "{text}": are for {made.pretrained_cfg["architecture"]}, not {model}; '  # type: ignore[index]
            f"set model to {made.pretrained_cfg['architecture']}"  # type: ignore[index]
        )
    return made


def train(job: Job, settings: Settings) -> Mapping[str, Any]:
    """Train on the job's cells; see `training.train`."""
    return training.train(job, settings, backbone)


def load(folder: Path, settings: Settings, labels: tuple[str, ...], device: str) -> CellClassifier:
    """The classifier that `train` left in `folder`; see `training.load`."""
    return training.load(folder, settings, labels, device, backbone)


def _fill(model: nn.Module, path: Path, sha256: str) -> None:
    content = weight_files.read(path, sha256)
    inner = content.get("state_dict", content)
    weights = {
        name: value
        for name, value in inner.items()
        if isinstance(value, torch.Tensor) and not name.startswith(("fc.", "head."))
    }
    weight_files.fill(model, weights, path)
