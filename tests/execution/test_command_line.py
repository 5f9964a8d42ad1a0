"""``--dask``: a scheduler and workers that were started on the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import distributed
import pytest
from commands import Run
from dask_workers import many_smears, tree

from pcm_leukemia import store

PATIENCE = 120
"""Seconds after which something that should have happened counts as failed."""


@contextmanager
def started(*words: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that says nothing but errors and results, which is ended with the block."""
    command = [sys.executable, "-m", *map(str, words)]
    environment = {**os.environ, "COLUMNS": "200", **environment}
    said = subprocess.DEVNULL if words[0] == "dask" else subprocess.PIPE  # nobody reads logs
    # not in the checkout, where an editable install leaves metadata that would come before any other version
    process = subprocess.Popen(
        command, cwd=Path(__file__).parent, env=environment, text=True, stdout=said, stderr=said
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def workers(scheduler: Path, count: int, **environment: str) -> Iterator[None]:
    """So many workers, when all of them have come."""
    words = ("dask", "worker", "--scheduler-file", scheduler, "--nthreads", 1, "--no-nanny", "--no-dashboard")
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(started(*words, **environment))
        with distributed.Client(scheduler_file=str(scheduler), set_as_default=False) as client:  # type: ignore[no-untyped-call]
            client.wait_for_workers(count, timeout=PATIENCE)
        yield


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    file = tmp_path / "scheduler.json"
    words = ("dask", "scheduler", "--port", 0, "--host", "127.0.0.1", "--scheduler-file", file)
    with started(*words, "--no-dashboard") as process:
        yield file, process


def test_what_is_written_and_said_is_the_same(
    run: Run, tmp_path: Path, scheduler: tuple[Path, subprocess.Popen[str]]
) -> None:
    file, _ = scheduler
    data = tmp_path / "data"
    store.write(many_smears(tmp_path / "images"), data)
    (tmp_path / "images" / "01.jpg").write_bytes(b"damaged")
    commands = (("check", data), ("convert", data, tmp_path / "out", "--to", "crops"))
    here = [run(*words) for words in commands]
    (tmp_path / "out").rename(tmp_path / "here")
    with workers(file, 2):
        assert [run(*words, "--dask", file) for words in commands] == here
        assert tree(tmp_path / "out") == tree(tmp_path / "here")

    # one that comes later, with another version
    about = tmp_path / "other" / "pcm_leukemia-0.0.9.dist-info" / "METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: pcm-leukemia\nVersion: 0.0.9\n", encoding="utf-8")
    with workers(
        file, 1, PYTHONPATH=os.pathsep.join([str(about.parents[1]), os.environ.get("PYTHONPATH", "")])
    ):
        status, _, said = run("check", data, "--dask", file)
    assert status == 3
    assert "has pcm-leukemia 0.0.9, but here is " in said
    assert "; install the same version on every worker\n" in said


@contextmanager
def held(image: Path) -> Iterator[BinaryIO]:
    """Hold up whoever opens an image; the block begins when somebody has, and the image comes with its end."""
    there = image.rename(image.with_suffix(".held"))
    os.mkfifo(image)
    with image.open("wb") as stream:
        yield stream
        stream.write(there.read_bytes())
        there.replace(image)


def until_idle(scheduler: Path) -> None:
    """Wait until the workers have ended what nobody wants any more."""
    with distributed.Client(scheduler_file=str(scheduler), set_as_default=False) as client:  # type: ignore[no-untyped-call]
        for worker in client.nthreads():
            client.submit(abs, -1, workers=[worker], pure=False).result(PATIENCE)


def test_crops_go_on_when_the_command_was_stopped_and_when_the_cluster_was_lost(
    run: Run, tmp_path: Path, scheduler: tuple[Path, subprocess.Popen[str]]
) -> None:
    file, process = scheduler
    data, images = tmp_path / "data", tmp_path / "images"
    store.write(many_smears(images), data)
    run("convert", data, tmp_path / "here", "--to", "crops")
    words = ("convert", data, tmp_path / "there", "--to", "crops")
    with workers(file, 2):
        with started("pcm_leukemia", *words, "--dask", file) as command, held(images / "35.jpg"):
            command.send_signal(signal.SIGINT)  # a worker is in the middle of its batch
            _, said = command.communicate(timeout=PATIENCE)
        assert command.returncode == 130
        left = "stopped: the crops that were cut are kept; run the same command again to resume"
        assert said.splitlines() == [left]

        until_idle(file)
        with started("pcm_leukemia", *words, "--dask", file) as command, held(images / "37.jpg"):
            process.kill()
            _, said = command.communicate(timeout=PATIENCE)
        assert command.returncode == 3
        (sentence,) = said.splitlines()
        assert sentence.startswith("error: tcp://127.0.0.1:")
        assert sentence.endswith(
            ": the connection to the cluster was lost; check that its scheduler runs, then run it again"
        )
    assert not (tmp_path / "there").exists()
    assert (tmp_path / ".there.partial").is_dir()
    assert run(*words).status == 0
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


def test_no_scheduler_is_one_sentence(run: Run, tmp_path: Path, export: Path) -> None:
    status, _, said = run("convert", export, tmp_path / "out", "--to", "crops", "--dask", "foo://here:1")
    assert status == 3
    assert said.splitlines()[-1] == (
        "error: foo://here:1: no Dask scheduler answers there; start one (dask scheduler), or correct the address"
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--to", "yolo"), "--dask does not apply to --to yolo; it is for --to crops and huggingface"),
        (
            ("--to", "crops", "--workers", 2),
            "--workers is for threads here, and --dask has workers elsewhere",
        ),
    ],
)
def test_options_that_do_not_go_together(
    run: Run, tmp_path: Path, export: Path, words: tuple[object, ...], sentence: str
) -> None:
    outcome = run("convert", export, tmp_path / "out", "--dask", "tcp://here:1", *words)
    assert outcome.status == 2
    assert sentence in outcome.err
