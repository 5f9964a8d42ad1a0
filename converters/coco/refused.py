"""What stops the reading of a file or a row, and the problem that is recorded for it."""

from __future__ import annotations

from pcm_leukemia.errors import Problem
from pcm_leukemia.files import BAD_CONTENT

__all__ = ["BAD_ROW", "Refused", "problem_of"]


class Refused(Exception):
    """What is wrong, and how to fix it; it never leaves the reader."""

    def __init__(self, what: str, fix: str = "correct it in the file, or export it again") -> None:
        self.what, self.fix = what, fix
        super().__init__(what)


BAD_ROW = (Refused, *BAD_CONTENT)
"""The exceptions on reading a row."""


def problem_of(where: str, error: Exception) -> Problem:
    """The problem of a row at which one of `BAD_ROW` was raised."""
    if isinstance(error, Refused):
        return Problem(where, error.what, error.fix)
    what = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be read ({error})"
    return Problem(where, what, "write the file again")
