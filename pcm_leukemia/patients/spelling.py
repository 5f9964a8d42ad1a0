"""Ids that may be one patient under several spellings, and how to merge them.

Ids are never changed or merged because they look alike: two patients may really be called 7 and 07.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidDataset, Problem, either, nearest
from pcm_leukemia.grouping import groups
from pcm_leukemia.schema import Patient, PatientId

__all__ = ["Diagnoses", "alike", "described", "how_to_merge", "merge"]

Diagnoses: TypeAlias = Mapping[str, str | None]
"""Patient -> diagnosis."""

_NUMBER = re.compile(r"(\d+)(?:[.,](\d*))?(?:e([+-]?\d{1,6}))?")
_THOUSANDS = re.compile(r"\d{1,3}[.,]\d{3}")
_BETWEEN = "|"
_LONGEST = 50
"""Digits of a number that is written out; other numbers are compared in the form 12e345."""


def alike(patients: Iterable[str]) -> list[tuple[str, ...]]:
    """Find the ids that may be one patient under several spellings.

    Ids are alike if they are equal without case, blanks, punctuation and Unicode forms, or as numbers. Numbers inside
    an id count as numbers too. Punctuation between two numbers separates them, unless the other id has none there.

    Parameters
    ----------
    patients
        The ids.

    Returns
    -------
    list of tuple of str
        The ids of each group that is alike, sorted.

    Examples
    --------
    >>> alike(["7", "007", "7.0", "70", "P-1", "p01", "P10"])
    [('007', '7', '7.0'), ('P-1', 'p01')]
    >>> alike(["2024-01-02", "20240102", "3-12", "31-2"])
    [('2024-01-02', '20240102')]
    """
    by_key: dict[str, list[str]] = defaultdict(list)
    unpunctuated: dict[str, str] = {}
    for patient in sorted(set(patients)):
        plain = _plain(patient)
        for key in _keys(plain):
            by_key[key].append(patient)
        if _THOUSANDS.fullmatch(plain) or (_BETWEEN in _pieces(plain) and not _NUMBER.fullmatch(plain)):
            unpunctuated[patient] = _pieces("".join(filter(str.isalnum, plain)))
    links = [pair for same in by_key.values() for pair in pairwise(same)]
    links += [(patient, by_key[key][0]) for patient, key in unpunctuated.items() if key in by_key]
    return sorted(tuple(sorted(same)) for same in groups(links))


def _plain(patient: str) -> str:
    """An id in one Unicode form, one case and European digits."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", patient).casefold()).strip()
    return "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in folded)


def _keys(plain: str) -> Iterator[str]:
    """What an id has in common with its other spellings."""
    number = _NUMBER.fullmatch(plain)
    if number:
        yield _number(number[1], number[2] or "", int(number[3] or 0))
    if not number or (number[2] or "").strip("0"):
        yield _pieces(plain)


def _pieces(plain: str) -> str:
    """The letters and numbers of an id, with a mark between two numbers; or the id itself if it has neither."""
    pieces = re.findall(r"\d+|[^\W\d_]+|[\W_]+", plain)
    key = ""
    for before, piece, after in zip(["", *pieces], pieces, [*pieces[1:], ""], strict=False):
        if piece.isdecimal():
            key += piece.lstrip("0") or "0"
        elif piece.isalnum():
            key += piece
        elif before.isdecimal() and after.isdecimal():
            key += _BETWEEN
    return key or plain


def _number(whole: str, fraction: str, exponent: int) -> str:
    """A number in one form: "7" for 007, 7.0, 7,00 and 0.7e1."""
    digits = (whole + fraction).lstrip("0")
    exponent -= len(fraction)
    exponent += len(digits) - len(digits := digits.rstrip("0"))
    if not digits:
        return "0"
    if 0 <= exponent <= _LONGEST:
        return digits + "0" * exponent
    return f"{digits}e{exponent}"


def merge(ds: Dataset, same: Mapping[str, str], *, known: Dataset | Collection[str] = ()) -> Dataset:
    """Merge patients that are one under several spellings.

    Parameters
    ----------
    ds
        The data set.
    same
        Spelling -> the id that is kept. Both must be ids of the data set.
    known
        Another data set whose ids may be kept too, for example the one that `ds` is about to update; or such ids.

    Returns
    -------
    Dataset
        The same data with fewer patients. Its split, if it has one, stays as it is.

    Raises
    ------
    ValueError
        If an id is not in the data, or the id to be kept is to be replaced too.
    InvalidDataset
        If patients to be merged have different diagnoses.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, ImageId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> people = tuple(Patient(PatientId(id)) for id in ("7", "007"))
    >>> images = tuple(Image(ImageId(f"{p.id}.png"), 64, 64, p.id) for p in people)
    >>> [image.patient for image in merge(Dataset("demo", NINE, images, patients=people), {"007": "7"}).images]
    ['7', '7']
    """
    same = {spelling: kept for spelling, kept in same.items() if spelling != kept}
    if not same:
        return ds
    _require_known(ds, same, known)
    diagnoses: dict[str, dict[str, str]] = defaultdict(dict)
    for patient in ds.patients:
        if patient.diagnosis is not None:
            diagnoses[same.get(patient.id, patient.id)][patient.id] = patient.diagnosis
    problems = [
        Problem(
            "patients " + " and ".join(f'"{patient}" ({diagnosis})' for patient, diagnosis in each.items()),
            "are to be one, but have different diagnoses",
            "correct the diagnoses, or keep the patients apart",
        )
        for each in diagnoses.values()
        if len(set(each.values())) > 1
    ]
    if problems:
        raise InvalidDataset(problems)

    def kept(patient: PatientId) -> PatientId:
        return PatientId(same.get(patient, patient))

    people = dict.fromkeys(kept(patient.id) for patient in ds.patients)
    patients = (Patient(patient, next(iter(diagnoses[patient].values()), None)) for patient in people)
    split = ds.split and replace(
        ds.split, patient_of={image: kept(patient) for image, patient in ds.split.patient_of.items()}
    )
    images = (replace(image, patient=image.patient and kept(image.patient)) for image in ds.images)
    return replace(ds, images=tuple(images), patients=tuple(patients), split=split)


def _require_known(ds: Dataset, same: Mapping[str, str], other: Dataset | Collection[str]) -> None:
    here = {patient.id for patient in ds.patients}
    known = here.union((patient.id for patient in other.patients) if isinstance(other, Dataset) else other)
    for spelling, kept in same.items():
        where = either(f'same {{"{spelling}": "{kept}"}}', f"--patients-same {spelling}={kept}")
        for each, ids in ((spelling, here), (kept, known)):
            if each not in ids:
                raise ValueError(
                    f'{where}: "{each}" is not a patient of {ds.name}{nearest(each, sorted(ids))}; give two ids of the data'
                )
        if kept in same:
            raise ValueError(f'{where}: "{kept}" is to be "{same[kept]}"; replace "{spelling}" by that, too')


def how_to_merge(spellings: Iterable[tuple[str, ...]], diagnosis_of: Diagnoses) -> str:
    """What to do if the ids of each group are one patient: merge them into the plainest, unless diagnoses differ."""
    same: dict[str, str] = {}
    for ids in spellings:
        if not _differ(ids, diagnosis_of):
            kept = min(ids, key=lambda each: (not each.isdecimal(), len(each), each))
            same |= {each: kept for each in ids if each != kept}
    if not same:
        return "if they are one, a split may put them into two parts: correct the ids and the diagnoses"
    pairs = " ".join(shlex.quote(f"{each}={kept}") for each, kept in same.items())
    written = ", ".join(f'"{_visible(each)}": "{_visible(kept)}"' for each, kept in same.items())
    return "if they are one, a split may put them into two parts: correct the ids, or " + either(
        f"merge them with patients.merge(ds, {{{written}}})", f"import again with --patients-same {pairs}"
    )


def described(ids: Iterable[str], diagnosis_of: Diagnoses) -> str:
    """Ids in quotes, with their diagnoses if these differ."""
    ids = list(ids)
    differ = _differ(ids, diagnosis_of)
    return " and ".join(
        f'"{_visible(each)}"' + (f" ({diagnosis_of[each] or 'no diagnosis'})" if differ else "")
        for each in ids
    )


def _visible(patient: str) -> str:
    """An id with an escape for what would look like another id: accents in two characters, blanks without width."""
    if patient.isprintable() and unicodedata.is_normalized("NFC", patient):
        return patient
    return patient.encode("unicode_escape").decode()


def _differ(ids: Iterable[str], diagnosis_of: Diagnoses) -> bool:
    return len({diagnosis_of[each] for each in ids} - {None}) > 1
