"""The rows of a data set as columns of small numbers: what every view filters and counts."""

from __future__ import annotations

from collections.abc import Iterable

from pcm_leukemia import colours
from pcm_leukemia.checks import Finding
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.report.sections import distinct

__all__ = ["columns", "labels_of"]


def labels_of(ds: Dataset) -> list[str]:
    """The classes on the page, in order: those of the taxonomy, then `UNTYPED` and `IGNORE` if there are such cells."""
    return list(ds.counts)


def columns(ds: Dataset, findings: Iterable[Finding]) -> dict[str, object]:
    """Options of the facets, and the columns of images and cells, which refer to them by number.

    Images are in the order of `Dataset.images`, cells in that of `Dataset.cells`. A kind of finding lists the numbers
    of the images and cells that it concerns.
    """
    labels = labels_of(ds)
    class_of = {label: number for number, label in enumerate(labels)}
    parts = {part: number for number, part in enumerate(ds.parts)}
    people = {patient.id: number for number, patient in enumerate(ds.patients)}
    named = sorted({diagnosis for image in ds.images if (diagnosis := ds.diagnosis_of(image))})
    diagnoses = {name: number for number, name in enumerate(named)}
    without_patient = any(image.patient is None for image in ds.images)
    without_diagnosis = any(ds.diagnosis_of(image) is None for image in ds.images)
    return {
        "classes": [
            {
                "name": name,
                "colour": colours.of_label(label),
                "text": colours.text_on(colours.of_label(label)),
            }
            for label, name in zip(labels, distinct(labels), strict=True)
        ],
        "parts": [
            {"name": name, "colour": colours.PARTS.get(part, "#4477aa")}
            for part, name in zip(ds.parts, distinct(ds.parts), strict=True)
        ],
        "patients": _options((patient.id for patient in ds.patients), unknown=without_patient),
        "diagnoses": _options(named, unknown=without_diagnosis),
        "findings": _kinds(ds, findings),
        "images": {
            "id": distinct(image.id for image in ds.images),
            "part": [parts[ds.part_of(image)] for image in ds.images],
            "patient": [people[image.patient] if image.patient else len(people) for image in ds.images],
            "diagnosis": [diagnoses.get(ds.diagnosis_of(image) or "", len(diagnoses)) for image in ds.images],
            "width": [image.width for image in ds.images],
            "height": [image.height for image in ds.images],
            "cells": [len(ds.cells_of(image)) for image in ds.images],
        },
        "cells": {
            "id": [cell.id for cell in ds.cells],
            "class": [class_of[cell.written_label] for cell in ds.cells],
            "width": [round(cell.box.width) for cell in ds.cells],
            "height": [round(cell.box.height) for cell in ds.cells],
        },
    }


def _options(names: Iterable[str], *, unknown: bool) -> list[dict[str, object]]:
    """The options of a facet, and one more for images of which its value is unknown."""
    *known, last = distinct([*names, "(unknown)"])
    found: list[dict[str, object]] = [{"name": name} for name in known]
    return [*found, {"name": last, "unknown": True}] if unknown else found


def _kinds(ds: Dataset, findings: Iterable[Finding]) -> list[dict[str, object]]:
    """Each kind of finding, with the numbers of its images and of the cells that it names."""
    image_at = {image.id: number for number, image in enumerate(ds.images)}
    cell_at = {(cell.image, cell.id): number for number, cell in enumerate(ds.cells)}
    images: dict[str, set[int]] = {}
    cells: dict[str, set[int]] = {}
    for each in findings:
        images.setdefault(each.kind, set()).update(image_at[image] for image in each.images)
        cells.setdefault(each.kind, set()).update(cell_at[cell] for cell in each.cells)
    return [
        {"name": kind, "images": sorted(where), "cells": sorted(cells[kind])}
        for kind, where in images.items()
    ]
