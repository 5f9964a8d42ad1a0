"""Acevedo's folders and prefixes, joined with the WBCAtt attributes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from source_layouts import acevedo as layout
from source_layouts import mll23, picture

from pcm_leukemia import sources
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, InvalidExport, UnknownLabel
from pcm_leukemia.sources import acevedo

LYMPHOCYTES = [
    f"PBC_dataset_normal_DIB/lymphocyte/{name}.jpg"
    for name in sorted(
        f"LY_{2500 + 37 * number}" for number in range(13, 15)
    )  # the thirteenth and fourteenth picture
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layout.make(tmp_path)
    return tmp_path


def test_published_counts() -> None:
    counts = acevedo.SOURCE.counts
    assert sum(counts.values()) == 17_092
    folders: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    labels = sources.read_map(acevedo.SOURCE)
    for raw, count in counts.items():
        folders[raw.partition("/")[0]] += count
        classes[labels.label(raw)] += count
    assert folders == {
        "neutrophil": 3_329,
        "eosinophil": 3_117,
        "ig": 2_895,
        "platelet": 2_348,
        "erythroblast": 1_551,
        "monocyte": 1_420,
        "basophil": 1_218,
        "lymphocyte": 1_214,
    }
    assert classes["Other"] == 2_895 + 1_551
    assert classes["ignore"] == 2_348
    assert sum(classes[label] for label in ("Neutrophil", "Eosinophil", "Monocyte")) == 3_329 + 3_117 + 1_420


def test_sizes_differ_and_each_cell_spans_its_image(root: Path) -> None:
    ds = acevedo.read(root)
    assert {(image.width, image.height) for image in ds.images} == set(layout.SIZES)
    for image in ds.images:
        (cell,) = ds.cells_of(image)
        assert (cell.box.x1, cell.box.y1, cell.box.x2, cell.box.y2) == (0, 0, image.width, image.height)
        assert image.group is None
        assert image.patient is None


def test_wbcatt_is_found_below_the_root(root: Path) -> None:
    layout.write_wbcatt(root / "wbcatt" / "submission", {"train": LYMPHOCYTES[:1], "test": LYMPHOCYTES[1:]})
    ds = acevedo.read(root)
    found = {str(cell.image): dict(cell.attributes) for cell in ds.cells if cell.attributes}
    assert sorted(found) == [path.removeprefix("PBC_dataset_normal_DIB/") for path in LYMPHOCYTES]
    first, second = found.values()
    assert first["granule_type"] == "nil"
    assert first["cytoplasm_colour"] == "light blue"
    assert (first["wbcatt_part"], second["wbcatt_part"]) == ("train", "test")
    assert tuple(first) == (*acevedo.WBCATT, "wbcatt_part")


def test_wbcatt_elsewhere_and_one_table(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = layout.write_wbcatt(tmp_path_factory.mktemp("att"), {"val": LYMPHOCYTES})
    of_folder = acevedo.read(root, wbcatt=folder)
    assert of_folder == acevedo.read(root, wbcatt=folder / "pbc_attr_v1_val.csv")
    assert sum(bool(cell.attributes) for cell in of_folder.cells) == 2
    assert not any(cell.attributes for cell in acevedo.read(root).cells)


def test_wbcatt_describes_missing_images(root: Path) -> None:
    gone = "PBC_dataset_normal_DIB/basophil/BA_1.jpg"
    layout.write_wbcatt(root, {"train": [*LYMPHOCYTES, gone]})
    with pytest.warns(DataWarning, match=r"lacks 1 image that WBCAtt describes:\nbasophil/BA_1\.jpg"):
        ds = acevedo.read(root)
    assert sum(bool(cell.attributes) for cell in ds.cells) == 2


def test_wbcatt_contradicts_itself(root: Path) -> None:
    layout.write_wbcatt(root / "a", {"train": LYMPHOCYTES})
    layout.write_wbcatt(root / "b", {"train": LYMPHOCYTES})  # the same rows again say nothing new
    assert sum(bool(cell.attributes) for cell in acevedo.read(root).cells) == 2
    layout.write_wbcatt(root / "c", {"train": LYMPHOCYTES[:1]}, cell_size="big")
    with pytest.raises(
        InvalidExport,
        match=r"c/pbc_attr_v1_train\.csv:2: contradicts an earlier row for lymphocyte/LY_\d+\.jpg; keep one of",
    ):
        acevedo.read(root)


def test_wbcatt_cannot_be_read(root: Path, tmp_path: Path) -> None:
    table = tmp_path / "pbc_attr_v1_train.csv"
    table.write_text("path,cell_size\na/b.jpg,big\n", encoding="utf-8")
    with pytest.raises(
        CorruptFile, match="lacks the columns cell_shape, .*; download it again from apple2373/wbcatt"
    ):
        acevedo.read(root)
    table.unlink()
    with pytest.raises(DataNotFound, match=r"has no pbc_attr_v1_\*\.csv; give the folder `submission`"):
        acevedo.read(root, wbcatt=tmp_path)


def test_repackaged_copies_are_rejected(root: Path) -> None:
    for name in ("wbc", "other_types"):
        (root / "PBC_dataset" / name).mkdir(parents=True)
    with pytest.raises(
        DataNotFound, match="PBC_dataset: is a repackaged copy with duplicate images; to get PBC"
    ):
        acevedo.read(root / "PBC_dataset")


def test_unknown_folders_and_prefixes_are_all_named(root: Path) -> None:
    picture(root / "PBC_dataset_normal_DIB" / "ig" / "PMO_1.jpg")
    picture(root / "PBC_dataset_normal_DIB" / "blast" / "BL_1.jpg")
    with pytest.raises(UnknownLabel) as error:
        acevedo.read(root)
    assert [problem.what.split('"')[1] for problem in error.value.problems] == ["blast/BL", "ig/PMO"]


def test_other_data_with_the_same_folders_is_not_mistaken_for_it(tmp_path: Path) -> None:
    mll23.make(tmp_path / "mll23")
    with pytest.raises(DataNotFound, match="has the folders basophil, eosinophil, lymphocyte, monocyte and"):
        acevedo.read(tmp_path)
    layout.make(tmp_path / "acevedo")
    assert acevedo.read(tmp_path).root == tmp_path / "acevedo" / "PBC_dataset_normal_DIB"
    assert sources.mll23.read(tmp_path).root == tmp_path / "mll23"
