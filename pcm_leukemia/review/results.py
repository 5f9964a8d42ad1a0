"""The results of `pcm_leukemia.review`, as text for people and as plain values for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pcm_leukemia.errors import counted, some
from pcm_leukemia.schema import Cell

__all__ = ["Agreement", "Change", "Confusion", "Diff"]

Confusion = Mapping[tuple[str, str], int]
Counts = Mapping[str, Mapping[str, int]]

UNKNOWN = "(unknown)"
"""Annotator name of cells for which none is recorded."""
KIND_OF = {
    (False, False): "unchanged",
    (True, False): "moved",
    (False, True): "relabelled",
    (True, True): "both",
}
"""(moved, relabelled) -> the one kind that the cell is counted as."""
_KINDS = (*KIND_OF.values(), "removed", "added")


class Change(NamedTuple):
    """One cell before and after, and the IoU of its two boxes."""

    before: Cell
    after: Cell
    iou: float

    @property
    def relabelled(self) -> bool:
        """Whether its class changed."""
        return self.before.written_label != self.after.written_label

    @property
    def distance(self) -> float:
        """Pixels by which the side that moved furthest has moved."""
        a, b = self.before.box, self.after.box
        return max(abs(a.x1 - b.x1), abs(a.y1 - b.y1), abs(a.x2 - b.x2), abs(a.y2 - b.y2))


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed between two data sets of the same images.

    `moved` and `relabelled` list the cells with another box or another class; a cell with both changes is in both lists.
    All counts have each cell once: as "unchanged", "moved", "relabelled", "both" (moved and relabelled), "removed" or
    "added". `by_class` counts by the class before (after, for added cells), `by_annotator` by the annotator before
    (after, for added cells). `only_before` and `only_after` are images of only one data set; their cells are not
    compared.
    """

    images: int
    unchanged: int
    added: tuple[Cell, ...]
    removed: tuple[Cell, ...]
    moved: tuple[Change, ...]
    relabelled: tuple[Change, ...]
    by_class: Counts
    by_annotator: Counts
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()

    @property
    def both(self) -> tuple[Change, ...]:
        """The cells that were moved and relabelled."""
        moved = set(self.moved)
        return tuple(change for change in self.relabelled if change in moved)

    @property
    def counts(self) -> dict[str, int]:
        """Kind -> cells; every cell is counted once."""
        both = len(self.both)
        pairs = (self.unchanged, len(self.moved) - both, len(self.relabelled) - both, both)
        return dict(zip(_KINDS, (*pairs, len(self.removed), len(self.added)), strict=True))

    @property
    def confusion(self) -> dict[tuple[str, str], int]:
        """(class before, class after) -> relabelled cells, the most frequent first."""
        return _confusion(self.relabelled)

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return any((self.added, self.removed, self.moved, self.relabelled, self.only_before, self.only_after))

    def __str__(self) -> str:
        kinds = self.counts
        summary = (
            f"{counted(self.images, 'image')} compared: {counted(kinds['unchanged'], 'cell')} unchanged, {kinds['moved']:,} moved, "
            f"{kinds['relabelled']:,} relabelled, {kinds['both']:,} moved and relabelled, "
            f"{kinds['removed']:,} removed, {kinds['added']:,} added"
        )
        lines = [summary]
        if self.moved:
            mean = sum(change.iou for change in self.moved) / len(self.moved)
            lines.append(f"IoU of the moved cells: {mean:.3f} on average")
        for images, which in ((self.only_before, "before"), (self.only_after, "after")):
            lines += _images_only(images, f"only in the data {which}")
        lines += _counts_table("class", self.by_class)
        if self.by_annotator.keys() - {UNKNOWN}:
            lines += _counts_table("annotator", self.by_annotator)
        if self.relabelled:
            rows = [[old, new, f"{count:,}"] for (old, new), count in self.confusion.items()]
            lines += ["", *_aligned(["class before", "class after", "cells"], rows, left=2)]
        if changed := self._changed_cells():
            lines += ["", "changed cells:", *some(changed).splitlines()]
        return "\n".join(lines)

    def _changed_cells(self) -> list[str]:
        """A line for each changed cell, in the order of images and cells."""
        moved = set(self.moved)
        lines = [(cell, f"removed ({cell.written_label})") for cell in self.removed]
        lines += [(cell, f"added ({cell.written_label})") for cell in self.added]
        for change in dict.fromkeys((*self.moved, *self.relabelled)):
            what = (
                [f"{change.before.written_label} -> {change.after.written_label}"]
                if change.relabelled
                else []
            )
            if change in moved:
                what.append(f"moved by {change.distance:.2f} px (IoU {change.iou:.3f})")
            lines.append((change.before, ", ".join(what)))
        lines.sort(key=lambda line: (line[0].image, line[0].id))
        return [f'image "{cell.image}" cell {cell.id}: {what}' for cell, what in lines]

    def to_json(self) -> dict[str, object]:
        """Everything as plain dictionaries and lists; boxes are [x1, y1, x2, y2] in pixels."""
        return {
            "images": self.images,
            "counts": self.counts,
            "unchanged": self.unchanged,
            "added": [_cell(cell) for cell in self.added],
            "removed": [_cell(cell) for cell in self.removed],
            "moved": [_change(change) for change in self.moved],
            "relabelled": [_change(change) for change in self.relabelled],
            "both": len(self.both),
            "confusion": _rows(self.confusion, "before", "after"),
            "by_class": {name: dict(kinds) for name, kinds in self.by_class.items()},
            "by_annotator": {name: dict(kinds) for name, kinds in self.by_annotator.items()},
            "only_before": list(self.only_before),
            "only_after": list(self.only_after),
        }


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of two annotators of the same images.

    `kappa` is Cohen's kappa over the labels of the cells that both drew; None if it is undefined, for example
    because both gave all cells one label. `f1` is the F1 score of detection, 2 x matched / (cells of one + cells of
    the other), which does not depend on whose cells are the truth; None if neither drew a cell.
    """

    images: int
    labels: tuple[str, ...]
    matched: int
    same_label: int
    kappa: float | None
    mean_iou: float | None
    f1: float | None
    confusion: Confusion
    only_one: tuple[Cell, ...]
    only_other: tuple[Cell, ...]
    images_only_one: tuple[str, ...] = ()
    images_only_other: tuple[str, ...] = ()

    def __str__(self) -> str:
        share = f" ({self.same_label / self.matched:.1%})" if self.matched else ""
        drawn = f"both drew {counted(self.matched, 'cell')}, {len(self.only_one):,} only the one"
        same = f"{self.same_label:,} of {self.matched:,} the same{share}"
        lines = [
            f"{counted(self.images, 'image')} compared: {drawn}, {len(self.only_other):,} only the other",
            f"detection: F1 {_figure(self.f1)}, mean IoU {_figure(self.mean_iou)}",
            f"labels: {same}, Cohen's kappa {_figure(self.kappa)}",
        ]
        lines += _images_only(self.images_only_one, "in the first data set only")
        lines += _images_only(self.images_only_other, "in the second data set only")
        alone = (
            Counter(cell.written_label for cell in self.only_one),
            Counter(cell.written_label for cell in self.only_other),
        )
        rows = [
            [
                label,
                *(f"{self.confusion.get((label, column), 0):,}" for column in self.labels),
                f"{alone[0][label]:,}",
            ]
            for label in self.labels
        ]
        rows.append(["(only the other)", *(f"{alone[1][column]:,}" for column in self.labels), ""])
        lines += ["", *_aligned(["one \\ other", *self.labels, "(only the one)"], rows)]
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """Everything as plain dictionaries and lists; boxes are [x1, y1, x2, y2] in pixels."""
        return {
            "images": self.images,
            "labels": list(self.labels),
            "matched": self.matched,
            "same_label": self.same_label,
            "kappa": self.kappa,
            "mean_iou": self.mean_iou,
            "f1": self.f1,
            "confusion": _rows(self.confusion, "one", "other"),
            "only_one": [_cell(cell) for cell in self.only_one],
            "only_other": [_cell(cell) for cell in self.only_other],
            "images_only_one": list(self.images_only_one),
            "images_only_other": list(self.images_only_other),
        }


def _confusion(changes: Iterable[Change]) -> dict[tuple[str, str], int]:
    table = Counter((change.before.written_label, change.after.written_label) for change in changes)
    return dict(sorted(table.items(), key=lambda item: (-item[1], item[0])))


# Results as text and as plain values


def _images_only(images: tuple[str, ...], which: str) -> list[str]:
    if not images:
        return []
    more = f" and {len(images) - 3:,} more" if len(images) > 3 else ""
    return [f"{counted(len(images), 'image')} {which}, not compared: {', '.join(images[:3])}{more}"]


def _counts_table(first: str, table: Counts) -> list[str]:
    if not table:
        return []
    rows = [[name, *(f"{kinds.get(kind, 0):,}" for kind in _KINDS)] for name, kinds in table.items()]
    return ["", *_aligned([first, *_KINDS], rows)]


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _rows(table: Confusion, one: str, other: str) -> list[dict[str, object]]:
    return [{one: a, other: b, "cells": count} for (a, b), count in sorted(table.items())]


def _cell(cell: Cell) -> dict[str, object]:
    box = cell.box
    return {
        "image": cell.image,
        "cell": cell.id,
        "label": cell.written_label,
        "box": [box.x1, box.y1, box.x2, box.y2],
    }


def _change(change: Change) -> dict[str, object]:
    return {"before": _cell(change.before), "after": _cell(change.after), "iou": round(change.iou, 6)}


def _aligned(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """The lines of a table: the first columns to the left, numbers to the right."""
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if number < left else text.rjust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
