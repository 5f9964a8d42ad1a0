"""The numbers of a YOLO detector; their values, and where they come from, are in yolo11m.toml."""

from __future__ import annotations

import math

import msgspec

from pcm_leukemia.baselines import stain

__all__ = ["PRECISIONS", "Settings"]

PRECISIONS: dict[str, bool | str] = {
    "32": False,
    "32-true": False,
    "bf16": "bf16",
    "bf16-mixed": "bf16",
    "16": True,
    "16-mixed": True,
}
"""Lightning's names, and what ultralytics calls `amp`."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers of a YOLO detector; `yolo11m.toml` says where each comes from.

    Parameters
    ----------
    model
        ultralytics' name of a detector: yolo11n to yolo11x, yolov8m, yolo26s, ...
    weights
        "none" for random ones; the name of a file that ultralytics offers (yolo11m.pt); or a ``.pt`` file.
    epochs, patience
        At most so many; the end comes early when AP on val hasn't risen for `patience` of them (0: never).
    batch, nominal_batch
        Images at once; the optimizer takes a step after `nominal_batch`.
    image_size
        Pixels a side that images are fitted into, a multiple of 32.
    cache_images
        Whether images are kept in memory, decoded and resized.
    precision
        "auto" is bf16 on GPUs that have it, and 32 elsewhere; or "32", "bf16-mixed", "16-mixed".
    stain
        "none"; "hed" changes colours at random in training; "reinhard", "macenko" bring every image to those
        of the training images.
    lr, final_lr_fraction, momentum, weight_decay, warmup_epochs
        Of SGD: the rate falls in a straight line from `lr` to ``lr * final_lr_fraction``.
    rotation, translate, scale
        How far images are turned, degrees to either side; moved, as a share of the side; and resized.
    flip_horizontal, flip_vertical, mosaic
        The chances that an image is mirrored left to right, or upside down, or joined with three others.
    no_augment_last
        The last epochs, which see no mosaics.
    hue, saturation, brightness
        How far colours are changed at random, as shares.
    confidence, nms_iou, max_detections
        What is found: the lowest score, the highest IoU of two boxes of a class, boxes an image.
    multi_label
        Whether a box is given for each class with such a score, or for its best class alone.

    Raises
    ------
    ValueError
        If a number is impossible.
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
        for name in ("epochs", "batch", "nominal_batch", "image_size", "max_detections"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: must be 1 or more")
        if self.image_size % 32:
            raise ValueError(f"image_size {self.image_size}: must be a multiple of 32, such as 640")
        if self.precision not in {"auto", *PRECISIONS}:
            raise ValueError(f'precision "{self.precision}": must be auto, {", ".join(PRECISIONS)}')
        chances = (
            "flip_horizontal",
            "flip_vertical",
            "mosaic",
            "confidence",
            "nms_iou",
            "translate",
            "final_lr_fraction",
            "momentum",
        )
        for name in chances:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}: must be from 0 to 1")
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} {value}: must be 0 or more")
