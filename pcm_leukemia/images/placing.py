"""Puts image files into an output: copies, links, or copies without metadata."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, ExportError, PcmError, counted, option, some
from pcm_leukemia.execution import ahead
from pcm_leukemia.files import Files, check_placing
from pcm_leukemia.images.comparing import is_changed, warn_of_changed, warn_of_changed_files
from pcm_leukemia.images.metadata import strip_identifiers
from pcm_leukemia.images.passing_on import STRIPPED, MetadataSeen
from pcm_leukemia.images.pixels import files_of, reason, require_content_fit, require_fit
from pcm_leukemia.progress import track
from pcm_leukemia.schema import Image, ImageId

__all__ = ["Placing", "notes_on_depth", "place", "place_all", "unfit"]

Placing = Literal["copy", "hardlink", "symlink"]


def place(files: Files, file: str, target: Path, how: Placing, *, strip: bool = False) -> None:
    """Copy a file to `target`, byte for byte, or link to it; links to an absolute path.

    With `strip`, the copy has the same pixels and no metadata except its orientation; see
    `images.strip_identifiers`.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    ExportError
        If the file cannot be linked, because it is in a zip or a hard link would cross disks; or if `strip` is set
        and it is neither a JPEG nor a PNG.
    CorruptFile
        If `strip` is set and the file is damaged.
    ValueError
        If `strip` is set and `how` is a link.
    """
    source = files.path(file)
    if strip:
        check_placing(how, strip=True)
        target.write_bytes(strip_identifiers(files.read(file), file))
        return
    if how == "copy":
        if source is None:
            target.write_bytes(files.read(file))
        else:
            with files.open(file) as stream, target.open("wb") as out:
                shutil.copyfileobj(stream, out, 1 << 20)
        return
    if source is None:
        kind = "a URL" if files.remote else "a zip"
        raise ExportError(
            f"{files.root}: is {kind}, and images in it cannot be linked to; pass {option('images', 'copy')}"
        )
    if not source.is_file():
        raise DataNotFound(f"{files.root}: has no file {file}; give {option('images_root')}")
    try:
        if how == "hardlink":
            os.link(source.resolve(), target)
        else:
            target.symlink_to(source.resolve())
    except OSError as error:
        raise ExportError(
            f"{source}: cannot be linked ({error.strerror}); pass {option('images', 'copy')}"
        ) from error


def place_all(
    ds: Dataset,
    targets: Mapping[ImageId, Path],
    how: Placing,
    *,
    strip: bool = False,
    hidden: bool = False,
    progress: bool = False,
) -> list[str]:
    """Place each image of `ds` that has a file at its path in `targets`, as `place` does.

    `hidden` says that the data have pseudonyms: then a warning says whether files are placed with metadata.

    Returns
    -------
    list of str
        Notes on the placed images for the report of an export.

    Raises
    ------
    ExportError
        If files are missing or cannot be the annotated images (all of them are listed), or cannot be linked or stripped.
    CorruptFile
        If `strip` is set and a file is damaged.

    Warns
    -----
    DataWarning
        If files are not those that were imported, or data with pseudonyms are placed with metadata.
    """
    files, problems = files_of(ds), dict[str, list[ImageId]]()
    seen = MetadataSeen() if hidden and not strip else None
    with_file = [image for image in ds.images if image.file]
    changed = []
    put = partial(
        _fetch if files.remote and how == "copy" else _place, files, targets, how, strip=strip, seen=seen
    )
    threads = files.threads
    with closing(
        ahead(put, with_file, threads, threads) if files.remote else (put(image) for image in with_file)
    ) as done:
        for image, (error, differs) in zip(
            with_file, track(done, "images", len(with_file), shown=progress), strict=True
        ):
            if error:
                problems.setdefault(reason(image, error), []).append(image.id)
            elif differs:
                changed.append(image.id)
    if problems:
        raise ExportError(unfit(problems))
    if files.remote:
        warn_of_changed(files.root, len(with_file), changed)
    else:
        warn_of_changed_files(with_file, files)
    if seen is not None:
        seen.warn(ds.name, how)
    notes = []
    if strip:
        notes.append(STRIPPED)
    if how == "symlink":
        notes.append(
            "the images are links, which contain the paths of the files and break if these move; copy the images to pass "
            "them on"
        )
    return [*notes, *notes_on_depth(with_file)]


class _Placed(NamedTuple):
    error: PcmError | None = None
    changed: bool = False


def _place(
    files: Files,
    targets: Mapping[ImageId, Path],
    how: Placing,
    image: Image,
    *,
    strip: bool,
    seen: MetadataSeen | None,
) -> _Placed:
    """Place one image, unless its file is missing or cannot be the annotated image."""
    target = targets[image.id]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        require_fit(files, image)
    except (DataNotFound, CorruptFile) as error:
        return _Placed(error)
    place(files, str(image.file), target, how, strip=strip)
    if seen is not None:
        seen.look(files.read(str(image.file)))
    return _Placed()


def _fetch(
    files: Files,
    targets: Mapping[ImageId, Path],
    how: Placing,  # noqa: ARG001 - a copy
    image: Image,
    *,
    strip: bool,
    seen: MetadataSeen | None,
) -> _Placed:
    """`_place` for a remote file, which is read once; says, too, whether it is another than the imported one."""
    target = targets[image.id]
    target.parent.mkdir(parents=True, exist_ok=True)
    file = str(image.file)
    try:
        data = files.read(file)
        require_content_fit(data, image)
    except (DataNotFound, CorruptFile) as error:
        return _Placed(error)
    target.write_bytes(strip_identifiers(data, file) if strip else data)
    if seen is not None:
        seen.look(data)
    return _Placed(changed=is_changed(data, image))


def unfit(problems: Mapping[str, Sequence[ImageId]]) -> str:
    """The message about files that cannot be the annotated images: one line for each reason, with its images.

    Examples
    --------
    >>> unfit({"in.zip: is cut short": [ImageId("a.png"), ImageId("b.png")]})
    'image "a.png" and 1 more: in.zip: is cut short'
    """
    return some(
        f'image "{ids[0]}"{f" and {len(ids) - 1:,} more" if ids[1:] else ""}: {what}'
        for what, ids in problems.items()
    )


def notes_on_depth(images: Iterable[Image]) -> list[str]:
    """A note for the report of an export that holds image files as they are, if other programs may show some as black."""
    deep = sum(image.file is not None and image.white_level is not None for image in images)
    if not deep:
        return []
    said = f"{counted(deep, 'image')} with more than 8 bits a channel, some of them unused, which other programs may show black"
    return [f"{said}; save them with 8 bits a channel first"]
