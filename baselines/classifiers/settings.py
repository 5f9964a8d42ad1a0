"""The numbers of a classifier."""

from __future__ import annotations

from typing import Literal

import msgspec

from pcm_leukemia.baselines import stain

__all__ = ["Settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers of a classifier; its .toml has their values and where they come from.

    Parameters
    ----------
    model
        Which of its models: see `backbone` of the module.
    weights
        What the backbone begins with: "hub", a name on the hub, a file, or "none". The ``classifier.safetensors``
        of a run gives its backbone, and its head where the classes are the same.
    sha256
        Checksum of the file of weights; "" if it isn't known.
    strategy
        "lp+ft" (linear probing, then fine-tuning) or "direct".
    probe_epochs, probe_lr
        Epochs of linear probing, and its highest learning rate.
    augment_probe
        Whether linear probing sees augmented crops. The frozen backbone then runs over them in every epoch, where
        otherwise it runs once.
    epochs, lr
        Epochs of fine-tuning (0: none), and its highest learning rate.
    batch
        Cells in a batch, on all devices together.
    image_size
        The side of the square that crops are resized to, in pixels.
    padding
        How many pixels around the box belong to a crop.
    weight_decay, warmup_epochs
        AdamW's, not on biases and norms; epochs in which the rate rises, before it falls along a cosine.
    patience
        Fine-tuning ends after so many epochs without a better one; 0: never.
    balance
        What is done about rare classes: "none", "loss" (each class weighs alike in the loss) or "draw" (each is
        drawn as often).
    color_jitter
        Brightness, contrast and saturation of training crops are multiplied by numbers within 1 +- `color_jitter`.
    stain
        "none"; "hed" (random, in training only), "reinhard" or "macenko" (towards the training crops' colours, in
        training and prediction).
    precision
        "auto" (bfloat16 or float16 on a GPU, 32 bits on a CPU) or a name of Lightning's.
    deterministic
        Whether one device always gives the same weights for the same seed, which costs a GPU some speed.
    """

    model: str
    weights: str
    sha256: str
    strategy: Literal["lp+ft", "direct"]
    probe_epochs: int
    probe_lr: float
    augment_probe: bool
    epochs: int
    lr: float
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
