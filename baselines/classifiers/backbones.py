"""Backbones: the image models of timm without their classifiers, with the weights to start from."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers.patch_embed import PatchEmbed
from timm.models import load_model_config_from_hf
from torch import nn

from pcm_leukemia.baselines import weight_files
from pcm_leukemia.baselines.classifiers import dinobloom_weights as dinobloom
from pcm_leukemia.errors import CorruptFile, DataNotFound, closest

__all__ = ["Architecture", "Backbone", "backbone", "build", "fill"]

_CLASSIFIERS = ("fc.", "head.", "classifier.")
"""What classifiers are called in files of timm and torchvision, besides the name that timm gives for a model."""


@dataclass(frozen=True)
class Architecture:
    """A model's name at timm, and the arguments that timm needs to build it."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Backbone:
    """A module that maps normalised pixels, ``(n, 3, s, s)``, to features, ``(n, width)``; `image_size` is s.

    `mean` and `deviation` are those of the model's pretraining, for pixels from 0 to 1.
    """

    module: nn.Module
    architecture: Architecture
    image_size: int
    width: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True)
class _Source:
    """A model, and the names by which timm creates it without and with its own weights ("" if it has none)."""

    architecture: Architecture
    bare: str
    pretrained: str


def backbone(model: str, weights: str | Path = "hub", *, image_size: int = 0, sha256: str = "") -> Backbone:
    """Build a model of timm without its classifier, and load the weights to start from.

    Parameters
    ----------
    model
        Any image model of timm by its name there, such as "resnet50", "tf_efficientnet_lite0",
        "vit_small_patch14_dinov2" or "convnext_tiny.fb_in22k"; a name on the Hugging Face hub, such as
        "timm/resnet50.a1_in1k"; a folder in the hub's layout, with its config.json; or DinoBloom: "dinobloom_small",
        "dinobloom_base", "dinobloom_large" or "dinobloom_giant" (or "base" alone).
    weights
        "hub" for the model's own pretrained weights (those in the folder, if `model` is one); a name on the hub or a
        folder in its layout; a file with a state_dict in timm's or torchvision's names, with or without a classifier,
        or DinoBloom's published checkpoint; or "none" for random weights.
    image_size
        The side of the pictures in pixels; 0 for the model's own. A transformer's position embedding is interpolated.
    sha256
        The SHA-256 of the file; "" to skip the check.

    Raises
    ------
    DataNotFound
        If the weights cannot be found.
    CorruptFile
        If they are for another model, or have another checksum.
    ValueError
        If timm has no such model, it gives no features, or its pictures cannot be of that size.

    Examples
    --------
    >>> made = backbone("resnet18", "none", image_size=64)
    >>> made.module(torch.zeros(2, 3, 64, 64)).shape, made.width
    (torch.Size([2, 512]), 512)
    """
    source, origin = _source(model), weight_files.origin(weights)
    if Path(weights).is_dir():
        origin = "hub"
    if origin == "hub" and weights != "hub":
        source = _other(str(weights), model, source.architecture)
    if origin == "hub":
        made = _pretrained(source, model)
    elif origin == "none":
        made = _from_scratch(source, image_size)
    else:
        made = _created(source.bare, source.architecture)
        fill(made, Path(weights), sha256, published=dinobloom.size_of(model) is not None)
    return _described(made, source.architecture, image_size, model)


def build(architecture: Architecture, image_size: int) -> Backbone:
    """Build a backbone with random weights, to be filled with those of a run.

    Examples
    --------
    >>> build(Architecture("resnet18"), 64).width
    512
    """
    return _described(_created(architecture.name, architecture), architecture, image_size, architecture.name)


def fill(model: nn.Module, path: Path, sha256: str = "", *, published: bool = False) -> None:
    """Fill a model with the weights of a file, in any layout that timm reads, or DinoBloom's.

    Parameters
    ----------
    model
        A module of timm without its classifier.
    path
        A file with a state_dict; its classifier is left out.
    sha256
        The expected checksum; "" to skip the check.
    published
        Whether it must be a published checkpoint of DinoBloom.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If it has another checksum, or holds other weights than the model's.
    """
    content = weight_files.read(path, sha256)
    if published or "teacher" in content:
        weights: Any = dinobloom.teacher_of(content, model, path)
    else:
        weights = content.get("state_dict", content.get("model", content))
    convert = getattr(import_module(type(model).__module__), "checkpoint_filter_fn", None)
    named = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    classifiers = (*_CLASSIFIERS, *(f"{name}." for name in ([named] if isinstance(named, str) else named)))
    try:
        if convert:
            with suppress(
                LookupError
            ):  # a name that timm looks for is not there: the names are compared below
                weights = convert(weights, model)
        own = model.state_dict()
        kept = {
            name: value
            for name, value in weights.items()
            if isinstance(value, torch.Tensor) and (name in own or not name.startswith(classifiers))
        }
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError, AssertionError) as error:
        raise CorruptFile(
            f"{path}: does not fit the model ({_reason(error)}); give the weights of this model"
        ) from error
    weight_files.fill(model, kept, path)


def _source(model: str) -> _Source:
    size = dinobloom.size_of(model)
    if size is not None:
        name = f"vit_{size}_patch14_dinov2"
        hub = f"hf-hub:{dinobloom.HUB[size]}" if size in dinobloom.HUB else ""
        return _Source(Architecture(name, {"img_size": dinobloom.TRAINED_AT}), name, hub)
    if timm.is_model(model):
        _require_tag(model)
        return _Source(Architecture(model), model, model)
    if Path(model).is_dir():
        return _folder(Path(model))
    if weight_files.is_hub_name(model):
        name = model.removeprefix("hf-hub:")
        described = weight_files.from_hub(name, lambda: load_model_config_from_hf(name))
        _, architecture, arguments = described
        return _Source(Architecture(architecture, arguments), f"hf-hub:{name}", f"hf-hub:{name}")
    near = closest(model, timm.list_models())
    hint = f"did you mean {near}?" if near else "timm.list_models() lists them"
    raise ValueError(f'model "{model}": timm has no image model of that name; {hint}')


def _require_tag(model: str) -> None:
    """Refuse a name whose tag, the part after the dot, names no weights of the model."""
    name, dot, _ = model.partition(".")
    tagged = timm.list_models(f"{name}.*", pretrained=True)
    if dot and model not in tagged:
        near = closest(model, tagged) or next(iter(tagged), name)
        raise ValueError(f'model "{model}": timm has no weights of that name; did you mean {near}?')


def _folder(folder: Path) -> _Source:
    """A model in a folder of the hub's layout."""
    file = folder / "config.json"
    if not file.is_file():
        raise DataNotFound(
            f"{file}: no such file; give a folder that has config.json and model.safetensors, as on the hub"
        )
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
        architecture, arguments = description["architecture"], description.get("model_args", {})
        known = timm.is_model(architecture)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CorruptFile(
            f"{file}: is not the description of a timm model ({error}); download the folder again"
        ) from error
    if not known:
        raise CorruptFile(
            f'{file}: timm has no image model "{architecture}"; give the folder of one of its models'
        )
    name = f"local-dir:{folder}"
    return _Source(Architecture(architecture, arguments), name, name)


def _other(weights: str, model: str, wanted: Architecture) -> _Source:
    """The source of weights that are named beside a model; they must be for it."""
    found = _source(weights)
    if found.architecture.name.partition(".")[0] != wanted.name.partition(".")[0]:
        raise CorruptFile(
            f'weights "{weights}": are for {found.architecture.name}, not {model}; set model to '
            f"{found.architecture.name}"
        )
    return found


def _pretrained(source: _Source, model: str) -> nn.Module:
    if not source.pretrained:
        raise ValueError(
            f"model {model}: is not on the hub; download DinoBloom-G.pth from https://zenodo.org/records/10908163 "
            "and set weights to its path"
        )
    folder = source.pretrained.removeprefix("local-dir:")
    if folder == source.pretrained:
        name = source.pretrained.removeprefix("hf-hub:")
        return weight_files.from_hub(
            name, lambda: _created(source.pretrained, source.architecture, pretrained=True)
        )
    try:
        return _created(source.pretrained, source.architecture, pretrained=True)
    except (AssertionError, *weight_files.BAD_FILE) as error:
        raise CorruptFile(
            f"{folder}: its weights cannot be used ({_reason(error)}); download the folder again"
        ) from error


def _created(name: str, architecture: Architecture, *, pretrained: bool = False, **more: Any) -> nn.Module:
    arguments = {**architecture.arguments, "num_classes": 0, **more}
    made: nn.Module = timm.create_model(name, pretrained=pretrained, **arguments)
    return made


def _from_scratch(source: _Source, image_size: int) -> nn.Module:
    more: dict[str, Any] = {}
    if "dinov2" in source.architecture.name:
        # DINOv2's layer scale of 1e-5 is for long training; after a short one from scratch, the blocks add nothing
        more["init_values"] = 1.0
    if image_size and "img_size" in source.architecture.arguments:
        more["img_size"] = image_size  # random positions are drawn at their size, not interpolated
    return _created(source.bare, source.architecture, **more)


def _described(module: nn.Module, architecture: Architecture, image_size: int, model: str) -> Backbone:
    """Set the size of a module's pictures, and run it once to learn the width of its features."""
    pretraining: Mapping[str, Any] = getattr(module, "pretrained_cfg", {})
    own = int((getattr(_patches(module), "img_size", None) or pretraining["input_size"])[-1])
    size = image_size or own
    _require_suitable(size, module, model)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"timm\.layers\.interpolate")  # about its own speed
            if size != own and hasattr(module, "set_input_size"):
                module.set_input_size(img_size=(size, size))  # type: ignore[operator]
            features = module.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError, TypeError, LookupError) as error:
        raise ValueError(
            f"image_size {size}: {model} cannot take it ({_reason(error)}); give its own, {own}"
        ) from error
    if features.ndim != 2:
        raise ValueError(
            f"model {model}: gives features of shape {tuple(features.shape[1:])} for a picture, not one row; use a model "
            "that pools them"
        )
    return Backbone(
        module.train(),
        architecture,
        size,
        features.shape[1],
        tuple(pretraining.get("mean", IMAGENET_DEFAULT_MEAN)),
        tuple(pretraining.get("std", IMAGENET_DEFAULT_STD)),
    )


def _require_suitable(size: int, module: nn.Module, model: str) -> None:
    patches = _patches(module)
    if patches is not None:
        step = int(patches.patch_size[-1])
        if size < step or size % step:
            raise ValueError(
                f"image_size {size}: {model} has patches of {step} px; give a multiple of {step}, such as {16 * step}"
            )
    step = int(getattr(module, "feature_info", [{"reduction": 1}])[-1]["reduction"])
    if size < step:
        raise ValueError(
            f"image_size {size}: {model} makes pictures {step} times smaller; give {step} or more"
        )


def _patches(module: nn.Module) -> PatchEmbed | None:
    """The layer that cuts a picture into patches that do not overlap; None if the model has none."""
    patches = getattr(module, "patch_embed", None)
    return patches if isinstance(patches, PatchEmbed) else None


def _reason(error: BaseException | None) -> str:
    """The first line of another library's error, to be put in brackets."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
