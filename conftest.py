"""What all tests share: one thread a process, the mark `trains`, and the pages of the documentation as tests.

Every Python and shell block of README.md and docs/ is run, page by page, in a new folder that holds
`export.zip`, a small synthetic export. A block that a test cannot run, because it needs a GPU, weights or
another program, follows ``<!-- skip: next "reason" -->``.
"""

from __future__ import annotations

import os

# before numpy and torch read it: tests run in several processes, one a core
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest
import yaml
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from pcm_leukemia import sample

pytest_plugins = [
    "browser",
    "commands",
    "cvat_server",
    "dask_workers",
    "optional_libraries",
    "report_pages",
    "storage",
]

# how long an example takes depends on what else runs
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

PAGES_THAT_TRAIN = {"baselines.md", "yolo.md"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    """Fail a test that trains without the mark `trains`: `make check` runs every test that lacks it."""
    if "torch" not in sys.modules or item.get_closest_marker("trains"):
        return (yield)
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    def refuse(*_: object) -> NoReturn:
        pytest.fail("this test trains a model; mark it: @pytest.mark.trains")

    hook = register_optimizer_step_pre_hook(refuse)
    try:
        return (yield)
    finally:
        hook.remove()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the pages of the documentation that train: all of a page, as its blocks build on each other."""
    for item in items:
        if item.path.name in PAGES_THAT_TRAIN:
            item.add_marker("trains")


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
