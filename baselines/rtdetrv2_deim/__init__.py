"""RT-DETRv2 trained as DEIM does: dense supervision by mosaic and mixup, the matchability-aware loss, its schedule.

The model and the terms of the loss are transformers'; devices and precision are Lightning Fabric's. The pages:
`model` (the model), `weights` and `checkpoints` (what it starts from), `augmentation` and `data` (what it sees),
`loss`, `schedule` and `training` (how it learns), `detector` (what it finds).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.rtdetrv2_deim import model as models
from pcm_leukemia.baselines.rtdetrv2_deim.augmentation import Look
from pcm_leukemia.baselines.rtdetrv2_deim.detector import RtDetr
from pcm_leukemia.baselines.rtdetrv2_deim.settings import Settings, Stain
from pcm_leukemia.baselines.rtdetrv2_deim.training import MODEL, Training, fabric_of
from pcm_leukemia.baselines.rtdetrv2_deim.weights import beginning
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.torchdata import Detection

__all__ = ["Settings", "load", "train"]

NORMALISED = {"reinhard", "macenko"}
"""What is done to the colours in prediction, too."""

REFERENCE = "stain.json"
REFERENCES = 200
"""How many training images, at most, tell the colours that others are brought to."""


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
    looks = _looks(job, settings)
    training = Training(fabric, job, settings, begun.model, *looks)
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
    look: Look | None = None
    if settings.stain in NORMALISED:
        if not (folder / REFERENCE).is_file():
            raise DataNotFound(
                f"{folder}: lacks {REFERENCE}, the colours that images are brought to; copy the whole run"
            )
        look = _normalisation(settings.stain, (folder / REFERENCE).read_bytes())
    model.eval()  # type: ignore[no-untyped-call]
    model.to(torch.device(device))  # type: ignore[arg-type]
    return RtDetr(model, labels, settings.image_size, look, imagenet=settings.imagenet_normalize)


def _looks(job: Job, settings: Settings) -> tuple[Look | None, Look | None]:
    """What is done to the colours of each image: in training, and ever after."""
    if settings.stain == "none":
        return None, None
    from pcm_leukemia.baselines import stain

    if settings.stain not in NORMALISED:
        return stain.augmentation(settings.stain, seed=job.seed), None
    path = job.out / REFERENCE
    if not (job.resume and path.is_file()):
        images = Detection(job.train)
        prepare = RtDetr(None, (), settings.image_size).prepare  # type: ignore[arg-type]
        chosen = np.unique(np.linspace(0, len(images) - 1, REFERENCES).round().astype(int)).tolist()
        pixels = (images[number][0].as_subclass(torch.Tensor).permute(1, 2, 0).numpy() for number in chosen)
        reference = stain.Reference.of(prepare(each).permute(1, 2, 0).numpy() for each in pixels)
        path.write_text(reference.to_json(), encoding="utf-8")
    look = _normalisation(settings.stain, path.read_bytes())
    return look, look


def _normalisation(kind: Stain, reference: bytes) -> Look:
    from pcm_leukemia.baselines import stain

    look: Look = stain.augmentation(kind, stain.Reference.from_json(reference))
    return look
