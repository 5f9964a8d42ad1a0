"""Work that runs in the background, a bounded number of items ahead, so that memory stays flat.

This is the one place that decides where work on images runs. An `executor` means the same in every function that takes one:

- None: threads of this process.
- `Cluster`: the workers of a Dask cluster. Items are sent in batches, and batches of workers that die run again.
- Any other `concurrent.futures.Executor`: it runs the items one by one. It is not shut down.

Results are the same everywhere, and in the same order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from pcm_leukemia.execution.cluster import Cluster
from pcm_leukemia.remote import Place

__all__ = ["ahead"]

One = TypeVar("One")
Other = TypeVar("Other")


def ahead(
    work: Callable[[One], Other],
    items: Iterable[One],
    workers: int,
    depth: int,
    executor: Executor | None = None,
    *,
    name: Callable[[One], str] = str,
    shared: Sequence[Place] = (),
    batch: int = 32,
) -> Generator[Other, None, None]:
    """The results of the work on each item, in order, computed by threads.

    When the iterator is closed, waiting work is cancelled and running work is awaited. If the work leaves files
    behind, always close it: ``with closing(ahead(...)) as results``.

    Parameters
    ----------
    work, items
        The function, and the items to call it with. A `Cluster` and an executor with processes pickle both. A `Cluster` may
        call the function twice with one item, even at the same time.
    workers
        The number of threads, at least one.
    depth
        At most this many items are running, or finished and not yet used. A `Cluster` has at most a few batches for each of
        its threads instead.
    executor
        Runs the work in place of new threads. It is not shut down.
    name
        Names an item in messages.
    shared
        Files and folders that the workers of a `Cluster` must see.
    batch
        Items that a `Cluster` sends together.

    Raises
    ------
    ServerUnavailable
        If a `Cluster` cannot do the work: see there.

    Examples
    --------
    >>> list(ahead(abs, [-3, 2, -1], workers=2, depth=2))
    [3, 2, 1]
    """
    if isinstance(executor, Cluster):
        yield from executor.ahead(work, items, name=name, shared=shared, batch=batch)
        return
    pool = executor or ThreadPoolExecutor(max(workers, 1))
    queue: deque[Future[Other]] = deque()
    rest = iter(items)
    try:
        queue.extend(pool.submit(work, item) for item in islice(rest, depth))
        while queue:
            yield queue.popleft().result()
            queue.extend(pool.submit(work, item) for item in islice(rest, 1))
    finally:
        wait([waiting for waiting in queue if not waiting.cancel()])
        if executor is None:
            pool.shutdown()
