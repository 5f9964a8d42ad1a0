"""The file that describes a YOLO folder: data.yaml, obj.data of Darknet and CVAT, or classes.txt with the names alone."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcm_leukemia.errors import CorruptFile, DataNotFound, InvalidExport, Problem

__all__ = ["FILES", "Description", "describes", "find", "others", "read"]

_YAML = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_DARKNET = "obj.data"
_NAMES = ("classes.txt", "labels/classes.txt", "obj.names")
"""Files of names in folders without a list of parts: of Label Studio and labelImg, and of FiftyOne (YOLOv4)."""
FILES = frozenset((*_YAML, _DARKNET))
"""The files that make a folder a YOLO data set of its own."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a folder says of itself, with the keys of data.yaml.

    `file` is in `folder` or below it. `undivided` is the folder or list with all images, if no parts are named.
    """

    file: Path
    folder: Path
    content: Mapping[str, Any]
    undivided: str | None = None


_LARGEST = 2**20
"""Bytes of a data.yaml that are read: PyYAML would take minutes for many more."""


def find(folder: Path) -> Path | None:
    """The file that describes a folder, judged by names only; None if it has none."""
    for name in (*_YAML, _DARKNET):
        if (folder / name).is_file():
            return folder / name
    has_labels = any((folder / place).is_dir() for place in ("labels", "train/labels"))
    if has_labels and len(others := sorted(folder.glob("*.y*ml"))) == 1:
        return others[0]
    for name in _NAMES:
        if (folder / name).is_file() and (has_labels or _labels_beside(folder)):
            return folder / name
    return None


def others(said: Description, folders: Iterable[Path]) -> Iterator[Description]:
    """What other files beside a description, or in `folders`, say of the classes; those that cannot be read are left out."""
    places = {said.folder / name for name in (*_YAML, *_NAMES)} | {folder / _NAMES[0] for folder in folders}
    for file in sorted(places - {said.file}):
        if file.is_file():
            with suppress(CorruptFile):
                yield read(file)


def _labels_beside(folder: Path) -> bool:
    """Whether a folder has text files that are named like another file in it, or a list of images."""
    stems: dict[str, set[str]] = {}
    for path in folder.iterdir():
        stems.setdefault(path.stem, set()).add(path.suffix.lower())
    return (folder / "images.txt").is_file() or any(
        ".txt" in suffixes and len(suffixes) > 1 for suffixes in stems.values()
    )


def describes(path: Path) -> bool:
    """Whether a path is a file that describes a YOLO folder, a folder with one, or a zip of such a folder."""
    if path.is_dir():
        return find(path) is not None
    return path.suffix.lower() in (".yaml", ".yml") or path.name == _DARKNET or _in_zip(path) is not None


def _in_zip(path: Path) -> str | None:
    """The file in a zip that describes a YOLO folder."""
    if path.suffix.lower() != ".zip":
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile):
        return None
    if any(name.lower().endswith(".xml") for name in names):
        return None
    usual = (*_YAML, _DARKNET, *_NAMES)
    return next((name for name in names if name.rpartition("/")[2] in usual), None)


def read(path: Path) -> Description:
    """Read the description of a folder, or the given file.

    Raises
    ------
    DataNotFound
        If there is none, or the path is a zip.
    CorruptFile
        If it cannot be read.
    """
    if inner := _in_zip(path) if path.is_file() else None:
        raise DataNotFound(f"{path}: is a zip of a YOLO folder ({inner}); unzip it and give the folder")
    file = find(path) or path / "data.yaml" if path.is_dir() else path
    if not file.is_file():
        raise DataNotFound(f"{file}: no such file; give a YOLO folder that has a data.yaml, or that file")
    if file.name == _DARKNET:
        return Description(file, file.parent, _darknet(file))
    if file.suffix == ".txt" or file.name == "obj.names":
        folder = file.parent.parent if file.parent.name == "labels" else file.parent
        place = next((name for name in ("images", "images.txt") if (folder / name).exists()), ".")
        return Description(file, folder, {"names": _lines(file)}, place)
    return Description(file, file.parent, _yaml(file))


def _yaml(file: Path) -> dict[str, Any]:
    import yaml  # here, because most commands need none

    wrong = "is not valid YAML; write train, val and names"
    if file.stat().st_size > _LARGEST:
        raise CorruptFile(f"{file}: has more than {_LARGEST:,} bytes; write train, val and names")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise CorruptFile(f"{file}:{mark.line + 1}: {wrong}" if mark else f"{file}: {wrong}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{file}: cannot be read ({error}); write it as UTF-8") from error
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        raise CorruptFile(f"{file}: {wrong}") from error  # a date that does not exist, too many brackets
    if not isinstance(content, dict):
        raise CorruptFile(f"{file}: has no keys; write train, val and names")
    return {str(key) if isinstance(key, str | int | float) else repr(key): content[key] for key in content}


def _darknet(file: Path) -> dict[str, Any]:
    """The keys of obj.data, with the names in place of the file that lists them.

    CVAT writes ``data/`` before each path, whose folder is not in the export.
    """
    pairs = [line.partition("=") for line in _lines(file)]
    content: dict[str, Any] = {
        key.strip(): value.strip()
        for key, equals, value in pairs
        if equals and key.strip() not in ("classes", "backup", "eval", "results")
    }
    listed = str(content.pop("names", "obj.names")).replace("\\", "/")
    places = (
        file.parent / listed,
        file.parent / listed.removeprefix("data/"),
        file.parent / Path(listed).name,
    )
    names = next((place for place in places if _is_file(place)), None)
    if names is None:
        raise InvalidExport(
            [Problem(str(file), f"names {listed}, which does not exist", "add the list of names")]
        )
    return {**content, "names": _lines(names)}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _lines(file: Path) -> list[str]:
    """The lines of a text file that are not empty.

    Raises
    ------
    CorruptFile
        If it is not UTF-8.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise CorruptFile(f"{file}: cannot be read ({error}); write it as UTF-8") from error
    return [line.strip() for line in lines if line.strip()]
