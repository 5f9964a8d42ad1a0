"""The contract of every format. A new format in the folder is tested without further code."""

from __future__ import annotations

import inspect
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import PIL.Image
import pytest
from damaged.mutations import LFS_POINTER
from msgspec import structs

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, converters
from pcm_leukemia.cli.format_options import options_of
from pcm_leukemia.errors import (
    DataWarning,
    ExportError,
    LeakySplit,
    MissingExtra,
    MissingPatients,
    PcmError,
    UnfitForTask,
)
from pcm_leukemia.files import MARKER, Report
from pcm_leukemia.images import compare_files
from pcm_leukemia.schema import ImageId, PatientId, Tag
from pcm_leukemia.shapes import Point

DOCS = Path(__file__).resolve().parents[2] / "docs"
READABLE = [name for name in converters.names() if hasattr(converters.get(name), "read")]
DETECTORS = [
    name
    for name in converters.names()
    if "incomplete" in inspect.signature(converters.get(name).write).parameters
]
PAGES = {"cvat": "cvat-export"}
"""Format -> its documentation page, if the page has another name."""


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    """Three patients in three parts; cells of two classes, and one ignored cell."""
    rows = {"P1/a.png": "train", "P1/b.png": "train", "P2/a.png": "val", "P3/a.png": "test"}
    root = tmp_path / "pixels"
    images = []
    for shade, name in enumerate(rows):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (200, 100), (50 * shade, 90, 120)).save(root / name)
        images.append(Image(ImageId(name), 200, 100, PatientId(name[:2]), file=name))
    cells = [
        Cell(image.id, number, label, Box(10 + 60 * number, 20, 50 + 60 * number, 60), label)
        for image in images
        for number, label in enumerate(("Monocyte", "Other"))
    ]
    cells.append(Cell(images[3].id, 2, "ignore", Box(140, 20, 190, 60), "smudge"))
    people = tuple(Patient(PatientId(f"P{number}"), "AML") for number in (1, 2, 3))
    parts = {ImageId(name): part for name, part in rows.items()}
    split = Split("official", parts, {"method": "by hand"})
    return Dataset("demo", NINE, tuple(images), tuple(cells), people, split, root)


@pytest.fixture
def pointed(tmp_path: Path) -> Dataset:
    """One image with a point and a box."""
    PIL.Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    image = Image(ImageId("a.png"), 200, 100, file="a.png")
    point = Point(10.5, 20)
    cells = (
        Cell(image.id, 0, "Lymphoblast", point.pixel(200, 100), "blast", point),
        Cell(image.id, 1, "Monocyte", Box(50, 20, 90, 60), "mono"),
    )
    return Dataset("demo", NINE, (image,), cells, root=tmp_path)


def write(name: str, ds: Dataset, out: Path, **options: Any) -> Report:
    """Write in a format, with images if it supports them; skip if its library is not installed."""
    if "images" in {option.name for option in options_of(name)}:
        options.setdefault("images", "copy")
    try:
        return converters.get(name).write(ds, out, **options)
    except MissingExtra as error:
        pytest.skip(str(error))


def content(out: Path) -> dict[str, bytes]:
    """The bytes of a file, or of all files below a folder."""
    files = [out] if out.is_file() else sorted(file for file in out.rglob("*") if file.is_file())
    return {file.relative_to(out.parent).as_posix(): file.read_bytes() for file in files}


def record(out: Path) -> dict[str, Any]:
    """The record that the writer left in the output."""
    if out.is_file():
        with zipfile.ZipFile(out) as archive:
            return cast("dict[str, Any]", json.loads(archive.read(MARKER)))
    return cast("dict[str, Any]", json.loads((out / MARKER).read_text(encoding="utf-8")))


def cells_in(report: Report) -> int:
    return sum(sum(labels.values()) for labels in report.cells.values())


# Writing


@pytest.mark.parametrize("name", converters.names())
def test_a_white_cell_of_unknown_type_is_kept_or_counted_and_is_a_wbc_in_the_task_wbc(
    name: str, ds: Dataset, tmp_path: Path
) -> None:
    """Formats that hold classes alone leave it out, and say so; a detector of white cells gets it."""
    cells = tuple(
        cell if cell.raw_label != "smudge" else structs.replace(cell, untyped=True) for cell in ds.cells
    )
    ds = replace(ds, cells=cells)
    report = write(name, ds, tmp_path / "nine")
    assert report.skipped.get("cells to be ignored", 0) == 0
    counted = report.skipped.get("white cells of unknown type", 0)
    assert (counted, cells_in(report)) in [(1, len(cells) - 1), (0, len(cells))]
    white = write(name, ds, tmp_path / "wbc", task="wbc")
    assert white.skipped.get("white cells of unknown type", 0) == 0
    assert cells_in(white) == len(cells)
    assert sum(labels["WBC"] for labels in white.cells.values()) == 5


@pytest.mark.parametrize("name", converters.names())
def test_it_reports_what_it_wrote_and_leaves_the_report_there(name: str, ds: Dataset, tmp_path: Path) -> None:
    report = write(name, ds, tmp_path / "out")
    assert (report.format, report.problems) == (name, ())
    assert list(report.images.values()) == [2, 1, 1]
    kept = cells_in(report)
    assert kept + report.skipped.get("cells to be ignored", 0) == len(ds.cells)
    assert kept in (8, 9)
    assert str(report).startswith(f"{name}: {report.out}\n  train: 2 images")
    there = record(report.out)
    assert there["written_by"] == "pcm-leukemia"
    assert there["fingerprint"] == ds.fingerprint
    assert {key: there[key] for key in ("format", "images", "cells")} == {
        key: report.to_json()[key] for key in ("format", "images", "cells")
    }


@pytest.mark.parametrize("name", converters.names())
def test_tags_and_attributes_are_kept_or_counted(name: str, pointed: Dataset, tmp_path: Path) -> None:
    image = replace(pointed.images[0], tags=(Tag("slide", (("stain", "Wright"),)), Tag("blurred")))
    said = (("lineage", "myeloid"), ("sure", "yes"))
    cells = [structs.replace(cell, attributes=said) for cell in pointed.cells if cell.shape is None]
    ds = replace(pointed, images=(image,), cells=tuple(cells))
    report = write(name, ds, tmp_path / "out")
    counted = [report.skipped.get(kind) for kind in ("tags of images", "attributes of cells")]
    if name in READABLE and not any(counted):
        again = pcm.load_dataset(report.out)
        assert again.images[0].tags == image.tags
        assert again.cells[0].attributes == said
    else:
        assert counted == [2, 2]


@pytest.mark.parametrize("name", converters.names())
def test_data_without_a_split_are_one_part(name: str, ds: Dataset, tmp_path: Path) -> None:
    report = write(name, ds.with_split(None), tmp_path / "out")
    assert list(report.images.values()) == [4]
    assert [note for note in report.notes if "the data has no split" in note] or name == "cvat"
    assert not [note for note in write(name, ds, tmp_path / "split").notes if "no split" in note]


@pytest.mark.parametrize("name", converters.names())
def test_a_task_changes_the_classes(name: str, ds: Dataset, tmp_path: Path) -> None:
    report = write(name, ds, tmp_path / "out", task="wbc")
    assert {label for labels in report.cells.values() for label, count in labels.items() if count} >= {"WBC"}
    assert "Monocyte" not in str(report.to_json()["cells"])
    with pytest.raises(ValueError, match='task "blasts"'):
        write(name, ds, tmp_path / "other", task="blasts")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", converters.names())
def test_a_split_that_leaks_is_refused(name: str, ds: Dataset, tmp_path: Path) -> None:
    assert ds.split is not None
    leaking = replace(ds.split, part_of={**ds.split.part_of, ImageId("P1/b.png"): "test"})
    with pytest.raises(LeakySplit, match='patient "P1"'):
        write(name, ds.with_split(leaking), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["pixels"]


@pytest.mark.parametrize("name", converters.names())
def test_a_split_whose_patients_are_lost_is_refused(name: str, ds: Dataset, tmp_path: Path) -> None:
    assert ds.split is not None
    known = {image.id: image.patient for image in ds.images if image.patient}
    split = replace(ds.split, patient_of=known)
    nobody = replace(
        ds, images=tuple(replace(image, patient=None) for image in ds.images), patients=(), split=None
    )
    with pytest.raises(
        MissingPatients, match='images that split ".*" places had a patient when it was made and have'
    ):
        write(name, nobody.with_split(split), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["pixels"]
    assert write(name, nobody, tmp_path / "out").images


@pytest.mark.parametrize("name", converters.names())
def test_points_are_refused_or_noted(name: str, pointed: Dataset, tmp_path: Path) -> None:
    said = (
        r'demo: 1 cell is a point without a box \(1 Lymphoblast\), the first in image "a\.png", and boxes are needed '
        r"here; leave such cells out with Dataset\.select\(labels=\.\.\.\), or set them aside with "
        r'Dataset\.relabel\(\{"Lymphoblast": "ignore"\}\)'
    )
    if name == "cvat":
        assert any(
            "1 point is not read back" in note for note in write(name, pointed, tmp_path / "out").notes
        )
    else:
        with pytest.raises(UnfitForTask, match=said):
            write(name, pointed, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert cells_in(write(name, pointed.select(labels=["Monocyte"]), tmp_path / "other")) == 1


@pytest.mark.parametrize("name", converters.names())
def test_points_to_be_ignored_are_left_out_as_other_cells_are(
    name: str, pointed: Dataset, tmp_path: Path
) -> None:
    report = write(name, pointed.relabel({"Lymphoblast": "ignore"}, NINE), tmp_path / "out")
    assert cells_in(report) - report.cells["all" if "all" in report.cells else "train"].get("ignore", 0) == 1


@pytest.mark.parametrize("state", ["partial", "none", "unknown"])
@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_refuse_what_is_not_all_annotated(
    name: str, state: Any, pointed: Dataset, tmp_path: Path
) -> None:
    boxed = pointed.select(labels=["Monocyte"])
    ds = replace(boxed, images=tuple(replace(image, annotation_state=state) for image in boxed.images))
    said = (
        rf'demo: of 1 image, the first "a\.png", not all cells are known to be annotated \(1 {state}\), and a detector '
        r"takes what is not annotated for background; leave such images out with Dataset\.select, or pass "
        r'incomplete="keep"'
    )
    with pytest.raises(UnfitForTask, match=said):
        write(name, ds, tmp_path / "out")
    write(name, ds, tmp_path / "out", incomplete="keep")
    with pytest.raises(ValueError, match='incomplete "maybe": must be refuse or keep'):
        write(name, ds, tmp_path / "other", incomplete="maybe")


@pytest.mark.parametrize("name", sorted(set(converters.names()) - set(DETECTORS)))
def test_others_take_what_is_not_all_annotated(name: str, pointed: Dataset, tmp_path: Path) -> None:
    boxed = pointed.select(labels=["Monocyte"])
    ds = replace(boxed, images=tuple(replace(image, annotation_state="partial") for image in boxed.images))
    assert cells_in(write(name, ds, tmp_path / "out")) == 1


@pytest.mark.parametrize("name", converters.names())
def test_the_same_input_gives_the_same_bytes(name: str, ds: Dataset, tmp_path: Path) -> None:
    one = write(name, ds, tmp_path / "one" / "out")
    two = write(name, ds, tmp_path / "two" / "out")
    assert content(one.out) == content(two.out)


@pytest.mark.parametrize("name", converters.names())
def test_it_replaces_what_it_wrote_and_nothing_else(name: str, ds: Dataset, tmp_path: Path) -> None:
    written = write(name, ds, tmp_path / "out").out
    again = write(name, ds.part("train").with_split(None), tmp_path / "out")
    assert list(again.images.values()) == [2]
    mine = tmp_path / "mine" / written.name
    mine.parent.mkdir()
    if written.is_dir():
        (written / "mine.txt").write_text("mine")
        with pytest.raises(ExportError, match=r'holds "mine\.txt", which pcm-leukemia did not write'):
            write(name, ds, written)
        assert (written / "mine.txt").read_text() == "mine"
        mine.write_text("mine")
    else:
        mine.write_bytes(b"mine")
    with pytest.raises(ExportError, match=re.escape(str(mine))):
        write(name, ds, mine)
    assert mine.read_text() == "mine"
    others = [other for other in converters.names() if other != name]
    for other in others:
        place = tmp_path / "others" / other
        there = write(other, ds, place).out
        before = content(there)
        if there.is_dir() == written.is_dir():
            with pytest.raises(ExportError):
                write(name, ds, there)
        assert content(there) == before


@pytest.mark.parametrize("name", converters.names())
@pytest.mark.filterwarnings("ignore:image .*:pcm_leukemia.errors.DataWarning")
def test_images_that_are_gone_leave_nothing_half_written(name: str, ds: Dataset, tmp_path: Path) -> None:
    for file in (tmp_path / "pixels").rglob("*.png"):
        file.unlink()
    try:
        report = write(name, ds, tmp_path / "out")
    except PcmError:
        assert [path.name for path in tmp_path.iterdir()] == ["pixels"]
    else:
        assert len(report.problems) == 4


def half_a_turn(file: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 3
    with PIL.Image.open(file) as picture:
        picture.load()
        picture.save(file, exif=exif)


REPLACED: dict[str, Callable[[Path], object]] = {
    "another size": lambda file: PIL.Image.new("RGB", (70, 90)).save(file),
    "turned": half_a_turn,
    "pointer": lambda file: file.write_bytes(LFS_POINTER),
}


@pytest.mark.parametrize("replaced", REPLACED)
@pytest.mark.parametrize("name", converters.names())
@pytest.mark.filterwarnings("ignore:image .*:pcm_leukemia.errors.DataWarning")
def test_files_that_are_not_the_annotated_images_are_refused(
    name: str, replaced: str, ds: Dataset, tmp_path: Path
) -> None:
    REPLACED[replaced](tmp_path / "pixels" / "P1" / "a.png")
    try:
        said = [str(problem) for problem in write(name, ds, tmp_path / "out").problems]
    except PcmError as error:
        said = str(error).splitlines()
        assert [path.name for path in tmp_path.iterdir()] == ["pixels"]
    assert [line.count('image "P1/a.png"') for line in said] == [1]


@pytest.mark.parametrize("name", converters.names())
def test_files_that_are_not_those_imported_are_warned_of(name: str, ds: Dataset, tmp_path: Path) -> None:
    images, problems = compare_files(ds.images, tmp_path / "pixels")
    assert not problems
    imported = replace(ds, images=images)
    write(name, imported, tmp_path / "before")
    PIL.Image.new("RGB", (200, 100), (9, 8, 7)).save(tmp_path / "pixels" / "P1" / "a.png")
    with pytest.warns(
        DataWarning, match=r'pixels: 1 of 4 image files are not those .* image "P1/a\.png"; look at'
    ):
        write(name, imported, tmp_path / "after")


@pytest.mark.parametrize("name", ["yolo", "coco", "cvat"])
def test_a_zip_cut_short_since_import_is_one_message(name: str, ds: Dataset, tmp_path: Path) -> None:
    packed = tmp_path / "pixels.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in (tmp_path / "pixels").rglob("*.png"):
            archive.write(file, file.relative_to(tmp_path / "pixels").as_posix())
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(ExportError, match=r'^image "P1/a.png" and 3 more: .*pixels.zip: cannot be read.*$'):
        write(name, replace(ds, root=packed), tmp_path / "out")


# Describing


@pytest.mark.parametrize("name", converters.names())
def test_it_has_a_page(name: str) -> None:
    page = PAGES.get(name, name)
    assert f"\n{page}\n" in (DOCS / "index.md").read_text(encoding="utf-8")
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert f"--to {name}" in text or f"converters.{name}" in text or f"{name}.write" in text


@pytest.mark.parametrize("name", converters.names())
def test_every_option_is_described(name: str) -> None:
    for option in options_of(name):
        assert option.help.endswith("."), option
        assert len(option.help) < 200


def test_an_option_of_several_formats_is_typed_in_one_way() -> None:
    typed: dict[str, object] = {}
    for name in converters.names():
        for option in options_of(name):
            assert typed.setdefault(option.name, (option.kind, option.type)) == (option.kind, option.type)


# Reading


@pytest.mark.parametrize("name", READABLE)
def test_it_is_read_back(name: str, ds: Dataset, tmp_path: Path) -> None:
    out = write(name, ds, tmp_path / "out").out
    kept = ds if name == "cvat" else ds.select(labels=NINE.labels)
    options: dict[str, Any] = {"labels": {"smudge": "ignore"}} if name == "cvat" else {}
    again = pcm.load_dataset(out, **options)
    assert [image.id for image in again.images] == [image.id for image in ds.images]
    assert [(c.image, c.label, c.box) for c in again.cells] == [(c.image, c.label, c.box) for c in kept.cells]
    assert again.taxonomy == NINE
    if name != "cvat":  # CVAT has no patients and no parts; they are in the zip, beside the annotations
        assert again.patients == ds.patients
        assert again.split is not None
        assert ds.split is not None
        assert again.split.part_of == ds.split.part_of


@pytest.mark.parametrize("name", converters.names())
def test_a_format_recognises_what_it_wrote_and_nothing_else(name: str, ds: Dataset, tmp_path: Path) -> None:
    out = write(name, ds, tmp_path / "out").out
    pcm.store.write(ds, tmp_path / "canonical")

    def that_recognise(path: Path) -> list[object]:
        return [module for module in converters.readable() if module.recognises(path)]

    assert that_recognise(out) == ([converters.get(name)] if name in READABLE else [])
    assert that_recognise(tmp_path / "canonical") == [pcm.store]
    assert not any(module.recognises(tmp_path / "nowhere") for module in converters.readable())


READERS: list[Callable[..., Dataset]] = [module.read for module in converters.readable()]
COMMON = ["taxonomy", "labels", "clip", "images_root"]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__module__)
def test_readers_take_the_same_options_in_the_same_order(reader: Callable[..., Dataset]) -> None:
    (path, *options) = inspect.signature(reader).parameters.values()
    assert path.name == "path"
    assert all(option.kind is option.KEYWORD_ONLY for option in options)
    common = [option.name for option in options if option.name in COMMON]
    assert common == [name for name in COMMON if name in common]
    assert {"taxonomy", "labels", "images_root"} <= set(common)
    assert [option.name for option in options][: len(common)] == common


@pytest.mark.parametrize("name", [*READABLE, "canonical"])
def test_they_mean_the_same(name: str, ds: Dataset, tmp_path: Path) -> None:
    plain = ds.select(labels=NINE.labels)
    out = tmp_path / "out"
    if name == "canonical":
        pcm.store.write(plain, out)
    else:
        has_images = "images" in {option.name for option in options_of(name)}
        out = write(name, plain, out, **({"images": "none"} if has_images else {})).out
    mapped = pcm.load_dataset(out, labels={"Monocyte": "ignore", "Other": "Basophil"}, taxonomy=NINE)
    assert [cell.label for cell in mapped.cells] == ["ignore", "Basophil"] * 4
    assert mapped.taxonomy == NINE
    with pytest.raises(
        ValueError, match='label map: "Blub" is not a class of pcm-leukemia; use one of Lymph'
    ):
        pcm.load_dataset(out, labels={"Other": "Blub"}, taxonomy=NINE)
    with pytest.warns(DataWarning, match='"Monocite" is not a label in this .*, the nearest is "Monocyte"'):
        pcm.load_dataset(out, labels={"Monocite": "ignore"}, taxonomy=NINE)
    with pytest.raises(
        ValueError, match='"Basofil" is not a class of .*, the nearest is "Basophil"; use one of'
    ):
        pcm.load_dataset(out, labels={"Other": "Basofil"})
    declared = pcm.load_dataset(out, labels={"Other": "Basofil"}, taxonomy="declared")
    assert [cell.label for cell in declared.cells] == ["Monocyte", "Basofil"] * 4
    found = pcm.load_dataset(out, images_root=tmp_path / "pixels")
    assert found.root == tmp_path / "pixels"
    assert [image.file for image in found.images] == [image.id for image in ds.images]
    (tmp_path / "pixels" / "P3" / "a.png").unlink()
    with pytest.raises(PcmError, match=r'image "P3/a\.png": has no file in'):
        pcm.load_dataset(out, images_root=tmp_path / "pixels")
    assert pcm.load_dataset(out, taxonomy="declared").taxonomy.labels[:2] == NINE.labels[:2]
