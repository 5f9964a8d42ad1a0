"""`import --pseudonyms`: no id of a patient is in what is written, and a file of the hospital leads back."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from commands import Run
from exports import box, document, image, png, zipped

import pcm_leukemia as pcm
from pcm_leukemia import store
from pcm_leukemia.errors import DataWarning
from pcm_leukemia.patients import KeyFile, is_pseudonym

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


def ids_in(text: str) -> list[str]:
    """The ids of patients of the export in a text; a pseudonym may have the same letters by chance, but no word of them."""
    return re.findall(r"(?<![^\W_])P0?\d\d(?![^\W_])", text)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def data(run: Run, export: Path, tmp_path: Path) -> Path:
    """Ten patients, imported with the key in ward/keys.csv."""
    done = run(
        "import", export, tmp_path / "data", "--patients", PATTERN, "--pseudonyms", tmp_path / "ward/keys.csv"
    )
    assert done.status == 0, done.err
    return tmp_path / "data"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "ward" / "keys.csv"


def test_patients_get_pseudonyms_and_it_says_what_is_to_be_kept_and_what_to_pass_on(
    run: Run, export: Path, tmp_path: Path, keys: Path
) -> None:
    done = run("import", export, tmp_path / "data", "--patients", PATTERN, "--pseudonyms", keys)
    assert (done.status, done.err) == (0, "")
    assert re.search(r'\n  10 patients:\n    "P-\w{10}": 2 images, AML\n', done.out)
    assert (
        f"  pseudonyms: {keys} leads back to patients; keep it, and a backup, where the patients are known\n"
        in done.out
    )
    made = f"  pseudonyms: made a new key in {keys}; if you have a file with a key already, import again with that file"
    assert made in done.out
    again = run("import", export, tmp_path / "again", "--patients", PATTERN, "--pseudonyms", keys)
    assert again.status == 0
    assert "made a new key" not in again.out
    assert (
        f"  {tmp_path / 'data'} still has the paths of the image files: pass on what convert writes from it, not the folder"
        in done.out
    )
    assert not ids_in(done.out)
    ds = pcm.load_dataset(tmp_path / "data")
    there = KeyFile(keys).patient_of
    assert {there[patient.id] for patient in ds.patients} == {f"P{number:02d}" for number in range(10)}
    assert all(there[each.patient] == (each.file or "").split("/")[2] for each in ds.images if each.patient)


def test_another_import_extends_the_file_and_the_same_patient_stays(
    run: Run, data: Path, tmp_path: Path, keys: Path
) -> None:
    assert data.is_dir()
    before = {patient: pseudonym for pseudonym, patient in KeyFile(keys).patient_of.items()}
    more = zipped(
        tmp_path / "more.zip",
        {
            "annotations.xml": document(
                *(image(f"ALL/{name}/x.png", box("Other"), number=n) for n, name in enumerate(("P07", "P77")))
            ),
            **{f"images/ALL/{name}/x.png": png() for name in ("P07", "P77")},
        },
    )
    assert run("import", more, tmp_path / "more", "--patients", PATTERN, "--pseudonyms", keys).status == 0
    after = {patient: pseudonym for pseudonym, patient in KeyFile(keys).patient_of.items()}
    assert after.items() > before.items()
    assert {patient.id for patient in pcm.load_dataset(tmp_path / "more").patients} == {
        after["P07"],
        after["P77"],
    }


def test_a_dry_run_writes_no_file_and_says_that_the_key_will_be_another(
    run: Run, export: Path, tmp_path: Path, keys: Path
) -> None:
    dry = run("import", export, tmp_path / "data", "--patients", PATTERN, "--pseudonyms", keys, "--dry-run")
    assert dry.status == 0
    assert f"  {keys} does not exist yet: the import will give other pseudonyms than these\n" in dry.out
    assert not keys.exists()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("inside", ["data/keys.csv", "data/splits/keys.csv", "data"])
def test_a_file_inside_of_the_output_is_refused(run: Run, export: Path, tmp_path: Path, inside: str) -> None:
    done = run("import", export, tmp_path / "data", "--patients", PATTERN, "--pseudonyms", tmp_path / inside)
    assert done.status == 2
    assert (
        f"is inside {tmp_path / 'data'}, and would be passed on with the data; name a place where it stays in the"
        in done.err
    )
    assert not (tmp_path / "data").exists()


def test_a_file_inside_of_another_data_set_is_refused(
    run: Run, export: Path, data: Path, tmp_path: Path
) -> None:
    done = run("import", export, tmp_path / "other", "--patients", PATTERN, "--pseudonyms", data / "keys.csv")
    assert done.status == 2
    assert f"is inside {data}, which holds a data set; name a file beside it" in done.err


def test_a_damaged_file_and_a_failed_import_leave_everything_as_it_is(
    run: Run, export: Path, data: Path, tmp_path: Path, keys: Path
) -> None:
    before = keys.read_bytes()
    keys.write_bytes(before[:-30])
    done = run("import", export, tmp_path / "other", "--patients", PATTERN, "--pseudonyms", keys)
    assert done.status == 1
    assert f"{keys}:" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "other").exists()
    assert keys.read_bytes() == before[:-30]
    keys.write_bytes(before)
    few = zipped(
        tmp_path / "few.zip",
        {"annotations.xml": document(image("AML/P88/0.png", box("Other"))), "images/AML/P88/0.png": png()},
    )
    there = content(data)
    done = run("import", few, data, "--patients", PATTERN, "--pseudonyms", keys)
    assert done.status == 2
    assert "would lose 20 of 20 images" in done.err
    assert keys.read_bytes() == before
    assert content(data) == there


def test_another_key_is_refused_for_data_with_pseudonyms(
    run: Run, export: Path, data: Path, tmp_path: Path, keys: Path
) -> None:
    there = content(data)
    keys.rename(tmp_path / "moved.csv")
    for more in ([], ["--update"]):
        done = run("import", export, data, "--patients", PATTERN, "--pseudonyms", keys, *more)
        assert done.status == 2
        assert (
            f"{data}: has 10 patients, and {keys} does not exist, so that new pseudonyms would make other patients of them; give "
            f"the file of their pseudonyms, or name another folder than {data}"
        ) in done.err
        assert not keys.exists()
    run("import", export, tmp_path / "other", "--patients", PATTERN, "--pseudonyms", keys)
    done = run("import", export, data, "--patients", PATTERN, "--pseudonyms", keys, "--update")
    assert done.status == 2
    assert (
        f"{data}: has 10 patients whose ids are not pseudonyms of {keys}, which would make other patients of them"
        in done.err
    )
    assert content(data) == there
    assert (
        run("import", export, data, "--patients", PATTERN, "--pseudonyms", tmp_path / "moved.csv").status == 0
    )
    assert run("import", export, data, "--patients", PATTERN, "--pseudonyms", keys, "--replace").status == 0


def test_splits_that_stay_must_be_of_the_same_key_even_with_replace(
    run: Run, export: Path, tmp_path: Path, keys: Path
) -> None:
    plain = tmp_path / "plain"
    assert run("import", export, plain, "--patients", PATTERN).status == run("split", plain).status == 0
    done = run("import", export, plain, "--patients", PATTERN, "--pseudonyms", keys, "--replace")
    assert done.status == 2
    assert f"{plain}: has 10 patients, and {keys} does not exist" in done.err


def test_ids_are_not_brought_into_data_with_pseudonyms(
    run: Run, export: Path, data: Path, tmp_path: Path
) -> None:
    there = content(data)
    flat = zipped(
        tmp_path / "flat.zip",
        {"annotations.xml": document(image("x.png", box("Other"))), "images/x.png": png()},
    )
    table = tmp_path / "patients.csv"
    table.write_text("path,patient\n*,P07\n", encoding="utf-8")
    for given in (
        (export, "--patients", PATTERN),
        (flat, "--patients-csv", table),
        (flat, "--patients-csv", table, "--update"),
    ):
        done = run("import", given[0], data, *given[1:])
        assert done.status == 2
        assert (
            f"{data}: has pseudonyms, and the new data have ids of patients; give --pseudonyms FILE, or name"
            in done.err
        )
    assert content(data) == there


def test_replacing_pseudonyms_by_ids_is_a_warning(run: Run, export: Path, data: Path) -> None:
    said = f"warning: {data}: the data that are replaced have pseudonyms, and the new ones have ids of patients; if that is a"
    done = run("import", export, data, "--patients", PATTERN, "--replace")
    assert done.status == 0
    assert done.err.count(said) == 1
    again = run("import", export, data, "--patients", PATTERN, "--replace")
    assert (again.status, again.err) == (0, "")


def test_replacing_pseudonyms_by_pseudonyms_warns_of_nothing(
    run: Run, export: Path, data: Path, tmp_path: Path, keys: Path
) -> None:
    assert run("convert", data, tmp_path / "coco", "--to", "coco", "--images", "copy").status == 0
    for given in ((tmp_path / "coco",), (export, "--patients", PATTERN, "--pseudonyms", keys)):
        done = run("import", given[0], data, *given[1:], "--replace")
        assert (done.status, done.err) == (0, "")


def test_an_update_with_the_same_file_brings_corrections_and_new_patients(
    run: Run, data: Path, tmp_path: Path, keys: Path
) -> None:
    corrected = zipped(
        tmp_path / "corrected.zip",
        {
            "annotations.xml": document(
                image("AML/P03/1.png", box("Lymphocyte")), image("AML/P99/new.png", box("Other"), number=1)
            ),
            **{f"images/AML/{name}.png": png() for name in ("P03/1", "P99/new")},
        },
    )
    assert run("split", data).status == 0
    done = run("import", corrected, data, "--update", "--patients", PATTERN, "--pseudonyms", keys)
    assert done.status == 0, done.err
    assert "2 images read: 1 changed, 1 new, 0 the same\n  1 new patient, 1 new diagnosis" in done.out
    ds = store.read(data, with_split=False)
    pseudonym_of = {patient: pseudonym for pseudonym, patient in KeyFile(keys).patient_of.items()}
    assert {patient.id for patient in ds.patients} == set(pseudonym_of.values())
    assert len(ds.images) == 21
    (changed,) = (each for each in ds.images if each.id == f"AML/{pseudonym_of['P03']}/1.png")
    assert [cell.label for cell in ds.cells_of(changed)] == ["Lymphocyte"]
    assert run("split", data, "--extend").status == 0


def test_what_annotators_got_with_pseudonyms_is_brought_back_without_the_file(
    run: Run, data: Path, tmp_path: Path
) -> None:
    assert run("convert", data, tmp_path / "review.zip", "--to", "cvat").status == 0
    done = run("import", tmp_path / "review.zip", data, "--update")
    assert (done.status, done.err) == (0, "")
    assert "20 images read: 0 changed, 0 new, 20 the same" in done.out


def test_merged_spellings_get_one_pseudonym_also_with_one_of_an_earlier_import(
    run: Run, export: Path, tmp_path: Path, keys: Path
) -> None:
    done = run(
        "import",
        export,
        tmp_path / "data",
        "--patients",
        PATTERN,
        "--patients-same",
        "P09=P08",
        "--pseudonyms",
        keys,
    )
    assert done.status == 0, done.err
    ds = pcm.load_dataset(tmp_path / "data")
    assert sorted(KeyFile(keys).patient_of.values()) == [f"P{number:02d}" for number in range(9)]
    assert not any(ids_in(image.id) for image in ds.images)
    merged = KeyFile(keys).pseudonym("P08")
    folders = {image.id.split("/")[1] for image in ds.images if image.patient == merged}
    assert len(folders) == 2  # both spellings have an image 0.png
    assert merged in folders
    assert all(folder.startswith(merged) for folder in folders)
    more = zipped(
        tmp_path / "more.zip",
        {
            "annotations.xml": document(
                image("AML/P008/9.png", box("Other")), image("AML/P03/1.png", box("Other"), number=1)
            ),
            **{f"images/AML/{name}.png": png() for name in ("P008/9", "P03/1")},
        },
    )
    arguments = ("import", more, tmp_path / "data", "--update", "--patients", PATTERN, "--pseudonyms", keys)
    told = run(*arguments, "--dry-run")
    assert (
        'already in another spelling, with another pseudonym: "P008" as "P08"; if they are, give --patients-same P008=P08'
        in told.err
    )
    done = run(*arguments, "--patients-same", "P008=P08")
    assert (done.status, done.err) == (0, "")
    after = store.read(tmp_path / "data")
    assert len(after.patients) == 9
    assert not any(ids_in(image.id) for image in after.images)


def test_a_data_set_with_ids_and_its_splits_become_one_with_pseudonyms(
    run: Run, export: Path, tmp_path: Path, keys: Path
) -> None:
    plain, hidden = tmp_path / "plain", tmp_path / "hidden"
    assert run("import", export, plain, "--patients", PATTERN).status == 0
    assert run("split", plain).status == run("split", plain, "--name", "other", "--seed", "1").status == 0
    done = run("import", plain, hidden, "--pseudonyms", keys)
    assert (done.status, done.err) == (0, "")
    assert store.split_names(hidden) == ["official", "other"]
    pseudonym_of = {patient: pseudonym for pseudonym, patient in KeyFile(keys).patient_of.items()}
    for name in store.split_names(hidden):
        before, after = store.read_split(plain, name), store.read_split(hidden, name)
        assert after.made == before.made
        assert {
            image.replace(patient, pseudonym_of[patient]): (part, pseudonym_of[patient])
            for image, part in before.part_of.items()
            if (patient := before.patient_of[image])
        } == {image: (part, after.patient_of[image]) for image, part in after.part_of.items()}
        assert not ids_in((hidden / "splits" / f"{name}.csv").read_text(encoding="utf-8"))
    assert run("check", hidden).status == run("check", plain).status
    assert all(is_pseudonym(patient.id) for patient in store.read(hidden).patients)


def test_data_with_pseudonyms_are_joined_and_counted_as_others_are(
    run: Run, data: Path, tmp_path: Path, keys: Path
) -> None:
    assert run("differential", data, tmp_path / "counted").status == 0
    table = (tmp_path / "counted" / "differential.csv").read_text(encoding="utf-8")
    assert set(re.findall(r"P-\w{10}", table)) == set(KeyFile(keys).patient_of)
    with pytest.warns(DataWarning, match="more than one data set"):
        both = pcm.concat([pcm.load_dataset(data), pcm.load_dataset(data, name="again")])
    assert len(both.patients) == 20
    assert not ids_in(" ".join(image.id for image in both.images))


def test_a_differential_inside_the_hospital_has_the_ids_beside_the_pseudonyms(
    run: Run, export: Path, data: Path, tmp_path: Path, keys: Path
) -> None:
    inside = tmp_path / "inside"
    done = run("differential", data, inside, "--pseudonyms", keys)
    assert done.status == 0, done.err
    assert "keep it in the hospital and never pass it on" in done.out
    for name in ("differential.csv", "patients.csv"):
        with (inside / name).open(encoding="utf-8", newline="") as stream:
            people = {row["patient"]: row["patient_id"] for row in csv.DictReader(stream)}
        assert people == KeyFile(keys).patient_of
    page = (inside / "differential.html").read_text(encoding="utf-8")
    assert "never pass it on" in page
    assert all(f"<h2>{pseudonym} = {patient} · AML</h2>" in page for pseudonym, patient in people.items())
    assert json.loads((inside / "pcm-leukemia.json").read_text(encoding="utf-8"))["patient_ids"] is True

    other = tmp_path / "other.csv"
    assert (
        run("import", export, tmp_path / "more", "--patients", "(?P<patient>A)", "--pseudonyms", other).status
        == 0
    )
    refused = run("differential", data, tmp_path / "none", "--pseudonyms", other)
    assert refused.status == 1
    assert f"{other}: has no pseudonym of any of the 10 patients of data; give the file" in refused.err
    assert run("differential", data, tmp_path / "none", "--pseudonyms", tmp_path / "new.csv").status == 2
    assert not (tmp_path / "none").exists()


def test_data_with_pseudonyms_are_not_joined_with_data_with_ids_as_if_patients_were_shared(
    run: Run, export: Path, data: Path, tmp_path: Path
) -> None:
    plain, both = tmp_path / "plain", tmp_path / "both"
    assert run("import", export, plain, "--patients", PATTERN).status == run("split", data).status == 0
    refused = run("join", data, plain, both, "--extend", "--shared-patients")
    assert refused.status == 2, refused.err
    assert (
        "data has pseudonyms of patients, and plain has other ids, so that one patient would count as two and could be in two "
        "parts; give plain the pseudonyms of the same file: pcm-leukemia import DATA NEW --pseudonyms FILE, or join them "
        "without --shared-patients if they have no patient in common"
    ) in " ".join(refused.err.split())
    assert not both.exists()
    warned = run("join", data, plain, both, "--no-splits")
    assert warned.status == 0
    assert "data has pseudonyms of patients, and plain has other ids" in warned.err


def test_data_with_pseudonyms_of_two_keys_do_not_share_patients(
    run: Run, export: Path, data: Path, tmp_path: Path, keys: Path
) -> None:
    typo = keys.with_name("kyes.csv")
    for name, file in (("typo", typo), ("same", keys)):
        done = run("import", export, tmp_path / name, "--patients", PATTERN, "--pseudonyms", file)
        assert done.status == 0
    header = (tmp_path / "typo/dataset.json").read_text(encoding="utf-8")
    assert KeyFile(typo).id in header
    secret = re.search(r"key: (\w{64})", typo.read_text(encoding="utf-8"))
    assert secret is not None
    assert not any(secret[1][at : at + 12] in header for at in range(52))

    both = tmp_path / "both"
    refused = run("join", data, tmp_path / "typo", both, "--shared-patients")
    assert refused.status == 2
    assert "data and typo have pseudonyms of two keys, so that one patient would count as two" in refused.err
    assert not both.exists()
    apart = run("join", data, tmp_path / "typo", both)
    assert apart.status == 0
    assert "the data sets have pseudonyms of different keys, so nobody can tell" in apart.out
    assert store.read(both).pseudonym_keys == tuple(sorted((KeyFile(keys).id, KeyFile(typo).id)))
    same = run("join", data, tmp_path / "same", tmp_path / "once", "--shared-patients")
    assert same.status == 0
    assert "10 patients are in several data sets" in same.out
    assert "different keys" not in same.out


def test_a_folder_that_was_written_without_the_id_of_its_key_is_read_as_before(
    run: Run, export: Path, data: Path, tmp_path: Path, keys: Path
) -> None:
    header = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    assert header.pop("pseudonym_keys") == [KeyFile(keys).id]
    (data / "dataset.json").write_text(json.dumps(header), encoding="utf-8")
    old = store.read(data)
    assert (old.pseudonym_keys, old.fingerprint) == ((), header["fingerprint"])
    assert run("import", export, tmp_path / "same", "--patients", PATTERN, "--pseudonyms", keys).status == 0
    new = store.read(tmp_path / "same")
    with pytest.warns(DataWarning, match="more than one data set"):
        assert len(pcm.concat([old, new], shared_patients=True).patients) == 10


def test_every_image_needs_a_patient(run: Run, export: Path, tmp_path: Path, keys: Path) -> None:
    done = run("import", export, tmp_path / "data", "--pseudonyms", keys)
    assert done.status == 1
    assert (
        'data: 20 of 20 images, the first "AML/P00/0.png", have no patient, so an id in their paths would not be'
        in done.err
    )
    assert "--patients-csv" in done.err
    assert not keys.exists()


def test_import_warns_of_what_looks_like_personal_data_until_it_is_replaced(
    run: Run, tmp_path: Path, keys: Path
) -> None:
    numbers = zipped(
        tmp_path / "numbers.zip",
        {
            "annotations.xml": document(image("AML/47110078/a.png", box("Other"))),
            "images/AML/47110078/a.png": png(),
        },
    )
    plain = run("import", numbers, tmp_path / "plain", "--patients", PATTERN)
    assert plain.status == 0
    assert (
        "plain: 1 patient id and 1 image name: contain what looks like a number of a patient or a case (many digits that are no "
        'count), such as "47******"; if it is, import again with pseudonyms: --pseudonyms FILE before you pass the data on'
    ) in plain.err
    hidden = run("import", numbers, tmp_path / "hidden", "--patients", PATTERN, "--pseudonyms", keys)
    assert (hidden.status, hidden.err) == (0, "")
