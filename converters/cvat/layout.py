"""The subset and name of each image in CVAT, and its path in the zip."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import ExportError, Problem, UnknownPart, either, some
from pcm_leukemia.files import MARKER, leads_outside
from pcm_leukemia.schema import Image, ImageId

__all__ = ["ANNOTATIONS", "LABELS", "PATIENTS", "Layout", "Place", "Subsets", "lay_out"]

Subsets = Literal["as given", "split"]

ANNOTATIONS, LABELS, PATIENTS = "annotations.xml", "labels.txt", "patients.csv"
"""The other files in the zip, besides `MARKER`; images must not have these names."""

_SUBSET_NAMES = {"train": "Train", "val": "Validation", "test": "Test"}
"""Part -> the predefined subset in CVAT; other parts keep their name."""


class Place(NamedTuple):
    """An image in CVAT: its subset ("" in a task), its name, and its id after reading."""

    subset: str
    name: str
    id: str

    @property
    def file(self) -> str:
        """The path of the image file in the zip."""
        return "/".join(part for part in ("images", self.subset, self.name) if part)


class Layout(NamedTuple):
    """A task, with its one subset in the header, or a project, with a subset for each image."""

    kind: Literal["task", "project"]
    subset: str
    places: Mapping[ImageId, Place]

    @property
    def subsets(self) -> dict[str, int]:
        """Subset -> number of images, sorted; "" for images without a subset."""
        return dict(sorted(Counter(place.subset for place in self.places.values()).items()))


def lay_out(ds: Dataset, subsets: Subsets) -> Layout:
    """Choose the subset and name of every image.

    An image keeps its name if reading then gives it the same id. Otherwise its id is used as the name, for
    example if names repeat in an export of several XML files.

    Raises
    ------
    ExportError
        If two images get the same path, or a name is not valid in CVAT.
    UnknownPart
        If `subsets` is "split" and there is no split.
    """
    if subsets == "split":
        layout = Layout("project", "", _by_part(ds))
    else:
        found = {image.subset for image in ds.images}
        only = found.pop() if len(found) == 1 else None
        if only is not None and _fits_task(ds, only):
            layout = Layout("task", only, {image.id: _place(image, "") for image in ds.images})
        else:
            layout = Layout("project", "", {image.id: _place(image, image.subset) for image in ds.images})
    problems = list(_problems(layout.places))
    if problems:
        raise ExportError(some(problems))
    return layout


def _fits_task(ds: Dataset, subset: str) -> bool:
    """Whether the images, all of one subset, came from a task or a job: no id starts with the subset."""
    if subset != subset.strip() or any(image.id.startswith(f"{subset}/") for image in ds.images if subset):
        return False
    return not subset or all(_read_as(subset, image.name) != image.id for image in ds.images)


def _by_part(ds: Dataset) -> dict[ImageId, Place]:
    if ds.split is None:
        raise UnknownPart(
            f"{ds.name}: has no split to make subsets of; make one with "
            f"{either('splits.by_patient', 'pcm-leukemia split')}"
        )
    part_of = {image.id: _SUBSET_NAMES.get(ds.part_of(image), ds.part_of(image)) for image in ds.images}
    often = Counter((part_of[image.id], image.name) for image in ds.images)
    places = {}
    for image in ds.images:
        subset = part_of[image.id]
        name = image.name if often[subset, image.name] == 1 else image.id
        if _read_as(subset, name) != f"{subset}/{name}":  # for example, a name with ".."
            name = image.id
        places[image.id] = Place(subset, name, _read_as(subset, name) or "")
    return places


def _place(image: Image, subset: str) -> Place:
    """Place the image under its name if reading gives its id, otherwise under its id."""
    inner = image.id.removeprefix(f"{subset}/") if subset else image.id
    for name in (image.name, inner):
        if _read_as(subset, name) == image.id:
            return Place(subset, name, image.id)
    return Place(subset, inner, _read_as(subset, inner) or "")


def _read_as(subset: str, name: str) -> str | None:
    """The id that `pcm_leukemia.cvat` gives an image; None if it rejects the name."""
    path = f"{subset}/{name}" if subset else name
    if not name or leads_outside(path) or not path.strip("./"):
        return None
    return posixpath.normpath(path)


def _problems(places: Mapping[ImageId, Place]) -> Iterator[Problem]:
    owners: dict[str, ImageId] = {}
    for image, place in places.items():
        owner = owners.setdefault(place.id, image)
        if not place.id or place.name.endswith("/"):
            what = f'its path "{place.file}" is empty or leads out of the zip'
            yield Problem(f'image "{image}"', what, "rename the file")
        elif posixpath.basename(place.name) in (ANNOTATIONS, LABELS, PATIENTS, MARKER):
            what = f'is named "{place.name}", like a file of the zip that is not an image'
            yield Problem(f'image "{image}"', what, "rename the file")
        elif owner != image:
            what = f'would be "{place.file}" in CVAT, as would image "{owner}"'
            yield Problem(f'image "{image}"', what, "rename one of them, or write each subset separately")
