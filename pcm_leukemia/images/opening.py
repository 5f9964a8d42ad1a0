"""Opens image files: reads their headers, and says what a file is that is no readable image.

Opening decodes nothing, so a header may announce any size. The number of pixels is limited where they are decoded, in
`decoding`: a small file can be made to fill the memory.
"""

from __future__ import annotations

import io
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import PIL.Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pcm_leukemia.environment import MAX_PIXELS
from pcm_leukemia.errors import CorruptFile, either, option
from pcm_leukemia.files import BAD_FILE, GIT_LFS, PULL
from pcm_leukemia.schema import LONGEST

__all__ = ["BAD_IMAGE", "decoding", "opened", "picture_of", "setting"]

BAD_IMAGE = (
    *(*BAD_FILE, SyntaxError, ArithmeticError, LookupError, TypeError, AttributeError, struct.error),
    PIL.Image.DecompressionBombError,
)
"""The exceptions of Pillow and simplejpeg on files that are damaged or are not images."""
_USUAL = 2 * 89_478_485
"""The largest number of pixels unless the variable says otherwise: Pillow's own limit, 537 MB as RGB."""
_WARNED = 89_478_485
"""Pillow warns of a "decompression bomb" above this number of pixels."""
_ONE_AT_A_TIME = threading.Lock()
_FORMATS = {
    kind.format: PIL.Image.OPEN[str(kind.format)]
    for kind in (
        *(JpegImageFile, PngImageFile, TiffImageFile, BmpImageFile),
        *(WebPImageFile, Jpeg2KImageFile, GifImageFile, PpmImageFile),
    )
}
"""The formats that are opened. Smears are not stored in Pillow's other formats, and EPS would start a program."""

_HEAD = 512
"""Bytes at the beginning of a file that say what it is."""
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (
        GIT_LFS,
        "is a Git LFS pointer in place of the image",
        PULL,
    ),
    (
        b"\x00\x05\x16\x07",
        "is what macOS stores beside an image (AppleDouble)",
        'remove it, and give the file whose name has no "._"',
    ),
    *(
        (start, f"is {name}", "save the image in it as PNG, JPEG or TIFF, 8 bits a channel")
        for start, name in (
            (b"%PDF", "a PDF"),
            (b"PK\x03\x04", "a zip"),
            (b"\x1f\x8b", "compressed with gzip"),
            (b"8BPS", "a Photoshop document"),
            (b"\xff\x0a", "JPEG XL"),
            (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
            (b"II\xbc\x01", "JPEG XR"),
            (b"ZISRAWFILE", "a CZI of Zeiss"),
            (b"\x93NUMPY", "an array of NumPy"),
            (b"\x89HDF", "HDF5"),
            (b"FUJIFILMCCD-RAW", "a raw photograph"),
            (b"%!PS", "PostScript"),
        )
    ),
)
"""How a file begins, what it then is, and what to do."""
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "a raw photograph (CR3)"}
_BRANDS |= dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "HEIC")
"""The kinds of ISO media files that hold an image; the others are videos."""


@contextmanager
def opened(data: bytes | IO[bytes], where: str) -> Iterator[PIL.Image.Image]:
    """Open a picture and read only its header, whatever its size.

    Raises
    ------
    CorruptFile
        If the file is not an image that can be read; says what it is.
    """
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    try:
        picture = picture_of(stream)
    except BAD_IMAGE as error:
        stream.seek(0)
        what, fix = _what_it_is(stream.read(_HEAD))
        raise CorruptFile(f"{where}: {what}; {fix}") from error
    with picture:
        yield picture


def picture_of(stream: IO[bytes]) -> ImageFile:
    """Open a picture like ``PIL.Image.open``, which would warn of many pixels or refuse them before any is decoded.

    Raises
    ------
    PIL.UnidentifiedImageError
        If it is not an image, or its header is damaged.
    """
    start = stream.read(16)
    for factory, accepts in _FORMATS.values():
        if accepts is not None and accepts(start) is True:
            stream.seek(0)
            try:
                picture = factory(stream, "")
            except (SyntaxError, IndexError, TypeError, struct.error) as error:
                raise PIL.UnidentifiedImageError(str(error)) from error
            if max(picture.size) > LONGEST:
                raise PIL.UnidentifiedImageError(f"its header says {picture.width} x {picture.height} pixels")
            return picture
    raise PIL.UnidentifiedImageError


@contextmanager
def decoding(picture: PIL.Image.Image, where: str) -> Iterator[None]:
    """Decode a picture inside this block: one of too many pixels is refused, and large ones are decoded one at a time.

    Raises
    ------
    CorruptFile
        If the picture has more pixels than the environment variable `MAX_PIXELS`, by default 178,956,970; or if it cannot be
        decoded inside the block.
    """
    with _limited(picture.width * picture.height, where):
        try:
            yield
        except CorruptFile:
            raise
        except BAD_IMAGE as error:
            raise CorruptFile(f"{where}: cannot be decoded ({error}); replace the file") from error


@contextmanager
def _limited(pixels: int, where: str) -> Iterator[None]:
    if pixels <= _WARNED:
        if MAX_PIXELS in os.environ:
            _require_few(pixels, where)
        yield
        return
    with _ONE_AT_A_TIME:
        _require_few(pixels, where)
        pillows, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None  # TIFF asks it again
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = pillows


def _require_few(pixels: int, where: str) -> None:
    limit = _limit()
    if pixels > limit:
        raise CorruptFile(
            f"{where}: has {pixels:,} pixels, more than the {limit:,} that are decoded, since files can be made to fill "
            f"the memory; if it is a real image, raise the limit: {setting('max_pixels', pixels)}"
        )


def setting(name: str, value: object) -> str:
    """Spell an option that is also an environment variable, with its value, as the reader of a message types it."""
    variable = f"PCM_LEUKEMIA_{name.upper()}"
    return either(f'os.environ["{variable}"] = "{value}"', f"{option(name, value)} or {variable}={value}")


def _limit() -> float:
    """The largest number of pixels that are decoded."""
    typed = os.environ.get(MAX_PIXELS)
    if typed is None:
        pillows = PIL.Image.MAX_IMAGE_PIXELS  # may have been raised by the caller
        return float("inf") if pillows is None else max(_USUAL, 2 * pillows)
    if not typed.isdecimal() or int(typed) < 1:
        raise ValueError(f'{MAX_PIXELS}="{typed}": must be a number of pixels; give 1 or more')
    return int(typed)


def _what_it_is(head: bytes) -> tuple[str, str]:
    """What a file is that is not a readable image, and what to do."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    again = "copy or download it again"
    if not head:
        return "is empty (0 bytes)", again
    if not head.strip(b"\0"):
        return "contains only zeros", again
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<error")) or text[:1] == b"{":
        return "is a page or an answer of a web server in place of the image", "download it again"
    for start, what, fix in _OTHERS:
        if head.startswith(start):
            return what, fix
    if head[128:132] == b"DICM":
        return "is a DICOM file", "save the image in it as PNG, JPEG or TIFF, 8 bits a channel"
    if head[4:8] == b"ftyp":
        what = _BRANDS.get(head[8:12], "a video")
        return f"is {what}", "save the image in it as PNG, JPEG or TIFF, 8 bits a channel"
    for form, (_, accepts) in _FORMATS.items():
        if accepts is not None and accepts(head[:16]) is True:
            return (
                f"begins like a {form} file, but its header cannot be read: it is damaged, cut short or of an unusual kind",
                f"{again}, or save it as PNG, 8 bits a channel",
            )
    return "is not an image that can be read", "save it as PNG, JPEG or TIFF, 8 bits a channel"
