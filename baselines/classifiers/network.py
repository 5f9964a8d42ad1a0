"""The network of a classifier: how it starts, what it does to pixels, and how it is kept on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from pcm_leukemia.baselines import stain, weight_files
from pcm_leukemia.baselines.classifiers import crops as crop_cache
from pcm_leukemia.baselines.classifiers import dinobloom_weights as dinobloom
from pcm_leukemia.baselines.classifiers import loop
from pcm_leukemia.baselines.classifiers.backbones import Architecture, Backbone, backbone, build
from pcm_leukemia.baselines.machine import precision_of
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.files import new_file
from pcm_leukemia.images import Pixels

__all__ = ["FILE", "CellClassifier", "Network", "read", "save", "starting_network"]

FILE = "classifier.safetensors"
_KIND = "classifier of pcm-leukemia"


class Network(nn.Module):
    """Maps pixels to logits: normalisation, the backbone, and a linear head.

    Takes uint8, or float32 from 0 to 1, ``(n, 3, s, s)``, and returns ``(n, k)``. Mean and standard deviation are those
    of the backbone's pretraining, and are saved with the weights.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__()
        self.frozen = False
        self.architecture, self.image_size = backbone.architecture, backbone.image_size
        self.backbone = backbone.module
        self.head = nn.Linear(backbone.width, classes)
        nn.init.trunc_normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(backbone.deviation).view(1, 3, 1, 1))
        self.to(memory_format=torch.channels_last)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """The input of the head, ``(n, width)``."""
        colours = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
        normal = (colours - self.mean) / self.deviation
        found: torch.Tensor = self.backbone(normal.contiguous(memory_format=torch.channels_last))
        return found

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """The logits."""
        logits: torch.Tensor = self.head(self.features(pixels))
        return logits

    def freeze(self, *, frozen: bool) -> None:
        """Freeze the backbone, or release it. A frozen one stays in evaluation mode, so batch norms keep their statistics."""
        self.frozen = frozen
        self.backbone.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002  torch's signature
        """Set the mode of all that is not frozen."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self


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
        """A crop (cut with `padding` pixels) in the form that the model takes: uint8, ``(3, s, s)``."""
        return self.preparation(crop)

    def probabilities(self, batch: torch.Tensor) -> torch.Tensor:
        """The probability of each class, for prepared crops: float32, ``(n, k)``, on the CPU."""
        return self.features_and_probabilities(batch)[1]

    def features_and_probabilities(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the head sees of prepared crops, ``(n, width)``, and the probability of each class; float32, on the CPU."""
        with torch.inference_mode(), loop.autocast(self.precision, self.device):
            features = self.network.features(batch.to(self.device, non_blocking=True))
            logits = self.network.head(features)
        return features.float().cpu(), logits.float().softmax(dim=1).cpu()


def starting_network(
    labels: tuple[str, ...], model: str, weights: str, *, image_size: int = 0, sha256: str = ""
) -> Network:
    """The network that training starts from: a new head, and a backbone with the given weights.

    If `weights` is a file of `save` with the same classes, the head is taken from it, too.

    Raises
    ------
    DataNotFound
        If the weights cannot be found.
    CorruptFile
        If the file holds no weights, or those of another model.
    """
    path = Path(weights)
    about = _about(path) if path.suffix == ".safetensors" and path.is_file() else None
    if about is None:
        return Network(backbone(model, weights, image_size=image_size, sha256=sha256), len(labels))
    same = _plain(about["model"]) == _plain(model)
    if not same or image_size not in (0, about["image_size"]):
        asked = f"{model} at {image_size} px" if image_size else model
        raise CorruptFile(
            f"{path}: is {about['model']} at {about['image_size']} px, not {asked}; set model and image_size to those of "
            "the file"
        )
    network = _empty(about, len(labels))
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
    """Write a network to ``classifier.safetensors``, with everything that prediction needs to know."""
    reference = preparation.reference
    about = {
        "is": _KIND,
        "model": model,
        "architecture": asdict(network.architecture),
        "labels": list(labels),
        "image_size": preparation.image_size,
        "padding": padding,
        "stain": preparation.kind,
        "reference": reference.to_json() if reference else "",
    }
    weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    with new_file(folder / FILE) as work:
        # a single entry, because safetensors writes several in a different order each time
        save_file(weights, work, {"about": json.dumps(about, ensure_ascii=False)})


def read(folder: Path, labels: tuple[str, ...], device: str, precision: str) -> CellClassifier:
    """Read the classifier that `save` wrote to a folder; on a device, in evaluation mode.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If it cannot be read, or has other classes.
    """
    path = folder / FILE
    if not path.is_file():
        raise DataNotFound(f"{path}: the trained weights are missing; copy the run again, or train it again")
    about = _about(path)
    if about is None:
        raise CorruptFile(
            f"{path}: is not a classifier of pcm-leukemia; copy the run again, or train it again"
        )
    if tuple(about["labels"]) != labels:
        raise CorruptFile(
            f"{path}: has the classes {', '.join(about['labels'])}, not {', '.join(labels)}; copy the run again, or "
            "train it again"
        )
    network = _empty(about, len(labels))
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


def _empty(about: Mapping[str, Any], classes: int) -> Network:
    """The network that `save` described, with random weights."""
    size = about["image_size"]
    # files of earlier versions have the model's name alone
    known = about.get("architecture")
    made = build(Architecture(**known), size) if known else backbone(about["model"], "none", image_size=size)
    return Network(made, classes)


def _plain(model: str) -> str:
    """One name for a model that has several."""
    return dinobloom.size_of(model) or model


def _about(path: Path) -> dict[str, Any] | None:
    """What `save` wrote about the network in a file; None for any other file."""
    try:
        with safe_open(path, "pt") as content:
            metadata = content.metadata()
        about: dict[str, Any] = json.loads(metadata["about"])
        return about if about["is"] == _KIND else None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None
