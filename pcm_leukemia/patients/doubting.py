"""What looks wrong about the patients of a data set. This file alone decides; import, splits and checks ask it.

Doubts are warnings, never errors: two patients may really be called 7 and 07, and there are data with one image a patient.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, Problem, some
from pcm_leukemia.patients.spelling import Diagnoses, alike, described, how_to_merge
from pcm_leukemia.schema import Image

__all__ = ["Doubt", "doubts", "warn_of_doubts"]

_SHORTENED = re.compile(
    r"\d([.,]\d+)?E\+\d+|#(REF!|N/A|NAME\?|VALUE!|NUM!|DIV/0!|NULL!|#+|NV|BEZUG!|WERT!|ZAHL!)"
    r"|#(REF\s?!|VALEUR\s?!|NOM\s?\?|NOMBRE\s?!)|#(¡REF!|¡VALOR!|¿NOMBRE\?|¡NUM!|N/D)|#(RIF!|VALORE!|NOME\?)"
)
"""What a spreadsheet shows instead of a long number, and its error values in English, German, French, Spanish and Italian."""
_MISSING = re.compile(
    r"nan|nat|none|null|n\.?/?a\.?|<na>|unknown|unbekannt|k\.? ?a\.?|keine angabe|not known|inconnu|desconocido|[-–—?.]+",
    re.IGNORECASE,
)
"""What programs and people write where they have no id."""
_HANDFUL = 10
"""Up to this many images, one patient for each image, or one for all, is nothing unusual."""

_NARROW = "a pattern may match what all paths have in common, and not the patient"
_WIDE = "a pattern may match the number of the image, and not the patient"


class Doubt(NamedTuple):
    """Ids that may be one patient, or one id that may be several patients; `problem` is the sentence for people."""

    kind: Literal["patient-for-each-image", "one-patient", "patient-spelled-twice", "damaged-patient-id"]
    patients: tuple[str, ...]
    problem: Problem


def doubts(ds: Dataset) -> list[Doubt]:
    """Find patients that look wrong.

    They are a patient for each image, or one for all; patients that may be one under several spellings; and ids that are
    missing or damaged by a spreadsheet.

    Examples
    --------
    >>> from pcm_leukemia.schema import Patient, PatientId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> people = tuple(Patient(PatientId(id)) for id in ("7", "007", "1.23457E+10"))
    >>> for doubt in doubts(Dataset("demo", NINE, (), patients=people)):
    ...     print(doubt.kind, doubt.patients)
    patient-spelled-twice ('007', '7')
    damaged-patient-id ('1.23457E+10',)
    """
    diagnosis_of: Diagnoses = {patient.id: patient.diagnosis for patient in ds.patients}
    spelled = [
        Doubt(
            "patient-spelled-twice",
            ids,
            Problem(
                f"patients {described(ids, diagnosis_of)}",
                "may be one patient under several spellings, which count as different",
                how_to_merge([ids], diagnosis_of),
            ),
        )
        for ids in alike(diagnosis_of)
    ]
    damaged = (doubt for patient in diagnosis_of if (doubt := _damaged(patient)))
    return [*_unlikely_number(ds), *spelled, *damaged]


def _unlikely_number(ds: Dataset) -> Iterator[Doubt]:
    """The doubt about a patient for each image, or one for all; the usual cause is a pattern that is too wide or too narrow."""
    images_of: dict[str, list[Image]] = {}
    for image in ds.images:
        if image.patient is not None:
            images_of.setdefault(image.patient, []).append(image)
    images = sum(map(len, images_of.values()))
    if images <= _HANDFUL:
        return
    patients = tuple(sorted(images_of))
    if len(patients) == 1:
        yield Doubt(
            "one-patient",
            patients,
            Problem(
                f"all {images:,} images",
                f'have the same patient, "{patients[0]}", so they cannot be split by patient',
                f"look at the path or table that the ids come from: {_NARROW}. If they are of one patient, all is well",
            ),
        )
        return
    one_each = len(patients) == images
    named_after_files = all(
        patient == PurePosixPath(image.name).stem for patient in patients for image in images_of[patient]
    )
    if one_each or named_after_files:
        first = images_of[patients[0]][0]
        what = f"have {len(patients):,} patients, " + (
            "one for each image" if one_each else "whose ids are the names of the files in all folders"
        )
        yield Doubt(
            "patient-for-each-image",
            patients,
            Problem(
                f"{images:,} images",
                f'{what} (the first is "{patients[0]}", of "{first.name}"), so images of one patient may be in several '
                "parts of a split",
                f"look at the path or table that the ids come from: {_WIDE}. If each patient has one image, all is well",
            ),
        )


def _damaged(patient: str) -> Doubt | None:
    """The doubt about an id that a spreadsheet has damaged, or that says that there is no id."""
    if _SHORTENED.fullmatch(patient.strip()):
        what = "was replaced or shortened by a spreadsheet, so it may be the id of several patients"
        fix = "format the column of the ids as text, enter them again and save the table"
    elif _MISSING.fullmatch(patient.strip()):
        what = "looks like a missing id, so it may be several patients, who may have images in other parts"
        fix = "enter their ids"
    else:
        return None
    return Doubt("damaged-patient-id", (patient,), Problem(f'patient "{patient}"', what, fix))


def warn_of_doubts(ds: Dataset, *, stacklevel: int = 2) -> None:
    """Warn of the doubts about the patients of a data set, in one warning of each kind."""
    found = doubts(ds)
    for doubt in found:
        if doubt.kind in ("patient-for-each-image", "one-patient"):
            where, what, fix = doubt.problem.where, doubt.problem.what, doubt.problem.fix
            warnings.warn(f"{ds.name}: {where} {what}; {fix}", DataWarning, stacklevel=stacklevel + 1)
    diagnosis_of: Diagnoses = {patient.id: patient.diagnosis for patient in ds.patients}
    spelled = [doubt.patients for doubt in found if doubt.kind == "patient-spelled-twice"]
    if spelled:
        warnings.warn(
            f"{ds.name}: patients that differ in case, blanks, punctuation or the form of numbers alone count as "
            f"different: {some(described(ids, diagnosis_of) for ids in spelled)}; "
            + how_to_merge(spelled[:5], diagnosis_of),
            DataWarning,
            stacklevel=stacklevel + 1,
        )
    damaged = [doubt.problem for doubt in found if doubt.kind == "damaged-patient-id"]
    for what, fix in dict.fromkeys((problem.what, problem.fix) for problem in damaged):
        lines = some(problem.where for problem in damaged if problem.what == what)
        warnings.warn(f"{ds.name}: {lines}: {what}; {fix}", DataWarning, stacklevel=stacklevel + 1)
