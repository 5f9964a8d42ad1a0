"""The classifier: single cells, cut with 50 px around them, to one of the classes, by any image model of timm.

ResNet50 and DinoBloom, the paper's two, are settings of it. The paper (section 2.3.2) has two strategies: "lp+ft"
trains a linear head on the frozen backbone and then the whole network at a reduced learning rate; "direct" trains the
whole network from the start. Two are ours: "lp" trains the head alone, and "lora" trains the head and then low-rank
changes to the backbone (`low_rank`). Each phase keeps its first epoch with the highest macro F1 on val.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.classifiers import crops as crop_cache
from pcm_leukemia.baselines.classifiers import loop, low_rank
from pcm_leukemia.baselines.classifiers import network as networks
from pcm_leukemia.baselines.classifiers.network import CellClassifier
from pcm_leukemia.baselines.classifiers.phases import Course
from pcm_leukemia.baselines.classifiers.settings import Settings
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.cutting import cut_cells
from pcm_leukemia.baselines.metrics.calibration import fitted_temperature
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import IGNORE

__all__ = ["Settings", "load", "train"]

CROPS = 256
"""The largest number of crops that a stain reference is computed from."""


def train(job: Job, settings: Settings) -> Mapping[str, Any]:
    """Train a classifier on the job's cells; leaves ``classifier.safetensors`` and the logs in its folder.

    With `job.resume`, a run that was killed resumes from its last completed epoch. The prepared crops and the
    checkpoints are removed at the end.

    Raises
    ------
    ValueError
        If train or val has too few cells, "Other" is among the classes, train and val have different classes,
        `batch` is not a multiple of the number of devices, or LoRA is asked of a model without linear layers.
    DataNotFound, CorruptFile
        If the weights or an image are missing, or cannot be used.
    ExportError
        If the disk has too little room for the prepared crops.
    """
    _check(job, settings)
    if not job.resume:
        _remove(job.out)
    labels = job.train.taxonomy.labels
    with loop.seeded(job.seed, job.device):
        network = networks.starting_network(
            labels,
            settings.model,
            settings.weights,
            image_size=settings.image_size,
            sha256=settings.sha256,
        )
        if settings.strategy == "lora":
            low_rank.require(network, settings.model)
        prepare = _preparation(job.train, settings, network.image_size, job.workers)
        train, val = (
            crop_cache.write(
                ds,
                job.out / "cache",
                prepare,
                settings.padding,
                target=job.target,
                workers=job.workers,
                progress=job.progress,
            )
            for ds in (job.train, job.val)
        )
        record = Course(job, settings, network, train, val).run()
        networks.save(network, job.out, labels, settings.model, prepare, settings.padding)
        temperature = _temperature(load(job.out, settings, labels, job.device), val, settings.batch)
    _remove(job.out)
    ignored = {part: ds.ignored + ds.untyped for part, ds in (("train", job.train), ("val", job.val))}
    return {
        **record,
        "chosen_by": job.chosen_by(loop.BEST),
        "temperature": temperature,
        "cells": {"train": len(train), "val": len(val)},
        "ignored": ignored,
    }


def load(folder: Path, settings: Settings, labels: tuple[str, ...], device: str) -> CellClassifier:
    """The classifier that `train` left in `folder`, on a device, in evaluation mode.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If it cannot be read, or has other classes.
    """
    return networks.read(folder, labels, device, settings.precision)


def _temperature(classifier: CellClassifier, val: crop_cache.Pictures, batch: int) -> float:
    """The temperature that calibrates a trained classifier on the validation cells."""
    draws = crop_cache.Draws(len(val), batch)
    rows = [classifier.probabilities(val[draw][0]).numpy() for draw in draws]
    return fitted_temperature(val.labels, np.concatenate(rows).astype(np.float64))


def _check(job: Job, settings: Settings) -> None:
    labels = job.train.taxonomy.labels
    if "Other" in labels:
        raise ValueError(
            f"{job.train.name}: Other is among the classes, but is not a kind of cell; train on the task classification"
        )
    if job.val.taxonomy.labels != labels:
        raise ValueError(
            f"{job.val.name}: val has the classes {', '.join(job.val.taxonomy.labels)}, but train has "
            f"{', '.join(labels)}; give both the same task"
        )
    for part, ds in (("train", job.train), ("val", job.val)):
        if sum(cell.label != IGNORE for cell in ds.cells) < job.devices:
            raise ValueError(
                f"{ds.name}: {part} has too few cells to classify; use a split with more cells in {part}"
            )
    if settings.batch % job.devices:
        raise ValueError(
            f"setting batch: is {settings.batch}; give a multiple of the number of devices, {job.devices}"
        )


def _preparation(ds: Dataset, settings: Settings, image_size: int, workers: int) -> crop_cache.Prepare:
    """How each crop is prepared; a stain reference is computed from training crops."""
    if settings.stain not in stain.NORMALISING:
        return crop_cache.Prepare(image_size)
    cells = [cell for cell in ds.cells if cell.label != IGNORE]
    chosen = [cells[place] for place in stain.spread(len(cells), CROPS)]
    reference = stain.Reference.of(cut_cells(ds, chosen, settings.padding, lambda crop: crop, workers))
    stain.augmentation(settings.stain, reference)  # fails now if the reference is unusable
    return crop_cache.Prepare(image_size, settings.stain, reference)


def _remove(out: Path) -> None:
    """Remove what is needed only while training."""
    for name in ("cache", "checkpoints"):
        shutil.rmtree(out / name, ignore_errors=True)
