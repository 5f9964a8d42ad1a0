"""ALL-IDB1: 108 fields of smears, 49 of patients with ALL and 59 of healthy people.

::

    im/Im001_1.jpg        _1: a patient with ALL; _0: a healthy person
    xyc/Im001_1.xyc       the centre of each lymphoblast, "x<TAB>y"; empty for every _0
    other/Im001_1.xyc     (added later by the owner) centres of the other white cells, "x y"; line 1 is a dummy

The original marks blasts with points and has no boxes. The paper's authors drew boxes around all 701 white cells.
Put their CVAT export (a zip or an XML file) beside `im` to read these boxes instead of the points.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from msgspec import structs

from pcm_leukemia import cvat
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, InvalidExport, Problem, counted
from pcm_leukemia.files import read_text
from pcm_leukemia.schema import AnnotationState, Cell, Image, ImageId
from pcm_leukemia.shapes import Point
from pcm_leukemia.sources._files import find_root, listing, not_found, require_files, sizes, warn
from pcm_leukemia.sources._labels import LabelMap, read_map
from pcm_leukemia.sources._source import Source

__all__ = ["BOXES", "SOURCE", "expected_counts", "read"]

BOXES = 701
"""The white cells that the paper drew boxes around (its section 2.2)."""

SOURCE = Source(
    name="all_idb1",
    title="ALL-IDB1",
    what="Fields of smears of patients with ALL and healthy people, with the centres of lymphoblasts.",
    cell_types="ALL",
    total_images="108",
    annotations="Full Frame (Centroids)",
    in_table_1=True,
    patients="unknown; file names say whether the patient has ALL",
    licence="on request, with a form",
    redistributable=False,
    citation=(
        "Donida Labati R, Piuri V, Scotti F. ALL-IDB: the acute lymphoblastic leukemia image database for image "
        "processing. IEEE International Conference on Image Processing, 2011. doi:10.1109/ICIP.2011.6115881"
    ),
    home="https://homes.di.unimi.it/scotti/all",
    how_to_get=(
        "request it with the form on the home page, and unpack the archive you receive; for the points of other white "
        "cells, put the folder ALL-IDB1/other of https://github.com/AngeloUNIMI/ALL-IDB-Patches beside im and xyc; "
        "ROOT is the folder ALL_IDB1, which contains im and xyc, or any folder above it"
    ),
    image_size="1712 x 1368 (33), 2592 x 1944 (74), 1226 x 652 (1)",
    magnification="300x to 500x",
    defects=(
        "all 33 images of 1712 x 1368 are of patients with ALL: resize images before a model sees them whole",
        "only lymphoblasts are annotated, with points: unannotated white cells are not background",
        "Im093_0 and Im108_0 are the same picture; they form one group here",
        "15 images contain drawn arrows: Im002 007 008 009 010 011 012 013 014 016 017 019 023 026 028, all _1",
        "line 1 of each file in other is a dummy click and is skipped",
        "the cells of ALL-IDB2 are cut from its images",
    ),
    counts={"blast": 510, "other": 1_322},
)

_NAME = re.compile(r"Im(\d+)_([01])", re.IGNORECASE)
_TWINS = {"093": "one picture 093 108", "108": "one picture 093 108"}
_DIAGNOSIS = {"1": "ALL", "0": "Normal"}


def read(
    root: str | Path,
    *,
    variant: str | None = None,
    annotations: str | Path | None = None,
    points: bool = False,
    workers: int | None = None,
) -> Dataset:
    """Read the boxes of the re-annotation if it is there, and the points otherwise.

    Images with points count as partly annotated, so that no detector learns their other white cells as
    background. Images of healthy people without the owner's later points count as unannotated. Points have no
    boxes.

    Parameters
    ----------
    root
        The folder with ``im`` and ``xyc``, or one above it.
    variant
        The reading of the labels; only "default" exists.
    annotations
        The re-annotation: a CVAT export with the same image names. By default, the zip or XML file beside
        ``im``, if there is exactly one.
    points
        Read the points even if there is a re-annotation.
    workers
        Threads that read image headers; by default that of Python's thread pool.

    Raises
    ------
    DataNotFound
        If the folders, or the given `annotations`, are missing.
    InvalidExport
        If an image has no ``.xyc``, a point is unreadable or outside its image, or the re-annotation has other
        images or sizes; lists every problem.
    UnknownLabel
        If the re-annotation has labels outside the nine classes.
    ValueError
        If the variant is unknown.

    Warns
    -----
    DataWarning
        If files are left out because of their names or because they are unreadable; or if several files beside
        ``im`` may be the re-annotation, in which case the points are read.
    """
    labels = read_map(SOURCE, variant)
    folder = find_root(SOURCE, root, lambda f: (f / "im").is_dir(), "the folders im and xyc")
    images = _images(folder, workers)
    if not images:
        raise not_found(SOURCE, root, "holds no image such as im/Im001_1.jpg")
    export = None if points else _export(folder, annotations)
    if export is not None:
        return _boxes(folder, images, export)
    return _points(folder, images, labels)


def expected_counts(ds: Dataset) -> dict[str, int]:
    """Return the published counts for `ds`: points of blasts and of other cells, or all boxes."""
    raw = {cell.raw_label for cell in ds.cells}
    if raw <= {"blast", "other"}:
        return {code: count for code, count in SOURCE.counts.items() if code == "blast" or code in raw}
    return {"in all": BOXES}


def _images(folder: Path, workers: int | None) -> list[Image]:
    files = [f"im/{file}" for file in listing(folder / "im", (".jpg", ".jpeg"))]
    strange = [file for file in files if not _NAME.fullmatch(Path(file).stem)]
    if strange:
        warn(
            f"{folder / 'im'}: {counted(len(strange), 'file is', 'files are')} left out, since their names are not like Im001_1 "
            f"(first: {Path(strange[0]).name})"
        )
    known = sizes(folder, [file for file in files if file not in strange], workers)
    images = []
    for file, size in known.items():
        name = _NAME.fullmatch(Path(file).stem)
        assert name is not None
        diagnosis, group = _DIAGNOSIS[name[2]], _TWINS.get(name[1])
        images.append(Image(ImageId(file), *size, file=file, diagnosis=diagnosis, group=group))
    return images


def _points(folder: Path, images: list[Image], labels: LabelMap) -> Dataset:
    stems = {image.id: Path(image.id).stem for image in images}
    require_files(SOURCE, folder, (f"xyc/{stem}.xyc" for stem in stems.values()), "im")
    with_others = (folder / "other").is_dir()
    problems: list[Problem] = []
    cells: list[Cell] = []
    annotated = []
    for image in images:
        blasts = _read_points(folder / "xyc" / f"{stems[image.id]}.xyc", image, problems)
        file = folder / "other" / f"{stems[image.id]}.xyc"
        # the owner's reader skips the first line, too
        others = _read_points(file, image, problems, skip=1) if with_others and file.is_file() else []
        rows = [*(("blast", point) for point in blasts), *(("other", point) for point in others)]
        cells += [
            Cell(image.id, number, labels.label(raw), point.pixel(image.width, image.height), raw, point)
            for number, (raw, point) in enumerate(rows)
        ]
        state: AnnotationState = "partial" if image.diagnosis == "ALL" or file.is_file() else "none"
        annotated.append(replace(image, annotation_state=state))
    if problems:
        raise InvalidExport(problems)
    return Dataset(SOURCE.name, labels.taxonomy, tuple(annotated), tuple(cells), root=folder)


def _read_points(file: Path, image: Image, problems: list[Problem], skip: int = 0) -> list[Point]:
    """Read the points of a file: one per line, x and y separated by a tab or spaces."""
    found = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        fields = line.split()
        if number <= skip or not fields:
            continue
        try:
            x, y = map(float, fields)
            point = Point(x, y)
            point.pixel(image.width, image.height)
            found.append(point)
        except ValueError as error:
            where = f"{file.parent.name}/{file.name}:{number}"
            what = f"{line!r} is not a point in its image ({error})"
            problems.append(Problem(where, what, "download the file again"))
    return found


def _export(folder: Path, given: str | Path | None) -> Path | None:
    """Return the re-annotation: the given file, or the only zip or XML file beside the images."""
    if given is not None:
        if not Path(given).exists():
            raise DataNotFound(f"{given}: does not exist; give the CVAT export of the re-annotation")
        return Path(given)
    found = sorted(file for file in folder.iterdir() if _may_be_export(file))
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        warn(
            f"{folder}: has {len(found)} files that may be the re-annotation ({names}), so the points are read; "
            "keep one of them"
        )
    return found[0] if len(found) == 1 else None


def _may_be_export(file: Path) -> bool:
    if file.suffix.lower() == ".xml":
        return True
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.lower().endswith(".xml") for name in archive.namelist())


def _boxes(folder: Path, images: list[Image], export: Path) -> Dataset:
    """Read the cells of a CVAT export, and assign them to the images by name."""
    drawn = cvat.read(export, check_images=False)
    ours = {PurePosixPath(image.id).stem.casefold(): image for image in images}
    theirs = {image.id: PurePosixPath(image.name).stem.casefold() for image in drawn.images}
    problems = list(_misfits(drawn.images, theirs, ours, export.name))
    if problems:
        raise InvalidExport(problems)
    listed = set(theirs.values())
    annotated = [
        image if stem in listed else replace(image, annotation_state="none") for stem, image in ours.items()
    ]
    cells = [structs.replace(cell, image=ours[theirs[cell.image]].id) for cell in drawn.cells]
    return Dataset(SOURCE.name, drawn.taxonomy, tuple(annotated), tuple(cells), root=folder)


def _misfits(
    drawn: Iterable[Image], theirs: dict[ImageId, str], ours: dict[str, Image], export: str
) -> Iterable[Problem]:
    seen: dict[str, ImageId] = {}
    for image in drawn:
        where = f'{export} image "{image.id}"'
        here = ours.get(theirs[image.id])
        if here is None:
            yield Problem(where, "is not in ALL-IDB1", "give the re-annotation of ALL-IDB1 alone")
        elif seen.setdefault(theirs[image.id], image.id) != image.id:
            yield Problem(where, f'is the same image as "{seen[theirs[image.id]]}"', "export each image once")
        elif (image.width, image.height) != (here.width, here.height):
            what = f"is {image.width} x {image.height}, but its file is {here.width} x {here.height}"
            yield Problem(where, what, "annotate the original images")
