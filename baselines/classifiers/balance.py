"""How often each cell is drawn in training, and how much its class counts in the loss."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pcm_leukemia.baselines.contract import DOMAINS

__all__ = ["class_weights", "draw_weights"]

Labels: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]


def class_weights(labels: Labels, classes: int, draws: Floats | None = None) -> Floats:
    """The weight of each class, ``(classes,)``, with which all classes that occur count alike; 0 for the others.

    Over all cells that are drawn, the mean weight is 1.

    Parameters
    ----------
    labels
        The class of each cell, ``(n,)``.
    classes
        The number of classes.
    draws
        How often each cell is expected to be drawn in an epoch, ``(n,)``; by default once.

    Examples
    --------
    >>> class_weights(np.array([0, 0, 0, 2]), 3).tolist()
    [0.6666666666666666, 0.0, 2.0]
    """
    cells = np.bincount(labels, draws, minlength=classes)
    weights = np.zeros(classes)
    weights[cells > 0] = len(labels) / np.count_nonzero(cells) / cells[cells > 0]
    return weights


def draw_weights(
    labels: Labels,
    classes: int,
    *,
    by_class: bool,
    domains: Labels | None = None,
    target_share: float | None = None,
) -> Floats | None:
    """How often each cell is expected to be drawn in an epoch of ``n`` draws, ``(n,)``; None for once each, in any order.

    Parameters
    ----------
    labels
        The class of each cell, ``(n,)``.
    classes
        The number of classes.
    by_class
        Whether each class that occurs is drawn equally often; with `target_share`, within each domain.
    domains
        0 for each cell of the source, 1 for each of the target, ``(n,)``.
    target_share
        The expected share of cells of the target, 0 to 1; None gives the target no share of its own.

    Raises
    ------
    ValueError
        If a domain has no cell to draw.

    Examples
    --------
    >>> draw_weights(np.array([0, 0, 0, 1]), 2, by_class=False, domains=np.array([0, 0, 1, 1]), target_share=0.25).tolist()
    [1.5, 1.5, 0.5, 0.5]
    """
    if target_share is None or domains is None:
        return class_weights(labels, classes)[labels] if by_class else None
    weights = np.ones(len(labels))
    for number, share in enumerate((1 - target_share, target_share)):
        own = domains == number
        if not own.any():
            raise ValueError(
                f"target_share {target_share}: train has no cell of the {DOMAINS[number]}; leave it out"
            )
        if by_class:
            weights[own] = class_weights(labels[own], classes)[labels[own]]
        weights[own] *= share * len(labels) / weights[own].sum()
    return weights
