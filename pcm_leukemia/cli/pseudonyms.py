"""`import --pseudonyms`: what it refuses before the work, the work, and what it says afterwards."""

from __future__ import annotations

import warnings
from pathlib import Path

from pcm_leukemia import store
from pcm_leukemia.cli.options import WrongUsage
from pcm_leukemia.cli.reading import Reading
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, PcmError, WrongTarget, counted
from pcm_leukemia.patients import KeyFile, is_pseudonym
from pcm_leukemia.schema import Split

__all__ = [
    "open_keys",
    "require_no_ids_beside_pseudonyms",
    "say_pseudonyms",
    "warn_of_ids_instead_of_pseudonyms",
    "with_pseudonyms",
]


def open_keys(file: Path, out: Path, *, replace: bool) -> KeyFile:
    """Open the file of pseudonyms, and refuse it if it is inside `out`, or if the data set there has other patients.

    With `replace`, only the splits of that data set count, since they stay.

    Raises
    ------
    WrongTarget
        If the file is inside `out`, or cannot be written.
    WrongUsage
        If the data set in `out` has patients whose ids are not pseudonyms of the file.
    CorruptFile, DataNotFound
        If the file is damaged, was edited, is something else or cannot be read.
    """
    if out.resolve() in (file.resolve(), *file.resolve().parents):
        raise WrongTarget(
            f"{file}: is inside {out}, and would be passed on with the data; name a place where it stays in the hospital"
        )
    keys = KeyFile(file)
    strangers = keys.strangers(_patients_in(out, splits_alone=replace))
    if strangers:
        patients = counted(len(strangers), "patient")
        why = (
            f"{patients}, and {file} does not exist, so that new pseudonyms would"
            if keys.is_new
            else f"{patients} whose ids are not pseudonyms of {file}, which would"
        )
        raise WrongUsage(
            f"{out}: has {why} make other patients of them; give the file of their pseudonyms, or name another folder than {out}"
        )
    return keys


def _patients_in(out: Path, *, splits_alone: bool) -> set[str]:
    """The ids of patients in a canonical folder and its splits; none if there is none, or it cannot be read."""
    if not store.recognises(out):
        return set()
    found: set[str] = set()
    try:
        if not splits_alone:
            found.update(patient.id for patient in store.read(out, with_split=False, verify=False).patients)
        for name in store.split_names(out):
            found.update(store.read_split(out, name).patient_of.values())
    except PcmError:
        return found  # writing refuses it
    return found - {""}


def with_pseudonyms(
    ds: Dataset, keys: KeyFile, reading: Reading, *, splits_of: Path | None
) -> tuple[Dataset, list[Split]]:
    """The data set, and the splits of a canonical folder, with pseudonyms; the file is saved later."""
    from pcm_leukemia.patients import Pseudonymiser, warn_of_doubts

    if not reading.people:  # otherwise whoever assigned the patients has warned; pseudonyms do not show it
        warn_of_doubts(ds)
    splits = [store.read_split(splits_of, name) for name in store.split_names(splits_of)] if splits_of else []
    hiding = Pseudonymiser(ds, keys, patients=reading.people, same=reading.same_people, splits=splits)
    return hiding.dataset(), [hiding.split(split) for split in splits]


def require_no_ids_beside_pseudonyms(ds: Dataset, out: Path) -> None:
    """Refuse to bring ids of patients into a data set that has pseudonyms.

    Raises
    ------
    WrongUsage
        If that would happen.
    """
    if _has_ids_instead_of_pseudonyms(ds, out):
        raise WrongUsage(
            f"{out}: has pseudonyms, and the new data have ids of patients; give --pseudonyms FILE, or name another folder"
        )


def warn_of_ids_instead_of_pseudonyms(ds: Dataset, out: Path) -> None:
    """Warn if data with ids of patients replace data with pseudonyms."""
    if _has_ids_instead_of_pseudonyms(ds, out):
        warnings.warn(
            f"{out}: the data that are replaced have pseudonyms, and the new ones have ids of patients; if that is a mistake, "
            "import again with --pseudonyms FILE --replace",
            DataWarning,
            stacklevel=2,
        )


def _has_ids_instead_of_pseudonyms(ds: Dataset, out: Path) -> bool:
    there = _patients_in(out, splits_alone=False)
    return (
        bool(there)
        and all(map(_is_hidden, there))
        and not all(_is_hidden(patient.id) for patient in ds.patients)
    )


def _is_hidden(patient: str) -> bool:
    """Whether an id is a pseudonym, maybe with the name of a data set before it."""
    return is_pseudonym(patient.rpartition("/")[2])


def say_pseudonyms(keys: KeyFile, out: Path, *, new_key: bool, dry_run: bool) -> None:
    """Print what the file is for, whether its key was made now, and where ids still are."""
    if new_key and not dry_run:
        print(
            f"  pseudonyms: made a new key in {keys.given}; if you have a file with a key already, import again with that file, "
            "since another key gives the same patients other pseudonyms"
        )
    print(
        f"  pseudonyms: {keys.given} leads back to patients; keep it, and a backup, where the patients are known"
    )
    print(
        f"  {out} still has the paths of the image files: pass on what convert writes from it, not the folder itself, and copies "
        "of images without their metadata (--strip-metadata)"
    )
    if dry_run and keys.is_new:
        print(f"  {keys.given} does not exist yet: the import will give other pseudonyms than these")
