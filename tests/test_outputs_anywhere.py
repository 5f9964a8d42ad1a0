"""Crops and Hugging Face folders at URLs: the same files as on disk, the mark last, and nothing of others replaced."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from commands import Run
from storage import Unreliable, forget_connections, stored, upload

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, converters, remote
from pcm_leukemia.errors import DataNotFound, DataWarning, ExportError, ServerError, WrongTarget
from pcm_leukemia.files import MARKER
from pcm_leukemia.files.targets import UNFINISHED
from pcm_leukemia.remote import RemotePath
from pcm_leukemia.schema import ImageId, PatientId

FORMS = pytest.mark.parametrize("form", ["crops", "huggingface"])


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting."""
    monkeypatch.setattr(remote, "_WAITS", (0, 0, 0))


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    images, cells = [], []
    for number in range(6):
        name = f"P{number}/a [1]{'?' if os.name != 'nt' else ''}.{'jpg' if number % 2 else 'png'}"
        file = tmp_path / "frames" / name
        file.parent.mkdir(parents=True)
        pixels = np.random.default_rng(number).integers(0, 256, (60, 80, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(file)
        images.append(Image(ImageId(name), 80, 60, PatientId(f"P{number}"), file=name))
        cells += [
            Cell(ImageId(name), cell, label, Box(4 + 30 * cell, 5, 24 + 30 * cell, 30))
            for cell, label in enumerate(("Lymphocyte", "Other"))
        ]
    patients = tuple(Patient(PatientId(f"P{number}"), "AML") for number in range(6))
    parts = ("train", "train", "train", "train", "val", "test")
    split = Split("official", {image.id: part for image, part in zip(images, parts, strict=True)})
    return Dataset("demo", NINE, tuple(images), tuple(cells), patients, split, tmp_path / "frames")


def write(form: str, ds: Dataset, out: Any, **options: Any) -> Any:
    if form == "huggingface":
        options.setdefault("max_shard_bytes", 20_000)  # several files
    return converters.get(form).write(ds, out, **options)


def on_disk(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


@FORMS
def test_the_files_are_those_on_disk(form: str, ds: Dataset, storage: str, tmp_path: Path) -> None:
    here, there = write(form, ds, tmp_path / "out"), write(form, ds, storage)
    assert stored(storage) == on_disk(tmp_path / "out")
    assert len(stored(storage)) > 5
    assert str(there) == str(here).replace(str(tmp_path / "out"), storage)
    assert list(tmp_path.glob("pcm*")) == []


@FORMS
def test_what_we_wrote_is_replaced(form: str, ds: Dataset, storage: str, tmp_path: Path) -> None:
    write(form, ds, storage, padding=3)
    fewer = ds.select(images=lambda image: image.patient != "P0")
    write(form, fewer, storage)
    write(form, fewer, tmp_path / "out")
    assert stored(storage) == on_disk(tmp_path / "out")


@FORMS
def test_what_others_wrote_is_not_replaced(form: str, ds: Dataset, storage: str, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "thesis.txt").write_text("mine")

    def refused(why: str) -> None:
        before = stored(storage)
        with pytest.raises(WrongTarget, match=why):
            write(form, ds, storage)
        assert stored(storage) == before

    upload(tmp_path / "more", storage)
    refused(r'holds "thesis.txt", which pcm-leukemia did not write; name a new folder')
    (RemotePath(storage) / "thesis.txt").unlink()
    other = "huggingface" if form == "crops" else "crops"
    write(other, ds, storage)
    refused(f"holds data in the form {other}, not {form}")
    for file in stored(storage):
        (RemotePath(storage) / file).unlink()
    write(form, ds, storage)
    inside = "train/Lymphocyte" if form == "crops" else "detection"
    upload(tmp_path / "more", f"{storage}/{inside}")
    refused(r"holds 1 more file than pcm-leukemia wrote")


@FORMS
def test_what_cannot_be_a_folder_is_refused(form: str, ds: Dataset, storage: str, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a").write_text("mine")
    upload(tmp_path / "more", storage)
    for out, why in (
        (f"{storage}/a", "is a file; name a folder"),
        (f"{storage}/new.csv", "would be a folder with the name of a file; leave out .csv"),
        (f"{storage}/new.zip", "is in an archive"),
    ):
        with pytest.raises(WrongTarget, match=why):
            write(form, ds, out)
    header = {"written_by": "pcm-leukemia", "entries": []}
    (RemotePath(storage) / "dataset.json").write_bytes(json.dumps(header).encode())
    with pytest.raises(WrongTarget, match=f"is inside {storage}, which holds a data set"):
        write(form, ds, f"{storage}/crops")


def interrupted(form: str, ds: Dataset, out: str, unreliable: Unreliable, after: int) -> None:
    """Write until the connection is lost for good, after some files."""
    unreliable.puts_left = after
    with pytest.raises(ServerError, match="cannot be reached"):
        write(form, ds, out)
    unreliable.puts_left = None
    forget_connections()


@FORMS
@pytest.mark.parametrize("after", [1, 2, 4, 7])
def test_an_interrupted_run_has_no_mark_and_the_next_one_completes_it(
    form: str, after: int, ds: Dataset, s3: str, unreliable: Unreliable, tmp_path: Path
) -> None:
    interrupted(form, ds, s3, unreliable, after)
    left = stored(s3)
    assert len(left) == max(after - 1, 1)  # the mark of an unfinished output is written twice
    assert UNFINISHED in left
    assert MARKER not in left
    unreliable.requests.clear()
    write(form, ds, s3)
    puts = [request for request in unreliable.requests if request.startswith("PUT") and "_" in request]
    if form == "crops":
        crops = [file.rpartition("/")[2].partition("_")[0] for file in left if file.endswith(".png")]
        complete = sum(crops.count(patient) == 2 for patient in set(crops))
        assert len(puts) == 12 - 2 * complete  # only images with a crop that was missing
    write(form, ds, tmp_path / "out")
    assert stored(s3) == on_disk(tmp_path / "out")


@FORMS
def test_an_interrupted_run_with_other_options_starts_again(
    form: str, ds: Dataset, s3: str, unreliable: Unreliable, tmp_path: Path
) -> None:
    write(form, ds, s3, padding=9)  # whole, and about to be replaced
    interrupted(form, ds, s3, unreliable, 4)
    assert MARKER not in stored(s3)
    for out in (s3, tmp_path / "out"):
        write(form, ds, out, padding=4)
    assert stored(s3) == on_disk(tmp_path / "out")


def test_files_of_others_beside_an_interrupted_run_are_not_removed(
    ds: Dataset, s3: str, unreliable: Unreliable
) -> None:
    interrupted("crops", ds, s3, unreliable, 5)
    (RemotePath(s3) / "thesis.txt").write_bytes(b"mine")
    with pytest.raises(WrongTarget, match=r'holds "thesis.txt", which pcm-leukemia did not write'):
        write("crops", ds, s3)
    assert stored(s3)["thesis.txt"] == b"mine"


def test_two_runs_do_not_write_to_one_url(ds: Dataset, memory: str) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        record = {"written_by": "pcm-leukemia", "format": "crops", "entries": [], "process": other.pid}
        mark = RemotePath(memory) / UNFINISHED
        mark.write_bytes(json.dumps({**record, "host": socket.gethostname()}).encode())
        with pytest.raises(
            ExportError, match=f"another run .process {other.pid}. is writing there; wait for it"
        ):
            write("crops", ds, memory)
    finally:
        other.communicate(b"\n")
    write("crops", ds, memory)


def test_a_storage_that_may_leave_half_a_file_is_started_again(
    ds: Dataset, memory: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As sftp:// may; here, memory stands for it."""
    broken = RemotePath.write_bytes

    def fails(path: RemotePath, data: bytes) -> None:
        if path.name.startswith("P5"):
            raise ServerError("the line is dead")
        broken(path, data[:10] if path.name.startswith("P1") else data)

    monkeypatch.setattr(remote, "_OBJECTS", set())
    with monkeypatch.context() as context:
        context.setattr(RemotePath, "write_bytes", fails)
        with pytest.raises(ServerError, match="the line is dead"):
            write("crops", ds, memory, workers=1)
    for out in (memory, tmp_path / "out"):
        write("crops", ds, out)
    assert stored(memory) == on_disk(tmp_path / "out")


@FORMS
def test_lost_connections_are_made_up_for(
    form: str, ds: Dataset, s3: str, unreliable: Unreliable, tmp_path: Path
) -> None:
    unreliable.once = set()
    for out in (s3, tmp_path / "out"):
        write(form, ds, out)
    assert len(unreliable.once) > 10
    unreliable.once = None
    assert stored(s3) == on_disk(tmp_path / "out")


@FORMS
def test_no_bucket_and_no_permission_are_named_before_the_work(
    form: str, ds: Dataset, s3: str, unreliable: Unreliable
) -> None:
    with pytest.raises(DataNotFound, match="no such bucket"):
        write(form, ds, "s3://no-such-ward/crops")
    unreliable.faults[:] = ["forbidden"] * 100
    with pytest.raises(ServerError, match="must not be accessed with these credentials"):
        write(form, ds, s3)


def test_crops_from_a_url_to_a_url_on_the_command_line(
    run: Run, ds: Dataset, storage: str, tmp_path: Path
) -> None:
    from dataclasses import replace

    from pcm_leukemia import store

    assert isinstance(ds.root, Path)
    upload(ds.root, storage)
    store.write(replace(ds, root=RemotePath(storage)), tmp_path / "data")
    out = storage.replace("frames", "crops")
    done = run("convert", tmp_path / "data", out, "--to", "crops")
    assert (done.status, done.out.splitlines()[0]) == (0, f"crops: {out}")
    write("crops", ds, tmp_path / "out")
    assert stored(out) == on_disk(tmp_path / "out")
    again = run("convert", tmp_path / "data", out, "--to", "huggingface")
    assert (again.status, again.err) == (
        2,
        f"error: {out}: holds data in the form crops, not huggingface; name another folder\n",
    )


@pytest.mark.parametrize("spell", [str, Path])
def test_other_outputs_are_refused_at_a_url(
    run: Run, ds: Dataset, spell: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pcm_leukemia import store

    monkeypatch.chdir(tmp_path)
    before = on_disk(tmp_path)
    for form in ("coco", "yolo", "cvat"):
        with pytest.raises(WrongTarget, match="is a URL, and only crops and Hugging Face folders"):
            converters.get(form).write(ds, spell("s3://ward/out"))
    with pytest.raises(WrongTarget, match="is a URL"):
        store.write(ds, spell("s3://ward/out"))
    said = run("import", "frames", "s3://user:QpassQ@ward/out")
    assert said.status == 2
    assert "is a URL" in said.err
    assert on_disk(tmp_path) == before


def test_an_image_that_cannot_be_read_leaves_the_others(ds: Dataset, storage: str, tmp_path: Path) -> None:
    assert isinstance(ds.root, Path)
    (ds.root / str(ds.images[0].file)).write_bytes(b"no image")
    for out in (storage, tmp_path / "out"):
        with pytest.warns(DataWarning, match="is not an image"):
            write("crops", ds, out)
        with pytest.raises(ExportError, match="is not an image"):
            write("huggingface", ds, f"{out}-hf")
    assert stored(storage) == on_disk(tmp_path / "out")
