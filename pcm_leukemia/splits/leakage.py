"""What a leak is. This file alone decides; everything else in the package asks it.

A leak is knowledge about the images that a model is scored on which it gained from the images it was trained on. Two
images are *tied* if one tells something about the other: they show the same patient, or they are in the same group
(`Image.group`: one slide, or one cell photographed twice). `ties` lists the ties of an image, and all rules follow from
it:

- `leaks` finds ties that a split separates, and images without a part; `changed_patients` finds images that had
  another patient when the split was made;
- `separates` says which parts may share a tie: none, except train and val where the split says so;
- `units.unit_of` says what a split must keep together, and `units.draw_keys` what a draw of single images must;
- `seen.seen` finds images that a model has already learned from, in a data set of any name;
- `require_sound`, `require_known_patients` and `require_patients` are the gates.

Images with the same file (`Image.digest`) are no tie here: an empty field is one file in many patients, and public data
sets have duplicates in their published splits (docs/trust.md). Only what draws images keeps them together.

To change what a leak is, change `ties` or `separates`: every check and every gate follows, and what makes a split by
patient refuses what the new rule forbids. A new tie has the kind "group" and an id that no group has. If its id is only
unique within a data set, `joining` must put the name of the data set before it, as it does before groups.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, LeakySplit, MissingPatients, Problem, counted, either
from pcm_leukemia.schema import Image, ImageId, PatientId, Split

__all__ = [
    "LEARNED_FROM",
    "Leak",
    "LeakKind",
    "Tie",
    "changed_patients",
    "files_in_two_parts",
    "leaks",
    "require_known_patients",
    "require_patients",
    "require_sound",
    "separates",
    "ties",
]

LEARNED_FROM = ("train", "val")
"""The parts that training looks at: train for the weights, val for the epoch that is kept."""

LeakKind: TypeAlias = Literal[
    "patient-in-two-parts",
    "group-in-two-parts",
    "file-in-another-part",
    "in-no-part",
    "patient-changed",
    "learned-from",
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

    Where the data has no patient for an image, the patient that the split recorded counts (`Split.patient_of`), also for
    images that are no longer in the data: patients do not become unknown because an id got lost. An image whose patient
    nobody recorded cannot be checked and is not reported; `checks.check` warns about it.

    Parameters
    ----------
    ds
        The images, with their patients and groups.
    split
        Any split of them, sound or not.

    Returns
    -------
    list of Leak
        Empty if the split is sound; patients in the order of their ids, then groups, then one leak for all images whose
        file the split recorded in another part, and one for all images without a part.

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
    from_record: set[Tie] = set()
    in_no_part = [image.id for image in ds.images if image.id not in split.part_of]
    here = {image.id: image for image in ds.images}
    for image, part in split.part_of.items():
        known = ties(here[image]) if image in here else ()
        if not any(tie.kind == "patient" for tie in known) and image in split.patient_of:
            recorded = Tie("patient", split.patient_of[image])
            from_record.add(recorded)
            known = (recorded, *known)
        for tie in known:
            images_of.setdefault(tie, {}).setdefault(part, []).append(image)
    found = [
        _torn(split, tie, by_part, recorded=tie in from_record)
        for tie, by_part in sorted(images_of.items(), key=lambda item: (item[0].kind != "patient", item[0]))
        if separates(split, tie.kind, by_part)
    ]
    found += _moved(split, ds)
    if in_no_part:
        problem = Problem(
            f'split "{split.name}"',
            f'{len(in_no_part):,} of {len(ds.images):,} images are in no part, the first "{in_no_part[0]}"',
            either("place them with splits.extend", "place them: pcm-leukemia split DATA --extend"),
        )
        found.append(Leak("in-no-part", tuple(in_no_part), (), problem))
    return found


def _moved(split: Split, ds: Dataset) -> list[Leak]:
    """One leak for all images whose name has passed to a file that the split placed elsewhere, under a name it has lost."""
    names: dict[str, list[ImageId]] = {}
    for name, digest in split.digest_of.items():
        if name in split.part_of:
            names.setdefault(digest, []).append(name)
    times = Counter(image.digest for image in ds.images)
    here = {image.id: image.digest for image in ds.images}
    moved = []
    for image in ds.images:
        known = names.get(image.digest or "", ())
        if len(known) != 1 or times[image.digest] > 1 or image.id not in split.part_of:
            continue
        lost = known[0] not in here or here[known[0]] is not None  # another file, since this one is here once
        if lost and separates(split, "copy", {split.part_of[image.id], split.part_of[known[0]]}):
            moved.append((image.id, known[0]))
    if not moved:
        return []
    now, before = moved[0]
    problem = Problem(
        f'split "{split.name}"',
        f"{counted(len(moved), 'image has', 'images have')} the file of an image that was placed in another part: "
        f'"{now}" was "{before}" when the split was made',
        either("move the names with splits.extend", "move the names: pcm-leukemia split DATA --extend"),
    )
    parts = tuple(
        part for part in split.parts if part in {split.part_of[each] for pair in moved for each in pair}
    )
    return [Leak("file-in-another-part", tuple(now for now, _ in moved), parts, problem)]


def _torn(split: Split, tie: Tie, by_part: Mapping[str, list[ImageId]], *, recorded: bool) -> Leak:
    """The leak of a tie whose images are in several parts."""
    parts = tuple(part for part in split.parts if part in by_part)
    counts = [f"{part} ({len(by_part[part]):,} image{'s' * (len(by_part[part]) > 1)})" for part in parts]
    source = ", as the split recorded its images" if recorded else ""
    why = ", because they show the same thing" if tie.kind == "group" else ""
    problem = Problem(
        f'split "{split.name}" {tie.kind} "{tie.id}"',
        f"is in {', '.join(counts[:-1])} and {counts[-1]}{source}",
        f"put all its images into one part{why}, or make the split with "
        + either("splits.by_patient", "pcm-leukemia split"),
    )
    images = tuple(sorted(image for part in parts for image in by_part[part]))
    if tie.kind == "patient":
        return Leak("patient-in-two-parts", images, parts, problem, patient=PatientId(tie.id))
    return Leak("group-in-two-parts", images, parts, problem, group=tie.id)


def changed_patients(ds: Dataset, split: Split) -> list[Leak]:
    """Find the images that belonged to another patient when the split was made."""
    found = []
    for image in ds.images:
        before = split.patient_of.get(image.id, image.patient)
        if image.id in split.part_of and image.patient is not None and before != image.patient:
            problem = Problem(
                f'split "{split.name}" image "{image.id}"',
                f'belonged to patient "{before}" when the split was made, and now belongs to "{image.patient}"',
                "restore its patient or its name, or make the split again",
            )
            parts = (split.part_of[image.id],)
            found.append(Leak("patient-changed", (image.id,), parts, problem, patient=image.patient))
    return found


def require_known_patients(ds: Dataset, split: Split) -> None:
    """Refuse images whose patient the split recorded and the data have lost.

    The record still shows a leak among these images, but not one among images that come later.

    Raises
    ------
    MissingPatients
        If there are any.

    Examples
    --------
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("a.png"), 64, 64)
    >>> require_known_patients(Dataset("demo", NINE, (image,)), Split("official", {image.id: "train"}))
    """
    placed = [image for image in ds.images if image.id in split.part_of]
    lost = [image for image in placed if image.patient is None and split.patient_of.get(image.id)]
    if lost:
        raise MissingPatients(
            f'{ds.name}: {len(lost):,} of the {len(placed):,} images that split "{split.name}" places had a patient '
            f'when it was made and have none now, the first "{lost[0].id}"; give the patients again '
            + either(
                "(patients.assign), or leave the split out (Dataset.with_split(None))",
                "(pcm-leukemia import with --patients, --patients-csv, --patients-tag or --patients-attribute), or make "
                "the split again",
            )
        )


def files_in_two_parts(ds: Dataset) -> list[tuple[Image, ...]]:
    """The images that have the same file in parts of the split that copies must not share, by file.

    `check` reports them, and training warns of them; `require_sound` lets them pass.

    Examples
    --------
    >>> from pcm_leukemia.taxonomy import NINE
    >>> images = [Image(ImageId(f"{n}.png"), 64, 64, digest=digest) for n, digest in enumerate("aab")]
    >>> split = Split("demo", dict(zip([image.id for image in images], ["train", "test", "test"])))
    >>> [[image.id for image in same] for same in files_in_two_parts(Dataset("demo", NINE, tuple(images), split=split))]
    [['0.png', '1.png']]
    """
    if ds.split is None:
        return []
    by_file: dict[str, list[Image]] = {}
    for image in ds.images:
        if image.digest is not None:
            by_file.setdefault(image.digest, []).append(image)
    split = ds.split
    return [
        tuple(images)
        for images in by_file.values()
        if separates(split, "copy", {split.part_of[image.id] for image in images})
    ]


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
