"""What a command that was stopped (Ctrl-C) leaves behind, and how to resume it."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["STOPPED", "what_is_left"]

STOPPED = 130
"""The exit status of a command that was stopped, as shells use it."""

_LEFT = {
    "train": "the run keeps its last whole epoch",
    "adapt": "the runs in OUT keep their last whole epochs",
    "reproduce": "the runs in OUT keep their last whole epochs",
    "fetch": "the files that were whole are kept",
    "pull": "the frames that came are kept",
    "push": "the tasks that were done have their cells",
    "demo": "what was written is whole",
    "crops": "the crops that were cut are kept",
}
"""Command, or format of `convert`, that resumes where it was stopped -> what it leaves."""
_READING = ("check", "diff", "evaluate", "info", "inspect", "probe", "sources", "validate")


def what_is_left(command: str, words: Collection[str]) -> str:
    """Say what a stopped command leaves, in one line.

    Examples
    --------
    >>> print(what_is_left("convert", ["data", "out", "--to", "yolo"]))
    stopped: nothing was written; run the command again to start over
    >>> print(what_is_left("convert", ["data", "out", "--to", "crops"]))
    stopped: the crops that were cut are kept; run the same command again to resume
    """
    kind = "crops" if command == "convert" and {"crops", "--to=crops"} & set(words) else command
    if kind in _LEFT:
        return f"stopped: {_LEFT[kind]}; run the same command again to resume"
    left = "nothing was changed" if command in _READING else "nothing was written"
    return f"stopped: {left}; run the command again to start over"
