"""The canonical folder reads back as the data set it was, or says what is wrong with it."""

from __future__ import annotations

import csv
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import datasets

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, store
from pcm_leukemia.errors import (
    CorruptFile,
    DataLoss,
    DataNotFound,
    ExportError,
    IncompleteSplit,
    InvalidDataset,
    MissingPart,
    PcmError,
    UnknownPart,
)
from pcm_leukemia.schema import ImageId, PatientId
from pcm_leukemia.store import tables


@pytest.fixture
def ds() -> Dataset:
    images = tuple(
        Image(ImageId(f"P{n}/a.png"), 100, 80, PatientId(f"00{n}"), file=f"images/P{n}/a.png") for n in (1, 2)
    )
    cells = tuple(Cell(image.id, 0, "Monocyte", Box(1.25, 2, 30, 40), "mono") for image in images)
    patients = tuple(Patient(PatientId(f"00{n}"), "AML") for n in (1, 2))
    return Dataset("demo", NINE, images, cells, patients)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ds=datasets(told=True, points=True))
def test_any_data_set_survives(tmp_path_factory: pytest.TempPathFactory, ds: Dataset) -> None:
    folder = tmp_path_factory.mktemp("store") / "data"
    store.write(ds, folder)
    again = store.read(folder)
    assert again == ds
    assert again.fingerprint == ds.fingerprint
    assert [image.file for image in again.images] == [image.file for image in ds.images]


def test_same_data_same_bytes(tmp_path: Path, ds: Dataset) -> None:
    for name in ("one", "two"):
        store.write(ds, tmp_path / name)
    for file in ("dataset.json", "patients.csv", "images.csv", "cells.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_tables_open_in_a_spreadsheet(tmp_path: Path, ds: Dataset) -> None:
    store.write(ds, tmp_path / "data")
    with (tmp_path / "data" / "cells.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["image"], row["label"], row["x1"], row["raw_label"]) for row in rows] == [
        ("P1/a.png", "Monocyte", "1.25", "mono"),
        ("P2/a.png", "Monocyte", "1.25", "mono"),
    ]
    with (tmp_path / "data" / "patients.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [["patient", "diagnosis"], ["001", "AML"], ["002", "AML"]]


def test_the_images_are_found_after_both_have_moved(tmp_path: Path, ds: Dataset) -> None:
    export = tmp_path / "here" / "export"
    export.mkdir(parents=True)
    store.write(replace(ds, root=export), tmp_path / "here" / "data")
    (tmp_path / "here").rename(tmp_path / "there")
    assert store.read(tmp_path / "there" / "data").root == tmp_path / "there" / "export"


def test_splits_outlive_a_new_import(tmp_path: Path, ds: Dataset) -> None:
    folder = tmp_path / "data"
    store.write(ds, folder)
    assert store.read(folder).split is None
    split = Split(
        "official", {ImageId("P1/a.png"): "train", ImageId("P2/a.png"): "test"}, {"method": "by hand"}
    )
    store.add_split(folder, split, ds)
    assert store.read(folder).split == split
    grown = replace(ds, images=(*ds.images, Image(ImageId("P3/a.png"), 10, 10)))
    store.write(grown, folder)
    assert store.read_split(folder, "official") == split
    with pytest.raises(
        MissingPart, match='1 of 3 images are in no part of split "official"; place them with'
    ):
        store.read(folder)
    with pytest.warns(
        IncompleteSplit, match='are in no part of split "official", so it is left out; place them with'
    ):
        assert store.read(folder, allow_incomplete_split=True).split is None
    assert store.read(folder, with_split=False) == grown
    with pytest.raises(UnknownPart, match="1 of 3 images are in no part"):
        store.read(folder, split_name="official")
    with pytest.raises(UnknownPart, match='has no split "other"; it has: official'):
        store.read(folder, split_name="other")


def test_a_data_set_is_not_written_over_by_a_smaller_one(tmp_path: Path, ds: Dataset) -> None:
    folder = tmp_path / "data"
    grouped = replace(
        ds,
        images=tuple(replace(image, group="slide 1", diagnosis="AML", patient=None) for image in ds.images),
    )
    one = ds.select(images={"P1/a.png"})
    nobody = replace(ds, images=tuple(replace(image, patient=None) for image in ds.images))
    for before, after, lost in (
        (ds, one, "1 of 2 images (2 -> 1), 1 of 2 patients (2 -> 1)"),
        (ds, replace(nobody, patients=()), "2 of 2 patients (2 -> 0)"),
        (ds, nobody, "the patient of 2 images, the diagnosis of 2 images"),
        (
            ds,
            replace(ds, patients=tuple(replace(each, diagnosis=None) for each in ds.patients)),
            "the diagnosis of 2 images",
        ),
        (replace(grouped, patients=()), nobody, "the diagnosis of 2 images, the group of 2 images"),
        (grouped, replace(grouped, patients=()), "2 of 2 patients (2 -> 0)"),
        (ds, replace(ds, cells=()), "2 of 2 cells (2 -> 0)"),
    ):
        store.write(before, folder, replace=True)
        with pytest.raises(DataLoss) as caught:
            store.write(after, folder)
        sentence = f"{folder}: would lose {lost}; write what pcm.update returns to change the images that are in both"
        assert str(caught.value).startswith(sentence)
        assert store.read(folder) == before
        store.write(after, folder, replace=True)
        assert store.read(folder) == after


def test_an_image_is_not_written_over_by_another_file_of_its_name(tmp_path: Path, ds: Dataset) -> None:
    def of_files(digest: str | None) -> Dataset:
        return replace(ds, images=(replace(ds.images[0], digest=digest), ds.images[1]))

    store.write(of_files("1"), tmp_path / "data")
    with pytest.raises(
        DataLoss, match="would lose the file of 1 image, whose name another file has now; write"
    ):
        store.write(of_files("2"), tmp_path / "data")
    for same in ("1", None, "2"):
        store.write(of_files(same), tmp_path / "data")


def test_a_split_is_not_written_over_by_another_of_its_name(tmp_path: Path, ds: Dataset) -> None:
    folder = tmp_path / "data"
    first, second = (image.id for image in ds.images)
    split = Split("official", {first: "train", second: "test"})
    store.write(ds.with_split(split), folder)
    swapped = ds.with_split(replace(split, part_of={first: "test", second: "train"}))
    with pytest.raises(DataLoss, match='would lose split "official", which has other parts in the new data'):
        store.write(swapped, folder)
    store.write(ds.with_split(replace(split, name="other", part_of=swapped.split.part_of)), folder)  # type: ignore[union-attr]
    assert store.split_names(folder) == ["official", "other"]
    assert store.read_split(folder, "official") == split
    store.write(swapped, folder, replace=True)
    assert store.read_split(folder, "official") == swapped.split


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "a\\b"])
def test_a_split_is_named_like_a_file(tmp_path: Path, ds: Dataset, name: str) -> None:
    store.write(ds, tmp_path / "data")
    with pytest.raises(ExportError, match="cannot be a file name"):
        store.add_split(tmp_path / "data", Split(name, {image.id: "train" for image in ds.images}), ds)
    assert not list(tmp_path.glob("*evil*"))


# What is wrong with a folder


def test_a_changed_table_is_refused_until_it_is_accepted(tmp_path: Path, ds: Dataset) -> None:
    folder = store.write(ds, tmp_path / "data").out
    cells = folder / "cells.csv"
    cells.write_text(cells.read_text().replace("Monocyte", "Basophil", 1))
    with pytest.raises(
        CorruptFile,
        match=r"cells\.csv: is not what pcm-leukemia wrote .* accept it with: pcm-leukemia import",
    ):
        store.read(folder)
    edited = store.read(folder, verify=False)
    assert [cell.label for cell in edited.cells] == ["Basophil", "Monocyte"]
    store.write(edited, folder)
    assert store.read(folder) == edited


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            ",1.25,",
            ",one,",
            r"cells\.csv:2: cannot be read \(could not convert string to float: 'one'\); correct the row",
        ),
        (",1.25,", ",99.0,", r"cells\.csv:2: cannot be read \(box .* has no area"),
        ("Monocyte,", "Monozyt,", 'cell 0: label "Monozyt" is not a class of the data set'),
        (",mono,", ",", r"cells\.csv:2: cannot be read \(15 fields, not 16\)"),
        ("P1/a.png", "P7/a.png", 'image "P7/a.png" cell 0: its image is not in the table'),
    ],
)
def test_rows_edited_badly_are_named(tmp_path: Path, ds: Dataset, old: str, new: str, sentence: str) -> None:
    folder = store.write(ds, tmp_path / "data").out
    cells = folder / "cells.csv"
    cells.write_text(cells.read_text().replace(old, new, 1))
    with pytest.raises(InvalidDataset, match=sentence):
        store.read(folder, verify=False)


def test_other_damage(tmp_path: Path, ds: Dataset) -> None:
    folder = store.write(ds, tmp_path / "data").out
    header = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(header | {"schema_version": 99}))
    with pytest.raises(
        CorruptFile,
        match="schema_version 99, this version of pcm-leukemia reads 1 to 4; run: pip install --upgrade",
    ):
        store.read(folder)
    (folder / "dataset.json").write_text("{")
    with pytest.raises(CorruptFile, match="is not the header of a canonical folder"):
        store.read(folder)
    store.write(ds, tmp_path / "new")
    (tmp_path / "new" / "images.csv").unlink()
    with pytest.raises(CorruptFile, match=r"images\.csv: is missing"):
        store.read(tmp_path / "new")
    with pytest.raises(DataNotFound, match="does not exist; import an export first"):
        store.read(tmp_path)


def test_a_table_with_other_columns(tmp_path: Path, ds: Dataset) -> None:
    folder = store.write(ds, tmp_path / "data").out
    table = folder / "patients.csv"
    table.write_text(table.read_text().replace("patient,diagnosis", "id,diagnosis"))
    with pytest.raises(
        CorruptFile, match=r"patients\.csv:1: its columns are id,diagnosis; they must be patient,diagnosis"
    ):
        store.read(folder, verify=False)


@pytest.mark.parametrize(
    "change",
    [
        {"taxonomy": None},
        {"taxonomy": {"name": "a", "labels": "abc"}},
        {"taxonomy": {"name": "a", "labels": ["Other", "Other"]}},
        {"taxonomy": {"name": "a", "labels": [], "tasks": 7}},
        {"sha256": []},
        {"sha256": {"cells.csv": None}},
        {"images_root": 5},
        {"schema_version": "3"},
        {"schema_version": None},
        {"name": {}},
        {"name": "\ud800"},
    ],
    ids=str,
)
def test_a_header_of_another_shape_is_named(change: dict[str, object], tmp_path: Path, ds: Dataset) -> None:
    folder = store.write(ds, tmp_path / "data").out
    header = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(header | change))
    with pytest.raises(
        CorruptFile,
        match=r"dataset\.json: is not the header of a canonical folder \(.+\); import the export again",
    ):
        store.read(folder)


@pytest.mark.parametrize("content", [b"[]", b"null", b'"a"', b"7", b"", b"{", b"[" * 100_000, b"\xff", b"\0"])
def test_a_header_that_is_no_object_is_named(content: bytes, tmp_path: Path, ds: Dataset) -> None:
    folder = store.write(ds, tmp_path / "data").out
    (folder / "dataset.json").write_bytes(content)
    with pytest.raises(
        CorruptFile, match=r"dataset\.json: is not (the header of a canonical folder|text in UTF-8)"
    ):
        store.read(folder)


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        ("images.csv", ",100,", ",99999999999,"),
        ("cells.csv", "Monocyte,1.25", "Monocyte,inf"),
        ("cells.csv", "mono,", "mono,mask,0 0 9 9 inf"),
        ("cells.csv", "mono,", '"mo"no,'),
    ],
)
def test_a_row_that_cannot_be_is_named(table: str, old: str, new: str, tmp_path: Path, ds: Dataset) -> None:
    folder = store.write(ds, tmp_path / "data").out
    text = (folder / table).read_bytes().decode()
    assert old in text
    (folder / table).write_bytes(text.replace(old, new).encode())
    with pytest.raises((CorruptFile, InvalidDataset), match=table.replace(".", r"\.") + r":?\d*: "):
        store.read(folder, verify=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_any_value_in_the_header_is_read_or_refused(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        image = Image(ImageId("a.png"), 20, 10)
        folder = store.write(Dataset("small", NINE, (image,)), Path(place, "data")).out
        header = json.loads((folder / "dataset.json").read_text())
        inside = data.draw(st.sampled_from((header, header["taxonomy"], header["taxonomy"]["tasks"][0])))
        inside[data.draw(st.sampled_from(sorted(inside)))] = data.draw(JSON)
        (folder / "dataset.json").write_text(json.dumps(header))
        try:
            read: object = store.read(folder)
        except PcmError as error:
            read = error
        assert isinstance(read, Dataset) or str(read).startswith(str(folder)) or "taxonomy" in str(read)


def test_images_that_moved_are_one_message(tmp_path: Path) -> None:
    images = tuple(Image(ImageId(name), 200, 100, file=name) for name in ("a.png", "b.png"))
    (tmp_path / "in").mkdir()
    store.write(Dataset("demo", NINE, images, root=tmp_path / "in"), tmp_path / "out")
    (tmp_path / "in").rename(tmp_path / "moved")
    assert len(store.read(tmp_path / "out").images) == 2
    with pytest.raises(DataNotFound, match=r"in: the images are not there; give images_root$"):
        store.read(tmp_path / "out", check_images=True)


def test_a_root_that_is_no_path_is_named(tmp_path: Path, ds: Dataset) -> None:
    folder = store.write(ds, tmp_path / "data").out
    header = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    (folder / "dataset.json").write_text(json.dumps(header | {"images_root": "x" * 5000}), encoding="utf-8")
    with pytest.raises(
        CorruptFile, match=r"dataset\.json: its images_root is not a path \(File name too long\)"
    ):
        store.read(folder, check_images=True)


def test_the_version_is_that_of_the_columns(ds: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that is added some day must not be written under the version before it."""
    typed = replace(ds, cells=tuple(cell for cell in ds.cells if not cell.untyped))
    assert tables.version_of(typed) == 3
    white = Cell(ds.images[0].id, 99, "WBC", Box(1, 1, 9, 9))
    assert tables.version_of(replace(typed, cells=(*typed.cells, white))) == 4
    monkeypatch.setitem(cast("dict[int, tuple[str, ...]]", tables.TABLES["cells.csv"]), 5, ("stain",))
    assert tables.version_of(typed) == 5
