"""The table that `converters.crops` leaves beside its crops, read back."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.images import Border, crop_corners
from pcm_leukemia.schema import Cell

__all__ = ["Row", "files_of", "read_table"]

_CORNERS = ("crop_x1", "crop_y1", "crop_x2", "crop_y2")


class Row(NamedTuple):
    """One crop: its file below the folder, the cell it shows, and how it was cut, in whole pixels."""

    file: str
    image: str
    cell: int
    part: str
    label: str
    corners: tuple[int, ...]
    padding: int
    border: str


def read_table(folder: Path) -> list[Row]:
    """The rows of ``crops.csv`` in `folder`, in their order there.

    Raises
    ------
    DataNotFound
        If there is no such table.
    CorruptFile
        If it is not what `converters.crops` wrote.
    """
    path = folder / "crops.csv"
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = csv.DictReader(stream)
            try:
                return [_row(line) for line in table]
            except (KeyError, TypeError, ValueError, csv.Error) as error:
                raise CorruptFile(
                    f"{path}:{table.line_num}: is no row of a table of crops ({error!r}); write the crops again"
                ) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataNotFound(
            f"{folder}: has no crops.csv; give a folder that `pcm-leukemia convert DATA {folder} --to crops` wrote"
        ) from error


def files_of(ds: Dataset, cells: Sequence[Cell], folder: Path, padding: int, border: Border) -> list[str]:
    """The crop of each of the `cells` of `ds`, as a path below `folder`.

    Raises
    ------
    DataNotFound
        If there is no table, or it lacks a cell.
    CorruptFile
        If the table is not what `converters.crops` wrote.
    ValueError
        If a crop was cut in another way, or from another box.
    """
    rows = {(row.image, row.cell): row for row in read_table(folder)}
    files = []
    for cell in cells:
        row, image = rows.get((cell.image, cell.id)), ds.image(cell.image)
        if row is None:
            raise DataNotFound(
                f'{folder}: has no crop of image "{cell.image}" cell {cell.id}; write the crops again'
            )
        if (row.padding, row.border) != (padding, border):
            raise ValueError(
                f"{folder}: was written with {row.padding} px and border {row.border}, not {padding} px and "
                f"{border}; pass what it was written with, or write it again"
            )
        if row.corners != crop_corners(cell.box, padding, image.width, image.height, border):
            raise ValueError(
                f'{folder}: the crop of image "{cell.image}" cell {cell.id} was cut from another box; '
                "write the crops again"
            )
        files.append(row.file)
    return files


def _row(line: dict[str, str]) -> Row:
    return Row(
        line["file"],
        line["image"],
        int(line["cell"]),
        line["part"],
        line["label"],
        tuple(int(line[corner]) for corner in _CORNERS),
        int(line["padding"]),
        line["border"],
    )
