"""Our detection scores compared with pycocotools, on a test set of the paper's size, in one run.

    python benchmarks/detection_scores.py [--images 2636] [--cells 7733] [--predictions 100]

Cells and predictions are random, in nine classes; most cells have a prediction near them. Both start from arrays
in memory; the script checks that they give the same twelve numbers. Our time includes what pycocotools does not
compute (curves, confusion matrix, cells found), and is measured with and without the intervals.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.metrics.detection import score
from pcm_leukemia.schema import ImageId, PatientId

PATIENTS = 70
WIDTH, HEIGHT = 1920, 1080


def draw(images: int, cells: int, predictions: int) -> tuple[Dataset, dict[ImageId, Detections]]:
    rng = np.random.default_rng(0)
    labels = NINE.labels
    rows, all_cells, found = [], [], {}
    numbers = rng.multinomial(cells, np.full(images, 1 / images)).tolist()
    for number, here in enumerate(numbers):
        patient = PatientId(f"P{number % PATIENTS:02}")
        image = Image(ImageId(f"{patient}/{number:05}.jpg"), WIDTH, HEIGHT, patient=patient)
        rows.append(image)
        count = max(predictions, here)
        boxes = rng.uniform(0, 1, (count, 4)) * [1700, 900, 100, 100] + [0, 0, 60, 60]
        classes = rng.integers(0, len(labels), count)
        scores = rng.uniform(0, 0.5, count)
        for place in range(here):
            x, y, width, height = boxes[place].tolist()
            all_cells.append(Cell(image.id, place, labels[classes[place]], Box(x, y, x + width, y + height)))
        boxes[:here] += rng.normal(0, 6, (here, 4))
        scores[:here] = rng.beta(5, 2, here)
        boxes[:, 2:] += boxes[:, :2]
        order = np.argsort(-scores, kind="stable")[:predictions]
        parts = boxes[order].astype(np.float32), scores[order].astype(np.float32), classes[order]
        found[image.id] = Detections(*parts)
    patients = tuple(
        Patient(patient) for patient in sorted({image.patient for image in rows if image.patient})
    )
    return Dataset("drawn", NINE, tuple(rows), tuple(all_cells), patients), found


def theirs(ds: Dataset, found: dict[ImageId, Detections]) -> Any:
    annotations = [
        {
            "id": len(ds.cells) - left,
            "image_id": number,
            "category_id": NINE.ids[cell.label] + 1,
            "bbox": [cell.box.x1, cell.box.y1, cell.box.x2 - cell.box.x1, cell.box.y2 - cell.box.y1],
            "area": cell.box.area,
            "iscrowd": 0,
        }
        for left, (number, cell) in enumerate(
            (number, cell) for number, image in enumerate(ds.images, 1) for cell in ds.cells_of(image)
        )
    ]
    blocks = []
    for number, image in enumerate(ds.images, 1):
        boxes, scores, labels = found[image.id]
        wide = boxes.astype(np.float64)
        wide[:, 2:] -= wide[:, :2]
        blocks.append(np.column_stack([np.full(len(scores), number), wide, scores, labels + 1]))
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {
            "images": [{"id": n, "width": WIDTH, "height": HEIGHT} for n in range(1, len(ds.images) + 1)],
            "categories": [{"id": n, "name": label} for n, label in enumerate(NINE.labels, 1)],
            "annotations": annotations,
        }
        data.createIndex()
        ran = COCOeval(data, data.loadRes(np.concatenate(blocks)), "bbox")
        ran.evaluate()
        ran.accumulate()
        ran.summarize()
    return ran.stats


def timed(run: Callable[[], Any], times: int) -> tuple[float, Any]:
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - start)
    return best, result


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--images", type=int, default=2636)
    arguments.add_argument("--cells", type=int, default=7733)
    arguments.add_argument("--predictions", type=int, default=100, help="predictions for each image")
    given = arguments.parse_args()
    ds, found = draw(given.images, given.cells, given.predictions)
    peer, stats = timed(lambda: theirs(ds, found), 2)
    ours, scores = timed(lambda: score(ds, found, draws=0), 3)
    whole, _ = timed(lambda: score(ds, found), 1)
    mine = np.array([-1 if value is None else value for value in scores.coco.values()])
    if np.abs(mine - stats).max() > 1e-10:
        raise SystemExit(f"the twelve numbers differ: ours {mine}, pycocotools {stats}")
    print(
        f"{given.images:,} images, {given.cells:,} cells, {given.predictions} predictions an image; mAP {mine[0]:.4f}"
    )
    print(f"pycocotools: {peer:.2f} s")
    print(
        f"ours: {ours:.2f} s, {peer / ours:.1f} times as fast, with curves, confusion matrix and cells found"
    )
    print(
        f"ours, with intervals from 1,000 draws of {PATIENTS} patients: {whole:.2f} s, {peer / whole:.2f} times as fast"
    )


if __name__ == "__main__":
    main()
