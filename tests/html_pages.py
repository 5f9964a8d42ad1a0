"""Reads HTML as strictly as no browser does: every element is closed in order, and only harmless ones are there."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NoReturn

__all__ = ["HOSTILE", "Page"]

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "' onmouseover='alert(1)",
    "</td></table></details>",
    "]]><!-- --><style>*{display:none}</style>",
    "javascript:alert(1)",
    "&lt;b&gt; &amp; &#0;",
    "red;background:url(//x)",
    "x" * 200,
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe",
    "\x00\x1b[31m",
    "\udcff.png",  # a byte of a file name that is no character
)
_ALLOWED = {
    *("b", "code", "details", "div", "figcaption", "figure", "img", "li", "pre", "span", "summary", "ul"),
    *("table", "tbody", "td", "th", "thead", "tr"),
}
_ATTRIBUTES = {"alt", "open", "scope", "src", "style", "title"}


class Page(HTMLParser):
    """A page that has been read: its texts, images, code, and table rows as lists of texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.styles: list[str] = []
        self.images: list[str] = []
        self.rows: list[list[str]] = []
        self.codes: list[str] = []
        html.encode()  # raises if a character cannot be written
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f]", html)
        self.feed(html)
        self.close()
        assert self.open == []

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _ALLOWED
        given = {name: value or "" for name, value in attrs}
        assert given.keys() <= _ATTRIBUTES
        assert len(given) == len(attrs)
        if "style" in given:
            self.styles.append(given["style"])
            assert re.fullmatch(r"[\w\s%#().,:;-]*", given["style"])
            assert "url" not in given["style"]
        if tag == "img":
            self.images.append(given["src"])
            assert re.fullmatch(r"data:image/jpeg;base64,[\w+/=]+", given["src"])
            return
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open[-1] == "code":
            self.codes.append(data)
        if {"td", "th"} & {*self.open}:
            self.rows[-1][-1] += data

    def handle_comment(self, data: str) -> NoReturn:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> NoReturn:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> NoReturn:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> NoReturn:
        raise AssertionError(data)
