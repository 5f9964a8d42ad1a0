"""How exact intervals cover, how far corrected shares err, and how long a differential of 20,000 images takes.

The classifiers that confuse cells: the validation confusion of the smoke preset of resnet50, from tests/differential, and one
whose errors are spread over all classes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, differential
from pcm_leukemia.converters import coco
from pcm_leukemia.differential import Differential, Predictions
from pcm_leukemia.schema import ImageId, PatientId

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "differential"))
from test_confusion import BLASTS, SMOKE, Simulated


def coverage(patients: int) -> None:
    """Print how often Clopper-Pearson intervals contain the share: exactly, and among simulated patients."""
    rng = np.random.default_rng(0)
    print("| cells | shares, % | least | mean | most | simulated |")
    print("|---|---|---|---|---|---|")
    for cells in (100, 200, 500, 1000):
        counts = np.arange(cells + 1)
        low, high = differential.clopper_pearson(counts, cells)
        for least, most in ((0.01, 0.1), (0.1, 0.9)):
            exact = [
                100 * stats.binom.pmf(counts, cells, share)[(low <= share) & (share <= high)].sum()
                for share in np.linspace(least, most, 401)
            ]
            truth = rng.uniform(least, most, patients)
            found = rng.binomial(cells, truth)
            inside = 100 * ((low[found] <= truth) & (truth <= high[found])).mean()
            shown = f"{min(exact):.1f} | {np.mean(exact):.1f} | {max(exact):.1f} | {inside:.1f}"
            print(f"| {cells} | {100 * least:.0f} to {100 * most:.0f} | {shown} |")


def spread() -> npt.NDArray[np.int64]:
    """The confusion of a classifier that is right in 70 % of each class, and whose errors are in all classes."""
    rng = np.random.default_rng(0)
    rows = np.diag(np.full(8, 70))
    for row in range(8):
        rows[row, np.arange(8) != row] += rng.multinomial(30, rng.dirichlet(np.full(7, 0.5)))
    return rows


def correction(patients: int, draws: int, confused: npt.NDArray[np.int64]) -> None:
    """Print how far shares are from the truth, and how often intervals of corrected ones contain it."""
    print(
        "| cells | validation | raw error | corrected error | ratio | interval, classes | interval, blasts |"
    )
    print("|---|---|---|---|---|---|---|")
    for validation, each in ((5, 70), (20, 100)):
        for cells in (50, 100, 200, 500):
            smears = Simulated(confused)
            errors, inside, together = [], [], []
            for number in range(patients):
                if number % 10 == 0:
                    correct = smears.confusion(validation, each).correction(draws, seed=number)
                shares, predicted = smears.patient_of(cells)
                truth = shares.sampled / cells
                adjusted = correct.adjust([*predicted, 0], number)
                errors.append(
                    (
                        np.abs(predicted / cells - truth).sum() / 2,
                        np.abs(adjusted.shares - truth).sum() / 2,
                    )
                )
                low, high = np.percentile(adjusted.draws, (2.5, 97.5), axis=0)
                low, high = np.minimum(low, adjusted.shares), np.maximum(high, adjusted.shares)
                inside.append((low <= shares.blood) & (shares.blood <= high))
                blasts = adjusted.draws[:, BLASTS].sum(axis=1)
                least, most = np.percentile(blasts, (2.5, 97.5))
                together.append(least <= shares.blood[BLASTS].sum() <= most)
            raw, corrected = 100 * np.mean(errors, axis=0)
            shown = f"{raw:.2f} | {corrected:.2f} | {corrected / raw:.2f} | {100 * np.mean(inside):.1f} | {100 * np.mean(together):.1f}"
            print(f"| {cells} | {validation} patients with {each} | {shown} |", flush=True)


def speed(images: int) -> None:
    """Print how long counting and writing take."""
    people = tuple(Patient(PatientId(f"P{number}")) for number in range(max(images // 200, 1)))
    rng = np.random.default_rng(0)
    pictures = tuple(
        Image(ImageId(f"{number}.png"), 1920, 1080, people[number % len(people)].id)
        for number in range(images)
    )
    labels = rng.integers(0, 9, (images, 2)).tolist()
    cells = tuple(
        Cell(image.id, place, NINE.labels[label], Box(9, 9, 90, 90))
        for image, pair in zip(pictures, labels, strict=True)
        for place, label in enumerate(pair)
    )
    ds = Dataset("large", NINE, pictures, cells, people)
    results = tuple(coco.Result(cell.image, cell.label, (9.0, 9.0, 90.0, 90.0), 0.9) for cell in cells)
    confusion = Simulated(SMOKE).confusion(20, 100)
    read = Predictions(ds, results)
    ways: dict[str, Callable[[], Differential]] = {
        "annotated": lambda: differential.count(ds),
        "predicted": lambda: differential.count_predictions(read),
        "corrected": lambda: differential.count_predictions(read, confusion=confusion),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, count in ways.items():
            start = time.perf_counter()
            differential.write(count(), Path(folder) / name)
            took = time.perf_counter() - start
            print(f"{name}: {images:,} images of {len(people):,} patients in {took:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--corrected", type=int, default=200, help="simulated patients with corrected shares")
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--images", type=int, default=20_000)
    asked = parser.parse_args()
    coverage(asked.patients)
    speed(asked.images)
    correction(asked.corrected, asked.draws, SMOKE)
    correction(asked.corrected, asked.draws, spread())
