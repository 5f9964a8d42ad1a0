"""A classifier with the batch-norm statistics of the cells to be scored, instead of those of its training.

Batch norm is what fails first when stain, light or focus change: the means and variances in a network are those of the
training crops (arXiv 2303.01777). They are computed again from the crops of the target, without labels; weights stay as
they are. It suits networks whose batch norms were trained on smears. If only the head was trained, it has learned to use the
statistics of ImageNet: with those of the target, accuracy falls even at home (docs/stain.md), so such runs are refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.cutting import cut_cells
from pcm_leukemia.baselines.machine import workers_of
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import option
from pcm_leukemia.schema import IGNORE

if TYPE_CHECKING:
    from pcm_leukemia.baselines.classifiers.network import CellClassifier

__all__ = ["BATCH", "CROPS", "BatchNorm", "classifier_for", "with_statistics_of"]

BatchNorm: TypeAlias = Literal["run", "target"]
"""Whose batch-norm statistics a classifier uses: those of its training, or those of the cells to be scored."""

CROPS = 2048
"""The largest number of crops that statistics are computed from; all of them are in memory at once."""

BATCH = 64
"""Crops in a batch, whatever the batch size of scoring, so that scores do not depend on that."""

_TUNED = ("direct", "lp+ft")
"""The strategies that train the batch norms, too."""
_One = TypeVar("_One")


def classifier_for(run: Run, ds: Dataset, device: str, *, workers: int | None = None) -> CellClassifier:
    """The classifier of a run, with the batch-norm statistics of a data set's cells; the run itself does not change.

    Parameters
    ----------
    run
        A classifier with batch norms.
    ds
        The cells to be scored. Their labels are not used, except that ignored cells are left out.
    device
        The device, as in `Run.model`.
    workers
        Threads that cut crops; by default one per core, at most 16.

    Raises
    ------
    ValueError
        If the run is a detector, has no batch norms or was not fine-tuned, or there are fewer than two cells.
    DataNotFound, CorruptFile
        If an image has no file, or cannot be decoded.
    """
    asked = option("batch_norm", "target")
    if run.baseline.kind != "classifier":
        raise ValueError(f"{run.folder}: is a detector, and {asked} is for classifiers; leave it out")
    classifier = cast("CellClassifier", run.classifier(device))
    if not _batch_norms(classifier.network):
        raise ValueError(f"{run.folder}: has no batch norms, whose statistics {asked} replaces; leave it out")
    if run.settings.strategy not in _TUNED or not run.settings.epochs:
        raise ValueError(
            f"{run.folder}: only its head was trained, on the statistics that {asked} replaces; leave it out, or "
            "fine-tune the network"
        )
    cells = [cell for cell in ds.cells if cell.label != IGNORE]
    if len(cells) < 2:
        raise ValueError(f"{ds.name}: has too few cells for {asked}; give two or more, or leave it out")
    chosen = [cells[place] for place in stain.spread(len(cells), CROPS)]
    crops = list(cut_cells(ds, chosen, classifier.padding, classifier.prepare, workers_of(workers)))
    return with_statistics_of(classifier, (torch.stack(those) for those in _dealt(crops, BATCH)))


def with_statistics_of(classifier: CellClassifier, batches: Iterable[torch.Tensor]) -> CellClassifier:
    """A copy of a classifier whose batch norms have the mean statistics of batches of prepared crops.

    Each batch counts equally, so the order of the batches does not matter. Only the batch norms are in training mode.

    Parameters
    ----------
    classifier
        A classifier with batch norms.
    batches
        Prepared crops, uint8, ``(n, 3, s, s)`` each.
    """
    network = deepcopy(classifier.network)
    norms = _batch_norms(network)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
        norm.training = True  # not train(), which would include timm's dropout inside a norm
    adapted = replace(classifier, network=network)
    for batch in batches:
        adapted.probabilities(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
    return adapted


def _batch_norms(network: nn.Module) -> list[_BatchNorm]:
    return [
        layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]


def _dealt(items: list[_One], size: int) -> list[list[_One]]:
    """The items dealt to batches of at most `size`, all of nearly the same size, so that neighbours are in different ones.

    Cells of one image are neighbours and look alike; a batch of them alone would have too small a variance.
    """
    count = -(-len(items) // size)
    return [items[first::count] for first in range(count)]
