"""Acevedo 2020, `PBC_dataset_normal_DIB`: single cells of healthy donors, with the WBCAtt attributes.

A raw label is the folder and the prefix of the file name, such as ``ig/PMY``. The prefix is finer than the folder
for neutrophils (SNE segmented, BNE band) and immature granulocytes (MMY metamyelocyte, MY myelocyte, PMY
promyelocyte).

Sources: the paths in the CSVs of apple2373/wbcatt, and the folder counts, which MedMNIST confirms.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, InvalidExport, Problem, counted, some
from pcm_leukemia.schema import Attributes
from pcm_leukemia.sources._files import find_root, listing, not_found, table_rows, warn
from pcm_leukemia.sources._labels import read_map
from pcm_leukemia.sources._parts import Crop, crops
from pcm_leukemia.sources._source import Source

__all__ = ["SOURCE", "WBCATT", "read"]

SOURCE = Source(
    name="acevedo",
    title="PBC_dataset_normal_DIB (Acevedo 2020)",
    what="Single cells of healthy donors in eight folders, cropped by an automated microscope",
    cell_types="Normal",
    total_images="17,092",
    annotations="Cropped Single Cell",
    in_table_1=True,
    patients="healthy donors; which donor each image comes from was not published",
    licence="CC BY 4.0",
    redistributable=True,
    citation="Acevedo et al., A dataset of microscopic peripheral blood cell images for development of automatic "
    "recognition systems, Data in Brief 30, 2020, 105474, doi:10.1016/j.dib.2020.105474. Attributes: Tsutsui et al., WBCAtt, NeurIPS 2023",
    home="https://data.mendeley.com/datasets/snkd93bnjr/1",
    how_to_get="download PBC_dataset_normal_DIB.zip from the home page, unpack it, and give the folder "
    "PBC_dataset_normal_DIB as ROOT; for the WBCAtt attributes, also put pbc_attr_v1_train.csv, _val.csv and "
    "_test.csv from https://github.com/apple2373/wbcatt (folder submission) below ROOT",
    image_size="360 x 363, except about 300 images of 366 x 369 or with a side of 360 or 362",
    stain="May Grünwald-Giemsa",
    magnification="CellaVision DM96",
    defects=(
        "no patient ids, so a split by patient is impossible",
        "image sizes differ",
        "repackaged copies on Kaggle (wbc, other_types, wbc_resized) contain duplicate images and are rejected",
    ),
    counts={
        "basophil/BA": 1218,
        "eosinophil/EO": 3117,
        "erythroblast/ERB": 1551,
        "ig/IG": 151,
        "ig/MMY": 1015,
        "ig/MY": 1137,
        "ig/PMY": 592,
        "lymphocyte/LY": 1214,
        "monocyte/MO": 1420,
        "neutrophil/BNE": 1633,
        "neutrophil/NEUTROPHIL": 50,
        "neutrophil/SNE": 1646,
        "platelet/PLATELET": 2348,
    },
)

WBCATT = (
    "cell_size",
    "cell_shape",
    "nucleus_shape",
    "nuclear_cytoplasmic_ratio",
    "chromatin_density",
    "cytoplasm_vacuole",
    "cytoplasm_texture",
    "cytoplasm_colour",
    "granule_type",
    "granule_colour",
    "granularity",
)
"""The eleven WBCAtt attributes, in the order of its CSVs."""

_LEUCOCYTES = {"basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil"}
_REPACKED = {"wbc", "other_types", "wbc_resized"}


def read(
    root: str | Path,
    *,
    variant: str | None = None,
    wbcatt: str | Path | None = None,
    workers: int | None = None,
) -> Dataset:
    """Read the crops below `root`, each with one cell that spans it.

    For an image in WBCAtt, the cell has its eleven attributes as WBCAtt writes them ("nil" is a value), and
    `wbcatt_part`, the image's part in the WBCAtt split.

    Parameters
    ----------
    root
        The folder PBC_dataset_normal_DIB, or one above.
    variant
        The reading of the labels; only "default" exists.
    wbcatt
        The folder with the WBCAtt CSVs, or one CSV; by default all those below `root`, if any.
    workers
        Threads that read image headers; by default that of Python's thread pool.

    Raises
    ------
    DataNotFound
        If the folder is missing or a repackaged copy, or `wbcatt` has no WBCAtt CSV.
    UnknownLabel
        If a folder or prefix is unknown.
    CorruptFile
        If a WBCAtt CSV lacks a column.
    InvalidExport
        If WBCAtt has contradictory rows for an image.
    ValueError
        If the variant is unknown.

    Warns
    -----
    DataWarning
        If files cannot be read, or images of WBCAtt are missing.
    """
    labels = read_map(SOURCE, variant)
    top = find_root(
        SOURCE, root, _fits, "the folders basophil, eosinophil, lymphocyte, monocyte and neutrophil"
    )
    attributes = _attributes(
        _tables(Path(root) if wbcatt is None else Path(wbcatt), asked=wbcatt is not None)
    )
    rows = [Crop(file, _raw(file), attributes=attributes.pop(file, ())) for file in listing(top)]
    if attributes:
        warn(
            f"{top}: lacks {counted(len(attributes), 'image')} that WBCAtt describes:\n{some(sorted(attributes), 5)}"
        )
    return crops(SOURCE, top, rows, labels, workers=workers)


def _fits(folder: Path) -> bool:
    inside = {path.name for path in folder.iterdir()}
    if len(inside & _REPACKED) > 1:
        raise not_found(SOURCE, folder, "is a repackaged copy with duplicate images")
    return inside >= _LEUCOCYTES


def _raw(file: str) -> str:
    """``neutrophil/SNE_2537.jpg`` -> ``neutrophil/SNE``."""
    folder, name = posixpath.split(file)
    return f"{folder}/{name.rpartition('_')[0]}"


def _tables(path: Path, *, asked: bool) -> list[Path]:
    if path.is_file():
        return [path]
    found = [path / file for file in listing(path, (".csv",)) if "pbc_attr_v1_" in file]
    if asked and not found:
        raise DataNotFound(
            f"{path}: has no pbc_attr_v1_*.csv; give the folder `submission` of apple2373/wbcatt"
        )
    return found


def _attributes(tables: Sequence[Path]) -> dict[str, Attributes]:
    """Read the attributes, keyed by the image's path below the root (folder and name)."""
    found: dict[str, Attributes] = {}
    problems = []
    for table in tables:
        part = table.stem.removeprefix("pbc_attr_v1_")
        for line, row in table_rows(table, ("path", *WBCATT), "download it again from apple2373/wbcatt"):
            file = "/".join(row["path"].split("/")[-2:])
            attributes = (*((name, row[name]) for name in WBCATT), ("wbcatt_part", part))
            if found.setdefault(file, attributes) != attributes:
                what = f"contradicts an earlier row for {file}"
                problems.append(Problem(f"{table}:{line}", what, "keep one of the two"))
    if problems:
        raise InvalidExport(problems)
    return found
