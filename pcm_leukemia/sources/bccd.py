"""BCCD: 364 fields of a smear with boxes of red cells, white cells and platelets, in Pascal VOC format.

::

    BCCD/Annotations/*.xml                       corners in whole pixels, counted from 1
    BCCD/JPEGImages/*.jpg
    BCCD/ImageSets/Main/{train,val,test}.txt     one file stem per line

A VOC box covers the pixels `xmin` to `xmax` inclusive, so here it begins at ``xmin - 1`` and ends at `xmax`. Two
boxes have no area and are left out. The data set keeps its own classes, since its white cells have no type.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidExport, Problem, counted, some
from pcm_leukemia.files import read_text
from pcm_leukemia.schema import Cell, Image, ImageId, Taxonomy
from pcm_leukemia.shapes import Box
from pcm_leukemia.sources._files import find_root, listing, not_found, require_files, sizes, warn
from pcm_leukemia.sources._labels import LabelMap, read_map
from pcm_leukemia.sources._parts import with_parts
from pcm_leukemia.sources._source import Download, Source

__all__ = ["SOURCE", "read"]

SOURCE = Source(
    name="bccd",
    title="BCCD",
    what="Fields of a blood smear with boxes of red cells, white cells and platelets.",
    cell_types="not stated",
    total_images="364",
    annotations="Full Frame (Bboxes)",
    patients="unknown",
    licence="MIT",
    redistributable=True,
    citation="Cheng S. BCCD Dataset. https://github.com/Shenggan/BCCD_Dataset",
    home="https://github.com/Shenggan/BCCD_Dataset",
    how_to_get="clone or download the repository; ROOT is its folder BCCD, or any folder above it",
    size="about 8 MB",
    image_size="640 x 480",
    defects=(
        "the boxes of two red cells (BloodImage_00338, BloodImage_00343) have no area and are left out",
        "some red cells are known to be unannotated",
        "the Kaggle data set of the same name (12,500 images in 4 classes) is a different, heavily augmented one",
        "TXL-PBC and the Complete Blood Cell Count data set contain its images",
    ),
    counts={"RBC": 4_153, "WBC": 372, "Platelets": 361},
    taxonomy=Taxonomy("bccd", ("WBC", "RBC", "Platelets")),
    downloads=(
        Download(
            "https://github.com/Shenggan/BCCD_Dataset/archive/862b232accac2e8d4ee2d95738d51195f0476395.zip",
            "BCCD_Dataset.zip",
            unpack=True,
        ),
    ),
)

_PARTS = ("train", "val", "test")


def read(root: str | Path, *, variant: str | None = None, workers: int | None = None) -> Dataset:
    """Read the annotations, and the split if its lists are there.

    Parameters
    ----------
    root
        The folder with Annotations and JPEGImages, or one above it.
    variant
        The reading of the labels; only "default" exists.
    workers
        Threads that read image headers; by default that of Python's thread pool.

    Raises
    ------
    DataNotFound
        If the folders are missing.
    InvalidExport
        If an annotation is unreadable or has no image, or a list does not match the images; lists every problem.
    UnknownLabel
        If an object has a class other than the three.
    ValueError
        If the variant is unknown.

    Warns
    -----
    DataWarning
        If boxes have no area and are left out, or images cannot be read.
    """
    labels = read_map(SOURCE, variant)
    what = "the folders Annotations and JPEGImages"
    top = find_root(
        SOURCE, root, lambda f: (f / "Annotations").is_dir() and (f / "JPEGImages").is_dir(), what
    )
    folder = top / "JPEGImages"
    files = {Path(file).stem: file for file in listing(folder)}
    annotations = {Path(file).stem: file for file in listing(top / "Annotations", (".xml",))}
    if not files and not annotations:
        raise not_found(SOURCE, root, "holds no image in JPEGImages")
    require_files(
        SOURCE, folder, (f"{stem}.jpg" for stem in annotations.keys() - files.keys()), "Annotations"
    )
    known = sizes(folder, [files[stem] for stem in sorted(files)], workers)
    problems: list[Problem] = []
    flat: list[str] = []
    strange: Counter[str] = Counter()
    images, cells = [], []
    for stem, file in sorted(files.items()):
        if file not in known:
            continue
        image = Image(
            ImageId(file),
            *known[file],
            file=file,
            annotation_state="complete" if stem in annotations else "none",
        )
        images.append(image)
        if stem in annotations:
            cells += _cells(top / "Annotations" / annotations[stem], image, labels, problems, flat, strange)
    labels.require(strange)
    parts = _parts(top / "ImageSets" / "Main", {Path(image.id).stem: image.id for image in images}, problems)
    if problems:
        raise InvalidExport(problems)
    if flat:
        warn(
            f"{top}: {counted(len(flat), 'box has no area and is', 'boxes have no area and are')} left out:\n{some(flat)}"
        )
    ds = Dataset(SOURCE.name, labels.taxonomy, tuple(images), tuple(cells), root=folder)
    return with_parts(ds, parts) if parts else ds


def _cells(
    path: Path,
    image: Image,
    labels: LabelMap,
    problems: list[Problem],
    flat: list[str],
    strange: Counter[str],
) -> list[Cell]:
    """Read the objects of one file, numbered by position in the file, including those left out."""
    where = path.name
    try:
        tree = ET.fromstring(path.read_bytes())  # noqa: S314 - expat limits entity expansion
        named = tree.findtext("filename", "")
        rows = [
            (row.findtext("name", ""), [float(row.findtext(f"bndbox/{side}", "")) for side in _SIDES])
            for row in tree.iter("object")
        ]
    except (ET.ParseError, ValueError, LookupError, OSError) as error:  # LookupError: an unknown encoding
        problems.append(Problem(where, f"cannot be read ({error})", "download the file again"))
        return []
    if Path(named).stem != path.stem:
        problems.append(Problem(where, f'names the image "{named}"', "correct the name in the file"))
    strange.update(name for name, _ in rows if name not in labels.rules)
    cells = []
    for number, (name, (x1, y1, x2, y2)) in enumerate(rows):
        if name in strange:
            continue
        if not all(map(math.isfinite, (x1, y1, x2, y2))):
            problems.append(Problem(where, f"a box of {name} is not finite", "download the file again"))
            continue
        if x1 >= x2 or y1 >= y2:
            flat.append(f"{where}: {name} at ({x1:g}, {y1:g}, {x2:g}, {y2:g})")
            continue
        box = Box(x1 - 1, y1 - 1, x2, y2)
        if box.inside(image.width, image.height):
            cells.append(Cell(image.id, number, labels.rules[name].label, box, name))
        else:
            what = f"{box} of {name} extends beyond the image of {image.width} x {image.height}"
            problems.append(Problem(where, what, "download the file again"))
    return cells


_SIDES = ("xmin", "ymin", "xmax", "ymax")


def _parts(folder: Path, images: dict[str, ImageId], problems: list[Problem]) -> dict[ImageId, str]:
    """Return each image's part; {} if there are no lists."""
    found: dict[ImageId, str] = {}
    for part in _PARTS:
        file = folder / f"{part}.txt"
        for stem in read_text(file).split() if file.is_file() else ():
            if stem not in images:
                what = f"names {stem}, which has no image"
                problems.append(Problem(file.name, what, "download the image again"))
            elif found.setdefault(images[stem], part) != part:
                what = f"names {stem}, which is also in another list"
                problems.append(Problem(file.name, what, "keep it in one list"))
    lost = sorted(images.keys() - {Path(image).stem for image in found}) if found else []
    if lost:
        what = f"{counted(len(lost), 'image is', 'images are')} not in any list (first: {lost[0]})"
        problems.append(Problem(str(folder), what, "add them to train.txt, val.txt or test.txt"))
    return found
