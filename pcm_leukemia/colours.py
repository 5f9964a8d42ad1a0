"""The colours of everything that is drawn: classes, parts, and what was found or missed.

The nine classes were chosen by a search over sRGB for the largest distance between any two of them, and to black and
`IGNORED`, as seen with normal, protan, deutan and tritan vision; it is 16 in CAM02-UCS. Each has a contrast of 3 or more
with white paper, so lines in it are visible there, and is unlike the pink and violet of a smear.
"""

from __future__ import annotations

import colorsys
import hashlib
from functools import cache

from pcm_leukemia.schema import IGNORE
from pcm_leukemia.taxonomy import NINE

__all__ = ["CLASSES", "EXTRA", "FOUND", "IGNORED", "MISSED", "PARTS", "of_label", "rgb", "text_on"]

CLASSES = {
    "Lymphocyte": "#1e96ff",
    "Neutrophil": "#5a875a",
    "Basophil": "#002d4b",
    "Eosinophil": "#ff1e00",
    "Lymphoblast": "#4b0ff0",
    "Monocyte": "#4b1e1e",
    "Myeloblast_AML": "#961e00",
    "Myeloblast_APL": "#a569a5",
    "Other": "#5a5a5a",
}
"""Class -> "#rrggbb", in the order of the taxonomy."""

IGNORED = "#9a9a9a"
"""Cells labelled `IGNORE`."""

PARTS = {"train": "#1464d2", "val": "#e07814", "test": "#5a0032"}
"""Part of a split -> "#rrggbb"."""

_LOT = "1426"
"""Among many numbers, the one by which WBC, RBC, Platelet and Platelets get colours far apart."""

FOUND, MISSED, EXTRA = "#0a7d8c", "#e0500a", "#28006e"
"""Cells that two sides agree on, cells of the first side alone, and cells of the second side alone."""


@cache
def of_label(label: str) -> str:
    """The colour of a label: that of its class, or else one that depends on the label alone.

    Examples
    --------
    >>> of_label("Monocyte"), of_label("monocytes"), of_label("ignore"), of_label("Platelet")
    ('#4b1e1e', '#4b1e1e', '#9a9a9a', '#830c93')
    """
    if label == IGNORE:
        return IGNORED
    name = NINE.match(label)
    return CLASSES[name] if name else _drawn_by_lot(label)


def text_on(colour: str) -> str:
    """Black or white, whichever has the higher contrast with a colour: 4.5 or more with any.

    Examples
    --------
    >>> text_on("#ff1e00"), text_on("#002d4b")
    ('#000000', '#ffffff')
    """
    # the contrasts (L + 0.05) / 0.05 and 1.05 / (L + 0.05) are equal at L = 0.179
    return "#000000" if _luminance(colour) > 0.179 else "#ffffff"


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of "#rrggbb", 0 to 255.

    Examples
    --------
    >>> rgb("#1e96ff")
    (30, 150, 255)
    """
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def _drawn_by_lot(label: str) -> str:
    """A saturated colour of any hue, dark enough for a contrast of 3 with white."""
    lot = hashlib.sha256((label + _LOT).encode("utf-8", "backslashreplace")).digest()
    hue, lightness = int.from_bytes(lot[:2]) / 2**16, 0.2 + 0.3 * lot[2] / 255
    while True:
        parts = colorsys.hls_to_rgb(hue, lightness, 0.85)
        colour = "#" + "".join(f"{round(255 * part):02x}" for part in parts)
        if _luminance(colour) <= 0.3:
            return colour
        lightness *= 0.95


def _luminance(colour: str) -> float:
    """The relative luminance of WCAG 2, 0 to 1."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (each / 255 for each in rgb(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
