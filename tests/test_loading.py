"""`load_dataset`: every form of data, every option honoured or refused, the images wherever they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from damaged.mutations import LFS_POINTER
from exports import box, document, image, png, write, zipped

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Dataset, load_dataset, sample, store
from pcm_leukemia.errors import (
    DataNotFound,
    DataWarning,
    InvalidDataset,
    InvalidExport,
    PcmError,
    UnknownPart,
)

PATTERN = r"(?P<patient>[^/]+)/"
NAMES = ("P1/a.png", "P2/a.png", "P3/a.png")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    text = document(*(image(name, box("Monocyte") + box("Other"), number=n) for n, name in enumerate(NAMES)))
    members: dict[str, str | bytes] = {"annotations.xml": text}
    members |= {f"images/{name}": png() for name in NAMES}
    return zipped(tmp_path / "export.zip", members)


@pytest.fixture
def ds(export: Path) -> pcm.Dataset:
    ds = pcm.load_dataset(export, patients=PATTERN)
    parts = dict(zip((each.id for each in ds.images), ("train", "val", "test"), strict=True))
    return ds.with_split(pcm.Split("official", parts, {"method": "by hand"}))


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The same images in a folder that stands elsewhere."""
    for name in NAMES:
        write(tmp_path / "elsewhere" / name, png())
    return tmp_path / "elsewhere"


def drawn(ds: pcm.Dataset) -> list[tuple[str, str, pcm.Box]]:
    """What every form keeps of the cells."""
    return [(cell.image, cell.label, cell.box) for cell in ds.cells]


def test_every_form_gives_the_same_cells(ds: pcm.Dataset, export: Path, tmp_path: Path) -> None:
    pcm.store.write(ds, tmp_path / "data")
    pcm.converters.yolo.write(ds, tmp_path / "yolo")
    pcm.converters.coco.write(ds, tmp_path / "coco", images="copy")
    forms: list[tuple[object, Path]] = [
        (pcm.converters.cvat, export),
        (pcm.store, tmp_path / "data"),
        (pcm.converters.yolo, tmp_path / "yolo"),
        (pcm.converters.yolo, tmp_path / "yolo" / "data.yaml"),
        (pcm.converters.coco, tmp_path / "coco"),
    ]
    for form, path in forms:
        assert form is pcm.converters.recognise(path)
        again = pcm.load_dataset(path, patients=PATTERN, name="one")
        assert (again.name, again.patients, drawn(again)) == ("one", ds.patients, drawn(ds))
        assert all(each.file for each in again.images)
        if path != export:
            test = pcm.load_dataset(path, "test", "classification")
            assert [(cell.image, cell.label) for cell in test.cells] == [("P3/a.png", "Monocyte")]
            assert test.taxonomy.labels == pcm.NINE.labels[:-1]


@pytest.mark.parametrize(
    ("files", "form"),
    [
        (("dataset.json", "data.yaml", "a.json", "a.xml"), "store"),
        (("data.yaml", "a.json", "a.xml"), "converters.yolo"),
        (("detection/train.parquet", "croissant.json", "a.xml"), "converters.huggingface"),
        (("annotations.xml", "notes.json"), "converters.cvat"),
        (("annotations/instances_train.json", "annotations/xmls/a.xml"), "converters.coco"),
        (("instances.json", "below/a.xml"), "converters.coco"),
        (("pcm-leukemia.json", "below/a.XML"), "converters.cvat"),
    ],
)
def test_a_folder_with_files_of_several_formats_is_of_the_most_particular(
    tmp_path: Path, files: tuple[str, ...], form: str
) -> None:
    for file in files:
        write(tmp_path / file, "")
    found = pcm.converters.recognise(tmp_path)
    assert cast("ModuleType", found).__name__ == f"pcm_leukemia.{form}"


def test_parts_and_tasks_that_are_not_there(ds: pcm.Dataset, export: Path, tmp_path: Path) -> None:
    pcm.store.write(ds, tmp_path / "data")
    with pytest.raises(UnknownPart, match='part "tset": split "official" has train, val, test; use one'):
        pcm.load_dataset(tmp_path / "data", split="tset")
    with pytest.raises(UnknownPart, match="has no split; make one with splits.by_patient"):
        pcm.load_dataset(export, split="train")
    with pytest.raises(ValueError, match='task "blasts": .* use one of: detection, wbc, classification'):
        pcm.load_dataset(export, task="blasts")


def test_the_images_may_have_gone_elsewhere(
    ds: pcm.Dataset, export: Path, unpacked: Path, tmp_path: Path
) -> None:
    pcm.store.write(ds, tmp_path / "data")
    pcm.converters.coco.write(ds, tmp_path / "coco")
    export.unlink()
    for path in (tmp_path / "data", tmp_path / "coco", tmp_path / "coco" / "annotations" / "test.json"):
        there = pcm.load_dataset(path, images_root=unpacked)
        assert there.root == unpacked
        pcm.converters.crops.write(there, tmp_path / "crops")
        assert len(list((tmp_path / "crops").rglob("*.png"))) == len(there.cells) > 0


def test_images_that_are_not_there_or_of_another_size_are_named(
    ds: pcm.Dataset, unpacked: Path, tmp_path: Path
) -> None:
    pcm.store.write(ds, tmp_path / "data")
    pcm.converters.coco.write(ds, tmp_path / "coco")
    (unpacked / NAMES[0]).unlink()
    write(unpacked / NAMES[1], png(10, 10))
    for form, error in (("data", InvalidDataset), ("coco", InvalidExport)):
        with pytest.raises(error) as caught:
            pcm.load_dataset(tmp_path / form, images_root=unpacked)
        missing, other = str(caught.value).splitlines()
        assert missing.startswith(f'image "{NAMES[0]}": has no file in {unpacked}')
        assert other.startswith(f'image "{NAMES[1]}": is annotated as 200 x 100 pixels, its file is 10 x 10')


def test_options_that_would_do_nothing_are_refused(ds: pcm.Dataset, export: Path, tmp_path: Path) -> None:
    pcm.store.write(ds, tmp_path / "data")
    pcm.converters.yolo.write(ds, tmp_path / "yolo")
    with pytest.raises(
        ValueError, match=r"clip does not apply to a canonical folder \(dataset\.json\); leave it out"
    ):
        pcm.load_dataset(tmp_path / "data", clip=True)
    with pytest.raises(
        ValueError, match=r"variant does not apply to a YOLO folder \(data\.yaml\); leave it out"
    ):
        pcm.load_dataset(tmp_path / "yolo", variant="fine")
    with pytest.raises(ValueError, match="split_name does not apply to a CVAT export"):
        pcm.load_dataset(export, split_name="official")
    table = tmp_path / "patients.csv"
    with pytest.raises(TypeError, match=r'patients: .*patients\.csv.* must be .* pass patients\.Table\("'):
        pcm.load_dataset(export, patients=table)  # type: ignore[arg-type]
    assert pcm.load_dataset(tmp_path / "data", taxonomy="declared").taxonomy == pcm.NINE


def test_patients_by_every_way(tmp_path: Path) -> None:
    tag = '<tag label="P7" source="manual"><attribute name="patient">P7</attribute></tag>'
    export = write(tmp_path / "a.xml", document(image("P7/a.png", box("Other") + tag)))
    table = write(tmp_path / "patients.csv", "path,patient\nP7,P7\n")
    expected = (pcm.Patient(pcm.schema.PatientId("P7")),)
    assert pcm.load_dataset(export, patients=PATTERN).patients == expected
    assert pcm.load_dataset(export, patients=pcm.patients.Table(table)).patients == expected
    assert pcm.load_dataset(export, patients=pcm.patients.Tag("(?P<patient>P.)")).patients == expected
    assert pcm.load_dataset(export, patients=pcm.patients.Attribute("patient")).patients == expected
    assert pcm.load_dataset(export).patients == ()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "no such file or folder; give a CVAT export"),
        ("notes.txt", "is not a data set; give a CVAT export"),
        ("empty", "contains no data set; give a CVAT export"),
        ("zipped", r"contains no data set; unzip e\.zip, or give its path"),
        (
            "parquet",
            "contains no data set; data/train.parquet is of a Hugging Face data set that pcm-leukemia did",
        ),
        (
            "jsonl",
            "contains no data set; train/metadata.jsonl is of a Hugging Face data set that pcm-leukemia",
        ),
        (
            "crops",
            "contains no data set; if it has a folder of images for each class, give image_folder:.*crops",
        ),
        (
            "crops_in_parts",
            "contains no data set; if it has a folder of images for each class, give image_folder:",
        ),
        (
            "frames",
            (
                r"frames: contains no data set; images without annotations are for CVAT, or for a model that finds their cells "
                r"\(pcm-leukemia predict RUN .*frames OUT\) or chooses which to annotate first \(pcm-leukemia next\)$"
            ),
        ),
        ("frames/a.tif", "a.tif: is not a data set; images without annotations are for CVAT, or for a model"),
        (
            "run",
            "run: is a run and not a data set; evaluate, report and predict take runs, for example baselines.Run",
        ),
        (
            "folds",
            (
                "folds: holds 2 runs and no data set; pcm-leukemia suspects DATA OUT --runs .*folds takes all of them, and evaluate, "
                "report and predict take one: .*fold-1$"
            ),
        ),
        (
            "suspects",
            "suspects: holds suspects and no data set; to show them, run: pcm-leukemia report DATA page.html --s",
        ),
        ("figures", "figures: holds figures and no data set; give the data that were scored$"),
    ],
)
def test_what_is_no_data_set(tmp_path: Path, name: str, sentence: str) -> None:
    write(tmp_path / "notes.txt", "buy milk")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "zipped" / "e.zip", b"")
    write(tmp_path / "parquet" / "data" / "train.parquet", b"")
    write(tmp_path / "jsonl" / "train" / "metadata.jsonl", b"")
    write(tmp_path / "jsonl" / "train" / "a.png", b"")
    write(tmp_path / "crops" / "Monocyte" / "a.PNG", b"")
    write(tmp_path / "crops_in_parts" / "train" / "Monocyte" / "a.jpg", b"")
    write(tmp_path / "frames" / "a.tif", b"x")
    for run in ("run", "folds/fold-1", "folds/fold-2"):
        write(tmp_path / run / "run.json", '{"asked": {}}')
    write(tmp_path / "folds" / "folds.json", "{}")
    for form in ("suspects", "figures"):
        mark: dict[str, object] = {"written_by": "pcm-leukemia", "format": form, "entries": []}
        write(tmp_path / form / "pcm-leukemia.json", json.dumps(mark))
        write(tmp_path / form / "frames.zip", b"")
    with pytest.raises(DataNotFound, match=sentence):
        pcm.load_dataset(tmp_path / name)


def test_coco_may_be_called_run(tmp_path: Path) -> None:
    rows = {
        "images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}],
        "annotations": [],
        "categories": [],
    }
    write(tmp_path / "run.json", json.dumps(rows))
    with pytest.warns(DataWarning, match="no image has an annotation"):
        assert len(pcm.load_dataset(tmp_path, check_images=False).images) == 1


def test_headers_of_images_are_looked_at_unless_told_not_to(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {"annotations.xml": document(image("a.png")), "images/a.png": png(9, 9)}
    export = zipped(tmp_path / "e.zip", members)
    with pytest.raises(InvalidExport, match="is annotated as 200 x 100 pixels, its file is 9 x 9"):
        pcm.load_dataset(export)
    (problem,) = pcm.cvat.inspect(export).problems
    assert problem.where == 'image "a.png"'
    assert problem.what == "is annotated as 200 x 100 pixels, its file is 9 x 9"
    ds = pcm.load_dataset(export, check_images=False)
    assert replace(ds.images[0], file=None) == ds.images[0]


@pytest.mark.parametrize(
    "name",
    ["a.xml", "a.zip", "a.json", "data.yaml", "dataset.json", "detection/train-00000-of-00001.parquet"],
)
def test_a_pointer_of_git_lfs_is_named(name: str, tmp_path: Path) -> None:
    """A clone without `git lfs pull` has such files in place of the large ones."""
    file = tmp_path / "data" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(LFS_POINTER)
    place = file if len(file.relative_to(tmp_path).parts) == 2 and name[0] == "a" else tmp_path / "data"
    with pytest.raises(PcmError, match=r"is a Git LFS pointer.* run git lfs pull"):
        load_dataset(place)


def test_data_without_images_are_refused(tmp_path: Path) -> None:
    store.write(Dataset("empty", NINE, ()), tmp_path / "empty")
    with pytest.raises(DataNotFound, match="holds no image; give data with images"):
        load_dataset(tmp_path / "empty")


@pytest.mark.filterwarnings("ignore:.*become white cells of unknown type")
@pytest.mark.parametrize("target", ["Other", "ignore", "WBC"])
def test_the_nine_classes_keep_their_ids_when_one_of_them_is_read_as_another(
    target: str, tmp_path: Path
) -> None:
    """From tables as from the export that they came from."""
    export = sample.write(tmp_path / "export.zip", patients=2, images=6)
    store.write(load_dataset(export), tmp_path / "tables")
    read = [load_dataset(path, labels={"Monocyte": target}) for path in (export, tmp_path / "tables")]
    assert [ds.taxonomy for ds in read] == [NINE, NINE]
    assert read[0].counts == read[1].counts
    assert read[0].cells == read[1].cells
    declared = load_dataset(tmp_path / "tables", labels={"Monocyte": target}, taxonomy="declared")
    assert "Monocyte" not in declared.taxonomy.labels
