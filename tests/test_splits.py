"""Splits: no patient in two parts, whatever the data; balanced, repeatable, and written down."""

from __future__ import annotations

import pytest

from pcm_leukemia import splits
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import LeakySplit
from pcm_leukemia.schema import Cell, Image, ImageId, Patient, PatientId, Split
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE


def dataset(*patients: tuple[str, int, dict[str, int]]) -> Dataset:
    """(id, images, cells by label) each -> a data set; cells go to the patient's images in turn."""
    images, cells = [], []
    for patient, count, labels in patients:
        ids = [ImageId(f"{patient}/{number:04d}.png") for number in range(count)]
        images += [Image(image, 100, 80, PatientId(patient)) for image in ids]
        flat = [label for label in NINE.labels for _ in range(labels.get(label, 0))]
        cells += [Cell(ids[n % count], n, label, Box(1, 2, 30, 40)) for n, label in enumerate(flat)]
    return Dataset(
        "demo", NINE, tuple(images), tuple(cells), tuple(Patient(PatientId(p)) for p, _, _ in patients)
    )


def split_of(ds: Dataset, parts: dict[str, str], **made: str) -> Split:
    """Image id prefix -> part."""
    return Split(
        "demo",
        {
            image.id: next(part for start, part in parts.items() if image.id.startswith(start))
            for image in ds.images
        },
        made,
    )


TWO = dataset(("A", 3, {"Lymphocyte": 2}), ("B", 2, {}))


def test_require_sound_names_every_leaking_patient_and_both_parts() -> None:
    split = split_of(TWO, {"A/0000": "test", "A": "train", "B/0000": "val", "B": "train"})
    with pytest.raises(LeakySplit) as caught:
        splits.require_sound(TWO.with_split(split))
    assert str(caught.value).splitlines() == [
        (
            'split "demo" patient "A": stands in train (2 images) and test (1 image); '
            "put all of them into one part, or make the split with splits.by_patient"
        ),
        (
            'split "demo" patient "B": stands in train (1 image) and val (1 image); '
            "put all of them into one part, or make the split with splits.by_patient"
        ),
    ]


def test_training_may_share_patients_with_validation_only_if_the_split_says_so_and_never_with_test() -> None:
    shared = split_of(TWO, {"A/0000": "val", "A": "train", "B": "test"}, val_unit="image")
    splits.require_sound(TWO.with_split(shared))
    leaking = split_of(TWO, {"A/0000": "val", "A": "train", "B/0000": "test", "B": "val"}, val_unit="image")
    assert [problem.where for problem in splits.check(TWO, leaking)] == ['split "demo" patient "B"']


def test_data_without_a_split_is_sound() -> None:
    splits.require_sound(TWO)
