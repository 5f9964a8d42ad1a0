"""DEIM's schedule and augmentation, against numbers worked out by hand from its paper and its recipe."""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pcm_leukemia.baselines.rtdetrv2_deim import augmentation as augment
from pcm_leukemia.baselines.rtdetrv2_deim import model as models
from pcm_leukemia.baselines.rtdetrv2_deim.augmentation import Picture
from pcm_leukemia.baselines.rtdetrv2_deim.data import Order, collate, seed_of, targets_of
from pcm_leukemia.baselines.rtdetrv2_deim.schedule import WeightAverage, flat_cosine, parameter_groups

# -------------------------------------------------------------------------------------------- the schedule


def test_the_rate_over_the_paper_s_60_epochs() -> None:
    # 100 steps an epoch: warm-up over 2,000 steps, flat to epoch 34, no augmentation from epoch 58
    recipe = {"warmup": 2000, "flat": 3400, "plain": 200, "total": 6000}
    expected = {
        0: 0.0,
        500: 1 / 16,
        1000: 0.25,
        2000: 1.0,
        3000: 1.0,
        3400: 1.0,
        4600: 0.75,
        5800: 0.5,
        5999: 0.5,
    }
    for step, part in expected.items():
        assert flat_cosine(step, **recipe) == pytest.approx(part, abs=1e-12), step
    # a third of the way down the cosine: (1 + cos(pi / 3)) / 2 = 3/4 of the fall is left
    assert flat_cosine(4200, **recipe) == pytest.approx(0.5 + 0.5 * 0.75, abs=1e-12)
    # what the paper reports: 2e-5 to 1e-5
    assert [2e-5 * flat_cosine(step, **recipe) for step in (3400, 5999)] == [2e-5, 1e-5]


@given(st.integers(0, 500), st.integers(0, 300), st.integers(0, 100), st.integers(1, 500))
def test_the_rate_never_jumps_down_by_more_than_its_end(
    warmup: int, flat: int, plain: int, more: int
) -> None:
    total = flat + plain + more
    rates = [flat_cosine(step, warmup=warmup, flat=flat, plain=plain, total=total) for step in range(total)]
    assert all(0 <= rate <= 1 for rate in rates)
    after = rates[max(warmup, flat) + 1 :]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(after))


def tiny() -> Any:
    torch.manual_seed(0)
    model = models.build(models.configuration("tiny", ["WBC", "Other"]))
    models.initialise(model)
    return model


def test_the_three_groups_of_weights() -> None:
    model = tiny()
    groups = parameter_groups(model, rate=2e-4, backbone_rate=2e-5, decay=1e-4)
    names = {id(value): name for name, value in model.named_parameters()}
    of = {group["name"]: {names[id(value)] for value in group["params"]} for group in groups}
    rates = {group["name"]: (group["lr"], group["weight_decay"]) for group in groups}
    assert rates == {"backbone": (2e-5, 1e-4), "norms": (2e-4, 0.0), "rest": (2e-4, 1e-4)}
    # each weight once
    assert sum(len(group["params"]) for group in groups) == len(names) == sum(map(len, of.values()))
    assert all("backbone" in name and name.endswith("convolution.weight") for name in of["backbone"])
    assert "model.backbone.model.embedder.embedder.0.normalization.weight" in of["norms"]
    # norms that don't bear the name
    assert {"model.encoder_input_proj.0.1.bias", "model.enc_output.1.weight"} <= of["norms"]
    assert "model.decoder.layers.0.self_attn_layer_norm.bias" in of["norms"]
    assert {"model.decoder.layers.0.mlp.fc1.weight", "model.decoder.layers.0.mlp.fc1.bias"} <= of["rest"]
    assert not any("norm" in name for name in of["backbone"] | of["rest"])


def test_the_average_is_deim_s() -> None:
    model: Any = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.zeros_(model[0].weight)
    average: Any = WeightAverage(model, decay=0.9999, warmup=2000)
    nn.init.ones_(model[0].weight)
    model[1].running_mean.fill_(1.0)
    model[1].num_batches_tracked.fill_(9)
    expected = 0.0
    for update in (1, 2, 3):
        average.update(model)
        keep = 0.9999 * (1 - math.exp(-update / 2000))
        expected = keep * expected + (1 - keep)
        assert average.module[0].weight.item() == pytest.approx(expected, rel=1e-6)
        assert average.module[1].running_mean.item() == pytest.approx(expected, rel=1e-6)
    # at the first update nearly everything is new
    assert expected == pytest.approx(1, abs=1e-6)
    assert average.module[1].num_batches_tracked.item() == 0


def test_weights_with_two_names_are_averaged_once() -> None:
    model = tiny()
    average: Any = WeightAverage(model, decay=0.5, warmup=0)
    before = deepcopy(model.class_embed[0].weight.detach())
    model.class_embed[0].weight.data.add_(1.0)
    average.update(model)
    assert torch.allclose(average.module.class_embed[0].weight, before + 0.5)
    twin = average.module.model.decoder.class_embed[0].weight
    assert twin.data_ptr() == average.module.class_embed[0].weight.data_ptr()


# ---------------------------------------------------------------------------------------- the augmentation


def cells(width: int, height: int, boxes: list[tuple[int, int, int, int]]) -> Picture:
    """A grey picture with a coloured rectangle in each box: the first red, the second green, the third blue."""
    pixels = torch.full((3, height, width), 40, dtype=torch.uint8)
    for number, (x1, y1, x2, y2) in enumerate(boxes):
        pixels[:, y1:y2, x1:x2] = 0
        pixels[number, y1:y2, x1:x2] = 255
    return Picture(pixels, torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.arange(len(boxes)))


def seen(picture: Picture, colour: int, least: int = 128) -> list[int]:
    """The box of the pixels of a colour."""
    others = [channel for channel in range(3) if channel != colour]
    found = (picture.pixels[colour] >= least) & (picture.pixels[others].amax(0) < least)
    rows, columns = found.any(1).nonzero().flatten(), found.any(0).nonzero().flatten()
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


def test_a_picture_is_squeezed_with_its_boxes() -> None:
    picture = augment.whole(cells(128, 64, [(16, 8, 48, 24)]), 64)
    assert picture.boxes.tolist() == [[8, 8, 24, 24]]
    assert seen(picture, 0) == [8, 8, 24, 24]
    assert picture.stretch == (0.5, 1.0)


def test_a_cut_keeps_boxes_on_their_cells() -> None:
    picture = cells(128, 64, [(16, 8, 48, 24), (100, 40, 128, 64)])
    # half of it, twice as large; then with black around it, half as large
    near = augment.cut(picture, (64, 32, 128, 64), 64)
    assert near.boxes.tolist() == [[36, 16, 64, 64]]
    assert near.labels.tolist() == [1]
    assert seen(near, 1) == [36, 16, 64, 64]
    far = augment.cut(picture, (-64, -32, 192, 96), 64)
    assert far.boxes.tolist() == [[20, 20, 28, 28], [41, 36, 48, 48]]
    assert seen(far, 0) == [20, 20, 28, 28]
    assert far.pixels[:, :16].max() == far.pixels[:, 48:].max() == far.pixels[:, :, :16].max() == 0


@settings(deadline=None, max_examples=60)  # torchvision looks for a crop by trying
@given(st.integers(0, 2**32), st.integers(60, 200), st.integers(60, 200))
def test_boxes_stay_on_their_cells_whatever_is_cut(seed: int, width: int, height: int) -> None:
    torch.manual_seed(seed)
    picture = cells(width, height, [(4, 10, 24, 30), (width - 20, height - 30, width - 4, height - 8)])
    window = augment.zoomed_out(width, height, 3.0)
    x1, y1, x2, y2 = window
    assert x1 <= 0
    assert y1 <= 0
    assert x2 >= width
    assert y2 >= height
    window, inside = augment.cropped(picture.boxes, window)
    assert inside.any()
    small = augment.cut(
        picture._replace(boxes=picture.boxes[inside], labels=picture.labels[inside]), window, 96
    )
    for box, label in zip(small.boxes.tolist(), small.labels.tolist(), strict=True):
        sides = (box[2] - box[0], box[3] - box[1])
        if min(sides) >= 6:
            # where a colour ends is told to a pixel, at most blurred over the next
            assert seen(small, label) == pytest.approx(box, abs=1.6)


def test_four_pictures_make_a_mosaic() -> None:
    boxes = [(8, 4, 24, 12)]
    pictures = [cells(64, 32, boxes)] * 3 + [cells(32, 64, boxes)]
    together = augment.mosaic(pictures, 64)
    # by hand: the shorter side becomes 32, so 64 x 32 and 32 x 64 as they are; the largest is 64 x 64, of which a
    # quarter of the canvas has 32 x 32. Each box halves, and moves to its quarter.
    assert together.boxes.tolist() == [
        [4, 2, 12, 6],
        [36, 2, 44, 6],
        [4, 34, 12, 38],
        [36, 34, 44, 38],
    ]
    assert together.labels.tolist() == [0, 0, 0, 0]
    assert together.stretch == (0.5, 0.5)
    assert (together.pixels[:, 3, 5] == torch.tensor([255, 0, 0])).all()
    # where a picture is smaller than the largest there is black
    assert together.pixels[:, 16:32, :].max() == 0
    assert together.pixels[:, 32:, 48:].max() == 0


def test_pictures_of_one_size_fill_a_mosaic() -> None:
    together = augment.mosaic([cells(128, 64, [(0, 0, 64, 64)])] * 4, 64)
    assert together.boxes.tolist() == [[0, 0, 16, 32], [32, 0, 48, 32], [0, 32, 16, 64], [32, 32, 48, 64]]
    assert seen(together, 0) == [0, 0, 48, 64]
    assert together.pixels.amax(0).min() == 40
    assert together.stretch == (0.5, 1.0)


def disc(stretch: float) -> Picture:
    """A round cell of 120 pixels in a picture that is squeezed across by `stretch`."""
    image = PIL.Image.new("RGB", (round(400 * stretch), 400))
    PIL.ImageDraw.Draw(image).ellipse((200 * stretch, 100, 320 * stretch - 1, 219), fill=(255, 0, 0))
    canvas = PIL.Image.new("RGB", (400, 400))
    canvas.paste(image)
    pixels = torch.from_numpy(np.array(canvas)).permute(2, 0, 1)
    box = torch.tensor([[200 * stretch, 100.0, 320 * stretch, 220.0]])
    return Picture(pixels, box, torch.tensor([0]), (stretch, 1.0))


@pytest.mark.parametrize("stretch", [1.0, 0.5])
@pytest.mark.parametrize("degrees", [0.0, 10.0, -10.0, 37.0, 90.0])
def test_the_box_of_a_turned_cell_is_its_own(stretch: float, degrees: float) -> None:
    picture = augment.turned(disc(stretch), degrees, 0.8, (6, -4))
    assert picture.boxes[0].tolist() == pytest.approx(seen(picture, 0), abs=1.6)
    # a round cell stays round in the original, however it is squeezed here
    sides = (picture.boxes[0, 2:] - picture.boxes[0, :2]) / torch.tensor(picture.stretch)
    assert sides.tolist() == pytest.approx([96, 96], abs=0.01)


def test_a_quarter_turn_by_hand() -> None:
    # clockwise about (50, 50): right of the centre goes below it
    picture = augment.turned(cells(100, 100, [(70, 45, 90, 55)]), 90)
    assert picture.boxes[0].tolist() == pytest.approx([45, 70, 55, 90], abs=1e-4)
    assert seen(picture, 0) == [45, 70, 55, 90]


def test_flips() -> None:
    picture = cells(64, 64, [(4, 8, 20, 18)])
    for across, down, box in (
        (True, False, [44, 8, 60, 18]),
        (False, True, [4, 46, 20, 56]),
        (True, True, [44, 46, 60, 56]),
        (False, False, [4, 8, 20, 18]),
    ):
        mirrored = augment.flipped(picture, across=across, down=down)
        assert mirrored.boxes.tolist() == [box]
        assert seen(mirrored, 0) == box


def test_what_leaves_the_picture_is_cut_or_gone() -> None:
    picture = augment.turned(cells(100, 100, [(0, 40, 20, 60), (60, 40, 90, 60)]), 0, 1.0, (-10, 0))
    assert picture.boxes.tolist() == [[0, 40, 10, 60], [50, 40, 80, 60]]
    picture = augment.turned(cells(100, 100, [(0, 40, 20, 60), (60, 40, 90, 60)]), 0, 1.0, (-19.5, 0))
    assert picture.labels.tolist() == [1]


def test_mixup_by_hand() -> None:
    images = torch.stack([torch.full((3, 2, 2), value) for value in (0.0, 0.5, 1.0)])
    targets = [
        {"class_labels": torch.tensor([number]), "boxes": torch.full((1, 4), number / 10)}
        for number in range(3)
    ]
    mixed, both = augment.mixed(images, targets, 0.55)
    # 0.55 of the image itself, 0.45 of the one before it; the one before the first is the last
    assert mixed[:, 0, 0, 0].tolist() == pytest.approx([0.45, 0.275, 0.775])
    assert [target["class_labels"].tolist() for target in both] == [[0, 2], [1, 0], [2, 1]]
    assert both[1]["boxes"][:, 0].tolist() == pytest.approx([0.1, 0.0])
    assert [len(target["class_labels"]) for target in targets] == [1, 1, 1]


def test_the_sizes_of_multi_scale_training() -> None:
    assert set(augment.scales(640)) == set(range(480, 801, 32))
    assert augment.scales(640).count(640) == 3


def test_a_batch_gives_centres_and_sizes() -> None:
    pictures = [
        cells(64, 64, [(0, 16, 32, 32)]),
        cells(64, 64, []),
        cells(64, 64, [(8, 8, 16, 16), (0, 0, 64, 64)]),
    ]
    batch = collate(pictures)
    assert batch.images.shape == (3, 3, 64, 64)
    assert batch.counts == [1, 0, 2]
    targets = targets_of(batch)
    assert targets[0]["boxes"].tolist() == [[0.25, 0.375, 0.5, 0.25]]
    assert targets[1]["boxes"].shape == (0, 4)
    assert targets[2]["class_labels"].tolist() == [0, 1]


def test_every_image_comes_once_an_epoch_whoever_shares_the_work() -> None:
    alone, left, right = Order(7, 0), Order(7, 0, 0, 2), Order(7, 0, 1, 2)
    orders = []
    for epoch in range(3):
        for order in (alone, left, right):
            order.epoch = epoch
        assert sorted(alone) == [(epoch, number) for number in range(7)]
        assert len(list(left)) == len(list(right)) == len(left) == 3
        assert not set(left) & set(right)
        orders.append([number for _, number in alone])
    assert orders[0] != orders[1] != orders[2]
    assert seed_of(0, 1, 2) != seed_of(0, 2, 1)
