"""What tells one file from another, whatever it is called."""

from __future__ import annotations

import hashlib
from typing import IO

__all__ = ["BLOCK", "digest"]

BLOCK = 64 * 2**10
"""Bytes. A file of up to three blocks is read whole."""


def digest(stream: IO[bytes], length: int) -> str:
    """SHA-256 of a file's length and of its first, middle and last 64 KiB, as 32 hexadecimal digits.

    This costs about as much as reading an image's header. The middle counts, since uncompressed images of cells on a black
    ground are equal at both ends.

    Parameters
    ----------
    stream
        The file, open for reading; its position is moved.
    length
        The size of the file in bytes.

    Examples
    --------
    >>> import io
    >>> digest(io.BytesIO(b"one"), 3) == digest(io.BytesIO(b"two"), 3)
    False
    """
    found = hashlib.sha256(f"{length}:".encode())
    blocks = range(0, length, BLOCK) if length <= 3 * BLOCK else (0, (length - BLOCK) // 2, length - BLOCK)
    for start in blocks:
        stream.seek(start)
        found.update(stream.read(BLOCK))
    return found.hexdigest()[:32]
