"""Ctrl-C at any moment of a process: status 130 and one line, or the command is done; nothing is left half-written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pcm_leukemia import store

PRESSED = """
import os, signal, sys
from pcm_leukemia.__main__ import main

def press():
    for _ in range({times}):
        os.kill(os.getpid(), signal.SIGINT)

class Finalizer:
    def __del__(self):
        press()

class WhenImported:
    def find_spec(name, path, target=None):
        if name == {module!r}:
            {press}()

sys.meta_path.insert(0, WhenImported)
main()
"""
"""Runs a command, and presses Ctrl-C when it imports a module."""
BEFORE = "stopped before anything was done; run the command again\n"
CHANGED = "stopped: nothing was changed; run the command again to start over\n"
WRITTEN = "stopped: nothing was written; run the command again to start over\n"


def run(code: str, *words: object) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("press", "times"), [("press", 1), ("press", 3), ("Finalizer", 1)])
@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("pcm_leukemia.cli.command_line", BEFORE),
        ("typer", BEFORE),
        ("pcm_leukemia.cli.data", BEFORE),
        ("pcm_leukemia.cvat", CHANGED),
    ],
)
def test_while_a_module_is_imported(export: Path, module: str, said: str, press: str, times: int) -> None:
    code = PRESSED.format(module=module, press=press, times=times)
    assert run(code, "inspect", export) == (130, "", said)


def test_when_the_command_is_done(export: Path) -> None:
    code = (
        "import os, signal; from pcm_leukemia.__main__ import main\n"
        "try: main()\n"
        "finally: os.kill(os.getpid(), signal.SIGINT)"
    )
    status, out, err = run(code, "inspect", export)
    assert (status, err) == (0, "")
    assert out.endswith("problems 0\n")


def test_at_any_moment(export: Path, tmp_path: Path) -> None:
    code = (
        "from pcm_leukemia.__main__ import handle_ctrl_c, main\n"
        "handle_ctrl_c()\n"
        "print('begun', flush=True)\n"
        "main()"
    )
    out = tmp_path / "data"
    for step in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", code, "import", export, out],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            time.sleep(step * 0.05)
            for _ in range(3):
                process.send_signal(signal.SIGINT)
                time.sleep(0.002)
            _, said = process.communicate(timeout=300)
        finally:
            process.kill()
        assert process.returncode in (0, 130), said
        assert said in ({"", BEFORE, WRITTEN} if process.returncode else {""})
        assert not list(tmp_path.glob(".*"))
        if out.exists():  # whole, and of an earlier step if this one was stopped
            assert len(store.read(out).images) == 20


def test_a_library_that_exits_after_ctrl_c(export: Path) -> None:
    code = """
import sys
from pcm_leukemia import cvat
from pcm_leukemia.__main__ import main

def inspect(*_, **__):
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        sys.exit(1)  # as Lightning does

cvat.inspect = inspect
main()
"""
    assert run(code, "inspect", export) == (130, "", CHANGED)


def test_python_does_not_report_a_ctrl_c_that_comes_while_it_is_being_ignored(tmp_path: Path) -> None:
    """CPython raises this error where no caller sees it, if the handler changes between a signal and its handling."""
    code = (
        "from pcm_leukemia.cli import handle_ctrl_c\n"
        "handle_ctrl_c()\n"
        "class Late:\n"
        "    def __init__(self, text): self.text = text\n"
        "    def __del__(self): raise OSError(self.text)\n"
        "Late('Signal 2 ignored due to race condition')\n"
        "Late('disk on fire')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True
    )
    assert "race condition" not in done.stderr
    assert "OSError: disk on fire" in done.stderr
