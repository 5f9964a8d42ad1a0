"""Writes suspects: a table, and their frames for CVAT.

In CVAT, an annotator sees every cell as it is annotated, untouched. Each suspect is one more box, with the label ``suspect``,
which is no class: its attributes say what may be wrong. It is where the models see the cell; where they see none, it surrounds
the annotated box. A tag of the frame, such as ``wrong-class``, names each kind of its suspects, so that CVAT can filter by it.

The annotator corrects the cell, or does not, and deletes the suspect. Where a box is missing, giving the suspect a class makes it
one. A suspect that is left is no class, so importing the frames refuses it, or leaves it out: ``--map suspect=ignore``.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pcm_leukemia.converters import cvat
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.files import Report, new_folder
from pcm_leukemia.report import SUSPECTS_COLUMNS, SUSPECTS_TABLE
from pcm_leukemia.schema import AUTO, IGNORE, Attributes, Cell, Image, Tag
from pcm_leukemia.shapes import Box

if TYPE_CHECKING:
    from pcm_leukemia.baselines.suspects import Suspect, Suspects

__all__ = ["FRAMES", "LABEL", "marked", "write"]

FRAMES = "frames.zip"
LABEL = "suspect"
"""The label of a suspect in CVAT."""

_AROUND = 8.0
"""The pixels between an annotated box and the suspect that surrounds it, so that both can be clicked on."""


def write(found: Suspects, ds: Dataset, out: str | Path, *, progress: bool = False) -> Report:
    """Write suspects to a new folder: ``suspects.csv``, and ``frames.zip`` for CVAT if there are any.

    Parameters
    ----------
    found
        The suspects, as `find` returns them.
    ds
        The data set in which they were found.
    out
        A new folder, or one that an earlier run wrote.

    Raises
    ------
    ExportError
        If `out` holds something else, or cannot be written, or images are missing.
    """
    with new_folder(out, "suspects") as folder:
        with (folder / SUSPECTS_TABLE).open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(SUSPECTS_COLUMNS)
            table.writerows(map(_row, found.found))
        frames = marked(ds, found.found)
        if frames.images:
            cvat.write(frames, folder / FRAMES, progress=progress)
        kinds = Counter[str](each.kind for each in found.found)
        report = Report(
            "suspects",
            Path(out),
            {"with suspects": len(frames.images)},
            {"with suspects": kinds},
            {"images that all runs have learned from": len(found.left_out)},
            (f"{FRAMES} is for CVAT: suspects are boxes with the label {LABEL}",) if frames.images else (),
        )
        report.leave_in(folder, {"name": ds.name, "fingerprint": ds.fingerprint, "least": found.least})
    return report


def marked(ds: Dataset, suspects: Iterable[Suspect]) -> Dataset:
    """The frames with suspects, the most suspicious cells marked as the module says; annotations stay as they are."""
    of_image: dict[str, list[Suspect]] = {}
    for each in suspects:
        of_image.setdefault(each.image, []).append(each)
    frames = replace(ds, split=None).select(images=of_image)
    images = tuple(replace(image, tags=(*image.tags, *_tags(of_image[image.id]))) for image in frames.images)
    cells = [
        cell
        for image in images
        for cell in (
            *frames.cells_of(image.id),
            *_boxes(image, frames.cells_of(image.id), of_image[image.id]),
        )
    ]
    return replace(frames, images=images, cells=tuple(cells))


def _tags(suspects: Sequence[Suspect]) -> Iterator[Tag]:
    """A tag for each kind, with the reasons."""
    for kind in dict.fromkeys(each.kind for each in suspects):
        why = "; ".join(_said(each) for each in suspects if each.kind == kind)
        yield Tag(kind, (("why", why),), AUTO)


def _boxes(image: Image, cells: Sequence[Cell], suspects: Sequence[Suspect]) -> Iterator[Cell]:
    """The suspects of an image as boxes, numbered after its cells."""
    first = max((cell.id for cell in cells), default=-1) + 1
    for number, each in enumerate(suspects, first):
        box = each.suggested_box or (each.box and _around(each.box))
        inside = box.clip(image.width, image.height) if box else None
        if inside:
            rounded = Box(*(round(side, 2) for side in (inside.x1, inside.y1, inside.x2, inside.y2)))
            yield Cell(image.id, number, IGNORE, rounded, LABEL, source=AUTO, attributes=_attributes(each))


def _attributes(each: Suspect) -> Attributes:
    return (
        ("kind", each.kind),
        ("score", f"{each.score:.2f}"),
        ("annotated as", each.label or ""),
        ("suggested", each.suggested_label or ""),
        ("reason", each.reason),
    )


def _said(each: Suspect) -> str:
    """A suspect in a few words."""
    labels = " instead of ".join(filter(None, (each.suggested_label, each.label)))
    return f"{labels or 'a cell'} ({each.score:.2f})"


def _around(box: Box) -> Box:
    return Box(box.x1 - _AROUND, box.y1 - _AROUND, box.x2 + _AROUND, box.y2 + _AROUND)


def _row(each: Suspect) -> tuple[object, ...]:
    sides = (each.box, each.suggested_box)
    return (
        *(each.image, "" if each.cell is None else each.cell, each.kind, f"{each.score:.4f}"),
        *(each.label or "", each.suggested_label or ""),
        *(number for box in sides for number in _sides(box)),
        *(each.patient or "", each.part, each.reason),
    )


def _sides(box: Box | None) -> tuple[str, ...]:
    return ("",) * 4 if box is None else tuple(f"{side:.2f}" for side in (box.x1, box.y1, box.x2, box.y2))
