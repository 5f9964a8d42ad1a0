"""DEIM's schedule: groups of weights, learning rate, returns to the best epoch, moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn

__all__ = ["WeightAverage", "flat_cosine", "parameter_groups", "returns_to_best"]


def flat_cosine(step: int, *, warmup: int, flat: int, plain: int, total: int, end: float = 0.5) -> float:
    """The learning rate at a step, as a fraction of its peak.

    It rises with the square of the step, stays at its peak, falls along a cosine to `end`, and stays there in the last
    steps, which have no augmentation. The formula is that of DEIM's engine/optim/lr_scheduler.py.

    Parameters
    ----------
    step
        From 0.
    warmup
        The step at which the rise ends.
    flat
        The step at which the peak ends, counted from the start of training.
    plain
        The number of steps without augmentation, at the end.
    total
        The number of all steps.
    end
        The final learning rate, as a fraction of the peak.

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


def returns_to_best(scores: Sequence[float], plain_from: int) -> bool:
    """Whether the next epoch starts from the best epoch that had augmentation, instead of from the last epoch.

    As in DEIM's engine/solver/det_solver.py, the first epoch without augmentation does, and each that follows an epoch
    which was worse than the best. The epoch after a return is compared with no other. (DEIM also lowers the decay of the
    moving average then, but its average goes on with the decay that it was made with.)

    Parameters
    ----------
    scores
        The scores of all epochs so far.
    plain_from
        The first epoch without augmentation, from 0.

    Examples
    --------
    >>> scores = [0.3, 0.5, 0.4, 0.6, 0.5, 0.4, 0.3]
    >>> [epoch for epoch in range(8) if returns_to_best(scores[:epoch], plain_from=3)]
    [3, 5, 7]
    """
    if not 0 < plain_from <= len(scores):
        return False
    returns, best = True, max(scores[:plain_from])
    for score in scores[plain_from:]:
        returns = score < best
        best = -math.inf if returns else score
    return returns


def parameter_groups(
    model: nn.Module, *, rate: float, backbone_rate: float, decay: float
) -> list[dict[str, Any]]:
    """The trainable weights in DEIM's three groups: the backbone, all norms, and the rest.

    As in DEIM's deim_r50vd_60e_coco.yml, the backbone has its own learning rate. The norms, including those of the
    backbone, have the general learning rate and no weight decay.

    Parameters
    ----------
    model
        Its backbone is every parameter with "backbone" in its name.
    rate, backbone_rate
        The peak learning rates.
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
    """The moving average of a model's weights, which is evaluated and saved.

    Update t sets the average to d times itself plus 1 - d times the model, where d is
    ``decay * (1 - exp(-t / warmup))``. As in ModelEMA of DEIM's engine/optim/ema.py, the statistics of batch norms are
    averaged, too.

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
        """Update the average with the weights of the model after a step."""
        self.updates += 1
        keep = self.decay * (1 - math.exp(-self.updates / self.warmup) if self.warmup else 1)
        # by tensor, not by name, so that weights with two names are averaged only once
        pairs = [
            (mine, theirs.detach())
            for mine, theirs in zip(_tensors(self.module), _tensors(model), strict=True)
            if mine.dtype.is_floating_point
        ]
        torch._foreach_lerp_([mine for mine, _ in pairs], [theirs for _, theirs in pairs], 1 - keep)

    def state_dict(self) -> dict[str, Any]:
        """The state, for a checkpoint."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a `state_dict`."""
        self.module.load_state_dict(state["module"])
        self.updates = state["updates"]


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]
