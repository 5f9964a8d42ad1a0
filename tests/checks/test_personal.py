"""What looks like personal data in ids, names, tags and attributes; and what only might."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, checks
from pcm_leukemia.errors import for_the_command_line
from pcm_leukemia.patients import pseudonymise
from pcm_leukemia.schema import Attributes, ImageId, PatientId, Tag


def made(
    *,
    people: Sequence[str] = ("P001",),
    names: Sequence[str] = (),
    tags: Sequence[str] = (),
    tag: Attributes = (),
    cell: Attributes = (),
) -> Dataset:
    """A data set with these ids of patients, further names of images, tags, and attributes of a tag and of a cell."""
    ids = [f"{index}.png" for index, _ in enumerate(people)]
    images = [
        Image(
            ImageId(image),
            64,
            64,
            PatientId(patient),
            tags=tuple(map(Tag, tags)) + ((Tag("x", tag),) if tag else ()),
        )
        for image, patient in zip(ids, people, strict=True)
    ]
    images += [Image(ImageId(name), 64, 64) for name in names]
    cells = (Cell(images[0].id, 0, "Monocyte", Box(1, 1, 9, 9), attributes=cell),)
    return Dataset(
        "demo", NINE, tuple(images), cells, tuple(Patient(PatientId(each)) for each in dict.fromkeys(people))
    )


def said(ds: Dataset) -> list[str]:
    return [str(each) for each in checks.find_personal_data(ds)]


@pytest.mark.parametrize(
    ("found", "what", "shown"),
    [
        ("11010519491231002X", "Chinese resident identity number", "11****************"),
        ("440524188001010014", "Chinese resident identity number", "44****************"),
        ("RSSMRA85T10A562S", "Italian codice fiscale", "RS**************"),
        ("A123456780", "German insurance number", "A1********"),
        ("078-05-1120", "American social security number", "07*********"),
        ("19841203", "a date, which may be one of birth", "19******"),
        ("03.12.1984", "a date, which may be one of birth", "03********"),
        ("3-12-1984", "a date, which may be one of birth", "3-*******"),
        ("1984_12_03", "a date, which may be one of birth", "19********"),
        ("Müller, Anna", "a name of a person", "Mü**********"),
        ("Garcia Lopez, Juan", "a name of a person", "Ga****************"),
        ("MUELLER^ANNA", "a name of a person", "MU**********"),
        ("a.mueller@klinik.de", "an e-mail address", "a.*****************"),
        ("47110078", "a number of a patient or a case", "47******"),
        ("KH47110078", "a number of a patient or a case", "KH********"),
    ],
)  # fmt: skip
def test_it_is_found_in_an_id_and_in_the_path_of_an_image_and_masked(
    found: str, what: str, shown: str
) -> None:
    for ds, where in (
        (made(people=(found,)), "1 patient id"),
        (made(names=(f"ward/{found}/1.png",)), "1 image name"),
        (made(names=(f"ward/{found}_1.png",)), "1 image name"),
    ):
        (line,) = said(ds)
        assert line.startswith(f"{where}: contains what looks like ")
        assert what in line
        assert f'such as "{shown}"; if it is, ' in line
        assert found not in line
    assert not said(made(people=("P001",), names=("ward/1.png",)))


@pytest.mark.parametrize(
    "harmless",
    [
        *("P001", "patient_12", "BloodImage_00001", "APL_023", "SYN-P01", "ABE_00001", "UID_1_10_3_all", "Im001_1", "7", "007"),
        *("BNE_495081", "00000001", "frame_00012345", "20190526_162951_0", "20190526162951", "IMG20190526162951", "95-4-13-1-2_1"),
        *("1558888888888", "123e4567-e89b-12d3-a456-426614174000", "12345678-1234-1234-1234-123456789012"),
        *("d41d8cd98f00b204e9800998ecf8427e", "P012_3_png.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9", "7c5f5f1", "P-0123456789"),
        *("1.2.840.113619.2.55.3.604688119.969.1268071029.320", "0.87654321", "x40", "2024-01-02", "lmu/P01"),
        *("Lymphoblast, Typical", "Blast, Atypical", "Acute Leukemia, Early", "AML, M3", "000-12-3456"),
        *("123-45-6789-1", "RSSMRA85T10A562T", "31.02.1984", "1.1984"),
    ],
)  # fmt: skip
def test_what_it_might_be_but_is_not_is_no_alarm_in_an_image_name(harmless: str) -> None:
    assert not said(made(names=(f"ward/{harmless}.png",)))


def test_a_number_without_its_check_digit_or_with_a_month_99_is_only_a_number() -> None:
    for number in ("110105194912310021", "19849903"):
        (line,) = said(made(names=(f"ward/{number}.png",)))
        assert "a number of a patient or a case" in line


@pytest.mark.parametrize(
    "harmless",
    [
        "P001",
        "patient_12",
        "APL_023",
        "SYN-P01",
        "7",
        "P-7K3M9QX4TZ",
        "lmu/P01",
        "123456",
        "0000123",
        "95-4-13",
    ],
)
def test_ids_of_studies_are_no_alarm(harmless: str) -> None:
    assert not said(made(people=(harmless,)))


def test_numbers_that_count_are_no_numbers_of_patients_and_letters_with_nine_digits_need_the_check_digit() -> (
    None
):
    assert not said(made(people=[str(10_000_001 + number) for number in range(20)]))
    assert not said(made(names=[f"{12_345_678 + number}.png" for number in range(20)]))
    assert not said(made(people=[f"P{100_000_001 + number}" for number in range(20)]))
    (line,) = said(made(people=[f"P{100_000_001 + 37_199 * number}" for number in range(20)]))
    assert line.startswith("20 patient ids: contain what looks like a number of a patient or a case")
    (line,) = said(made(people=("A123456780", "T220001291")))
    assert "German insurance number" in line


def test_the_day_of_an_image_is_no_date_of_birth_but_an_id_may_be_one() -> None:
    assert not said(made(names=("2019-05-26/1.png", "26.05.2019.png"), tags=("2019-05-26",)))
    assert "a date" in said(made(people=("20190526",)))[0]
    assert "a date" in said(made(tags=("born 26.05.1989",)))[0]


def test_tags_and_attributes_are_looked_at_and_named_and_measurements_are_not_alarms() -> None:
    measured: Attributes = (
        ("score", "0.87654321"),
        ("area", "12345"),
        ("lobes", "3"),
        ("shape", "Round, Smooth"),
        ("Name", ""),
    )
    assert not said(made(cell=measured, tag=measured))
    ds = made(
        tags=("of 47110078",),
        cell=(("note", "RSSMRA85T10A562S"), ("Patient's Name", "Anna"), ("D.O.B.", "x")),
    )
    lines = said(ds)
    assert [line.split(":")[0] for line in lines] == [
        '1 attribute "note"',
        "1 tag",
        '2 attributes "D.O.B." "Patient\'s Name"',
    ]
    assert 'what looks like personal data, as its name says, such as "An**", "x"' in lines[2]
    assert all(line.endswith("remove the tags and attributes before you pass the data on") for line in lines)


def test_one_finding_for_each_kind_counts_fields_and_shows_three_and_what_is_found_spreads_nowhere(
    tmp_path: Path,
) -> None:
    people = [f"47{number}9001{number}" for number in range(5)]
    ds = made(people=people, names=[f"{patient}/{number}.png" for patient in people for number in range(3)])
    found = checks.check(ds)
    (only,) = (each for each in found.findings if each.kind == "personal-data")
    assert only.where == "5 patient ids and 15 image names"
    assert only.what.endswith('such as "47******", "47******", "47******"')
    assert only.severity == "warning"
    with for_the_command_line():
        (again,) = checks.find_personal_data(ds)
    assert (
        again.fix == "if it is, import again with pseudonyms: --pseudonyms FILE before you pass the data on"
    )
    checks.write_pictures([only], tmp_path / "pictures", ds)
    written = [
        json.dumps(only.to_json()),
        *(each.read_text(encoding="utf-8") for each in (tmp_path / "pictures").iterdir()),
    ]
    assert not [patient for patient in people for text in written if patient in text]


def test_pseudonyms_end_the_alarm_and_what_they_leave_in_names_has_another_fix(tmp_path: Path) -> None:
    ds = made(people=("47110078",), names=())
    hidden = pseudonymise(ds, tmp_path / "keys.csv")
    assert said(ds)
    assert not said(hidden)
    other = made(people=("P-7K3M9QX4TZ",), names=("47110078.png",))
    assert said(other)[0].endswith("; if it is, rename the images before you pass the data on")


def test_the_sample_is_no_alarm(tmp_path: Path) -> None:
    ds = pcm.load_dataset(
        pcm.sample.write(tmp_path / "sample.zip", patients=4, images=4),
        patients=r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/",
    )
    assert not said(ds)
