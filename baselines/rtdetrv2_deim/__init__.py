"""RT-DETRv2 trained as DEIM does: dense supervision by mosaic and mixup, the matchability-aware loss, its schedule.

The model and the terms of the loss are transformers'; devices and precision are Lightning Fabric's. The pages:
`model` (the model), `weights` and `checkpoints` (what it starts from), `augmentation` and `data` (what it sees),
`loss`, `schedule` and `training` (how it learns), `detector` (what it finds).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.rtdetrv2_deim import model as models
from pcm_leukemia.baselines.rtdetrv2_deim.detector import RtDetr
from pcm_leukemia.baselines.rtdetrv2_deim.settings import Settings
from pcm_leukemia.baselines.rtdetrv2_deim.training import MODEL, Training, fabric_of
from pcm_leukemia.baselines.rtdetrv2_deim.weights import beginning
from pcm_leukemia.baselines.stain import Recolour
from pcm_leukemia.errors import CorruptFile
from pcm_leukemia.torchdata import Detection

__all__ = ["Settings", "load", "train"]


def train(job: Job, settings: Settings) -> dict[str, Any]:
    """Train, and leave the best weights in ``job.out / "model"`` and the logs in ``job.out / "logs"``.

    The best are those of the highest AP on `job.val` after an epoch. Where there are no cells in it, the last.
    With `job.resume`, a run that was killed goes on after its last full epoch; one that never finished an
    epoch begins anew.

    Returns
    -------
    dict
        ``weights`` (what it began with), ``epochs``, ``best_epoch`` (from 1), ``val_AP``, ``val_AP50``.

    Raises
    ------
    ValueError
        If a setting is impossible.
    DataNotFound, CorruptFile
        If images or weights are not there, or not what they should be.
    FloatingPointError
        If the loss is no number any more.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    fabric = fabric_of(job, settings.precision)
    fabric.launch()
    fabric.seed_everything(job.seed, verbose=False)
    begun = beginning(settings, job.train.taxonomy.labels)
    recolours = _recolours(job, settings)
    training = Training(fabric, job, settings, begun.model, *recolours)
    if job.resume and training.checkpoint.is_file():
        training.load()
    training.fit()
    training.checkpoint.unlink(
        missing_ok=True
    )  # it holds the optimiser too, several times what the model takes
    best = training.best
    return {
        "weights": begun.said,
        "epochs": training.epoch,
        "best_epoch": int(best["epoch"]) + 1,
        "val_AP": best["AP"],
        "val_AP50": best["AP50"],
    }


def load(folder: Path, settings: Settings, labels: tuple[str, ...], device: str) -> RtDetr:
    """The detector that `train` left in `folder`.

    Raises
    ------
    DataNotFound
        If there is none.
    CorruptFile
        If its files are damaged, or it was trained for other labels.
    """
    model = models.read(folder / MODEL)
    trained = models.labels_of(model.config)
    if trained != labels:
        raise CorruptFile(
            f"{folder}: was trained for {', '.join(trained)}, not for {', '.join(labels)}; give the labels in that order"
        )
    recolour: Recolour | None = None
    if settings.stain in stain.NORMALISING:
        recolour = stain.augmentation(settings.stain, stain.Reference.read(folder))
    model.eval()  # type: ignore[no-untyped-call]
    model.to(torch.device(device))  # type: ignore[arg-type]
    return RtDetr(model, labels, settings.image_size, recolour, imagenet=settings.imagenet_normalize)


def _recolours(job: Job, settings: Settings) -> tuple[Recolour | None, Recolour | None]:
    """What is done to the colours of each image: in training, and ever after."""
    if settings.stain == "none":
        return None, None
    if settings.stain not in stain.NORMALISING:
        return stain.augmentation(settings.stain, seed=job.seed), None
    if not (job.resume and (job.out / stain.FILE).is_file()):
        images = Detection(job.train)
        prepare = RtDetr(None, (), settings.image_size).prepare  # type: ignore[arg-type]
        pixels = (
            images[number][0].as_subclass(torch.Tensor).permute(1, 2, 0).numpy()
            for number in stain.spread(len(images))
        )
        stain.Reference.of(prepare(each).permute(1, 2, 0).numpy() for each in pixels).write(job.out)
    recolour = stain.augmentation(settings.stain, stain.Reference.read(job.out))
    return recolour, recolour
