"""MLL23: the published counts, some of the classes, and folders that are none."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from source_layouts import mll23 as layout
from source_layouts import picture

from pcm_leukemia import sources
from pcm_leukemia.errors import DataNotFound, UnknownLabel
from pcm_leukemia.sources import mll23


def test_published_counts() -> None:
    counts = mll23.SOURCE.counts
    assert sum(counts.values()) == 41_621
    labels = sources.read_map(mll23.SOURCE)
    classes: Counter[str] = Counter()
    for raw, count in counts.items():
        classes[labels.label(raw)] += count
    assert classes == {
        "Neutrophil": 7_170 + 687,
        "Lymphocyte": 5_532 + 33 + 1_849,
        "Monocyte": 2_510,
        "Eosinophil": 2_448,
        "Basophil": 616,
        "Myeloblast_AML": 8_606,
        "Myeloblast_APL": 2_033,
        "Other": 180 + 3_265 + 1_658 + 745 + 747 + 483 + 2_071,
        "ignore": 988,
    }
    literal = sources.read_map(mll23.SOURCE, "literal")
    assert literal.label("smudge_cell") == "Other"


def test_some_of_the_classes_are_enough(tmp_path: Path) -> None:
    layout.make(tmp_path)
    for name in ("hairy_cell", "plasma_cell", "smudge_cell"):
        shutil.rmtree(tmp_path / name)
    ds = mll23.read(tmp_path)
    assert len(ds.images) == 16
    counts = {raw: (published, found) for raw, published, found in sources.validate("mll23", ds).counts}
    assert counts["hairy_cell"] == (3_265, 0)
    for name in layout.CLASSES[3:12]:
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    with pytest.raises(DataNotFound, match="most of the 18 folders basophil"):
        mll23.read(tmp_path)


def test_a_folder_that_is_no_class(tmp_path: Path) -> None:
    layout.make(tmp_path)
    picture(tmp_path / "lymphoblast" / "1.TIF")
    picture(tmp_path / "__MACOSX" / "lymphoblast" / "._1.TIF")
    with pytest.raises(UnknownLabel, match=r'mll23\.csv: has no row for "lymphoblast"'):
        mll23.read(tmp_path)
