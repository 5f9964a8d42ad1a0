"""Refuses targets inside what a command reads, before the work; what else a target must not be, `files` decides."""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.files import check_outside
from pcm_leukemia.remote import is_url
from pcm_leukemia.sources import split_name

__all__ = ["require_outside"]


def require_outside(out: str | Path, *read: str | Path | None) -> None:
    """Refuse a target inside data that are read, which may be a path, NAME:ROOT of a public data set, or not given."""
    for data in read:
        if data is not None and not is_url(data) and not is_url(out):
            named = split_name(data)
            check_outside(out, named[1] if named else data)
