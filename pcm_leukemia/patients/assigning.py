"""From what was found for each image to one patient and one diagnosis; every source of patients ends here."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidExport, Problem, some
from pcm_leukemia.patients.doubting import warn_of_doubts
from pcm_leukemia.patients.spelling import merge
from pcm_leukemia.schema import ImageId, Patient, PatientId

__all__ = ["DIAGNOSES", "Candidates", "contradictions", "quoted", "spelled", "with_patients"]

DIAGNOSES = ("Normal", "ALL", "AML", "APL")
"""The diagnoses in section 2.2 of the paper; other texts stay as they are."""


@dataclass(slots=True)
class Candidates:
    """The patients and diagnoses found for one image."""

    patients: set[str] = field(default_factory=set)
    diagnoses: set[str] = field(default_factory=set)

    def add(self, patient: str | None, diagnosis: str | None) -> None:
        """Add the values that are not blank."""
        self.patients |= {patient.strip()} - {""} if patient else set()
        self.diagnoses |= {diagnosis.strip()} - {""} if diagnosis else set()


def quoted(values: Iterable[str]) -> str:
    """The values in quotes, joined by "and"."""
    return " and ".join(f'"{value}"' for value in sorted(values))


def contradictions(found: Mapping[ImageId, Candidates], source: str) -> list[Problem]:
    """The images whose own tags or attributes disagree."""
    return [
        Problem(
            f'image "{image}"',
            f"its {source} give the {kind} {quoted(values)}",
            "keep one of them in CVAT",
        )
        for image, each in found.items()
        for kind, values in (("patients", each.patients), ("diagnoses", each.diagnoses))
        if len({spelled(value) if kind == "diagnoses" else value for value in values}) > 1
    ]


def with_patients(
    ds: Dataset,
    found: Mapping[ImageId, Candidates],
    lacking: str,
    fix: str,
    problems: Iterable[Problem] = (),
    *,
    same: Mapping[str, str] | None = None,
) -> Dataset:
    """Assign to every image its one patient; `lacking` and `fix` describe an image without one.

    `same` says which spellings are one patient; see `merge`.
    """
    none = [Problem(f'image "{image}"', lacking, fix) for image, each in found.items() if not each.patients]
    if len(none) == len(found) > 1:  # one mistake, not one for each image
        first = next(iter(found))
        none = [Problem(f'all {len(found):,} images, the first "{first}"', lacking, fix)]
    if problems := [*problems, *none]:
        raise InvalidExport(problems)
    patient_of = {image: PatientId(min(each.patients)) for image, each in found.items()}
    images_by: dict[PatientId, Counter[str]] = {patient: Counter() for patient in sorted(patient_of.values())}
    for image, each in found.items():
        images_by[patient_of[image]].update({spelled(text) for text in each.diagnoses})
    _warn_of_two_diagnoses(ds, images_by)
    patients = (Patient(patient, _usual(images)) for patient, images in images_by.items())
    images = (replace(image, patient=patient_of[image.id]) for image in ds.images)
    ds = merge(replace(ds, images=tuple(images), patients=tuple(patients)), same or {})
    warn_of_doubts(ds, stacklevel=3)
    return ds


def spelled(text: str) -> str:
    """One of the four diagnoses in its own spelling; anything else as it is."""
    return next((diagnosis for diagnosis in DIAGNOSES if diagnosis.casefold() == text.casefold()), text)


def _usual(images: Counter[str]) -> str | None:
    """The diagnosis on most images; the first by name if several are equally frequent."""
    return min(images, key=lambda diagnosis: (-images[diagnosis], diagnosis), default=None)


def _warn_of_two_diagnoses(ds: Dataset, images_by: Mapping[PatientId, Counter[str]]) -> None:
    lines = [
        f'patient "{patient}": has the diagnoses '
        + " and ".join(f"{diagnosis} ({images[diagnosis]:,})" for diagnosis in sorted(images))
        + f" on its images; {_usual(images)} is kept"
        for patient, images in images_by.items()
        if len(images) > 1
    ]
    if lines:
        fix = "check whether these are two patients of one id"
        warnings.warn(f"{ds.name}: {some(lines)}; {fix}", DataWarning, stacklevel=4)
