"""The categories of one or several COCO files, and the class that each becomes."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pcm_leukemia.converters.coco.ids import ById, id_of
from pcm_leukemia.errors import DataWarning, Problem, either
from pcm_leukemia.schema import IGNORE, Taxonomy
from pcm_leukemia.taxonomy import label_map, not_a_class, unmatched

__all__ = ["Classes", "classes_of"]


@dataclass(frozen=True, slots=True)
class Classes:
    """Category -> class or "ignore", the names of the categories in their order, and the problems.

    `unknown` counts the problems of categories that are no class of the taxonomy that was asked for.
    """

    of: Mapping[str, str]
    names: tuple[str, ...]
    problems: list[Problem]
    unknown: int


@dataclass(frozen=True, slots=True)
class _Category:
    id: int | float | str
    name: str
    within: str


def classes_of(
    files: Sequence[tuple[str, list[Any], list[Any]]],
    taxonomy: Taxonomy | Literal["declared"] | None,
    mapping: Mapping[str, str],
) -> tuple[Classes, list[ById[str]]]:
    """Read the categories of files, each given as its name, its ``categories`` and its ``annotations``.

    A category that only names a group of others, as Roboflow's first one does, is left out.

    Returns
    -------
    tuple
        The classes, and for each file the name of a category by its id.
    """
    problems: list[Problem] = []
    tables = [_rows(where, rows, problems) for where, rows, _ in files]
    groups = _groups(
        tables, [_used(table, annotations) for table, (_, _, annotations) in zip(tables, files, strict=True)]
    )
    tables = [[each for each in table if each not in groups] for table in tables]
    names: tuple[str, ...] | None = None
    for (where, _, _), table in zip(files, tables, strict=True):
        _refuse_repeated(where, table, problems)
        here = tuple(each.name for each in table)
        if names is not None and here != names and not problems:
            problems.append(_different(where, names, here))
        names = here if names is None else names
    names = tuple(dict.fromkeys(names or ()))
    first = files[0][0] if files else ""
    problems += [
        _reserved(first, name)
        for name in names
        if not name.strip() or (name == IGNORE and name not in mapping)
    ]
    classes = label_map(names, taxonomy, mapping)
    unknown = []
    if isinstance(taxonomy, Taxonomy):
        unknown = [
            not_a_class(first, "category", name, taxonomy) for name in unmatched(classes, taxonomy, mapping)
        ]
    return Classes(classes, names, [*problems, *unknown], len(unknown)), [_by_id(table) for table in tables]


def _rows(where: str, rows: list[Any], problems: list[Problem]) -> list[_Category]:
    """The categories of one file in the order of their ids, if these are numbers."""
    found = []
    for index, row in enumerate(rows):
        what = None
        if not isinstance(row, dict):
            what = "is not an object"
        elif lacking := [key for key in ("id", "name") if row.get(key) is None]:
            what = f"lacks {' and '.join(map(repr, lacking))}"
        elif not isinstance(row["name"], str | int | float):
            what = "has a name that is not text"
        if what is None and isinstance(row["id"], int | float | str):
            found.append(
                _Category(id_of(row["id"]), str(row["name"]), str(row.get("supercategory") or "none"))
            )
        else:
            what = what or "has an id that is neither a number nor text"
            problems.append(
                Problem(f"{where} categories[{index}]", what, "give each category an id and a name")
            )
    try:
        return sorted(found, key=lambda each: (int(each.id), each.name))
    except (ValueError, OverflowError):
        return found


def _used(table: list[_Category], annotations: list[Any]) -> set[_Category]:
    """The categories that have annotations."""
    by_id = ById[_Category]()
    for each in table:
        by_id.add(each.id, each)
    try:
        numbers: set[Any] = {row.get("category_id") for row in annotations if isinstance(row, dict)}
    except TypeError:  # an id that is a list: the row is refused later
        numbers = {row.get("category_id") for row in annotations if isinstance(row, dict) and _is_plain(row)}
    return {found for number in numbers if (found := by_id.get(number)) is not None}


def _is_plain(row: dict[str, Any]) -> bool:
    return isinstance(row.get("category_id"), int | float | str)


def _groups(tables: list[list[_Category]], used: list[set[_Category]]) -> set[_Category]:
    """The categories without annotations that only name a group of others; a warning names them."""
    taken = set().union(*used)
    within = {each.within for table in tables for each in table}
    counts = [Counter(each.name for each in table) for table in tables]
    groups: set[_Category] = set()
    for table, count in zip(tables, counts, strict=True):
        for each in table:
            if each in taken or each in groups:
                continue
            same = [
                other for other in table if other.name == each.name and other != each and other not in groups
            ]
            names_a_group = each.within.casefold() == "none" and each.name in within - {"none"}
            if names_a_group or (same and count[each.name] > 1 and any(other in taken for other in same)):
                groups.add(each)
    if groups:
        named = ", ".join(
            f'"{each.name}" (id {each.id})' for each in sorted(groups, key=lambda each: each.name)
        )
        text = f"categories without annotations that only name a group of others: {named}: left out"
        warnings.warn(text, DataWarning, stacklevel=4)
    return groups


def _refuse_repeated(where: str, table: list[_Category], problems: list[Problem]) -> None:
    for kind in ("id", "name"):
        first: dict[object, _Category] = {}
        for each in table:
            key = each.id if kind == "id" else each.name
            other = first.setdefault(key, each)
            if other is not each:
                what = (
                    f"has two categories with the same id or name: "
                    f'"{other.name}" (id {other.id}) and "{each.name}" (id {each.id})'
                )
                fix = "give each its own, or leave one out and give its annotations the other's id"
                problems.append(Problem(where, what, fix))
                return


def _different(where: str, names: tuple[str, ...], here: tuple[str, ...]) -> Problem:
    lacking = [name for name in names if name not in here]
    more = [name for name in here if name not in names]
    how = [f"without {', '.join(lacking)}"] * bool(lacking) + [f"with {', '.join(more)}"] * bool(more)
    what = f"has different categories from the files before it: {' and '.join(how) or 'in another order'}"
    return Problem(where, what, "write all parts with the same categories")


def _reserved(where: str, name: str) -> Problem:
    if not name.strip():
        return Problem(where, "has a category whose name is blank", "give it a name")
    what = f'category "{name}" has the name that is reserved for cells that are not targets'
    as_is = either(f'labels={{"{name}": "{IGNORE}"}}', f"--map {name}={IGNORE}")
    return Problem(where, what, f"pass {as_is} if this is meant, or rename the category")


def _by_id(table: list[_Category]) -> ById[str]:
    names = ById[str]()
    for each in table:
        names.add(each.id, each.name)
    return names
