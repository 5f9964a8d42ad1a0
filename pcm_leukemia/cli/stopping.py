"""Ctrl-C: one line and status 130, however often it is pressed; and what a stopped command leaves behind.

Before a command begins, Ctrl-C ends the process at once. While the command runs, the first Ctrl-C raises `KeyboardInterrupt`,
and later ones wait until everything is tidied up. After it, Ctrl-C is ignored, because Python would end with a traceback.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

__all__ = ["STOPPED", "handle_ctrl_c", "ignore_ctrl_c", "interruptible", "is_stop", "what_is_left"]

STOPPED = 130
"""The exit status of a command that was stopped, as shells use it."""


def handle_ctrl_c() -> None:
    """From now on, Ctrl-C ends this process at once: nothing was begun that would have to be tidied up."""
    signal.signal(signal.SIGINT, _leave)
    sys.unraisablehook = _unraisable


def ignore_ctrl_c() -> None:
    """From now on, Ctrl-C does nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside the block, Ctrl-C raises `KeyboardInterrupt`. Without `handle_ctrl_c`, this is left to Python."""
    handled = signal.getsignal(signal.SIGINT) is _leave
    if handled:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        if handled:
            ignore_ctrl_c()


def is_stop(error: BaseException | None) -> bool:
    """Whether Ctrl-C led to this exception.

    Examples
    --------
    >>> try:
    ...     raise KeyboardInterrupt
    ... except KeyboardInterrupt:
    ...     try:
    ...         sys.exit(1)  # as Lightning does
    ...     except SystemExit as error:
    ...         is_stop(error)
    True
    >>> is_stop(SystemExit(1))
    False
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _leave(*_: object) -> None:
    os.write(2, f"{_BEFORE}\n".encode())
    os._exit(STOPPED)


def _interrupt(*_: object) -> None:
    if not is_stop(sys.exception()):  # otherwise the process is tidying up
        raise KeyboardInterrupt


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Press Ctrl-C once more where Python drops it: in finalizers, and in callbacks such as those of the import system.

    Python reports a Ctrl-C at the very moment from which it is ignored; that report is left out.
    """
    if unraisable.exc_type is KeyboardInterrupt:
        _thread.start_new_thread(_press, ())
    elif "ignored due to race condition" not in str(unraisable.exc_value):  # as CPython says it
        sys.__unraisablehook__(unraisable)


def _press() -> None:
    time.sleep(0.01)  # until the main thread has left the finalizer
    _thread.interrupt_main()


_BEFORE = "stopped before anything was done; run the command again"
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


def what_is_left(command: str | None, words: Collection[str]) -> str:
    """Say what a stopped command leaves, in one line; None is a command that had not begun.

    Examples
    --------
    >>> print(what_is_left("convert", ["data", "out", "--to", "yolo"]))
    stopped: nothing was written; run the command again to start over
    >>> print(what_is_left("convert", ["data", "out", "--to", "crops"]))
    stopped: the crops that were cut are kept; run the same command again to resume
    >>> print(what_is_left("import", ["review.zip", "data", "--update"]))
    stopped: the data set is as it was, or has the whole update; run the same command again to make sure
    >>> print(what_is_left("convert", ["data", "s3://ward/out", "--to", "huggingface"]))
    stopped: an output on disk was not changed, and one at a URL is not whole; run the command again to start over
    """
    if command is None:
        return _BEFORE
    if command == "import" and "--update" in words:
        return "stopped: the data set is as it was, or has the whole update; run the same command again to make sure"
    kind = "crops" if command == "convert" and {"crops", "--to=crops"} & set(words) else command
    if kind in _LEFT:
        return f"stopped: {_LEFT[kind]}; run the same command again to resume"
    left = "nothing was changed" if command in _READING else "nothing was written"
    if command == "convert" and any("://" in word for word in words):
        left = "an output on disk was not changed, and one at a URL is not whole"
    return f"stopped: {left}; run the command again to start over"
