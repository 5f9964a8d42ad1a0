"""Adapters for torch: whole images with boxes for detectors, single cells for classifiers.

Both adapters are map-style data sets for `torch.utils.data.DataLoader`, with forked or
spawned workers. They take any `Dataset`, also the result of one of its verbs:
``Detection(ds.task("wbc").part("train"))``.

torch is imported when one of them is first asked for, so that `help` and `dir` work without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pcm_leukemia.errors import MissingExtra
from pcm_leukemia.torchdata.frames import Frames

if TYPE_CHECKING:
    from pcm_leukemia.torchdata.crops import Crops
    from pcm_leukemia.torchdata.detection import Detection, collate

__all__ = ["Crops", "Detection", "Frames", "collate"]

_FILES = {"Crops": "crops", "Detection": "detection", "collate": "detection"}
"""The files that import torch, by what is asked for."""


def __getattr__(name: str) -> Any:
    """Import an adapter, and torch with it, when it is first asked for."""
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for library in ("torch", "torchvision"):
        try:
            import_module(library)
        except ImportError as error:
            raise MissingExtra(library, "baselines") from error
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
