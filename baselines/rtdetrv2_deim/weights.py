"""What training of RT-DETRv2 starts from: weights from the hub, a folder, the authors' checkpoints, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import RTDetrV2Config, RTDetrV2ForObjectDetection
from transformers.utils import logging

from pcm_leukemia.baselines import weight_files
from pcm_leukemia.baselines.rtdetrv2_deim import checkpoints as official
from pcm_leukemia.baselines.rtdetrv2_deim import model as models
from pcm_leukemia.baselines.rtdetrv2_deim.settings import Settings
from pcm_leukemia.errors import CorruptFile, DataNotFound

__all__ = ["StartingModel", "starting_model"]

HEADS = (
    "class_embed.",
    "model.decoder.class_embed.",
    "model.enc_score_head.",
    "model.denoising_class_embed.",
)
"""The weights whose shapes depend on the number of classes."""


class StartingModel(NamedTuple):
    """A model to be trained, on the CPU, and the origin of its weights in words."""

    model: RTDetrV2ForObjectDetection
    origin: str


class _Source(NamedTuple):
    """Weights under transformers' names, the configuration that they fit, and their labels, if they are known."""

    config: RTDetrV2Config
    heads: models.Heads
    weights: Mapping[str, torch.Tensor]
    labels: tuple[str, ...] | None


def starting_model(settings: Settings, labels: Sequence[str]) -> StartingModel:
    """The model that training starts from, for classes with these labels; draws from torch's generator.

    The weights decide on the size of the model, except for a checkpoint of only the authors' backbone, trained on
    ImageNet, whose size must be that of the settings.

    The heads that score classes are kept if the weights have the same labels, or have the same number of classes and
    no labels. Otherwise they are drawn at random, and `origin` says so.

    Raises
    ------
    ValueError
        If the model has no such size.
    DataNotFound
        If the weights are missing, or the hub cannot be reached.
    CorruptFile
        If they are damaged, or are not those of an RT-DETRv2.
    """
    name = settings.weights
    part = official.backbone(Path(name)) if Path(name).is_file() else None
    if name == "none" or part is not None:
        config = _with_costs(models.configuration(settings.model, labels), settings)
        model = models.build(config)
        models.initialise(model)
        if part is None:
            return StartingModel(model, f"{settings.model} from scratch")
        weight_files.fill(model, model.state_dict() | part, name)
        return StartingModel(model, f"{settings.model} from scratch, except its backbone: {name}")
    source = _source(name)
    config = _with_costs(models.adapted(source.config, labels, source.heads), settings)
    model = models.build(config)
    models.initialise(model)
    own = model.state_dict()
    weights = dict(source.weights)
    count = len(weights["model.enc_score_head.bias"])
    same = count == len(labels) and source.labels in {None, tuple(labels)}
    if not same:
        weights |= {key: own[key] for key in own if key.startswith(HEADS)}
    # frozen batch norms lack this counter
    weights |= {key: own[key] for key in own.keys() - weights.keys() if key.endswith("num_batches_tracked")}
    weight_files.fill(model, weights, name)
    heads = "with its heads for classes" if same else f"except its heads for {count} other classes"
    return StartingModel(model, f"{name}, {heads}")


def _source(name: str) -> _Source:
    path = Path(name)
    for folder in (path, path / "model"):
        if (folder / models.CONFIG).is_file():
            return _from_folder(folder)
    if path.is_dir():
        raise DataNotFound(
            f"{path}: has no {models.CONFIG}; give the folder of a run, or a folder that transformers wrote"
        )
    if path.is_file():
        config, heads, weights = official.read(path)
        return _Source(config, heads, weights, None)
    if not weight_files.is_hub_name(name):
        raise DataNotFound(f"{name}: no such file of weights; give the path of a file, a hub name, or none")
    return _from_transformers(name)


def _from_folder(folder: Path) -> _Source:
    if '"pcm_heads"' not in (folder / models.CONFIG).read_text(encoding="utf-8"):
        return _from_transformers(str(folder))
    model = models.read(folder)
    heads = getattr(model.config, models.HEADS)
    return _Source(model.config, heads, model.state_dict(), models.labels_of(model.config))


def _from_transformers(name: str) -> _Source:
    """Weights from the hub or a folder, by transformers, which knows the names that weights had in earlier versions."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model: Any = weight_files.from_hub(
            name, lambda: RTDetrV2ForObjectDetection.from_pretrained(name, dtype=torch.float32)
        )
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    if model.config.model_type != "rt_detr_v2":
        raise CorruptFile(
            f"{name}: is a {model.config.model_type}, not an rt_detr_v2; give the weights of an RT-DETRv2"
        )
    return _Source(model.config, "rtdetr", model.state_dict(), models.labels_of(model.config))


def _with_costs(config: RTDetrV2Config, settings: Settings) -> RTDetrV2Config:
    config.matcher_class_cost = settings.cost_class
    config.matcher_bbox_cost = settings.cost_l1
    config.matcher_giou_cost = settings.cost_giou
    return config
