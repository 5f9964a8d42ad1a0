"""What a reference model must offer and what it receives: read this page before you add one.

A detector is the folder `baselines/NAME/`, a classifier of single cells the file `baselines/classifiers/NAME.py`.
`NAME.toml` is beside the code: in the folder, or next to the file. If a model is only other settings of the same code, as
ResNet50 is of `timm`, it has no module: its .toml names that of the other (``code = "timm"``). The module has

- ``Settings``: a frozen msgspec Struct, one field for each number of the .toml;
- ``train(job, settings)``: trains, and writes to ``job.out`` what `load` needs;
- ``load(folder, settings, labels, device)``: the trained model, a `Detector` or a `Classifier`.

The .toml has ``kind`` ("detector" or "classifier"), ``tasks``, ``paper`` (its name in the paper's tables),
``[settings]`` with the paper's values, and ``[presets.quick]`` and ``[presets.smoke]`` with what they change. If its
published weights have seen public data sets of `sources`, ``pretrained_on`` names these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import IGNORE, ImageId

if TYPE_CHECKING:
    import torch  # predictions are scored without it

__all__ = ["DOMAINS", "Classifier", "Detections", "Detector", "Job", "Module", "Target", "inside"]

DOMAINS = ("source", "target")
"""The two domains of an adaptation, in the order of their numbers."""


@dataclass(frozen=True, slots=True)
class Target:
    """The images of another hospital, in train and val, to which a model is adapted.

    `share` is the expected share of a training batch that is drawn from them, 0 to 1. None draws all cells equally often.
    """

    images: frozenset[ImageId]
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What to learn from, and where to put the result.

    `train` and `val` are views of one task: their taxonomy has the classes to learn, in the order of their ids. `device`
    is torch's name of the device ("cuda", "cpu"); `devices` is the number of devices. If there is a `target`, the epoch to
    keep is the one with the highest mean of the scores on each of `domains`.
    """

    train: Dataset
    val: Dataset
    out: Path
    seed: int = 0
    device: str = "cpu"
    devices: int = 1
    workers: int = 0
    resume: bool = False
    progress: bool = False
    target: Target | None = None

    @property
    def domains(self) -> tuple[str, ...]:
        """`DOMAINS` if both have cells in val; otherwise none, and val is scored as a whole."""
        if self.target is None:
            return ()
        sides = {cell.image in self.target.images for cell in self.val.cells if cell.label != IGNORE}
        return DOMAINS if len(sides) == len(DOMAINS) else ()

    def chosen_by(self, score: str) -> str:
        """How the best `score` chooses the epoch, in words for the record."""
        return f"{score}, the mean of {' and '.join(self.domains)}" if self.domains else score


class Detections(NamedTuple):
    """The detections in one image, best first.

    `boxes` are x1, y1, x2, y2 in pixels of the image as annotated, inside the image and not empty, float32,
    ``(n, 4)``. `scores` are 0 to 1, float32, ``(n,)``. `labels` are class ids from 0 in the order of the detector's
    labels, int64, ``(n,)``.
    """

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


@runtime_checkable
class Detector(Protocol):
    """A trained detector, on its device, in evaluation mode."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that it finds, in the order of their ids."""
        ...

    def prepare(self, image: Pixels) -> torch.Tensor:
        """Convert an image to the detector's input, uint8, always of the same shape; runs in a loader's worker."""
        ...

    @property
    def multi_label(self) -> bool:
        """Whether each class of a box counts when the detector is scored, as its setting says; see `detections`."""
        ...

    def forward(self, batch: torch.Tensor) -> Any:
        """What the network says of a prepared batch, for `detections`."""
        ...

    def detections(
        self, raw: Any, sizes: Sequence[tuple[int, int]], *, multi_label: bool
    ) -> list[Detections]:
        """The detections in each image of a batch, from what `forward` returned.

        Parameters
        ----------
        raw
            The result of `forward`.
        sizes
            The (width, height) of the images as annotated, in pixels.
        multi_label
            Whether a box is a detection of each of its classes, as COCO scores it. Otherwise it has only its best class,
            so that one cell is found once.
        """
        ...


@runtime_checkable
class Classifier(Protocol):
    """A trained classifier of single cells, on its device, in evaluation mode."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that it distinguishes, in the order of their ids."""
        ...

    @property
    def padding(self) -> int:
        """Pixels around a cell's box in its input crops."""
        ...

    def prepare(self, crop: Pixels) -> torch.Tensor:
        """Convert a crop (cut with `padding` pixels) to the classifier's input, uint8, of one shape; runs in a worker."""
        ...

    def probabilities(self, batch: torch.Tensor) -> torch.Tensor:
        """The probability of each class in the order of `labels`, for a batch of prepared crops: float32, ``(n, k)``, CPU."""
        ...


class Module(Protocol):
    """A reference model's module."""

    Settings: type[msgspec.Struct]

    def train(self, job: Job, settings: Any) -> Mapping[str, Any]:
        """Train, and return the result for the run's record: epochs, best epoch, its score on val."""
        ...

    def load(
        self, folder: Path, settings: Any, labels: tuple[str, ...], device: str
    ) -> Detector | Classifier:
        """The model that `train` left in `folder`."""
        ...


def inside(found: Detections, width: int, height: int) -> Detections:
    """Clip the boxes to an image of `width` x `height` pixels and drop the empty ones.

    Examples
    --------
    >>> sides = np.array([[-5, 2, 10, 12], [70, 0, 90, 9]], np.float32)
    >>> inside(Detections(sides, np.ones(2, np.float32), np.zeros(2, np.int64)), 64, 48).boxes.tolist()
    [[0.0, 2.0, 10.0, 12.0]]
    """
    boxes = found.boxes.clip(0, np.array([width, height, width, height], np.float32))
    kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return Detections(boxes[kept], found.scores[kept], found.labels[kept])
