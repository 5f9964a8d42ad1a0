"""All benchmarks for a GPU in one command; prints tables for docs/measured.md and keeps all runs in a folder.

    python benchmarks/gpu.py OUT --bccd ../shared/data/bccd-cvat-images-1.1.zip [--only learn memory speed]
    python benchmarks/gpu.py OUT --bccd BCCD.zip --device cpu --tiny      # tries the script, in minutes

- learn: YOLO11n and RT-DETRv2-R18 with DEIM from scratch on the white cells of BCCD, scored on held-out frames (blocks
  of ten frame numbers act as patients); ResNet50 and ViT-B from scratch on the crops of a drawn sample; RT-DETRv2-R18 on
  the sample's white cells, and two stages of it and each classifier.
- memory: the paper's full configurations at their batch sizes, from scratch: RT-DETRv2 in steps at 800 px, the largest
  size that it draws, the others in one epoch, YOLO's with mosaics. They must fit the paper's card, 24 GB.
- speed: the ratios of the other scripts, on the GPU: the training loops compared with a batch already on the device
  (at least 0.9), linear probing on stored features, two stages compared with the naive loop.

Runs that are complete in OUT are not repeated. With --tiny, all models and data are small; the numbers mean nothing.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import baselines_detectors
import torch

import pcm_leukemia as pcm
from pcm_leukemia import Dataset, Patient, sample, splits
from pcm_leukemia.baselines import evaluation, training
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.schema import PatientId, Taxonomy

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"

# DEIM's rates and epochs for R18, at a smaller batch: BCCD has about 240 training frames, so 60 steps an epoch
R18: dict[str, Any] = {
    "model": "r18vd",
    "epochs": 120,
    "batch": 4,
    "lr": 2e-4,
    "backbone_lr": 2e-4,
    "warmup_steps": 500,
    "ema_warmup_steps": 500,
    "ema_decay": 0.999,
    "flat_epochs": 64,
    "no_augment_last": 3,
}
CLASSIFIERS = (("resnet50", "resnet50"), ("dinobloom", "base"))

TINY: dict[str, dict[str, Any]] = {
    "yolo11m": {"epochs": 1, "image_size": 64},
    "rtdetrv2_deim": {
        "epochs": 2,
        "image_size": 128,
        "no_augment_first": 0,
        "flat_epochs": 1,
        "no_augment_last": 1,
        "mixup": 1.0,
        "multi_scale": True,
        "zoom_out": 0.5,
        "iou_crop": 0.8,
    },
    "resnet50": {"epochs": 1, "image_size": 32},
    "dinobloom": {"epochs": 1, "image_size": 28},
}

SCRIPTS = (
    ("baselines_detectors.py", "", "--model tiny --batch 2 --image-size 128 --images 4 --steps 1"),
    ("baselines_classifiers.py", "", "--turns 1 --batches 2 --set image_size=56"),
    ("two_stage.py", "--images 96", "--images 4 --epochs 1"),
)
"""Each script with its options on a GPU and with --tiny."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--bccd", type=Path, help="the CVAT export of BCCD")
    parser.add_argument("--only", nargs="*", default=["learn", "memory", "speed"])
    parser.add_argument("--device", default="cuda", help="cpu to try the script, with --tiny")
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--tiny", action="store_true", help="small models, few images: tries the script")
    return parser.parse_args()


def bccd(export: Path, *, tiny: bool) -> Dataset:
    """BCCD's white cells; ten consecutive frame numbers act as one patient."""
    ds = pcm.load_dataset(export, taxonomy="declared", name="bccd")
    ds = ds.relabel(
        {label: None for label in ds.taxonomy.labels if label != "WBC"}, Taxonomy("wbc", ("WBC",))
    )
    if tiny:
        ds = ds.select(images=[image.id for image in ds.images[:50]])
    number = {image.id: int(re.findall(r"\d+", image.id)[-1]) for image in ds.images}
    block = {image: f"block {frame // 10:02}" for image, frame in number.items()}
    ds = replace(
        ds,
        images=tuple(replace(image, patient=PatientId(block[image.id])) for image in ds.images),
        patients=tuple(Patient(PatientId(each)) for each in sorted(set(block.values()))),
    )
    return ds.with_split(splits.by_patient(ds, test=0.2, val=0.15, seed=0))


def drawn(out: Path, patients: int, count: int) -> Dataset:
    export = out / f"sample-{patients}-{count}.zip"
    if not export.exists():
        sample.write(export, patients=patients, images=count)
    ds = pcm.load_dataset(export, patients=PATTERN, name="sample")
    return ds.with_split(splits.by_patient(ds, test=0.2, val=0.2, seed=0))


def trained(
    baseline: str,
    ds: Dataset,
    folder: Path,
    asked: argparse.Namespace,
    task: str | None = None,
    **changes: Any,
) -> Run:
    """Train from scratch, or only a little if `tiny`."""
    return training.train(
        baseline,
        ds,
        folder,
        task=task,
        preset="smoke" if asked.tiny else "paper",
        weights="none",
        settings={**changes, **TINY[baseline]} if asked.tiny else changes,
        device=asked.device,
        workers=asked.workers,
    )


def scores(found: evaluation.Evaluation) -> str:
    if found.end_to_end is not None:
        return f"mAP50-95 {100 * (found.end_to_end.overall.ap or 0):.1f}"
    if found.detection is not None:
        overall = found.detection.overall
        return f"mAP50-95 {100 * (overall.ap or 0):.1f}, AP50 {100 * (overall.ap50 or 0):.1f}"
    assert found.classification is not None
    return f"accuracy {100 * found.classification.accuracy:.1f}"


def learned(
    title: str, ds: Dataset, asked: argparse.Namespace, task: str | None = None, **changes: Any
) -> Run:
    """Train from scratch, score on the test part, and print a row with the scores, time and memory."""
    folder = asked.out / "learn" / re.sub(r"\W+", "-", f"{title} {ds.name}")
    if asked.tiny:
        changes.pop("model", None)
    run = trained(title.split(maxsplit=1)[0], ds, folder, asked, task, **changes)
    found = evaluation.evaluate(run, ds, "test", device=asked.device, workers=asked.workers)
    peak = run.record["peak_memory_mib"].get("gpu", 0)
    print(
        f"| {title} | {ds.name} | {scores(found)} | {run.record['seconds']:.0f} s | {peak:,} MiB |",
        flush=True,
    )
    return run


def learn(asked: argparse.Namespace) -> None:
    print("| model | data | held out | time | GPU memory |\n|---|---|---|---|---|", flush=True)
    if asked.bccd:
        frames = bccd(asked.bccd, tiny=asked.tiny)
        learned("yolo11m yolo11n", frames, asked, model="yolo11n", patience=0)
        learned("rtdetrv2_deim r18vd", frames, asked, **R18)
    smears = drawn(asked.out, 8, 24) if asked.tiny else drawn(asked.out, 48, 384)
    detector = learned("rtdetrv2_deim r18vd", smears, asked, "wbc", **R18)
    for strategy in ("direct", "lp+ft"):
        for baseline, model in CLASSIFIERS:
            title = f"{baseline} {model} {strategy}"
            classifier = learned(title, smears, asked, model=model, strategy=strategy, lr=1e-4, epochs=60)
            both = evaluation.evaluate_two_stage(
                detector, classifier, smears, "test", device=asked.device, workers=asked.workers
            )
            print(f"| two stages, {title} | {smears.name} | {scores(both)} | | |", flush=True)


def speed(asked: argparse.Namespace) -> None:
    here, failed = Path(__file__).parent, []
    for script, words, tiny in SCRIPTS:
        there = f"--device {asked.device} --workers {asked.workers} {tiny if asked.tiny else words}".split()
        print(f"\n$ python benchmarks/{script} {' '.join(there)}", flush=True)
        done = subprocess.run([sys.executable, here / script, *there], cwd=here, check=False)
        if done.returncode:
            failed.append(f"benchmarks/{script}: failed with status {done.returncode}")
    if failed:
        raise SystemExit("\n".join(failed))


def memory(asked: argparse.Namespace) -> None:
    """The peak of each configuration of the paper, at the settings that need most."""
    ds = drawn(asked.out, 8, 24) if asked.tiny else drawn(asked.out, 24, 96)
    print("\n| configuration | GPU memory | fits 24 GB |\n|---|---|---|", flush=True)
    configurations: dict[str, dict[str, Any]] = {
        "yolo11m": {"epochs": 1, "no_augment_last": 0},
        "resnet50": {"epochs": 1},
        "dinobloom": {"epochs": 1, "probe_epochs": 1},
    }
    for baseline, changes in configurations.items():
        run = trained(baseline, ds, asked.out / "memory" / baseline, asked, **changes)
        batch = run.record["asked"]["settings"]["batch"]
        row(f"{baseline}, batch {batch}", run.record["peak_memory_mib"].get("gpu", 0))
    sizes = {"model": "tiny", "batch": 2, "image_size": 128} if asked.tiny else baselines_detectors.PAPER
    given = argparse.Namespace(**sizes, device=asked.device, workers=asked.workers, precision="auto")
    view = ds.task("wbc").part("train")
    detector = baselines_detectors.training_of(view, asked.out / "memory" / "rtdetrv2_deim", given)
    largest, peak = baselines_detectors.peak(detector)
    row(f"rtdetrv2_deim, batch {given.batch}, {largest} px", peak)


def row(configuration: str, peak: int) -> None:
    fits = ("yes" if peak < 24_000 else "NO") if peak else "not known: there is no GPU"
    print(f"| {configuration} | {peak:,} MiB | {fits} |", flush=True)


def main() -> None:
    asked = options()
    warnings.simplefilter("ignore")
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.device != "cpu":
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}\n")
    if asked.tiny:
        print("tiny models in place of those named: the numbers mean nothing\n")
    for work in (learn, memory, speed):
        if work.__name__ in asked.only:
            work(asked)


if __name__ == "__main__":
    main()
