"""ALL-IDB2: 260 single cells, 130 lymphoblasts and 130 others, cut from ALL-IDB1.

::

    img/Im001_1.tif     _1: a lymphoblast; _0: another white cell of unspecified type

Never train on ALL-IDB1 and test on ALL-IDB2, or the reverse: they show the same cells.
"""

from __future__ import annotations

import re
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.sources._files import find_root, listing, warn
from pcm_leukemia.sources._labels import read_map
from pcm_leukemia.sources._parts import Crop, crops
from pcm_leukemia.sources._source import Source

__all__ = ["SOURCE", "expected_files", "read"]

SOURCE = Source(
    name="all_idb2",
    title="ALL-IDB2",
    what="Single white cells cut from ALL-IDB1: lymphoblasts, and other cells without a type.",
    cell_types="ALL",
    total_images="260",
    annotations="Cropped Single Cell",
    patients="unknown",
    licence="on request, with a form",
    redistributable=False,
    citation=(
        "Donida Labati R, Piuri V, Scotti F. ALL-IDB: the acute lymphoblastic leukemia image database for image "
        "processing. IEEE International Conference on Image Processing, 2011. doi:10.1109/ICIP.2011.6115881"
    ),
    home="https://homes.di.unimi.it/scotti/all",
    how_to_get=(
        "request it with the form on the home page, and unpack the archive you receive; ROOT is the folder ALL_IDB2, "
        "which contains img, or any folder above it"
    ),
    image_size="257 x 257, except ten that are not square; TIFF",
    magnification="300x to 500x",
    defects=(
        "cut from ALL-IDB1: never train on one and test on the other",
        "eight groups of crops show the same cell; only 223 and 257 are grouped here; `pcm-leukemia check` finds more",
        "cells other than lymphoblasts have no type",
        "copies on Kaggle have other file names and cannot be trusted",
    ),
    counts={"1": 130, "0": 130},
)

_NAME = re.compile(r"im(\d+)_([01])", re.IGNORECASE)
_SAME = {223: "same cell 223 257", 257: "same cell 223 257"}


def read(root: str | Path, *, variant: str | None = None, workers: int | None = None) -> Dataset:
    """Read the folder ``img``.

    Parameters
    ----------
    root
        The folder ``img``, the folder that contains it, or one above.
    variant
        The reading of the labels; only "default" exists.
    workers
        Threads that read image headers; by default that of Python's thread pool.

    Raises
    ------
    DataNotFound
        If no files with matching names are found.
    ValueError
        If the variant is unknown.

    Warns
    -----
    DataWarning
        If files are left out because of their names or because they are unreadable.
    """
    labels = read_map(SOURCE, variant)
    folder = find_root(SOURCE, root, _fits, "files such as img/Im001_1.tif")
    rows, strange = [], []
    for file in listing(folder, (".tif", ".tiff")):
        name = _NAME.fullmatch(Path(file).stem)
        if name:
            rows.append(Crop(file, name[2], group=_SAME.get(int(name[1]))))
        else:
            strange.append(file)
    if strange:
        warn(
            f"{folder}: {counted(len(strange), 'file is', 'files are')} left out, since their names are not like Im001_1 "
            f"(first: {strange[0]})"
        )
    return crops(SOURCE, folder, rows, labels, workers=workers)


def expected_files(ds: Dataset) -> dict[str, list[str]]:
    """Return the found files and the missing numbers; which missing files are blasts is unknown."""
    found = {int(name[1]): str(image.file) for image in ds.images if (name := _NAME.search(str(image.file)))}
    lost = [f"Im{number:03}_?.tif" for number in range(1, 261) if number not in found]
    return {"img": [*found.values(), *lost]}


def _fits(folder: Path) -> bool:
    return any(
        _NAME.fullmatch(file.stem) and file.suffix.lower() in (".tif", ".tiff") for file in folder.iterdir()
    )
