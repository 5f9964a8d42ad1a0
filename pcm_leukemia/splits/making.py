"""Makes splits by whole patients: `by_patient` and `folds`."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, MissingPatients, counted, some
from pcm_leukemia.patients import warn_of_doubts
from pcm_leukemia.schema import Image, ImageId, PatientId, Split
from pcm_leukemia.splits.balance import Ints, assign, counts, place, reached
from pcm_leukemia.splits.leakage import (
    require_patients,
    require_sound,
)
from pcm_leukemia.splits.units import DrawKey, draw_keys, unit_of

__all__ = [
    "ValUnit",
    "asked",
    "by_patient",
    "digests",
    "draw",
    "folds",
    "patients_of",
    "place_all",
    "shares_of",
    "warn_of_missing",
]

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
    warn_of_doubts(ds)
    targets = shares_of(test, val)
    unit = {"test": test, "train": 1 - test} if val_unit == "image" else targets
    part_of = place_all(ds, {part: share for part, share in unit.items() if share}, _checked(seed))
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
    split = Split(name, part_of, made, patients_of(ds), digest_of=digests(ds), val_shares_patients=by_image)
    require_sound(ds.with_split(split))
    warn_of_missing([split])
    return split


def folds(
    ds: Dataset, k: int = 5, seed: int = 0, *, val: float = 0.0, names: Sequence[str] | None = None
) -> list[Split]:
    """Put whole patients into k folds and return k splits; each holds out one fold.

    Every patient is held out in exactly one split: in "val", or in "test" if `val` asks for another validation part. The
    folds are balanced together, each to 1/k of the images and of the cells of every class.

    Parameters
    ----------
    ds
        The data set. Every image needs a patient. To keep a test part aside, pass the rest:
        ``folds(ds.select(images=lambda image: ds.part_of(image) != "test"))``.
    k
        The number of folds: 2 or more, and at most the number of patients.
    seed
        0 or more.
    val
        The share of the images outside the fold to validate on, from 0 up to but not including 1. Above 0, the fold is
        "test", and whole patients are drawn from the rest for "val".
    names
        The names of the k splits; by default ``fold0``, ``fold1``, and so on.

    Returns
    -------
    list of Split
        The splits, in the order of their names.

    Raises
    ------
    MissingPatients
        If an image has no patient, or there are fewer patients than folds or parts.
    ValueError
        If `k`, `val` or the seed is out of range, or there are not k names.

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
        raise ValueError(f"{counted(k, 'fold')}: must be 2 or more; 5 is usual")
    if not 0 <= val < 1:
        raise ValueError(f"val {val}: must be a share from 0 up to, not including, 1; 0.2 is 20 %")
    names = [f"fold{fold}" for fold in range(k)] if names is None else names
    if len(names) != k:
        raise ValueError(f"names: {len(names)} for {k} folds; give one for each")
    require_patients(ds, ds.images)
    warn_of_doubts(ds)
    patients, table = _table(ds)
    if len(patients) < k:
        fix = f"give at most {len(patients)}" if len(patients) > 1 else "add patients"
        raise MissingPatients(
            f"{ds.name}: {k} folds are more than the {counted(len(patients), 'patient')}; {fix}"
        )
    chosen = assign(table, [1 / k] * k, np.random.default_rng(_checked(seed)))
    fold_of = dict(zip(patients, chosen.tolist(), strict=True))
    units = unit_of(ds)
    held_out = "test" if val else "val"
    targets = _shares_of_fold(k, val)
    splits = []
    for fold, name in enumerate(names):
        part_of = {image.id: held_out if fold_of[units[image.id]] == fold else "train" for image in ds.images}
        made = {"method": "folds", "seed": str(seed), "k": str(k), "fold": str(fold), "val_unit": "patient"}
        if val:
            rest = ds.select(images={image for image, part in part_of.items() if part == "train"})
            part_of |= place_all(rest, {"val": val, "train": 1 - val}, seed)
            made["val"] = str(val)
        made |= reached(ds, part_of, targets)
        splits.append(Split(name, part_of, made, patients_of(ds), digest_of=digests(ds)))
    warn_of_missing(splits)
    return splits


def shares_of(test: float, val: float) -> dict[str, float]:
    """The share of all images that each part gets, in the order in which the parts are chosen."""
    shares = {"test": test, "val": (1 - test) * val, "train": (1 - test) * (1 - val)}
    return {part: share for part, share in shares.items() if share}


def _shares_of_fold(k: int, val: float) -> dict[str, float]:
    """The same for one of k folds."""
    rest = {part: share * (1 - 1 / k) for part, share in shares_of(0, val).items()}
    return {"test" if val else "val": 1 / k} | rest


def asked(split: Split) -> dict[str, float]:
    """The share of all images that each part was to get, as `Split.made` records it; {} if it does not.

    Examples
    --------
    >>> asked(Split("demo", {}, {"method": "by_patient", "test": "0.2", "val": "0.25"}))
    {'test': 0.2, 'val': 0.2, 'train': 0.6000000000000001}
    """
    made = split.made
    try:
        if made.get("method") == "folds":
            shares = _shares_of_fold(int(made["k"]), float(made.get("val", 0)))
        else:
            shares = shares_of(float(made["test"]), float(made["val"]))
    except (KeyError, ValueError, ZeroDivisionError):
        return {}
    fits = shares.keys() >= set(split.parts) and all(0 < share <= 1 for share in shares.values())
    return shares if fits else {}


def _table(ds: Dataset) -> tuple[list[PatientId], Ints]:
    """The units that have images, sorted by name, and their counts."""
    units = unit_of(ds)
    patients = sorted(set(units.values()))
    return patients, counts(ds, units, patients)


def place_all(
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
            f"{ds.name}: has {counted(len(patients), 'patient')}, and {len(parts)} parts "
            f"({', '.join(parts)}) need at least one each; ask for fewer parts, or add patients"
        )


def patients_of(ds: Dataset) -> dict[ImageId, PatientId]:
    """The patient of each image, as far as known."""
    return {image.id: image.patient for image in ds.images if image.patient is not None}


def digests(ds: Dataset) -> dict[ImageId, str]:
    """The digest of each image's file, as far as known."""
    return {image.id: image.digest for image in ds.images if image.digest is not None}


def _checked(seed: int) -> int:
    if seed < 0:
        raise ValueError(f"seed {seed}: must be 0 or more")
    return seed


def _drawn(images: list[Image], keys: Mapping[ImageId, DrawKey], share: float, seed: str) -> list[ImageId]:
    """About that share of the images, drawn one by one; images with the same key are drawn together."""
    drawn = sorted((draw(seed, keys[image.id]), image.id) for image in images)
    end = round(share * len(drawn))
    while 0 < end < len(drawn) and keys[drawn[end][1]] == keys[drawn[end - 1][1]]:
        end += 1
    return [image for _, image in drawn[:end]]


def draw(seed: str, key: DrawKey) -> float:
    """A number from 0 up to 1 that depends only on the seed and the key."""
    return random.Random(f"{seed} {key.key}").random()  # noqa: S311 - a draw, no secret


def _shared(val_unit: ValUnit) -> dict[str, str]:
    return {"shared": "validation shares patients with training"} if val_unit == "image" else {}


def warn_of_missing(splits: list[Split]) -> None:
    """Warn of classes that a part has no cell of."""
    lines = [f'split "{split.name}": {split.made["missing"]}' for split in splits if "missing" in split.made]
    if lines:
        fix = "such a part gives no score for the class; leave the class out, or add patients who have it"
        warnings.warn(f"{some(lines)}: these parts have no such cells; {fix}", DataWarning, stacklevel=3)
