"""Reads checkpoints of the authors of RT-DETRv2 and DEIM, and gives their weights transformers' names.

The authors' names are those of rtdetrv2_pytorch/src of github.com/lyuwenyu/RT-DETR (nn/backbone/presnet.py,
zoo/rtdetr/hybrid_encoder.py, zoo/rtdetr/rtdetrv2_decoder.py); DEIM's engine has the same. A checkpoint has the
averaged weights under ``ema.module``, or those of the model under ``model``. The shapes of the weights give the sizes
of the model. Two things that they do not give are those of the published configurations: eight attention heads, and
sampling between pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import RTDetrV2Config

from pcm_leukemia.baselines import weight_files
from pcm_leukemia.baselines.rtdetrv2_deim.model import Heads
from pcm_leukemia.errors import CorruptFile, some

__all__ = ["backbone", "read", "translated"]

ATTENTION_HEADS = 8

_LAYER = {
    "norm1": "self_attn_layer_norm",
    "linear1": "mlp.fc1",
    "linear2": "mlp.fc2",
    "self_attn.out_proj": "self_attn.o_proj",
}
_ENCODER_LAYER = {**_LAYER, "norm2": "final_layer_norm"}
_DECODER_LAYER = {**_LAYER, "norm2": "encoder_attn_layer_norm", "norm3": "final_layer_norm"}
_BLOCK = {"conv": "convolution", "norm": "normalization"}
_SEQUENCE = {"conv": "0", "norm": "1"}
_OUTPUT = {"proj": "0", "norm": "1"}
_BACKBONE, _STAGES = "model.backbone.model.embedder.embedder", "model.backbone.model.encoder.stages"

# the pattern of a name, transformers' name with the pattern's groups as {0}, {1}, ..., and the new words of each group
_RULES: tuple[tuple[str, str, tuple[Mapping[str, str], ...]], ...] = (
    (
        r"backbone\.conv1\.conv1_(\d)\.(conv|norm)\.(\w+)",
        _BACKBONE + ".{0}.{1}.{2}",
        ({"1": "0", "2": "1", "3": "2"}, _BLOCK),
    ),
    (
        r"backbone\.res_layers\.(\d+)\.blocks\.(\d+)\.branch2([abc])\.(conv|norm)\.(\w+)",
        _STAGES + ".{0}.layers.{1}.layer.{2}.{3}.{4}",
        ({}, {}, {"a": "0", "b": "1", "c": "2"}, _BLOCK),
    ),
    (
        r"backbone\.res_layers\.(\d+)\.blocks\.(\d+)\.short\.conv\.(conv|norm)\.(\w+)",
        _STAGES + ".{0}.layers.{1}.shortcut.1.{2}.{3}",
        ({}, {}, _BLOCK),
    ),
    (
        r"backbone\.res_layers\.(\d+)\.blocks\.(\d+)\.short\.(conv|norm)\.(\w+)",
        _STAGES + ".{0}.layers.{1}.shortcut.{2}.{3}",
        ({}, {}, _BLOCK),
    ),
    (
        r"encoder\.input_proj\.(\d+)\.(conv|norm)\.(\w+)",
        "model.encoder_input_proj.{0}.{1}.{2}",
        ({}, _SEQUENCE),
    ),
    (
        r"encoder\.encoder\.(\d+)\.layers\.(\d+)\.(norm[12]|linear[12]|self_attn\.out_proj)\.(\w+)",
        "model.encoder.aifi.{0}.layers.{1}.{2}.{3}",
        ({}, {}, _ENCODER_LAYER),
    ),
    (
        r"encoder\.((?:lateral_convs|downsample_convs)\.\d+\.(?:conv|norm)\.\w+)",
        "model.encoder.{0}",
        (),
    ),
    (
        r"encoder\.((?:fpn_blocks|pan_blocks)\.\d+\.(?:bottlenecks\.\d+\.)?conv[123]\.(?:conv|norm)\.\w+)",
        "model.encoder.{0}",
        (),
    ),
    (
        r"decoder\.input_proj\.(\d+)\.(conv|norm)\.(\w+)",
        "model.decoder_input_proj.{0}.{1}.{2}",
        ({}, _SEQUENCE),
    ),
    (
        r"decoder\.decoder\.layers\.(\d+)\.(norm[123]|linear[12]|self_attn\.out_proj)\.(\w+)",
        "model.decoder.layers.{0}.{1}.{2}",
        ({}, _DECODER_LAYER),
    ),
    (
        r"decoder\.decoder\.layers\.(\d+)\.cross_attn\.num_points_scale",
        "model.decoder.layers.{0}.encoder_attn.n_points_scale",
        (),
    ),
    (
        r"decoder\.decoder\.layers\.(\d+)\.cross_attn\.(\w+)\.(weight|bias)",
        "model.decoder.layers.{0}.encoder_attn.{1}.{2}",
        (),
    ),
    (r"decoder\.denoising_class_embed\.weight", "model.denoising_class_embed.weight", ()),
    (
        r"decoder\.query_pos_head\.layers\.(\d+)\.(weight|bias)",
        "model.decoder.query_pos_head.layers.{0}.{1}",
        (),
    ),
    (r"decoder\.enc_output\.(proj|norm)\.(weight|bias)", "model.enc_output.{0}.{1}", (_OUTPUT,)),
    (
        r"decoder\.(enc_score_head\.(?:weight|bias)|enc_bbox_head\.layers\.\d+\.(?:weight|bias))",
        "model.{0}",
        (),
    ),
    (r"decoder\.dec_score_head\.(\d+\.(?:weight|bias))", "class_embed.{0}", ()),
    (r"decoder\.dec_bbox_head\.(\d+\.layers\.\d+\.(?:weight|bias))", "bbox_embed.{0}", ()),
)
_JOINT = r"(?:encoder\.encoder\.(\d+)|decoder\.decoder)\.layers\.(\d+)\.self_attn\.in_proj_(weight|bias)"
_COMPUTED = {"decoder.anchors", "decoder.valid_mask"}


def read(path: Path) -> tuple[RTDetrV2Config, Heads, dict[str, torch.Tensor]]:
    """The configuration that fits a checkpoint of the authors, its kind of heads, and its weights.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If it cannot be read, or is not a checkpoint of RT-DETRv2.
    """
    content: Any = weight_files.read(path)
    for key in ("ema", "model", "module"):
        # a full checkpoint is {"ema": {"module": ...}, "model": ...}; published ones have only some of these
        if isinstance(content.get(key), dict):
            content = content[key]
    weights = {
        name.removeprefix("module."): value
        for name, value in content.items()
        if isinstance(value, torch.Tensor)
    }
    names = translated(weights, path)
    try:
        return _configuration(weights), _heads(weights), names
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise CorruptFile(
            f"{path}: lacks weights of an RT-DETRv2 ({error}); give a checkpoint of RT-DETRv2 or DEIM-RT-DETRv2"
        ) from error


def backbone(path: Path) -> dict[str, torch.Tensor] | None:
    """The weights of a checkpoint with only the authors' backbone, trained on ImageNet; None for other checkpoints.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If it cannot be read.
    """
    content = weight_files.read(path)
    if not content or not all(name.startswith(("conv1.conv1_", "res_layers.")) for name in content):
        return None
    return translated({f"backbone.{name}": value for name, value in content.items()}, path)


def translated(
    weights: Mapping[str, torch.Tensor], path: str | Path = "checkpoint"
) -> dict[str, torch.Tensor]:
    """The weights under transformers' names, with each attention's joint matrix split into query, key and value.

    Raises
    ------
    CorruptFile
        If RT-DETRv2 has no weights of that name.

    Examples
    --------
    >>> list(translated({"decoder.enc_output.proj.weight": torch.zeros(2, 2)}))
    ['model.enc_output.0.weight']
    """
    result: dict[str, torch.Tensor] = {}
    strange = []
    for name, value in weights.items():
        if name in _COMPUTED:
            continue
        if joint := re.fullmatch(_JOINT, name):
            block, layer, kind = joint.groups()
            stem = f"model.encoder.aifi.{block}" if block else "model.decoder"
            for part, third in zip("qkv", value.chunk(3), strict=True):
                result[f"{stem}.layers.{layer}.self_attn.{part}_proj.{kind}"] = third.clone()
        elif (new := _renamed(name)) is not None:
            result[new] = value
            if new.startswith(("class_embed.", "bbox_embed.")):
                result[f"model.decoder.{new}"] = value
        else:
            strange.append(name)
    if strange or not result:
        what = f"has {some(strange, 3)}".replace("\n", ", ") if strange else "has no weights"
        raise CorruptFile(
            f"{path}: is not an RT-DETRv2: {what}; give a checkpoint of RT-DETRv2 or DEIM-RT-DETRv2 (not D-FINE)"
        )
    return result


def _renamed(name: str) -> str | None:
    for pattern, form, tables in _RULES:
        if found := re.fullmatch(pattern, name):
            groups = list(found.groups())
            for number, table in enumerate(tables):
                groups[number] = table.get(groups[number], groups[number])
            return form.format(*groups)
    return None


def _heads(weights: Mapping[str, torch.Tensor]) -> Heads:
    # DEIM's configuration sets as_reg, which adds a third layer, along with SiLU
    return "deim" if "decoder.query_pos_head.layers.2.weight" in weights else "rtdetr"


def _configuration(weights: Mapping[str, torch.Tensor]) -> RTDetrV2Config:
    shape = {name: tuple(value.shape) for name, value in weights.items()}
    bottleneck = "backbone.res_layers.0.blocks.0.branch2c.conv.weight" in shape
    last = "branch2c" if bottleneck else "branch2b"
    stages = range(_count(shape, r"backbone\.res_layers\.(\d+)\."))
    levels = range(_count(shape, r"encoder\.input_proj\.(\d+)\."))
    hidden = shape["encoder.input_proj.0.conv.weight"][0]
    inputs = range(_count(shape, r"decoder\.input_proj\.(\d+)\."))
    points = shape["decoder.decoder.layers.0.cross_attn.attention_weights.bias"][0]
    classes = shape["decoder.enc_score_head.bias"][0]
    sizes: dict[str, Any] = {
        "backbone_config": {
            "model_type": "rt_detr_resnet",
            "out_indices": [len(stages) - len(levels) + 1 + level for level in levels],
            "embedding_size": shape["backbone.conv1.conv1_3.conv.weight"][0],
            "hidden_sizes": [
                shape[f"backbone.res_layers.{s}.blocks.0.{last}.conv.weight"][0] for s in stages
            ],
            "depths": [_count(shape, rf"backbone\.res_layers\.{s}\.blocks\.(\d+)\.") for s in stages],
            "layer_type": "bottleneck" if bottleneck else "basic",
        },
        "encoder_in_channels": [shape[f"encoder.input_proj.{n}.conv.weight"][1] for n in levels],
        "encoder_hidden_dim": hidden,
        "encoder_layers": _count(shape, r"encoder\.encoder\.0\.layers\.(\d+)\."),
        "encoder_ffn_dim": shape["encoder.encoder.0.layers.0.linear1.weight"][0],
        "encoder_attention_heads": ATTENTION_HEADS,
        "hidden_expansion": shape["encoder.fpn_blocks.0.conv1.conv.weight"][0] / hidden,
        "d_model": shape["decoder.enc_output.proj.weight"][0],
        "decoder_in_channels": [shape[f"decoder.input_proj.{n}.conv.weight"][1] for n in inputs],
        "decoder_layers": _count(shape, r"decoder\.decoder\.layers\.(\d+)\."),
        "decoder_ffn_dim": shape["decoder.decoder.layers.0.linear1.weight"][0],
        "decoder_attention_heads": ATTENTION_HEADS,
        "num_feature_levels": len(inputs),
        "decoder_n_levels": len(inputs),
        "decoder_n_points": points // (ATTENTION_HEADS * len(inputs)),
        "num_labels": classes,
    }
    return RTDetrV2Config(**sizes)


def _count(names: Mapping[str, Any], pattern: str) -> int:
    """One more than the largest number that the pattern finds in the names."""
    return 1 + max((int(found[1]) for name in names if (found := re.match(pattern, name))), default=-1)
