"""The class guide: the criteria of each class, and crops of its cells."""

from __future__ import annotations

from pcm_leukemia import criteria, drawing
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.report.columns import labels_of
from pcm_leukemia.report.pictures import Pictures
from pcm_leukemia.report.sections import Section, script
from pcm_leukemia.taxonomy import BLASTS

__all__ = ["section"]

OF_EACH_CLASS = 48
"""Crops of a class: enough that a filter leaves some."""
IN_ALL = 480
"""Crops of all classes, about 2 MB."""


def section(ds: Dataset, pictures: Pictures) -> Section:
    """The view "Classes": for each class its criteria and its crops, as [cell, picture] by their numbers."""
    labels = labels_of(ds)
    numbers = {(cell.image, cell.id): number for number, cell in enumerate(ds.cells)}
    most = min(OF_EACH_CLASS, max(IN_ALL // max(len(labels), 1), 1)) if pictures.possible else 0
    guide = [
        {
            "criteria": list(criteria.of_label(label).items()),
            "blast": label in BLASTS,
            "crops": [
                [numbers[cell.image, cell.id], pictures.crop(cell)]
                for cell in drawing.choose(ds, (label,), most)
            ],
        }
        for label in labels
    ]
    return Section(script("classes"), {"guide": guide})
