"""Classifiers: linear probing on kept features beside the per-epoch way, and the training loop beside its own model.

    python benchmarks/baselines_classifiers.py --device cuda [--baseline dinobloom] [--model base] [--batch 64]
        [--image-size 224] [--cells 4096] [--workers 12]

- probe: ten epochs on features that were computed once, beside ten epochs through the frozen backbone; the same
  head comes out of both, but for what augmentation changes.
- loop: an epoch of fine-tuning as `train` does it, beside the same steps (augmented, mixed precision, backward, clipped,
  AdamW) on one batch that is already on the device. What is between them is what the loader costs: at least 0.9
  on a GPU.

Crops are numbers drawn at random, of the size that training keeps them in. Weights are drawn at random.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from pcm_leukemia import NINE, Dataset
from pcm_leukemia.baselines import _classification_loop as loop
from pcm_leukemia.baselines import _classification_network as networks
from pcm_leukemia.baselines import config
from pcm_leukemia.baselines._classification_course import Course
from pcm_leukemia.baselines._crop_augmentation import augment
from pcm_leukemia.baselines._crop_cache import Pictures
from pcm_leukemia.baselines.contract import Job

LABELS = NINE.labels[:-1]
EPOCHS = 3


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--baseline", default="dinobloom")
    parser.add_argument("--model", default="base")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--cells", type=int, default=4096)
    parser.add_argument("--workers", type=int, default=12)
    return parser.parse_args()


def pictures(folder: Path, name: str, cells: int, side: int) -> Pictures:
    rng = np.random.default_rng(0)
    file = folder / f"{name}.npy"
    array = np.lib.format.open_memmap(file, "w+", np.uint8, (cells, 3, side, side))
    for start in range(0, cells, 256):
        array[start : start + 256] = rng.integers(0, 256, array[start : start + 256].shape, dtype=np.uint8)
    array.flush()
    return Pictures(file, rng.integers(0, len(LABELS), cells))


class Bench:
    """One network, one set of crops, and the ways to train."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self.asked, self.folder, self.runs = asked, folder, 0
        baseline = config.find(asked.baseline)
        changes = {
            "model": asked.model,
            "weights": "none",
            "batch": asked.batch,
            "image_size": asked.image_size,
        }
        self.settings: Any = config.settings(baseline, "paper", changes)
        self.build: Any = vars(baseline.module)["backbone"]
        self.train = pictures(folder, "train", asked.cells, asked.image_size)
        self.val = pictures(folder, "val", asked.batch, asked.image_size)

    def network(self) -> networks.Network:
        """A new one."""
        return networks.begin(
            self.build, LABELS, self.asked.model, "none", image_size=self.asked.image_size
        ).to(self.asked.device)

    def seconds(self, **changes: Any) -> float:
        """How long a whole training takes with these settings."""
        self.runs += 1
        ds = Dataset("none", NINE, ())
        job = Job(ds, ds, self.folder / str(self.runs), device=self.asked.device, workers=self.asked.workers)
        settings = type(self.settings)(
            **{
                name: changes.get(name, getattr(self.settings, name))
                for name in self.settings.__struct_fields__
            }
        )
        job.out.mkdir()
        course = Course(replace(job), settings, self.network(), self.train, self.val)
        begun = time.perf_counter()
        course.run()
        return time.perf_counter() - begun

    def held(self, steps: int) -> float:
        """How long as many steps take on one batch that is there already."""
        device, settings = self.asked.device, self.settings
        network = self.network().train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)
        inputs = torch.randint(
            0, 256, (settings.batch, 3, settings.image_size, settings.image_size), dtype=torch.uint8
        )
        inputs = inputs.to(device)
        labels = torch.randint(0, len(LABELS), (settings.batch,), device=device)
        precision = loop.precision_of(settings.precision, device)
        begun = 0.0
        for step in range(steps + 3):
            if step == 3:
                _wait(device)
                begun = time.perf_counter()
            with loop.autocast(precision, device):
                loss = functional.cross_entropy(network(augment(inputs, settings.colour)).float(), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        _wait(device)
        return time.perf_counter() - begun


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def main() -> None:
    asked = options()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(asked, Path(name))
        print(
            f"{asked.baseline} {asked.model}, {asked.cells} crops of {asked.image_size} px, batch {asked.batch}, {asked.device}"
        )
        probe = {"strategy": "lp+ft", "epochs": 0, "probe_epochs": 10}
        kept, anew = bench.seconds(**probe), bench.seconds(**probe, augment_probe=True)
        print(
            f"  probe, features kept  {kept:8.1f} s\n  probe, every epoch    {anew:8.1f} s  ratio {anew / kept:.2f}"
        )
        tune = {"strategy": "direct"}
        one, more = bench.seconds(**tune, epochs=1), bench.seconds(**tune, epochs=1 + EPOCHS)
        steps = EPOCHS * -(-asked.cells // asked.batch)
        trained, held = EPOCHS * asked.cells / (more - one), steps * asked.batch / bench.held(steps)
        print(
            f"  loop                  {trained:8.1f} crops/s\n  held batch            {held:8.1f} crops/s  ratio {trained / held:.2f}"
        )
        if asked.device != "cpu":
            print(f"  peak memory           {torch.cuda.max_memory_reserved() // 2**20:,} MiB")


if __name__ == "__main__":
    main()
