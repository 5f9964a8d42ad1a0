"""Makes splits by whole patients: `by_patient`, `folds`, and `extend` for data that has grown."""

from __future__ import annotations

import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, LeakySplit, MissingPatients, some
from pcm_leukemia.patients import warn_of_spellings
from pcm_leukemia.schema import Image, ImageId, PatientId, Split
from pcm_leukemia.splits.balance import Ints, assign, counts, place, reached
from pcm_leukemia.splits.leakage import (
    LEARNED_FROM,
    DrawKey,
    changed_patients,
    draw_keys,
    leaks,
    require_known_patients,
    require_patients,
    require_sound,
    respelled,
    unit_of,
)

__all__ = ["ValUnit", "by_patient", "digests", "extend", "folds"]

ValUnit = Literal["patient", "image"]


def by_patient(
    ds: Dataset,
    test: float = 0.15,
    val: float = 0.2,
    seed: int = 0,
    *,
    val_unit: ValUnit = "patient",
    name: str = "official",
) -> Split:
    """Put whole patients into train, val and test, near the requested shares.

    The test patients are chosen first, then the validation patients among the rest: the paper's 85:15 and 80:20
    (sections 2.2 and 2.3). Each choice balances the share of the images and the share of the cells of every class. A
    class that three patients have is in every part. Images of one group (`Image.group`) stay together too; where images
    have a group but no patient, the group takes the patient's place. The same data and seed give the same split,
    whatever the order of the rows.

    Parameters
    ----------
    ds
        The data set. Every image needs a patient or a group.
    test
        The share of all images to hold out, from 0 up to but not including 1; 0 makes no test part.
    val
        The share of the rest to validate on, from 0 up to but not including 1; 0 makes no validation part.
    seed
        0 or more. Another seed may give another split of about the same quality.
    val_unit
        "image" draws validation at random from the images left by test, as the paper does. Training and validation
        then share patients, and the split says so (`Split.val_shares_patients`).
    name
        The name of the split.

    Returns
    -------
    Split
        Its `made` records the arguments and how near each part came to its share.

    Raises
    ------
    MissingPatients
        If an image has neither a patient nor a group, or there are fewer patients than parts.
    ValueError
        If a share, the seed or `val_unit` is out of range.

    Warns
    -----
    DataWarning
        If a part has no cell of a class because too few patients have that class, if images without a patient are
        kept together by group, or if patients may be one under several spellings.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, Patient
    >>> from pcm_leukemia.taxonomy import NINE
    >>> people = [Patient(PatientId(f"P{n}")) for n in range(10)]
    >>> images = [Image(ImageId(f"{p.id}/{n}.png"), 64, 64, p.id) for p in people for n in range(10)]
    >>> split = by_patient(Dataset("demo", NINE, tuple(images), patients=tuple(people)), test=0.2, val=0.25)
    >>> split.parts, sorted({image[:2] for image, part in split.part_of.items() if part == "test"})
    (('train', 'val', 'test'), ['P2', 'P3'])
    >>> split.made["images"]
    'train 60, val 20, test 20'
    """
    if not (0 <= test < 1 and 0 <= val < 1):
        raise ValueError(
            f"test {test}, val {val}: must be shares from 0 up to, not including, 1; 0.15 is 15 %"
        )
    if val_unit not in ("patient", "image"):
        raise ValueError(f'val_unit "{val_unit}": must be "patient" or "image"')
    require_patients(ds, ds.images)
    warn_of_spellings(ds)
    targets = _shares(test, val)
    unit = {"test": test, "train": 1 - test} if val_unit == "image" else targets
    part_of = _place_all(ds, {part: share for part, share in unit.items() if share}, _checked(seed))
    if val_unit == "image":
        rest = [image for image in ds.images if part_of[image.id] == "train"]
        part_of |= dict.fromkeys(_drawn(rest, draw_keys(ds), val, str(seed)), "val")
    made = {
        "method": "by_patient",
        "seed": str(seed),
        "test": str(test),
        "val": str(val),
        "val_unit": val_unit,
    }
    made |= _shared(val_unit) | reached(ds, part_of, targets)
    by_image = val_unit == "image"
    split = Split(name, part_of, made, _patients(ds), digest_of=digests(ds), val_shares_patients=by_image)
    require_sound(ds.with_split(split))
    _warn_of_missing([split])
    return split


def folds(ds: Dataset, k: int = 5, seed: int = 0) -> list[Split]:
    """Put whole patients into k folds and return k splits; each validates on one fold.

    Every patient is in "val" in exactly one split and in "train" in the others. The folds are balanced together, each
    to 1/k of the images and of the cells of every class.

    Parameters
    ----------
    ds
        The data set. Every image needs a patient. To keep a test part aside, pass the rest:
        ``folds(ds.select(images=lambda image: ds.part_of(image) != "test"))``.
    k
        The number of folds: 2 or more, and at most the number of patients.
    seed
        0 or more.

    Returns
    -------
    list of Split
        ``fold0``, ``fold1``, and so on.

    Raises
    ------
    MissingPatients
        If an image has no patient, or there are fewer patients than folds.
    ValueError
        If `k` or the seed is out of range.

    Warns
    -----
    DataWarning
        If a fold has no cell of a class because too few patients have that class, or if patients may be one under
        several spellings.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, Patient
    >>> from pcm_leukemia.taxonomy import NINE
    >>> people = tuple(Patient(PatientId(f"P{n}")) for n in range(6))
    >>> images = tuple(Image(ImageId(f"{patient.id}.png"), 64, 64, patient.id) for patient in people)
    >>> for split in folds(Dataset("demo", NINE, images, patients=people), k=3):
    ...     print(split.name, sorted(image for image, part in split.part_of.items() if part == "val"))
    fold0 ['P2.png', 'P3.png']
    fold1 ['P0.png', 'P1.png']
    fold2 ['P4.png', 'P5.png']
    """
    if k < 2:
        raise ValueError(f"{k} folds: must be 2 or more; 5 is usual")
    require_patients(ds, ds.images)
    warn_of_spellings(ds)
    patients, table = _table(ds)
    _need_as_many(ds, patients, [f"fold{fold}" for fold in range(k)])
    chosen = assign(table, [1 / k] * k, np.random.default_rng(_checked(seed)))
    fold_of = dict(zip(patients, chosen.tolist(), strict=True))
    units = unit_of(ds)
    splits = []
    for fold in range(k):
        part_of = {image.id: "val" if fold_of[units[image.id]] == fold else "train" for image in ds.images}
        made = {"method": "folds", "seed": str(seed), "k": str(k), "fold": str(fold), "val_unit": "patient"}
        made |= reached(ds, part_of, {"val": 1 / k, "train": 1 - 1 / k})
        splits.append(Split(f"fold{fold}", part_of, made, _patients(ds), digest_of=digests(ds)))
    _warn_of_missing(splits)
    return splits


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
    old = [image for image in ds.images if image.id in split.part_of]
    new = [image for image in ds.images if image.id not in split.part_of]
    known = leaks(ds.select(images=lambda image: image.id in split.part_of), split) + changed_patients(
        ds, split
    )
    if known:
        raise LeakySplit([leak.problem for leak in known])
    _warn_of_lost(split, ds)
    if not new:
        return split
    require_patients(ds, new)
    warn_of_spellings(ds)
    targets = _recorded(split)
    by_image = split.val_shares_patients
    unit = dict(targets)
    if by_image:
        unit["train"] = unit.get("train", 0.0) + unit.pop("val", 0.0)
    settled = {
        patient: "train" if by_image and part == "val" else part
        for patient, part in _parts_of_patients(ds, split).items()
    }
    part_of = dict(split.part_of)
    placed = _place_all(ds, unit, _seed(split), settled)
    part_of |= {image.id: placed[image.id] for image in new}
    if by_image and "val" in targets:
        val = targets["val"] / unit["train"]
        seed, keys = split.made.get("seed", "0"), draw_keys(ds)
        part_of |= {i.id: "val" for i in new if part_of[i.id] == "train" and _draw(seed, keys[i.id]) < val}
        placed_keys = {keys[i.id]: part_of[i.id] for i in old if part_of[i.id] in LEARNED_FROM}
        drawn = [i for i in new if part_of[i.id] in LEARNED_FROM and keys[i.id] in placed_keys]
        part_of |= {i.id: placed_keys[keys[i.id]] for i in drawn}
    units = unit_of(ds)
    fresh = len({units[image.id] for image in new} - settled.keys())
    made = {key: text for key, text in split.made.items() if not key.startswith(("reached", "missing"))}
    made |= {"extended": f"{fresh} new patients, {len(new)} new images"} | reached(ds, part_of, targets)
    grown = replace(
        split,
        part_of=part_of,
        made=made,
        patient_of={**split.patient_of, **_patients(ds)},
        digest_of={**split.digest_of, **digests(ds)},
    )
    require_sound(ds.with_split(grown))
    _warn_of_missing([grown])
    return grown


def _with_renamed(split: Split, ds: Dataset) -> Split:
    """The split with the images that were renamed since, each in its part and with its patient on record.

    Several images may be one file, such as an empty field. Such an image is a renamed one if one of its patient is gone,
    or if all that are gone had one part and one patient, and there are not more of them now.
    """
    here = {image.id for image in ds.images}
    gone: dict[str, list[ImageId]] = defaultdict(list)
    for name, digest in sorted(split.digest_of.items()):
        if name in split.part_of and name not in here:
            gone[digest].append(name)
    came: dict[str, list[Image]] = defaultdict(list)
    for image in ds.images:
        if image.digest in gone and image.id not in split.part_of:
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


def _shares(test: float, val: float) -> dict[str, float]:
    """The share of all images that each part gets, in the order in which the parts are chosen."""
    shares = {"test": test, "val": (1 - test) * val, "train": (1 - test) * (1 - val)}
    return {part: share for part, share in shares.items() if share}


def _recorded(split: Split) -> dict[str, float]:
    """The shares that the split was made for, or else the shares that it has."""
    try:
        shares = _shares(float(split.made["test"]), float(split.made["val"]))
    except (KeyError, ValueError):
        shares = {}
    if shares.keys() >= set(split.parts):
        return shares
    images = Counter(split.part_of.values())
    return {part: images[part] / len(split.part_of) for part in reversed(split.parts)}


def _table(ds: Dataset) -> tuple[list[PatientId], Ints]:
    """The units that have images, sorted by name, and their counts."""
    units = unit_of(ds)
    patients = sorted(set(units.values()))
    return patients, counts(ds, units, patients)


def _place_all(
    ds: Dataset, shares: dict[str, float], seed: int, settled: dict[PatientId, str] | None = None
) -> dict[ImageId, str]:
    """The part of every image that has a patient or a group."""
    patients, table = _table(ds)
    if not settled:
        _need_as_many(ds, patients, list(shares))
    placed = place(table, patients, shares, settled or {}, seed)
    return {image: placed[unit] for image, unit in unit_of(ds).items()}


def _need_as_many(ds: Dataset, patients: list[PatientId], parts: list[str]) -> None:
    if len(patients) < len(parts):
        raise MissingPatients(
            f"{ds.name}: has {len(patients)} patient{'s' * (len(patients) != 1)}, and {len(parts)} parts "
            f"({', '.join(parts)}) need at least one each; ask for fewer parts, or add patients"
        )


def _patients(ds: Dataset) -> dict[ImageId, PatientId]:
    return {image.id: image.patient for image in ds.images if image.patient is not None}


def digests(ds: Dataset) -> dict[ImageId, str]:
    """The digest of each image's file, as far as known."""
    return {image.id: image.digest for image in ds.images if image.digest is not None}


def _parts_of_patients(ds: Dataset, split: Split) -> dict[PatientId, str]:
    """The part of every unit that the split has placed, judged by its record and by the images of `ds`."""
    units = unit_of(ds)
    named = {image.patient: units[image.id] for image in ds.images if image.patient is not None}
    people = {image: named.get(patient, patient) for image, patient in split.patient_of.items()} | units
    return {people[image]: part for image, part in split.part_of.items() if image in people}


def _checked(seed: int) -> int:
    if seed < 0:
        raise ValueError(f"seed {seed}: must be 0 or more")
    return seed


def _seed(split: Split) -> int:
    """The recorded seed, or 0."""
    text = split.made.get("seed", "")
    return int(text) if text.isdecimal() else 0


def _drawn(images: list[Image], keys: Mapping[ImageId, DrawKey], share: float, seed: str) -> list[ImageId]:
    """About that share of the images, drawn one by one; images with the same key are drawn together."""
    drawn = sorted((_draw(seed, keys[image.id]), image.id) for image in images)
    end = round(share * len(drawn))
    while 0 < end < len(drawn) and keys[drawn[end][1]] == keys[drawn[end - 1][1]]:
        end += 1
    return [image for _, image in drawn[:end]]


def _draw(seed: str, key: DrawKey) -> float:
    """A number from 0 up to 1 that depends only on the seed and the key."""
    return random.Random(f"{seed} {key.key}").random()  # noqa: S311 - a draw, no secret


def _shared(val_unit: ValUnit) -> dict[str, str]:
    return {"shared": "validation shares patients with training"} if val_unit == "image" else {}


def _warn_of_missing(splits: list[Split]) -> None:
    lines = [f'split "{split.name}": {split.made["missing"]}' for split in splits if "missing" in split.made]
    if lines:
        fix = "such a part gives no score for the class; leave the class out, or add patients who have it"
        warnings.warn(f"{some(lines)}: these parts have no such cells; {fix}", DataWarning, stacklevel=3)


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
