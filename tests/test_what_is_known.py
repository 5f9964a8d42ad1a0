"""Points without boxes, images annotated in part, an image's own diagnosis, and groups that no split may separate."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from pcm_leukemia import (
    NINE,
    Box,
    Cell,
    Dataset,
    Image,
    Patient,
    Split,
    converters,
    splits,
    store,
    torchdata,
)
from pcm_leukemia.converters import coco
from pcm_leukemia.errors import DataWarning, LeakySplit, MissingPatients, UnfitForTask
from pcm_leukemia.files import Report
from pcm_leukemia.schema import STATES, ImageId, PatientId, Tag
from pcm_leukemia.shapes import Ellipse, Point, pack, unpack
from pcm_leukemia.splits import unit_of


def pointed(root: Path, **more: Any) -> Dataset:
    PIL.Image.new("RGB", (200, 100)).save(root / "a.png")
    image = Image(ImageId("a.png"), 200, 100, file="a.png", **more)
    point = Point(10.5, 20)
    cells = (
        Cell(image.id, 0, "Lymphoblast", point.pixel(200, 100), "blast", point),
        Cell(image.id, 1, "Monocyte", Box(50, 20, 90, 60), "mono"),
    )
    return Dataset("demo", NINE, (image,), cells, root=root)


def boxed(root: Path, **more: Any) -> Dataset:
    return pointed(root, **more).select(labels=["Monocyte"])


def detection(ds: Dataset, _: Path, **more: Any) -> object:
    pytest.importorskip("torch")
    return torchdata.Detection(ds, **more)


def crops(ds: Dataset, _: Path) -> object:
    pytest.importorskip("torch")
    return torchdata.Crops(ds)


def predicted(ds: Dataset, _: Path) -> object:
    return coco.with_results(ds, [])


def cells_in(used: Any) -> int:
    """How many cells came out: of a report, of an adapter for torch, or of a data set but those to be ignored."""
    if isinstance(used, Report):
        return sum(sum(labels.values()) for labels in used.cells.values())
    if isinstance(used, Dataset):
        return sum(cell.label != "ignore" for cell in used.cells)
    return len(used) if type(used).__name__ == "Crops" else len(used[0][1]["labels"])


DETECTORS: list[Callable[..., object]] = [detection]
OTHERS: list[Callable[..., object]] = [crops, predicted]
"""Beside the formats, which tests/contracts/test_converters.py asks the same of."""


# Points


def test_a_point_is_packed_and_unpacked() -> None:
    assert pack(Point(1.5, 2)) == ("point", [1.5, 2])
    assert unpack("point", [1.5, 2.0]) == Point(1.5, 2)
    with pytest.raises(
        ValueError,
        match="unknown kind or wrong count of numbers; use rotated, polygon, ellipse, mask or point",
    ):
        unpack("point", [1.0])


def test_a_point_outside_has_no_pixel() -> None:
    with pytest.raises(ValueError, match=r"point \(201, 5\): lies outside the image of 200 x 100"):
        Point(201, 5).pixel(200, 100)


@pytest.mark.parametrize("use", [*DETECTORS, *OTHERS])
def test_what_needs_boxes_refuses_points(use: Callable[..., object], tmp_path: Path) -> None:
    ds = pointed(tmp_path)
    said = (
        r'demo: 1 cell is a point without a box \(1 Lymphoblast\), the first in image "a\.png", and boxes are needed '
        r"here; leave such cells out with Dataset\.select\(labels=\.\.\.\), or set them aside with "
        r'Dataset\.relabel\(\{"Lymphoblast": "ignore"\}\)'
    )
    with pytest.raises(UnfitForTask, match=said):
        use(ds, tmp_path / "out")
    use(ds.select(labels=["Monocyte"]), tmp_path / "out")


@pytest.mark.parametrize("use", [*DETECTORS, *OTHERS])
@pytest.mark.filterwarnings(
    "ignore:demo. a detector takes 1 cell without a class:pcm_leukemia.errors.DataWarning"
)
def test_points_to_be_ignored_are_left_out_as_other_cells_are(
    use: Callable[..., object], tmp_path: Path
) -> None:
    assert cells_in(use(pointed(tmp_path).relabel({"Lymphoblast": "ignore"}, NINE), tmp_path / "out")) == 1


def test_for_cvat_a_point_is_a_point(tmp_path: Path) -> None:
    import zipfile

    report = converters.cvat.write(pointed(tmp_path), tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        text = archive.read("annotations.xml").decode()
    assert '<points label="Lymphoblast" occluded="0" points="10.50,20.00" z_order="0">' in text
    assert "1 point is not read back as a cell; draw a box around each" in report.notes


# Images annotated in part


@pytest.mark.parametrize("state", ["partial", "none", "unknown"])
@pytest.mark.parametrize("use", DETECTORS)
def test_detectors_refuse_what_is_not_all_annotated(
    use: Callable[..., object], state: str, tmp_path: Path
) -> None:
    ds = boxed(tmp_path, annotation_state=state)
    said = (
        rf'demo: of 1 image, the first "a\.png", not all cells are known to be annotated \(1 {state}\), and a detector '
        r"takes what is not annotated for background; leave such images out with Dataset\.select, or pass "
        r'incomplete="keep"$'
    )
    with pytest.raises(UnfitForTask, match=said):
        use(ds, tmp_path / "out")
    use(ds, tmp_path / "out", incomplete="keep")
    with pytest.raises(ValueError, match='incomplete "maybe": must be refuse or keep'):
        use(ds, tmp_path / "other", incomplete="maybe")


@pytest.mark.parametrize("use", OTHERS)
def test_classifiers_do_not_care(use: Callable[..., object], tmp_path: Path) -> None:
    assert cells_in(use(boxed(tmp_path, annotation_state="partial"), tmp_path / "out")) == 1


def test_crops_for_hugging_face_do_not_care(tmp_path: Path) -> None:
    ds = boxed(tmp_path, annotation_state="partial")
    assert cells_in(converters.huggingface.write(ds, tmp_path / "out", configs=["classification"])) == 1


def test_there_is_no_other_state() -> None:
    with pytest.raises(
        ValueError, match='image "a": annotation_state "half"; use one of complete, partial, none'
    ):
        Image(ImageId("a"), 1, 1, annotation_state="half")  # type: ignore[arg-type]


# Diagnoses, and what was written before


def test_the_patients_diagnosis_comes_first() -> None:
    people = (Patient(PatientId("P1"), "AML"), Patient(PatientId("P2")))
    images = (
        Image(ImageId("a"), 9, 9, PatientId("P1"), diagnosis="ALL"),
        Image(ImageId("b"), 9, 9, PatientId("P2"), diagnosis="ALL"),
        Image(ImageId("c"), 9, 9, diagnosis="APL"),
        Image(ImageId("d"), 9, 9, diagnosis=""),
    )
    ds = Dataset("demo", NINE, images, patients=people)
    assert [ds.diagnosis_of(image) for image in ds.images] == ["AML", "ALL", "APL", None]


def as_before() -> Dataset:
    """Data that say nothing of what is new."""
    image, other = (
        Image(ImageId("P1/a.png"), 200, 100, PatientId("P1"), tags=(Tag("ALL"),)),
        Image(ImageId("b.png"), 64, 64),
    )
    cells = (
        Cell(
            image.id,
            0,
            "Other",
            Box(1, 2, 30, 40),
            "other",
            Ellipse(10, 10, 4, 2, 90),
            attributes=(("a", "b"),),
        ),
        Cell(other.id, 3, "Monocyte", Box(0, 0, 64, 64)),
    )
    return Dataset("demo", NINE, (image, other), cells, (Patient(PatientId("P1"), "AML"),))


def test_the_fingerprint_is_what_it_was() -> None:
    """Version 0.1.0, before there were points and states, gave this number."""
    ds = as_before()
    assert ds.fingerprint == "c333c621afaea81b92b6b3d01671a24411d36bcf52b98115f268ee594c0b8846"


class LaterCell(Cell, frozen=True):
    """A cell with the fields that a later version may add."""

    smudged: bool = False
    stage: str | None = None


@pytest.mark.parametrize(("field", "value"), [("smudged", True), ("stage", "early")])
def test_a_new_field_of_cells_changes_only_fingerprints_of_data_that_use_it(
    field: str, value: object
) -> None:
    ds = as_before()
    cells = tuple(LaterCell(**structs.asdict(cell)) for cell in ds.cells)
    same = replace(ds, cells=cells)
    assert same.fingerprint == ds.fingerprint
    used = replace(ds, cells=(structs.replace(cells[0], **{field: value}), *cells[1:]))
    assert used.fingerprint != ds.fingerprint


class LaterImage(Image, frozen=True):
    """An image with the fields that a later version may add."""

    magnification: int = 100
    stain: str | None = None


@pytest.mark.parametrize(("field", "value"), [("magnification", 40), ("stain", "Wright")])
def test_a_new_field_of_images_changes_only_fingerprints_of_data_that_use_it(
    field: str, value: object
) -> None:
    ds = as_before()
    images = tuple(LaterImage(**structs.asdict(image)) for image in ds.images)
    same = replace(ds, images=images)
    assert same.fingerprint == ds.fingerprint
    used = replace(ds, images=(structs.replace(images[0], **{field: value}), *images[1:]))
    assert used.fingerprint != ds.fingerprint


@pytest.mark.parametrize(
    "told",
    [
        {"annotation_state": "partial"},
        {"diagnosis": "AML"},
        {"group": "slide 1"},
        {"group": "slide 2"},
        {"white_level": 4095.0},
    ],
)
def test_what_is_told_of_an_image_is_in_the_fingerprint(told: dict[str, Any]) -> None:
    ds = as_before()
    more = replace(ds, images=(replace(ds.images[0], **told), *ds.images[1:]))
    assert more.fingerprint != ds.fingerprint
    assert more != ds


@pytest.mark.parametrize(("version", "columns"), [(1, 8), (2, 11)])
def test_a_folder_of_an_older_version_is_read(tmp_path: Path, version: int, columns: int) -> None:
    """Made of one of version 3, by taking away what is new."""
    ds = as_before()
    folder = store.write(ds, tmp_path / "data").out
    header = json.loads((folder / "dataset.json").read_text())
    assert header["schema_version"] == 3
    with (folder / "images.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row[:columns] for row in csv.reader(stream)]
    assert rows[0][:8] == ["image", "width", "height", "patient", "name", "subset", "file", "tags"]
    assert rows[0][8:] == ["annotation_state", "diagnosis", "group"][: columns - 8]
    with (folder / "images.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    (folder / "dataset.json").write_text(json.dumps(header | {"schema_version": version, "sha256": {}}))
    assert store.read(folder) == ds
    (folder / "dataset.json").write_text(json.dumps(header | {"sha256": {}}))
    with pytest.raises(
        ValueError, match=r"images\.csv:1: its columns are image,.*; they must be .*,white_level"
    ):
        store.read(folder)


# Groups


def grouped(*rows: tuple[str, str | None, str | None]) -> Dataset:
    """(image, patient, group) each -> a data set with a cell an image."""
    images = tuple(
        Image(ImageId(image), 64, 64, PatientId(patient) if patient else None, group=group)
        for image, patient, group in rows
    )
    cells = tuple(Cell(image.id, 0, "Monocyte", Box(1, 1, 9, 9)) for image in images)
    people = sorted({patient for _, patient, _ in rows if patient})
    return Dataset("demo", NINE, images, cells, tuple(Patient(PatientId(patient)) for patient in people))


def parts_of_groups(ds: Dataset, split: Split) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for image in ds.images:
        if image.group:
            found.setdefault(image.group, set()).add(split.part_of[image.id])
    return found


def test_a_group_in_two_parts_is_a_leak() -> None:
    ds = grouped(("a", "P1", "g"), ("b", "P2", "g"), ("c", "P3", None))
    split = Split("demo", {ImageId("a"): "train", ImageId("b"): "test", ImageId("c"): "test"})
    said = (
        'split "demo" group "g": is in train (1 image) and test (1 image); put all its images into one part, because '
        "they show the same thing, or make the split with splits.by_patient"
    )
    assert [str(problem) for problem in splits.leaks(ds, split)] == [said]
    with pytest.raises(LeakySplit, match='group "g"'):
        converters.yolo.write(ds.with_split(split), Path("nowhere"))


def test_a_group_is_a_leak_even_where_validation_may_share_patients() -> None:
    ds = grouped(("a", "P1", "g"), ("b", "P1", "g"))
    split = Split("demo", {ImageId("a"): "train", ImageId("b"): "val"}, val_shares_patients=True)
    assert [leak.problem.where for leak in splits.leaks(ds, split)] == ['split "demo" group "g"']


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ABCDEFGH"), st.none() | st.sampled_from("xyz")), min_size=8, max_size=24
    ),
    st.integers(0, 3),
    st.sampled_from(("patient", "image")),
)
def test_no_split_separates_a_group(rows: list[tuple[str, str | None]], seed: int, unit: Any) -> None:
    ds = grouped(*((f"{n:02}", patient, group) for n, (patient, group) in enumerate(rows)))
    if len(set(unit_of(ds).values())) < 3:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        made = splits.by_patient(ds, seed=seed, val_unit=unit)
        some = replace(made, part_of=dict(list(made.part_of.items())[:: 1 + seed % 2]))
        try:
            grown = splits.extend(some, ds)
        except LeakySplit:  # what was dropped held together patients that are settled in two parts
            grown = made
        folded = splits.folds(ds, k=2, seed=seed)
    for split in (made, grown, *folded):
        assert splits.leaks(ds, split) == []
        assert all(len(parts) == 1 for parts in parts_of_groups(ds, split).values())


def test_groups_stand_for_patients_where_there_are_none() -> None:
    ds = grouped(*((f"{n:02}", None, f"slide {n // 3}") for n in range(30)))
    with pytest.warns(
        DataWarning,
        match="demo: 30 of 30 images have no patient id; they are kept together by group, and a patient with "
        "several groups may be in several parts",
    ):
        split = splits.by_patient(ds, test=0.2, val=0.25)
    assert split.made["groups"] == "train 6, val 2, test 2"
    assert split.made["patients"] == "train 0, val 0, test 0"
    assert splits.leaks(ds, split) == []


def test_an_image_with_neither_is_refused() -> None:
    ds = grouped(("a", "P1", None), ("b", None, "g"), ("c", None, None))
    with pytest.raises(MissingPatients, match='demo: 1 of 3 images have no patient id, the first "c"'):
        splits.by_patient(ds)


def test_a_new_group_may_not_join_patients_of_two_parts() -> None:
    old = grouped(("a", "P1", None), ("b", "P2", None))
    split = Split("demo", {ImageId("a"): "train", ImageId("b"): "test"})
    ds = grouped(("a", "P1", None), ("b", "P2", None), ("c", "P1", "g"), ("d", "P2", "g"))
    assert splits.leaks(old, split) == []
    with pytest.raises(LeakySplit, match='patient "P2": is in train|patient "P1": is in train|group "g"'):
        splits.extend(split, ds)


def test_all_states_are_told() -> None:
    assert STATES == ("complete", "partial", "none", "unknown")
