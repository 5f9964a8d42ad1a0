"""File names that YOLO's readers and every file system take as they are, each image its own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.files import IMAGE_SUFFIXES, portable_name
from pcm_leukemia.schema import ImageId

__all__ = ["file_names", "labels_file", "part_folders"]

_RESERVED = re.compile(r"(images|con|prn|aux|nul|(com|lpt)\d)(\.|$)", re.IGNORECASE)
"""The folder that ultralytics looks for, and the names that Windows keeps for devices."""


def part_folders(parts: Iterable[str]) -> dict[str, str]:
    """Part -> its folder's name, each different from the others also where case does not count."""
    taken: set[str] = set()
    return {part: _free(_safe(part.replace("/", "_")), "", taken) for part in parts}


def file_names(ds: Dataset, folders: dict[str, str]) -> dict[ImageId, str]:
    """Image -> its file below ``images/``; with .txt for extension, its labels below ``labels/``."""
    places: dict[str, str] = {}
    split: list[tuple[ImageId, str, str, str]] = []
    taken: set[str] = set()
    for image in ds.images:
        above, _, name = image.id.rpartition("/")
        given = f"{ds.part_of(image)}/{above}"
        if given not in places:
            steps = [folders[ds.part_of(image)], *(_safe(step) for step in above.split("/") if above)]
            places[given] = "/".join(steps)
            # a folder may be called as a file is; the file then gives way
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
    """A folder's or file's name that every system and ultralytics takes as it is."""
    name = portable_name(step).strip().rstrip(". ")
    if name.startswith("."):
        name = f"_{name[1:]}"
    return f"_{name}" if not name or _RESERVED.match(name) else name


def _free(path: str, ending: str, taken: set[str], other: str = "") -> str:
    """`path`, numbered if there is such a file already; takes the name with both endings."""
    free, number = path, 1
    while _key(free + ending) in taken or (other and _key(free + other) in taken):
        number += 1
        free = f"{path}~{number}"
    taken.add(_key(free + ending))
    return free


def _key(path: str) -> str:
    """What two paths share if some file system takes one for the other."""
    return path.lower() if path.isascii() else unicodedata.normalize("NFC", path).casefold()


def labels_file(file: str) -> str:
    """The labels of an image file, below ``labels/`` as that is below ``images/``.

    Examples
    --------
    >>> labels_file("train/P01/a.b.png")
    'train/P01/a.b.txt'
    """
    return f"{file.rpartition('.')[0]}.txt"
