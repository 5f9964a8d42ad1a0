"""Splits: which part each image is in, made from whole patients and checked for leaks.

`by_patient`, `folds` and `extend` make a split; `from_subsets`, `from_folders` and `from_lists` take the one that came
with the data; `leaks` finds what is wrong with one, and `require_sound` refuses it; `evenness` measures it; `write` and
`read` keep it in a file.
What counts as a leak is decided in `leakage.py`.
"""

from __future__ import annotations

from pcm_leukemia.splits.file import read, write
from pcm_leukemia.splits.given import from_folders, from_lists, from_subsets
from pcm_leukemia.splits.growing import extend
from pcm_leukemia.splits.leakage import (
    LEARNED_FROM,
    Leak,
    LeakKind,
    files_in_two_parts,
    leaks,
    require_known_patients,
    require_sound,
    separates,
)
from pcm_leukemia.splits.making import by_patient, folds
from pcm_leukemia.splits.measuring import MissingClass, PartEvenness, evenness, missing_classes
from pcm_leukemia.splits.seen import seen
from pcm_leukemia.splits.units import draw_keys, unit_of

__all__ = [
    "LEARNED_FROM",
    "Leak",
    "LeakKind",
    "MissingClass",
    "PartEvenness",
    "by_patient",
    "draw_keys",
    "evenness",
    "extend",
    "files_in_two_parts",
    "folds",
    "from_folders",
    "from_lists",
    "from_subsets",
    "leaks",
    "missing_classes",
    "read",
    "require_known_patients",
    "require_sound",
    "seen",
    "separates",
    "unit_of",
    "write",
]
