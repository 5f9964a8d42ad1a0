"""Looks for patients, and groups of images, that stand in two parts of a split; `pcm_leukemia.splits` is its public face."""

from __future__ import annotations

from collections import Counter

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import LeakySplit, Problem
from pcm_leukemia.schema import Split

__all__ = ["SHARED_BY_IMAGE", "check", "require_sound"]

SHARED_BY_IMAGE = frozenset({"train", "val"})
"""The parts that may share patients, where a split says that it drew validation by image."""


def check(ds: Dataset, split: Split) -> list[Problem]:
    """Name every patient and every group of images in two parts, and say how many images no part has.

    Training and validation may share patients only where ``split.made["val_unit"]`` is "image";
    a patient shared with any other part is always named, and so is a group in two parts. An image without a patient cannot be
    checked and is no problem here; splits that come with the data say in their `made` how many
    such images there are.

    Returns
    -------
    list of Problem
        Empty if the split is sound; the patients in the order of their ids, then the groups.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, ImageId, Patient, PatientId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> images = tuple(Image(ImageId(f"{n}.png"), 64, 64, PatientId("P7")) for n in "abc")
    >>> ds = Dataset("demo", NINE, images, patients=(Patient(PatientId("P7"), "AML"),))
    >>> split = Split("demo", {ImageId("a.png"): "train", ImageId("b.png"): "train", ImageId("c.png"): "test"})
    >>> print(check(ds, split)[0])
    split "demo" patient "P7": stands in train (2 images) and test (1 image); put all of them into one part, or make the split with splits.by_patient
    """
    shared = SHARED_BY_IMAGE if split.made.get("val_unit") == "image" else frozenset[str]()
    images_of: dict[str, Counter[str]] = {}
    in_group: dict[str, Counter[str]] = {}
    lost = []
    for image in ds.images:
        part = split.part_of.get(image.id)
        if part is None:
            lost.append(image.id)
            continue
        if image.patient is not None:
            images_of.setdefault(image.patient, Counter())[part] += 1
        if image.group is not None:
            in_group.setdefault(image.group, Counter())[part] += 1
    problems = [
        Problem(
            f'split "{split.name}" patient "{patient}"',
            f"stands in {_parts(split, images)}",
            "put all of them into one part, or make the split with splits.by_patient",
        )
        for patient, images in sorted(images_of.items())
        if len(images) > 1 and not images.keys() <= shared
    ]
    problems += [
        Problem(
            f'split "{split.name}" group "{group}"',
            f"stands in {_parts(split, images)}",
            "put all of them into one part, since they show the same, or make the split with splits.by_patient",
        )
        for group, images in sorted(in_group.items())
        if len(images) > 1
    ]
    if lost:
        problems.append(
            Problem(
                f'split "{split.name}"',
                f'{len(lost):,} of {len(ds.images):,} images are in no part, the first "{lost[0]}"',
                "let splits.extend place them",
            )
        )
    return problems


def require_sound(ds: Dataset) -> None:
    """Refuse a data set whose split has a patient or a group in two parts; one without a split is fine.

    Raises
    ------
    LeakySplit
        If a patient or a group stands in two parts: each is named, with the parts.

    Examples
    --------
    >>> from pcm_leukemia.taxonomy import NINE
    >>> require_sound(Dataset("demo", NINE, ()))
    """
    problems = check(ds, ds.split) if ds.split else []
    if problems:
        raise LeakySplit(problems)


def _parts(split: Split, images: Counter[str]) -> str:
    """'train (2 images), val (1 image) and test (5 images)'."""
    texts = [
        f"{part} ({images[part]:,} image{'s' if images[part] > 1 else ''})"
        for part in split.parts
        if part in images
    ]
    return f"{', '.join(texts[:-1])} and {texts[-1]}"
