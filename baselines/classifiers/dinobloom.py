"""DinoBloom (Koch et al., MICCAI 2024): DINOv2's vision transformers, trained on single blood cells.

The authors publish training states, DinoBloom-S.pth to DinoBloom-G.pth, at https://zenodo.org/records/10908163. The
weights are under "teacher": those of the backbone under DINOv2's names with the prefix "backbone.", beside the heads
of the two losses. The position embedding has 16 x 16 patches of 14 px and the class token, for images of 224 px
(DINOv2: 518 px).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import nn

from pcm_leukemia.baselines import weight_files
from pcm_leukemia.baselines.classifiers import training
from pcm_leukemia.baselines.classifiers.network import CellClassifier
from pcm_leukemia.baselines.classifiers.settings import Settings
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.errors import CorruptFile

__all__ = ["SIZES", "Settings", "backbone", "load", "train"]

SIZES = {"small": 384, "base": 768, "large": 1024, "giant": 1536}
"""The features of DinoBloom-S, -B, -L and -G."""

PATCH, TRAINED_AT = 14, 224
_TOKENS = 1 + (TRAINED_AT // PATCH) ** 2
_HEADS = ("dino_head.", "ibot_head.")
_CHUNK = re.compile(r"^blocks\.\d+\.(\d+)\.")
"""With FSDP, DINOv2 names its blocks blocks.CHUNK.BLOCK, where BLOCK is numbered over all chunks."""
_FILES = "give one of DinoBloom-S.pth to -G.pth from https://zenodo.org/records/10908163"


def backbone(
    model: str = "base", weights: str | Path = "hub", *, image_size: int = TRAINED_AT, sha256: str = ""
) -> nn.Module:
    """Build a module that maps normalised pixels to features: those of the class token, after the last norm.

    It maps ``(n, 3, image_size, image_size)`` to ``(n, width)``, with the widths of `SIZES`. Pixels are scaled to 0 to
    1 and normalised with the mean and standard deviation of ImageNet, as when DinoBloom was trained.

    Parameters
    ----------
    model
        "small", "base", "large" or "giant".
    weights
        The path of one of the authors' files; "hub" for the same weights from the Hugging Face hub, which has all
        sizes but giant; a name on the hub; or "none" for random weights.
    image_size
        The side of the pictures in pixels, a multiple of 14. For sizes other than 224, the position embedding is
        interpolated.
    sha256
        The SHA-256 of the file; "" to skip the check.

    Raises
    ------
    DataNotFound
        If the weights cannot be found.
    CorruptFile
        If the file does not hold DinoBloom of that size, or has another checksum.
    ValueError
        If the model is unknown, the image size is not a multiple of 14, or the hub does not have the model.

    Examples
    --------
    >>> import torch
    >>> small = backbone("small", "none", image_size=28)
    >>> small(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2, 384])
    """
    if model not in SIZES:
        raise ValueError(f'model "{model}": unknown size of DinoBloom; use one of: {", ".join(SIZES)}')
    if image_size < PATCH or image_size % PATCH:
        raise ValueError(
            f"image_size {image_size}: DinoBloom's patches are 14 px wide; give a multiple of 14, such as {TRAINED_AT}"
        )
    name, origin = f"vit_{model}_patch14_dinov2", weight_files.origin(weights)
    if origin == "none":
        # DINOv2's layer scale of 1e-5 is for long training; after a short one from scratch, the blocks add nothing
        made: nn.Module = timm.create_model(name, img_size=image_size, num_classes=0, init_values=1.0)
        return made
    if origin == "hub":
        made = _from_hub(model, str(weights))
    else:
        made = timm.create_model(name, img_size=TRAINED_AT, num_classes=0)
        assert isinstance(made, VisionTransformer)
        fill(made, Path(weights), sha256)
    if image_size != TRAINED_AT:
        made.set_input_size(img_size=image_size)  # type: ignore[operator]
    return made


def train(job: Job, settings: Settings) -> Mapping[str, Any]:
    """Train on the job's cells; see `training.train`."""
    return training.train(job, settings, backbone)


def load(folder: Path, settings: Settings, labels: tuple[str, ...], device: str) -> CellClassifier:
    """The classifier that `train` left in `folder`; see `training.load`."""
    return training.load(folder, settings, labels, device, backbone)


def fill(model: VisionTransformer, path: Path, sha256: str = "") -> None:
    """Fill a timm transformer with all weights of a published checkpoint.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If it is not a checkpoint of DinoBloom, or of another size.
    """
    content = weight_files.read(path, sha256)
    found = _backbone_of(content, path)
    _check(found, model, path)
    weight_files.fill(model, checkpoint_filter_fn(found, model), path)


def _from_hub(model: str, weights: str) -> nn.Module:
    if weights == "hub" and model == "giant":
        raise ValueError(
            "model giant: is not on the hub; download DinoBloom-G.pth from https://zenodo.org/records/10908163 "
            "and set weights to its path"
        )
    name = (
        weights.removeprefix("hf-hub:") if weights != "hub" else f"1aurent/vit_{model}_patch14_224.dinobloom"
    )
    made = weight_files.from_hub(
        name,
        lambda: timm.create_model(f"hf-hub:{name}", pretrained=True, num_classes=0, img_size=TRAINED_AT),
    )
    if getattr(made, "num_features", 0) != SIZES[model]:
        raise CorruptFile(
            f'weights "{name}": have {getattr(made, "num_features", 0)} features, but DinoBloom\'s {model} model has '
            f"{SIZES[model]}; set model to the size of the weights"
        )
    return made


def _backbone_of(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The backbone's weights from "teacher", under DINOv2's names."""
    teacher = content.get("teacher")
    if not isinstance(teacher, Mapping):
        names = ", ".join(list(map(str, content))[:3]) or "nothing"
        what = (
            "holds the bare weights of a transformer" if "cls_token" in content else "is not a training state"
        )
        raise CorruptFile(f'{path}: {what}, and has no "teacher" (its first entries: {names}); {_FILES}')
    found = {
        _CHUNK.sub(r"blocks.\1.", name.removeprefix("backbone.")): value
        for name, value in teacher.items()
        if name.startswith("backbone.")
    }
    strange = [name for name in teacher if not name.startswith(("backbone.", *_HEADS))]
    if not found or strange:
        what = (
            f'"{strange[0]}" under "teacher"'
            if strange
            else 'no name with the prefix "backbone." under "teacher"'
        )
        raise CorruptFile(f"{path}: has {what}; {_FILES}")
    return found


def _check(found: Mapping[str, Any], model: VisionTransformer, path: Path) -> None:
    """Refuse the weights of another model, and say what they are."""
    if "register_tokens" in found:
        raise CorruptFile(f"{path}: has register tokens, which DinoBloom does not have; {_FILES}")
    for name in ("cls_token", "pos_embed"):
        if getattr(found.get(name), "ndim", 0) != 3:
            raise CorruptFile(f"{path}: has no {name} with three axes; {_FILES}")
    width, wanted = found["cls_token"].shape[2], model.embed_dim
    if width != wanted:
        size = {features: name for name, features in SIZES.items()}
        raise CorruptFile(
            f"{path}: has {width} features (DinoBloom: {size.get(width, 'no such size')}), but the model has {wanted} "
            f"({size.get(wanted, 'no such size')}); set model to the size of the file, or give the other file"
        )
    tokens = found["pos_embed"].shape[1]
    if tokens != _TOKENS:
        side = round(max(tokens - 1, 0) ** 0.5) * PATCH
        raise CorruptFile(
            f"{path}: its position embedding has {tokens:,} tokens, for {side} px, but DinoBloom's has {_TOKENS}, for "
            f"{TRAINED_AT} px (DINOv2's own weights?); {_FILES}"
        )
