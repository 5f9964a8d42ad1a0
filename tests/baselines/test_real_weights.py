"""Real pretrained weights: the same features as by an independent forward pass, and what they are worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from other_hospitals import PATTERN
from real_weights import MODEL, package_weights, write_weights
from sklearn.datasets import load_sample_image
from smoke_runs import SmokeRuns
from torch.nn import functional

from pcm_leukemia import Dataset, load_dataset, sample
from pcm_leukemia.baselines import config, inference
from pcm_leukemia.baselines.classifiers import timm as classifiers
from pcm_leukemia.baselines.classifiers.backbones import backbone
from pcm_leukemia.baselines.classifiers.crops import Prepare
from pcm_leukemia.baselines.classifiers.network import Network
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.metrics import classification as scores
from pcm_leukemia.images import Pixels

DAISY, PALACE = 985, 698
"""Their numbers among the 1,000 classes of ImageNet."""

EPOCHS = 15


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "lite0.pth")


@pytest.fixture(scope="module")
def photographs() -> tuple[Pixels, Pixels]:
    """A flower and a Chinese palace: the sample images of scikit-learn, 427 x 640."""
    flower, palace = (np.asarray(load_sample_image(f"{name}.jpg")) for name in ("flower", "china"))
    return flower, palace


# ----------------------------------------------------------------------------------------------
# EfficientNet-Lite0 after its paper's table, in torch's functions alone, by the names of the package

STRIDES = {1: 2, 3: 2, 5: 2, 11: 2}
"""The blocks that halve the picture."""


def convolution(
    x: torch.Tensor, weights: Mapping[str, torch.Tensor], name: str, stride: int = 1
) -> torch.Tensor:
    """With TensorFlow's padding "same": what is odd goes to the right and below."""
    kernel = weights[f"{name}.weight"]
    missing = [
        max((-(-size // stride) - 1) * stride + side - size, 0)
        for size, side in zip(x.shape[2:], kernel.shape[2:], strict=True)
    ]
    (above, left), (below, right) = [n // 2 for n in missing], [n - n // 2 for n in missing]
    groups = x.shape[1] // kernel.shape[1]
    return functional.conv2d(
        functional.pad(x, (left, right, above, below)), kernel, stride=stride, groups=groups
    )


def norm(x: torch.Tensor, weights: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    mean, variance, scale, shift = (
        weights[f"{name}.{part}"].view(-1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-3).sqrt() * scale + shift


def reference_features(pixels: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The features of uint8 pixels, in 64 bits."""
    weights = {name: value.double() for name, value in weights.items()}
    x = pixels.double() / 127.5 - 1
    x = functional.relu6(norm(convolution(x, weights, "_conv_stem", 2), weights, "_bn0"))
    for number in range(16):
        block = f"_blocks.{number}"
        before = x
        if number > 0:
            x = functional.relu6(
                norm(convolution(x, weights, f"{block}._expand_conv"), weights, f"{block}._bn0")
            )
        x = convolution(x, weights, f"{block}._depthwise_conv", STRIDES.get(number, 1))
        x = functional.relu6(norm(x, weights, f"{block}._bn1"))
        x = norm(convolution(x, weights, f"{block}._project_conv"), weights, f"{block}._bn2")
        if before.shape == x.shape:
            x = x + before
    return functional.relu6(norm(convolution(x, weights, "_conv_head"), weights, "_bn1")).mean((2, 3))


@pytest.mark.parametrize("size", [224, 97])
def test_our_features_are_those_of_the_weights(
    size: int, weights: Path, photographs: tuple[Pixels, Pixels]
) -> None:
    made = backbone(MODEL, weights, image_size=size)
    network = Network(made, 1000).eval()
    pixels = torch.stack([Prepare(size)(photograph) for photograph in photographs])
    theirs = package_weights()
    expected = reference_features(pixels, theirs)
    with torch.no_grad():
        found = network.features(pixels)
    assert found.shape == (2, 1280)
    assert expected.std() > 0.1
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)
    # another mean would show
    network.mean += 0.01
    with torch.no_grad():
        assert (network.features(pixels).double() - expected).abs().max() > 1e-2


def test_the_weights_know_what_photographs_show(weights: Path, photographs: tuple[Pixels, Pixels]) -> None:
    network = Network(backbone(MODEL, weights), 1000).eval()
    theirs = package_weights()
    network.head.load_state_dict({"weight": theirs["_fc.weight"], "bias": theirs["_fc.bias"]})
    # the middle, since a picture is made square
    pixels = torch.stack([Prepare(224)(photograph[:, 106:533]) for photograph in photographs])
    with torch.no_grad():
        assert network(pixels).argmax(1).tolist() == [DAISY, PALACE]


# ----------------------------------------------------------------------------------------------
# What they are worth


def few_of_each(ds: Dataset, count: int, seed: int) -> Dataset:
    """So many cells of each class, drawn at random."""
    seen: Counter[str] = Counter()
    kept = set()
    for place in np.random.default_rng(seed).permutation(len(ds.cells)):
        cell = ds.cells[place]
        seen[cell.label] += 1
        if seen[cell.label] <= count:
            kept.add((cell.image, cell.id))
    some = ds.select(images=sorted({image for image, _ in kept}))
    return replace(some, cells=tuple(cell for cell in some.cells if (cell.image, cell.id) in kept))


@pytest.mark.trains
def test_probing_beats_training_from_scratch_where_cells_are_few_and_the_stain_is_new(
    weights: Path, smoke_runs: SmokeRuns, tmp_path: Path
) -> None:
    home = smoke_runs.ds.task("classification")
    labels = home.taxonomy.labels
    export = sample.write(tmp_path / "eosin.zip", patients=8, images=10, seed=1, site="eosin")
    elsewhere = load_dataset(export, patients=PATTERN).task("classification")
    train, val = (few_of_each(home.part(part), 5, seed=0) for part in ("train", "val"))
    assert set(Counter(cell.label for cell in train.cells).values()) == {5}
    ways: dict[str, dict[str, Any]] = {
        "probing": {"weights": str(weights), "strategy": "lp", "probe_epochs": EPOCHS, "probe_lr": 1e-2},
        "scratch": {"weights": "none", "strategy": "direct", "epochs": EPOCHS, "lr": 1e-3},
    }
    accuracy = {}
    for way, changes in ways.items():
        settings = config.settings(
            config.find("timm"), changes={**changes, "model": MODEL, "image_size": 96, "batch": 16}
        )
        classifiers.train(Job(train, val, tmp_path / way), settings)
        classifier = classifiers.load(tmp_path / way, settings, labels, "cpu")
        said = inference.classify(classifier, elsewhere, workers=1)
        truths = [labels.index(cell.label) for cell in said.cells]
        accuracy[way] = scores.score(truths, said.probabilities, labels).accuracy
    assert accuracy["probing"] - accuracy["scratch"] >= 0.1, accuracy
    assert accuracy["probing"] > 0.5, accuracy
