"""A Dask cluster of two worker processes on this machine, and the images that tests send there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, execution
from pcm_leukemia.schema import ImageId, PatientId

if TYPE_CHECKING:
    from distributed import LocalCluster

__all__ = ["cluster", "local_cluster", "many_smears", "tree"]


@pytest.fixture(scope="module")
def local_cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    """Worker processes with one thread each, two if the test's module has no `WORKERS`.

    A batch fails when two workers have died on it.
    """
    import dask
    from distributed import LocalCluster

    options: dict[str, Any] = {
        "n_workers": getattr(request.module, "WORKERS", 2),
        "threads_per_worker": 1,
        "processes": True,
    }
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(**options, dashboard_address=":0") as local,  # type: ignore[no-untyped-call]
    ):
        yield local


@pytest.fixture
def cluster(local_cluster: LocalCluster) -> Iterator[execution.Cluster]:
    with execution.Cluster(local_cluster.scheduler_address) as cluster:
        yield cluster


def many_smears(folder: Path, count: int = 40) -> Dataset:
    """Small images of as many patients, with two cells each."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows, cells = [], []
    for number in range(count):
        name = f"{number:02}.{'jpg' if number % 2 else 'png'}"
        PIL.Image.fromarray(rng.integers(0, 256, (60, 90, 3), dtype=np.uint8)).save(folder / name)
        rows.append(Image(ImageId(name), 90, 60, PatientId(f"P{number}"), file=name))
        boxes = (Box(10, 10, 30.5, 40), Box(50, 5, 80, 30))
        cells += [Cell(rows[-1].id, each, "Monocyte", box) for each, box in enumerate(boxes)]
    patients = tuple(Patient(PatientId(f"P{number}"), "AML") for number in range(count))
    return Dataset("demo", NINE, tuple(rows), tuple(cells), patients, root=folder)


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
