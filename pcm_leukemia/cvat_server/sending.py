"""What is sent to the frames of one task, and what it replaces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pcm_leukemia.cvat_server.connection import answers
from pcm_leukemia.cvat_server.labels import Labels
from pcm_leukemia.cvat_server.matching import Frame
from pcm_leukemia.cvat_server.media import There
from pcm_leukemia.cvat_server.shapes import as_shape, as_tag, shape_kind
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import AUTO, Cell, ImageId

if TYPE_CHECKING:
    from cvat_sdk.models import LabeledImageRequest, LabeledShapeRequest

__all__ = ["Existing", "Plan", "becomes_box", "plan", "send"]

Existing = Literal["keep", "auto", "all"]
"""What happens to the annotations that are on a frame."""


class Plan(NamedTuple):
    """What is sent to one task: new shapes and tags, and the shapes that they replace.

    `kept` counts the images that stay as they are, `twice` the tags whose label the image has already, and `upright` the boxes
    that are sent in place of outlines.
    """

    task: str
    shapes: list[LabeledShapeRequest]
    tags: list[LabeledImageRequest]
    old: list[Any]
    kept: int
    twice: int
    upright: int

    @property
    def frames(self) -> int:
        """The number of frames that get something."""
        return len({each.frame for each in (*self.shapes, *self.tags)})


def plan(
    ds: Dataset,
    there: There,
    task: str,
    frames: Mapping[ImageId, Frame],
    labels: Labels,
    existing: Existing,
) -> Plan:
    """Decide about every frame of a task."""
    here = {image: frame.number for image, frame in frames.items() if frame.task == task}
    if not here:
        return Plan(task, [], [], [], 0, 0, 0)
    with answers(there.address):
        annotations = there.owners[task].get_annotations()
        drawn: dict[int, list[Any]] = {}
        for shape in annotations.shapes:
            drawn.setdefault(shape.frame, []).append(shape)
        tagged = {(tag.frame, tag.label_id) for tag in annotations.tags}
        tracked = [min(shape.frame for shape in track.shapes) for track in annotations.tracks if track.shapes]
    shapes: list[LabeledShapeRequest] = []
    tags: list[LabeledImageRequest] = []
    old: list[Any] = []
    kept = twice = upright = 0
    for image, frame in here.items():
        there_now = drawn.get(frame, [])
        cells, of_image = ds.cells_of(image), ds.image(image).tags
        if _stays(there_now, existing) or any(frame >= first for first in tracked):
            kept += bool(cells or of_image)
            continue
        old += there_now
        for cell in cells:
            upright += becomes_box(cell, labels)
            shapes.append(_shape(cell, labels, frame))
        for tag in of_image:
            label = labels.of_tag(tag)
            if (frame, label.number) in tagged:
                twice += 1
            else:
                tags.append(as_tag(tag, label.number, frame=frame, attributes=label.attributes))
    return Plan(task, shapes, tags, old, kept, twice, upright)


def _shape(cell: Cell, labels: Labels, frame: int) -> LabeledShapeRequest:
    label = labels.of_cell(cell)
    return as_shape(
        cell,
        label.number,
        frame=frame,
        source=cell.source or "manual",
        attributes=label.attributes,
        upright=becomes_box(cell, labels),
    )


def becomes_box(cell: Cell, labels: Labels) -> bool:
    """Whether a cell has an outline, and its label takes boxes alone."""
    return labels.of_cell(cell).kind == "rectangle" and shape_kind(cell) != "rectangle"


def _stays(drawn: Iterable[Any], existing: Existing) -> bool:
    """Whether a frame with these shapes is left as it is."""
    sources = Counter(str(shape.source) for shape in drawn)
    if existing == "keep":
        return bool(sources)
    return existing == "auto" and any(source != AUTO for source in sources)


def send(there: There, what: Plan) -> None:
    """Add what is new and then remove the old, so that a push that breaks off has removed nothing for nothing."""
    from cvat_sdk.core.proxies.annotations import AnnotationUpdateAction
    from cvat_sdk.models import LabeledShapeRequest, PatchedLabeledDataRequest

    owner = there.owners[what.task]
    with answers(there.address, may="annotate"):
        if what.shapes or what.tags:
            request = PatchedLabeledDataRequest(shapes=what.shapes, tags=what.tags)
            owner.update_annotations(request, action=AnnotationUpdateAction.CREATE)
        if what.old:  # remove_annotations would also remove tags that have the numbers of shapes
            gone = [LabeledShapeRequest(**shape.to_dict()) for shape in what.old]
            request = PatchedLabeledDataRequest(shapes=gone)
            owner.update_annotations(request, action=AnnotationUpdateAction.DELETE)
