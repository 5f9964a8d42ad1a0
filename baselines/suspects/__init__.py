"""Suspects: annotations that are probably wrong, found by models that have not learned from their patients.

::

    suspects.csv    the table, most likely errors first
    frames.zip      the frames of the table for CVAT, with the suspects marked
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pcm_leukemia import checks
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.suspects.judges import Judges, runs_at
from pcm_leukemia.baselines.suspects.ranking import KINDS, Doubt, Kind, rank
from pcm_leukemia.baselines.suspects.writer import write
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.schema import ImageId, PatientId
from pcm_leukemia.shapes import Box

__all__ = ["KINDS", "LEAST", "Kind", "Suspect", "Suspects", "find", "runs_at", "write"]

LEAST = 0.3
"""The lowest score of a suspect, unless another is asked for."""


@dataclass(frozen=True)
class Suspect:
    """An annotation that is probably wrong.

    `score` is 0 to 1, higher for likelier errors. `cell` is the number of the annotated cell in its image; `cell`, `label` and
    `box` are None for a missing box. `suggested_label` and `suggested_box` are what the models say instead; they are None where
    the models say nothing else. Boxes are in pixels. `reason` is for people.
    """

    kind: Kind
    score: float
    image: ImageId
    cell: int | None
    label: str | None
    suggested_label: str | None
    box: Box | None
    suggested_box: Box | None
    patient: PatientId | None
    part: str
    reason: str


@dataclass(frozen=True)
class Suspects:
    """The suspects of a data set, most likely errors first.

    `judged` counts the images that at least one model judged. `left_out` are the images that all models have learned from, or
    from whose patients; nothing is known about them. `least` is the lowest score of a suspect.
    """

    name: str
    found: tuple[Suspect, ...]
    judged: int
    left_out: tuple[ImageId, ...]
    least: float

    @property
    def kinds(self) -> dict[Kind, int]:
        """How many suspects are of each kind."""
        counts = Counter(each.kind for each in self.found)
        return {kind: counts[kind] for kind in KINDS}

    def to_json(self) -> dict[str, Any]:
        """The suspects as plain dictionaries and lists."""
        return {
            "name": self.name,
            "judged": self.judged,
            "left_out": list(self.left_out),
            "least": self.least,
            "kinds": self.kinds,
            "suspects": [msgspec.to_builtins(each) for each in self.found],
        }

    def __str__(self) -> str:
        images = len({each.image for each in self.found})
        count = f"{counted(len(self.found), 'suspect')} with a score of {self.least:g} or more"
        lines = [
            f"{self.name}: {count}, in {images:,} of the {counted(self.judged, 'image')} that a model judged"
        ]
        lines += [f"  {kind}: {count:,}" for kind, count in self.kinds.items() if count]
        if self.left_out:
            lines.append(
                f"  left out: {counted(len(self.left_out), 'image')}, since all runs have learned from their patients"
            )
        return "\n".join(lines)


def find(
    ds: Dataset,
    runs: Sequence[Run],
    *,
    least: float = LEAST,
    copies: bool = True,
    device: str = "auto",
    batch: int = 16,
    workers: int | None = None,
    progress: bool = False,
) -> Suspects:
    """Find annotations that are probably wrong.

    An image is judged only by runs that have not learned from it or from its patient: those that `Run.require_unseen` does not
    refuse. The runs of a cross-validation judge every image of train and val.

    Parameters
    ----------
    ds
        The annotations to judge, with their images.
    runs
        Detectors find boxes that are missing, spurious or misplaced, and classifiers wrong classes. Of several detectors that
        may judge an image, the first does; of several classifiers, the mean counts. Without a classifier, the labels of a
        detector count.
    least
        The lowest score, 0 to 1.
    copies
        Whether to search for cells that are annotated again, in this image or in another, with another label.
    device, batch, workers, progress
        As in `baselines.evaluate`.

    Raises
    ------
    LeakySplit
        If every run has learned from every image, or from its patient; or if the data's split leaks.
    UnfitForTask
        If the classes of the data are not those of a run, cells have no box, or a detector would judge images that are
        annotated in part.
    DataNotFound, CorruptFile
        If an image cannot be read, or the training of a run has not finished.
    ValueError
        If there is no run, or `least` is out of range.
    """
    if not 0 <= least <= 1:
        raise ValueError(f"least {least:g}: must be a score from 0 to 1")
    judges = Judges(ds, runs, device=device, batch=batch, workers=workers, progress=progress)
    sights, classes = judges.look(), judges.classify()
    readings = checks.read_files(ds, workers=workers or None, progress=progress) if copies else []
    doubts = rank(sights, classes, checks.same_cells(ds, readings) if copies else ())
    kept = [each for each in doubts if each.score >= least]
    found = tuple(_suspect(ds, each) for each in _named(ds, judges, kept))
    left_out = tuple(image.id for image in ds.images if image.id in judges.left_out)
    return Suspects(ds.name, found, len(ds.images) - len(left_out), left_out, least)


def _named(ds: Dataset, judges: Judges, doubts: Sequence[Doubt]) -> Iterator[Doubt]:
    """The doubts, with the classifiers' labels where a detector only says that a cell is white."""
    boxes = {
        number: (each.image, box)
        for number, each in enumerate(doubts)
        if each.label is not None and each.label not in ds.taxonomy.labels
        if (box := each.box or (each.cell and each.cell.box))
    }
    labels = dict(zip(boxes, judges.name(list(boxes.values())), strict=True))
    for number, each in enumerate(doubts):
        yield each._replace(label=labels[number]) if number in labels else each


def _suspect(ds: Dataset, doubt: Doubt) -> Suspect:
    image, cell = ds.image(doubt.image), doubt.cell
    given = None if cell is None else next(each for each in ds.cells_of(image) if each.id == cell.id)
    return Suspect(
        doubt.kind,
        round(doubt.score, 4),
        image.id,
        None if given is None else given.id,
        None if given is None else given.written_label,
        doubt.label,
        None if given is None else given.box,
        doubt.box,
        image.patient,
        ds.part_of(image),
        doubt.reason,
    )
