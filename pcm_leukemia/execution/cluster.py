"""Runs work on the workers of a Dask cluster."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from pcm_leukemia.errors import MissingExtra, ServerUnavailable, counted
from pcm_leukemia.execution.batch import Batch
from pcm_leukemia.remote import Place

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Cluster"]

One = TypeVar("One")
Other = TypeVar("Other")

_PACKAGE = "pcm-leukemia"

_AT_ONCE = 3
"""Batches for each thread of the workers that are sent before their results are used."""
_CONNECT = 10
"""Seconds in which the scheduler must answer."""
_FIRST_WORKER = 60
"""Seconds in which the first worker must come."""
_NO_WORKER = 300
"""Seconds without any worker after which the work ends."""
_LOOK = 5
"""Seconds after which the workers are counted again."""


class Cluster(Executor):
    """The workers of a Dask cluster, for the `executor` of every function that opens images.

    Paths are those of a file system that this process and all workers share. Results, and the files that are written, are the
    same as without a cluster. If a worker dies, its batches run again on others.

    Parameters
    ----------
    cluster
        The address of the scheduler, such as ``"tcp://host:8786"``; the path of its scheduler file; or a
        `distributed.Client`, which stays open.

    Raises
    ------
    ServerUnavailable
        If no scheduler answers, if it has no worker, or if a worker lacks this version of pcm-leukemia. When work runs: if the
        connection is lost, if all workers have left, if several workers died on one batch, or if a worker does not see a file.
    MissingExtra
        If distributed is not installed.

    Examples
    --------
    >>> import distributed
    >>> from pcm_leukemia import execution
    >>> with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as local:
    ...     with execution.Cluster(local.scheduler_address) as cluster:
    ...         list(execution.ahead(abs, [-3, 2, -1], workers=1, depth=1, executor=cluster))
    [3, 2, 1]
    """

    def __init__(self, cluster: str | Path | Client) -> None:
        self._owned = isinstance(cluster, str | Path)
        client: Any = _connected(cluster) if isinstance(cluster, str | Path) else cluster
        self._client, self.address = client, str(client.scheduler.address)
        self._threads, self._counted = 0, -float(_LOOK)
        try:
            self._require_workers()
        except BaseException:
            self.shutdown()
            raise

    def submit(self, fn: Callable[..., Other], /, *args: Any, **kwargs: Any) -> Future[Other]:
        """Run one call, as every executor does; functions of this package use `ahead`."""
        done: Future[Other] = self._client.get_executor(pure=False).submit(fn, *args, **kwargs)
        return done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Close the connection, unless the client is the caller's."""
        if not self._owned:
            return
        log = logging.getLogger("distributed.client")
        before = log.level
        if self._client.status != "running":
            log.setLevel(
                logging.CRITICAL
            )  # a lost connection has been reported, and to stop the search for it is no error
        try:
            self._client.close(timeout=_CONNECT)
        finally:
            log.setLevel(before)

    def ahead(
        self,
        work: Callable[[One], Other],
        items: Iterable[One],
        *,
        name: Callable[[One], str] = str,
        shared: Sequence[Place] = (),
        batch: int = 32,
    ) -> Generator[Other, None, None]:
        """The results of the work on each item, in order; see `execution.ahead`.

        Results wait on the workers, not here, until they are used.
        """
        queue: deque[tuple[Any, tuple[One, ...]]] = deque()
        rest = iter(items)
        called = getattr(getattr(work, "func", work), "__name__", "work").strip("_")
        try:
            while True:
                while len(queue) < _AT_ONCE * self._slots() and (those := tuple(islice(rest, batch))):
                    task = Batch.of(work, those, shared)
                    with self._connection():
                        queue.append(
                            (self._client.submit(task, key=f"{called}-{uuid4().hex}", pure=False), those)
                        )
                if not queue:
                    return
                yield from self._result(*queue[0], name)
                queue.popleft()  # the workers may forget it
        finally:
            if queue and self._client.status == "running":
                with suppress(OSError, CancelledError):
                    self._client.cancel([future for future, _ in queue], force=True)

    def _result(self, future: Any, those: Sequence[One], name: Callable[[One], str]) -> list[Other]:
        from distributed import KilledWorker, wait

        seen = monotonic()
        while True:
            with self._connection(), suppress(TimeoutError), self._client.as_current():
                wait(future, timeout=_LOOK)  # type: ignore[no-untyped-call]
                break
            if self._workers():
                seen = monotonic()
            elif monotonic() - seen > _NO_WORKER:
                raise ServerUnavailable(
                    f"{self.address}: has no worker any more; start workers, then run it again"
                )
        with self._connection():
            try:
                done: list[Other] = future.result()
            except KilledWorker as error:
                names = ", ".join(map(name, those))
                raise ServerUnavailable(
                    f"{self.address}: {counted(error.allowed_failures + 1, 'worker')} died with the same images "
                    f"({names}); look into the logs of the workers: often they need more memory"
                ) from error
        return done

    def _slots(self) -> int:
        """The threads of all workers, at least one."""
        if monotonic() - self._counted >= _LOOK:
            self._threads, self._counted = sum(self._workers().values()), monotonic()
        return max(self._threads, 1)

    def _workers(self) -> dict[str, int]:
        """Worker -> its threads."""
        with self._connection():
            return dict(self._client.nthreads())

    def _require_workers(self) -> None:
        with self._connection():
            try:
                self._client.wait_for_workers(1, timeout=_FIRST_WORKER)
            except TimeoutError as error:
                raise ServerUnavailable(
                    f"{self.address}: has no worker; start some: dask worker {self.address}"
                ) from error
            found = self._client.run(version, _PACKAGE, on_error="return")
        ours = version(_PACKAGE)
        for worker, theirs in found.items():
            if isinstance(theirs, PackageNotFoundError):
                raise ServerUnavailable(
                    f"{worker}: has no {_PACKAGE}; install {_PACKAGE} {ours} on every worker"
                )
            if isinstance(theirs, str) and theirs != ours:
                raise ServerUnavailable(
                    f"{worker}: has {_PACKAGE} {theirs}, but here is {ours}; install the same version on every worker"
                )

    @contextmanager
    def _connection(self) -> Iterator[None]:
        """Turn the many errors of a lost connection into one sentence."""
        try:
            yield
        except (ServerUnavailable, TimeoutError):
            raise
        except (CancelledError, ConnectionError) as error:
            raise ServerUnavailable(
                f"{self.address}: the connection to the cluster was lost; check that its scheduler runs, then run it again"
            ) from error


def _connected(place: str | Path) -> Client:
    try:
        import distributed
    except ImportError as error:
        raise MissingExtra("distributed", "scale") from error
    at: dict[str, Any] = {"scheduler_file": str(place)} if Path(place).is_file() else {"address": str(place)}
    with suppress(OSError, ValueError):
        client: Client = distributed.Client(**at, timeout=_CONNECT, set_as_default=False)  # type: ignore[no-untyped-call]
        return client
    # outside of the block: a traceback would keep the half-made client until Python ends, when closing it would fail
    raise ServerUnavailable(
        f"{place}: no Dask scheduler answers there; start one (dask scheduler), or correct the address"
    )
