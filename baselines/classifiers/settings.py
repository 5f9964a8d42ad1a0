"""The settings of a classifier."""

from __future__ import annotations

from typing import Literal

import msgspec

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.ranges import require_in_range

__all__ = ["Settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a classifier; its .toml has their values and sources.

    Parameters
    ----------
    model
        Any image model of timm, a name on the Hugging Face hub, a folder in its layout, or DinoBloom; see
        `backbones.backbone`.
    weights
        The weights to start from: "hub" (the model's own), a name on the Hugging Face hub, a file, or "none" for random
        weights. From the ``classifier.safetensors`` of a run, training takes the backbone and, if the classes are the
        same, the head.
    sha256
        The SHA-256 of the weight file; "" to skip the check.
    strategy
        "lp" (linear probing: the backbone stays as it is), "lp+ft" (linear probing, then fine-tuning), "direct"
        (fine-tuning from the start) or "lora" (linear probing, then low-rank changes to the backbone's linear layers;
        see `low_rank`).
    probe_epochs, probe_lr
        Epochs and peak learning rate of linear probing; 0 epochs skip it.
    augment_probe
        Whether linear probing sees augmented crops. If so, the frozen backbone runs over them in every epoch instead
        of once.
    epochs, lr
        Epochs (0 to skip it) and peak learning rate of fine-tuning; with "lora", the epochs of what replaces it.
    lora_rank, lora_alpha, lora_lr
        With "lora": the rank of the changes, their scale (`lora_alpha` / `lora_rank`), and their peak learning rate and
        the head's.
    batch
        Cells in a batch, over all devices.
    image_size
        The side of the square to which crops are resized, in pixels; 0 for the model's own.
    padding
        Pixels around a cell's box that belong to the crop.
    weight_decay
        AdamW's weight decay; biases and norms are exempt.
    warmup_epochs
        Epochs in which the learning rate rises; afterwards it falls along a cosine.
    patience
        Stop fine-tuning after this many epochs without a better one; 0 never stops early.
    balance
        How rare classes are treated: "none", "loss" (each class has the same weight in the loss) or "draw" (each
        class is drawn equally often).
    color_jitter
        Brightness, contrast and saturation of training crops are multiplied by factors within 1 +- `color_jitter`.
    stain
        "none"; "hed" (random colours, in training only); "reinhard" or "macenko" (towards the colours of the training
        crops, in training and prediction).
    precision
        "auto" (bfloat16 or float16 on a GPU, 32 bits on a CPU) or one of Lightning's names.
    deterministic
        Whether the same seed always gives the same weights on one device; costs some speed on a GPU.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    model: str
    weights: str
    sha256: str
    strategy: Literal["lp", "lp+ft", "direct", "lora"]
    probe_epochs: int
    probe_lr: float
    augment_probe: bool
    epochs: int
    lr: float
    lora_rank: int
    lora_alpha: int
    lora_lr: float
    batch: int
    image_size: int
    padding: int
    weight_decay: float
    warmup_epochs: float
    patience: int
    balance: Literal["none", "loss", "draw"]
    color_jitter: float
    stain: stain.Kind
    precision: str
    deterministic: bool

    def __post_init__(self) -> None:
        require_in_range(
            self,
            counts=("batch", "lora_rank", "lora_alpha"),
            fractions=("color_jitter",),
            positive=("lr", "probe_lr", "lora_lr"),
        )
        if self.strategy == "lp" and not self.probe_epochs:
            raise ValueError("setting probe_epochs: is 0; give 1 or more to probe")
        if not self.epochs and not (self.strategy != "direct" and self.probe_epochs):
            raise ValueError("setting epochs: is 0; give 1 or more, or 0 after linear probing")
