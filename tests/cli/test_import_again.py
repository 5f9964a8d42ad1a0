"""Importing into a data set that is there: nothing of it is lost without a word."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from commands import Run
from exports import box, document, header, image, png, write, zipped

from pcm_leukemia import Dataset, store
from pcm_leukemia.converters import cvat

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


@pytest.fixture
def data(run: Run, export: Path, tmp_path: Path) -> Path:
    """Ten patients, twenty images and an official split."""
    assert run("import", export, tmp_path / "data", "--patients", PATTERN).status == 0
    assert run("split", tmp_path / "data").status == 0
    return tmp_path / "data"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reviewed(tmp_path: Path, *names: str, label: str = "Basophil") -> Path:
    """What a reviewer gives back: a few images, whose cells are one of another class."""
    meta = header(labels=[label])
    return write(
        tmp_path / "reviewed.xml",
        document(*(image(name, box(label), number=n) for n, name in enumerate(names)), meta=meta),
    )


def test_fewer_images_are_refused_with_the_counts(run: Run, data: Path, tmp_path: Path) -> None:
    before = content(data)
    small = reviewed(tmp_path, "AML/P00/0.png", "AML/P01/0.png", "AML/P01/1.png")
    refused = run("import", small, data, "--patients", PATTERN)
    assert refused.status == 2
    assert refused.err.startswith(
        f"error: {data}: would lose 17 of 20 images (20 -> 3), 8 of 10 patients (10 -> 2), 17 "
    )
    assert (
        '17 images that split "official" places; --update changes the images of the new data' in refused.err
    )
    assert "--replace replaces it, or name another folder" in refused.err
    assert content(data) == before
    assert run("import", small, data, "--patients", PATTERN, "--replace").status == 0
    assert len(store.read(data, with_split=False).images) == 3


def test_patients_are_not_lost(run: Run, export: Path, data: Path) -> None:
    before = content(data)
    refused = run("import", export, data)
    assert refused.status == 2
    assert "would lose 10 of 10 patients (10 -> 0); " in refused.err
    assert (
        "has patient ids, and without them nothing keeps a patient in one part; give them again"
        in refused.err
    )
    assert content(data) == before
    assert run("import", export, data, "--patients", PATTERN).status == 0
    assert content(data) == before
    assert run("import", export, data, "--replace").status == 0


def test_a_split_whose_patients_are_lost_is_refused_everywhere(
    run: Run, export: Path, data: Path, tmp_path: Path
) -> None:
    assert run("import", export, data, "--replace").status == 0
    said = '20 of the 20 images that split "official" places had a patient when it was made and have none now'
    for words in (
        ("split", data, "--extend"),
        ("info", data),
        *(
            ("convert", data, tmp_path / form, "--to", form)
            for form in ("yolo", "coco", "crops", "cvat", "huggingface")
        ),
    ):
        refused = run(*words)
        assert refused.status == 1, words
        assert said in refused.err
        assert "give the patients again (pcm-leukemia import with --patients, " in refused.err
    assert not [*tmp_path.glob("yolo*"), *tmp_path.glob("coco*"), *tmp_path.glob("crops*")]
    assert run("import", export, data, "--patients", PATTERN).status == 0
    assert run("split", data, "--extend").status == 0


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"/(?P<patient>P[^/]+)/", "would lose the diagnosis of 20 images; "),
        (r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/", ""),
    ],
)
def test_diagnoses_are_not_lost(run: Run, export: Path, data: Path, pattern: str, said: str) -> None:
    again = run("import", export, data, "--patients", pattern)
    assert again.status == (2 if said else 0)
    assert said in again.err


def test_all_cells_at_once_are_not_lost(run: Run, data: Path, tmp_path: Path) -> None:
    ds = store.read(data)
    cvat.write(ds.select(labels=set()), tmp_path / "empty.zip")
    refused = run("import", tmp_path / "empty.zip", data, "--patients", PATTERN)
    assert refused.status == 2
    assert "would lose 30 of 30 cells (30 -> 0)" in refused.err
    assert run("import", tmp_path / "empty.zip", data, "--patients", PATTERN, "--update").status == 0
    assert store.read(data).cells == ()


def test_a_growing_data_set_and_merged_patients_lose_nothing(run: Run, data: Path, tmp_path: Path) -> None:
    names = [f"AML/P{patient:02d}/{number}.png" for patient in range(12) for number in (0, 1)]
    grown = write(
        tmp_path / "grown.xml",
        document(*(image(name, box("Other"), number=n) for n, name in enumerate(names))),
    )
    assert run("import", grown, data, "--patients", PATTERN).status == 0
    merged = run("import", grown, data, "--patients", PATTERN, "--patients-same", "P00=P01")
    assert merged.status == 0, merged.err
    assert len(store.read(data, with_split=False).patients) == 11


def test_a_split_of_the_same_name_is_not_replaced(run: Run, data: Path, tmp_path: Path) -> None:
    before = content(data)
    assert run("import", data, tmp_path / "other").status == 0
    assert run("split", tmp_path / "other", "--seed", "7", "--replace").status == 0
    for export in (tmp_path / "other", tmp_path / "coco"):
        if export.name == "coco":
            assert run("convert", tmp_path / "other", export, "--to", "coco").status == 0
        refused = run("import", export, data)
        assert refused.status == 2
        assert 'would lose split "official", which has other parts in the new data; ' in refused.err
        assert content(data) == before
    # the same split is none that is lost
    assert run("import", data, tmp_path / "same").status == 0
    assert run("import", data, tmp_path / "same").status == 0
    assert run("import", tmp_path / "other", data, "--replace").status == 0
    assert store.read_split(data, "official").made["seed"] == "7"


def test_a_folder_that_cannot_be_read_is_not_replaced_in_silence(run: Run, export: Path, data: Path) -> None:
    (data / "images.csv").write_text("broken\n")
    refused = run("import", export, data, "--patients", PATTERN)
    assert refused.status == 2
    assert "holds a data set that cannot be read, so what would be lost is unknown" in refused.err
    assert run("import", export, data, "--patients", PATTERN, "--replace").status == 0
    assert len(store.read(data).images) == 20


# --update


def test_reviewed_images_come_back(run: Run, data: Path, tmp_path: Path) -> None:
    before = store.read(data)
    small = reviewed(tmp_path, "AML/P00/0.png", "AML/P01/1.png")
    done = run("import", small, data, "--update")
    assert (done.status, done.err) == (0, "")
    assert "2 images read: 2 changed, 0 new, 0 the same\n  0 new patients, 0 new diagnoses" in done.out
    after = store.read(data)
    assert (after.images, after.patients, after.split, after.name) == (
        before.images,
        before.patients,
        before.split,
        "data",
    )
    assert (after.root, [each.file for each in after.images]) == (
        before.root,
        [each.file for each in before.images],
    )
    for each in after.images:
        labels = [cell.label for cell in after.cells_of(each)]
        if each.id in ("AML/P00/0.png", "AML/P01/1.png"):
            assert labels == ["Basophil"]
        else:
            assert after.cells_of(each) == before.cells_of(each)
    assert run("split", data, "--extend").status == 0
    again = run("import", small, data, "--update")
    assert "2 images read: 0 changed, 0 new, 2 the same" in again.out


@pytest.mark.parametrize("subsets", ["as given", "split"])
def test_what_convert_wrote_for_a_review_comes_back(
    run: Run, data: Path, tmp_path: Path, subsets: str
) -> None:
    written = run(
        "convert", data, tmp_path / "review.zip", "--to", "cvat", "--part", "test", "--subsets", subsets
    )
    assert written.status == 0, written.err
    before = store.read(data)
    done = run("import", tmp_path / "review.zip", data, "--update")
    assert done.status == 0, done.err
    assert store.read(data) == before
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "review.zip") as archive:
        archive.extractall(folder)
    xml = folder / "annotations.xml"
    xml.write_text(re.sub('label="Monocyte"', 'label="Basophil"', xml.read_text(), count=1))
    done = run("import", folder, data, "--update", "--patients-csv", folder / "patients.csv")
    assert done.status == 0, done.err
    assert "read: 1 changed, 0 new" in done.out


def test_the_classes_of_an_update_are_those_of_the_data_set(run: Run, tmp_path: Path) -> None:
    labels = ["RBC", "WBC"]
    text = document(
        image("a.png", box("RBC")), image("b.png", box("WBC"), number=1), meta=header(labels=labels)
    )
    export = write(tmp_path / "first.xml", text)
    assert run("import", export, tmp_path / "data", "--taxonomy", "declared").status == 0
    small = reviewed(tmp_path, "a.png", label="rbc")
    assert run("import", small, tmp_path / "data", "--update").status == 0
    small = reviewed(tmp_path, "a.png", label="Blast")
    refused = run("import", small, tmp_path / "data", "--update")
    assert refused.status == 1
    assert 'label "Blast" is not a class of declared' in refused.err
    assert run("import", small, tmp_path / "data", "--update", "--map", "Blast=WBC").status == 0
    assert run("import", small, tmp_path / "data", "--update", "--taxonomy", "declared").status == 0
    ds: Dataset = store.read(tmp_path / "data")
    assert ds.taxonomy.labels == ("RBC", "WBC", "Blast")
    assert [cell.label for cell in ds.cells] == ["Blast", "WBC"]


def test_new_images_of_an_update_are_placed_by_extend(run: Run, data: Path, tmp_path: Path) -> None:
    small = reviewed(tmp_path, "AML/P00/0.png", "AML/P00/2.png")
    done = run("import", small, data, "--update", "--patients", PATTERN)
    assert done.status == 0, done.err
    assert "place the new images in a split: pcm-leukemia split" in done.out
    before = store.read_split(data, "official")
    assert run("split", data, "--extend").status == 0
    after = store.read_split(data, "official")
    assert after.part_of["AML/P00/2.png"] == before.part_of["AML/P00/0.png"]  # type: ignore[index]


def test_an_update_that_does_not_fit_changes_nothing(run: Run, data: Path, tmp_path: Path) -> None:
    before = content(data)
    other = write(tmp_path / "size.xml", document(image("AML/P00/0.png", box("Other"), width=100)))
    refused = run("import", other, data, "--update")
    assert refused.status == 1
    assert "its size in pixels is 100 x 100, and 200 x 100 in data" in refused.err
    recoloured = zipped(
        tmp_path / "other.zip",
        {
            "annotations.xml": document(image("AML/P00/0.png", box("Other"))),
            "images/AML/P00/0.png": png(color=(1, 2, 3)),
        },
    )
    refused = run("import", recoloured, data, "--update")
    assert refused.status == 1
    assert "its file is not the file of this image in data" in refused.err
    small = reviewed(tmp_path, "AML/P00/0.png")
    refused = run("import", small, data, "--update", "--patients", "(?P<patient>AML)/")
    assert refused.status == 1
    assert "its patient is AML, and P00 in data" in refused.err
    for words, said in (
        (("--update", "--replace"), "--update keeps what --replace gives up; give one of them"),
        (("--update", "--clip", "--variant", "x"), "--variant does not apply to a CVAT export"),
    ):
        refused = run("import", small, data, *words)
        assert refused.status == 2
        assert said in refused.err
    refused = run("import", small, tmp_path / "new", "--update")
    assert refused.status == 2
    assert f"{tmp_path / 'new'}: holds no data set to update; leave out --update" in refused.err
    assert content(data) == before
    assert not (tmp_path / "new").exists()


def test_the_demo_does_not_write_over_a_data_set(run: Run, data: Path) -> None:
    before = content(data)
    refused = run("demo", data.parent)
    assert refused.status == 2
    assert "would lose 20 of 20 images" in refused.err
    assert content(data) == before


def test_patients_that_an_update_spells_in_another_way_are_named_or_merged(
    run: Run, data: Path, tmp_path: Path
) -> None:
    small = reviewed(tmp_path, "AML/P00/0.png", "AML/P0/9.png")
    before = content(data)
    refused = run("import", small, data, "--update", "--patients", PATTERN, "--patients-same", "P0=P99")
    assert refused.status == 2
    assert '--patients-same P0=P99: "P99" is not a patient of data, the nearest is "P09"' in refused.err
    assert content(data) == before
    merged = run("import", small, data, "--update", "--patients", PATTERN, "--patients-same", "P0=P00")
    assert (merged.status, len(store.read(data, with_split=False).patients)) == (0, 10)
    assert run("import", data, tmp_path / "again").status == 0
    assert run("import", small, tmp_path / "again", "--update", "--patients", PATTERN).status == 1
    other = reviewed(tmp_path, "AML/P00/0.png", "AML/P1/8.png")
    done = run("import", other, data, "--update", "--patients", PATTERN)
    assert '"P01" and "P1"; if they are one, a split may put them into two parts' in done.err
    assert len(store.read(data, with_split=False).patients) == 11
