"""The findings of a check: what is wrong, where, how to mend it, and pictures of a sample."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from pcm_leukemia import checks
from pcm_leukemia.checks import Checked, Finding, Tile
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.paper import COLUMNS, Comparison
from pcm_leukemia.report.pictures import Pictures
from pcm_leukemia.report.sections import Section, legible, script

__all__ = ["MEANINGS", "section"]

MEANINGS: Mapping[str, str] = {
    "no-images": "a data set without images",
    "patient-in-two-parts": "a patient in two parts of the split",
    "group-in-two-parts": "images that belong together, in two parts of the split",
    "file-in-another-part": "a file that the split placed in another part, under another name",
    "in-no-part": "images that the split puts into no part",
    "lost-patient": "images whose patient was known when the split was made, and is not known now",
    "unknown-patient": "images in the split whose patient is unknown",
    "patient-for-each-image": "a patient for each image",
    "one-patient": "one patient for all images",
    "patient-spelled-twice": "patients that may be one, spelled differently",
    "damaged-patient-id": "patient ids that a spreadsheet may have damaged",
    "paper": "counts that differ from the paper's Tables 2 and 3",
    "unreadable": "files that are missing, damaged or of another size",
    "changed-file": "files that are no longer those that were imported",
    "blank": "images or boxes that show one colour or black",
    "same-pixels": "images with the same pixels",
    "near-duplicate": "images that look like copies: compressed again, resized, rotated or mirrored",
    "cell-again": "cells that appear again in another image",
    "image-is-cell": "small images that show a cell of another image",
    "cell-twice": "cells that are annotated twice",
    "unusual-box": "boxes of unusual size or shape for their class",
    "identifier": "fields of image files that may identify a person",
    "personal-data": "ids, names, tags and attributes that look like personal data",
}
"""Each kind of finding in words, for a heading."""

MOST_TILES = 180
"""At most this many images and cells are drawn beside findings: 2.7 MB of the page."""
TILE = 320
"""The longer side of each, in pixels."""
MOST_TEXTS = 5_000
"""The sentences of at most this many findings are in the page, about 1.5 MB; the others are only counted."""


def section(ds: Dataset, pictures: Pictures, checked: Checked | None, warned: Iterable[str] = ()) -> Section:
    """The view of the findings, and what the reader of the data `warned` of. Without a check it says how to make one."""
    found = _Findings(ds, pictures, checked).content() if checked else None
    lines = [legible(checks.without_folders(line, ds)) for text in warned for line in text.splitlines()]
    return Section(script("findings"), {"check": found, "warned": lines})


class _Findings:
    """The findings of a check by kind and severity, the most severe first, and what the page shows of each."""

    def __init__(self, ds: Dataset, pictures: Pictures, checked: Checked) -> None:
        self.ds, self.pictures, self.checked = ds, pictures, checked
        self.groups: dict[tuple[str, str], list[int]] = {}
        for number, each in enumerate(checked.findings):
            self.groups.setdefault((each.kind, each.severity), []).append(number)
        self.image_at = {image.id: number for number, image in enumerate(ds.images)}
        self.cell_at = {(cell.image, cell.id): number for number, cell in enumerate(ds.cells)}

    def content(self) -> dict[str, object]:
        """What the script finds in ``data.check``."""
        checked = self.checked
        sampled = list(self._sampled())
        told = {*sampled[:MOST_TEXTS]}
        group_of = {number: place for place, group in enumerate(self.groups.values()) for number in group}
        fixes = {each.fix: None for each in checked.findings}
        fix_at = {fix: place for place, fix in enumerate(fixes)}
        tiles = self._tiles(sampled)
        return {
            "lookedAt": list(checked.looked_at.items()),
            "notes": [self._shown(note) for note in checked.notes],
            "nothing": [
                {"kind": kind, "meaning": MEANINGS[kind]}
                for kind in checked.searched
                if not any(kind == found for found, _ in self.groups)
            ],
            "groups": [
                {"kind": kind, "severity": severity, "meaning": MEANINGS.get(kind, "")}
                for kind, severity in self.groups
            ],
            "fixes": [self._shown(fix) for fix in fixes],
            "findings": [
                {
                    "group": group_of[number],
                    "images": _runs(self.image_at[image] for image in each.images),
                    "cells": _runs(self.cell_at[cell] for cell in each.cells),
                    **(self._sentence(each, fix_at[each.fix]) if number in told else {}),
                    **({"tiles": tiles[number]} if number in tiles else {}),
                }
                for number, each in enumerate(checked.findings)
            ],
            "drawable": sum(map(self._drawable, checked.findings)),
            "paper": _paper(checked.comparison) if checked.comparison else None,
        }

    def _sentence(self, finding: Finding, fix: int) -> dict[str, object]:
        return {"where": self._shown(finding.where), "what": self._shown(finding.what), "fix": fix}

    def _shown(self, text: str) -> str:
        """A sentence without the folders that lead to the data: a page may be given away."""
        return legible(checks.without_folders(text, self.ds))

    def _sampled(self) -> Iterator[int]:
        """Every finding, drawn by lot from each group in turn."""
        lot = random.Random(0)  # noqa: S311 - a sample, no secret
        shuffled = [lot.sample(group, len(group)) for group in self.groups.values()]
        for row in zip_longest(*shuffled):
            yield from (number for number in row if number is not None)

    def _drawable(self, finding: Finding) -> bool:
        return self.pictures.possible and finding.kind in checks.PICTURED

    def _tiles(self, order: Sequence[int]) -> dict[int, list[dict[str, object]]]:
        """Finding -> its tiles: the first findings in this order, as many as may have a picture."""
        medians = checks.median_sides(self.ds)
        found: dict[int, list[dict[str, object]]] = {}
        room = MOST_TILES
        for number in order:
            finding = self.checked.findings[number]
            if room and self._drawable(finding):
                tiles = checks.tiles_of(finding, self.ds, medians)[:room]
                room -= len(tiles)
                found[number] = [self._tile(tile) for tile in tiles]
        return found

    def _tile(self, tile: Tile) -> dict[str, object]:
        return {
            "picture": self.pictures.drawn(tile.image, lambda pixels: tile.draw(pixels, TILE)),
            "image": self.image_at[tile.image.id],
            "caption": [[legible(line.text), line.colour, line.dashed] for line in tile.caption],
        }


def _runs(numbers: Iterable[int]) -> list[int]:
    """Numbers in ascending order as the start and the length of each run: a finding may concern all images.

    Examples
    --------
    >>> _runs([4, 1, 2, 3, 9])
    [1, 4, 9, 1]
    """
    runs: list[int] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-2] + runs[-1]:
            runs[-1] += 1
        else:
            runs += [number, 1]
    return runs


def _paper(comparison: Comparison) -> dict[str, object]:
    """The counts here and in the paper, by row and column."""
    at = {(figure.row, figure.column): figure for figure in comparison.figures}
    rows = dict.fromkeys(figure.row for figure in comparison.figures)
    return {
        "columns": list(COLUMNS),
        "rows": [
            {
                "name": legible(row),
                "cells": [
                    [at[row, column].ours, at[row, column].paper, at[row, column].differs]
                    for column in COLUMNS
                ],
            }
            for row in rows
        ],
        "differences": len(comparison.differences),
    }
