"""Writes a folder at a URL, where nothing can be put in place in one step.

The files are written to their final paths, and the mark `MARKER` last: an output without it is not whole. Until then
`UNFINISHED` tells the next run whose files these are. What was there before is removed first, its mark before all else.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from pcm_leukemia.errors import ExportError, ServerError, WrongTarget
from pcm_leukemia.files.leftovers import runs
from pcm_leukemia.files.targets import (
    CANONICAL,
    MARKER,
    UNFINISHED,
    check_suffix,
    mark_of,
    require_ours,
)
from pcm_leukemia.remote import RemotePath

__all__ = ["check_url", "remote_content", "remote_folder", "remote_state"]

_AT_ONCE = 16
"""Files that are removed at the same time."""


def check_url(out: RemotePath, form: str) -> None:
    """Refuse a URL that must not become, or be replaced by, a folder of this form, by the rules of `check_target`.

    Raises
    ------
    WrongTarget
        If it is a file or in an archive, has the suffix of a file, is inside a canonical folder, or is a folder of another
        form or with content that this package did not write.
    DataNotFound
        If there is no such bucket.
    ServerError
        If it cannot be reached, or must not be listed.
    ExportError
        If another process on this machine is writing there.
    """
    if "::" in str(out):
        raise WrongTarget(f"{out}: is in an archive, to which nothing is added; name a folder in a bucket")
    if out.is_file():
        raise WrongTarget(f"{out}: is a file; name a folder that does not exist yet")
    for above in out.parents:
        try:
            form_above = mark_of(above)[0]
        except ServerError:  # what is above need not be readable
            break
        if form_above == CANONICAL:
            raise WrongTarget(f"{out}: is inside {above}, which holds a data set; name a folder beside it")
    entries, files = remote_content(out)
    if not entries:
        check_suffix(out, out.name)
    require_ours(out, form, mark_of(out), entries, lambda: files)
    running = _unfinished(out)
    pid = str(running.get("process", ""))
    if running.get("host") == socket.gethostname() and runs(pid):
        raise ExportError(f"{out}: another run (process {pid}) is writing there; wait for it")


def remote_content(folder: RemotePath) -> tuple[set[str], int]:
    """The names of the files and folders in a folder, without `UNFINISHED`, and the number of files in its subfolders."""
    files = [file for file in folder.files() if file != UNFINISHED]
    return {file.partition("/")[0] for file in files}, sum("/" in file for file in files)


@contextmanager
def remote_folder(
    out: RemotePath, form: str, entries: Iterable[str], state: str = ""
) -> Iterator[tuple[RemotePath, frozenset[str]]]:
    """The folder at a URL, with the files of an interrupted run of the same `state`, or else without files.

    The block must write `MARKER` last.

    Parameters
    ----------
    out
        The URL.
    form
        What is written.
    entries
        The files and folders that the block writes into it.
    state
        What the files depend on; "" if an interrupted run must start again. It must also do so in a storage where a file may be
        half written.

    Yields
    ------
    tuple
        The folder, and the files that are there.

    Raises
    ------
    ExportError, DataNotFound
        As `check_url` does.
    """
    check_url(out, form)
    ours = {*entries, MARKER}
    record = {
        "written_by": "pcm-leukemia",
        "format": form,
        "entries": sorted(ours),
        "host": socket.gethostname(),
        "process": os.getpid(),
    }
    resumes = bool(state) and out.writes_whole and remote_state(out) == state
    there = frozenset(out.files()) - {UNFINISHED}
    if not resumes or MARKER in there:
        former = mark_of(out)[1].get("entries", ())
        _write(out, {**record, "entries": sorted({*ours, *former}), "state": ""})
        (out / MARKER).unlink()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda file: (out / file).unlink(), there - {MARKER}))
        there = frozenset()
    _write(out, {**record, "state": state})
    yield out, there
    (out / UNFINISHED).unlink()


def remote_state(out: RemotePath) -> str:
    """The state of the run that is writing a folder; "" if none is."""
    return str(_unfinished(out).get("state", ""))


def _unfinished(out: RemotePath) -> dict[str, Any]:
    try:
        content = json.loads((out / UNFINISHED).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(out: RemotePath, record: dict[str, Any]) -> None:
    (out / UNFINISHED).write_bytes(json.dumps(record).encode())
