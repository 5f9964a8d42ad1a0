"""AML-Cytomorphology_MLL_Helmholtz: patients and no cells, and a table that must agree with the folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_layouts import mll_helmholtz as layout
from source_layouts import picture

from pcm_leukemia import sources
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, InvalidExport, UnfitForTask
from pcm_leukemia.requirements import require_complete
from pcm_leukemia.sources import mll_helmholtz


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layout.make(tmp_path)
    return tmp_path


def edit(root: Path, old: str, new: str) -> None:
    table = root / layout.TABLE
    text = table.read_text(encoding="utf-8")
    assert old in text
    table.write_text(text.replace(old, new), encoding="utf-8")


def test_groups_are_tags_and_diagnoses(root: Path) -> None:
    ds = mll_helmholtz.read(root)
    assert ds.cells == ()
    image = ds.image("PML_RARA/BDF/image_2.tif")
    assert (image.patient, ds.diagnosis_of(image), image.tags[0].label) == ("BDF", "APL", "PML_RARA")
    assert ds.diagnosis_of(ds.image("control/SXT/image_0.tif")) == "Normal"
    assert sources.read_map(mll_helmholtz.SOURCE).rules == {}
    with pytest.raises(UnfitForTask, match=r"\(9 none\)"):
        require_complete(ds)


def test_the_table_by_its_other_name_or_none(root: Path) -> None:
    ds = mll_helmholtz.read(root)
    (root / layout.TABLE).rename(root / layout.OTHER_TABLE)
    assert mll_helmholtz.read(root) == mll_helmholtz.read(root / "data") == ds
    text = (root / layout.OTHER_TABLE).read_text(encoding="utf-8").replace("BDF,", "BDG,")
    (root / layout.OTHER_TABLE).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidExport, match="does not list patient BDF; find out who it is"):
        mll_helmholtz.read(root / "data")
    (root / layout.OTHER_TABLE).unlink()
    assert mll_helmholtz.read(root) == ds


def test_the_table_contradicts_the_folders(root: Path) -> None:
    edit(root, "BDF,1,54,PML_RARA", "BDF,1,54,NPM1")
    with pytest.raises(
        InvalidExport,
        match=r"metadata\.csv:4: patient BDF is NPM1, the folder is PML_RARA; find out which is",
    ):
        mll_helmholtz.read(root)


def test_the_numbers_of_images_differ(root: Path) -> None:
    edit(root, "PML_RARA,3", "PML_RARA,500")
    with pytest.warns(DataWarning, match=r"1 patient has another number of images .*: BDF \(500, 3\)"):
        mll_helmholtz.read(root)


def test_a_table_without_a_column(root: Path) -> None:
    edit(root, "bag_label", "label")
    with pytest.raises(CorruptFile, match=r"metadata\.csv: lacks the columns bag_label; get it again"):
        mll_helmholtz.read(root)


def test_images_in_other_places(root: Path) -> None:
    picture(root / "data" / "KMT2A" / "XYZ" / "image_0.tif")
    picture(root / "data" / "NPM1" / "image_0.tif")
    with pytest.raises(InvalidExport) as error:
        mll_helmholtz.read(root)
    assert [str(problem).removeprefix(f"{root}/data/") for problem in error.value.problems] == [
        "KMT2A/XYZ/image_0.tif: is not below <group>/<patient>; put it where it was",
        "NPM1/image_0.tif: is not below <group>/<patient>; put it where it was",
    ]


def test_no_images(tmp_path: Path) -> None:
    for group in mll_helmholtz.DIAGNOSES:
        (tmp_path / group).mkdir()
    with pytest.raises(DataNotFound, match="holds no image; to get AML-Cytomorphology_MLL_Helmholtz"):
        mll_helmholtz.read(tmp_path)
