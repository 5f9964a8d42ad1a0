"""The nine classes of PCM-Leukemia, the other spellings of each, and the three tasks.

Order and names: Table 3 of the paper. Aliases: its section 2.2, its Appendix A ("Myeloblast(AML)",
"Promyelocyte (APL)"), and the plural and short forms in daily use. Case, blanks and
punctuation do not count.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Literal

from pcm_leukemia.errors import DataWarning, Problem, either, nearest, option
from pcm_leukemia.schema import IGNORE, Task, Taxonomy

__all__ = ["BLASTS", "NINE", "NORMAL", "check_classes", "known", "label_map", "not_a_class", "warn_of_absent"]

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

NORMAL = ("Lymphocyte", "Neutrophil", "Basophil", "Eosinophil", "Monocyte")
"""The normal white cells, as in Appendix A of the paper; "Other" is neither normal nor a blast."""

BLASTS = ("Lymphoblast", "Myeloblast_AML", "Myeloblast_APL")
"""The leukemic cells, as in Appendix A of the paper; the promyelocytes of APL count as blasts."""


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


def check_classes(
    labels: Iterable[str], classes: Iterable[str], whose: str, fix: str = "", *, where: str = "label map"
) -> None:
    """Refuse a label that is neither one of `classes` nor `IGNORE`, and name the nearest class.

    Raises
    ------
    ValueError
        If there is one. `where` says in the message where the labels are given, `whose` what the classes belong to, and
        `fix` what else can be done.

    Examples
    --------
    >>> check_classes(["Lymfoblast"], ("Lymphoblast", "Other"), "demo")
    Traceback (most recent call last):
    ValueError: label map: "Lymfoblast" is not a class of demo, the nearest is "Lymphoblast"; use one of Lymphoblast, \
Other or ignore
    """
    classes = tuple(classes)
    for label in labels:
        if label not in (*classes, IGNORE):
            raise ValueError(
                f'{where}: "{label}" is not a class of {whose}{nearest(label, classes)}; '
                f"use one of {', '.join(classes)} or {IGNORE}{fix}"
            )


def warn_of_absent(labels: Iterable[str], names: Iterable[str]) -> None:
    """Warn of each label of a map that the data do not have, and name the nearest that they have."""
    names = tuple(names)
    for label in labels:
        if label not in names:
            warnings.warn(
                f'label map: "{label}" is not a label in this data{nearest(label, names)}; check the spelling',
                DataWarning,
                stacklevel=4,
            )


def not_a_class(where: str, kind: str, label: str, taxonomy: Taxonomy) -> Problem:
    """The problem of a label that no class of `taxonomy` matches, with the options that give it a class.

    Parameters
    ----------
    where
        The file, or the name of the data set.
    kind
        What the format calls a label: "category", "name", ...
    label, taxonomy
        The label and the classes.

    Examples
    --------
    >>> print(not_a_class("c.json", "category", "Lymfoblast", Taxonomy("demo", ("Lymphoblast", "Other"))))
    c.json: category "Lymfoblast" is not a class of demo, the nearest is "Lymphoblast"; rename it to one of \
Lymphoblast, Other, or pass labels={"Lymfoblast": CLASS} or {"Lymfoblast": "ignore"}
    """
    return Problem(
        where,
        f'{kind} "{label}" is not a class of {taxonomy.name}{nearest(label, taxonomy.labels)}',
        f"rename it to one of {', '.join(taxonomy.labels)}, or pass "
        + either(
            f'labels={{"{label}": CLASS}} or {{"{label}": "{IGNORE}"}}',
            f'--map "{label}=CLASS" or "{label}={IGNORE}"',
        ),
    )


def label_map(
    names: Iterable[str],
    taxonomy: Taxonomy | Literal["declared"] | None,
    labels: Mapping[str, str] | None,
) -> dict[str, str]:
    """Map each label of the data to a class or to `IGNORE`, as every reader does.

    Parameters
    ----------
    names
        The labels of the data.
    taxonomy
        The classes. None: the labels themselves, or the nine classes. "declared": the labels themselves, which
        `labels` may rename to anything.
    labels
        Label -> class or "ignore". Other labels become the class of `taxonomy` that they spell, if any.

    Raises
    ------
    ValueError
        If `labels` maps to something that is not one of these classes.

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
    given = taxonomy if isinstance(taxonomy, Taxonomy) else None
    if given:
        check_classes(labels.values(), given.labels, given.name)
    elif taxonomy is None:
        classes = dict.fromkeys((*names, *NINE.labels))
        new = f", or pass {option('taxonomy', 'declared')} for a new class"
        check_classes(labels.values(), classes, f"the data or of {NINE.name}", new)
    warn_of_absent(labels, names)
    return {name: labels.get(name) or (given and given.match(name)) or name for name in names}
