"""Compares image files with the rows of a data set, and records what the files say about themselves.

Headers are read, and nothing is decoded, with two exceptions. Whether the scale of an image of more than 8 bits a channel is
known can depend on its pixels, and a file that does not end as it should may be cut short.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter
from typing import NamedTuple

import PIL.Image

from pcm_leukemia.errors import DataWarning, PcmError, Problem, ServerError
from pcm_leukemia.files import Files, digest, find_images, open_container
from pcm_leukemia.images.depth import declared_white, given_white, is_deep
from pcm_leukemia.images.ending import TAIL, may_be_cut_short
from pcm_leukemia.images.opening import BAD_IMAGE, opened
from pcm_leukemia.images.pixels import decode_as_annotated, misfit_of, shown_size, stored_size
from pcm_leukemia.progress import of_reader, track
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import Image, ImageId

__all__ = [
    "compare_files",
    "find_at",
    "is_changed",
    "measure",
    "measure_files",
    "misfit",
    "warn_of_changed",
    "warn_of_changed_files",
]

_CHUNK = 256
"""Headers that a thread reads at a time: to hand over each alone would take longer than to read it."""
_QUICK = 5e-4
"""Seconds for a file that is in memory already: threads then wait for each other, and one alone is faster."""
_SUBFILE, _REDUCED = 254, 1
"""TIFF's tag NewSubfileType, and its bit for a page that is a smaller copy of another."""


class _Compared(NamedTuple):
    image: Image | None
    problem: Problem | None = None
    has_pages: bool = False
    is_turned: bool = False


def measure(files: Files, file: str) -> Image:
    """The row of an image file without annotations: its displayed size in pixels, its digest and its white level.

    Raises
    ------
    DataNotFound
        If the file does not exist.
    CorruptFile
        If it is not an image, is cut short, or has more than 8 bits a channel and an unknown scale.
    """
    with files.open_to_move(file) as stream:
        with opened(stream, file) as picture:
            width, height = shown_size(picture)
            deep = is_deep(picture)
            cut = may_be_cut_short(picture, *files.ending(file, stream, TAIL))
        image = Image(ImageId(file), width, height, file=file, digest=files.digest(file, stream))
    if cut:
        decode_as_annotated(files.read(file), image)
    return _with_white_level(files, image) if deep else image


def compare_files(
    images: Iterable[Image], root: Place, workers: int | None = None
) -> tuple[tuple[Image, ...], list[Problem]]:
    """Compare the header of every image file below `root` with the recorded size, and record each file's digest.

    Nothing is raised. Images without a file are returned as they are.

    Parameters
    ----------
    images
        The images, with their files.
    root
        The folder or zip with the files.
    workers
        Threads; by default one if the first files come quickly, otherwise several.

    Returns
    -------
    tuple
        The images with their `digest` and `white_level`, and a problem for each file that is missing, unreadable, cut short,
        of another size, turned under its boxes, or of an unknown scale.

    Warns
    -----
    DataWarning
        If files have several pages or frames, of which only the first is read, or files are not those whose digests were
        recorded.
    """
    images = list(images)
    compared = _all_compared(Files(root), [(image.file, image) for image in images], workers)
    changed = [
        before.id
        for before, after in zip(images, compared, strict=True)
        if before.digest and after.image and after.image.digest != before.digest and not after.problem
    ]
    warn_of_changed(root, len(images), changed)
    return tuple(each.image for each in compared if each.image), [
        each.problem for each in compared if each.problem
    ]


def warn_of_changed_files(images: Iterable[Image], files: Files) -> None:
    """Warn of files that are not those whose digests were recorded; files that cannot be read are left out.

    Parameters
    ----------
    images
        The images; those without a file or a digest are left out.
    files
        The folder or zip with the files.
    """
    known = [image for image in images if image.file and image.digest]

    def differs(image: Image) -> bool:
        try:
            return files.digest_of(str(image.file)) != image.digest
        except ServerError:
            raise
        except PcmError:
            return False

    with ThreadPoolExecutor(files.threads if files.remote else None) as pool:
        changed = [image.id for image, other in zip(known, pool.map(differs, known), strict=True) if other]
    warn_of_changed(files.root, len(known), changed)


def is_changed(data: bytes, image: Image) -> bool:
    """Whether the bytes of an image's file are not those whose digest was recorded."""
    return image.digest not in (None, digest(io.BytesIO(data), len(data)))


def warn_of_changed(root: Place, total: int, changed: Sequence[ImageId]) -> None:
    """Warn of images whose files are not those that were imported; `total` is the number of files that were compared."""
    if changed:
        warnings.warn(
            f"{root}: {len(changed):,} of {total:,} image files are not those that were imported before (their digests "
            f'differ), the first is that of image "{changed[0]}"; look at the boxes, if this is not intended',
            DataWarning,
            stacklevel=3,
        )


def measure_files(
    names: Iterable[str], root: Place, workers: int | None = None
) -> tuple[list[Image | None], list[Problem]]:
    """The rows of image files without annotations, by their paths below `root`.

    Parameters and warnings are those of `compare_files`, with one more if files are turned, and nothing is raised.

    Returns
    -------
    tuple
        For each name, an image with the size that is shown in pixels, the `digest` and the `white_level`, or None if the
        file cannot be read; and the problems.
    """
    compared = _all_compared(Files(root), ((name, None) for name in names), workers)
    turned = [each.image.file for each in compared if each.image and each.is_turned]
    if turned:
        warnings.warn(
            f"{root}: {len(turned):,} image files are turned by their EXIF orientation, the first is {turned[0]}; their "
            "annotations are read as those of the image as it is shown: look at the boxes",
            DataWarning,
            stacklevel=2,
        )
    return [each.image for each in compared], [each.problem for each in compared if each.problem]


def _all_compared(
    files: Files, rows: Iterable[tuple[str | None, Image | None]], workers: int | None
) -> list[_Compared]:
    """Each file as `_compared` has it; warns of files with several pages."""
    rows = list(rows)
    chunk = 1 if files.remote else _CHUNK
    begun = perf_counter()
    compared = [_compared(files, *row) for row in rows[:chunk]]
    if workers is None and files.remote:
        workers = files.threads
    elif workers is None and perf_counter() - begun < _QUICK * len(compared):
        workers = 1
    chunks = [rows[start : start + chunk] for start in range(chunk, len(rows), chunk)]
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda chunk: [_compared(files, *row) for row in chunk], chunks)
        for done in track(results, "opening images", total=len(chunks), shown=bool(chunks) and of_reader()):
            compared += done
    paged = [each.image.file for each in compared if each.image and each.has_pages]
    if paged:
        warnings.warn(
            f"{files.root}: {len(paged):,} image files have several pages or frames, and only the first is read, the first "
            f"file is {paged[0]}; save the page that was annotated as a file of its own, if it is another",
            DataWarning,
            stacklevel=3,
        )
    return compared


def find_at(
    images: Iterable[Image], images_root: str | Place
) -> tuple[tuple[Image, ...], Place, list[Problem]]:
    """Find the files of images in a folder or zip or at a URL, and compare their headers with the recorded sizes.

    Returns
    -------
    tuple
        The images with their `file` and what `compare_files` records, the absolute path of the folder or zip or its URL, and a
        problem for every image that is missing, or that `compare_files` finds.
    """
    pictures = open_container(images_root)
    found, problems = find_images(images, pictures, {}, required=True)
    root = pictures.root.absolute()
    compared, wrong = compare_files(found, root)
    return compared, root, [*problems, *pictures.problems, *wrong]


def misfit(data: bytes, image: Image) -> Problem | None:
    """Why the bytes of a file cannot be the annotated `image`, as in `compare_files`; None if they can.

    Raises
    ------
    CorruptFile
        If the file is not an image, or is cut short.
    """
    with opened(data, str(image.file)) as picture:
        problem = misfit_of(picture, image)
        cut = problem is None and may_be_cut_short(picture, len(data), data[-TAIL:])
    if cut:
        decode_as_annotated(data, image)
    return problem


def _compared(files: Files, file: str | None, image: Image | None) -> _Compared:
    """An image with what its file says, and why the file cannot be the annotated image.

    Without an `image`, one of the size that the file has.
    """
    if file is None:
        return _Compared(image)
    where = f'image "{image.id if image else file}"'
    try:
        with files.open_to_move(file) as stream:
            with opened(stream, file) as picture:
                image = image or Image(ImageId(file), *shown_size(picture), file=file)
                problem = misfit_of(picture, image)
                deep = problem is None and is_deep(picture)
                cut = problem is None and may_be_cut_short(picture, *files.ending(file, stream, TAIL))
                paged = problem is None and _has_pages(picture)
                turned = shown_size(picture) != stored_size(picture)
            image = replace(image, digest=files.digest(file, stream))
        if cut:
            decode_as_annotated(files.read(file), image)
        return _Compared(_with_white_level(files, image) if deep else image, problem, paged, turned)
    except ServerError:
        raise
    except PcmError as error:
        return _Compared(image, Problem(where, str(error), "then import again"))
    except BAD_IMAGE as error:
        what = f"{file}: cannot be read ({error})"
        return _Compared(image, Problem(where, what, "replace the file, then import again"))


def _with_white_level(files: Files, image: Image) -> Image:
    """A deep image with the value that is white in it, or without one if that is the full range of 16 bits.

    Raises
    ------
    CorruptFile
        If the image cannot be scaled to 8 bits; it is decoded to find out.
    """
    where = str(image.file)
    data = files.read(where)
    given = replace(image, white_level=given_white() or image.white_level)
    decode_as_annotated(data, given)
    with opened(data, where) as picture:
        declared = declared_white(picture)
    if declared is None:
        return given
    return replace(image, white_level=None if declared == 65535 else declared)


def _has_pages(picture: PIL.Image.Image) -> bool:
    """Whether a file holds more than one picture; smaller copies of the first, as in a pyramid, do not count.

    A JPEG may hold a preview, which does not count either.
    """
    if picture.format in ("JPEG", "MPO", "BMP") or not getattr(picture, "is_animated", False):
        return False
    if picture.format != "TIFF":
        return True
    picture.seek(1)
    return not int(picture.tag_v2.get(_SUBFILE, 0)) & _REDUCED  # type: ignore[attr-defined]
