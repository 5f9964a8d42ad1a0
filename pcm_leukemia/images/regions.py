"""Decodes regions of a JPEG with libjpeg-turbo 3 or later, where it is installed; the pixels are those of Pillow.

The rows above a region are read but not turned into pixels, and those below it are not read. Neither Pillow nor simplejpeg
offers this, so the library is called through ctypes. It is optional: without it, and for any file that is not entirely
in order, `decode_regions` gives None and the whole image is decoded.
"""

from __future__ import annotations

import ctypes
import importlib.util
import io
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image

from pcm_leukemia.environment import TURBOJPEG
from pcm_leukemia.images.pieces import segments
from pcm_leukemia.images.pixels import Pixels

__all__ = ["Region", "decode_regions", "region_decoder"]

_DECOMPRESS = 1
"""TJINIT_DECOMPRESS: what a handle is for."""
_STOP_ON_WARNING, _WIDTH, _HEIGHT, _COLOURS = 0, 5, 6, 8
"""The parameters TJPARAM_STOPONWARNING, JPEGWIDTH, JPEGHEIGHT and COLORSPACE."""
_YCBCR, _GREY = 1, 2
"""The colour spaces TJCS_YCbCr and TJCS_GRAY."""
_RGB = 0
"""TJPF_RGB: the layout of the decoded pixels."""
_MARGIN = 16
"""Pixels decoded around a region, since a pixel's colour also depends on the blocks beside its own."""
_BLOCK = 32
"""A region begins at a multiple of the widest block of any subsampling, in pixels."""
_FRAMES, _SCAN, _END = {0xC0, 0xC1}, 0xDA, 0xD9
"""The markers of a sequential image with Huffman codes, of a scan, and of the end of the image."""


class Region(NamedTuple):
    """A rectangle of an image: columns `left` to `right` - 1, and rows `top` to `bottom` - 1."""

    left: int
    top: int
    right: int
    bottom: int

    def covers(self, other: Region) -> bool:
        """Whether `other` lies inside."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )

    def with_(self, other: Region) -> Region:
        """The smallest region that covers both."""
        return Region(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


def decode_regions(data: bytes, size: tuple[int, int], regions: Sequence[Region]) -> list[Pixels] | None:
    """Decode regions of a JPEG to RGB pixels, each ``(height, width, 3)``; None if the whole image must be decoded.

    It must be if no library is found, and for files in which a full decoder could find an error that a region does not
    reach: anything other than one complete scan of Huffman codes, in grey or YCbCr, that is decoded without a warning. In
    progressive files, every scan is read for any region, so nothing would be saved.

    Parameters
    ----------
    data
        The bytes of the file.
    size
        Width and height of the image in pixels, as stored.
    regions
        What to decode, each not empty and inside the image.
    """
    library, _ = _found()
    if library is None or not _is_plain(data):
        return None
    return library.decode(data, size, regions)


def region_decoder() -> str:
    """What decodes regions of JPEGs in this process: the path of libjpeg-turbo, or why whole images are decoded.

    The library is that of the environment variable `TURBOJPEG`; otherwise the first of the system's and that of the
    package turbojpeg whose version is 3 or later, and whose pixels are those of Pillow.
    """
    library, what = _found()
    return what if library else f"whole images are decoded: {what}"


def _is_plain(data: bytes) -> bool:
    """Whether a JPEG has a single scan of Huffman codes that the end of the image follows."""
    try:
        markers = [marker for marker, _, _ in segments(data)]
    except (ValueError, IndexError, struct.error):
        return False
    return markers[-2:] == [_SCAN, _END] and markers.count(_SCAN) == 1 and not _FRAMES.isdisjoint(markers)


class _CroppingRegion(ctypes.Structure):
    """tjregion."""

    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_int), ("w", ctypes.c_int), ("h", ctypes.c_int))


class _TurboJpeg:
    """The functions of libjpeg-turbo that decode a region. Each call has a handle of its own, so threads may share it.

    Raises
    ------
    OSError
        If the library cannot be loaded.
    AttributeError
        If it is older than version 3.
    """

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)
        handle, number, text, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
        self._init, self._destroy = library.tj3Init, library.tj3Destroy
        self._set, self._get = library.tj3Set, library.tj3Get
        self._read_header, self._crop = library.tj3DecompressHeader, library.tj3SetCroppingRegion
        self._decompress = library.tj3Decompress8
        self._init.argtypes, self._init.restype = (number,), handle
        self._destroy.argtypes, self._destroy.restype = (handle,), None
        self._set.argtypes, self._get.argtypes = (handle, number, number), (handle, number)
        self._read_header.argtypes = (handle, text, size)
        self._crop.argtypes = (handle, _CroppingRegion)
        self._decompress.argtypes = (handle, text, size, ctypes.c_void_p, number, number)

    def decode(self, data: bytes, size: tuple[int, int], regions: Sequence[Region]) -> list[Pixels] | None:
        """The pixels of the regions; None if the library cannot decode one of them, or warns."""
        handle = self._init(_DECOMPRESS)
        if not handle:
            return None
        try:
            if self._set(handle, _STOP_ON_WARNING, 1) or self._read_header(handle, data, len(data)):
                return None
            if (self._get(handle, _WIDTH), self._get(handle, _HEIGHT)) != size:
                return None
            if self._get(handle, _COLOURS) not in (_YCBCR, _GREY):
                return None
            decoded = []
            for region in regions:
                pixels = self._region(handle, data, size, region)
                if pixels is None:
                    return None
                decoded.append(pixels)
            return decoded
        finally:
            self._destroy(handle)

    def _region(self, handle: int, data: bytes, size: tuple[int, int], region: Region) -> Pixels | None:
        width, height = size
        left, top = max(region.left - _MARGIN, 0) // _BLOCK * _BLOCK, max(region.top - _MARGIN, 0)
        right, bottom = min(region.right + _MARGIN, width), min(region.bottom + _MARGIN, height)
        if self._crop(handle, _CroppingRegion(left, top, right - left, bottom - top)):
            return None
        pixels: Pixels = np.empty((bottom - top, right - left, 3), np.uint8)
        if self._decompress(handle, data, len(data), pixels.ctypes.data, pixels.strides[0], _RGB):
            return None
        return pixels[region.top - top : region.bottom - top, region.left - left : region.right - left]


@cache
def _found() -> tuple[_TurboJpeg | None, str]:
    """The library and its path; None and the reason if there is none to use."""
    given = os.environ.get(TURBOJPEG)
    if given == "none":
        return None, f"{TURBOJPEG}=none"
    reasons = []
    for path in [given] if given else _installed():
        try:
            library = _TurboJpeg(path)
        except OSError:
            reasons.append(f"{path} cannot be loaded")
        except AttributeError:
            reasons.append(f"{path} is older than libjpeg-turbo 3")
        else:
            if _agrees_with_pillow(library):
                return library, path
            reasons.append(f"{path} gives other pixels than Pillow")
    return None, "; ".join(reasons)


def _installed() -> Iterator[str]:
    """Where libjpeg-turbo may be: in the system, and in the package turbojpeg."""
    # find_library would start a compiler to find it
    name = "libturbojpeg.so.0" if sys.platform == "linux" else find_library("turbojpeg")
    yield name or "turbojpeg"
    package = importlib.util.find_spec("turbojpeg")
    if package and package.origin:
        yield from map(str, sorted(Path(package.origin).parent.glob("turbojpeg.libs/*turbojpeg*")))


def _agrees_with_pillow(library: _TurboJpeg) -> bool:
    """Whether regions of small noisy images have the pixels that Pillow decodes, for each usual subsampling and in grey."""
    noise = np.random.default_rng(0).integers(0, 256, (75, 101, 3), np.uint8)
    picture = PIL.Image.fromarray(noise)
    regions = [Region(0, 0, 20, 20), Region(37, 31, 64, 52), Region(80, 50, 101, 75)]
    for shown, subsampling in ((picture, 0), (picture, 1), (picture, 2), (picture.convert("L"), 0)):
        stream = io.BytesIO()
        shown.save(stream, "JPEG", quality=90, subsampling=subsampling)
        whole = np.asarray(PIL.Image.open(stream).convert("RGB"))
        decoded = library.decode(stream.getvalue(), picture.size, regions)
        if decoded is None or not all(
            np.array_equal(pixels, whole[top:bottom, left:right])
            for pixels, (left, top, right, bottom) in zip(decoded, regions, strict=True)
        ):
            return False
    return True
