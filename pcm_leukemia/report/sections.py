"""A view of the page: its data, and the script that draws it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources

__all__ = ["Section", "distinct", "legible", "script", "style"]

_NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Section:
    """One view of the page.

    Parameters
    ----------
    script
        JavaScript that calls ``view(name, title, draw)``; see page/page.js.
    data
        What the script finds in ``data``, by key, or a function that returns it. It is read when the pictures have been
        cut.
    style
        CSS for what the script draws, if page/style.css does not have it.
    """

    script: str
    data: Mapping[str, object] | Callable[[], Mapping[str, object]] = field(default_factory=dict)
    style: str = ""

    def content(self) -> Mapping[str, object]:
        """The data."""
        return self.data() if callable(self.data) else self.data


def script(name: str, package: str = "pcm_leukemia.report") -> str:
    """The script page/`name`.js of a package."""
    return _text(f"{name}.js", package)


def style(name: str, package: str = "pcm_leukemia.report") -> str:
    """The style sheet page/`name`.css of a package."""
    return _text(f"{name}.css", package)


def _text(name: str, package: str) -> str:
    return (resources.files(package) / "page" / name).read_text("utf-8")


def legible(name: str) -> str:
    """A name from the data as the page shows it: characters that cannot be shown are replaced.

    Examples
    --------
    >>> legible("P1" + chr(27)) == "P1" + chr(0xFFFD)
    True
    """
    return _NOT_SHOWN.sub("\N{REPLACEMENT CHARACTER}", name)


def distinct(names: Iterable[str]) -> list[str]:
    """Names as the page shows them, each unlike the others, because addresses tell them apart by their text.

    Examples
    --------
    >>> distinct(["P1" + chr(27), "P1" + chr(7), "P2"]) == ["P1" + chr(0xFFFD), "P1" + chr(0xFFFD) + " (2)", "P2"]
    True
    """
    shown: dict[str, None] = {}
    times: Counter[str] = Counter()
    for name in map(legible, names):
        unlike = name
        while unlike in shown:
            times[name] += 1
            unlike = f"{name} ({times[name] + 1})"
        shown[unlike] = None
    return list(shown)
