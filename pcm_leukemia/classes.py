"""`in_classes`: a data set in the classes that `taxonomy` and `labels` ask for, for readers whose data have classes already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from msgspec import structs

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import UnknownLabel
from pcm_leukemia.schema import IGNORE, Cell, Taxonomy
from pcm_leukemia.taxonomy import NINE, classes_among, label_map, not_a_class, unmatched

__all__ = ["in_classes"]


def in_classes(
    ds: Dataset,
    taxonomy: Taxonomy | Literal["declared"] | None = None,
    labels: Mapping[str, str] | None = None,
    *,
    raw_labels: Mapping[str, str] | None = None,
) -> Dataset:
    """Change the classes of a data set as the options `taxonomy` and `labels` of every reader say.

    Parameters
    ----------
    ds
        The data set in the classes that it was stored with.
    taxonomy
        The new classes. None or "declared": those of `ds`, which `labels` may rename; with "declared", to anything. The nine
        classes stay nine, unless "declared" is given.
    labels
        Class of `ds` -> class of `taxonomy`, of the data or of the nine, "WBC" (a white cell of unknown type) or
        "ignore". Classes that are not in it become the class of `taxonomy` that they spell.
    raw_labels
        Raw label -> the class that it was read as. `labels` may name these raw labels, too; a cell follows its raw
        label before its class, unless it has another class than its raw label was read as.

    Raises
    ------
    UnknownLabel
        If cells have a label that is not a class of `taxonomy`: each is named.
    ValueError
        If `labels` maps a label to something that is not a class.

    Warns
    -----
    DataWarning
        If `labels` names a label that the data do not have.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image
    >>> image, box = Image("a.png", 200, 100), Box(10, 20, 50, 60)
    >>> ds = Dataset("demo", Taxonomy("declared", ("monocytes", "RBC")), (image,), (Cell(image.id, 0, "monocytes", box),))
    >>> in_classes(ds, NINE, {"RBC": "ignore"}).cells[0].label
    'Monocyte'
    """
    if not labels and not isinstance(taxonomy, Taxonomy):
        return ds
    labels, raw_labels = labels or {}, raw_labels or {}
    class_of = label_map(dict.fromkeys((*ds.taxonomy.labels, *raw_labels)), taxonomy, labels)

    def new(cell: Cell) -> str:
        if cell.raw_label in labels and raw_labels.get(cell.raw_label) == cell.written_label:
            return labels[cell.raw_label]
        return cell.written_label if cell.label == IGNORE else class_of[cell.label]

    changed = [(cell, new(cell)) for cell in ds.cells]
    if isinstance(taxonomy, Taxonomy):
        lost = unmatched(class_of, taxonomy, labels)
        unknown = {
            cell.label for cell, label in changed if cell.label in lost and label == class_of[cell.label]
        }
        if unknown:
            raise UnknownLabel(not_a_class(ds.name, "label", label, taxonomy) for label in sorted(unknown))
        classes = taxonomy
    else:
        renamed = (class_of[label] for label in ds.taxonomy.labels)
        new_labels = classes_among((*renamed, *(label for _, label in changed)), ds.taxonomy.labels, taxonomy)
        # the nine stay nine, as from an export: a class that is left without cells must not change the ids of others
        same = new_labels == ds.taxonomy.labels or (
            taxonomy is None and ds.taxonomy == NINE and set(new_labels) < set(NINE.labels)
        )
        classes = ds.taxonomy if same else Taxonomy(ds.taxonomy.name, new_labels)
    cells = (
        cell if label == cell.written_label else structs.replace(cell, label=label, untyped=False)
        for cell, label in changed
    )
    return replace(ds, taxonomy=classes, cells=tuple(cells))
