"""Skips tests that need a library which is not installed, and says which: the extra `test` is enough for those of the core.

A library that is installed and cannot be imported is an error, as is any other missing module.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib.util import find_spec
from typing import Any

import pytest

from pcm_leukemia.errors import MissingExtra

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

_OPTIONAL = frozenset(
    [
        "axe_playwright_python",
        "colorspacious",
        "cv2",
        "cvat_cli",
        "cvat_sdk",
        "dask",
        "datasets",
        "distributed",
        "filelock",
        "fsspec",
        "hotcoco",
        "huggingface_hub",
        "importlinter",
        "joblib",
        "lightning",
        "matplotlib",
        "openpyxl",
        "mlcroissant",
        "moto",
        "pandas",
        "peft",
        "playwright",
        "pooch",
        "pyarrow",
        "pycocotools",
        "s3fs",
        "scipy",
        "simplejpeg",
        "sklearn",
        "sphinx",
        "tensorboard",
        "timm",
        "torch",
        "torchvision",
        "transformers",
        "ultralytics",
    ]
)
"""The modules of the extras in pyproject.toml other than `test`."""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a file that imports a library which is not installed."""
    report = yield
    call: pytest.CallInfo[Any] | None = getattr(report, "call", None)  # pytest keeps it there
    _skip(report, call.excinfo if call else None, str(collector.path))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that imports a library which is not installed."""
    report = yield
    _skip(report, call.excinfo, str(item.path))
    return report


def _skip(
    report: pytest.CollectReport | pytest.TestReport,
    raised: pytest.ExceptionInfo[BaseException] | None,
    path: str,
) -> None:
    if report.outcome == "failed" and raised and (why := _missing(raised.value)):
        report.outcome, report.longrepr = "skipped", (path, 0, f"Skipped: {why}")


def _missing(error: BaseException | None) -> str:
    """Which library is not installed, if that is why; otherwise ""."""
    while error is not None:
        if isinstance(error, MissingExtra):
            return str(error)
        if isinstance(error, ModuleNotFoundError):
            name = str(error.name).partition(".")[0]
            if name in _OPTIONAL and find_spec(name) is None:
                return f"{name} is not installed"
        error = error.__cause__ or error.__context__
    return ""
