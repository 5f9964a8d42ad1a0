"""DinoBloom's published weights (Koch et al., MICCAI 2024): DINOv2's transformers, trained on single blood cells.

The authors publish training states, DinoBloom-S.pth to DinoBloom-G.pth, at https://zenodo.org/records/10908163. The
weights are under "teacher": those of the backbone under DINOv2's names with the prefix "backbone.", beside the heads
of the two losses. The position embedding has 16 x 16 patches of 14 px and the class token, for images of 224 px
(DINOv2: 518 px). Pixels are scaled to 0 to 1 and normalised with the mean and standard deviation of ImageNet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pcm_leukemia.errors import CorruptFile

__all__ = ["FILES", "HUB", "SIZES", "TRAINED_AT", "size_of", "teacher_of"]

SIZES = {"small": 384, "base": 768, "large": 1024, "giant": 1536}
"""The features of DinoBloom-S, -B, -L and -G."""

HUB = {size: f"1aurent/vit_{size}_patch14_224.dinobloom" for size in SIZES if size != "giant"}
"""The same weights on the Hugging Face hub."""

TRAINED_AT = 224
"""The side of the pictures that DinoBloom was trained on, in pixels."""

FILES = "give one of DinoBloom-S.pth to -G.pth from https://zenodo.org/records/10908163"
_PATCH = 14
_TOKENS = 1 + (TRAINED_AT // _PATCH) ** 2
_HEADS = ("dino_head.", "ibot_head.")
_CHUNK = re.compile(r"^blocks\.\d+\.(\d+)\.")
"""With FSDP, DINOv2 names its blocks blocks.CHUNK.BLOCK, where BLOCK is numbered over all chunks."""


def size_of(model: str) -> str | None:
    """The size of DinoBloom that a name means; None for any other model.

    Examples
    --------
    >>> size_of("dinobloom_base"), size_of("base"), size_of("resnet50")
    ('base', 'base', None)
    """
    size = model.removeprefix("dinobloom_")
    return size if size in SIZES else None


def teacher_of(content: Mapping[str, Any], model: nn.Module, path: Path) -> dict[str, Any]:
    """The backbone's weights from a published checkpoint, under DINOv2's names.

    Raises
    ------
    CorruptFile
        If it is not a checkpoint of DinoBloom, or of another size than the model.
    """
    teacher = content.get("teacher")
    if not isinstance(teacher, Mapping):
        names = ", ".join(list(map(str, content))[:3]) or "nothing"
        what = (
            "holds the bare weights of a transformer" if "cls_token" in content else "is not a training state"
        )
        raise CorruptFile(f'{path}: {what}, and has no "teacher" (its first entries: {names}); {FILES}')
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
        raise CorruptFile(f"{path}: has {what}; {FILES}")
    _require_size(found, int(model.embed_dim), path)  # type: ignore[arg-type]
    return found


def _require_size(found: Mapping[str, Any], wanted: int, path: Path) -> None:
    """Refuse the weights of another model, and say what they are."""
    if "register_tokens" in found:
        raise CorruptFile(f"{path}: has register tokens, which DinoBloom does not have; {FILES}")
    for name in ("cls_token", "pos_embed"):
        if getattr(found.get(name), "ndim", 0) != 3:
            raise CorruptFile(f"{path}: has no {name} with three axes; {FILES}")
    width = found["cls_token"].shape[2]
    if width != wanted:
        size = {features: name for name, features in SIZES.items()}
        raise CorruptFile(
            f"{path}: has {width} features (DinoBloom: {size.get(width, 'no such size')}), but the model has {wanted} "
            f"({size.get(wanted, 'no such size')}); set model to the size of the file, or give the other file"
        )
    tokens = found["pos_embed"].shape[1]
    if tokens != _TOKENS:
        side = round(max(tokens - 1, 0) ** 0.5) * _PATCH
        raise CorruptFile(
            f"{path}: its position embedding has {tokens:,} tokens, for {side} px, but DinoBloom's has {_TOKENS}, for "
            f"{TRAINED_AT} px (DINOv2's own weights?); {FILES}"
        )
