"""The rules that the rows of a data set keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pcm_leukemia.errors import InvalidDataset, Problem, counted, nearest, some
from pcm_leukemia.schema import IGNORE, Cell, Taxonomy
from pcm_leukemia.shapes import Mask
from pcm_leukemia.taxonomy import choices

if TYPE_CHECKING:
    from pcm_leukemia.dataset import Dataset

__all__ = ["contradictions", "require_classes"]


def contradictions(ds: Dataset) -> Iterator[Problem]:
    """Every contradiction between the rows of `ds`, whose cells are in their order."""
    yield from _repeated("patient", [patient.id for patient in ds.patients])
    yield from _repeated("image", [image.id for image in ds.images])
    yield from _of_images(ds)
    yield from _of_cells(ds)
    images = {image.id for image in ds.images}
    if ds.split is not None and ds.split.part_of.keys() != images:
        odd = sorted(ds.split.part_of.keys() ^ images)
        yield Problem(
            f'split "{ds.split.name}"', f"does not fit the images: {some(odd, 3)!r}", "use Dataset.with_split"
        )


def require_classes(name: str, cells: Iterable[Cell], taxonomy: Taxonomy) -> None:
    """Refuse labels that are not classes: one problem for each label, not for each cell."""
    classes = {*taxonomy.labels, IGNORE}
    lost = Counter(cell.label for cell in cells if cell.label not in classes)
    if lost:
        raise InvalidDataset(
            Problem(
                f'{name}: label "{label}"',
                f"is not a class of {taxonomy.name}{nearest(label, taxonomy.labels)} (of {counted(count, 'cell')})",
                f'give its class ({choices(taxonomy.labels)}): {{"{label}": CLASS}}',
            )
            for label, count in lost.items()
        )


def _repeated(kind: str, ids: Iterable[str]) -> Iterator[Problem]:
    for row, count in Counter(ids).items():
        if count > 1:
            yield Problem(
                f'{kind} "{row}"', f"appears {count} times in the table", "give every row its own id"
            )


def _of_images(ds: Dataset) -> Iterator[Problem]:
    patients = {patient.id for patient in ds.patients}
    for image in ds.images:
        if not _is_text(image.id):
            name = image.id.encode("utf-8", "backslashreplace").decode()
            yield Problem(f'image "{name}"', "its name is not in UTF-8", "rename the file")
        if image.patient is not None and image.patient not in patients:
            yield Problem(
                f'image "{image.id}"', f'patient "{image.patient}" is not in the table', "add the patient"
            )


def _of_cells(ds: Dataset) -> Iterator[Problem]:
    sizes = {image.id: (image.width, image.height) for image in ds.images}
    labels = {*ds.taxonomy.labels, IGNORE}
    last: Cell | None = None
    for cell in ds.cells:
        size, box = sizes.get(cell.image), cell.box
        if size is None:
            yield Problem(_place(cell), "its image is not in the table", "add the image, or drop the cell")
        elif box.x1 < 0 or box.y1 < 0 or box.x2 > size[0] or box.y2 > size[1]:
            yield Problem(_place(cell), f"{box} leaves the image of {size[0]} x {size[1]}", "clip the box")
        elif type(cell.shape) is Mask and (cell.shape.width > size[0] or cell.shape.height > size[1]):
            what = f"its mask of {cell.shape.width} x {cell.shape.height} is larger than the image"
            yield Problem(_place(cell), what, "draw it again")
        if cell.label not in labels:
            yield Problem(
                _place(cell),
                f'label "{cell.label}" is not a class of the data set',
                f"use one of {sorted(labels)}",
            )
        if last is not None and cell.id == last.id and cell.image == last.image:
            yield Problem(
                _place(cell), "the image has two cells with this number", "number the cells of each image"
            )
        last = cell


def _place(cell: Cell) -> str:
    return f'image "{cell.image}" cell {cell.id}'


def _is_text(name: str) -> bool:
    """Whether a name can be written; a file name on disk may hold bytes that are no characters."""
    return name.isascii() or name.encode("utf-8", "replace").decode() == name
