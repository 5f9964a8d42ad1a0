"""Everything that writes a data set with pseudonyms writes no id of a patient: not in a name of a file, and not in a byte of it."""

from __future__ import annotations

import csv
import json
import random
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import PIL.Image
import pytest
from commands import Run
from exports import attribute, box, document, image, zipped

import pcm_leukemia as pcm
from pcm_leukemia import (
    NINE,
    Box,
    Cell,
    Dataset,
    Image,
    Patient,
    Split,
    checks,
    converters,
    differential,
    report,
    store,
)
from pcm_leukemia.errors import DataWarning, MissingExtra
from pcm_leukemia.patients import pseudonymise
from pcm_leukemia.schema import ImageId, PatientId, Tag

IDS = {
    "4711007": "4711007",
    "0815": "0815",
    "Müller, Anna": "Mu\u0308ller_anna",
    "P-012": "p12",
    'say "K7"': 'say "K7"',
    "白血病患者01": "白血病患者01",
    "<b>&Q.3": "<b>&Q.3",
}
"""Patient -> the folder of its images, in which the id may be spelled otherwise."""
_COMPRESSED = (".png", ".jpg", ".zip", ".parquet")
"""Files whose bytes are no text; of the last two, the content is looked at."""
SECRET = "ward 4711007"
"""The folder of all images."""


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    """Each id is in folders, names, subsets, groups, tags, attributes, raw labels, the names of data set and split, and `made`."""
    root = tmp_path / SECRET
    images, cells = [], []
    for patient, folder in IDS.items():
        for number in range(2):
            name = f"{folder}/{patient.replace('/', '')}_frame_17{number}.png"
            subset = f"slide {patient}"
            path = root / subset / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(noise(path.name))
            said = "-" if patient.isdecimal() else patient  # 0815 may be a number of something else
            tags = (
                Tag(
                    f"patient {patient}",
                    (("patient", patient), (f"of {said}", f"see {said} and 4711007")),
                    f"by {said}",
                ),
            )
            image = ImageId(f"{subset}/{name}")
            images.append(
                Image(
                    image,
                    200,
                    100,
                    PatientId(patient),
                    name,
                    subset,
                    image,
                    tags,
                    group=f"{patient}-{number}",
                )
            )
            attributes = (("patient", patient), ("note", f"{said}, compare IMG4711007b"))
            cells += [
                Cell(image, 0, "Monocyte", Box(10, 20, 50, 60), f"mono {said}", attributes=attributes),
                Cell(image, 1, "Other", Box(100, 20, 150, 70), source=f"annotator of {said}"),
            ]
    people = tuple(
        Patient(PatientId(patient), f"as 4711007 and {'-' if patient.isdecimal() else patient}")
        for patient in IDS
    )
    parts = dict(zip(IDS, ["train"] * 4 + ["val"] + ["test"] * 2, strict=True))
    split = Split(
        "without_4711007",
        {image.id: parts[str(image.patient)] for image in images},
        {"method": "all but 4711007"},
        {image.id: PatientId(str(image.patient)) for image in images},
    )
    return Dataset("smears of 4711007", NINE, tuple(images), tuple(cells), people, split, root)


@pytest.fixture
def hidden(ds: Dataset, tmp_path: Path) -> Dataset:
    return pseudonymise(ds, tmp_path / "secret" / "pseudonyms.csv")


def written(path: Path) -> Iterator[tuple[str, bytes]]:
    """The path and the bytes of everything that was written, also in zips and parquet files."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        name = str(file.relative_to(path.parent))
        data = file.read_bytes() if file.is_file() else b""
        yield name, data
        if file.suffix == ".zip":
            with zipfile.ZipFile(BytesIO(data)) as archive:
                yield from ((each, archive.read(each)) for each in archive.namelist())
        if file.suffix == ".parquet":
            import pyarrow.parquet

            table = pyarrow.parquet.read_table(file)
            texts = [table.schema.to_string(), *(str(table.schema.metadata).split())]
            for row in table.to_pylist():
                row["image"]["bytes"] = b""
                texts.append(json.dumps(row, ensure_ascii=False, default=str))
            yield f"{name} rows", "\n".join(texts).encode()


def noise(name: str) -> bytes:
    """A PNG that no other is like."""
    out = BytesIO()
    PIL.Image.frombytes("RGB", (200, 100), random.Random(name).randbytes(200 * 100 * 3)).save(out, "PNG")
    return out.getvalue()


def plain(text: str) -> str:
    """A text as it is read: without pictures and the escapes of JSON and XML, and in one case and one form of accents."""
    text = re.sub(r"[A-Za-z0-9+/=]{200,}", "", text)
    text = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
    for escaped, character in (
        ("&quot;", '"'),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
        ('\\"', '"'),
        ('""', '"'),
    ):
        text = text.replace(escaped, character)
    return unicodedata.normalize("NFC", text).casefold()


def ids_in(path: Path) -> list[str]:
    """The files and ids in them that must not be there."""
    spelled = {unicodedata.normalize("NFC", text).casefold() for pair in IDS.items() for text in pair}
    spelled |= {text.replace(", ", "__") for text in spelled} | {"白血病", "anna"}
    patterns = {text: re.compile(rf"(?<![^\W_]){re.escape(text)}(?![^\W_])") for text in spelled} | {
        "4711007": re.compile("4711007")
    }
    found = []
    for name, data in written(path):
        for where, text in (
            ("name", name),
            ("bytes", "" if name.endswith(_COMPRESSED) else data.decode("utf-8", "replace")),
        ):
            found += [
                f"{each} in the {where} of {name}"
                for each, pattern in patterns.items()
                if pattern.search(plain(text))
            ]
    return found


def test_the_ids_are_found_where_they_are_not_replaced(ds: Dataset, tmp_path: Path) -> None:
    converters.coco.write(ds, tmp_path / "out", images="copy")
    found = ids_in(tmp_path / "out")
    for patient, folder in IDS.items():
        spelled = (unicodedata.normalize("NFC", text).casefold() for text in (patient, folder))
        assert any(each.startswith(f"{text} in the") for text in spelled for each in found), patient
    assert {re.sub(".* in the (name|bytes).*", r"\1", each) for each in found} == {"name", "bytes"}


@pytest.mark.parametrize("name", converters.names())
def test_no_format_has_an_id(name: str, hidden: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    try:
        converters.get(name).write(hidden, out)
    except MissingExtra as error:
        pytest.skip(str(error))
    out = out if out.exists() else out.with_suffix(".zip")
    assert len(list(written(out))) > 2
    assert ids_in(out) == []


@pytest.mark.parametrize("how", ["copy", "hardlink"])
@pytest.mark.parametrize("name", ["coco", "yolo"])
def test_copied_and_linked_images_have_names_without_ids(
    name: str, how: str, hidden: Dataset, tmp_path: Path
) -> None:
    converters.get(name).write(hidden, tmp_path / "out", images=how)
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == len(hidden.images)
    assert ids_in(tmp_path / "out") == []


def test_a_canonical_folder_has_ids_only_where_it_refers_to_image_files(
    hidden: Dataset, tmp_path: Path
) -> None:
    store.write(hidden.part("test"), tmp_path / "part")
    store.write(hidden, tmp_path / "all")
    assert [each for each in ids_in(tmp_path / "all") if "images.csv" not in each] == [
        "4711007 in the bytes of all/dataset.json"
    ]
    for folder in (tmp_path / "part", tmp_path / "all"):
        rows = list(csv.DictReader((folder / "images.csv").read_text(encoding="utf-8").splitlines()))
        assert all(row.pop("file") for row in rows)
        (folder / "images.csv").write_text("\n".join(map(str, rows)), encoding="utf-8")
        header = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        assert SECRET in header.pop("images_root")
        (folder / "dataset.json").write_text(json.dumps(header), encoding="utf-8")
        assert ids_in(folder) == []
    assert store.read_split(tmp_path / "all", str(hidden.split and hidden.split.name)) is not None


def test_findings_their_pictures_and_the_page_have_no_id_even_of_damaged_and_unlisted_files(
    ds: Dataset, hidden: Dataset, tmp_path: Path
) -> None:
    assert isinstance(ds.root, Path)
    (ds.root / "4711007.png").write_bytes(b"unlisted")
    (ds.root / str(ds.images[0].file)).unlink()
    (ds.root / str(ds.images[1].file)).write_bytes(b"damaged")
    found = checks.check(hidden)
    assert {"unreadable"} <= {each.kind for each in found.findings}
    assert "not checked: 1 image file that is not in the annotations" in found.notes
    checks.write_pictures(found.findings, tmp_path / "pictures", hidden)
    assert ids_in(tmp_path / "pictures") == []
    report.write(hidden, tmp_path / "page.html", checked=found)
    assert ids_in(tmp_path / "page.html") == []
    with pytest.warns(DataWarning, match="P-"):
        converters.crops.write(hidden, tmp_path / "crops")
    assert ids_in(tmp_path / "crops") == []


def test_a_differential_and_predictions_have_no_id(hidden: Dataset, tmp_path: Path) -> None:
    differential.write(differential.count(hidden), tmp_path / "counted")
    assert ids_in(tmp_path / "counted") == []
    rows = [
        converters.coco.Result(cell.image, cell.label, (10.0, 20.0, 50.0, 60.0), 0.9) for cell in hidden.cells
    ]
    (tmp_path / "predicted").mkdir()
    converters.coco.write_results(rows, replace(hidden, split=None), tmp_path / "predicted")
    assert ids_in(tmp_path / "predicted") == []


def test_images_of_a_data_set_that_is_read_again_have_no_id_in_a_path(
    hidden: Dataset, tmp_path: Path
) -> None:
    """The way to a canonical folder without any id: copies under their new names, imported."""
    converters.coco.write(hidden, tmp_path / "copies", images="copy")
    again = pcm.load_dataset(tmp_path / "copies")
    store.write(again, tmp_path / "data")
    assert again.patients == hidden.patients
    assert ids_in(tmp_path / "data") == []


def test_no_command_has_an_id_in_what_it_writes(run: Run, tmp_path: Path) -> None:
    """From an export that is called after a patient, with the ids in all paths, by the commands that people type."""
    names = ["ALL/4711007/4711007_1.png", "AML/0815/0815_1.png", "AML/Mu\u0308ller/1.png", "ALL/K7/2.png"]
    shapes = box("Monocyte", inner=attribute("of", "4711007")) + box("Other", (60, 30, 90, 60))
    text = document(*(image(name, shapes, number=number) for number, name in enumerate(names)))
    export = zipped(
        tmp_path / "4711007.zip",
        {"annotations.xml": text, **{f"images/{name}": noise(name) for name in names}},
    )
    pattern = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
    data, keys, out = tmp_path / "data", tmp_path / "keys.csv", tmp_path / "out"
    out.mkdir()
    commands: list[tuple[object, ...]] = [
        ("import", export, data, "--patients", pattern, "--pseudonyms", keys),
        ("split", data, "--val", "0.3", "--test", "0.3"),
        ("report", data, out / "page.html"),
        ("differential", data, out / "counted"),
        ("show", data, "/2.png", out / "frame.png"),
        *(("convert", data, out / name, "--to", name) for name in converters.names()),
        ("convert", data, out / "stripped", "--to", "yolo", "--strip-metadata"),
    ]
    for command in commands:
        done = run(*command)
        assert done.status == 0, (command, done.err)
        assert command[0] == "import" or not re.search(
            r"4711007|0815|M\w+ller|\bK7\b", done.out.replace(str(tmp_path), "")
        ), command
    run("check", data, "--pictures", out / "pictures")
    assert len(list(out.iterdir())) == 5 + len(converters.names())
    assert ids_in(out) == []
