"""Training images that one loader's worker makes in a second of CPU time, from frames of 1920 x 1080.

    python benchmarks/training_images.py [--images 200]

Each image is read, decoded, augmented and resized as in the paper's training, at 640 px. CPU time is that of one process with
one thread, so that other work on the machine counts little. Twelve workers on twelve cores make about twelve times as many.
The frames are those of benchmarks/crops.py, JPEGs of 0.57 MB on average.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import torch
from crops import make
from ultralytics.cfg import get_cfg
from ultralytics.data import build_yolo_dataset

from pcm_leukemia import Dataset
from pcm_leukemia.baselines import config, yolo11m
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.rtdetrv2_deim.data import Chances, Views
from pcm_leukemia.converters import yolo
from pcm_leukemia.torchdata import Detection


def rate(item: Callable[[int], object], count: int) -> float:
    """Items for each second of CPU time of this process."""
    start = time.process_time()
    for number in range(count):
        item(number)
    return count / (time.process_time() - start)


def rtdetr(ds: Dataset) -> Views:
    settings = config.settings(config.find("rtdetrv2_deim"), "paper", {})
    return Views(Detection(ds), Chances.of(settings), seed=0)


def ultralytics(ds: Dataset, folder: Path) -> torch.utils.data.Dataset[object]:
    yolo.write(ds, folder / "yolo", images="symlink")
    settings = config.settings(config.find("yolo11m"), "paper", {})
    arguments = yolo11m._arguments(Job(ds, ds, folder), settings, folder)  # noqa: SLF001 - those of a training
    cfg: Any = get_cfg(overrides=arguments)
    names = dict(enumerate(ds.taxonomy.labels))
    made: torch.utils.data.Dataset[object] = build_yolo_dataset(
        cfg,
        str(folder / "yolo" / "images"),
        settings.batch,
        {"names": names, "channels": 3},
    )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=200, help="training images of each kind")
    parser.add_argument("--frames", type=int, default=60)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as work:
        frames = Path(work) / "frames"
        frames.mkdir()
        ds = make(frames, given.frames, 95)
        views, peer = rtdetr(ds), ultralytics(ds, Path(work))
        of, count = views.chances, len(ds.images)
        kinds: dict[str, Callable[[int], object]] = {
            "a frame, only read and decoded": lambda number: views.images[number % count],
            f"rtdetrv2_deim, epochs {of.first + 1} to {of.flat}": lambda number: views[
                of.first, number % count
            ],
            f"rtdetrv2_deim, epochs {of.flat + 1} to {of.last}": lambda number: views[
                of.flat, number % count
            ],
            "rtdetrv2_deim, other epochs": lambda number: views[0, number % count],
            "yolo11m with mosaics": lambda number: peer[number % count],
        }
        print("| training images | a second of CPU time | 12 workers, estimated |\n|---|---|---|")
        for name, item in kinds.items():
            rate(item, 20)  # fills ultralytics' buffer, and whatever else is made once
            each = rate(item, given.images)
            print(f"| {name} | {each:.0f} | {12 * each:.0f} |", flush=True)


if __name__ == "__main__":
    main()
