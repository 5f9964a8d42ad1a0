"""Batch-norm statistics of the target: what they are, that labels are not used, and what they bring after a shift."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import PIL.Image
import pytest
import torch
from commands import Run as Command
from msgspec import structs
from smoke_runs import SmokeRuns
from torch import nn

from pcm_leukemia import Dataset, images
from pcm_leukemia.baselines.classifiers import batch_norm
from pcm_leukemia.baselines.classifiers.backbones import backbone
from pcm_leukemia.baselines.classifiers.crops import Prepare
from pcm_leukemia.baselines.classifiers.network import CellClassifier, Network
from pcm_leukemia.baselines.evaluation import evaluate
from pcm_leukemia.baselines.run import Run


def classifier(model: str = "resnet10t") -> CellClassifier:
    torch.manual_seed(0)
    network = Network(backbone(model, "none", image_size=32), 3).eval()
    return CellClassifier(("a", "b", "c"), 10, network, Prepare(32), "cpu", "32-true")


def crops(count: int, batch: int) -> list[torch.Tensor]:
    """Noise, darker from batch to batch."""
    rng = np.random.default_rng(1)
    levels = np.linspace(256, 64, count // batch)
    return [torch.from_numpy(rng.integers(0, level, (batch, 3, 32, 32), np.uint8)) for level in levels]


def norms(of: CellClassifier) -> list[nn.BatchNorm2d]:
    return [layer for layer in of.network.modules() if isinstance(layer, nn.BatchNorm2d)]


def opened(kind: str, model: str = "resnet10t", strategy: str = "direct", epochs: int = 1) -> Run:
    """A run that has not been trained, as far as it is looked at here."""
    fake = SimpleNamespace(folder=Path("runs/one"), baseline=SimpleNamespace(kind=kind))
    fake.settings = SimpleNamespace(strategy=strategy, epochs=epochs)
    fake.classifier = lambda _device: classifier(model)
    return cast(Run, fake)


# ----------------------------------------------------------------------------------------------
# The statistics


def test_they_are_the_mean_over_batches_in_any_order() -> None:
    ours, batches = classifier(), crops(24, 8)
    first = norms(ours)[0]
    seen: list[torch.Tensor] = []
    watch = first.register_forward_pre_hook(lambda _layer, given: seen.append(given[0].detach()))
    for batch in batches:
        ours.probabilities(batch)
    watch.remove()
    adapted = batch_norm.with_statistics_of(ours, batches)
    found = norms(adapted)[0]
    means = torch.stack([each.mean(dim=(0, 2, 3)) for each in seen]).mean(dim=0)
    variances = torch.stack([each.var(dim=(0, 2, 3)) for each in seen]).mean(dim=0)
    torch.testing.assert_close(found.running_mean, means)
    torch.testing.assert_close(found.running_var, variances)
    backwards = batch_norm.with_statistics_of(ours, batches[::-1])
    for name, value in adapted.network.state_dict().items():
        torch.testing.assert_close(backwards.network.state_dict()[name], value)


def test_nothing_but_their_statistics_changes_and_only_in_the_copy() -> None:
    ours = classifier()
    before = {name: value.clone() for name, value in ours.network.state_dict().items()}
    adapted = batch_norm.with_statistics_of(ours, crops(8, 4))
    assert all(torch.equal(ours.network.state_dict()[name], value) for name, value in before.items())
    after = adapted.network.state_dict()
    changed = {
        name.rpartition(".")[2] for name, value in before.items() if not torch.equal(value, after[name])
    }
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}
    assert not any(each.training for each in adapted.network.modules())
    assert [each.momentum for each in norms(adapted)] == [each.momentum for each in norms(ours)]


def test_only_batch_norms_are_in_training_mode_during_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    training: set[type[nn.Module]] = set()
    features = Network.features

    def watched(self: Network, pixels: torch.Tensor) -> torch.Tensor:
        training.update(type(each) for each in self.modules() if each.training)
        return features(self, pixels)

    monkeypatch.setattr(Network, "features", watched)
    ours = classifier()
    ours.network.backbone.add_module("dropout", nn.Dropout(0.5).eval())
    batch_norm.with_statistics_of(ours, crops(8, 4))
    assert training
    assert all(issubclass(each, nn.BatchNorm2d) for each in training)


def test_neighbouring_cells_are_in_different_batches_of_one_size() -> None:
    dealt = batch_norm._dealt(list(range(130)), 64)
    assert [len(each) for each in dealt] == [44, 43, 43]
    assert dealt[0][:3] == [0, 3, 6]
    assert sorted(chain.from_iterable(dealt)) == list(range(130))


# ----------------------------------------------------------------------------------------------
# What is refused


@pytest.mark.parametrize(
    ("run", "cells", "sentence"),
    [
        (
            opened("detector"),
            9,
            r'runs/one: is a detector, and batch_norm="target" is for classifiers; leave it out',
        ),
        (
            opened("classifier", "vit_tiny_patch16_224"),
            9,
            r'runs/one: has no batch norms, whose statistics batch_norm="target" replaces; leave it out',
        ),
        *(
            (
                opened("classifier", strategy=strategy, epochs=epochs),
                9,
                r'runs/one: only its head was trained, on the statistics that batch_norm="target" replaces; .* fine-tune .*',
            )
            for strategy, epochs in (("lp", 9), ("lp+ft", 0))
        ),
        (
            opened("classifier"),
            1,
            r'few: has too few cells for batch_norm="target"; give two or more, or leave it out',
        ),
    ],
)
def test_models_and_data_that_have_no_statistics(run: Run, cells: int, sentence: str) -> None:
    few = cast(Dataset, SimpleNamespace(name="few", cells=[SimpleNamespace(label="Monocyte")] * cells))
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        batch_norm.classifier_for(run, few, "cpu")


# ----------------------------------------------------------------------------------------------
# What they bring


def shifted(ds: Dataset, folder: Path) -> Dataset:
    """The same cells under a dim, reddish lamp, and with a third of the contrast."""
    files = images.files_of(ds)
    for image in ds.images:
        pixels = images.load(files, image).astype(np.float32)
        dim = 0.35 * pixels * np.array([1.0, 0.7, 0.5], np.float32) + 60
        target = folder / str(image.file)
        target.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(dim.astype(np.uint8)).save(target, quality=95)
    return replace(ds, root=folder)


@pytest.fixture
def trained(smoke_runs: SmokeRuns, tmp_path: Path) -> Run:
    """A copy of the smoke run, so that its scores are this test's."""
    smoke = smoke_runs.run("resnet50-classification").folder
    return Run.open(Path(shutil.copytree(smoke, tmp_path / "run", ignore=shutil.ignore_patterns("scores"))))


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.trains
def test_a_shift_costs_accuracy_and_the_target_s_statistics_bring_it_back(
    trained: Run, smoke_runs: SmokeRuns, tmp_path: Path
) -> None:
    before = digests(trained.folder)
    test = smoke_runs.ds.part("test")
    other = shifted(test, tmp_path / "shifted")
    options: dict[str, Any] = {"device": "cpu", "workers": 1}
    at_home = evaluate(trained, test, **options)
    away = evaluate(trained, other, "all", **options)
    adapted = evaluate(trained, other, "all", batch_norm="target", **options)
    home, zero_shot, regained = (
        each.classification.accuracy for each in (at_home, away, adapted) if each.classification
    )
    assert zero_shot < home - 0.2
    assert regained > zero_shot + 0.5 * (home - zero_shot)
    assert "with batch-norm statistics of the target, from its cells without their labels" in str(adapted)
    assert adapted.to_json()["batch_norm"] == "target"
    assert "batch-norm" not in str(away)
    assert "batch_norm" not in away.to_json()
    after = digests(trained.folder)
    assert set(after) - set(before) == {
        "scores/sample-all.json",
        "scores/sample-all-batch-norm-of-target.json",
        "scores/sample-test.json",
    }
    assert {name: after[name] for name in before} == before


@pytest.mark.trains
def test_labels_are_not_used(trained: Run, smoke_runs: SmokeRuns) -> None:
    test = smoke_runs.ds.part("test").task("classification")
    labels = [cell.label for cell in test.cells]
    mixed = [labels[place] for place in np.random.default_rng(0).permutation(len(labels))]
    cells = tuple(structs.replace(cell, label=label) for cell, label in zip(test.cells, mixed, strict=True))
    told, shuffled = (
        batch_norm.classifier_for(trained, ds, "cpu", workers=1).network.state_dict()
        for ds in (test, replace(test, cells=cells))
    )
    assert labels != mixed
    assert all(torch.equal(value, shuffled[name]) for name, value in told.items())


@pytest.mark.trains
def test_the_command(run: Command, trained: Run, smoke_runs: SmokeRuns) -> None:
    data = smoke_runs.folder / "data"
    words = ("--batch-norm", "target", "--device", "cpu", "--workers", "1")
    given = json.loads(run("evaluate", trained.folder, data, *words, "--json").out)
    assert given["batch_norm"] == "target"
    assert (trained.folder / "scores" / "sample-test-batch-norm-of-target.json").is_file()
    crossed = trained.folder.parent / "crossed"
    assert (
        "| run, batch norms of the target | sample | accuracy |"
        in run("cross", trained.folder, crossed, "--targets", data, *words).out
    )
    accuracy, *_ = json.loads((crossed / "cross.json").read_text())
    assert accuracy["batch_norm"] == "target"
    assert accuracy["value"] == given["classification"]["accuracy"]
    refused = run("evaluate", trained.folder, trained.folder, data, *words)
    assert refused.status != 0
    assert "--batch-norm target is for one classifier, not for two stages; leave it out" in refused.err
