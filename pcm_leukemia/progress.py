"""Progress bars: on a terminal or in a notebook, and on standard error, so that a pipe gets nothing but results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console  # rich takes longer to import than all of the core

__all__ = ["bars_of_readers", "console", "of_reader", "share", "track", "visible"]

Item = TypeVar("Item")

_READERS: ContextVar[bool] = ContextVar("bars of readers", default=False)
"""Whether bars are wanted while data are read; so no reader needs a parameter for it."""


def console() -> Console:
    """Where bars are drawn."""
    from rich.console import Console

    return Console(stderr=True)


def visible() -> bool:
    """Whether somebody can see a bar: elsewhere, rich would write an empty line for each."""
    there = console()
    return there.is_terminal or there.is_jupyter


def track(
    items: Iterable[Item], what: str, total: int | None = None, *, shown: bool, stays: bool = False
) -> Iterable[Item]:
    """Iterate over items, with a bar if one is wanted and visible.

    Parameters
    ----------
    items
        What is iterated over.
    what
        The text before the bar.
    total
        The number of items, if they have no length.
    shown
        Whether a bar is wanted.
    stays
        Whether the bar stays at the end.

    Examples
    --------
    >>> list(track("abc", "letters", shown=False))
    ['a', 'b', 'c']
    """
    if not (shown and visible()):
        return items
    from rich import progress

    return progress.track(items, what, total, console=console(), transient=not stays)


@contextmanager
def share(what: str, *, shown: bool) -> Iterator[Callable[[float], None]]:
    """A bar for work that is no iteration, if one is wanted and visible.

    Parameters
    ----------
    what
        The text before the bar.
    shown
        Whether a bar is wanted.

    Yields
    ------
    Callable
        To be called now and then with the share of the work that is done, 0 to 1.

    Examples
    --------
    >>> with share("pairs", shown=False) as done:
    ...     done(0.5)
    """
    if not (shown and visible()):
        yield lambda _: None
        return
    from rich import progress

    with progress.Progress(console=console(), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def bars_of_readers(*, shown: bool) -> Iterator[None]:
    """Show bars while data are read inside the block, if they are wanted.

    Parameters
    ----------
    shown
        Whether they are wanted.
    """
    token = _READERS.set(shown)
    try:
        yield
    finally:
        _READERS.reset(token)


def of_reader() -> bool:
    """Whether bars are wanted while data are read.

    Examples
    --------
    >>> with bars_of_readers(shown=True):
    ...     of_reader()
    True
    """
    return _READERS.get()
