"""The settings of a YOLO detector; yolo11m.toml has their values and sources."""

from __future__ import annotations

import msgspec

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.ranges import require_in_range

__all__ = ["PRECISIONS", "Settings"]

PRECISIONS: dict[str, bool | str] = {
    "32": False,
    "32-true": False,
    "bf16": "bf16",
    "bf16-mixed": "bf16",
    "16": True,
    "16-mixed": True,
}
"""Lightning's names of precisions, with the values of ultralytics' `amp`."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a YOLO detector; its .toml has their values and sources.

    Parameters
    ----------
    model
        The name of a detector in ultralytics: yolo11n to yolo11x, yolov8m, yolo26s, ...
    weights
        The weights to start from: the name of a file that ultralytics offers (yolo11m.pt), a ``.pt`` file, or "none"
        for random weights.
    epochs, patience
        The largest number of epochs; training stops after `patience` epochs without a higher AP on val (0 never stops
        early).
    batch, nominal_batch
        Images in a batch; the optimizer takes a step after `nominal_batch` images.
    image_size
        The side of the square into which images are fitted, in pixels; a multiple of 32.
    cache_images
        Whether decoded and resized images are kept in memory.
    precision
        "auto" (bfloat16 on a GPU that has it, otherwise 32 bits), "32", "bf16-mixed" or "16-mixed".
    stain
        "none"; "hed" (random colours, in training only); "reinhard" or "macenko" (towards the colours of the training
        images, in training and prediction).
    lr, final_lr_fraction
        The peak learning rate, and the final one as a fraction of it; the rate falls linearly.
    momentum, weight_decay, warmup_epochs
        Momentum, weight decay and epochs of warmup of SGD.
    rotation, translate, scale
        The largest rotation in degrees, the largest shift as a fraction of the side, and the largest change in size as
        a fraction.
    flip_horizontal, flip_vertical, mosaic
        The probabilities that an image is mirrored left to right, mirrored upside down, and joined with three others.
    no_augment_last
        Epochs at the end without mosaics.
    hue, saturation, brightness
        The largest random changes of colour, as fractions.
    confidence, nms_iou, max_detections
        Of the detections: the lowest score, the highest IoU of two boxes of a class, and the largest number in an
        image.
    multi_label
        Whether a box is reported for each class whose score is high enough, or only for its best class.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    model: str
    weights: str
    epochs: int
    patience: int
    batch: int
    nominal_batch: int
    image_size: int
    cache_images: bool
    precision: str
    stain: stain.Kind
    lr: float
    final_lr_fraction: float
    momentum: float
    weight_decay: float
    warmup_epochs: float
    rotation: float
    translate: float
    scale: float
    flip_horizontal: float
    flip_vertical: float
    mosaic: float
    no_augment_last: int
    hue: float
    saturation: float
    brightness: float
    confidence: float
    nms_iou: float
    max_detections: int
    multi_label: bool

    def __post_init__(self) -> None:
        require_in_range(
            self,
            counts=("epochs", "batch", "nominal_batch", "image_size", "max_detections"),
            fractions=(
                "flip_horizontal",
                "flip_vertical",
                "mosaic",
                "confidence",
                "nms_iou",
                "translate",
                "final_lr_fraction",
                "momentum",
            ),
        )
        if self.image_size % 32:
            raise ValueError(f"setting image_size: is {self.image_size}; give a multiple of 32, such as 640")
        if self.precision not in {"auto", *PRECISIONS}:
            raise ValueError(f'setting precision: is "{self.precision}"; give auto, {", ".join(PRECISIONS)}')
