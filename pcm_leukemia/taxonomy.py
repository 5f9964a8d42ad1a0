"""The nine classes of PCM-Leukemia, the other spellings of each, and the three tasks.

Order and names: Table 3 of the paper. Aliases: its section 2.2, its Appendix A ("Myeloblast(AML)",
"Promyelocyte (APL)"), and plurals. Case, blanks and punctuation do not count.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from pcm_leukemia.errors import AbsentLabel, Problem, either, nearest, option
from pcm_leukemia.schema import IGNORE, UNTYPED, Task, Taxonomy

__all__ = [
    "BLASTS",
    "NINE",
    "NORMAL",
    "check_classes",
    "choices",
    "classes_among",
    "label_map",
    "not_a_class",
    "taxonomy_with",
    "unmatched",
    "warn_of_absent",
    "ways_to_map",
]

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
    # data sets on disk record these aliases, and with others their classes would not be equal to the nine; so even the two that
    # `match` does not need stay: "Myeloblast AML" and "Myeloblast APL"
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


def taxonomy_with(labels: tuple[str, ...]) -> Taxonomy:
    """The taxonomy with exactly these labels: the nine classes, those of one task, or declared ones.

    Examples
    --------
    >>> taxonomy_with(("WBC", "Other")).name
    'pcm-leukemia/wbc'
    >>> taxonomy_with(("RBC", "WBC")).name
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
    """Refuse a label that is neither one of `classes` nor `IGNORE` nor `UNTYPED`, and name the nearest class.

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
Other, WBC (a white cell of unknown type) or ignore
    """
    classes = tuple(classes)
    for label in labels:
        if label not in (*classes, UNTYPED, IGNORE):
            raise ValueError(
                f'{where}: "{label}" is not a class of {whose}{nearest(label, classes)}; '
                f"use one of {choices(classes)}{fix}"
            )


def choices(classes: Iterable[str]) -> str:
    """What a label can be, as a list for messages.

    Examples
    --------
    >>> choices(("WBC", "Other"))
    'WBC, Other or ignore'
    """
    classes = tuple(classes)
    untyped = "" if UNTYPED in classes else f", {UNTYPED} (a white cell of unknown type)"
    return f"{', '.join(classes)}{untyped} or {IGNORE}"


def ways_to_map(raw: str) -> str:
    """How to give a label a class, as the reader of a message types it.

    Examples
    --------
    >>> ways_to_map("blob")
    'labels={"blob": CLASS}, {"blob": "WBC"} (a white cell of unknown type) or {"blob": "ignore"}'
    """
    return either(
        f'labels={{"{raw}": CLASS}}, {{"{raw}": "{UNTYPED}"}} (a white cell of unknown type) or {{"{raw}": "{IGNORE}"}}',
        f'--map "{raw}=CLASS", "{raw}={UNTYPED}" (a white cell of unknown type) or "{raw}={IGNORE}"',
    )


def warn_of_absent(labels: Iterable[str], names: Iterable[str]) -> None:
    """Warn of each label of a map that the data do not have, and name the nearest that they have."""
    names = tuple(names)
    for label in labels:
        if label not in names:
            said = (
                f'label map: "{label}" is not a label in this data{nearest(label, names)}; check the spelling'
            )
            warnings.warn(AbsentLabel(label, said), stacklevel=4)


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
Lymphoblast, Other, or pass labels={"Lymfoblast": CLASS}, {"Lymfoblast": "WBC"} (a white cell of unknown type) or \
{"Lymfoblast": "ignore"}
    """
    return Problem(
        where,
        f'{kind} "{label}" is not a class of {taxonomy.name}{nearest(label, taxonomy.labels)}',
        f"rename it to one of {', '.join(taxonomy.labels)}, or pass {ways_to_map(label)}",
    )


def label_map(
    names: Iterable[str],
    taxonomy: Taxonomy | Literal["declared"] | None,
    labels: Mapping[str, str] | None,
) -> dict[str, str]:
    """Map each label of the data to a class, to `UNTYPED` or to `IGNORE`, as every reader does.

    Parameters
    ----------
    names
        The labels of the data.
    taxonomy
        The classes. None: the labels themselves, or the nine classes. "declared": the labels themselves, which
        `labels` may rename to anything.
    labels
        Label -> class, "WBC" (a white cell of unknown type) or "ignore". Other labels become the class of `taxonomy`
        that they spell, if any.

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
        spelled = next((name for name in names if name.casefold() == UNTYPED.casefold()), UNTYPED)
        labels = {name: spelled if label == UNTYPED else label for name, label in labels.items()}
    warn_of_absent(labels, names)
    return {name: labels.get(name) or (given and given.match(name)) or name for name in names}


def unmatched(class_of: Mapping[str, str], taxonomy: Taxonomy, labels: Mapping[str, str] | None) -> list[str]:
    """The labels that `label_map` found no class for. "WBC" has one only in `taxonomy`, or if `labels` names it.

    Examples
    --------
    >>> unmatched({"RBC": "RBC", "WBC": "WBC", "Unknown": "WBC"}, NINE, {"Unknown": "WBC"})
    ['RBC', 'WBC']
    """
    classes = {*taxonomy.labels, IGNORE}
    return [
        name
        for name, label in class_of.items()
        if label not in classes and not (label == UNTYPED and name in (labels or {}))
    ]


def classes_among(
    labels: Iterable[str], before: Collection[str], taxonomy: Taxonomy | Literal["declared"] | None
) -> tuple[str, ...]:
    """The classes among new labels, in their order, where the data themselves decide which classes there are.

    "WBC" is a class if it was one of the labels `before`, or with the taxonomy "declared".

    Examples
    --------
    >>> classes_among(["Monocyte", "WBC", "ignore"], ["Monocyte", "Unknown", "debris"], None)
    ('Monocyte',)
    >>> classes_among(["RBC", "WBC"], ["RBC", "WBC"], None)
    ('RBC', 'WBC')
    """
    is_class = taxonomy == "declared" or UNTYPED in before
    words = {IGNORE} if is_class else {IGNORE, UNTYPED}
    return tuple(label for label in dict.fromkeys(labels) if label not in words)
