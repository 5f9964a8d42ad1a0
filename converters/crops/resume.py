"""The working folder for crops, next to the target, so that an interrupted run can resume."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import ExportError
from pcm_leukemia.files import RUNNING, check_target, disk_errors, partial_of, put_in_place, runs, written_as
from pcm_leukemia.remote import RemotePath

__all__ = ["resumable_folder", "source_of", "state_of"]

_STATE = "state.json"


def source_of(ds: Dataset) -> dict[str, str]:
    """Checksums of cells, split and image files: crops cut earlier are reused only if all are equal."""
    split = sorted(ds.split.part_of.items()) if ds.split else []
    stamps: list[tuple[str, object, object]]
    if isinstance(ds.root, RemotePath):
        there = ds.root.files()
        stamps = [(str(ds.root / file), *there[file]) for file in map(str, _names(ds)) if file in there]
    else:
        files = (
            [ds.root] if ds.root and ds.root.is_file() else [ds.root / file for file in _names(ds) if ds.root]
        )
        stamps = [(str(file), stat.st_size, stat.st_mtime_ns) for file in files if (stat := _stat(file))]
    return {
        "fingerprint": ds.fingerprint,
        "split": hashlib.sha256(repr(split).encode()).hexdigest(),
        "files": hashlib.sha256(repr(stamps).encode()).hexdigest(),
    }


def _names(ds: Dataset) -> list[str]:
    return [image.file for image in ds.images if image.file]


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None


@contextmanager
def resumable_folder(target: Path, state: Mapping[str, object]) -> Iterator[Path]:
    """The folder of an interrupted run with the same `state`, or a new one; it replaces the target at the end.

    Raises
    ------
    ExportError
        If another run uses the folder, other files are in its place, or the disk reports an error.
    """
    work = partial_of(target)
    with disk_errors(target, work):
        _prepare(work, json.dumps(state, sort_keys=True))
        try:
            yield work
            (work / _STATE).unlink()
            (work / RUNNING).unlink()
            put_in_place(work, check_target(target, "crops"))
        finally:
            (work / RUNNING).unlink(missing_ok=True)


def state_of(work: Path) -> str:
    """What is being written into a working folder; "" if nothing is."""
    try:
        return (work / _STATE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _prepare(work: Path, state: str) -> None:
    if work.is_symlink() or (work.exists() and not _is_ours(work)):
        raise ExportError(
            f"{work}: is needed for unfinished crops but holds other files; move it, or name another folder"
        )
    work.mkdir(parents=True, exist_ok=True)
    _lock(work)
    if state_of(work) != state:
        (work / _STATE).unlink(missing_ok=True)  # first, since workers that were left behind look at it
        for entry in work.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != RUNNING:
                entry.unlink()
        (work / _STATE).write_text(state, encoding="utf-8")


def _is_ours(work: Path) -> bool:
    """Whether a folder is of an unfinished run: at the beginning it may have no state yet, and at the end none any more."""
    if (work / _STATE).is_file() or written_as(work) == "crops":
        return True
    return {entry.name for entry in work.iterdir()} <= {RUNNING}


def _lock(work: Path) -> None:
    lock = work / RUNNING
    for _ in range(2):
        try:
            with lock.open("x", encoding="utf-8") as stream:
                stream.write(str(os.getpid()))
        except FileExistsError:
            pid = lock.read_text(encoding="utf-8")
            if runs(pid) or pid == str(os.getpid()):
                raise ExportError(
                    f"{work}: another run (process {pid}) is cutting these crops; wait for it, or remove {lock}"
                ) from None
            lock.unlink()
        else:
            return
