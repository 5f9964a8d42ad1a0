"""Runs what README.md and docs/ show: every Python and shell block of a page, in turn, in a new folder.

Each page starts with `export.zip`, a small synthetic export. A block that needs what is not to be had
in a test (a GPU, weights, another program) stands behind ``<!-- skip: next "reason" -->``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from pcm_leukemia import sample


@cache
def small_export() -> Path:
    """Drawn once: drawing takes longest."""
    return sample.write(Path(tempfile.mkdtemp()) / "export.zip", patients=8, images=12)


def begin(namespace: dict[str, Any]) -> None:
    """Go to a new folder with the export in it."""
    namespace["came_from"] = Path.cwd()
    namespace["page_folder"] = folder = tempfile.mkdtemp()
    shutil.copy(small_export(), folder)
    os.chdir(folder)


def end(namespace: dict[str, Any]) -> None:
    """Go back, and leave nothing."""
    os.chdir(namespace["came_from"])
    shutil.rmtree(namespace["page_folder"])


def execute(example: Example) -> None:
    """Run a Python block; what a reader would be warned of, eight patients having few cells, is no failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        PythonEvaluator()(example)


def run(example: Example) -> None:
    """Run a shell block; the first command that fails ends it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(  # noqa: S603 - our own pages
        ["/bin/bash", "-euc", example.parsed],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{example.parsed}\n{done.stdout}{done.stderr}")


def look_up(example: Example) -> None:
    """Every file and folder that a block of YAML names must be there."""
    values = [yaml.safe_load(example.parsed)]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, str) and "/" in value:
            assert Path(value).exists(), value


pytest_collect_file = Sybil(
    parsers=[
        CodeBlockParser("python", execute),
        CodeBlockParser("bash", run),
        CodeBlockParser("yaml", look_up),
        SkipParser(),
    ],
    patterns=["README.md", "docs/*.md"],
    setup=begin,
    teardown=end,
).pytest()
