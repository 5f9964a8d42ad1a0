"""The loss of RT-DETRv2 with DEIM: its matchability-aware loss (MAL) for the classes, L1 and GIoU for the boxes.

The terms are those of transformers: MAL from its DEIMv2, the others from its RT-DETR. DEIM's RT-DETRv2 matches each
decoder layer separately (``use_uni_set: False`` in its base/rtdetrv2_r50vd.yml). Its D-FINE uses one matching for all
layers, which transformers' DEIMv2 calls dense one-to-one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import nn
from transformers import RTDetrV2Config
from transformers.loss.loss_deimv2 import Deimv2Loss
from transformers.loss.loss_rt_detr import RTDetrHungarianMatcher, RTDetrLoss
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import RTDetrV2ModelOutput, inverse_sigmoid

__all__ = ["DeimLoss", "Targets", "layers_of"]

Targets: TypeAlias = list[dict[str, torch.Tensor]]
"""For each image: ``class_labels``, int64, ``(n,)``; ``boxes``, centre and size as fractions of the image, ``(n, 4)``."""


class _Matcher(RTDetrHungarianMatcher):
    """transformers' matcher, which would fail on a batch without cells."""

    def forward(self, outputs: Mapping[str, torch.Tensor], targets: Targets) -> list[Any]:
        if not any(len(target["class_labels"]) for target in targets):
            none = torch.zeros(0, dtype=torch.int64)
            return [(none, none)] * len(targets)
        return cast(list[Any], super().forward(outputs, targets))  # type: ignore[no-untyped-call]


class DeimLoss(Deimv2Loss):
    """The weighted MAL, L1 and GIoU of all decoder layers, the encoder's selected queries and the denoised queries.

    For a query matched to a cell of class c, where q is the IoU of the two boxes and p the score of c, MAL is
    ``-q^gamma log p - (1 - q^gamma) log(1 - p)``; for every other score it is ``-p^gamma log(1 - p)``. All terms are
    divided by the number of cells in the batch.

    Parameters
    ----------
    config
        The configuration of the model, which gives the number of classes and the costs of matching.
    gamma
        The exponent of MAL.
    mal, l1, giou
        The weights of the terms.

    Examples
    --------
    >>> loss = DeimLoss(RTDetrV2Config(num_labels=2))
    >>> outputs = {"logits": torch.zeros(1, 1, 2), "pred_boxes": torch.tensor([[[0.5, 0.5, 0.2, 0.2]]])}
    >>> targets = [{"class_labels": torch.tensor([0]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.2]])}]
    >>> {name: round(float(value), 4) for name, value in loss(outputs, targets).items()}
    {'loss_mal': 0.9382, 'loss_bbox': 0.0, 'loss_giou': 0.0}
    """

    def __init__(
        self, config: RTDetrV2Config, gamma: float = 1.5, mal: float = 1.0, l1: float = 5.0, giou: float = 2.0
    ) -> None:
        # skips Deimv2Loss.__init__, which sets up D-FINE's distributions over box sides; RT-DETRv2 has none
        RTDetrLoss.__init__(self, config)  # type: ignore[no-untyped-call]
        self.matcher = _Matcher(config)  # type: ignore[no-untyped-call]
        self.losses = ["mal", "boxes"]
        self.weight_dict = {"loss_mal": mal, "loss_bbox": l1, "loss_giou": giou}
        self.gamma = gamma
        self.mal_alpha = None
        self.use_dense_one_to_one = False


def layers_of(outputs: RTDetrV2ModelOutput, heads: nn.ModuleList) -> dict[str, Any]:
    """The outputs of the model in training, in the form that the loss takes: last layer, other layers, denoised queries.

    transformers keeps denoised and real queries in one tensor, ``(batch, layer, query, ...)``. `heads` are the model's
    heads for boxes, one for each layer.
    """
    logits, boxes = outputs.intermediate_logits, _refined(outputs, heads)
    assert logits is not None
    result: dict[str, Any] = {}
    if (noise := outputs.denoising_meta_values) is not None:
        noisy_logits, logits = logits.split_with_sizes(noise["dn_num_split"], 2)
        noisy_boxes, boxes = boxes.split_with_sizes(noise["dn_num_split"], 2)
        result["dn_auxiliary_outputs"] = _each(noisy_logits, noisy_boxes)
        result["denoising_meta_values"] = noise
    encoder = {"logits": outputs.enc_topk_logits, "pred_boxes": outputs.enc_topk_bboxes}
    *others, last = _each(logits, boxes)
    return {**last, "auxiliary_outputs": [*others, encoder], **result}


def _refined(outputs: RTDetrV2ModelOutput, heads: nn.ModuleList) -> torch.Tensor:
    """The boxes of all layers, which look forward twice: each layer also learns from the error of the next.

    A layer shifts the boxes of the layer before, which transformers detaches. As in DEIM's rtdetrv2_decoder.py, the
    loss gets the same boxes with gradients for both layers.
    """
    refined, hidden = outputs.intermediate_reference_points, outputs.intermediate_hidden_states
    assert refined is not None
    assert hidden is not None
    boxes = [refined[:, 0]]
    for layer in range(1, len(heads)):
        shift = heads[layer](hidden[:, layer])
        boxes.append((shift + inverse_sigmoid(refined[:, layer - 1])).sigmoid())  # type: ignore[no-untyped-call]
    return torch.stack(boxes, 1)


def _each(logits: torch.Tensor, boxes: torch.Tensor) -> Sequence[dict[str, torch.Tensor]]:
    pairs = zip(logits.unbind(1), boxes.unbind(1), strict=True)
    return [{"logits": scores, "pred_boxes": sides} for scores, sides in pairs]
