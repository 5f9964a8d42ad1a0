"""LoRA: what is trained and what is not, and a plain backbone at the end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from dots import EIGHT, draw, job
from safetensors.torch import load_file

from pcm_leukemia import Dataset
from pcm_leukemia.baselines import config
from pcm_leukemia.baselines.classifiers import low_rank
from pcm_leukemia.baselines.classifiers import timm as classifiers
from pcm_leukemia.baselines.classifiers.backbones import backbone
from pcm_leukemia.baselines.classifiers.network import FILE, CellClassifier, Network
from pcm_leukemia.errors import MissingExtra

TINY: dict[str, Any] = {
    "model": "test_vit",
    "strategy": "lora",
    "lora_rank": 2,
    "image_size": 32,
    "batch": 8,
    "precision": "32-true",
}


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return draw(tmp_path_factory.mktemp("dots"))


def numbers(**changes: Any) -> Any:
    return config.settings(config.find("timm"), "smoke", {**TINY, **changes})


def start(folder: Path, model: str) -> Path:
    torch.manual_seed(6)
    torch.save(timm.create_model(model, num_classes=0).state_dict(), folder / "start.pth")
    return folder / "start.pth"


@pytest.mark.trains
def test_linear_layers_change_by_little_rank_and_nothing_else_changes(
    dots: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = start(tmp_path, "test_vit")
    settings = numbers(weights=str(weights), probe_epochs=2, epochs=4, lora_lr=0.02)
    record = classifiers.train(job(dots, tmp_path / "run"), settings)
    assert record["probe"]["epochs"] == 2
    rows = (tmp_path / "run" / "logs" / "tune.csv").read_text().splitlines()
    losses = [float(row.split(",")[2]) for row in rows[1:]]
    assert losses[-1] < losses[0]
    # merged: the names are those of the model alone
    before = backbone("test_vit", weights, image_size=32).module.state_dict()
    kept = load_file(tmp_path / "run" / FILE)
    after = {
        name.removeprefix("backbone."): value for name, value in kept.items() if name.startswith("backbone.")
    }
    assert before.keys() == after.keys()
    changes = {name: after[name] - value for name, value in before.items()}
    changed = {name for name, change in changes.items() if change.abs().max() > 0}
    network = Network(backbone("test_vit", "none", image_size=32), 8)
    assert changed == {f"{name}.weight" for name in low_rank.linear_layers(network)}
    for name in changed:
        values = torch.linalg.svdvals(changes[name])
        assert values[2:].max() < 1e-4 * values[0], name
    # predicting needs no peft
    monkeypatch.setitem(sys.modules, "peft", None)
    classifier = classifiers.load(tmp_path / "run", settings, EIGHT, "cpu")
    assert isinstance(classifier, CellClassifier)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert classifier.probabilities(pixels).sum(1).tolist() == pytest.approx([1, 1])
    assert all(weight.requires_grad for weight in classifier.network.parameters())


@pytest.mark.parametrize("model", ["test_vit", "swin_tiny_patch4_window7_224", "beit_base_patch16_224"])
def test_it_begins_as_it_was_and_ends_as_it_became(model: str) -> None:
    """BEiT's attention uses the weights of layers that do not run."""
    network = Network(backbone(model, "none", image_size=64), 8)
    names, pixels = list(network.state_dict()), torch.rand(1, 3, 64, 64)

    def said() -> torch.Tensor:
        with torch.no_grad():
            return network.eval().features(pixels)

    before = said()
    low_rank.add(network, rank=4, alpha=8, seed=0)
    torch.testing.assert_close(said(), before)
    network.train()(pixels).sum().backward()
    learned = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    assert all("lora_" in name or name.startswith("head.") for name in learned)
    assert all(weight.grad is not None for weight in learned.values())
    with torch.no_grad():
        for name, weight in learned.items():
            if "lora_B" in name:
                weight.normal_(std=0.05)
    became = said()
    assert (became - before).abs().max() > 1e-3
    low_rank.merge(network)
    torch.testing.assert_close(said(), became, rtol=1e-4, atol=1e-5)
    assert list(network.state_dict()) == names
    assert all(weight.requires_grad for weight in network.parameters())
    assert network.train().backbone.training


def test_the_scale_is_alpha_over_rank() -> None:
    changes = []
    for rank, alpha in ((4, 4), (4, 8)):
        torch.manual_seed(0)
        network = Network(backbone("test_vit", "none", image_size=32), 8)
        before = network.backbone.state_dict()["blocks.0.mlp.fc1.weight"].clone()
        low_rank.add(network, rank=rank, alpha=alpha, seed=3)
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if "lora_A" in name:
                    assert weight.shape[0] == rank
                if "lora_B" in name:
                    weight.fill_(0.1)
        low_rank.merge(network)
        changes.append(network.backbone.state_dict()["blocks.0.mlp.fc1.weight"] - before)
    torch.testing.assert_close(2 * changes[0], changes[1], rtol=1e-4, atol=1e-5)


def test_a_frozen_backbone_keeps_the_statistics_of_its_batch_norms() -> None:
    network = Network(backbone("mobilevit_xxs", "none", image_size=64), 8)  # has both kinds of layers
    low_rank.add(network, rank=2, alpha=2, seed=0)
    before = {name: value.clone() for name, value in network.named_buffers() if "running" in name}
    assert before
    network.train()(torch.rand(2, 3, 64, 64))
    assert network.head.training
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers() if name in before)


def test_a_model_without_linear_layers_is_refused_at_once(dots: Dataset, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match="^setting strategy: lora adapts linear layers, but resnet10t has none; use lp\\+ft, or a transformer$",
    ):
        classifiers.train(job(dots, tmp_path / "run"), numbers(model="resnet10t"))
    assert not (tmp_path / "run" / "cache").exists()


def test_without_peft_it_is_named_at_once(
    dots: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra) as raised:
        classifiers.train(job(dots, tmp_path / "run"), numbers())
    assert str(raised.value) == str(MissingExtra("peft", "baselines"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lora_rank": 0}, "setting lora_rank: is 0; give 1 or more"),
        ({"lora_alpha": 0}, "setting lora_alpha: is 0; give 1 or more"),
        ({"lora_lr": 0}, "setting lora_lr: is 0.0; give more than 0"),
        ({"epochs": 0, "probe_epochs": 0}, "setting epochs: is 0; give 1 or more, or 0 after linear probing"),
    ],
)
def test_settings_out_of_their_range(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        numbers(**changes)
