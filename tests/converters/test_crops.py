"""Crops: the right pixels in the right folder, exactly once, also after interruptions."""

from __future__ import annotations

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torchvision
from msgspec import structs

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Patient, Split, images
from pcm_leukemia.converters import crops
from pcm_leukemia.converters.crops import resume
from pcm_leukemia.converters.crops.table import row_of, write_table
from pcm_leukemia.errors import DataNotFound, DataWarning, ExportError, LeakySplit
from pcm_leukemia.schema import ImageId, PatientId

LABELS = ("Lymphocyte", "Monocyte", "Other")


def smears(folder: Path, count: int = 6, width: int = 320, height: int = 200) -> Dataset:
    """`count` images of as many patients, all called a.png or a.jpg, with three cells each."""
    rng = np.random.default_rng(0)
    rows, cells = [], []
    for number in range(count):
        name = f"P{number}/a.{'jpg' if number % 2 else 'png'}"
        (folder / name).parent.mkdir(parents=True)
        PIL.Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(folder / name)
        rows.append(Image(ImageId(name), width, height, PatientId(f"P{number}"), file=name))
        for cell, label in enumerate(LABELS):
            x = 10.4 + 90 * cell
            cells.append(Cell(rows[-1].id, cell, label, Box(x, 30.5, x + 40, 80), label.lower()))
    patients = tuple(Patient(PatientId(f"P{number}"), "AML") for number in range(count))
    return Dataset("demo", NINE, tuple(rows), tuple(cells), patients, root=folder)


def divided(ds: Dataset) -> Dataset:
    parts = ["train"] * (len(ds.images) - 2) + ["val", "test"]
    return ds.with_split(Split("official", dict(zip((image.id for image in ds.images), parts, strict=True))))


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "crops.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    return divided(smears(tmp_path / "export"))


def test_layout_and_table(ds: Dataset, tmp_path: Path) -> None:
    report = crops.write(ds, tmp_path / "crops", task="classification", padding=20)
    rows = table(tmp_path / "crops")
    assert {row["label"] for row in rows} == {"Lymphocyte", "Monocyte"}
    assert len(rows) == 12
    assert report.cells["train"] == {"Lymphocyte": 4, "Monocyte": 4}
    first = rows[0]
    assert (first["image"], first["cell"], first["part"], first["patient"], first["diagnosis"]) == (
        "P0/a.png",
        "0",
        "train",
        "P0",
        "AML",
    )
    assert (first["file"], first["raw_label"]) == ("train/Lymphocyte/P0__a_0.png", "lymphocyte")
    assert [float(first[side]) for side in ("x1", "y1", "x2", "y2")] == [10.4, 30.5, 50.4, 80]
    assert [int(first[f"crop_{side}"]) for side in ("x1", "y1", "x2", "y2")] == [0, 10, 71, 100]
    written = {
        path.relative_to(tmp_path / "crops").as_posix() for path in (tmp_path / "crops").rglob("*.png")
    }
    assert written == {row["file"] for row in rows}


def test_images_without_cells_are_counted(ds: Dataset, tmp_path: Path) -> None:
    empty = ds.images[0].id
    without = replace(ds, cells=tuple(cell for cell in ds.cells if cell.image != empty))
    assert crops.write(ds, tmp_path / "all").skipped["images without cells"] == 0
    report = crops.write(without, tmp_path / "crops")
    assert (report.images["train"], report.skipped["images without cells"]) == (3, 1)
    assert "left out: 1 image without cells" in str(report)


def test_png_crops_are_what_pillow_decodes_and_cuts(ds: Dataset, tmp_path: Path) -> None:
    crops.write(ds, tmp_path / "crops")
    assert isinstance(ds.root, Path)
    for row in table(tmp_path / "crops"):
        x1, y1, x2, y2 = (int(row[f"crop_{side}"]) for side in ("x1", "y1", "x2", "y2"))
        with (
            PIL.Image.open(ds.root / row["image"]) as source,
            PIL.Image.open(tmp_path / "crops" / row["file"]) as crop,
        ):
            assert (np.asarray(crop) == np.asarray(source.convert("RGB").crop((x1, y1, x2, y2)))).all()


def test_the_table_reads_back_as_it_was_written(ds: Dataset, tmp_path: Path) -> None:
    crops.write(ds, tmp_path / "crops", padding=20)
    header, first = (tmp_path / "crops" / "crops.csv").read_text(encoding="utf-8").splitlines()[:2]
    assert header == (  # as in every earlier version
        "file,image,cell,part,label,raw_label,patient,diagnosis,x1,y1,x2,y2,crop_x1,crop_y1,crop_x2,crop_y2,"
        "padding,border"
    )
    assert first == (
        "train/Lymphocyte/P0__a_0.png,P0/a.png,0,train,Lymphocyte,lymphocyte,P0,AML,10.4,30.5,50.4,80.0,"
        "0,10,71,100,20,clip"
    )
    rows = crops.read_table(tmp_path / "crops")
    assert rows == [row_of(ds, cell, row.file, 20, "clip") for row, cell in zip(rows, ds.cells, strict=True)]
    again = tmp_path / "again"
    again.mkdir()
    write_table(rows, again)
    assert (again / "crops.csv").read_bytes() == (tmp_path / "crops" / "crops.csv").read_bytes()


def test_image_folder_reads_it(ds: Dataset, tmp_path: Path) -> None:
    crops.write(ds, tmp_path / "crops", task="classification")
    read = torchvision.datasets.ImageFolder(str(tmp_path / "crops" / "train"))
    assert read.classes == ["Lymphocyte", "Monocyte"]
    assert len(read) == 8
    assert [label for _, label in read] == [0] * 4 + [1] * 4


@pytest.mark.parametrize("border", ["clip", "reflect", "constant"])
def test_borders(ds: Dataset, tmp_path: Path, border: str) -> None:
    crops.write(ds, tmp_path / "crops", border=border, padding=90)  # type: ignore[arg-type]
    for row in table(tmp_path / "crops"):
        with PIL.Image.open(tmp_path / "crops" / row["file"]) as crop:
            size = int(row["crop_x2"]) - int(row["crop_x1"]), int(row["crop_y2"]) - int(row["crop_y1"])
            assert crop.size == size
            assert (size == (221, 230)) == (border != "clip")


def test_one_name_in_many_folders_stays_many_crops(tmp_path: Path) -> None:
    names = [
        "P1/img_001.jpg",
        "P2/img_001.jpg",
        "a/b_c.jpg",
        "a_b/c.jpg",
        "a__b.jpg",
        "a/b.jpg",
        "x.jpg",
        "x.png",
        "X.jpg",
        f"{'é' * 120}.png",
        'q"?.png',
        "q__.png",
    ]
    folder = tmp_path / "export"
    folder.mkdir()
    PIL.Image.new("RGB", (40, 40)).save(folder / "one.png")
    rows = tuple(Image(ImageId(name), 40, 40, file="one.png") for name in names)
    cells = tuple(Cell(row.id, 7, "Other", Box(5, 5, 20, 20)) for row in rows)
    crops.write(Dataset("x", NINE, rows, cells, root=folder), tmp_path / "crops")
    files = [row["file"] for row in table(tmp_path / "crops")]
    assert len({file.casefold() for file in files}) == len(names)
    assert len(list((tmp_path / "crops").rglob("*.png"))) == len(names)
    assert "all/Other/P1__img_001_7.png" in files
    assert all(len(Path(file).name.encode()) < 255 for file in files)


def test_zip_jpg_and_part(ds: Dataset, tmp_path: Path) -> None:
    assert isinstance(ds.root, Path)
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        for image in ds.images:
            archive.write(ds.root / str(image.file), str(image.file))
    packed = replace(ds, root=tmp_path / "e.zip")
    crops.write(packed, tmp_path / "from_zip")
    crops.write(ds, tmp_path / "from_folder")
    assert tree(tmp_path / "from_zip") == tree(tmp_path / "from_folder")
    crops.write(packed.part("test"), tmp_path / "jpg", format="jpg", quality=80)
    assert sorted(path.name for path in (tmp_path / "jpg").rglob("*.jpg")) == [
        f"P5__a_{n}.jpg" for n in range(3)
    ]


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_any_executor_and_any_number_of_workers(ds: Dataset, tmp_path: Path, kind: type[Executor]) -> None:
    with kind(2) as executor:  # type: ignore[call-arg]
        crops.write(ds, tmp_path / "given", executor=executor)
    for workers in (1, 3):
        crops.write(ds, tmp_path / f"own{workers}", workers=workers)
        assert tree(tmp_path / f"own{workers}") == tree(tmp_path / "given")


def test_each_image_is_decoded_once_and_negatives_not_at_all(
    ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    negative = Image(ImageId("negative.png"), 10, 10, file="not_there.png")
    ds = replace(ds, split=None, images=(*ds.images, negative))
    opened = []
    read = images.Files.read

    def counted(files: images.Files, file: str) -> bytes:
        opened.append(file)
        return read(files, file)

    monkeypatch.setattr(images.Files, "read", counted)
    crops.write(ds, tmp_path / "crops")
    assert sorted(opened) == sorted(str(image.file) for image in ds.images if image is not negative)


def test_unreadable_images_are_named_and_the_rest_is_written(ds: Dataset, tmp_path: Path) -> None:
    assert isinstance(ds.root, Path)
    (ds.root / "P1" / "a.jpg").write_bytes(b"no image")
    (ds.root / "P2" / "a.png").unlink()
    with pytest.warns(DataWarning, match=r'image "P1/a\.jpg": P1/a\.jpg: is not an image') as caught:
        report = crops.write(ds, tmp_path / "crops")
    assert 'image "P2/a.png"' in str(caught[0].message)
    assert report.skipped["images that cannot be read"] == 2
    assert report.skipped["cells in them"] == 6
    assert len(table(tmp_path / "crops")) == 12


SLOW = """
import sys, time
sys.path[:0] = {tests!r}
from pathlib import Path
from test_crops import smears, divided
from dataclasses import replace
from pcm_leukemia.converters.crops import writer
from pcm_leukemia import images
ds = divided(smears(Path({export!r}), 30)) if not Path({export!r}).exists() else None
real = images.encode
def slow(*arguments):
    time.sleep(0.02)
    return real(*arguments)
writer.encode = slow
writer.write(ds, {out!r}, workers=2)
"""


def test_killed_and_run_again_it_gives_what_one_run_gives(tmp_path: Path) -> None:
    export, out = tmp_path / "export", tmp_path / "crops"
    tests = [str(folder) for folder in Path(__file__).parents[:2]]
    code = SLOW.format(tests=tests, export=str(export), out=str(out))
    run = subprocess.Popen([sys.executable, "-c", code])
    partial = tmp_path / ".crops.partial"
    while run.poll() is None and len(list(partial.rglob("*.png"))) < 10:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not out.exists()
    finished = {path: path.stat().st_mtime_ns for path in partial.rglob("*.png")}
    assert 10 <= len(finished) < 90
    ds = divided(smears(tmp_path / "same", 30))
    ds = replace(ds, root=export)
    crops.write(ds, out)
    kept = [
        path
        for path, when in finished.items()
        if (out / path.relative_to(partial)).stat().st_mtime_ns == when
    ]
    assert len(kept) > len(finished) // 2  # an image cut short is cut again
    crops.write(ds, tmp_path / "one_run")
    assert tree(out) == tree(tmp_path / "one_run")
    assert not partial.exists()


def test_what_an_interrupted_run_left_is_not_used_for_another_job(ds: Dataset, tmp_path: Path) -> None:
    partial = tmp_path / ".crops.partial"
    stale = partial / "train" / "Lymphocyte" / "P0__a_0.png"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"of other data")
    (partial / "state.json").write_text("{}")
    crops.write(ds, tmp_path / "crops")
    assert (tmp_path / "crops" / "train" / "Lymphocyte" / "P0__a_0.png").read_bytes() != b"of other data"


def test_crops_of_images_that_have_changed_are_cut_again(ds: Dataset) -> None:
    image = next(image for image in ds.images if ds.cells_of(image))
    state = resume.source_of(ds)
    assert isinstance(ds.root, Path)
    file = ds.root / str(image.file)
    os.utime(file, (0, 0))
    assert resume.source_of(ds)["files"] != state["files"]
    assert resume.source_of(ds)["fingerprint"] == state["fingerprint"]


def test_two_runs_at_once_are_refused_and_what_is_in_the_way_stays(ds: Dataset, tmp_path: Path) -> None:
    partial = tmp_path / ".crops.partial"
    partial.mkdir()
    (partial / "mine.txt").touch()
    with pytest.raises(ExportError, match="is needed for unfinished crops but holds other files; move it"):
        crops.write(ds, tmp_path / "crops")
    assert (partial / "mine.txt").exists()
    (partial / "mine.txt").unlink()
    (partial / "state.json").write_text("{}")
    (partial / "running").write_text("1")  # the first process of the system
    with pytest.raises(ExportError, match=r"another run \(process 1\) is cutting these crops; wait for it"):
        crops.write(ds, tmp_path / "crops")
    (partial / "state.json").unlink()
    (partial / "running").write_text("")  # the disk was full
    crops.write(ds, tmp_path / "crops")
    (tmp_path / "crops").rename(partial)  # killed before it was put in place
    crops.write(ds, tmp_path / "crops")
    partial.mkdir()
    (partial / "state.json").write_text("{}")
    (partial / "running").write_text("99999999")  # no process: killed, and gone
    crops.write(ds, tmp_path / "crops")
    assert not partial.exists()


def test_what_is_there_stays_until_the_new_is_whole(ds: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    crops.write(ds, out)
    before = tree(out)
    crops.write(ds, out, padding=10)
    assert tree(out) != before
    crops.write(ds, out)
    assert tree(out) == before
    (out / "notes.txt").touch()
    with pytest.raises(ExportError, match=r'holds "notes.txt", which pcm-leukemia did not write'):
        crops.write(ds, out)


def test_ignored_cells_are_counted(ds: Dataset, tmp_path: Path) -> None:
    unclear = replace(
        ds, cells=tuple(structs.replace(cell, label=IGNORE) if cell.id == 2 else cell for cell in ds.cells)
    )
    report = crops.write(unclear, tmp_path / "crops")
    assert report.skipped["cells to be ignored"] == 6
    assert len(table(tmp_path / "crops")) == 12


def test_a_part_without_a_class_is_noted(ds: Dataset, tmp_path: Path) -> None:
    fewer = replace(ds, cells=tuple(cell for cell in ds.cells if cell.image != "P5/a.jpg" or cell.id != 1))
    assert "test has no Monocyte: ImageFolder numbers only the classes" in str(
        crops.write(fewer, tmp_path / "crops")
    )


def test_refusals(ds: Dataset, tmp_path: Path) -> None:
    leaking = replace(ds, images=tuple(replace(image, patient=PatientId("P0")) for image in ds.images))
    with pytest.raises(LeakySplit):
        crops.write(leaking, tmp_path / "crops")
    with pytest.raises(DataNotFound, match="the images are not there; give"):
        crops.write(replace(ds, root=None), tmp_path / "crops")
    with pytest.raises(DataNotFound, match="the images are not there"):
        crops.write(replace(ds, root=tmp_path / "gone"), tmp_path / "crops")
    for options, sentence in (
        ({"padding": -1}, "padding -1"),
        ({"border": "x"}, 'border "x"'),
        ({"format": "gif"}, 'format "gif"'),
    ):
        with pytest.raises(ValueError, match=sentence):
            crops.write(ds, tmp_path / "crops", **options)
    odd = ds.relabel({"Other": "a/b"}, "declared")
    with pytest.raises(ExportError, match='label "a/b": is not a valid folder name on every system'):
        crops.write(odd, tmp_path / "crops")
    assert sorted(os.listdir(tmp_path)) == ["export"]  # noqa: PTH208
