"""How image files end: one that does not end as it should may be cut short, and only decoding shows whether it is."""

from __future__ import annotations

from typing import Any

import PIL.Image

__all__ = ["TAIL", "may_be_cut_short"]

TAIL = 64
"""Bytes at the end of a file in which the mark of its end is looked for."""
_STRIPS = ((273, 279), (324, 325))
"""TIFF's tags with where strips and tiles begin, and with how long they are."""


def may_be_cut_short(picture: PIL.Image.Image, length: int, tail: bytes) -> bool:
    """Whether a JPEG, PNG or TIFF lacks its end, or has something behind it, as some cameras and programs add.

    Parameters
    ----------
    picture
        The opened image; its pixels need not be decoded.
    length
        The length of its file in bytes.
    tail
        The last `TAIL` bytes of its file.
    """
    if picture.format == "TIFF":
        tags = picture.tag_v2  # type: ignore[attr-defined]
        return any(
            start + count > length
            for starts, counts in _STRIPS
            for start, count in zip(_several(tags.get(starts)), _several(tags.get(counts)), strict=False)
        )
    if picture.format == "PNG":
        return b"IEND" not in tail
    return picture.format in ("JPEG", "MPO") and not tail.rstrip(b"\0").endswith(b"\xff\xd9")


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)
