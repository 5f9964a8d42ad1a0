"""Data sets joined: every row of each is there once, under a name that tells where it comes from."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from strategies import datasets

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, images, leaks, sample
from pcm_leukemia.joining import concat
from pcm_leukemia.schema import ImageId, PatientId


def one(name: str, part: str | None = None, root: Path | None = None) -> Dataset:
    image = Image(ImageId("P1/a.png"), 64, 48, PatientId("P1"), file="P1/a.png")
    return Dataset(
        name,
        NINE,
        (image,),
        (Cell(image.id, 0, "Monocyte", Box(1, 2, 30, 40)),),
        (Patient(PatientId("P1"), "AML"),),
        split=Split("official", {image.id: part}, {"val_unit": "patient"}) if part else None,
        root=root,
    )


def test_two_hospitals_first_patients_stay_two() -> None:
    both = concat([one("north", "train"), one("south", "test")])
    assert [(image.id, image.patient, image.name) for image in both.images] == [
        ("north/P1/a.png", "north/P1", "P1/a.png"),
        ("south/P1/a.png", "south/P1", "P1/a.png"),
    ]
    assert [(patient.id, patient.diagnosis) for patient in both.patients] == [
        ("north/P1", "AML"),
        ("south/P1", "AML"),
    ]
    assert both.split is not None
    assert both.split.part_of == {"north/P1/a.png": "train", "south/P1/a.png": "test"}
    assert leaks.check(both, both.split) == []


def test_a_leak_in_one_of_them_is_still_one() -> None:
    leaky = replace(
        one("north"),
        images=(*one("north").images, replace(one("north").images[0], id=ImageId("P1/b.png"))),
        split=Split("bad", {ImageId("P1/a.png"): "train", ImageId("P1/b.png"): "test"}),
    )
    both = concat([leaky, one("south", "train")])
    assert both.split is not None
    assert [problem.where for problem in leaks.check(both, both.split)] == [
        'split "joined" patient "north/P1"'
    ]


def test_images_are_found_in_folders_and_zips_alike(tmp_path: Path) -> None:
    zipped = pcm.load_dataset(sample.write(tmp_path / "zips" / "a.zip", patients=2, images=2), name="zipped")
    with zipfile.ZipFile(sample.write(tmp_path / "b.zip", patients=2, images=2, seed=1)) as archive:
        archive.extractall(tmp_path / "folder")
    folder = pcm.load_dataset(tmp_path / "folder", name="folder")
    both = concat([zipped, folder])
    assert both.root == tmp_path
    files = images.files_of(both)
    for ds in (zipped, folder):
        own = images.files_of(ds)
        for image in ds.images:
            joined = both.image(f"{ds.name}/{image.id}")
            assert np.array_equal(images.load(files, joined), images.load(own, image))


@given(datasets())
def test_nothing_is_lost_and_nothing_changes_but_ids(ds: Dataset) -> None:
    alone = concat([replace(ds, name="x")])
    assert [image.id for image in alone.images] == [f"x/{image.id}" for image in ds.images]
    assert [(c.image, c.id, c.label, c.box, c.raw_label, c.attributes) for c in alone.cells] == [
        (f"x/{c.image}", c.id, c.label, c.box, c.raw_label, c.attributes) for c in ds.cells
    ]
    assert [alone.diagnosis_of(image) for image in alone.images] == [ds.diagnosis_of(i) for i in ds.images]
    assert [alone.part_of(image) for image in alone.images] == [ds.part_of(image) for image in ds.images]


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ([], "concat: there is no data set to join; give one or more"),
        ([one("a"), one("a")], 'concat: several data sets are called "a"; give each a name of its own'),
        ([one("a", "train"), one("b")], "concat: b has no split and the others have one; split it first"),
        ([one("a"), one("b").task("wbc")], "a has the classes Lymphocyte, .*, b has WBC, Other; bring them"),
    ],
)
def test_what_does_not_fit_is_refused(sources: list[Dataset], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        concat(sources)
