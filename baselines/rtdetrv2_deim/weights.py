"""What training of RT-DETRv2 starts from: the authors' backbone or checkpoints, the hub, a folder, or nothing."""

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

__all__ = ["IMAGENET", "StartingModel", "starting_model"]

IMAGENET = {
    "r50vd": (
        "ResNet50_vd_ssld_v2_pretrained_from_paddle.pth",
        "641dc59835d5228e6013ac45acb633592ec825144fb3d78055bc07699f404353",
    ),
    "r34vd": (
        "ResNet34_vd_pretrained_from_paddle.pth",
        "4354120509368b59e0ab07e3e829e08c917012e478371830ff3a09e56d353fe9",
    ),
    "r18vd": (
        "ResNet18_vd_pretrained_from_paddle.pth",
        "911a745b62e173c8f4b9af513c2ea295428cf23f1bbfe9048381500f140fd720",
    ),
}
"""The file of each size's backbone trained on ImageNet, and its SHA-256; DEIM's engine/backbone/presnet.py names them."""

_RELEASE = "https://github.com/lyuwenyu/storage/releases/download/v0.1"

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

    "imagenet" is DEIM's own start: the authors' backbone, trained on ImageNet, and random weights elsewhere. A backbone
    has the size of the settings; weights of a whole model decide on the size.

    The heads that score classes are kept if the weights have the same labels, or have the same number of classes and
    no labels. Otherwise they are drawn at random, and `origin` says so.

    Raises
    ------
    ValueError
        If the model has no such size, or there is no backbone of that size.
    DataNotFound
        If the weights are missing, or cannot be downloaded.
    CorruptFile
        If they are damaged, or are not those of an RT-DETRv2.
    """
    name = settings.weights
    if name == "none":
        return StartingModel(_drawn(settings, labels), f"{settings.model} from scratch")
    path = _on_imagenet(settings.model) if name == "imagenet" else Path(name)
    if path.is_file() and (part := official.backbone(path)) is not None:
        return _with_backbone(settings, labels, part, path)
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


def _drawn(settings: Settings, labels: Sequence[str]) -> RTDetrV2ForObjectDetection:
    """A model with random weights and DEIM's heads."""
    model = models.build(_with_costs(models.configuration(settings.model, labels), settings))
    models.initialise(model)
    return model


def _with_backbone(
    settings: Settings, labels: Sequence[str], backbone: Mapping[str, torch.Tensor], path: Path
) -> StartingModel:
    """A model with random weights around a given backbone, as DEIM starts."""
    model = _drawn(settings, labels)
    # published backbones lack the counter of batches
    own = {
        key: value
        for key, value in model.state_dict().items()
        if not key.startswith("model.backbone.") or key.endswith("num_batches_tracked")
    }
    weight_files.fill(model, {**own, **backbone}, path)
    named = f"imagenet ({path.name})" if settings.weights == "imagenet" else settings.weights
    return StartingModel(model, f"{settings.model} from scratch, except its backbone: {named}")


def _on_imagenet(size: str) -> Path:
    """The file of the authors' backbone of a size, trained on ImageNet."""
    if size not in IMAGENET:
        raise ValueError(
            f'weights "imagenet": there is no backbone for the model {size}; use weights none, or one of the models '
            f"{', '.join(IMAGENET)}"
        )
    name, sha256 = IMAGENET[size]
    return weight_files.downloaded("imagenet", f"{_RELEASE}/{name}", sha256)


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
