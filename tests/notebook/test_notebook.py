"""What a notebook shows: counts, bars, crops and warnings as harmless HTML that is legible on white and on black."""

from __future__ import annotations

import base64
import io
import pickle
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from html_pages import HOSTILE, Page
from hypothesis import given
from hypothesis import strategies as st
from strategies import datasets

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Report, Split, Taxonomy, checks, splits
from pcm_leukemia.checks import Checked, Finding
from pcm_leukemia.errors import DataNotFound, Problem
from pcm_leukemia.images import Files, Pixels
from pcm_leukemia.notebook import of_checked, of_dataset, of_report, of_split
from pcm_leukemia.schema import ImageId, PatientId

PARTS = ("train", "val", "test")
names = st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=8)
classes = names.filter(lambda name: name.strip() and name.encode("utf-8", "replace").decode() == name)


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    """Six patients with two images of noise each, which have a cell of every class, in three parts."""
    rng = np.random.default_rng(0)
    people = [Patient(PatientId(f"P{number}"), "AML" if number % 2 else "ALL") for number in range(6)]
    images, cells = [], []
    for number in range(12):
        name = ImageId(f"{number}.png")
        noise = rng.integers(0, 256, (300, 400, 3), np.uint8)
        PIL.Image.fromarray(noise).save(tmp_path / name)
        images.append(Image(name, 400, 300, people[number // 2].id, file=name))
        cells += [
            Cell(name, row, label, Box(30 * row, 100, 30 * row + 90, 190))
            for row, label in enumerate(NINE.labels)
        ]
    split = Split(
        "official",
        {image.id: PARTS[number // 4] for number, image in enumerate(images)},
        {"method": "by hand"},
        {image.id: image.patient for image in images if image.patient},
    )
    return Dataset("demo", NINE, tuple(images), tuple(cells), tuple(people), split, tmp_path)


def test_a_data_set_shows_its_counts_by_class_part_and_diagnosis(ds: Dataset) -> None:
    page = Page(ds._repr_html_())
    assert ["cells by class", *PARTS, "overall"] in page.rows
    for row in (
        ["patients", "2", "2", "2", "6"],
        ["images", "4", "4", "4", "12"],
        *([label, "4", "4", "4", "12"] for label in NINE.labels),
        ["cells", "36", "36", "36", "108"],
        ["patients by diagnosis", *PARTS, "overall"],
        ["ALL", "1", "1", "1", "3"],
    ):
        assert row in page.rows
    assert "6 patients · 12 images · 108 cells · 9 classes · split official" in page.text
    assert "Look at this" not in page.text
    assert 'ds.part("train")' in page.texts


def test_a_part_may_have_any_name(ds: Dataset) -> None:
    parts = {image.id: "overall" if number else "test" for number, image in enumerate(ds.images)}
    page = Page(of_dataset(ds.with_split(Split("odd", parts))))
    assert ["cells by class", "test", "overall", "all parts"] in page.rows
    assert ["images", "1", "11", "12"] in page.rows


def test_a_bar_is_as_long_as_the_share_of_its_column() -> None:
    rows = [
        Cell(ImageId("a.png"), n, label, Box(0, 0, 9, 9))
        for n, label in enumerate(["Other"] * 4 + ["Monocyte"])
    ]
    page = Page(of_dataset(Dataset("demo", NINE, (Image(ImageId("a.png"), 9, 9),), tuple(rows))))
    widths = [style.split("%")[0].removeprefix("width:") for style in page.styles if "height:100%" in style]
    assert widths == ["0.0"] * 5 + ["25.0", "0.0", "0.0", "100.0"]


def test_crops_are_few_small_of_different_classes_and_without_metadata(ds: Dataset) -> None:
    page = Page(of_dataset(ds))
    assert len(page.images) == 8
    assert sum(map(len, page.images)) <= 60_000  # noise is the worst case of JPEG
    for source in page.images:
        with PIL.Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
            assert picture.format == "JPEG"
            assert max(picture.size) <= 96
            assert not picture.getexif()
    assert {*NINE.labels[:8]} <= {*page.texts}


def test_files_that_cannot_be_read_are_left_out_and_counted(ds: Dataset, tmp_path: Path) -> None:
    (tmp_path / "4.png").write_bytes(b"no image")
    (tmp_path / "5.png").unlink()
    (tmp_path / "6.png").unlink()
    page = Page(of_dataset(ds))
    assert 0 < len(page.images) < 8
    left_out = 8 - len(page.images)
    assert f"{left_out} of 8 crops left out: the files cannot be read, or are slow to read" in page.texts


def test_without_a_folder_or_files_there_are_no_crops(ds: Dataset, tmp_path: Path) -> None:
    gone = Page(of_dataset(replace(ds, root=tmp_path / "gone")))
    assert gone.images == []
    assert "8 of 8 crops left out" in gone.text
    bare = Page(of_dataset(replace(ds, root=None)))
    assert bare.images == []
    assert "no crops: the images have no files here, or large ones" in bare.texts
    assert "crops left out" not in Page(of_dataset(Dataset("demo", NINE, ()))).text


def test_a_slow_disk_is_not_waited_for(ds: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Files] = []

    def slow(files: Files, image: Image) -> Pixels:
        if read:
            time.sleep(0.5)
            raise DataNotFound("gone")
        read.append(files)
        return np.zeros((image.height, image.width, 3), np.uint8)

    monkeypatch.setattr("pcm_leukemia.notebook.cutting.SECONDS", 0.2)
    monkeypatch.setattr("pcm_leukemia.notebook.cutting.load", slow)
    began = time.monotonic()
    page = Page(of_dataset(ds))
    assert time.monotonic() - began < 0.45
    assert len(page.images) == 1
    assert "7 of 8 crops left out" in page.text


def test_what_is_doubtful_is_said_first(ds: Dataset) -> None:
    one, *others = ds.images
    strange = (replace(one, patient=None, annotation_state="partial"), *others)
    cells = (Cell(one.id, 99, "ignore", Box(0, 0, 9, 9)), *ds.cells)
    assert ds.split
    leaky = replace(ds.split, part_of={**ds.split.part_of, ImageId("2.png"): "test"})
    page = Page(of_dataset(replace(ds, images=strange, cells=cells, split=leaky)))
    for said in (
        "1 of 12 images have no patient id, so a split cannot keep their patients apart",
        "1 image may have cells without an annotation",
        "1 cell labelled ignore: never a target, and left out by most formats",
        str(splits.leaks(replace(ds, split=leaky), leaky)[0]),
    ):
        assert said in page.texts
    assert page.text.index("Look at this") < page.text.index("cells by class")
    nobody = Page(
        of_dataset(replace(ds, images=tuple(replace(each, patient=None) for each in ds.images), patients=()))
    )
    assert "all images have no patient id" not in nobody.text
    assert "no image has a patient id, so a split cannot keep patients apart" in nobody.texts
    assert "there are no images" in Page(of_dataset(Dataset("demo", NINE, ()))).texts


def test_many_classes_and_parts_are_summed_up_and_said(ds: Dataset) -> None:
    labels = tuple(f"class {number}" for number in range(60))
    cells = tuple(
        Cell(ds.images[0].id, number, label, Box(0, 0, 9, 9)) for number, label in enumerate(labels)
    )
    many = replace(ds, taxonomy=Taxonomy("demo", labels), cells=cells, split=None)
    assert ["20 more", "20"] in Page(of_dataset(many)).rows
    split = Split("each", {image.id: f"part {number}" for number, image in enumerate(ds.images)})
    page = Page(of_dataset(ds.with_split(split)))
    assert "not shown: 1 more column" in page.text
    assert page.rows[0][-2:] == ["part 8", "overall"]


def test_a_split_shows_its_parts_and_how_it_was_made(ds: Dataset) -> None:
    assert ds.split
    page = Page(ds.split._repr_html_())
    assert [
        ["part", "images", "patients"],
        *([part, "4", "2"] for part in PARTS),
        ["all", "12", "6"],
    ] == page.rows[:5]
    assert ["method", "by hand"] in page.rows
    assert "Look at this" not in page.text
    by_image = replace(ds.split, val_shares_patients=True, patient_of={})
    page = Page(of_split(by_image))
    assert (
        "train and val may share patients: only test shows how well a model does on new patients"
        in page.texts
    )
    assert "no patients are recorded: whether parts share any is not known" in page.texts


def test_a_report_shows_what_was_written_and_what_was_not(tmp_path: Path) -> None:
    report = Report(
        "yolo",
        tmp_path,
        {"train": 2, "val": 0},
        {"train": {"WBC": 3, "Other": 1}},
        {"tags": 7, "tracks": 0},
        ("outlines became boxes",),
        (Problem("a.png", "is cut short", "export it again"),),
    )
    page = Page(report._repr_html_())
    assert page.rows[:3] == [["cells by class", "train", "val"], ["images", "2", "0"], ["WBC", "3", "0"]]
    for said in ("7 tags", "Note: outlines became boxes", "a.png: is cut short; export it again"):
        assert said in page.texts
    assert "tracks" not in page.text
    assert Page(of_report(Report("pairs", tmp_path, {}, {}))).rows == []


def test_a_check_shows_each_kind_and_the_most_severe_first(ds: Dataset) -> None:
    twice = Cell(ds.images[0].id, 50, "Other", ds.cells[0].box)
    checked = checks.check(replace(ds, cells=(*ds.cells, twice)), pixels=False)
    page = Page(checked._repr_html_())
    assert ["kind", "severity", "findings", "images"] in page.rows
    assert ["cell-twice", "problem", "1", "1"] in page.rows
    assert f" {checked.problems[0]}" in page.texts
    assert "no image was decoded: copies were not searched for" in page.text
    sound = Page(of_checked(Checked("demo", (), {"images": 3})))
    assert "No check found anything." in sound.texts
    many = tuple(replace(checked.problems[0], images=(ImageId(str(number)),)) for number in range(50))
    assert "and 30 more" in Page(of_checked(Checked("demo", many, {}))).texts


@given(
    name=names,
    label=classes,
    other=classes,
    part=names,
    patient=names,
    diagnosis=names,
    image=classes,
    made=names,
)
def test_names_do_nothing(
    name: str, label: str, other: str, part: str, patient: str, diagnosis: str, image: str, made: str
) -> None:
    labels = tuple(dict.fromkeys([label, other]))
    rows = (Image(ImageId(image), 99, 99, PatientId(patient)),)
    split = Split(name, {rows[0].id: part}, {made: made}, {rows[0].id: PatientId(patient)})
    ds = Dataset(
        name,
        Taxonomy(name, labels),
        rows,
        tuple(Cell(rows[0].id, number, each, Box(0, 0, 9, 9)) for number, each in enumerate(labels)),
        (Patient(PatientId(patient), diagnosis),),
        split,
    )
    finding = Finding(made, (rows[0].id,), (part,), (patient,), None, name, name, "warning")
    report = Report(
        name, Path("out"), {part: 1}, {part: {label: 1}}, {name: 1}, (name,), (Problem(name, name, name),)
    )
    for html in (
        of_dataset(ds),
        of_split(split),
        of_report(report),
        of_checked(Checked(name, (finding,), {name: 1}, (name,))),
    ):
        page = Page(html)
        if name in HOSTILE[:10]:
            assert name in page.text  # shown as it is
            assert page.texts[0].startswith(name[:150])


@given(ds=datasets(told=True, points=True))
def test_any_data_set_can_be_shown(ds: Dataset) -> None:
    rows = Page(of_dataset(ds)).rows
    assert str(len(ds.images)) in [row[-1] for row in rows if row[0] == "images"]
    if ds.split:
        Page(of_split(ds.split))
    Page(of_checked(checks.check(ds, pixels=False)))


def test_texts_have_the_colour_of_the_page_around_them(ds: Dataset) -> None:
    """Only bars and lines have a colour of their own, so that dark notebooks are legible."""
    assert ds.split
    for html in (of_dataset(ds), of_split(ds.split), of_checked(checks.check(ds, pixels=False))):
        for style in Page(html).styles:
            rules = dict(rule.split(":", 1) for rule in style.split(";"))
            assert "color" not in rules
            assert "background" not in rules or "height" in rules


def test_repr_and_pickle_are_as_before(ds: Dataset) -> None:
    assert repr(ds) == "Dataset(demo: 6 patients, 12 images, 108 cells, 9 labels)"
    assert repr(ds.split) == "Split(official: 12 images, train 4, val 4, test 4)"
    for each in (ds, ds.split, Report("yolo", Path("out"), {}, {}), checks.check(ds, pixels=False)):
        assert pickle.loads(pickle.dumps(each)) == each


def test_nothing_is_imported_for_it_until_a_notebook_asks() -> None:
    code = "import sys, pcm_leukemia; print('pcm_leukemia.notebook' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("split", "files", "count"), [(True, True, 7), (False, True, 4), (False, False, 2)])
def test_the_code_of_the_hints_runs(ds: Dataset, split: bool, files: bool, count: int) -> None:  # noqa: FBT001
    ds = replace(ds if split else ds.with_split(None), root=ds.root if files else None)
    pages = [of_dataset(ds), *([of_split(ds.split)] if ds.split else [])]
    hints = [code for page in map(Page, pages) for code in page.codes if "write" not in code]
    assert len(hints) == count
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # six patients have few cells of each class
        for code in hints:
            eval(code, {"pcm": pcm, "ds": ds, "split": ds.split})
