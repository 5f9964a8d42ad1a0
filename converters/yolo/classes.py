"""The classes that data.yaml names, and the taxonomy that they are read as."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Literal

from pcm_leukemia.converters.yolo import description
from pcm_leukemia.converters.yolo.description import Description
from pcm_leukemia.errors import InvalidExport, Problem, UnknownLabel
from pcm_leukemia.schema import Taxonomy
from pcm_leukemia.taxonomy import classes_among, label_map, not_a_class, taxonomy_with, unmatched

__all__ = ["contradictions", "read_classes"]


def read_classes(
    said: Description, taxonomy: Taxonomy | Literal["declared"] | None, mapping: Mapping[str, str] | None
) -> tuple[list[tuple[str, str]], Taxonomy]:
    """The class and the name in the file of each class id, and the classes of the data set.

    Raises
    ------
    InvalidExport
        If there are no names, or they are not text, repeated, or numbered with a gap.
    UnknownLabel
        If a name is not a class of `taxonomy`.
    ValueError
        If `mapping` maps a name to something other than a class or "ignore".
    """
    where = str(said.file)
    raw = _names(said.content, where)
    classes = label_map(raw, taxonomy, mapping)
    labels = [(classes[name], name) for name in raw]
    if not isinstance(taxonomy, Taxonomy):
        own = classes_among(classes.values(), raw, taxonomy) if mapping else tuple(raw)
        try:
            return labels, taxonomy_with(own)
        except ValueError as error:
            raise InvalidExport([Problem(where, "names", str(error))]) from error
    unknown = [not_a_class(where, "name", name, taxonomy) for name in unmatched(classes, taxonomy, mapping)]
    if unknown:
        raise UnknownLabel(unknown)
    return labels, taxonomy


def contradictions(said: Description, folders: Iterable[Path]) -> list[str]:
    """Notes on other lists of the classes, beside the description or in `folders`, that give an id to another class."""
    names = _names(said.content, str(said.file))
    notes = []
    for other in description.others(said, folders):
        with suppress(InvalidExport):
            theirs = _names(other.content, str(other.file))
            differing = (
                f'class {number} is "{name}" in {said.file}, which is read, and "{their}" in {other.file}'
                for number, (name, their) in enumerate(zip(names, theirs, strict=False))
                if name.strip().casefold() != their.strip().casefold()
            )
            notes += [f"{first}; look at some cells of this class" for first in islice(differing, 1)]
    return notes


def _names(content: Mapping[str, object], where: str) -> list[str]:
    """The names of the classes by id."""
    names, count = content.get("names"), content.get("nc")
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            what = f"names have the ids {', '.join(f'{name!s:.40}' for name in names)}"
            raise InvalidExport([Problem(where, what, "number them from 0 without a gap")])
        by_id = {str(number): name for number, name in names.items()}
        names = [by_id[str(number)] for number in range(len(by_id))]
    if not isinstance(names, list) or not names:
        raise InvalidExport([Problem(where, "has no names", "list the classes below names")])
    wrong = [
        Problem(where, f"name {number} is {reprlib.repr(name)}, not text", 'write it in quotes: "..."')
        for number, name in enumerate(names)
        if isinstance(name, bool) or not isinstance(name, str | int | float)
    ]
    if wrong:
        raise InvalidExport(wrong)
    if isinstance(count, int) and count != len(names):
        what = f"nc is {count}, but there are {len(names)} names"
        raise InvalidExport([Problem(where, what, "correct one of them")])
    return [str(name) for name in names]
