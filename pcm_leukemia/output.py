"""How a folder is written: beside its target, then put in its place in one step.

Whoever is killed while writing leaves the old folder or the new one, never half of one. A
folder is only ever replaced if this package wrote all of it, as the `pcm-leukemia.json` in it
tells.
"""

from __future__ import annotations

import ctypes
import glob
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pcm_leukemia.errors import ExportError, Problem

__all__ = ["MARKER", "Report", "check_target", "counts", "new_file", "new_folder", "put_in_place"]

MARKER = "pcm-leukemia.json"
MARKERS = (MARKER, "dataset.json")


@dataclass(frozen=True, slots=True)
class Report:
    """What a converter wrote: counts by part, and what it left out, by kind.

    `problems` are what it was asked to write and could not, such as an unreadable image.
    """

    format: str
    out: Path
    images: Mapping[str, int]
    cells: Mapping[str, Mapping[str, int]]
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.format}: {self.out}"]
        for part, images in self.images.items():
            cells = sum(self.cells.get(part, {}).values())
            lines.append(f"  {part}: {images:,} images, {cells:,} cells")
        lines += [f"  left out: {count:,} {kind}" for kind, count in self.skipped.items() if count]
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  problem: {problem}" for problem in self.problems]
        return "\n".join(lines)

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

    def leave_in(self, folder: Path, made: Mapping[str, object] | None = None) -> None:
        """Write the report into `folder`, as the mark that this package made the folder."""
        entries = sorted({*(entry.name for entry in folder.iterdir()), MARKER})
        content = {"written_by": "pcm-leukemia", **(made or {}), **self.to_json(), "entries": entries}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (folder / MARKER).write_text(text, encoding="utf-8")


def counts(pairs: Iterator[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """(part, label) pairs -> cells by part and label."""
    table: dict[str, Counter[str]] = {}
    for part, label in pairs:
        table.setdefault(part, Counter())[label] += 1
    return {part: dict(labels) for part, labels in table.items()}


def check_target(out: str | Path) -> Path:
    """Refuse a target that this package must not replace; gives its absolute path.

    Raises
    ------
    ExportError
        If `out` is a file, a link, or a folder that holds anything not written by this package.
    """
    path = Path(out).absolute()
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise ExportError(f"{out}: is a file or a link; name a folder that does not exist yet")
    if not path.exists():
        return path
    entries = {entry.name for entry in path.iterdir()}
    ours = _entries_of(path)
    if entries - ours:
        stranger = min(entries - ours)
        raise ExportError(
            f'{out}: holds "{stranger}", which pcm-leukemia did not write; name a new folder, or move that away'
        )
    return path


def _entries_of(folder: Path) -> set[str]:
    """The top-level names that the mark in `folder` claims."""
    for name in MARKERS:
        try:
            mark = json.loads((folder / name).read_text(encoding="utf-8"))
            if mark["written_by"] == "pcm-leukemia":
                return set(mark["entries"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return set()


@contextmanager
def new_folder(out: str | Path) -> Iterator[Path]:
    """A fresh folder beside `out`; it takes the place of `out` when the block ends well.

    Raises
    ------
    ExportError
        If `out` must not be replaced, or cannot be written.
    """
    path = check_target(out)
    work = path.with_name(f".{path.name}.writing-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.writing-*"):
            if not _runs(left.name.rpartition("-")[2]):
                shutil.rmtree(left, ignore_errors=True)
        work.mkdir()
        yield work
        put_in_place(work, path)
    except OSError as error:
        if isinstance(error, ExportError):
            raise
        raise ExportError(f"{out}: {error.strerror or error}; check the disk and the permissions") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A fresh path beside `path`; the file written there replaces it when the block ends well."""
    work = path.with_name(f".{path.name}.writing-{os.getpid()}")
    try:
        yield work
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)


def put_in_place(new: Path, target: Path) -> None:
    """Give the folder `new` the name `target`, in one step, and remove what had it."""
    if not target.exists():
        new.rename(target)
    elif _exchange(new, target):
        shutil.rmtree(new)
    else:
        # No exchange on this system: for the moment between two renames the old folder is
        # only to be found under its other name.
        old = target.with_name(f".{target.name}.old-{os.getpid()}")
        target.rename(old)
        new.rename(target)
        shutil.rmtree(old)


def _runs(pid: str) -> bool:
    """Whether the process that a working folder is named after may still be writing it."""
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError):
        return True
    return int(pid) != os.getpid()


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step, where the system can (Linux, macOS)."""
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
