"""Which JSON files of a folder or zip are one data set, the part of each, and where its images are.

Read are the files in ``annotations/`` (ours, CVAT, the official tree, MMDetection); or else those beside the folder's own
images (Label Studio, FiftyOne); or else those one folder below (Roboflow: ``train/``, ``valid/`` and ``test/``).
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pcm_leukemia.errors import DataNotFound
from pcm_leukemia.files import (
    BAD_FILE,
    MARKER,
    Container,
    is_hidden,
    is_image_file,
    open_container,
    open_zip,
    written_as,
)
from pcm_leukemia.schema import part_named

__all__ = [
    "Layout",
    "Source",
    "layout_of",
    "named_part",
    "parts_without_file",
    "recognises",
    "sources_of",
    "where_of",
]

_BESIDE = "data"
"""FiftyOne's folder of images, beside its labels.json."""


@dataclass(frozen=True, slots=True)
class Source:
    """A JSON file of the data set.

    `file` is its path below the root, `base` the folder below the root where its images may be, `subset` what tells its
    images from those of other files, as the tool spells it, and `part` the part of the split.
    """

    file: str
    where: str
    base: str
    subset: str
    part: str | None


@dataclass(frozen=True, slots=True)
class Layout:
    """The JSON files and the image files of a folder or zip, as paths below its root.

    The files of the first of the `levels` that has COCO files are the data set. If one JSON file was named, it is the only
    one, and `whole` is False.
    """

    container: Container
    levels: list[list[str]]
    jsons: list[str]
    images: list[str]
    whole: bool


def layout_of(path: Path) -> Layout:
    """Find the JSON files that may be a data set.

    Raises
    ------
    DataNotFound
        If there is none.
    """
    if path.is_file() and path.suffix.lower() != ".zip":
        inside = path.absolute().parent.name.casefold() == "annotations"
        container = open_container(path.absolute().parent.parent if inside else path)
        file = f"{path.absolute().parent.name}/{path.name}" if inside else path.name
        return Layout(container, [[file]], [file], [], whole=False)
    nothing = f"{path}: no COCO file in it or in its annotations/; give a .json file"
    if not path.exists():
        raise DataNotFound(nothing)
    container = open_container(path)
    paths = [each for each in container.paths(lambda _: True) if not _is_hidden(each)]
    jsons = [each for each in paths if each.lower().endswith(".json") and not container.refuses(each)]
    levels = levels_of(jsons)
    if not levels and not container.problems:
        raise DataNotFound(nothing)
    return Layout(container, levels, jsons, [each for each in paths if is_image_file(each)], whole=True)


def levels_of(paths: Iterable[str]) -> list[list[str]]:
    """The JSON files in ``annotations/``, those at the top, and those one folder below, without levels that have none."""
    levels: list[list[str]] = [[], [], []]
    for path in sorted(paths):
        folders = [folder.casefold() for folder in PurePosixPath(path).parts[:-1]]
        if folders == ["annotations"]:
            levels[0].append(path)
        elif not folders:
            levels[1].append(path)
        elif len(folders) == 1 or folders[1:] == ["annotations"]:
            levels[2].append(path)
    return [level for level in levels if level]


def where_of(file: str) -> str:
    """The name of a JSON file in messages."""
    return file if _is_below(file) else PurePosixPath(file).name


def sources_of(files: list[str], layout: Layout) -> list[Source]:
    """What the file names of one level say. A single file that is not named after a part is no split."""
    subsets = {file: _subset(file) for file in files}
    counts = Counter(subsets.values())
    subsets = {
        file: str(PurePosixPath(file).with_suffix("")) if counts[subset] > 1 else subset
        for file, subset in subsets.items()
    }
    folders = {_top(image) for image in layout.images}
    sources = []
    for file, subset in subsets.items():
        named = named_part(subset) if layout.whole else None
        part = named or (None if len(files) == 1 or _is_below(file) else _unnumbered(file, files))
        base = PurePosixPath(file).parts[0] if _is_below(file) else ""
        own = f"{base}/images/{PurePosixPath(file).stem.removeprefix('instances_')}"  # as CVAT has it
        inner = (f"{base}/{_BESIDE}".strip("/"), own.strip("/"))
        alike = sorted(folder for folder in folders if named and named_part(folder) == named)
        folder = subset if subset in folders or not alike else alike[0]
        sources.append(
            Source(file, where_of(file), next(filter(layout.container.listing, inner), base), folder, part)
        )
    return sources


def _is_below(file: str) -> bool:
    """Whether a JSON file is in a folder other than ``annotations/``."""
    return "/" in file and PurePosixPath(file).parts[0].casefold() != "annotations"


def _top(image: str) -> str:
    """The folder that an image is in, at the root or in ``images/``."""
    steps = PurePosixPath(image).parts[:-1]
    steps = steps[1:] if steps[:1] == ("images",) else steps
    return steps[0] if steps else ""


def _subset(file: str) -> str:
    """What a tool calls the images of a file."""
    path = PurePosixPath(file)
    return path.parts[0] if _is_below(file) else re.sub(r"^(instances|person_keypoints)_", "", path.stem)


def _unnumbered(file: str, files: list[str]) -> str:
    """The name of a part other than train, val and test: that of the file, without a number that only counts."""
    short = [re.sub(r"^instances_|_?\d+$", "", PurePosixPath(each).stem) for each in files]
    mine = short[files.index(file)]
    return mine if mine and short.index(mine) == files.index(file) else PurePosixPath(file).stem


def named_part(name: str) -> str | None:
    """The part that words in a name stand for, if it is only one.

    Examples
    --------
    >>> named_part("instances_train2017"), named_part("_annotations.coco.valid"), named_part("test-dev"), named_part("P1")
    ('train', 'val', None, None)
    """
    parts = {part_named(word) for word in re.split(r"[\W\d_]+", name)} - {None}
    return parts.pop() if len(parts) == 1 else None


def _is_hidden(path: str) -> bool:
    """Whether a file is an operating system's or our own record."""
    steps = PurePosixPath(path).parts
    return steps[-1] == MARKER or any(map(is_hidden, steps))


def parts_without_file(layout: Layout) -> list[str]:
    """The parts that have images according to `write`'s record, but no JSON file."""
    try:
        record = json.loads((Path(str(layout.container.root)) / MARKER).read_text(encoding="utf-8"))
        counted = dict(record["images"]) if layout.whole and record["format"] == "coco" else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [
        part for part, images in counted.items() if images and f"annotations/{part}.json" not in layout.jsons
    ]


def recognises(path: Path) -> bool:
    """Whether a path is a JSON file, or a folder or zip with JSON files where COCO has them.

    JSON files next to XML files are ignored: they belong to an export in another format.
    """
    if path.is_file():
        return path.suffix.lower() == ".json" or _is_zip_of_json(path)
    if not path.is_dir() or written_as(path) not in ("", "coco") or _has(path, "*.[xX][mM][lL]"):
        return False
    if _has(path, f"{_ANNOTATIONS}/{_JSON}") or _has(path, _JSON):
        return True
    found = (file.relative_to(path).as_posix() for pattern in _BELOW for file in path.glob(pattern))
    return not _has(path, "*/*.[xX][mM][lL]") and any(map(_is_called_coco, found))


_JSON, _ANNOTATIONS = "*.[jJ][sS][oO][nN]", "[aA]nnotations"
_BELOW = (f"*/{_JSON}", f"*/{_ANNOTATIONS}/{_JSON}")


def _has(folder: Path, pattern: str) -> bool:
    return any(file.name != MARKER for file in folder.glob(pattern))


def _is_called_coco(file: str) -> bool:
    """Whether the name of a JSON file below a folder, or the folder's, is one that COCO files have."""
    if _is_hidden(file):
        return False
    path = PurePosixPath(file)
    usual = re.search(r"coco|instances|annotations|labels|result", path.stem.casefold())
    return usual is not None or named_part(path.parts[0]) is not None


def _is_zip_of_json(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    try:
        with open_zip(path) as archive:
            names = [name for name in archive.namelist() if not _is_hidden(name)]
    except BAD_FILE:
        return False
    if any(name.lower().endswith((".xml", ".yaml", ".csv")) for name in names):
        return False
    files = [
        file
        for level in levels_of(name for name in names if name.lower().endswith(".json"))
        for file in level
    ]
    return any(named_part(file) or _is_called_coco(file) for file in files)
