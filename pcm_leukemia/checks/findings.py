"""A finding: one reason not to trust a data set, and its severity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import Cell, ImageId, Split

__all__ = ["Finding", "Severity", "among"]

Severity = Literal["problem", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding, and the images it concerns. A "problem" can make scores or boxes wrong; a "warning" needs a look.

    `parts` and `patients` are those of the images, without repeats. `distance` is 1 minus the correlation of
    copies (0.0 for the same pixels), or None if nothing was compared. `cells` are (image, cell) pairs. `measured` says
    what was measured of each of `cells`, or of each of `images` if there are no cells; "" or nothing if it was not.

    Examples
    --------
    >>> found = Finding("gps", (ImageId("a.jpg"), ImageId("b.jpg")), (), (), None, "say where", "strip them", "warning")
    >>> print(found)
    image "a.jpg" and 1 more: say where; strip them
    """

    kind: str
    images: tuple[ImageId, ...]
    parts: tuple[str, ...]
    patients: tuple[str, ...]
    distance: float | None
    what: str
    fix: str
    severity: Severity
    cells: tuple[tuple[ImageId, int], ...] = ()
    place: str = ""
    measured: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The first affected image (and cell), or another location."""
        if self.place:
            return self.place
        if self.cells:
            return f'image "{self.cells[0][0]}" cell {self.cells[0][1]}'
        more = len(self.images) - 1
        return f'image "{self.images[0]}"' + (f" and {more:,} more" if more else "")

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.fix}"

    def to_json(self) -> dict[str, object]:
        """The finding as plain lists and numbers."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "where": self.where,
            "what": self.what,
            "fix": self.fix,
            "images": list(self.images),
            "cells": [list(cell) for cell in self.cells],
            "parts": list(self.parts),
            "patients": list(self.patients),
            "distance": self.distance,
        }


def among(
    ds: Dataset,
    split: Split | None,
    kind: str,
    severity: Severity,
    what: str,
    fix: str,
    *,
    images: Iterable[ImageId] = (),
    cells: Iterable[Cell] = (),
    distance: float | None = None,
    place: str = "",
    measured: Iterable[str] = (),
) -> Finding:
    """Make a finding about these images, or these cells and their images, with their parts and patients."""
    found = tuple(cells)
    ids = tuple(dict.fromkeys([*images, *(cell.image for cell in found)]))
    inside = {split.part_of[image] for image in ids if image in split.part_of} if split else set()
    people = {patient for image in ids if (patient := ds.image(image).patient) is not None}
    return Finding(
        kind,
        ids,
        tuple(part for part in split.parts if part in inside) if split else (),
        tuple(sorted(people)),
        distance,
        what,
        fix,
        severity,
        tuple((cell.image, cell.id) for cell in found),
        place,
        tuple(measured),
    )
