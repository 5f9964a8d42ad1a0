"""The only place that opens pixels: sizes, decoding, padded crops.

Pixels are RGB, 8 bits, ``(height, width, 3)``. They are decoded by simplejpeg where it is
installed and the file is a plain colour JPEG, which is faster and gives the same pixels, and by
Pillow otherwise.

EXIF orientation: CVAT, ultralytics and browsers turn an image as its EXIF says, other readers do
not. A file is taken if both are known to agree with the recorded size: it has no orientation, or one
that swaps the sides, and the recorded size is that after the swap. Any other is refused, since
its boxes may lie on the image as stored or on the image as shown.
"""

from __future__ import annotations

import io
import math
import os
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageOps

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, ExportError, PcmError, Problem, option
from pcm_leukemia.files import BAD_FILE, Files, find_images, open_container
from pcm_leukemia.images import metadata
from pcm_leukemia.schema import Image
from pcm_leukemia.shapes import Box

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

__all__ = [
    "BORDERS",
    "Border",
    "Files",
    "Pixels",
    "Placing",
    "check_sizes",
    "check_strip",
    "crop",
    "crop_corners",
    "decode",
    "decode_as_annotated",
    "encode",
    "files_of",
    "find_at",
    "load",
    "load_bytes",
    "misfit",
    "place",
    "size",
]

Pixels = npt.NDArray[np.uint8]
Border = Literal["clip", "reflect", "constant"]
Placing = Literal["copy", "hardlink", "symlink"]
BORDERS: tuple[Border, ...] = ("clip", "reflect", "constant")

_ORIENTATION = 0x0112
_SWAPS = (5, 6, 7, 8)
"""The EXIF orientations that exchange width and height."""
_BAD_IMAGE = (
    *(*BAD_FILE, SyntaxError, ArithmeticError, LookupError, TypeError, AttributeError, struct.error),
    ImportError,  # where ultralytics was imported: its Image.open asks for pi-heif when a file is no image
)
"""What Pillow and simplejpeg raise, besides, on files that are damaged or no images."""
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "JPEG2000", "GIF", "PPM")
"""What is opened at all: others of Pillow's formats are no images of smears, and EPS would start a program."""


def place(files: Files, file: str, target: Path, how: Placing, *, strip: bool = False) -> None:
    """Copy a file to `target`, byte for byte, or link to it; links to an absolute path.

    With `strip`, the copy has the same pixels and no other metadata than how it is to be turned; see
    `images.strip_identifiers`.

    Raises
    ------
    DataNotFound
        If the file is not there.
    ExportError
        If it cannot be linked: out of a zip, or a hard link to another disk; or if it is to be stripped
        and is neither JPEG nor PNG.
    CorruptFile
        If it is to be stripped and is damaged.
    ValueError
        If a link is to be stripped.
    """
    source = files.path(file)
    if strip:
        check_strip(how)
        target.write_bytes(metadata.strip_identifiers(files.read(file), file))
        return
    if how == "copy":
        if source is None:
            target.write_bytes(files.read(file))
        else:
            with files.open(file) as stream, target.open("wb") as out:
                shutil.copyfileobj(stream, out, 1 << 20)
        return
    if source is None:
        raise ExportError(
            f"{files.root}: is a zip, and images in it cannot be linked to; pass {option('images', 'copy')}"
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
            f"{source}: cannot be linked to ({error.strerror}); pass {option('images', 'copy')}"
        ) from error


def check_strip(how: str) -> None:
    """Refuse to strip the metadata of what is not copied.

    Raises
    ------
    ValueError
        If images are placed by anything but "copy".

    Examples
    --------
    >>> check_strip("copy")
    """
    if how != "copy":
        raise ValueError(
            f"{option('strip_metadata')} with {option('images', how)}: only copies can be stripped; pass {option('images', 'copy')}"
        )


def size(data: bytes | IO[bytes], where: str) -> tuple[int, int]:
    """Width and height in pixels as the image is shown (after EXIF orientation), from its header.

    Raises
    ------
    CorruptFile
        If it is no image, or larger than Pillow's decompression limit.
    """
    with _opened(data, where) as picture:
        width, height = picture.size
        return (height, width) if _orientation(picture) in _SWAPS else (width, height)


def check_sizes(images: Iterable[Image], root: Path, workers: int | None = None) -> list[Problem]:
    """Compare the header of every image file below `root` with the recorded size.

    Images without a file are passed over. Nothing raises: what is missing, unreadable, too
    large or of another size is a problem.
    """
    files = Files(root)
    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(lambda image: _size_problem(files, image), images)
        return [problem for problem in found if problem]


def find_at(
    images: Iterable[Image], images_root: str | Path
) -> tuple[tuple[Image, ...], Path, list[Problem]]:
    """Give images their files in a folder or zip, and compare their headers with the recorded sizes.

    Returns
    -------
    tuple
        The images with their `file`, the absolute path of the folder or zip, and a problem for every image that is
        missing, unreadable or of another size.
    """
    pictures = open_container(images_root)
    found, problems = find_images(images, pictures, {}, required=True)
    root = pictures.root.absolute()
    return tuple(found), root, [*problems, *pictures.problems, *check_sizes(found, root)]


def files_of(ds: Dataset) -> Files:
    """The files of a data set that has some.

    Raises
    ------
    DataNotFound
        If no image has a file, or the folder or zip of them is not there.
    """
    if ds.root is None or not any(image.file for image in ds.images):
        raise DataNotFound(f"{ds.name}: has annotations only; give the images: {option('images_root')}")
    if not ds.root.exists():
        raise DataNotFound(f"{ds.root}: the images are not there; give {option('images_root')}")
    return Files(ds.root)


def load(files: Files, image: Image) -> Pixels:
    """Decode an image as it was annotated.

    Raises
    ------
    DataNotFound
        If its file is not there.
    CorruptFile
        If it cannot be decoded, or its size is not the recorded one.
    """
    return decode_as_annotated(_bytes_of(files, image), image)


def misfit(data: bytes, image: Image) -> Problem | None:
    """Why a file cannot be what was annotated as `image`, as `check_sizes` says it; None if it can.

    Raises
    ------
    CorruptFile
        If it is no image, or larger than Pillow's decompression limit.
    """
    with _opened(data, str(image.file)) as picture:
        return _misfit(picture, image)


def load_bytes(files: Files, image: Image) -> bytes:
    """The bytes of an image's file, after a look at its header.

    Raises
    ------
    DataNotFound
        If its file is not there.
    CorruptFile
        If it is no image, or its size is not the recorded one.
    """
    data = _bytes_of(files, image)
    with _opened(data, str(image.file)) as picture:
        _require_fit(picture, image)
    return data


def decode_as_annotated(data: bytes, image: Image) -> Pixels:
    """Decode an image, of which the file's bytes are there, as it was annotated.

    Raises
    ------
    CorruptFile
        If it cannot be decoded, or its size is not the recorded one.
    """
    where = str(image.file)
    with _opened(data, where) as picture:
        _require_fit(picture, image)
        return _pixels(data, picture, where, turned=_orientation(picture) in _SWAPS)


def decode(data: bytes, where: str) -> Pixels:
    """RGB pixels as Pillow's ``convert("RGB")`` gives them, ``(height, width, 3)``, as stored.

    An alpha channel is dropped, not blended; 16-bit grey is scaled to 8 bits.

    Raises
    ------
    CorruptFile
        If it is no image, damaged, cut short, or larger than Pillow's decompression limit.
    """
    with _opened(data, where) as picture:
        return _pixels(data, picture, where, turned=False)


def encode(pixels: Pixels, form: Literal["png", "jpg"], quality: int = 95, *, small: bool = False) -> bytes:
    """The bytes of a PNG, or of a JPEG of that quality.

    The PNG is not compressed: deflate at its fastest takes longer for the crops of an image than
    decoding it may cost on top, and saves less than half of grainy pixels. With `small`, for what is
    downloaded more often than written, it is: to the size that Pillow gives, in a tenth of the time.
    """
    if form == "png":
        return _png(pixels, small=small)
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()


def crop_corners(
    box: Box, padding: int, width: int, height: int, border: Border = "clip"
) -> tuple[int, int, int, int]:
    """The corners ``(x1, y1, x2, y2)`` in whole pixels of a padded crop.

    The box is widened to whole pixels (floor and ceiling), then by `padding` on all sides. With
    "clip" the crop ends at the image's border.

    Raises
    ------
    ValueError
        If the box lies outside the image, or the padding is negative: there would be nothing to cut.

    Examples
    --------
    >>> crop_corners(Box(10.5, 60, 30.2, 80), 50, 100, 100)
    (0, 10, 81, 100)
    >>> crop_corners(Box(10.5, 60, 30.2, 80), 50, 100, 100, "reflect")
    (-40, 10, 81, 130)
    """
    if padding < 0 or box.clip(width, height) is None:
        raise ValueError(
            f"{box} and {padding} px: nothing of it in {width} x {height} px; give a box inside and 0 px or more"
        )
    x1, y1 = math.floor(box.x1) - padding, math.floor(box.y1) - padding
    x2, y2 = math.ceil(box.x2) + padding, math.ceil(box.y2) + padding
    if border == "clip":
        return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    return x1, y1, x2, y2


def crop(pixels: Pixels, box: Box, padding: int = 50, border: Border = "clip") -> Pixels:
    """Cut a padded box out of an image; see `crop_corners` for which pixels.

    Outside the image, "reflect" mirrors it about its border pixels and "constant" is black.

    Raises
    ------
    ValueError
        As `crop_corners` does.
    """
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = crop_corners(box, padding, width, height, border)
    inside = pixels[max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
    if border == "clip":
        return inside
    if border == "reflect":
        rows = _mirrored(np.arange(y1, y2), height)
        columns = _mirrored(np.arange(x1, x2), width)
        return pixels[rows[:, None], columns]
    beyond = ((max(-y1, 0), max(y2 - height, 0)), (max(-x1, 0), max(x2 - width, 0)), (0, 0))
    return np.pad(inside, beyond)


def _mirrored(index: npt.NDArray[np.int_], length: int) -> npt.NDArray[np.int_]:
    """Indices beyond 0 to length - 1, thrown back at the first and the last as often as needed."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    index = np.abs(index) % period
    return np.minimum(index, period - index)


@contextmanager
def _opened(data: bytes | IO[bytes], where: str) -> Iterator[PIL.Image.Image]:
    """A picture of which no more than the header is read."""
    try:
        picture = PIL.Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=_FORMATS)
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise CorruptFile(_too_large(where)) from error
    except _BAD_IMAGE as error:
        raise CorruptFile(
            f"{where}: is no image that can be read; save it as PNG, JPEG or TIFF, 8 bits a channel"
        ) from error
    with picture:
        if PIL.Image.MAX_IMAGE_PIXELS and picture.width * picture.height > PIL.Image.MAX_IMAGE_PIXELS:
            raise CorruptFile(_too_large(where))
        yield picture


def _too_large(where: str) -> str:
    return (
        f"{where}: has more than {PIL.Image.MAX_IMAGE_PIXELS:,} pixels, Pillow's limit against files made to exhaust "
        "memory; if it is a real image, raise PIL.Image.MAX_IMAGE_PIXELS"
    )


def _orientation(picture: PIL.Image.Image) -> int:
    """The EXIF orientation, 1 to 8, as far as the header tells; 1 if there is none."""
    try:
        # PngImageFile's own getexif would decode the whole image
        return int(PIL.Image.Image.getexif(picture).get(_ORIENTATION, 1)) or 1
    except _BAD_IMAGE:
        return 1


def _misfit(picture: PIL.Image.Image, image: Image) -> Problem | None:
    """Why the file cannot be what was annotated."""
    where, orientation = f'image "{image.id}"', _orientation(picture)
    width, height = picture.size
    turned = ""
    if orientation in _SWAPS:
        width, height = height, width
        turned = f" as its EXIF orientation {orientation} turns it"
    if (width, height) != (image.width, image.height):
        what = (
            f"is annotated as {image.width} x {image.height} pixels, its file is {width} x {height}{turned}"
        )
        return Problem(where, what, "find the image that was annotated, or export again")
    if orientation != 1 and (orientation not in _SWAPS or width == height):
        what = f"has EXIF orientation {orientation}, which may turn it under its boxes"
        return Problem(where, what, "save it upright, without the orientation, and look at its boxes")
    return None


def _require_fit(picture: PIL.Image.Image, image: Image) -> None:
    misfit = _misfit(picture, image)
    if misfit:
        raise CorruptFile(str(misfit))


def _bytes_of(files: Files, image: Image) -> bytes:
    if image.file is None:
        raise DataNotFound(f'image "{image.id}": has no file; give the images as {option("images_root")}')
    return files.read(image.file)


def _size_problem(files: Files, image: Image) -> Problem | None:
    if image.file is None:
        return None
    try:
        with files.open(image.file) as stream, _opened(stream, image.file) as picture:
            return _misfit(picture, image)
    except PcmError as error:
        return Problem(f'image "{image.id}"', str(error), "then import again")


def _pixels(data: bytes, picture: PIL.Image.Image, where: str, *, turned: bool) -> Pixels:
    try:
        if simplejpeg is not None and picture.format == "JPEG" and picture.mode == "RGB" and not turned:
            fast = _decode_jpeg(data)
            if fast is not None:
                return fast
        picture.load()
        # a copy, since simplejpeg's pixels can be written to and Pillow's not
        return np.array(_as_rgb(PIL.ImageOps.exif_transpose(picture) if turned else picture))
    except _BAD_IMAGE as error:
        raise CorruptFile(f"{where}: cannot be decoded ({error}); replace the file") from error


def _decode_jpeg(data: bytes) -> Pixels | None:
    """A plain colour JPEG; None if it is none, or not whole, so that Pillow judges it."""
    try:
        if simplejpeg.decode_jpeg_header(data)[2] != "YCbCr":
            return None
        pixels: Pixels = simplejpeg.decode_jpeg(data, colorspace="RGB")
    except ValueError:
        return None
    return pixels


def _as_rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Pillow's RGB, except that 16 bits are scaled to 8, where Pillow cuts them off at 255 or at 8 bits."""
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        grey = np.asarray(picture, dtype=np.float64) / (257 if picture.mode != "F" else 1)
        return PIL.Image.fromarray(np.clip(np.round(grey), 0, 255).astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")


def _png(pixels: Pixels, *, small: bool) -> bytes:
    """A PNG of RGB pixels as they are, in stored blocks of deflate, each row behind a 0 (no filter).

    If it is to be small, each row is the difference to the one above, behind a 2 (filter "up"), and
    deflate looks for runs alone: its search for longer repeats finds none in grain.

    Source: the PNG specification, third edition, sections 5 and 9. Pillow takes ten times as long,
    since it tries its filters even where nothing is compressed.
    """
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + width * 3), np.uint8)
    flat = pixels.reshape(height, width * 3)
    rows[:, 1:] = flat
    if small:
        rows[:, 0] = 2
        rows[1:, 1:] -= flat[:-1]  # bytes wrap around, as the filter wants
        deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
        body = deflate.compress(rows.tobytes()) + deflate.flush()
    else:
        body = zlib.compress(rows.tobytes(), 0)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
        for kind, data in chunks
    )
