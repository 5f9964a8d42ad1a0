"""Counts the cells of each patient, and what is left out of the count, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import MissingPatients, Problem, UnfitForTask, either, option
from pcm_leukemia.schema import IGNORE, UNTYPED, Image, ImageId, Patient, Taxonomy
from pcm_leukemia.taxonomy import NINE

__all__ = ["OTHER", "Reason", "Tallies", "Tally", "annotated", "tally", "white_cells"]

OTHER = "Other"
"""The only one of the nine classes that is not counted: artefacts, smudge cells and cells cut by the border."""


class Reason(StrEnum):
    """Why a cell is not counted."""

    OTHER = "other"
    UNTYPED = "untyped"
    IGNORED = "ignored"
    BELOW = "below_threshold"
    AGAIN = "found_again"
    UNSURE = "unsure"
    INCOMPLETE = "in_incomplete_images"
    DOUBLE = "in_images_counted_already"

    @property
    def words(self) -> str:
        """The reason as it is printed behind a number."""
        return _WORDS[self]


_WORDS = {
    Reason.OTHER: "Other",
    Reason.UNTYPED: "of unknown type",
    Reason.IGNORED: "ignored",
    Reason.BELOW: "below the threshold",
    Reason.AGAIN: "on a cell that has a better prediction",
    Reason.UNSURE: "with an unsure label",
    Reason.INCOMPLETE: "in images that may have unannotated cells",
    Reason.DOUBLE: "in images that are counted already, under another name",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted of one patient.

    `images` is the number of images that were counted, `counts` has the cells of each class, zeros included, and `left_out`
    the cells that were not counted.
    """

    patient: str
    diagnosis: str | None
    images: int
    counts: Mapping[str, int]
    left_out: Mapping[Reason, int]

    @property
    def total(self) -> int:
        """The cells that were counted."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Tallies:
    """The tally of every patient, and the images of which no cell was counted.

    `doubles` is the number of images whose file is that of another image of the same patient, which was counted.
    """

    patients: tuple[Tally, ...]
    without_patient: int
    cells_without_patient: int
    incomplete: int
    doubles: int = 0


def white_cells(taxonomy: Taxonomy, where: str, fix: str | None = None) -> tuple[str, ...]:
    """The classes that count: nucleated white cells, which is every one of the nine classes but Other.

    `where` and `fix` are for the message.

    Raises
    ------
    UnfitForTask
        If a class is not one of the nine, so that it is not known whether it counts, or none of them counts.

    Examples
    --------
    >>> white_cells(NINE, "demo")[:2], len(white_cells(NINE, "demo"))
    (('Lymphocyte', 'Neutrophil'), 8)
    """
    strange = [label for label in taxonomy.labels if label not in NINE.labels]
    counted = tuple(label for label in taxonomy.labels if label != OTHER)
    if strange or not counted:
        what = (
            f'has the class "{strange[0]}", of which it is not known whether its cells are nucleated white cells'
            if strange
            else f"has no class that is counted, only {OTHER}"
        )
        way = either(
            "taxonomy=NINE, and labels={...} for other names",
            "--taxonomy pcm-leukemia, and --map for other names",
        )
        raise UnfitForTask([Problem(where, what, fix or f"read the data into the nine classes: {way}")])
    return counted


def annotated(ds: Dataset) -> Iterator[tuple[ImageId, str]]:
    """The image of each annotated cell, and its class or the reason why it is not counted."""
    reasons = {UNTYPED: Reason.UNTYPED, IGNORE: Reason.IGNORED, OTHER: Reason.OTHER}
    for cell in ds.cells:
        yield cell.image, reasons.get(cell.written_label, cell.label)


def tally(ds: Dataset, cells: Iterable[tuple[ImageId, str]], *, keep_incomplete: bool = False) -> Tallies:
    """Count cells by patient; of images of one patient with equal files, those of the first image.

    Parameters
    ----------
    ds
        The images, their patients, and the classes.
    cells
        The image of each cell, and its class or a `Reason`.
    keep_incomplete
        Whether to count images that may have unannotated cells.

    Raises
    ------
    MissingPatients
        If no image has a patient.
    UnfitForTask
        If no image is left to count, or the classes are not of the nine.

    Examples
    --------
    >>> from pcm_leukemia import Patient
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 90, 60, "P1"),), patients=(Patient("P1"),))
    >>> found = tally(ds, [("a.png", "Monocyte"), ("a.png", Reason.OTHER)]).patients[0]
    >>> found.total, found.counts["Monocyte"], found.left_out[Reason.OTHER]
    (1, 1, 1)
    """
    labels = white_cells(ds.taxonomy, ds.name)
    counted = {image.id for image in ds.images if keep_incomplete or image.annotation_state == "complete"}
    _require_something(ds, counted)
    owner = {image.id: image.patient for image in ds.images}
    doubles = _doubles(image for image in ds.images if image.id in counted)
    counted -= doubles
    found: dict[str, Counter[str]] = {patient.id: Counter() for patient in ds.patients}
    lost = 0
    for image, label in cells:
        patient = owner[image]
        if patient is None:
            lost += 1
        else:
            left_out = Reason.DOUBLE if image in doubles else Reason.INCOMPLETE
            found[patient][label if image in counted else left_out] += 1
    images = Counter(owner[image] for image in counted)
    return Tallies(
        tuple(_of(patient, images[patient.id], found[patient.id], labels) for patient in ds.patients),
        sum(patient is None for patient in owner.values()),
        lost,
        sum(owner[image.id] is not None and image.id not in counted | doubles for image in ds.images),
        len(doubles),
    )


def _doubles(images: Iterable[Image]) -> set[ImageId]:
    """The images whose file is that of an earlier image of the same patient."""
    seen: set[tuple[str, str]] = set()
    doubles = set()
    for image in images:
        if image.patient is not None and image.digest is not None:
            if (file := (image.patient, image.digest)) in seen:
                doubles.add(image.id)
            seen.add(file)
    return doubles


def _of(patient: Patient, images: int, found: Counter[str], labels: tuple[str, ...]) -> Tally:
    return Tally(
        patient.id,
        patient.diagnosis,
        images,
        {label: found[label] for label in labels},
        {reason: found[reason] for reason in Reason},
    )


def _require_something(ds: Dataset, counted: set[ImageId]) -> None:
    """Refuse data of which nothing would be counted."""
    known: list[Image] = [image for image in ds.images if image.patient is not None]
    if not known:
        raise MissingPatients(
            f"{ds.name}: no image has a patient; say who they are: {option('patients')} PATTERN, or import the data with it"
        )
    if not any(image.id in counted for image in known):
        what = "in every image with a patient, cells may be unannotated, so that shares would be wrong"
        fix = f"annotate them, or pass {option('keep_incomplete', value=True)}"
        raise UnfitForTask([Problem(ds.name, what, fix)])
