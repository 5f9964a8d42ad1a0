"""Data sets that are joined must call a person by the same id, or their split would leak without a sign of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, Problem, either
from pcm_leukemia.patients import has_pseudonyms, is_pseudonym
from pcm_leukemia.schema import Image

__all__ = ["mixed_patients", "require_one_kind_of_ids"]


def require_one_kind_of_ids(sources: Sequence[Dataset], *, shared_patients: bool) -> None:
    """Refuse to share patients between data with pseudonyms and data with other ids; otherwise warn of the two.

    Raises
    ------
    ValueError
        If patients are shared, and a person may have a pseudonym in one data set and another id in the next.

    Warns
    -----
    DataWarning
        If patients are not shared, and that is so.
    """
    pair = next(_pairs(sources), None)
    if pair is None:
        return
    hidden, plain = (ds.name for ds in pair)
    what = f"{hidden} has pseudonyms of patients, and {plain} has other ids"
    if shared_patients:
        apart = either("without shared_patients", "without --shared-patients")
        raise ValueError(
            f"concat: {what}, so that one patient would count as two and could be in two parts; give {plain} the pseudonyms of "
            f"the same file: {_hide()}, or join them {apart} if they have no patient in common"
        )
    warnings.warn(
        f"{what}: a patient of both counts as two, and may be in two parts; if they can have a patient in common, give {plain} "
        f"the pseudonyms of the same file: {_hide()}",
        DataWarning,
        stacklevel=3,
    )


def _hide() -> str:
    return either('load_dataset(..., pseudonyms="FILE")', "pcm-leukemia import DATA NEW --pseudonyms FILE")


def _pairs(sources: Sequence[Dataset]) -> Iterator[tuple[Dataset, Dataset]]:
    """Each two data sets of which the first has pseudonyms, and the second ids of its own."""
    hidden = list(filter(has_pseudonyms, sources))
    plain = list(filter(_has_other_ids, sources))
    return ((one, other) for one in hidden for other in plain if one is not other)


def _has_other_ids(ds: Dataset) -> bool:
    """Whether patients have other ids than pseudonyms; beside pseudonyms, not those that `concat` gave a data set's name."""
    others = [patient.id for patient in ds.patients if not _is_hidden(patient.id)]
    return bool(others) and not (has_pseudonyms(ds) and all("/" in each for each in others))


def _is_hidden(patient: str) -> bool:
    """Whether an id is a pseudonym, maybe with the name of a data set before it."""
    return is_pseudonym(patient.rpartition("/")[2])


def mixed_patients(ds: Dataset, added: Iterable[Image]) -> Iterator[Problem]:
    """A problem if images are added whose patients have pseudonyms, and those of `ds` have other ids; or the reverse."""
    there = {_is_hidden(patient.id) for patient in ds.patients}
    if len(there) != 1:
        return
    (hidden,) = there
    for image in added:
        if image.patient and _is_hidden(image.patient) != hidden:
            new, old = ("other ids", "pseudonyms") if hidden else ("pseudonyms", "other ids")
            what = f"patients have {old} in {ds.name} and {new} here, so that one patient would count as two"
            yield Problem(f'image "{image.id}"', what, f"give all data the pseudonyms of one file: {_hide()}")
            return
