"""Which label each cell gets in CVAT, and what CVAT's header has to declare for it."""

from __future__ import annotations

import colorsys
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import IGNORE, Attributes, Cell

__all__ = ["Declared", "Labels", "Spelling", "declare", "for_cvat", "spell"]

Labels = Literal["class", "raw"]

_GREY = "#8a8a8a"
_GOLDEN = 0.618033988749895
"""A step round the colour wheel after which no hue comes near an earlier one for long."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """(class, raw label) -> the label in CVAT; what that loses; what means "ignore" there."""

    of: Mapping[tuple[str, str], str]
    lost: int
    ignored: Mapping[str, int]

    def label(self, cell: Cell) -> str:
        """The label of a cell in CVAT."""
        return self.of[cell.label, cell.raw_label]


@dataclass(slots=True)
class Declared:
    """A label as the header declares it; `attributes` tells of each whether it is a checkbox."""

    name: str
    color: str
    kind: Literal["any", "tag"]
    attributes: dict[str, bool] = field(default_factory=dict)


def spell(ds: Dataset, how: Labels) -> Spelling:
    """Choose the label of every cell.

    "class" gives its class. "raw" gives what the annotator wrote, wherever that reads back as the
    same class. A cell to be ignored keeps the annotator's label, unless that spells a class: then,
    and where there is none, it is called "ignore".
    """
    pairs = Counter((cell.label, cell.raw_label) for cell in ds.cells)
    classes = {raw: ds.taxonomy.match(raw) for _, raw in pairs if raw}
    chosen = {}
    for label, raw in pairs:
        if label == IGNORE:
            chosen[label, raw] = raw if raw.strip() and classes[raw] is None else IGNORE
        else:
            chosen[label, raw] = raw if how == "raw" and raw and classes[raw] == label else label
    lost = sum(count for pair, count in pairs.items() if pair[1] and pair[1] != chosen[pair])
    ignored: Counter[str] = Counter()
    for pair, count in pairs.items():
        if pair[0] == IGNORE:
            ignored[chosen[pair]] += count
    return Spelling(chosen, lost, dict(sorted(ignored.items())))


def declare(ds: Dataset, spelling: Spelling, colours: Mapping[str, str]) -> list[Declared]:
    """Every class in its order, then the other labels of cells, then those of tags alone.

    An attribute is a checkbox if all its values are "true" or "false", and text otherwise: CVAT
    refuses values that a stricter type does not allow.

    Raises
    ------
    ValueError
        If a colour is no "#rrggbb", or is for no label here.
    """
    others = sorted(set(spelling.of.values()) - set(ds.taxonomy.labels))
    tags = sorted({tag.label for image in ds.images for tag in image.tags})
    of_cells = [*ds.taxonomy.labels, *others]
    names = list(dict.fromkeys([*of_cells, *tags]))
    _check_colours(colours, names)
    declared = {
        name: Declared(
            name,
            colours.get(name) or (_GREY if name in spelling.ignored else _colour(number)),
            "any" if number < len(of_cells) else "tag",
        )
        for number, name in enumerate(names)
    }
    for name, attributes in _with_attributes(ds, spelling):
        seen = declared[name].attributes
        for key, value in attributes:
            seen[key] = seen.get(key, True) and value in ("true", "false")
    return list(declared.values())


def for_cvat(declared: Iterable[Declared]) -> str:
    """The labels as JSON, in the form that the Raw tab of CVAT's label editor takes."""
    labels = [
        {
            "name": label.name,
            "color": label.color,
            "type": label.kind,
            "attributes": [
                {
                    "name": name,
                    "mutable": False,
                    "input_type": "checkbox" if checkbox else "text",
                    "default_value": "false" if checkbox else "",
                    "values": ["false" if checkbox else ""],
                }
                for name, checkbox in label.attributes.items()
            ],
        }
        for label in declared
    ]
    return json.dumps(labels, indent=1, ensure_ascii=False) + "\n"


def _with_attributes(ds: Dataset, spelling: Spelling) -> Iterator[tuple[str, Attributes]]:
    for cell in ds.cells:
        if cell.attributes:
            yield spelling.label(cell), cell.attributes
    for image in ds.images:
        for tag in image.tags:
            yield tag.label, tag.attributes


def _colour(number: int) -> str:
    red, green, blue = colorsys.hsv_to_rgb(0.7 + number * _GOLDEN, 0.6 + 0.35 * (number % 2), 0.95)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _check_colours(colours: Mapping[str, str], names: list[str]) -> None:
    for label, colour in colours.items():
        if label not in names:
            raise ValueError(
                f'colours: there is no label "{label}" to colour; use one of: {", ".join(names)}'
            )
        if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
            raise ValueError(f'colours: "{colour}" of "{label}" is no colour; write it as #rrggbb')
