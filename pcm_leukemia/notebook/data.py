"""A data set and a split as HTML."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping

from pcm_leukemia import colours, counting, patients, splits
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.notebook.cutting import crops
from pcm_leukemia.notebook.elements import Element, clipped, html
from pcm_leukemia.notebook.pieces import count_table, facts, folded, frame, hint, table, warnings_box
from pcm_leukemia.schema import IGNORE, Split

__all__ = ["of_dataset", "of_split"]

UNKNOWN = "unknown"


def of_dataset(ds: Dataset) -> str:
    """A data set as HTML: counts by class, part and diagnosis, a few cells, warnings, and where to go on."""
    drawn, not_drawn = crops(ds)
    split = f"split {ds.split.name}" if ds.split else "no split"
    return html(
        frame(
            "Dataset",
            ds.name,
            facts(
                counted(len(ds.patients), "patient") if ds.patients else "no patients",
                counted(len(ds.images), "image"),
                counted(len(ds.cells), "cell"),
                f"{len(ds.taxonomy.labels)} class{'es' * (len(ds.taxonomy.labels) != 1)}",
                split,
            ),
            warnings_box(list(_doubts(ds))),
            drawn,
            facts(not_drawn) if not_drawn else None,
            _classes(ds),
            _diagnoses(ds),
            _next(ds),
        )
    )


def of_split(split: Split) -> str:
    """A split as HTML: images and patients by part, and how it was made."""
    images = Counter(split.part_of.values())
    owners = {
        (part, split.patient_of[image]) for image, part in split.part_of.items() if image in split.patient_of
    }
    people = Counter(part for part, _ in owners)
    said = []
    if split.val_shares_patients:
        said.append("train and val may share patients: only test shows how well a model does on new patients")
    if split.part_of and not people:
        said.append("no patients are recorded: whether parts share any is not known")
    of: dict[str, Mapping[str, int]] = {"images": {part: images[part] for part in split.parts}}
    if people:
        of["patients"] = {part: people[part] for part in split.parts}
    made = [(key, [clipped(value)]) for key, value in split.made.items()]
    return html(
        frame(
            "Split",
            split.name,
            facts(counted(len(split.part_of), "image"), counted(len(split.parts), "part")),
            warnings_box(said),
            count_table("part", of, total="all", colours=colours.PARTS),
            folded("how it was made", table("", [""], made, align="left"), opened=len(made) <= 12)
            if made
            else None,
            hint(
                ("ds.with_split(split)", "the data with this split"),
                ("pcm.splits.leaks(ds, split)", "patients, groups and files in two parts"),
                ("pcm.splits.extend(split, ds)", "places new images by the same method"),
            ),
        )
    )


def _whole(ds: Dataset) -> str:
    """The name of the column for all parts, which no part has."""
    return "all parts" if "overall" in ds.parts else "overall"


def _classes(ds: Dataset) -> Element:
    parts = counting.by_part(ds)
    columns = {**parts, _whole(ds): counting.overall(ds)} if len(parts) > 1 else parts
    return count_table(
        "cells by class",
        {part: found.cells for part, found in columns.items()},
        {
            "patients": {part: found.patients for part, found in columns.items()},
            "images": {part: found.images for part, found in columns.items()},
        },
        total="cells",
        colours={label: colours.of_label(label) for found in columns.values() for label in found.cells},
    )


def _diagnoses(ds: Dataset) -> Element | None:
    """Patients by diagnosis and part, or the images that have a diagnosis of their own."""
    if not any(ds.diagnosis_of(image) for image in ds.images):
        return None
    units = {
        (ds.part_of(image), image.patient or image.id, ds.diagnosis_of(image) or UNKNOWN)
        for image in ds.images
        if image.patient or not ds.patients
    }
    found = {part: Counter(diagnosis for where, _, diagnosis in units if where == part) for part in ds.parts}
    if len(found) > 1:
        found[_whole(ds)] = Counter(diagnosis for _, diagnosis in {unit[1:] for unit in units})
    rows = sorted({diagnosis for _, _, diagnosis in units}, key=lambda each: (each == UNKNOWN, each))
    return count_table(
        f"{'patients' if ds.patients else 'images'} by diagnosis",
        {part: {row: each[row] for row in rows} for part, each in found.items()},
    )


def _doubts(ds: Dataset) -> Iterator[str]:
    """What a reader should know before trusting the counts; `checks.check` looks at much more."""
    if not ds.images:
        yield "there are no images"
        return
    if ds.split is not None:
        yield from map(str, splits.leaks(ds, ds.split))
    unknown = sum(image.patient is None for image in ds.images)
    if unknown:
        yield (
            f"{unknown:,} of {len(ds.images):,} images have no patient id, so a split cannot keep their patients apart"
            if ds.patients
            else "no image has a patient id, so a split cannot keep patients apart"
        )
    yield from (str(doubt.problem) for doubt in patients.doubts(ds))
    incomplete = sum(image.annotation_state != "complete" for image in ds.images)
    if incomplete:
        yield f"{counted(incomplete, 'image')} may have cells without an annotation"
    if ds.untyped:
        yield f"{counted(ds.untyped, 'white cell')} of unknown type (WBC): ignored, except in the task wbc"
    if ds.ignored:
        yield f"{counted(ds.ignored, 'cell')} labelled {IGNORE}: never a target, and left out by most formats"


def _next(ds: Dataset) -> Element:
    if ds.split is not None:
        part = json.dumps(clipped(ds.parts[0]), ensure_ascii=False) if ds.parts else '"train"'
        way = (f"ds.part({part})", "the images and cells of one part")
    elif ds.patients:
        way = ("ds.with_split(pcm.splits.by_patient(ds))", "splits the images by patient")
    else:
        way = ("pcm.load_dataset(path, patients=...)", "reads patient ids from the paths of the images")
    drawn = ds.root is not None and any(image.file for image in ds.images)
    return hint(
        *(
            [("ds.gallery()", "more cells"), ("ds.show(ds.images[0])", "an image with its boxes")]
            if drawn
            else []
        ),
        ("pcm.checks.check(ds)", "looks for leaks, copies, odd boxes and identifiers"),
        way,
        ('pcm.converters.yolo.write(ds, "yolo")', "writes them for training; so do coco, crops, ..."),
    )
