"""The groups that the bootstrap draws: patients; groups of images if patients are not known; otherwise images."""

from __future__ import annotations

from collections.abc import Iterable

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import ImageId
from pcm_leukemia.splits import unit_of

__all__ = ["caution", "groups_of", "how_sure"]

_FEW = 10
"""The bootstrap's percentile intervals cover too little below about this number of groups."""


def groups_of(ds: Dataset, images: Iterable[str]) -> tuple[list[str], str]:
    """The group of each image or cell, given its image's id, and what a group is: "patients", "groups" or "images".

    Patients if every image has one. Otherwise `Image.group`, if every image has one or a patient: images that share a group
    or a patient are one. Otherwise each image alone.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image, Patient
    >>> rows = (Image("a.png", 9, 9, patient="P1"), Image("b.png", 9, 9, patient="P1"))
    >>> groups_of(Dataset("demo", NINE, rows, patients=(Patient("P1"),)), ["b.png", "a.png", "a.png"])
    (['P1', 'P1', 'P1'], 'patients')
    >>> rows = (Image("a.png", 9, 9, group="slide 1"), Image("b.png", 9, 9, group="slide 2"))
    >>> groups_of(Dataset("demo", NINE, rows), ["a.png"])[1]
    'groups'
    """
    wanted = list(images)
    patients = [ds.image(image).patient for image in wanted]
    known = [str(patient) for patient in patients if patient is not None]
    if len(known) == len(wanted):
        return known, "patients"
    unit = unit_of(ds)
    if all(image in unit for image in wanted):
        return [str(unit[ImageId(image)]) for image in wanted], "groups"
    return wanted, "images"


def caution(unit: str, groups: int) -> str:
    """What to say of intervals over a unit other than patients, or over few of them; "" if nothing.

    Examples
    --------
    >>> caution("images", 50), caution("patients", 50)
    ('without patient ids, they are narrower than they should be', '')
    >>> caution("patients", 4)
    '4 patients are few, so the intervals are rough and may be too narrow'
    """
    said = {
        "groups": "if groups share patients, they are narrower than they should be",
        "images": "without patient ids, they are narrower than they should be",
    }.get(unit, "")
    few = (
        f"{groups} {unit} are few, so the intervals are rough and may be too narrow" if groups < _FEW else ""
    )
    return "; ".join(filter(None, (said, few)))


def how_sure(groups: int, unit: str, draws: int, seed: int) -> str:
    """A line on what the intervals are over.

    Examples
    --------
    >>> how_sure(30, "patients", 1000, 0)
    '95 % intervals: 1,000 draws of patients, seed 0'
    """
    if groups < 2 or not draws:
        return f"no intervals: they need at least two {unit}"
    more = caution(unit, groups)
    return f"95 % intervals: {draws:,} draws of {unit}, seed {seed}" + (more and f"; {more}")
