"""The images of a YOLO folder: from the images.csv that `write` left, or as ultralytics finds them."""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pcm_leukemia.converters.yolo.names import labels_file
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, InvalidExport, PcmError, Problem, some
from pcm_leukemia.files import IMAGE_SUFFIXES, MARKER
from pcm_leukemia.schema import Image, ImageId, PatientId

__all__ = [
    "TABLE",
    "Issues",
    "ListedImage",
    "at_images_root",
    "from_data_yaml",
    "from_table",
    "marker",
    "warn_of_strays",
]

TABLE = ("file", "image", "part", "width", "height", "patient", "diagnosis")
"""The columns of images.csv."""


@dataclass
class Issues:
    """Problems, which stop the reading, and counts for the warnings at its end."""

    problems: list[Problem] = field(default_factory=list)
    cut: int = 0
    unlabelled: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image, its part and the file with its labels."""

    image: Image
    part: str
    labels: Path
    diagnosis: str = ""


# Folders that `write` wrote


def marker(folder: Path) -> dict[str, Any]:
    """The record that `write` left in the folder; empty if another tool made the folder."""
    try:
        mark = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    ours = isinstance(mark, dict) and mark.get("format") == "yolo" and (folder / "images.csv").is_file()
    return mark if ours else {}


def from_table(folder: Path, issues: Issues) -> Iterator[ListedImage]:
    """The images in images.csv; a file that is not listed there is a problem.

    Raises
    ------
    CorruptFile
        If the columns are not `TABLE`.
    """
    table = folder / "images.csv"
    here = {kind: set(_walk(folder / kind)) for kind in ("images", "labels")}
    expected = set()
    with table.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        if tuple(next(rows, ())) != TABLE:
            raise CorruptFile(f"{table}: its columns are not {', '.join(TABLE)}; convert the data again")
        for row in rows:
            try:
                listed = _listed_image(row, folder, here["images"])
            except ValueError as error:
                where = f"{table}:{rows.line_num}"
                issues.problems.append(Problem(where, f"cannot be read ({error})", "convert the data again"))
                continue
            expected.add(row[0])
            yield listed
    strays = [f"images/{file}" for file in here["images"] - expected if _is_image(file)]
    labels = {labels_file(file) for file in expected}
    strays += [f"labels/{file}" for file in here["labels"] - labels if file.endswith(".txt")]
    fix = "add images to the export and convert it again"
    issues.problems += [Problem(f"{folder}/{file}", "is not in images.csv", fix) for file in sorted(strays)]


def _listed_image(row: list[str], folder: Path, images: set[str]) -> ListedImage:
    file, name, part, width, height, patient, diagnosis = row
    image = Image(
        ImageId(name),
        int(width),
        int(height),
        PatientId(patient) if patient else None,
        file=file if file in images else None,
        diagnosis=diagnosis if not patient else None,
    )
    return ListedImage(image, part, folder / "labels" / labels_file(file), diagnosis)


def at_images_root(
    images_root: str | Path, listed: list[ListedImage], issues: Issues
) -> tuple[Path, list[ListedImage]]:
    """The folder or zip with the images, and the list with the path of each image in it."""
    from pcm_leukemia.images import find_at

    images, root, problems = find_at([each.image for each in listed], images_root)
    issues.problems += problems
    return root, [replace(each, image=image) for each, image in zip(listed, images, strict=True)]


# Folders of other tools


def from_data_yaml(
    content: dict[str, Any], file: Path, base: object, issues: Issues
) -> tuple[Path, list[ListedImage]]:
    """The folder that holds all images, and the images that data.yaml names, found as ultralytics finds them.

    Raises
    ------
    DataNotFound
        If data.yaml names a folder or list that does not exist.
    InvalidExport
        If it names no images.
    """
    keys = {"train": "train", "val": "val" if "val" in content else "validation", "test": "test"}
    parts = {
        part: sorted(set(_image_files(content[key], file, base)))
        for part, key in keys.items()
        if content.get(key)
    }
    if not parts:
        raise InvalidExport([Problem(str(file), "names no images", "write train, val and test")])
    if len(parts) > 1 and len({tuple(images) for images in parts.values()}) == 1:
        warnings.warn(
            f"{file}: {' and '.join(parts)} are the same images; read without a split",
            DataWarning,
            stacklevel=3,
        )
        parts = {"all": next(iter(parts.values()))}
    root = _root(file, parts.values())
    seen: dict[Path, str] = {}
    listed = []
    for part, images in parts.items():
        for path in images:
            if path in seen:
                where = f'{file} image "{path.relative_to(root).as_posix()}"'
                what = f"is in {seen[path]} and in {part}"
                issues.problems.append(Problem(where, what, "leave it in one part"))
                continue
            seen[path] = part
            image = _measured(path, root, issues)
            if image:
                listed.append(ListedImage(image, part, _labels_of(path)))
    return root, listed


def _measured(path: Path, root: Path, issues: Issues) -> Image | None:
    """An image with the size from its header; None if the file cannot be read, which is a problem."""
    from pcm_leukemia.images import size

    name = path.relative_to(root).as_posix()
    try:
        with path.open("rb") as stream:
            width, height = size(stream, str(path))
        return Image(ImageId(name), width, height, file=name)
    except (PcmError, OSError) as error:
        issues.problems.append(Problem(f'image "{name}"', str(error), "then read the folder again"))
        return None


def _image_files(places: object, file: Path, base: object) -> Iterator[Path]:
    """The images in folders, or in text files that list them."""
    top = file.parent.absolute()
    root = top / str(base) if base and (top / str(base)).is_dir() else top
    for place in places if isinstance(places, list) else [places]:
        path = _normal(root / str(place))
        if not path.exists() and str(place).startswith("../"):
            path = _normal(root / str(place)[3:])  # the layout of Roboflow's exports
        if path.is_dir():
            yield from (path / name for name in _walk(path) if _is_image(name) and "/." not in f"/{name}")
        elif path.is_file():
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            names = [line.strip() for line in lines if line.strip()]
            yield from (_normal((path.parent if name.startswith("./") else root) / name) for name in names)
        else:
            raise DataNotFound(
                f"{file}: names {place}, but {path} does not exist; correct path, train, val or test"
            )


def _normal(path: Path) -> Path:
    """`path` with ".." resolved and links left alone."""
    return Path(os.path.normpath(path))


def _root(file: Path, parts: Iterable[list[Path]]) -> Path:
    """The folder of data.yaml, or the nearest folder above it that holds all images."""
    folders = {str(image.parent) for images in parts for image in images}
    return Path(os.path.commonpath([str(file.parent.absolute()), *folders]))


def _labels_of(image: Path) -> Path:
    """Where ultralytics looks for the labels of an image."""
    above, images, below = image.as_posix().rpartition("/images/")
    return Path(f"{above}/labels/{below}" if images else below).with_suffix(".txt")


def warn_of_strays(listed: list[ListedImage]) -> None:
    """Warn of label files that belong to no image, in the folders with label files."""
    labels = {each.labels for each in listed}
    folders = sorted({path.parent for path in labels if path.parent.is_dir()})
    beside = (file for folder in folders for file in sorted(folder.glob("*.txt")))
    strays = [str(file) for file in beside if file not in labels and file.name != "classes.txt"]
    if strays:
        text = (
            f"{len(strays):,} label files belong to no image that data.yaml names, and are ignored:\n"
            f"{some(strays, 5)}"
        )
        warnings.warn(text, DataWarning, stacklevel=3)


def _walk(folder: Path) -> Iterator[str]:
    """The POSIX paths of all files below a folder."""
    for above, _, files in os.walk(folder):
        inside = Path(above).relative_to(folder).as_posix()
        yield from files if inside == "." else (f"{inside}/{file}" for file in files)


def _is_image(file: str) -> bool:
    return PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES
