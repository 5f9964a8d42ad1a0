"""Chula RBC-12: red cells of thalassaemia patients, each with a centre point and a shape class.

A row of ``Label/<n>.txt`` is ``x y class``, in pixels. An image without a label file was not
labelled. An image with an empty one was either not labelled or has no cells. The class numbers in the README
differ from those in the label files; the names here follow the files.

Sources: Chula-PIC-Lab/Chula-RBC-12-Dataset, whose files were counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidExport, Problem
from pcm_leukemia.files import read_text
from pcm_leukemia.schema import AnnotationState, Cell, Image, ImageId, Tag, Taxonomy
from pcm_leukemia.shapes import Point
from pcm_leukemia.sources._files import find_root, listing, not_found, sizes
from pcm_leukemia.sources._labels import LabelMap, read_map
from pcm_leukemia.sources._source import Source

__all__ = ["SOURCE", "read"]

SOURCE = Source(
    name="chula_rbc12",
    title="Chula RBC-12",
    what="Red cells in fields of smears, each with a centre point and one of 13 shape classes",
    cell_types="Red cells",
    total_images="738, plus 121 without labels in RBC Diseases",
    annotations="Full Frame (Centroids)",
    patients="not published",
    licence="MIT",
    redistributable=True,
    citation="Naruenatthanaset et al., Red Blood Cell Segmentation with Overlapping Cell Separation and Classification "
    "from an Imbalanced Dataset, 2021, arXiv:2012.01321",
    home="https://github.com/Chula-PIC-Lab/Chula-RBC-12-Dataset",
    how_to_get="git clone https://github.com/Chula-PIC-Lab/Chula-RBC-12-Dataset, and give that folder as ROOT",
    image_size="640 x 480",
    defects=(
        "115 images have no label file: they are unlabelled, not empty",
        "2 label files are empty (53 and 56); whether those images were labelled is unknown",
        "13 classes, not 12; its README lists other class numbers, and 706 images",
        "cells have points but no boxes, so detectors refuse them",
        "the 121 photographs in RBC Diseases have no labels",
    ),
    counts={
        "0": 6330,
        "1": 689,
        "2": 461,
        "3": 3449,
        "4": 2753,
        "5": 1996,
        "6": 2140,
        "7": 307,
        "8": 785,
        "9": 897,
        "10": 184,
        "11": 1063,
        "12": 1052,
    },
    taxonomy=Taxonomy(
        "chula-rbc-12",
        (
            "Normal cell",
            "Macrocyte",
            "Microcyte",
            "Spherocyte",
            "Target cell",
            "Stomatocyte",
            "Ovalocyte",
            "Teardrop",
            "Burr cell",
            "Schistocyte",
            "Uncategorised",
            "Hypochromia",
            "Elliptocyte",
        ),
    ),
)

_DISEASES = "RBC Diseases"


def read(root: str | Path, *, variant: str | None = None, workers: int | None = None) -> Dataset:
    """Read the images in ``Dataset`` and the points in ``Label``; the raw label is the class's number.

    Images with labels are "complete", those without a label file "none", those with an empty one "unknown". The
    photographs in ``RBC Diseases`` are "none" too, with their folder as a tag.

    Parameters
    ----------
    root
        The repository's folder, or one above.
    variant
        Only "default" exists.
    workers
        Threads that read image headers; by default the number that Python's thread pool chooses.

    Raises
    ------
    DataNotFound
        If the folders are missing.
    UnknownLabel
        If a class number is not one of 0 to 12.
    InvalidExport
        If a row cannot be read, a point lies outside its image, or a label file has no image; all are listed.

    Warns
    -----
    DataWarning
        If files cannot be read.
    """
    labels = read_map(SOURCE, variant)
    top = find_root(SOURCE, root, _fits, "the folders Dataset and Label")
    files = [file for file in listing(top) if file.startswith(("Dataset/", f"{_DISEASES}/"))]
    if not any(file.startswith("Dataset/") for file in files):
        raise not_found(SOURCE, top, "holds no image in Dataset")
    tables = {f"Label/{file}" for file in listing(top / "Label", (".txt",))}
    problems: list[Problem] = []
    images: list[Image] = []
    rows: list[tuple[Image, int, Point, str]] = []
    for file, size in sizes(top, files, workers).items():
        folder, *inner, name = file.split("/")
        table = f"Label/{name.rpartition('.')[0]}.txt" if folder == "Dataset" else ""
        found = list(_points(top, table, size, problems)) if table in tables else None
        tables.discard(table)
        image = Image(
            ImageId(file),
            *size,
            subset="" if folder == "Dataset" else folder,
            file=file,
            tags=(Tag("/".join(inner)),) if inner else (),
            annotation_state=_state(found),
        )
        images.append(image)
        rows += [(image, number, point, code) for number, (point, code) in enumerate(found or ())]
    problems += [
        Problem(table, f"has no image Dataset/{Path(table).stem}.jpg", f"get {SOURCE.title} again, whole")
        for table in sorted(tables)
    ]
    if problems:
        raise InvalidExport(problems)
    labels.require(code for *_, code in rows)
    cells = (_cell(image, number, point, code, labels) for image, number, point, code in rows)
    return Dataset(SOURCE.name, labels.taxonomy, tuple(images), tuple(cells), root=top)


def _fits(folder: Path) -> bool:
    return (folder / "Dataset").is_dir() and (folder / "Label").is_dir()


def _state(found: list[tuple[Point, str]] | None) -> AnnotationState:
    """An image with labels is complete, since even red cells of no type have a class of their own."""
    if found is None:
        return "none"
    return "complete" if found else "unknown"


def _points(
    top: Path, table: str, size: tuple[int, int], problems: list[Problem]
) -> Iterator[tuple[Point, str]]:
    for line, row in enumerate(read_text(top / table).splitlines(), 1):
        if not row.strip():
            continue
        try:
            x, y, code = row.split()
            point = Point(int(x), int(y))
        except ValueError:
            problems.append(Problem(f"{table}:{line}", f'is "{row}"', "write x y class, three whole numbers"))
            continue
        if not (0 <= point.x <= size[0] and 0 <= point.y <= size[1]):
            what = f"the point ({x}, {y}) is outside the image of {size[0]} x {size[1]}"
            problems.append(Problem(f"{table}:{line}", what, "mend or remove it"))
            continue
        yield point, code


def _cell(image: Image, number: int, point: Point, code: str, labels: LabelMap) -> Cell:
    return Cell(
        image.id, number, labels.rules[code].label, point.pixel(image.width, image.height), code, shape=point
    )
