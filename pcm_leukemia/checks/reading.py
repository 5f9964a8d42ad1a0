"""Reads every image file once, for all checks.

Each file is read and decoded once, in threads. Only a digest of its pixels and thumbnails of 1 KB are kept: of the
image, of every cell in its own box, and of every cell with the margin that crops have. An image of 1920 x 1080 pixels
with 7 cells takes 13.5 ms of a core, including 3.4 ms for the digest (docs/trust.md). A file that was read by an earlier check
need not be opened again: see `cache`.
"""

from __future__ import annotations

import io
from concurrent.futures import Executor
from contextlib import closing
from functools import partial
from pathlib import Path

import PIL.Image

from pcm_leukemia import images
from pcm_leukemia.checks.blank import look_for_blank
from pcm_leukemia.checks.cache import Cache
from pcm_leukemia.checks.file_reading import FileReading
from pcm_leukemia.checks.similarity import digest, thumbnail
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, PcmError, Problem, ServerError
from pcm_leukemia.execution import ahead
from pcm_leukemia.files import digest as file_digest
from pcm_leukemia.images import find_identifiers
from pcm_leukemia.progress import track
from pcm_leukemia.schema import Cell, Image
from pcm_leukemia.shapes import Box

__all__ = ["MARGIN", "read_files"]

MARGIN = 50
"""Pixels around a cell's box in a saved crop, as in the paper and in `converters.crops`."""


def read_files(
    ds: Dataset,
    *,
    pixels: bool = True,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    cache: str | Path | None = None,
) -> list[FileReading]:
    """Read every image file of `ds` once, in the order of the images; images without a file are skipped.

    Parameters
    ----------
    ds
        The data set. Without a root, nothing is read.
    pixels
        Whether to decode the images. Otherwise files are read only for sizes and identifiers.
    workers
        Threads; by default one for each core, and more if the files are at a URL.
    executor
        Where the files are read instead of in threads here: `execution.Cluster`, or another `concurrent.futures.Executor`.
    progress
        Whether to show a progress bar.
    cache
        The canonical folder of `ds`: images that have not changed since their reading was kept there are not opened, and
        new readings are kept. By default, every file is read.
    """
    there = [image for image in ds.images if image.file is not None]
    if ds.root is None or not there:
        return []
    files = images.Files(ds.root)
    kept = Cache(None if cache is None else Path(cache), files)
    keys = [kept.key(image, ds.cells_of(image)) for image in there]  # before any file is read

    known = {
        image.id: found for image, key in zip(there, keys, strict=True) if (found := kept.find(image, key))
    }
    threads = workers or files.threads
    read = ahead(
        partial(_read_file, files, pixels),
        ((image, ds.cells_of(image)) for image in there if image.id not in known),
        threads,
        4 * threads,
        executor,
        name=lambda each: each[0].id,
        shared=[ds.root] if ds.root.exists() else [],
    )
    with closing(read):
        readings = [
            _reduced(known[image.id], pixels=pixels) if image.id in known else next(read)
            for image in track(there, "images", shown=progress)
        ]
    if pixels:
        kept.keep(zip(keys, readings, strict=True))
    return readings


def _reduced(found: FileReading, *, pixels: bool) -> FileReading:
    """What a reading would be without pixels, if they are not wanted."""
    return found if pixels else FileReading(found.image, None, found.identifiers, changed=found.changed)


def _read_file(
    files: images.Files,
    pixels: bool,  # noqa: FBT001 - the same for all images, and bound first
    annotated: tuple[Image, tuple[Cell, ...]],
) -> FileReading:
    image, cells = annotated
    where = f'image "{image.id}"'
    try:
        data = files.read(str(image.file))
        identifiers = find_identifiers(data)
        problem = images.misfit(data, image)
        changed = image.digest not in (None, file_digest(io.BytesIO(data), len(data)))
        if problem or not pixels:
            return FileReading(image, problem, identifiers, changed=changed and not problem)
        decoded = images.decode_as_annotated(data, image)
    except ServerError:
        raise
    except PcmError as error:
        what, _, fix = images.reason(image, error).rpartition("; ")
        if isinstance(error, CorruptFile):  # another file is not the one that was imported
            fix += ", then import again"
        return FileReading(image, Problem(where, what, fix))
    picture = PIL.Image.fromarray(decoded)
    whole = thumbnail(picture)
    in_boxes = tuple(thumbnail(picture, cell.box) for cell in cells)
    boxes = [(cell.id, cell.box) for cell in cells]
    wide = [_wider(cell.box, image) for cell in cells]
    return FileReading(
        image,
        None,
        identifiers,
        digest(decoded),
        whole,
        in_boxes,
        tuple(thumbnail(picture, box) for box in wide),
        look_for_blank(data, image, decoded, boxes, [whole, *in_boxes]),
        changed,
    )


def _wider(box: Box, image: Image) -> Box:
    """The box of a saved crop, in whole pixels: the margin is cut off at the image's border."""
    x1, y1, x2, y2 = images.crop_corners(box, MARGIN, image.width, image.height)
    return Box(float(x1), float(y1), float(x2), float(y2))
