"""All benchmarks for a GPU in one command; prints tables for docs/measured.md and keeps all runs in a folder.

    python benchmarks/gpu.py OUT --bccd ../shared/data/bccd-cvat-images-1.1.zip [--only learn speed memory]

- learn: YOLO11n and RT-DETRv2-R18 with DEIM from scratch on the white cells of BCCD, scored on held-out frames (blocks
  of ten frame numbers act as patients); ResNet50 and ViT-B from scratch on the crops of a drawn sample.
- speed: the ratios of the other scripts, on the GPU: the training loops compared with a batch already on the device,
  linear probing on stored features, two stages compared with the naive loop.
- memory: the paper's full configurations at their batch sizes, from scratch, for one short epoch, as recorded in the
  run. They must fit the paper's card, 24 GB.

Runs that are complete in OUT are not repeated.
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

import torch

import pcm_leukemia as pcm
from pcm_leukemia import Dataset, Patient, sample, splits
from pcm_leukemia.baselines import evaluation, training
from pcm_leukemia.schema import PatientId, Taxonomy

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
SCRATCH = {"weights": "none"}
SCRIPTS = (
    ("baselines_detectors.py", "--device", "cuda"),
    ("baselines_classifiers.py", "--device", "cuda"),
    ("two_stage.py", "--device", "cuda", "--images", "96"),
)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--bccd", type=Path, help="the CVAT export of BCCD")
    parser.add_argument("--only", nargs="*", default=["learn", "speed", "memory"])
    parser.add_argument("--epochs", type=int, default=60, help="epochs of each model trained from scratch")
    parser.add_argument("--device", default="cuda", help="cpu to try the script")
    parser.add_argument("--workers", type=int, default=12)
    return parser.parse_args()


def bccd(export: Path) -> Dataset:
    """BCCD's white cells; ten consecutive frame numbers act as one patient."""
    ds = pcm.load_dataset(export, taxonomy="declared", name="bccd")
    ds = ds.relabel(
        {label: None for label in ds.taxonomy.labels if label != "WBC"}, Taxonomy("wbc", ("WBC",))
    )
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


def learned(name: str, ds: Dataset, out: Path, asked: argparse.Namespace, **changes: Any) -> str:
    """Train from scratch, score on the test part, and return a row with the scores, time and memory."""
    baseline = name.split(maxsplit=1)[0]
    folder = out / "learn" / re.sub(r"\W+", "-", name)
    settings = {**SCRATCH, "epochs": asked.epochs, **changes}
    run = training.train(
        baseline, ds, folder, settings=settings, device=asked.device, workers=asked.workers, progress=False
    )
    found = evaluation.evaluate(run, ds, "test", device=asked.device, workers=asked.workers)
    took, peak = run.record["seconds"], run.record["peak_memory_mib"].get("gpu", 0)
    if found.detection is not None:
        scores = found.detection
        text = f"mAP50-95 {100 * (scores.overall.ap or 0):.1f}, AP50 {100 * (scores.overall.ap50 or 0):.1f}"
    else:
        assert found.classification is not None
        text = f"accuracy {100 * found.classification.accuracy:.1f}, macro F1 {100 * found.classification.macro_f1:.1f}"
    return f"| {name} | {ds.name} | {text} | {took:.0f} s | {peak:,} MiB |"


def learn(asked: argparse.Namespace) -> None:
    print("| model | data | held out | time | GPU memory |\n|---|---|---|---|---|", flush=True)
    if asked.bccd:
        frames = bccd(asked.bccd)
        print(learned("yolo11m yolo11n", frames, asked.out, asked, model="yolo11n", patience=0), flush=True)
        r18 = {
            "model": "r18vd",
            "lr": 4e-4,
            "backbone_lr": 4e-4,
            "warmup_steps": 200,
            "ema_warmup_steps": 200,
            "ema_decay": 0.999,
        }
        flat = {"no_augment_first": 2, "flat_epochs": round(0.57 * asked.epochs)}
        print(learned("rtdetrv2_deim r18vd", frames, asked.out, asked, **r18, **flat), flush=True)
    crops = drawn(asked.out, 48, 384)
    for strategy in ("direct", "lp+ft"):
        for baseline, model in (("resnet50", "resnet50"), ("dinobloom", "base")):
            name = f"{baseline} {model} {strategy}"
            print(learned(name, crops, asked.out, asked, model=model, strategy=strategy, lr=1e-4), flush=True)


def speed(asked: argparse.Namespace) -> None:
    here = Path(__file__).parent
    for script, *words in SCRIPTS:
        there = [word if word != "cuda" else asked.device for word in words]
        print(f"\n$ python benchmarks/{script} {' '.join(there)}", flush=True)
        done = subprocess.run([sys.executable, here / script, *there], cwd=here, check=False)
        if done.returncode:
            print(f"benchmarks/{script}: failed with status {done.returncode}", flush=True)


def memory(asked: argparse.Namespace) -> None:
    """Run one short epoch of each configuration of the paper."""
    ds = drawn(asked.out, 24, 96)
    print("\n| configuration | GPU memory | fits 24 GB |\n|---|---|---|")
    for baseline, changes in (
        ("yolo11m", {}),
        ("rtdetrv2_deim", {"warmup_steps": 2, "no_augment_first": 0, "flat_epochs": 1, "no_augment_last": 0}),
        ("resnet50", {}),
        ("dinobloom", {"probe_epochs": 1}),
    ):
        run = training.train(
            baseline,
            ds,
            asked.out / "memory" / baseline,
            settings={**SCRATCH, "epochs": 1, **changes},
            device=asked.device,
            workers=asked.workers,
        )
        peak = run.record["peak_memory_mib"].get("gpu", 0)
        batch = run.record["asked"]["settings"]["batch"]
        print(
            f"| {baseline}, batch {batch} | {peak:,} MiB | {'yes' if peak < 24_000 else 'NO'} |", flush=True
        )


def main() -> None:
    asked = options()
    warnings.simplefilter("ignore")
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.device != "cpu":
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}\n")
    for work in (learn, speed, memory):
        if work.__name__ in asked.only:
            work(asked)


if __name__ == "__main__":
    main()
