"""The share of another hospital that is learned from: drawn as asked, and never scored on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, splits, store
from pcm_leukemia.baselines.contract import Target
from pcm_leukemia.baselines.evaluation import Evaluation
from pcm_leukemia.baselines.experiments import adaptation, share
from pcm_leukemia.baselines.experiments.adaptation import adapt
from pcm_leukemia.baselines.experiments.adaptation_results import Adaptation, Adapted
from pcm_leukemia.baselines.experiments.share import Share, Size, draw
from pcm_leukemia.baselines.metrics import classification as scores
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.training import train
from pcm_leukemia.errors import ExportError, LeakySplit, for_the_command_line
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
    with pytest.raises(ValueError, match=r"fraction=1.0: must be between 0 and 1, such as 0.1"):
        draw(target({"Monocyte": 5}), 1.0)
    with pytest.raises(ValueError, match="target: has 1 image; at least two are needed"):
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


def test_the_file_of_the_draw_says_what_each_image_is_for(tmp_path: Path) -> None:
    ds = target({"Monocyte": 50, "Neutrophil": 50})
    split = draw(ds, 0.1, 3)
    ds = ds.with_split(split)
    drawn = share.to_learn_from(ds, 3, "image")
    share.keep(split, drawn, tmp_path, ds)
    kept = splits.read(tmp_path / "draw.csv")
    assert Counter(kept.part_of.values()) == {"train": 8, "val": 2, "test": 90}
    assert drawn.split is not None
    assert {image: part for image, part in kept.part_of.items() if part != "test"} == drawn.split.part_of
    assert {kept.made[part] for part in kept.parts} == {"trained on", "chooses the epoch", "scored"}
    assert [share.size(drawn, part, "classification") for part in ("train", "val")] == [(8, 8), (2, 2)]


def test_the_draw_of_an_earlier_version_is_known(tmp_path: Path) -> None:
    ds = target({"Monocyte": 30})
    split = draw(ds, 0.2, 3)
    ds = ds.with_split(split)
    drawn = share.to_learn_from(ds, 3, "image")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}", encoding="utf-8")
    splits.write(split, tmp_path / "draw.csv", ds)  # "adapt" for what trains and what chooses the epoch
    before = (tmp_path / "draw.csv").read_bytes()
    share.keep(split, drawn, tmp_path, ds)
    assert (tmp_path / "draw.csv").read_bytes() == before


def test_sizes_count_the_cells_of_the_task() -> None:
    ds = target({"Monocyte": 3, "Other": 2})
    ds = ds.with_split(draw(ds, 0.5, 0))
    drawn = ds.with_split(Split("all", {image.id: "train" for image in ds.images}))
    assert share.size(drawn, "train", "classification") == Size(5, 3)
    assert share.size(drawn, "train", "wbc") == Size(5, 5)
    assert share.size(drawn, "val", "wbc") == Size(0, 0)


def adaptation_of(folder: Path, **asked: object) -> Adaptation:
    """Two adaptations as `adapt_over` returns them, with scores that say nothing."""
    run = Run(
        folder, {"asked": asked, "result": {"chosen_by": "val_macro_f1, the mean of source and target"}}
    )
    found = scores.score([0, 1], np.eye(2), ("Monocyte", "Neutrophil"), ["a", "b"], unit="images")
    evaluation = Evaluation((folder,), "target", "test", "", classification=found, pretraining="seen before")
    each = (
        Adapted(
            0.1, seed, run, evaluation, evaluation, Size(1447, cells), Size(362, 362), Share(5, 50, "image")
        )
        for seed, cells in enumerate((1447, 1451))
    )
    return Adaptation(evaluation, tuple(each))


def test_the_report_says_what_was_learned_from_and_what_chose_the_epoch(tmp_path: Path) -> None:
    plain = adaptation_of(tmp_path)
    text = str(plain)
    assert (
        "of the target, 1,447 images with 1,447 to 1,451 cells to train the model, 362 images with 362 cells to "
        "choose the epoch\nepochs chosen by val_macro_f1, the mean of source and target\nnote: seen before"
    ) in text
    assert "of each training batch" not in text
    (fraction,) = plain.to_json()["fractions"]
    assert fraction["each"][1]["train"] == {"images": 1447, "cells": 1451}
    assert fraction["each"][0]["val"] == {"images": 362, "cells": 362}
    assert fraction["each"][0]["chosen_by"] == "val_macro_f1, the mean of source and target"
    assert plain.to_json()["pretraining"] == "seen before"
    assert plain.to_json()["target_share"] is None
    half = adaptation_of(tmp_path, target={"images": "", "share": 0.5})
    assert "drawn from the target: 50% of each training batch, on average" in str(half)
    assert half.to_json()["target_share"] == 0.5


def test_one_draw_has_no_deviation_and_a_small_share_is_not_rounded(tmp_path: Path) -> None:
    several = adaptation_of(tmp_path)
    assert "with 10%, the rest" in str(several)
    assert " ± 0.00" in str(several)
    one = replace(several, each=(replace(several.each[0], fraction=0.025, drawn=Share(1, 40, "patient")),))
    assert "±" not in str(one)
    assert "with 2.5%, the rest" in str(one)
    assert "asked for" not in str(one)


def test_what_was_drawn_is_said_where_it_is_not_what_was_asked_for(tmp_path: Path) -> None:
    ds = target({"Monocyte": 30}, patients=10)
    split = draw(ds, 0.01, unit="patient")
    drawn = share.to_learn_from(replace(ds, split=None).with_split(split), 0, "patient")
    sizes = [share.size(drawn, part, "classification") for part in ("train", "val")]
    several = adaptation_of(tmp_path)
    one = replace(several.each[0], fraction=0.01, drawn=share.drawn_of(ds, split, "patient"))
    text = str(replace(several, each=(replace(one, train=sizes[0], val=sizes[1]),)))
    assert "with 10%, the rest" in text
    assert (
        "  drawn: 1 of 10 patients; 1% was asked for\n"
        "  of the target, 3 images with 3 cells to train the model, and none were left to choose the epoch\n"
    ) in text
    (fraction,) = replace(several, each=(one,)).to_json()["fractions"]
    assert fraction["each"][0]["drawn"] == {"drawn": 1, "of": 10, "unit": "patient"}
    grouped = replace(
        ds, images=tuple(replace(image, group="one") for image in ds.images[:4]) + ds.images[4:]
    )
    assert share.drawn_of(grouped, draw(grouped, 0.1), "image")[1:] == (27, "image group")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"fractions": (0.1, 1.5)}, "--fraction 1.5: must be between 0 and 1, such as 0.1"),
        (
            {"target_share": 0.5},
            "--target-share 0.5: .* is the run of a detector, which draws every image once",
        ),
        ({"start": "run"}, "--from-run: .* is the run of a detector, which starts afresh; leave it out"),
        ({"unit": "patient"}, "has no patient; draw by image: --unit image"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_scored(
    options: dict[str, Any], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptation, "evaluate", lambda *_, **__: pytest.fail("scored"))
    asked = {"baseline": "yolo11m", "task": "wbc", "settings": {}, "preset": "smoke", "seed": 0}
    run = Run(tmp_path / "run", {"state": "done", "asked": asked})
    with for_the_command_line(), pytest.raises(ValueError, match=sentence):
        adaptation.adapt_over(run, target({"Monocyte": 9}), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("baseline", "share_asked", "options", "sentence"),
    [
        ("resnet50", 1.0, {}, "target_share=1.0: must be between 0 and 1, such as 0.5"),
        ("resnet50", 0.5, {"with_source": False}, "target_share=0.5: the target is all that is trained on"),
        ("yolo11m", 0.5, {}, "target_share=0.5: .* is the run of a detector, which draws every image once"),
        ("rtdetrv2_deim", 0.5, {}, "target_share=0.5: .* is the run of a detector, which draws every image"),
    ],
)
def test_a_share_that_cannot_be_drawn_is_refused(
    baseline: str, share_asked: float, options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    asked = {"baseline": baseline, "task": "wbc", "settings": {}, "preset": "smoke", "seed": 0}
    run = Run(tmp_path / "run", {"state": "done", "asked": asked})
    with pytest.raises(ValueError, match=sentence):
        adapt(run, target({"Monocyte": 9}), tmp_path / "out", 0.2, target_share=share_asked, **options)
    assert not (tmp_path / "out").exists()


def test_a_detector_is_not_trained_with_a_share(tmp_path: Path) -> None:
    wanted = Target(frozenset({ImageId("a")}), 0.5)
    with pytest.raises(ValueError, match="target_share 0.5: yolo11m is a detector, which draws every image"):
        train("yolo11m", target({"Monocyte": 2}), tmp_path / "run", target=wanted)
