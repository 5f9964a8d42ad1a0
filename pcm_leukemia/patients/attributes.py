"""Patients from an attribute in CVAT."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.patients.assigning import Candidates, contradictions, with_patients
from pcm_leukemia.schema import ImageId

__all__ = ["from_attribute"]


def from_attribute(
    ds: Dataset, name: str = "patient", diagnosis: str = "diagnosis", *, same: Mapping[str, str] | None = None
) -> Dataset:
    """Take the ids from an attribute in CVAT, of the image's tags or else of its cells.

    Parameters
    ----------
    ds
        The data set. Existing patients are replaced.
    name
        The attribute that holds the patient's id.
    diagnosis
        The attribute that holds the diagnosis, if there is one.
    same
        Spelling of a patient's id -> the id that is kept, for patients that are one; see `merge`.

    Returns
    -------
    Dataset
        The same data, every image with its patient.

    Raises
    ------
    ValueError
        If `same` names an unknown patient.
    InvalidExport
        If an image has no such attribute, or its values disagree: every such image is listed.
    InvalidDataset
        If patients that are to be one have different diagnoses.

    Warns
    -----
    DataWarning
        If a patient has two diagnoses (the one on most images is kept), or ids may be one
        patient under several spellings.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, Tag
    >>> from pcm_leukemia.taxonomy import NINE
    >>> tag = Tag("slide", (("patient", "007"), ("diagnosis", "APL")))
    >>> from_attribute(Dataset("demo", NINE, (Image(ImageId("a.png"), 64, 64, tags=(tag,)),))).patients
    (Patient(id='007', diagnosis='APL'),)
    """
    found: dict[ImageId, Candidates] = {}
    for image in ds.images:
        found[image.id] = Candidates()
        of_tags = [attribute for tag in image.tags for attribute in tag.attributes]
        of_cells = [attribute for cell in ds.cells_of(image) for attribute in cell.attributes]
        for key in (name, diagnosis):
            values = _values(of_tags, key) or _values(of_cells, key)
            for value in values:
                found[image.id].add(*((value, None) if key == name else (None, value)))
    return with_patients(
        ds,
        found,
        f'neither its tags nor its cells have an attribute "{name}" with a value',
        "fill it in in CVAT, or name another attribute",
        contradictions(found, "attributes"),
        same=same,
    )


def _values(attributes: Iterable[tuple[str, str]], name: str) -> set[str]:
    return {value for key, value in attributes if key == name and value.strip()}
