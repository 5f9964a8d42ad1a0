"""The network of a classifier: what it begins with, what it does to pixels, and how it is kept on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from pcm_leukemia.baselines import stain, weight_files
from pcm_leukemia.baselines.classifiers import crops as crop_cache
from pcm_leukemia.baselines.classifiers import loop
from pcm_leukemia.baselines.precision import precision_of
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.files import new_file
from pcm_leukemia.images import Pixels

__all__ = ["FILE", "Build", "CellClassifier", "Network", "begin", "read", "save"]

FILE = "classifier.safetensors"
_KIND = "classifier of pcm-leukemia"


class Build(Protocol):
    """Makes a backbone: normalised pixels ``(n, 3, s, s)`` to features ``(n, width)``."""

    def __call__(self, model: str, weights: str, *, image_size: int, sha256: str = "") -> nn.Module:
        """The module; `num_features` is its width."""
        ...


class Network(nn.Module):
    """Pixels to logits: normalised, through the backbone, through a linear head.

    Takes uint8, or float32 from 0 to 1, ``(n, 3, s, s)``, and gives ``(n, k)``. Mean and deviation are those that
    the backbone was trained with, ImageNet's if it doesn't say, and are kept with the weights.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, backbone: nn.Module, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(int(backbone.num_features), classes)  # type: ignore[arg-type]
        nn.init.trunc_normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        told: Mapping[str, Any] = getattr(backbone, "pretrained_cfg", {})
        for name, ours, default in (
            ("mean", "mean", IMAGENET_DEFAULT_MEAN),
            ("deviation", "std", IMAGENET_DEFAULT_STD),
        ):
            self.register_buffer(name, torch.tensor(told.get(ours, default)).view(1, 3, 1, 1))
        self.to(memory_format=torch.channels_last)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """What the head sees, ``(n, width)``."""
        colours = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
        normal = (colours - self.mean) / self.deviation
        found: torch.Tensor = self.backbone(normal.contiguous(memory_format=torch.channels_last))
        return found

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """The logits."""
        logits: torch.Tensor = self.head(self.features(pixels))
        return logits

    def freeze(self, *, frozen: bool) -> None:
        """Whether the backbone is to be left as it is."""
        self.backbone.requires_grad_(not frozen)


@dataclass(frozen=True)
class CellClassifier:
    """A trained classifier of single cells, on its device; see `contract.Classifier`."""

    labels: tuple[str, ...]
    padding: int
    network: Network
    preparation: crop_cache.Prepare
    device: str
    precision: str

    def prepare(self, crop: Pixels) -> torch.Tensor:
        """A crop (cut with `padding` pixels) as the model takes it: uint8, ``(3, s, s)``."""
        return self.preparation(crop)

    def probabilities(self, batch: torch.Tensor) -> torch.Tensor:
        """Of each class, for prepared crops: float32, ``(n, k)``, on the CPU."""
        with torch.inference_mode(), loop.autocast(self.precision, self.device):
            logits = self.network(batch.to(self.device, non_blocking=True))
        chances: torch.Tensor = logits.float().softmax(dim=1).cpu()
        return chances


def begin(
    build: Build, labels: tuple[str, ...], model: str, weights: str, *, image_size: int, sha256: str = ""
) -> Network:
    """The network that training begins with: a new head, and a backbone with weights as they are asked for.

    Where those are a file of ours, it gives the backbone, and the head, too, if it tells the same classes apart.

    Raises
    ------
    DataNotFound
        If the weights are not there.
    CorruptFile
        If they are of another model, or no weights.
    """
    path = Path(weights)
    about = _about(path) if path.suffix == ".safetensors" and path.is_file() else None
    if about is None:
        return Network(build(model, weights, image_size=image_size, sha256=sha256), len(labels))
    if (about["model"], about["image_size"]) != (model, image_size):
        raise CorruptFile(
            f"{path}: is {about['model']} at {about['image_size']} px, not {model} at {image_size} px; give the "
            "settings model and image_size that it was trained with"
        )
    network = Network(build(model, "none", image_size=image_size), len(labels))
    found = weight_files.read(path, sha256)
    if tuple(about["labels"]) != labels:
        found |= {name: value for name, value in network.state_dict().items() if name.startswith("head.")}
    weight_files.fill(network, found, path)
    return network


def save(
    network: Network,
    folder: Path,
    labels: tuple[str, ...],
    model: str,
    preparation: crop_cache.Prepare,
    padding: int,
) -> None:
    """Keep a network in ``classifier.safetensors``, with everything that predicting with it needs to know."""
    reference = preparation.reference
    about = {
        "is": _KIND,
        "model": model,
        "labels": list(labels),
        "image_size": preparation.image_size,
        "padding": padding,
        "stain": preparation.kind,
        "reference": reference.to_json() if reference else "",
    }
    weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    with new_file(folder / FILE) as work:
        # one entry: the order of several is another each time
        save_file(weights, work, {"about": json.dumps(about, ensure_ascii=False)})


def read(folder: Path, build: Build, labels: tuple[str, ...], device: str, precision: str) -> CellClassifier:
    """The classifier that `save` kept in a folder, on a device, in evaluation mode.

    Raises
    ------
    DataNotFound
        If there is none.
    CorruptFile
        If it cannot be read, or is of other classes.
    """
    path = folder / FILE
    if not path.is_file():
        raise DataNotFound(
            f"{path}: the trained weights are not there; copy the run again, or train it again"
        )
    about = _about(path)
    if about is None:
        raise CorruptFile(f"{path}: is no classifier of ours; copy the run again, or train it again")
    if tuple(about["labels"]) != labels:
        raise CorruptFile(
            f"{path}: tells {', '.join(about['labels'])} apart, not {', '.join(labels)}; copy the run again, or "
            "train it again"
        )
    network = Network(build(about["model"], "none", image_size=about["image_size"]), len(labels))
    weight_files.fill(network, weight_files.read(path), path)
    reference = stain.Reference.from_json(about["reference"]) if about["reference"] else None
    return CellClassifier(
        labels,
        about["padding"],
        network.to(device).eval(),
        crop_cache.Prepare(about["image_size"], about["stain"], reference),
        device,
        precision_of(precision, device, without_bfloat16="16-mixed"),
    )


def _about(path: Path) -> dict[str, Any] | None:
    """What our files say of themselves; None for any other."""
    try:
        with safe_open(path, "pt") as content:
            told = content.metadata()
        about: dict[str, Any] = json.loads(told["about"])
        return about if about["is"] == _KIND else None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None
