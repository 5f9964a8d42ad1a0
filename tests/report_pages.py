"""A drawn data set, suspects in it, and its page."""

from __future__ import annotations

from pathlib import Path

import pytest

import pcm_leukemia as pcm
from pcm_leukemia import checks, report, sample
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.report import Suspect
from pcm_leukemia.shapes import Box

_KINDS = ("wrong-class", "missing-box", "spurious-box", "misplaced-box", "two-labels")


@pytest.fixture(scope="session")
def ds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    export = sample.write(tmp_path_factory.mktemp("data") / "export.zip", patients=12, images=24, seed=3)
    found = pcm.load_dataset(export, patients=r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/")
    return found.with_split(pcm.splits.by_patient(found, seed=0))


@pytest.fixture(scope="session")
def suspects(ds: Dataset) -> tuple[Suspect, ...]:
    """Every eighth cell is a suspect, of each kind in turn, the likeliest errors first."""
    found = []
    for number, cell in enumerate(ds.cells[::8]):
        kind = _KINDS[number % len(_KINDS)]
        label = "Basophil" if kind in ("wrong-class", "missing-box", "two-labels") else None
        moved = Box(cell.box.x1 - 9, cell.box.y1 + 5, cell.box.x2 + 4, cell.box.y2 + 20)
        box = moved if kind in ("missing-box", "misplaced-box") else None
        given = None if kind == "missing-box" else cell
        score = round(0.99 - number / 100, 4)
        found.append(Suspect(kind, score, ds.image(cell.image), given, label, box, f"reason {number}"))
    return tuple(found)


@pytest.fixture(scope="session")
def page_of_ds(ds: Dataset, suspects: tuple[Suspect, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "page.html"
    return report.write(ds, out, checked=checks.check(ds), suspects=suspects)
