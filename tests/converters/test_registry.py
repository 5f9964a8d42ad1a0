"""A new format in the folder is available by name, on the command line with its options, and for reading."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pcm_leukemia as pcm
from pcm_leukemia import converters
from pcm_leukemia.cli.format_options import options_of

TOY = '''
"""Toy: one line an image."""

from pathlib import Path
from typing import Literal

from pcm_leukemia import NINE, Dataset, Image
from pcm_leukemia.files import Report, new_folder

TITLE = "a toy (toys.txt)"
PRECEDENCE = 0


def recognises(path):
    return (path / "toys.txt").is_file()


def read(path, *, images_root=None):
    lines = Path(path, "toys.txt").read_text().splitlines()
    return Dataset("toy", NINE, tuple(Image(line, 10, 20) for line in lines))


def write(
    ds: Dataset,
    out: str | Path,
    *,
    task: str | None = None,
    ending: str = "",
    loud: bool = False,
    tidy: bool = True,
    order: Literal["up", "down"] = "up",
    times: int = 1,
    names: dict[str, str] | None = None,
) -> Report:
    """Write `ds` as toys.

    Parameters
    ----------
    ds
        The data.
    out
        A new folder.
    task
        As for every format.
    ending
        What to append to each line. This sentence is for Python.
    loud
        Write in
        capital letters.
    tidy
        Leave out blank lines.
    order
        Sort "up" or "down".
    times, names
        How often, and `under` which names.

    Raises
    ------
    Nothing
        Of interest.
    """
    lines = [image.id + ending for image in ds.images for _ in range(times)]
    lines = [(names or {}).get(line, line) for line in lines]
    with new_folder(out, "toy") as folder:
        text = "\\n".join(line.upper() if loud else line for line in lines) + ("" if tidy else "\\n\\n")
        (folder / "toys.txt").write_text(text)
        report = Report("toy", Path(out), {"all": len(ds.images)}, {})
        report.leave_in(folder)
    return report
'''
RUN = """
import sys
from pcm_leukemia import converters
converters.__path__.append(sys.argv.pop(1))
from pcm_leukemia.cli import main
main()
"""


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with one more format, added to the package for one test."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy.py").write_text(TOY)
    monkeypatch.setattr(converters, "__path__", [*converters.__path__, str(tmp_path / "more")])
    yield tmp_path / "more"
    sys.modules.pop("pcm_leukemia.converters.toy", None)
    vars(converters).pop("toy", None)


def test_a_new_format_is_named_and_read(toys: Path, tmp_path: Path) -> None:
    assert "toy" in converters.names()
    assert "toy" in dir(converters)
    (tmp_path / "toys.txt").write_text("a\nb")
    ds = pcm.load_dataset(tmp_path)
    assert [image.id for image in ds.images] == ["a", "b"]
    with pytest.raises(ValueError, match=r"clip does not apply to a toy \(toys\.txt\); leave it out"):
        pcm.load_dataset(tmp_path, clip=True)
    assert toys.is_dir()


def test_its_options_are_those_of_its_signature(toys: Path) -> None:
    assert toys.is_dir()
    assert [option.record for option in options_of("toy")] == [
        ("--ending TEXT", "What to append to each line."),
        ("--loud", "Write in capital letters."),
        ("--tidy/--no-tidy", "Leave out blank lines."),
        ("--order up|down", 'Sort "up" or "down".  [default: up]'),
        ("--times N", "How often, and under which names.  [default: 1]"),
        ("--names KEY=VALUE...", "How often, and under which names."),
    ]


def test_the_command_line_offers_them(toys: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", RUN, str(toys), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={"COLUMNS": "80", "PATH": "", "PYTHONPATH": ":".join(sys.path)},
        )

    shown = run("convert", "--help")
    assert shown.returncode == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "With --to toy:\n  --ending TEXT" in shown.stdout
    data = tmp_path / "data"
    data.mkdir()
    (data / "toys.txt").write_text("a\nb")
    done = run(
        *("convert", data, tmp_path / "out", "--to", "toy", "--ending", "!", "--times", 2, "--loud"),
        *("--no-tidy", "--names", "a!=first", "b!=second", "--task", "wbc"),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "toys.txt").read_text() == "FIRST\nFIRST\nSECOND\nSECOND\n\n"
    wrong = run("convert", data, tmp_path / "out", "--to", "coco", "--ending", "!")
    assert wrong.returncode == 2
    assert "coco has no option --ending" in wrong.stderr
    pair = run("convert", data, tmp_path / "out", "--to", "toy", "--names", "a")
    assert pair.returncode == 2
    assert '--names "a": must be KEY=VALUE' in pair.stderr
