"""Pixels and image files: sizes, decoding, padded crops, and what a file says besides its pixels."""

from __future__ import annotations

from pcm_leukemia.images.metadata import HARMLESS, Identifier, find_identifiers, strip_identifiers
from pcm_leukemia.images.pixels import (
    BORDERS,
    Border,
    Files,
    Pixels,
    Placing,
    check_sizes,
    check_strip,
    crop,
    crop_corners,
    decode,
    decode_as_annotated,
    encode,
    files_of,
    find_at,
    load,
    load_bytes,
    misfit,
    place,
    size,
)

__all__ = [
    "BORDERS",
    "HARMLESS",
    "Border",
    "Files",
    "Identifier",
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
    "find_identifiers",
    "load",
    "load_bytes",
    "misfit",
    "place",
    "size",
    "strip_identifiers",
]
