"""White cells of unknown type: ignored among the nine classes, and WBC in the task wbc."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import Run
from exports import box, document, header, image, write
from hypothesis import HealthCheck, given, settings
from msgspec import structs
from pycocotools.coco import COCO
from strategies import datasets

import pcm_leukemia as pcm
from pcm_leukemia import counting, review, store
from pcm_leukemia.converters import coco, yolo
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidDataset, UnknownLabel
from pcm_leukemia.report.columns import columns
from pcm_leukemia.schema import IGNORE, UNTYPED, Cell, Image, ImageId, Taxonomy
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE

A = ImageId("a.png")
WBC = Taxonomy("declared", ("RBC", "WBC"))


def data(*labels: str, taxonomy: Taxonomy = NINE) -> Dataset:
    """One image with a cell of each label, beside each other."""
    cells = (Cell(A, n, label, Box(20 * n, 10, 20 * n + 15, 30), "Unknown") for n, label in enumerate(labels))
    return Dataset("demo", taxonomy, (Image(A, 400, 100),), tuple(cells))


def labels(ds: Dataset) -> list[str]:
    return [cell.written_label for cell in ds.cells]


# In memory


def test_it_is_ignored_among_the_nine_classes_and_a_wbc_in_the_task_wbc() -> None:
    ds = data("Monocyte", "Other", UNTYPED, IGNORE)
    assert [(cell.label, cell.untyped) for cell in ds.cells[2:]] == [(IGNORE, True), (IGNORE, False)]
    assert (ds.untyped, ds.ignored) == (1, 1)
    white = ds.task("wbc")
    assert [(cell.label, cell.untyped) for cell in white.cells] == [
        ("WBC", False),
        ("Other", False),
        ("WBC", False),
        (IGNORE, False),
    ]
    assert (white.untyped, white.ignored) == (0, 1)
    assert labels(ds.task("classification")) == ["Monocyte", UNTYPED, IGNORE]
    assert ds.task("detection") == ds


def test_a_class_of_that_name_is_a_class() -> None:
    ds = data("RBC", "WBC", IGNORE, taxonomy=WBC)
    assert [(cell.label, cell.untyped) for cell in ds.cells] == [
        ("RBC", False),
        ("WBC", False),
        (IGNORE, False),
    ]
    assert ds.counts == {"RBC": 1, "WBC": 1, IGNORE: 1}
    with pytest.raises(InvalidDataset, match='label "WBC": is not a class of pcm-leukemia'):
        ds.relabel({"RBC": IGNORE}, NINE)
    assert ds.relabel({"RBC": IGNORE, "WBC": "WBC"}, NINE).untyped == 1


def test_a_type_that_is_given_later_is_the_label() -> None:
    cell = data(UNTYPED).cells[0]
    ds = replace(data(), cells=(structs.replace(cell, label="Monocyte"),))
    assert ds.cells[0] == structs.replace(cell, label="Monocyte", untyped=False)


def test_its_label_is_wbc_in_maps_selections_and_counts() -> None:
    ds = data("Monocyte", UNTYPED, IGNORE)
    assert ds.counts == dict.fromkeys(NINE.labels, 0) | {"Monocyte": 1, UNTYPED: 1, IGNORE: 1}
    assert list(ds.counts)[-2:] == [UNTYPED, IGNORE]
    assert counting.by_part(ds)["all"].cells == ds.counts
    assert labels(ds.select(labels=["WBC"])) == [UNTYPED]
    assert labels(ds.select(labels=[IGNORE])) == [IGNORE]
    assert labels(ds.relabel({"WBC": "Lymphocyte"})) == ["Monocyte", "Lymphocyte", IGNORE]
    assert labels(ds.relabel({"WBC": None})) == ["Monocyte", IGNORE]
    assert labels(ds.relabel({"Monocyte": "WBC", IGNORE: "WBC"})) == [UNTYPED] * 3
    assert ds.relabel({"Monocyte": "WBC"}).taxonomy.labels == (*NINE.labels[:5], *NINE.labels[6:])
    declared = ds.relabel({"Monocyte": "WBC"}, "declared")
    assert "WBC" in declared.taxonomy.labels
    assert [cell.label for cell in declared.cells] == ["WBC", "WBC", IGNORE]


def test_the_fingerprint_changes_with_it_alone() -> None:
    ds = data("Monocyte", IGNORE)
    other = replace(ds, cells=(ds.cells[0], structs.replace(ds.cells[1], untyped=True)))
    assert other.fingerprint != ds.fingerprint
    assert ds.fingerprint == "5b3841c2806c9513273a29552edd7e0476c5481bbaa2ec95b8ea867c93d06bf8"


# Reading


EXPORT = document(
    image(
        "a.png",
        box("Monocyte", (10, 10, 30, 30)) + box("Unknown", (40, 10, 60, 30)) + box("dirt", (70, 10, 90, 30)),
    ),
    meta=header(labels=["Monocyte", "Unknown", "dirt"]),
)


def test_a_map_of_labels_names_it(tmp_path: Path) -> None:
    export = write(tmp_path / "a.xml", EXPORT)
    ds = pcm.load_dataset(export, labels={"Unknown": "WBC", "dirt": "ignore"})
    assert [(cell.raw_label, cell.label, cell.untyped) for cell in ds.cells] == [
        ("Monocyte", "Monocyte", False),
        ("Unknown", IGNORE, True),
        ("dirt", IGNORE, False),
    ]
    assert ds.taxonomy == NINE
    declared = pcm.load_dataset(export, labels={"Unknown": "WBC", "dirt": "ignore"}, taxonomy="declared")
    assert declared.taxonomy.labels == ("Monocyte", "WBC")


@pytest.mark.parametrize("spelled", ["WBC", "wbc"])
def test_import_maps_labels_to_it_in_any_case(run: Run, tmp_path: Path, spelled: str) -> None:
    export = write(tmp_path / "a.xml", EXPORT)
    done = run("import", export, tmp_path / "data", "--map", f"Unknown={spelled}", "dirt=ignore")
    assert done.status == 0, done.err
    assert "1 white cell is of unknown type: WBC in the task wbc, and otherwise ignored" in done.out
    ds = store.read(tmp_path / "data")
    assert (ds.untyped, ds.ignored) == (1, 1)
    shown = run("info", tmp_path / "data")
    assert [line.split("│")[1].strip() for line in shown.out.splitlines() if "│" in line][-3:-1] == [
        UNTYPED,
        IGNORE,
    ]


def test_a_label_wbc_that_no_map_names_is_refused(tmp_path: Path) -> None:
    ds = data("RBC", "WBC", taxonomy=WBC)
    coco.write(ds, tmp_path / "coco")
    yolo.write(ds, tmp_path / "yolo")
    store.write(ds, tmp_path / "data")
    export = write(tmp_path / "a.xml", document(image("a.png", box("WBC")), meta=header(labels=["WBC"])))
    for path, mapped in (
        (tmp_path / "coco", {"RBC": "ignore"}),
        (tmp_path / "yolo", {"RBC": "ignore"}),
        (tmp_path / "data", {"RBC": "ignore"}),
        (export, {}),
    ):
        with pytest.raises(UnknownLabel, match='"WBC" is not a class of pcm-leukemia'):
            pcm.load_dataset(path, taxonomy=NINE, labels=mapped)
        read = pcm.load_dataset(path, taxonomy=NINE, labels={**mapped, "WBC": "WBC"})
        assert (read.untyped, read.taxonomy) == (1, NINE)
        as_it_is = pcm.load_dataset(path, taxonomy="declared")
        assert (as_it_is.untyped, "WBC" in as_it_is.taxonomy.labels) == (0, True)


@pytest.mark.parametrize("form", [coco, yolo])
def test_the_classes_of_other_formats_can_become_it(tmp_path: Path, form: Any) -> None:
    ds = data("Monocyte", "Unknown", taxonomy=Taxonomy("declared", ("Monocyte", "Unknown")))
    form.write(ds, tmp_path / "out")
    read = pcm.load_dataset(tmp_path / "out", labels={"Unknown": "WBC"})
    assert read.taxonomy.labels == ("Monocyte",)
    assert labels(read) == ["Monocyte", UNTYPED]


def test_a_map_that_takes_types_away_warns(tmp_path: Path) -> None:
    """A map is not the way to data of one class; the labels would only be ignored."""
    store.write(data("Monocyte", "Lymphocyte"), tmp_path / "data")
    with pytest.warns(DataWarning) as caught:
        read = pcm.load_dataset(tmp_path / "data", labels={"Monocyte": "WBC", "Lymphocyte": "WBC"})
    assert [str(each.message).partition(": ")[2] for each in caught] == [
        (
            "Monocyte, Lymphocyte become white cells of unknown type, which are ignored except in the task wbc; for WBC as "
            'the only class of white cells, give task="wbc" and no map'
        )
    ]
    assert read.untyped == 2
    declared = pcm.load_dataset(tmp_path / "data", taxonomy="declared", labels={"Monocyte": "WBC"})
    assert declared.counts["WBC"] == 1


def test_a_class_that_spells_wbc_otherwise_is_that_class(tmp_path: Path) -> None:
    ds = data("wbc", "Unknown", taxonomy=Taxonomy("declared", ("wbc", "Unknown")))
    store.write(ds, tmp_path / "data")
    read = pcm.load_dataset(tmp_path / "data", labels={"Unknown": "WBC"})
    assert (read.taxonomy.labels, read.untyped, labels(read)) == (("wbc",), 0, ["wbc", "wbc"])


# Writing


def test_a_canonical_folder_has_the_label_wbc_and_only_then_a_newer_version(tmp_path: Path) -> None:
    plain, white = data("Monocyte", IGNORE), data("Monocyte", UNTYPED)
    for ds, version in ((plain, 3), (white, 4)):
        store.write(ds, tmp_path / f"{version}")
        head = json.loads((tmp_path / f"{version}" / "dataset.json").read_text())
        assert head["schema_version"] == version
        assert store.read(tmp_path / f"{version}") == ds
    with (tmp_path / "4" / "cells.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["label"] for row in csv.DictReader(stream)] == ["Monocyte", "WBC"]


def test_one_class_exports_have_its_box(tmp_path: Path) -> None:
    """It was background for a detector of white cells where its label could only be mapped to ignore."""
    lost, found = data("Monocyte", IGNORE), data("Monocyte", UNTYPED)
    for ds, boxes in ((lost, 1), (found, 2)):
        place = tmp_path / f"{boxes}"
        report = yolo.write(ds, place / "yolo", task="wbc")
        rows = (place / "yolo/labels/all/a.txt").read_text().splitlines()
        assert [row.split()[0] for row in rows] == ["0"] * boxes
        assert report.skipped == {"cells to be ignored": 2 - boxes}
        coco.write(ds, place / "coco", task="wbc")
        read = COCO(next((place / "coco" / "annotations").glob("*.json")))
        assert len(read.getAnnIds()) == boxes
        assert {read.cats[each["category_id"]]["name"] for each in read.anns.values()} == {"WBC"}


@pytest.mark.parametrize("name", ["coco", "yolo"])
def test_formats_without_a_place_for_it_count_it(tmp_path: Path, name: str) -> None:
    report = pcm.converters.get(name).write(data("Monocyte", UNTYPED, UNTYPED, IGNORE), tmp_path / "out")
    assert report.skipped == {"cells to be ignored": 1, "white cells of unknown type": 2}
    assert "left out: 2 white cells of unknown type" in str(report)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(ds=datasets().filter(lambda ds: ds.taxonomy == NINE))
def test_no_white_cell_is_lost_on_the_way_to_a_detector_of_one_class(
    tmp_path_factory: pytest.TempPathFactory, ds: Dataset
) -> None:
    out = tmp_path_factory.mktemp("out")
    white = [
        (cell.image, cell.id, "Other" if cell.label == "Other" else "WBC")
        for cell in ds.cells
        if cell.label != IGNORE or cell.untyped
    ]
    coco.write(ds, out / "coco", task="wbc")
    assert [(cell.image, cell.id, cell.label) for cell in coco.read(out / "coco").cells] == white
    store.write(ds.task("wbc"), out / "data")
    read = store.read(out / "data")
    assert [(c.image, c.id, c.label) for c in read.cells if c.label != IGNORE] == white
    assert (read.untyped, read.ignored) == (0, ds.ignored)


# Comparing and counting


def test_a_change_from_ignored_to_white_is_a_change() -> None:
    before, after = data("Monocyte", IGNORE), data("Monocyte", UNTYPED)
    found = review.diff(before, after)
    assert found.confusion == {(IGNORE, UNTYPED): 1}
    agreed = review.agreement(before, after)
    assert (agreed.labels, agreed.same_label) == (("Monocyte", UNTYPED, IGNORE), 1)
    wbc = review.diff(before.task("wbc"), after.task("wbc"))
    assert wbc.confusion == {(IGNORE, "WBC"): 1}


def test_corrections_bring_it_in() -> None:
    ds = pcm.update(data("Monocyte", "Other"), data("Monocyte", UNTYPED))
    assert labels(ds) == ["Monocyte", UNTYPED]


def test_a_differential_counts_it_beside_the_shares() -> None:
    ds = data("Monocyte", "Monocyte", "Lymphocyte", UNTYPED, UNTYPED, IGNORE)
    ds = replace(ds, images=(replace(ds.images[0], patient="P1"),), patients=(pcm.Patient("P1"),))  # type: ignore[arg-type]
    patient = pcm.differential.count(ds).patients[0]
    assert (patient.tally.total, patient.tally.counts["Monocyte"]) == (3, 2)
    left = {reason.value: count for reason, count in patient.tally.left_out.items() if count}
    assert left == {"untyped": 2, "ignored": 1}


def test_pages_and_tables_list_it_as_a_label_of_its_own() -> None:
    ds = data("Monocyte", UNTYPED, IGNORE)
    shown: Any = columns(ds, [])
    assert [each["name"] for each in shown["classes"]] == [*NINE.labels, UNTYPED, IGNORE]
    assert shown["cells"]["class"] == [5, 9, 10]
    assert "1 white cell of unknown type (WBC): ignored, except in the task wbc" in ds._repr_html_()
    assert ds.to_pandas()["label"].tolist() == ["Monocyte", UNTYPED, IGNORE]
