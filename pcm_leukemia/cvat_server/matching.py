"""From the images of a data set to the frames of a project on a server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pcm_leukemia.cvat_server.connection import answers
from pcm_leukemia.cvat_server.media import There
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidDataset, Problem, ServerError
from pcm_leukemia.files import common_form
from pcm_leukemia.schema import Image, ImageId

__all__ = ["Frame", "frame_names", "frames_of"]


class Frame(NamedTuple):
    """A frame: its task, its number there, and its size in pixels."""

    task: str
    number: int
    width: int
    height: int


def frames_of(ds: Dataset, there: There) -> dict[ImageId, Frame]:
    """The frame of each image that is on the server; the others are left out.

    An image is the frame of the same name, with or without its subset; its base name alone is not enough, since
    ``P1/1.png`` and ``P2/1.png`` are two patients. Names that fit no frame as they are written are compared without case.

    Raises
    ------
    InvalidDataset
        If several frames have the name of an image, or a frame has another size.
    ServerError
        If the server refuses, or has none of the images.
    """
    names = _Names()
    for task in there.owners:
        for name, frame in frame_names(there, task):
            names.add(name, getattr(there.owners[task], "subset", None) or "", frame)
    found: dict[ImageId, Frame] = {}
    problems = []
    for image in ds.images:
        frames = names.find(image)
        if len(frames) > 1:
            what = f"{len(frames)} frames of {there.address} have its name"
            fix = "give the address of the one task that it is of"
            problems.append(Problem(f'image "{image.id}"', what, fix))
        for frame in frames if len(frames) == 1 else ():
            found[image.id] = frame
            if (frame.width, frame.height) != (image.width, image.height):
                what = f"has {image.width} x {image.height} pixels, and {frame.width} x {frame.height} in {there.address}"
                problems.append(Problem(f'image "{image.id}"', what, "find the image that is in CVAT"))
    if problems:
        raise InvalidDataset(problems)
    if not found:
        first = f', not even the first, "{ds.images[0].id}"' if ds.images else ""
        raise ServerError(
            f"{there.address}: has none of the {len(ds.images):,} images of {ds.name}{first}; compare their names, "
            "which are those in CVAT with all folders"
        )
    return found


def frame_names(there: There, task: str) -> Iterable[tuple[str, Frame]]:
    """The name of each frame of a task or job that was not deleted, and the frame."""
    owner = there.owners[task]
    if there.address.kind != "job" and not getattr(owner, "size", 0):  # its images never came
        return []
    first = owner.start_frame if there.address.kind == "job" else 0
    with answers(there.address):
        meta = owner.get_meta()
        deleted = set(meta.deleted_frames)
        return [
            (frame.name, Frame(task, number, frame.width, frame.height))
            for number, frame in enumerate(meta.frames, first)
            if number not in deleted
        ]


class _Names:
    """Frames by their names, as they are written and in the form that all spellings have in common."""

    def __init__(self) -> None:
        self._written: dict[str, list[Frame]] = {}
        self._alike: dict[str, list[Frame]] = {}

    def add(self, name: str, subset: str, frame: Frame) -> None:
        for each in dict.fromkeys((f"{subset}/{name}" if subset else name, name)):
            self._written.setdefault(each, []).append(frame)
            self._alike.setdefault(common_form(each), []).append(frame)

    def find(self, image: Image) -> list[Frame]:
        for names, spelled in ((self._written, str), (self._alike, common_form)):
            for name in (image.id, image.name):
                if frames := names.get(spelled(name)):
                    return frames
        return []
