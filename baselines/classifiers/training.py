"""What the paper's classifiers share: single cells, cut with 50 px around them, to one of the classes.

Two strategies (section 2.3.2 of the paper): "lp+ft", a linear head on a frozen backbone and then all of it at a
reduced rate; "direct", all of it from the start. Either way the epoch kept is the first with the highest macro F1
on val.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.classifiers import crops as crop_cache
from pcm_leukemia.baselines.classifiers import loop
from pcm_leukemia.baselines.classifiers import network as networks
from pcm_leukemia.baselines.classifiers.network import Build, CellClassifier
from pcm_leukemia.baselines.classifiers.phases import Course
from pcm_leukemia.baselines.classifiers.settings import Settings
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.cutting import cut_cells
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import IGNORE

__all__ = ["load", "train"]

CROPS = 256
"""A stain's reference is taken from so many crops at most."""


def train(job: Job, settings: Settings, build: Build) -> Mapping[str, Any]:
    """Train a classifier on the job's cells; leaves ``classifier.safetensors`` and the logs in its folder.

    With `job.resume`, a run that was killed goes on from its last whole epoch. The prepared crops and the
    checkpoints are removed at the end.

    Raises
    ------
    ValueError
        If there is nothing to learn from or to choose by, "Other" is among the classes, the parts have different
        ones, or a setting is out of its range.
    DataNotFound, CorruptFile
        If the weights or an image are not there, or not what they should be.
    ExportError
        If the disk has no room for the prepared crops.
    """
    _check(job, settings)
    if not job.resume:
        _remove(job.out)
    labels = job.train.taxonomy.labels
    with loop.seeded(job.seed, job.device):
        network = networks.begin(
            build,
            labels,
            settings.model,
            settings.weights,
            image_size=settings.image_size,
            sha256=settings.sha256,
        )
        prepare = _preparation(job.train, settings, job.workers)
        train, val = (
            crop_cache.write(
                ds, job.out / "cache", prepare, settings.padding, workers=job.workers, progress=job.progress
            )
            for ds in (job.train, job.val)
        )
        record = Course(job, settings, network, train, val).run()
    networks.save(network, job.out, labels, settings.model, prepare, settings.padding)
    _remove(job.out)
    ignored = {part: ds.ignored for part, ds in (("train", job.train), ("val", job.val))}
    return {
        **record,
        "chosen_by": loop.BEST,
        "cells": {"train": len(train), "val": len(val)},
        "ignored": ignored,
    }


def load(
    folder: Path, settings: Settings, labels: tuple[str, ...], device: str, build: Build
) -> CellClassifier:
    """The classifier that `train` left in `folder`, on a device, in evaluation mode.

    Raises
    ------
    DataNotFound
        If there is none.
    CorruptFile
        If it cannot be read, or is of other classes.
    """
    return networks.read(folder, build, labels, device, settings.precision)


def _check(job: Job, settings: Settings) -> None:
    labels = job.train.taxonomy.labels
    if "Other" in labels:
        raise ValueError(
            f"{job.train.name}: Other is among the classes, and is no kind of cell; train on the task classification"
        )
    if job.val.taxonomy.labels != labels:
        raise ValueError(
            f"{job.val.name}: val has the classes {', '.join(job.val.taxonomy.labels)}, train {', '.join(labels)}; "
            "give both the same task"
        )
    for part, ds in (("train", job.train), ("val", job.val)):
        if sum(cell.label != IGNORE for cell in ds.cells) < job.devices:
            raise ValueError(f"{ds.name}: {part} has no cells to classify; split the data otherwise")
    probing = settings.probe_epochs if settings.strategy == "lp+ft" else 0
    wrong = [
        ("epochs", settings.epochs, "0 or more, and not 0 without probing", settings.epochs >= (not probing)),
        ("probe_epochs", settings.probe_epochs, "0 or more", settings.probe_epochs >= 0),
        ("lr", settings.lr, "more than 0", settings.lr > 0),
        ("probe_lr", settings.probe_lr, "more than 0", settings.probe_lr > 0),
        ("padding", settings.padding, "0 or more pixels", settings.padding >= 0),
        ("image_size", settings.image_size, "1 or more pixels", settings.image_size > 0),
        ("color_jitter", settings.color_jitter, "0 to 1", 0 <= settings.color_jitter <= 1),
        ("patience", settings.patience, "0 or more epochs", settings.patience >= 0),
        ("warmup_epochs", settings.warmup_epochs, "0 or more epochs", settings.warmup_epochs >= 0),
        (
            "batch",
            settings.batch,
            f"a multiple of the {job.devices} devices",
            settings.batch > 0 and settings.batch % job.devices == 0,
        ),
    ]
    for name, value, rule, holds in wrong:
        if not holds:
            raise ValueError(f"setting {name}: is {value}; give {rule}")


def _preparation(ds: Dataset, settings: Settings, workers: int) -> crop_cache.Prepare:
    """What is done to each crop; for a stain's normalisation, a look at the training crops tells towards what."""
    if settings.stain not in stain.NORMALISING:
        return crop_cache.Prepare(settings.image_size)
    cells = [cell for cell in ds.cells if cell.label != IGNORE]
    chosen = [cells[place] for place in stain.spread(len(cells), CROPS)]
    reference = stain.Reference.of(cut_cells(ds, chosen, settings.padding, lambda crop: crop, workers))
    stain.augmentation(settings.stain, reference)  # says now if there is nothing to go by
    return crop_cache.Prepare(settings.image_size, settings.stain, reference)


def _remove(out: Path) -> None:
    """What is only needed while training."""
    for name in ("cache", "checkpoints"):
        shutil.rmtree(out / name, ignore_errors=True)
