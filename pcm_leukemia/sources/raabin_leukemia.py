"""Raabin-Leukemia: photographs of smears, sorted by diagnosis; their cells are not annotated.

Only part of the layout is known: ``Leukemia_Data/ALL/L1/`` is the one path that was seen. The first folder is
therefore read as the diagnosis, and the folders below it, such as a subtype, are kept as a tag.
"""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import Image, ImageId, Tag
from pcm_leukemia.sources._files import find_root, listing, not_found, sizes
from pcm_leukemia.sources._source import Source

__all__ = ["DIAGNOSES", "SOURCE", "read"]

DIAGNOSES = ("ALL", "AML", "CLL", "CML")
"""The folders; each is named after the diagnosis of its images."""

SOURCE = Source(
    name="raabin_leukemia",
    title="Raabin-Leukemia",
    what="Photographs of smears of patients with leukaemia, sorted by diagnosis; no cell is annotated",
    cell_types="ALL, AML",
    total_images="7,152",
    annotations="Full Frame (No Annotation)",
    in_table_1=True,
    patients="not published",
    licence="free data, citation requested; no licence text was found",
    redistributable=False,
    citation="Mousavi Kouzehkanan et al., A large dataset of white blood cells containing cell locations and types, "
    "along with segmented nuclei and cytoplasm, Scientific Reports 12, 2022, 1123, doi:10.1038/s41598-021-04426-x",
    home="https://raabindata.com/free-data/",
    how_to_get="download the leukaemia data from the home page, keep its folders ALL, AML, CLL and CML, and give the "
    "folder that holds them as ROOT",
    defects=(
        "the diagnosis is the patient's: not every cell in an image is leukaemic",
        "no patient ids, so a split by patient is impossible",
        "the paper's Table 1 names ALL and AML; others also name CLL and CML; the full layout has not been seen",
    ),
)


def read(root: str | Path, *, variant: str | None = None, workers: int | None = None) -> Dataset:
    """Read the images below `root`, each with its diagnosis and without cells.

    Detectors refuse these images, since they show cells that are not annotated.

    Parameters
    ----------
    root
        The folder that holds ALL, AML, CLL or CML, or one above.
    variant
        Only "default" exists, since there are no labels.
    workers
        Threads that read image headers; by default the number that Python's thread pool chooses.

    Raises
    ------
    DataNotFound
        If these folders are missing or hold no image.
    ValueError
        If the variant is unknown.

    Warns
    -----
    DataWarning
        If files cannot be read.
    """
    SOURCE.variant(variant)
    top = find_root(
        SOURCE,
        root,
        lambda folder: any((folder / name).is_dir() for name in DIAGNOSES),
        "ALL, AML, CLL or CML",
    )
    files = [file for file in listing(top) if file.partition("/")[0] in DIAGNOSES]
    if not files:
        raise not_found(SOURCE, top, "holds no image")
    images = []
    for file, (width, height) in sizes(top, files, workers).items():
        diagnosis, *inner, _ = file.split("/")
        images.append(
            Image(
                ImageId(file),
                width,
                height,
                file=file,
                tags=(Tag("/".join(inner)),) if inner else (),
                annotation_state="none",
                diagnosis=diagnosis,
            )
        )
    return Dataset(SOURCE.name, SOURCE.taxonomy, tuple(images), root=top)
