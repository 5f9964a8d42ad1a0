"""Which JSON files of a folder or zip are one data set, of which part each is, and where its images are.

Read are the files in ``annotations/`` (ours, CVAT, the official tree, MMDetection); or else those beside the folder's own
images (Label Studio, FiftyOne); or else those one folder below (Roboflow: ``train/``, ``valid/`` and ``test/``).
"""

from __future__ import annotations

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
    is_image_file,
    open_container,
    open_zip,
    written_as,
)
from pcm_leukemia.schema import part_named

__all__ = ["Layout", "Source", "in_folder", "layout_of", "named_part", "recognises"]

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
    """The JSON files to read, and all other files below the root of a folder or zip.

    `others` are JSON files that are not read; `images` are image files. Both are empty if one JSON file was named, and
    `whole` is then False.
    """

    container: Container
    sources: list[Source]
    others: list[str]
    images: list[str]
    whole: bool


def in_folder(paths: Iterable[str]) -> list[str]:
    """The JSON files to read among the paths of all files of a folder."""
    levels: dict[int, list[str]] = {1: [], 2: [], 3: []}
    for path in sorted(paths):
        folders = [folder.casefold() for folder in PurePosixPath(path).parts[:-1]]
        if folders == ["annotations"]:
            levels[1].append(path)
        elif not folders:
            levels[2].append(path)
        elif len(folders) == 1 or (len(folders) == 2 and folders[1] == "annotations"):
            levels[3].append(path)
    return levels[1] or levels[2] or levels[3]


def layout_of(path: Path) -> Layout:
    """Find the JSON files of a data set.

    Raises
    ------
    DataNotFound
        If there is none.
    """
    if path.is_file() and path.suffix.lower() != ".zip":
        inside = path.absolute().parent.name.casefold() == "annotations"
        container = open_container(path.absolute().parent.parent if inside else path)
        file = f"{path.absolute().parent.name}/{path.name}" if inside else path.name
        subset = _subset(file, below=False)
        base = _BESIDE if container.listing(_BESIDE) else ""
        return Layout(container, [Source(file, path.name, base, subset, None)], [], [], whole=False)
    if not path.exists():
        raise DataNotFound(f"{path}: no COCO file in it or in its annotations/; give a .json file")
    container = open_container(path)
    paths = [each for each in container.paths(lambda _: True) if not _is_hidden(each)]
    jsons = [each for each in paths if each.lower().endswith(".json") and not container.refuses(each)]
    files = in_folder(jsons)
    if not files and not container.problems:
        raise DataNotFound(f"{path}: no COCO file in it or in its annotations/; give a .json file")
    images = [each for each in paths if is_image_file(each)]
    chosen = set(files)
    others = [each for each in jsons if each not in chosen]
    return Layout(container, _sources(files, images, container), others, images, whole=True)


def _sources(files: list[str], images: list[str], container: Container) -> list[Source]:
    below = all("/" in file and not file.casefold().startswith("annotations/") for file in files)
    subsets = {file: _subset(file, below=below) for file in files}
    repeated = {subset for subset, count in Counter(subsets.values()).items() if count > 1}
    subsets = {
        file: str(PurePosixPath(file).with_suffix("")) if subset in repeated else subset
        for file, subset in subsets.items()
    }
    tops = {_top(image) for image in images}
    sources = []
    parts = {file: named_part(subset) for file, subset in subsets.items()}
    for file, subset in subsets.items():
        part = parts[file] or (None if len(files) == 1 or below else _unnumbered(file, files))
        base = PurePosixPath(file).parts[0] if below else ""
        base = next((each for each in (f"{base}/{_BESIDE}".strip("/"),) if container.listing(each)), base)
        alike = [top for top in sorted(tops) if parts[file] and named_part(top) == parts[file]]
        folder = subset if subset in tops or not alike else alike[0]
        sources.append(Source(file, file if below else PurePosixPath(file).name, base, folder, part))
    return sources


def _top(image: str) -> str:
    """The folder that an image is in, at the root or in ``images/``."""
    steps = PurePosixPath(image).parts[:-1]
    steps = steps[1:] if steps[:1] == ("images",) else steps
    return steps[0] if steps else ""


def _subset(file: str, *, below: bool) -> str:
    """What a tool calls the images of a file."""
    path = PurePosixPath(file)
    return path.parts[0] if below else re.sub(r"^instances_", "", path.stem) or path.stem


def _unnumbered(file: str, files: list[str]) -> str:
    """The name of a part that is none of the three: that of the file, without a number that tells nothing."""
    short = [re.sub(r"^instances_|_?\d+$", "", PurePosixPath(each).stem) for each in files]
    mine = short[files.index(file)]
    return mine if mine and short.index(mine) == files.index(file) else PurePosixPath(file).stem


def named_part(name: str) -> str | None:
    """The part that a word in a name is called after, if only one is.

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
    return steps[-1] == MARKER or any(step.startswith(".") or step == "__MACOSX" for step in steps)


def recognises(path: Path) -> bool:
    """Whether a path is a JSON file, or a folder or zip with JSON files where COCO has them.

    JSON files next to XML files are ignored: they belong to an export in another format.
    """
    if path.is_file():
        return path.suffix.lower() == ".json" or _is_zip_of_json(path)
    if not path.is_dir() or written_as(path) not in ("", "coco") or _has(path, "*.[xX][mM][lL]"):
        return False
    if _has(path, "annotations/*.json") or _has(path, "*.json"):
        return True
    found = (file.relative_to(path).as_posix() for pattern in _BELOW for file in path.glob(pattern))
    return not _has(path, "*/*.[xX][mM][lL]") and any(map(_is_called_coco, found))


_BELOW = ("*/*.json", "*/annotations/*.json")


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
    files = in_folder(name for name in names if name.lower().endswith(".json"))
    return any(named_part(file) or _is_called_coco(file) for file in files)
