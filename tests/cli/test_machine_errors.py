"""Exit status 3: a library, the disk, a permission or the network is missing, and neither the data nor the command are wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Run

from pcm_leukemia.errors import MachineError, MissingExtra, PcmError

FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
"""
"""Files get no longer than 1,000 bytes, as on a full disk."""
WITHOUT = """
import sys
sys.modules[{library!r}] = None
"""
"""The library is not installed."""
COMMAND = """
from pcm_leukemia.__main__ import main
main()
"""


def run_in(setting: str, *words: object, stdout: int | None = None) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", setting + COMMAND, *map(str, words)],
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("library", "extra", "words"),
    [
        ("pooch", "sources", ("fetch", "bccd", "OUT")),
        ("pyarrow", "hf", ("convert", "DATA", "OUT", "--to", "huggingface", "--license", "other")),
        ("cvat_sdk", "cvat", ("pull", "http://localhost:1/projects/1", "OUT")),
        ("torch", "baselines", ("predict", "RUN", "DATA", "OUT")),
    ],
)
def test_a_missing_library(
    export: Path, tmp_path: Path, library: str, extra: str, words: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    typed = [word.replace("DATA", str(export)).replace("OUT", str(out)) for word in words]
    status, said = run_in(WITHOUT.format(library=library), *typed)
    name = library.replace("_", "-")
    assert (status, said) == (3, f"error: {name}: not installed; run: pip install 'pcm-leukemia[{extra}]'\n")
    assert not out.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of the size of files")
@pytest.mark.parametrize(
    "words",
    [("import", "DATA", "OUT"), ("convert", "DATA", "OUT", "--to", "coco"), ("report", "DATA", "OUT.html")],
)
def test_a_full_disk(export: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    before = sorted(tmp_path.iterdir())
    typed = [word.replace("DATA", str(export)).replace("OUT", str(tmp_path / "out")) for word in words]
    status, said = run_in(FULL, *typed)
    assert status == 3
    assert said.splitlines()[-1].startswith(f"error: {tmp_path / 'out'}")
    assert said.endswith(": File too large; check the disk and the permissions\n")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("words", [("--help",), ("sources",), ("sources", "--json")])
def test_the_output_goes_to_a_full_disk(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        refused = run_in("", *words, stdout=full.fileno())
    assert refused == (3, "error: disk: No space left on device; check the disk and the permissions\n")


def test_a_pipe_that_nobody_reads() -> None:
    pipe = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    pipe.wait()
    assert pipe.stdin is not None
    with pipe.stdin:
        assert run_in("", "sources", "--json", stdout=pipe.stdin.fileno()) == (1, "")


def test_a_closed_output() -> None:
    assert run_in("import os, sys; sys.stdout = None", "sources") == (0, "")


def test_a_folder_that_permissions_protect(
    run: Run, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pcm_leukemia.files.targets.os.access", lambda _, mode: not mode & os.W_OK)
    refused = run("convert", export, tmp_path / "out", "--to", "yolo")
    assert (refused.status, refused.out) == (3, "")
    assert "must not be written to; change its permissions" in refused.err


def test_a_file_that_permissions_protect(
    run: Run, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("import", export, tmp_path / "data").status == 0

    def protected(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", protected)
    refused = run("info", tmp_path / "data")
    assert (refused.status, refused.out) == (3, "")
    assert "Permission denied" in refused.err


def test_no_network(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pooch = pytest.importorskip("pooch")
    requests = pytest.importorskip("requests")

    def unreachable(*_: object, **__: object) -> None:
        raise requests.exceptions.ConnectionError("no route")

    monkeypatch.setattr(pooch, "retrieve", unreachable)
    refused = run("fetch", "bccd", tmp_path / "out")
    assert (refused.status, refused.out) == (3, "")
    assert "cannot be downloaded (no route); download it by hand" in refused.err

    def changed(*_: object, **__: object) -> None:
        raise ValueError("SHA256 hash of downloaded file does not match the known hash")

    monkeypatch.setattr(pooch, "retrieve", changed)
    assert run("fetch", "bccd", tmp_path / "out").status == 1


def test_what_is_wrong_with_the_machine_is_a_class_of_errors() -> None:
    assert issubclass(MissingExtra, MachineError)
    assert issubclass(MachineError, PcmError)
