"""Pseudonyms: the file that leads back to patients, and what is replaced in texts."""

from __future__ import annotations

import csv
import os
import random
import re
import shutil
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, load_dataset, patients, store
from pcm_leukemia.errors import (
    CorruptFile,
    DataWarning,
    InvalidDataset,
    MissingPatients,
    PcmError,
    WrongTarget,
)
from pcm_leukemia.patients import KeyFile, Pseudonymiser, is_pseudonym, pseudonymise
from pcm_leukemia.patients.replacing import Replacing
from pcm_leukemia.schema import ImageId, PatientId, Tag

KEY = "00112233445566778899aabbccddeeff" * 2


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hospital" / "pseudonyms.csv"


def filled(file: Path, *people: str) -> dict[str, str]:
    """Patient -> pseudonym, of a file that has been made or extended."""
    keys = KeyFile(file)
    found = {each: str(keys.pseudonym(each)) for each in people}
    keys.save()
    return found


def people_of(*ids: str) -> Dataset:
    """A data set with an image of each patient."""
    images = tuple(Image(ImageId(f"{index}.png"), 64, 64, PatientId(each)) for index, each in enumerate(ids))
    return Dataset(
        "demo", NINE, images, patients=tuple(Patient(PatientId(each)) for each in dict.fromkeys(ids))
    )


# The file


def test_a_pseudonym_is_that_of_hmac_sha256_in_base_32(file: Path) -> None:
    filled(file, "any")
    text = file.read_text(encoding="utf-8-sig")
    key = text.partition("# key: ")[2][:64]
    with file.open("w", encoding="utf-8", newline="") as stream:
        stream.write(f"# key: {KEY}\n# patients: 0\npatient,pseudonym\n")
    assert key != KEY
    # printf '%s' 4711 | openssl dgst -sha256 -mac HMAC -macopt hexkey:$KEY, and the first 50 bits in Crockford's base 32
    assert filled(file, "4711") == {"4711": "P-VX2NVJ9S21"}


def test_the_same_file_gives_the_same_pseudonyms_in_any_order_and_another_file_gives_others(
    file: Path, tmp_path: Path
) -> None:
    ids = [f"{number}" for number in range(40)]
    first = filled(file, *ids)
    assert len(set(first.values())) == 40
    assert all(map(is_pseudonym, first.values()))
    again = ids.copy()
    random.Random(3).shuffle(again)
    copy = tmp_path / "elsewhere.csv"
    shutil.copy(file, copy)
    assert filled(copy, "new", *again) == {**first, "new": filled(copy, "new")["new"]}
    assert filled(file, *reversed(ids)) == first
    others = filled(tmp_path / "other.csv", *ids)
    assert not set(others.values()) & set(first.values())


def test_the_accents_of_another_computer_and_blanks_do_not_matter_and_zeros_do(file: Path) -> None:
    found = filled(file, "Müller", "Mu\u0308ller", " Müller ", "7", "007")
    assert found["Müller"] == found["Mu\u0308ller"] == found[" Müller "]
    assert found["7"] != found["007"]


def test_the_file_is_a_table_for_its_owner_alone_and_keeps_the_permissions_that_it_is_given(
    file: Path,
) -> None:
    found = filled(file, "7", 'say "hi"', "a,b", "line\rend", "=1+1")
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.chmod(0o640)
    filled(file, "8")
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
    with file.open(encoding="utf-8-sig", newline="") as stream:
        lines = stream.read().split("\r\n", 4)
    assert lines[0].startswith("# Secret: ")
    assert [line.partition(":")[0] for line in lines[1:4]] == ["# version", "# key", "# patients"]
    rows = list(csv.DictReader(lines[4].split("\r\n")))
    assert {row["patient"]: row["pseudonym"] for row in rows} == found | filled(file, "8")
    assert [each.name for each in file.parent.iterdir()] == ["pseudonyms.csv"]
    assert KEY not in repr(KeyFile(file))
    assert lines[2].partition(": ")[2] not in repr(KeyFile(file))


def test_a_file_that_everybody_can_read_is_a_warning(file: Path) -> None:
    filled(file, "7")
    file.chmod(0o644)
    with pytest.warns(
        DataWarning, match="pseudonyms.csv: everybody on this computer can read it; run: chmod 600"
    ):
        KeyFile(file)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=5))
def test_any_ids_come_back(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    file = tmp_path_factory.mktemp("keys") / "pseudonyms.csv"
    found = filled(file, "one", *ids)
    keys = KeyFile(file)
    for patient, pseudonym in found.items():
        assert keys.patient_of[PatientId(pseudonym)] == unicodedata.normalize("NFC", patient).strip()
        assert keys.pseudonym(patient) == keys.pseudonym(pseudonym) == pseudonym
    assert not keys.strangers(found.values())
    assert keys.strangers(["P-7K3M9QX4TZ", *found.values()]) == ["P-7K3M9QX4TZ"]


def test_a_hundred_thousand_patients_have_a_hundred_thousand_pseudonyms(file: Path) -> None:
    keys = KeyFile(file)
    assert len({keys.pseudonym(str(number)) for number in range(100_000)}) == 100_000


def test_two_patients_with_one_pseudonym_are_refused(file: Path) -> None:
    keys = KeyFile(file)
    keys.patient_of[keys.pseudonym("7")] = "8"
    with pytest.raises(
        PcmError,
        match=r'pseudonyms.csv: two patients get the pseudonym "P-.*", a chance of 1 in 200,000; import the second with',
    ):
        keys.pseudonym("7")


def edited(file: Path, before: str, after: str) -> None:
    text = file.read_bytes().decode("utf-8-sig")
    assert before in text
    file.write_bytes(text.replace(before, after).encode("utf-8-sig"))


def test_a_spreadsheet_may_save_it_as_long_as_it_changes_no_id(file: Path) -> None:
    found = filled(file, "P-7", "Müller")
    text = file.read_text(encoding="utf-8-sig")
    lines = [
        line.replace(",", ";") if not line.startswith("#") else f'"{line}";' for line in text.splitlines()
    ]
    file.write_text("\n".join([*lines, ";"]), encoding="utf-8")
    assert filled(file, "P-7", "Müller", "8").items() > found.items()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda text: text.replace("\r\n4711,", "\r\n4712,"),
            ":6: its pseudonym is not that of its patient and the key: ",
        ),
        (
            lambda text: text.replace("4711007008009,", "4.711E+12,"),
            ":7: its pseudonym is not that of its patient",
        ),
        (
            lambda text: "".join(text.splitlines(keepends=True)[:-1]),
            ": has 2 patients, and had 3 when it was written; ",
        ),
        (lambda text: text[:-20], ": "),
        (
            lambda text: text.replace("# key: ", "# key: 0"),
            ": its key or its table is damaged; restore a backup",
        ),
        (
            lambda text: text.replace("# version: 1", "# version: 2"),
            ": has version 2, this version of pcm-leukemia reads 1",
        ),
        (lambda text: text + text.splitlines()[-1] + "\r\n", ":9: the same patient has the pseudonym P-"),
        (lambda text: text + '"open', ":9: is not a row of a CSV"),
        (lambda _: "", ": is empty; restore a backup, or remove it"),
        (
            lambda _: "path,patient\r\na.png,7\r\n",
            ": is not a file of pseudonyms; name the one that you have, or one that",
        ),
        (lambda _: "\0\xff\xd8", ": is not a file of pseudonyms"),
    ],
)
def test_a_file_that_was_damaged_or_edited_is_refused_in_one_sentence(
    file: Path, change: Callable[[str], str], said: str
) -> None:
    filled(file, "4711", "4711007008009", "P-3")
    with file.open(encoding="utf-8-sig", newline="") as stream:
        text = stream.read()
    file.write_bytes(change(text).encode("utf-8-sig"))
    with pytest.raises(CorruptFile) as error:
        KeyFile(file)
    assert str(error.value).startswith(f"{file}{said}")
    assert "\n" not in str(error.value)
    assert "4711" not in str(error.value).removeprefix(str(file))  # messages get into logs


def test_a_patient_with_the_pseudonym_of_another_is_refused(file: Path) -> None:
    found = filled(file, "7", "8")
    edited(file, f"8,{found['8']}", f"8,{found['7']}")
    with pytest.raises(
        CorruptFile, match=rf":7: another patient has the pseudonym {found['7']} in a row above; restore"
    ):
        KeyFile(file)


def test_the_table_of_another_key_is_refused(file: Path, tmp_path: Path) -> None:
    filled(file, "7", "8")
    filled(tmp_path / "other.csv", "7", "8")
    key_of = [
        each.read_text(encoding="utf-8-sig").partition("# key: ")[2][:64]
        for each in (file, tmp_path / "other.csv")
    ]
    edited(file, key_of[0], key_of[1])
    with pytest.raises(CorruptFile, match="its pseudonym is not that of its patient and the key"):
        KeyFile(file)


def test_a_folder_and_what_cannot_be_read_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongTarget, match="is a folder; name a file"):
        KeyFile(tmp_path)
    file.parent.mkdir()
    file.write_bytes("patient,pseudonym\n\x80".encode("latin-1"))
    with pytest.raises(
        CorruptFile,
        match="is not a file of pseudonyms in UTF-8; name the one that you have, or restore a backup",
    ):
        KeyFile(file)


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    found = filled(file, "7")
    (tmp_path / "link.csv").symlink_to(file)
    assert filled(tmp_path / "link.csv", "7", "8").items() > found.items()
    assert (tmp_path / "link.csv").is_symlink()
    assert filled(file, "8")["8"] in file.read_text(encoding="utf-8-sig")


def test_imports_at_the_same_time_lose_no_patient_and_no_key(file: Path) -> None:
    one, other = KeyFile(file), KeyFile(file)
    one.pseudonym("7")
    other.pseudonym("8")
    one.save()
    with pytest.raises(
        CorruptFile, match="has another key than at the beginning of this import; import again"
    ):
        other.save()
    one, other = KeyFile(file), KeyFile(file)
    one.pseudonym("8")
    other.pseudonym("9")
    one.save()
    other.save()
    assert sorted(KeyFile(file).patient_of.values()) == ["7", "8", "9"]


def test_another_import_between_reading_and_writing_makes_no_second_key(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process makes the file after this one has looked for it, and before this one puts its own in place."""
    filled(tmp_path / "other.csv", "8")
    keys = KeyFile(file)
    keys.pseudonym("7")
    claim = KeyFile._claim

    def late(self: KeyFile, work: Path) -> None:
        shutil.copy(tmp_path / "other.csv", file)
        claim(self, work)

    monkeypatch.setattr(KeyFile, "_claim", late)
    with pytest.raises(CorruptFile, match="has another key than at the beginning of this import"):
        keys.save()
    assert list(KeyFile(file).patient_of.values()) == ["8"]


def test_nothing_is_written_if_nothing_is_new(file: Path) -> None:
    filled(file, "7")
    before = file.stat()
    filled(file, "7")
    assert file.stat() == before


# What is replaced

LONG, SHORT, NAME, MIXED = "P-AAAAAAAAAA", "P-BBBBBBBBBB", "P-CCCCCCCCCC", "P-DDDDDDDDDD"


@pytest.mark.parametrize(
    ("text", "own", "replaced"),
    [
        ("4711007/a.png", None, f"{LONG}/a.png"),
        ("IMG4711007b.png", None, f"IMG{LONG}b.png"),
        ("004711007_1.png", None, f"{LONG}_1.png"),
        ("47110071.png", None, None),
        ("14711007.png", None, None),
        ("4711/007.png", None, None),
        ("7/frame_17.jpg", SHORT, f"{SHORT}/frame_17.jpg"),
        (
            "7/frame_7.jpg",
            SHORT,
            f"{SHORT}/frame_7.jpg",
        ),  # without the number of the 7th image, 7 would be known
        ("7/7.jpg", SHORT, f"{SHORT}/7.jpg"),
        ("ward 7/007_12.jpg", SHORT, f"ward {SHORT}/{SHORT}_12.jpg"),
        ("ward 7/7_12.jpg", SHORT, f"ward {SHORT}/{SHORT}_12.jpg"),
        ("7_7.jpg", SHORT, f"{SHORT}_{SHORT}.jpg"),
        ("frame_7.jpg", SHORT, f"frame_{SHORT}.jpg"),
        ("4711/frame_4711.jpg", "P-EEEEEEEEEE", "P-EEEEEEEEEE/frame_P-EEEEEEEEEE.jpg"),
        ("7/frame_7.jpg", None, None),
        ("7/frame_7.jpg", LONG, None),
        ("007/frame_07.jpg", SHORT, f"{SHORT}/frame_07.jpg"),
        ("a/007.jpg", SHORT, f"a/{SHORT}.jpg"),
        ("a/007.tar.gz", SHORT, f"a/{SHORT}.tar.gz"),
        ("x7/a7.jpg", SHORT, None),
        ("Müller_anna/1.png", None, f"{NAME}/1.png"),
        ("mu\u0308ller anna", None, NAME),
        ("Müller/anna", None, None),
        ("Müllerin Anna", None, None),
        ("P-012.png", None, f"{MIXED}.png"),
        ("p12/P0012_3.png", None, f"{MIXED}/{MIXED}_3.png"),
        ("P012b.png", None, None),
        ("XP012.png", None, None),
        ("12/P-12-3.png", None, f"12/{MIXED}-3.png"),
        (f"{SHORT}/{LONG}_4711007.png", None, f"{SHORT}/{LONG}_{LONG}.png"),
        ("", None, None),
    ],
)
def test_an_id_is_replaced_where_it_is_a_word_of_its_own(
    text: str, own: str | None, replaced: str | None
) -> None:
    spelled = {"4711007": LONG, "7": SHORT, "Müller, Anna": NAME, "P-012": MIXED, "4711": "P-EEEEEEEEEE"}
    texts = Replacing({each: PatientId(pseudonym) for each, pseudonym in spelled.items()})
    assert texts(text, None if own is None else PatientId(own)) == (text if replaced is None else replaced)


def test_of_two_patients_the_one_that_is_spelled_so_is_meant() -> None:
    texts = Replacing({"P012": PatientId(LONG), "P12": PatientId(SHORT)})
    assert texts("P012/P12.png") == f"{LONG}/{SHORT}.png"
    assert texts("p0012/1.png", PatientId(LONG)) == f"{LONG}/1.png"
    assert texts("p0012/1.png", PatientId(SHORT)) == f"{SHORT}/1.png"


def test_frames_that_are_counted_like_patients_stay() -> None:
    """In data with patients 00001 to 00009, frame_00003 of another patient is not patient 00003."""
    texts = Replacing({f"0000{number}": PatientId(f"P-000000000{number}") for number in range(1, 10)})
    assert texts("00001/frame_00003.png", PatientId("P-0000000001")) == "P-0000000001/frame_00003.png"


def test_what_the_pattern_found_is_replaced_and_the_same_word_elsewhere(file: Path) -> None:
    names = ("case7b/case7b_frame7.png", "case17b/case17b_7.png")
    ds = Dataset(
        "demo",
        NINE,
        tuple(Image(ImageId(f"default/{name}"), 64, 64, name=name, subset="default") for name in names),
    )
    pattern = r"case(?P<patient>\d+)b/"
    hidden = pseudonymise(patients.assign(ds, pattern), file, patients=pattern)
    seven, seventeen = filled(file, "7", "17").values()
    assert {(image.id, image.name, image.subset) for image in hidden.images} == {
        (f"default/case{seven}b/case{seven}b_frame7.png", f"case{seven}b/case{seven}b_frame7.png", "default"),
        (
            f"default/case{seventeen}b/case{seventeen}b_7.png",
            f"case{seventeen}b/case{seventeen}b_7.png",
            "default",
        ),
    }


def test_everything_in_a_data_set_is_replaced_but_counts_and_measurements_and_the_paths_of_files(
    file: Path,
) -> None:
    attributes = (
        ("patient", "3"),
        ("Patient-ID", "no. 3"),
        ("lobes", "3"),
        ("magnification", "40"),
        ("note", "of Q3"),
    )
    image = Image(
        *(ImageId("s3/3/3.png"), 64, 64, PatientId("3"), "3/3.png", "s3", "3/3.png"),
        tags=(Tag("patient 3", attributes),),
        diagnosis="ALL",
        group="slide 3",
    )
    other = structs.replace(image, id=ImageId("s3/4/3.png"), name="4/3.png", patient=PatientId("Q3"), tags=())
    cell = Cell(image.id, 0, "Monocyte", Box(1, 1, 9, 9), "type 3", source="Q3", attributes=attributes)
    split = Split(
        "all_but_Q3",
        {image.id: "train", other.id: "train"},
        {"left out": "Q3", "seed": "3"},
        {other.id: PatientId("Q3")},
    )
    people = (Patient(PatientId("3"), "ALL"), Patient(PatientId("Q3"), "AML"))
    ds = Dataset("ward of Q3", NINE, (image, other), (cell,), people, split)
    hidden = pseudonymise(ds, file)
    three, q3 = filled(file, "3", "Q3").values()
    shown = (
        ("patient", three),
        ("Patient-ID", f"no. {three}"),
        ("lobes", "3"),
        ("magnification", "40"),
        ("note", "of Q3"),
    )
    assert hidden.image(f"s3/{three}/3.png") == structs.replace(
        image,
        id=ImageId(f"s3/{three}/3.png"),
        name=f"{three}/3.png",
        patient=PatientId(three),
        tags=(Tag(f"patient {three}", shown),),
    )
    assert [each.file for each in hidden.images] == ["3/3.png", "3/3.png"]
    assert hidden.image("s3/4/3.png").patient == q3
    assert [(each.raw_label, each.source, each.attributes) for each in hidden.cells] == [
        ("type 3", "Q3", shown)
    ]
    assert set(hidden.patients) == {Patient(PatientId(three), "ALL"), Patient(PatientId(q3), "AML")}
    assert hidden.split
    assert set(hidden.split.part_of) == {image.id for image in hidden.images}
    assert dict(hidden.split.patient_of) == {"s3/4/3.png": q3}
    assert pseudonymise(hidden, file) == hidden


def test_every_field_is_replaced_or_holds_no_text_of_people() -> None:
    """A field that is new here must be replaced in patients/pseudonymising.py if it may contain an id."""
    replaced = {
        Image: {"id", "patient", "name", "subset", "tags", "diagnosis", "group"},
        Tag: {"label", "attributes", "source"},
        Cell: {"image", "raw_label", "source", "attributes"},
        Patient: {"id", "diagnosis"},
        Split: {"name", "part_of", "made", "patient_of", "digest_of"},
        Dataset: {"name", "images", "cells", "patients", "split"},
    }
    kept = {
        Image: {"width", "height", "file", "annotation_state", "digest", "white_level"},
        Tag: {"group"},
        Cell: {"id", "label", "box", "shape", "occluded", "z_order", "group", "track", "untyped"},
        Split: {"val_shares_patients"},
        Dataset: {"taxonomy", "root", "pseudonym_keys"},
    }
    for kind, names in replaced.items():
        there = structs.fields(kind) if issubclass(kind, msgspec.Struct) else fields(cast("type[Tag]", kind))
        assert {each.name for each in there} == names | kept.get(kind, set()), kind


def test_an_image_without_a_patient_is_refused(file: Path) -> None:
    ds = people_of("7")
    lost = replace(ds, images=(*ds.images, Image(ImageId("8/a.png"), 64, 64)))
    said = 'demo: 1 of 2 images, the first "8/a.png", have no patient, so an id in their paths would not be replaced; give every'
    with pytest.raises(MissingPatients, match=said):
        pseudonymise(lost, file)
    assert not file.exists()


def test_two_images_that_would_have_one_id_are_refused(file: Path) -> None:
    images = tuple(
        Image(ImageId(f"{name}/a.png"), 64, 64, PatientId("4711007")) for name in ("4711007", "04711007")
    )
    ds = Dataset("demo", NINE, images, patients=(Patient(PatientId("4711007")),))
    with pytest.raises(
        InvalidDataset,
        match=r'image "4711007/a.png": would be called "P-\w+/a.png" with pseudonyms, like image',
    ):
        pseudonymise(ds, file)
    assert not file.exists()


def test_an_id_in_a_longer_word_is_a_warning(file: Path) -> None:
    image = Image(ImageId("a/xMuster_17.png"), 64, 64, PatientId("Muster"))
    ds = Dataset("demo", NINE, (image,), patients=(Patient(PatientId("Muster")),))
    with pytest.warns(
        DataWarning,
        match="demo: 1 image has what may be the id of the patient in a longer word or number of a",
    ):
        pseudonymise(ds, file)


def test_spellings_that_were_merged_are_one_patient_and_all_of_them_are_replaced(file: Path) -> None:
    names = ("Q7", "Q-007b")
    images = tuple(Image(ImageId(f"{name}/a.png"), 64, 64, PatientId(name)) for name in names)
    ds = Dataset("demo", NINE, images, patients=tuple(Patient(PatientId(name)) for name in names))
    same = {"Q-007b": "Q7"}
    hidden = pseudonymise(patients.merge(ds, same), file, same=same)
    pseudonym = filled(file, "Q7")["Q7"]
    two, one = (image.id for image in hidden.images)
    assert one == f"{pseudonym}/a.png"
    assert re.fullmatch(rf"{pseudonym}-\w{{4}}/a.png", two)  # two folders remain two folders
    assert pseudonymise(patients.merge(ds, same), file, same=same, patients="(?P<patient>[^/]+)") == hidden


def test_a_patient_whom_the_file_knows_in_another_spelling_is_a_warning(file: Path) -> None:
    filled(file, "007", "12")
    said = r'demo: patients may be in .*pseudonyms.csv already in another spelling, with another pseudonym: "7" as "007"; if they are, give same={"7": "007"}'
    with pytest.warns(DataWarning, match=said):
        pseudonymise(people_of("7", "12"), file)


def test_a_split_that_knew_another_spelling_or_other_images_follows(file: Path) -> None:
    ds = people_of("7", "8")
    split = Split(
        "official",
        {ImageId("0.png"): "train", ImageId("1.png"): "test", ImageId("Q9/gone.png"): "train"},
        {},
        {
            ImageId("0.png"): PatientId("007"),
            ImageId("1.png"): PatientId("X1"),
            ImageId("Q9/gone.png"): PatientId("Q9"),
        },
    )
    keys = KeyFile(file)
    hiding = Pseudonymiser(ds, keys, splits=[split])
    seven, x1, q9 = (keys.pseudonym(each) for each in ("7", "X1", "Q9"))
    assert hiding.split(split) == replace(
        split,
        part_of={ImageId("0.png"): "train", ImageId("1.png"): "test", ImageId(f"{q9}/gone.png"): "train"},
    )
    assert hiding.split(split).patient_of == {"0.png": seven, "1.png": x1, f"{q9}/gone.png": q9}


def test_load_dataset_takes_the_file(file: Path, tmp_path: Path) -> None:
    ds = people_of("7", "8")
    store.write(ds, tmp_path / "data")
    hidden = load_dataset(tmp_path / "data", pseudonyms=file)
    assert {patient.id for patient in hidden.patients} == set(filled(file, "7", "8").values())


def in_folders(*folders: str, files: tuple[str, ...] = ("frame_1.png", "frame_2.png")) -> Dataset:
    """Two images in each folder, whose name begins with the number of the patient."""
    pairs = [(folder, PatientId(folder.partition("_")[0])) for folder in folders]
    pictures = tuple(
        Image(ImageId(f"{folder}/{name}"), 64, 64, who) for folder, who in pairs for name in files
    )
    return Dataset(
        "ward", NINE, pictures, patients=tuple(Patient(who) for who in dict.fromkeys(who for _, who in pairs))
    )


def test_words_beside_the_ids_that_may_be_names_are_a_warning_that_masks_them(tmp_path: Path) -> None:
    ds = in_folders("4711007_Müller_Anna", "4711008_Schmidt", "4711009_Öztürk", "4711010")
    with pytest.warns(
        DataWarning,
        match=r'^ward: 3 of 4 patients have a word beside their pseudonym that no other patient has, such as "An\*\*"; if',
    ):
        pseudonymise(ds, tmp_path / "keys.csv")


@pytest.mark.filterwarnings("error::pcm_leukemia.errors.DataWarning")
@pytest.mark.parametrize(
    "folders",
    [
        ("4711007_ALL", "4711008_AML", "4711009_APL"),
        ("4711007_smear", "4711008_smear", "4711009_smear"),
        ("4711007_A", "4711008_B", "4711009_deadbeef"),
        ("4711007_Müller", "4711008_Schmidt"),
        ("4711007_blood", "4711008_blood", "4711009_marrow", "4711010_marrow"),
    ],
)
def test_words_that_are_no_names_are_not(tmp_path: Path, folders: tuple[str, ...]) -> None:
    pseudonymise(in_folders(*folders), tmp_path / "keys.csv")
