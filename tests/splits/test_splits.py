"""Splits: no patient in two parts, whatever the data; balanced, repeatable, and written down."""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcm_leukemia import splits
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    DataWarning,
    InvalidExport,
    LeakySplit,
    MissingPatients,
)
from pcm_leukemia.schema import IGNORE, Cell, Image, ImageId, Patient, PatientId, Split
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE


def dataset(*patients: tuple[str, int, dict[str, int]]) -> Dataset:
    """(id, images, cells by label) each -> a data set; cells go to the patient's images in turn."""
    images, cells = [], []
    for patient, count, labels in patients:
        ids = [ImageId(f"{patient}/{number:04d}.png") for number in range(count)]
        images += [Image(image, 100, 80, PatientId(patient), name=image[-8:]) for image in ids]
        flat = [label for label in NINE.labels for _ in range(labels.get(label, 0))]
        cells += [Cell(ids[n % count], n, label, Box(1, 2, 30, 40)) for n, label in enumerate(flat)]
    return Dataset(
        "demo", NINE, tuple(images), tuple(cells), tuple(Patient(PatientId(p)) for p, _, _ in patients)
    )


def split_of(ds: Dataset, parts: dict[str, str], *, val_shares_patients: bool = False) -> Split:
    """Image id prefix -> part."""
    return Split(
        "demo",
        {
            image.id: next(part for start, part in parts.items() if image.id.startswith(start))
            for image in ds.images
        },
        val_shares_patients=val_shares_patients,
    )


TWO = dataset(("A", 3, {"Lymphocyte": 2}), ("B", 2, {}))


def test_require_sound_names_every_leaking_patient_and_both_parts() -> None:
    split = split_of(TWO, {"A/0000": "test", "A": "train", "B/0000": "val", "B": "train"})
    with pytest.raises(LeakySplit) as caught:
        splits.require_sound(TWO.with_split(split))
    assert str(caught.value).splitlines() == [
        (
            'split "demo" patient "A": is in train (2 images) and test (1 image); '
            "put all its images into one part, or make the split with splits.by_patient"
        ),
        (
            'split "demo" patient "B": is in train (1 image) and val (1 image); '
            "put all its images into one part, or make the split with splits.by_patient"
        ),
    ]


def test_training_may_share_patients_with_validation_only_if_the_split_says_so_and_never_with_test() -> None:
    shared = split_of(TWO, {"A/0000": "val", "A": "train", "B": "test"}, val_shares_patients=True)
    splits.require_sound(TWO.with_split(shared))
    leaking = split_of(
        TWO, {"A/0000": "val", "A": "train", "B/0000": "test", "B": "val"}, val_shares_patients=True
    )
    assert [leak.problem.where for leak in splits.leaks(TWO, leaking)] == ['split "demo" patient "B"']


def test_a_leak_names_its_kind_its_images_and_its_parts() -> None:
    groups = {"A/0002.png": "slide 1", "B/0000.png": "slide 1"}
    ds = replace(TWO, images=tuple(replace(image, group=groups.get(image.id)) for image in TWO.images))
    part_of = {"A/0000.png": "test", "A/0001.png": "train", "A/0002.png": "train", "B/0000.png": "test"}
    split = Split("demo", {ImageId(image): part for image, part in part_of.items()})
    patient, group, lost = splits.leaks(ds, split)
    assert (patient.kind, patient.patient, patient.group) == ("patient-in-two-parts", "A", None)
    assert patient.parts == ("train", "test")
    assert patient.images == ("A/0000.png", "A/0001.png", "A/0002.png")
    assert (group.kind, group.patient, group.group) == ("group-in-two-parts", None, "slide 1")
    assert (group.parts, group.images) == (("train", "test"), ("A/0002.png", "B/0000.png"))
    assert (lost.kind, lost.images, lost.parts) == ("in-no-part", ("B/0001.png",), ())


def test_a_patient_whose_id_got_lost_is_still_the_one_that_the_split_recorded() -> None:
    split = replace(
        split_of(TWO, {"A/0000": "test", "A": "train", "B": "test"}),
        patient_of={image.id: image.patient for image in TWO.images if image.patient},
    )
    lost = replace(TWO, images=tuple(replace(image, patient=None) for image in TWO.images), patients=())
    (leak,) = splits.leaks(lost, split)
    assert (leak.kind, leak.patient, leak.parts) == ("patient-in-two-parts", "A", ("train", "test"))
    assert "as the split recorded its images" in str(leak)
    with pytest.raises(LeakySplit, match='patient "A"'):
        splits.require_sound(lost.with_split(split))
    sound = replace(split, part_of={**split.part_of, ImageId("A/0000.png"): "train"})
    splits.require_sound(lost.with_split(sound))


def test_how_a_split_was_made_is_for_people_and_decides_nothing() -> None:
    parts = {ImageId("A/0000.png"): "train", ImageId("A/0001.png"): "val"}
    two = TWO.select(images=parts)
    assert splits.leaks(two, Split("demo", parts, {"val_unit": "image"}))
    assert not splits.leaks(two, Split("demo", parts, {"val_unit": "patient"}, val_shares_patients=True))


@pytest.mark.parametrize("shares", [True, False])
@pytest.mark.parametrize("made", [{}, {"val_unit": "image"}, {"val_unit": "patient"}])
def test_a_file_keeps_whether_validation_shares_patients(
    made: dict[str, str],
    shares: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    split = Split("demo", {image.id: "train" for image in TWO.images}, made, val_shares_patients=shares)
    splits.write(split, tmp_path / "demo.csv", TWO)
    assert splits.read(tmp_path / "demo.csv") == split


def test_a_split_file_of_the_version_before_lets_validation_share_patients(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text(
        "# val_unit: image\nimage,patient,part\nA/0000.png,A,train\nA/0001.png,A,val\n"
    )
    split = splits.read(tmp_path / "old.csv")
    assert split.val_shares_patients
    assert dict(split.made) == {"val_unit": "image"}
    splits.require_sound(TWO.select(images=split.part_of).with_split(split))


def test_data_without_a_split_is_sound() -> None:
    assert TWO.split is None
    splits.require_sound(TWO)  # raises otherwise


# Anything a hospital may bring


@st.composite
def cohorts(draw: st.DrawFn, least: int = 3, most: int = 12) -> Dataset:
    """Patients of one to seven images, any classes, ids in no order."""
    ids = draw(st.lists(st.text("ab01", min_size=1, max_size=4), min_size=least, max_size=most, unique=True))
    few = st.dictionaries(st.sampled_from(NINE.labels[:4]), st.integers(1, 9), max_size=3)
    return dataset(*((patient, draw(st.integers(1, 7)), draw(few)) for patient in ids))


def quiet(make: Callable[[], Split]) -> Split:
    """Small data often lack a class in a part; that is tested by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return make()


def parts_of(ds: Dataset, split: Split) -> dict[str, set[str]]:
    """Patient -> the parts that their images are in."""
    parts: dict[str, set[str]] = {}
    for image in ds.images:
        parts.setdefault(str(image.patient), set()).add(split.part_of[image.id])
    return parts


def share_of(ds: Dataset, split: Split, part: str, label: str | None = None) -> float:
    """The share of the images, or of the cells of a class, that a part has."""
    if label is None:
        rows = [image.id for image in ds.images]
    else:
        rows = [cell.image for cell in ds.cells if cell.label == label]
    return sum(split.part_of[image] == part for image in rows) / len(rows)


def shuffled(ds: Dataset, seed: int) -> Dataset:
    rng = random.Random(seed)
    rows = [rng.sample(each, len(each)) for each in (ds.images, ds.cells, ds.patients)]
    return Dataset(ds.name, ds.taxonomy, tuple(rows[0]), tuple(rows[1]), tuple(rows[2]))  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(cohorts(), st.integers(0, 3), st.sampled_from(["patient", "image"]))
def test_every_image_is_placed_no_patient_leaks_and_no_part_is_empty(
    ds: Dataset, seed: int, unit: str
) -> None:
    split = quiet(lambda: splits.by_patient(ds, test=0.2, val=0.3, seed=seed, val_unit=unit))  # type: ignore[arg-type]
    assert split.part_of.keys() == {image.id for image in ds.images}
    assert splits.leaks(ds, split) == []
    for parts in parts_of(ds, split).values():
        assert len(parts) == 1 or (unit == "image" and parts == {"train", "val"})
    assert {"train", "test"} <= set(split.parts) <= {"train", "val", "test"}
    assert unit == "image" or split.parts == ("train", "val", "test")


@settings(max_examples=10, deadline=None)
@given(cohorts(), st.integers(0, 3))
def test_the_order_of_the_rows_changes_nothing(ds: Dataset, seed: int) -> None:
    again = shuffled(ds, seed)
    assert quiet(lambda: splits.by_patient(ds, seed=seed)) == quiet(
        lambda: splits.by_patient(again, seed=seed)
    )


@settings(max_examples=15, deadline=None)
@given(cohorts(least=4), st.integers(2, 4), st.integers(0, 3))
def test_each_patient_validates_in_exactly_one_fold(ds: Dataset, k: int, seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        made = splits.folds(ds, k, seed)
    assert [split.name for split in made] == [f"fold{fold}" for fold in range(k)]
    seen: Counter[str] = Counter()
    for split in made:
        assert splits.leaks(ds, split) == []
        assert split.parts == ("train", "val")
        seen.update(patient for patient, parts in parts_of(ds, split).items() if parts == {"val"})
    assert seen == Counter(str(patient.id) for patient in ds.patients)


@settings(max_examples=25, deadline=None)
@given(cohorts(least=4), st.data(), st.sampled_from(["patient", "image"]))
def test_nobody_who_is_placed_moves_when_the_data_grow(ds: Dataset, data: st.DataObject, unit: str) -> None:
    ids = [image.id for image in ds.images]
    first = [image for image in ids if image.endswith("/0000.png")][:3]
    old = ds.select(images={*first, *data.draw(st.sets(st.sampled_from(ids)))})
    split = quiet(lambda: splits.by_patient(old, test=0.3, val=0.3, val_unit=unit))  # type: ignore[arg-type]
    grown = quiet(lambda: splits.extend(split, ds))
    assert grown.part_of.items() >= split.part_of.items()
    assert grown.part_of.keys() == set(ids)
    assert splits.leaks(ds, grown) == []
    before, after = parts_of(old, split), parts_of(ds, grown)
    for patient in before:
        held_out = before[patient] == {"test"}
        assert (after[patient] == {"test"}) == held_out
        assert unit == "image" or after[patient] == before[patient]
    assert quiet(lambda: splits.extend(grown, ds)) == grown


# By patient


def cohort(patients: int = 60, seed: int = 0) -> Dataset:
    """Patients of very different sizes; a third have lymphoblasts."""
    rng = random.Random(seed)
    rows = []
    for number in range(patients):
        size = 1 + int(rng.lognormvariate(2, 1))
        labels = {label: rng.randrange(size + 1) for label in ("Lymphocyte", "Monocyte", "Other")}
        rows.append((f"P{number:04d}", size, labels | ({"Lymphoblast": 2 * size} if number % 3 else {})))
    return dataset(*rows)


COHORT = cohort()


def test_the_shares_asked_for_are_reached_for_the_images_and_for_every_class() -> None:
    split = splits.by_patient(COHORT)
    for label in (None, "Lymphocyte", "Monocyte", "Other", "Lymphoblast"):
        assert share_of(COHORT, split, "test", label) == pytest.approx(0.15, abs=0.02)
        assert share_of(COHORT, split, "val", label) == pytest.approx(0.17, abs=0.02)


def test_a_small_cohort_is_balanced_as_well_as_it_can_be() -> None:
    ds = cohort(10, seed=3)
    patients = [str(patient.id) for patient in ds.patients]
    columns = [None, *sorted({cell.label for cell in ds.cells})]

    def cost(inside: set[str]) -> float:
        split = Split("", {i.id: "test" if i.patient in inside else "train" for i in ds.images})
        off = [abs(share_of(ds, split, "test", label) - 0.3) for label in columns]
        return max(off) + sum(off) / len(off)

    every = chain.from_iterable(combinations(patients, size) for size in range(1, 10))
    made = splits.by_patient(ds, test=0.3, val=0)
    chosen = {patient for patient, parts in parts_of(ds, made).items() if parts == {"test"}}
    assert cost(chosen) == pytest.approx(min(cost(set(inside)) for inside in every))


def test_what_was_asked_and_what_was_reached_is_recorded() -> None:
    split = splits.by_patient(
        dataset(*((f"P{n}", 10, {"Lymphocyte": 4, "Other": 2}) for n in range(10))),
        test=0.2,
        val=0.25,
        seed=7,
    )
    assert split.name == "official"
    assert dict(split.made) == {
        "method": "by_patient",
        "seed": "7",
        "test": "0.2",
        "val": "0.25",
        "val_unit": "patient",
        "patients": "train 6, val 2, test 2",
        "images": "train 60, val 20, test 20",
        "reached_test": (
            "0.2000 of the images for 0.2000; cells of a class off by 0.0000 at worst (Lymphocyte), "
            "0.0000 on average"
        ),
        "reached_val": (
            "0.2500 of the images for 0.2500; cells of a class off by 0.0000 at worst (Lymphocyte), "
            "0.0000 on average"
        ),
    }


def test_a_class_that_three_patients_have_is_in_every_part() -> None:
    rows = [(f"P{n:02d}", 10, {"Other": 10}) for n in range(20)]
    rows += [(f"B{n}", 10, {"Other": 10, "Basophil": 8}) for n in range(3)]
    ds = dataset(*rows)
    for seed in range(5):
        split = splits.by_patient(ds, test=0.1, val=0.1, seed=seed)
        assert all(share_of(ds, split, part, "Basophil") > 0 for part in ("train", "val", "test"))


def test_a_class_that_too_few_patients_have_is_said_to_be_missing() -> None:
    rows = [(f"P{n:02d}", 10, {"Other": 10}) for n in range(20)]
    ds = dataset(*rows, ("B", 10, {"Other": 10, "Basophil": 8}))
    with pytest.warns(DataWarning) as caught:
        split = splits.by_patient(ds)
    assert split.made["missing"] == "Basophil in test, val (1 patient with it)"
    assert [str(warning.message) for warning in caught] == [
        (
            'split "official": Basophil in test, val (1 patient with it): these parts have no such '
            "cells; such a part gives no score for the class; leave the class out, or add patients who have it"
        )
    ]


def test_images_without_cells_count_and_cells_to_be_ignored_do_not() -> None:
    ds = dataset(*((f"P{n}", 10, {}) for n in range(10)))
    split = splits.by_patient(ds, test=0.2, val=0.25)
    assert split.made["images"] == "train 60, val 20, test 20"
    assert split.made["reached_test"] == "0.2000 of the images for 0.2000"
    ignored = replace(ds, cells=(Cell(ds.images[0].id, 0, IGNORE, Box(1, 2, 3, 4)),))
    assert splits.by_patient(ignored, test=0.2, val=0.25) == split


def test_a_part_without_a_share_is_not_there() -> None:
    assert splits.by_patient(COHORT, val=0).parts == ("train", "test")
    assert splits.by_patient(COHORT, test=0).parts == ("train", "val")


def test_another_seed_may_give_another_split_and_the_same_seed_never_does() -> None:
    made = [splits.by_patient(COHORT, seed=seed) for seed in (0, 0, 1, 2)]
    assert made[0] == made[1]
    assert len({json.dumps(sorted(split.part_of.items())) for split in made}) > 1


def global_generators() -> bytes:
    return pickle.dumps((random.getstate(), np.random.get_state()))  # noqa: NPY002 - others may use it


def test_neither_the_global_generators_nor_the_callers_lists_are_touched() -> None:
    images, before = list(COHORT.images), global_generators()
    ds = replace(COHORT, images=images)  # type: ignore[arg-type]
    names = ["P0001/0000.png", "P0000/0000.png"]
    splits.by_patient(ds, val_unit="image")
    splits.folds(ds, 3)
    splits.from_lists(ds.select(images=names), {"train": names[:1], "test": names[1:]})
    assert global_generators() == before
    assert images == list(COHORT.images)
    assert names == ["P0001/0000.png", "P0000/0000.png"]


def test_another_process_with_other_hashes_makes_the_same_split() -> None:
    code = (
        "from test_splits import *; import hashlib\n"
        "made = [splits.by_patient(COHORT, val_unit='image'), *splits.folds(COHORT, 3)]\n"
        "print(hashlib.sha256(repr([(list(s.part_of.items()), s.made) for s in made]).encode()).hexdigest())"
    )
    prints = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), *sys.path)),
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert prints[0] == prints[1] != ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"test": 1.0}, "test 1.0, val 0.2: must be shares from 0 up to, not including, 1; 0.15 is 15 %"),
        ({"val": -0.1}, "test 0.15, val -0.1: must be shares from 0 up to, not including, 1; 0.15 is 15 %"),
        ({"seed": -1}, "seed -1: must be 0 or more"),
        ({"val_unit": "cell"}, 'val_unit "cell": must be "patient" or "image"'),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: Mapping[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        splits.by_patient(COHORT, **arguments)  # type: ignore[arg-type]
    assert str(caught.value) == sentence


GIVE = (
    "and a split by patient needs one for each; give them by a pattern over image paths (patients.from_pattern), a CSV "
    "(patients.from_csv), or a CVAT tag or attribute (patients.from_tags, patients.from_attribute)"
)


def without_patients(*ids: str) -> Dataset:
    return Dataset("demo", NINE, tuple(Image(ImageId(image), 100, 80) for image in ids))


def test_without_patient_ids_there_is_no_split_and_the_error_says_how_to_give_them() -> None:
    ds = without_patients("a.png", "b.png")
    makers: list[Callable[[], object]] = [lambda: splits.by_patient(ds), lambda: splits.folds(ds)]
    for make in makers:
        with pytest.raises(MissingPatients) as caught:
            make()
        assert str(caught.value) == f'demo: 2 of 2 images have no patient id, the first "a.png", {GIVE}'


def test_one_image_without_a_patient_is_one_too_many() -> None:
    ds = replace(COHORT, images=(*COHORT.images, Image(ImageId("x.png"), 100, 80)))
    with pytest.raises(MissingPatients, match=r'images have no patient id, the first "x.png"'):
        splits.by_patient(ds)


def test_fewer_patients_than_parts_are_refused() -> None:
    with pytest.raises(MissingPatients) as caught:
        splits.by_patient(TWO)
    assert str(caught.value) == (
        "demo: has 2 patients, and 3 parts (test, val, train) need at least one each; ask for fewer parts, or "
        "add patients"
    )
    assert set(parts_of(TWO, quiet(lambda: splits.by_patient(TWO, val=0))).keys()) == {"A", "B"}
    with pytest.raises(MissingPatients, match="^demo: 3 folds are more than the 2 patients; give at most 2$"):
        splits.folds(TWO, 3)


# Validation by image


def test_validation_by_image_shares_patients_with_training_only_and_says_so(tmp_path: Path) -> None:
    split = splits.by_patient(COHORT, val_unit="image")
    kinds = Counter(tuple(sorted(parts)) for parts in parts_of(COHORT, split).values())
    assert kinds.keys() >= {("test",), ("train", "val")}
    assert not [parts for parts in kinds if "test" in parts and len(parts) > 1]
    images = Counter(split.part_of.values())
    assert images["val"] == round(0.2 * (images["val"] + images["train"]))
    # at random over all of them, and not the first patients' images
    drawn = [
        index for index, part in enumerate(p for p in split.part_of.values() if p != "test") if part == "val"
    ]
    assert sum(drawn) / len(drawn) / (images["val"] + images["train"]) == pytest.approx(0.5, abs=0.1)
    splits.write(split, tmp_path / "official.csv", COHORT)
    text = (tmp_path / "official.csv").read_text(encoding="utf-8")
    assert "# val_unit: image\n# shared: validation shares patients with training\n" in text


# Folds


def test_the_folds_are_balanced() -> None:
    for split in splits.folds(COHORT, 5):
        for label in (None, "Lymphocyte", "Monocyte", "Other", "Lymphoblast"):
            assert share_of(COHORT, split, "val", label) == pytest.approx(0.2, abs=0.06)


def test_a_fold_is_held_out_and_val_is_drawn_from_the_rest() -> None:
    made = splits.folds(COHORT, 4, seed=1, val=0.25)
    held_out = splits.folds(COHORT, 4, seed=1)
    for split, without in zip(made, held_out, strict=True):
        assert splits.leaks(COHORT, split) == []
        assert split.parts == ("train", "val", "test")
        assert {image for image, part in split.part_of.items() if part == "test"} == {
            image for image, part in without.part_of.items() if part == "val"
        }
        assert share_of(COHORT, split, "test") == pytest.approx(0.25, abs=0.06)
        assert share_of(COHORT, split, "val") == pytest.approx(0.25 * 0.75, abs=0.06)
        assert share_of(COHORT, split, "val", "Monocyte") == pytest.approx(0.25 * 0.75, abs=0.06)
    assert splits.folds(COHORT, 4, seed=1, val=0.25) == made
    with pytest.raises(
        ValueError, match="^val 20: must be a share from 0 up to, not including, 1; 0.2 is 20 %$"
    ):
        splits.folds(COHORT, val=20)


def test_folds_may_be_named() -> None:
    made = splits.folds(COHORT, 2, names=["one", "two"])
    assert [split.name for split in made] == ["one", "two"]
    assert [split.part_of for split in made] == [split.part_of for split in splits.folds(COHORT, 2)]
    with pytest.raises(ValueError, match="^names: 1 for 2 folds; give one for each$"):
        splits.folds(COHORT, 2, names=["one"])


def test_one_fold_is_none() -> None:
    with pytest.raises(ValueError, match="^1 fold: must be 2 or more; 5 is usual$"):
        splits.folds(COHORT, 1)


# Growing data


def test_new_patients_restore_the_balance() -> None:
    old = COHORT.select(patients={f"P{n:04d}" for n in range(20)})
    grown = splits.extend(splits.by_patient(old, test=0.3), COHORT)
    assert share_of(COHORT, grown, "test") == pytest.approx(0.3, abs=0.02)
    assert grown.made["test"] == "0.3"
    assert grown.made["extended"] == f"40 new patients, {len(COHORT.images) - len(old.images)} new images"


def test_new_patients_of_given_parts_keep_the_shares_of_those() -> None:
    old = COHORT.select(patients={f"P{n:04d}" for n in range(20)})
    part_of = {i.id: ("train", "test", "external")[int(str(i.patient)[1:]) % 3] for i in old.images}
    given_split = Split("official", part_of)
    grown = splits.extend(given_split, COHORT)
    for part in given_split.parts:
        assert share_of(COHORT, grown, part) == pytest.approx(share_of(old, given_split, part), abs=0.02)


def test_new_images_of_training_patients_are_drawn_where_validation_was() -> None:
    old = COHORT.select(images=lambda image: image.id < "P0030" or image.id.endswith("/0000.png"))
    grown = splits.extend(splits.by_patient(old, val_unit="image"), COHORT)
    new = [i.id for i in COHORT.images if i.id not in {image.id for image in old.images}]
    images = Counter(grown.part_of[image] for image in new)
    assert images["val"] / (images["val"] + images["train"]) == pytest.approx(0.2, abs=0.08)


def test_a_new_image_without_a_patient_a_leak_and_a_single_fold_are_not_extended() -> None:
    stranger = replace(TWO, images=(*TWO.images, Image(ImageId("x.png"), 100, 80)))
    with pytest.raises(MissingPatients, match='1 of 1 images have no patient id, the first "x.png"'):
        splits.extend(split_of(TWO, {"A": "train", "B": "test"}), stranger)
    with pytest.raises(LeakySplit, match='patient "A": is in train'):
        splits.extend(Split("demo", {ImageId("A/0000.png"): "train", ImageId("A/0001.png"): "test"}), TWO)
    with pytest.raises(ValueError, match='^split "fold0": is one of several folds; make all folds again'):
        splits.extend(splits.folds(COHORT, 2)[0], COHORT)


def test_images_that_are_gone_are_warned_of_and_keep_their_place() -> None:
    split = split_of(TWO, {"A": "train", "B": "test"})
    with pytest.warns(
        DataWarning, match='^split "demo": 2 of its images are not in the data; a patient without any image'
    ):
        assert splits.extend(split, TWO.select(patients={"A"})) == split


def renamed(ds: Dataset, prefix: str) -> Dataset:
    """The same images under other ids, as when a second XML file joins an export."""
    images = (replace(image, id=ImageId(f"{prefix}/{image.id}")) for image in ds.images)
    return replace(ds, images=tuple(images), cells=())


def test_patients_keep_their_parts_when_all_their_images_have_other_ids(tmp_path: Path) -> None:
    before = splits.by_patient(COHORT, seed=3)
    splits.write(before, tmp_path / "demo.csv", COHORT)
    part_of = {image.patient: before.part_of[image.id] for image in COHORT.images}
    other = renamed(COHORT, "task_1")
    for split in (before, splits.read(tmp_path / "demo.csv")):
        with pytest.warns(DataWarning, match="of its images are not in the data; their patients keep"):
            grown = splits.extend(split, other)
        assert {image.patient: grown.part_of[image.id] for image in other.images} == part_of
    splits.write(grown, tmp_path / "demo.csv", other)
    again = splits.read(tmp_path / "demo.csv")  # the old images are still on record, with their patients
    assert {again.patient_of[image.id] for image in COHORT.images} == {i.patient for i in COHORT.images}


def with_digests(ds: Dataset) -> Dataset:
    """Every image has a file of its own."""
    return replace(ds, images=tuple(replace(image, digest=f"{n:032x}") for n, image in enumerate(ds.images)))


@pytest.mark.parametrize("through_a_file", [True, False], ids=["a file", "memory"])
def test_a_renamed_image_stays_in_its_part_also_where_single_images_were_drawn(
    tmp_path: Path,
    through_a_file: bool,  # noqa: FBT001
) -> None:
    ds = with_digests(COHORT)
    before = splits.by_patient(ds, val_unit="image", seed=3)
    part_of = {image.digest: before.part_of[image.id] for image in ds.images}
    if through_a_file:
        splits.write(before, tmp_path / "demo.csv", ds)
        before = splits.read(tmp_path / "demo.csv")
    other = renamed(ds, "task_1")
    grown = splits.extend(before, other)  # no warning: nothing is lost
    assert {image.digest: grown.part_of[image.id] for image in other.images} == part_of
    assert splits.extend(grown, other) == grown


def test_numbers_that_moved_up_after_a_deletion_move_no_image() -> None:
    ds = with_digests(COHORT)
    before = splits.by_patient(ds, val_unit="image", seed=3)
    part_of = {image.digest: before.part_of[image.id] for image in ds.images}
    moved = []
    for patient in ds.patients:
        _, *rest = (image for image in ds.images if image.patient == patient.id)
        moved += [
            replace(image, id=ImageId(f"{patient.id}/{n:04d}.png"), name="") for n, image in enumerate(rest)
        ]
    now = replace(ds, images=tuple(moved), cells=())
    with pytest.raises(
        LeakySplit, match=r'images have the file of an image that was placed in another part: "P'
    ):
        splits.require_sound(now.with_split(before))
    grown = splits.extend(before, now)
    splits.require_sound(now.with_split(grown))
    assert {image.digest: grown.part_of[image.id] for image in moved} == {
        image.digest: part_of[image.digest] for image in moved
    }


def test_two_images_that_swapped_names_are_named_with_their_parts() -> None:
    ds = with_digests(TWO)
    split = splits.from_lists(ds, {"train": ["A/0000", "A/0001", "A/0002"], "test": ["B/0000", "B/0001"]})
    digest = {"A/0000.png": ds.image("B/0000.png").digest, "B/0000.png": ds.image("A/0000.png").digest}
    swapped = replace(
        ds, images=tuple(replace(i, digest=digest.get(i.id, i.digest), patient=None) for i in ds.images)
    )
    (leak,) = splits.leaks(swapped, replace(split, patient_of={}))
    assert (leak.kind, leak.images, leak.parts) == (
        "file-in-another-part",
        ("A/0000.png", "B/0000.png"),
        ("train", "test"),
    )
    grown = splits.extend(replace(split, patient_of={}), swapped)
    assert [grown.part_of[ImageId(name)] for name in ("A/0000.png", "B/0000.png")] == ["test", "train"]
    copied = replace(swapped, images=tuple(replace(i, digest=None) for i in swapped.images))
    assert splits.leaks(copied, replace(split, patient_of={})) == []


def test_a_file_that_was_saved_again_stays_by_its_name() -> None:
    ds = with_digests(TWO)
    split = splits.from_lists(ds, {"train": ["A/0000", "A/0001", "A/0002"], "test": ["B/0000", "B/0001"]})
    again = replace(ds, images=tuple(replace(image, digest=f"a{n}") for n, image in enumerate(ds.images)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert splits.extend(split, again).part_of == split.part_of


def test_a_renamed_image_needs_no_patient_if_it_had_none() -> None:
    ds = with_digests(TWO)
    nobody = replace(ds, images=tuple(replace(image, patient=None) for image in ds.images), patients=())
    split = splits.from_lists(nobody, {"train": ["A/0000", "A/0001", "A/0002"], "test": ["B/0000", "B/0001"]})
    other = renamed(nobody, "task_1")
    grown = splits.extend(split, other)
    assert [grown.part_of[image.id] for image in other.images] == ["train"] * 3 + ["test"] * 2


def test_a_renamed_image_that_is_now_another_patients_or_nobodys_is_refused() -> None:
    ds = with_digests(TWO)
    split = splits.from_lists(ds, {"train": ["A/0000", "A/0001", "A/0002"], "test": ["B/0000", "B/0001"]})
    first, *rest = ds.images
    for patient, refusal, said in (
        ("B", LeakySplit, 'image "new.png": belonged to patient "A" when'),
        (None, MissingPatients, '1 of the 5 images .* have none now, the first "new.png"'),
    ):
        now = replace(first, id=ImageId("new.png"), patient=PatientId(patient) if patient else None)
        with pytest.raises(refusal, match=said):
            splits.extend(split, replace(ds, images=(now, *rest), cells=()))


def test_empty_fields_that_are_one_file_go_with_their_patients() -> None:
    empty = "f" * 32
    ds = dataset(("A", 2, {}), ("B", 2, {}), ("C", 2, {}))
    ds = replace(ds, images=tuple(replace(i, digest=empty if "0001" in i.id else None) for i in ds.images))
    old = ds.select(patients={"A", "B"})
    split = splits.from_lists(old, {"train": ["A/0000", "A/0001"], "test": ["B/0000", "B/0001"]})
    other = replace(
        ds,
        images=tuple(replace(i, id=ImageId(f"{i.patient}/empty.png")) if i.digest else i for i in ds.images),
    )
    grown = splits.extend(split, other)
    assert {str(image.patient): grown.part_of[image.id] for image in other.images if image.digest} == {
        "A": "train",
        "B": "test",
        "C": grown.part_of[ImageId("C/0000.png")],
    }


def test_a_copy_of_a_placed_image_is_drawn_with_it() -> None:
    ds = with_digests(COHORT)
    split = splits.by_patient(ds, val_unit="image", seed=3)
    copies = tuple(replace(image, id=ImageId(f"{image.id}.copy.png")) for image in ds.images)
    grown = splits.extend(split, replace(ds, images=(*ds.images, *copies)))
    assert all(grown.part_of[ImageId(f"{image}.copy.png")] == part for image, part in split.part_of.items())
    made = splits.by_patient(replace(ds, images=(*ds.images, *copies)), val_unit="image", seed=3)
    assert all(made.part_of[ImageId(f"{image.id}.copy.png")] == made.part_of[image.id] for image in ds.images)


def test_a_split_file_of_digests_is_read_like_one_without(tmp_path: Path) -> None:
    ds = with_digests(TWO)
    split = split_of(ds, {"A": "train", "B": "test"})
    splits.write(split, tmp_path / "demo.csv", ds)
    text = (tmp_path / "demo.csv").read_text()
    assert text.splitlines()[:2] == ["image,patient,part,digest", f"A/0000.png,A,train,{0:032x}"]
    again = splits.read(tmp_path / "demo.csv")
    assert again == split
    assert again.digest_of == {image.id: image.digest for image in ds.images}
    (tmp_path / "short.csv").write_text(text + "c.png,C,test\n")
    with pytest.raises(
        CorruptFile, match="short.csv:7: 3 values in a row; give image, patient, part and digest"
    ):
        splits.read(tmp_path / "short.csv")


def test_an_image_that_is_now_another_patients_is_refused() -> None:
    known = {image.id: PatientId(image.id[0]) for image in TWO.images}
    split = replace(split_of(TWO, {"A": "train", "B": "test"}), patient_of=known)
    first, *rest = TWO.images
    swapped = replace(TWO, images=(replace(first, patient=PatientId("B")), *rest))
    with pytest.raises(LeakySplit) as caught:
        splits.extend(split, swapped)
    assert 'image "A/0000.png": belonged to patient "A" when' in str(caught.value)
    part_of = dict.fromkeys(split.part_of, "train")
    with pytest.raises(
        LeakySplit, match='image "A/0000.png": belonged to patient "A" .* and now belongs to "B"'
    ):
        splits.extend(replace(split, part_of=part_of), swapped)


def test_a_leak_by_images_that_are_gone_is_found() -> None:
    split = split_of(TWO, {"A": "train", "B": "test"})
    known = replace(split, patient_of={image.id: PatientId("A") for image in TWO.images})
    with pytest.raises(
        LeakySplit,
        match=r'patient "A": is in train \(3 images\) and test \(2 images\), as the split recorded',
    ):
        splits.extend(known, TWO.select(patients={"A"}))


# Splits that come with the data


def subsets(**subset_of: str) -> Dataset:
    images = (Image(ImageId(f"{key}.png"), 9, 9, subset=subset) for key, subset in subset_of.items())
    return Dataset("demo", NINE, tuple(images))


def with_patients(ds: Dataset, patient_of: Mapping[str, str]) -> Dataset:
    images = (
        replace(i, patient=PatientId(patient_of[i.id]) if i.id in patient_of else None) for i in ds.images
    )
    people = (Patient(PatientId(patient)) for patient in sorted(set(patient_of.values())))
    return replace(ds, images=tuple(images), patients=tuple(people))


def test_subsets_are_parts_in_the_usual_spellings() -> None:
    split = splits.from_subsets(subsets(a="Train", b="VALID", c="testing", d="external"))
    assert list(split.part_of.values()) == ["train", "val", "test", "external"]
    assert dict(split.made) == {
        "method": "from_subsets",
        "val_unit": "patient",
        "patients": "unknown",
        "images": "train 1, val 1, test 1, external 1",
    }


@pytest.mark.parametrize("default", ["default", "Default", "default_1", " "])
def test_the_default_subset_of_cvat_is_no_part(default: str) -> None:
    what = "has no subset; give every image a subset in CVAT, such as Train or Test"
    with pytest.raises(InvalidExport) as caught:
        splits.from_subsets(subsets(a=default, b=default))
    assert [str(problem) for problem in caught.value.problems] == [f'all 2 images, the first "a.png": {what}']
    with pytest.raises(InvalidExport) as caught:
        splits.from_subsets(subsets(a="Train", b=default, c="TEST "))
    assert [str(problem) for problem in caught.value.problems] == [f'image "b.png": {what}']


def test_every_image_without_a_subset_is_named() -> None:
    with pytest.raises(InvalidExport) as caught:
        splits.from_subsets(subsets(a="", b="Train", c="my/part"))
    assert str(caught.value).splitlines() == [
        'image "a.png": has no subset; give every image a subset in CVAT, such as Train or Test',
        'image "c.png": subset "my/part" is not a plain word; give every image a subset in CVAT, such as Train or Test',
    ]


def test_folders_at_any_depth_are_parts() -> None:
    split = splits.from_folders(without_patients("images/train/P1/a.png", "Validation/b.png", "x/test/c.png"))
    assert split.part_of == {
        "images/train/P1/a.png": "train",
        "Validation/b.png": "val",
        "x/test/c.png": "test",
    }
    with pytest.raises(InvalidExport) as caught:
        splits.from_folders(without_patients("train.png", "train/test/a.png", "train/b.png"))
    assert str(caught.value).splitlines() == [
        'image "train.png": is not below the folder of a part; put it below one folder called train, val or test',
        (
            'image "train/test/a.png": is below folders of train and test; put it below one folder called '
            "train, val or test"
        ),
    ]


def test_lists_name_images_by_path_by_its_end_with_or_without_extension(tmp_path: Path) -> None:
    ds = without_patients("P1/a.png", "P2/a.png", "P2/b.png", "P3/c.d.png")
    file = tmp_path / "train.txt"
    file.write_bytes(b"\xef\xbb\xbf/data/obj/P1/a.png\r\n\r\nc.d\r\n")
    split = splits.from_lists(ds, {"train": file, "val": [r".\P2\a"], "test": ["b.png"]})
    assert split.part_of == {
        "P1/a.png": "train",
        "P3/c.d.png": "train",
        "P2/a.png": "val",
        "P2/b.png": "test",
    }


def test_lists_that_leave_repeat_or_confuse_images_are_refused() -> None:
    ds = without_patients("P1/a.png", "P2/a.png", "P2/b.png", "P3/c.png")
    with pytest.raises(InvalidExport) as caught:
        splits.from_lists(ds, {"train": ["a.png", "b"], "test": ["P2/b.png"], "a part": []})
    assert str(caught.value).splitlines() == [
        'list "a part": is not a name for a part; use letters, digits, "_", "-" and "."',
        'list "train" entry "a.png": fits 2 images, such as "P1/a.png" and "P2/a.png"; give more of the path',
        'image "P2/b.png": is in the lists of train and test; keep it in one list',
        'image "P3/c.png": is in no list; add it to one, or leave it out with Dataset.select',
    ]


def test_a_base_name_never_stands_for_the_file_of_another_patient() -> None:
    with pytest.warns(
        DataWarning, match='^list "test" entry "P2/img_1.png": no such image; check the paths$'
    ):
        split = splits.from_lists(
            without_patients("P1/img_1.png"), {"train": ["img_1"], "test": ["P2/img_1.png"]}
        )
    assert split.parts == ("train",)


def test_a_list_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(
        DataNotFound, match="train.txt: is not a text file in UTF-8; give one with one image per line"
    ):
        splits.from_lists(TWO, {"train": tmp_path / "train.txt"})


def test_a_split_that_came_with_the_data_is_checked() -> None:
    ds = with_patients(subsets(a="Train", b="Test", c="Train"), {"a.png": "P", "b.png": "P", "c.png": "Q"})
    with pytest.raises(LeakySplit, match=r'split "official" patient "P": is in train \(1 image\) and test'):
        splits.from_subsets(ds)
    shared = with_patients(subsets(a="Train", b="Val", c="Test"), {"a.png": "P", "b.png": "P", "c.png": "Q"})
    with pytest.raises(LeakySplit):
        splits.from_subsets(shared)
    split = splits.from_subsets(shared, val_unit="image")
    assert split.made["shared"] == "validation shares patients with training"
    assert split.made["patients"] == "2, none in test and another part"


def test_patients_that_are_known_for_some_images_only_are_warned_of() -> None:
    ds = with_patients(subsets(a="Train", b="Test"), {"a.png": "P"})
    with pytest.warns(DataWarning) as caught:
        split = splits.from_subsets(ds)
    assert [str(warning.message) for warning in caught] == [
        (
            'split "official": 1 of 2 images have no patient id, the first "b.png", and were not checked; '
            "give every image its patient"
        )
    ]
    assert split.made["patients"] == "unknown for 1 of 2 images"


# The file


def test_the_file_says_how_the_split_was_made_and_lists_every_image(tmp_path: Path) -> None:
    split = replace(split_of(TWO, {"A": "train", "B": "test"}), made={"seed": "0", "method": "by hand: A, B"})
    splits.write(split, tmp_path / "demo.csv", TWO)
    assert (tmp_path / "demo.csv").read_bytes().decode() == (
        "# seed: 0\n# method: by hand: A, B\nimage,patient,part\n"
        "A/0000.png,A,train\nA/0001.png,A,train\nA/0002.png,A,train\nB/0000.png,B,test\nB/0001.png,B,test\n"
    )
    assert splits.read(tmp_path / "demo.csv") == split


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(words, st.sampled_from(["train", "val", "test", "fold_0", "α-1"])),
    st.dictionaries(
        st.text("ab _#é", min_size=1).filter(str.strip), st.text(st.characters(exclude_categories=["Cs"]))
    ),
)
def test_any_name_and_any_note_survive_the_file(
    tmp_path_factory: pytest.TempPathFactory, parts: dict[str, str], made: dict[str, str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "survive.csv"
    split = Split("survive", {ImageId(image): part for image, part in parts.items()}, made)
    splits.write(split, file, TWO)
    assert splits.read(file) == split


@pytest.mark.parametrize(
    "name", ["# a: b.png", 'a",b.png', "a\nb.png", "a\rb.png", "image,patient,part", " a ", "\u2028"]
)
def test_hostile_names_survive_the_file(tmp_path: Path, name: str) -> None:
    image = Image(ImageId(name), 9, 9, PatientId(name))
    ds = Dataset("demo", NINE, (image,), patients=(Patient(PatientId(name)),))
    splits.write(Split("demo", {image.id: "test"}), tmp_path / "demo.csv", ds)
    assert splits.read(tmp_path / "demo.csv").part_of == {name: "test"}


def test_a_file_that_a_spreadsheet_saved_again_is_read(tmp_path: Path) -> None:
    (tmp_path / "demo.csv").write_bytes(b"\xef\xbb\xbf# seed: 7\r\nimage,patient,part\r\na.png,P,val\r\n")
    assert splits.read(tmp_path / "demo.csv", "mine") == Split(
        "mine", {ImageId("a.png"): "val"}, {"seed": "7"}
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", ':1: the columns are ""; a split has "image,patient,part"'),
        ("# a: b\nimage,part\n", ':2: the columns are "image,part"; a split has "image,patient,part"'),
        ("image,patient,part\na.png,P\n", ":2: 2 values in a row; give image, patient and part"),
        ("# a: b\nimage,patient,part\n,P,train\n", ":3: no image; give its id, the path inside the export"),
        (
            "image,patient,part\na.png,P,a/b\n",
            ':2: part "a/b"; give a plain word such as train, val or test',
        ),
        ("image,patient,part\na.png,P,\n", ':2: part ""; give a plain word such as train, val or test'),
        (
            "# a: b\nimage,patient,part\na,P,train\nb,P,train\na,P,test\n",
            ':5: image "a" is in train and in test; keep one of the rows',
        ),
        (
            'image,patient,part\n"a"b,P,train\n',
            ":2: no CSV (',' expected after '\"'); write it again with pcm-leukemia split",
        ),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_with_its_line(
    tmp_path: Path, content: str, sentence: str
) -> None:
    file = tmp_path / "demo.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(CorruptFile) as caught:
        splits.read(file)
    assert str(caught.value) == f"{file}{sentence}"


def test_a_file_that_is_not_there_or_not_text_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(
        DataNotFound, match="none.csv: cannot be read .No such file or directory.; give the path"
    ):
        splits.read(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("image,patient,part\nBl\u00e4st,P,val\n".encode("latin-1"))
    with pytest.raises(CorruptFile, match="latin.csv: is not in UTF-8; save it as CSV in UTF-8"):
        splits.read(tmp_path / "latin.csv")


def test_a_split_that_no_file_can_hold_is_not_written(tmp_path: Path) -> None:
    for split in (Split("x", {ImageId("a"): "a/b"}), Split("x", {ImageId("a"): "val"}, {"a: b": "c"})):
        with pytest.raises(ValueError, match='^split "x": '):
            splits.write(split, tmp_path / "x.csv", TWO)
        assert not (tmp_path / "x.csv").exists()
