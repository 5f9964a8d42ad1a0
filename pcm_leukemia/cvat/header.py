"""The `<meta>` of a CVAT file: the kind of export, and the declared labels."""

from __future__ import annotations

import re

from pcm_leukemia.cvat.tracks import Frames

__all__ = ["Header"]

_KINDS = ("task", "job", "project")
_NUMBERS = ("size", "start_frame", "frame_filter")
_CLASS_TYPES = ("", "any", "rectangle", "polygon", "ellipse", "mask")
"""Label types for cells; the others are for tags, points and skeletons."""


class Header:
    """Collects what the reader needs from the elements inside `<meta>`.

    `kind` is task, job or project. `labels` are the labels of cells, in their order. `subset` is the subset
    of a single task or job. `frame_sizes` are (width, height) as text by task id, and `frames` are the frames' numbers; ""
    has the last one, since the tracks of a single task do not name it.
    """

    def __init__(self) -> None:
        self.kind: str | None = None
        self.labels: list[str] = []
        self.subset = ""
        self.frame_sizes: dict[str, tuple[str, str]] = {}
        self.frames: dict[str, Frames] = {}
        self._path: list[str] = []
        self._label: dict[str, str] = {}
        self._task = ""
        self._size: dict[str, str] = {}
        self._numbers: dict[str, str] = {}

    def start(self, tag: str) -> None:
        """An element inside `<meta>` begins."""
        if not self._path and tag in _KINDS:
            self.kind = self.kind or tag
        self._path.append(tag)

    def end(self, tag: str, text: str) -> None:
        """An element inside `<meta>` ends; `text` is its content."""
        self._path.pop()
        parent = self._path[-1] if self._path else ""
        if parent == "label":
            self._label[tag] = text
        elif tag == "label":
            self._end_label()
        elif tag == "subset" and self._path in (["task"], ["job"]):
            self.subset = text
        elif tag == "id" and parent == "task":
            self._task = text
        elif tag in _NUMBERS and parent in ("task", "job"):
            self._numbers[tag] = text
        elif tag in ("task", "job"):
            self.frames[self._task] = self.frames[""] = _frames(self._numbers)
            self._numbers = {}
        elif parent == "original_size":
            self._size[tag] = text
        elif tag == "original_size":
            size = self._size.get("width", ""), self._size.get("height", "")
            self.frame_sizes[self._task] = self.frame_sizes[""] = size

    def _end_label(self) -> None:
        name, kind = self._label.get("name", ""), self._label.get("type", "")
        if name and kind in _CLASS_TYPES and "parent" not in self._label:
            self.labels.append(name)
        self._label = {}


def _frames(numbers: dict[str, str]) -> Frames:
    """The numbers of a task's frames from its size, its first frame and its filter ("step=3"), as far as they are known."""
    step = re.fullmatch(r"\s*step\s*=\s*([1-9]\d{0,8})\s*", numbers.get("frame_filter", ""))
    width = int(step[1]) if step else 1
    try:
        start, size = int(numbers.get("start_frame") or 0), int(numbers.get("size", ""))
    except ValueError:
        return Frames(width)
    return Frames(width, start + (size - 1) * width if size > 0 else None)
