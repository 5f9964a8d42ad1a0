"""The table of patients as people keep it: each mistake in it is named once, with its cause."""

from __future__ import annotations

import codecs
import io
import unicodedata
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcm_leukemia import patients
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataWarning, InvalidExport, PcmError
from pcm_leukemia.schema import Image, ImageId
from pcm_leukemia.taxonomy import NINE


def paths(*ids: str) -> Dataset:
    return Dataset("demo", NINE, tuple(Image(ImageId(image), 64, 48) for image in ids))


def patient_of(ds: Dataset, file: Path) -> dict[str, str | None]:
    return {image.id: image.patient for image in patients.from_csv(ds, file).images}


def table(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    file = folder / "patients.csv"
    file.write_bytes("\n".join([*lines, ""]).encode(encoding))
    return file


def problems(ds: Dataset, file: Path) -> list[str]:
    """What is wrong, said without a warning beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidExport) as caught:
            patients.from_csv(ds, file)
    return [str(problem) for problem in caught.value.problems]


# Names that are spelled in another way


@pytest.mark.parametrize(
    "name", ["{}", "img_{}", "P/img_{}", r"P\img_{}.jpg", r"C:\scans\P\IMG_{}.JPG", "./p/img_{}.jpg"]
)
def test_names_lead_to_the_only_image_that_can_be_meant(tmp_path: Path, name: str) -> None:
    ds = paths(*(f"P/{'img_' if 'img' in name.lower() else ''}{n}.jpg" for n in range(10)))
    file = table(tmp_path, "path,patient", *(f"{name.format(n)},{n}x" for n in range(10)))
    assert list(patient_of(ds, file).values()) == [
        f"{image.id.split('_')[-1].split('/')[-1][:-4]}x" for image in ds.images
    ]


def test_accents_of_another_system_lead_to_images_and_folders(tmp_path: Path) -> None:
    images = [unicodedata.normalize("NFD", name) for name in ("Bläst/ü.png", "Öst/a.png", "Öst/b.png")]
    file = table(tmp_path, "path,patient", unicodedata.normalize("NFC", "Bläst/ü.png,1"), "öst,2")
    assert list(patient_of(paths(*images), file).values()) == ["1", "2", "2"]


def test_an_exact_name_goes_before_a_near_one_and_a_folder_after_it(tmp_path: Path) -> None:
    ds = paths("a/1.png", "a/2.png", "b/1.png")
    file = table(tmp_path, "path,patient", "a,A", "2,near", "b/1.png,exact", "b/1,idle")
    with pytest.warns(
        DataWarning,
        match=r'patients.csv:5: "b/1": no such image; write the names of the images, or patterns such as \*P012_3\*',
    ):
        assert list(patient_of(ds, file).values()) == ["A", "near", "exact"]


def test_names_that_several_images_end_with_are_named_once(tmp_path: Path) -> None:
    ds = paths(*(f"{folder}/{n}.png" for folder in "ab" for n in range(20)))
    file = table(tmp_path, "path,patient", *(f"{n}.png,{n}" for n in range(20)))
    assert problems(ds, file) == [
        (
            f'{file}:2: 20 rows fit several images each, the first "0.png" fits 2 images, such as "a/0.png" and "b/0.png"; give '
            "more of the path"
        )
    ]
    file = table(tmp_path, "path,patient", "0.png,P1", "a,P2", "b,P3")
    with pytest.warns(
        DataWarning, match='"0.png" fits 2 images, such as .*: no such image, or several; write the names'
    ):
        patients.from_csv(ds, file)


# A table that does not fit


def test_the_table_of_another_data_set_is_one_problem(tmp_path: Path) -> None:
    file = table(tmp_path, "path,patient", *(f"slide {n}.tif,{n}" for n in range(50)))
    assert problems(paths(*(f"P1/{n}.png" for n in range(10, 60))), file) == [
        (
            f'{file}: none of its 50 rows fits any of the 50 images: it has "slide 0.tif" and "slide 1.tif", and the images are '
            'called "P1/10.png" and "P1/11.png"; write the names of the images, or patterns such as *P012_3*, or give the table of this data set'
        )
    ]


def test_where_rows_and_images_are_left_the_rows_are_counted_once(tmp_path: Path) -> None:
    file = table(tmp_path, "path,patient", "a.png,A", *(f"x{n}.tif,{n}" for n in range(30)))
    assert problems(paths("a.png", "b.png"), file) == [
        f'image "b.png": no row of {file} fits it; add a row for it or its folder',
        f'{file}:3: 30 of its rows fit no image, the first "x0.tif"; write the names of the images, or patterns such as *P012_3*',
    ]


def test_an_empty_table_says_so(tmp_path: Path) -> None:
    file = table(tmp_path, "path,patient", ",", "")
    assert problems(paths("a.png", "b.png"), file) == [
        f"{file}: has no row below its header; add a row for each image or folder"
    ]


def test_rows_that_contradict_each_other_are_named_once(tmp_path: Path) -> None:
    ds = paths(*(f"a/{n}.png" for n in range(9)), "b.png")
    file = table(tmp_path, "path,patient", "a,A", "a,B", "b.png,C", "b.png,C", "b,C")
    assert problems(ds, file) == [
        f'image "a/0.png" and 8 more: lines 2 and 3 of {file} give them to "A" and "B"; keep one of them'
    ]


def test_rows_that_lack_the_same_are_counted(tmp_path: Path) -> None:
    file = table(tmp_path, "path,patient", "a,P1", *(f"{n}," for n in range(40)), "b,P2,x")
    assert problems(paths("a.png"), file) == [
        f"{file}: 40 rows (lines 3, 4, 5, 6, 7, ...) have no patient; fill it in, or delete the row",
        f"{file}:43: has more values than the 2 columns; quote values with commas",
    ]


# Files


def zipped(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, "application/vnd.oasis.opendocument.spreadsheet")
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (zipped("mimetype", "content.xml"), "a LibreOffice file"),
        (zipped("data"), "a LibreOffice file"),
        (b"<html><table><tr><td>path</td></tr></table>", "an HTML or XML file"),
        (b"%PDF-1.7", "a PDF file"),
    ],
)
def test_a_table_in_another_format_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    file = tmp_path / "patients.csv"
    file.write_bytes(content)
    with pytest.raises(CorruptFile) as caught:
        patients.from_csv(paths("a.png"), file)
    assert str(caught.value) == f"{file}: is {kind}, not a CSV or .xlsx; save it as .xlsx, or as CSV in UTF-8"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500),
            "is an Excel file, not a CSV or .xlsx; save it as .xlsx without a password, or as CSV in UTF-8",
        ),
        (
            zipped("data.csv")[:3],
            "is a zip file, not a CSV or .xlsx; give the table in it, as .xlsx or as CSV in UTF-8",
        ),
        (b"\x1f\x8b\x08", "is a gzip file, not a CSV or .xlsx; unpack it"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "is a Git LFS pointer, not a CSV or .xlsx; run git lfs pull in the repository that it came from",
        ),
        ("path,patient\n".encode("utf-16-le"), "is not text in UTF-8; save it as CSV in UTF-8"),
    ],
)
def test_a_file_that_holds_no_table_says_what_to_do(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "patients.csv"
    file.write_bytes(content)
    with pytest.raises(CorruptFile) as caught:
        patients.from_csv(paths("a.png"), file)
    assert str(caught.value) == f"{file}: {sentence}"


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_unicode_text_of_excel_is_read(tmp_path: Path, mark: bytes) -> None:
    file = tmp_path / "patients.txt"
    encoding = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
    file.write_bytes(mark + "path\tpatient\r\nü.png\t007\r\n".encode(encoding))
    assert patient_of(paths("ü.png"), file) == {"ü.png": "007"}


@pytest.mark.parametrize(
    "lines",
    [
        ("sep=;", "path;patient", "a.png;007"),
        ('"path, in CVAT";note', "a.png;007"),
        ('path,"patient\nid"', "a.png,007"),
        ("path,patient,diagnosis,note", 'a.png,007,,"two\nlines"'),
        ("path,patient", 'a.png,"=""007"""'),
        ("path|patient", "a.png|007"),
        ("path,patient,,", "a.png,007,,", ",,,"),
        ("path,patient", "a.png,007", "a.png,007"),
        ("path,patient\r", "a.png,007\r", "\r"),
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path: Path, lines: tuple[str, ...]) -> None:
    if "in CVAT" in lines[0]:
        with pytest.raises(
            CorruptFile,
            match='has no columns for the path and the patient, but "path, in CVAT", "note"; begin',
        ):
            patient_of(paths("a.png"), table(tmp_path, *lines))
    else:
        assert patient_of(paths("a.png"), table(tmp_path, *lines)) == {"a.png": "007"}


def test_a_table_without_a_header_says_so(tmp_path: Path) -> None:
    with pytest.raises(CorruptFile) as caught:
        patient_of(paths("a.png"), table(tmp_path, "a.png,007", "b.png,8"))
    assert str(caught.value) == (
        f'{tmp_path / "patients.csv"}:1: has no columns for the path and the patient, but "a.png", "007"; begin the table '
        "with a header such as path,patient,diagnosis"
    )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=40)
    | st.text(max_size=40).map(str.encode)
    | st.lists(
        st.sampled_from(
            ["path", "patient", ",", ";", "\n", "\r", '"', "a.png", "007", "=", "*", "[", "\0", "é", "/", " "]
        ),
        max_size=24,
    ).map(lambda pieces: ("path,patient\n" + "".join(pieces)).encode())
)
def test_whatever_the_file_holds_only_our_errors_come_out(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "patients.csv"
    file.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(PcmError):
            ds = patients.from_csv(paths("a.png", "b/c.png"), file)
            assert all(image.patient for image in ds.images)
