"""Work that runs in the background, a bounded number of items ahead, so that memory stays flat."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["ahead"]

One = TypeVar("One")
Other = TypeVar("Other")


def ahead(
    work: Callable[[One], Other],
    items: Iterable[One],
    workers: int,
    depth: int,
    executor: Executor | None = None,
) -> Generator[Other, None, None]:
    """The results of the work on each item, in order, computed by threads.

    When the iterator is closed, waiting work is cancelled and running work is awaited. If the work leaves files
    behind, always close it: ``with closing(ahead(...)) as results``.

    Parameters
    ----------
    work, items
        The function, and the items to call it with.
    workers
        The number of threads, at least one.
    depth
        At most this many items are running, or finished and not yet used.
    executor
        Runs the work in place of new threads. It is not shut down.

    Examples
    --------
    >>> list(ahead(abs, [-3, 2, -1], workers=2, depth=2))
    [3, 2, 1]
    """
    pool = executor or ThreadPoolExecutor(max(workers, 1))
    queue: deque[Future[Other]] = deque()
    rest = iter(items)
    try:
        queue.extend(pool.submit(work, item) for item in islice(rest, depth))
        while queue:
            yield queue.popleft().result()
            queue.extend(pool.submit(work, item) for item in islice(rest, 1))
    finally:
        for waiting in queue:
            waiting.cancel()
        if executor is None:
            pool.shutdown()
