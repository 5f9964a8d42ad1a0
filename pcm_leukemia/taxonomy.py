"""The nine classes of PCM-Leukemia, the other spellings of each, and the three tasks.

Order and names: Table 3 of the paper. Aliases: its section 2.2, its Appendix A ("Myeloblast(AML)",
"Promyelocyte (APL)"), and the plural and short forms in daily use. Case, blanks and
punctuation do not count.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Mapping

from pcm_leukemia.errors import DataWarning
from pcm_leukemia.schema import IGNORE, Task, Taxonomy

__all__ = ["NINE", "known", "label_map"]

_LABELS = (
    "Lymphocyte",
    "Neutrophil",
    "Basophil",
    "Eosinophil",
    "Lymphoblast",
    "Monocyte",
    "Myeloblast_AML",
    "Myeloblast_APL",
    "Other",
)

NINE = Taxonomy(
    "pcm-leukemia",
    _LABELS,
    aliases={
        **{f"{label}s": label for label in _LABELS if "_" not in label},
        "Myeloblast AML": "Myeloblast_AML",
        "AML Myeloblast": "Myeloblast_AML",
        "Myeloblast APL": "Myeloblast_APL",
        "APL Myeloblast": "Myeloblast_APL",
        "Promyelocyte APL": "Myeloblast_APL",
        "APL Promyelocyte": "Myeloblast_APL",
    },
    tasks=(
        Task("detection", _LABELS, {}),
        Task("wbc", ("WBC", "Other"), {label: "WBC" for label in _LABELS if label != "Other"}),
        Task("classification", _LABELS[:-1], {"Other": None}),
    ),
)
"""The nine classes, in the paper's order, with the tasks detection, wbc and classification."""


def known(labels: tuple[str, ...]) -> Taxonomy:
    """The taxonomy with exactly these labels: the nine classes, those of one task, or declared ones.

    Examples
    --------
    >>> known(("WBC", "Other")).name
    'pcm-leukemia/wbc'
    >>> known(("RBC", "WBC")).name
    'declared'
    """
    if labels == NINE.labels:
        return NINE
    for task in NINE.tasks:
        if labels == task.labels:
            return Taxonomy(f"{NINE.name}/{task.name}", labels)
    return Taxonomy("declared", labels)


def label_map(
    names: Iterable[str], taxonomy: Taxonomy | None, labels: Mapping[str, str] | None
) -> dict[str, str]:
    """Map each label of the data to a class or to `IGNORE`, as every reader does.

    Parameters
    ----------
    names
        The labels of the data.
    taxonomy
        The classes; None to use the labels themselves.
    labels
        Label -> class or "ignore". Other labels become the class that they spell, if any.

    Raises
    ------
    ValueError
        If `labels` maps to something that is not a class of `taxonomy`.

    Warns
    -----
    DataWarning
        If `labels` names a label that the data do not have.

    Examples
    --------
    >>> label_map(["monocytes", "debris", "RBC"], NINE, {"debris": "ignore"})
    {'monocytes': 'Monocyte', 'debris': 'ignore', 'RBC': 'RBC'}
    """
    names, labels = list(names), labels or {}
    for label in labels.values():
        if taxonomy and label not in (*taxonomy.labels, IGNORE):
            raise ValueError(
                f'label map: "{label}" is not a class of {taxonomy.name}; '
                f"use one of {', '.join(taxonomy.labels)} or {IGNORE}"
            )
    for name in labels.keys() - set(names):
        near = difflib.get_close_matches(name, names, n=1)
        nearest = f', the nearest is "{near[0]}"' if near else ""
        warnings.warn(
            f'label map: "{name}" is not a label in this data{nearest}; check the spelling',
            DataWarning,
            stacklevel=3,
        )
    return {name: labels.get(name) or (taxonomy and taxonomy.match(name)) or name for name in names}
