"""Adapters for torch: whole images with boxes for detectors, single cells for classifiers.

Both adapters are map-style data sets for `torch.utils.data.DataLoader`, with forked or
spawned workers. They take any `Dataset`, also the result of one of its verbs:
``Detection(ds.task("wbc").part("train"))``.

torch is imported when one of them is first asked for, so that `help` and `dir` work without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pcm_leukemia.torchdata.frames import Frames

if TYPE_CHECKING:
    from pcm_leukemia.torchdata.adapters import Crops, Detection, collate

__all__ = ["Crops", "Detection", "Frames", "collate"]


def __getattr__(name: str) -> Any:
    """Import an adapter, and torch with it, when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pcm_leukemia.torchdata import adapters

    return getattr(adapters, name)


def __dir__() -> list[str]:
    return sorted(__all__)
