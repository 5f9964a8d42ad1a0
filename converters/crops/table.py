"""``crops.csv``: the table of all crops and their origin. Its columns are the fields of `CropRow`."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, get_type_hints

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.images import Border, crop_corners
from pcm_leukemia.remote import Place, RemotePath
from pcm_leukemia.schema import Cell

__all__ = ["TABLE", "CropRow", "files_of", "read_table", "row_of", "write_table"]

TABLE = "crops.csv"


class CropRow(NamedTuple):
    """One crop: its file below the folder, its cell, and how it was cut.

    `x1` to `y2` is the cell's box in pixels of the image; `crop_x1` to `crop_y2` is the area that was cut out, in
    whole pixels. Unknown patients and diagnoses are "".
    """

    file: str
    image: str
    cell: int
    part: str
    label: str
    raw_label: str
    patient: str
    diagnosis: str
    x1: float
    y1: float
    x2: float
    y2: float
    crop_x1: int
    crop_y1: int
    crop_x2: int
    crop_y2: int
    padding: int
    border: str


def row_of(ds: Dataset, cell: Cell, file: str, padding: int, border: Border) -> CropRow:
    """The row of a cell of `ds` whose crop is in `file`."""
    image, box = ds.image(cell.image), cell.box
    return CropRow(
        file,
        image.id,
        cell.id,
        ds.part_of(image),
        cell.label,
        cell.raw_label,
        image.patient or "",
        ds.diagnosis_of(image) or "",
        *(box.x1, box.y1, box.x2, box.y2),
        *crop_corners(box, padding, image.width, image.height, border),
        padding,
        border,
    )


def write_table(rows: Iterable[CropRow], folder: Place) -> None:
    """Write ``crops.csv`` into `folder`."""
    if isinstance(folder, RemotePath):
        with tempfile.TemporaryDirectory() as work:
            write_table(rows, Path(work))
            (folder / TABLE).upload(Path(work) / TABLE)
        return
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)  # line ends follow RFC 4180, so that a lone "\r" is quoted too
        table.writerow(CropRow._fields)
        table.writerows(rows)


def read_table(folder: Path) -> list[CropRow]:
    """The rows of ``crops.csv`` in `folder`, in file order.

    Raises
    ------
    DataNotFound
        If there is no such table.
    CorruptFile
        If the table was not written by `converters.crops`.
    """
    path, types = folder / TABLE, get_type_hints(CropRow)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = csv.DictReader(stream)
            try:
                return [
                    CropRow(**{column: parse(line[column]) for column, parse in types.items()})
                    for line in table
                ]
            except (KeyError, TypeError, ValueError, OverflowError, csv.Error) as error:
                raise CorruptFile(
                    f"{path}:{table.line_num}: is not a row of crops.csv ({error!r}); write the crops again"
                ) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataNotFound(
            f"{folder}: has no crops.csv; give a folder that `pcm-leukemia convert DATA {folder} --to crops` wrote"
        ) from error
    except OSError as error:
        raise CorruptFile(
            f"{path}: cannot be read ({error.strerror}); check the file and its permissions"
        ) from error


def files_of(ds: Dataset, cells: Sequence[Cell], folder: Path, padding: int, border: Border) -> list[str]:
    """The crop files of `cells`, as paths below `folder`.

    Raises
    ------
    DataNotFound
        If there is no table, or a cell is missing in it.
    CorruptFile
        If the table was not written by `converters.crops`.
    ValueError
        If a crop has another padding, border or box.
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
                f"{folder}: has crops with padding {row.padding} px and border {row.border}, not {padding} px and "
                f"{border}; use the same padding and border, or write the crops again"
            )
        corners = row.crop_x1, row.crop_y1, row.crop_x2, row.crop_y2
        if corners != crop_corners(cell.box, padding, image.width, image.height, border):
            raise ValueError(
                f'{folder}: the crop of image "{cell.image}" cell {cell.id} was cut from another box; '
                "write the crops again"
            )
        files.append(row.file)
    return files
