"""The label of each cell in CVAT, and the labels that CVAT's header declares."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pcm_leukemia.colours import IGNORED, of_label
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import IGNORE, UNTYPED, Attributes, Cell

__all__ = ["CvatLabel", "LabelChoice", "LabelText", "declare", "for_cvat", "spell"]

LabelText = Literal["class", "raw"]


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """The labels in CVAT.

    `of` maps (`Cell.written_label`, raw label) to the label, and `lost` counts raw labels that are not kept. `ignored` and
    `untyped` count ignored cells and white cells of unknown type by their label.
    """

    of: Mapping[tuple[str, str], str]
    lost: int
    ignored: Mapping[str, int]
    untyped: Mapping[str, int]

    def label(self, cell: Cell) -> str:
        """The label of a cell in CVAT."""
        return self.of[cell.written_label, cell.raw_label]


@dataclass(slots=True)
class CvatLabel:
    """A label declared in the header; `attributes` maps each attribute to whether it is a checkbox."""

    name: str
    color: str
    kind: Literal["any", "tag"]
    attributes: dict[str, bool] = field(default_factory=dict)


def spell(ds: Dataset, how: LabelText) -> LabelChoice:
    """Choose the label of every cell.

    "class" gives its class. "raw" gives the annotator's label if reading maps it to the same class, and the
    class otherwise. An ignored cell keeps the annotator's label, or gets "ignore" if the label is empty or
    names a class. So does a white cell of unknown type, or it gets "WBC" if an ignored cell has the same label.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Image
    >>> from pcm_leukemia.schema import ImageId
    >>> cell = Cell(ImageId("a.png"), 0, IGNORE, Box(1, 2, 30, 40), raw_label="suspect")
    >>> ds = Dataset("demo", NINE, (Image(cell.image, 200, 100),), (cell,))
    >>> spell(ds, "class").label(cell)
    'suspect'
    """
    pairs = Counter((cell.written_label, cell.raw_label) for cell in ds.cells)
    classes = {raw: ds.taxonomy.match(raw) for _, raw in pairs if raw}
    # reading maps a label to one meaning, so ignored cells and white cells of unknown type must not share one
    taken: dict[str, set[str]] = {IGNORE: set()}
    if ds.untyped:
        taken = {IGNORE: {UNTYPED}, UNTYPED: {IGNORE, *(raw for label, raw in pairs if label == IGNORE)}}
    chosen = {}
    for label, raw in pairs:
        if label in taken:
            keep = raw.strip() and classes[raw] is None and raw not in taken[label]
        else:
            keep = how == "raw" and raw and classes[raw] == label
        chosen[label, raw] = raw if keep else label
    lost = sum(count for pair, count in pairs.items() if pair[1] and pair[1] != chosen[pair])
    counts = {IGNORE: Counter[str](), UNTYPED: Counter[str]()}
    for (label, raw), count in pairs.items():
        if label in taken:
            counts[label][chosen[label, raw]] += count
    ignored, untyped = (dict(sorted(each.items())) for each in counts.values())
    return LabelChoice(chosen, lost, ignored, untyped)


def declare(ds: Dataset, spelling: LabelChoice, colours: Mapping[str, str]) -> list[CvatLabel]:
    """The labels to declare: all classes in order, other labels of cells, then labels of tags.

    An attribute is a checkbox if all its values are "true" or "false", and text otherwise: CVAT rejects
    values that do not fit a stricter type.

    Raises
    ------
    ValueError
        If a colour is not of the form "#rrggbb", or its label is not in the data.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image
    >>> from pcm_leukemia.schema import ImageId, Tag
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.png"), 200, 100, tags=(Tag("blurred"),)),))
    >>> declare(ds, spell(ds, "class"), {})[-1].kind
    'tag'
    """
    others = sorted(set(spelling.of.values()) - set(ds.taxonomy.labels))
    tags = sorted({tag.label for image in ds.images for tag in image.tags})
    of_cells = [*ds.taxonomy.labels, *others]
    names = list(dict.fromkeys([*of_cells, *tags]))
    _check_colours(colours, names)
    declared = {
        name: CvatLabel(
            name,
            colours.get(name) or _colour(name, spelling),
            "any" if number < len(of_cells) else "tag",
        )
        for number, name in enumerate(names)
    }
    for name, attributes in _with_attributes(ds, spelling):
        seen = declared[name].attributes
        for key, value in attributes:
            seen[key] = seen.get(key, True) and value in ("true", "false")
    return list(declared.values())


def for_cvat(declared: Iterable[CvatLabel]) -> str:
    """The labels as JSON for the Raw tab of CVAT's label editor, and for CVAT's API.

    Examples
    --------
    >>> json.loads(for_cvat([CvatLabel("blurred", "#ff00ff", "tag")]))
    [{'name': 'blurred', 'color': '#ff00ff', 'type': 'tag', 'attributes': []}]
    """
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


def _colour(name: str, spelling: LabelChoice) -> str:
    if name in spelling.ignored:
        return IGNORED
    return of_label(UNTYPED if name in spelling.untyped else name)


def _with_attributes(ds: Dataset, spelling: LabelChoice) -> Iterator[tuple[str, Attributes]]:
    for cell in ds.cells:
        if cell.attributes:
            yield spelling.label(cell), cell.attributes
    for image in ds.images:
        for tag in image.tags:
            yield tag.label, tag.attributes


def _check_colours(colours: Mapping[str, str], names: list[str]) -> None:
    for label, colour in colours.items():
        if label not in names:
            raise ValueError(f'colours: unknown label "{label}"; use one of: {", ".join(names)}')
        if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
            raise ValueError(f'colours: "{colour}" of "{label}" is not a colour; write it as #rrggbb')
