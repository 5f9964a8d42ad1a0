"""Encodes pixels as PNG or JPEG."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Literal

import numpy as np
import PIL.Image

from pcm_leukemia.images.pieces import PNG, chunk
from pcm_leukemia.images.pixels import Pixels

__all__ = ["encode"]


def encode(pixels: Pixels, form: Literal["png", "jpg"], quality: int = 95, *, small: bool = False) -> bytes:
    """The bytes of a PNG, or of a JPEG of this quality.

    By default the PNG is not compressed: the fastest deflate would take more time than it is worth, and would save
    less than half of grainy pixels. With `small`, for images that are downloaded more often than written, the PNG is
    compressed to the size that Pillow reaches, in a tenth of the time.
    """
    if form == "png":
        return _png(pixels, small=small)
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()


def _png(pixels: Pixels, *, small: bool) -> bytes:
    """A PNG of RGB pixels, uncompressed, in stored blocks of deflate; a 0 (no filter) precedes each row.

    With `small`, a 2 (filter "up") precedes each row, which is the difference to the row above, and deflate
    only searches for runs: grain has no longer repeats.

    Source: the PNG specification, third edition, sections 5 and 9. Pillow takes ten times as long,
    since it tries its filters even without compression.
    """
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + width * 3), np.uint8)
    flat = pixels.reshape(height, width * 3)
    rows[:, 1:] = flat
    if small:
        rows[:, 0] = 2
        rows[1:, 1:] -= flat[:-1]  # bytes wrap around, as the filter requires
        deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
        body = deflate.compress(rows.tobytes()) + deflate.flush()
    else:
        body = zlib.compress(rows.tobytes(), 0)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
