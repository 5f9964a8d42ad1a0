"""Data sets joined into a split that is there, and patients whom several data sets know."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, splits
from pcm_leukemia.errors import InvalidDataset, LeakySplit, MissingPatients
from pcm_leukemia.joining import concat
from pcm_leukemia.schema import ImageId, PatientId

PEOPLE = st.sets(st.integers(0, 30), min_size=4, max_size=16)


def of(name: str, people: set[int], diagnosis: str | None = "ALL", images: int = 2) -> Dataset:
    ids = [PatientId(f"P{number:02d}") for number in sorted(people)]
    shown = tuple(Image(ImageId(f"{each}/{n}.png"), 64, 48, each) for each in ids for n in range(images))
    cells = tuple(Cell(image.id, 0, "Monocyte", Box(1, 2, 30, 40)) for image in shown)
    return Dataset(name, NINE, shown, cells, tuple(Patient(each, diagnosis) for each in ids))


def split_up(ds: Dataset) -> Dataset:
    return ds.with_split(splits.by_patient(ds, test=0.25, val=0.25, name="official"))


def parts(ds: Dataset) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = {}
    for image in ds.images:
        found.setdefault(str(image.patient), set()).add(ds.part_of(image))
    return found


@settings(deadline=None, max_examples=40)
@given(PEOPLE, PEOPLE)
def test_who_is_placed_stays_and_everybody_gets_a_part(old: set[int], new: set[int]) -> None:
    before = split_up(of("old", old))
    both = concat([before, of("new", new)], shared_patients=True, extend=True)
    assert both.split is not None
    assert splits.leaks(both, both.split) == []
    assert both.split.name == "official"
    assert [both.part_of(both.image(f"old/{image.id}")) for image in before.images] == [
        before.part_of(image) for image in before.images
    ]
    assert parts(both).keys() == {f"P{number:02d}" for number in old | new}
    assert parts(both).items() >= parts(before).items()
    assert {len(each) for each in parts(both).values()} == {1}
    assert len(both.images) == 2 * (len(old) + len(new))


@settings(deadline=None, max_examples=20)
@given(PEOPLE, PEOPLE)
def test_patients_of_two_hospitals_are_placed_apart(old: set[int], new: set[int]) -> None:
    before = split_up(of("old", old))
    both = concat([before, of("new", new)], extend=True)
    assert len(both.patients) == len(old) + len(new)
    assert parts(both).items() >= {f"old/{patient}": part for patient, part in parts(before).items()}.items()


def test_the_order_does_not_matter_for_who_stays() -> None:
    before = split_up(of("old", set(range(8))))
    both = concat([of("new", {3, 40}), before], shared_patients=True, extend=True)
    assert parts(both).items() >= parts(before).items()


def test_without_the_option_nothing_is_placed() -> None:
    with pytest.raises(
        ValueError,
        match=re.escape("new has no split and the others have one; split it first, place its images in"),
    ):
        concat([split_up(of("old", {1, 2, 3})), of("new", {4})])


def test_a_shared_patient_in_two_parts_is_named() -> None:
    one, other = of("one", {1, 2}), of("other", {2, 3})
    one = one.with_split(Split("a", {image.id: "train" for image in one.images}))
    other = other.with_split(Split("b", {image.id: "test" for image in other.images}))
    with pytest.raises(LeakySplit, match='split "joined" patient "P02": is in train .* and test'):
        concat([one, other], shared_patients=True)
    assert concat([one, other]).split is not None
    assert concat([one, other.with_split(None)], shared_patients=True, extend=True).split is not None


def test_a_shared_patient_of_two_diagnoses_is_named() -> None:
    with pytest.raises(InvalidDataset) as caught:
        concat([of("one", {1, 2}), of("other", {2}, "AML")], shared_patients=True)
    assert str(caught.value) == (
        'patient "P02": has the diagnosis ALL in one, and AML in other; correct one of them, or join the data sets without '
        "shared patients"
    )
    both = concat([of("one", {1, 2}, None), of("other", {2}, "AML")], shared_patients=True)
    assert {patient.id: patient.diagnosis for patient in both.patients} == {"P01": None, "P02": "AML"}


def test_images_to_be_placed_need_a_patient() -> None:
    bare = Dataset("new", NINE, (Image(ImageId("a.png"), 64, 48),))
    with pytest.raises(MissingPatients):
        concat([split_up(of("old", {1, 2, 3})), bare], extend=True)
