"""The training loop of a detector compared with the same step on a batch already on the device, and its memory.

    python benchmarks/baselines_detectors.py --device cuda [--model r50vd] [--batch 16] [--image-size 640]
        [--workers 12] [--images 256] [--steps 60]

The difference is the cost of reading, augmenting and sending images. The loader must not be the limit: a ratio of
at least 0.9 on a GPU. Both run the full training step (mixing, forward, loss, backward, clipping, averaging) at one
size, in an epoch with mosaics and mixup. They alternate, and the median of five turns counts. Frames are those of
benchmarks/crops.py, 1920 x 1080, as JPEG and as PNG. Weights are random.

Memory is the peak of a step at the largest size of multi-scale training, including everything that training holds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import msgspec
import PIL.Image
import torch
from crops import make

from pcm_leukemia.baselines import config
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.rtdetrv2_deim import augmentation
from pcm_leukemia.baselines.rtdetrv2_deim.data import Batch
from pcm_leukemia.baselines.rtdetrv2_deim.training import Training, fabric_of
from pcm_leukemia.baselines.rtdetrv2_deim.weights import starting_model
from pcm_leukemia.dataset import Dataset

TURNS = 5
PAPER = {"model": "r50vd", "batch": 16, "image_size": 640}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", default=PAPER["model"])
    parser.add_argument("--batch", type=int, default=PAPER["batch"])
    parser.add_argument("--image-size", type=int, default=PAPER["image_size"])
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--steps", type=int, default=60, help="steps in each turn")
    parser.add_argument("--precision", default="auto")
    return parser.parse_args()


def as_png(ds: Dataset, folder: Path) -> Dataset:
    """The same frames as PNG."""
    folder.mkdir()
    for image in ds.images:
        assert isinstance(ds.root, Path)
        PIL.Image.open(ds.root / image.id).save(folder / Path(image.id).with_suffix(".png"), compress_level=1)
    images = tuple(replace(image, file=str(Path(image.id).with_suffix(".png"))) for image in ds.images)
    return replace(ds, images=images, root=folder)


def training_of(ds: Dataset, out: Path, given: argparse.Namespace) -> Training:
    changes = {
        "model": given.model,
        "weights": "none",
        "batch": given.batch,
        "image_size": given.image_size,
        "precision": given.precision,
        "multi_scale": False,
    }
    settings = config.settings(config.find("rtdetrv2_deim"), "paper", changes)
    job = Job(ds, ds, out, device=given.device, workers=given.workers)
    torch.manual_seed(0)
    training = Training(
        fabric_of(job, given.precision), job, settings, starting_model(settings, ds.taxonomy.labels).model
    )
    training.learner.train()
    training.epoch = settings.no_augment_first
    return training


def endless(training: Training) -> Iterator[Batch]:
    """The loader's batches, epoch after epoch."""
    while True:
        training.order.epoch += 1
        yield from training.loader


def rate(training: Training, steps: int, batch: Callable[[], Batch]) -> float:
    """Images a second over `steps` training steps."""
    start = time.perf_counter()
    images = 0
    for _ in range(steps):
        given = batch()
        training.one_step(given)
        images += len(given.images)
    if training.fabric.device.type == "cuda":
        torch.cuda.synchronize()
    return images / (time.perf_counter() - start)


def compare(ds: Dataset, form: str, out: Path, given: argparse.Namespace) -> Training:
    training = training_of(ds, out, given)
    # one order yields all the epochs needed, so that no worker waits for the next epoch
    batches = endless(training)
    training.order.epoch = training.epoch - 1
    held = next(batches)
    for _ in range(3):
        training.one_step(held)
        training.one_step(next(batches))
    loop, alone = [], []
    for _ in range(TURNS):
        loop.append(rate(training, given.steps, lambda: next(batches)))
        alone.append(rate(training, given.steps, lambda: held))
    first, second = statistics.median(loop), statistics.median(alone)
    print(
        f"{form}: training {first:.1f} images/s, the same on one batch {second:.1f}, ratio {first / second:.2f}, at "
        f"least 0.9: {'yes' if first >= 0.9 * second else 'NO'} ({given.workers} workers)",
        flush=True,
    )
    return training


def peak(training: Training) -> tuple[int, int]:
    """The largest size of multi-scale training, in pixels, and the peak of three steps at it, in MiB; 0 on a CPU."""
    on_gpu = training.fabric.device.type == "cuda"
    largest = max(augmentation.scales(training.settings.image_size))
    training.settings = msgspec.structs.replace(training.settings, multi_scale=True)
    batch = next(endless(training))
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with patch.object(augmentation, "scales", lambda _: [largest]):
        for _ in range(3):
            training.one_step(batch)
    return largest, torch.cuda.max_memory_reserved() // 2**20 if on_gpu else 0


def main() -> None:
    given = options()
    device = torch.cuda.get_device_name() if given.device.startswith("cuda") else given.device
    print(
        f"RT-DETRv2 {given.model}, batch {given.batch}, {given.image_size} px, {given.precision}, on {device}"
    )
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "jpg"
        frames.mkdir()
        jpgs = make(frames, given.images, 90)
        for form, ds in (("jpg", jpgs), ("png", as_png(jpgs, Path(folder) / "png"))):
            training = compare(ds, form, Path(folder) / f"run-{form}", given)
        if given.device.startswith("cuda"):
            largest, reserved = peak(training)
            print(f"peak memory at {largest} x {largest}: {reserved:,} MiB reserved")


if __name__ == "__main__":
    main()
