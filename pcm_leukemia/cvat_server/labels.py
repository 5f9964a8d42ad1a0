"""The labels of a project on a server: which of them the cells and tags of a data set need, and which are missing."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pcm_leukemia.converters.cvat import CvatLabel, LabelChoice, declare, for_cvat, spell
from pcm_leukemia.cvat_server.connection import answers
from pcm_leukemia.cvat_server.media import There
from pcm_leukemia.cvat_server.shapes import SCORE, TAG, shape_kind
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import Problem, ServerError, UnknownLabel, counted, either, nearest, option, some
from pcm_leukemia.schema import IGNORE, Cell, Tag, letters

__all__ = ["Label", "Labels", "labels_of", "require_project"]

_LONGEST = 4096
"""The characters that CVAT stores of the value of an attribute."""


class Label(NamedTuple):
    """A label: its number, name and colour, the kind of annotations that it takes, and its attributes: name -> number."""

    number: int
    name: str
    kind: str
    colour: str
    attributes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels on the server of the cells and tags of a data set; `added` names those that were missing."""

    spelling: LabelChoice
    found: Mapping[str, Label]
    added: tuple[str, ...]

    def of_cell(self, cell: Cell) -> Label:
        """The label of a cell; an ignored cell has that of its annotator."""
        return self.found[self.spelling.label(cell)]

    def of_tag(self, tag: Tag) -> Label:
        """The label of a tag."""
        return self.found[tag.label]


def require_project(there: There, what: str) -> None:
    """Refuse the address of a task or job; ServerError."""
    if there.address.kind != "project":
        raise ServerError(
            f"{there.address}: {what} in a project; give the address of the project, such as {there.address.server}/projects/7"
        )


def labels_of(ds: Dataset, there: There, *, add: bool = False, dry_run: bool = False) -> Labels:
    """The label on the server of each label of the data: of the same name, or spelled like it.

    Parameters
    ----------
    ds
        The images, cells and tags that are to be sent.
    there
        Where they are to be sent.
    add
        Whether to add the labels and attributes that the project lacks, with all classes of the data.
    dry_run
        Whether to add nothing, and act as if it was done.

    Raises
    ------
    UnknownLabel
        If a label or an attribute is missing, or a label takes other kinds of annotations: every such label is listed.
    ServerError
        If the server refuses, the labels to add are not those of a project, or the value of an attribute is too long for CVAT.
    """
    if add:
        require_project(there, "labels are made")
    _require_short(there, ds)
    spelling = spell(ds, "class")
    needs = _needs(ds, spelling)
    wanted = [label for label in declare(ds, spelling, {}) if add or label.name in needs]
    known = _known(there, ds)
    found = {label.name: known.find(label.name) for label in wanted}
    changed = [label for label in wanted if _lacks(needs[label.name], found[label.name]) is not None]
    problems = [
        problem
        for label in wanted
        for problem in _problems(there, label.name, needs[label.name], found[label.name], known, add=add)
    ]
    if problems:
        raise UnknownLabel(problems)
    if changed and not dry_run:
        _add(there, changed, needs, found)
        known = _known(there, ds)
    for label in changed:
        added = known.find(label.name)
        if dry_run or added is None:
            added = Label(0, label.name, label.kind, label.color, dict.fromkeys(label.attributes, 0))
        found[label.name] = added
    of = {name: label for name, label in found.items() if label}
    return Labels(spelling, of, tuple(label.name for label in changed))


class _Known(NamedTuple):
    """The labels on the server, by their names and by what these spell."""

    named: Mapping[str, Label]
    alike: Mapping[str, Label]

    def find(self, name: str) -> Label | None:
        return self.named.get(name) or self.alike.get(letters(name))


def _known(there: There, ds: Dataset) -> _Known:
    with answers(there.address):
        named = {
            label.name: Label(
                label.id,
                label.name,
                str(getattr(label, "type", None) or "any"),
                label.color,
                {attribute.name: attribute.id for attribute in label.attributes},
            )
            for label in there.root.get_labels()
        }
    alike = {letters(name): label for name, label in named.items()}
    alike |= {letters(fit): named[name] for name in named if (fit := ds.taxonomy.match(name))}
    return _Known(named, alike)


@dataclass(slots=True)
class _Need:
    """What a label is needed for: how many annotations of each kind, of how many ignored cells, and with which attributes."""

    kinds: Counter[str] = field(default_factory=Counter)
    ignored: int = 0
    attributes: dict[str, None] = field(default_factory=dict)


def _needs(ds: Dataset, spelling: LabelChoice) -> dict[str, _Need]:
    """What each label is needed for; CVAT has a place of its own for the score of a cell."""
    needs = defaultdict[str, _Need](_Need)
    for cell in ds.cells:
        need = needs[spelling.label(cell)]
        need.kinds[shape_kind(cell)] += 1
        need.ignored += cell.label == IGNORE
        need.attributes |= {name: None for name, _ in cell.attributes if name != SCORE}
    for tag in (tag for image in ds.images for tag in image.tags):
        need = needs[tag.label]
        need.kinds[TAG] += 1
        need.attributes |= {name: None for name, _ in tag.attributes}
    return needs


def _lacks(need: _Need, label: Label | None) -> list[str] | None:
    """The attributes that a label lacks; all of them if there is no such label, and None if it lacks nothing."""
    if label is None:
        return list(need.attributes)
    return [name for name in need.attributes if name not in label.attributes] or None


def _problems(
    there: There, name: str, need: _Need, label: Label | None, known: _Known, *, add: bool
) -> Iterator[Problem]:
    """What keeps a label from taking what it is needed for."""
    where = str(there.address)
    by_push = f", or pass {option('add_labels', value=True)}" if there.address.kind == "project" else ""
    if label is None:
        if not add:
            yield Problem(where, _missing(name, need, known), _fix(name, need) + by_push)
        return
    lacking = _lacks(need, label)
    if lacking and not add:
        what = f'its label "{name}" lacks the {_named(lacking)}'
        fix = f"add {'them' if lacking[1:] else 'it'} to the label in CVAT as text"
        yield Problem(where, what, fix + by_push)
    for kind, count in need.kinds.items():
        if not takes(label, kind):
            others = (
                f"{counted(count, 'tag')} need{'s' * (count == 1)} it"
                if kind == TAG
                else f"{counted(count, 'cell is', 'cells are')} {kind}"
            )
            what = f'its label "{name}" takes {label.kind} alone, and {others}'
            yield Problem(where, what, "let the label take any shape in CVAT")


def _missing(name: str, need: _Need, known: _Known) -> str:
    tags = need.kinds[TAG]
    cells = need.kinds.total() - tags
    counts = [counted(cells, "cell")] * bool(cells) + [counted(tags, "tag")] * bool(tags)
    return f'has no label "{name}" ({", ".join(counts)}{nearest(name, known.named)})'


def _fix(name: str, need: _Need) -> str:
    """How to go on without a label."""
    add = "add it to the labels in CVAT"
    add += f", with the text {_named(need.attributes)}" if need.attributes else ""
    if set(need.kinds) == {TAG}:
        return f"{add}, or pass {either('tags=False', '--no-tags')} to leave tags out"
    if need.ignored or need.kinds[TAG]:
        return add
    leave = either(f'read the data with labels={{"{name}": "ignore"}}', f'pass --map "{name}=ignore"')
    return f"{add}, or {leave} to leave the cells out"


def _named(attributes: Collection[str]) -> str:
    """Attributes as a message names them."""
    return f"attribute{'s' * (len(attributes) > 1)} " + ", ".join(f'"{name}"' for name in attributes)


def takes(label: Label, kind: str) -> bool:
    """Whether a label takes a kind of annotation; a rectangle can be drawn around every shape."""
    return label.kind in ("any", kind) or (label.kind == "rectangle" and kind != TAG)


def _add(
    there: There,
    labels: Iterable[CvatLabel],
    needs: Mapping[str, _Need],
    found: Mapping[str, Label | None],
) -> None:
    """Add labels, and attributes to those that are there."""
    changes: list[dict[str, Any]] = json.loads(for_cvat(labels))
    for change in changes:
        if label := found[change["name"]]:
            lacking = _lacks(needs[change["name"]], label) or ()
            change["attributes"] = [each for each in change["attributes"] if each["name"] in lacking]
            change |= {"id": label.number, "name": label.name, "color": label.colour}
            del change["type"]  # stays as it is
    with answers(there.address, may="change"):
        there.root.update({"labels": changes})


def _require_short(there: There, ds: Dataset) -> None:
    """Refuse values that CVAT cannot store."""
    of_cells = ((cell.image, cell.attributes) for cell in ds.cells)
    of_tags = ((image.id, tag.attributes) for image in ds.images for tag in image.tags)
    long = [
        f'image "{image}": the attribute "{name}" has {len(value):,} characters, and CVAT stores {_LONGEST:,}; shorten it'
        for image, attributes in (*of_cells, *of_tags)
        for name, value in attributes
        if len(value) > _LONGEST
    ]
    if long:
        raise ServerError(f"{there.address}: cannot store everything\n{some(long)}")
