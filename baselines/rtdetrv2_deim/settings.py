"""The numbers of RT-DETRv2 with DEIM; their values, and where they come from, are in rtdetrv2_deim.toml."""

from __future__ import annotations

import math

import msgspec

from pcm_leukemia.baselines import stain

__all__ = ["Settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What RT-DETRv2 is trained with.

    Attributes
    ----------
    model
        The size where `weights` is "none": "r50vd", "r34vd", "r18vd", or "tiny" for trials on a CPU.
    weights
        What training begins with, which then decides on the size: a name on the Hugging Face hub; a folder that
        transformers or an earlier run wrote; a checkpoint (.pth) of the authors of RT-DETRv2 or DEIM, or of their
        backbone alone, which leaves the size to `model`; or "none".
    epochs, batch
        How often every image is seen, and how many images make a step, over all devices.
    image_size
        Both sides that images are brought to, in pixels; a multiple of 32.
    precision
        "auto": bfloat16 on a GPU that has it, otherwise 32; or one of Lightning's names.
    stain
        What is done to colours: "none"; "hed", which changes them at random in training; "reinhard" or "macenko",
        which bring them to those of the training images, ever after too.
    lr, backbone_lr, final_lr_fraction
        The highest learning rates, of the model and of its backbone, and what part of them is left at the end.
    weight_decay, clip_max_norm
        AdamW's weight decay, and the largest norm of a gradient.
    warmup_steps
        For how many steps the rates rise.
    no_augment_first, flat_epochs, no_augment_last
        Up to which epoch nothing is augmented but by flips; up to which the rates stay and mosaics and mixup are
        made; how many epochs at the end are without augmentation and at one size.
    ema_decay, ema_warmup_steps
        Of the average of the weights, in steps.
    gamma, loss_mal, loss_l1, loss_giou
        Of the matchability-aware loss; and what each term of the loss weighs.
    cost_class, cost_l1, cost_giou
        What each term weighs in matching queries to cells.
    mosaic, mixup
        The chance of an image to become a part of a mosaic, and of a batch to be mixed.
    multi_scale
        Whether each batch has a size of its own, 3/4 to 5/4 of `image_size`.
    photometric_distort, zoom_out, iou_crop
        The chances that an image's colours, its surroundings, its frame are changed.
    rotation
        The largest angle, in degrees.
    flip_horizontal, flip_vertical
        The chances that an image is mirrored left to right, and upside down.
    imagenet_normalize
        Whether pixels are given in ImageNet's units instead of 0 to 1.

    Raises
    ------
    ValueError
        If a number is impossible.
    """

    model: str
    weights: str
    epochs: int
    batch: int
    image_size: int
    precision: str
    stain: stain.Kind
    lr: float
    backbone_lr: float
    final_lr_fraction: float
    weight_decay: float
    clip_max_norm: float
    warmup_steps: int
    no_augment_first: int
    flat_epochs: int
    no_augment_last: int
    ema_decay: float
    ema_warmup_steps: int
    gamma: float
    loss_mal: float
    loss_l1: float
    loss_giou: float
    cost_class: float
    cost_l1: float
    cost_giou: float
    mosaic: float
    mixup: float
    multi_scale: bool
    photometric_distort: float
    zoom_out: float
    iou_crop: float
    rotation: float
    flip_horizontal: float
    flip_vertical: float
    imagenet_normalize: bool

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "image_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: must be 1 or more")
        if self.image_size % 32:
            raise ValueError(f"image_size {self.image_size}: must be a multiple of 32, such as 640")
        for name in (
            "mosaic",
            "mixup",
            "photometric_distort",
            "zoom_out",
            "iou_crop",
            "flip_horizontal",
            "flip_vertical",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}: is a chance, 0 to 1")
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} {value}: must be 0 or more")
