"""The pieces of JPEG and PNG files: segments and chunks, read and written.

Reading yields (marker or kind, payload, all bytes of the piece).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

__all__ = ["JPEG", "PNG", "chunk", "chunks", "segment", "segments"]

JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
"""The first bytes of such files."""

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The segments of a JPEG after its start; a scan includes the compressed pixels that follow it.

    The last segment is the end of the image; its payload is everything after it.
    """
    place = 2
    while True:
        if data[place : place + 1] != b"\xff":
            raise ValueError(f"no JPEG marker at byte {place}")
        while data[place + 1 : place + 2] == b"\xff":  # any number of fill bytes may precede a marker
            place += 1
        marker = data[place + 1]
        if marker == 0xD9:
            yield marker, data[place + 2 :], data[place:]
            return
        (length,) = struct.unpack_from(">H", data, place + 2)
        end = place + 2 + length
        payload = data[place + 4 : end]
        if marker == 0xDA:
            match = _NEXT_MARKER.search(data, end)
            if match is None:
                raise ValueError("cut short")
            end = match.start()
        if length < 2 or end > len(data):
            raise ValueError("cut short")
        yield marker, payload, data[place:end]
        place = end


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """A PNG's chunks; the payload of the last, IEND, is whatever follows it."""
    place = len(PNG)
    while True:
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data):
            raise ValueError("cut short")
        raw = data[place:end]
        if kind == b"IEND":
            yield kind, data[end:], raw
            return
        yield kind, raw[8:-4], raw
        place = end


def segment(marker: int, payload: bytes) -> bytes:
    """A segment of a JPEG, in bytes."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def chunk(kind: bytes, payload: bytes) -> bytes:
    """A chunk of a PNG, in bytes, with its checksum."""
    return (
        struct.pack(">I", len(payload))
        + kind
        + payload
        + struct.pack(">I", zlib.crc32(payload, zlib.crc32(kind)))
    )
