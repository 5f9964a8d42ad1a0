"""Finds images and cells that are in the data more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from pcm_leukemia.checks.boxes import overlapping
from pcm_leukemia.checks.file_reading import FileReading, stack_of
from pcm_leukemia.checks.findings import Finding, Severity, among
from pcm_leukemia.checks.search import Link, near
from pcm_leukemia.checks.similarity import inverse, orientation_in_words
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.grouping import groups
from pcm_leukemia.progress import share
from pcm_leukemia.schema import Cell, Image, Split
from pcm_leukemia.splits import separates

__all__ = ["find_copies", "same_cells"]

SMALL = 4
"""An image with less than a quarter of the pixels of the median image may be a saved crop."""


def find_copies(
    ds: Dataset,
    readings: Sequence[FileReading],
    split: Split | None = None,
    *,
    workers: int | None = None,
    progress: bool = False,
) -> Iterator[Finding]:
    """Find images that are the same or look the same, and cells that appear again in another image.

    A finding is a problem across parts or patients, otherwise a warning. Where two images are copies of each other,
    their cells are not reported.

    Parameters
    ----------
    ds
        The data set.
    readings
        Its files, as `read_files` returns them.
    split
        The split whose parts count.
    workers
        Threads; by default one for each core.
    progress
        Whether to show a progress bar for the comparison of cells, which takes 100 times as long for 10 times as many.
    """
    seen = [each for each in readings if each.whole is not None]
    images = [each.image for each in seen]
    links = {(link.first, link.second): link for link in _near_images(seen, workers)}
    links |= _same_pixels(seen)
    with share("cells compared", shown=progress) as done:
        again, twins = _near_cells(ds, seen, set(links), workers, done)
    for group, distance in _farthest(links):
        same = len({seen[index].digest for index in group}) == 1
        members = [images[index] for index in group]
        said = _against_first(group, links)
        yield _copy_of_images(ds, split, members, said, distance, twins[group[0]], same=same)
    yield from _cells_again(ds, split, again)
    reported = {frozenset[str]((one.image, other.image)) for one, other in again}
    yield from _saved_crops(ds, split, seen, reported, workers)


def same_cells(ds: Dataset, readings: Sequence[FileReading]) -> list[tuple[Cell, Cell]]:
    """Pairs of annotations that show one cell, whatever their labels.

    They are twice in an image, in two images that are copies of each other, or again in another image: what `find_copies`
    and `boxes.annotated_twice` report, cell by cell.

    Parameters
    ----------
    ds
        The data set.
    readings
        Its files, as `read_files` returns them; without them, only cells that are annotated twice are found.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box
    >>> from pcm_leukemia.schema import ImageId
    >>> cells = [Cell(ImageId("a.jpg"), n, label, Box(10, 10, 60, 60)) for n, label in enumerate(("Monocyte", "Other"))]
    >>> ds = Dataset("demo", NINE, (Image(ImageId("a.jpg"), 200, 100),), tuple(cells))
    >>> [(one.label, other.label) for one, other in same_cells(ds, [])]
    [('Monocyte', 'Other')]
    """
    seen = [each for each in readings if each.whole is not None]
    again, _ = _near_cells(ds, seen, set())
    twice = [(one, other) for image in ds.images for one, other, _ in overlapping(ds.cells_of(image))]
    return [*twice, *again]


def _farthest(links: dict[tuple[int, int], Link]) -> Iterator[tuple[list[int], float]]:
    """The connected groups, each with the largest distance of its links."""
    found = groups(links)
    group_of = {member: number for number, group in enumerate(found) for member in group}
    farthest = [0.0] * len(found)
    for (one, _), link in links.items():
        farthest[group_of[one]] = max(farthest[group_of[one]], link.distance)
    yield from zip(found, farthest, strict=True)


def _against_first(members: Sequence[int], links: dict[tuple[int, int], Link]) -> list[Link | None]:
    """How each of the other members was found to be like the first; None if they are connected through others only."""
    first, *others = members
    found: list[Link | None] = []
    for other in others:
        backwards = links.get((other, first))
        if backwards is not None:
            backwards = replace(backwards, orientation=inverse(backwards.orientation))
        found.append(links.get((first, other), backwards))
    return found


def _near_images(seen: Sequence[FileReading], workers: int | None) -> list[Link]:
    stack = stack_of(each.whole for each in seen if each.whole is not None)
    return near(stack, range(len(stack)), workers=workers)


def _same_pixels(seen: Sequence[FileReading]) -> dict[tuple[int, int], Link]:
    """Pairs with the same digest: each image with the first one that has its pixels."""
    first: dict[str, int] = {}
    pairs = ((first.setdefault(each.digest, index), index) for index, each in enumerate(seen))
    return {(one, other): Link(one, other, 0.0, 0) for one, other in pairs if one != other}


def _near_cells(
    ds: Dataset,
    seen: Sequence[FileReading],
    copied: set[tuple[int, int]],
    workers: int | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[dict[tuple[Cell, Cell], Link], Counter[int]]:
    """Pairs of cells that look the same.

    Pairs in images that are copies are only counted, by the first image of the group.
    """
    owners = [index for index, each in enumerate(seen) for _ in each.cells]
    cells = [cell for each in seen for cell in ds.cells_of(each.image)]
    stack = stack_of(cell for each in seen for cell in each.cells)
    group_of = {index: group[0] for group in groups(copied) for index in group}
    again: dict[tuple[Cell, Cell], Link] = {}
    twins: Counter[int] = Counter()
    for link in near(stack, owners, workers=workers, on_progress=on_progress):
        group = group_of.get(owners[link.first])
        if group is not None and group == group_of.get(owners[link.second]):
            twins[group] += 1
        else:
            again[cells[link.first], cells[link.second]] = link
    return again, twins


# Findings


def _copy_of_images(
    ds: Dataset,
    split: Split | None,
    members: list[Image],
    found: Sequence[Link | None],
    distance: float,
    alike: int,
    *,
    same: bool,
) -> Finding:
    differences = [
        _difference(link, image, members[0]) for link, image in zip(found, members[1:], strict=True)
    ]
    others = ", ".join(
        f'"{image.id}"{difference and f" ({difference})"}'
        for image, difference in zip(members[1:4], differences, strict=False)
    )
    others += f" and {len(members) - 4:,} more" if len(members) > 4 else ""
    look = "has the same pixels as" if same else "looks like a copy of"
    severity, why = _severity(split, members)
    cells = f" ({alike:,} pairs of their cells look the same)" if alike else ""
    return among(
        ds,
        split,
        "same-pixels" if same else "near-duplicate",
        severity,
        f"{look} {others}{why}{cells}",
        "keep one of them, or correct the patient ids and give all of them one part"
        if severity == "problem"
        else "keep one of them, or leave them together in one part",
        images=[image.id for image in members],
        distance=round(distance, 4),
        measured=[
            "",
            *(
                "has the same pixels as the first" if same else _compared(link, difference)
                for link, difference in zip(found, differences, strict=True)
            ),
        ],
    )


def _difference(link: Link | None, image: Image, first: Image) -> str:
    """What was measured of a copy against the first image; "" if nothing was, or nothing differs."""
    said = [orientation_in_words(link.orientation)] if link else []
    if sorted((image.width, image.height)) != sorted((first.width, first.height)):
        said.append(f"{image.width} x {image.height} px")
    return ", ".join(filter(None, said))


def _compared(link: Link | None, difference: str) -> str:
    """What a picture says below a copy."""
    if link is None:
        return ""
    correlation = f"correlation {1 - link.distance:.2f}"
    return f"against the first: {', '.join(filter(None, (difference, correlation)))}"


def _cells_again(ds: Dataset, split: Split | None, again: dict[tuple[Cell, Cell], Link]) -> Iterator[Finding]:
    cells = list(dict.fromkeys(cell for pair in again for cell in pair))
    number = {(cell.image, cell.id): index for index, cell in enumerate(cells)}
    links = {
        (number[one.image, one.id], number[other.image, other.id]): link
        for (one, other), link in again.items()
    }
    for group, distance in _farthest(links):
        ordered = sorted(group, key=lambda index: (cells[index].image, cells[index].id))
        members = [cells[index] for index in ordered]
        found = _against_first(ordered, links)
        turns = [orientation_in_words(each.orientation) if each else "" for each in found]
        severity, why = _severity(split, [ds.image(cell.image) for cell in members])
        others = ", ".join(
            f'cell {cell.id} of image "{cell.image}"{turn and f" ({turn})"}'
            for cell, turn in zip(members[1:4], turns, strict=False)
        )
        others += f" and {len(members) - 4:,} more" if len(members) > 4 else ""
        yield among(
            ds,
            split,
            "cell-again",
            severity,
            f'"{members[0].written_label}" appears again as {others}{why}',
            "keep the cell in one of the images, or give all of them one patient and one part",
            cells=members,
            distance=round(distance, 4),
            measured=["", *map(_compared, found, turns)],
        )


def _saved_crops(
    ds: Dataset,
    split: Split | None,
    seen: Sequence[FileReading],
    reported: set[frozenset[str]],
    workers: int | None,
) -> Iterator[Finding]:
    """Small images that are a crop of a cell in another image, cut at its box or with a margin.

    Pairs of images in `reported` share a cell that already has a finding.
    """
    if not seen:
        return
    pixels = [each.image.width * each.image.height for each in seen]
    small = [index for index, count in enumerate(pixels) if count * SMALL < float(np.median(pixels))]
    large = sorted(set(range(len(seen))) - set(small))
    crops = [
        (cell, owner, picture)
        for owner in (large if small else [])
        for pictures in (seen[owner].cells, seen[owner].with_margin)
        for cell, picture in zip(ds.cells_of(seen[owner].image), pictures, strict=True)
    ]
    whole = [picture for index in small if (picture := seen[index].whole) is not None]
    # the crops get one owner, so that they are not compared among themselves
    owners = [len(seen)] * len(crops) + small
    found: dict[int, tuple[Link, Cell]] = {}
    for link in near(stack_of([*(picture for _, _, picture in crops), *whole]), owners, workers=workers):
        if link.first < len(crops):
            best = (link, crops[link.first][0])
            index = owners[link.second]
            found[index] = min(found.get(index, best), best, key=lambda each: each[0].distance)
    for index, (link, cell) in sorted(found.items()):
        image = seen[index].image
        if frozenset((image.id, cell.image)) in reported:
            continue
        severity, why = _severity(split, [image, ds.image(cell.image)])
        turn = orientation_in_words(link.orientation)
        yield among(
            ds,
            split,
            "image-is-cell",
            severity,
            f'is a crop of cell {cell.id} ("{cell.written_label}") of image "{cell.image}"{why}{turn and f" ({turn})"}',
            "remove the crop from the data",
            images=[image.id, cell.image],
            cells=[cell],
            distance=round(link.distance, 4),
            place=f'image "{image.id}"',
            measured=[f"the crop against it: {turn}{turn and ', '}correlation {1 - link.distance:.2f}"],
        )


def _severity(split: Split | None, members: Iterable[Image]) -> tuple[Severity, str]:
    """The severity of a copy among these images, and the words for it: a problem across parts or patients."""
    members = list(members)
    parts = {split.part_of[image.id] for image in members if image.id in split.part_of} if split else set()
    people = {image.patient for image in members} - {None}
    across = []
    if split and separates(split, "copy", parts):
        across.append(f"parts ({', '.join(part for part in split.parts if part in parts)})")
    if len(people) > 1:
        across.append(
            f"patients ({', '.join(sorted(map(str, people))[:4])}{', ...' if len(people) > 4 else ''})"
        )
    if not across:
        return "warning", ""
    return "problem", f", across {' and '.join(across)}"
