"""The diagnosis of each patient in a table of its own, beside a pattern that finds the patient of each image."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from commands import Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spreadsheets import xlsx

from pcm_leukemia import NINE, Dataset, load_dataset, patients
from pcm_leukemia.errors import CorruptFile, DataWarning, InvalidExport
from pcm_leukemia.schema import Image, ImageId, Patient, PatientId

PATTERN = r"(?P<patient>P?\d+)_"


def of(*ids: str, diagnosis: str | None = None) -> Dataset:
    images = tuple(Image(ImageId(f"{each}_{n}.png"), 64, 64, PatientId(each)) for each in ids for n in (0, 1))
    return Dataset("demo", NINE, images, patients=tuple(Patient(PatientId(each), diagnosis) for each in ids))


def table(folder: Path, *lines: str) -> Path:
    (folder / "patients.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    return folder / "patients.csv"


def diagnoses(ds: Dataset) -> dict[str, str | None]:
    return {patient.id: patient.diagnosis for patient in ds.patients}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.from_regex("P[0-9]{3}", fullmatch=True), st.sampled_from(["ALL", "APL", "x y", ""]), min_size=1
    )
)
def test_each_patient_has_the_diagnosis_of_its_row(tmp_path: Path, known: dict[str, str]) -> None:
    file = table(tmp_path, "note;Patient ID;diagnosis", *(f"a;{each};{what}" for each, what in known.items()))
    ds = of(*sorted(known))
    found = patients.with_diagnoses(ds, file)
    assert diagnoses(found) == {each: what or None for each, what in known.items()}
    assert (found.images, found.cells) == (ds.images, ds.cells)


def test_a_diagnosis_that_the_table_lacks_is_kept(tmp_path: Path) -> None:
    file = table(tmp_path, "patient,diagnosis", "P1,", "P2,all")
    assert diagnoses(patients.with_diagnoses(of("P1", "P2", diagnosis="ALL"), file)) == {
        "P1": "ALL",
        "P2": "all",
    }


def test_patients_who_are_only_in_the_data_or_only_in_the_table_are_named(tmp_path: Path) -> None:
    file = table(tmp_path, "patient,diagnosis", "P001,AML", "P02,AML")
    with pytest.raises(InvalidExport) as caught:
        patients.with_diagnoses(of("P001", "P003"), file)
    assert str(caught.value) == f'patient "P003": is not in {file}, the nearest is "P001"; add a row for it'
    with pytest.warns(DataWarning) as told:
        found = patients.with_diagnoses(of("P001"), file)
    assert [str(each.message) for each in told] == [f'{file}: no image of "P02"; check the ids']
    assert diagnoses(found) == {"P001": "AML"}


def test_zeros_that_a_spreadsheet_has_removed(tmp_path: Path) -> None:
    file = xlsx(tmp_path / "patients.xlsx", ["patient", "diagnosis"], [7, "AML"], [12.0, "ALL"])
    with pytest.warns(DataWarning) as told:
        found = patients.with_diagnoses(of("007", "12"), file)
    assert diagnoses(found) == {"007": "AML", "12": "ALL"}
    assert [str(each.message) for each in told] == [
        f'{file}: "7" is taken for "007": a spreadsheet has removed the zeros; format the column as text'
    ]
    # 7 may be either
    with pytest.raises(InvalidExport, match='patient "07": is not in'):
        patients.with_diagnoses(of("07", "007"), table(tmp_path, "patient,diagnosis", "7,AML"))
    # another spelling than one of lost zeros
    with pytest.raises(InvalidExport, match='patient "p7": is not in'):
        patients.with_diagnoses(of("p7"), table(tmp_path, "patient,diagnosis", "P7,AML"))


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            ("P1,AML", "P1,ALL"),
            "has the diagnoses ALL in line 3 and AML in line 2 of {file}; keep one of them",
        ),
        (("P1,AML", "P1,aml", "P1,"), ""),
        (("P1,ALL",), "has the diagnosis AML by its images, and ALL in {file}:2; correct one of them"),
    ],
)
def test_two_diagnoses_of_one_patient(tmp_path: Path, rows: tuple[str, ...], sentence: str) -> None:
    file = table(tmp_path, "patient,diagnosis", *rows)
    ds = of("P1", diagnosis="AML")
    if not sentence:
        assert diagnoses(patients.with_diagnoses(ds, file)) == {"P1": "AML"}
        return
    with pytest.raises(InvalidExport) as caught:
        patients.with_diagnoses(ds, file)
    assert str(caught.value) == f'patient "P1": {sentence.format(file=file)}'


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (("patient",), ":1: has no column for the diagnosis; name it diagnosis"),
        (
            ("patient,Diagnose", "P1,x"),
            ':1: has no column for the diagnosis, the nearest is "Diagnose"; name it diagnosis',
        ),
        (("name,diagnosis", "P1,x"), ":1: has no column for the patient; name it patient"),
        (
            ("path,patient,diagnosis",),
            ':1: column "path" gives the patient of each image, and so does `patients`; leave `patients` or the column out',
        ),
    ],
)
def test_a_table_with_other_columns(tmp_path: Path, lines: tuple[str, ...], sentence: str) -> None:
    file = table(tmp_path, *lines)
    with pytest.raises(CorruptFile) as caught:
        patients.with_diagnoses(of("P1"), file)
    assert str(caught.value) == f"{file}{sentence}"


def test_ids_that_are_one_are_one_in_the_table_too(tmp_path: Path) -> None:
    images = tuple(Image(ImageId(f"{each}_a.png"), 64, 64) for each in ("007", "7"))
    file = table(tmp_path, "patient,diagnosis", "007,AML", "7,")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = patients.assign(Dataset("demo", NINE, images), PATTERN, same={"007": "7"}, diagnoses=file)
    assert diagnoses(ds) == {"7": "AML"}


def test_the_command_line_takes_a_pattern_and_a_table(run: Run, export: Path, tmp_path: Path) -> None:
    file = table(tmp_path, "patient,diagnosis", *(f"P{n:02d},{'ALL' if n else 'APL'}" for n in range(10)))
    words = ("--patients", r"(?P<patient>P\d+)/", "--patients-csv", file)
    done = run("import", export, tmp_path / "data", *words)
    assert done.status == 0, done.err
    ds = load_dataset(tmp_path / "data")
    assert diagnoses(ds) == {f"P{n:02d}": "ALL" if n else "APL" for n in range(10)}
    assert ds.fingerprint == load_dataset(export, patients=words[1], diagnoses=file, name="data").fingerprint
    # a canonical folder that is imported again, and corrected images
    file.write_text(file.read_text(encoding="utf-8").replace("APL", "AML"), encoding="utf-8")
    refused = run("import", tmp_path / "data", tmp_path / "again", "--patients-csv", file)
    assert (
        f"{file}:1: has no column for the path; name it path, image, folder, glob or file, or give --patients, too"
        in refused.err
    )
    again = run("import", tmp_path / "data", tmp_path / "again", *words)
    assert again.status == 0, again.err
    assert diagnoses(load_dataset(tmp_path / "again"))["P00"] == "AML"
    updated = run("import", export, tmp_path / "again", "--update", *words)
    assert updated.status == 0, updated.err
    assert diagnoses(load_dataset(tmp_path / "again"))["P00"] == "AML"
    several = run("info", export, *words, "--patients-tag", "x")
    assert (several.status, several.out) == (2, "")
    assert "give one of --patients, --patients-tag and --patients-attribute, or --patients-csv" in several.err
