"""What a differential counts, what it leaves out, and what it writes."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_pages import HOSTILE

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Patient, Taxonomy, cli, differential
from pcm_leukemia.converters import coco
from pcm_leukemia.differential import Confusion, Limits, Reason
from pcm_leukemia.errors import CorruptFile, DataNotFound, ExportError, MissingPatients, UnfitForTask
from pcm_leukemia.files import MARKER, Report
from pcm_leukemia.schema import ImageId, PatientId

EIGHT = tuple(label for label in NINE.labels if label != "Other")
BOX = Box(1, 1, 20, 20)
PLACES = count()
COLUMNS = ["patient", "diagnosis", "label", "count", "total", "share", "low", "high"]


def image(name: str, patient: str | None = None, /, **more: Any) -> Image:
    return Image(ImageId(name), 200, 100, None if patient is None else PatientId(patient), **more)


def cells(name: str, *labels: str) -> tuple[Cell, ...]:
    return tuple(Cell(ImageId(name), number, label, BOX) for number, label in enumerate(labels))


WARD = Dataset(
    "ward",
    NINE,
    (
        image("a.png", "P1"),
        image("b.png", "P1"),
        image("c.png", "P2"),
        image("d.png"),
        image("e.png", "P2", annotation_state="partial"),
    ),
    (
        *cells("a.png", "Lymphoblast", "Lymphoblast", "Monocyte", "Other", IGNORE),
        *cells("b.png", "Neutrophil"),
        *cells("d.png", "Monocyte", "Monocyte"),
        *cells("e.png", "Basophil"),
    ),
    (Patient(PatientId("P1"), "ALL"), Patient(PatientId("P2"))),
)


def predictions(folder: Path, results: Iterable[coco.Result], ds: Dataset = WARD) -> Path:
    """A folder as `predict` writes it."""
    folder.mkdir()
    coco.write_results(results, Dataset(ds.name, ds.taxonomy, ds.images, (), ds.patients), folder)
    Report("predictions", folder, {}, {}).leave_in(folder, {"runs": [str(folder / "no-run")]})
    return folder


def result(name: str, label: str, score: float, label_score: float | None = None) -> coco.Result:
    more = {} if label_score is None else {"detection_score": score, "label_score": label_score}
    shown = score if label_score is None else score * label_score
    row, column = divmod(next(PLACES) % 1250, 50)  # none overlaps another
    x, y = 4.0 * column, 4.0 * row
    return coco.Result(ImageId(name), label, (x, y, x + 4, y + 4), shown, more)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


# Counting


def test_white_cells_are_counted_and_everything_else_is_left_out_by_reason() -> None:
    found = differential.count(WARD)
    one, two = found.patients
    assert {label: count for label, count in one.tally.counts.items() if count} == {
        "Lymphoblast": 2,
        "Monocyte": 1,
        "Neutrophil": 1,
    }
    assert one.tally.total == 4
    assert {reason: count for reason, count in one.tally.left_out.items() if count} == {
        Reason.OTHER: 1,
        Reason.IGNORED: 1,
    }
    assert two.tally.total == 0
    assert two.tally.left_out[Reason.INCOMPLETE] == 1
    assert (found.tallies.without_patient, found.tallies.cells_without_patient) == (1, 2)
    assert found.tallies.incomplete == 1
    assert one.blasts
    assert one.blasts.counted.share == 0.5
    assert one.seen is None


def test_every_cell_is_counted_or_left_out() -> None:
    found = differential.count(WARD)
    places = sum(each.tally.total + sum(each.tally.left_out.values()) for each in found.patients)
    assert places + found.tallies.cells_without_patient == len(WARD.cells)


def test_an_image_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    images = tuple(
        image(name, patient, digest=digest)
        for name, patient, digest in (
            ("a.png", "P1", "one"),
            ("later/a.png", "P1", "one"),
            ("b.png", "P1", "two"),
            ("c.png", "P2", "one"),
            ("d.png", "P1", None),
            ("e.png", "P1", None),
        )
    )
    every = tuple(cell for each in images for cell in cells(each.id, "Monocyte", "Other"))
    ds = Dataset("ward", NINE, images, every, (Patient(PatientId("P1")), Patient(PatientId("P2"))))
    read = differential.read_predictions(
        predictions(tmp_path / "found", [result(each.id, "Monocyte", 0.9) for each in images], ds)
    )
    for found, left_out in ((differential.count(ds), 2), (differential.count_predictions(read), 1)):
        one, two = (each.tally for each in found.patients)
        assert (one.images, one.counts["Monocyte"], one.left_out[Reason.DOUBLE]) == (4, 4, left_out)
        assert (two.images, two.counts["Monocyte"], two.left_out[Reason.DOUBLE]) == (1, 1, 0)
        assert (found.tallies.doubles, found.tallies.incomplete) == (1, 0)
        note = "1 image has the file of another image of the same patient, and is not counted again"
        assert note in found.notes


def test_incomplete_images_are_counted_on_request() -> None:
    found = differential.count(WARD, keep_incomplete=True)
    assert found.patients[1].tally.counts["Basophil"] == 1
    assert found.tallies.incomplete == 0


def test_without_cells_nothing_is_known() -> None:
    empty = differential.count(WARD).patients[1]
    assert all(np.isnan(row.share) and (row.low, row.high) == (0, 1) for row in empty.classes)
    assert empty.blasts
    assert np.isnan(empty.blasts.probabilities).all()  # the prior says nothing about the patient
    page = differential.page(differential.count(WARD))
    assert page.count("No cell is counted, so nothing is known about the blasts.") == 1


def test_patients_without_a_counted_cell_are_named_and_so_is_the_threshold(tmp_path: Path) -> None:
    read = differential.read_predictions(
        predictions(tmp_path / "found", [result("a.png", "Monocyte", 0.4, 0.9)])
    )
    total = len(read.ds.patients)
    notes = differential.count_predictions(read).notes
    assert notes[-1].startswith(
        f"{total} patients of {total} without a counted cell: their shares are unknown; "
    )
    assert (
        "their scores are below 0.5 in 1 cell: to count cells of lower scores, lower threshold" in notes[-1]
    )
    with_cells = differential.count_predictions(read, Limits(0.3)).notes
    assert (
        with_cells[-1] == f"{total - 1} patient of {total} without a counted cell: their shares are unknown"
    )


def test_data_that_cannot_be_counted_are_refused() -> None:
    blood = Dataset("bccd", Taxonomy("declared", ("RBC", "WBC")), WARD.images, (), WARD.patients)
    with pytest.raises(UnfitForTask, match=r'bccd: has the class "RBC", .*; read the data into the nine'):
        differential.count(blood)
    with pytest.raises(UnfitForTask, match="has no class that is counted"):
        differential.count(Dataset("x", Taxonomy("x", ("Other",)), WARD.images, (), WARD.patients))
    with pytest.raises(MissingPatients, match=r"x: no image has a patient; say who they are: patients"):
        differential.count(Dataset("x", NINE, (image("a.png"),)))
    partial = Dataset("x", NINE, (image("a.png", "P1", annotation_state="partial"),), (), WARD.patients[:1])
    with pytest.raises(UnfitForTask, match=r"cells may be unannotated.*or pass keep_incomplete=True"):
        differential.count(partial)


def test_classes_that_the_data_lack_are_named() -> None:
    few = Dataset("x", Taxonomy("x", EIGHT[:4]), (image("a.png", "P1"),), (), WARD.patients[:1])
    found = differential.count(few)
    assert found.notes[0].startswith("the classes do not include Lymphoblast, Monocyte")
    assert found.patients[0].blasts is None


# Predictions


def test_predicted_cells_count_from_the_thresholds(tmp_path: Path) -> None:
    folder = predictions(
        tmp_path / "found",
        [
            result("a.png", "Lymphoblast", 0.9, 0.9),
            result(
                "a.png", "Lymphoblast", 0.9, 0.3
            ),  # the product is below 0.5, the cell is there all the same
            result("a.png", "Monocyte", 0.4, 0.9),
            result("a.png", "Other", 0.8),
        ],
    )
    read = differential.read_predictions(folder)
    assert read.runs == (folder / "no-run",)
    assert [each.diagnosis for each in read.ds.patients] == ["ALL", None]
    one = differential.count_predictions(read).patients[0].tally
    assert one.counts["Lymphoblast"] == 2
    assert {reason: count for reason, count in one.left_out.items() if count} == {
        Reason.OTHER: 1,
        Reason.BELOW: 1,
    }
    sure = differential.count_predictions(read, Limits(0.3, 0.5)).patients[0].tally
    assert (sure.counts["Lymphoblast"], sure.counts["Monocyte"]) == (1, 1)
    assert sure.left_out[Reason.UNSURE] == 1


def test_a_cell_that_is_found_twice_counts_once(tmp_path: Path) -> None:
    """Detectors give one cell a box for each of several classes."""
    found = [
        result("a.png", "Monocyte", 0.6)._replace(sides=(1, 1, 20, 20)),
        result("a.png", "Lymphoblast", 0.8)._replace(sides=(1, 1, 20, 19)),
        result("b.png", "Monocyte", 0.6)._replace(sides=(1, 1, 20, 20)),  # another image
    ]
    read = differential.read_predictions(predictions(tmp_path / "found", found))
    one = differential.count_predictions(read).patients[0].tally
    assert (one.counts["Lymphoblast"], one.counts["Monocyte"], one.left_out[Reason.AGAIN]) == (1, 1, 1)
    every = differential.count_predictions(read, Limits(nms_iou=1)).patients[0].tally
    assert (every.total, every.left_out[Reason.AGAIN]) == (3, 0)
    surer = differential.count_predictions(read, Limits(0.7)).patients[0].tally
    assert (surer.left_out[Reason.BELOW], surer.left_out[Reason.AGAIN]) == (2, 0)


def test_white_cells_without_types_need_a_classifier(tmp_path: Path) -> None:
    """The detector of two stages alone says only that there is a white cell."""
    wbc = Dataset("x", Taxonomy("wbc", ("WBC", "Other")), WARD.images, (), WARD.patients)
    read = differential.read_predictions(predictions(tmp_path / "found", [], wbc))
    with pytest.raises(
        UnfitForTask, match="add the run of a classifier, which labels them: predict DETECTOR"
    ):
        differential.count_predictions(read)


def test_a_patient_for_each_image_is_a_note() -> None:
    def notes(patients: int) -> str:
        people = [PatientId(f"P{number % patients}") for number in range(12)]
        images = tuple(image(f"{number}.png", who) for number, who in enumerate(people))
        ds = Dataset("x", NINE, images, (), tuple(map(Patient, dict.fromkeys(people))))
        return " ".join(differential.count(ds).notes)

    assert "12 images have a patient each: if these are the images' own numbers" in notes(12)
    assert "a patient each" not in notes(4)


def test_images_annotated_in_part_are_predicted_whole(tmp_path: Path) -> None:
    read = differential.read_predictions(predictions(tmp_path / "found", [result("e.png", "Basophil", 0.9)]))
    assert differential.count_predictions(read).patients[1].tally.counts["Basophil"] == 1


def test_digests_groups_and_names_of_images_are_kept(tmp_path: Path) -> None:
    ds = Dataset("x", NINE, (image("s/a.png", name="a.png", subset="s", group="g", digest="d1"),))
    back, _ = coco.read_result_folder(predictions(tmp_path / "found", [], ds))
    assert back == ds
    assert back.images[0].digest == "d1"


def test_a_label_threshold_needs_scores_of_labels(tmp_path: Path) -> None:
    read = differential.read_predictions(predictions(tmp_path / "found", [result("a.png", "Other", 0.9)]))
    with pytest.raises(ValueError, match="gives labels no score of their own; leave it out"):
        differential.count_predictions(read, Limits(label_threshold=0.5))
    with pytest.raises(ValueError, match=r"threshold 2: must be from 0 to 1"):
        Limits(2)


def test_a_folder_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder = predictions(tmp_path / "found", [])
    listed = json.loads((folder / "images.json").read_text())
    for change in ({"id": 7}, {"width": "wide"}, {"width": 0}, {"patient": 5, "id": []}):
        broken = {**listed, "images": [{**listed["images"][0], **change}]}
        (folder / "images.json").write_text(json.dumps(broken))
        with pytest.raises(CorruptFile, match="predict again"):
            differential.read_predictions(folder)
    (folder / "images.json").write_text("{")
    with pytest.raises(CorruptFile, match="is not what `pcm-leukemia predict` wrote"):
        differential.read_predictions(folder)
    (folder / "images.json").unlink()
    with pytest.raises(DataNotFound, match="cannot be read"):
        differential.read_predictions(folder)


def confusion(patients: int = 3) -> Confusion:
    """A model that takes three of ten lymphocytes for lymphoblasts."""
    tables = np.zeros((patients, 9, 10), np.int64)
    tables[:, range(9), range(9)] = 100
    tables[:, 0, [0, 4]] = 70, 30
    return Confusion(EIGHT, tables)


def test_corrected_shares_are_beside_raw_ones(tmp_path: Path) -> None:
    labels = ["Lymphocyte"] * 70 + ["Lymphoblast"] * 30
    read = differential.read_predictions(
        predictions(tmp_path / "found", [result("a.png", label, 0.9) for label in labels])
    )
    found = differential.count_predictions(read, confusion=confusion(), seen=["P1"], draws=200)
    one, two = found.patients
    blasts = one.blasts
    assert blasts
    assert blasts.counted.share == 0.3
    assert blasts.counted.corrected
    assert blasts.counted.corrected.share < 0.03
    assert blasts.probabilities[0] > 0.99
    assert blasts.corrected
    assert blasts.corrected[1] < 0.1
    for row in one.classes:
        assert row.corrected
        assert row.corrected.low <= row.corrected.share <= row.corrected.high
    assert (one.seen, two.seen) == (True, False)
    assert any("has learned from 1 of the patients" in note for note in found.notes)
    assert any("3 patients of validation" in note for note in found.notes)
    differential.write(found, tmp_path / "out")
    first = rows(tmp_path / "out" / "differential.csv")[0]
    assert (first["share"], first["seen"]) == ("0.700000", "yes")
    assert float(first["adjusted_share"]) > 0.97
    assert "The model has learned from this patient" in (tmp_path / "out" / "differential.html").read_text()


def test_one_validation_patient_gives_no_intervals(tmp_path: Path) -> None:
    read = differential.read_predictions(predictions(tmp_path / "found", [result("a.png", "Monocyte", 0.9)]))
    found = differential.count_predictions(read, confusion=confusion(1))
    assert any("need at least two patients" in note for note in found.notes)
    differential.write(found, tmp_path / "out")
    first = rows(tmp_path / "out" / "differential.csv")[5]
    assert (first["adjusted_share"], first["adjusted_low"]) == ("1.000000", "")


def test_a_confusion_of_other_classes_is_refused(tmp_path: Path) -> None:
    read = differential.read_predictions(predictions(tmp_path / "found", []))
    with pytest.raises(ValueError, match="give the runs that predicted"):
        differential.count_predictions(read, confusion=Confusion(EIGHT[:2], np.zeros((2, 3, 4), np.int64)))


# Writing


def test_the_tables_have_a_row_for_each_patient_and_class(tmp_path: Path) -> None:
    report = differential.write(differential.count(WARD), tmp_path / "out")
    table = rows(tmp_path / "out" / "differential.csv")
    assert list(table[0])[: len(COLUMNS)] == COLUMNS
    assert [(row["patient"], row["label"]) for row in table] == [
        (patient, label) for patient in ("P1", "P2") for label in EIGHT
    ]
    lymphoblasts = table[4]
    assert [lymphoblasts[name] for name in COLUMNS] == [
        *("P1", "ALL", "Lymphoblast", "2", "4", "0.500000", "0.067586", "0.932414"),
    ]
    assert [table[8][name] for name in COLUMNS] == [
        "P2",
        "",
        "Lymphocyte",
        "0",
        "0",
        "",
        "0.000000",
        "1.000000",
    ]
    people = rows(tmp_path / "out" / "patients.csv")
    assert people[0]["blasts"] == "2"
    assert people[1]["left_out_in_incomplete_images"] == "1"
    assert report.skipped["cells, Other"] == 1
    assert report.skipped["images without a patient"] == 1


def test_every_output_says_that_it_is_research_software(tmp_path: Path) -> None:
    report = differential.write(differential.count(WARD), tmp_path / "out")
    assert differential.RESEARCH in str(report)
    assert differential.RESEARCH in str(differential.count(WARD))
    for name in ("differential.csv", "patients.csv"):
        assert {row["note"] for row in rows(tmp_path / "out" / name)} == {differential.RESEARCH}
    assert (
        json.loads((tmp_path / "out" / "differential.json").read_text())["research"] == differential.RESEARCH
    )
    assert (tmp_path / "out" / "differential.html").read_text().count(differential.RESEARCH) == 2


def test_json_says_how_it_was_counted_and_holds_no_nan(tmp_path: Path) -> None:
    differential.write(differential.count(WARD), tmp_path / "out")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    told = json.loads((tmp_path / "out" / "differential.json").read_text(), parse_constant=refuse)
    assert told["counted_classes"] == list(EIGHT)
    one, two = told["patients"]
    assert one["classes"]["Lymphoblast"]["count"] == 2
    assert one["blasts"]["blasts_at_least_20"] > 0.8
    assert two["classes"]["Monocyte"]["share"] is None
    assert told["left_out"] == {
        "images_without_patient": 1,
        "cells_without_patient": 2,
        "incomplete_images": 1,
        "images_counted_already": 0,
    }


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        differential.write(differential.count(WARD), tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_only_its_own_folder_is_replaced(tmp_path: Path) -> None:
    found = differential.count(WARD)
    differential.write(found, tmp_path / "out")
    differential.write(found, tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match=r'holds "mine\.txt", which pcm-leukemia did not write'):
        differential.write(found, tmp_path / "out")
    with pytest.raises(ExportError, match=r"leave out \.csv"):
        differential.write(found, tmp_path / "out.csv")


class Tags(HTMLParser):
    """The tags of a page, whose elements are closed in order, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_hostile_names_are_only_text_in_the_page() -> None:
    plain = Tags(_page(["P"], ["ALL"]))
    hostile = Tags(_page(HOSTILE, HOSTILE))
    assert hostile.tags == plain.tags
    assert hostile.attributes == plain.attributes
    assert not hostile.tags & {"script", "img", "a", "iframe", "form"}
    assert any("<script>alert(1)</script>" in text for text in hostile.texts)


def _page(names: Iterable[str], diagnoses: Iterable[str]) -> str:
    people = tuple(Patient(PatientId(name), why) for name, why in zip(names, diagnoses, strict=True))
    images = tuple(image(f"{number}.png", each.id) for number, each in enumerate(people))
    every = tuple(cell for each in images for cell in cells(each.id, *EIGHT, "Other"))
    return differential.page(differential.count(Dataset("<b>ward</b>", NINE, images, every, people)))


def test_the_page_needs_nothing_else() -> None:
    page = _page(["P1"], ["ALL"])
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "style=" not in page
    assert page.count("<rect") == 8 + 8  # the legend, and a strip
    assert "1 (12.5 %)" in page


# The command


def run(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["pcm-leukemia", "differential", *map(str, words)])
    try:
        cli.main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_predictions_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [result("a.png", "Lymphoblast", 0.9), result("d.png", "Monocyte", 0.3)]
    folder = predictions(tmp_path / "found", found)
    assert run(monkeypatch, folder, tmp_path / "out") == 0
    assert "5 images" not in capsys.readouterr().out  # one of them has no patient
    assert rows(tmp_path / "out" / "differential.csv")[4]["count"] == "1"
    pattern = r"(?P<patient>[a-e])\.png"
    assert run(monkeypatch, folder, tmp_path / "all", "--patients", pattern, "--threshold", "0.2") == 0
    assert [row["patient"] for row in rows(tmp_path / "all" / "patients.csv")] == list("abcde")
    capsys.readouterr()
    for words, sentence in {
        ("--correct",): "the runs that predicted are not recorded, or have moved; give --run RUN",
        ("--keep-incomplete",): "--keep-incomplete is for annotated data; leave it out",
        ("--map", "A=Other"): "--map is for annotated data; leave it out",
    }.items():
        assert run(monkeypatch, folder, tmp_path / "no", *words) == 2
        assert sentence in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "no").exists()


def test_annotated_data_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    coco.write(WARD, tmp_path / "coco", incomplete="keep")
    assert run(monkeypatch, tmp_path / "coco", tmp_path / "out", "--keep-incomplete") == 0
    assert rows(tmp_path / "out" / "patients.csv")[0]["total"] == "4"
    assert differential.RESEARCH in capsys.readouterr().out
    for option in ("--threshold", "--label-threshold", "--run"):
        assert run(monkeypatch, tmp_path / "coco", tmp_path / "no", option, "0.5") == 2
        assert f"{option} is for a folder that `predict` wrote; leave it out" in " ".join(
            capsys.readouterr().err.split()
        )
    assert (tmp_path / "out" / MARKER).is_file()
