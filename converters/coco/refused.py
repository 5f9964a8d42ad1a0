"""What stops the reading of a file or a row, until it is recorded as a problem."""

from __future__ import annotations

__all__ = ["Refused"]


class Refused(Exception):
    """What is wrong, and how to fix it; it never leaves the reader."""

    def __init__(self, what: str, fix: str = "correct it in the file, or export it again") -> None:
        self.what, self.fix = what, fix
        super().__init__(what)
