"""Bone-Marrow-Cytomorphology: the published counts, and the codes shared with LMU."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from source_layouts import bmc as layout
from source_layouts import lmu, picture

from pcm_leukemia import sources
from pcm_leukemia.errors import DataNotFound, UnknownLabel
from pcm_leukemia.sources import bmc


def test_published_counts() -> None:
    counts = bmc.SOURCE.counts
    assert len(counts) == 21
    assert sum(counts.values()) == 171_374
    labels = sources.read_map(bmc.SOURCE)
    classes: Counter[str] = Counter()
    for raw, count in counts.items():
        classes[labels.label(raw)] += count
    assert classes["Neutrophil"] == 29_424 + 9_968
    assert classes["Myeloblast_APL"] == 47
    assert classes["Myeloblast_AML"] == classes["Lymphoblast"] == 0
    assert classes["WBC"] == 11_973 + 65
    assert classes["ignore"] == 19_630 + 42 + 3_538 + 294
    assert labels.label("MYB") == sources.read_map(sources.get("lmu"), "nine").label("MYB") == "Other"
    literal = sources.read_map(bmc.SOURCE, "literal")
    assert (literal.label("ART"), literal.label("KSC"), literal.label("NIF")) == ("Other", "Other", "ignore")


def test_folders_of_a_thousand_are_not_classes(tmp_path: Path) -> None:
    layout.make(tmp_path)
    ds = bmc.read(tmp_path)
    image = "BLA/11001-11973/BLA_11001.jpg"
    assert [(cell.raw_label, cell.label) for cell in ds.cells_of(image)] == [("BLA", "ignore")]
    assert [cell.raw_label for cell in ds.cells_of("FGC/FGC_00001.jpg")] == ["FGC"]


def test_lmu_is_not_mistaken_for_it(tmp_path: Path) -> None:
    lmu.make(tmp_path / "lmu")
    with pytest.raises(DataNotFound, match="most of the 21 folders ABE, ART"):
        bmc.read(tmp_path)
    layout.make(tmp_path / "bmc")
    assert bmc.read(tmp_path).root == tmp_path / "bmc" / "BM_cytomorphology_data"


def test_a_folder_that_is_not_a_code(tmp_path: Path) -> None:
    layout.make(tmp_path)
    picture(tmp_path / "BM_cytomorphology_data" / "MYO" / "MYO_00001.jpg")
    with pytest.raises(UnknownLabel, match=r'bmc\.csv: has no row for "MYO"'):
        bmc.read(tmp_path)
