"""Pixels and image files: sizes, decoding, padded crops, and metadata."""

from __future__ import annotations

from pcm_leukemia.images.comparing import (
    compare_files,
    find_at,
    is_changed,
    measure,
    measure_files,
    misfit,
    warn_of_changed,
    warn_of_changed_files,
)
from pcm_leukemia.images.cropping import BORDERS, Border, crop, crop_corners
from pcm_leukemia.images.encoding import encode
from pcm_leukemia.images.excerpts import Excerpt, decode_excerpt, load_excerpt
from pcm_leukemia.images.metadata import HARMLESS, Identifier, find_identifiers, strip_identifiers
from pcm_leukemia.images.passing_on import STRIPPED, MetadataSeen
from pcm_leukemia.images.pixels import (
    Files,
    Pixels,
    bytes_of,
    decode,
    decode_as_annotated,
    files_of,
    load,
    load_bytes,
    reason,
    size,
    varies,
)
from pcm_leukemia.images.placing import Placing, notes_on_depth, place, place_all, unfit
from pcm_leukemia.images.regions import region_decoder

__all__ = [
    "BORDERS",
    "HARMLESS",
    "STRIPPED",
    "Border",
    "Excerpt",
    "Files",
    "Identifier",
    "MetadataSeen",
    "Pixels",
    "Placing",
    "bytes_of",
    "compare_files",
    "crop",
    "crop_corners",
    "decode",
    "decode_as_annotated",
    "decode_excerpt",
    "encode",
    "files_of",
    "find_at",
    "find_identifiers",
    "is_changed",
    "load",
    "load_bytes",
    "load_excerpt",
    "measure",
    "measure_files",
    "misfit",
    "notes_on_depth",
    "place",
    "place_all",
    "reason",
    "region_decoder",
    "size",
    "strip_identifiers",
    "unfit",
    "varies",
    "warn_of_changed",
    "warn_of_changed_files",
]
