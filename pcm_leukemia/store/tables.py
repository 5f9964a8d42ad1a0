"""The tables of a canonical folder: their columns, rows to text, and text to rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, InvalidDataset, Problem
from pcm_leukemia.files import BAD_CONTENT, delimiter_of
from pcm_leukemia.schema import AnnotationState, Attributes, Cell, Image, ImageId, PatientId, Tag
from pcm_leukemia.shapes import Box, pack, unpack

__all__ = [
    "SCHEMA_VERSION",
    "TABLES",
    "Tables",
    "cell_of",
    "cell_row",
    "image_of",
    "image_row",
    "version_of",
    "write_table",
]

SCHEMA_VERSION = 4
"""Version 1 had no points, and images.csv lacked its last five columns; version 2 lacked the last two. Version 4 has the
label "WBC" for white cells of unknown type; data without them are written as version 3, which earlier versions read.
"""
WITH_UNTYPED = 4
"""The version from which a label may be "WBC"."""

TABLES: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "patients.csv": {1: ("patient", "diagnosis")},
    "images.csv": {
        1: ("image", "width", "height", "patient", "name", "subset", "file", "tags"),
        2: ("annotation_state", "diagnosis", "group"),
        3: ("digest", "white_level"),
    },
    "cells.csv": {
        1: (
            *("image", "cell", "label", "x1", "y1", "x2", "y2", "raw_label", "shape", "geometry"),
            *("occluded", "source", "z_order", "group", "track", "attributes"),
        ),
    },
}
"""Table -> schema version -> the columns that it added, at the end of each row.

A new column needs four edits here: its name below a new version, `SCHEMA_VERSION`, and the value in the function that
writes a row (`cell_row`) and the one that reads it (`cell_of`), with a default for rows of older versions.
"""


def version_of(ds: Dataset) -> int:
    """The schema version of the tables of a data set: the earliest that has their columns and labels."""
    return max(WITH_UNTYPED if ds.untyped else 1, *(max(versions) for versions in TABLES.values()))


csv.field_size_limit(2**31 - 1)  # the default limit is too small for the runs of a large mask


def _columns(table: str, version: int) -> tuple[str, ...]:
    """The columns of a table in one schema version."""
    return tuple(name for since, names in TABLES[table].items() if since <= version for name in names)


def write_table(folder: Path, table: str, rows: Iterable[Iterable[object]]) -> None:
    """Write one table with its header row."""
    with (folder / table).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)  # lines end as RFC 4180 says: then a lone "\r" is quoted, too
        writer.writerow(_columns(table, SCHEMA_VERSION))
        writer.writerows(rows)


def image_row(image: Image) -> tuple[object, ...]:
    """The row of an image in images.csv."""
    tags = [[tag.label, tag.attributes, tag.source, tag.group] for tag in image.tags]
    return (
        *(image.id, image.width, image.height, image.patient or "", image.name, image.subset),
        *(image.file or "", _json(tags)),
        *(image.annotation_state, image.diagnosis or "", image.group or "", image.digest or ""),
        "" if image.white_level is None else image.white_level,
    )


def cell_row(cell: Cell) -> tuple[object, ...]:
    """The row of a cell in cells.csv."""
    box = cell.box
    kind, numbers = pack(cell.shape) if cell.shape else ("", [])
    return (
        *(
            cell.image,
            cell.id,
            cell.written_label,
            float(box.x1),
            float(box.y1),
            float(box.x2),
            float(box.y2),
        ),
        *(cell.raw_label, kind, " ".join(map(repr, numbers))),
        *(int(cell.occluded), cell.source, cell.z_order, cell.group),
        *("" if cell.track is None else cell.track, _json(cell.attributes)),
    )


def _json(pairs: object) -> str:
    return json.dumps(pairs, ensure_ascii=False) if pairs else ""


_TAGS = msgspec.json.Decoder(list[tuple[str, Attributes, str, int]])
_ATTRIBUTES = msgspec.json.Decoder(Attributes)


class Tables:
    """Reads the tables of one folder; a row that cannot be read is a problem with its line."""

    def __init__(self, path: Path, version: int) -> None:
        self.path, self.version = path, version

    def read(self, table: str, make: Callable[[list[str]], Any]) -> Iterator[Any]:
        """Yield the rows of a table as `make` builds them; raises CorruptFile or InvalidDataset."""
        file, columns = self.path / table, _columns(table, self.version)
        problems = []
        try:
            with file.open(encoding="utf-8-sig", newline="") as stream:
                delimiter = delimiter_of(stream.readline())
                stream.seek(0)
                rows = csv.reader(stream, delimiter=delimiter, strict=True)
                first = next(rows, [])
                if tuple(first) != columns:
                    raise CorruptFile(
                        f"{file}:1: its columns are {','.join(first)}; they must be {','.join(columns)}"
                    )
                for row in rows:
                    try:
                        if len(row) != len(columns):
                            raise ValueError(f"{len(row)} fields, not {len(columns)}")
                        yield make(row)
                    except BAD_CONTENT as error:
                        problems.append(
                            Problem(f"{file}:{rows.line_num}", f"cannot be read ({error})", "correct the row")
                        )
        except FileNotFoundError as error:
            raise CorruptFile(f"{file}: is missing; import the export again") from error
        except OSError as error:
            raise CorruptFile(
                f"{file}: cannot be read ({error.strerror}); check the file and its permissions"
            ) from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise CorruptFile(f"{file}: is not a CSV in UTF-8 ({error}); save it as CSV in UTF-8") from error
        if problems:
            raise InvalidDataset(problems)


def image_of(row: list[str]) -> Image:
    """The image in a row of images.csv of any version."""
    image, width, height, patient, name, subset, file, tags, *more = row
    state, diagnosis, group = more[:3] or ("complete", "", "")
    digest, white_level = more[3:] or ("", "")
    return Image(
        ImageId(image),
        int(width),
        int(height),
        PatientId(patient) if patient else None,
        name,
        subset,
        file or None,
        tuple(
            Tag(label, attributes, source, group_number)
            for label, attributes, source, group_number in (_TAGS.decode(tags) if tags else ())
        ),
        cast("AnnotationState", state),
        diagnosis or None,
        group or None,
        digest or None,
        float(white_level) if white_level else None,
    )


def cell_of(row: list[str]) -> Cell:
    """The cell in a row of cells.csv."""
    image, number, label, x1, y1, x2, y2, raw_label, kind, geometry = row[:10]
    occluded, source, z_order, group, track, attributes = row[10:16]
    return Cell(
        image=ImageId(image),
        id=int(number),
        label=label,
        box=Box(float(x1), float(y1), float(x2), float(y2)),
        raw_label=raw_label,
        shape=unpack(kind, [float(number) for number in geometry.split()]) if kind else None,
        occluded=bool(int(occluded)),
        source=source,
        z_order=int(z_order),
        group=int(group),
        track=int(track) if track else None,
        attributes=_ATTRIBUTES.decode(attributes) if attributes else (),
    )
