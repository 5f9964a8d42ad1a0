"""The split: how it was made, how even it is, and what is wrong with it."""

from __future__ import annotations

from pcm_leukemia import splits
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.report.sections import Section, legible, script

__all__ = ["section"]

MOST_LEAKS = 50
"""Leaks that the page names; a split that leaks everywhere is not understood better by a longer list."""


def section(ds: Dataset) -> Section:
    """The view of the split, which shows the whole split whatever the filters choose."""
    return Section(script("split"), {"split": _split(ds)})


def _split(ds: Dataset) -> dict[str, object] | None:
    split = ds.split
    if split is None:
        return None
    leaks = splits.leaks(ds, split)
    return {
        "name": legible(split.name),
        "made": [[legible(key), legible(value)] for key, value in split.made.items()],
        "shared": split.val_shares_patients,
        "unknown": sum(image.patient is None for image in ds.images),
        "leaks": [legible(str(leak)) for leak in leaks[:MOST_LEAKS]],
        "leaking": len(leaks),
        "copies": len(splits.files_in_two_parts(ds)),
        "missing": [
            {"class": legible(each.label), "parts": list(map(legible, each.parts)), "patients": each.patients}
            for each in splits.missing_classes(ds)
        ],
        "parts": [
            {
                "patients": part.patients,
                "images": part.images,
                "asked": part.asked,
                "reached": part.reached,
                "cells": [part.cells[label] for label in part.cells],
                "off": [round(part.off[label], 6) for label in part.off],
            }
            for part in splits.evenness(ds)
        ],
    }
