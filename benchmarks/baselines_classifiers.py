"""The speed of the classifiers as ratios, and their memory on a GPU.

    python benchmarks/baselines_classifiers.py [--device cuda] [--baselines resnet50 dinobloom] [--preset paper]
        [--workers 8] [--batches 40] [--turns 3] [--set image_size=224 ...]

- probing: linear probing on features computed once, compared with running the frozen backbone in every epoch.
- loop: crops a second in an epoch of fine-tuning, from the file of prepared crops to the optimizer's step, compared
  with the same step on a batch that is already on the device. The loader must not be the limit: at least 0.9 on a GPU.
- memory: on a GPU, the peak of fine-tuning at the batch shown.

The two ways alternate, and the median counts; the first epoch is a warm-up. Crops are noise, weights are random. On
the CPU the preset is "smoke", so that a run takes minutes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcm_leukemia import NINE, Dataset
from pcm_leukemia.baselines import config
from pcm_leukemia.baselines.classifiers import loop
from pcm_leukemia.baselines.classifiers import network as networks
from pcm_leukemia.baselines.classifiers.augmentation import augment
from pcm_leukemia.baselines.classifiers.crops import Draws, Pictures, loader
from pcm_leukemia.baselines.classifiers.phases import Course
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.machine import precision_of

LABELS = NINE.labels[:-1]


class Timed(loop.Learner):
    """Records the duration of each epoch's steps."""

    def on_train_epoch_start(self) -> None:
        """Start the clock after the learner's own start."""
        super().on_train_epoch_start()
        self.seconds: list[float] = getattr(self, "seconds", [])
        self.begun = now(str(self.device))

    def on_validation_start(self) -> None:
        """Stop the clock: Lightning validates within the training epoch."""
        self.seconds.append(now(str(self.device)) - self.begun)


def now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def noise(folder: Path, cells: int, side: int) -> Pictures:
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    file = folder / f"{cells}-{side}.npy"
    if not file.exists():
        array = np.lib.format.open_memmap(file, "w+", np.uint8, (cells, 3, side, side))
        for start in range(0, cells, 64):
            array[start : start + 64] = rng.integers(0, 256, array[start : start + 64].shape, np.uint8)
    return Pictures(file, rng.integers(0, len(LABELS), cells))


class Bench:
    """One baseline at one setting."""

    def __init__(self, name: str, asked: argparse.Namespace, work: Path) -> None:
        changes: Mapping[str, Any] = dict(item.split("=", 1) for item in asked.set)
        model = config.find(name)
        self.settings = config.settings(model, asked.preset, {"weights": "none", **changes})
        self.asked, self.work, self.model = asked, work, model
        side, batch = self.settings.image_size, self.settings.batch
        self.train = noise(work / "crops", asked.batches * batch, side)
        self.val = noise(work / "crops", batch, side)

    def network(self) -> networks.Network:
        """A new network, with the same weights each time."""
        settings: Any = self.settings
        with loop.seeded(0, self.asked.device):
            return networks.starting_network(LABELS, settings.model, "none", image_size=settings.image_size)

    def job(self) -> Job:
        """A job with a folder of its own and no data: the cells come from the file of crops."""
        nothing = Dataset("noise", NINE, ())
        out = Path(tempfile.mkdtemp(dir=self.work))
        return Job(nothing, nothing, out, device=self.asked.device, workers=self.asked.workers)

    def probing(self, *, cached: bool) -> float:
        """Seconds of linear probing, the paper's ten epochs."""
        settings = config.settings(
            self.model,
            self.asked.preset,
            {
                **dict(item.split("=", 1) for item in self.asked.set),
                "weights": "none",
                "strategy": "lp+ft",
                "probe_epochs": 10,
                "epochs": 0,
                "augment_probe": not cached,
            },
        )
        course = Course(self.job(), settings, self.network(), self.train, self.val)
        begun = now(self.asked.device)
        course.run()
        return now(self.asked.device) - begun

    def phase(self, epochs: int) -> loop.Phase:
        """Fine-tuning as in the settings."""
        settings: Any = self.settings
        return loop.Phase(
            name="tune",
            number=1,
            epochs=epochs,
            rate=settings.lr,
            weight_decay=settings.weight_decay,
            warmup=0,
            patience=0,
            precision=precision_of(settings.precision, self.asked.device, without_bfloat16="16-mixed"),
            deterministic=settings.deterministic,
        )

    def learner(self, epochs: int) -> Timed:
        """The learner that Lightning trains."""
        return Timed(
            self.network(),
            self.phase(epochs),
            classes=len(LABELS),
            seed=0,
            steps=self.asked.batches,
            augment=partial(augment, colour=self.settings.color_jitter),
        )

    def training(self) -> float:
        """Crops a second in the second epoch of training."""
        learner, device, workers = self.learner(2), self.asked.device, self.asked.workers
        draws = Draws(len(self.train), self.settings.batch, 0)
        train = loader(self.train, draws, device, workers)
        val = loader(self.val, Draws(len(self.val), self.settings.batch), device, workers)
        loop.run(learner, train, val, self.job(), 1)
        return len(self.train) / learner.seconds[-1]

    def on_the_device(self) -> float:
        """Crops a second of the same step on one batch that is already on the device."""
        device = self.asked.device
        learner = self.learner(1).to(device).train()
        optimizer = learner.configure_optimizers()["optimizer"]
        pictures, labels = self.train[0, list(range(self.settings.batch))]
        pictures, labels = pictures.to(device), labels.to(device)
        before = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(self.settings.deterministic, warn_only=True)
        scaler = torch.amp.GradScaler(device, enabled=learner.phase.precision.startswith("16"))
        begun = 0.0
        for step in range(3 + self.asked.batches):
            if step == 3:
                begun = now(device)
            optimizer.zero_grad()
            assert learner.augment is not None
            with loop.autocast(learner.phase.precision, device):
                logits = learner.model(learner.augment(pictures))
                loss = torch.nn.functional.cross_entropy(logits.float(), labels)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(learner.model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        took = now(device) - begun
        torch.use_deterministic_algorithms(before)
        crops: int = self.asked.batches * self.settings.batch
        return crops / took


def both(one: Callable[[], float], other: Callable[[], float], turns: int) -> tuple[float, float]:
    taken = [(one(), other()) for _ in range(turns)]
    first, second = (statistics.median(column) for column in zip(*taken, strict=True))
    return first, second


def options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments.add_argument("--baselines", nargs="+", default=["resnet50", "dinobloom"])
    arguments.add_argument("--preset", help="default: paper on a GPU, smoke on the CPU")
    arguments.add_argument("--workers", type=int, default=4)
    arguments.add_argument(
        "--batches", type=int, help="batches in an epoch; default: 40 on a GPU, 8 on the CPU"
    )
    arguments.add_argument("--turns", type=int, default=3)
    arguments.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    asked = arguments.parse_args()
    on_gpu = asked.device == "cuda"
    asked.preset = asked.preset or ("paper" if on_gpu else "smoke")
    asked.batches = asked.batches or (40 if on_gpu else 8)
    return asked


def main() -> None:
    asked = options()
    where = (
        torch.cuda.get_device_name() if asked.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    )
    print(f"{where}, torch {torch.__version__}; {asked.batches} batches an epoch, median of {asked.turns}\n")
    print("| baseline | measured | ours | compared with | ratio |\n|---|---|---|---|---|")
    for name in asked.baselines:
        with tempfile.TemporaryDirectory() as work:
            bench = Bench(name, asked, Path(work))
            settings: Any = bench.settings
            shown = f"{name} ({settings.model}, {settings.image_size} px, batch {settings.batch})"
            kept, each = both(
                partial(bench.probing, cached=True), partial(bench.probing, cached=False), asked.turns
            )
            print(
                f"| {shown} | linear probing, 10 epochs | features once: {kept:.1f} s | each epoch: {each:.1f} s "
                f"| {each / kept:.1f} times as fast |",
                flush=True,
            )
            if asked.device == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            ours, there = both(bench.training, bench.on_the_device, asked.turns)
            print(
                f"| {shown} | fine-tuning | loop: {ours:.0f} crops/s | batch on the device: {there:.0f} crops/s "
                f"| {ours / there:.2f}, at least 0.9: {'yes' if ours >= 0.9 * there else 'NO'} |",
                flush=True,
            )
            if asked.device == "cuda":
                print(f"| {shown} | peak memory | {torch.cuda.max_memory_reserved() / 2**30:.1f} GiB | | |")


if __name__ == "__main__":
    main()
