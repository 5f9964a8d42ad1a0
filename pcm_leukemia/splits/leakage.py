"""What a leak is. This file alone decides; everything else in the package asks it.

A leak is knowledge about the images that a model is scored on which it gained from the images it was trained on. Two
images are *tied* if one tells something about the other: they show the same patient, or they are in the same group
(`Image.group`: one slide, or one cell photographed twice). `ties` lists the ties of an image, and all rules follow from
it:

- `leaks` finds ties that a split separates, and images without a part; `record_leaks` also uses the patients that a
  split remembers of images that are gone;
- `separates` says which parts may share a tie: none, except train and val where the split says so;
- `unit_of` says what a split must keep together, and `draw_keys` what a draw of single images must;
- `seen` finds images that a model has already learned from, in a data set of any name;
- `require_sound` and `require_patients` are the gates.

To change what a leak is, change `ties` or `separates`.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, LeakySplit, MissingPatients, Problem, either
from pcm_leukemia.grouping import groups
from pcm_leukemia.schema import Image, ImageId, PatientId, Split

__all__ = [
    "LEARNED_FROM",
    "Leak",
    "LeakKind",
    "Tie",
    "draw_keys",
    "leaks",
    "record_leaks",
    "require_patients",
    "require_sound",
    "separates",
    "ties",
    "unit_of",
]

LEARNED_FROM = ("train", "val")
"""The parts that training looks at: train for the weights, val for the epoch that is kept."""

LeakKind: TypeAlias = Literal[
    "patient-in-two-parts", "group-in-two-parts", "in-no-part", "patient-changed", "learned-from"
]
TieKind: TypeAlias = Literal["patient", "group", "copy"]


class Tie(NamedTuple):
    """What an image has in common with others: the same patient, or the same group."""

    kind: Literal["patient", "group"]
    id: str


@dataclass(frozen=True, slots=True)
class Leak:
    """One leak, or one image that cannot be judged because no part has it.

    `images` are the images it is about, and `parts` the parts they are in. `patient` or `group` is the tie that is
    broken. `problem` is the sentence for people.
    """

    kind: LeakKind
    images: tuple[ImageId, ...]
    parts: tuple[str, ...]
    problem: Problem
    patient: PatientId | None = None
    group: str | None = None

    def __str__(self) -> str:
        return str(self.problem)


def ties(image: Image) -> tuple[Tie, ...]:
    """The ties of an image, the patient first; empty if it has neither a patient nor a group."""
    return (
        *((Tie("patient", image.patient),) if image.patient is not None else ()),
        *((Tie("group", image.group),) if image.group is not None else ()),
    )


def separates(split: Split, tie: TieKind, parts: Collection[str]) -> bool:
    """Whether it is a leak that one patient, one group, or copies of one image are in these parts of the split.

    Training and validation may share patients if `Split.val_shares_patients` says so (the paper draws validation by
    image, section 2.3). Groups and copies show the same thing and never share parts.

    Examples
    --------
    >>> by_image = Split("demo", {}, val_shares_patients=True)
    >>> separates(by_image, "patient", {"train", "val"}), separates(by_image, "patient", {"val", "test"})
    (False, True)
    >>> separates(by_image, "group", {"train", "val"})
    True
    """
    may_share = LEARNED_FROM if tie == "patient" and split.val_shares_patients else ()
    return len(parts) > 1 and not set(parts) <= set(may_share)


def leaks(ds: Dataset, split: Split) -> list[Leak]:
    """Find every patient and every group in two parts of a split, and the images that are in no part.

    An image without a patient cannot be checked for its patient and is not reported; `checks.check` warns about it.

    Parameters
    ----------
    ds
        The images, with their patients and groups.
    split
        Any split of them, sound or not.

    Returns
    -------
    list of Leak
        Empty if the split is sound; patients in the order of their ids, then groups, then one leak for all images
        without a part.

    Examples
    --------
    >>> from pcm_leukemia.schema import Patient
    >>> from pcm_leukemia.taxonomy import NINE
    >>> images = tuple(Image(ImageId(f"{n}.png"), 64, 64, PatientId("P7")) for n in "abc")
    >>> ds = Dataset("demo", NINE, images, patients=(Patient(PatientId("P7"), "AML"),))
    >>> split = Split("demo", {ImageId("a.png"): "train", ImageId("b.png"): "train", ImageId("c.png"): "test"})
    >>> leak = leaks(ds, split)[0]
    >>> leak.kind, leak.patient, leak.parts
    ('patient-in-two-parts', 'P7', ('train', 'test'))
    >>> print(leak)
    split "demo" patient "P7": is in train (2 images) and test (1 image); put all its images into one part, or make the split with splits.by_patient
    """
    images_of: dict[Tie, dict[str, list[ImageId]]] = {}
    in_no_part = []
    for image in ds.images:
        part = split.part_of.get(image.id)
        if part is None:
            in_no_part.append(image.id)
            continue
        for tie in ties(image):
            images_of.setdefault(tie, {}).setdefault(part, []).append(image.id)
    found = [
        _torn(split, tie, by_part)
        for tie, by_part in sorted(images_of.items(), key=lambda item: (item[0].kind != "patient", item[0]))
        if separates(split, tie.kind, by_part)
    ]
    if in_no_part:
        problem = Problem(
            f'split "{split.name}"',
            f'{len(in_no_part):,} of {len(ds.images):,} images are in no part, the first "{in_no_part[0]}"',
            either("place them with splits.extend", "place them: pcm-leukemia split DATA --extend"),
        )
        found.append(Leak("in-no-part", tuple(in_no_part), (), problem))
    return found


def _torn(split: Split, tie: Tie, by_part: Mapping[str, list[ImageId]]) -> Leak:
    """The leak of a tie whose images are in several parts."""
    parts = tuple(part for part in split.parts if part in by_part)
    counts = [f"{part} ({len(by_part[part]):,} image{'s' * (len(by_part[part]) > 1)})" for part in parts]
    why = ", because they show the same thing" if tie.kind == "group" else ""
    problem = Problem(
        f'split "{split.name}" {tie.kind} "{tie.id}"',
        f"is in {', '.join(counts[:-1])} and {counts[-1]}",
        f"put all its images into one part{why}, or make the split with "
        + either("splits.by_patient", "pcm-leukemia split"),
    )
    images = tuple(image for part in parts for image in by_part[part])
    if tie.kind == "patient":
        return Leak("patient-in-two-parts", images, parts, problem, patient=PatientId(tie.id))
    return Leak("group-in-two-parts", images, parts, problem, group=tie.id)


def record_leaks(ds: Dataset, split: Split) -> list[Leak]:
    """The leaks of a split among the images it places, judged also by what it remembers of their patients.

    Beside `leaks`, an image whose patient has changed since the split was made is a leak, and so is a patient in two
    parts some of whose images are no longer in the data (`Split.patient_of`).
    """
    found = leaks(ds.select(images=split.part_of), split)
    now = {image.id: image.patient for image in ds.images if image.patient is not None}
    for image, patient in sorted(now.items()):
        before = split.patient_of.get(image, patient)
        if image in split.part_of and before != patient:
            problem = Problem(
                f'split "{split.name}" image "{image}"',
                f'belonged to patient "{before}" when the split was made, and now belongs to "{patient}"',
                "restore its patient or its name, or make the split again",
            )
            found.append(
                Leak(
                    "patient-changed", (image,), (split.part_of[image],), problem, patient=PatientId(patient)
                )
            )
    return found or list(_remembered(split, {**split.patient_of, **now}))


def _remembered(split: Split, patient_of: Mapping[ImageId, PatientId]) -> Iterator[Leak]:
    """The patients in two parts, by images that may be gone."""
    images_of: dict[PatientId, list[ImageId]] = {}
    for image in split.part_of:
        if image in patient_of:
            images_of.setdefault(patient_of[image], []).append(image)
    for patient, images in sorted(images_of.items()):
        inside = {split.part_of[image] for image in images}
        if separates(split, "patient", inside):
            parts = tuple(part for part in split.parts if part in inside)
            problem = Problem(
                f'split "{split.name}" patient "{patient}"',
                f"is in {' and '.join(parts)}, counting images that are no longer in the data",
                "make the split again",
            )
            yield Leak("patient-in-two-parts", tuple(images), parts, problem, patient=patient)


def unit_of(ds: Dataset) -> dict[ImageId, PatientId]:
    """The unit of every image that has a tie: what no split may separate, named after a patient where it has one.

    Patients who share a group are one unit: separating them would separate the group.

    Examples
    --------
    >>> from pcm_leukemia.schema import Patient
    >>> from pcm_leukemia.taxonomy import NINE
    >>> people = Patient(PatientId("P1")), Patient(PatientId("P2"))
    >>> images = (
    ...     Image(ImageId("a.png"), 64, 64, PatientId("P1"), group="cell 7"),
    ...     Image(ImageId("b.png"), 64, 64, PatientId("P2")),
    ...     Image(ImageId("c.png"), 64, 64, group="cell 7"),
    ... )
    >>> unit_of(Dataset("demo", NINE, images, patients=people))
    {'a.png': 'P1', 'b.png': 'P2', 'c.png': 'P1'}
    """
    return _units({image.id: ties(image) for image in ds.images})


def draw_keys(ds: Dataset) -> dict[ImageId, str]:
    """What decides the draw of each image where validation may share patients: images of one key stay together.

    The key is the image's id, or that of the unit which it is tied to by more than its patient.
    """
    closer = {image.id: tuple(tie for tie in ties(image) if tie.kind != "patient") for image in ds.images}
    return {image.id: str(image.id) for image in ds.images} | dict(_units(closer))


def _units(ties_of: Mapping[ImageId, tuple[Tie, ...]]) -> dict[ImageId, PatientId]:
    """The unit of every image with a tie, named after the last of its ties; patients come after groups."""
    names = {image: [_unit_name(tie) for tie in tied] for image, tied in ties_of.items() if tied}
    unit: dict[str, str] = {}
    for together in groups(pair for tied in names.values() for pair in pairwise(tied)):
        unit |= dict.fromkeys(together, max(together))
    return {image: PatientId(unit.get(tied[0], tied[0])) for image, tied in names.items()}


def _unit_name(tie: Tie) -> str:
    """The patient's id; a group's name behind a character that no patient's id begins with and that sorts first."""
    return tie.id if tie.kind == "patient" else f"\0{tie.id}"


def require_sound(ds: Dataset) -> None:
    """Refuse a data set whose split leaks; a data set without a split is fine.

    Raises
    ------
    LeakySplit
        If a patient or a group is in two parts: each is named, with the parts.

    Examples
    --------
    >>> from pcm_leukemia.taxonomy import NINE
    >>> require_sound(Dataset("demo", NINE, ()))
    """
    found = leaks(ds, ds.split) if ds.split else []
    if found:
        raise LeakySplit([leak.problem for leak in found])


def require_patients(ds: Dataset, images: Iterable[Image]) -> None:
    """Refuse images that have neither a patient nor a group, since no split can keep them together with anything.

    Raises
    ------
    MissingPatients
        If there are any, with the ways to give patient ids.

    Warns
    -----
    DataWarning
        If images have a group but no patient.
    """
    images = list(images)
    untied = [image.id for image in images if not ties(image)]
    if untied or not images:
        raise MissingPatients(
            f"{ds.name}: {len(untied):,} of {len(images):,} images have no patient id"
            + (f', the first "{untied[0]}"' if untied else "")
            + ", and a split by patient needs one for each; give them "
            + either(
                "by a pattern over image paths (patients.from_pattern), a CSV (patients.from_csv), or a CVAT tag or "
                "attribute (patients.from_tags, patients.from_attribute)",
                "to pcm-leukemia import by a pattern over image paths (--patients), a CSV (--patients-csv), or a CVAT "
                "tag or attribute (--patients-tag, --patients-attribute)",
            )
        )
    by_group = sum(image.patient is None for image in images)
    if by_group:
        warnings.warn(
            f"{ds.name}: {by_group:,} of {len(images):,} images have no patient id; they are kept together by "
            "group, and a patient with several groups may be in several parts",
            DataWarning,
            stacklevel=3,
        )
