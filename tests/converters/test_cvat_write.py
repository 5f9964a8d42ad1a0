"""Writing for CVAT: the export is read back, and every loss is reported."""

from __future__ import annotations

import json
import random
import tracemalloc
import warnings
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from exports import SHARED, png
from exports import write as write_file
from hypothesis import HealthCheck, assume, given, settings
from msgspec import structs
from strategies import datasets

from pcm_leukemia import (
    IGNORE,
    NINE,
    UNTYPED,
    Box,
    Cell,
    Dataset,
    Image,
    Patient,
    Split,
    load_dataset,
    patients,
    sample,
    splits,
)
from pcm_leukemia.converters import cvat
from pcm_leukemia.errors import DataWarning, ExportError, InvalidExport, LeakySplit, UnknownPart, counted
from pcm_leukemia.patients import Table
from pcm_leukemia.schema import ImageId, PatientId, Tag
from pcm_leukemia.shapes import Ellipse, Mask, Polygon, RotatedBox

SAMPLES = SHARED / "cvat-samples"
IMAGE = Image(ImageId("P1/a.png"), 200, 100)


def data(*cells: Cell, images: tuple[Image, ...] = (IMAGE,), **more: Any) -> Dataset:
    return Dataset("demo", NINE, images, cells, **more)


BOX = Box(10, 20, 50, 70)


def cell(number: int = 0, label: str = "Other", box: Box = BOX, **more: Any) -> Cell:
    return Cell(IMAGE.id, number, label, box, **{"raw_label": label, **more})


def document(path: Path) -> ET.Element:
    with zipfile.ZipFile(path) as archive:
        return ET.fromstring(archive.read("annotations.xml"))


def labels_of(path: Path) -> list[tuple[str | None, str | None]]:
    return [(each.findtext("name"), each.findtext("type")) for each in document(path).iter("label")]


def survives(ds: Dataset, path: Path, **options: Any) -> None:
    """Check that reading gives the same data, and that the report lists no loss."""
    report = cvat.write(ds, path, **options)
    assert not {kind: count for kind, count in report.skipped.items() if count}
    taxonomy = "declared" if ds.taxonomy.name == "declared" else ds.taxonomy
    assert cvat.read(path, taxonomy=taxonomy, name=ds.name) == ds  # type: ignore[arg-type]


# Data that came from CVAT


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample.write(tmp_path_factory.mktemp("sample") / "sample.zip", patients=4, images=6, seed=1)


def test_the_sample_survives(export: Path, tmp_path: Path) -> None:
    ds = cvat.read(export)
    assert any(each.tags for each in ds.images)
    assert any(each.shape for each in ds.cells)
    survives(ds, tmp_path / "out.zip")
    with zipfile.ZipFile(export) as old, zipfile.ZipFile(tmp_path / "out.zip") as new:
        pictures = [name for name in old.namelist() if name.endswith(".jpg")]
        assert sorted(pictures) == sorted(name for name in new.namelist() if name.startswith("images/"))
        assert all(old.read(name) == new.read(name) for name in pictures)
        # the very numbers that CVAT wrote, element by element
        one, other = (ET.fromstring(each.read("annotations.xml")) for each in (old, new))
    keys = ("xtl", "ytl", "xbr", "ybr", "rotation")
    texts = [
        [tuple(box.get(key) for key in keys) for image in root.iter("image") for box in image.iter("box")]
        for root in (one, other)
    ]
    assert texts[0] == texts[1]
    assert {tag.get("subset") for tag in other.iter("tag")} == {sample.SUBSET}  # CVAT looks for it there
    assert [(label.findtext("name"), [a.findtext("input_type") for a in label.iter("attribute")]) for label in
            other.iter("label") if label.find("attributes/attribute") is not None] == [
        ("Myeloblast_AML", ["checkbox"]), ("Myeloblast_APL", ["checkbox"]), ("Other", ["text"]), ("Reviewed", ["text"]),
    ]  # fmt: skip


def test_bccd_survives(tmp_path: Path) -> None:
    export = SHARED / "bccd-cvat-images-1.1.zip"
    if not export.is_file():
        pytest.skip(f"{export} is not there")
    with pytest.warns(DataWarning, match="has no area and is left out"):
        ds = cvat.read(export, taxonomy="declared", name="bccd")
    report = cvat.write(ds, tmp_path / "out.zip")
    assert dict(report.images) == {"all": 364}
    assert report.cells == {"all": {"RBC": 4153, "WBC": 372, "Platelets": 361}}
    assert not any(report.skipped.values())
    assert "9 cells have another number when read back" in str(report)  # those after a box that was left out
    assert cvat.read(tmp_path / "out.zip", taxonomy="declared", name="bccd") == renumbered(ds)


@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.xml")), ids=lambda file: file.stem)
@pytest.mark.filterwarnings(
    "ignore:.*not a shape of cells:pcm_leukemia.errors.DataWarning"
)  # lost at reading
def test_real_exports_survive(file: Path, tmp_path: Path) -> None:
    # one file has shapes whose label is empty, and nothing declares that
    empty = {"": IGNORE} if file.stem.startswith("task-no-declaration") else {}
    ds = cvat.read(file, taxonomy="declared", labels=empty, name="x")
    assert ds.cells
    report = cvat.write(ds, tmp_path / "out.zip")
    back = cvat.read(
        tmp_path / "out.zip", taxonomy="declared", labels={IGNORE: IGNORE} if empty else {}, name="x"
    )
    tracks = sum(each.track is not None for each in ds.cells)
    assert {kind: count for kind, count in report.skipped.items() if count} == (
        {"track numbers": tracks} if tracks else {}
    )
    assert ("video" in file.stem) == bool(tracks)
    expected = replace(
        renumbered(ds), cells=tuple(structs.replace(each, track=None) for each in renumbered(ds).cells)
    )
    if empty:
        expected = replace(expected, cells=tuple(
            structs.replace(each, raw_label=each.raw_label or IGNORE) for each in expected.cells))  # fmt: skip
    assert back == expected


def test_a_job_stays_one_subset_and_a_project_several(tmp_path: Path) -> None:
    single = replace(IMAGE, subset="Train")  # a task's subset is in no id
    survives(data(cell(), images=(single,)), tmp_path / "task.zip")
    root = document(tmp_path / "task.zip")
    assert root.findtext("meta/task/subset") == "Train"
    assert root.find("image").keys() == ["id", "name", "width", "height"]  # type: ignore[union-attr]
    inside = tuple(
        Image(ImageId(f"{subset}/{name}"), 200, 100, name=name, subset=subset)
        for subset in ("Train", "Test")
        for name in ("a.png", "b.png")
    )
    survives(data(images=inside), tmp_path / "project.zip")
    root = document(tmp_path / "project.zip")
    assert root.findtext("meta/project/subsets") == "Test\nTrain"
    numbered = [
        (each.get("subset"), each.get("id"), each.get("name"), each.get("task_id"))
        for each in root.iter("image")
    ]
    assert numbered == [
        ("Test", "0", "a.png", "1"),
        ("Test", "1", "b.png", "1"),
        ("Train", "0", "a.png", "2"),
        ("Train", "1", "b.png", "2"),
    ]
    assert [task.findtext("stop_frame") for task in root.iter("task")] == ["1", "1"]
    survives(data(images=(*inside, Image(ImageId("c.png"), 9, 9))), tmp_path / "mixed.zip")
    assert document(tmp_path / "mixed.zip").findtext("meta/project/subsets") == "default\nTest\nTrain"


def test_a_name_that_is_no_plain_path_stays(tmp_path: Path) -> None:
    odd = replace(IMAGE, name="P1//./a.png")
    survives(data(cell(), images=(odd,)), tmp_path / "out.zip")
    assert document(tmp_path / "out.zip").find("image").get("name") == "P1//./a.png"  # type: ignore[union-attr]


def test_every_shape(tmp_path: Path) -> None:
    wide = Image(ImageId("a.png"), 4000, 3000)
    drawn = (
        RotatedBox(100, 100, 200, 150, 359.4),
        Polygon(((1.5, 2.25), (30, 2), (30, 40.01))),
        Ellipse(500, 500, 40.5, 20, 12.345678),
        Ellipse(500, 500, 40, 20),
        Mask(10, 5, 3, 2, (1, 2, 2, 1)),
        Polygon(((0.1 + 0.2, 1 / 3), (30, 2), (30, 40))),
        None,
    )
    cells = tuple(
        Cell(wide.id, n, "Monocyte", Box(*(shape.envelope() or ()) if shape else (0, 0, 1 / 3, 1e-7)), "Monocyte", shape,
             occluded=n % 2 == 1, source=("manual", "")[n % 2], z_order=n - 2, group=n % 3,
             attributes=(("note", f" <&>\"'\n\t\r ü {n} "), ('a "b"', "")))
        for n, shape in enumerate(drawn)
    )  # fmt: skip
    tags = (Tag("Reviewed & <fine>", (("by", 'Dr "A"'),), "manual", 2), Tag("Monocyte"))
    survives(data(*cells, images=(replace(wide, tags=tags),)), tmp_path / "out.zip")
    found = list(document(tmp_path / "out.zip").iter("polygon"))
    assert found[0].get("points") == "1.50,2.25;30.00,2.00;30.00,40.01"
    assert found[1].get("points") == "0.30000000000000004,0.3333333333333333;30.00,2.00;30.00,40.00"
    assert document(tmp_path / "out.zip").find("image/ellipse").get("rotation") == "12.345678"  # type: ignore[union-attr]


# Any data


def renumbered(ds: Dataset) -> Dataset:
    cells = (
        structs.replace(each, id=number)
        for image in ds.images
        for number, each in enumerate(ds.cells_of(image))
    )
    return replace(ds, cells=tuple(cells))


def read_back(path: Path, ds: Dataset) -> Dataset:
    words = {raw: UNTYPED for each in ds.cells if each.untyped and (raw := each.raw_label)}
    words |= {raw: IGNORE for each in ds.cells if plainly_ignored(each) and (raw := each.raw_label)}
    words = {raw: label for raw, label in words.items() if ds.taxonomy.match(raw) is None}
    words |= {IGNORE: IGNORE} | ({UNTYPED: UNTYPED} if ds.untyped else {})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* box(es)?: cut at their image's border", DataWarning)
        return cvat.read(path, taxonomy=ds.taxonomy, labels=words, clip=True, name=ds.name)


def plainly_ignored(each: Cell) -> bool:
    return each.label == IGNORE and not each.untyped


def left_of(each: Cell, ds: Dataset, how: str) -> Cell:
    """The cell after the declared losses."""
    raw, taxonomy = each.raw_label, ds.taxonomy
    if plainly_ignored(each):
        free = not (ds.untyped and raw == UNTYPED)
        kept = raw if raw.strip() and taxonomy.match(raw) is None and free else IGNORE
    elif each.untyped:
        free = raw not in {IGNORE, *(other.raw_label for other in ds.cells if plainly_ignored(other))}
        kept = raw if raw.strip() and taxonomy.match(raw) is None and free else UNTYPED
    else:
        kept = raw if how == "raw" and raw and taxonomy.match(raw) == each.label else each.label
    return structs.replace(each, raw_label=kept, track=None)


def as_cvat_names(ds: Dataset) -> Dataset:
    """The same data with ids as CVAT could give them: the subset, if any, before the name."""
    new = {each.id: ImageId(f"{each.subset}/{each.id}" if each.subset else each.id) for each in ds.images}
    images = tuple(replace(each, id=new[each.id], name=str(each.id)) for each in ds.images)
    cells = tuple(structs.replace(each, image=new[each.image]) for each in ds.cells)
    return replace(ds, images=images, cells=cells, split=None)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(ds=datasets(), how=st.sampled_from(("class", "raw")))
def test_any_data_set_survives(tmp_path_factory: pytest.TempPathFactory, how: Any, ds: Dataset) -> None:
    assume(not any(each.subset.strip("./") != each.subset or "/" in each.subset for each in ds.images))
    assume(not any(":" in each.subset[1:2] or "\\" in each.subset for each in ds.images))
    ds = as_cvat_names(ds)
    assume(len({each.id for each in ds.images}) == len(ds.images))
    assume(not any(each.id.endswith("labels.txt") for each in ds.images))
    path = tmp_path_factory.mktemp("cvat") / "out.zip"
    cvat.write(ds, path, labels=how)
    back = read_back(path, ds)
    cells = tuple(left_of(each, ds, how) for each in renumbered(ds).cells)
    images = tuple(replace(each, patient=None) for each in ds.images)
    assert back == replace(ds, cells=cells, images=images, patients=())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ds=datasets())
def test_whatever_the_names_are(tmp_path_factory: pytest.TempPathFactory, ds: Dataset) -> None:
    """Ids may get their subset as a prefix, ambiguous data are rejected, and no image is lost."""
    path = tmp_path_factory.mktemp("cvat") / "out.zip"
    try:
        report = cvat.write(ds, path)
    except ExportError as error:
        assert any(why in str(error) for why in ("as would image", "leads out of the zip", "not an image"))  # noqa: PT017
        assert any(each.subset for each in ds.images) or "not an image" in str(error)  # noqa: PT017
        return
    back = read_back(path, ds)
    new = {each.id: each.id if each.id in {b.id for b in back.images} else None for each in ds.images}
    changed = sum(value is None for value in new.values())
    assert (counted(changed, "image has", "images have") + " another id" in str(report)) == bool(changed)

    def content(of: Dataset) -> list[str]:
        return sorted(
            repr(
                (
                    each.width,
                    each.height,
                    each.subset,
                    each.tags,
                    [(c.written_label, c.box, c.shape) for c in of.cells_of(each)],
                )
            )
            for each in of.images
        )

    assert content(back) == content(ds)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ds=datasets())
def test_cvats_importer_finds_what_it_asks_for(tmp_path_factory: pytest.TempPathFactory, ds: Dataset) -> None:
    """Look up and convert what load_anno in CVAT's cvat/apps/dataset_manager/formats/cvat.py needs."""
    assume(not any(each.id.endswith("labels.txt") for each in ds.images))
    path = tmp_path_factory.mktemp("cvat") / "out.zip"
    cvat.write(as_cvat_names(replace(ds, images=tuple(replace(i, subset="") for i in ds.images))), path)
    root = document(path)
    declared = {
        label.findtext("name"): (
            {a.findtext("name") for a in label.iter("attribute")},
            label.findtext("type"),
        )
        for label in root.iter("label")
    }
    numbers = {
        "box": ("xtl", "ytl", "xbr", "ybr"),
        "ellipse": ("cx", "cy", "rx", "ry"),
        "polygon": (),
        "mask": (),
        "tag": (),
    }
    assert sorted(int(image.attrib["id"]) for image in root.iter("image")) == list(range(len(ds.images)))
    for element in (each for image in root.iter("image") for each in image):
        attributes, kind = declared[element.attrib["label"]]  # an unknown label stops the import
        assert kind in ("any", element.tag)
        assert {each.attrib["name"] for each in element} <= attributes  # an unknown attribute is dropped
        assert int(element.get("group_id", 0)) >= 0
        assert 0 <= float(element.get("rotation", 0)) < 360
        assert all(float(element.attrib[name]) >= -5000 for name in numbers[element.tag])
        if element.tag == "polygon":
            assert all(
                len([*map(float, pair.split(","))]) == 2 for pair in element.attrib["points"].split(";")
            )
        elif element.tag == "mask":
            runs = [*map(int, element.attrib["rle"].split(","))]
            assert sum(runs) == int(element.attrib["width"]) * int(element.attrib["height"])
            assert min(int(element.attrib["left"]), int(element.attrib["top"])) >= 0
        if element.tag != "tag":
            assert element.attrib["occluded"] in ("0", "1")
            int(element.attrib["z_order"])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ds=datasets())
def test_patients_and_parts_come_back(tmp_path_factory: pytest.TempPathFactory, ds: Dataset) -> None:
    # the table of patients takes blanks off, and patterns and Windows paths for what they are
    def plain(text: str) -> bool:
        return not set("*?[\\") & set(text) and text == text.strip()

    kept = {each.id for each in ds.images if plain(each.id) and plain(each.name)}
    assume(kept)
    ds = ds.select(images=kept)
    people = [Patient(PatientId(f"00{n % 3}"), ("AML", None, "rare, kind")[n % 3]) for n in range(len(kept))]
    images = tuple(replace(each, patient=person.id) for each, person in zip(ds.images, people, strict=True))
    part_of = {each.id: ("train", "test", "extra")[n % 3] for n, each in enumerate(images)}
    ds = replace(ds, images=images, patients=tuple(people[:3]), split=Split("official", part_of))
    folder = tmp_path_factory.mktemp("cvat")
    try:
        cvat.write(ds, folder / "out.zip", subsets="split")
    except ExportError:
        assume(False)  # noqa: FBT003 - two images of one part with one path
    back = read_back(folder / "out.zip", ds)
    with zipfile.ZipFile(folder / "out.zip") as archive:
        archive.extract("patients.csv", folder)
    back = patients.from_csv(back, folder / "patients.csv")
    assert back.patients == ds.patients
    back = back.with_split(splits.from_subsets(back))
    assert ds.split

    def content(of: Dataset) -> list[tuple[str, str | None, int, int]]:
        return sorted((of.part_of(each), each.patient, each.width, each.height) for each in of.images)

    assert content(back) == content(ds)


# Labels


@pytest.fixture
def untidy() -> Dataset:
    """Different spellings, a class mapped to another class, and three kinds of ignored cells."""
    return data(
        cell(0, "Lymphocyte", raw_label="lymphocytes"),
        cell(1, "Lymphoblast", raw_label="Blast"),
        cell(2, IGNORE, raw_label="Unclear"),
        cell(3, IGNORE, raw_label="Monocyte"),
        cell(4, IGNORE, raw_label=""),
    )


def test_classes_are_shown(untidy: Dataset, tmp_path: Path) -> None:
    report = cvat.write(untidy, tmp_path / "out.zip")
    shown = [*NINE.labels, "Unclear", IGNORE]
    assert labels_of(tmp_path / "out.zip") == [(label, "any") for label in shown]
    written = [each.get("label") for each in document(tmp_path / "out.zip").iter("box")]
    assert written == ["Lymphocyte", "Lymphoblast", "Unclear", IGNORE, IGNORE]
    assert report.skipped["raw labels, for the class"] == 3
    assert report.cells == {"all": {"Lymphocyte": 1, "Lymphoblast": 1, IGNORE: 3}}
    assert (
        '1 ignored cell is written as "Unclear"; when reading back, give labels={"Unclear": "ignore"}'
        in str(report)
    )
    assert '2 ignored cells are written as "ignore"' in str(report)
    back = cvat.read(tmp_path / "out.zip", labels={"Unclear": IGNORE, IGNORE: IGNORE}, name="demo")
    assert [each.label for each in back.cells] == [each.label for each in untidy.cells]


def test_raw_labels_where_they_read_back(untidy: Dataset, tmp_path: Path) -> None:
    report = cvat.write(untidy, tmp_path / "out.zip", labels="raw")
    written = [each.get("label") for each in document(tmp_path / "out.zip").iter("box")]
    assert written == ["lymphocytes", "Lymphoblast", "Unclear", IGNORE, IGNORE]
    assert report.skipped["raw labels, for the class"] == 2
    tidy = replace(untidy, cells=(untidy.cells[0], untidy.cells[2]))
    assert not cvat.write(tidy, tmp_path / "out.zip", labels="raw").skipped["raw labels, for the class"]
    assert cvat.read(tmp_path / "out.zip", labels={"Unclear": IGNORE}, name="demo") == renumbered(tidy)


def test_a_task_shows_its_own_classes(untidy: Dataset, tmp_path: Path) -> None:
    report = cvat.write(untidy, tmp_path / "out.zip", task="wbc", labels="raw")
    assert labels_of(tmp_path / "out.zip")[:2] == [("WBC", "any"), ("Other", "any")]
    assert report.cells == {"all": {"WBC": 2, IGNORE: 3}}


def test_the_header_and_labels_txt_say_the_same(tmp_path: Path) -> None:
    tagged = replace(IMAGE, tags=(Tag("Reviewed", (("by", "A"),)), Tag("Other")))
    ds = data(
        cell(0, attributes=(("rods", "true"), ("note", "maybe"))),
        cell(1, attributes=(("rods", "false"), ("note", "true"))),
        images=(tagged,),
    )
    cvat.write(ds, tmp_path / "out.zip", colours={"Other": "#123ABC"})
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        raw = json.loads(archive.read("labels.txt"))
    declared = [
        {
            "name": each.findtext("name"),
            "color": each.findtext("color"),
            "type": each.findtext("type"),
            "attributes": {a.findtext("name"): a.findtext("input_type") for a in each.iter("attribute")},
        }
        for each in document(tmp_path / "out.zip").iter("label")
    ]
    assert [
        {**each, "attributes": {a["name"]: a["input_type"] for a in each["attributes"]}} for each in raw
    ] == declared
    assert [each["name"] for each in declared] == [*NINE.labels, "Reviewed"]
    assert declared[-2:] == [
        {
            "name": "Other",
            "color": "#123ABC",
            "type": "any",
            "attributes": {"rods": "checkbox", "note": "text"},
        },
        {"name": "Reviewed", "color": declared[-1]["color"], "type": "tag", "attributes": {"by": "text"}},
    ]
    assert len({str(each["color"]) for each in declared}) == len(declared)


def test_wrong_colours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='colours: unknown label "Otter"; use one of: Lymphocyte, '):
        cvat.write(data(), tmp_path / "out.zip", colours={"Otter": "#123456"})
    with pytest.raises(ValueError, match='"red" of "Other" is not a colour; write it as #rrggbb'):
        cvat.write(data(), tmp_path / "out.zip", colours={"Other": "red"})


# Notes


def test_shapes_that_read_as_no_cell_become_boxes(tmp_path: Path) -> None:
    ds = data(
        cell(0, shape=Mask(10, 20, 2, 2, (4,))),
        cell(1, shape=Polygon(((1, 1), (1, 5)))),
        cell(2, shape=Polygon(())),
        cell(3, shape=Polygon(((500, 500), (510, 500), (510, 510)))),
    )
    report = cvat.write(ds, tmp_path / "out.zip")
    assert report.skipped["outlines without area in their image, for their boxes"] == 4
    assert cvat.read(tmp_path / "out.zip", name="demo") == replace(
        ds, cells=tuple(structs.replace(each, shape=None) for each in ds.cells)
    )


def test_notes_on_boxes_that_differ_from_their_outline(tmp_path: Path) -> None:
    ds = data(
        cell(0, shape=RotatedBox(10, 20, 50, 70, 0)),
        cell(1, box=Box(0, 0, 9, 9), shape=Polygon(((0, 0), (10, 0), (10, 10)))),
        cell(2, box=Box(0, 0, 10, 10), shape=Polygon(((-5, -5), (10, 0), (10, 10)))),
    )
    text = str(cvat.write(ds, tmp_path / "out.zip"))
    assert "1 box differs from the extent of the outline" in text
    assert "1 box rotated by 0 degrees is written as an upright box" in text
    assert "1 rotated box or outline leaves its image; read them back with the option clip" in text
    with pytest.raises(InvalidExport, match="begins at x=-5.00"):
        cvat.read(tmp_path / "out.zip")
    with pytest.warns(DataWarning, match="1 box: cut at their image's border"):
        back = cvat.read(tmp_path / "out.zip", clip=True)
    boxes = [Box(10, 20, 50, 70), Box(0, 0, 10, 10), Box(0, 0, 10, 10)]
    assert [each.box for each in back.cells] == boxes


def test_notes_on_what_cvat_changes(tmp_path: Path) -> None:
    twins = tuple(
        Image(ImageId(f"Train/a.{end}"), 9, 9, name=f"a.{end}", subset="Train") for end in ("jpg", "png")
    )
    mask = Cell(twins[0].id, 0, "Other", Box(0, 0, 1, 1), "Other", Mask(0, 0, 1, 1, (0, 1)))
    text = str(cvat.write(data(mask, images=twins), tmp_path / "out.zip"))
    assert '"images/Train/a.jpg" and "images/Train/a.png" differ only in their extension' in text
    assert "1 mask or ellipse is lost when CVAT imports a data set into a project" in text
    assert "first paste labels.txt into the Raw tab" in text
    assert "the zip has annotations only, no images" in text


def test_names_that_collide_are_refused(tmp_path: Path) -> None:
    clash = (
        Image(ImageId("Train/a.png"), 9, 9, name="a.png", subset="Train"),
        Image(ImageId("a.png"), 9, 9, subset="Train"),
        Image(ImageId("b.png"), 9, 9),
    )
    with pytest.raises(
        ExportError,
        match='image "a.png": would be "images/Train/a.png" in CVAT, as would image "Train/a.png"; rename one',
    ):
        cvat.write(data(images=clash), tmp_path / "out.zip")
    with pytest.raises(ExportError, match=r'its path "images/\.\./b.png" is empty or leads out of the zip'):
        cvat.write(data(images=(clash[2], Image(ImageId("../b.png"), 9, 9))), tmp_path / "out.zip")
    for name in ("P1/labels.txt", "patients.csv", "annotations.xml"):
        with pytest.raises(ExportError, match="like a file of the zip that is not an image; rename the file"):
            cvat.write(data(images=(Image(ImageId(name), 9, 9),)), tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_images_of_several_exports_keep_different_ids(tmp_path: Path) -> None:
    twice = tuple(Image(ImageId(f"task_{n}/a.png"), 9, 9, name="a.png") for n in (1, 2))
    report = cvat.write(data(images=twice), tmp_path / "out.zip")
    assert report.skipped["names of images, for their ids"] == 2
    assert [each.id for each in cvat.read(tmp_path / "out.zip").images] == ["task_1/a.png", "task_2/a.png"]


@pytest.mark.parametrize("text", ["\x00", "a\x1fb", "\ud800", "\uffff"])
def test_characters_that_xml_cannot_hold(tmp_path: Path, text: str) -> None:
    code = f"U\\+{ord(text.strip('ab')):04X}"
    for ds in (data(cell(attributes=(("note", text),))), data(images=(replace(IMAGE, tags=(Tag(text),)),))):
        with pytest.raises(
            ExportError, match=f"contains the character {code}, which XML cannot represent; remove it"
        ):
            cvat.write(ds, tmp_path / "out.zip")
    with pytest.raises(ExportError, match='image "P1/a.png": '):
        cvat.write(data(cell(source=text)), tmp_path / "out.zip")
    assert list(tmp_path.iterdir()) == []


# Files


@pytest.fixture
def with_files(tmp_path: Path) -> Dataset:
    names = ("P1/a.png", "P1/b.png", "P2/a.png")
    for name in names:
        write_file(tmp_path / "export" / name, png())
    people = (Patient(PatientId("007"), "AML"), Patient(PatientId("P 2")))
    images = tuple(
        Image(ImageId(name), 200, 100, people[name.startswith("P2")].id, file=name) for name in names
    )
    parts = dict(zip((each.id for each in images), ("train", "train", "val"), strict=True))
    cells = (Cell(images[0].id, 0, "Other", Box(1, 1, 9, 9), "Other"),)
    return data(*cells, images=images, patients=people, root=tmp_path / "export").with_split(
        Split("official", parts)
    )


def test_parts_become_subsets(with_files: Dataset, tmp_path: Path) -> None:
    report = cvat.write(with_files, tmp_path / "out.zip", subsets="split")
    assert dict(report.images) == {"train": 2, "val": 1}
    assert "CVAT cannot store patients: unzip patients.csv and give it as the patient table" in str(report)
    assert report.cells == {"train": {"Other": 1}}
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == [
            "images/Train/P1/a.png",
            "images/Train/P1/b.png",
            "images/Validation/P2/a.png",
            "annotations.xml",
            "labels.txt",
            "patients.csv",
            "pcm-leukemia.json",
        ]
        assert archive.read("patients.csv").decode().splitlines() == [
            "path,patient,diagnosis",
            "Train/P1/a.png,007,AML",
            "Train/P1/b.png,007,AML",
            "Validation/P2/a.png,P 2,",
        ]
        archive.extract("patients.csv", tmp_path)
    back = load_dataset(tmp_path / "out.zip", patients=Table(tmp_path / "patients.csv"))
    assert back.patients == with_files.patients
    split = splits.from_subsets(back)
    assert dict(split.part_of) == {
        "Train/P1/a.png": "train",
        "Train/P1/b.png": "train",
        "Validation/P2/a.png": "val",
    }
    assert [each.file for each in back.images] == [f"images/{each.id}" for each in back.images]
    with pytest.raises(UnknownPart, match="demo: has no split to make subsets of"):
        cvat.write(with_files.with_split(None), tmp_path / "out.zip", subsets="split")


def test_a_project_that_is_split_anew(export: Path, tmp_path: Path) -> None:
    ds = load_dataset(export, patients=r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/")
    with pytest.warns(DataWarning, match="no such cells"):
        ds = ds.with_split(splits.by_patient(ds, test=0.25, val=0.3))
    cvat.write(ds, tmp_path / "out.zip", subsets="split", images="none")
    back = cvat.read(tmp_path / "out.zip")
    assert sorted(each.name for each in back.images) == sorted(each.name for each in ds.images)
    assert {each.subset for each in back.images} == {"Train", "Validation", "Test"}
    split = splits.from_subsets(back)
    assert ds.split
    names = {each.name: ds.part_of(each) for each in ds.images}
    assert {each.name: split.part_of[each.id] for each in back.images} == names


def test_a_task_without_a_split(with_files: Dataset, tmp_path: Path) -> None:
    report = cvat.write(with_files, tmp_path / "out.zip", include_patients=False)
    assert report.skipped["patients of images"] == 3
    assert "unzip patients.csv" not in str(report)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        names = archive.namelist()
        assert archive.read("images/P2/a.png") == png()
        mark = json.loads(archive.read("pcm-leukemia.json"))
    assert "patients.csv" not in names
    assert (mark["fingerprint"], mark["format"], mark["labels"]) == (with_files.fingerprint, "cvat", "class")
    unknown = replace(
        with_files, images=(replace(with_files.images[0], patient=None), *with_files.images[1:])
    )
    assert "cannot store patients (1 image has no patient):" in str(cvat.write(unknown, tmp_path / "out.zip"))
    assert "the split is not written; the option subsets=split writes its parts as subsets" in str(report)
    cvat.write(with_files, tmp_path / "out.zip", images="none")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert not [name for name in archive.namelist() if name.startswith("images/")]


def test_out_of_a_zip_into_a_zip(with_files: Dataset, tmp_path: Path) -> None:
    cvat.write(with_files, tmp_path / "one.zip")
    again = cvat.read(tmp_path / "one.zip", name="demo")
    cvat.write(again, tmp_path / "two.zip")
    assert cvat.read(tmp_path / "two.zip", name="demo") == again
    # over the zip that its own images come from
    cvat.write(again, tmp_path / "one.zip")
    assert cvat.read(tmp_path / "one.zip", name="demo") == again


def test_same_input_same_bytes(with_files: Dataset, tmp_path: Path) -> None:
    cvat.write(with_files, tmp_path / "one.zip")
    cvat.write(replace(with_files, images=with_files.images[::-1]), tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {member.date_time[0] for member in archive.infolist()} == {1980}  # no clock


def test_images_that_are_missing_are_all_named(with_files: Dataset, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "export" / "P1" / f"{name}.png").unlink()
    with pytest.raises(ExportError) as caught:
        cvat.write(with_files, tmp_path / "out.zip")
    assert str(caught.value).count("has no file") == 2
    cvat.write(with_files.select(images=["P2/a.png"]), tmp_path / "damaged.zip")
    damaged = cvat.read(tmp_path / "damaged.zip")
    content = (tmp_path / "damaged.zip").read_bytes()
    (tmp_path / "damaged.zip").write_bytes(content.replace(png()[40:50], bytes(10), 1))
    with pytest.raises(ExportError, match=r'image "P2/a.png": .*damaged.zip: .* cannot be read'):
        cvat.write(damaged, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()
    some = replace(with_files, images=(replace(with_files.images[0], file=None), *with_files.images[1:]))
    with pytest.raises(
        ExportError, match='1 of 3 images have no file, the first "P1/a.png"; .* images="none"'
    ):
        cvat.write(some, tmp_path / "out.zip")
    cvat.write(some, tmp_path / "out.zip", images="none")


def test_what_it_did_not_write_stays(tmp_path: Path, export: Path) -> None:
    (tmp_path / "text.zip").write_text("mine")
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "link.zip").symlink_to(tmp_path / "elsewhere.zip")
    for path in (tmp_path / "text.zip", tmp_path / "folder.zip", tmp_path / "link.zip", export):
        with pytest.raises(
            ExportError, match="pcm-leukemia did not write it for CVAT; name a file that does not"
        ):
            cvat.write(data(), path)
    assert (tmp_path / "text.zip").read_text() == "mine"
    cvat.write(data(), tmp_path / "deep" / "out.zip")
    cvat.write(data(cell()), tmp_path / "deep" / "out.zip")
    assert len(cvat.read(tmp_path / "deep" / "out.zip").cells) == 1


def test_wrong_options_and_leaks(with_files: Dataset, tmp_path: Path) -> None:
    for options in ({"images": "symlink"}, {"subsets": "none"}, {"labels": "both"}):
        with pytest.raises(ValueError, match="must be"):
            cvat.write(with_files, tmp_path / "out.zip", **options)  # type: ignore[arg-type]
    leaking = replace(
        with_files, images=tuple(replace(i, patient=PatientId("007")) for i in with_files.images)
    )
    with pytest.raises(LeakySplit, match='patient "007": is in train'):
        cvat.write(leaking, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_memory_stays_flat(tmp_path: Path) -> None:
    rng = random.Random(0)
    images = tuple(Image(ImageId(f"{n:05}.png"), 2000, 2000) for n in range(1000))
    cells = []
    for n in range(20_000):
        x, y = round(rng.uniform(0, 1900), 2), round(rng.uniform(0, 1900), 2)
        cells.append(Cell(images[n // 20].id, n % 20, NINE.labels[n % 9], Box(x, y, x + 80, y + 80), "x"))
    ds = data(*cells, images=images)
    _ = ds.fingerprint  # made once, from all rows
    tracemalloc.start()
    try:
        cvat.write(ds, tmp_path / "out.zip")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        size = archive.getinfo("annotations.xml").file_size
    assert size > 2_000_000
    assert peak < size / 1.5
