"""Patient ids and diagnoses of the images: given, never guessed.

They come from a pattern over image paths, a CSV, or CVAT's tags or attributes. Each function returns the
data set with a patient for every image, or raises an error that lists the images without a patient.
An id stays the given string, without blanks around it: "007" never becomes 7. `doubts` finds what looks wrong,
such as a patient for each image, or two ids that may be one patient; `merge` makes them one. `pseudonymise` replaces the
ids, wherever they are, by pseudonyms that only a file of the hospital leads back from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.patients.assigning import DIAGNOSES
from pcm_leukemia.patients.attributes import from_attribute
from pcm_leukemia.patients.diagnoses import with_diagnoses
from pcm_leukemia.patients.doubting import Doubt, doubts, warn_of_doubts
from pcm_leukemia.patients.key_file import KeyFile, is_pseudonym
from pcm_leukemia.patients.origins import Attribute, Table, Tag
from pcm_leukemia.patients.patterns import from_pattern, from_tags
from pcm_leukemia.patients.pseudonymising import Pseudonymiser, has_pseudonym, has_pseudonyms, pseudonymise
from pcm_leukemia.patients.spelling import alike, merge
from pcm_leukemia.patients.table import from_csv

__all__ = [
    "DIAGNOSES",
    "Attribute",
    "Doubt",
    "KeyFile",
    "Pseudonymiser",
    "Table",
    "Tag",
    "alike",
    "assign",
    "doubts",
    "from_attribute",
    "from_csv",
    "from_pattern",
    "from_tags",
    "has_pseudonym",
    "has_pseudonyms",
    "is_pseudonym",
    "merge",
    "pseudonymise",
    "warn_of_doubts",
    "with_diagnoses",
]


def assign(
    ds: Dataset,
    patients: str | Table | Tag | Attribute | None,
    *,
    same: Mapping[str, str] | None = None,
    diagnoses: str | Path | None = None,
) -> Dataset:
    """Assign a patient to every image, from any source of patients, and a diagnosis to every patient.

    Parameters
    ----------
    ds
        The data set. Existing patients are replaced.
    patients
        A pattern over image paths, as for `from_pattern`; or a `Table`, a `Tag` or an `Attribute`. None: those that the
        images have.
    same
        Spelling of a patient's id -> the id that is kept, for patients that are one; see `merge`.
    diagnoses
        A table with the columns patient and diagnosis; see `with_diagnoses`.

    Raises
    ------
    TypeError
        If `patients` is something else.
    ValueError
        If a pattern is not a regular expression or lacks the group `patient`, or `same` names an unknown patient.
    InvalidExport
        If an image has no patient, or the table cannot be read: every problem is listed.
    InvalidDataset
        If patients that are to be one have different diagnoses.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, ImageId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, (Image(ImageId("aml/007/a.png"), 64, 64),))
    >>> assign(ds, r"/(?P<patient>[^/]+)/").patients
    (Patient(id='007', diagnosis=None),)
    """
    if patients is None:
        ds = merge(ds, same or {})
    elif isinstance(patients, str):
        ds = from_pattern(ds, patients, same=same)
    elif isinstance(patients, Table):
        ds = from_csv(ds, patients.path, same=same)
    elif isinstance(patients, Tag):
        ds = from_tags(ds, patients.pattern, same=same)
    elif isinstance(patients, Attribute):
        ds = from_attribute(ds, patients.name, patients.diagnosis, same=same)
    else:
        raise TypeError(
            f"patients: {patients!r} must be a pattern (text), a Table, a Tag or an Attribute; "
            'for a CSV file pass patients.Table("FILE.csv")'
        )
    return ds if diagnoses is None else with_diagnoses(ds, diagnoses, same=same)
