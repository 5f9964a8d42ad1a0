"""TXL-PBC: boxes of white cells, red cells and platelets on images of BCCD, BCD, Acevedo and Raabin.

Labels are YOLO rows, ``class cx cy w h``, as fractions of the image size. Class numbers follow `data.yaml`; the
README lists red cells first. Each folder of labels also has a `classes.txt`, which belongs to no image.

Sources: lugan113/TXL-PBC_Dataset, whose boxes were counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import yaml

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, InvalidExport, Problem, counted, some
from pcm_leukemia.files import BAD_CONTENT, read_text
from pcm_leukemia.schema import PARTS, AnnotationState, Cell, Image, ImageId, Split
from pcm_leukemia.shapes import Box
from pcm_leukemia.sources._files import find_root, listing, not_found, sizes, warn
from pcm_leukemia.sources._labels import LabelMap, read_map
from pcm_leukemia.sources._source import Source
from pcm_leukemia.taxonomy import taxonomy_with

__all__ = ["SOURCE", "read"]

SOURCE = Source(
    name="txl_pbc",
    title="TXL-PBC",
    what="White cells, red cells and platelets, with boxes newly drawn on images of four other data sets",
    cell_types="White cells, red cells, platelets",
    total_images="1,440",
    annotations="Full Frame (Bboxes)",
    patients="not published",
    licence="MIT",
    redistributable=True,
    citation="Gan and Li, TXL-PBC: a freely accessible labeled peripheral blood cell dataset, 2024, arXiv:2407.13214",
    home="https://github.com/lugan113/TXL-PBC_Dataset",
    how_to_get="git clone https://github.com/lugan113/TXL-PBC_Dataset, and give that folder as ROOT",
    defects=(
        "its images come from BCCD, BCD, Acevedo and Raabin: never train on TXL-PBC and test on one of them, or the reverse",
        "the README lists the classes in a different order from data.yaml; the labels follow data.yaml",
        "labels were drawn with the help of a detector",
        "the article's abstract gives 1,260 images and 18,143 boxes, which is another version",
    ),
    counts={"WBC": 1515, "RBC": 24271, "Platelets": 851},
    taxonomy=taxonomy_with(("WBC", "RBC", "Platelets")),
)

_ROUNDING = 1.0
"""Pixels by which a box may cross the image border, because of rounding."""


def read(root: str | Path, *, variant: str | None = None, workers: int | None = None) -> Dataset:
    """Read the images, their boxes and the split into train, val and test.

    An image without a label file is not annotated; an image with an empty one has no cells.

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
    CorruptFile
        If `data.yaml` names no classes.
    UnknownLabel
        If `data.yaml` names a class other than WBC, RBC and Platelets.
    InvalidExport
        If a row is not a box inside its image, or a label file has no image; all are listed.

    Warns
    -----
    DataWarning
        If files cannot be read, images have no label file, or boxes have no area and are left out.
    """
    labels = read_map(SOURCE, variant)
    top = find_root(SOURCE, root, _fits, "data.yaml, images and labels")
    names = _names(top / "data.yaml")
    labels.require(dict.fromkeys(names, 0))  # before the rows that use them are read
    files = [f"images/{file}" for file in listing(top / "images")]
    if not files:
        raise not_found(SOURCE, top, "holds no image")
    tables = {f"labels/{file}" for file in listing(top / "labels", (".txt",))}
    tables = {table for table in tables if PurePosixPath(table).name != "classes.txt"}
    problems = [
        Problem(file, "is in none of images/train, images/val and images/test", "put it where it was")
        for file in files
        if file.split("/")[1] not in PARTS
    ]
    images: list[Image] = []
    cells: list[Cell] = []
    flat: list[str] = []
    for file, size in sizes(top, files, workers).items():
        table = f"labels/{PurePosixPath(file.removeprefix('images/')).with_suffix('.txt')}"
        state: AnnotationState = "complete" if table in tables else "none"
        image = Image(ImageId(file), *size, subset=file.split("/")[1], file=file, annotation_state=state)
        images.append(image)
        if table in tables:
            tables.remove(table)
            cells += _cells(top, table, image, names, labels, problems, flat)
    problems += [
        Problem(table, "has no image", f"get {SOURCE.title} again, whole") for table in sorted(tables)
    ]
    if problems:
        raise InvalidExport(problems)
    _warn(top, [image.id for image in images if image.annotation_state == "none"], flat)
    split = Split(
        "official", {image.id: image.subset for image in images}, {"method": f"as {SOURCE.name} comes"}
    )
    return Dataset(SOURCE.name, labels.taxonomy, tuple(images), tuple(cells), split=split, root=top)


def _fits(folder: Path) -> bool:
    return all((folder / name).exists() for name in ("data.yaml", "images", "labels"))


def _warn(top: Path, unlabelled: Sequence[str], flat: Sequence[str]) -> None:
    for what, which in (
        (
            counted(len(unlabelled), "image has", "images have")
            + " no label file; the cells are not annotated",
            unlabelled,
        ),
        (counted(len(flat), "box has no area and is", "boxes have no area and are") + " left out", flat),
    ):
        if which:
            warn(f"{top}: {what}:\n{some(which, 5)}")


def _names(file: Path) -> list[str]:
    """The classes, by number from 0."""
    try:
        names = yaml.safe_load(read_text(file))["names"]
    except (yaml.YAMLError, *BAD_CONTENT) as error:
        raise CorruptFile(f"{file}: names no classes; get {SOURCE.title} again") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CorruptFile(f"{file}: names no list of classes; get {SOURCE.title} again")
    return names


def _cells(
    top: Path,
    table: str,
    image: Image,
    names: Sequence[str],
    labels: LabelMap,
    problems: list[Problem],
    flat: list[str],
) -> Iterator[Cell]:
    rows = read_text(top / table).splitlines()
    for line, row in enumerate(rows, 1):
        if not row.strip():
            continue
        where = f"{table}:{line}"
        try:
            number, *shares = row.split()
            raw = names[_number(number, len(names))]
            box = _box([float(share) for share in shares], image)
        except ValueError as error:
            problems.append(
                Problem(where, str(error), "write class cx cy w h, as fractions of the image size")
            )
            continue
        if box is None:
            flat.append(where)
        else:
            yield Cell(image.id, line - 1, labels.rules[raw].label, box, raw)


def _number(text: str, classes: int) -> int:
    if not (text.isdecimal() and int(text) < classes):
        raise ValueError(f"has class {text}, not one of 0 to {classes - 1}")
    return int(text)


def _box(shares: Sequence[float], image: Image) -> Box | None:
    """The box in pixels, cut at the image's border where it leaves it by a pixel at most; None without area."""
    if len(shares) != 4:
        raise ValueError(f"has {len(shares) + 1} columns")
    cx, width = shares[0] * image.width, shares[2] * image.width
    cy, height = shares[1] * image.height, shares[3] * image.height
    x1, y1, x2, y2 = cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2
    if not max(-x1, -y1, x2 - image.width, y2 - image.height) <= _ROUNDING or width < 0 or height < 0:
        raise ValueError(f"is not a box inside the image of {image.width} x {image.height}")
    if width == 0 or height == 0:
        return None
    return Box(max(x1, 0.0), max(y1, 0.0), min(x2, float(image.width)), min(y2, float(image.height)))
