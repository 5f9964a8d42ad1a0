"""The special cases of the paper's data sets: published counts by class, traps, re-annotations."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from exports import SHARED, box, document, image, png
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from source_layouts import all_idb1 as idb_layout
from source_layouts import bccd as voc
from source_layouts import cnmc as cnmc_layout
from source_layouts import image_folder as folder_layout
from source_layouts import leukemia_attri as attri_layout
from source_layouts import lmu as lmu_layout
from source_layouts import picture

import pcm_leukemia as pcm
from pcm_leukemia import sources
from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    DataWarning,
    InvalidExport,
    Problem,
    UnfitForTask,
    UnknownLabel,
)
from pcm_leukemia.schema import IGNORE, ImageId
from pcm_leukemia.shapes import Box, Point
from pcm_leukemia.sources import all_idb1, all_idb2, bccd, cnmc, image_folder, leukemia_attri, lmu
from pcm_leukemia.sources._labels import COLUMNS


def mapped(name: str, variant: str) -> Counter[str]:
    """The published counts of a data set, by class."""
    source = sources.get(name)
    labels = sources.read_map(source, variant)
    found: Counter[str] = Counter()
    for raw, count in source.counts.items():
        found[labels.label(raw)] += count
    return found


# LMU


@pytest.mark.parametrize(
    ("variant", "kept"),
    [("strict", 18_090), ("strict+pmb", 18_108), ("lenient", 18_215), ("literal", 18_365), ("nine", 18_350)],
)
def test_lmu_keeps_as_many_cells_as_each_reading_says(variant: str, kept: int) -> None:
    assert lmu.SOURCE.variants[variant].startswith(f"{kept:,}")
    found = mapped("lmu", variant)
    assert found.total() == 18_365
    assert found.total() - found[IGNORE] == kept


def test_lmu_classes() -> None:
    strict = mapped("lmu", "strict")
    expected = {
        "Neutrophil": 8_593,
        "Lymphocyte": 3_937,
        "Monocyte": 1_789,
        "Eosinophil": 424,
        "Basophil": 79,
    }
    assert dict(strict) == {**expected, "Myeloblast_AML": 3_268, IGNORE: 275}
    lenient = mapped("lmu", "lenient")
    assert (lenient["Lymphocyte"], lenient["Myeloblast_AML"], lenient["Myeloblast_APL"]) == (3_948, 3_294, 88)
    assert mapped("lmu", "strict+pmb")["Myeloblast_APL"] == 18
    assert mapped("lmu", "literal")["Other"] == 150
    assert all("Lymphoblast" not in mapped("lmu", variant) for variant in lmu.SOURCE.variants)


@pytest.mark.parametrize("variant", list(lmu.SOURCE.variants))
def test_the_myeloblast_is_myo_and_the_myelocyte_myb(variant: str) -> None:
    labels = sources.read_map(lmu.SOURCE, variant)
    assert labels.label("MYO") == "Myeloblast_AML"
    assert labels.label("MYB") != "Myeloblast_AML"


def test_lmu_re_annotations_are_attributes_and_nan_is_none(tmp_path: Path) -> None:
    lmu_layout.make(tmp_path)
    ds = lmu.read(tmp_path)
    of = {cell.image: cell.attributes for cell in ds.cells}
    assert of["MYO/MYO_0001.tiff"] == (("re-annotation 1", "MYO"), ("re-annotation 2", "UNC"))  # type: ignore[index]
    assert of["LYA/LYA_0001.tiff"] == (("re-annotation 1", "LYT"),)  # type: ignore[index]
    assert of["NGS/NGS_0001.tiff"] == ()  # type: ignore[index]


def test_lmu_as_tcia_packs_it_today_and_as_mirrors_name_it(tmp_path: Path) -> None:
    """The codes right below, annotations.dat beside them, .tif for .tiff."""
    top = tmp_path / "PKG - AML-Cytomorphology_LMU"
    for code in lmu_layout.COUNTS:
        picture(top / code / f"{code}_0001.tif", 40, 40, "RGBA")
    (top / "annotations.dat").write_text("NGS/NGS_0001.tiff NGS NGB nan\n", encoding="utf-8")
    ds = lmu.read(tmp_path)
    assert len(ds.images) == 15
    assert ds.root == top
    assert lmu.expected_files(ds)["KSC"][-1] == "KSC/KSC_0015.tif"
    attributes = {cell.image: cell.attributes for cell in ds.cells}
    assert attributes["NGS/NGS_0001.tif"] == (("re-annotation 1", "NGB"),)  # type: ignore[index]


def test_lmu_alpha_is_dropped_not_blended(tmp_path: Path) -> None:
    from pcm_leukemia import images

    lmu_layout.make(tmp_path)
    ds = lmu.read(tmp_path)
    assert isinstance(ds.root, Path)
    import PIL.Image

    clear = ds.root / "BAS" / "BAS_0001.tiff"
    PIL.Image.new("RGBA", (40, 40), (10, 20, 30, 0)).save(clear)
    first = next(image for image in ds.images if image.id == "BAS/BAS_0001.tiff")
    assert images.load(images.Files(ds.root), first)[0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("NGS/NGS_0001.tiff NGS nan", r"annotations\.dat:1: has 3 columns, not 4; unzip it again"),
        (
            "NGS/NGS_0001.tiff LYT nan nan",
            r"annotations\.dat:1: calls NGS/NGS_0001\.tiff LYT; its folder is the label",
        ),
    ],
)
def test_lmu_annotations_that_do_not_fit(line: str, said: str, tmp_path: Path) -> None:
    lmu_layout.make(tmp_path)
    (tmp_path / "AML-Cytomorphology_LMU" / "annotations.dat").write_text(line, encoding="utf-8")
    with pytest.raises(InvalidExport, match=said):
        lmu.read(tmp_path)


def test_lmu_with_a_folder_that_is_no_code(tmp_path: Path) -> None:
    lmu_layout.make(tmp_path)
    picture(tmp_path / "AML-Cytomorphology_LMU" / "AML-Cytomorphology" / "NGX" / "NGX_0001.tiff")
    with pytest.raises(
        UnknownLabel, match=r'lmu\.csv: has no row for "NGX" \(found 1 time, variant strict\); its labels'
    ):
        lmu.read(tmp_path)


# BCCD


def test_bccd_in_voc_equals_bccd_in_cvat(tmp_path: Path) -> None:
    """The VOC layout, written from the CVAT export, reads the same; the same two boxes have no area."""
    export = SHARED / "bccd-cvat-images-1.1.zip"
    if not export.is_file():
        pytest.skip(f"{export} is not there")
    with zipfile.ZipFile(export) as archive:
        frames = [name for name in archive.namelist() if name.endswith(".jpg")]
        for name in frames:
            target = tmp_path / "BCCD" / "JPEGImages" / Path(name).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
        xml = archive.read("annotations.xml").decode()
    rows = voc_rows(xml)
    assert sum(map(len, rows.values())) == 4_888
    stems = sorted(rows)
    voc.write(tmp_path / "BCCD", rows, {"train": stems[:205], "val": stems[205:292], "test": stems[292:]})
    with pytest.warns(DataWarning, match="2 boxes have no area and are left out"):
        ours = bccd.read(tmp_path)
    with pytest.warns(DataWarning, match="has no area and is left out"):
        theirs = pcm.load_dataset(export, taxonomy="declared")
    assert ours.images == tuple(replace(image, subset="") for image in theirs.images)
    assert ours.cells == tuple(structs.replace(cell, source="") for cell in theirs.cells)
    assert ours.taxonomy.labels == theirs.taxonomy.labels
    assert ours.split is not None
    assert Counter(ours.split.part_of.values()) == {"train": 205, "val": 87, "test": 72}
    assert sources.validate("bccd", ours).ok
    assert sources.validate("bccd", theirs).ok


def voc_rows(xml: str) -> dict[str, list[voc.Row]]:
    """Stem -> its boxes in VOC coordinates: counted from 1, both corners inside."""
    import xml.etree.ElementTree as ET

    found: dict[str, list[voc.Row]] = {}
    for element in ET.fromstring(xml).iter("image"):
        rows = found.setdefault(Path(element.get("name", "")).stem, [])
        for shape in element.iter("box"):
            x1, y1, x2, y2 = (int(float(shape.get(side, ""))) for side in ("xtl", "ytl", "xbr", "ybr"))
            from_one = 0 if x1 == x2 else 1
            rows.append((shape.get("label", ""), x1 + from_one, y1 + from_one, x2, y2))
    return found


def test_a_voc_box_covers_both_of_its_corners(tmp_path: Path) -> None:
    voc.make(tmp_path)
    with pytest.warns(DataWarning):
        ds = bccd.read(tmp_path)
    boxes = {(cell.image, cell.id): cell.box for cell in ds.cells}
    assert boxes["BloodImage_00000.jpg", 1] == Box(0, 0, 640, 480)  # type: ignore[index]
    assert boxes["BloodImage_00338.jpg", 1] == Box(4, 5, 7, 9)  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<annotation>", r"BloodImage_00000\.xml: cannot be read \(no element found"),
        (
            voc.annotation("BloodImage_00002", []),
            'names the image "BloodImage_00002.jpg"; correct the name',
        ),
        (
            voc.annotation("BloodImage_00000", [("RBC", 1, 1, 641, 5)]),
            "extends beyond the image of 640 x 480; download the file",
        ),
        (voc.annotation("BloodImage_00000", [("Blob", 1, 1, 6, 5)]), 'bccd.csv: has no row for "Blob"'),
    ],
)
def test_bccd_invalid_files(text: str, said: str, tmp_path: Path) -> None:
    voc.make(tmp_path)
    file = tmp_path / "BCCD_Dataset" / "BCCD" / "Annotations" / "BloodImage_00000.xml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidExport, match=said):
        bccd.read(tmp_path)


def test_bccd_counts_unknown_names_over_all_files(tmp_path: Path) -> None:
    voc.make(tmp_path)
    folder = tmp_path / "BCCD_Dataset" / "BCCD" / "Annotations"
    for stem, blobs in (("BloodImage_00000", 1), ("BloodImage_00002", 2)):
        text = voc.annotation(stem, [("Blob", 1, 1, 6, 5)] * blobs)
        (folder / f"{stem}.xml").write_text(text, encoding="utf-8")
    with pytest.raises(UnknownLabel, match=r'has no row for "Blob" \(found 3 times, variant default\)'):
        bccd.read(tmp_path)


def test_bccd_invalid_lists(tmp_path: Path) -> None:
    voc.make(tmp_path)
    lists = tmp_path / "BCCD_Dataset" / "BCCD" / "ImageSets" / "Main"
    (lists / "val.txt").write_text("BloodImage_00000\nBloodImage_9\n", encoding="utf-8")
    with pytest.raises(InvalidExport) as caught:
        bccd.read(tmp_path)
    said = str(caught.value)
    assert "val.txt: names BloodImage_00000, which is also in another list; keep it in one list" in said
    assert "val.txt: names BloodImage_9, which has no image; download the image again" in said
    assert "1 image is not in any list (first: BloodImage_00002)" in said


def test_bccd_without_its_lists_has_no_split(tmp_path: Path) -> None:
    import shutil

    voc.make(tmp_path)
    shutil.rmtree(tmp_path / "BCCD_Dataset" / "BCCD" / "ImageSets")
    with pytest.warns(DataWarning):
        assert bccd.read(tmp_path).split is None


# ALL-IDB


def test_all_idb1_points_groups_and_diagnoses(tmp_path: Path) -> None:
    idb_layout.make(tmp_path)
    ds = all_idb1.read(tmp_path)
    shapes = [(cell.image, cell.raw_label, cell.shape) for cell in ds.cells]
    assert shapes == [
        ("im/Im001_1.jpg", "blast", Point(10, 20)),
        ("im/Im001_1.jpg", "blast", Point(171, 136)),
        ("im/Im001_1.jpg", "other", Point(30, 40)),
        ("im/Im034_1.jpg", "blast", Point(100, 50)),
        ("im/Im093_0.jpg", "other", Point(1, 2)),
        ("im/Im093_0.jpg", "other", Point(3, 4)),
    ]
    found = {image.id: (ds.diagnosis_of(image), image.group, image.annotation_state) for image in ds.images}
    assert found == {
        "im/Im001_1.jpg": ("ALL", None, "partial"),
        "im/Im034_1.jpg": ("ALL", None, "partial"),
        "im/Im037_0.jpg": ("Normal", None, "none"),
        "im/Im093_0.jpg": ("Normal", "one picture 093 108", "partial"),
        "im/Im108_0.jpg": ("Normal", "one picture 093 108", "none"),
    }
    with pytest.raises(UnfitForTask, match="3 cells are points without a box"):
        pcm.converters.yolo.write(ds, tmp_path / "out")
    assert [row[:2] for row in sources.validate("all_idb1", ds).counts] == [("blast", 510), ("other", 1_322)]


def re_annotation(labels: Mapping[str, list[str]]) -> str:
    """A CVAT export of the images, by their base names."""
    sizes = {**idb_layout.SIZES, "Im108_0": (259, 194)}
    images = [
        image(
            f"{stem}.jpg",
            "".join(box(label, (10 * n, 5, 10 * n + 8, 60)) for n, label in enumerate(names)),
            number=number,
            width=sizes[stem][0],
            height=sizes[stem][1],
        )
        for number, (stem, names) in enumerate(labels.items())
    ]
    return document(*images)


def test_all_idb1_re_annotation_beside_the_images(tmp_path: Path) -> None:
    idb_layout.make(tmp_path)
    folder = tmp_path / "ALL_IDB" / "ALL_IDB1"
    drawn = {
        "Im001_1": ["Lymphoblast", "Neutrophil"],
        "Im034_1": [],
        "Im037_0": ["Monocyte"],
        "Im093_0": ["Other"],
    }
    (folder / "re-annotation.xml").write_text(re_annotation(drawn), encoding="utf-8")
    with zipfile.ZipFile(folder / "as it came.zip", "w") as archive:  # the original download is not an export
        archive.writestr("im/Im001_1.jpg", png())
    ds = all_idb1.read(tmp_path)
    assert Counter(cell.label for cell in ds.cells) == {
        "Lymphoblast": 1,
        "Neutrophil": 1,
        "Monocyte": 1,
        "Other": 1,
    }
    assert {image.id: image.annotation_state for image in ds.images} == {
        **dict.fromkeys(("im/Im001_1.jpg", "im/Im034_1.jpg", "im/Im037_0.jpg", "im/Im093_0.jpg"), "complete"),
        "im/Im108_0.jpg": "none",
    }
    assert all(image.diagnosis for image in ds.images)
    assert sources.validate("all_idb1", ds).counts[0] == ("in all", 701, 4)
    points = all_idb1.read(tmp_path, points=True)
    assert Counter(cell.raw_label for cell in points.cells) == {"blast": 3, "other": 3}
    whole = ds.select(images=lambda image: image.annotation_state == "complete")
    assert pcm.converters.yolo.write(whole, tmp_path / "yolo").images == {"all": 4}


def test_all_idb1_with_two_files_that_may_be_the_re_annotation(tmp_path: Path) -> None:
    idb_layout.make(tmp_path)
    for name in ("first.xml", "second.xml"):
        (tmp_path / "ALL_IDB" / "ALL_IDB1" / name).write_text("<annotations/>", encoding="utf-8")
    with pytest.warns(
        DataWarning, match=r"has 2 files .*\(first\.xml, second\.xml\), so the points are read"
    ):
        ds = all_idb1.read(tmp_path)
    assert {cell.raw_label for cell in ds.cells} == {"blast", "other"}


def test_all_idb1_re_annotation_that_does_not_fit(tmp_path: Path) -> None:
    idb_layout.make(tmp_path)
    text = re_annotation({"Im001_1": []}).replace('width="171"', 'width="170"')
    text = text.replace("</annotations>", image("Im200_1.jpg", number=9) + "</annotations>")
    export = tmp_path / "other place.xml"
    export.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidExport) as caught:
        all_idb1.read(tmp_path / "ALL_IDB", annotations=export)
    assert "is 170 x 136, but its file is 171 x 136; annotate the original images" in str(caught.value)
    assert 'image "Im200_1.jpg": is not in ALL-IDB1; give the re-annotation of ALL-IDB1 alone' in str(
        caught.value
    )
    with pytest.raises(DataNotFound, match="nowhere.zip: does not exist; give the CVAT export"):
        all_idb1.read(tmp_path / "ALL_IDB", annotations=tmp_path / "nowhere.zip")


@pytest.mark.parametrize("line", ["10", "10 x", "172 5", "1 2 3", "-1 0"])
def test_all_idb1_invalid_points(line: str, tmp_path: Path) -> None:
    idb_layout.make(tmp_path)
    (tmp_path / "ALL_IDB" / "ALL_IDB1" / "xyc" / "Im001_1.xyc").write_text(
        f"1\t2\n{line}\n", encoding="utf-8"
    )
    with pytest.raises(
        InvalidExport,
        match=rf"xyc/Im001_1\.xyc:2: '{line}' is not a point in its image \(.*; download the file again",
    ):
        all_idb1.read(tmp_path)


def test_all_idb2_twins_are_a_group(tmp_path: Path) -> None:
    from source_layouts import all_idb2 as layout

    layout.make(tmp_path)
    with pytest.warns(DataWarning):
        ds = all_idb2.read(tmp_path)
    assert [image.id for image in ds.images if image.group] == ["Im223_0.tif", "Im257_0.tif"]
    found = sources.validate("all_idb2", ds)
    assert "Im002_?.tif" in found.missing["img"]
    assert len(found.missing["img"]) == 255


# C-NMC


def test_cnmc_map_on_the_published_counts() -> None:
    assert mapped("cnmc", "default") == {"Lymphoblast": 8_491, "Other": 4_037}
    assert mapped("cnmc", "hem_as_lymphocyte") == {"Lymphoblast": 8_491, "Lymphocyte": 4_037}


def test_cnmc_subjects_in_the_misnamed_column(tmp_path: Path) -> None:
    cnmc_layout.make(tmp_path)
    ds = cnmc.read(tmp_path)
    of = {image.id.rpartition("/")[2]: image.patient for image in ds.images}
    assert [of[f"UID_{name}"] for name in ("h3_1_1_hem.bmp", "H3_1_2_hem.bmp")] == ["H3", "H3"]
    prelim = ds.part("prelim").images
    assert [image.patient for image in prelim] == ["57", "57", "H40"]
    assert {image.patient for image in ds.part("final").images} == {None}
    first = next(cell for cell in ds.cells if cell.image.endswith("prelim_phase_data/1.bmp"))
    assert first.attributes == (("image", "29"), ("cell", "1"))


def test_cnmc_counts_what_is_there(tmp_path: Path) -> None:
    import shutil

    cnmc_layout.make(tmp_path)
    top = tmp_path / "PKG - C-NMC 2019"
    shutil.rmtree(top / "C-NMC_test_prelim_phase_data")
    (top / "C-NMC_test_prelim_phase_data_labels.csv").unlink()
    ds = cnmc.read(top)
    assert ds.parts == ("final", "fold_0", "fold_1", "fold_2")
    assert cnmc.expected_counts(ds) == {"all": 7_272, "hem": 3_389}


def test_cnmc_without_the_table_of_the_preliminary_test(tmp_path: Path) -> None:
    cnmc_layout.make(tmp_path)
    (tmp_path / "PKG - C-NMC 2019" / "C-NMC_test_prelim_phase_data_labels.csv").unlink()
    with pytest.raises(
        InvalidExport,
        match="has 3 images of the preliminary test and no C-NMC_test_prelim_phase_data_labels.csv; get",
    ):
        cnmc.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (("Patient_ID", "Subject"), CorruptFile, "must have the columns Patient_ID, new_names and labels"),
        (
            ("2.bmp,1", "2.bmp,0"),
            InvalidExport,
            r'labels\.csv:3: calls "UID_57_2_3_all\.bmp" 0, where 1 is all',
        ),
        (
            ("3.bmp", "4.bmp"),
            InvalidExport,
            r"names 4\.bmp, which is not there.*\n.*3\.bmp: is not in .*labels\.csv",
        ),
    ],
)
def test_cnmc_tables_that_are_wrong(
    change: tuple[str, str], error: type[Exception], said: str, tmp_path: Path
) -> None:
    cnmc_layout.make(tmp_path)
    table = tmp_path / "PKG - C-NMC 2019" / "C-NMC_test_prelim_phase_data_labels.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    with pytest.raises(error, match=said):
        cnmc.read(tmp_path)


def test_cnmc_names_that_tell_no_subject(tmp_path: Path) -> None:
    cnmc_layout.make(tmp_path)
    folder = tmp_path / "PKG - C-NMC 2019" / "C-NMC_training_data" / "fold_2"
    picture(folder / "hem" / "UID_6_1_1_all.bmp")
    picture(folder / "all" / "7.bmp")
    with pytest.raises(InvalidExport) as caught:
        cnmc.read(tmp_path)
    assert str(caught.value).count("its name is not UID_<subject>_<image>_<cell>_<all or hem>.bmp") == 2


# LeukemiaAttri


def test_leukemia_attri_one_subset_keeps_its_parts(tmp_path: Path) -> None:
    attri_layout.make(tmp_path)
    ds = leukemia_attri.read(tmp_path, subsets=["h_100x_c1"])
    assert ds.split is not None
    assert Counter(ds.split.part_of.values()) == {"train": 1, "test": 1}
    assert {image.subset for image in ds.images} == {"H_100X_C1"}
    alone = leukemia_attri.read(tmp_path / "LeukemiaAttri" / "H_100X_C1")
    assert [image.id for image in alone.images] == [
        "Images/test/6_2_1000_APML.png",
        "Images/train/4_15_1000_ALL.png",
    ]
    with pytest.raises(
        DataNotFound, match="has no L_10X_C1, but H_100X_C1, L_40X_C2; to get LeukemiaAttri: "
    ):
        leukemia_attri.read(tmp_path, subsets=["L_10X_C1"])


def test_leukemia_attri_attributes_in_words(tmp_path: Path) -> None:
    attri_layout.make(tmp_path)
    ds = leukemia_attri.read(tmp_path, subsets=["H_100X_C1"])
    of = {cell.raw_label: dict(cell.attributes) for cell in ds.cells}
    assert of["Lymphoblast"] == {
        "cell size": "large",
        "nuclear chromatin": "open",
        "nuclear shape": "irregular",
        "nucleolus": "prominent",
        "cytoplasm": "scanty",
        "cytoplasmic basophilia": "moderate",
        "cytoplasmic vacuoles": "absent",
    }
    assert set(of["None"].values()) == {"not applicable"}


def test_leukemia_attri_numbers_are_not_trusted(tmp_path: Path) -> None:
    """The two subsets number the categories differently; a box that leaves by a fraction is cut, a flat one told."""
    attri_layout.make(tmp_path)
    with pytest.warns(DataWarning, match="1 box has no area in its image and is left out"):
        ds = leukemia_attri.read(tmp_path, subsets=["L_40X_C2"])
    assert [(cell.raw_label, cell.label) for cell in ds.cells] == [
        ("Abnormal promyelocyte", "Myeloblast_APL"),
        ("Promonocyte", "Monocyte"),
        ("Myelocyte", "Other"),
    ]
    assert ds.cells[1].box == Box(0, 0, 640, 9)
    blast = leukemia_attri.read
    with pytest.warns(DataWarning):
        ds = blast(tmp_path, subsets=["L_40X_C2"], variant="promonocyte_as_blast")
    assert ds.cells[1].label == "Myeloblast_AML"


def test_leukemia_attri_is_no_food_for_detectors_as_it_is(tmp_path: Path) -> None:
    attri_layout.make(tmp_path)
    ds = leukemia_attri.read(tmp_path, subsets=["H_100X_C1"])
    with pytest.raises(UnfitForTask, match=r"not all cells are known to be annotated \(2 partial\)"):
        pcm.converters.coco.write(ds, tmp_path / "out")


@pytest.mark.parametrize(
    ("key", "value", "error", "said"),
    [
        ("category_id", 99, InvalidExport, r"train\.json annotations\[0\]: cannot be read \(99\)"),
        ("category_name", "Basophil", InvalidExport, 'gives image 0 and "Basophil", unlike the lists'),
        ("image_id", 99, InvalidExport, "gives image 99"),
        ("bbox", [1, 2, 3], InvalidExport, "cannot be read"),
    ],
)
def test_leukemia_attri_annotations_that_are_wrong(
    key: str, value: object, error: type[Exception], said: str, tmp_path: Path
) -> None:
    attri_layout.make(tmp_path)
    table = tmp_path / "LeukemiaAttri" / "H_100X_C1" / "json_labels" / "train.json"
    content = json.loads(table.read_text(encoding="utf-8"))
    content["annotations"][0][key] = value
    table.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(error, match=said):
        leukemia_attri.read(tmp_path, subsets=["H_100X_C1"])


def test_leukemia_attri_images_outside_train_and_test_are_told_of(tmp_path: Path) -> None:
    attri_layout.make(tmp_path)
    picture(tmp_path / "LeukemiaAttri" / "H_100X_C1" / "Images" / "9_1_1000_ALL.png")
    with pytest.warns(
        DataWarning, match=r"H_100X_C1: 1 image is in neither train nor test and left out:\n.*9_1_"
    ):
        ds = leukemia_attri.read(tmp_path, subsets=["H_100X_C1"])
    assert ds.images
    assert not any("9_1_1000_ALL" in image.id for image in ds.images)


def test_leukemia_attri_files_that_are_wrong(tmp_path: Path) -> None:
    attri_layout.make(tmp_path)
    labels = tmp_path / "LeukemiaAttri" / "H_100X_C1" / "json_labels"
    content = json.loads((labels / "train.json").read_text(encoding="utf-8"))
    content["categories"][0]["name"] = "Blast"
    (labels / "train.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(
        UnknownLabel, match=r'leukemia_attri.csv: has no row for "Blast" \(found 1 time, variant default'
    ):
        leukemia_attri.read(tmp_path, subsets=["H_100X_C1"])
    (labels / "train.json").write_text('{"images": []}', encoding="utf-8")
    with pytest.raises(
        CorruptFile, match=r"train\.json: is not a COCO file with images, annotations and categories"
    ):
        leukemia_attri.read(tmp_path, subsets=["H_100X_C1"])
    (labels / "train.json").unlink()
    with pytest.raises(InvalidExport, match=r"has images in train and no train\.json; get the subset again"):
        leukemia_attri.read(tmp_path, subsets=["H_100X_C1"])


# A lab's own folders


def test_image_folder_names_every_folder_that_is_no_class(tmp_path: Path) -> None:
    facts = folder_layout.make(tmp_path)
    with (
        pytest.warns(DataWarning, match="in no class folder"),
        pytest.raises(UnknownLabel) as caught,
    ):
        image_folder.read(facts.root)
    said = str(caught.value)
    assert (
        'folder "L1 blasts": is not a class (2 images); give labels={"L1 blasts": CLASS}, with one of' in said
    )
    assert 'folder "debris": is not a class (1 image)' in said
    assert "neutrophils" not in said
    with (
        pytest.warns(DataWarning),
        pytest.raises(
            ValueError,
            match='label map: "Blast" is not a class of pcm-leukemia, the nearest is "Lymphoblast"; use one of Lymph',
        ),
    ):
        image_folder.read(facts.root, labels={"debris": "Blast"})
    with (
        pytest.warns(DataWarning, match="in no class folder"),
        pytest.warns(
            DataWarning, match='"debrs" is not a label in this data, the nearest is "debris"; check'
        ),
        pytest.raises(UnknownLabel),
    ):
        image_folder.read(facts.root, labels={"debris": "ignore", "debrs": "ignore"})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Neutrophil/a.heic", "has no image that is read, but 1 .heic files; save them as PNG"),
        ("drawings/a.gif", "has no image that is read, but 1 .gif files; save them as PNG"),
        ("Neutrophil/a", "has no image that is read, but 1 other files; save them as PNG"),
        ("Neutrophil/a.png", "none of its 1 image can be read; repair these files"),
    ],
)
@pytest.mark.filterwarnings("ignore:.* unreadable files? (is|are) left out")
def test_image_folder_loses_no_class(name: str, said: str, tmp_path: Path) -> None:
    for read in ("Lymphocyte/a.png", "Monocyte/a.png"):
        picture(tmp_path / read)
    lost = tmp_path / name
    lost.parent.mkdir()
    lost.write_bytes(b"no image")
    with pytest.raises(InvalidExport, match=f'folder "{lost.parent.name}": {said}'):
        image_folder.read(tmp_path)


def test_image_folder_counts_files_of_other_kinds(tmp_path: Path) -> None:
    for file in ("Lymphocyte/a.png", "Lymphocyte/readme.txt", "scripts/cut.py", "Lymphocyte/b.heic"):
        picture(tmp_path / "a.png")
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / "a.png").rename(tmp_path / file)
    with pytest.warns(DataWarning, match=r"files of these kinds are not read: Lymphocyte: 1 \.heic$"):
        ds = image_folder.read(tmp_path)
    assert [image.id for image in ds.images] == ["Lymphocyte/a.png"]


def test_image_folder_without_parts_and_with_other_classes(tmp_path: Path) -> None:
    for name in ("blast/1.png", "blast/deeper/2.png", "no blast/1.png"):
        picture(tmp_path / name)
    two = pcm.Taxonomy("two", ("blast", "no blast"))
    ds = image_folder.read(tmp_path, taxonomy=two)
    assert ds.split is None
    assert [(cell.image, cell.label) for cell in ds.cells] == [
        ("blast/1.png", "blast"),
        ("blast/deeper/2.png", "blast"),
        ("no blast/1.png", "no blast"),
    ]
    assert pcm.load_dataset(f"image_folder:{tmp_path}", taxonomy=two) == ds


def test_image_folder_whose_parts_share_a_patient_cannot_be_converted(tmp_path: Path) -> None:
    for name in ("train/Other/P1_a.png", "test/Other/P1_b.png"):
        picture(tmp_path / name)
    ds = pcm.load_dataset(f"image_folder:{tmp_path}", patients=r"/(?P<patient>P\d)_")
    with pytest.raises(pcm.errors.LeakySplit, match='patient "P1": is in train'):
        pcm.converters.crops.write(ds, tmp_path / "out")


# Maps


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("variant,raw", "must begin with '# version: N' and the columns variant,raw,class"),
        ("# version: 1\nraw\n", "must begin with"),
        ("ROW\n*,NGS,Neutrophil,H,why", ":3: has 5 fields, not 6"),
        ("ROW\n*,NGS,Segmented,H,why,who", ':3: class "Segmented" is not in the taxonomy pcm-leukemia'),
        ("ROW\n*,NGS,Neutrophil,X,why,who", ":3: needs a known variant, a confidence"),
        ("ROW\nother,NGS,Neutrophil,H,why,who", ":3: needs a known variant"),
        (
            "ROW\n*,NGS,Neutrophil,H,,who",
            ":3: needs a known variant, a confidence (H, M, L), a reason and a source",
        ),
        ("ROW\n*,NGS,Neutrophil,H,why,who\n*,NGS,Other,H,why,who", ':4: duplicate row for "NGS"; keep one'),
    ],
)
def test_invalid_maps(text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pcm_leukemia.sources import _labels

    (tmp_path / "maps").mkdir()
    text = text.replace("ROW", f"# version: 1\n{','.join(COLUMNS)}")
    (tmp_path / "maps" / "lmu.csv").write_text(text, encoding="utf-8")
    monkeypatch.setattr(_labels, "files", lambda _: tmp_path)
    with pytest.raises(CorruptFile) as caught:
        sources.read_map(lmu.SOURCE)
    assert said in str(caught.value)


def test_a_variant_takes_the_place_of_the_common_row() -> None:
    rules = sources.read_map(lmu.SOURCE, "strict+pmb").rules
    assert rules["PMB"].label == "Myeloblast_APL"
    assert rules["PMO"].label == IGNORE


# Whatever numbers there are


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 100)), max_size=5),
    st.sampled_from(("\t", " ", "   ", " \t ")),
    st.sampled_from(("\n", "\r\n", "\n\n")),
)
def test_points_survive_any_blanks(
    tmp_path_factory: pytest.TempPathFactory, points: list[tuple[int, int]], blank: str, end: str
) -> None:
    file = tmp_path_factory.mktemp("xyc") / "Im001_1.xyc"
    file.write_bytes("".join(f"{x}{blank}{y}{end}" for x, y in points).encode())
    problems: list[Problem] = []
    image = pcm.Image(ImageId("im/Im001_1.jpg"), 200, 100)
    assert all_idb1._read_points(file, image, problems) == [Point(x, y) for x, y in points]
    assert problems == []


@settings(max_examples=50, deadline=None)
@given(st.tuples(*(st.integers(1, 640),) * 2), st.tuples(*(st.integers(1, 480),) * 2))
def test_a_voc_box_has_as_many_pixels_as_it_says(
    tmp_path_factory: pytest.TempPathFactory, xs: tuple[int, int], ys: tuple[int, int]
) -> None:
    (x1, x2), (y1, y2) = sorted(xs), sorted(ys)
    file = tmp_path_factory.mktemp("voc") / "a.xml"
    file.write_text(voc.annotation("a", [("RBC", x1, y1, x2, y2)]), encoding="utf-8")
    problems: list[Problem] = []
    flat: list[str] = []
    image = pcm.Image(ImageId("a.jpg"), 640, 480)
    cells = bccd._cells(file, image, sources.read_map(bccd.SOURCE), problems, flat, Counter())
    assert problems == []
    if x1 == x2 or y1 == y2:
        assert (len(cells), len(flat)) == (0, 1)
    else:
        box = cells[0].box
        assert (box.width, box.height) == (x2 - x1 + 1, y2 - y1 + 1)
        assert box.inside(640, 480)
