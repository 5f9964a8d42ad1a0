"""Models on the workers of a cluster predict and embed, bit for bit, what they do here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from dask_workers import many_smears

from pcm_leukemia import Dataset, execution, store
from pcm_leukemia.baselines import config, embed, prediction
from pcm_leukemia.baselines.classifiers import network as networks
from pcm_leukemia.baselines.classifiers.backbones import backbone
from pcm_leukemia.baselines.classifiers.crops import Prepare
from pcm_leukemia.baselines.rtdetrv2_deim import model as detectors
from pcm_leukemia.baselines.run import Run

WORKERS = 1
"""It imports torch, which takes a while."""
WHITE = ("Lymphocyte", "Monocyte", "Basophil")


def recorded(folder: Path, ds: Dataset, baseline: str, task: str, labels: tuple[str, ...]) -> Run:
    settings = msgspec.to_builtins(config.settings(config.find(baseline), "smoke", {}))
    asked = {"baseline": baseline, "task": task, "labels": labels, "settings": settings}
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"state": "done", "asked": asked}))
    store.write(ds, folder / "data")
    return Run.open(folder)


def detector(folder: Path, ds: Dataset) -> Run:
    """The run of a detector, as training leaves it, with random weights."""
    torch.manual_seed(5)
    labels = ("Other", "WBC")
    model = detectors.build(detectors.configuration("tiny", labels))
    detectors.initialise(model)
    detectors.write(model, folder / "model")
    return recorded(folder, ds, "rtdetrv2_deim", "wbc", labels)


def classifier(folder: Path, ds: Dataset, seed: int = 3) -> Run:
    torch.manual_seed(seed)
    network = networks.Network(backbone("resnet10t", "none", image_size=48), len(WHITE))
    folder.mkdir(exist_ok=True)
    networks.save(network, folder, WHITE, "resnet10t", Prepare(48), 7)
    return recorded(folder, ds, "resnet50", "classification", WHITE)


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    return many_smears(tmp_path / "images", 33)


def test_predictions(ds: Dataset, tmp_path: Path, cluster: execution.Cluster) -> None:
    runs = [detector(tmp_path / "detector", ds), classifier(tmp_path / "classifier", ds)]
    options: dict[str, Any] = {"threshold": 0.0081, "device": "cpu", "batch": 3}
    here = prediction.predict(runs, ds, **options)
    there = prediction.predict(runs, ds, **options, executor=cluster)
    assert sum(one.label in WHITE for ones in here[0].values() for one in ones) > 20
    assert there == here
    assert list(there[0]) == list(here[0])


def test_a_run_that_was_trained_again_is_loaded_again(
    ds: Dataset, tmp_path: Path, cluster: execution.Cluster
) -> None:
    few = ds.select(images=lambda image: image.id < "05")
    written = []
    for seed in (3, 4):
        run = classifier(tmp_path / "run", few, seed)
        record = json.loads((run.folder / "run.json").read_text()) | {"seconds": seed}
        (run.folder / "run.json").write_text(json.dumps(record))
        for executor in (None, cluster):
            out = tmp_path / f"{seed}-{executor is None}.parquet"
            embed(Run.open(run.folder), few, out, device="cpu", batch=4, executor=executor)
            written.append(out.read_bytes())
    assert written[0] == written[1]
    assert written[2] == written[3]
    assert written[0] != written[2]


def test_embeddings_of_a_model(
    ds: Dataset, tmp_path: Path, cluster: execution.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ds = replace(ds, root=Path("images"))  # the workers have another current folder
    for name, executor in (("here", None), ("there", cluster)):
        options: dict[str, Any] = {"weights": "none", "image_size": 32, "device": "cpu", "batch": 7}
        embed("resnet10t", ds, f"{name}.parquet", **options, executor=executor)
    assert Path("here.parquet").read_bytes() == Path("there.parquet").read_bytes()
