"""Patients under several spellings: found at import, split and check, and merged only when asked."""

from __future__ import annotations

import unicodedata
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pcm_leukemia as pcm
from pcm_leukemia import checks, patients, splits
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, InvalidDataset, LeakySplit
from pcm_leukemia.schema import Image, ImageId, Patient, PatientId, Split
from pcm_leukemia.taxonomy import NINE

FOLDER = "(?P<patient>[^/]+)/"


def people(*ids: str, **diagnoses: str) -> Dataset:
    """A data set with one image for each patient."""
    rows = tuple(Patient(PatientId(patient), diagnoses.get(patient)) for patient in ids)
    images = tuple(Image(ImageId(f"{patient}/a.png"), 64, 48, patient.id) for patient in rows)
    images = tuple(replace(image, id=ImageId(f"{image.patient}/a.png"), name="") for image in images)
    return Dataset("demo", NINE, images, patients=rows)


@pytest.mark.parametrize(
    "ids",
    [
        ("P-1", "P–1"),
        ("P-1", "p 1", "P1", "p_1", "P.1"),
        ("7", "007", "7.0", "7,0", "7.", "7.00"),
        ("P7", "P007", "p-07"),
        ("P7b", "P07B"),
        ("12/2024", "012-2024", "12.2024"),
        ("2024-01-02", "20240102", "2024.01.02"),
        ("1000", "1E3", "1.00E+03"),
        ("1234", "1,234", "1.234", "1 234"),
        ("7", "\uff17", "\u0667"),  # full-width and Arabic digits
        ("7", "'007", '="007"'),  # how spreadsheets are made to keep zeros
        ("7", "7\u200b", "\ufeff7"),
        ("José 1", unicodedata.normalize("NFD", "José 1")),
        ("Groß", "GROSS"),
        ("0", "00", "0.0"),
        ("9" * 5000, "0" + "9" * 5000),
    ],
)
def test_spellings_of_one_id_are_alike(ids: tuple[str, ...]) -> None:
    assert patients.alike(ids) == [tuple(sorted(ids))]


@pytest.mark.parametrize(
    "ids",
    [
        ("1", "10", "100", "11", "1.1", "01.1x"),
        ("7", "7.5", "70", "75"),
        ("3-12", "31-2", "3-1-2"),
        ("P1", "P1a", "1P", "Q1"),
        ("A01", "A10", "A001B"),
        ("-", "?", "*"),
        ("Müller", "Muller", "Mueller"),
        ("lmu/7", "bmc/7"),
        ("1E3", "1E4", "3E1"),
    ],
)
def test_ids_of_different_patients_are_not_alike(ids: tuple[str, ...]) -> None:
    assert patients.alike(ids) == []


def test_one_group_has_all_spellings_and_nobody_else() -> None:
    assert patients.alike(["70", "7.0", "P1", "7", "007", "8", "p1"]) == [("007", "7", "7.0"), ("P1", "p1")]


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), max_size=8))
def test_any_text_may_be_an_id(ids: list[str]) -> None:
    found = patients.alike(ids)
    assert {each for same in found for each in same} <= set(ids)
    assert found == patients.alike(reversed(ids))


def test_twenty_thousand_patients_are_compared_at_once() -> None:
    assert len(patients.alike([f"{n}" for n in range(20_000)] + [f"{n:06}" for n in range(20_000)])) == 20_000


SPELLINGS = (
    "demo: patients that differ in case, blanks, punctuation or the form of numbers alone count as different: "
    '"007" and "7" and "7.0"\n"P1" and "p1"; if they are one, a split may put them into two parts: correct the ids, or '
    'merge them with patients.merge(ds, {"007": "7", "7.0": "7", "p1": "P1"})'
)
NAMES = ("007", "7", "7.0", "P1", "p1", "x", "y", "z")


def test_import_and_split_warn_and_go_on() -> None:
    bare = replace(
        people(*NAMES), patients=(), images=tuple(replace(i, patient=None) for i in people(*NAMES).images)
    )
    with pytest.warns(DataWarning) as caught:
        ds = patients.from_pattern(bare, FOLDER)
    assert len(ds.patients) == len(NAMES)
    ids = [image.id for image in ds.images]
    with pytest.warns(DataWarning) as by_patient:
        made = splits.by_patient(ds)
    with pytest.warns(DataWarning) as folds:
        splits.folds(ds, 2)
    with pytest.warns(DataWarning) as given_:
        splits.from_lists(ds, {"train": ids[1:], "test": ids[:1]})
    with pytest.warns(DataWarning) as extended:
        splits.extend(Split("demo", {i: p for i, p in made.part_of.items() if i != ids[0]}), ds)
    for each in (caught, by_patient, folds, given_, extended):
        assert [str(warning.message) for warning in each] == [SPELLINGS]
        assert {warning.filename for warning in each} == {__file__}


def test_check_names_them_with_their_parts_and_stays_a_warning() -> None:
    ds = people("007", "7", "x", "1.23457E+10")
    parts = {image.id: "test" if image.patient == "7" else "train" for image in ds.images}
    found = checks.check(ds.with_split(Split("demo", parts)))
    assert found.problems == ()
    damaged, twice = sorted(found.warnings, key=lambda finding: finding.kind)
    assert (damaged.kind, damaged.images) == ("damaged-patient-id", ("1.23457E+10/a.png",))
    assert (twice.kind, twice.parts, twice.patients) == (
        "patient-spelled-twice",
        ("train", "test"),
        ("007", "7"),
    )
    assert str(twice) == (
        'patients "007" and "7": may be one patient under several spellings, which count as different; if they are one, '
        'a split may put them into two parts: correct the ids, or merge them with patients.merge(ds, {"007": "7"})'
    )


def test_ids_that_a_spreadsheet_cannot_have_kept_are_named() -> None:
    found = patients.doubts(
        people("1.23457E+10", "1E+11", "1,2E+10", "#REF!", "#NV", "#WERT!", "####", "1E3", "7", "P#1")
    )
    assert {doubt.patients for doubt in found if doubt.kind == "damaged-patient-id"} == {
        *(("1.23457E+10",), ("1E+11",), ("1,2E+10",), ("#REF!",), ("#NV",), ("#WERT!",), ("####",))
    }
    with pytest.warns(DataWarning) as caught:
        splits.folds(people("1.23457E+10", "a", "b"), 2)
    assert [str(warning.message) for warning in caught] == [
        (
            'demo: patient "1.23457E+10": was replaced or shortened by a spreadsheet, so it may be the id of several '
            "patients; format the column of the ids as text, enter them again and save the table"
        )
    ]


def test_words_for_a_missing_id_are_named_and_not_taken_for_one_patient() -> None:
    words = ("nan", "None", "NULL", "N/A", "n.a.", "<NA>", "NaT", "unknown", "k.A.", "keine Angabe", "-", "?")
    found = patients.doubts(people(*words, "Nancy", "Na1", "A-1", "00"))
    assert {doubt.patients[0] for doubt in found if doubt.kind == "damaged-patient-id"} == set(words)
    with pytest.warns(DataWarning) as caught:
        splits.folds(people("nan", "1E+11", "b"), 2)
    assert [str(warning.message).split(", so")[0] for warning in caught] == [
        'demo: patient "1E+11": was replaced or shortened by a spreadsheet',
        'demo: patient "nan": looks like a missing id',
    ]


def test_ids_that_look_the_same_are_told_apart() -> None:
    with pytest.warns(DataWarning, match=r'different: "Jos\\xe9|different: "Jose\\u0301" and "José"; if'):
        splits.folds(people("José", unicodedata.normalize("NFD", "José")), 2)
    with pytest.warns(DataWarning, match=r'"7" and "7\\u200b"'):
        splits.folds(people("7", "7\u200b"), 2)


def test_the_plainest_spelling_is_the_one_to_keep() -> None:
    for ids, kept in (
        (("1E3", "1000"), "1000"),
        (("2024-01-02", "20240102"), "20240102"),
        (("P-1", "P1"), "P1"),
    ):
        (doubt,) = patients.doubts(people(*ids))
        assert doubt.problem.fix.endswith(f'": "{kept}"}})')


# Merging


def test_merged_patients_are_one_everywhere() -> None:
    ds = people("007", "7", "7.0", "x", **{"7.0": "AML"})
    parts = dict.fromkeys([image.id for image in ds.images], "train")
    split = Split("demo", parts, patient_of={image.id: image.patient or PatientId("") for image in ds.images})
    one = patients.merge(ds.with_split(split), {"007": "7", "7.0": "7"})
    assert [(patient.id, patient.diagnosis) for patient in one.patients] == [("7", "AML"), ("x", None)]
    assert [image.patient for image in one.images] == ["7", "7", "7", "x"]
    assert one.split is not None
    assert set(one.split.patient_of.values()) == {"7", "x"}
    assert patients.merge(ds, {}) == ds


@pytest.mark.parametrize(
    ("same", "sentence"),
    [
        (
            {"07": "7"},
            'same {"07": "7"}: "07" is not a patient of demo, the nearest is "007"; give two ids of the data',
        ),
        (
            {"7": "P7"},
            'same {"7": "P7"}: "P7" is not a patient of demo, the nearest is "7"; give two ids of the data',
        ),
        (
            {"007": "7", "7": "x"},
            'same {"007": "7"}: "7" is to be "x"; replace "007" by that, too',
        ),
    ],
)
def test_a_merge_that_cannot_be_meant_is_refused(same: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match="same") as caught:
        patients.merge(people("007", "7", "x"), same)
    assert str(caught.value) == sentence


def test_patients_with_different_diagnoses_are_not_merged() -> None:
    ds = people("007", "7", "x", **{"007": "ALL", "7": "AML"})
    with pytest.raises(InvalidDataset) as caught:
        patients.merge(ds, {"007": "7"})
    assert str(caught.value) == (
        'patients "007" (ALL) and "7" (AML): are to be one, but have different diagnoses; correct the diagnoses, or keep '
        "the patients apart"
    )
    with pytest.warns(
        DataWarning,
        match=r'"007" \(ALL\) and "7" \(AML\); if they are one, a split may put them into two parts: correct the ids and the diag',
    ):
        splits.folds(ds, 2)


def test_every_source_of_patients_merges_on_request(tmp_path: Path) -> None:
    bare = Dataset("demo", NINE, tuple(Image(ImageId(f"{name}/a.png"), 64, 48) for name in ("007", "7", "x")))
    table = tmp_path / "patients.csv"
    table.write_text("path,patient\n007,007\n7,7\nx,x\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in (FOLDER, patients.Table(table)):
            ds = patients.assign(bare, source, same={"007": "7"})
            assert [patient.id for patient in ds.patients] == ["7", "x"]


def test_load_dataset_merges_what_the_data_call_differently(tmp_path: Path) -> None:
    pcm.store.write(people("007", "7", "x"), tmp_path / "data")
    ds = pcm.load_dataset(tmp_path / "data", patients_same={"007": "7"})
    assert [patient.id for patient in ds.patients] == ["7", "x"]
    ds = pcm.load_dataset(tmp_path / "data", patients=FOLDER, patients_same={"x": "7", "007": "7"})
    assert [patient.id for patient in ds.patients] == ["7"]


# Splits made before


def grown(ds: Dataset, *names: str) -> Dataset:
    """The data set with one more image for each of these patients."""
    more = (Image(ImageId(f"{name}/b.png"), 64, 48, PatientId(name)) for name in names)
    return replace(ds, images=(*ds.images, *more))


def test_a_split_is_extended_after_spellings_were_merged() -> None:
    ds = people("007", "7", "x", "y")
    parts = {image.id: "test" if image.patient == "y" else "train" for image in ds.images}
    split = Split("demo", parts, patient_of={image.id: image.patient or PatientId("") for image in ds.images})
    merged = patients.merge(ds, {"007": "7"})
    extended = splits.extend(split, grown(merged, "7"))
    assert extended.part_of[ImageId("7/b.png")] == "train"
    assert set(extended.patient_of.values()) == {"7", "x", "y"}
    gone = merged.select(images=lambda image: image.id != "007/a.png")
    with pytest.warns(DataWarning, match="1 of its images"):
        assert splits.extend(split, grown(gone, "7")).part_of[ImageId("7/b.png")] == "train"
    torn = replace(split, part_of={**parts, ImageId("7/a.png"): "test"})
    with pytest.raises(LeakySplit, match='patient "7": is in train'):
        splits.extend(torn, grown(merged, "7"))
    renamed = replace(merged, images=tuple(replace(i, patient=PatientId("x")) for i in merged.images))
    with pytest.raises(LeakySplit, match='belonged to patient "007" when'):
        splits.extend(split, renamed)
