"""transformers' RT-DETRv2 with the changes of DEIM: building, initialising, writing and reading it.

transformers initialises for weights that are loaded afterwards. A model trained from its initial weights does not
learn, because the gains of the encoder's batch norms are near 0. `initialise` does what the authors' code does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import (
    RTDetrV2Model,
    RTDetrV2MultiscaleDeformableAttention,
)

from pcm_leukemia.baselines import weight_files
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.files import new_file, write_json

__all__ = [
    "CONFIG",
    "HEADS",
    "SIZES",
    "Heads",
    "adapted",
    "build",
    "configuration",
    "initialise",
    "labels_of",
    "read",
    "write",
]

Heads: TypeAlias = Literal["deim", "rtdetr"]
"""The heads for boxes and positions of queries: DEIM's have SiLU instead of ReLU, and the latter one more layer."""

HEADS = "pcm_heads"
"""The key of a configuration for its `Heads`."""

SIZES: Mapping[str, Mapping[str, Any]] = {
    "r50vd": {},
    "r34vd": {
        "backbone": {"layer_type": "basic", "hidden_sizes": [64, 128, 256, 512]},
        "encoder_in_channels": [128, 256, 512],
        "hidden_expansion": 0.5,
        "decoder_layers": 4,
    },
    "r18vd": {
        "backbone": {"layer_type": "basic", "hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2]},
        "encoder_in_channels": [128, 256, 512],
        "hidden_expansion": 0.5,
        "decoder_layers": 3,
    },
    # ours, for minutes on a CPU: narrow, with a ResNet of four blocks
    "tiny": {
        "backbone": {
            "layer_type": "basic",
            "embedding_size": 16,
            "hidden_sizes": [16, 32, 64, 96],
            "depths": [1, 1, 1, 1],
        },
        "encoder_in_channels": [32, 64, 96],
        "encoder_hidden_dim": 64,
        "d_model": 64,
        "decoder_in_channels": [64, 64, 64],
        "hidden_expansion": 0.5,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 128,
        "decoder_ffn_dim": 128,
        "decoder_layers": 2,
        "num_queries": 60,
        "num_denoising": 40,
    },
}
"""The changes of each size to transformers' configuration, whose defaults are those of R50vd.

The numbers are from the authors' configurations, rtdetrv2_pytorch/configs/rtdetrv2.
"""

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def configuration(size: str, labels: Sequence[str], heads: Heads = "deim") -> RTDetrV2Config:
    """The configuration of a size, for classes with these labels.

    Raises
    ------
    ValueError
        If the size is unknown.

    Examples
    --------
    >>> configuration("r18vd", ["WBC", "Other"]).decoder_layers
    3
    """
    if size not in SIZES:
        raise ValueError(f'model "{size}": unknown size of RT-DETRv2; use one of: {", ".join(SIZES)}')
    values = {**SIZES[size]}
    stages: dict[str, Any] = {"out_indices": [2, 3, 4], **values.pop("backbone", {})}
    return adapted(RTDetrV2Config(backbone_config=RTDetrResNetConfig(**stages), **values), labels, heads)


def adapted(config: RTDetrV2Config, labels: Sequence[str], heads: Heads) -> RTDetrV2Config:
    """A configuration with other classes and, as in DEIM, without frozen batch norms."""
    values = config.to_dict()
    for key in ("id2label", "label2id", "num_labels"):
        values.pop(key, None)
    values |= {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
        "freeze_backbone_batch_norms": False,
        # DEIM's rt_deim.yml: activation silu
        "decoder_activation_function": "silu" if heads == "deim" else "relu",
        # with a fixed size, transformers omits the encoder's position embedding in evaluation
        "eval_size": None,
        "anchor_image_size": None,
        HEADS: heads,
    }
    return RTDetrV2Config(**values)


class Perceptron(nn.Module):
    """Linear layers with SiLU between them; replaces transformers' heads, with the same names of weights."""

    def __init__(self, layers: nn.ModuleList) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output of the last layer."""
        for layer in self.layers[:-1]:
            x = nn.functional.silu(layer(x))
        result: torch.Tensor = self.layers[-1](x)
        return result


def labels_of(config: RTDetrV2Config) -> tuple[str, ...]:
    """The labels of the classes, in the order of their ids."""
    names: Mapping[Any, str] = config.id2label or {}
    return tuple(names[number] for number in sorted(names))


def build(config: RTDetrV2Config) -> RTDetrV2ForObjectDetection:
    """A model of this configuration, with weights that are to be replaced; see `initialise`."""
    model = RTDetrV2ForObjectDetection(config)
    model.model.generate_anchors = _exact_anchors
    if getattr(config, HEADS, "rtdetr") == "deim":
        inner, width = model.model, config.d_model
        inner.enc_bbox_head = Perceptron(inner.enc_bbox_head.layers)
        # these two lists are the same weights under two names
        for heads in (model.bbox_embed, inner.decoder.bbox_embed):
            for number, head in enumerate(heads):
                heads[number] = Perceptron(head.layers)
        # as_reg in DEIM's configuration: three layers, like the box heads
        sides = [(4, width), (width, width), (width, width)]
        inner.decoder.query_pos_head = Perceptron(nn.ModuleList(nn.Linear(*side) for side in sides))
    return model


def _exact_anchors(
    spatial_shapes: tuple[tuple[int, int], ...], device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """The anchors in single precision, whatever that of the features: in bfloat16 they would be off by a pixel or two."""
    del dtype
    anchors: tuple[torch.Tensor, torch.Tensor] = RTDetrV2Model._cached_generate_anchors(  # noqa: SLF001
        spatial_shapes, 0.05, device, torch.float32
    )
    return anchors


def initialise(model: RTDetrV2ForObjectDetection) -> None:
    """Draw the weights from torch's generator, like the authors' code.

    See `_reset_parameters` in its rtdetrv2_pytorch/src/zoo/rtdetr/rtdetrv2_decoder.py and hybrid_encoder.py.
    """
    inner = model.model
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.BatchNorm2d | nn.LayerNorm):
            module.reset_parameters()
    for module in inner.backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for layer in (*inner.decoder.layers, *(layer for block in inner.encoder.aifi for layer in block.layers)):
        attention = layer.self_attn
        # the authors' model has a single matrix for the three, whose shape decides on the scale
        joint = torch.empty(3 * attention.q_proj.out_features, attention.q_proj.in_features)
        nn.init.xavier_uniform_(joint)
        for part, weight in zip(
            (attention.q_proj, attention.k_proj, attention.v_proj), joint.chunk(3), strict=True
        ):
            part.weight.data.copy_(weight)
            nn.init.zeros_(part.bias)
        nn.init.zeros_(attention.o_proj.bias)
    for layer in inner.decoder.layers:
        _initialise_sampling(layer.encoder_attn)
        nn.init.xavier_uniform_(layer.mlp.fc1.weight)
        nn.init.xavier_uniform_(layer.mlp.fc2.weight)
    for head in (inner.enc_score_head, *model.class_embed):
        nn.init.constant_(head.bias, -math.log((1 - 0.01) / 0.01))
    for head in (inner.enc_bbox_head, *model.bbox_embed):
        nn.init.zeros_(head.layers[-1].weight)
        nn.init.zeros_(head.layers[-1].bias)
    nn.init.xavier_uniform_(inner.enc_output[0].weight)
    for layer in inner.decoder.query_pos_head.layers[:2]:
        nn.init.xavier_uniform_(layer.weight)
    for projection in inner.decoder_input_proj:
        nn.init.xavier_uniform_(projection[0].weight)
    nn.init.normal_(inner.denoising_class_embed.weight[:-1].detach())
    nn.init.zeros_(inner.denoising_class_embed.weight[-1].detach())


def _initialise_sampling(attention: RTDetrV2MultiscaleDeformableAttention) -> None:
    """Each head samples in a direction of its own, each of its points one step further out."""
    angles = torch.arange(attention.n_heads) * (2 * math.pi / attention.n_heads)
    grid = torch.stack([angles.cos(), angles.sin()], -1)
    grid = grid / grid.abs().amax(-1, keepdim=True)
    steps = torch.cat([torch.arange(1, points + 1) for points in attention.n_points_list]).reshape(1, -1, 1)
    nn.init.zeros_(attention.sampling_offsets.weight)
    attention.sampling_offsets.bias.data.copy_((grid[:, None] * steps).flatten())
    nn.init.zeros_(attention.attention_weights.weight)
    nn.init.zeros_(attention.attention_weights.bias)
    for projection in (attention.value_proj, attention.output_proj):
        nn.init.xavier_uniform_(projection.weight)
        nn.init.zeros_(projection.bias)


def write(model: RTDetrV2ForObjectDetection, folder: Path) -> None:
    """Write the configuration and the weights, in a layout that transformers can read."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        # the same weights also have a name under model.decoder
        if not name.startswith(("class_embed.", "bbox_embed."))
    }
    values = {**model.config.to_dict(), "architectures": ["RTDetrV2ForObjectDetection"]}
    with new_file(folder / WEIGHTS) as work:
        save_file(weights, work, metadata={"format": "pt"})
    write_json(folder / CONFIG, dict(sorted(values.items())))


def read(folder: Path) -> RTDetrV2ForObjectDetection:
    """The model that `write` wrote, on the CPU.

    Raises
    ------
    DataNotFound
        If the files do not exist.
    CorruptFile
        If they are damaged, or do not fit each other.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise DataNotFound(f"{folder}: holds no trained RT-DETRv2; give the folder of a finished run")
    try:
        config = RTDetrV2Config(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CorruptFile(
            f"{path}: is not a configuration of RT-DETRv2 ({error}); copy the run again"
        ) from error
    model = build(config)
    weights = weight_files.read(folder / WEIGHTS)
    for name in list(weights):
        for twin in ("class_embed.", "bbox_embed."):
            if name.startswith(f"model.decoder.{twin}"):
                weights[name.removeprefix("model.decoder.")] = weights[name]
    weight_files.fill(model, weights, folder / WEIGHTS)
    return model
