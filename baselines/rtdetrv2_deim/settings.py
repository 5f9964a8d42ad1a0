"""The settings of RT-DETRv2 with DEIM; rtdetrv2_deim.toml has their values and sources."""

from __future__ import annotations

import msgspec

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.ranges import require_in_range

__all__ = ["Settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of RT-DETRv2 with DEIM; its .toml has their values and sources.

    Parameters
    ----------
    model
        The size, if `weights` does not decide on it: "r50vd", "r34vd", "r18vd", or "tiny" for trials on a CPU.
    weights
        What training starts from: "imagenet", the backbone of this size trained on ImageNet, downloaded from the authors'
        release; a checkpoint (.pth) of the authors of RT-DETRv2 or DEIM, or of only their backbone; a name on the Hugging
        Face hub; a folder that transformers or an earlier run wrote; or "none". Weights of a whole model decide on its
        size, and on its heads: those of RT-DETRv2, such as PekingU/rtdetr_v2_r50vd, differ from DEIM's.
    epochs
        Passes over the training images.
    batch
        Images in a step, over all devices.
    image_size
        The side of the square to which images are resized, in pixels; a multiple of 32.
    precision
        "auto" (bfloat16 on a GPU that has it, otherwise 32 bits) or one of Lightning's names.
    stain
        "none"; "hed" (random colours, in training only); "reinhard" or "macenko" (towards the colours of the training
        images, in training and prediction).
    lr, backbone_lr
        Peak learning rates of the model and of its backbone.
    final_lr_fraction
        The final learning rates, as a fraction of the peak.
    weight_decay, clip_max_norm
        AdamW's weight decay, and the largest norm of the gradients.
    warmup_steps
        Steps in which the learning rates rise.
    no_augment_first
        Epochs at the start with no augmentation but flips.
    flat_epochs
        The epoch until which the learning rates stay at their peak, and mosaics and mixup are used.
    no_augment_last
        Epochs at the end with no augmentation but flips, and with all images of one size; they start from the best epoch
        before them.
    ema_decay, ema_warmup_steps
        Decay and warmup of the moving average of the weights.
    gamma
        The exponent of the matchability-aware loss (MAL).
    loss_mal, loss_l1, loss_giou
        The weights of the terms of the loss.
    cost_class, cost_l1, cost_giou
        The weights of the terms in matching queries to cells.
    mosaic
        The probability that an image becomes part of a mosaic.
    mixup
        The probability that a batch is mixed.
    multi_scale
        Whether each batch has a random size, 3/4 to 5/4 of `image_size`.
    photometric_distort, zoom_out, iou_crop
        The probabilities that an image's colours are changed, that it is zoomed out, and that it is cropped.
    rotation
        The largest angle of rotation, in degrees.
    flip_horizontal, flip_vertical
        The probabilities that an image is mirrored left to right, and upside down.
    imagenet_normalize
        Whether pixels are normalised with ImageNet's mean and standard deviation, instead of only scaled to 0 to 1.
    multi_label
        Whether a box counts for each of its classes when the model is scored and when the epoch is chosen; in prediction
        it has one class.

    Raises
    ------
    ValueError
        If a value is out of range.
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
    multi_label: bool = True

    def __post_init__(self) -> None:
        require_in_range(
            self,
            counts=("epochs", "batch", "image_size"),
            fractions=(
                "mosaic",
                "mixup",
                "photometric_distort",
                "zoom_out",
                "iou_crop",
                "flip_horizontal",
                "flip_vertical",
            ),
        )
        if self.image_size % 32:
            raise ValueError(f"setting image_size: is {self.image_size}; give a multiple of 32, such as 640")
