"""What tells one file from another, whatever it is called."""

from __future__ import annotations

import hashlib
from typing import IO

__all__ = ["BLOCK", "digest"]

BLOCK = 4 * 2**10
"""Bytes. A file of up to eight blocks is read whole."""
_BLOCKS = 8


def digest(stream: IO[bytes], length: int, begin: int = 0) -> str:
    """SHA-256 of a file's length and of eight blocks of 4 KiB, the first and the last among them, as 32 hexadecimal digits.

    The blocks are evenly spaced: uncompressed images of cells on a black ground are equal at both ends. Reading them costs
    about as much as reading the image's header, for a file of any size. Two images whose pixels differ can have the
    same digest only if the files have the same length and differ between the blocks alone.

    Parameters
    ----------
    stream
        The file, open for reading; its position is moved.
    length
        The size of the file in bytes.
    begin
        Where the file begins in the stream, in bytes: a zip may hold it as it is.

    Examples
    --------
    >>> import io
    >>> digest(io.BytesIO(b"one"), 3) == digest(io.BytesIO(b"two"), 3)
    False
    """
    raw = getattr(stream, "raw", stream)  # a file's own buffer would read twice as much
    whole = length <= _BLOCKS * BLOCK
    starts = [0] if whole else [number * (length - BLOCK) // (_BLOCKS - 1) for number in range(_BLOCKS)]
    parts = [f"{length}:".encode()]
    for start in starts:
        raw.seek(begin + start)
        parts.append(raw.read(length if whole else BLOCK))
    return hashlib.sha256(b"".join(parts)).hexdigest()[:32]
