"""Takes the split that comes with the data: in CVAT subsets, in folders, or in lists.

Each is checked for leaks first. Where patients are unknown, nothing can be checked, and the split says so.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, DataWarning, InvalidExport, Problem, some
from pcm_leukemia.files import ImageNames
from pcm_leukemia.patients import warn_of_doubts
from pcm_leukemia.schema import Image, ImageId, Split, part_named
from pcm_leukemia.splits.file import PART
from pcm_leukemia.splits.leakage import require_sound
from pcm_leukemia.splits.making import ValUnit, digests

__all__ = ["from_folders", "from_lists", "from_subsets"]

Parts = dict[ImageId, str]

_DEFAULT = re.compile(r"default(_\d+)?", re.IGNORECASE)
"""The subset that CVAT writes for a task without one; numbered if a subset is really called default."""


def from_subsets(ds: Dataset, *, val_unit: ValUnit = "patient", name: str = "official") -> Split:
    """Take CVAT's subsets as the split; Train, Validation and Test may have their usual spellings.

    CVAT writes "default" for a task without a subset, so that "default" is no part.

    Parameters
    ----------
    ds
        The data set. Every image needs a subset.
    val_unit
        "image" if training and validation may share patients.
    name
        The name of the split.

    Raises
    ------
    InvalidExport
        If an image has no subset, or the name of its subset is not a plain word.
    LeakySplit
        If a patient is in two parts.

    Warns
    -----
    DataWarning
        If the patient of some images, but not of all, is unknown, or patients may be one under several spellings.

    Examples
    --------
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("Validation/a.png"), 64, 64, subset="Validation")
    >>> dict(from_subsets(Dataset("demo", NINE, (image,))).part_of)
    {'Validation/a.png': 'val'}
    """
    part_of: Parts = {}
    problems = []
    for image in ds.images:
        subset = image.subset.strip()
        part = part_named(subset) or ("" if _DEFAULT.fullmatch(subset) else subset)
        if PART.fullmatch(part):
            part_of[image.id] = part
        else:
            what = f'subset "{image.subset}" is not a plain word' if part else "has no subset"
            problems.append(_problem(image, what, "give every image a subset in CVAT, such as Train or Test"))
    return _checked(ds, part_of, problems, name, {"method": "from_subsets", "val_unit": val_unit})


def from_folders(ds: Dataset, *, val_unit: ValUnit = "patient", name: str = "official") -> Split:
    """Take the folders called train, val (valid, validation, dev) or test, at any depth, as the split.

    Parameters
    ----------
    ds
        The data set. Every image must be below one such folder.
    val_unit
        "image" if training and validation may share patients.
    name
        The name of the split.

    Raises
    ------
    InvalidExport
        If an image is below no such folder, or below two that disagree.
    LeakySplit
        If a patient is in two parts.

    Warns
    -----
    DataWarning
        If the patient of some images, but not of all, is unknown, or patients may be one under several spellings.

    Examples
    --------
    >>> from pcm_leukemia.taxonomy import NINE
    >>> image = Image(ImageId("images/train/a.png"), 64, 64)
    >>> dict(from_folders(Dataset("demo", NINE, (image,))).part_of)
    {'images/train/a.png': 'train'}
    """
    part_of: Parts = {}
    problems = []
    for image in ds.images:
        folders = PurePosixPath(image.id).parent.parts
        parts = list(dict.fromkeys(part for folder in folders if (part := part_named(folder))))
        if len(parts) == 1:
            part_of[image.id] = parts[0]
        else:
            what = (
                f"is below folders of {' and '.join(parts)}" if parts else "is not below the folder of a part"
            )
            problems.append(_problem(image, what, "put it below one folder called train, val or test"))
    return _checked(ds, part_of, problems, name, {"method": "from_folders", "val_unit": val_unit})


def from_lists(
    ds: Dataset,
    lists: Mapping[str, str | Path | Iterable[str]],
    *,
    val_unit: ValUnit = "patient",
    name: str = "official",
) -> Split:
    """Take lists of images, one for each part, as the split.

    Parameters
    ----------
    ds
        The data set. Every image must be in one list.
    lists
        Part -> a text file with one image per line, or the entries themselves. An entry is an image's id or name, with
        or without extension, or its end ("img_1" for "P1/img_1.png") if only one image has that end. Folders may
        come before it.
    val_unit
        "image" if training and validation may share patients.
    name
        The name of the split.

    Raises
    ------
    DataNotFound
        If a text file cannot be read.
    InvalidExport
        If an image is in no list or in two, an entry fits several images, or the name of a part is not a plain word.
    LeakySplit
        If a patient is in two parts.

    Warns
    -----
    DataWarning
        If entries fit no image, the patient of some images, but not of all, is unknown, or patients may be one under
        several spellings.

    Examples
    --------
    >>> from pcm_leukemia.taxonomy import NINE
    >>> ds = Dataset("demo", NINE, tuple(Image(ImageId(f"P1/{n}.png"), 64, 64) for n in "ab"))
    >>> dict(from_lists(ds, {"train": ["P1/a.png"], "test": ["b"]}).part_of)
    {'P1/a.png': 'train', 'P1/b.png': 'test'}
    """
    part_of: Parts = {}
    problems = [
        Problem(f'list "{part}"', "is not a name for a part", 'use letters, digits, "_", "-" and "."')
        for part in lists
        if not PART.fullmatch(part)
    ]
    names = ImageNames(ds.images)
    strangers = []
    doubtful: set[ImageId] = set()
    for part, given in lists.items():
        for entry in _entries(given):
            found = names.find(entry)
            if not found:
                strangers.append(f'list "{part}" entry "{entry}"')
            elif len(found) > 1:
                doubtful.update(found)
                fits = " and ".join(f'"{image}"' for image in found[:2])
                what = f"fits {len(found)} images, such as {fits}"
                problems.append(Problem(f'list "{part}" entry "{entry}"', what, "give more of the path"))
            elif part_of.setdefault(found[0], part) != part:
                what = f"is in the lists of {part_of[found[0]]} and {part}"
                problems.append(_problem(ds.image(found[0]), what, "keep it in one list"))
    lost = [image for image in ds.images if image.id not in part_of and image.id not in doubtful]
    if strangers and lost:  # one cause: the lists and the images are spelled in two ways
        what = f"{len(strangers):,} entries of the lists fit no image, the first is {strangers[0]}"
        problems.append(Problem(ds.name, f'{what}, and an image is called "{lost[0].id}"', "check the paths"))
    elif strangers:
        warnings.warn(f"{some(strangers)}: no such image; check the paths", DataWarning, stacklevel=2)
    if part_of or not strangers:
        fix = "add it to one, or leave it out with Dataset.select"
        problems += [_problem(image, "is in no list", fix) for image in lost]
    return _checked(ds, part_of, problems, name, {"method": "from_lists", "val_unit": val_unit})


def _entries(given: str | Path | Iterable[str]) -> Iterable[str]:
    if not isinstance(given, str | Path):
        return given
    try:
        lines = Path(given).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataNotFound(
            f"{given}: is not a text file in UTF-8; give one with one image per line"
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _once(problems: Sequence[Problem], ds: Dataset) -> Sequence[Problem]:
    """The problems; if all images have the same one, that one."""
    first = problems[0]
    if len(problems) == len(ds.images) > 1 and {(each.what, each.fix) for each in problems} == {
        (first.what, first.fix)
    }:
        return [
            Problem(
                f"all {len(problems):,} images, the first {first.where.removeprefix('image ')}",
                first.what,
                first.fix,
            )
        ]
    return problems


def _problem(image: Image, what: str, fix: str) -> Problem:
    return Problem(f'image "{image.id}"', what, fix)


def _checked(ds: Dataset, part_of: Parts, problems: list[Problem], name: str, made: dict[str, str]) -> Split:
    """The split, if every image has a part and nothing leaks."""
    if problems:
        raise InvalidExport(_once(problems, ds))
    images = Counter(part_of.values())
    unknown = [image.id for image in ds.images if image.patient is None]
    if not unknown:
        made["patients"] = f"{len({image.patient for image in ds.images})}, none in two parts"
    elif len(unknown) == len(ds.images):
        made["patients"] = "unknown"
    else:
        made["patients"] = f"unknown for {len(unknown)} of {len(ds.images)} images"
        warnings.warn(
            f'split "{name}": {len(unknown):,} of {len(ds.images):,} images have no patient id, the first '
            f'"{unknown[0]}", and were not checked; give every image its patient',
            DataWarning,
            stacklevel=3,
        )
    warn_of_doubts(ds, stacklevel=3)
    by_image = made["val_unit"] == "image"
    if by_image:
        made["shared"] = "validation shares patients with training"
        made["patients"] = made["patients"].replace("two parts", "test and another part")
    people = {image.id: image.patient for image in ds.images if image.patient is not None}
    split = Split(name, part_of, made, people, digest_of=digests(ds), val_shares_patients=by_image)
    made["images"] = ", ".join(f"{part} {images[part]}" for part in split.parts)
    require_sound(ds.with_split(split))
    return split
