"""Suspects: annotations that are probably wrong, as ``pcm-leukemia suspects`` wrote them, with pictures of the worst."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pcm_leukemia.checks import Outline, Tile
from pcm_leukemia.colours import FOUND, MISSED
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, Problem, UnfitForTask
from pcm_leukemia.files import BAD_CONTENT, MARKER, written_as
from pcm_leukemia.report.columns import labels_of
from pcm_leukemia.report.pictures import Pictures
from pcm_leukemia.report.sections import Section, legible, script
from pcm_leukemia.schema import Cell, Image
from pcm_leukemia.shapes import Box

__all__ = [
    "MEANINGS",
    "SUSPECTS_COLUMNS",
    "SUSPECTS_TABLE",
    "Suspect",
    "read_suspects",
    "section",
    "worst_images",
]

SUSPECTS_TABLE = "suspects.csv"
"""The file with the suspects, in the folder that the command writes."""
SUSPECTS_COLUMNS = (
    *("image", "cell", "kind", "score", "label", "suggested_label", "x1", "y1", "x2", "y2"),
    *("suggested_x1", "suggested_y1", "suggested_x2", "suggested_y2", "patient", "part", "reason"),
)
"""Its columns; boxes are in pixels."""
MEANINGS: Mapping[str, str] = {
    "wrong-class": "cells that are probably of another class",
    "missing-box": "cells that probably have no box",
    "spurious-box": "boxes that probably have no cell",
    "misplaced-box": "boxes that are probably badly placed",
    "two-labels": "cells that are annotated twice, with two labels",
}
"""Each kind of suspect in words."""

MOST_LISTED = 3_000
"""The suspects of the highest scores that are on the page, about 1 MB; the others are only counted."""
MOST_PICTURES = 200
"""Of these, the first that have a picture, about 2.5 MB."""
TILE = 240
"""The longer side of each, in pixels."""
ROUNDED = 0.01
"""The sides of a box in the table may differ by this from those of its cell, in pixels."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """An annotation that is probably wrong: a cell, or None where a box is missing, and what models say instead.

    `score` is 0 to 1, higher for likelier errors. `suggested_box` is in pixels of the image.
    """

    kind: str
    score: float
    image: Image
    cell: Cell | None
    suggested_label: str | None
    suggested_box: Box | None
    reason: str


class _Record(msgspec.Struct):
    """What the folder says of the data in which the suspects were found."""

    name: str
    fingerprint: str


def read_suspects(folder: str | Path, ds: Dataset) -> tuple[Suspect, ...]:
    """Read the suspects of a data set, the likeliest errors first.

    Parameters
    ----------
    folder
        What ``pcm-leukemia suspects`` or `baselines.suspects.write` wrote.
    ds
        The data set in which they were found.

    Raises
    ------
    DataNotFound
        If the folder holds no suspects.
    UnfitForTask
        If they are those of other data, or the data have changed since.
    CorruptFile
        If the table is damaged.

    Examples
    --------
    >>> from pcm_leukemia import NINE
    >>> read_suspects("docs", Dataset("demo", NINE, ()))
    Traceback (most recent call last):
    pcm_leukemia.errors.DataNotFound: docs: holds no suspects; name the folder that pcm-leukemia suspects wrote
    """
    where = Path(folder)
    if written_as(where) != "suspects":
        raise DataNotFound(f"{folder}: holds no suspects; name the folder that pcm-leukemia suspects wrote")
    try:
        record = msgspec.json.decode((where / MARKER).read_bytes(), type=_Record)
    except BAD_CONTENT as error:
        raise CorruptFile(f"{where / MARKER}: is damaged ({error}); {_AGAIN}") from error
    if record.fingerprint != ds.fingerprint:
        what = f'its suspects are those of other data, or of an earlier state: of "{record.name}", fingerprint {record.fingerprint[:8]}, and not of "{ds.name}", {ds.fingerprint[:8]}'
        raise UnfitForTask(
            [Problem(str(folder), what, "find the suspects of these data: run pcm-leukemia suspects")]
        )
    return tuple(sorted(_read(where / SUSPECTS_TABLE, ds), key=lambda each: -each.score))


_AGAIN = "run pcm-leukemia suspects again"


def _read(table: Path, ds: Dataset) -> Iterator[Suspect]:
    images = {str(image.id): image for image in ds.images}
    cells = {(str(cell.image), str(cell.id)): cell for cell in ds.cells}
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, strict=True)
            if tuple(next(rows, ())) != SUSPECTS_COLUMNS:
                raise CorruptFile(f"{table}:1: the columns must be {','.join(SUSPECTS_COLUMNS)}; {_AGAIN}")
            for row in rows:
                try:
                    yield _suspect(row, images, cells)
                except ValueError as error:
                    raise CorruptFile(f"{table}:{rows.line_num}: {error}; {_AGAIN}") from error
    except OSError as error:
        raise CorruptFile(f"{table}: cannot be read ({error.strerror}); {_AGAIN}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise CorruptFile(f"{table}: is not a CSV in UTF-8 ({error}); {_AGAIN}") from error


def _suspect(
    row: Sequence[str], images: Mapping[str, Image], cells: Mapping[tuple[str, str], Cell]
) -> Suspect:
    """The suspect in a row; ValueError if the row does not fit the data."""
    if len(row) != len(SUSPECTS_COLUMNS):
        raise ValueError(f"has {len(row)} fields, not {len(SUSPECTS_COLUMNS)}")
    of = dict(zip(SUSPECTS_COLUMNS, row, strict=True))
    if of["kind"] not in MEANINGS:
        raise ValueError(f'the kind "{of["kind"]}" is not one of {", ".join(MEANINGS)}')
    score = _number(of, "score")
    if not 0 <= score <= 1:
        raise ValueError(f"the score {of['score']} is not from 0 to 1")
    image, cell = images.get(of["image"]), cells.get((of["image"], of["cell"]))
    if image is None:
        raise ValueError(f'the data have no image "{of["image"]}"')
    if cell is None and of["cell"]:
        raise ValueError(f'image "{image.id}" has no cell "{of["cell"]}"')
    annotated, suggested = _box(of, ""), _box(of, "suggested_")
    if of["label"] != (cell.written_label if cell else "") or not _is_of(annotated, cell):
        raise ValueError(f'label or box are not those of cell "{of["cell"]}" of image "{image.id}"')
    if suggested and suggested.clip(image.width, image.height) is None:
        raise ValueError(f'the suggested box is not in image "{image.id}"')
    if cell is None and suggested is None:
        raise ValueError("there is neither a cell nor a suggested box")
    return Suspect(of["kind"], score, image, cell, of["suggested_label"] or None, suggested, of["reason"])


def _number(of: Mapping[str, str], column: str) -> float:
    try:
        return float(of[column])
    except ValueError:
        raise ValueError(f'{column} "{of[column]}" is not a number') from None


def _box(of: Mapping[str, str], before: str) -> Box | None:
    """The box in four columns; None if they are empty."""
    columns = [f"{before}{side}" for side in ("x1", "y1", "x2", "y2")]
    return Box(*(_number(of, column) for column in columns)) if any(map(of.get, columns)) else None


def _is_of(box: Box | None, cell: Cell | None) -> bool:
    """Whether a box in the table is that of the cell."""
    if box is None or cell is None:
        return box is None and cell is None
    own = cell.box
    pairs = ((box.x1, own.x1), (box.y1, own.y1), (box.x2, own.x2), (box.y2, own.y2))
    return all(abs(one - other) <= ROUNDED for one, other in pairs)


def worst_images(suspects: Iterable[Suspect]) -> list[Image]:
    """The images of the suspects, each once, that of the likeliest error first."""
    return list(dict.fromkeys(each.image for each in sorted(suspects, key=lambda each: -each.score)))


def section(ds: Dataset, pictures: Pictures, suspects: Iterable[Suspect]) -> Section:
    """The view of the suspects; images and cells by their numbers."""
    worst = sorted(suspects, key=lambda each: -each.score)
    image_at = {image.id: number for number, image in enumerate(ds.images)}
    cell_at = {(cell.image, cell.id): number for number, cell in enumerate(ds.cells)}
    class_of = {label: number for number, label in enumerate(labels_of(ds))}
    counts = Counter(each.kind for each in worst)
    drawn = MOST_PICTURES if pictures.possible else 0
    content = {
        "kinds": [
            {"name": kind, "meaning": meaning, "found": counts[kind]} for kind, meaning in MEANINGS.items()
        ],
        "strokes": [FOUND, MISSED],
        "listed": [
            {
                "kind": each.kind,
                "score": each.score,
                "image": image_at[each.image.id],
                "cell": None if each.cell is None else cell_at[each.cell.image, each.cell.id],
                "suggested": legible(each.suggested_label or ""),
                "class": class_of.get(each.suggested_label or ""),
                "box": each.suggested_box is not None,
                "reason": legible(each.reason),
                "picture": _picture(each, pictures) if place < drawn else None,
            }
            for place, each in enumerate(worst[:MOST_LISTED])
        ],
    }
    return Section(script("suspects"), {"suspects": content})


def _picture(suspect: Suspect, pictures: Pictures) -> int:
    """Ask for the annotated box in a solid line and the suggested one in a dashed line."""
    outlines = []
    if suspect.cell is not None:
        outlines.append(Outline(suspect.cell.box, FOUND))
    if suspect.suggested_box is not None:
        outlines.append(Outline(suspect.suggested_box, MISSED, dashed=True))
    tile = Tile(suspect.image, (), tuple(outlines), whole=False)
    return pictures.drawn(suspect.image, lambda pixels: tile.draw(pixels, TILE))
