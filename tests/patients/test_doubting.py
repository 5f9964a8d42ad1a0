"""A pattern that takes too much or too little of the path gives a patient for each image, or one for all."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import pytest

from pcm_leukemia import NINE, Dataset, Image, checks, patients, splits
from pcm_leukemia.errors import DataWarning
from pcm_leukemia.schema import ImageId

PER_PATIENT = [f"AML/P{patient}/{number}.jpg" for patient in range(8) for number in range(10)]


def dataset(paths: Iterable[str]) -> Dataset:
    return Dataset("smears", NINE, tuple(Image(ImageId(path), 64, 64) for path in paths))


@pytest.mark.parametrize(
    ("paths", "pattern", "kind", "said"),
    [
        (
            [f"{number:03d}.jpg" for number in range(80)],
            r"(?P<patient>[^/]+)\.jpg",
            "patient-for-each-image",
            (
                '80 images have 80 patients, one for each image (the first is "000", of "000.jpg"), so images of one patient '
                "may be in several parts of a split; look at the path or table that the ids come from: a pattern may match the "
                "number of the image, and not the patient. If each patient has one image, all is well"
            ),
        ),
        (
            PER_PATIENT,
            r"(?P<patient>[^/]+)\.jpg",
            "patient-for-each-image",
            "80 images have 10 patients, whose ids are the names of the files in all folders",
        ),
        (
            PER_PATIENT,
            r"/(?P<patient>P)",
            "one-patient",
            (
                'all 80 images have the same patient, "P", so they cannot be split by patient; look at the path or table that '
                "the ids come from: a pattern may match what all paths have in common, and not the patient. If they are of one "
                "patient, all is well"
            ),
        ),
    ],
)
def test_a_pattern_that_is_too_wide_or_too_narrow_is_a_warning_of_assign_split_and_check(
    paths: list[str], pattern: str, kind: str, said: str
) -> None:
    with pytest.warns(DataWarning) as told:
        ds = patients.assign(dataset(paths), pattern)
    assert len(told) == 1
    assert str(told[0].message).startswith(f"smears: {said}")
    assert [(found.kind, found.severity) for found in checks.check(ds).findings] == [(kind, "warning")]
    if kind == "patient-for-each-image":
        with pytest.warns(DataWarning, match="so images of one patient may be in several parts"):
            splits.by_patient(ds)


@pytest.mark.parametrize(
    ("paths", "pattern"),
    [
        (PER_PATIENT, r"/(?P<patient>[^/]+)/"),
        ([f"{number}.jpg" for number in range(10)], r"(?P<patient>[^/]+)\.jpg"),
        ([f"P/{number}.jpg" for number in range(10)], r"(?P<patient>[^/]+)/"),
        ([*(f"P{number}/1.jpg" for number in range(10)), "P9/2.jpg"], r"(?P<patient>[^/]+)/"),
    ],
)
def test_usual_data_and_a_handful_of_images_pass(paths: list[str], pattern: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        patients.assign(dataset(paths), pattern)


def test_one_image_a_patient_is_split_after_the_warning() -> None:
    with pytest.warns(DataWarning):
        ds = patients.assign(dataset(f"P{number}.jpg" for number in range(80)), r"(?P<patient>P\d+)")
    with pytest.warns(DataWarning):
        split = splits.by_patient(ds)
    assert len(split.part_of) == 80
