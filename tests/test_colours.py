"""Colours that every reader can tell apart, text that can be read on them, and lines that can be seen."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from colorspacious import cspace_convert, deltaE

from pcm_leukemia import IGNORE, NINE, colours

BLACK, WHITE = "#000000", "#ffffff"
GLASS, RED_CELL, CYTOPLASM, NUCLEUS = "#e4d4de", "#cd96a5", "#8c50a5", "#5c2d82"
"""The colours of a stained smear, from bright to dark."""
OTHER_LABELS = (
    "WBC",
    "RBC",
    "Platelet",
    "Promyelocyte",
    "smudge",
    "",
    "\u05d0\u05d1",
    "\U0001f9a0",
    "x" * 200,
)
KINDS = ("normal", "protanomaly", "deuteranomaly", "tritanomaly")


def seen(colour: str, kind: str) -> npt.NDArray[np.float64]:
    """A colour as somebody with that vision sees it, in sRGB of 0 to 1 (Machado et al., 2009, without one cone)."""
    srgb = np.array(colours.rgb(colour)) / 255
    if kind == "normal":
        return srgb
    space = {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}
    changed: npt.NDArray[np.float64] = np.clip(cspace_convert(srgb, space, "sRGB1"), 0, 1)
    return changed


def distance(one: str, other: str, kind: str) -> float:
    """In CAM02-UCS, where 1 is about the least difference that is noticed."""
    return float(deltaE(seen(one, kind), seen(other, kind), input_space="sRGB1"))


def contrast(one: str, other: str) -> float:
    """As WCAG 2 counts it, from 1 to 21."""
    lights = []
    for colour in (one, other):
        parts = np.array(colours.rgb(colour)) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        lights.append(float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(lights) / min(lights)


@pytest.mark.parametrize("kind", KINDS)
def test_every_reader_tells_any_two_classes_apart(kind: str) -> None:
    drawn = {**colours.CLASSES, IGNORE: colours.IGNORED, "text": BLACK}
    near = {
        (one, other): found
        for one, other in combinations(drawn, 2)
        if (found := distance(drawn[one], drawn[other], kind)) < 15
    }
    assert near == {}


@pytest.mark.parametrize("kind", KINDS)
def test_every_reader_tells_parts_and_outcomes_apart(kind: str) -> None:
    for group in (colours.PARTS.values(), (colours.FOUND, colours.MISSED, colours.EXTRA)):
        assert min(distance(one, other, kind) for one, other in combinations(group, 2)) > 30


def all_colours() -> list[str]:
    others = [colours.of_label(label) for label in OTHER_LABELS]
    marks = [colours.FOUND, colours.MISSED, colours.EXTRA, *colours.PARTS.values()]
    return [*colours.CLASSES.values(), *marks, *others]


def test_text_can_be_read_on_every_colour() -> None:
    for colour in (*all_colours(), colours.IGNORED, BLACK, WHITE, "#757575", "#767676"):
        assert colours.text_on(colour) in (BLACK, WHITE)
        assert contrast(colour, colours.text_on(colour)) >= 4.5, colour


def test_lines_are_seen_on_paper_and_on_a_smear() -> None:
    for colour in all_colours():
        assert contrast(colour, WHITE) >= 3, colour
    for colour in colours.CLASSES.values():
        for tone in (GLASS, RED_CELL, CYTOPLASM, NUCLEUS):
            assert min(distance(colour, tone, kind) for kind in KINDS) > 8, (colour, tone)
    assert contrast(colours.IGNORED, WHITE) > 2.5


def test_a_label_has_the_colour_of_its_class_in_every_spelling() -> None:
    assert tuple(colours.CLASSES) == NINE.labels
    assert colours.of_label("Promyelocyte (APL)") == colours.CLASSES["Myeloblast_APL"]
    assert colours.of_label(IGNORE) == colours.IGNORED


def test_other_labels_have_colours_of_their_own() -> None:
    labels = [*OTHER_LABELS, *(f"class {number}" for number in range(30))]
    given = {colours.of_label(label) for label in labels}
    assert len(given) == len(labels)
    assert not given & {*colours.CLASSES.values(), colours.IGNORED}
    for one, other in combinations(("WBC", "RBC", "Platelets", "Other"), 2):
        colour, another = colours.of_label(one), colours.of_label(other)
        assert min(distance(colour, another, kind) for kind in KINDS) > 15, (one, other)
    assert colours.of_label("Platelet") == "#830c93"  # today and tomorrow
