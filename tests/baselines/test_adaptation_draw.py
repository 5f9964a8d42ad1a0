"""The share of another hospital that is learned from: drawn as asked, and never scored on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, splits, store
from pcm_leukemia.baselines.experiments.adaptation import adapt, draw
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.errors import ExportError, LeakySplit
from pcm_leukemia.schema import ImageId, PatientId


def target(classes: dict[str, int], patients: int = 0) -> Dataset:
    """Single cells, so many of each class, dealt out to so many patients."""
    labels = [label for label, count in classes.items() for _ in range(count)]
    people = tuple(Patient(PatientId(f"P{n}")) for n in range(patients))
    images = tuple(
        Image(ImageId(f"{n:05}.png"), 20, 20, people[n % patients].id if patients else None)
        for n in range(len(labels))
    )
    cells = tuple(
        Cell(image.id, 0, label, Box(0, 0, 20, 20)) for image, label in zip(images, labels, strict=True)
    )
    return Dataset("target", NINE, images, cells, people)


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 9), st.booleans())
def test_a_draw_is_a_share_and_leaves_the_rest(
    count: int,
    fraction: float,
    seed: int,
    stratified: bool,  # noqa: FBT001
) -> None:
    ds = target({"Monocyte": count // 2, "Neutrophil": count - count // 2})
    split = draw(ds, fraction, seed, stratified=stratified)
    drawn = Counter(split.part_of.values())
    assert set(split.part_of) == {image.id for image in ds.images}
    assert 1 <= drawn["adapt"] < count
    assert abs(drawn["adapt"] - fraction * count) <= 1.001
    assert draw(ds, fraction, seed, stratified=stratified) == split


def test_another_seed_is_another_draw() -> None:
    ds = target({"Monocyte": 200})
    assert draw(ds, 0.1, 0).part_of != draw(ds, 0.1, 1).part_of


def test_stratified_takes_the_share_of_every_class() -> None:
    ds = target({"Monocyte": 100, "Neutrophil": 50, "Basophil": 10})
    label_of = {cell.image: cell.label for cell in ds.cells}
    split = draw(ds, 0.1, 3, stratified=True)
    drawn = Counter(label_of[image] for image, part in split.part_of.items() if part == "adapt")
    assert drawn == {"Monocyte": 10, "Neutrophil": 5, "Basophil": 1}


def test_patients_stay_whole() -> None:
    ds = target({"Monocyte": 100}, patients=10)
    split = draw(ds, 0.3, 0, unit="patient")
    sides = {(image.patient, split.part_of[image.id]) for image in ds.images}
    assert len(sides) == 10
    assert sum(side == "adapt" for _, side in sides) == 3


def test_a_draw_by_image_says_that_patients_may_be_on_both_sides() -> None:
    assert "upper bound" in draw(target({"Monocyte": 20}, patients=2), 0.1).made["patients"]
    assert "patients" not in draw(target({"Monocyte": 20}), 0.1).made


def test_a_group_stays_whole_whatever_is_drawn() -> None:
    ds = target({"Monocyte": 60}, patients=6)
    images = tuple(replace(image, group=f"slide {n % 20}") for n, image in enumerate(ds.images))
    for unit in ("image", "patient"):
        split = draw(replace(ds, images=images), 0.3, 1, unit=unit)
        assert len({(image.group, split.part_of[image.id]) for image in images}) == 20


def test_images_with_the_same_file_are_on_one_side_whatever_is_drawn() -> None:
    ds = target({"Monocyte": 60}, patients=12)
    files = tuple(replace(image, digest=f"{n % 5 if n < 30 else n}") for n, image in enumerate(ds.images))
    plain, copied = draw(ds, 0.3, 1), draw(replace(ds, images=files), 0.3, 1)
    assert len({(image.digest, copied.part_of[image.id]) for image in files}) == 35
    assert plain.part_of != copied.part_of
    some = tuple(replace(image, digest=f"{max(n, 1)}") for n, image in enumerate(ds.images))
    for seed in range(9):
        by_patient = draw(replace(ds, images=some), 0.3, seed, unit="patient")
        assert len({by_patient.part_of[image.id] for image in some if image.patient in ("P0", "P1")}) == 1
    own = tuple(replace(image, digest=f"{n}") for n, image in enumerate(ds.images))
    for unit in ("image", "patient"):
        assert draw(replace(ds, images=own), 0.3, 1, unit=unit) == draw(ds, 0.3, 1, unit=unit)


def test_a_target_that_the_run_has_learned_from_under_other_names_is_refused_before_training(
    tmp_path: Path,
) -> None:
    ds = target({"Monocyte": 20})
    ds = replace(ds, images=tuple(replace(image, digest=str(image.id)) for image in ds.images))
    learned = replace(ds, name="learned").with_split(
        Split("official", dict.fromkeys((image.id for image in ds.images), "train"))
    )
    store.write(learned, tmp_path / "run" / "data")
    asked = {"baseline": "resnet50", "task": "classification", "settings": {}, "preset": "smoke", "seed": 0}
    run = Run(tmp_path / "run", {"state": "done", "asked": asked})
    images = tuple(replace(image, id=ImageId(f"new/{image.id}")) for image in ds.images)
    with pytest.raises(LeakySplit, match=r'image "new/0.*png": the model has learned from it, as "0'):
        adapt(run, replace(ds, images=images, cells=()), tmp_path / "out", 0.2)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fraction 1.0: must be between 0 and 1, such as 0.1"):
        draw(target({"Monocyte": 5}), 1.0)
    with pytest.raises(ValueError, match="target: has 1 images; at least two are needed"):
        draw(target({"Monocyte": 1}), 0.5)
    with pytest.raises(ValueError, match='image "00000.png" has no patient; draw by image'):
        draw(target({"Monocyte": 5}), 0.5, unit="patient")


def test_the_draw_beside_a_run_stays_what_the_run_has_learned_from(tmp_path: Path) -> None:
    ds, out = target({"Monocyte": 20}), tmp_path / "adapted"
    store.write(ds, tmp_path / "run" / "data")
    asked = {"baseline": "resnet50", "task": "classification", "settings": {}, "preset": "smoke", "seed": 0}
    run = Run(tmp_path / "run", {"state": "done", "asked": asked})
    (out / "run").mkdir(parents=True)
    (out / "run" / "run.json").write_text("{}", encoding="utf-8")
    splits.write(draw(ds, 0.2, 7), out / "draw.csv", ds)
    before = (out / "draw.csv").read_bytes()
    with pytest.raises(
        ExportError, match=r"draw.csv: holds another draw, which the run beside it has learned from"
    ):
        adapt(run, ds, out, 0.2, 8)
    assert (out / "draw.csv").read_bytes() == before
