"""Patients: ids as they were given, every image without one named, nothing guessed."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from pcm_leukemia import patients
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    DataWarning,
    InvalidExport,
    PcmError,
)
from pcm_leukemia.schema import Attributes, Cell, Image, ImageId, Tag
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


def paths(*ids: str) -> Dataset:
    return Dataset("demo", NINE, tuple(Image(ImageId(image), 64, 48) for image in ids))


def tagged(**tags: tuple[Tag, ...]) -> Dataset:
    return Dataset(
        "demo", NINE, tuple(Image(ImageId(image), 64, 48, tags=each) for image, each in tags.items())
    )


def patient_of(ds: Dataset) -> dict[str, str | None]:
    return {image.id: image.patient for image in ds.images}


def diagnosis_of(ds: Dataset) -> dict[str, str | None]:
    return {patient.id: patient.diagnosis for patient in ds.patients}


def table(folder: Path, *lines: str, newline: str = "\n", encoding: str = "utf-8") -> Path:
    file = folder / "patients.csv"
    file.write_bytes(newline.join([*lines, ""]).encode(encoding))
    return file


# By a pattern


def test_a_pattern_gives_patients_and_diagnoses_as_they_stand_in_the_paths() -> None:
    with pytest.warns(
        DataWarning,
        match=r'"007" \(ALL\) and "7" \(AML\); if they are one, a split may put them into two parts: correct the ids and',
    ):
        ds = patients.from_pattern(
            paths("ALL/007/a.png", "ALL/007/b.png", "aml/7/a.png", "Healthy/x/a.png"), PATTERN
        )
    assert patient_of(ds) == {
        "ALL/007/a.png": "007",
        "ALL/007/b.png": "007",
        "aml/7/a.png": "7",
        "Healthy/x/a.png": "x",
    }
    assert diagnosis_of(ds) == {"007": "ALL", "7": "AML", "x": "Healthy"}


def test_a_pattern_is_searched_in_the_name_first_and_then_in_the_id() -> None:
    images = (
        Image(ImageId("T1/S2/a.png"), 64, 48, name="S2/a.png"),
        Image(ImageId("T3/b.png"), 64, 48, name="b.png"),
    )
    ds = patients.from_pattern(Dataset("demo", NINE, images), r"(?P<patient>[ST]\d)/")
    assert patient_of(ds) == {"T1/S2/a.png": "S2", "T3/b.png": "T3"}
    assert diagnosis_of(ds) == {"S2": None, "T3": None}


def test_every_image_that_a_pattern_does_not_match_is_named() -> None:
    with pytest.raises(InvalidExport) as caught:
        patients.from_pattern(paths("a.png", "ALL/P1/b.png", "c.png"), PATTERN)
    assert [str(problem) for problem in caught.value.problems] == [
        f'image "{image}": the pattern {PATTERN} finds no patient in its path; widen the pattern, or use a CSV'
        for image in ("a.png", "c.png")
    ]


def test_a_pattern_that_matches_no_image_is_one_problem() -> None:
    with pytest.raises(InvalidExport) as caught:
        patients.from_pattern(paths("a.png", "b.png", "c.png"), PATTERN)
    assert str(caught.value) == (
        f'all 3 images, the first "a.png": the pattern {PATTERN} finds no patient in its path; widen the pattern, or '
        "use a CSV"
    )


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        (
            "(?P<patient>[^/]+",
            (
                "pattern (?P<patient>[^/]+: is not a regular expression (missing ), unterminated subpattern at "
                "position 0); write one like (?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
            ),
        ),
        (
            "([^/]+)/",
            (
                "pattern ([^/]+)/: has no group (?P<patient>...); write one like "
                "(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
            ),
        ),
    ],
)
def test_a_pattern_that_cannot_work_is_refused(pattern: str, sentence: str) -> None:
    for ask in (patients.from_pattern, patients.from_tags):
        with pytest.raises(ValueError, match="pattern") as caught:
            ask(paths("a.png"), pattern)
        assert not isinstance(caught.value, PcmError)  # wrong usage, not wrong data
        assert str(caught.value) == sentence


def test_a_patient_with_two_diagnoses_keeps_the_one_on_most_images() -> None:
    ds = paths("ALL/P1/a.png", "AML/P1/b.png", "AML/P1/c.png", "APL/P2/a.png", "AML/P2/b.png")
    with pytest.warns(DataWarning) as caught:
        ds = patients.from_pattern(ds, PATTERN)
    assert [str(warning.message).splitlines() for warning in caught] == [
        [
            'demo: patient "P1": has the diagnoses ALL (1) and AML (2) on its images; AML is kept',
            (
                'patient "P2": has the diagnoses AML (1) and APL (1) on its images; AML is kept; '
                "check whether these are two patients of one id"
            ),
        ]
    ]
    assert diagnosis_of(ds) == {"P1": "AML", "P2": "AML"}


def test_ids_that_differ_in_case_alone_are_two_patients_and_a_warning() -> None:
    with pytest.warns(DataWarning, match='alone count as different: "P1" and "p1"; if they are one'):
        ds = patients.from_pattern(paths("P1/a.png", "p1/b.png"), "(?P<patient>[^/]+)/")
    assert len(ds.patients) == 2


def test_new_patients_replace_the_old_and_the_rest_stays() -> None:
    images = (Image(ImageId("P1/a.png"), 64, 48, name="P1/a.png", subset="Train"),)
    cells = (Cell(ImageId("P1/a.png"), 0, "Other", Box(1, 2, 3, 4)),)
    first = patients.from_pattern(Dataset("demo", NINE, images, cells), "(?P<patient>P1)")
    second = patients.from_pattern(first, "(?P<patient>[a-z])")
    assert diagnosis_of(second) == {"a": None}
    assert second.cells == cells
    assert second.images[0].subset == "Train"


# By a CSV


def test_an_image_goes_before_a_folder_the_inner_folder_before_the_outer_and_that_before_a_glob(
    tmp_path: Path,
) -> None:
    ds = paths("a/b/1.png", "a/b/2.png", "a/3.png", "c/4.png", "ab/5.png")
    file = table(
        tmp_path,
        "path,patient,diagnosis,age",
        "*,G,,1",
        "a,A,ALL,2",
        "a/b,B,,",
        "a/b/2.png,007,normal",
    )
    ds = patients.from_csv(ds, file)
    assert patient_of(ds) == {
        "a/b/1.png": "B",
        "a/b/2.png": "007",
        "a/3.png": "A",
        "c/4.png": "G",
        "ab/5.png": "G",
    }
    assert diagnosis_of(ds) == {"007": "Normal", "A": "ALL", "B": None, "G": None}


def test_names_as_cvat_shows_them_work_as_well_as_ids(tmp_path: Path) -> None:
    images = tuple(
        Image(ImageId(f"Train/{name}"), 64, 48, name=name) for name in ("S1/a.png", "S1/b.png", "S2/a.png")
    )
    file = table(tmp_path, "path,patient", "S1,A", "S1/b.png,B", "Train/S2/*,C")
    ds = patients.from_csv(Dataset("demo", NINE, images), file)
    assert list(patient_of(ds).values()) == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("column", "patient"),
    [
        ("path", "Patient"),
        ("Image", "Patient ID"),
        ("folder", "patient_id"),
        ("glob", "PATIENT-NO"),
        (" FILE ", "subject"),
        ("File name", "PatientID"),
        ("image_path", " patient id "),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(("newline", "encoding"), [("\n", "utf-8"), ("\r\n", "utf-8-sig")])
def test_hospital_spreadsheets_are_read(
    tmp_path: Path, column: str, patient: str, separator: str, newline: str, encoding: str
) -> None:
    rows = [
        ("Diagnosis", column, patient),
        ("ALL", r".\Bläst\1", "007 "),
        ("", "", ""),
        ("apl", "b/2.png", "é"),
    ]
    file = table(tmp_path, *(separator.join(row) for row in rows), newline=newline, encoding=encoding)
    ds = patients.from_csv(paths("Bläst/1/x.png", "b/2.png"), file)
    assert patient_of(ds) == {"Bläst/1/x.png": "007", "b/2.png": "é"}
    assert diagnosis_of(ds) == {"007": "ALL", "é": "APL"}


def test_a_column_that_may_be_a_misspelt_diagnosis_is_named(tmp_path: Path) -> None:
    file = table(tmp_path, "path,patient,Diagnoses,age", "a,P1,ALL,7")
    with pytest.warns(
        DataWarning, match='"Diagnoses" is not read; if it holds the diagnosis, name it diagnosis'
    ):
        ds = patients.from_csv(paths("a/1.png"), file)
    assert diagnosis_of(ds) == {"P1": None}


def test_columns_that_are_not_read_are_named_unless_the_diagnosis_is(tmp_path: Path) -> None:
    file = table(tmp_path, "path,patient,Dx,age", "a,P1,ALL,7")
    with pytest.warns(
        DataWarning, match=':1: columns "Dx", "age" are not read; if one holds the diagnosis, name it'
    ):
        patients.from_csv(paths("a/1.png"), file)
    file = table(tmp_path, "path,patient,diagnosis,age", "a,P1,ALL,7")
    assert diagnosis_of(patients.from_csv(paths("a/1.png"), file)) == {"P1": "ALL"}


def test_every_image_that_no_row_fits_or_two_fit_is_named_at_once(tmp_path: Path) -> None:
    file = table(tmp_path, "path,patient", "a/*,A", "*/1.png,B", "b,C", "b/,D")
    with pytest.raises(InvalidExport) as caught:
        patients.from_csv(paths("a/1.png", "a/2.png", "b/2.png", "c/3.png"), file)
    assert [str(problem) for problem in caught.value.problems] == [
        f'image "a/1.png": lines 2 and 3 of {file} give it to "A" and "B"; keep one of them',
        f'image "b/2.png": lines 4 and 5 of {file} give it to "C" and "D"; keep one of them',
        f'image "c/3.png": no row of {file} fits it; add a row for it or its folder',
    ]


def test_rows_of_equal_rank_may_agree(tmp_path: Path) -> None:
    file = table(tmp_path, "path,patient", "a/*,A", "*/1.png,A")
    assert patient_of(patients.from_csv(paths("a/1.png"), file)) == {"a/1.png": "A"}


def test_rows_that_fit_no_image_are_named(tmp_path: Path) -> None:
    file = table(tmp_path, "path,patient", "a/1.png,A", "a,A", "gone/2.png,B", "gone/*,B", "*.png,C")
    with pytest.warns(DataWarning) as caught:
        patients.from_csv(paths("a/1.png"), file)
    assert [str(warning.message) for warning in caught] == [
        f'{file}:4: "gone/2.png"\n{file}:5: "gone/*": no such image; write the names of the images, or patterns such as *P012_3*'
    ]


def test_every_row_that_lacks_something_is_named(tmp_path: Path) -> None:
    file = table(tmp_path, "path,patient", "a,", ",P1", "", "b,P2,ALL", '"x, y",P3')
    with pytest.raises(InvalidExport) as caught:
        patients.from_csv(paths("a/1.png"), file)
    assert [str(problem) for problem in caught.value.problems] == [
        f"{file}:2: has no patient; fill it in, or delete the row",
        f"{file}:3: names no image, folder or glob; fill it in, or delete the row",
        f"{file}:5: has more values than the 2 columns; quote values with commas",
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", ":1: names no columns; give a table with the columns path and patient"),
        (b"path,age\n", ":1: has no column for the patient; name it patient"),
        (b"path,Pateint\n", ':1: has no column for the patient, the nearest is "Pateint"; name it patient'),
        (
            b"Imgae;patient\n",
            ':1: has no column for the path, the nearest is "Imgae"; name it path, image, folder, glob or file',
        ),
        *(
            (
                f"{name};Patient\n".encode(),
                f':1: has no column for the path, the nearest is "{name}"; name it path, image, folder, glob or file',
            )
            for name in ("Ordner", "Pfad/Datei", "Dateiname")
        ),
        (
            b"path,file,patient\n",
            ':1: "path" and "file" both mean the path; keep one of these columns',
        ),
        (
            b"path,Patient ID,patient-id\n",
            ':1: "Patient ID" and "patient-id" both mean the patient; keep one of these columns',
        ),
        (
            b"path,patient,diagnosis,Diagnosis\n",
            ':1: "diagnosis" and "Diagnosis" both mean the diagnosis; keep one of these columns',
        ),
        (b"path,patient\nBl\xe4st,1\n", ": is not in UTF-8; save it as CSV in UTF-8"),
        (b'path,patient\n"a"b,1\n', ":2: is not a CSV (',' expected after '\"'); save it as CSV in UTF-8"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "patients.csv"
    file.write_bytes(content)
    with pytest.raises(CorruptFile) as caught:
        patients.from_csv(paths("a.png"), file)
    assert str(caught.value) == f"{file}{sentence}"


def test_a_csv_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(
        DataNotFound, match="cannot be read .No such file or directory.; give the path of a CSV"
    ):
        patients.from_csv(paths("a.png"), tmp_path / "none.csv")


def test_a_csv_may_give_a_patient_two_diagnoses_only_with_a_warning(tmp_path: Path) -> None:
    file = table(tmp_path, "path,patient,diagnosis", "a.png,P,ALL", "b.png,P,all", "c.png,P,APL")
    with pytest.warns(DataWarning, match=r'"P": has the diagnoses ALL \(2\) and APL \(1\)'):
        assert diagnosis_of(patients.from_csv(paths("a.png", "b.png", "c.png"), file)) == {"P": "ALL"}


# By CVAT's tags and attributes


def test_tags_give_the_patient_and_the_diagnosis_even_in_two_tags() -> None:
    ds = tagged(a=(Tag("patient:007"), Tag("AML"), Tag("blurred")), b=(Tag("patient:007"),))
    ds = patients.from_tags(ds, "patient:(?P<patient>.+)|^(?P<diagnosis>Normal|ALL|AML|APL)$")
    assert patient_of(ds) == {"a": "007", "b": "007"}
    assert diagnosis_of(ds) == {"007": "AML"}


def test_images_whose_tags_disagree_or_say_nothing_are_named() -> None:
    ds = tagged(a=(Tag("p1"), Tag("p2")), b=(Tag("x"),), c=(Tag("p1"), Tag("p1")), d=())
    with pytest.raises(InvalidExport) as caught:
        patients.from_tags(ds, r"(?P<patient>p\d)")
    assert [str(problem) for problem in caught.value.problems] == [
        'image "a": its tags give the patients "p1" and "p2"; keep one of them in CVAT',
        r'image "b": the pattern (?P<patient>p\d) finds no patient in its tags; tag it in CVAT',
        r'image "d": the pattern (?P<patient>p\d) finds no patient in its tags; tag it in CVAT',
    ]


def with_attributes(tags: tuple[Attributes, ...], cells: tuple[Attributes, ...]) -> Dataset:
    image = Image(ImageId("a"), 64, 48, tags=tuple(Tag("slide", attributes) for attributes in tags))
    rows = (
        Cell(image.id, n, "Other", Box(1, 2, 3, 4), attributes=attributes)
        for n, attributes in enumerate(cells)
    )
    return Dataset("demo", NINE, (image,), tuple(rows))


def test_an_attribute_of_the_tags_goes_before_one_of_the_cells() -> None:
    ds = with_attributes(((("id", "1"),),), ((("id", "2"), ("dx", "apl")), (("id", "3"), ("dx", "APL"))))
    ds = patients.from_attribute(ds, "id", "dx")
    assert diagnosis_of(ds) == {"1": "APL"}


def test_cells_may_repeat_the_attribute_but_not_contradict_it() -> None:
    same = with_attributes((), ((("patient", "007"),), (("patient", "007"),), (("patient", ""),), ()))
    assert patient_of(patients.from_attribute(same)) == {"a": "007"}
    other = with_attributes(
        (), ((("patient", "1"), ("diagnosis", "ALL")), (("patient", "2"), ("diagnosis", "AML")))
    )
    with pytest.raises(InvalidExport) as caught:
        patients.from_attribute(other)
    assert [str(problem) for problem in caught.value.problems] == [
        'image "a": its attributes give the patients "1" and "2"; keep one of them in CVAT',
        'image "a": its attributes give the diagnoses "ALL" and "AML"; keep one of them in CVAT',
    ]


def test_an_image_without_the_attribute_is_named() -> None:
    with pytest.raises(InvalidExport) as caught:
        patients.from_attribute(with_attributes(((("id", "1"),),), ()))
    assert str(caught.value) == (
        'image "a": neither its tags nor its cells have an attribute "patient" with a value; '
        "fill it in in CVAT, or name another attribute"
    )


def test_twenty_thousand_images_and_a_thousand_rows_are_looked_up_one_by_one(tmp_path: Path) -> None:
    ds = paths(*(f"P{n % 1000}/{n}.png" for n in range(20_000)))
    file = table(tmp_path, "folder,patient", *(f"P{n},{n:04d}" for n in range(1000)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = patients.from_csv(ds, file)
    assert all(image.patient == f"{int(image.id[1:].split('/')[0]):04d}" for image in ds.images)
