"""Images at URLs through models, and on the workers of a cluster: the same as from a folder."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dask_workers import many_smears
from storage import stored, upload

from pcm_leukemia import Dataset, converters, execution, load_dataset, store
from pcm_leukemia.remote import RemotePath

WORKERS = 1


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    return many_smears(tmp_path / "images", 9)


@pytest.fixture
def remote(ds: Dataset, s3: str, tmp_path: Path) -> Dataset:
    """The same data, read from a canonical folder that names a URL."""
    assert isinstance(ds.root, Path)
    upload(ds.root, s3)
    store.write(replace(ds, root=RemotePath(s3)), tmp_path / "data")
    return load_dataset(tmp_path / "data")


@pytest.fixture
def informed(cluster: execution.Cluster) -> execution.Cluster:
    """The cluster, whose workers have the credentials in their environment."""
    mine = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    cluster._client.run(_inform, mine)
    return cluster


def _inform(values: dict[str, str]) -> None:
    os.environ.update(values)


@pytest.mark.parametrize("form", ["crops", "huggingface"])
def test_workers_read_and_write_at_urls(
    form: str, ds: Dataset, remote: Dataset, s3: str, tmp_path: Path, informed: execution.Cluster
) -> None:
    out = s3.replace("frames", form)
    writer: Any = converters.get(form)
    writer.write(remote, out, executor=informed)
    writer.write(ds, tmp_path / form)
    here = {
        file.relative_to(tmp_path / form).as_posix(): file.read_bytes()
        for file in (tmp_path / form).rglob("*")
        if file.is_file()
    }
    assert stored(out) == here


def test_a_model_predicts_the_same(ds: Dataset, remote: Dataset, tmp_path: Path) -> None:
    from test_models_elsewhere import detector

    from pcm_leukemia.baselines import prediction

    runs = [detector(tmp_path / "detector", ds)]
    here, there = (
        prediction.predict(runs, each, threshold=0.0081, device="cpu", batch=3) for each in (ds, remote)
    )
    assert sum(map(len, here[0].values())) > 10
    assert there == here
