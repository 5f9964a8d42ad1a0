"""MLL23: 18 classes of single cells from the peripheral blood of patients of the Munich Leukemia Laboratory.

Sources: `labels_MLL23.csv` of marrlab/MLL23 for the classes and their counts; Zenodo 14277609.
"""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.sources._files import find_root, listing
from pcm_leukemia.sources._labels import read_map
from pcm_leukemia.sources._parts import Crop, crops
from pcm_leukemia.sources._source import Source

__all__ = ["SOURCE", "read"]

SOURCE = Source(
    name="mll23",
    title="MLL23",
    what="Single cells of peripheral blood in 18 classes, healthy, reactive and leukaemic",
    cell_types="Normal, reactive, AML, APL, lymphoma",
    total_images="41,621",
    annotations="Cropped Single Cell",
    patients="not published",
    licence="CC BY 4.0",
    redistributable=True,
    citation="Shetab Boushehri et al., A large expert-annotated single-cell peripheral blood dataset for "
    "hematological disease diagnostics, Scientific Data, 2025, doi:10.1038/s41597-025-06223-x",
    home="https://zenodo.org/records/14277609",
    how_to_get="download the 18 zip files, one for each class, from the home page, unpack them side by side into the "
    "folders basophil to smudge_cell, and give the folder that holds them as ROOT",
    image_size="288 x 288",
    stain="Pappenheim",
    magnification="Metafer scanner",
    defects=(
        "no patient ids, so a split by patient is impossible",
        "its README gives 41,906 images, its table of labels 41,621",
    ),
    variants={
        "default": "smudge cells are ignored",
        "literal": "smudge cells are Other, as the paper's class of that name includes them",
    },
    counts={
        "basophil": 616,
        "eosinophil": 2448,
        "hairy_cell": 3265,
        "lymphocyte": 5532,
        "lymphocyte_large_granular": 1849,
        "lymphocyte_neoplastic": 180,
        "lymphocyte_reactive": 33,
        "metamyelocyte": 483,
        "monocyte": 2510,
        "myeloblast": 8606,
        "myelocyte": 747,
        "neutrophil_band": 687,
        "neutrophil_segmented": 7170,
        "normoblast": 2071,
        "plasma_cell": 1658,
        "promyelocyte": 745,
        "promyelocyte_atypical": 2033,
        "smudge_cell": 988,
    },
)


def read(root: str | Path, *, variant: str | None = None, workers: int | None = None) -> Dataset:
    """Read the crops below `root`, each with one cell that spans it; the raw label is the class's folder.

    Parameters
    ----------
    root
        The folder with the 18 folders of classes, or one above; some of the classes are enough.
    variant
        "default" or "literal"; see ``SOURCE.variants``.
    workers
        Threads that read image headers; by default the number that Python's thread pool chooses.

    Raises
    ------
    DataNotFound
        If the folders are missing.
    UnknownLabel
        If images are in a folder that is not named after a class.

    Warns
    -----
    DataWarning
        If files cannot be read.
    """
    labels = read_map(SOURCE, variant)
    top = find_root(SOURCE, root, _fits, "most of the 18 folders basophil, eosinophil, hairy_cell, ...")
    rows = [Crop(file, file.partition("/")[0]) for file in listing(top)]
    return crops(SOURCE, top, rows, labels, workers=workers)


def _fits(folder: Path) -> bool:
    """More than half, since other data sets have folders of five of these names."""
    return sum((folder / name).is_dir() for name in SOURCE.counts) > len(SOURCE.counts) / 2
