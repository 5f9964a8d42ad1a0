"""How close a held-out part is to its share of every class: by_patient and scikit-learn's StratifiedGroupKFold.

The cohorts are simulated: 40 to 120 patients of very different sizes, with the images and the cells
by class of the paper's Tables 2 and 3. `by_patient` runs once, with seed 0, for 15 %.
StratifiedGroupKFold can only hold out 1/k; it makes 7 folds and is measured against its own share of
1/7, in its best case: rows of cells, shuffled, and the closest of all folds of five seeds. Its first fold, which most people take, is listed beside it.

    python benchmarks/splits.py [COHORTS]
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from pcm_leukemia import splits
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import Cell, Image, ImageId, Patient, PatientId
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE

IMAGES = 19_191
CELLS = dict(zip(NINE.labels, (2703, 3665, 1745, 2286, 6420, 3309, 14066, 2595, 3314), strict=True))
"""Source: Tables 2 and 3 of the paper."""

DIAGNOSES = {"Normal": 0.25, "ALL": 0.25, "AML": 0.35, "APL": 0.15}
OWN = {"Lymphoblast": "ALL", "Myeloblast_AML": "AML", "Myeloblast_APL": "APL"}
"""Classes that only patients of one diagnosis have."""

TEST, FOLDS, SEEDS = 0.15, 7, 5

Floats = npt.NDArray[np.float64]


def cohort(seed: int) -> Dataset:
    """One simulated cohort: log-normal patients, the paper's totals."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(40, 121))
    # two of each diagnosis, the others at random
    drawn = rng.choice(list(DIAGNOSES), n - 2 * len(DIAGNOSES), p=list(DIAGNOSES.values()))
    diagnoses = np.concatenate([np.repeat(list(DIAGNOSES), 2), drawn])
    size = rng.lognormal(0, 1, n)
    images_of = 1 + rng.multinomial(IMAGES - n, size / size.sum())
    people = [Patient(PatientId(f"P{row:03d}"), str(diagnosis)) for row, diagnosis in enumerate(diagnoses)]
    ids = [
        [ImageId(f"{who.id}/{k:05d}.png") for k in range(images_of[row])] for row, who in enumerate(people)
    ]
    images = [Image(image, 64, 64, who.id) for who, each in zip(people, ids, strict=True) for image in each]
    cells: list[Cell] = []
    for label, total in CELLS.items():
        weight = size * rng.lognormal(0, 0.7, n)
        if label in OWN:
            weight *= diagnoses == OWN[label]
        else:  # not in every patient, and mostly in healthy ones
            weight *= (rng.random(n) < 0.8) * np.where(diagnoses == "Normal", 4, 1)
        for row, count in enumerate(rng.multinomial(total, weight / weight.sum())):
            for image in rng.integers(len(ids[row]), size=count):
                cells.append(Cell(ids[row][image], len(cells), label, Box(1, 1, 9, 9)))
    return Dataset(f"cohort{seed}", NINE, tuple(images), tuple(cells), tuple(people))


def off(ds: Dataset, inside: set[str], share: float) -> tuple[float, float]:
    """The worst and the mean deviation from `share` over the classes, for the patients `inside`."""
    patient_of = {image.id: image.patient for image in ds.images}
    there = dict.fromkeys(NINE.labels, 0)
    for cell in ds.cells:
        there[cell.label] += patient_of[cell.image] in inside
    distances = [abs(there[label] / total - share) for label, total in CELLS.items()]
    return max(distances), sum(distances) / len(distances)


def ours(ds: Dataset) -> tuple[float, float]:
    """The deviations of by_patient's test part."""
    split = splits.by_patient(ds, test=TEST, seed=0)
    inside = {str(image.patient) for image in ds.images if split.part_of[image.id] == "test"}
    return off(ds, inside, TEST)


def theirs(ds: Dataset) -> Iterator[tuple[float, float]]:
    """The deviations of every fold of every seed of StratifiedGroupKFold."""
    patient_of = {image.id: str(image.patient) for image in ds.images}
    labels = np.array([cell.label for cell in ds.cells])
    groups = np.array([patient_of[cell.image] for cell in ds.cells])
    for seed in range(SEEDS):
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        for _, test in folds.split(labels, labels, groups):
            yield off(ds, set(groups[test].tolist()), 1 / FOLDS)


def main(cohorts: int) -> None:
    """Print a line for each way: its mean deviations, and the number of cohorts where by_patient is closer."""
    rows: dict[str, list[tuple[float, float]]] = {
        "by_patient, seed 0": [],
        "best of 35 folds": [],
        "first fold": [],
    }
    seconds = 0.0
    for seed in range(cohorts):
        ds = cohort(seed)
        start = time.perf_counter()
        rows["by_patient, seed 0"].append(ours(ds))
        seconds += time.perf_counter() - start
        candidates = list(theirs(ds))
        rows["best of 35 folds"].append(min(candidates, key=sum))
        rows["first fold"].append(candidates[0])
    table = {way: np.array(each) for way, each in rows.items()}
    mine = table["by_patient, seed 0"]
    print(f"{cohorts} cohorts; deviation in points of share (0.01 is 1 %)")
    print(f"{'':20}{'worst class':>12}{'mean':>8}   by_patient closer, worst and mean")
    for way, each in table.items():
        won = "" if each is mine else "   {} and {} of {}".format(*(mine < each).sum(axis=0), cohorts)
        print(f"{way:20}{each[:, 0].mean():12.4f}{each[:, 1].mean():8.4f}{won}")
    print(f"by_patient: {seconds / cohorts:.2f} s a cohort")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
