"""Reads every image file once, and finds images and cells that are in the data more than once.

Each file is read and decoded once, in threads. Only a digest of its pixels and thumbnails of 1 KB are kept: of the
image, of every cell in its own box, and of every cell with the margin that crops have. An image of 1920 x 1080 pixels
with 7 cells takes 13.5 ms of a core, including 3.4 ms for the digest (docs/trust.md).
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import PIL.Image
from rich.progress import track

from pcm_leukemia import images
from pcm_leukemia.checks.blank import NOT_BLANK, Blank, look_for_blank
from pcm_leukemia.checks.findings import Finding, Severity, among
from pcm_leukemia.checks.similarity import COPIES, SIDE, Link, Stack, detail, digest, near, thumbnail
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import PcmError, Problem
from pcm_leukemia.files import digest as file_digest
from pcm_leukemia.grouping import groups
from pcm_leukemia.images import Identifier, find_identifiers
from pcm_leukemia.schema import Cell, Image, Split
from pcm_leukemia.shapes import Box
from pcm_leukemia.splits import separates

__all__ = ["MARGIN", "FileReading", "count_featureless", "find_copies", "read_files"]

MARGIN = 50
"""Pixels around a cell's box in a saved crop, as in the paper and in `converters.crops`."""

SMALL = 4
"""An image with less than a quarter of the pixels of the median image may be a saved crop."""


@dataclass(frozen=True, slots=True)
class FileReading:
    """The content of one image file, reduced to what the checks need.

    A file that is damaged or does not fit its annotations has a `problem`, and no digest or thumbnails. `digest` is that
    of the pixels. A file is `changed` if its own digest is not the one recorded at import.
    """

    image: Image
    problem: Problem | None = None
    identifiers: tuple[Identifier, ...] = ()
    digest: str = ""
    whole: Stack | None = None
    cells: tuple[Stack, ...] = ()
    with_margin: tuple[Stack, ...] = field(default=(), repr=False)
    blank: Blank = NOT_BLANK
    changed: bool = False


def read_files(
    ds: Dataset, *, pixels: bool = True, workers: int | None = None, progress: bool = False
) -> list[FileReading]:
    """Read every image file of `ds` once, in the order of the images; images without a file are skipped.

    Parameters
    ----------
    ds
        The data set. Without a root, nothing is read.
    pixels
        Whether to decode the images. Otherwise files are read only for sizes and identifiers.
    workers
        Threads; by default one for each core.
    progress
        Whether to show a progress bar.
    """
    there = [image for image in ds.images if image.file is not None]
    if ds.root is None or not there:
        return []
    files = images.Files(ds.root)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        done = pool.map(lambda image: _read_file(files, image, ds.cells_of(image), pixels=pixels), there)
        return list(track(done, "images", total=len(there), disable=not progress, transient=True))


def count_featureless(readings: Iterable[FileReading]) -> tuple[int, int]:
    """The numbers of images and of cells with too little detail to distinguish a copy from any other."""
    seen = [each for each in readings if each.whole is not None]
    images = detail(_stack(each.whole for each in seen if each.whole is not None))
    cells = detail(_stack(cell for each in seen for cell in each.cells))
    return int((images < COPIES.least_detail).sum()), int((cells < COPIES.least_detail).sum())


def _read_file(files: images.Files, image: Image, cells: tuple[Cell, ...], *, pixels: bool) -> FileReading:
    where = f'image "{image.id}"'
    try:
        data = files.read(str(image.file))
        identifiers = find_identifiers(data)
        problem = images.misfit(data, image)
        changed = image.digest not in (None, file_digest(io.BytesIO(data), len(data)))
        if problem or not pixels:
            return FileReading(image, problem, identifiers, changed=changed and not problem)
        decoded = images.decode_as_annotated(data, image)
    except PcmError as error:
        return FileReading(image, Problem(where, str(error), "then check again"))
    picture = PIL.Image.fromarray(decoded)
    whole = thumbnail(picture)
    in_boxes = tuple(thumbnail(picture, cell.box) for cell in cells)
    boxes = [(cell.id, cell.box) for cell in cells]
    wide = [_wider(cell.box, image) for cell in cells]
    return FileReading(
        image,
        None,
        identifiers,
        digest(decoded),
        whole,
        in_boxes,
        tuple(thumbnail(picture, box) for box in wide),
        look_for_blank(data, image, decoded, boxes, [whole, *in_boxes]),
        changed,
    )


def _wider(box: Box, image: Image) -> Box:
    """The box of a saved crop, in whole pixels: the margin is cut off at the image's border."""
    x1, y1, x2, y2 = images.crop_corners(box, MARGIN, image.width, image.height)
    return Box(float(x1), float(y1), float(x2), float(y2))


def find_copies(
    ds: Dataset, readings: Sequence[FileReading], split: Split | None = None
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
    """
    seen = [each for each in readings if each.whole is not None]
    images = [each.image for each in seen]
    links = {(link.first, link.second): link.distance for link in _near_images(seen)}
    links |= _same_pixels(seen)
    again, twins = _near_cells(ds, seen, set(links))
    for group, distance in _farthest(links):
        same = len({seen[index].digest for index in group}) == 1
        members = [images[index] for index in group]
        yield _copy_of_images(ds, split, members, distance, twins[group[0]], same=same)
    yield from _cells_again(ds, split, again)
    reported = {frozenset[str]((one.image, other.image)) for one, other in again}
    yield from _saved_crops(ds, split, seen, reported)


def _farthest(links: dict[tuple[int, int], float]) -> Iterator[tuple[list[int], float]]:
    """The connected groups, each with the largest distance of its links."""
    found = groups(links)
    group_of = {member: number for number, group in enumerate(found) for member in group}
    farthest = [0.0] * len(found)
    for (one, _), distance in links.items():
        farthest[group_of[one]] = max(farthest[group_of[one]], distance)
    yield from zip(found, farthest, strict=True)


def _near_images(seen: Sequence[FileReading]) -> list[Link]:
    stack = _stack(each.whole for each in seen if each.whole is not None)
    return near(stack, range(len(stack)))


def _same_pixels(seen: Sequence[FileReading]) -> dict[tuple[int, int], float]:
    """Pairs with the same digest: each image with the first one that has its pixels."""
    first: dict[str, int] = {}
    pairs = ((first.setdefault(each.digest, index), index) for index, each in enumerate(seen))
    return {(one, other): 0.0 for one, other in pairs if one != other}


def _near_cells(
    ds: Dataset, seen: Sequence[FileReading], copied: set[tuple[int, int]]
) -> tuple[dict[tuple[Cell, Cell], float], Counter[int]]:
    """Pairs of cells that look the same.

    Pairs in images that are copies are only counted, by the first image of the group.
    """
    owners = [index for index, each in enumerate(seen) for _ in each.cells]
    cells = [cell for each in seen for cell in ds.cells_of(each.image)]
    stack = _stack(cell for each in seen for cell in each.cells)
    group_of = {index: group[0] for group in groups(copied) for index in group}
    again: dict[tuple[Cell, Cell], float] = {}
    twins: Counter[int] = Counter()
    for link in near(stack, owners):
        group = group_of.get(owners[link.first])
        if group is not None and group == group_of.get(owners[link.second]):
            twins[group] += 1
        else:
            again[cells[link.first], cells[link.second]] = link.distance
    return again, twins


def _stack(thumbnails: Iterable[Stack]) -> Stack:
    rows = list(thumbnails)
    return np.stack(rows) if rows else np.zeros((0, SIDE, SIDE), np.uint8)


# Findings


def _copy_of_images(
    ds: Dataset, split: Split | None, members: list[Image], distance: float, alike: int, *, same: bool
) -> Finding:
    others = ", ".join(f'"{image.id}"' for image in members[1:4])
    others += f" and {len(members) - 4:,} more" if len(members) > 4 else ""
    look = (
        "has the same pixels as" if same else "looks like a copy (compressed, resized, turned or mirrored) of"
    )
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
    )


def _cells_again(
    ds: Dataset, split: Split | None, again: dict[tuple[Cell, Cell], float]
) -> Iterator[Finding]:
    cells = list(dict.fromkeys(cell for pair in again for cell in pair))
    number = {(cell.image, cell.id): index for index, cell in enumerate(cells)}
    links = {
        (number[one.image, one.id], number[other.image, other.id]): distance
        for (one, other), distance in again.items()
    }
    for group, distance in _farthest(links):
        members = sorted((cells[index] for index in group), key=lambda cell: (cell.image, cell.id))
        severity, why = _severity(split, [ds.image(cell.image) for cell in members])
        others = ", ".join(f'cell {cell.id} of image "{cell.image}"' for cell in members[1:4])
        others += f" and {len(members) - 4:,} more" if len(members) > 4 else ""
        yield among(
            ds,
            split,
            "cell-again",
            severity,
            f'"{members[0].label}" appears again as {others}{why}',
            "keep the cell in one of the images, or give all of them one patient and one part",
            cells=members,
            distance=round(distance, 4),
        )


def _saved_crops(
    ds: Dataset, split: Split | None, seen: Sequence[FileReading], reported: set[frozenset[str]]
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
    found: dict[int, tuple[float, Cell]] = {}
    for link in near(_stack([*(picture for _, _, picture in crops), *whole]), owners):
        if link.first < len(crops):
            best = (link.distance, crops[link.first][0])
            index = owners[link.second]
            found[index] = min(found.get(index, best), best, key=lambda each: each[0])
    for index, (distance, cell) in sorted(found.items()):
        image = seen[index].image
        if frozenset((image.id, cell.image)) in reported:
            continue
        severity, why = _severity(split, [image, ds.image(cell.image)])
        yield among(
            ds,
            split,
            "image-is-cell",
            severity,
            f'is a crop of cell {cell.id} ("{cell.label}") of image "{cell.image}"{why}',
            "remove the crop from the data",
            images=[image.id, cell.image],
            distance=round(distance, 4),
            place=f'image "{image.id}"',
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
