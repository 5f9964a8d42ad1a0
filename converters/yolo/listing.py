"""The images of a YOLO folder of another tool: those that data.yaml names, found as ultralytics finds them."""

from __future__ import annotations

import os
import reprlib
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pcm_leukemia.converters.yolo.description import Description
from pcm_leukemia.converters.yolo.places import Places
from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    DataWarning,
    InvalidExport,
    PcmError,
    Problem,
    option,
)
from pcm_leukemia.files import IMAGE_SUFFIXES, is_image_file
from pcm_leukemia.schema import Image, ImageId, part_named

__all__ = ["Issues", "ListedImage", "compared", "from_description", "with_images"]

_NO_PLACES = frozenset({"path", "names", "nc", "kpt_shape", "kpt_names", "flip_idx", "download", "yaml_file"})
"""Keys of data.yaml that cannot name images; "names" may have a class that is called like a folder."""


@dataclass
class Issues:
    """Problems, which stop the reading, and what the warnings at its end are about."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cut: int = 0
    unlabelled: list[ListedImage] = field(default_factory=list)
    columns: Counter[int] = field(default_factory=Counter)
    """How many rows had how many columns."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image, its part and the file with its labels."""

    image: Image
    part: str
    labels: Path
    diagnosis: str = ""


def from_description(
    said: Description, places: Places, issues: Issues, *, check_images: bool
) -> tuple[Path, list[ListedImage], dict[Path, str]]:
    """The images that a folder's description names.

    Returns
    -------
    tuple
        The folder that holds all images, those that can be read, and the part of every image that is named.

    Raises
    ------
    DataNotFound
        If a folder or list that it names does not exist.
    InvalidExport
        If it names no images, or images by a key that is not a part.
    CorruptFile
        If a list of images cannot be read as text.
    """
    named = _parts(said, places)
    parts = {part: sorted(set(images), key=os.fspath) for part, images in named.items()}
    if not any(parts.values()):
        raise InvalidExport([_nothing(said, places)])
    empty = [part for part, images in parts.items() if not images]
    told = [f"{part} has no image files" for part in empty] + places.elsewhere
    if told:
        issues.notes.append(f"{said.file}: {'; '.join(told)}")
    parts = {part: images for part, images in parts.items() if images}
    if len(parts) > 1 and len({tuple(images) for images in parts.values()}) == 1:
        warnings.warn(
            f"{said.file}: {' and '.join(parts)} are the same images; read without a split",
            DataWarning,
            stacklevel=3,
        )
        parts = {"all": next(iter(parts.values()))}
    root = _root(said.folder, parts.values())
    part_of: dict[Path, str] = {}
    for part, images in parts.items():
        for path in images:
            if path in part_of:
                where = f'{said.file} image "{path.relative_to(root).as_posix()}"'
                what = f"is in {part_of[path]} and in {part}"
                issues.problems.append(Problem(where, what, "leave it in one part"))
            else:
                part_of[path] = part
    images_of = _measured(part_of, root, said.file, issues, check_images=check_images)
    if images_of and root != said.folder.absolute():
        root = _nearest_root(root, places, images_of)
    return (
        root,
        [ListedImage(images_of[path], part_of[path], places.labels(path)) for path in images_of],
        part_of,
    )


# The keys of data.yaml


def _parts(said: Description, places: Places) -> dict[str, list[Path]]:
    """The images of each part.

    Two keys for one part, as "val" and "valid", must name the same images: other tools would read one of them alone.
    """
    if said.undivided is not None:
        return _by_folder(list(_images_of(said.undivided, "images", said, places)), places.root)
    parts: dict[str, tuple[str, list[Path]]] = {}
    problems = []
    for key, value in said.content.items():
        if (part := part_named(key)) and value:
            images = list(_images_of(value, key, said, places))
            other, before = parts.setdefault(part, (key, images))
            if set(before) != set(images):
                what = f'"{other}" and "{key}" name different images, and both are {part}'
                problems.append(Problem(str(said.file), what, "list all of them under one key"))
    read = {image for _, images in parts.values() for image in images}
    for key, value in said.content.items():
        if part_named(key) is None and key not in _NO_PLACES and (place := _unread(value, read, places)):
            what = f'"{key}" names images in {place}, but is not a part'
            fix = "rename the key to train, val or test, or remove it"
            problems.append(Problem(str(said.file), what, fix))
    if problems:
        raise InvalidExport(problems)
    if not parts:
        raise InvalidExport([Problem(str(said.file), "names no images", "write train, val and test")])
    return {part: parts[part][1] for part in ("train", "val", "test") if part in parts}


def _by_folder(images: list[Path], root: Path) -> dict[str, list[Path]]:
    """Images by the part that their folder is named after, if all are in such folders; otherwise without parts."""
    parts: dict[str, list[Path]] = {}
    for image in images:
        inside = image.relative_to(root).parts[:-1] if image.is_relative_to(root) else ()
        steps = [step for step in inside if step != "images"]
        part = part_named(steps[0]) if steps else None
        if part is None:
            return {"all": images}
        parts.setdefault(part, []).append(image)
    return {part: parts[part] for part in ("train", "val", "test") if part in parts}


def _images_of(value: object, key: str, said: Description, places: Places) -> Iterator[Path]:
    """The images of a key: in folders, or in text files that list them."""
    for place in value if isinstance(value, list) else [value]:
        if not isinstance(place, str) or not place.strip():
            fix = "write the path of a folder, of a text file with the paths of images, or of an image"
            raise InvalidExport([Problem(str(said.file), f"{key} is {reprlib.repr(place)}", fix)])
        path = places.folder_or_list(place)
        if path is None:
            raise DataNotFound(
                f"{said.file}: names {place:.200}, but {places.root / place[:200]} does not exist; "
                "correct path, train, val or test, or remove the key"
            )
        yield from places.images(path)


def _unread(value: object, read: set[Path], places: Places, depth: int = 3) -> str | None:
    """The first folder, list or image in a value of data.yaml that has images that are not read; None without any."""
    if isinstance(value, Mapping | list) and depth:
        inner = value.values() if isinstance(value, Mapping) else value
        return next((found for each in inner if (found := _unread(each, read, places, depth - 1))), None)
    if not isinstance(value, str) or not value.strip() or "\n" in value:
        return None
    path = places.there(value)
    if path is None or path == places.folder:
        return None
    images: list[Path] = []
    if path.is_dir() or path.suffix == ".txt" or is_image_file(path.name):
        with suppress(CorruptFile):  # a text that is not UTF-8 is no list
            images = list(places.images(path))
    unread = (image for image in images if image not in read and is_image_file(image.name))
    return value if any(image.is_file() for image in unread) else None


def _nothing(said: Description, places: Places) -> Problem:
    """The problem of a folder where nothing is read."""
    named = {key: value for key, value in said.content.items() if part_named(key)}
    where = said.undivided or ", ".join(f"{value} ({key})" for key, value in named.items())
    where = f"{places.root}" if where == "." else f"{where}, below {places.root}"
    kinds = ", ".join(sorted(IMAGE_SUFFIXES))
    fix = f"export the labels with their images, or name the folder of the images: {option('images_root')}"
    return Problem(str(said.file), f"no image files ({kinds}) in {where}", fix)


# The files


def _root(folder: Path, parts: Iterable[list[Path]]) -> Path:
    """The folder of data.yaml, or the nearest folder above it that holds all images."""
    folders = {str(image.parent) for images in parts for image in images}
    return Path(os.path.commonpath([str(folder.absolute()), *folders]))


def _nearest_root(root: Path, places: Places, images_of: dict[Path, Image]) -> Path:
    """The folder that holds all images if data.yaml is elsewhere; `root` may be the whole disk, with much else in it.

    The files of the images are set to be below it, unless some are links that lead out of it. Ids stay as they are.
    """
    nearest = places.root
    if not all(path.is_relative_to(nearest) for path in images_of):
        nearest = Path(os.path.commonpath([path.parent for path in images_of]))
    real = nearest.resolve()
    if all(path.resolve().is_relative_to(real) for path in images_of):
        for path, image in images_of.items():
            images_of[path] = replace(image, file=path.relative_to(nearest).as_posix())
        return nearest
    return root


def _measured(
    paths: Iterable[Path], root: Path, file: Path, issues: Issues, *, check_images: bool
) -> dict[Path, Image]:
    """The images with the sizes of their files; files that cannot be read are problems.

    With `check_images`, also what `images.measure_files` finds: links that lead elsewhere, turned images, unknown scales.
    """
    from pcm_leukemia.images import measure_files, size

    found: dict[Path, Image] = {}
    missing, there = [], {}
    below = f"{root}{os.sep}".replace(2 * os.sep, os.sep)
    for path in paths:
        place = os.fspath(path)
        name = place.removeprefix(below).replace(os.sep, "/")
        try:
            name.encode()
            if not os.path.exists(place):  # noqa: PTH110 - in half the time of Path.exists
                missing.append(name)
            elif check_images:
                there[path] = name
            else:
                with path.open("rb") as stream:
                    found[path] = Image(ImageId(name), *size(stream, str(path)), file=name)
        except UnicodeEncodeError:
            issues.problems.append(Problem(f"image {name!r}", "its name is not UTF-8", "rename the file"))
        except (PcmError, OSError, ValueError) as error:
            issues.problems.append(Problem(f'image "{name}"', str(error), "then read the folder again"))
    measured, problems = measure_files(there.values(), root)
    issues.problems += problems
    found |= {path: image for path, image in zip(there, measured, strict=True) if image}
    if missing:
        what = f"{len(missing):,} of the images that are listed are not in {root}, for example {missing[0]}"
        fix = (
            f"export the labels with their images, or name the folder of the images: {option('images_root')}"
        )
        issues.problems.append(Problem(str(file), what, fix))
    return found


def compared(listed: Sequence[ListedImage], root: Path, issues: Issues) -> list[ListedImage]:
    """The images with the digests of their files; a file that does not fit its image is a problem."""
    from pcm_leukemia.images import compare_files

    images, problems = compare_files((each.image for each in listed), root)
    issues.problems += problems
    return with_images(listed, images)


def with_images(listed: Iterable[ListedImage], images: Iterable[Image]) -> list[ListedImage]:
    """The list with other images, in the same order."""
    return [replace(each, image=image) for each, image in zip(listed, images, strict=True)]
