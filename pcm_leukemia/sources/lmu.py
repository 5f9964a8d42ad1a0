"""AML-Cytomorphology_LMU: 18,365 single white cells of 100 AML patients and 100 controls, 15 classes.

::

    <CODE>/<CODE>_0001.tiff     the code is the original label; 400 x 400, RGBA
    annotations.dat             path, original label, first and second re-annotation, or "nan"

The codes are easily confused: MYO is the myeloblast and MYB the myelocyte. Re-annotations are kept as
attributes `re-annotation 1` and `re-annotation 2`: where they disagree with the folder, they show label
noise and do not correct it. Images have no patient ids, so a split by patient is impossible.
"""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidExport, Problem
from pcm_leukemia.files import read_text
from pcm_leukemia.schema import Attributes
from pcm_leukemia.sources._files import find_root, listing
from pcm_leukemia.sources._labels import read_map
from pcm_leukemia.sources._parts import Crop, crops
from pcm_leukemia.sources._source import Download, Source

__all__ = ["ANNOTATIONS", "SOURCE", "expected_files", "read"]

ANNOTATIONS = "annotations.dat"

_COUNTS = {
    "BAS": 79,
    "EBO": 78,
    "EOS": 424,
    "KSC": 15,
    "LYA": 11,
    "LYT": 3_937,
    "MMZ": 15,
    "MOB": 26,
    "MON": 1_789,
    "MYB": 42,
    "MYO": 3_268,
    "NGB": 109,
    "NGS": 8_484,
    "PMB": 18,
    "PMO": 70,
}
_SUFFIXES = (".tiff", ".tif")

SOURCE = Source(
    name="lmu",
    title="AML-Cytomorphology_LMU",
    what="Single white blood cells from smears of 100 patients with AML and 100 controls, in 15 classes.",
    cell_types="AML",
    total_images="18,365",
    annotations="Cropped Single Cell",
    in_table_1=True,
    patients="200, but images have no patient ids",
    licence="CC BY 3.0 (according to third parties)",
    redistributable=False,
    citation=(
        "Matek C, Schwarz S, Marr C, Spiekermann K. A single-cell morphological dataset of leukocytes from AML "
        "patients and non-malignant controls. The Cancer Imaging Archive, 2019. doi:10.7937/tcia.2019.36f5o9ld. "
        "Matek C et al. Human-level recognition of blast cells in acute myeloid leukaemia with convolutional "
        "neural networks. Nature Machine Intelligence 1, 2019. doi:10.1038/s42256-019-0101-9"
    ),
    home="https://doi.org/10.7937/tcia.2019.36f5o9ld",
    how_to_get=(
        "on the home page, download the images (about 11 GB, with TCIA's NBIA or Aspera program) and, a separate "
        "link, the annotations; put annotations.dat beside the 15 folders BAS, EBO, ... or beside the folder that "
        "holds them; ROOT is any folder above"
    ),
    size="about 11 GB",
    image_size="400 x 400, TIFF with an alpha channel",
    magnification="100x oil",
    defects=(
        "no patient ids, so a split by patient is impossible and scores on random splits are upper bounds",
        "MYO (myeloblast) and MYB (myelocyte) are swapped in several public readers, which moves 3,268 cells",
        "no lymphoblast; 15 classes were released, although the article reportedly names 18",
        "only some images have re-annotations, and these can be UNC, which is not a class",
        "the licence is reported by third parties and was not checked at TCIA",
    ),
    counts=_COUNTS,
    variants={
        "strict": "18,090 cells: only those with an unambiguous class; the other eight codes are ignored",
        "strict+pmb": "18,108: as strict, with the bilobed promyelocyte as APL",
        "lenient": "18,215: also atypical lymphocytes, monoblasts and every promyelocyte as the nearest class",
        "literal": "18,365: every cell has a class, the last 150 as Other",
        "nine": "18,350: for nine classes with Other (promyelocytes, maturing and red cells); smudge cells are ignored",
    },
    downloads=(
        Download(
            "https://www.cancerimagingarchive.net/wp-content/uploads/AML-CYTOMORPHOLOGY_LMU-annotations-dat.zip",
            "AML-CYTOMORPHOLOGY_LMU-annotations-dat.zip",
            unpack=True,
        ),
    ),
)


def read(root: str | Path, *, variant: str | None = None, workers: int | None = None) -> Dataset:
    """Read the folders, and `annotations.dat` if it is beside or above them.

    Parameters
    ----------
    root
        The folder that holds the 15 folders, or one above.
    variant
        "strict" (default), "strict+pmb", "lenient", "literal" or "nine"; see ``SOURCE.variants``.
    workers
        Threads that read image headers; by default the number that Python's thread pool chooses.

    Raises
    ------
    DataNotFound
        If the folders are missing.
    UnknownLabel
        If a folder is not one of the 15 codes.
    CorruptFile
        If `annotations.dat` is not text.
    InvalidExport
        If `annotations.dat` names missing files, or its rows cannot be read.
    ValueError
        If the variant is unknown.

    Warns
    -----
    DataWarning
        If files are not images and are left out.
    """
    labels = read_map(SOURCE, variant)
    folder = find_root(SOURCE, root, _fits, "the 15 folders BAS, EBO, EOS, ... NGS, PMB, PMO")
    files = [file for file in listing(folder, _SUFFIXES) if "/" in file]
    again = _re_annotations(folder, Path(root).absolute(), set(files))
    rows = [Crop(file, file.partition("/")[0], attributes=again.get(file, ())) for file in files]
    return crops(SOURCE, folder, rows, labels, workers=workers)


def expected_files(ds: Dataset) -> dict[str, list[str]]:
    """Return the files of each code, numbered from 1 with four digits; mirrors use .tif for .tiff."""
    short = any(str(image.file).endswith(".tif") for image in ds.images)
    suffix = ".tif" if short else ".tiff"
    return {
        code: [f"{code}/{code}_{number:04}{suffix}" for number in range(1, count + 1)]
        for code, count in _COUNTS.items()
    }


def _fits(folder: Path) -> bool:
    return all((folder / code).is_dir() for code in ("NGS", "LYT", "MYO", "MYB"))


def _re_annotations(folder: Path, given: Path, files: set[str]) -> dict[str, Attributes]:
    """Return file -> its re-annotations as attributes; {} without annotations.dat."""
    above = [place for place in folder.parents if place == given or given in place.parents]
    table = next((place / ANNOTATIONS for place in (folder, *above) if (place / ANNOTATIONS).is_file()), None)
    if table is None:
        return {}
    lines = read_text(table).splitlines()
    by_stem = {file.rpartition(".")[0]: file for file in files}
    found: dict[str, Attributes] = {}
    problems = []
    for number, line in enumerate(lines, 1):
        fields = line.split()  # separated by any number of blanks or tabs
        where = f"{table}:{number}"
        if not fields:
            continue
        if len(fields) != 4:
            problems.append(Problem(where, f"has {len(fields)} columns, not 4", "unzip it again"))
            continue
        path, label, *again = fields
        file = by_stem.get("/".join(path.split("/")[-2:]).rpartition(".")[0])
        if file is None:
            problems.append(Problem(where, f"names {path}, which is not in {folder}", "get the images again"))
        elif label != file.partition("/")[0]:
            problems.append(Problem(where, f"calls {path} {label}", "its folder is the label; mend the row"))
        else:
            found[file] = tuple(
                (f"re-annotation {which}", code) for which, code in enumerate(again, 1) if code != "nan"
            )
    if problems:
        raise InvalidExport(problems)
    return found
