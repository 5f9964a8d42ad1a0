"""The groups that the bootstrap draws: patients, or images if the patients are not known."""

from __future__ import annotations

from collections.abc import Iterable

from pcm_leukemia.dataset import Dataset

__all__ = ["caution", "groups_of"]


def groups_of(ds: Dataset, images: Iterable[str]) -> tuple[list[str], str]:
    """The group of each image or cell, given its image's id: its "patients", or "images" if an image has no patient.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image, Patient
    >>> rows = (Image("a.png", 9, 9, patient="P1"), Image("b.png", 9, 9, patient="P1"))
    >>> groups_of(Dataset("demo", NINE, rows, patients=(Patient("P1"),)), ["b.png", "a.png", "a.png"])
    (['P1', 'P1', 'P1'], 'patients')
    """
    wanted = list(images)
    patients = [ds.image(image).patient for image in wanted]
    known = [str(patient) for patient in patients if patient is not None]
    return (known, "patients") if len(known) == len(wanted) else (wanted, "images")


def caution(unit: str) -> str:
    """What to say of intervals over a unit other than patients; "" for patients.

    Examples
    --------
    >>> caution("images"), caution("patients")
    ('without patient ids, they are narrower than they should be', '')
    """
    return "" if unit == "patients" else "without patient ids, they are narrower than they should be"
