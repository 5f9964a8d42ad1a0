"""A split made before ids of patients were merged or corrected."""

from __future__ import annotations

from dataclasses import replace

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.patients import alike
from pcm_leukemia.schema import PatientId, Split

__all__ = ["respelled"]


def respelled(split: Split, ds: Dataset) -> Split:
    """The split with its recorded patients as `ds` spells them now: merged or corrected ids are not other patients.

    A recorded patient has a new spelling if `ds` has no patient of that id any more, and the images that it had are now all
    of one patient whose id is alike.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, ImageId, Patient
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("a.png"), 64, 64, PatientId("7"))
    >>> ds = Dataset("demo", NINE, (image,), patients=(Patient(PatientId("7")),))
    >>> dict(respelled(Split("demo", {image.id: "train"}, {}, {image.id: PatientId("007")}), ds).patient_of)
    {'a.png': '7'}
    """
    here = {patient.id for patient in ds.patients}
    now: dict[PatientId, set[PatientId]] = {}
    for image in ds.images:
        before = split.patient_of.get(image.id)
        if before is not None and image.patient is not None and before not in here:
            now.setdefault(before, set()).add(image.patient)
    new = {
        before: patient
        for before, (patient, *others) in now.items()
        if not others and alike([before, patient])
    }
    if not new:
        return split
    return replace(
        split, patient_of={image: new.get(patient, patient) for image, patient in split.patient_of.items()}
    )
