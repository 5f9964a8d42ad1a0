"""Folders are put in place in one step, and only where this package may."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pcm_leukemia.errors import ExportError
from pcm_leukemia.files import Report, check_target, new_file, new_folder, writing


def write(out: Path, text: str) -> None:
    with new_folder(out, "test") as folder:
        (folder / "a.txt").write_text(text)
        Report("test", out, {"all": 1}, {"all": {"Other": 2}}).leave_in(folder)


def test_a_folder_of_ours_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    write(out, "one")
    (out / "labels.cache").touch()
    with pytest.raises(ExportError, match=r'holds "labels.cache", which pcm-leukemia did not write'):
        write(out, "two")
    (out / "labels.cache").unlink()
    write(out, "two")
    assert (out / "a.txt").read_text() == "two"
    assert sorted(path.name for path in out.parent.iterdir()) == ["out"]


def test_only_the_same_form_replaces_and_nothing_added_is_lost(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_folder(out, "test") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a.txt").write_text("ours")
        Report("test", out, {}, {}).leave_in(folder)
    with pytest.raises(ExportError, match="holds data in the form test, not other; name another folder"):
        check_target(out, "other")
    (out / "deep" / "train.cache").touch()  # as ultralytics leaves it
    assert check_target(out, "test") == out
    (out / "deep" / "mine.txt").touch()
    with pytest.raises(ExportError, match="holds 1 more file than pcm-leukemia wrote; name a new folder"):
        check_target(out, "test")


def test_what_was_added_while_writing_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, "one")

    def late() -> None:
        with new_folder(out, "test") as folder:
            Report("test", out, {}, {}).leave_in(folder)
            (out / "important.txt").touch()

    with pytest.raises(ExportError, match='holds "important.txt"'):
        late()
    assert (out / "a.txt").read_text() == "one"


def test_without_an_exchange_the_old_folder_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write(out, "one")
    monkeypatch.setattr(writing, "_exchange", lambda *_: False)
    write(out, "two")
    assert (out / "a.txt").read_text() == "two"
    with pytest.raises(OSError, match="gone"):
        writing.put_in_place(tmp_path / "gone", out)
    assert (out / "a.txt").read_text() == "two"


def test_what_we_did_not_write_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(
        ExportError, match=r'holds "thesis.docx", which pcm-leukemia did not write; name a new folder'
    ):
        write(tmp_path, "x")
    assert (tmp_path / "thesis.docx").read_text() == "years of work"
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ExportError, match="is a file or a link"):
        check_target(file, "test")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(ExportError, match="is a file or a link"):
        check_target(tmp_path / "link", "test")
    (tmp_path / "empty").mkdir()
    assert check_target(tmp_path / "empty", "test") == tmp_path / "empty"


def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, "one")

    def fail() -> None:
        with new_folder(out, "test") as folder:
            (folder / "a.txt").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (out / "a.txt").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with new_file(path) as work:
        work.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import sys, itertools
from pathlib import Path
from pcm_leukemia.files.writing import Report, new_folder
out = Path(sys.argv[1])
for number in itertools.count():
    with new_folder(out, "test") as folder:
        for name in "abcdefgh":
            (folder / name).write_text(str(number))
        Report("test", out, {}, {}).leave_in(folder)
    print(number, flush=True)
"""


def test_killed_at_any_moment_a_whole_folder_is_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for round_ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(out)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()  # from here on there is always an old folder
        time.sleep(0.003 * (round_ + 1))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert len({(out / name).read_text() for name in "abcdefgh"}) == 1
        assert (out / "pcm-leukemia.json").is_file()
    write(tmp_path / "other", "x")
    with new_folder(out, "test") as folder:  # clears what the killed ones left behind
        Report("test", out, {}, {}).leave_in(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


def test_a_file_has_the_usual_permissions(tmp_path: Path) -> None:
    """Some libraries write files that only their owner can read."""
    (tmp_path / "usual").touch()
    with new_file(tmp_path / "out") as work:
        work.unlink()
        work.touch(0o600)
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode
