"""`extend`: places the new images of a data set that has grown, and moves none that a split has placed."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, LeakySplit
from pcm_leukemia.patients import warn_of_doubts
from pcm_leukemia.schema import Image, ImageId, PatientId, Split
from pcm_leukemia.splits.balance import reached
from pcm_leukemia.splits.leakage import (
    LEARNED_FROM,
    changed_patients,
    leaks,
    require_known_patients,
    require_patients,
    require_sound,
)
from pcm_leukemia.splits.making import (
    asked,
    digests,
    draw,
    patients_of,
    place_all,
    warn_of_missing,
)
from pcm_leukemia.splits.respelling import respelled
from pcm_leukemia.splits.units import draw_keys, unit_of

__all__ = ["extend"]


def extend(split: Split, ds: Dataset) -> Split:
    """Place the images of `ds` that `split` has not placed, and move none that it has.

    An image that was renamed stays in its part: its file has the digest of an image that the split has placed and that
    is gone. New images of a known patient go into that patient's part, even if all images that the patient was placed
    with are gone or renamed. New patients are placed so that the parts come near the shares recorded in ``split.made``, or near
    the shares they have if the split came with the data. If validation was drawn by image, the new images of training
    patients are drawn too, with the recorded seed.

    Parameters
    ----------
    split
        The split to extend. Its patients are those it records and those whose images are still in `ds`.
    ds
        The grown data set. Every new image needs a patient, unless it is a renamed one.

    Returns
    -------
    Split
        A split of the same name. Images that are missing from `ds` keep their place in it.

    Raises
    ------
    MissingPatients
        If a new image has no patient, or images have lost the patient that the split recorded.
    LeakySplit
        If a patient is already in two parts, or the patient of an image has changed since the split was made.
    ValueError
        If `split` is one of several folds: extended one at a time, they would no longer fit together.

    Warns
    -----
    DataWarning
        If images that the split places are missing from `ds`, a part has no cell of a class, or patients may be one
        under several spellings.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, Patient
    >>> from pcm_leukemia.taxonomy import NINE
    >>> people = (Patient(PatientId("P1")), Patient(PatientId("P2")))
    >>> names = ["P1/a.png", "P1/b.png", "P2/a.png", "P2/b.png"]
    >>> images = tuple(Image(ImageId(name), 64, 64, PatientId(name[:2])) for name in names)
    >>> old = Split("demo", {ImageId("P1/a.png"): "train", ImageId("P2/a.png"): "test"})
    >>> dict(extend(old, Dataset("demo", NINE, images, patients=people)).part_of)
    {'P1/a.png': 'train', 'P2/a.png': 'test', 'P1/b.png': 'train', 'P2/b.png': 'test'}
    """
    if split.made.get("method") == "folds":
        raise ValueError(
            f'split "{split.name}": is one of several folds; make all folds again with splits.folds'
        )
    split = _with_renamed(split, ds)
    require_known_patients(ds, split)
    split = respelled(split, ds)
    new = [image for image in ds.images if image.id not in split.part_of]
    known = leaks(ds.select(images=lambda image: image.id in split.part_of), split) + changed_patients(
        ds, split
    )
    if known:
        raise LeakySplit([leak.problem for leak in known])
    _warn_of_lost(split, ds)
    warn_of_doubts(ds)
    if not new:
        return split
    require_patients(ds, new)
    targets = _recorded(split)
    by_image = split.val_shares_patients
    unit = dict(targets)
    if by_image:
        unit["train"] = unit.get("train", 0.0) + unit.pop("val", 0.0)
    settled = {
        patient: "train" if by_image and part == "val" else part
        for patient, part in _parts_of_patients(ds, split).items()
    }
    placed = place_all(ds, unit, _seed(split), settled)
    part_of = {**split.part_of, **{image.id: placed[image.id] for image in new}}
    if by_image and "val" in targets:
        part_of |= _drawn_for_val(ds, split, part_of, targets["val"] / unit["train"])
    units = unit_of(ds)
    fresh = len({units[image.id] for image in new} - settled.keys())
    made = {key: text for key, text in split.made.items() if not key.startswith(("reached", "missing"))}
    made |= {"extended": f"{fresh} new patients, {len(new)} new images"} | reached(ds, part_of, targets)
    grown = replace(
        split,
        part_of=part_of,
        made=made,
        patient_of={**split.patient_of, **patients_of(ds)},
        digest_of={**split.digest_of, **digests(ds)},
    )
    require_sound(ds.with_split(grown))
    warn_of_missing([grown])
    return grown


def _with_renamed(split: Split, ds: Dataset) -> Split:
    """The split with the images that were renamed since, each in its part and with its patient on record.

    A name may have passed to another image: after the first of many numbered images is deleted, all others may have the
    next number. Several images may be one file, such as an empty field. Such an image is a renamed one if one of its
    patient is gone, or if all that are gone had one part and one patient, and there are not more of them now.
    """
    here = {image.id: image.digest for image in ds.images}
    gone: dict[str, list[ImageId]] = defaultdict(list)
    for name, digest in sorted(split.digest_of.items()):
        if name in split.part_of and (name not in here or here[name] not in (None, digest)):
            gone[digest].append(name)
    came: dict[str, list[Image]] = defaultdict(list)
    for image in ds.images:
        if image.digest in gone and split.digest_of.get(image.id) != image.digest:
            came[image.digest].append(image)
    before: dict[ImageId, ImageId] = {}
    for digest, images in came.items():
        names = gone[digest]
        by_patient = {split.patient_of[name]: name for name in names if name in split.patient_of}
        alike = len({(split.part_of[name], split.patient_of.get(name)) for name in names}) == 1
        for image in images:
            if image.patient in by_patient:
                before[image.id] = by_patient[image.patient]
            elif alike and len(images) <= len(names):
                before[image.id] = names[0]
    if not before:
        return split
    parts = {new: split.part_of[name] for new, name in before.items()}
    people = {new: split.patient_of[name] for new, name in before.items() if name in split.patient_of}
    files = {new: split.digest_of[name] for new, name in before.items()}
    return replace(
        split,
        part_of={**split.part_of, **parts},
        patient_of={**split.patient_of, **people},
        digest_of={**split.digest_of, **files},
    )


def _drawn_for_val(
    ds: Dataset, split: Split, part_of: Mapping[ImageId, str], share: float
) -> dict[ImageId, str]:
    """Train or val for each new image that is in one of them; images with the same key follow what the split has placed."""
    seed, keys = split.made.get("seed", "0"), draw_keys(ds)
    ours = [image.id for image in ds.images if part_of[image.id] in LEARNED_FROM]
    settled = {keys[image]: part_of[image] for image in ours if image in split.part_of}
    return {
        image: settled.get(keys[image])
        or ("val" if part_of[image] == "train" and draw(seed, keys[image]) < share else part_of[image])
        for image in ours
        if image not in split.part_of
    }


def _recorded(split: Split) -> dict[str, float]:
    """The shares that the split was made for, or else the shares that it has."""
    if shares := asked(split):
        return shares
    images = Counter(split.part_of.values())
    return {part: images[part] / len(split.part_of) for part in reversed(split.parts)}


def _parts_of_patients(ds: Dataset, split: Split) -> dict[PatientId, str]:
    """The part of every unit that the split has placed, judged by its record and by the images of `ds`."""
    units = unit_of(ds)
    named = {image.patient: units[image.id] for image in ds.images if image.patient is not None}
    people = {image: named.get(patient, patient) for image, patient in split.patient_of.items()} | units
    return {people[image]: part for image, part in split.part_of.items() if image in people}


def _seed(split: Split) -> int:
    """The recorded seed, or 0."""
    text = split.made.get("seed", "")
    return int(text) if text.isdecimal() else 0


def _warn_of_lost(split: Split, ds: Dataset) -> None:
    """Warn of images that are gone and not merely renamed."""
    files = set(digests(ds).values())
    gone = split.part_of.keys() - {image.id for image in ds.images}
    lost = [image for image in gone if split.digest_of.get(image) not in files]
    if lost:
        on_record = all(image in split.patient_of for image in lost)
        then = (
            "their patients keep their parts"
            if on_record
            else "a patient without any image left counts as new"
        )
        warnings.warn(
            f'split "{split.name}": {len(lost):,} of its images are not in the data; {then}: '
            "check that the paths have not changed",
            DataWarning,
            stacklevel=3,
        )
