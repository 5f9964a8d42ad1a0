"""Hidden files and folders beside an output that a killed process left, and how they are recognised.

::

    .NAME.writing-PID   the next NAME, until it is whole; removed by the next writer of NAME
    .NAME.old-PID       the former NAME, where a system cannot exchange two folders in one step; likewise
    .NAME.partial       unfinished work of a command that resumes; kept
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from pathlib import Path

__all__ = ["RUNNING", "clear_leftovers", "is_leftover", "other_writer", "partial_of", "runs"]

RUNNING = "running"
"""The file in unfinished work with the number of the process that works on it."""
_LEFT = re.compile(r"\..+\.(?:writing|old)-(\d+)(?:_.*)?")


def partial_of(path: Path) -> Path:
    """Where a command that resumes keeps the unfinished work for an output."""
    return path.with_name(f".{path.name}.partial")


def is_leftover(name: str) -> bool:
    """Whether a file or folder of this name was left by a process that runs no more.

    Examples
    --------
    >>> is_leftover(f".data.writing-{os.getpid()}_x7"), is_leftover("data"), is_leftover(".data.partial")
    (True, False, False)
    """
    match = _LEFT.fullmatch(name)
    return match is not None and not runs(match[1])


def clear_leftovers(path: Path) -> None:
    """Remove what killed processes left of an output; the former output only if the output is there."""
    for kind in ("writing", "old") if path.exists() else ("writing",):
        for left in path.parent.glob(f".{glob.escape(path.name)}.{kind}-*"):
            if not is_leftover(left.name):
                continue
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def other_writer(path: Path) -> tuple[str, Path] | None:
    """Another running process that writes an output, and its unfinished work; None if there is none."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.writing-*"):
        match = _LEFT.fullmatch(left.name)
        if match and runs(match[1]):
            return match[1], left
    return None


def runs(pid: str) -> bool:
    """Whether another process with this number may be running.

    An empty number is of a process that could not write it, because the disk was full.
    """
    if not pid.strip():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError):
        return True
    return int(pid) != os.getpid()
