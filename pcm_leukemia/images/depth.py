"""Scales images of more than 8 bits a channel to 8 bits.

Which value is white is decided by the first of these that says it: the file, the data set (`Image.white_level`), the environment
variable `WHITE_LEVEL`, and the pixels. A file says it with its bits a sample, if they are neither 8, 16 nor 32, or with a
largest value of all ones: SMaxSampleValue, MaxSampleValue or OME's SignificantBits. Pixels say it if they use the highest bit of
unsigned samples. Anything else is refused, since the image would be black, or nearly so, under the wrong scale.

PNG's sBIT is not asked: it says how many bits were measured, and the samples are scaled to 16 bits all the same.
Sources: TIFF 6.0, sections 8 and 19; the PNG specification, third edition, section 11.3.2.7; OME's schema 2016-06.
"""

from __future__ import annotations

import io
import math
import os
import re
import sys
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL.ImageFile import ImageFile

from pcm_leukemia.environment import WHITE_LEVEL
from pcm_leukemia.errors import CorruptFile
from pcm_leukemia.images.opening import picture_of, setting

__all__ = ["declared_white", "given_white", "is_deep", "samples_of", "to_8_bits"]

_BITS, _PHOTOMETRIC, _PLANAR, _FORMAT = 258, 262, 284, 339
_LARGEST = (341, 281)
"""TIFF's tags SMaxSampleValue and MaxSampleValue."""
_DESCRIPTION = 270
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_OTHER_BYTE = {";16L": ";16B", ";16B": ";16L", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}
"""How Pillow reads the high byte of 16 bits a channel -> how it would read the low byte."""
_BLACK = 16
"""An image whose lightest value is below this one of 255 is black to the eye."""
_EIGHT = "save it with 8 bits a channel"

Values = npt.NDArray[Any]
"""Samples, ``(height, width)`` or ``(height, width, 3)``, before scaling."""


def is_deep(picture: PIL.Image.Image) -> bool:
    """Whether a picture has other samples than unsigned ones of up to 8 bits, according to its header."""
    if picture.format in ("JPEG", "MPO", "BMP", "GIF", "WEBP"):
        return False
    if picture.format == "TIFF":
        return max(_tag(picture, _BITS)) > 8 or _format(picture) != _UNSIGNED
    if picture.format == "JPEG2000":
        return _bits_of_jpeg_2000(picture) > 8
    return picture.mode[0] in "IF" or ";16" in _raw_mode(picture) or _largest_of_ppm(picture) > 255


def declared_white(picture: PIL.Image.Image) -> float | None:
    """The value that is white according to the file of a deep picture; None if it does not say it."""
    if picture.format == "JPEG2000":
        return None if _bits_of_jpeg_2000(picture) == 16 else 65535.0  # scaled by Pillow
    if picture.format != "TIFF":
        return 65535.0 if 255 < _largest_of_ppm(picture) < 65535 else None  # scaled by Pillow
    bits = int(max(_tag(picture, _BITS)))
    full = 2.0**bits - 1
    if bits not in (8, 16, 32):
        return full
    said = [float(value) for tag in _LARGEST if tag in _tags(picture) for value in _tag(picture, tag)]
    described = re.search(r'SignificantBits="(\d{1,2})"', str(_tags(picture).get(_DESCRIPTION, "")))
    said += [2.0 ** int(described[1]) - 1] if described else []
    most = float("inf") if _format(picture) == _FLOAT else full  # the full range is also what nobody chose
    return next((value for value in said if 1 <= value < most and math.log2(value + 1).is_integer()), None)


def given_white() -> float | None:
    """The environment variable `WHITE_LEVEL`.

    Raises
    ------
    ValueError
        If it is not a number above 0.
    """
    typed = os.environ.get(WHITE_LEVEL)
    if typed is None:
        return None
    try:
        white = float(typed)
    except ValueError:
        white = 0.0
    if not 0 < white < float("inf"):
        raise ValueError(f'{WHITE_LEVEL}="{typed}": must be the value that is white; give a number above 0')
    return white


def to_8_bits(
    data: bytes, picture: PIL.Image.Image, where: str, white_level: float | None
) -> PIL.Image.Image:
    """A deep picture as RGB with 8 bits a channel.

    Parameters
    ----------
    data
        The bytes of the file.
    picture
        The picture, opened from them.
    where
        The name of the image in messages.
    white_level
        The value that is white, if the file does not say it.

    Raises
    ------
    CorruptFile
        If nothing says which value is white, or values lie outside of 0 to white.
    """
    declared = declared_white(picture)
    white = declared or white_level
    if picture.mode == "CMYK":
        return picture.convert("RGB")
    if picture.mode in ("RGB", "RGBA"):
        if picture.format == "TIFF" and _tag(picture, _PLANAR)[0] == 2:
            raise CorruptFile(f"{where}: has 16 bits a channel, and one plane for each channel; {_EIGHT}")
        if picture.format == "JPEG2000":  # Pillow's white becomes black
            raise CorruptFile(f"{where}: is a colour JPEG 2000 of more than 8 bits a channel; {_EIGHT}")
        rgb = picture.convert("RGB")
        scaled_by_pillow = picture.format == "PPM" and declared is not None
        if scaled_by_pillow or (white is None and np.asarray(rgb).max() >= 128):
            return rgb
    values = samples_of(data, picture, where)
    white = white or _full_range(picture, values)
    if white is None:
        raise CorruptFile(f"{where}: {_undecided(values)}")
    scaled = _scaled(values, white, where)
    if declared is None and values.max() > 0 and scaled.max() < _BLACK:
        raise CorruptFile(f"{where}: {_too_dark(values, white)}")
    if picture.format == "TIFF" and _tag(picture, _PHOTOMETRIC)[0] == 0:  # 0 is white
        scaled = 255 - scaled
    return PIL.Image.fromarray(scaled).convert("RGB")


def _scaled(values: Values, white: float, where: str) -> npt.NDArray[np.uint8]:
    """Samples as 8 bits; those outside of 0 to white are refused, not cut off."""
    with np.errstate(invalid="ignore"):
        scaled = np.rint(values * (255 / white))
    if not (scaled.min() >= 0 and scaled.max() <= 255):  # a value that is not a number compares as neither
        raise CorruptFile(f"{where}: {_outside(values, white)}")
    return scaled.astype(np.uint8)


# What the header says


def _tags(picture: PIL.Image.Image) -> Any:
    return picture.tag_v2  # type: ignore[attr-defined]


def _tag(picture: PIL.Image.Image, tag: int) -> tuple[Any, ...]:
    """The values of a tag of TIFF, by default 1."""
    value = _tags(picture).get(tag, 1)
    return value if isinstance(value, tuple) else (value,)


def _format(picture: PIL.Image.Image) -> int:
    return int(max(_tag(picture, _FORMAT)))


def _raw_mode(picture: PIL.Image.Image) -> str:
    """Pillow's name for the layout of the samples in the file."""
    args = _decoder_arguments(picture)
    return str(args[0] if isinstance(args, tuple) else args)


def _largest_of_ppm(picture: PIL.Image.Image) -> int:
    """The value that is white in a PPM, if it is not the usual one of its depth; else 0."""
    args = _decoder_arguments(picture)
    return int(args[1]) if picture.format == "PPM" and isinstance(args, tuple) and len(args) == 2 else 0


def _bits_of_jpeg_2000(picture: PIL.Image.Image) -> int:
    """The bits of the first channel, from the marker SIZ (ITU T.800, annex A.5.1); 8 if it is not near the beginning."""
    stream = cast("ImageFile", picture).fp
    assert stream is not None
    place = stream.tell()
    stream.seek(0)
    head = stream.read(2**16)
    stream.seek(place)
    start = head.find(b"\xff\x4f\xff\x51")
    return (head[start + 42] & 127) + 1 if start >= 0 else 8


def _decoder_arguments(picture: PIL.Image.Image) -> Any:
    tiles = cast("ImageFile", picture).tile
    return tiles[0][3] if tiles else ""


# The samples


def samples_of(data: bytes, picture: PIL.Image.Image, where: str) -> Values:
    """The samples of a deep picture as they are in its file, without an alpha channel.

    Raises
    ------
    CorruptFile
        If Pillow cannot read all bits of a colour picture.
    """
    if picture.mode in ("RGB", "RGBA"):
        return _low_bytes(data, where) + np.asarray(picture.convert("RGB")) * np.uint32(256)
    values = np.asarray(picture)
    if picture.format == "TIFF" and picture.mode == "L":  # Pillow takes 8 bits as unsigned
        return values.view(np.int8)
    if picture.format == "TIFF" and picture.mode == "I" and _format(picture) == _UNSIGNED:
        return values.view(np.uint32)  # Pillow takes 32 bits as signed
    return values


def _low_bytes(data: bytes, where: str) -> Values:
    """The low bytes of three channels of 16 bits; Pillow reads only the high ones.

    The file is read as if it had the other order of bytes.
    """
    try:
        again = picture_of(io.BytesIO(data))
        again.tile = [tile._replace(args=_swapped(tile.args)) for tile in again.tile]
        return np.asarray(again.convert("RGB")).astype(np.uint32)
    except (KeyError, ValueError, OSError) as error:
        raise CorruptFile(f"{where}: has 16 bits a channel in an unusual layout; {_EIGHT}") from error


def _swapped(args: Any) -> Any:
    """The arguments of one of Pillow's decoders, with the other order of bytes."""
    if isinstance(args, tuple):
        return (_swapped(args[0]), *args[1:])
    if args.startswith("RGBa"):  # Pillow divides the high bytes by the alpha channel
        raise KeyError(args)
    return args[:-4] + _OTHER_BYTE[args[-4:]]


def _full_range(picture: PIL.Image.Image, values: Values) -> float | None:
    """The largest value that the samples could have, if their highest bit is used or all are 0."""
    if picture.mode == "F" or (picture.format == "TIFF" and _format(picture) != _UNSIGNED):
        return None
    full = 2**32 - 1 if picture.format == "TIFF" and max(_tag(picture, _BITS)) == 32 else 65535
    return float(full) if values.max() > full // 2 or values.max() == 0 else None


def _outside(values: Values, white: float) -> str:
    """Which values are darker than black or lighter than white, and what to do."""
    smallest, largest = float(values.min()), float(values.max())
    if not math.isfinite(smallest + largest):
        return f"has values that are not finite numbers; {_EIGHT}"
    if smallest < 0:
        return f"has values from {smallest:,.10g} to {largest:,.10g}, and 0 is black; {_EIGHT}"
    higher = setting("white_level", math.ceil(largest))
    return f"has values up to {largest:,.10g}, but {white:,.10g} is white; give a higher one, for example {higher}, or {_EIGHT}"


def _too_dark(values: Values, white: float) -> str:
    """Why a white level cannot be meant, and what to do."""
    return (
        f"has values up to {values.max():,.10g}, so it would be black if {white:,.10g} were white; give a lower one, for "
        f"example {setting('white_level', _usual(values))}, or {_EIGHT}"
    )


def _undecided(values: Values) -> str:
    """Why the white level of a picture is not known, and what to do."""
    largest = float(values.max())
    if not 0 <= float(values.min()) <= largest < float("inf"):
        return _outside(values, largest)
    return (
        f"has values up to {largest:,.10g}, and its file does not say which value is white; say it, for example "
        f"{setting('white_level', _usual(values))}, or {_EIGHT}"
    )


def _usual(values: Values) -> int:
    """The lowest white level of the usual depths that is not below the samples."""
    usual = (1, 255, 1023, 4095, 16383, 32767, 65535)
    return next((white for white in usual if values.max() <= white), math.ceil(values.max()))
