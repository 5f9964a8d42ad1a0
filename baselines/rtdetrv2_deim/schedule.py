"""How DEIM steps: which weights are stepped how far, the learning rate over time, the average of the weights."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import torch
from torch import nn

__all__ = ["WeightAverage", "flat_cosine", "parameter_groups"]


def flat_cosine(step: int, *, warmup: int, flat: int, plain: int, total: int, end: float = 0.5) -> float:
    """The learning rate at a step, as a part of the highest.

    It rises with the square of the step, stays, falls along a cosine to `end`, and stays there in the last
    steps, which are without augmentation. Formula: engine/optim/lr_scheduler.py of DEIM.

    Parameters
    ----------
    step
        From 0.
    warmup
        Up to this step it rises.
    flat
        Up to this step it stays, counted from the start of training.
    plain
        How many steps at the end are without augmentation.
    total
        How many steps there are.
    end
        What it falls to.

    Examples
    --------
    >>> [flat_cosine(step, warmup=10, flat=20, plain=10, total=50) for step in (0, 5, 10, 20, 30, 40, 49)]
    [0.0, 0.25, 1.0, 1.0, 0.75, 0.5, 0.5]
    """
    if step <= warmup and warmup > 0:
        return (step / warmup) ** 2
    if step <= flat:
        return 1.0
    if step >= total - plain:
        return end
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * (step - flat) / (total - flat - plain)))


def parameter_groups(
    model: nn.Module, *, rate: float, backbone_rate: float, decay: float
) -> list[dict[str, Any]]:
    """The weights in DEIM's three groups: the backbone, the norms of all parts, and the rest.

    As in its deim_r50vd_60e_coco.yml: the backbone learns at a rate of its own; norms, those of the backbone
    among them, learn at the general rate and do not decay. What does not learn is in no group.

    Parameters
    ----------
    model
        Its backbone is every parameter with "backbone" in its name.
    rate, backbone_rate
        The highest learning rates.
    decay
        AdamW's weight decay.
    """
    norms = {
        parameter
        for module in model.modules()
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm)
        for parameter in module.parameters()
    }
    learning = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    backbone = [value for name, value in learning if "backbone" in name and value not in norms]
    rest = [value for name, value in learning if "backbone" not in name and value not in norms]
    groups = [
        {"name": "backbone", "params": backbone, "lr": backbone_rate, "weight_decay": decay},
        {"name": "norms", "params": [v for _, v in learning if v in norms], "lr": rate, "weight_decay": 0.0},
        {"name": "rest", "params": rest, "lr": rate, "weight_decay": decay},
    ]
    return [{**group, "highest": group["lr"]} for group in groups]


class WeightAverage:
    """The moving average of a model's weights, which is what is evaluated and kept.

    After update t, with d = ``decay * (1 - exp(-t / warmup))``, it is d of the average before and 1 - d of the
    model. Formula: ModelEMA in engine/optim/ema.py of DEIM, which also averages what batch norms know.

    Examples
    --------
    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = model.weight.data.fill_(0.0)
    >>> average = WeightAverage(model, decay=0.5, warmup=0)
    >>> _ = model.weight.data.fill_(1.0)
    >>> for _ in range(2):
    ...     average.update(model)
    >>> average.module.weight.item()
    0.75
    """

    def __init__(self, model: nn.Module, decay: float = 0.9999, warmup: int = 2000) -> None:
        self.module = deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.decay, self.warmup, self.updates = decay, warmup, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights of a model after a step."""
        self.updates += 1
        keep = self.decay * (1 - math.exp(-self.updates / self.warmup) if self.warmup else 1)
        # tensors, not names: weights that two names share are averaged once
        pairs = [
            (mine, theirs.detach())
            for mine, theirs in zip(_tensors(self.module), _tensors(model), strict=True)
            if mine.dtype.is_floating_point
        ]
        torch._foreach_lerp_([mine for mine, _ in pairs], [theirs for _, theirs in pairs], 1 - keep)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` goes on from."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.module.load_state_dict(state["module"])
        self.updates = state["updates"]


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]
