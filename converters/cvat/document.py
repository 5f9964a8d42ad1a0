"""CVAT's XML as text: the header, and one element for each image with its shapes and tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from pcm_leukemia.converters.cvat.labels import CvatLabel, LabelChoice
from pcm_leukemia.converters.cvat.layout import Layout, Place
from pcm_leukemia.errors import ExportError
from pcm_leukemia.schema import Attributes, Cell, Image, Tag
from pcm_leukemia.shapes import Box, Ellipse, Mask, Point, Polygon, RotatedBox

__all__ = ["extent", "header", "image_element"]

_WHEN = "1980-01-01 00:00:00+00:00"
"""A fixed time, so that the same input gives the same bytes."""

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 cannot represent, not even escaped."""
_ESCAPED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)


def header(name: str, layout: Layout, labels: list[CvatLabel], sizes: dict[str, int]) -> Iterator[str]:
    """Everything before the images; `sizes` has the number of images by subset."""
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n'
    yield f"    <{layout.kind}>\n      <id>1</id>\n      <name>{_text(name)}</name>\n"
    if layout.kind == "task":
        yield from _task_rows(layout.subset, sum(sizes.values()), "      ")
    else:
        yield f"      <bugtracker></bugtracker>\n      <created>{_WHEN}</created>\n      <updated>{_WHEN}</updated>\n"
        yield "      <tasks>\n"
        for number, (subset, size) in enumerate(sizes.items(), 1):
            yield f"        <task>\n          <id>{number}</id>\n          <name>{_text(subset or name)}</name>\n"
            yield from _task_rows(subset, size, "          ")
            yield "        </task>\n"
        # "default" is CVAT's name for images without a subset; its importer skips them if it is missing
        named = "\n".join(subset or "default" for subset in sizes)
        yield f"      </tasks>\n      <subsets>{_text(named, lines=True)}</subsets>\n"
    yield "      <labels>\n"
    for label in labels:
        yield from _label(label)
    yield f"      </labels>\n    </{layout.kind}>\n    <dumped>{_WHEN}</dumped>\n  </meta>\n"


def _task_rows(subset: str, size: int, indent: str) -> Iterator[str]:
    rows = {
        "size": str(size),
        "mode": "annotation",
        "overlap": "0",
        "bugtracker": "",
        "created": _WHEN,
        "updated": _WHEN,
        "subset": subset,
        "start_frame": "0",
        "stop_frame": str(max(size - 1, 0)),
        "frame_filter": "",
    }
    for tag, text in rows.items():
        yield f"{indent}<{tag}>{_text(text)}</{tag}>\n"


def _label(label: CvatLabel) -> Iterator[str]:
    yield (
        f"        <label>\n          <name>{_text(label.name)}</name>\n          <color>{label.color}</color>\n"
        f"          <type>{label.kind}</type>\n          <attributes>\n"
    )
    for name, checkbox in label.attributes.items():
        kind, default, values = ("checkbox", "false", "false\ntrue") if checkbox else ("text", "", "")
        yield (
            f"            <attribute>\n              <name>{_text(name)}</name>\n              <mutable>False</mutable>\n"
            f"              <input_type>{kind}</input_type>\n              <default_value>{default}</default_value>\n"
            f"              <values>{values}</values>\n            </attribute>\n"
        )
    yield "          </attributes>\n        </label>\n"


def image_element(
    image: Image, place: Place, number: int, task: int | None, cells: tuple[Cell, ...], spelling: LabelChoice
) -> str:
    """The element of one image; `number` counts within its task, and `task` is None outside a project.

    Raises
    ------
    ExportError
        If a text contains a character that XML cannot represent.
    """
    subset = f' subset="{_text(place.subset)}"' if place.subset else ""
    owner = "" if task is None else f' task_id="{task}"'
    try:
        start = f'  <image id="{number}" name="{_text(place.name)}"{subset}{owner} '
        lines = [f'{start}width="{image.width}" height="{image.height}">\n']
        lines += [_shape(cell, image, spelling.label(cell)) for cell in cells]
        # without its own subset, CVAT's project importer assigns a tag to another one
        lines += [_tag(tag, subset) for tag in image.tags]
    except ExportError as error:
        raise ExportError(f'image "{image.id}": {error}') from None
    lines.append("  </image>\n")
    return "".join(lines)


def extent(cell: Cell, image: Image) -> Box | None:
    """The box that reading gives for CVAT's shape, cut at the image's border; None if it gives no cell."""
    if cell.shape is None:
        return cell.box
    try:
        envelope = cell.shape.envelope()
        return Box(*envelope).clip(image.width, image.height) if envelope else None
    except ValueError:  # no points, no area, or not finite
        return None


def _shape(cell: Cell, image: Image, label: str) -> str:
    source = f' source="{_text(cell.source)}"' if cell.source else ""
    group = f' group_id="{cell.group}"' if cell.group else ""
    kind, where = _geometry(cell, image)
    return (
        f'    <{kind} label="{_text(label)}"{source} occluded="{int(cell.occluded)}" {where} '
        f'z_order="{cell.z_order}"{group}>\n{_attributes(cell.attributes)}    </{kind}>\n'
    )


def _tag(tag: Tag, subset: str) -> str:
    source = f' source="{_text(tag.source)}"' if tag.source else ""
    group = f' group_id="{tag.group}"' if tag.group else ""
    return f'    <tag label="{_text(tag.label)}"{source}{group}{subset}>\n{_attributes(tag.attributes)}    </tag>\n'


def _attributes(attributes: Attributes) -> str:
    return "".join(
        f'      <attribute name="{_text(name)}">{_text(value)}</attribute>\n' for name, value in attributes
    )


def _geometry(cell: Cell, image: Image) -> tuple[str, str]:
    """The element's name and the attributes with its coordinates."""
    shape = cell.shape
    if isinstance(shape, Point):
        return "points", f'points="{_number(shape.x)},{_number(shape.y)}"'
    if shape is None or extent(cell, image) is None:
        return "box", _corners(cell.box)
    match shape:
        case RotatedBox():
            turn = shape.rotation % 360
            if not turn:
                return "box", _corners(shape)
            return "box", f'{_corners(shape)} rotation="{_number(turn)}"'
        case Polygon(points):
            return "polygon", f'points="{";".join(f"{_number(x)},{_number(y)}" for x, y in points)}"'
        case Ellipse(cx, cy, rx, ry, rotation):
            turn = rotation % 360
            turned = f' rotation="{_number(turn)}"' if turn else ""
            return (
                "ellipse",
                f'cx="{_number(cx)}" cy="{_number(cy)}" rx="{_number(rx)}" ry="{_number(ry)}"{turned}',
            )
        case Mask(left, top, width, height, runs):
            rle = ", ".join(map(str, runs))
            return "mask", f'rle="{rle}" left="{left}" top="{top}" width="{width}" height="{height}"'


def _corners(box: Box | RotatedBox) -> str:
    return f'xtl="{_number(box.x1)}" ytl="{_number(box.y1)}" xbr="{_number(box.x2)}" ybr="{_number(box.y2)}"'


def _number(value: float) -> str:
    """A number with two decimals, as CVAT writes it, or with all decimals if two would lose some."""
    text = f"{value:.2f}"
    return text if float(text) == value else repr(float(value))


@lru_cache(maxsize=4096)
def _text(text: str, *, lines: bool = False) -> str:
    """Escape a text for XML, in quotes or not; `lines` keeps line breaks."""
    if found := _FORBIDDEN.search(text):
        raise ExportError(
            f"{text!r} contains the character U+{ord(found[0]):04X}, which XML cannot represent; remove it"
        )
    escaped = text.translate(_ESCAPED)
    return escaped.replace("&#10;", "\n") if lines else escaped
