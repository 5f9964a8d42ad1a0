"""The workers of a Dask cluster give what threads here give, also if one of them is killed."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dask_workers import many_smears, tree
from distributed import Client, LocalCluster

from pcm_leukemia import checks, execution
from pcm_leukemia.checks.file_reading import FileReading
from pcm_leukemia.converters import crops, huggingface
from pcm_leukemia.environment import MAX_PIXELS, WHITE_LEVEL
from pcm_leukemia.errors import DataNotFound, InvalidExport, MissingExtra, Problem, ServerError
from pcm_leukemia.execution.batch import Batch

PATIENCE = 120
"""Seconds after which something that should have happened counts as failed."""


@pytest.fixture
def client(local_cluster: LocalCluster) -> Iterator[Client]:
    with Client(local_cluster.scheduler_address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        yield client


def until(happened: Callable[[], Any]) -> Any:
    """Wait until a function gives something true, and return it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_a_killed_worker_costs_its_batch_only(
    tmp_path: Path, cluster: execution.Cluster, client: Client
) -> None:
    ds = many_smears(tmp_path / "images")
    crops.write(ds, tmp_path / "here")
    image = tmp_path / "images" / "05.jpg"
    there = image.rename(tmp_path / "05.jpg")
    os.mkfifo(image)  # whoever opens it waits until somebody writes

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(crops.write, ds, tmp_path / "there", executor=cluster)
        try:
            with image.open("wb"):  # a worker is in the middle of its batch, and the other has done the rest
                (busy,) = until(lambda: _busy(client) if len(_busy(client)) == 1 else None)
                there.replace(image)
                os.kill(client.run(os.getpid, workers=[busy])[busy], signal.SIGKILL)
        finally:
            if there.exists():
                there.replace(image)
        report = writing.result(PATIENCE)
    assert report.problems == ()
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


def _busy(client: Client) -> list[str]:
    working: dict[str, Any] = client.processing()  # type: ignore[no-untyped-call]
    return [worker for worker, tasks in working.items() if tasks]


def test_hugging_face_folders_are_the_same_file_by_file(tmp_path: Path, cluster: execution.Cluster) -> None:
    ds = many_smears(tmp_path / "images")
    options: dict[str, Any] = {"max_shard_bytes": 60_000, "padding": 5}
    huggingface.write(ds, tmp_path / "here", **options)
    huggingface.write(ds, tmp_path / "there", **options, executor=cluster)
    assert len(list((tmp_path / "here").glob("*/*.parquet"))) > 4
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


def test_checks_find_the_same(tmp_path: Path, cluster: execution.Cluster) -> None:
    ds = many_smears(tmp_path / "images")
    (tmp_path / "images" / "01.jpg").write_bytes(b"damaged")
    (tmp_path / "images" / "02.png").unlink()
    shutil.copy(tmp_path / "images" / "05.jpg", tmp_path / "images" / "07.jpg")
    here = checks.check(ds)
    assert {found.kind for found in here.findings} >= {"unreadable", "same-pixels"}
    assert checks.check(ds, executor=cluster).to_json() == here.to_json()
    for one, other in zip(checks.read_files(ds), checks.read_files(ds, executor=cluster), strict=True):
        assert _plain(one) == _plain(other)


def _plain(reading: FileReading) -> list[Any]:
    """A reading that can be compared: its thumbnails are bytes."""
    thumbnails = [reading.whole, *reading.cells, *reading.with_margin]
    bytes_of = [None if each is None else each.tobytes() for each in thumbnails]
    return [reading.image, reading.problem, reading.digest, reading.blank, reading.changed, bytes_of]


def test_no_more_than_a_few_batches_are_taken_ahead(cluster: execution.Cluster) -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(200):
            taken.append(number)
            yield number

    for done in execution.ahead(abs, items(), 1, 1, cluster, batch=4):
        assert len(taken) - done <= 4 * 3 * 2 + 4
    assert len(taken) == 200


def test_it_is_an_executor_and_so_is_that_of_a_client(cluster: execution.Cluster, client: Client) -> None:
    assert cluster.submit(abs, -3).result(PATIENCE) == 3
    plain = client.get_executor(pure=False)  # type: ignore[no-untyped-call]
    assert list(execution.ahead(abs, range(-9, 0), 1, 4, plain)) == list(range(9, 0, -1))


def _kill_at(worst: int, item: int) -> int:
    if item == worst:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_a_batch_that_kills_its_workers_is_named(cluster: execution.Cluster) -> None:
    results = execution.ahead(partial(_kill_at, 5), range(8), 1, 1, cluster, name="{}.png".format, batch=4)
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(
        ServerError, match=r": 2 workers died with the same images \(4.png, 5.png, 6.png, 7.png\);"
    ):
        next(results)


def test_a_path_that_a_worker_does_not_see_is_named(tmp_path: Path, cluster: execution.Cluster) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(
        ServerError, match=f"worker on .*: does not see {gone}; all workers need the same folders"
    ):
        list(execution.ahead(abs, [1], 1, 1, cluster, shared=[gone]))
    with pytest.raises(ServerError, match=f"{gone}/a: No such file or directory; all workers need"):
        list(execution.ahead(_write, [gone / "a"], 1, 1, cluster))


def _write(path: Path) -> None:
    path.write_text("a", encoding="utf-8")


def _fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [
        InvalidExport([Problem("a.xml", "is empty", "export again")]),
        MissingExtra("torch", "baselines"),
        DataNotFound("a.png: no such file; put it there"),
    ],
)
def test_errors_of_workers_say_what_they_say_here(error: Exception, cluster: execution.Cluster) -> None:
    with pytest.raises(type(error)) as raised:
        list(execution.ahead(_fail, [error], 1, 1, cluster))
    assert str(raised.value) == str(error) == str(pickle.loads(pickle.dumps(error)))
    assert getattr(raised.value, "problems", None) == getattr(error, "problems", None)


def _variable(name: str) -> str | None:
    return os.environ.get(name)  # the worker's


def test_what_is_decoded_is_decided_here(monkeypatch: pytest.MonkeyPatch, cluster: execution.Cluster) -> None:
    names = (MAX_PIXELS, WHITE_LEVEL)
    monkeypatch.setenv(MAX_PIXELS, "7")
    assert list(execution.ahead(_variable, names * 40, 1, 1, cluster)) == ["7", None] * 40
    monkeypatch.delenv(MAX_PIXELS)
    assert list(execution.ahead(_variable, names * 40, 1, 1, cluster)) == [None] * 80


def test_a_worker_that_came_later_may_have_another_version() -> None:
    batch = Batch.of(abs, (1,))
    assert batch() == [1]
    other = Batch(abs, (1,), (), "0.0.9", (), types_commands=False)
    with pytest.raises(ServerError, match=r"has pcm-leukemia .*, not 0.0.9; install the same version"):
        other()


def test_no_scheduler_answers() -> None:
    with pytest.raises(ServerError, match=r"foo://here: no Dask scheduler answers there; start one"):
        execution.Cluster("foo://here")
