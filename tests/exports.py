"""CVAT exports in the true layout, for tests: text that CVAT could have written."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import PIL.Image

from pcm_leukemia.taxonomy import NINE

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real input, beside the repository where it is at all."""


def line_of(text: str, needle: str) -> int:
    """The number of the first line that holds `needle`."""
    return text[: text.index(needle)].count("\n") + 1


def element(
    tag: str, attributes: Mapping[str, object], inner: str = "", *, shuffle: int | None = None
) -> str:
    """One element; `shuffle` changes the order of its attributes."""
    pairs = list(attributes.items())
    if shuffle is not None:
        random.Random(shuffle).shuffle(pairs)
    text = "".join(f" {name}={quoteattr(str(value))}" for name, value in pairs)
    return f"<{tag}{text}>{inner}</{tag}>\n"


def attribute(name: str, value: str) -> str:
    text = value.replace("&", "&amp;").replace("<", "&lt;")
    return f"<attribute name={quoteattr(name)}>{text}</attribute>\n"


def box(
    label: str,
    corners: Sequence[object] = (10, 20, 50, 70),
    *,
    inner: str = "",
    shuffle: int | None = None,
    **more: object,
) -> str:
    x1, y1, x2, y2 = corners
    attributes = {
        "label": label,
        "source": "manual",
        "occluded": 0,
        "xtl": x1,
        "ytl": y1,
        "xbr": x2,
        "ybr": y2,
        "z_order": 0,
    }
    attributes |= more
    return element("box", {k: v for k, v in attributes.items() if v is not None}, inner, shuffle=shuffle)


def image(
    name: str, shapes: str = "", *, number: int = 0, width: object = 200, height: object = 100, **more: object
) -> str:
    attributes = {"id": number, "name": name, "width": width, "height": height, **more}
    return element("image", {k: v for k, v in attributes.items() if v is not None}, "\n" + shapes)


def header(kind: str = "task", labels: Iterable[str] = NINE.labels, inner: str = "") -> str:
    names = "".join(
        f"<label>{element('name', {}, label.replace('&', '&amp;'))}<color>#33ddff</color><type>rectangle</type>"
        "<attributes></attributes></label>"
        for label in labels
    )
    return f"<meta><{kind}><id>7</id><name>smears</name>{inner}<labels>{names}</labels></{kind}></meta>\n"


def document(
    *content: str, meta: str | None = None, version: str | None = "1.1", declaration: bool = True
) -> str:
    """A whole XML file; `meta` "" leaves the header out."""
    parts = ['<?xml version="1.0" encoding="utf-8"?>\n'] if declaration else []
    parts.append("<annotations>\n")
    parts.append(f"<version>{version}</version>\n" if version else "")
    parts.append(header() if meta is None else meta)
    return "".join((*parts, *content, "</annotations>\n"))


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def zipped(path: Path, members: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def png(width: int = 200, height: int = 100, color: tuple[int, int, int] = (230, 210, 220)) -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", (width, height), color).save(out, "PNG")
    return out.getvalue()
