"""ALL-IDB2: 260 single cells, 130 lymphoblasts and 130 others, cut out of ALL-IDB1.

::

    img/Im001_1.tif     _1 is a lymphoblast, _0 another white cell, of no named type

Never train on one of the two data sets and test on the other: the cells are the same.
"""

from __future__ import annotations

import re
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.sources._files import Crop, crops, find_root, listing, warn
from pcm_leukemia.sources._labels import read_map
from pcm_leukemia.sources._source import Source

__all__ = ["SOURCE", "expected_files", "read"]

SOURCE = Source(
    name="all_idb2",
    title="ALL-IDB2",
    what="Single white cells cut out of ALL-IDB1: lymphoblasts, and others without a type.",
    cell_types="ALL",
    total_images="260",
    annotations="Cropped Single Cell",
    patients="unknown",
    licence="on request, by a form",
    redistributable=False,
    citation=(
        "Donida Labati R, Piuri V, Scotti F. ALL-IDB: the acute lymphoblastic leukemia image database for image "
        "processing. IEEE International Conference on Image Processing, 2011. doi:10.1109/ICIP.2011.6115881"
    ),
    home="https://homes.di.unimi.it/scotti/all",
    how_to_get=(
        "ask for it with the form on the home page, and unpack what you are sent; ROOT is the folder ALL_IDB2 with "
        "img in it, or any folder above"
    ),
    image_size="257 x 257, ten of them not square; TIFF",
    magnification="300x to 500x",
    defects=(
        "cut out of ALL-IDB1: never train on one and test on the other",
        "eight groups of crops show one cell; known here is that of 223 and 257; `pcm-leukemia check` finds more",
        "what is no lymphoblast has no type",
        "copies on Kaggle have other names and are not to be trusted",
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
        The folder with ``img`` in it, ``img`` itself, or one above.
    variant
        "default" is the only one.
    workers
        Threads that read headers.

    Raises
    ------
    DataNotFound
        If there are no files of such names.
    ValueError
        If there is no such variant.

    Warns
    -----
    DataWarning
        If files are left out, by their name, or since they are no images.
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
        warn(f"{len(strange):,} files are left out, whose names are not like Im001_1, the first {strange[0]}")
    return crops(SOURCE, folder, rows, labels, workers=workers)


def expected_files(ds: Dataset) -> dict[str, list[str]]:
    """What is there by class: which of the 260 numbers is a blast is not published here, so gaps alone are told."""
    found = {int(name[1]): str(image.file) for image in ds.images if (name := _NAME.search(str(image.file)))}
    lost = [f"Im{number:03}_?.tif" for number in range(1, 261) if number not in found]
    return {"img": [*found.values(), *lost]}


def _fits(folder: Path) -> bool:
    return any(
        _NAME.fullmatch(file.stem) and file.suffix.lower() in (".tif", ".tiff") for file in folder.iterdir()
    )
