"""The whole way on 364 real smear frames: import, split, convert, and what the consumers say."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import torchvision
from exports import SHARED
from pycocotools.coco import COCO

import pcm_leukemia as pcm
from pcm_leukemia.errors import DataWarning

EXPORT = SHARED / "bccd-cvat-images-1.1.zip"
CELLS = {"WBC": 372, "RBC": 4153, "Platelets": 361}


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory) -> pcm.Dataset:
    """BCCD has no patients: blocks of ten frames stand in for them."""
    if not EXPORT.is_file():
        pytest.skip(f"{EXPORT} is not there")
    with zipfile.ZipFile(EXPORT) as archive:
        frames = sorted(Path(name).name for name in archive.namelist() if name.endswith(".jpg"))
    groups = tmp_path_factory.mktemp("groups") / "patients.csv"
    lines = [f"{frame},block{number // 10:02d}" for number, frame in enumerate(frames)]
    groups.write_text("\n".join(["path,patient", *lines]), encoding="utf-8")
    with pytest.warns(DataWarning, match="has no area and is left out") as caught:
        ds = pcm.load_dataset(EXPORT, taxonomy="declared", patients=pcm.patients.Table(groups), name="bccd")
    for frame in ("BloodImage_00338.jpg", "BloodImage_00343.jpg"):
        assert frame in str(caught[0].message)
    return ds.with_split(pcm.splits.by_patient(ds))


def test_counts(ds: pcm.Dataset) -> None:
    assert repr(ds) == "Dataset(bccd: 37 patients, 364 images, 4,886 cells, 3 labels)"
    assert Counter(cell.label for cell in ds.cells) == CELLS


def test_split(ds: pcm.Dataset) -> None:
    assert ds.split is not None
    assert pcm.splits.leaks(ds, ds.split) == []
    parts = {part: ds.part(part) for part in ds.parts}
    people = [patient.id for rows in parts.values() for patient in rows.patients]
    assert len(people) == len(set(people)) == 37
    for part, share in {"test": 0.15, "val": 0.17, "train": 0.68}.items():
        assert len(parts[part].images) / 364 == pytest.approx(share, abs=0.02)
        for label, total in CELLS.items():
            found = sum(cell.label == label for cell in parts[part].cells)
            assert found / total == pytest.approx(share, abs=0.04)


def test_the_canonical_folder(ds: pcm.Dataset, tmp_path: Path) -> None:
    pcm.store.write(ds, tmp_path / "bccd")
    again = pcm.load_dataset(tmp_path / "bccd")
    assert again == ds
    assert again.root == EXPORT.resolve()
    assert pcm.load_dataset(tmp_path / "bccd", split="test") == ds.part("test")


def test_coco(ds: pcm.Dataset, tmp_path: Path) -> None:
    pcm.converters.coco.write(ds, tmp_path / "coco")
    found: Counter[str] = Counter()
    for part in ds.parts:
        with contextlib.redirect_stdout(io.StringIO()):
            read = COCO(str(tmp_path / "coco" / "annotations" / f"{part}.json"))
        assert len(read.getImgIds()) == len(ds.part(part).images)
        names = {category["id"]: category["name"] for category in read.loadCats(read.getCatIds())}
        found.update(names[row["category_id"]] for row in read.loadAnns(read.getAnnIds()))
    assert found == CELLS
    assert pcm.load_dataset(tmp_path / "coco").cells == ds.cells


def test_crops(ds: pcm.Dataset, tmp_path: Path) -> None:
    pcm.converters.crops.write(ds, tmp_path / "crops")
    found: Counter[str] = Counter()
    for part in ds.parts:
        read = torchvision.datasets.ImageFolder(str(tmp_path / "crops" / part))
        found.update(read.classes[label] for label in read.targets)
    assert found == CELLS


TRAIN = """
import sys
from ultralytics import YOLO
results = YOLO("yolo11n.yaml").train(
    data=sys.argv[1], epochs=1, imgsz=64, batch=32, device="cpu", workers=0, seed=0, plots=False,
    project=sys.argv[2], name="run", exist_ok=True, pretrained=False, amp=False,
)
"""


@pytest.mark.trains
def test_ultralytics_trains_on_it(ds: pcm.Dataset, tmp_path: Path) -> None:
    pcm.converters.yolo.write(ds, tmp_path / "yolo")
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(tmp_path / "config"), "YOLO_OFFLINE": "true"}
    run = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path / "yolo" / "data.yaml"), str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    said = run.stdout + run.stderr
    assert run.returncode == 0, said[-2000:]
    train, val = ds.part("train"), ds.part("val")
    assert f"{len(train.images)} images, 0 backgrounds, 0 corrupt" in said
    assert f"{len(val.images)} images, 0 backgrounds, 0 corrupt" in said
    row = next(line.split() for line in said.splitlines() if line.split()[:1] == ["all"])
    assert row[1:3] == [str(len(val.images)), str(len(val.cells))]
    assert (tmp_path / "runs" / "run" / "weights" / "last.pt").is_file()
