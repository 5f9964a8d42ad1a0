"""What speaks against trusting a data set: planted into the sample, all of it is found, and nothing else is."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from exports import SHARED, png
from msgspec import structs

import pcm_leukemia as pcm
from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Patient, Split, checks, images, sample
from pcm_leukemia.checks import Finding
from pcm_leukemia.checks.boxes import UNUSUAL
from pcm_leukemia.errors import DataWarning, ExportError
from pcm_leukemia.schema import ImageId, PatientId

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """28 images of 8 patients, unpacked, with a split."""
    folder = tmp_path_factory.mktemp("drawn")
    with zipfile.ZipFile(sample.write(folder / "sample.zip", patients=8, images=28, seed=7)) as archive:
        archive.extractall(folder / "export")
    ds = pcm.load_dataset(folder / "export", patients=PATTERN)
    parts = dict(
        zip((patient.id for patient in ds.patients), [*["train"] * 5, "val", "test", "test"], strict=True)
    )
    return ds.with_split(Split("drawn", {image.id: parts[str(image.patient)] for image in ds.images}))  # type: ignore[index]


class Planting:
    """Puts further images below the root of a data set, as other patients in other parts."""

    def __init__(self, ds: Dataset, folder: Path) -> None:
        assert isinstance(ds.root, Path)
        self.ds, self.files = ds, images.Files(ds.root)
        self.root = folder
        for image in ds.images:
            (folder / str(image.file)).parent.mkdir(parents=True, exist_ok=True)
            (folder / str(image.file)).hardlink_to(ds.root / str(image.file))
        self.rows, self.cells, self.people = list(ds.images), list(ds.cells), list(ds.patients)
        assert ds.split
        self.part_of = dict(ds.split.part_of)

    def pixels(self, image: Image) -> PIL.Image.Image:
        return PIL.Image.fromarray(images.load(self.files, image))

    def add(
        self,
        name: str,
        picture: PIL.Image.Image | bytes,
        *,
        part: str,
        patient: str | None,
        box: Box | None = None,
    ) -> ImageId:
        data = picture if isinstance(picture, bytes) else encoded(picture, "PNG")
        (self.root / name).write_bytes(data)
        width, height = images.size(data, name)
        person = PatientId(patient) if patient else None
        if person and all(known.id != person for known in self.people):
            self.people.append(Patient(person))
        self.rows.append(Image(ImageId(name), width, height, person, file=name))
        if box:
            self.cells.append(Cell(ImageId(name), 0, "Monocyte", box))
        self.part_of[ImageId(name)] = part
        return ImageId(name)

    def dataset(self) -> Dataset:
        ds = Dataset("planted", NINE, tuple(self.rows), tuple(self.cells), tuple(self.people), root=self.root)
        return ds.with_split(Split("planted", self.part_of))


def encoded(picture: PIL.Image.Image, form: str, quality: int = 90) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, quality=quality)
    return out.getvalue()


@pytest.fixture
def planting(drawn: Dataset, tmp_path: Path) -> Planting:
    return Planting(drawn, tmp_path / "root")


def of_kind(found: checks.Checked, *kinds: str) -> list[Finding]:
    return [finding for finding in found.findings if finding.kind in kinds]


COPIES = ("same-pixels", "near-duplicate", "cell-again", "image-is-cell")


def test_clean_data_raise_no_alarm(drawn: Dataset) -> None:
    found = checks.check(drawn)
    assert found.findings == ()
    assert found.notes == ()
    assert found.looked_at == {"images": 28, "cells": len(drawn.cells), "files": 28, "decoded files": 28}
    assert str(found).endswith("0 problems, 0 warnings")


def sources(ds: Dataset, part: str = "train") -> Iterator[Image]:
    return iter([image for image in ds.part(part).images if len(ds.cells_of(image)) > 2])


def test_planted_copies_are_all_found_and_nothing_else_is(planting: Planting) -> None:
    source = sources(planting.ds)
    wanted: list[tuple[str, set[str]]] = []

    def plant(kind: str, change: object) -> None:
        image = next(source)
        picture = planting.pixels(image)
        changed = change(picture)  # type: ignore[operator]
        wanted.append(
            (kind, {image.id, planting.add(f"{len(wanted)}.img", changed, part="test", patient="NEW")})
        )

    turn = PIL.Image.Transpose
    plant("same-pixels", lambda p: encoded(p, "PNG"))
    plant("near-duplicate", lambda p: encoded(p, "JPEG", 60))
    plant("near-duplicate", lambda p: encoded(p.transpose(turn.TRANSVERSE), "JPEG"))
    plant("near-duplicate", lambda p: p.transpose(turn.FLIP_LEFT_RIGHT))
    plant("near-duplicate", lambda p: p.resize((p.width // 2, p.height // 2)))
    found = checks.check(planting.dataset())
    assert [(f.kind, set(f.images)) for f in found.problems] == wanted
    assert found.warnings == ()
    for finding in found.problems:
        assert finding.parts == ("train", "test")
        assert "NEW" in finding.patients
        assert len(finding.patients) == 2
        assert finding.distance is not None
        assert finding.distance < 0.05
    assert found.problems[0].distance == 0
    assert str(found.problems[0]).startswith(
        f'image "{min(wanted[0][1])}" and 1 more: has the same pixels as "'
    )
    assert "across parts (train, test) and patients (" in str(found.problems[0])


@pytest.mark.parametrize(
    ("part", "patient", "severity", "words"),
    [
        ("train", "same", "warning", ""),
        ("test", "same", "problem", ", across parts (train, test)"),
        ("train", "other", "problem", ", across patients ("),
        ("train", None, "warning", ""),
    ],
)
def test_how_grave_a_copy_is(
    planting: Planting, part: str, patient: str | None, severity: str, words: str
) -> None:
    image = next(sources(planting.ds))
    person = image.patient if patient == "same" else patient
    planting.add("copy.png", planting.pixels(image), part=part, patient=person)
    (finding,) = of_kind(checks.check(planting.dataset()), *COPIES)
    assert (finding.kind, finding.severity) == ("same-pixels", severity)
    assert words in finding.what
    assert ("across" in finding.what) == (severity == "problem")


@pytest.mark.parametrize("pixels", [True, False])
def test_a_file_that_is_not_the_one_that_was_imported_is_a_problem(
    planting: Planting,
    pixels: bool,  # noqa: FBT001
) -> None:
    ds = planting.dataset()
    ds = replace(ds, images=images.compare_files(ds.images, planting.root)[0])
    assert not of_kind(checks.check(ds, pixels=pixels), "changed-file")
    first, second, third = ds.images[:3]
    for image, other in ((first, planting.pixels(second)), (third, PIL.Image.new("RGB", (9, 9)))):
        (planting.root / str(image.file)).unlink()  # a hard link
        (planting.root / str(image.file)).write_bytes(encoded(other, "PNG"))
    found = checks.check(ds, pixels=pixels)
    (changed,) = of_kind(found, "changed-file")
    assert (changed.severity, changed.images) == ("problem", (first.id,))
    assert str(changed).endswith(
        "is not the file that was imported: its digest has changed, and its boxes may not fit; put the imported file "
        "back, or import again and look at the boxes"
    )
    assert [each.images for each in of_kind(found, "unreadable")] == [(third.id,)]  # of another size


def test_copies_of_copies_are_one_finding(planting: Planting) -> None:
    picture = planting.pixels(image := next(sources(planting.ds)))
    planting.add("1.png", picture, part="train", patient=image.patient)
    planting.add("2.jpg", encoded(picture, "JPEG", 70), part="test", patient="NEW")
    (finding,) = of_kind(checks.check(planting.dataset()), *COPIES)
    assert (finding.kind, set(finding.images)) == ("near-duplicate", {"1.png", "2.jpg", image.id})
    assert finding.severity == "problem"


def test_cells_of_copied_images_are_counted_and_not_told_again(planting: Planting) -> None:
    image = next(sources(planting.ds))
    name = planting.add("copy.png", planting.pixels(image), part="test", patient="NEW")
    cells = planting.ds.cells_of(image)
    planting.cells += [structs.replace(cell, image=name) for cell in cells]
    (finding,) = of_kind(checks.check(planting.dataset()), *COPIES)
    assert f"({len(cells)} pairs of their cells look the same)" in finding.what


def cut(planting: Planting, cell: Cell, margin: int) -> tuple[PIL.Image.Image, Box]:
    """A cell as somebody may save it: the crop, and its box in it."""
    image = planting.ds.image(cell.image)
    x1, y1, x2, y2 = images.crop_corners(cell.box, margin, image.width, image.height)
    box = Box(cell.box.x1 - x1, cell.box.y1 - y1, cell.box.x2 - x1, cell.box.y2 - y1)
    return planting.pixels(image).crop((x1, y1, x2, y2)), box


def whole_cells(ds: Dataset) -> Iterator[Cell]:
    """A cell of each image of the training part, clear of the border."""
    for image in ds.part("train").images:
        cells = [cell for cell in ds.cells_of(image) if cell.label != "Other" and not cell.occluded]
        if cells:
            yield cells[0]


def test_planted_cells_are_all_found(planting: Planting) -> None:
    cells = whole_cells(planting.ds)
    wanted = set()
    for number, turn in enumerate((None, *PIL.Image.Transpose)):
        cell = next(cells)
        crop, box = cut(planting, cell, 50)
        corners = np.array([[box.x1, box.y1], [box.x2, box.y2]])
        if turn is not None:
            # where the box goes: two marked corners, turned as the picture is
            marks = PIL.Image.new("L", crop.size)
            for x, y in ((box.x1, box.y1), (box.x2 - 1, box.y2 - 1)):
                marks.putpixel((int(x), int(y)), 255)
            rows, columns = np.nonzero(np.asarray(marks.transpose(turn)))
            corners = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]])
            crop = crop.transpose(turn)
        moved = Box(*np.clip(corners.ravel(), 0, [*crop.size] * 2).tolist())
        data = encoded(crop, "JPEG", 60) if number % 2 else crop
        wanted.add(
            (cell.image, cell.id, planting.add(f"{number}.png", data, part="test", patient="NEW", box=moved))
        )
    found = of_kind(checks.check(planting.dataset()), *COPIES)
    assert {finding.kind for finding in found} == {"cell-again"}
    assert {finding.severity for finding in found} == {"problem"}
    pairs_found = {tuple(sorted(finding.cells)) for finding in found}
    assert pairs_found == {tuple(sorted([(image, number), (name, 0)])) for image, number, name in wanted}


def test_a_cell_pasted_into_another_image_is_found(planting: Planting) -> None:
    cell = next(whole_cells(planting.ds))
    crop, box = cut(planting, cell, 10)
    target = next(
        image for image in planting.ds.part("test").images if not image.id.startswith(cell.image[:-8])
    )
    picture = planting.pixels(target)
    picture.paste(crop, (600, 400))
    path = planting.root / str(target.file)
    path.unlink()  # the link, not what it leads to
    picture.save(path, "PNG")
    own = Box(box.x1 + 600, box.y1 + 400, box.x2 + 600, box.y2 + 400)
    planting.cells.append(Cell(target.id, 99, cell.label, own))
    (finding,) = of_kind(checks.check(planting.dataset()), *COPIES)
    assert finding.kind == "cell-again"
    assert set(finding.cells) == {(cell.image, cell.id), (target.id, 99)}
    assert f'"{cell.label}" appears again as cell ' in finding.what


@pytest.mark.parametrize("margin", [0, 50])
def test_a_saved_crop_without_a_box_is_found(planting: Planting, margin: int) -> None:
    cell = next(whole_cells(planting.ds))
    crop, _ = cut(planting, cell, margin)
    turned = crop.transpose(PIL.Image.Transpose.ROTATE_90)
    planting.add("crop.jpg", encoded(turned, "JPEG", 80), part="test", patient="NEW")
    (finding,) = of_kind(checks.check(planting.dataset()), *COPIES)
    assert (finding.kind, finding.images) == ("image-is-cell", ("crop.jpg", cell.image))
    assert str(finding).startswith(
        f'image "crop.jpg": is a crop of cell {cell.id} ("{cell.label}") of image "{cell.image}", across'
    )


def test_copies_do_not_hang_on_the_number_of_workers(planting: Planting) -> None:
    planting.add(
        "copy.jpg", encoded(planting.pixels(next(sources(planting.ds))), "JPEG", 60), part="test", patient="N"
    )
    ds = planting.dataset()
    assert checks.check(ds, workers=1).to_json() == checks.check(ds, workers=4).to_json()


# The split


def test_a_patient_in_two_parts(drawn: Dataset) -> None:
    assert drawn.split
    patient = max(drawn.part("train").patients, key=lambda p: sum(i.patient == p.id for i in drawn.images))
    moved = next(image.id for image in drawn.images if image.patient == patient.id)
    leaking = drawn.with_split(Split("bad", {**drawn.split.part_of, moved: "test"}))
    (finding,) = checks.check(leaking, pixels=False).problems
    assert (finding.kind, finding.patients, finding.parts) == (
        "patient-in-two-parts",
        (patient.id,),
        ("train", "test"),
    )
    assert str(finding).startswith(f'split "bad" patient "{patient.id}": is in train (')


def test_a_split_that_lost_images(drawn: Dataset) -> None:
    assert drawn.split
    lost = drawn.images[3].id
    split = Split("old", {image: part for image, part in drawn.split.part_of.items() if image != lost})
    (finding,) = checks.check(drawn, split=split, pixels=False).problems
    assert (finding.kind, finding.images) == ("in-no-part", (lost,))
    assert "1 of 28 images are in no part" in finding.what


def test_patients_that_the_split_knew_and_the_data_lost_are_a_problem(drawn: Dataset) -> None:
    assert drawn.split
    known = {image.id: image.patient for image in drawn.images if image.patient}
    split = replace(drawn.split, patient_of=known)
    images = tuple(replace(image, patient=None) for image in drawn.images)
    found = checks.check(replace(drawn, images=images, patients=(), split=split), pixels=False).findings
    assert [(each.kind, each.severity) for each in found] == [("lost-patient", "problem")]
    assert set(found[0].images) == {image.id for image in images}


def test_an_image_in_no_part_has_lost_no_patient(drawn: Dataset) -> None:
    """Whatever the split has recorded of it: it places the others as well as before."""
    assert drawn.split
    image, *others = drawn.images
    assert image.patient
    part_of = {other.id: drawn.split.part_of[other.id] for other in others}
    split = replace(drawn.split, part_of=part_of, patient_of={image.id: image.patient})
    ds = replace(drawn, images=(replace(image, patient=None), *others))
    found = {each.kind: each.images for each in checks.check(ds, split=split, pixels=False).findings}
    assert found == {"in-no-part": (image.id,), "unknown-patient": (image.id,)}


def test_images_of_unknown_patients_are_a_warning(drawn: Dataset) -> None:
    unknown = replace(drawn, images=(replace(drawn.images[0], patient=None), *drawn.images[1:]))
    (finding,) = checks.check(unknown, pixels=False).findings
    assert (finding.kind, finding.severity, finding.images) == (
        "unknown-patient",
        "warning",
        (drawn.images[0].id,),
    )


# Annotations


def annotated(*boxes: tuple[str, Box]) -> Dataset:
    image = Image(ImageId("a.jpg"), 4000, 4000)
    return Dataset(
        "x", NINE, (image,), tuple(Cell(image.id, n, label, box) for n, (label, box) in enumerate(boxes))
    )


def test_the_same_cell_annotated_twice() -> None:
    found = checks.check(
        annotated(
            ("Monocyte", Box(10, 10, 110, 110)),
            ("Monocyte", Box(12, 10, 112, 110)),  # 98 / 102
            ("Lymphocyte", Box(1000, 10, 1100, 110)),
            ("Monocyte", Box(1000, 10, 1100, 104)),  # 0.94
            ("Other", Box(2000, 10, 2100, 110)),
            ("Other", Box(2006, 10, 2106, 110)),  # 94 / 106: below 0.9
        )
    )
    assert [(f.kind, f.severity, [n for _, n in f.cells]) for f in found.findings] == [
        ("cell-twice", "problem", [2, 3]),
        ("cell-twice", "warning", [0, 1]),
    ]
    assert str(found.warnings[0]) == (
        'image "a.jpg" cell 0: "Monocyte" is annotated again as cell 1, too: their boxes overlap by 0.96; '
        "delete one of them in CVAT"
    )
    assert 'as "Monocyte": their boxes overlap by 0.94; decide on one label' in str(found.problems[0])


def test_unusual_boxes() -> None:
    rng = np.random.default_rng(0)
    boxes = []
    for number in range(40):
        x, y, side = 90 * (number % 20) + 20, 100 + 200 * (number // 20), rng.normal(80, 3)
        boxes.append(("Monocyte", Box(x, y, x + side, y + side * rng.normal(1, 0.03))))
    assert checks.check(annotated(*boxes)).findings == ()
    odd = [
        ("Monocyte", Box(100, 1000, 300, 1200)),  # large
        ("Monocyte", Box(500, 1000, 630, 1050)),  # flat
        ("Monocyte", Box(0, 1500, 20, 1580)),  # cut by the border: usual
        *[
            ("Basophil", Box(1000 + 100 * n, 2000, 1010 + 100 * n + 20 * n, 2010)) for n in range(19)
        ],  # too few
    ]
    found = checks.check(annotated(*boxes, *odd))
    assert [(f.kind, f.severity, f.cells[0][1]) for f in found.findings] == [
        ("unusual-box", "warning", 40),
        ("unusual-box", "warning", 41),
    ]
    assert "has a box of 200 x 200 px" in found.findings[0].what
    assert "usual size" in found.findings[0].what
    assert "usual shape" in found.findings[1].what
    assert float(found.findings[0].what.split(" px, ")[1].split()[0]) > UNUSUAL


# Files


def with_exif(orientation: int, **texts: str) -> bytes:
    made = PIL.Image.Exif()
    made[0x0112] = orientation
    for name, text in texts.items():
        made[PIL.ExifTags.Base[name]] = text
    out = io.BytesIO()
    noise = np.random.default_rng(orientation).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(out, "JPEG", exif=made)
    return out.getvalue()


@pytest.mark.parametrize("pixels", [True, False])
def test_files_that_do_not_fit_and_what_they_say(tmp_path: Path, pixels: bool) -> None:  # noqa: FBT001
    contents = {
        "a.jpg": with_exif(1, Artist="Dr Somebody"),
        "b.jpg": with_exif(3),
        "c.jpg": b"no image",
        "d.jpg": with_exif(2, Artist="Dr Somebody")[:400],
        "e.jpg": with_exif(6),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    rows = [Image(ImageId(name), 60, 40, file=name) for name in [*contents, "gone.jpg"]]
    ds = Dataset("x", NINE, (*rows, Image(ImageId("none.jpg"), 60, 40)), root=tmp_path)
    found = checks.check(ds, pixels=pixels)
    problems = {str(finding.images[0]): finding.what for finding in found.problems}
    assert {finding.kind for finding in found.problems} == {"unreadable"}
    assert problems["b.jpg"] == "has EXIF orientation 3, which may turn it under its boxes"
    assert (
        problems["e.jpg"]
        == "is annotated as 60 x 40 pixels, its file is 40 x 60 as its EXIF orientation 6 turns it"
    )
    assert "is not an image that can be read" in problems["c.jpg"]
    assert "has no file gone.jpg" in problems["gone.jpg"]
    assert "d.jpg" in problems
    (warning,) = found.warnings
    assert (warning.kind, set(warning.images) >= {"a.jpg"}) == ("identifier", True)
    assert str(warning).startswith('image "a.jpg"')
    assert "EXIF Artist may identify a person (name); look at it" in str(warning)
    assert "Somebody" not in str(found)
    assert "1 image has no file and was not checked" in found.notes
    assert ("no image was decoded: copies were not searched for" in found.notes) == (not pixels)


def test_only_what_can_be_found_was_searched() -> None:
    assert checks.check(Dataset("x", NINE, ())).searched == ("no-images",)
    ds, alone = Dataset("x", NINE, (Image(ImageId("a.jpg"), 60, 40),)), {"no-images", "personal-data"}
    assert {*checks.check(ds).searched} == alone
    assert {*checks.check(ds, paper=True).searched} == {*alone, "paper"}
    cells = (Cell(ImageId("a.jpg"), 0, "Monocyte", Box(1, 1, 20, 20)),)
    assert {*checks.check(replace(ds, cells=cells)).searched} == {*alone, "cell-twice", "unusual-box"}
    of_patients = {"patient-for-each-image", "one-patient", "patient-spelled-twice", "damaged-patient-id"}
    assert {*checks.check(replace(ds, patients=(Patient(PatientId("P1")),))).searched} == alone | of_patients
    leaks = {"patient-in-two-parts", "group-in-two-parts", "file-in-another-part", "in-no-part"}
    split = Split("official", {ds.images[0].id: "train"})
    assert {*checks.check(ds, split=split).searched} == {*alone, *leaks, "lost-patient", "unknown-patient"}


def test_what_is_in_files_that_cannot_be_read_was_not_searched(tmp_path: Path) -> None:
    """A list of what was not found must not say that no file names a person."""
    (tmp_path / "a.jpg").write_bytes(with_exif(1))
    rows = [Image(ImageId(name), 60, 40, file=name, digest="0") for name in ("a.jpg", "gone.jpg")]
    in_files = {"identifier", "changed-file", "blank", "same-pixels", "cell-again"}
    some = checks.check(Dataset("x", NINE, tuple(rows), root=tmp_path))
    assert {*some.searched} >= in_files
    assert any(note.startswith("1 of 2 image files cannot be read") for note in some.notes)
    gone = checks.check(Dataset("x", NINE, (rows[1],), root=tmp_path))
    assert in_files.isdisjoint(gone.searched)
    assert "unreadable" in gone.searched
    assert any(note.startswith("1 of 1 image files cannot be read") for note in gone.notes)
    unknown = checks.check(Dataset("x", NINE, (replace(rows[0], digest=None),), root=tmp_path))
    assert "changed-file" not in unknown.searched
    assert {"identifier", "same-pixels"} <= {*unknown.searched}
    assert not any("cannot be read" in note for note in unknown.notes)


def test_plain_images_are_told_apart_by_their_pixels_alone(tmp_path: Path) -> None:
    colours = {"a.png": (230, 210, 220), "b.png": (230, 210, 220), "c.png": (231, 210, 220)}
    for name, colour in colours.items():
        (tmp_path / name).write_bytes(png(color=colour))
    ds = Dataset("x", NINE, tuple(Image(ImageId(n), 200, 100, file=n) for n in colours), root=tmp_path)
    found = checks.check(ds)
    assert [(f.kind, f.images) for f in found.findings] == [
        ("blank", ("a.png", "b.png", "c.png")),
        ("same-pixels", ("a.png", "b.png")),
    ]
    assert any(note.startswith("3 images and 0 cells show too little") for note in found.notes)


def test_annotations_only() -> None:
    found = checks.check(annotated(("Other", Box(10, 10, 50, 50))))
    assert found.findings == ()
    assert "there are no image files: only the annotations were checked" in found.notes
    assert "there is no split: leaks between parts were not checked" in found.notes


def test_no_images_at_all() -> None:
    found = checks.check(Dataset("x", NINE, ()))
    assert [str(each) for each in found.problems] == ['data set "x": has no images; import the data again']
    assert found.findings == found.problems


# What is told


def test_json_and_kinds(planting: Planting) -> None:
    image = next(sources(planting.ds))
    planting.add("copy.png", planting.pixels(image), part="test", patient="NEW")
    cell = planting.cells[0]
    planting.cells.append(structs.replace(cell, id=99, label=IGNORE))
    found = checks.check(planting.dataset(), paper=True)
    data = found.to_json()
    assert json.loads(json.dumps(data)) == data
    assert {f.kind for f in found.findings} <= set(checks.KINDS)
    assert data["problems"] == len(found.problems)
    rows = {row["kind"]: row for row in data["findings"]}  # type: ignore[attr-defined]
    assert rows["same-pixels"].keys() == {
        *("kind", "severity", "where", "what", "fix", "images", "cells", "parts", "patients", "distance")
    }
    assert rows["same-pixels"]["images"] == sorted(["copy.png", image.id])
    assert rows["cell-twice"]["cells"] == [[cell.image, cell.id], [cell.image, 99]]
    for finding in found.findings:
        assert str(finding) == f"{finding.where}: {finding.what}; {finding.fix}"


def test_pictures_of_findings(planting: Planting, tmp_path: Path) -> None:
    image = next(sources(planting.ds))
    planting.add('c"op&y.png', planting.pixels(image), part="test", patient="NEW")
    cell = next(whole_cells(planting.ds))
    crop, box = cut(planting, cell, 50)
    planting.add("crop.png", crop, part="test", patient="NEW", box=box)
    planting.add("broken.png", b"\x89PNG\r\n\x1a\n" + png()[8:], part="test", patient="NEW")
    ds = planting.dataset()
    found = checks.check(ds)
    report = checks.write_pictures(found.findings, tmp_path / "out", ds)
    with (tmp_path / "out" / "findings.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["kind"] for row in rows] == [finding.kind for finding in found.findings]
    shown = {row["kind"]: row["picture"] for row in rows}
    for kind in ("same-pixels", "cell-again"):
        with PIL.Image.open(tmp_path / "out" / shown[kind]) as picture:
            assert picture.width == 2 * 480 + 8
            pixels = np.asarray(picture.convert("RGB"), int)
        above = 3 * 18 + 6 + (kind == "cell-again") * 18  # the caption
        left, right = pixels[above:, :480], pixels[above:, 488:]
        assert np.abs(left - right).mean() < (2 if kind == "same-pixels" else 6)
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "c&quot;op&amp;y.png" in page
    assert page.count("<img") == sum(bool(row["picture"]) for row in rows)
    assert "3 with a picture" in str(report)
    checks.write_pictures(found.findings, tmp_path / "again", ds)
    for name in shown.values():
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(ExportError, match=r'holds "mine.txt"'):
        checks.write_pictures(found.findings, tmp_path / "out", ds)


def test_bccd_holds_cells_that_were_photographed_twice() -> None:
    """Looked at by eye: these six pairs show one field, or one cell, on two frames."""
    export = SHARED / "bccd-cvat-images-1.1.zip"
    if not export.is_file():
        pytest.skip(f"{export} is not there")
    with pytest.warns(DataWarning, match="has no area"):
        ds = pcm.load_dataset(export, taxonomy="declared")
    found = of_kind(checks.check(ds), *COPIES)
    assert {tuple(image[-9:-4] for image in sorted(finding.images)) for finding in found} == {
        ("00037", "00038"),
        ("00227", "00260"),
        ("00237", "00252"),
        ("00248", "00249"),
        ("00382", "00395"),
        ("00384", "00393"),
    }


def test_images_that_are_all_gone_are_one_finding(tmp_path: Path) -> None:
    rows = tuple(Image(ImageId(f"{name}.png"), 64, 48, file=f"{name}.png") for name in "abc")
    (found,) = checks.check(Dataset("demo", NINE, rows, root=tmp_path / "gone.zip")).problems
    assert found.images == ("a.png", "b.png", "c.png")
    assert str(found) == (
        f'image "a.png" and 2 more: {tmp_path / "gone.zip"}: the images are not there; give images_root'
    )


def test_the_fix_of_a_file_that_cannot_be_read_ends_the_problem(tmp_path: Path) -> None:
    root = tmp_path / "export"
    export = pcm.sample.write(tmp_path / "export.zip", patients=2, images=3)
    with zipfile.ZipFile(export) as archive:
        archive.extractall(root)
    ds = pcm.load_dataset(root)
    cut, gone, _ = (root / str(image.file) for image in ds.images)
    cut.write_bytes(cut.read_bytes()[:3000])
    gone.unlink()
    damaged, missing = (str(found) for found in checks.check(ds).problems)
    assert damaged.endswith("; replace the file, then import again")
    assert missing == (
        f'image "{ds.images[1].id}": {root}: has no file {ds.images[1].file}; give images_root'
    )


def test_images_in_a_folder_that_is_gone_are_problems(tmp_path: Path) -> None:
    root = tmp_path / "export"
    with zipfile.ZipFile(pcm.sample.write(tmp_path / "export.zip", patients=2, images=2)) as archive:
        archive.extractall(root)
    ds = pcm.load_dataset(root)
    shutil.rmtree(root / "images")
    found = checks.check(ds)
    assert [problem.kind for problem in found.problems] == ["unreadable"] * 2


def test_cells_that_a_model_drew_are_counted_without_those_to_be_ignored(drawn: Dataset) -> None:
    assert checks.check(drawn, pixels=False).auto_cells == 0
    assert "source" not in str(checks.check(drawn, pixels=False))
    first, second, ignored = drawn.cells[:3]
    changed = {
        (first.image, first.id): structs.replace(first, source="auto"),
        (second.image, second.id): structs.replace(second, source="semi-auto"),
        (ignored.image, ignored.id): structs.replace(ignored, source="auto", label=IGNORE),
    }
    cells = tuple(changed.get((cell.image, cell.id), cell) for cell in drawn.cells)
    found = checks.check(replace(drawn, cells=cells), pixels=False)
    assert found.auto_cells == found.to_json()["auto_cells"] == 1
    assert (
        f'note: 1 of {len(cells) - 1} cells has the source "auto": a model drew it, so let a person look at it before you '
        "train or score on it"
    ) in str(found)
    white = tuple(structs.replace(cell, source="auto", label=IGNORE, untyped=True) for cell in drawn.cells)
    assert checks.check(replace(drawn, cells=white), pixels=False).auto_cells == len(white)
    cells = tuple(structs.replace(cell, source="auto") for cell in drawn.cells)
    assert f'note: {len(cells)} of {len(cells)} cells have the source "auto": a model drew them' in str(
        checks.check(replace(drawn, cells=cells), pixels=False)
    )
