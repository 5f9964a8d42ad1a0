"""Read what CVAT exports: "CVAT for images" 1.0 and 1.1, and "CVAT for video" 1.1.

An export is an XML file, a zip or a folder, of a task, a job or a project; several XML files
in one zip or folder are one data set. `inspect` counts everything and lists the problems without
raising them; `read` returns a `Dataset`, or raises these problems.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pcm_leukemia.cvat.document import Parsed, read_document
from pcm_leukemia.cvat.inspection import Inspection
from pcm_leukemia.cvat.labels import Labels
from pcm_leukemia.cvat.plain import read_plain
from pcm_leukemia.dataset import Dataset, of_checked_rows
from pcm_leukemia.errors import (
    AbsentLabel,
    DataWarning,
    InvalidExport,
    Problem,
    UnknownLabel,
    counted,
    some,
)
from pcm_leukemia.files import (
    ARCHIVES,
    Container,
    Document,
    count_unlisted,
    find_images,
    first_of,
    is_image_file,
    open_container,
    unlisted,
)
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import Taxonomy
from pcm_leukemia.taxonomy import NINE

__all__ = ["Inspection", "inspect", "read"]


def inspect(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] = NINE,
    labels: Mapping[str, str] | None = None,
    clip: bool = False,
    images_root: str | Place | None = None,
    check_images: bool = True,
) -> Inspection:
    """Count everything in a CVAT export and list every problem; see `read` for the parameters.

    Raises
    ------
    DataNotFound
        If `path` or `images_root` does not exist. Problems inside them are listed, not raised.
    """
    parsed, root = _scan(path, taxonomy, labels or {}, images_root, clip=clip, check_images=check_images)
    if root is not None:
        files = (image.file for image in parsed.images.values())
        parsed.inspection.unlisted = unlisted(root, (file for file in files if file))
    return parsed.inspection


def read(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] = NINE,
    labels: Mapping[str, str] | None = None,
    clip: bool = False,
    images_root: str | Place | None = None,
    check_images: bool = True,
    name: str | None = None,
) -> Dataset:
    """Read a CVAT export.

    Parameters
    ----------
    path
        An XML file, a zip or a folder.
    taxonomy
        The classes; "declared" takes the labels of the export's header as they are.
    labels
        Label in the export -> class, "WBC" for white cells of unknown type, or "ignore" for cells that are not targets.
    clip
        Whether to cut boxes at the border of their image, instead of refusing boxes that cross it.
    images_root
        A folder or zip with the images, or its URL (``s3://bucket/frames``), if they are not in the export.
    check_images
        Whether to compare the size in every image's header with the annotated size.
    name
        The data set's name; by default that of the file or folder.

    Raises
    ------
    InvalidExport
        If anything is wrong with the export: every problem is listed. Labels outside the
        taxonomy alone raise its subclass `UnknownLabel`.
    DataNotFound
        If `path` or `images_root` does not exist.
    """
    parsed, root = _scan(path, taxonomy, labels or {}, images_root, clip=clip, check_images=check_images)
    inspection = parsed.inspection
    if inspection.problems:
        unknown = set(inspection.problems) <= set(parsed.labels.problems())
        raise (UnknownLabel if unknown else InvalidExport)(inspection.problems)
    absent = parsed.labels.absent()
    for label, problem in absent.items():
        warnings.warn(AbsentLabel(label, str(problem)), stacklevel=2)
    if others := [each for each in inspection.warnings if each not in absent.values()]:
        warnings.warn(some(others), DataWarning, stacklevel=2)
    name, classes = name or _name_of(Path(path)), parsed.labels.taxonomy()
    if parsed.plain:
        return of_checked_rows(name, classes, parsed.images.values(), parsed.cells, root=root)
    return Dataset(name, classes, tuple(parsed.images.values()), tuple(parsed.cells), root=root)


def _scan(
    path: str | Path,
    taxonomy: Taxonomy | Literal["declared"],
    labels: Mapping[str, str],
    images_root: str | Place | None,
    *,
    clip: bool,
    check_images: bool,
) -> tuple[Parsed, Place | None]:
    """Read every document of an export and find its images; returns the content and the root of the images."""
    container = open_container(path)
    pictures = open_container(images_root) if images_root else container
    parsed = Parsed(Labels(None if taxonomy == "declared" else taxonomy, labels), clip=clip)
    inspection = parsed.inspection
    documents = container.documents()
    with _collector_paused():
        for document in documents:
            if not read_plain(document, parsed):
                parsed.plain = False
                read_document(document, parsed)
    if not inspection.images and not inspection.problems and not container.problems:
        inspection.problems.append(_nothing(Path(path), container, documents))
    inspection.problems += parsed.labels.problems()
    inspection.warnings += [*parsed.labels.absent().values(), *_changed(inspection)]
    root = _find_images(parsed, pictures, required=images_root is not None, check=check_images)
    if inspection.images and root is None:
        inspection.warnings += _unused(container, Path(path))
    inspection.problems += container.problems
    if pictures is not container:
        inspection.problems += pictures.problems
    return parsed, root


def _find_images(parsed: Parsed, pictures: Container, *, required: bool, check: bool) -> Place | None:
    """Find the images' files and check their headers; returns the root of the files, or None without any."""
    bases = {} if required else parsed.bases
    images, problems = find_images(parsed.images.values(), pictures, bases, required=required)
    parsed.inspection.problems += problems
    parsed.inspection.files = sum(image.file is not None for image in images)
    if not parsed.inspection.files:
        return None
    parsed.images = {image.id: image for image in images}
    root = pictures.root.absolute()
    if check:
        from pcm_leukemia.images import compare_files

        compared, wrong = compare_files(images, root)
        parsed.images = {image.id: image for image in compared}
        parsed.inspection.problems += wrong
    return root


def _nothing(path: Path, container: Container, documents: list[Document]) -> Problem:
    """The problem of an export without images."""
    what, fix = "contains no images", "give an export in 'CVAT for images 1.1'"
    if not documents:
        packed = sorted(file for file in container.paths(lambda _: False) if file.lower().endswith(ARCHIVES))
        what = "contains no XML file"
        if packed:
            what, fix = f"{what}, but archives: {first_of(packed)}", "unpack everything, and give the folder"
    return Problem(str(path), what, fix)


def _unused(container: Container, path: Path) -> list[Problem]:
    """A warning if an export has image files, and none of them is that of an image in the annotations."""
    start = (
        "" if container.root == path else "images/"
    )  # what else is beside a single XML file may not belong to it
    files = [
        file
        for file in container.paths(lambda name: name == "images")
        if file.startswith(start) and is_image_file(file)
    ]
    fix = "compare their names with those in the annotations"
    return (
        [Problem(str(container.root), f"no image has a file: {count_unlisted(files)}", fix)] if files else []
    )


def _changed(inspection: Inspection) -> Iterator[Problem]:
    """A warning for each kind of shape that is not read as it was drawn."""
    if inspection.clipped:
        boxes = counted(inspection.clipped, "box", "boxes")
        yield Problem(boxes, "cut at their image's border", "look at some of them")
    for kind, count in inspection.not_cells.items():
        yield Problem(f"{count:,} {kind}", "not a shape of cells, left out", "draw boxes if they are cells")


def _name_of(path: Path) -> str:
    path = path.absolute()
    return (
        path.parent.name
        if path.name.lower() == "annotations.xml"
        else path.stem
        if path.is_file()
        else path.name
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause garbage collection: rows never form cycles, so scans while millions are made would find nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
