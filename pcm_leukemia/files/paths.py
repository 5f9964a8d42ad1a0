"""Paths and names that come from data: unsafe paths, and portable file names."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["is_hidden", "leads_outside", "path_ends", "portable_name"]

_REFUSED = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')
_OUTSIDE = re.compile(r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:|\0")


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or one that macOS adds to zips; `name` is without its folders."""
    return name.startswith(".") or name == "__MACOSX"


def leads_outside(path: str) -> bool:
    """Whether a relative path from an export is absolute, climbs, names a drive or holds a NUL.

    Examples
    --------
    >>> [leads_outside(path) for path in ("P01/a..b.png", "P01/../../a.png", "/a.png", "C:a.png")]
    [False, True, True, True]
    """
    return _OUTSIDE.search(path) is not None


def path_ends(path: str) -> Iterator[str]:
    """The path, and what is left of it after each slash.

    Examples
    --------
    >>> list(path_ends("a/b/c.png"))
    ['a/b/c.png', 'b/c.png', 'c.png']
    """
    while path:
        yield path
        path = path.partition("/")[2]


def portable_name(name: str) -> str:
    """The name with "_" in place of every character that some file system refuses; "/" stays.

    Examples
    --------
    >>> portable_name("slide 7: 100x?.png")
    'slide 7_ 100x_.png'
    """
    return _REFUSED.sub("_", name)
