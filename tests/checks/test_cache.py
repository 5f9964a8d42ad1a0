"""What a check keeps of image files: the next one finds the same, and opens only files that have changed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from commands import Run
from hypothesis import given, settings
from hypothesis import strategies as st

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Box, Cell, Dataset, Image, checks, store
from pcm_leukemia.checks import cache
from pcm_leukemia.environment import MAX_PIXELS
from pcm_leukemia.files import CACHE, Files
from pcm_leukemia.schema import ImageId

NAMES = tuple(f"{letter}.bmp" for letter in "abcd")
WIDTH, HEIGHT = 96, 64
BOXES = (Box(4, 4, 44, 44), Box(50, 10.5, 90, 50.25))


def draw(path: Path, seed: int) -> None:
    """A picture of its own for each seed, and of one colour for seed 0; every file has the same size."""
    rng = np.random.default_rng(seed)
    pixels = (
        rng.integers(0, 256 if seed else 1, (HEIGHT // 2, WIDTH // 2, 3), np.uint8).repeat(2, 0).repeat(2, 1)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels).save(path)


def ward(folder: Path, names: tuple[str, ...] = NAMES) -> Dataset:
    """Images with two cells each; the first two images are copies of each other, and one has an identifier."""
    root = folder / "images"
    for seed, name in enumerate(names, 1):
        draw(root / name, max(seed, 2))
    rows = tuple(Image(ImageId(name), WIDTH, HEIGHT, file=name) for name in names)
    cells = tuple(Cell(row.id, number, "Monocyte", box) for row in rows for number, box in enumerate(BOXES))
    return Dataset("ward", NINE, rows, cells, root=root)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The image files that were opened."""
    seen: list[str] = []
    before = Files.open

    def watched(self: Files, file: str) -> Any:
        seen.append(file)
        return before(self, file)

    monkeypatch.setattr(Files, "open", watched)
    return seen


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that the tests have just written count at once."""
    monkeypatch.setattr(cache, "_SETTLED", 0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A canonical folder whose images a check has read."""
    store.write(ward(tmp_path), tmp_path / "data")
    check(tmp_path / "data")
    return tmp_path / "data"


def check(data: Path, **options: Any) -> checks.Checked:
    return checks.check(pcm.load_dataset(data), cache=data, **options)


def kept(data: Path) -> bytes:
    return (data / CACHE / "readings").read_bytes()


def all_found(found: checks.Checked) -> tuple[object, ...]:
    return found.findings, found.looked_at, found.notes, found.searched


@pytest.mark.parametrize("pixels", [True, False])
def test_the_second_check_opens_no_image_and_finds_the_same(
    data: Path, opened: list[str], *, pixels: bool
) -> None:
    before = kept(data)
    found = check(data, pixels=pixels)
    assert opened == []
    assert kept(data) == before
    plain = checks.check(pcm.load_dataset(data), pixels=pixels)
    assert sorted(opened) == list(NAMES)
    assert all_found(found) == all_found(plain)
    assert {finding.kind for finding in found.findings} == ({"same-pixels"} if pixels else set())


def test_a_zip_is_not_opened_either(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = ward(tmp_path)
    packed = tmp_path / "images.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in NAMES:
            archive.write(tmp_path / "images" / name, name)
    store.write(replace(ds, root=packed), tmp_path / "data")
    first = check(tmp_path / "data")
    assert sorted(opened) == list(NAMES)
    opened.clear()
    with monkeypatch.context() as patch:
        patch.setattr(zipfile, "ZipFile", None)
        ds = pcm.load_dataset(tmp_path / "data")
        readings = checks.read_files(ds, cache=tmp_path / "data")
    assert opened == []
    assert len(readings) == len(NAMES)
    os.utime(packed, ns=(0, packed.stat().st_mtime_ns + 1))
    assert all_found(check(tmp_path / "data")) == all_found(first)
    assert sorted(opened) == list(NAMES)


def test_a_zip_below_the_folder_is_not_opened_either(tmp_path: Path, opened: list[str]) -> None:
    ds = ward(tmp_path, ("ward.zip/a.bmp", "ward.zip/b.bmp"))
    shutil.move(tmp_path / "images" / "ward.zip", tmp_path / "unpacked")
    with zipfile.ZipFile(tmp_path / "images" / "ward.zip", "w") as archive:
        for name in ("a.bmp", "b.bmp"):
            archive.write(tmp_path / "unpacked" / name, name)
    first = checks.check(ds, cache=tmp_path)
    opened.clear()
    assert all_found(checks.check(ds, cache=tmp_path)) == all_found(first)
    assert opened == []


# What is read again


def rewritten(file: Path) -> None:
    """Another picture in the same file, of the same size, a moment later."""
    time.sleep(0.03)
    content = file.read_bytes()
    file.write_bytes(content[:-300] + bytes(300))


def rewritten_with_its_old_time(file: Path) -> None:
    before = file.stat()
    rewritten(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (before.st_mtime_ns, before.st_size)


def replaced(file: Path) -> None:
    """Another file of the same size under its name."""
    draw(file.with_name("new.bmp"), 99)
    file.with_name("new.bmp").replace(file)


def replaced_with_its_old_time(file: Path) -> None:
    time.sleep(0.03)
    before = file.stat()
    replaced(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def touched(file: Path) -> None:
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))


@pytest.mark.parametrize(
    "change",
    [
        rewritten,
        replaced,
        touched,
        replaced_with_its_old_time,
        pytest.param(
            rewritten_with_its_old_time,
            marks=pytest.mark.skipif(sys.platform == "win32", reason="ctime is the time of creation there"),
        ),
    ],
)
def test_only_a_file_that_changed_is_read_again(
    data: Path, opened: list[str], change: Callable[[Path], None]
) -> None:
    change(data.parent / "images" / "c.bmp")
    found = check(data)
    assert opened == ["c.bmp"]
    assert all_found(found) == all_found(checks.check(pcm.load_dataset(data)))
    opened.clear()
    assert all_found(check(data)) == all_found(found)
    assert opened == []


def test_a_file_that_is_gone_is_missed_and_found_again(data: Path, opened: list[str]) -> None:
    file = data.parent / "images" / "c.bmp"
    away = file.rename(data.parent / "c.bmp")
    for _ in range(2):
        opened.clear()
        (missing,) = (finding for finding in check(data).findings if finding.kind == "unreadable")
        assert missing.images == ("c.bmp",)
        assert opened == ["c.bmp"]
    away.rename(file)
    assert not any(finding.kind == "unreadable" for finding in check(data).findings)


def test_a_renamed_file_is_read_again(data: Path, opened: list[str]) -> None:
    images = data.parent / "images"
    (images / "c.bmp").rename(images / "e.bmp")
    ds = pcm.load_dataset(data)
    rows = tuple(replace(row, file="e.bmp") if row.id == "c.bmp" else row for row in ds.images)
    moved = replace(ds, images=rows)
    found = checks.check(moved, cache=data)
    assert opened == ["e.bmp"]
    assert all_found(found) == all_found(checks.check(moved))


def test_an_image_whose_row_or_boxes_changed_is_read_again(data: Path, opened: list[str]) -> None:
    ds = pcm.load_dataset(data)
    cells = (*ds.cells[:-1], Cell(ImageId("d.bmp"), 1, "Monocyte", Box(50, 10.5, 90, 51)))
    rows = (replace(ds.images[0], digest="0" * 32), *ds.images[1:])
    edited = replace(ds, cells=cells, images=rows)
    found = checks.check(edited, cache=data)
    assert sorted(opened) == ["a.bmp", "d.bmp"]
    assert all_found(found) == all_found(checks.check(edited))
    assert "changed-file" in {finding.kind for finding in found.findings}


def test_labels_patients_and_splits_open_no_image(data: Path, opened: list[str]) -> None:
    ds = pcm.load_dataset(data, patients=r"(?P<patient>[a-d])\.bmp").relabel({"Monocyte": "Lymphocyte"})
    found = checks.check(ds, cache=data)
    assert opened == []
    (copies,) = found.problems
    assert "across patients (a, b)" in copies.what


@pytest.mark.parametrize("change", ["code", "limit"])
def test_what_other_software_or_settings_read_is_read_again(
    data: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    if change == "code":
        monkeypatch.setattr(cache, "_CODE", "another version")
    else:
        monkeypatch.setenv(MAX_PIXELS, "10")
    found = check(data)
    assert sorted(opened) == list(NAMES)
    assert any(finding.kind == "unreadable" for finding in found.findings) == (change == "limit")


def test_a_file_of_this_moment_is_not_kept(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # a change within the same tick of the clock would not show
    store.write(ward(tmp_path), tmp_path / "data")
    check(tmp_path / "data")
    assert not (tmp_path / "data" / CACHE).exists()
    assert opened == []  # no longer watched


# What makes a cache void


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)


def of_another_data_set(file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        other = ward(Path(folder), ("a.bmp", "z.bmp"))
        store.write(other, Path(folder, "data"))
        check(Path(folder, "data"))
        shutil.copy(Path(folder, "data", CACHE, "readings"), file)


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        flipped,
        of_another_data_set,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"\0" * 32),
        lambda file: file.write_bytes(np.random.default_rng(0).bytes(5000)),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: shutil.rmtree(file.parent),
    ],
)
def test_a_damaged_or_foreign_cache_is_ignored(
    data: Path, opened: list[str], damage: Callable[[Path], object]
) -> None:
    damage(data / CACHE / "readings")
    opened.clear()
    found = check(data)
    assert sorted(opened) == list(NAMES)
    assert all_found(found) == all_found(checks.check(pcm.load_dataset(data)))


def test_a_link_or_a_file_in_place_of_the_cache_is_left_alone(data: Path, tmp_path: Path) -> None:
    shutil.rmtree(data / CACHE)
    (tmp_path / "mine").mkdir()
    (data / CACHE).symlink_to(tmp_path / "mine")
    found = check(data)
    assert list((tmp_path / "mine").iterdir()) == []
    (data / CACHE).unlink()
    (data / CACHE).write_text("mine")
    assert all_found(check(data)) == all_found(found)
    assert (data / CACHE).read_text() == "mine"


def test_a_disk_that_must_not_be_written_to_is_no_error(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(data / CACHE)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        found = check(data)
    assert not (data / CACHE).exists()
    with monkeypatch.context() as patch:
        patch.setattr(cache, "write_text", refuse)
        assert all_found(check(data)) == all_found(found)


def test_two_checks_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    store.write(ward(tmp_path), tmp_path / "data")
    plain = checks.check(pcm.load_dataset(tmp_path / "data"))
    found: list[checks.Checked] = []

    def some() -> None:
        for _ in range(3):
            found.append(check(tmp_path / "data", workers=1))
            shutil.rmtree(tmp_path / "data" / CACHE, ignore_errors=True)

    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [all_found(each) for each in found] == [all_found(plain)] * 12


# The folder


def test_the_folder_is_the_same_data_set(data: Path, tmp_path: Path, opened: list[str]) -> None:
    shutil.copytree(data, tmp_path / "without", ignore=shutil.ignore_patterns(CACHE))
    assert pcm.load_dataset(data).fingerprint == pcm.load_dataset(tmp_path / "without").fingerprint
    names = ("dataset.json", "images.csv", "cells.csv", "patients.csv")
    assert [(data / name).read_bytes() for name in names] == [
        (tmp_path / "without" / name).read_bytes() for name in names
    ]
    assert (data / CACHE / ".gitignore").read_text() == "*\n"
    assert (
        (data / CACHE / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    )
    shutil.copytree(data, tmp_path / "copy")
    assert all_found(check(tmp_path / "copy")) == all_found(check(data))
    assert opened == []  # the same images, which have not moved


def test_import_and_updates_keep_what_is_known(data: Path, opened: list[str]) -> None:
    ds = pcm.load_dataset(data)
    store.write(ds, data)
    assert all_found(check(data)) == all_found(checks.check(ds))
    opened.clear()
    store.write(pcm.update(ds, replace(ds, cells=ds.cells[:-1])), data)
    check(data)
    assert opened == ["d.bmp"]
    store.write(replace(ds, images=ds.images[:2], cells=ds.cells[:4]), data, replace=True)
    opened.clear()
    check(data)
    assert opened == []


def test_a_cache_that_cannot_be_copied_does_not_stop_an_import(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise shutil.Error("cannot be read")

    (data / "splits").rmdir()
    monkeypatch.setattr(shutil, "copytree", refuse)
    store.write(pcm.load_dataset(data), data)
    assert not (data / CACHE).exists()


def test_no_cache_reads_everything_and_keeps_nothing(data: Path, opened: list[str], run: Run) -> None:
    before = kept(data)
    first = run("check", data)
    assert opened == []
    assert run("check", data, "--no-cache").out == first.out
    assert sorted(opened) == list(NAMES)
    assert kept(data) == before
    opened.clear()
    run("report", data, data.parent / "page.html")
    (data.parent / "page.html").unlink()
    pictures = len(opened)
    run("report", data, data.parent / "page.html", "--no-cache")
    assert len(opened) - pictures == pictures + len(NAMES)
    shutil.rmtree(data / CACHE)
    run("check", data, "--no-cache")
    assert not (data / CACHE).exists()


def test_only_canonical_folders_get_a_cache(export: Path, tmp_path: Path, run: Run) -> None:
    with zipfile.ZipFile(export) as archive:
        archive.extractall(tmp_path / "unpacked")
    for path in (export, tmp_path / "unpacked"):
        assert "looked at 20 images" in run("check", path).out
    assert sorted(path.name for path in tmp_path.rglob(".*")) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.zip", "unpacked"]


# Any data set, with edits in between

EDITS = (
    "nothing",
    "rewrite",
    "replace",
    "blank",
    "delete",
    "truncate",
    "move a box",
    "drop",
    "damage the cache",
)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(EDITS), st.sampled_from(NAMES), st.integers(2, 5)), max_size=5))
def test_whatever_is_edited_the_findings_are_those_without_a_cache(edits: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ds = ward(Path(folder))
        checks.check(ds, cache=folder)
        for number, (edit, name, seed) in enumerate(edits):
            ds = edited(ds, Path(folder), edit, name, seed, number)
            with_cache = checks.check(ds, cache=folder)
            assert all_found(with_cache) == all_found(checks.check(ds))
            assert all_found(checks.check(ds, cache=folder)) == all_found(with_cache)


def edited(ds: Dataset, folder: Path, edit: str, name: str, seed: int, number: int) -> Dataset:
    file = folder / "images" / name
    if edit == "rewrite":
        draw(file, seed)
        os.utime(file, (number, number))
    elif edit == "replace":
        draw(file.with_name("new.bmp"), seed)
        file.with_name("new.bmp").replace(file)
    elif edit == "blank":
        draw(file, 0)
        os.utime(file, (number, number))
    elif edit == "delete":
        file.unlink(missing_ok=True)
    elif edit == "truncate" and file.exists():
        file.write_bytes(file.read_bytes()[:-100])
    elif edit == "move a box":
        cells = [replace_box(cell, seed) if cell.image == name else cell for cell in ds.cells]
        return replace(ds, cells=tuple(cells))
    elif edit == "drop":
        rows = tuple(image for image in ds.images if image.id != name)
        return replace(ds, images=rows, cells=tuple(cell for cell in ds.cells if cell.image != name))
    elif edit == "damage the cache":
        flipped(folder / CACHE / "readings")
    return ds


def replace_box(cell: Cell, by: int) -> Cell:
    right = by / 2 if cell.box.x2 < 90 else -40  # images are 96 pixels wide
    box = Box(cell.box.x1 + right, cell.box.y1, cell.box.x2 + right, cell.box.y2)
    return Cell(cell.image, cell.id, cell.label, box)
