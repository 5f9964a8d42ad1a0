"""DEIM's loss and the boxes that it judges, against numbers worked out by hand and an implementation of our own.

The implementation follows the papers of RT-DETR (arXiv 2304.08069), DINO (2203.03605: denoising, and boxes that look
forward twice) and DEIM (2412.04234: MAL), and shares no code with transformers or the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from transformers import RTDetrV2Config
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import RTDetrV2ModelOutput

from pcm_leukemia.baselines.rtdetrv2_deim import model as models
from pcm_leukemia.baselines.rtdetrv2_deim.loss import DeimLoss, Targets, layers_of
from pcm_leukemia.baselines.rtdetrv2_deim.training import Learner

# By hand


def two_classes() -> RTDetrV2Config:
    values: dict[str, Any] = {"num_labels": 2}
    return RTDetrV2Config(**values)


def one_cell() -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Two queries, two classes; the first query's box has IoU 1/2 with the only cell, of class 0."""
    logits = torch.tensor([[[log(3), -log(3)], [0.0, 0.0]]])
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.9, 0.9, 0.1, 0.1]]])
    cell = {"class_labels": torch.tensor([0]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.1]])}
    return {"logits": logits, "pred_boxes": boxes}, [cell]


def test_the_loss_is_that_of_the_paper() -> None:
    outputs, targets = one_cell()
    loss = DeimLoss(two_classes())(outputs, targets)
    target = 0.5**1.5  # q to the power of gamma
    matched = -target * log(0.75) - (1 - target) * log(0.25)
    other_class = -(0.25**1.5) * log(0.75)
    background = -2 * 0.5**1.5 * log(0.5)
    assert loss["loss_mal"].item() == pytest.approx(matched + other_class + background, abs=1e-5)
    assert matched + other_class + background == pytest.approx(1.52397, abs=1e-5)
    assert loss["loss_bbox"].item() == pytest.approx(5 * 0.1, abs=1e-6)
    assert loss["loss_giou"].item() == pytest.approx(2 * 0.5, abs=1e-6)
    # the loss that it takes the place of gives another number
    varifocal = DeimLoss(two_classes())
    indices = varifocal.matcher(outputs, targets)
    value = varifocal.loss_labels_vfl(outputs, targets, indices, 1)["loss_vfl"].item()  # type: ignore[no-untyped-call]
    assert abs(value - 1.52397) > 0.1


def test_gamma_and_the_weights_of_the_terms_are_used() -> None:
    outputs, targets = one_cell()
    loss = DeimLoss(two_classes(), gamma=1.0, mal=3.0, l1=1.0, giou=0.0)(outputs, targets)
    expected = -0.5 * log(0.75) - 0.5 * log(0.25) - 0.25 * log(0.75) - 2 * 0.5 * log(0.5)
    assert loss["loss_mal"].item() == pytest.approx(3 * expected, abs=1e-5)
    assert loss["loss_bbox"].item() == pytest.approx(0.1, abs=1e-6)
    assert loss["loss_giou"].item() == 0


def test_a_cell_that_is_found_exactly_and_surely_costs_nothing() -> None:
    outputs, targets = one_cell()
    outputs["pred_boxes"][0, 0] = targets[0]["boxes"][0]
    outputs["logits"] = torch.tensor([[[30.0, -30.0], [-30.0, -30.0]]])
    loss = DeimLoss(two_classes())(outputs, targets)
    assert sum(value.item() for value in loss.values()) == pytest.approx(0, abs=1e-5)


def test_each_layer_has_a_matching_of_its_own_and_all_terms_are_divided_by_the_cells() -> None:
    # transformers' DEIMv2 would take the matches of all layers together, and divide by those
    outputs, targets = one_cell()
    second = {"logits": outputs["logits"].flip(1), "pred_boxes": outputs["pred_boxes"].flip(1)}
    loss = DeimLoss(two_classes())({**outputs, "auxiliary_outputs": [second]}, targets)
    for name in ("loss_mal", "loss_bbox", "loss_giou"):
        assert loss[f"{name}_aux_0"].item() == pytest.approx(loss[name].item(), abs=1e-6)
    assert loss["loss_bbox"].item() == pytest.approx(5 * 0.1, abs=1e-6)


def test_a_batch_without_cells_has_a_loss() -> None:
    outputs, _ = one_cell()
    none = {"class_labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4)}
    loss = DeimLoss(two_classes())(outputs, [none])
    expected = -(0.75**1.5) * log(0.25) - 0.25**1.5 * log(0.75) - 2 * 0.5**1.5 * log(0.5)
    assert loss["loss_mal"].item() == pytest.approx(expected, abs=1e-5)
    assert loss["loss_bbox"].item() == 0


def test_a_layer_learns_from_the_error_of_the_next() -> None:
    """Look forward twice, with one query and heads that always shift its box by 1.1 and -1.1 (log 3)."""
    first_head, second_head = nn.Linear(1, 4), nn.Linear(1, 4)
    for head, shift in ((first_head, log(3)), (second_head, -log(3))):
        nn.init.zeros_(head.weight)
        nn.init.constant_(head.bias, shift)
    # transformers: 1/2 becomes 3/4, and 3/4 becomes 1/2 again; between them, gradients stop
    first = first_head(torch.zeros(1, 1, 1)).sigmoid()
    second = (second_head(torch.zeros(1, 1, 1)) + first.detach().logit()).sigmoid()
    outputs = RTDetrV2ModelOutput(
        intermediate_hidden_states=torch.zeros(1, 2, 1, 1),
        intermediate_logits=torch.zeros(1, 2, 1, 2),
        intermediate_reference_points=torch.stack([first, second], 1),
        enc_topk_logits=torch.zeros(1, 1, 2),
        enc_topk_bboxes=torch.full((1, 1, 4), 0.5),
    )
    layers = layers_of(outputs, nn.ModuleList([first_head, second_head]))
    assert layers["auxiliary_outputs"][0]["pred_boxes"].flatten().tolist() == pytest.approx([3 / 4] * 4)
    assert layers["pred_boxes"].flatten().tolist() == pytest.approx([1 / 2] * 4)
    layers["pred_boxes"].sum().backward()
    # the derivative of the logistic function where it is 1/2
    for head in (first_head, second_head):
        assert head.bias.grad is not None
        assert head.bias.grad.tolist() == pytest.approx([1 / 4] * 4)


# An implementation of our own


class Layer(NamedTuple):
    """What a layer says: logits ``(batch, query, class)``, and boxes as centre and size ``(batch, query, 4)``."""

    logits: torch.Tensor
    boxes: torch.Tensor


def overlaps(boxes: torch.Tensor, others: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The IoU and the GIoU of pairs of boxes given as centre and size."""
    (low, high), (other_low, other_high) = (
        (each[..., :2] - each[..., 2:] / 2, each[..., :2] + each[..., 2:] / 2) for each in (boxes, others)
    )
    common = (torch.minimum(high, other_high) - torch.maximum(low, other_low)).clamp(min=0).prod(-1)
    union = boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - common
    hull = (torch.maximum(high, other_high) - torch.minimum(low, other_low)).prod(-1)
    return common / union, common / union - (hull - union) / hull


def cheapest(layer: Layer, image: int, target: dict[str, torch.Tensor]) -> list[int]:
    """The query of each of the one or two cells of an image, by trying all: RT-DETR's costs of class, L1 and GIoU."""
    with torch.no_grad():
        scores = layer.logits[image].sigmoid()[:, target["class_labels"]]
        positive = 0.25 * (1 - scores) ** 2 * -(scores + 1e-8).log()
        negative = 0.75 * scores**2 * -(1 - scores + 1e-8).log()
        boxes, cells = layer.boxes[image][:, None], target["boxes"][None]
        cost = 2 * (positive - negative) + 5 * (boxes - cells).abs().sum(-1) - 2 * overlaps(boxes, cells)[1]
    if cost.shape[1] == 1:
        return [int(cost[:, 0].argmin())]
    both = cost[:, :1] + cost[:, 1][None]
    both.fill_diagonal_(torch.inf)
    first, second = divmod(int(both.argmin()), len(both))
    return [first, second]


def loss_of(layer: Layer, targets: Targets, pairs: Sequence[Sequence[tuple[int, int]]], cells: int) -> Any:
    """MAL + 5 L1 + 2 GIoU of a layer; `pairs` has (query, cell) for each image."""
    total: Any = 0.0
    for image, (target, matched) in enumerate(zip(targets, pairs, strict=True)):
        scores = layer.logits[image].sigmoid()
        mal = -(scores.detach() ** 1.5) * (1 - scores).log()
        for query, cell in matched:
            box, truth = layer.boxes[image, query], target["boxes"][cell]
            iou, giou = overlaps(box, truth)
            q, label = iou.detach() ** 1.5, int(target["class_labels"][cell])
            score = scores[query, label]
            chosen = torch.zeros_like(mal)
            chosen[query, label] = 1
            mal = mal * (1 - chosen) + chosen * -(q * score.log() + (1 - q) * (1 - score).log())
            total = total + 5 * (box - truth).abs().sum() + 2 * (1 - giou)
        total = total + mal.sum()
    return total / cells


def published_loss(model: Any, images: torch.Tensor, targets: Targets) -> torch.Tensor:
    """The loss of a model, of which transformers gives no more than the queries and the first boxes."""
    out = model.model(images, labels=targets)
    noise = out.denoising_meta_values
    start = out.init_reference_points.detach().sigmoid()
    looked, layers = torch.tensor(0.0), []
    for number, head in enumerate(model.bbox_embed):
        hidden = out.intermediate_hidden_states[:, number]
        for step in head.layers[:-1]:
            hidden = step(hidden)
            hidden = hidden * hidden.sigmoid()
        shift = head.layers[-1](hidden)
        judged = shift + (looked if number else start).logit()
        looked = (shift + start.logit()).sigmoid()
        start = looked.detach()
        layers.append(Layer(out.intermediate_logits[:, number], judged.sigmoid()))
    count = noise["dn_num_split"][0]
    learned = [
        *(Layer(each.logits[:, count:], each.boxes[:, count:]) for each in layers),
        Layer(out.enc_topk_logits, out.enc_topk_bboxes),
    ]
    noisy = [Layer(each.logits[:, :count], each.boxes[:, :count]) for each in layers]
    cells, groups = sum(len(target["boxes"]) for target in targets), noise["dn_num_group"]
    total = torch.tensor(0.0, dtype=torch.float64)
    for layer in learned:
        pairs = [
            [(query, cell) for cell, query in enumerate(cheapest(layer, image, target))]
            for image, target in enumerate(targets)
        ]
        total = total + loss_of(layer, targets, pairs, cells)
    # noised queries know their cells: each group has all of them in order
    known = [
        [(int(query), position % len(target["boxes"])) for position, query in enumerate(queries)]
        for queries, target in zip(noise["dn_positive_idx"], targets, strict=True)
    ]
    for layer in noisy:
        total = total + loss_of(layer, targets, known, cells * groups)
    return total


def learning(seed: int = 0) -> tuple[Any, torch.Tensor, Targets]:
    """A small model with three decoder layers in double precision, two images, and their cells."""
    torch.manual_seed(seed)
    config = models.configuration("tiny", ["WBC", "Other"])
    config.decoder_layers = 3
    model = models.build(config)
    models.initialise(model)
    # as if it had learned something: the last layers of these heads begin with zeros
    for head in (model.model.enc_bbox_head, *model.bbox_embed):
        nn.init.normal_(head.layers[-1].weight, std=0.1)
    targets = [
        {
            "class_labels": torch.tensor([0, 1]),
            "boxes": torch.tensor([[0.3, 0.4, 0.2, 0.3], [0.7, 0.6, 0.4, 0.2]]).double(),
        },
        {"class_labels": torch.tensor([1]), "boxes": torch.tensor([[0.5, 0.5, 0.5, 0.6]]).double()},
    ]
    return model.double().train(), torch.rand(2, 3, 96, 96).double(), targets


def gradients(model: nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


def test_loss_and_gradients_are_those_of_the_published_rule() -> None:
    model, images, targets = learning()
    torch.manual_seed(1)  # of the noise
    terms = DeimLoss(model.config)(Learner(model)(images, targets), targets)
    ours = torch.stack(list(terms.values())).sum()
    got = gradients(model, ours)
    torch.manual_seed(1)
    published = published_loss(model, images, targets)
    expected = gradients(model, published)
    assert ours.item() == pytest.approx(published.item(), rel=1e-6)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert (got[name] - value).norm() <= 1e-5 * value.norm() + 1e-9, name


def test_the_boxes_are_those_that_transformers_computes() -> None:
    """So that what is predicted is what was learned: in evaluation, only transformers computes them."""
    model, images, targets = learning()
    outputs = model.model(images, labels=targets)
    layers = layers_of(outputs, model.bbox_embed)
    given = outputs.intermediate_reference_points
    learned = outputs.denoising_meta_values["dn_num_split"][0]
    *others, _ = layers["auxiliary_outputs"]
    for number, layer in enumerate([*others, layers]):
        assert torch.allclose(layer["pred_boxes"], given[:, number, learned:], atol=1e-12)
