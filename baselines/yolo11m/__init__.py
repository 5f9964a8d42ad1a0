"""YOLO11, or another detector of ultralytics, trained as in the paper.

`ultralytics` isolates the library, `training` adapts its training loop, and `detector` is for prediction.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open

from pcm_leukemia.baselines import stain, weight_files
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.machine import precision_of
from pcm_leukemia.baselines.stain import Recolour
from pcm_leukemia.baselines.yolo11m import ultralytics
from pcm_leukemia.baselines.yolo11m.detector import Yolo, fitted
from pcm_leukemia.baselines.yolo11m.settings import PRECISIONS, Settings
from pcm_leukemia.baselines.yolo11m.training import MODEL, Plan, Trainer
from pcm_leukemia.converters import yolo
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, ExportError, counted
from pcm_leukemia.images import Placing
from pcm_leukemia.torchdata import Frames

__all__ = ["Settings", "load", "train"]

_WORK = "ultralytics"


def train(job: Job, settings: Settings) -> dict[str, Any]:
    """Train; leave the weights of the epoch with the highest AP on `job.val` in ``job.out``.

    ::

        model.safetensors   the weights, with their architecture and labels
        logs/metrics.csv    losses and scores of each epoch
        stain.json          the reference for normalising stains, if there is one

    During training, ``job.out / "ultralytics"`` holds everything else that ultralytics makes. With `job.resume`, a
    run that was killed resumes after its last completed epoch, with the same result as an uninterrupted one.

    Returns
    -------
    dict
        ``weights`` (what training started from), ``optimizer`` and ``lr`` as ultralytics built them, ``epochs``,
        ``best_epoch`` (from 1), ``val_AP``, ``val_AP50`` (by ultralytics, close to COCO's), ``chosen_by``. ultralytics
        scores all images of val together, also if there is a target.

    Raises
    ------
    ValueError
        If ultralytics has no such detector, or the weights do not fit it.
    DataNotFound, CorruptFile
        If images or weights are missing, or cannot be used.
    FloatingPointError
        If the loss is not finite.
    """
    ultralytics.build(settings.model, 1)  # fails on a wrong name before images are placed
    plan = _plan(job, settings)
    work = job.out / _WORK
    with ultralytics.isolated():
        state = _state(plan) if job.resume else None
        if state is None:
            plan.checkpoint.unlink(missing_ok=True)
        if state is None or not state["done"]:
            (work / "plan.json").write_bytes(msgspec.json.encode(plan))
            Trainer(ultralytics.DEFAULTS, _arguments(job, settings, work)).train()
            state = _state(plan)
    assert state is not None
    shutil.rmtree(work)
    plan.checkpoint.unlink()
    rows = state["rows"]
    best = max(rows, key=lambda row: row["val_AP"])
    return {
        "weights": state["weights"],
        "optimizer": state["optimizer_name"],
        "lr": state["lr0"],
        "epochs": len(rows),
        "best_epoch": int(best["epoch"]),
        "val_AP": best["val_AP"],
        "val_AP50": best["val_AP50"],
        "chosen_by": "val_AP" + (" of source and target together" if job.domains else ""),
    }


def load(folder: Path, settings: Settings, labels: tuple[str, ...], device: str) -> Yolo:
    """The detector that `train` left in `folder`.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If it is damaged, or the model was trained for other labels.
    """
    path = folder / MODEL
    weights = weight_files.read(path)
    try:
        with safe_open(path, "pt") as file:
            about = msgspec.json.decode(file.metadata()["model"])
        trained, architecture = about["labels"], about["yaml"]
    except (SafetensorError, LookupError, TypeError, msgspec.DecodeError) as error:
        raise CorruptFile(f"{path}: does not name its model ({error!r}); train it again") from error
    if tuple(trained) != labels:
        raise CorruptFile(
            f"{path}: was trained for the labels {', '.join(trained)}, not {', '.join(labels)}; give the labels in the "
            "order of training"
        )
    model = ultralytics.build(architecture, len(labels))
    weight_files.fill(model, weights, path)
    recolour: Recolour | None = None
    if settings.stain in stain.NORMALISING:
        recolour = stain.augmentation(settings.stain, stain.Reference.read(folder))
    return Yolo(model, labels, settings, device, recolour)


def _plan(job: Job, settings: Settings) -> Plan:
    """Write the images for ultralytics; returns the plan for the trainer."""
    work = job.out / _WORK
    shutil.rmtree(work, ignore_errors=True)
    folders = {"train": _written(job.train, work / "train"), "val": _written(job.val, work / "val")}
    reference = None
    if settings.stain in stain.NORMALISING:
        if not (job.resume and (job.out / stain.FILE).is_file()):
            _reference(job.train, settings.image_size).write(job.out)
        reference = stain.Reference.read(job.out).to_json()
    return Plan(
        out=str(job.out.absolute()),
        model=settings.model,
        weights=settings.weights,
        labels=job.train.taxonomy.labels,
        train=str(folders["train"]),
        val=str(folders["val"]),
        images=(len(job.train.images), len(job.val.images)),
        seed=job.seed,
        progress=job.progress,
        stain=settings.stain,
        reference=reference,
    )


def _written(ds: Dataset, folder: Path) -> Path:
    """Write a data set for ultralytics, with links to the images if possible; returns the folder of images."""
    Frames(ds, ds.images)  # every image must have a file
    deep = [image.id for image in ds.images if image.white_level is not None]
    if deep:
        raise ExportError(
            f'{ds.name}: {counted(len(deep), "image has", "images have")} more than 8 bits a channel, the first "{deep[0]}", and ultralytics would '
            "read them as black; save them with 8 bits a channel"
        )
    ways: tuple[Placing, ...] = ("symlink", "hardlink", "copy")
    for how in ways:
        try:
            yolo.write(ds, folder, images=how)
            break
        except ExportError:
            if how == ways[-1]:
                raise
    return (folder / "images").absolute()


def _reference(ds: Dataset, side: int) -> stain.Reference:
    frames = Frames(ds, ds.images)
    return stain.Reference.of(fitted(frames.load(number), side) for number in stain.spread(len(frames)))


def _state(plan: Plan) -> dict[str, Any] | None:
    """The checkpoint of a killed run; None if it has not completed an epoch."""
    if not plan.checkpoint.is_file():
        return None
    state: dict[str, Any] = torch.load(plan.checkpoint, map_location="cpu", weights_only=True)
    return state


def _arguments(job: Job, settings: Settings, work: Path) -> dict[str, Any]:
    """The settings under the names of ultralytics."""
    device = job.device
    if device.startswith("cuda"):
        first = int(device.partition(":")[2] or 0)
        device = ",".join(str(first + number) for number in range(job.devices))
    return {
        "data": str((work / "plan.json").absolute()),
        "save_dir": str((work / "run").absolute()),
        "model": f"{settings.model}.yaml",
        "pretrained": False,
        "optimizer": "SGD",  # "auto" would choose an optimizer and a learning rate without saying so
        "epochs": settings.epochs,
        "patience": settings.patience,
        "batch": settings.batch,
        "nbs": settings.nominal_batch,
        "imgsz": settings.image_size,
        "cache": "ram" if settings.cache_images else False,
        "amp": PRECISIONS[precision_of(settings.precision, job.device)],
        "device": device,
        "workers": job.workers,
        "seed": job.seed,
        "deterministic": True,
        "plots": False,
        "lr0": settings.lr,
        "lrf": settings.final_lr_fraction,
        "momentum": settings.momentum,
        "weight_decay": settings.weight_decay,
        "warmup_epochs": settings.warmup_epochs,
        "degrees": settings.rotation,
        "translate": settings.translate,
        "scale": settings.scale,
        "fliplr": settings.flip_horizontal,
        "flipud": settings.flip_vertical,
        "mosaic": settings.mosaic,
        "close_mosaic": settings.no_augment_last,
        "hsv_h": settings.hue,
        "hsv_s": settings.saturation,
        "hsv_v": settings.brightness,
    }
