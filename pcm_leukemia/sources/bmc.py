"""Bone-Marrow-Cytomorphology: single cells of bone marrow (not blood) of 945 patients.

The codes look like LMU's but differ: MYB is myelocyte in both, but blasts are BLA here.

Sources: the layout as third-party readers expect it; the counts as third parties quote them from the article's
first table. They add up to its 171,374, and the last folder of NGB, 9001-9968, agrees with them.
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
    name="bmc",
    title="Bone-Marrow-Cytomorphology_MLL_Helmholtz_Fraunhofer",
    what="Single bone marrow cells in 21 classes, from patients with haematological diseases",
    cell_types="Normal and leukaemic bone marrow cells",
    total_images="171,374",
    annotations="Cropped Single Cell",
    patients="945; which patient each image comes from was not published",
    licence="CC BY 4.0",
    redistributable=True,
    citation="Matek et al., Highly accurate differentiation of bone marrow cell morphologies using deep neural "
    "networks on a large image data set, Blood 138, 2021, 1917-1927, doi:10.1182/blood.2020010568",
    home="https://doi.org/10.7937/TCIA.AXH3-T579",
    how_to_get="download the images (6.8 GB) from the home page with IBM Aspera, and give the folder "
    "BM_cytomorphology_data as ROOT",
    size="6.8 GB",
    image_size="250 x 250",
    stain="May-Grünwald-Giemsa/Pappenheim",
    magnification="40x, oil immersion",
    defects=(
        "bone marrow: the proportions of cell types differ from blood, and maturing cells are normal",
        "no patient ids, so a split by patient is impossible",
        "the counts by class add up to the article's 171,374, but were not checked against the files or the article",
        "the number of images is given as 171,373 to 171,375, depending on the source",
    ),
    variants={
        "default": "smudge cells and artefacts are ignored",
        "literal": "smudge cells and artefacts are Other, since the paper's class Other includes them",
    },
    counts={
        "ABE": 8,
        "ART": 19630,
        "BAS": 441,
        "BLA": 11973,
        "EBO": 27395,
        "EOS": 5883,
        "FGC": 47,
        "HAC": 409,
        "KSC": 42,
        "LYI": 65,
        "LYT": 26242,
        "MMZ": 3055,
        "MON": 4040,
        "MYB": 6557,
        "NGB": 9968,
        "NGS": 29424,
        "NIF": 3538,
        "OTH": 294,
        "PEB": 2740,
        "PLM": 7629,
        "PMO": 11994,
    },
)


def read(root: str | Path, *, variant: str | None = None, workers: int | None = None) -> Dataset:
    """Read the crops below `root`, each with one cell that spans it; the raw label is the folder's code.

    Parameters
    ----------
    root
        The folder BM_cytomorphology_data, or one above.
    variant
        "default" or "literal"; see ``SOURCE.variants``.
    workers
        Threads that read image headers; by default that of Python's thread pool.

    Raises
    ------
    DataNotFound
        If the folders are missing.
    UnknownLabel
        If a folder with images is not one of the codes.
    ValueError
        If the variant is unknown.

    Warns
    -----
    DataWarning
        If files cannot be read.
    """
    labels = read_map(SOURCE, variant)
    top = find_root(SOURCE, root, _fits, "most of the 21 folders ABE, ART, BAS, BLA, ...")
    # a code's images may be in subfolders of a thousand each: EBO/0001-1000/EBO_00001.jpg
    rows = [Crop(file, file.partition("/")[0]) for file in listing(top)]
    return crops(SOURCE, top, rows, labels, workers=workers)


def _fits(folder: Path) -> bool:
    """Require two thirds of the codes, since LMU's data has eleven folders of the same names."""
    return sum((folder / code).is_dir() for code in SOURCE.counts) >= 14
