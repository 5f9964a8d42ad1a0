"""HTML elements. The standard library writes them, and escapes every text and attribute as it does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

__all__ = ["Child", "Element", "clipped", "element", "html"]

Child = Element | str | None
"""What is inside an element; None is left out."""
_NOT_IN_HTML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LONGEST = 200


def element(tag: str, *children: Child, style: str = "", **attributes: str) -> Element:
    """An element with these children, a style, and attributes.

    Examples
    --------
    >>> print(html(element("p", "a ", element("b", "<b>"), title='"')))
    <p title="&quot;">a <b>&lt;b&gt;</b></p>
    """
    made = Element(tag, {name: _text(value) for name, value in attributes.items()})
    if style:
        made.set("style", style)
    add(made, children)
    return made


def add(parent: Element, children: Iterable[Child]) -> None:
    """Add children to an element."""
    for child in children:
        if child is None:
            continue
        if isinstance(child, Element):
            parent.append(child)
        elif len(parent):
            parent[-1].tail = (parent[-1].tail or "") + _text(child)
        else:
            parent.text = (parent.text or "") + _text(child)


def html(made: Element) -> str:
    """An element as text."""
    return tostring(made, "unicode", method="html")


def clipped(name: str) -> str:
    """A name from the data, cut to 200 characters.

    Examples
    --------
    >>> clipped("P1"), len(clipped(1000 * "P"))
    ('P1', 200)
    """
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _text(text: str) -> str:
    """A text without the characters that HTML cannot hold."""
    return _NOT_IN_HTML.sub("\N{REPLACEMENT CHARACTER}", text)
