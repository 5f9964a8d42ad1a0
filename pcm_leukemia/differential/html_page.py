"""A differential as one HTML page, without scripts: a strip and a table for each patient, to read and to print.

The template escapes every name, and the Content-Security-Policy in the page admits its own style and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterator
from importlib import resources
from importlib.metadata import version
from typing import NamedTuple

from pcm_leukemia import colours
from pcm_leukemia.differential.results import AT_LEAST, RESEARCH, Differential, PatientDifferential
from pcm_leukemia.notebook import clipped
from pcm_leukemia.taxonomy import BLASTS

__all__ = ["page"]

_WIDTH = 1000


class _Piece(NamedTuple):
    """A piece of a strip, in thousandths of its width."""

    label: str
    start: float
    width: float
    colour: str
    title: str


def page(found: Differential) -> str:
    """The page as text.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Dataset, Image, Patient
    >>> from pcm_leukemia.differential.making import count
    >>> ds = Dataset("demo", NINE, (Image("a.png", 90, 60, "<P1>"),), patients=(Patient("<P1>"),))
    >>> "&lt;P1&gt;" in page(count(ds)), "<P1>" in page(count(ds))
    (True, False)
    """
    import jinja2

    folder = resources.files("pcm_leukemia.differential")
    style = (folder / "page.css").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(percent=_percent, name=_name)
    return environment.from_string((folder / "page.html.j2").read_text("utf-8")).render(
        found=found,
        strips=[tuple(_strip(each)) for each in found.patients],
        legend=[(label, colours.of_label(label)) for label in _ordered(found.labels)],
        lines=[f"{100 * share:.0f} %" for share in AT_LEAST],
        research=RESEARCH,
        version=version("pcm-leukemia"),
        style=style,
        style_hash="sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        width=_WIDTH,
    )


def _strip(patient: PatientDifferential) -> Iterator[_Piece]:
    """The classes of a patient that have cells, side by side: normal cells from the left, then blasts."""
    rows = {row.label: row for row in patient.classes}
    start = 0.0
    for label in _ordered(tuple(rows)):
        row = rows[label]
        if row.count:
            width = _WIDTH * row.share
            title = f"{label}: {row.count:,} ({_percent(row.share)} %)"
            yield _Piece(label, round(start, 2), round(width, 2), colours.of_label(label), title)
            start += width


def _ordered(labels: tuple[str, ...]) -> list[str]:
    """Normal cells first, blasts last."""
    return sorted(labels, key=lambda label: label in BLASTS)


def _percent(share: float) -> str:
    """A share in per cent with one digit; a dash where it is not known."""
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def _name(text: str) -> str:
    """A name from the data that fits on a line; characters that HTML cannot hold are replaced."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in clipped(text)
    )
