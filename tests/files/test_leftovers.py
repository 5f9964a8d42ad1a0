"""What a full disk or a kill leaves beside an output: it is named, does not stop what comes next, and is removed."""

from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path

import pytest

from pcm_leukemia.errors import DataWarning, ExportError
from pcm_leukemia.files import Report, disk_errors, new_file, new_folder, new_zip, partial_of, write_text

GONE = "99999999"
"""The number of no process."""


def write(out: Path) -> None:
    with new_folder(out, "test") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a.txt").write_text("ours")
        Report("test", out, {}, {}).leave_in(folder)


def test_the_next_file_removes_what_killed_writers_of_it_left_and_nothing_else(tmp_path: Path) -> None:
    left = [f".a.json.writing-{GONE}", f".a.json.old-{GONE}"]
    others = [f".b.json.writing-{GONE}", ".a.json.writing-1", ".a.json.writing-mine"]
    for name in ("a.json", *left, *others):
        (tmp_path / name).write_text("before")
    write_text(tmp_path / "a.json", "now")
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", *others}


def test_an_output_that_another_process_writes_is_refused(tmp_path: Path) -> None:
    out, archive = tmp_path / "out", tmp_path / "out.zip"
    write(out)
    running = os.getppid()
    (tmp_path / f".out.writing-{running}_x").mkdir()
    (tmp_path / f".out.zip.writing-{running}").touch()
    before = sorted(tmp_path.rglob("*"))
    said = rf"another run \(process {running}\) is writing it; wait for it, name another output, or remove "
    with pytest.raises(ExportError, match=said):
        write(out)
    with pytest.raises(ExportError, match=said), new_zip(archive, b"ours"):
        pass
    assert sorted(tmp_path.rglob("*")) == before
    write(tmp_path / "other")


def test_the_former_folder_stays_as_long_as_it_is_the_only_one(tmp_path: Path) -> None:
    old = tmp_path / f".out.old-{GONE}"
    write(old)
    write(tmp_path / "out")
    assert old.exists()
    write(tmp_path / "out")
    assert not old.exists()


def test_a_folder_in_which_a_writer_was_killed_can_be_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out)
    (out / "deep" / f".a.txt.writing-{GONE}").touch()
    (out / f".b.txt.writing-{GONE}").touch()
    write(out)
    assert {path.name for path in out.rglob("*") if path.is_file()} == {"a.txt", "pcm-leukemia.json"}
    (out / "deep" / ".a.txt.writing-mine").touch()
    with pytest.raises(ExportError, match="holds 1 more file than pcm-leukemia wrote"):
        write(out)


def test_unfinished_work_is_named_by_the_error_and_by_the_next_writer(tmp_path: Path) -> None:
    out, partial = tmp_path / "out", partial_of(tmp_path / "out")
    full = f"{out}: No space left on device; check the disk and the permissions; the same command resumes with {partial}"
    with pytest.raises(ExportError, match=f"^{full}; otherwise remove it$"), disk_errors(out, partial):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    partial.mkdir()
    for owner in ("", GONE):
        (partial / "running").write_text(owner)
        with pytest.warns(
            DataWarning, match="an interrupted command left its unfinished output in .*out.partial; remove"
        ):
            write(out)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for owner in ("1", str(os.getpid())):
            (partial / "running").write_text(owner)
            write(out)
        with new_file(tmp_path / "a.txt") as work:
            work.touch()
