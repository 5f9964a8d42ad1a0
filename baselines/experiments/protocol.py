"""The models of the paper's Tables 4 to 7."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ADAPTED", "EXPERIMENTS", "FRACTION", "INTERNAL", "Experiment"]

INTERNAL = "PCM-Leukemia"
"""The paper's name for its own test set; here it means the test part of the given data."""
FRACTION = 0.1


class Experiment(NamedTuple):
    """One model of one table: what to train, and its name in the paper."""

    table: int
    model: str
    baseline: str
    task: str
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> str:
        """The name of its run's folder."""
        return "-".join([self.baseline, self.task, *(value for _, value in self.changes)])


EXPERIMENTS = (
    Experiment(4, "YOLO11m", "yolo11m", "detection"),
    Experiment(4, "DEIM-RT-DETRv2", "rtdetrv2_deim", "detection"),
    Experiment(5, "YOLO11m", "yolo11m", "wbc"),
    Experiment(5, "DEIM-RT-DETRv2", "rtdetrv2_deim", "wbc"),
    Experiment(6, "ResNet50", "resnet50", "classification"),
    Experiment(6, "DinoBloom (Direct FT)", "dinobloom", "classification", (("strategy", "direct"),)),
    Experiment(6, "DinoBloom (LP+FT)", "dinobloom", "classification", (("strategy", "lp+ft"),)),
)
"""Table 4: one stage. Table 5: white cells against others. Table 6: crops. Table 7 adapts the last model."""

ADAPTED = EXPERIMENTS[-1]
