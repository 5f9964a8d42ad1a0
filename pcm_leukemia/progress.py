"""Progress bars: on a terminal or in a notebook, and on standard error, so that a pipe gets nothing but results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rich import progress
from rich.console import Console

__all__ = ["console", "track", "visible"]

Item = TypeVar("Item")


def console() -> Console:
    """Where bars are drawn."""
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
    return progress.track(items, what, total, console=console(), transient=not stays)
