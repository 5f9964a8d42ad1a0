"""Crops and a Hugging Face folder with threads here and with two Dask workers on this machine, in one run.

    python benchmarks/cluster.py [--images 400]

The images are those of `crops.py`: 1920x1080 pixels, with 2.1 cells on average. Processor time is that of this process and of
the workers, without their start; seconds are the fastest of three runs. The memory is the most that this process
has taken so far, after N / 4 images and after N.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from crops import make
from distributed import Client, LocalCluster

from pcm_leukemia import Dataset, execution
from pcm_leukemia.converters import crops, huggingface

ALLOCATORS = {
    "Dask's nanny has it": {},
    "docs/scale.md recommends": {
        "MALLOC_TRIM_THRESHOLD_": "268435456",
        "MALLOC_MMAP_THRESHOLD_": "33554432",
    },
}


def processor_seconds() -> float:
    return sum(os.times()[:2])


def measured(job: Callable[[], Any], client: Client) -> tuple[float, float, float]:
    """Seconds, processor seconds of this process, and those of the workers."""
    best = (float("inf"), 0.0, 0.0)
    for _ in range(3):
        here, there, start = processor_seconds(), of_workers(client), time.perf_counter()
        job()
        seconds = time.perf_counter() - start
        best = min(best, (seconds, processor_seconds() - here, of_workers(client) - there))
    return best


def of_workers(client: Client) -> float:
    used: dict[str, float] = client.run(processor_seconds)
    return sum(used.values())


def peak() -> float:
    """The most memory that this process has taken, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name, "images"), Path(name, "out")
        folder.mkdir()
        with ProcessPoolExecutor(1, get_context("spawn")) as other:  # its memory is not ours
            ds = other.submit(make, folder, count, 90).result()
        for allocator, variables in ALLOCATORS.items():
            print(f"memory is allocated as {allocator}")
            os.environ.update(variables)
            with two_workers() as (client, cluster):
                run(ds, out, client, cluster)


@contextmanager
def two_workers() -> Iterator[tuple[Client, execution.Cluster]]:
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    with (
        LocalCluster(**options, dashboard_address=":0") as local,  # type: ignore[no-untyped-call]
        Client(local.scheduler_address, set_as_default=False) as client,  # type: ignore[no-untyped-call]
        execution.Cluster(client) as cluster,
    ):
        yield client, cluster


def run(ds: Dataset, out: Path, client: Client, cluster: execution.Cluster) -> None:
    count = len(ds.images)
    quarter = ds.select(images=lambda image: int(image.id[:5]) < count // 4)
    writers: dict[str, Callable[..., Any]] = {"crops": crops.write, "huggingface": huggingface.write}
    for form, write in writers.items():
        memory = []
        for each in (quarter, ds):
            write(each, out / form, executor=cluster)
            memory.append(peak())
        print(
            f"{form}: memory here {memory[0]:.0f} MB with {count // 4} images, {memory[1]:.0f} MB with {count}"
        )
        compare(form, write, ds, out, client, cluster)
    start, items = time.perf_counter(), 100_000
    assert sum(execution.ahead(abs, range(items), 1, 1, cluster)) == items * (items - 1) // 2
    print(f"an item that needs no time: {(time.perf_counter() - start) / items * 1000:.3f} ms")


def compare(
    form: str, write: Callable[..., Any], ds: Dataset, out: Path, client: Client, cluster: execution.Cluster
) -> None:
    threads = measured(lambda: write(ds, out / form, workers=2), client)
    workers = measured(lambda: write(ds, out / form, executor=cluster), client)
    for name, (seconds, here, there) in (("two threads", threads), ("two workers", workers)):
        print(f"{form}, {name}: {seconds:.2f} s; processor {here:.2f} s here, {there:.2f} s on the workers")
    more = (sum(workers[1:]) - sum(threads[1:])) / len(ds.images) * 1000
    print(
        f"{form}: processor time {sum(workers[1:]) / sum(threads[1:]):.2f} of that of threads, "
        f"{more:+.2f} ms for each image; {workers[1] / len(ds.images) * 1000:.2f} ms of an image are here"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=400)
    main(parser.parse_args().images)
