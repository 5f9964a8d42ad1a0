"""APL_AML: labels depend on the patient's diagnosis, and labels of unsigned slides are unconfirmed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from source_layouts import apl_aml as layout
from source_layouts import picture

import pcm_leukemia as pcm
from pcm_leukemia import sources
from pcm_leukemia.errors import CorruptFile, DataWarning, InvalidExport, UnknownLabel
from pcm_leukemia.sources import apl_aml

pytestmark = pytest.mark.filterwarnings("ignore:.*ha(s|ve) the prefix of another class")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layout.make(tmp_path)
    return tmp_path


def label_of(ds: pcm.Dataset, name: str) -> str:
    return next(cell.label for cell in ds.cells if f"_{name}." in cell.image)


def test_the_map() -> None:
    labels = {variant: sources.read_map(apl_aml.SOURCE, variant) for variant in apl_aml.SOURCE.variants}
    default = labels["by_diagnosis"]
    for diagnosis in ("APL", "AML"):
        for folder in apl_aml.PREFIXES.values():
            default.label(f"{diagnosis}/{folder}")
    assert {raw.partition("/")[2] for raw in default.rules} == {
        *apl_aml.PREFIXES.values(),
        "Thrombocyte aggregation",
        "Unidentified",
        "Young Unidentified",
    }
    assert default.label("APL/Promyelocyte") == "Myeloblast_APL"
    assert default.label("AML/Promyelocyte") == "Other"
    assert default.label("AML/Blast, no lineage spec") == "Myeloblast_AML"
    assert default.label("APL/Blast, no lineage spec") == "WBC"
    assert {rule.label for rule in labels["by_cell"].rules.values()}.isdisjoint(
        {"Myeloblast_APL", "Myeloblast_AML"}
    )
    assert labels["literal"].label("APL/Arifact") == labels["literal"].label("AML/Smudge cells") == "Other"
    assert labels["literal"].label("APL/Promyelocyte") == "Myeloblast_APL"


def test_promyelocytes_and_blasts_by_the_diagnosis(root: Path) -> None:
    ds = apl_aml.read(root)
    assert label_of(ds, "1001") == "Myeloblast_APL"
    assert label_of(ds, "2001") == "Other"
    assert label_of(ds, "1002") == "ignore"
    assert label_of(ds, "2002") == "Myeloblast_AML"
    by_cell = apl_aml.read(root, variant="by_cell")
    assert Counter(cell.label for cell in by_cell.cells)["Other"] == 2
    assert [label_of(by_cell, name) for name in ("1001", "1002", "2002")] == ["Other", "ignore", "ignore"]


def test_unsigned_cells(root: Path) -> None:
    ds = apl_aml.read(root)
    unsigned = [cell for cell in ds.cells if dict(cell.attributes)["signed"] == "no"]
    assert [(cell.raw_label, cell.label) for cell in unsigned] == [
        ("APL/Lymphocyte, variant", "ignore"),
        ("AML/Monocyte", "ignore"),
    ]
    kept = apl_aml.read(root, unsigned="keep")
    assert (label_of(kept, "1006"), label_of(kept, "3002")) == ("Lymphocyte", "Monocyte")
    assert len(kept.images) == 12
    assert len(apl_aml.read(root, unsigned="leave out").images) == 10
    with pytest.raises(ValueError, match='unsigned "no": must be ignore, keep or leave out'):
        apl_aml.read(root, unsigned="no")  # type: ignore[arg-type]


def test_spellings_of_mirrors(root: Path) -> None:
    ds = apl_aml.read(root)
    raw = {str(cell.image): cell.raw_label for cell in ds.cells}
    assert raw["Patient_105/Signed_slides/Band_neutrophils/BNE_3001.jpg"] == "AML/Band neutrophils"
    assert raw["Patient_105/Unsigned_slides/MO_3002.jpg"] == "AML/Monocyte"
    picture(root / "Patient_105" / "Unsigned_slides" / "PLT_3003.jpg")
    picture(root / "Patient_105" / "Signed_slides" / "young unidentified" / "YUI_3004.jpg")
    with pytest.raises(UnknownLabel) as error:
        apl_aml.read(root)
    assert [problem.what.split('"')[1] for problem in error.value.problems] == ["AML/PLT"]


def test_prefixes_that_contradict_the_folder(root: Path) -> None:
    with pytest.warns(DataWarning, match=r"1 file has the prefix of another class .*BNE_1004\.jpg"):
        ds = apl_aml.read(root)
    cell = next(cell for cell in ds.cells if "BNE_1004" in cell.image)
    assert cell.raw_label == "APL/Segmented neutrophils"
    assert dict(cell.attributes)["prefix"] == "BNE"


def test_the_cohorts_are_a_split_without_leaks(root: Path) -> None:
    ds = apl_aml.read(root)
    assert ds.split is not None
    assert ds.parts == ("discovery", "validation")
    assert pcm.splits.leaks(ds, ds.split) == []
    table = root / "master.csv"
    table.write_text(
        table.read_text(encoding="utf-8").replace("Discovery", "").replace("Validation", ""), encoding="utf-8"
    )
    assert apl_aml.read(root).split is None


def test_patients_without_a_known_diagnosis(root: Path) -> None:
    table = root / "master.csv"
    text = table.read_text(encoding="utf-8").replace("Patient_01,AML", "Patient_01,CML")
    table.write_text(text.replace("Patient_105", "Patient_5"), encoding="utf-8")
    picture(root / "Patient_00" / "1.jpg")
    with pytest.raises(InvalidExport) as error:
        apl_aml.read(root)
    assert [str(problem).removeprefix(f"{root}/") for problem in error.value.problems] == [
        "Patient_00/1.jpg: is in neither Signed slides nor Unsigned slides; move it back to its folder",
        'master.csv Patient_01: has the unknown diagnosis "CML"; write AML or APL',
        "master.csv Patient_105: is not listed; write AML or APL",
    ]


def test_master_csv_lacks_a_column(root: Path) -> None:
    (root / "master.csv").write_text("Patient_ID,Age\n", encoding="utf-8")
    with pytest.raises(
        CorruptFile, match=r"master\.csv: lacks the columns Diagnosis, Cohort; download it again"
    ):
        apl_aml.read(root)
