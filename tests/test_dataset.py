"""The rows, what must hold between them, and the verbs of a data set."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, asdict, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Patient, Split, Taxonomy
from pcm_leukemia.errors import ImpossibleValue, InvalidDataset, UnknownPart, for_the_command_line
from pcm_leukemia.schema import ImageId, PatientId
from pcm_leukemia.shapes import Mask
from pcm_leukemia.taxonomy import taxonomy_with


def an_image(name: str, patient: str | None = None) -> Image:
    return Image(ImageId(name), 100, 80, PatientId(patient) if patient else None)


def a_cell(image: str, number: int, label: str = "Other", box: Box = Box(1, 2, 30, 40)) -> Cell:  # noqa: B008 - frozen
    return Cell(ImageId(image), number, label, box, label)


@pytest.fixture
def ds() -> Dataset:
    return Dataset(
        "demo",
        NINE,
        (an_image("b.png", "P2"), an_image("a.png", "P1"), an_image("c.png", "P2")),
        (a_cell("b.png", 1), a_cell("b.png", 0, "Lymphoblast"), a_cell("a.png", 0, "Monocyte")),
        (Patient(PatientId("P2"), "ALL"), Patient(PatientId("P1"))),
    )


def test_rows_have_one_order(ds: Dataset) -> None:
    assert [image.id for image in ds.images] == ["a.png", "b.png", "c.png"]
    assert [(cell.image, cell.id) for cell in ds.cells] == [("a.png", 0), ("b.png", 0), ("b.png", 1)]
    assert [patient.id for patient in ds.patients] == ["P1", "P2"]
    shuffled = replace(ds, images=ds.images[::-1], cells=ds.cells[::-1], patients=ds.patients[::-1])
    assert shuffled == ds
    assert shuffled.fingerprint == ds.fingerprint


def test_it_prints_what_it_holds(ds: Dataset) -> None:
    assert repr(ds) == "Dataset(demo: 2 patients, 3 images, 3 cells, 9 labels)"


def test_its_length_is_that_of_its_images_and_none_is_still_a_data_set(ds: Dataset) -> None:
    assert len(ds) == len(ds.images) > 0
    empty = ds.select(images=[])
    assert len(empty) == 0
    assert empty


def test_cells_are_counted_by_label(ds: Dataset) -> None:
    assert list(ds.counts)[: len(ds.taxonomy.labels)] == list(ds.taxonomy.labels)
    assert sum(ds.counts.values()) == len(ds.cells)
    ignored = replace(ds, cells=tuple(structs.replace(cell, label=IGNORE) for cell in ds.cells))
    assert ignored.counts == {**dict.fromkeys(ds.taxonomy.labels, 0), IGNORE: len(ds.cells)}


def test_a_split_prints_its_parts_and_not_its_images() -> None:
    split = Split(
        "official", {ImageId(str(number)): "test" if number % 3 else "val" for number in range(3000)}
    )
    assert repr(split) == "Split(official: 3,000 images, val 1,000, test 2,000)"


def test_cells_of(ds: Dataset) -> None:
    assert [cell.label for cell in ds.cells_of("b.png")] == ["Lymphoblast", "Other"]
    assert ds.cells_of(ds.images[2]) == ()


def test_pixels_are_no_part_of_the_value(ds: Dataset) -> None:
    moved = replace(ds, root=Path("elsewhere"), images=tuple(replace(image, file="x") for image in ds.images))
    assert moved == ds
    assert moved.fingerprint == ds.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {
            "images": (
                Image(ImageId("a.png"), 100, 81, PatientId("P1")),
                an_image("b.png", "P2"),
                an_image("c.png", "P2"),
            )
        },
        {"patients": (Patient(PatientId("P1"), "AML"), Patient(PatientId("P2"), "ALL"))},
        {"cells": ()},
        {
            "cells": (
                a_cell("a.png", 0, "Monocyte"),
                a_cell("b.png", 0, "Lymphoblast"),
                a_cell("b.png", 1, box=Box(1, 2, 30, 41)),
            )
        },
    ],
)
def test_the_fingerprint_covers_every_row(ds: Dataset, change: dict[str, object]) -> None:
    other = replace(ds, **change)  # type: ignore[arg-type]
    assert other != ds
    assert other.fingerprint != ds.fingerprint


def test_whole_numbers_and_floats_are_one_content() -> None:
    one = Dataset("x", NINE, (an_image("a.png"),), (a_cell("a.png", 0, box=Box(1, 2, 3, 4)),))
    other = Dataset("x", NINE, (an_image("a.png"),), (a_cell("a.png", 0, box=Box(1.0, 2.0, 3.0, 4.0)),))
    assert one == other
    assert one.fingerprint == other.fingerprint


def test_rows_cannot_be_changed(ds: Dataset) -> None:
    with pytest.raises(AttributeError):
        ds.cells[0].label = "Other"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        ds.name = "x"  # type: ignore[misc]


def test_an_image_is_compared_without_its_file() -> None:
    image = Image(ImageId("a.png"), 100, 80, file="a.png", digest="x")
    for same in (
        replace(image, file="b.png"),
        structs.replace(image, digest=None),
        pickle.loads(pickle.dumps(image)),
    ):
        assert (same == image, same != image) == (True, False)
        assert hash(same) == hash(image)
    for other in (replace(image, width=101), replace(image, white_level=9.0), "a.png"):
        assert (other == image, other != image) == (False, True)
    assert pickle.loads(pickle.dumps(image)).file == "a.png"
    assert asdict(image)["digest"] == "x"
    assert [each.name for each in fields(image) if not each.compare] == ["file", "digest"]
    assert repr(Image(ImageId("a"), 1, 2)).startswith(
        "Image(id='a', width=1, height=2, patient=None, name='a', "
    )


def test_a_changed_image_is_checked_again() -> None:
    image = Image(ImageId("a.png"), 100, 80, diagnosis="")
    assert image.diagnosis is None
    assert replace(image, group="", name="").name == "a.png"
    with pytest.raises(ImpossibleValue, match="size 0 x 80"):
        replace(image, width=0)
    with pytest.raises(ImpossibleValue, match="annotation_state"):
        structs.replace(image, annotation_state="most")
    with pytest.raises(TypeError, match="size"):
        replace(image, size=3)  # type: ignore[call-arg]


def test_it_pickles(ds: Dataset) -> None:
    assert pickle.loads(pickle.dumps(ds)) == ds


def test_every_contradiction_is_listed(ds: Dataset) -> None:
    with pytest.raises(InvalidDataset) as caught:
        replace(
            ds,
            images=(*ds.images, an_image("a.png"), an_image("d.png", "P9")),
            cells=(
                *ds.cells,
                a_cell("a.png", 0),
                a_cell("z.png", 0),
                a_cell("c.png", 0, "Blob"),
                a_cell("c.png", 1, box=Box(90, 2, 100.5, 9)),
            ),
        )
    text = str(caught.value)
    assert len(caught.value.problems) == 6
    assert 'image "a.png": appears 2 times in the table' in text
    assert 'image "d.png": patient "P9" is not in the table; add the patient' in text
    assert 'image "a.png" cell 0: the image has two cells with this number' in text
    assert 'image "z.png" cell 0: its image is not in the table' in text
    assert 'image "c.png" cell 0: label "Blob" is not a class of the data set' in text
    assert "leaves the image of 100 x 80; clip the box" in text


@pytest.mark.parametrize(
    "corners", [(1, 2, 1, 4), (3, 2, 1, 4), (float("nan"), 0, 1, 1), (0, 0, float("inf"), 1)]
)
def test_a_box_has_an_area_and_is_finite(corners: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="has no area or is not finite"):
        Box(*corners)


@pytest.mark.parametrize("size", [(0, 10), (10, -1)])
def test_an_image_has_a_size(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="give pixels, 1 or more"):
        Image(ImageId("a"), *size)


# Verbs


def test_tasks(ds: Dataset) -> None:
    assert ds.task("detection") == ds
    wbc = ds.task("wbc")
    assert wbc.taxonomy.ids == {"WBC": 0, "Other": 1}
    assert [cell.label for cell in wbc.cells] == ["WBC", "WBC", "Other"]
    assert [cell.raw_label for cell in wbc.cells] == ["Monocyte", "Lymphoblast", "Other"]
    crops = ds.task("classification")
    assert crops.taxonomy.labels == NINE.labels[:8]
    assert [(cell.label, cell.id) for cell in crops.cells] == [("Monocyte", 0), ("Lymphoblast", 0)]
    assert len(crops.images) == 3
    assert wbc.task("wbc") == wbc
    with pytest.raises(
        ValueError,
        match='task "typing": the classes .* have no such task; use one of: detection, wbc, classification',
    ):
        ds.task("typing")


def test_declared_classes_have_no_wbc_task() -> None:
    declared = Dataset("x", Taxonomy("declared", ("RBC", "WBC")), (an_image("a"),), (a_cell("a", 0, "RBC"),))
    assert declared.task("detection") == declared
    with pytest.raises(
        ValueError,
        match='task "wbc": the classes RBC, WBC have no such task; use one of: detection, or read the data into the nine '
        "classes: taxonomy=NINE, with labels for other names",
    ):
        declared.task("wbc")
    with (
        for_the_command_line(),
        pytest.raises(ValueError, match="nine classes: --taxonomy pcm-leukemia, with --map for other names"),
    ):
        declared.task("wbc")


def test_the_nine_are_in_the_order_of_the_paper() -> None:
    assert list(NINE.ids.items()) == [
        ("Lymphocyte", 0),
        ("Neutrophil", 1),
        ("Basophil", 2),
        ("Eosinophil", 3),
        ("Lymphoblast", 4),
        ("Monocyte", 5),
        ("Myeloblast_AML", 6),
        ("Myeloblast_APL", 7),
        ("Other", 8),
    ]
    assert taxonomy_with(NINE.labels) is NINE
    assert taxonomy_with(NINE.labels[:8]).name == "pcm-leukemia/classification"


def test_the_nine_are_those_that_data_sets_on_disk_record() -> None:
    names = NINE.labels[:6] + NINE.labels[8:]
    recorded = {
        "name": "pcm-leukemia",
        "labels": NINE.labels,
        "aliases": {
            **{f"{label}s": label for label in names},
            "Myeloblast AML": "Myeloblast_AML",
            "AML Myeloblast": "Myeloblast_AML",
            "Myeloblast APL": "Myeloblast_APL",
            "APL Myeloblast": "Myeloblast_APL",
            "Promyelocyte APL": "Myeloblast_APL",
            "APL Promyelocyte": "Myeloblast_APL",
        },
        "tasks": [
            {"name": "detection", "labels": NINE.labels, "relabel": {}},
            {"name": "wbc", "labels": ["WBC", "Other"], "relabel": dict.fromkeys(NINE.labels[:8], "WBC")},
            {"name": "classification", "labels": NINE.labels[:8], "relabel": {"Other": None}},
        ],
    }
    assert msgspec.convert(recorded, Taxonomy) == NINE


def test_relabel(ds: Dataset) -> None:
    assert ds.relabel({}) == ds
    unclear = ds.relabel({"Monocyte": IGNORE})
    assert unclear.cells[0].label == IGNORE
    assert "Monocyte" not in unclear.taxonomy.labels
    dropped = ds.relabel({"Other": None})
    assert [cell.label for cell in dropped.cells] == ["Monocyte", "Lymphoblast"]
    to_wbc = dict.fromkeys(NINE.labels[:8], "WBC")
    for taxonomy in ("declared", Taxonomy("two", ("WBC", "Other"))):
        merged = ds.relabel(to_wbc, taxonomy)
        assert merged.taxonomy.labels == ("WBC", "Other")
        assert [cell.label for cell in merged.cells] == ["WBC", "WBC", "Other"]
    rescued = unclear.relabel({IGNORE: "Basophil"})
    assert rescued.cells[0].label == "Basophil"


CLASSES = ", ".join(NINE.labels)
UNKNOWN_TYPE = "WBC (a white cell of unknown type)"


@pytest.mark.parametrize(
    ("mapping", "taxonomy", "sentence"),
    [
        (
            {"Basophil": "othr"},
            None,
            (
                f'relabel: "othr" is not a class of demo, the nearest is "Other"; use one of {CLASSES}, {UNKNOWN_TYPE} or ignore, or pass '
                'taxonomy="declared" for a new class'
            ),
        ),
        (
            {"Basofil": "Other"},
            None,
            f'relabel: "Basofil" is not a class of demo, the nearest is "Basophil"; use one of {CLASSES}, {UNKNOWN_TYPE} or ignore',
        ),
        (
            {"BASOPHIL": None},
            "declared",
            f'relabel: "BASOPHIL" is not a class of demo, the nearest is "Basophil"; use one of {CLASSES}, {UNKNOWN_TYPE} or ignore',
        ),
        (
            dict.fromkeys(NINE.labels[:8], "WCB"),
            Taxonomy("two", ("WBC", "Other")),
            'relabel: "WCB" is not a class of two, the nearest is "WBC"; use one of WBC, Other or ignore',
        ),
        (
            {"Basophil": ""},
            None,
            (
                f'relabel: "" is not a class of demo; use one of {CLASSES}, {UNKNOWN_TYPE} or ignore, or pass taxonomy="declared" for a new '
                "class"
            ),
        ),
    ],
)
def test_a_label_that_does_not_exist_is_not_relabelled(
    ds: Dataset, mapping: dict[str, str | None], taxonomy: Taxonomy | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match="relabel") as caught:
        ds.relabel(mapping, taxonomy)
    assert str(caught.value) == sentence


def test_labels_that_new_classes_lack_are_counted(ds: Dataset) -> None:
    with pytest.raises(InvalidDataset) as caught:
        ds.relabel({"Monocyte": "WBC"}, Taxonomy("two", ("WBC", "Others")))
    assert [str(problem) for problem in caught.value.problems] == [
        (
            'demo: label "Lymphoblast": is not a class of two (of 1 cell); give its class (WBC, Others or ignore): '
            '{"Lymphoblast": CLASS}'
        ),
        (
            'demo: label "Other": is not a class of two, the nearest is "Others" (of 1 cell); give its class (WBC, '
            'Others or ignore): {"Other": CLASS}'
        ),
    ]


def test_select(ds: Dataset) -> None:
    some = ds.select(patients=["P2"])
    assert [image.id for image in some.images] == ["b.png", "c.png"]
    assert [patient.id for patient in some.patients] == ["P2"]
    assert [cell.label for cell in ds.select(labels=["Other"]).cells] == ["Other"]
    assert len(ds.select(labels=["Other"]).images) == 3
    assert ds.select(images=["a.png"]) == ds.select(images=lambda image: image.id == "a.png")
    assert ds.select(images="a.png", patients="P1", labels="Monocyte") == ds.select(
        images=iter(["a.png"]),  # type: ignore[arg-type]
        patients=iter(["P1"]),  # type: ignore[arg-type]
        labels=iter(["Monocyte"]),  # type: ignore[arg-type]
    )
    assert ds.select(labels={IGNORE}).cells == ()
    assert ds.select(labels=()).cells == ()


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (
            {"labels": {"Blast"}},
            f'select: "Blast" is not a class of demo, the nearest is "Lymphoblast"; use one of {CLASSES}, {UNKNOWN_TYPE} or ignore',
        ),
        (
            {"labels": {"Monocyte", "limphoblast"}},
            f'select: "limphoblast" is not a class of demo, the nearest is "Lymphoblast"; use one of {CLASSES}, {UNKNOWN_TYPE} or ignore',
        ),
        (
            {"patients": {"P1", "P99"}},
            (
                'select: patient "P99" is not in demo; use ids of the data, or give a test: '
                "images=lambda image: ..."
            ),
        ),
        (
            {"images": ["a.png", "A.PNG", "z"]},
            (
                'select: image "A.PNG" and 1 more is not in demo, the nearest is "a.png"; use ids of the data, or give a '
                "test: images=lambda image: ..."
            ),
        ),
    ],
)
def test_what_the_data_do_not_have_is_not_selected(
    ds: Dataset, choice: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match="select") as caught:
        ds.select(**choice)
    assert str(caught.value) == sentence


def test_a_split_gives_parts(ds: Dataset) -> None:
    part_of = {ImageId("a.png"): "test", ImageId("b.png"): "train", ImageId("c.png"): "train"}
    split = Split("official", {**part_of, ImageId("gone.png"): "val"})
    divided = ds.with_split(split)
    assert divided.parts == ("train", "test")
    assert [image.id for image in divided.part("train").images] == ["b.png", "c.png"]
    assert divided.part("test").parts == ("test",)
    assert divided.with_split(None) == ds
    with pytest.raises(UnknownPart, match='part "val": split "official" has train, test; use one of them'):
        divided.part("val")
    with pytest.raises(UnknownPart, match="has no split; make one with splits.by_patient"):
        ds.part("train")
    with pytest.raises(UnknownPart, match='1 of 3 images are in no part, the first "c.png"'):
        ds.with_split(Split("x", {image: part for image, part in part_of.items() if image != "c.png"}))


def test_to_pandas(ds: Dataset) -> None:
    table = ds.to_pandas()
    assert table[["image", "cell", "label", "patient", "part"]].to_numpy().tolist() == [
        ["a.png", 0, "Monocyte", "P1", "all"],
        ["b.png", 0, "Lymphoblast", "P2", "all"],
        ["b.png", 1, "Other", "P2", "all"],
    ]
    assert table.diagnosis.fillna("?").tolist() == ["?", "ALL", "ALL"]


def test_a_cell_is_changed_by_replacing_it(ds: Dataset) -> None:
    assert structs.replace(ds.cells[0], label="Other").label == "Other"


def test_a_mask_is_not_larger_than_its_image() -> None:
    """Otherwise a file of a few bytes could fill the memory."""
    image = Image(ImageId("a.png"), 200, 100)
    mask = Mask(0, 0, 100_000, 100_000, (0, 10_000_000_000))
    with pytest.raises(
        InvalidDataset, match="its mask of 100000 x 100000 is larger than the image; draw it again"
    ):
        Dataset("demo", NINE, (image,), (Cell(image.id, 0, "Other", Box(0, 0, 200, 100), shape=mask),))


def test_a_name_that_is_not_text_is_named() -> None:
    """As os.listdir gives names of other systems."""
    with pytest.raises(
        InvalidDataset, match=r'image "\\udce4\.png": its name is not in UTF-8; rename the file'
    ):
        Dataset("demo", NINE, (Image(ImageId("\udce4.png"), 200, 100),))
