"""The working folder for crops, next to the target or at its URL, so that an interrupted run can resume."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import ExportError
from pcm_leukemia.files import (
    RUNNING,
    check_target,
    check_url,
    disk_errors,
    partial_of,
    put_in_place,
    remote_folder,
    remote_state,
    runs,
    written_as,
)
from pcm_leukemia.remote import Place, RemotePath, place_of

__all__ = ["WORKING", "check_out", "resumable_folder", "source_of", "state_of"]

_FORM = "crops"
_STATE = "state.json"
WORKING = (_STATE, RUNNING)
"""The files in a working folder that are removed at the end."""


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


def check_out(out: str | Place) -> Place:
    """Refuse a target that must not become, or be replaced by, a folder of crops; returns its absolute path or URL.

    Raises
    ------
    WrongTarget
        If `out` must not, or cannot, be written.
    DataNotFound, ServerError
        If its bucket does not exist, cannot be reached, or must not be listed.
    """
    place = place_of(out)
    if isinstance(place, RemotePath):
        check_url(place, _FORM)
        return place
    return check_target(place, _FORM)


@contextmanager
def resumable_folder(
    target: Place, state: Mapping[str, object], entries: Iterable[str]
) -> Iterator[tuple[Place, Callable[[str], bool]]]:
    """The folder of an interrupted run with the same `state`, or a new one; it replaces the target at the end.

    The folder at a URL is the target itself.

    Parameters
    ----------
    target
        What `check_out` returns.
    state
        What the crops depend on.
    entries
        The files and folders that are written into the folder.

    Yields
    ------
    tuple
        The folder, and a function that says whether a file is there.

    Raises
    ------
    ExportError
        If another run uses the folder, other files are in its place, or the disk reports an error.
    """
    said = json.dumps(state, sort_keys=True)
    if isinstance(target, RemotePath):
        with remote_folder(target, _FORM, entries, said) as (folder, there):
            yield folder, there.__contains__
        return
    work = partial_of(target)
    with disk_errors(target, work):
        _prepare(work, said)
        try:
            yield work, lambda file: (work / file).is_file()
            (work / _STATE).unlink()
            (work / RUNNING).unlink()
            put_in_place(work, check_target(target, _FORM))
        finally:
            (work / RUNNING).unlink(missing_ok=True)


def state_of(work: Place) -> str:
    """What is being written into a working folder; "" if nothing is."""
    if isinstance(work, RemotePath):
        return remote_state(work)
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
    if (work / _STATE).is_file() or written_as(work) == _FORM:
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
