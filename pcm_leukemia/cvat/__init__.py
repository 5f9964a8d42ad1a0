"""Read what CVAT exports: "CVAT for images" 1.0 and 1.1, and "CVAT for video" 1.1.

An export is an XML file, a zip or a folder, of a task, a job or a project; several XML files
in one zip or folder are one data set. `inspect` tells everything about it and never raises on
what it finds; `read` gives a `Dataset`, or raises the same problems.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pcm_leukemia.cvat.container import Container, ImageFinder, open_container
from pcm_leukemia.cvat.document import Found, read_document
from pcm_leukemia.cvat.inspection import CELL_SHAPES, Inspection
from pcm_leukemia.cvat.labels import Labels
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidExport, Problem, UnknownLabel, some
from pcm_leukemia.schema import Taxonomy
from pcm_leukemia.taxonomy import NINE

__all__ = ["CELL_SHAPES", "Inspection", "inspect", "read"]


def inspect(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] = NINE,
    labels: Mapping[str, str] | None = None,
    clip: bool = False,
    images_root: str | Path | None = None,
) -> Inspection:
    """Count everything in a CVAT export and list every problem; see `read` for the parameters.

    Raises
    ------
    DataNotFound
        If `path` or `images_root` is not there; whatever is found in it never raises.
    """
    return _scan(path, taxonomy, labels or {}, images_root, clip=clip)[0].inspection


def read(
    path: str | Path,
    *,
    taxonomy: Taxonomy | Literal["declared"] = NINE,
    labels: Mapping[str, str] | None = None,
    clip: bool = False,
    images_root: str | Path | None = None,
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
        Label in the export -> class, or "ignore" for cells that are no valid target.
    clip
        Cut boxes that leave their image at its border, instead of refusing them.
    images_root
        A folder or zip with the images, where they are not in the export.
    name
        The data set's name; by default that of the file or folder.

    Raises
    ------
    InvalidExport
        If anything is wrong with the export: every problem is listed. Labels outside the
        taxonomy alone raise its subclass `UnknownLabel`.
    DataNotFound
        If `path` or `images_root` is not there.
    """
    found, container = _scan(path, taxonomy, labels or {}, images_root, clip=clip)
    inspection = found.inspection
    if inspection.problems:
        unknown = set(inspection.problems) <= set(found.labels.problems())
        raise (UnknownLabel if unknown else InvalidExport)(inspection.problems)
    _warn(inspection)
    return Dataset(
        name or _name_of(Path(path)),
        found.labels.taxonomy(),
        tuple(found.images.values()),
        tuple(found.cells),
        root=container.root.absolute() if any(image.file for image in found.images.values()) else None,
    )


def _scan(
    path: str | Path,
    taxonomy: Taxonomy | Literal["declared"],
    labels: Mapping[str, str],
    images_root: str | Path | None,
    *,
    clip: bool,
) -> tuple[Found, Container]:
    """Read every document of an export and find its images' files."""
    container = open_container(path)
    pictures = open_container(images_root) if images_root else container
    found = Found(Labels(None if taxonomy == "declared" else taxonomy, labels), clip=clip)
    inspection = found.inspection
    documents = container.documents()
    with _collector_paused():
        for document in documents:
            read_document(document, found)
    if not inspection.images and not inspection.problems and not container.problems:
        what = "holds no image" if documents else "holds no XML file"
        inspection.problems.append(Problem(str(path), what, "give an export in 'CVAT for images 1.1'"))
    inspection.problems += found.labels.problems()
    _find_images(found, pictures, required=images_root is not None)
    inspection.problems += container.problems
    if pictures is not container:
        inspection.problems += pictures.problems
    return found, container if pictures is container else pictures


def _find_images(found: Found, pictures: Container, *, required: bool) -> None:
    """Set `Image.file` where there is one; some images without a file among others with one are a problem."""
    base = {} if required else found.bases
    find = ImageFinder(pictures).find
    files = {
        image.id: find(image.name, image.subset, base.get(image.id, "")) for image in found.images.values()
    }
    lost = [image for image, file in files.items() if file is None]
    if len(lost) < len(files) or (required and lost):
        fix = "add the file, or name another folder: images_root / --images-root"
        found.inspection.problems += [
            Problem(f'image "{image}"', f"has no file in {pictures.root}", fix) for image in lost
        ]
        for image, file in files.items():
            found.images[image] = replace(found.images[image], file=file)


def _warn(inspection: Inspection) -> None:
    lines: list[object] = list(inspection.warnings)
    lines += [
        f"{count:,} {kind}: drawn as no cell and left out" for kind, count in inspection.not_cells.items()
    ]
    if lines:
        warnings.warn(some(lines), DataWarning, stacklevel=3)


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
    """Rows refer to no row that refers back, so a scan for cycles while they pile up finds nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
