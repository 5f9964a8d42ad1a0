"""Unique file names that ultralytics and every file system accept."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.files import IMAGE_SUFFIXES, portable_name
from pcm_leukemia.schema import ImageId

__all__ = ["file_names", "labels_file", "part_folders"]

_RESERVED = re.compile(r"(images|con|prn|aux|nul|(com|lpt)\d)(\.|$)", re.IGNORECASE)
"""The folder name that ultralytics searches for, and the device names of Windows."""
_SAFE = re.compile(rf"(?!{_RESERVED.pattern})\w[\w-]*", re.ASCII | re.IGNORECASE)
"""Matches most names, which stay as they are."""


def part_folders(parts: Iterable[str]) -> dict[str, str]:
    """Part -> its folder's name; names differ by more than case."""
    taken: set[str] = set()
    return {part: _free(_safe(part.replace("/", "_")), "", taken) for part in parts}


def file_names(ds: Dataset, folders: dict[str, str]) -> dict[ImageId, str]:
    """Image -> its file below ``images/``; its labels are at the same path below ``labels/``, with .txt."""
    places: dict[str, str] = {}
    split: list[tuple[ImageId, str, str, str]] = []
    taken: set[str] = set()
    for image in ds.images:
        above, _, name = image.id.rpartition("/")
        given = f"{ds.part_of(image)}/{above}"
        if given not in places:
            steps = [folders[ds.part_of(image)], *(_safe(step) for step in above.split("/") if above)]
            places[given] = "/".join(steps)
            # if a file and a folder have the same name, the file is renamed
            taken |= {_key("/".join(steps[:end])) for end in range(1, len(steps) + 1)}
        stem, dot, extension = name.rpartition(".")
        if dot + extension.lower() not in IMAGE_SUFFIXES:
            stem, extension = name, "jpg"
        split.append((image.id, places[given], _safe(stem), extension))
    return {
        image: f"{_free(f'{place}/{stem}', '.txt', taken, f'.{extension}')}.{extension}"
        for image, place, stem, extension in split
    }


def _safe(step: str) -> str:
    """A folder's or file's name that ultralytics and every system accept."""
    if _SAFE.fullmatch(step):
        return step
    name = portable_name(step).strip().rstrip(". ")
    if name.startswith("."):
        name = f"_{name[1:]}"
    return f"_{name}" if not name or _RESERVED.match(name) else name


def _free(path: str, ending: str, taken: set[str], other: str = "") -> str:
    """`path`, numbered if its name with either ending is taken; the name is then taken."""
    free, number = path, 1
    while (key := _key(free + ending)) in taken or (other and _key(free + other) in taken):
        number += 1
        free = f"{path}~{number}"
    taken.add(key)
    return free


def _key(path: str) -> str:
    """A key that is equal for two paths if some file system treats them as the same."""
    return path.lower() if path.isascii() else unicodedata.normalize("NFC", path).casefold()


def labels_file(file: str) -> str:
    """The label file of an image file: same path, below ``labels/`` instead of ``images/``.

    Examples
    --------
    >>> labels_file("train/P01/a.b.png")
    'train/P01/a.b.txt'
    """
    return f"{file.rpartition('.')[0]}.txt"
