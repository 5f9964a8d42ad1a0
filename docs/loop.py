"""From smears to patients' results and back to the annotators, once around: `python docs/loop.py OUT`.

Draws smears, in whose annotations a tenth of the cells has another class, and a twentieth each has no box or a box beside the
cell; only the test part is right. Then it runs the commands that a laboratory would, and prints each. Two things are not
commands: the mistakes, and the annotator, who looks at the suspects only and knows the truth.

The models are small (preset "smoke"), so this takes some minutes on a CPU.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from msgspec import structs

import pcm_leukemia as pcm
from pcm_leukemia import Box, Cell, Dataset
from pcm_leukemia.converters import cvat
from pcm_leukemia.review.matching import iou

PATIENTS = "(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
MODELS = {"detector": "yolo11m --task wbc", "classifier": "resnet50"}


@dataclass(frozen=True)
class Scores:
    """How well a round ended: mean average precision and macro F1 (0 to 100), and how far patients' shares are off (points)."""

    detector: float
    classifier: float
    shares: float


def main() -> None:
    """Read the arguments and go around."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--patients", type=int, default=16)
    parser.add_argument("--images", type=int, default=64)
    given = parser.parse_args()
    given.out.mkdir()
    go_around(given.out, patients=given.patients, images=given.images)


def go_around(out: Path, *, patients: int, images: int) -> None:
    """Run the loop in `out`; what it measured is also in ``loop.json``."""
    truth = annotate(out, patients=patients, images=images)
    data = out / "data"
    wrong = mistakes(truth, data)

    before = learn_and_count(out, "before")
    for name, model in MODELS.items():
        pcm_leukemia(f"train {model} {data} {out}/folds/{name} --preset smoke --folds 2")
    pcm_leukemia(f"suspects {data} {out}/suspects --runs {out}/folds/detector {out}/folds/classifier")

    correct(out / "suspects" / "frames.zip", truth, out / "corrected.zip")
    pcm_leukemia(f"diff {data} {out}/corrected.zip")
    pcm_leukemia(f"import {out}/corrected.zip {data} --update")
    after = learn_and_count(out, "after")

    left = mistakes(truth, data)
    measured = {
        "mistakes": {"before": wrong, "after": left},
        "before": vars(before),
        "after": vars(after),
    }
    (out / "loop.json").write_text(json.dumps(measured, indent=1), encoding="utf-8")
    print(f"\nmistakes in the annotations   {wrong:5} -> {left:5}")
    print(f"detector, mAP 50-95           {before.detector:5.1f} -> {after.detector:5.1f}")
    print(f"classifier, macro F1          {before.classifier:5.1f} -> {after.classifier:5.1f}")
    print(f"patients' shares, mean error  {before.shares:5.1f} -> {after.shares:5.1f} points")


def annotate(out: Path, *, patients: int, images: int) -> Dataset:
    """Draw smears, import them with mistakes as ``data``, and return them without."""
    drawn = pcm.sample.write(out / "drawn.zip", patients=patients, images=images)
    pcm_leukemia(f"import {drawn} {out}/data --patients {shlex.quote(PATIENTS)}")
    pcm_leukemia(f"split {out}/data --test 0.25 --val 0.25")
    truth = pcm.load_dataset(out / "data")
    pcm.store.write(replace(truth, cells=tuple(with_mistakes(truth, Random(0)))), out / "data", replace=True)
    pcm.store.write(truth.part("test"), out / "test")
    pcm_leukemia(f"differential {out}/test {out}/counted")
    return truth


def with_mistakes(ds: Dataset, random: Random) -> Iterator[Cell]:
    """The cells as a careless annotator leaves them; those of the test part are right."""
    classes = [label for label in ds.taxonomy.labels if label != "Other"]
    for cell in ds.cells:
        image = ds.image(cell.image)
        chance = 1.0 if ds.part_of(image) == "test" else random.random()
        if chance < 0.10:
            label = random.choice([each for each in classes if each != cell.label])
            yield structs.replace(cell, label=label, raw_label=label)
        elif chance < 0.15:
            continue
        elif chance < 0.20:
            box, far = cell.box, 0.35 * cell.box.width
            right = far if box.x2 + far < image.width else -far
            yield structs.replace(cell, box=Box(box.x1 + right, box.y1, box.x2 + right, box.y2), shape=None)
        else:
            yield cell


def learn_and_count(out: Path, name: str) -> Scores:
    """Train on the annotations as they are, score, and count the cells of the patients of the test part."""
    runs = out / name
    for model, arguments in MODELS.items():
        pcm_leukemia(f"train {arguments} {out}/data {runs}/{model} --preset smoke")
    both = f"{runs}/detector {runs}/classifier"
    scores = json.loads(pcm_leukemia(f"evaluate {both} {out}/data --json", quiet=True))
    pcm_leukemia(f"predict {both} {out}/test {runs}/found --to coco")
    pcm_leukemia(f"differential {runs}/found {runs}/differential --threshold 0.25")
    macro_f1, detector = scores["classification"]["macro_f1"], scores["detection"]["mAP"]["ap"]
    error = mean_difference(out / "counted", runs / "differential")
    return Scores(100 * detector, 100 * macro_f1, 100 * error)


def mean_difference(one: Path, other: Path) -> float:
    """By how much the shares of the patients' classes differ between two differentials."""
    shares = []
    for folder in (one, other):
        with (folder / "differential.csv").open(encoding="utf-8", newline="") as stream:
            shares.append({(row["patient"], row["label"]): row["share"] for row in csv.DictReader(stream)})
    return statistics.mean(abs(float(shares[0][each]) - float(shares[1][each])) for each in shares[0])


def correct(frames: Path, truth: Dataset, out: Path) -> None:
    """Do an annotator's work: wherever there is a suspect, annotate what is there, and delete the suspect."""
    ds = pcm.load_dataset(frames, labels={"suspect": pcm.IGNORE})
    cells: list[Cell] = []
    for image in ds.images:
        suspects = [cell.box for cell in ds.cells_of(image) if cell.raw_label == "suspect"]
        annotated = [cell for cell in ds.cells_of(image) if cell.raw_label != "suspect"]
        now = [cell for cell in annotated if not touches(cell.box, suspects)]
        now += [cell for cell in truth.cells_of(image.id) if touches(cell.box, suspects)]
        cells += [structs.replace(cell, id=number) for number, cell in enumerate(now)]
    cvat.write(replace(ds, cells=tuple(cells)), out)


def touches(box: Box, others: list[Box]) -> bool:
    """Whether a box overlaps one of the others."""
    return any(iou(box, other) > 0.1 for other in others)


def mistakes(truth: Dataset, data: Path) -> int:
    """How many cells are not as they are in truth."""
    found = pcm.review.diff(truth, pcm.load_dataset(data))
    return len(found.added) + len(found.removed) + len(found.moved) + len(found.relabelled)


def pcm_leukemia(arguments: str, *, quiet: bool = False) -> str:
    """Run a command as in a terminal, and print it and what it prints."""
    print(f"\n$ pcm-leukemia {arguments}", flush=True)
    command = [sys.executable, "-m", "pcm_leukemia", *shlex.split(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    if not quiet:
        print(done.stdout, flush=True)
    return done.stdout


if __name__ == "__main__":
    main()
