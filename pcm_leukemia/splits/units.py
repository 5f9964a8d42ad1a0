"""What a split must keep together: the images of a patient, and the images of a group."""

from __future__ import annotations

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import ImageId, PatientId

__all__ = ["unit_of"]

_GROUP = "\0"
"""What the name of a unit without a patient begins with, as no patient's id does."""


def unit_of(ds: Dataset) -> dict[ImageId, PatientId]:
    """The unit of every image that has a patient or a group, named after a patient where there is one.

    Patients who share a group are one unit: to separate them would separate the group.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, Patient
    >>> from pcm_leukemia.taxonomy import NINE
    >>> people = Patient(PatientId("P1")), Patient(PatientId("P2"))
    >>> images = (
    ...     Image(ImageId("a.png"), 64, 64, PatientId("P1"), group="cell 7"),
    ...     Image(ImageId("b.png"), 64, 64, PatientId("P2")),
    ...     Image(ImageId("c.png"), 64, 64, group="cell 7"),
    ... )
    >>> unit_of(Dataset("demo", NINE, images, patients=people))
    {'a.png': 'P1', 'b.png': 'P2', 'c.png': 'P1'}
    """
    above: dict[str, str] = {}

    def top(name: str) -> str:
        while (next_up := above.get(name, name)) != name:
            above[name] = above.get(next_up, next_up)
            name = next_up
        return name

    names: dict[ImageId, str] = {}
    for image in ds.images:
        group = None if image.group is None else f"{_GROUP}{image.group}"
        if image.patient is not None and group is not None:
            one, other = top(image.patient), top(group)
            # the later name stands at the top, so that a patient is above every group
            above[min(one, other)] = max(one, other)
        name = image.patient if image.patient is not None else group
        if name is not None:
            names[image.id] = name
    return {image: PatientId(top(name)) for image, name in names.items()}
