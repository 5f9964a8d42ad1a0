"""`update`: brings images that were corrected elsewhere back into their data set."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from msgspec import structs

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidDataset, Problem, UnknownLabel, counted, either, option
from pcm_leukemia.files import common_root, path_ends, way_below
from pcm_leukemia.joining.pseudonyms import keys_of, mixed_patients
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import IGNORE, Cell, Image, ImageId, Patient, Split, Taxonomy
from pcm_leukemia.taxonomy import not_a_class

__all__ = ["update"]


def update(
    ds: Dataset, corrected: Dataset, *, taxonomy: Taxonomy | Literal["declared"] | None = None
) -> Dataset:
    """Bring corrected images into a data set, and keep everything else.

    The cells and tags of an image that is in both come from `corrected`. What formats cannot hold is kept where
    `corrected` does not say it: patient, diagnosis, group, annotation state, and tags. Images that are only in `ds` stay
    as they are. Images that are only in `corrected` are added, in no part of a split.

    An image of `corrected` is the image of `ds` with the same id; or else the one with the same name in CVAT, if no other
    has it, since the id depends on the subset; or else the one with the same file.

    Parameters
    ----------
    ds
        The data set.
    corrected
        Some of its images, with all their cells. Its split is not used.
    taxonomy
        The classes of the result: by default those of `ds`; "declared" adds those that cells of `corrected` have.

    Returns
    -------
    Dataset
        With the name and the split of `ds`; without a split if images were added, since they are in no part.

    Raises
    ------
    InvalidDataset
        If no image is in both; if an image has another size, file, patient, diagnosis or group in `corrected`; if it is
        unclear which image it is; or if added images have pseudonyms of patients and `ds` has other ids or
        pseudonyms of another key, or the reverse.
    UnknownLabel
        If a cell of `corrected` has a label that is not a class.
    ValueError
        If images were added whose files are on another drive.

    Warns
    -----
    DataWarning
        If images were added to a data set with a split, or attributes, outlines or tracks of cells are lost.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image
    >>> images = Image("a.png", 64, 64, group="slide 1"), Image("b.png", 64, 64)
    >>> ds = Dataset("demo", NINE, images, tuple(Cell(image.id, 0, "Other", Box(8, 8, 20, 20)) for image in images))
    >>> reviewed = Dataset("review", NINE, (Image("a.png", 64, 64),), (Cell("a.png", 0, "Monocyte", Box(8, 8, 20, 20)),))
    >>> [(cell.image, cell.label) for cell in update(ds, reviewed).cells]
    [('a.png', 'Monocyte'), ('b.png', 'Other')]
    """
    classes, class_of = _classes(ds, corrected, taxonomy)
    pairs, problems = _matches(ds, corrected)
    problems += _contradictions(ds, corrected, pairs)
    added = [image for image in corrected.images if image.id not in pairs]
    problems += mixed_patients(ds, corrected, added)
    if problems:
        raise InvalidDataset(problems)
    root, ours, theirs = _roots(ds, corrected, pairs)
    images = {image.id: _below(ours, image) for image in ds.images}
    drawn = {cell.image for cell in corrected.cells}
    for new in corrected.images:
        known = images.get(pairs.get(new.id, new.id))
        brought = _below(theirs, new)
        images[known.id if known else new.id] = (
            _merged(known, brought, drawn=new.id in drawn) if known else brought
        )
    replaced = set(pairs.values())
    _warn_of_details(ds, corrected, replaced)
    kept = (cell for cell in ds.cells if cell.image not in replaced)
    cells = (
        structs.replace(cell, image=pairs.get(cell.image, cell.image), label=class_of[cell.label])
        for cell in corrected.cells
    )
    return replace(
        ds,
        taxonomy=classes,
        images=tuple(images.values()),
        cells=(*kept, *cells),
        patients=_patients(ds, corrected),
        split=_split(ds, added),
        root=root,
        pseudonym_keys=keys_of((ds, corrected)),
    )


def _classes(
    ds: Dataset, corrected: Dataset, taxonomy: Taxonomy | Literal["declared"] | None
) -> tuple[Taxonomy, dict[str, str]]:
    """The classes of the result, and the class of each label that a cell of `corrected` has."""
    classes = taxonomy if isinstance(taxonomy, Taxonomy) else ds.taxonomy
    used = dict.fromkeys(cell.label for cell in corrected.cells)
    class_of = {label: IGNORE if label == IGNORE else classes.match(label) or label for label in used}
    allowed = (*classes.labels, IGNORE)
    new = tuple(label for label in class_of.values() if label not in allowed)
    if taxonomy == "declared" and new:
        return Taxonomy("declared", (*classes.labels, *dict.fromkeys(new)), classes.aliases), class_of
    unknown = [not_a_class(corrected.name, "label", label, classes) for label in new]
    theirs = dict.fromkeys(cell.label for cell in ds.cells if cell.label not in allowed)
    unknown += [not_a_class(ds.name, "label", label, classes) for label in theirs]
    if unknown:
        more = f", or {option('taxonomy', 'declared')} for new classes"
        raise UnknownLabel(replace(problem, fix=problem.fix + more) for problem in unknown)
    return classes, class_of


def _matches(ds: Dataset, corrected: Dataset) -> tuple[dict[ImageId, ImageId], list[Problem]]:
    """Id in `corrected` -> id in `ds`, for the images that are in both; and the images that may be in both."""
    here = {image.id: image for image in ds.images}
    pairs = {image.id: image.id for image in corrected.images if image.id in here}
    left = [image for image in corrected.images if image.id not in here]
    for key in (_name, _file):
        ours, theirs = _unique(ds.images, key), _unique(corrected.images, key)
        for new in left:
            known = ours.get(key(new))
            if (
                known
                and known.id not in pairs
                and theirs.get(key(new)) is new
                and not known.has_other_file_than(new)
            ):
                pairs[new.id] = known.id
        left = [new for new in left if new.id not in pairs]
    taken = set(pairs.values())
    if not taken:
        first = f', not even the first, "{corrected.images[0].id}"' if corrected.images else ""
        what = f"none of its {counted(len(corrected.images), 'image')} is in {ds.name}{first}"
        return pairs, [Problem(corrected.name, what, "check that it has images of this data set")]
    ends: dict[str, ImageId] = {}
    for image in ds.images:
        if image.id not in taken:
            ends |= dict.fromkeys((*path_ends(image.id), image.name), image.id)
    return pairs, [
        Problem(
            f'image "{new.id}"',
            f'may be image "{like}" of {ds.name}, by the end of its path',
            "give it the same path if it is, and another name if it is not",
        )
        for new in left
        if (like := next((ends[end] for end in (*path_ends(new.id), new.name) if end in ends), None))
    ]


def _name(image: Image) -> str | None:
    return image.name


def _file(image: Image) -> str | None:
    return image.digest


def _unique(images: Iterable[Image], key: Callable[[Image], str | None]) -> dict[str | None, Image]:
    """The images whose key no other image has."""
    images = list(images)
    often = Counter(key(image) for image in images)
    return {key(image): image for image in images if key(image) and often[key(image)] == 1}


def _contradictions(ds: Dataset, corrected: Dataset, pairs: Mapping[ImageId, ImageId]) -> Iterator[Problem]:
    """What `ds` and `corrected` say differently about the images and patients that are in both."""
    known = {patient.id: patient.diagnosis for patient in ds.patients}
    facts: list[tuple[str, str, object, object]] = [
        (f'patient "{patient.id}"', "diagnosis", known.get(patient.id), patient.diagnosis)
        for patient in corrected.patients
    ]
    for new in corrected.images:
        if new.id in pairs:
            old, where = ds.image(pairs[new.id]), f'image "{new.id}"'
            facts += [
                (where, "size in pixels", f"{old.width} x {old.height}", f"{new.width} x {new.height}"),
                (where, "patient", old.patient, new.patient),
                (where, "diagnosis", old.diagnosis, new.diagnosis),
                (where, "group", old.group, new.group),
            ]
            if old.has_other_file_than(new):
                yield Problem(
                    where,
                    f"its file is not the file of this image in {ds.name}",
                    "give the annotations without the images if it was only saved again; otherwise rename it",
                )
    for where, what, before, after in facts:
        if None not in (before, after) and before != after:
            yield Problem(
                where,
                f"its {what} is {after}, and {before} in {ds.name}",
                "correct one of them; an update changes annotations alone",
            )


def _roots(
    ds: Dataset, corrected: Dataset, pairs: Mapping[ImageId, ImageId]
) -> tuple[Place | None, str, str]:
    """The root of all files, and the ways from there to those of `ds` and of `corrected`."""
    here = {image.id: image.file for image in ds.images}
    needed = any(new.file and not here.get(pairs.get(new.id, new.id)) for new in corrected.images)
    if not needed or corrected.root is None:
        return ds.root, "", ""
    if ds.root is None or not any(here.values()):
        return corrected.root, "", ""
    if ds.root.resolve() == corrected.root.resolve():
        return ds.root, "", ""
    root = common_root((ds.root, corrected.root))
    return root, way_below(ds.root, root), way_below(corrected.root, root)


def _below(way: str, image: Image) -> Image:
    return replace(image, file=f"{way}{image.file}") if way and image.file else image


def _merged(old: Image, new: Image, *, drawn: bool) -> Image:
    """An image with what its correction says, and otherwise with what was known of it."""
    state = new.annotation_state
    if state == "complete":  # which is what formats say that cannot hold the state
        state = "unknown" if old.annotation_state == "none" and drawn else old.annotation_state
    file, digest = (old.file, old.digest) if old.file else (new.file, new.digest)
    return replace(
        old,
        patient=old.patient or new.patient,
        diagnosis=old.diagnosis or new.diagnosis,
        group=old.group or new.group,
        tags=new.tags or old.tags,
        annotation_state=state,
        file=file,
        digest=digest,
    )


def _patients(ds: Dataset, corrected: Dataset) -> tuple[Patient, ...]:
    diagnoses = {patient.id: patient.diagnosis for patient in ds.patients}
    for patient in corrected.patients:
        diagnoses[patient.id] = diagnoses.get(patient.id) or patient.diagnosis
    return tuple(Patient(patient, diagnosis) for patient, diagnosis in diagnoses.items())


def _warn_of_details(ds: Dataset, corrected: Dataset, replaced: Collection[ImageId]) -> None:
    """Warn of details of cells that `corrected` has not once, since its format cannot hold them."""
    before = [cell for image in replaced for cell in ds.cells_of(image)]
    details: dict[str, Callable[[Cell], bool]] = {
        "attributes": lambda cell: bool(cell.attributes),
        "outlines or rotations": lambda cell: cell.shape is not None,
        "tracks": lambda cell: cell.track is not None,
    }
    lost = [
        f"{count:,} have {what}"
        for what, has in details.items()
        if (count := sum(map(has, before))) and corrected.cells and not any(map(has, corrected.cells))
    ]
    if lost:
        warnings.warn(
            f"{ds.name}: of the {counted(len(before), 'cell that is', 'cells that are')} replaced, {' and '.join(lost)}, and none of the corrected "
            "cells has any; update from a format that can hold them",
            DataWarning,
            stacklevel=3,
        )


def _split(ds: Dataset, added: Sequence[Image]) -> Split | None:
    if ds.split is not None and added:
        warnings.warn(
            f"{ds.name}: {counted(len(added), 'image was added that is', 'images were added that are')} in no part, so the split is left out; place them "
            + either("with splits.extend", "with: pcm-leukemia split DATA --extend"),
            DataWarning,
            stacklevel=3,
        )
        return None
    return ds.split
