"""Data sets that are joined must call a person by the same id, or their split would leak without a sign of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, Problem, either
from pcm_leukemia.patients import has_pseudonyms, is_pseudonym
from pcm_leukemia.schema import Image

__all__ = ["keys_of", "mixed_patients", "require_one_kind_of_ids"]


def keys_of(sources: Iterable[Dataset]) -> tuple[str, ...]:
    """The ids of all keys that pseudonyms come from."""
    return tuple(sorted({key for ds in sources for key in ds.pseudonym_keys}))


def require_one_kind_of_ids(sources: Sequence[Dataset], *, shared_patients: bool) -> None:
    """Refuse to share patients between data with pseudonyms and data with other ids or pseudonyms of another key.

    Raises
    ------
    ValueError
        If patients are shared, and a person may have a pseudonym in one data set and another id in the next.

    Warns
    -----
    DataWarning
        If patients are not shared, and some data sets have pseudonyms and others ids. Those of two keys are usual then: each
        hospital has its own.
    """
    if shared_patients:
        _require_one_key(sources)
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


def _require_one_key(sources: Sequence[Dataset]) -> None:
    with_key = [ds for ds in sources if ds.pseudonym_keys]
    for ds in with_key[1:]:
        if ds.pseudonym_keys != with_key[0].pseudonym_keys:
            apart = either("without shared_patients", "without --shared-patients")
            raise ValueError(
                f"concat: {with_key[0].name} and {ds.name} have pseudonyms of two keys, so that one patient would count as two "
                f"and could be in two parts; make both with the same file: {_hide()}, or join them {apart} if they have no "
                "patient in common"
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


def mixed_patients(ds: Dataset, corrected: Dataset, added: Sequence[Image]) -> Iterator[Problem]:
    """A problem if images of `corrected` are added whose patients have pseudonyms, and those of `ds` have not.

    So is the reverse, and so are pseudonyms of another key.
    """
    if added and ds.pseudonym_keys and not {*corrected.pseudonym_keys} <= {*ds.pseudonym_keys}:
        what = f"its pseudonyms are of another key than those of {ds.name}, so that one patient would count as two"
        yield Problem(corrected.name, what, f"make both with the same file: {_hide()}")
        return
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
