"""The ids of the hospital beside the pseudonyms in a differential, for those who may know them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pcm_leukemia.differential.results import Differential
from pcm_leukemia.errors import DataNotFound, counted
from pcm_leukemia.patients import KeyFile
from pcm_leukemia.schema import PatientId

__all__ = ["with_ids"]


def with_ids(found: Differential, pseudonyms: str | Path) -> Differential:
    """Put the ids of patients beside their pseudonyms, for use inside the hospital.

    Parameters
    ----------
    found
        A differential of data with pseudonyms.
    pseudonyms
        The file that leads back from pseudonyms to patients, as `patients.pseudonymise` wrote it.

    Raises
    ------
    DataNotFound
        If the file does not exist or cannot be read, or no patient has a pseudonym of it.
    CorruptFile, WrongTarget
        If the file is damaged, was edited, is something else, or is in a data set.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from pcm_leukemia import NINE, Dataset, Image, Patient
    >>> from pcm_leukemia.differential.making import count
    >>> from pcm_leukemia.patients import pseudonymise
    >>> ds = Dataset("demo", NINE, (Image("4711007/a.png", 90, 60, "4711007"),), patients=(Patient("4711007"),))
    >>> with TemporaryDirectory() as folder:
    ...     found = count(pseudonymise(ds, f"{folder}/pseudonyms.csv"))
    ...     found = with_ids(found, f"{folder}/pseudonyms.csv")
    >>> [found.ids[each.tally.patient] for each in found.patients]
    ['4711007']
    """
    keys = KeyFile(pseudonyms)
    if keys.is_new:
        raise DataNotFound(f"{pseudonyms}: does not exist; give the file of the pseudonyms")
    ids = {
        patient: keys.patient_of[pseudonym]
        for patient in (each.tally.patient for each in found.patients)
        if (pseudonym := PatientId(patient.rpartition("/")[2])) in keys.patient_of
    }
    if not ids:
        raise DataNotFound(
            f"{pseudonyms}: has no pseudonym of any of the {counted(len(found.patients), 'patient')} of {found.name}; give the "
            "file of their pseudonyms"
        )
    notes = ["this has ids of patients beside their pseudonyms; keep it in the hospital and never pass it on"]
    if left := len(found.patients) - len(ids):
        notes.append(f"{counted(left, 'patient has', 'patients have')} no pseudonym of the file")
    return replace(found, ids=ids, notes=(*notes, *found.notes))
