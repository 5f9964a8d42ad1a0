"""Two-stage prediction compared with the naive loop, image by image and cell by cell: a ratio from one run.

    python benchmarks/two_stage.py [--device cpu] [--images 48] [--batch 16] [--workers 4] [--epochs 6]

Both use the same two small models (YOLO11n, ResNet18), trained briefly on a drawn sample of 1920 x 1080, and
the same images; they alternate, and the fastest of three passes counts. Both must find the same cells.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

import pcm_leukemia as pcm
from pcm_leukemia import Box, Dataset, images, sample, splits
from pcm_leukemia.baselines import training
from pcm_leukemia.baselines.two_stage import TwoStage

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
PATIENTS = 12


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=6, help="of training")
    return parser.parse_args()


def pipeline(ds: Dataset, folder: Path, device: str, epochs: int) -> TwoStage:
    few = {"epochs": epochs}
    detector = training.train(
        "yolo11m", ds, folder / "wbc", task="wbc", preset="smoke", device=device, settings=few
    )
    classifier = training.train("resnet50", ds, folder / "types", preset="smoke", device=device, settings=few)
    return TwoStage.of(detector, classifier, device=device)


def one_by_one(stages: TwoStage, ds: Dataset) -> int:
    """Decode each image, detect its cells, then cut and classify them one after the other."""
    files, found = images.files_of(ds), 0
    wbc = stages.detector.labels.index("WBC")
    for image in ds.images:
        pixels = images.load(files, image)
        raw = stages.detector.forward(stages.detector.prepare(pixels)[None])
        (seen,) = stages.detector.detections(raw, [(image.width, image.height)], multi_label=False)
        for box, score, label in zip(seen.boxes.tolist(), seen.scores, seen.labels, strict=True):
            if label == wbc and score >= stages.threshold:
                crop = images.crop(pixels, Box(*box), stages.classifier.padding)
                stages.classifier.probabilities(stages.classifier.prepare(crop)[None]).argmax()
                found += 1
    return found


def seconds(work: Callable[[], int]) -> tuple[float, int]:
    begun = time.perf_counter()
    found = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun, found


def main() -> None:
    asked = options()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export = sample.write(
            folder / "export.zip", patients=PATIENTS, images=max(asked.images, 4 * PATIENTS)
        )
        ds = pcm.load_dataset(export, patients=PATTERN)
        stages = pipeline(ds.with_split(splits.by_patient(ds, seed=0)), folder, asked.device, asked.epochs)
        ds = replace(ds.select(images={image.id for image in ds.images[: asked.images]}), split=None)

        def ours() -> int:
            found = stages.predict(ds, batch=asked.batch, workers=asked.workers)
            return sum(len(each.boxes) for each in found.values())

        times: dict[str, float] = {}
        cells = 0
        for _ in range(3):
            for title, work in (("batched", ours), ("one by one", lambda: one_by_one(stages, ds))):
                took, cells = seconds(work)
                times[title] = min(took, times.get(title, took))
    print(f"{len(ds.images)} images, {cells} cells, {asked.device}, batch {asked.batch}")
    for title, took in times.items():
        print(f"  {title:12} {took:7.2f} s  {len(ds.images) / took:6.1f} images/s")
    print(f"  ratio {times['one by one'] / times['batched']:.2f}")


if __name__ == "__main__":
    main()
