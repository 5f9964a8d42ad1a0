"""Raabin-WBC's full frames: two experts' labels, and boxes that may refer to the frame turned by 90 degrees.

::

    <microscope>/<slide>/images/<stem>.jpg
    <microscope>/<slide>/jsons/<stem>.json      "Cell Numbers": n, "Cell_0": {x1, x2, y1, y2, Label1, Label2}, ...

Coordinates are strings or numbers, and a label may be null. The only published reader turns frames of the second
microscope by 90 degrees counter-clockwise before it applies the boxes; no frame was available to confirm this.
Both orientations are therefore tried, and the user must choose if the boxes fit both.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidExport, Problem, either, some
from pcm_leukemia.files import BAD_CONTENT
from pcm_leukemia.schema import Cell, Image, ImageId
from pcm_leukemia.shapes import Box
from pcm_leukemia.sources._files import is_folder, listing, not_found, sizes
from pcm_leukemia.sources._labels import LabelMap
from pcm_leukemia.sources._source import Source

__all__ = ["Experts", "Rotation", "check_options", "fits", "read", "turn_back"]

Rotation: TypeAlias = Literal["auto", 0, 90, 180, 270]
Experts: TypeAlias = Literal["agree", "class", "first", "second"]
Corners: TypeAlias = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels, on the frame that the experts saw."""

DISAGREE = "experts disagree"
"""The row of the map for cells that two experts call differently; their raw label names both."""
_DEPTH = 3


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame: its folder below the root, its file, its size, and its cells; None without a JSON file."""

    album: str
    file: str
    size: tuple[int, int]
    cells: tuple[_Drawn, ...] | None


@dataclass(frozen=True, slots=True)
class _Drawn:
    corners: Corners
    first: str
    second: str


def check_options(rotation: object, experts: object) -> None:
    """Check the options.

    Raises
    ------
    ValueError
        If one has an unknown value.
    """
    if rotation not in get_args(Rotation):
        raise ValueError(f'rotation "{rotation}": must be auto, 0, 90, 180 or 270 degrees')
    if experts not in get_args(Experts):
        raise ValueError(f'experts "{experts}": must be agree, class, first or second')


def fits(folder: Path) -> bool:
    """Whether there are albums below: folders with ``images`` and ``jsons``."""
    level = [folder]
    for _ in range(_DEPTH):
        if any((inner / "images").is_dir() and (inner / "jsons").is_dir() for inner in level):
            return True
        level = [Path(entry) for inner in level for entry in os.scandir(inner) if is_folder(entry)]
    return False


def turn_back(corners: Corners, size: tuple[int, int], rotation: int) -> Corners:
    """Corners on a frame that was turned counter-clockwise, as corners on the frame as it is.

    Parameters
    ----------
    corners
        x1, y1, x2, y2 in pixels on the turned frame.
    size
        Width and height of the frame as it is, in pixels.
    rotation
        By how many degrees the frame was turned: 0, 90, 180 or 270.

    Examples
    --------
    >>> turn_back((20, 250, 70, 300), (320, 240), 90)
    (20, 20, 70, 70)
    >>> turn_back((20, 250, 70, 300), (320, 240), 270)
    (250, 170, 300, 220)
    """
    x1, y1, x2, y2 = corners
    width, height = size
    if rotation == 90:
        return width - y2, x1, width - y1, x2
    if rotation == 180:
        return width - x2, height - y2, width - x1, height - y1
    if rotation == 270:
        return y1, height - x2, y2, height - x1
    return corners


def read(
    source: Source, top: Path, labels: LabelMap, rotation: Rotation, experts: Experts, workers: int | None
) -> Dataset:
    """The frames below `top`; see `raabin.read`."""
    frames = _frames(source, top, workers)
    labels.require(
        name for frame in frames for cell in frame.cells or () for name in (cell.first, cell.second)
    )
    turned = _rotations(top, frames, rotation)
    images, cells = [], []
    for frame in frames:
        image = Image(
            ImageId(frame.file),
            *frame.size,
            name=frame.file,
            subset=_microscope(frame),
            file=frame.file,
            # whether every white cell of a frame has a box is not published
            annotation_state="none" if frame.cells is None else "unknown",
            group=frame.album.rpartition("/")[2] or top.name,
        )
        images.append(image)
        for number, drawn in enumerate(frame.cells or ()):
            label, raw = _label(drawn, labels, experts)
            box = Box(*turn_back(drawn.corners, frame.size, turned[_microscope(frame)]))
            labels_given = (("label1", drawn.first), ("label2", drawn.second))
            cells.append(Cell(image.id, number, label, box, raw, attributes=labels_given))
    return Dataset(source.name, labels.taxonomy, tuple(images), tuple(cells), root=top)


def _frames(source: Source, top: Path, workers: int | None) -> list[_Frame]:
    files = [file for file in listing(top) if "/images/" in f"/{file}"]
    if not files:
        raise not_found(source, top, "holds no frame in a folder images")
    problems: list[Problem] = []
    tables = set(listing(top, (".json",)))
    frames = []
    for file, size in sizes(top, files, workers).items():
        album, _, name = f"/{file}".rpartition("/images/")
        table = f"{album}/jsons/{Path(name).with_suffix('.json').as_posix()}".lstrip("/")
        cells = None
        if table in tables:
            tables.remove(table)
            cells = tuple(_drawn(top / table, problems))
        frames.append(_Frame(album.lstrip("/"), file, size, cells))
    problems += [
        Problem(str(top / table), "belongs to no frame that can be read", "get the frame, or remove the file")
        for table in sorted(tables)
        if "/jsons/" in f"/{table}"
    ]
    if problems:
        raise InvalidExport(problems)
    return frames


def _drawn(path: Path, problems: list[Problem]) -> Iterator[_Drawn]:
    """The cells of a JSON file, in the order of their numbers."""
    try:
        content = json.loads(path.read_bytes())
        announced = int(content["Cell Numbers"])
    except (OSError, *BAD_CONTENT) as error:
        problems.append(Problem(str(path), f"cannot be read ({error!r})", "get it again"))
        return
    found = sum(key.startswith("Cell_") for key in content)
    if found != announced:
        problems.append(Problem(str(path), f"announces {announced} cells and holds {found}", "get it again"))
        return
    for number in range(announced):
        cell = content.get(f"Cell_{number}")
        try:
            yield _Drawn(_corners(cell), *(str(cell[key]) for key in ("Label1", "Label2")))
        except BAD_CONTENT as error:
            problems.append(
                Problem(f"{path}: Cell_{number}", f"cannot be read ({error!r})", "mend or remove it")
            )


def _corners(cell: Mapping[str, object]) -> Corners:
    numbers = [float(str(cell[key])) for key in ("x1", "y1", "x2", "y2")]
    x1, y1, x2, y2 = map(math.floor, numbers)
    if not (0 <= x1 < x2 and 0 <= y1 < y2):
        raise ValueError(f"x1 {x1}, y1 {y1}, x2 {x2}, y2 {y2}")
    return x1, y1, x2, y2


def _microscope(frame: _Frame) -> str:
    """The folders above the slide, or "": boxes of one microscope have the same orientation."""
    above, _, _ = frame.album.rpartition("/")
    return above


def _rotations(top: Path, frames: Sequence[_Frame], rotation: Rotation) -> dict[str, int]:
    """The rotation of the frames of each microscope, in degrees.

    A few boxes may fit either way; all boxes of a microscope settle it, unless its frames are square.
    """
    found: dict[str, int] = {}
    problems = []
    for microscope in sorted({_microscope(frame) for frame in frames}):
        mine = [frame for frame in frames if _microscope(frame) == microscope]
        outside = {
            turn: list(_outside(mine, turn)) for turn in ((0, 90) if rotation == "auto" else (rotation,))
        }
        fit = [turn for turn, misfits in outside.items() if not misfits]
        if len(fit) == 1 or not any(frame.cells for frame in mine):
            found[microscope] = fit[0]
            continue
        where = str(top / microscope)
        if fit:
            what = "boxes fit the frames as they are and turned by 90 degrees"
            fix = "look at some of them, and " + either("pass", "read the data in Python with")
            fix += " rotation=0 or rotation=90"
        else:
            tried = " nor ".join(f"turned by {turn} degrees" for turn in outside)
            which = some((misfit for misfits in outside.values() for misfit in misfits[:2]), 4)
            what = f"boxes do not fit the frames {tried}: {which}"
            fix = "read folders that differ one by one, or get the files again"
        problems.append(Problem(where, what, fix))
    if problems:
        raise InvalidExport(problems)
    return found


def _outside(frames: Iterable[_Frame], rotation: int) -> Iterator[str]:
    """The boxes that cross the border of their frame at this rotation."""
    for frame in frames:
        width, height = frame.size if rotation in (0, 180) else frame.size[::-1]
        for drawn in frame.cells or ():
            if drawn.corners[2] > width or drawn.corners[3] > height:
                yield f"{frame.file} {drawn.corners} in {width} x {height}"


def _label(drawn: _Drawn, labels: LabelMap, experts: Experts) -> tuple[str, str]:
    """The class and the raw label of a cell."""
    first, second = drawn.first, drawn.second
    if experts in ("first", "second"):
        raw = first if experts == "first" else second
        return labels.rules[raw].label, raw
    classes = {labels.rules[raw].label for raw in (first, second)}
    if first == second:
        return classes.pop(), first
    both = f"{first} | {second}"
    if experts == "class" and len(classes) == 1:
        return classes.pop(), both
    return labels.rules[DISAGREE].label, both
