"""What data with pseudonyms must not be, and what a person should look at before the ids are gone."""

from __future__ import annotations

import re
import shlex
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidDataset, MissingPatients, Problem, counted, either, some
from pcm_leukemia.patients.assigning import DIAGNOSES
from pcm_leukemia.patients.key_file import KeyFile, canonical
from pcm_leukemia.patients.replacing import Replacing
from pcm_leukemia.patients.spelling import alike
from pcm_leukemia.schema import Image, ImageId

__all__ = [
    "require_one_name_each",
    "require_one_text_each",
    "require_patients",
    "warn_of_names_beside_ids",
    "warn_of_other_spellings",
    "warn_of_rests",
]


def require_patients(ds: Dataset) -> None:
    """Refuse images without a patient: an id in their paths would not be known as one."""
    unknown = [image.id for image in ds.images if image.patient is None]
    if unknown:
        raise MissingPatients(
            f'{ds.name}: {len(unknown):,} of {counted(len(ds.images), "image")}, the first "{unknown[0]}", have no patient, so '
            "an id in their paths would not be replaced; give every image a patient: "
            + either("patients=...", "--patients, --patients-csv, --patients-tag or --patients-attribute")
        )


def warn_of_other_spellings(ds: Dataset, keys: KeyFile) -> None:
    """Warn of patients who may be in the file already in another spelling: pseudonyms do not show it any more."""
    here = {canonical(patient.id) for patient in ds.patients if patient.id not in keys.patient_of}
    there = {*keys.patient_of.values()} - here
    pairs = [
        (each, other)
        for ids in alike([*here, *there])
        for each in ids
        if each in here and (other := next((other for other in ids if other in there), None))
    ]
    if pairs:
        same = " ".join(shlex.quote(f"{each}={other}") for each, other in pairs[:5])
        written = ", ".join(f'"{each}": "{other}"' for each, other in pairs[:5])
        warnings.warn(
            f"{ds.name}: patients may be in {keys.given} already in another spelling, with another pseudonym: "
            + some(f'"{each}" as "{other}"' for each, other in pairs)
            + "; if they are, give "
            + either(f"same={{{written}}}", f"--patients-same {same}"),
            DataWarning,
            stacklevel=4,
        )


def require_one_name_each(images: Mapping[ImageId, Image]) -> None:
    """Refuse images that would have one id; their folders may be two spellings of one id."""
    before: dict[ImageId, ImageId] = {}
    problems = [
        Problem(
            f'image "{image}"',
            f'would be called "{new.id}" with pseudonyms, like image "{other}"',
            "rename one of them",
        )
        for image, new in images.items()
        if (other := before.setdefault(new.id, image)) != image
    ]
    if problems:
        raise InvalidDataset(problems)


def require_one_text_each(groups: Mapping[str, str]) -> None:
    """Refuse groups that would become one."""
    before: dict[str, str] = {}
    for group, new in groups.items():
        if (other := before.setdefault(new, group)) != group:
            what = f'would be called "{new}" with pseudonyms, like group "{other}"'
            raise InvalidDataset([Problem(f'group "{group}"', what, "rename one of them")])


def warn_of_rests(ds: Dataset, texts: Replacing) -> None:
    """Warn of ids inside of longer words or numbers, which may be something else and so were not replaced."""
    left = [
        image.id
        for image in ds.images
        if any(image.patient and texts.still_in(text, image.patient) for text in _texts_of(ds, image))
    ]
    if left:
        warnings.warn(
            f"{ds.name}: {counted(len(left), 'image has', 'images have')} what may be the id of the patient in a longer word "
            f'or number of a name, tag or attribute, the first "{left[0]}"; rename it, or remove the tag or attribute',
            DataWarning,
            stacklevel=4,
        )


_FEWEST, _MOST = 3, 0.75
"""The fewest patients that are compared, and the share of them with a word of their own that is no chance."""
_PSEUDONYM = re.compile(r"P-[0-9A-Z]{10}(?:-[0-9A-Z]{4})?")
_LETTERS = re.compile(r"[^\W\d_]{3,}")
_HEX = re.compile(r"[a-f]+")


def warn_of_names_beside_ids(ds: Dataset) -> None:
    """Warn if most patients have a word beside their pseudonym that no other patient has: it may be their name."""
    words: dict[str, set[str]] = {}
    for image in ds.images:
        if image.patient:
            here = set(_words_beside(image.id, image.patient))
            words[image.patient] = words.get(image.patient, here) & here  # in every image of the patient
    patients_of = defaultdict(set)
    for patient, each in words.items():
        for word in each:
            patients_of[word.casefold()].add(patient)
    own = [
        min(alone)
        for each in words.values()
        if (alone := [w for w in each if len(patients_of[w.casefold()]) == 1])
    ]
    if len(words) >= _FEWEST and len(own) >= _MOST * len(words):
        example = min(own)
        warnings.warn(
            f"{ds.name}: {len(own):,} of {len(words):,} patients have a word beside their pseudonym that no other patient has, such "
            f'as "{example[:2]}{"*" * (len(example) - 2)}"; if it is a name, rename the folders or images, and import again',
            DataWarning,
            stacklevel=4,
        )


def _words_beside(path: str, pseudonym: str) -> Iterator[str]:
    """The words in those folders of a path, or its file, that have the pseudonym in their name."""
    whole = PurePosixPath(path)
    for part in (*whole.parts[:-1], whole.stem):
        if pseudonym in part:
            for word in _LETTERS.findall(_PSEUDONYM.sub(" ", part)):
                if word not in DIAGNOSES and not _HEX.fullmatch(word.casefold()):
                    yield word


def _texts_of(ds: Dataset, image: Image) -> Iterator[str]:
    yield from (image.id, image.name, image.subset)
    attributes = [image_tag.attributes for image_tag in image.tags] + [
        cell.attributes for cell in ds.cells_of(image)
    ]
    yield from (image_tag.label for image_tag in image.tags)
    yield from (text for some_of in attributes for pair in some_of for text in pair)
