"""The image files of a COCO data set: found, measured where no size is given, compared, and those that are not read."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pcm_leukemia.converters.coco.layout import Layout, Source, named_part
from pcm_leukemia.converters.coco.refused import Refused
from pcm_leukemia.converters.coco.rows import CocoRow
from pcm_leukemia.errors import PcmError, Problem, counted, option
from pcm_leukemia.files import BAD_FILE, Files, count_unlisted, find_images, is_image_file, open_container
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import Image, ImageId

__all__ = ["Listed", "find_files", "measured", "named_apart", "refuse_unread_files"]


@dataclass(slots=True)
class Listed:
    """A row of ``images``.

    `key` is its id in the JSON file, `id` its id in the data set, and `file` the path of its image file below the root.
    """

    index: int
    source: Source
    row: CocoRow
    key: object
    name: str
    id: ImageId
    file: str | None = None

    @property
    def where(self) -> str:
        """Its place in messages."""
        return f"{self.source.where} images[{self.index}]"


def named_apart(listed: Sequence[Listed]) -> bool:
    """Put the subset before the name of each image in its id, if two files list images of one name.

    Otherwise the name is the id. Returns whether ids were changed.
    """
    sources: dict[str, Source] = {}
    if all(sources.setdefault(each.name, each.source) is each.source for each in listed):
        return False
    for each in listed:
        each.id = ImageId(f"{each.source.subset or each.source.part}/{each.name}")
    return True


@dataclass(frozen=True, slots=True)
class Found:
    """The root of the image files, and the problems: images without a file, and files that several images share."""

    root: Place
    missing: list[Problem]
    shared: list[Problem]


def find_files(
    listed: Sequence[Listed], layout: Layout, images_root: str | Place | None, *, links: bool
) -> Found:
    """Set the `file` of each image that has one.

    Parameters
    ----------
    listed
        The images, whose ids are unique.
    layout
        Where the JSON files are.
    images_root
        Where to look for the images instead.
    links
        Whether images below ``images/`` may be links that lead elsewhere, as `write` makes them.
    """
    container = layout.container if images_root is None else open_container(images_root)
    root = container.root.absolute()
    if links and listed and _is_link(root / "images" / listed[0].name):
        for each in listed:
            each.file = f"images/{each.name}" if _is_link(root / "images" / each.name) else None
        return _below_images(listed, Found(root, [], []))
    if images_root is None and layout.whole and not layout.images:
        return Found(root, list(container.problems), [])
    wanted = [Image(each.id, 1, 1, name=each.name, subset=each.source.subset) for each in listed]
    bases = {each.id: each.source.base for each in listed if each.source.base} if images_root is None else {}
    found, problems = find_images(wanted, container, bases, required=images_root is not None)
    for each, image in zip(listed, found, strict=True):
        if image.file is not None and not _is_of_another_part(image.file, each):
            each.file = image.file
    absent = {f'image "{image.id}"' for image in found if image.file is None}
    problems = [problem for problem in problems if problem.where in absent]
    if images_root is not None or any(each.file for each in listed):
        fix = f"add the file, or name another folder: {option('images_root')}"
        problems += [
            Problem(f'image "{each.id}"', f"has no file in {root}: {image.file} is that of another part", fix)
            for each, image in zip(listed, found, strict=True)
            if image.file is not None and each.file is None
        ]
    if images_root is None and listed and not any(each.file for each in listed):
        problems += _none_found(listed, layout)
    problems += container.problems
    result = Found(root, problems, _shared(listed))
    return result if images_root is not None else _below_images(listed, result)


def _none_found(listed: Sequence[Listed], layout: Layout) -> list[Problem]:
    """The problem of a data set without a file for any image, although there are image files."""
    files = layout.images
    if not layout.whole:  # what else is beside a single file may not belong to it
        near = {"images", "data", *(each.source.subset.casefold() for each in listed)}
        paths = layout.container.paths(lambda name: name.casefold() in near)
        files = [path for path in paths if path.partition("/")[0].casefold() in near and is_image_file(path)]
    if not files:
        return []
    what = f'no image has a file, "{listed[0].name}" for example; {count_unlisted(files)}'
    fix = f"compare their names with those in the JSON, or name another folder: {option('images_root')}"
    return [Problem(str(layout.container.root), what, fix)]


def _below_images(listed: Sequence[Listed], found: Found) -> Found:
    """With ``images/`` as the root, if all files are in it."""
    files = [each.file for each in listed if each.file is not None]
    if not files or not found.root.is_dir() or not all(file.startswith("images/") for file in files):
        return found
    for each in listed:
        each.file = each.file and each.file.removeprefix("images/")
    return replace(found, root=found.root / "images")


def _is_link(path: Place) -> bool:
    return isinstance(path, Path) and os.path.islink(path)  # noqa: PTH114 - False for a name that no file can have


def _is_of_another_part(file: str, listed: Listed) -> bool:
    """Whether a file lies in the folder of another part than the JSON file is named after."""
    part = named_part(listed.source.subset)
    folders = file.split("/")[: -listed.name.count("/") - 1]
    return part is not None and any(named_part(folder) not in (None, part) for folder in folders)


def _shared(listed: Sequence[Listed]) -> list[Problem]:
    """The problems of files that are those of several images: one for each pair of JSON files."""
    first: dict[str, Listed] = {}
    pairs: defaultdict[tuple[Source, Source], list[tuple[Listed, Listed]]] = defaultdict(list)
    for each in listed:
        if each.file is not None and (other := first.setdefault(each.file, each)) is not each:
            pairs[other.source, each.source].append((other, each))
    return [_of_both(*sources, images) for sources, images in pairs.items()]


def _of_both(one: Source, other: Source, images: list[tuple[Listed, Listed]]) -> Problem:
    before, here = images[0]
    number = f"{len(images):,} images are" if len(images) > 1 else "1 image is"
    if one is other:
        what = f'{number} listed twice, the first is {here.file}, as "{before.name}" and "{here.name}"'
        return Problem(other.where, what, "list each file once")
    both = f"{number} also in {one.where}, the first is {here.file}"
    if one.part == other.part:
        return Problem(other.where, both, "list each file once, or give one of the two JSON files")
    what = f"{both}: one file in two parts, {one.part} and {other.part}, is a leak"
    return Problem(other.where, what, "take these images out of one of the parts")


def measured(listed: Listed, files: Files) -> tuple[int, int]:
    """The size of an image from the header of its file.

    Raises
    ------
    Refused
        If it has no file, or one that cannot be read.
    """
    from pcm_leukemia.images import size

    if listed.file is None:
        given = " x ".join(str(listed.row.get(side)) for side in ("width", "height"))
        raise Refused(f"its size is {given}, and there is no file to measure", "give pixels, 1 or more")
    try:
        with files.open(listed.file) as stream:
            return size(stream, listed.file)
    except (PcmError, *BAD_FILE) as error:
        raise Refused(
            f"has no size, and its file cannot be measured ({error})", "give width and height"
        ) from error


def refuse_unread_files(layout: Layout, files: Iterable[str | None]) -> list[Problem]:
    """The problems of folders that are named after a part, if none of their images is read.

    Other image files that no JSON file lists are counted by `import` and `check`.
    """
    read = {file for file in files if file}
    if not read:
        return []
    if not read & set(layout.images):  # their root is images/
        read = {f"images/{file}" for file in read}
    folders = set(map(_folder_of_part, read))
    unread = Counter(
        folder for image in layout.images if (folder := _folder_of_part(image)) and folder not in folders
    )
    root = layout.container.root
    return [
        Problem(
            str(root / folder),
            f"has {counted(count, 'image')} that no COCO file lists",
            "add the file with their annotations, or move them elsewhere",
        )
        for folder, count in sorted(unread.items())
    ]


def _folder_of_part(file: str) -> str:
    """The folder above a file that is named after a part, or an empty text."""
    steps = file.split("/")[:-1]
    depth = next((depth for depth, step in enumerate(steps, 1) if named_part(step)), 0)
    return "/".join(steps[:depth])
