"""RT-DETRv2, trained with DEIM's recipe: mosaic and mixup for dense supervision, its loss, and its schedule.

The model and the terms of the loss come from transformers, devices and precision from Lightning Fabric. The modules:
`model`; `weights` and `checkpoints` (what training starts from); `distortion`, `augmentation` and `data` (its images); `loss`,
`schedule`, `validation` and `training`; `detector` (prediction).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning import Fabric

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.rtdetrv2_deim import model as models
from pcm_leukemia.baselines.rtdetrv2_deim.detector import Prepare, RtDetr
from pcm_leukemia.baselines.rtdetrv2_deim.settings import Settings
from pcm_leukemia.baselines.rtdetrv2_deim.training import MODEL, Training, fabric_of
from pcm_leukemia.baselines.rtdetrv2_deim.weights import starting_model
from pcm_leukemia.baselines.stain import Recolour
from pcm_leukemia.errors import CorruptFile
from pcm_leukemia.torchdata import Detection

__all__ = ["Settings", "load", "train"]


def train(job: Job, settings: Settings) -> dict[str, Any]:
    """Train; leave the best weights in ``job.out / "model"`` and the logs in ``job.out / "logs"``.

    The best epoch is the one with the highest AP on `job.val` (if it has several domains, the highest mean of their APs),
    or the last epoch if `job.val` has no cells. With `job.resume`, a run that was killed resumes after its last completed
    epoch; if it has not completed one, it starts again.

    Returns
    -------
    dict
        ``weights`` (what training started from), ``epochs``, ``best_epoch`` (from 1), ``val_AP``, ``val_AP50``, and
        ``val_AP_DOMAIN`` for each domain, if there are several; ``chosen_by`` (the score that chose the epoch).

    Raises
    ------
    ValueError
        If the model has no such size.
    DataNotFound, CorruptFile
        If images or weights are missing, or cannot be used.
    FloatingPointError
        If the loss is not finite.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    if job.devices > 1:
        starting_model(
            settings, job.train.taxonomy.labels
        )  # in another process, its errors would be tracebacks
    result: dict[str, Any] = fabric_of(job, settings.precision).launch(partial(_fit, job, settings))
    return result


def _fit(job: Job, settings: Settings, fabric: Fabric) -> dict[str, Any]:
    """Train in this process, one of several if there are several devices; returns what `train` returns."""
    fabric.seed_everything(job.seed, verbose=False)
    start = starting_model(settings, job.train.taxonomy.labels)
    recolours = _recolours(job, settings)
    training = Training(fabric, job, settings, start.model, *recolours)
    if job.resume and training.checkpoint.is_file():
        training.load()
    training.fit()
    # several times larger than the model, because they also hold the optimizer
    for checkpoint in (training.checkpoint, training.best_checkpoint):
        checkpoint.unlink(missing_ok=True)
    best = training.best
    return {
        "weights": start.origin,
        "epochs": training.epoch,
        "best_epoch": int(best["epoch"]) + 1,
        **{f"val_{name}": score for name, score in best.items() if name != "epoch"},
        "chosen_by": job.chosen_by("val_AP"),
    }


def load(folder: Path, settings: Settings, labels: tuple[str, ...], device: str) -> RtDetr:
    """The detector that `train` left in `folder`.

    Raises
    ------
    DataNotFound
        If the files do not exist.
    CorruptFile
        If they are damaged, or the model was trained for other labels.
    """
    model = models.read(folder / MODEL)
    trained = models.labels_of(model.config)
    if trained != labels:
        raise CorruptFile(
            f"{folder}: was trained for the labels {', '.join(trained)}, not {', '.join(labels)}; give the labels in "
            "the order of training"
        )
    recolour: Recolour | None = None
    if settings.stain in stain.NORMALISING:
        recolour = stain.augmentation(settings.stain, stain.Reference.read(folder))
    model.eval()  # type: ignore[no-untyped-call]
    model.to(torch.device(device))  # type: ignore[arg-type]
    return RtDetr(
        model,
        labels,
        settings.image_size,
        recolour,
        imagenet=settings.imagenet_normalize,
        multi_label=settings.multi_label,
    )


def _recolours(job: Job, settings: Settings) -> tuple[Recolour | None, Recolour | None]:
    """How the colours of images are changed in training, and in validation and prediction."""
    if settings.stain == "none":
        return None, None
    if settings.stain not in stain.NORMALISING:
        return stain.augmentation(settings.stain, seed=job.seed), None
    if not (job.resume and (job.out / stain.FILE).is_file()):
        images = Detection(job.train)
        prepare = Prepare(settings.image_size)
        pixels = (
            images[number][0].as_subclass(torch.Tensor).permute(1, 2, 0).numpy()
            for number in stain.spread(len(images))
        )
        stain.Reference.of(prepare(each).permute(1, 2, 0).numpy() for each in pixels).write(job.out)
    recolour = stain.augmentation(settings.stain, stain.Reference.read(job.out))
    return recolour, recolour
