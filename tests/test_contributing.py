"""What CONTRIBUTING.md says works: its format is one, and its lines run tests."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import pcm_leukemia as pcm
from pcm_leukemia import converters
from pcm_leukemia.cli.format_options import options_of

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def name_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The format of the recipe, added to the package for one test."""
    (tmp_path / "more" / "name_list").mkdir(parents=True)
    block = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert block
    (tmp_path / "more" / "name_list" / "__init__.py").write_text(textwrap.dedent(block[1]))
    monkeypatch.setattr(converters, "__path__", [*converters.__path__, str(tmp_path / "more")])
    yield
    sys.modules.pop("pcm_leukemia.converters.name_list", None)
    vars(converters).pop("name_list", None)


@pytest.mark.usefixtures("name_list")
def test_the_format_of_the_recipe_writes_and_is_offered(tmp_path: Path) -> None:
    ds = pcm.load_dataset(pcm.sample.write(tmp_path / "a.zip", patients=2, images=2))
    assert [option.record for option in options_of("name_list")] == [
        ("--ending TEXT", "What to append to each name.")
    ]
    report = converters.get("name_list").write(ds, tmp_path / "out", task="wbc", ending="!")
    assert report.skipped["cells"] == len(ds.cells)
    assert (tmp_path / "out" / "names.txt").read_text().splitlines() == [f"{i.name}!" for i in ds.images]
    converters.get("name_list").write(ds, tmp_path / "out")  # it may replace what it wrote


def test_the_line_that_runs_one_test_finds_one() -> None:
    line = next(line for line in TEXT.splitlines() if line.startswith(".venv/bin/python") and " -k " in line)
    done = subprocess.run(
        [sys.executable, *line.split()[1:], "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len([each for each in done.stdout.splitlines() if "::" in each]) == 1
