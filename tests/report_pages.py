"""A drawn data set, and its page."""

from __future__ import annotations

from pathlib import Path

import pytest

import pcm_leukemia as pcm
from pcm_leukemia import checks, report, sample
from pcm_leukemia.dataset import Dataset


@pytest.fixture(scope="session")
def ds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    export = sample.write(tmp_path_factory.mktemp("data") / "export.zip", patients=12, images=24, seed=3)
    found = pcm.load_dataset(export, patients=r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/")
    return found.with_split(pcm.splits.by_patient(found, seed=0))


@pytest.fixture(scope="session")
def page_of_ds(ds: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(ds, tmp_path_factory.mktemp("page") / "page.html", checked=checks.check(ds))
