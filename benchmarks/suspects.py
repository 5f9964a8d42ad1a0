"""Errors planted in drawn data: how many `suspects` finds, beside cleanlab and hotcoco, from the same models in one run.

    pip install --target CLEANLAB cleanlab==2.9.0 termcolor --no-deps
    PYTHONPATH=CLEANLAB python benchmarks/suspects.py OUT [--seeds 5] [--images 120] [--patients 24] [--folds 2]

For each seed, a hospital is drawn, and 5 % of its cells get another class, 5 % lose their box, 5 % get a box that is moved by a
quarter to nearly half of its side and resized by a fifth; as many boxes are drawn where nothing is. A detector of white cells
(yolo11m) and a classifier (resnet50) are trained by cross-validation on these data, errors included, with the preset "smoke".
OUT keeps the runs, so that a second call trains nothing.

The peers get the same predictions, as the two-stage pipeline gives them: every detection with the classifier's label. cleanlab's
object detection judges with its own thresholds, cleanlab's `find_label_issues` with the classifier's probabilities, hotcoco's
`image_diagnostics` with its default thresholds. Without cleanlab, the lines of cleanlab are left out.

Recall is the share of the errors of a kind that were reported, under whatever kind; precision the share of what was reported
that is an error. A reported missing box is right if it overlaps a removed one by an IoU of 0.3.
"""

from __future__ import annotations

# ruff: noqa: SLF001 - cleanlab says which boxes it flags in its own functions only
import argparse
import contextlib
import importlib.util
import io
import statistics
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hotcoco import COCO, COCOeval
from msgspec import structs

import pcm_leukemia as pcm
from pcm_leukemia import Box, Cell, Dataset, baselines, sample
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.suspects.judges import Classes, Judges
from pcm_leukemia.baselines.two_stage import OTHER, TwoStage
from pcm_leukemia.overlaps import iou
from pcm_leukemia.schema import ImageId

PATIENTS = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
SHARE = 0.05
"""The share of the cells that get an error, of each kind."""
KINDS = ("swapped", "missing", "misplaced", "spurious")
MODELS = {"yolo11m": "wbc", "resnet50": "classification"}


class Planted(NamedTuple):
    """Data with errors: which cells have which error, and the cells that were removed."""

    ds: Dataset
    wrong: dict[tuple[ImageId, int], str]
    removed: list[Cell]


class Reported(NamedTuple):
    """What a method reports: a cell, or a box where one is missing."""

    image: ImageId
    cell: int | None
    box: Box | None = None


def plant(ds: Dataset, seed: int) -> Planted:
    rng = np.random.default_rng([seed, 7])
    count = max(round(SHARE * len(ds.cells)), 1)
    order = [ds.cells[place] for place in rng.permutation(len(ds.cells))]
    swapped, removed, moved = (set(order[n * count : (n + 1) * count]) for n in range(3))
    white = [label for label in ds.taxonomy.labels if label != OTHER]
    cells, wrong = list[Cell](), dict[tuple[ImageId, int], str]()
    for cell in ds.cells:
        if cell in removed:
            continue
        if cell in swapped:
            label = str(rng.choice([each for each in white if each != cell.label]))
            cells.append(structs.replace(cell, label=label, raw_label=label))
            wrong[cell.image, cell.id] = "swapped"
        elif cell in moved:
            cells.append(structs.replace(cell, box=shifted(cell, ds, rng), shape=None))
            wrong[cell.image, cell.id] = "misplaced"
        else:
            cells.append(cell)
    for number in range(10_000, 10_000 + count):
        image = ds.images[rng.integers(len(ds.images))]
        side = rng.uniform(110, 180)
        x, y = rng.uniform(0, image.width - side), rng.uniform(0, image.height - side)
        box = Box(x, y, x + side, y + side)
        if all(iou(box, cell.box) <= 0.02 for cell in ds.cells_of(image)):
            label = str(rng.choice(white))
            cells.append(Cell(image.id, number, label, box, label))
            wrong[image.id, number] = "spurious"
    order_of = {image.id: number for number, image in enumerate(ds.images)}
    cells.sort(key=lambda cell: (order_of[cell.image], cell.id))
    return Planted(replace(ds, cells=tuple(cells)), wrong, list(removed))


def shifted(cell: Cell, ds: Dataset, rng: np.random.Generator) -> Box:
    box, image = cell.box, ds.image(cell.image)
    angle, far, larger = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.45), rng.uniform(0.8, 1.25)
    x = (box.x1 + box.x2) / 2 + far * np.cos(angle) * box.width
    y = (box.y1 + box.y2) / 2 + far * np.sin(angle) * box.height
    width, height = larger * box.width / 2, larger * box.height / 2
    moved = Box(x - width, y - height, x + width, y + height).clip(image.width, image.height)
    return moved or box


# The methods


def ours(ds: Dataset, runs: list[Run]) -> list[Reported]:
    found = baselines.suspects.find(ds, runs, device="cpu").found
    return [Reported(each.image, each.cell, each.suggested_box) for each in found]


def two_stage(ds: Dataset, runs: list[Run]) -> dict[ImageId, Detections]:
    """The labelled detections of each image, from the fold that has not learned from it."""
    found: dict[ImageId, Detections] = {}
    detectors, classifiers = runs[: len(runs) // 2], runs[len(runs) // 2 :]
    for detector, classifier in zip(detectors, classifiers, strict=True):
        held_out = {image.id for image in detector.dataset().part("test").images}
        part = ds.select(images=held_out)
        labelled = TwoStage.of(detector, classifier, device="cpu", threshold=0.01).predict(part)
        other = ds.taxonomy.ids[OTHER]
        found |= {image: each.as_found(other, ranked=False) for image, each in labelled.items()}
    return found


def object_lab(ds: Dataset, found: dict[ImageId, Detections]) -> list[Reported]:
    """The object detection of cleanlab, box by box, with the thresholds by which it flags images."""
    from cleanlab.object_detection import filter as flags
    from cleanlab.object_detection import rank

    count = len(ds.taxonomy.labels)
    labels = [
        {
            "bboxes": np.array([structs.astuple(cell.box) for cell in ds.cells_of(image)]).reshape(-1, 4),
            "labels": np.array([ds.taxonomy.ids[cell.label] for cell in ds.cells_of(image)], int),
            "image_name": image.id,
        }
        for image in ds.images
    ]
    predictions = []
    for image in ds.images:
        each = found[image.id]
        rows = np.column_stack([each.boxes, each.scores]).astype(float)
        by_class = np.empty(count, object)
        for label in range(count):
            by_class[label] = rows[each.labels == label]
        predictions.append(by_class)
    inputs = rank._get_valid_inputs_for_compute_scores(flags.ALPHA, labels, predictions)
    precision = flags._get_per_class_ap(labels, predictions)
    given = flags._process_class_list([rank._separate_label(each)[1] for each in labels], precision)
    seen = flags._process_class_list([rank._separate_prediction(each)[1] for each in predictions], precision)
    overlooked = flags._find_label_issues_per_box(
        rank.compute_overlooked_box_scores(auxiliary_inputs=inputs), seen, flags.OVERLOOKED_THRESHOLD_FACTOR
    )
    badly = flags._find_label_issues_per_box(
        rank.compute_badloc_box_scores(auxiliary_inputs=inputs), given, flags.BADLOC_THRESHOLD_FACTOR
    )
    swapped = flags._find_label_issues_per_box(
        rank.compute_swap_box_scores(auxiliary_inputs=inputs), given, flags.SWAP_THRESHOLD_FACTOR
    )
    reported = list[Reported]()
    for number, image in enumerate(ds.images):
        boxes = rank._separate_prediction(predictions[number])[0]
        for box, flagged in zip(boxes, overlooked[number], strict=False):
            if flagged:
                reported.append(Reported(image.id, None, Box(*map(float, box[:4]))))
        for cell, *flagged in zip(ds.cells_of(image), badly[number], swapped[number], strict=False):
            if any(flagged):
                reported.append(Reported(image.id, cell.id))
    return reported


def confident_learning(classes: Classes) -> list[Reported]:
    """The label issues of cleanlab, from the classifier's probabilities."""
    from cleanlab.filter import find_label_issues

    given = np.array([classes.labels.index(cell.label) for cell in classes.cells])
    flagged = find_label_issues(given, classes.probabilities.astype(float))
    return [Reported(cell.image, cell.id) for cell, each in zip(classes.cells, flagged, strict=True) if each]


def image_diagnostics(ds: Dataset, found: dict[ImageId, Detections]) -> list[Reported]:
    numbers = {image.id: number for number, image in enumerate(ds.images, 1)}
    truth = COCO(
        {
            "images": [
                {"id": numbers[image.id], "file_name": image.id, "width": image.width, "height": image.height}
                for image in ds.images
            ],
            "categories": [{"id": n, "name": label} for n, label in enumerate(ds.taxonomy.labels, 1)],
            "annotations": [
                {
                    "id": number,
                    "image_id": numbers[cell.image],
                    "category_id": ds.taxonomy.ids[cell.label] + 1,
                    "bbox": [cell.box.x1, cell.box.y1, cell.box.width, cell.box.height],
                    "area": cell.box.width * cell.box.height,
                    "iscrowd": 0,
                }
                for number, cell in enumerate(ds.cells, 1)
            ],
        }
    )
    rows = [
        {
            "image_id": numbers[image],
            "category_id": int(label) + 1,
            "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
            "score": float(score),
        }
        for image, each in found.items()
        for (x1, y1, x2, y2), score, label in zip(*each, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        judged = COCOeval(truth, truth.load_res(rows), "bbox")
        judged.evaluate()
        errors = judged.image_diagnostics()["label_errors"]
    reported = list[Reported]()
    for each in errors:
        image = ds.images[each["image_id"] - 1].id
        if each["gt_id"] is None:
            x, y, width, height = rows[each["dt_id"] - 1]["bbox"]
            reported.append(Reported(image, None, Box(x, y, x + width, y + height)))
        else:
            reported.append(Reported(image, ds.cells[each["gt_id"] - 1].id))
    return reported


# The result


def judge(planted: Planted, reported: Iterable[Reported]) -> dict[str, float]:
    """The recall of each kind of error, the precision, and how many were reported."""
    found = dict.fromkeys(KINDS, 0)
    left, done, count = list(planted.removed), set[tuple[ImageId, int]](), 0
    for each in dict.fromkeys(reported):
        count += 1
        if each.cell is not None:
            kind = planted.wrong.get((each.image, each.cell))
            if kind and (each.image, each.cell) not in done:
                done.add((each.image, each.cell))
                found[kind] += 1
            continue
        box = each.box
        hit = next((c for c in left if c.image == each.image and box and iou(c.box, box) >= 0.3), None)
        if hit:
            left.remove(hit)
            found["missing"] += 1
    errors = {kind: list(planted.wrong.values()).count(kind) for kind in KINDS}
    errors["missing"] = len(planted.removed)
    recall = {kind: found[kind] / max(errors[kind], 1) for kind in KINDS}
    return {**recall, "precision": sum(found.values()) / max(count, 1), "reported": float(count)}


def results_of(seed: int, asked: argparse.Namespace) -> Iterator[tuple[str, dict[str, float]]]:
    """What each method finds in one hospital."""
    folder = asked.out / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    export = folder / "export.zip"
    if not export.exists():
        sample.write(export, patients=asked.patients, images=asked.images, seed=seed)
    planted = plant(pcm.load_dataset(export, patients=PATIENTS, name="drawn"), seed)
    runs = list[Run]()
    for model, task in MODELS.items():
        out = folder / model
        baselines.cross_validate(
            model, planted.ds, out, asked.folds, task=task, preset="smoke", seed=seed, workers=0, device="cpu"
        )
        runs += baselines.suspects.runs_at(out)
    start = time.perf_counter()
    yield "pcm-leukemia suspects", judge(planted, ours(planted.ds, runs))
    print(f"seed {seed}: suspects took {time.perf_counter() - start:.0f} s")
    found = two_stage(planted.ds, runs)
    yield "hotcoco image_diagnostics", judge(planted, image_diagnostics(planted.ds, found))
    if importlib.util.find_spec("cleanlab"):
        classes = Judges(planted.ds, runs, device="cpu").classify()
        assert classes
        yield "cleanlab object detection", judge(planted, object_lab(planted.ds, found))
        yield "cleanlab find_label_issues", judge(planted, confident_learning(classes))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--folds", type=int, default=2)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # rare classes, and the libraries' own
    all_found: dict[str, list[dict[str, float]]] = {}
    for seed in range(asked.seeds):
        for name, found in results_of(seed, asked):
            all_found.setdefault(name, []).append(found)
            show(f"seed {seed} {name}", found)
    print(f"mean of {asked.seeds} seeds (lowest)")
    for name, each in all_found.items():
        show(name, {key: statistics.mean(one[key] for one in each) for key in each[0]})
        show("  lowest", {key: min(one[key] for one in each) for key in each[0]})


def show(name: str, found: dict[str, float]) -> None:
    numbers = "  ".join(f"{key} {value:.2f}" for key, value in found.items() if key != "reported")
    print(f"{name:34} {numbers}  reported {found['reported']:.0f}", flush=True)


if __name__ == "__main__":
    main()
