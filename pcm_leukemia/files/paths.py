"""Paths that come from data: which of them must not be followed."""

from __future__ import annotations

import re

__all__ = ["leads_outside"]

_OUTSIDE = re.compile(r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:|\0")


def leads_outside(path: str) -> bool:
    """Whether a relative path from an export is absolute, climbs, names a drive or holds a NUL.

    Examples
    --------
    >>> [leads_outside(path) for path in ("P01/a..b.png", "P01/../../a.png", "/a.png", "C:a.png")]
    [False, True, True, True]
    """
    return _OUTSIDE.search(path) is not None
