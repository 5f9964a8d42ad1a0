"""The models of the paper's Tables 4 to 7."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ADAPTED", "EXPERIMENTS", "FRACTION", "INTERNAL", "Experiment", "name_of_test_set"]

INTERNAL = "PCM-Leukemia"
"""The paper's name for its own test set."""
FRACTION = 0.1


def name_of_test_set(data: str) -> str:
    """The name of the given data's test part in tables: the paper's for PCM-Leukemia, otherwise the data set's own.

    Examples
    --------
    >>> name_of_test_set("pcm_leukemia"), name_of_test_set("our hospital")
    ('PCM-Leukemia', 'our hospital')
    """
    letters = "".join(filter(str.isalnum, data.casefold()))
    return INTERNAL if letters == "pcmleukemia" else data


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
