"""Data sets joined: every row of each is there once, under a name that tells where it comes from."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from strategies import datasets

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, images, sample, splits
from pcm_leukemia.errors import DataWarning
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
    assert splits.leaks(both, both.split) == []


def leaky(other_part: str) -> Dataset:
    """One patient in train and in another part."""
    return replace(
        one("north"),
        images=(*one("north").images, replace(one("north").images[0], id=ImageId("P1/b.png"))),
        split=Split("bad", {ImageId("P1/a.png"): "train", ImageId("P1/b.png"): other_part}),
    )


def test_a_leak_in_one_of_them_is_still_one() -> None:
    both = concat([leaky("test"), one("south", "train")])
    assert both.split is not None
    assert [leak.problem.where for leak in splits.leaks(both, both.split)] == [
        'split "joined" patient "north/P1"'
    ]


def test_a_data_set_that_shares_patients_does_not_excuse_the_leak_of_another() -> None:
    south = one("south", "train")
    assert south.split is not None
    by_image = replace(south, split=replace(south.split, val_shares_patients=True))
    with pytest.raises(pcm.errors.LeakySplit, match='split "bad" patient "north/P1": is in train .* and val'):
        concat([leaky("val"), by_image])
    both = concat([one("north", "train"), by_image])
    assert both.split is not None
    assert both.split.val_shares_patients


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
        ([], "concat: no data set to join; give one or more"),
        ([one("a"), one("a")], 'concat: several data sets are called "a"; give each a name of its own'),
        ([one("a", "train"), one("b")], "concat: b has no split and the others have one; split it first"),
        ([one("a"), one("b").task("wbc")], "a has the classes Lymphocyte, .*, b has WBC, Other; bring them"),
    ],
)
def test_what_does_not_fit_is_refused(sources: list[Dataset], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        concat(sources)


def smears(folder: Path, name: str, colours: dict[str, tuple[int, int, int]]) -> Dataset:
    rows = []
    for file, colour in colours.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(colour).integers(0, 60, (64, 64, 3), dtype=np.uint8)
        PIL.Image.fromarray(noise + np.array(colour, np.uint8)).save(folder / name / file)
        rows.append(Image(ImageId(file), 64, 64, PatientId(file), file=file))
    people = tuple(Patient(PatientId(file)) for file in colours)
    return Dataset(name, NINE, tuple(rows), patients=people, root=folder / name)


@pytest.mark.parametrize("again", ["the same file", "saved anew"])
def test_an_image_in_two_data_sets_is_told_and_never_separated(tmp_path: Path, again: str) -> None:
    one = smears(tmp_path, "one", {f"{n}.png": (10 * n, 150, 20) for n in range(5)})
    two = smears(tmp_path, "two", {f"{n}.png": (20, 10 * n, 150) for n in range(5)})
    if again == "the same file":
        shutil.copy(tmp_path / "one" / "3.png", tmp_path / "two" / "1.png")
    else:
        PIL.Image.open(tmp_path / "one" / "3.png").save(tmp_path / "two" / "1.png", compress_level=0)
    with pytest.warns(
        pcm.errors.DataWarning, match="1 image is in more than one data set.*\n.*one/3.png = two/1.png"
    ):
        both = concat([one, two], copies_by="files" if again == "the same file" else "pixels")
    assert {image.id for image in both.images if image.group} == {"one/3.png", "two/1.png"}
    for seed in range(20):
        split = pcm.splits.by_patient(both, test=0.3, val=0.3, seed=seed)
        assert split.part_of[ImageId("one/3.png")] == split.part_of[ImageId("two/1.png")]
    torn = both.with_split(
        Split("torn", {i.id: "test" if i.id == "two/1.png" else "train" for i in both.images})
    )
    with pytest.raises(pcm.errors.LeakySplit, match='group "same as one/3.png": is in train'):
        splits.require_sound(torn)


def test_a_copy_is_known_by_its_digest_when_the_files_are_elsewhere() -> None:
    here = replace(one("here"), images=(replace(one("here").images[0], digest="d" * 32),))
    there = Image(ImageId("b.png"), 64, 48, digest="d" * 32)
    with pytest.warns(pcm.errors.DataWarning, match=r"here/P1/a.png = there/b.png"):
        both = concat([here, Dataset("there", NINE, (there,))])
    assert {image.group for image in both.images} == {"same as here/P1/a.png"}


def test_equal_digests_of_files_that_differ_elsewhere_are_no_copy(tmp_path: Path) -> None:
    same = []
    for name, shade in (("one", 20), ("two", 200)):
        (tmp_path / name).mkdir()
        pixels = np.zeros((400, 400), np.uint8)
        pixels[30:40] = shade  # between the blocks of the digest
        PIL.Image.fromarray(pixels).save(tmp_path / name / "a.bmp")
        ds = Dataset(name, NINE, (Image(ImageId("a.bmp"), 400, 400, file="a.bmp"),), root=tmp_path / name)
        checked, _ = images.compare_files(ds.images, tmp_path / name)
        same.append(replace(ds, images=checked))
    assert same[0].images[0].digest == same[1].images[0].digest
    assert not any(image.group for image in concat(same).images)
    shutil.rmtree(tmp_path / "one")
    with pytest.warns(pcm.errors.DataWarning, match="1 image is in more than one data set"):
        assert concat(same).images[0].group  # the files cannot be read, so their digests decide


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    known = smears(tmp_path, "known", {"a.png": (10, 150, 20)})
    with pytest.warns(
        pcm.errors.DataWarning, match='1 of 2 images, the first "rows/a.png", have neither a file'
    ):
        both = concat([known, Dataset("rows", NINE, (Image(ImageId("a.png"), 64, 64),))])
    assert not any(image.group for image in both.images)


def test_digests_that_a_split_recorded_follow_the_images() -> None:
    ds = one("here", "train")
    assert ds.split is not None
    known = replace(ds, split=replace(ds.split, digest_of={ds.images[0].id: "d" * 32}))
    joined = concat([known, one("there", "test")]).split
    assert joined is not None
    assert joined.digest_of == {"here/P1/a.png": "d" * 32}


def test_groups_that_share_a_copy_become_one(tmp_path: Path) -> None:
    one = smears(tmp_path, "one", {f"{n}.png": (10 * n, 150, 20) for n in range(3)})
    two = smears(tmp_path, "two", {f"{n}.png": (20, 10 * n, 150) for n in range(3)})
    shutil.copy(tmp_path / "one" / "0.png", tmp_path / "two" / "0.png")
    one = replace(one, images=tuple(replace(i, group="slide") if i.id < "2" else i for i in one.images))
    with pytest.warns(pcm.errors.DataWarning):
        both = concat([one, two])
    assert {image.id: image.group for image in both.images if image.group} == dict.fromkeys(
        ("one/0.png", "one/1.png", "two/0.png"), "same as one/0.png"
    )


def test_images_are_found_behind_a_link_and_above_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, shade in (("disk/far", 50), ("home/near", 200)):
        (tmp_path / place / "P1").mkdir(parents=True)
        PIL.Image.new("L", (64, 48), shade).save(tmp_path / place / "P1" / "a.png")
    (tmp_path / "home" / "link").symlink_to(tmp_path / "disk" / "far")
    with zipfile.ZipFile(tmp_path / "disk" / "far.zip", "w") as archive:
        archive.write(tmp_path / "disk" / "far" / "P1" / "a.png", "P1/a.png")
    monkeypatch.chdir(tmp_path / "home" / "near")
    for far in ("../link", "../../disk/far", "../../disk/far.zip"):
        both = concat([one("far", root=Path(far)), one("near", root=Path())])
        shades = [images.load(images.files_of(both), image)[0, 0, 0] for image in both.images]
        assert shades == [50, 200]


def hidden(name: str, *patients: str, part: str | None = None) -> Dataset:
    """A data set with one image of each patient."""
    pictures = tuple(Image(ImageId(f"{p}/a.png"), 64, 48, PatientId(p)) for p in patients)
    split = Split("official", {image.id: part for image in pictures}) if part else None
    people = tuple(Patient(PatientId(p)) for p in patients)
    return Dataset(name, NINE, pictures, patients=people, split=split)


@pytest.mark.parametrize("pseudonym", ["P-7K3M9QX4TZ", "ward/P-7K3M9QX4TZ"])
def test_a_patient_with_a_pseudonym_here_and_an_id_there_is_refused(pseudonym: str) -> None:
    one, other = hidden("here", pseudonym), hidden("there", "4711007")
    for pair in ((one, other), (other, one)):
        with pytest.raises(ValueError, match="^concat: here has pseudonyms of patients, and there has other"):
            concat(pair, shared_patients=True)
        with pytest.warns(DataWarning, match="here has pseudonyms of patients, and there has other ids: a"):
            assert len(concat(pair).patients) == 2


@pytest.mark.filterwarnings("error::pcm_leukemia.errors.DataWarning")
def test_data_with_pseudonyms_alone_or_without_patients_are_joined_without_a_word() -> None:
    mixed = hidden("mixed", "lmu/7", "ward/P-7K3M9QX4TZ")  # as an earlier join wrote it
    assert len(concat([mixed, hidden("more", "P-8QK3GN1C7E")], shared_patients=False).patients) == 3
    for other in (hidden("more", "P-8QK3GN1C7E"), Dataset("none", NINE, (Image(ImageId("a.png"), 64, 64),))):
        concat([hidden("one", "P-7K3M9QX4TZ"), other], shared_patients=True)
    concat([hidden("one", "P-012"), hidden("other", "4711007")], shared_patients=True)
