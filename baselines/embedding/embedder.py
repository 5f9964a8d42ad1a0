"""The backbones that give features to cells, and what loads them, here or on a worker of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from pcm_leukemia.baselines.classifiers import loop
from pcm_leukemia.baselines.classifiers.backbones import backbone
from pcm_leukemia.baselines.classifiers.crops import Prepare
from pcm_leukemia.baselines.classifiers.network import CellClassifier, Network
from pcm_leukemia.baselines.machine import device_of
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.errors import DataNotFound, option

__all__ = ["PADDING", "Embedder", "OfModel", "OfRun"]

PADDING = 50
"""Pixels around the box, unless something else is asked for: those of the paper's classifiers."""


@dataclass(frozen=True)
class Embedder:
    """A backbone on its device, with the preparation of crops that it expects; `model` and `weights` name it."""

    network: Network
    preparation: Prepare
    padding: int
    device: str
    model: str
    weights: str

    @property
    def width(self) -> int:
        """The number of features."""
        return self.network.head.in_features

    def __call__(self, crops: Sequence[torch.Tensor]) -> npt.NDArray[np.float32]:
        """The features of prepared crops, ``(n, width)``, computed in 32 bits on every device."""
        with torch.inference_mode():
            features = self.network.features(torch.stack(list(crops)).to(self.device))
        found: npt.NDArray[np.float32] = features.float().cpu().numpy()
        return found


@dataclass(frozen=True)
class OfRun:
    """Loads the backbone of a run."""

    folder: Path
    trained: tuple[str, ...]
    device: str

    def elsewhere(self, device: str) -> OfRun:
        """The same for workers with other devices and another current folder."""
        return replace(self, folder=self.folder.absolute(), device=device)

    def __call__(self) -> Embedder:
        """The backbone, ready to use."""
        run = Run.open(self.folder)
        classifier = run.classifier(self.device)
        assert isinstance(classifier, CellClassifier)
        return Embedder(
            classifier.network,
            classifier.preparation,
            classifier.padding,
            classifier.device,
            run.settings.model,
            str(run.folder),
        )


@dataclass(frozen=True)
class OfModel:
    """Loads a model by its name."""

    model: str
    weights: str
    image_size: int
    padding: int
    device: str

    def elsewhere(self, device: str) -> OfModel:
        """The same for workers with other devices and another current folder."""
        return replace(self, model=_absolute(self.model), weights=_absolute(self.weights), device=device)

    def __call__(self) -> Embedder:
        """The backbone, ready to use."""
        for name, value in (("image_size", self.image_size), ("padding", self.padding)):
            if value < 0:
                raise ValueError(f"{option(name)}: is {value}; give 0 or more pixels")
        path = Path(self.model)
        if "/" in self.model and path.parent.is_dir() and not Path(path, "config.json").is_file():
            raise DataNotFound(
                f"{self.model}: is neither a run nor a folder with a model of timm; correct the path, or write hf-hub:{self.model} for a "
                "model on the hub"
            )
        device = device_of(self.device)
        with loop.seeded(0, "cpu"):  # random weights are the same each time
            network = Network(backbone(self.model, self.weights, image_size=self.image_size), classes=1)
        network.requires_grad_(requires_grad=False)
        network.to(device).eval()
        preparation = Prepare(network.image_size)
        return Embedder(network, preparation, self.padding, device, self.model, self.weights)


def _absolute(name: str) -> str:
    """The name of a model or of weights; a path as one that holds everywhere."""
    return str(Path(name).absolute()) if Path(name).exists() else name
