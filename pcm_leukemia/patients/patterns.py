"""Patients from image paths or from CVAT's tags, by a regular expression."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.patients.assigning import Candidates, contradictions, with_patients
from pcm_leukemia.schema import ImageId

__all__ = ["from_pattern", "from_tags"]

_EXAMPLE = "(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


def from_pattern(ds: Dataset, pattern: str, *, same: Mapping[str, str] | None = None) -> Dataset:
    """Take the ids from the image paths, by a regular expression with named groups.

    Parameters
    ----------
    ds
        The data set. Existing patients are replaced.
    pattern
        Searched in the image's name (the path as CVAT shows it) and, failing that, in its id.
        The group `patient` is required, `diagnosis` is optional.
    same
        Spelling of a patient's id -> the id that is kept, for patients that are one; see `merge`.

    Returns
    -------
    Dataset
        The same data, every image with its patient.

    Raises
    ------
    ValueError
        If the pattern is not a regular expression or lacks the group `patient`, or `same` names an unknown patient.
    InvalidExport
        If an image does not match: every such image is listed.
    InvalidDataset
        If patients that are to be one have different diagnoses.

    Warns
    -----
    DataWarning
        If a patient has two diagnoses (the one on most images is kept), or ids may be one
        patient under several spellings.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("aml/007/a.png"), 64, 64),))
    >>> from_pattern(ds, r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/").patients
    (Patient(id='007', diagnosis='AML'),)
    """
    compiled = _compiled(pattern)
    found: dict[ImageId, Candidates] = {}
    for image in ds.images:
        found[image.id] = Candidates()
        for path in dict.fromkeys((image.name, image.id)):
            match = compiled.search(path)
            if match and (match["patient"] or "").strip():
                found[image.id].add(match["patient"], match.groupdict().get("diagnosis"))
                break
    return with_patients(
        ds,
        found,
        f"the pattern {pattern} finds no patient in its path",
        "widen the pattern, or use a CSV",
        same=same,
    )


def from_tags(ds: Dataset, pattern: str, *, same: Mapping[str, str] | None = None) -> Dataset:
    """Take the ids from the labels of CVAT's image tags, by a regular expression.

    Parameters
    ----------
    ds
        The data set. Existing patients are replaced.
    pattern
        Searched in the label of every tag. The group `patient` is required; `diagnosis` is
        optional and may match in another tag: ``patient (?P<patient>.+)|(?P<diagnosis>A[MP]L)``.
    same
        Spelling of a patient's id -> the id that is kept, for patients that are one; see `merge`.

    Returns
    -------
    Dataset
        The same data, every image with its patient.

    Raises
    ------
    ValueError
        If the pattern is not a regular expression or lacks the group `patient`, or `same` names an unknown patient.
    InvalidExport
        If the tags of an image name no patient, two patients or two diagnoses: every such image is
        listed.
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
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 64, 64, tags=(Tag("patient 007"),)),))
    >>> from_tags(ds, "patient (?P<patient>.+)").images[0].patient
    '007'
    """
    compiled = _compiled(pattern)
    found: dict[ImageId, Candidates] = {}
    for image in ds.images:
        found[image.id] = Candidates()
        for tag in image.tags:
            if match := compiled.search(tag.label):
                found[image.id].add(match["patient"], match.groupdict().get("diagnosis"))
    return with_patients(
        ds,
        found,
        f"the pattern {pattern} finds no patient in its tags",
        "tag it in CVAT",
        contradictions(found, "tags"),
        same=same,
    )


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"pattern {pattern}: is not a regular expression ({error}); write one like {_EXAMPLE}"
        ) from error
    if "patient" not in compiled.groupindex:
        raise ValueError(f"pattern {pattern}: has no group (?P<patient>...); write one like {_EXAMPLE}")
    return compiled
