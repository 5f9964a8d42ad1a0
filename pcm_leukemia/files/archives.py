"""Why a file is no export that can be read: another kind of archive, an empty file, or a zip that is cut short."""

from __future__ import annotations

import zipfile
from pathlib import Path

__all__ = ["ARCHIVES", "UNPACK", "looks_like_zip", "other_archive", "why_no_zip"]

ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".gz", ".bz2", ".xz")
"""The suffixes of archives, in lower case."""
UNPACK = "unpack it and give the folder"

_ZIP = b"PK\x03\x04"
_KINDS = (
    (0, b"Rar!\x1a\x07", "RAR"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"\x1f\x8b\x08", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard"),
    (257, b"ustar", "tar"),
)
"""The place and the bytes that identify each kind of archive."""


def other_archive(path: Path) -> str:
    """The kind of an archive that is not a zip, by its first bytes; "" for any other file."""
    start = _start(path)
    if start.startswith(_ZIP):
        return ""
    return next((kind for place, mark, kind in _KINDS if start.startswith(mark, place)), "")


def looks_like_zip(path: Path) -> bool:
    """Whether a file is a zip, or is called one, or begins like one."""
    return path.suffix.lower() == ".zip" or _start(path).startswith(_ZIP) or zipfile.is_zipfile(path)


def why_no_zip(path: Path, error: Exception) -> str:
    """Why a file cannot be opened as a zip: the cause, where it can be told, or else the error."""
    start = _start(path)
    if not start:
        return "because it is empty"
    if start.startswith(_ZIP) and not zipfile.is_zipfile(path):
        return "because it is cut short"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "because it is a web page, perhaps one that asks to log in"
    return f"({error or type(error).__name__})"


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(512)
    except OSError:
        return b""
