"""The nine classes of PCM-Leukemia, the other spellings of each, and the three tasks.

Order and names: Table 3 of the paper. Aliases: its section 2.2, its Appendix A ("Myeloblast(AML)",
"Promyelocyte (APL)"), and the plural and short forms in daily use. Case, blanks and
punctuation never matter.
"""

from __future__ import annotations

from pcm_leukemia.schema import Task, Taxonomy

__all__ = ["NINE", "known"]

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
    """The taxonomy with exactly these labels: the nine, those of one task, or declared ones.

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
