"""`push`: sends the cells of a data set to the frames of a project, task or job that have the same names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pcm_leukemia.cvat_server.address import address_of
from pcm_leukemia.cvat_server.connection import answers, connected
from pcm_leukemia.cvat_server.matching import Frame, Label, frames_of, labels_of
from pcm_leukemia.cvat_server.media import There
from pcm_leukemia.cvat_server.shapes import as_shape, shape_kind
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.progress import track
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import IGNORE, ImageId

if TYPE_CHECKING:
    from cvat_sdk.models import LabeledShapeRequest

__all__ = ["Existing", "Pushed", "push"]

Existing = Literal["keep", "auto", "all"]
"""What happens to the annotations that are on a frame."""
_AUTO = "auto"
"""What CVAT calls the source of a shape that a model drew, and nobody has corrected."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push has done, or would do.

    `images` and `cells` count what was sent, `removed` the shapes that it replaced, and `left` what was left out, by kind.
    """

    address: str
    images: int
    cells: int
    removed: int
    left: Mapping[str, int]
    dry_run: bool = False

    def __str__(self) -> str:
        verb = "would get" if self.dry_run else "got"
        sent = f"{counted(self.cells, 'cell')} on {counted(self.images, 'image')}"
        lines = [f"{self.address}: {verb} {sent}, in place of {counted(self.removed, 'shape')}"]
        lines += [f"  left out: {count:,} {kind}" for kind, count in self.left.items() if count]
        return "\n".join(lines)


def push(
    ds: Dataset,
    url: str,
    *,
    existing: Existing = "keep",
    dry_run: bool = False,
    profile: str | None = None,
    progress: bool = False,
) -> Pushed:
    """Send cells to the images of the same names on a CVAT server, to be corrected there.

    By default, only images without annotations get cells, so that nothing of what people drew is changed. Cells that a model
    predicted have the source "auto" and its score; see `converters.coco.with_results`.

    Parameters
    ----------
    ds
        The data. Images that are not on the server are left out and counted, and so are tags and ignored cells.
    url
        The address of a project, a task or a job, as the browser shows it. Its labels must have the classes.
    existing
        "keep" sends nothing to images that have annotations. "auto" replaces the annotations of images on which a model drew
        all of them, and nobody has corrected one. "all" replaces them on every image of `ds`, whoever drew them. Tracks are
        never replaced.
    dry_run
        Whether to send nothing, and only say what would be sent.
    profile
        As for `pull`.
    progress
        Show a progress bar.

    Raises
    ------
    MissingExtra
        If cvat-sdk is not installed.
    LeakySplit
        If a patient or a group of images is in two parts.
    ServerError
        If the server cannot be reached or refuses, or has none of the images.
    InvalidDataset
        If images have another size on the server, or it is unclear which image is meant.
    UnknownLabel
        If a class is not one of the labels on the server.
    ValueError
        If `existing` has an unknown value.

    Examples
    --------
    >>> import pcm_leukemia as pcm
    >>> pcm.cvat_server.push(pcm.Dataset("none", pcm.NINE, ()), "https://cvat.hospital.org/tasks")
    Traceback (most recent call last):
    pcm_leukemia.errors.ServerError: https://cvat.hospital.org/tasks: is not the address of a project, a task or a job; \
copy it from the browser, such as https://app.cvat.ai/projects/7
    """
    if existing not in ("keep", "auto", "all"):
        raise ValueError(f'existing "{existing}": must be keep, auto or all')
    address = address_of(url)
    require(ds)
    with connected(address, profile) as client:
        there = There.at(client, address)
        frames = frames_of(ds, there)
        labels = labels_of(ds, there, frames)
        plans = [_plan(ds, there, task, frames, labels, existing) for task in there.owners]
        if not dry_run:
            for plan in track(plans, "tasks", shown=progress):
                _send(there, plan)
    left = {
        "images that are not there": len(ds.images) - len(frames),
        "images that have annotations": sum(plan.kept for plan in plans),
        "ignored cells": sum(cell.label == IGNORE for image in frames for cell in ds.cells_of(image)),
        "tags": sum(len(ds.image(image).tags) for image in frames),
        "outlines, in place of which boxes are sent": sum(plan.upright for plan in plans),
    }
    return Pushed(
        str(address),
        sum(len({shape.frame for shape in plan.shapes}) for plan in plans),
        sum(len(plan.shapes) for plan in plans),
        sum(len(plan.old) for plan in plans),
        left,
        dry_run=dry_run,
    )


class _Plan(NamedTuple):
    """What is sent to one task: new shapes, and the shapes that they replace.

    `kept` counts the images that stay as they are, and `upright` the boxes that are sent in place of outlines.
    """

    task: str
    shapes: list[LabeledShapeRequest]
    old: list[Any]
    kept: int
    upright: int


def _plan(
    ds: Dataset,
    there: There,
    task: str,
    frames: Mapping[ImageId, Frame],
    labels: Mapping[str, Label],
    existing: Existing,
) -> _Plan:
    """Decide about every frame of a task."""
    here = {image: frame.number for image, frame in frames.items() if frame.task == task}
    if not here:
        return _Plan(task, [], [], 0, 0)
    with answers(there.address):
        annotations = there.owners[task].get_annotations()
        drawn: dict[int, list[Any]] = {}
        for shape in annotations.shapes:
            drawn.setdefault(shape.frame, []).append(shape)
        tracked = [min(shape.frame for shape in track.shapes) for track in annotations.tracks if track.shapes]
    shapes: list[LabeledShapeRequest] = []
    old: list[Any] = []
    kept = upright = 0
    for image, frame in here.items():
        there_now = drawn.get(frame, [])
        cells = [cell for cell in ds.cells_of(image) if cell.label != IGNORE]
        if _stays(there_now, existing) or any(frame >= first for first in tracked):
            kept += bool(cells)
            continue
        old += there_now
        for cell in cells:
            label = labels[cell.label]
            boxed = label.kind == "rectangle" and shape_kind(cell) != "rectangle"
            upright += boxed
            source = cell.source or "manual"
            shapes.append(
                as_shape(
                    cell,
                    label.number,
                    frame=frame,
                    source=source,
                    attributes=label.attributes,
                    upright=boxed,
                )
            )
    return _Plan(task, shapes, old, kept, upright)


def _stays(drawn: Iterable[Any], existing: Existing) -> bool:
    """Whether a frame with these shapes is left as it is."""
    sources = Counter(str(shape.source) for shape in drawn)
    if existing == "keep":
        return bool(sources)
    return existing == "auto" and any(source != _AUTO for source in sources)


def _send(there: There, plan: _Plan) -> None:
    """Add the new shapes and then remove the old ones, so that a push that breaks off has removed nothing for nothing."""
    from cvat_sdk.core.proxies.annotations import AnnotationUpdateAction
    from cvat_sdk.models import LabeledShapeRequest, PatchedLabeledDataRequest

    owner = there.owners[plan.task]
    with answers(there.address, may="annotate"):
        if plan.shapes:
            request = PatchedLabeledDataRequest(shapes=plan.shapes)
            owner.update_annotations(request, action=AnnotationUpdateAction.CREATE)
        if plan.old:  # remove_annotations would also remove tags that have the numbers of shapes
            gone = [LabeledShapeRequest(**shape.to_dict()) for shape in plan.old]
            request = PatchedLabeledDataRequest(shapes=gone)
            owner.update_annotations(request, action=AnnotationUpdateAction.DELETE)
