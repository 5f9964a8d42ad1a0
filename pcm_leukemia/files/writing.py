"""Writes a folder or a file beside its target, then puts it in place in one step.

A process that is killed while writing leaves the old folder or the new one, never half of one. `files.targets` says what may
be replaced.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import stat
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pcm_leukemia.errors import (
    DataWarning,
    DiskError,
    PcmError,
    Problem,
    WrongTarget,
    counted,
    counted_kind,
)
from pcm_leukemia.files.leftovers import RUNNING, clear_leftovers, other_writer, partial_of, runs
from pcm_leukemia.files.targets import MARKER, check_place, check_target, count_files
from pcm_leukemia.files.uploading import remote_content
from pcm_leukemia.remote import Place, RemotePath

__all__ = [
    "Report",
    "counts",
    "disk_errors",
    "new_file",
    "new_folder",
    "new_zip",
    "put_in_place",
    "write_json",
    "write_text",
]


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a converter: counts by part, and counts of everything left out, by kind.

    `out` is a `Path`, or the `RemotePath` of an output at a URL. `problems` list everything that could not be written, for
    example an unreadable image.
    """

    format: str
    out: Any
    images: Mapping[str, int]
    cells: Mapping[str, Mapping[str, int]]
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.format}: {self.out}"]
        for part, images in self.images.items():
            cells = sum(self.cells.get(part, {}).values())
            lines.append(f"  {part}: {counted(images, 'image')}, {counted(cells, 'cell')}")
        lines += [f"  left out: {counted_kind(count, kind)}" for kind, count in self.skipped.items() if count]
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  problem: {problem}" for problem in self.problems]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from pcm_leukemia import notebook

        return notebook.of_report(self)

    def to_json(self) -> dict[str, object]:
        """The report as plain dictionaries, without the path."""
        return {
            "format": self.format,
            "images": dict(self.images),
            "cells": {part: dict(counts) for part, counts in self.cells.items()},
            "skipped": {kind: count for kind, count in self.skipped.items() if count},
            "notes": list(self.notes),
            "problems": [str(problem) for problem in self.problems],
        }

    def leave_in(
        self, folder: Place, made: Mapping[str, object] | None = None, *, without: Iterable[str] = ()
    ) -> None:
        """Write the report into `folder`, as the mark that this package made the folder.

        Parameters
        ----------
        folder
            The folder, with everything else in it.
        made
            What else the mark says.
        without
            Files in the folder that will be removed.
        """
        if isinstance(folder, RemotePath):
            entries, files = remote_content(folder)
        else:
            entries, files = {entry.name for entry in folder.iterdir()}, count_files(folder)
        content = {
            "written_by": "pcm-leukemia",
            **(made or {}),
            **self.to_json(),
            "entries": sorted({*entries, MARKER} - {*without}),
            "files": files,
        }
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (folder / MARKER).write_bytes(text.encode())


def counts(pairs: Iterator[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Count cells by part and label, from (part, label) pairs."""
    table: dict[str, Counter[str]] = {}
    for part, label in pairs:
        table.setdefault(part, Counter())[label] += 1
    return {part: dict(labels) for part, labels in table.items()}


@contextmanager
def new_folder(out: str | Path, form: str) -> Iterator[Path]:
    """A fresh folder beside `out`, which replaces `out` when the block ends without an error.

    Raises
    ------
    ExportError
        If `out` must not be replaced, or cannot be written.

    Warns
    -----
    DataWarning
        If an interrupted command left its unfinished output beside `out`.
    """
    path = check_target(out, form)
    with disk_errors(out):
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(path)
        _warn_of_unfinished(path)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.writing-{os.getpid()}_", dir=path.parent))
        work.chmod(0o777 & ~_umask())
        try:
            _require_alone(path)
            yield work
            put_in_place(work, check_target(out, form))
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _require_alone(path: Path) -> None:
    """Refuse an output that another process writes: one of the two results would be lost."""
    if found := other_writer(path):
        pid, left = found
        raise WrongTarget(
            f"{path}: another run (process {pid}) is writing it; wait for it, name another output, or remove {left}"
        )


@contextmanager
def disk_errors(out: str | Path, kept: Path | None = None) -> Iterator[None]:
    """Turn the errors of a full disk or a missing permission into a `DiskError`.

    Parameters
    ----------
    out
        What is written, for the message.
    kept
        The folder in which unfinished work stays, so that the next run resumes.

    Raises
    ------
    DiskError
        Instead of any `OSError` inside the block.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, PcmError):
            raise
        resume = f"; the same command resumes with {kept}; otherwise remove it" if kept else ""
        raise DiskError(
            f"{out}: {error.strerror or error}; check the disk and the permissions{resume}"
        ) from error


def _warn_of_unfinished(path: Path) -> None:
    """Name the unfinished output of a command that was interrupted and that nobody resumes, unless this process has it."""
    left = partial_of(path)
    try:
        owner = (left / RUNNING).read_text(encoding="utf-8")
    except OSError:
        owner = ""
    if left.is_dir() and owner != str(os.getpid()) and not runs(owner):
        warnings.warn(
            f"{path}: an interrupted command left its unfinished output in {left}; remove it, unless you want to resume it",
            DataWarning,
            stacklevel=4,
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def new_file(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """A fresh path beside `path`; the file written there replaces `path` when the block ends without an error.

    Missing folders above it are made. The file gets the usual permissions, even from a library that writes for its owner
    alone, or those of `mode`, for example 0o600 for a secret, which nobody else can read while it is written either.

    Raises
    ------
    ExportError
        If `path` cannot become a file, or the disk is full.
    """
    if path.is_dir():
        raise WrongTarget(f"{path}: is a folder; name a file")
    check_place(path)
    work = path.with_name(f".{path.name}.writing-{os.getpid()}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(path)
        try:
            work.touch(0o666 if mode is None else mode & 0o600)
            usual = stat.S_IMODE(work.stat().st_mode) if mode is None else mode
            yield work
            work.chmod(usual)
            work.replace(path)
        finally:
            work.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step; ExportError if it cannot be written."""
    with new_file(path) as work:
        work.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Write a JSON file in one step; ExportError if it cannot be written."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def new_zip(path: Path, seal: bytes) -> Iterator[zipfile.ZipFile]:
    """A zip to write, with a comment that identifies its writer; it replaces `path` when the block ends without an error.

    Raises
    ------
    ExportError
        If it cannot be written.
    """
    with disk_errors(path), new_file(path) as work, zipfile.ZipFile(work, "w") as archive:
        _require_alone(path)
        yield archive
        archive.comment = seal


def put_in_place(new: Path, target: Path) -> None:
    """Rename the folder `new` to `target` in one step, and remove the former `target`."""
    if not target.exists():
        new.rename(target)
    elif _exchange(new, target):
        shutil.rmtree(new)
    else:
        # This system cannot exchange folders: between the two renames, the old folder only exists
        # under its other name.
        old = target.with_name(f".{target.name}.old-{os.getpid()}")
        target.rename(old)
        try:
            new.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step, if the system can (Linux, macOS); returns whether it did."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            swapped = libc.renamex_np(os.fsencode(one), os.fsencode(other), 2)
        else:
            at_cwd, exchange = -100, 2
            swapped = libc.renameat2(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), exchange)
    except (OSError, AttributeError, TypeError):
        return False
    return bool(swapped == 0)
