"""The rule of what a leak is stands in one file: change it there, and every door follows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import pcm_leukemia as pcm
from pcm_leukemia import Box, Cell, Dataset, Image, Patient, Split, converters
from pcm_leukemia.errors import LeakySplit
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import ImageId, PatientId
from pcm_leukemia.splits import leakage
from pcm_leukemia.splits.leakage import Tie

SLIDE = {"a": "slide 1", "b": "slide 1", "c": "slide 2", "d": "slide 3"}


@pytest.fixture
def slides_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule with one more tie: images of one slide, by a table that the schema knows nothing of."""
    before = leakage.ties

    def with_slides(image: Image) -> tuple[Tie, ...]:
        return (*before(image), Tie("group", SLIDE[image.name[-5]]))

    monkeypatch.setattr(leakage, "ties", with_slides)


def cohort(name: str = "demo") -> Dataset:
    """Four patients with an image each; the first two share a slide."""
    images = tuple(
        Image(ImageId(f"P{n}/{letter}.png"), 64, 64, PatientId(f"P{n}"), name=f"P{n}/{letter}.png")
        for n, letter in enumerate(SLIDE)
    )
    cells = tuple(Cell(image.id, 0, "Other", Box(8, 8, 40, 40)) for image in images)
    people = tuple(Patient(PatientId(f"P{n}")) for n in range(4))
    split = Split("official", dict(zip((image.id for image in images), PARTS, strict=True)))
    return Dataset(name, pcm.NINE, images, cells, people, split)


PARTS = ("train", "test", "train", "val")


def test_the_cohort_is_sound_by_the_rule_as_it_is(tmp_path: Path) -> None:
    require(cohort())
    converters.yolo.write(cohort(), tmp_path / "yolo")
    assert not list(pcm.splits.seen(cohort(), cohort().part("test"), "run"))


@pytest.mark.usefixtures("slides_count")
@pytest.mark.parametrize("name", converters.names())
def test_every_format_refuses_it(name: str, tmp_path: Path) -> None:
    if name == "huggingface":
        pytest.importorskip("pyarrow")
    with pytest.raises(LeakySplit, match='group "slide 1": is in train'):
        getattr(converters, name).write(cohort(), tmp_path / "out.zip")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("slides_count")
def test_checks_report_it_with_its_images() -> None:
    (found,) = pcm.checks.check(cohort(), pixels=False).problems
    assert (found.kind, found.images) == ("group-in-two-parts", ("P0/a.png", "P1/b.png"))


@pytest.mark.usefixtures("slides_count")
def test_no_new_split_separates_it() -> None:
    ds = cohort().with_split(None)
    old = Split("old", {ImageId("P0/a.png"): "train", ImageId("P2/c.png"): "test"})
    made = [
        *(pcm.splits.by_patient(ds, test=0.3, val=0.3, seed=seed) for seed in range(5)),
        *(pcm.splits.by_patient(ds, test=0, val=0.5, seed=seed, val_unit="image") for seed in range(9)),
        *pcm.splits.folds(ds, 2),
        pcm.splits.extend(old, ds),
    ]
    for split in made:
        assert split.part_of[ImageId("P0/a.png")] == split.part_of[ImageId("P1/b.png")]


@pytest.mark.usefixtures("slides_count")
def test_no_split_that_comes_along_is_taken_with_it() -> None:
    subsets = zip(cohort().images, PARTS, strict=True)
    ds = replace(cohort(), images=tuple(replace(image, subset=part) for image, part in subsets), split=None)
    with pytest.raises(LeakySplit, match="slide 1"):
        pcm.splits.from_subsets(ds)


@pytest.mark.usefixtures("slides_count")
@pytest.mark.parametrize("unit", ["patient", "image"])
def test_no_draw_of_another_hospital_separates_it(unit: Literal["patient", "image"]) -> None:
    adaptation = pytest.importorskip("pcm_leukemia.baselines.experiments.adaptation")
    for seed in range(9):
        drawn = adaptation.draw(cohort().with_split(None), 0.4, seed, unit=unit)
        assert drawn.part_of["P0/a.png"] == drawn.part_of["P1/b.png"]


@pytest.mark.usefixtures("slides_count")
def test_a_model_is_not_scored_on_the_other_side_of_it() -> None:
    (leak,) = pcm.splits.seen(cohort(), cohort().part("test"), "run")
    assert str(leak).startswith('run image "P1/b.png": the model has learned from group "slide 1"')


@pytest.mark.usefixtures("slides_count")
def test_no_probe_of_embeddings_learns_from_the_other_side_of_it(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    embedding = pytest.importorskip("pcm_leukemia.baselines.embedding")
    numbers = dict.fromkeys(("image_size", "padding", "width"), 1)
    texts = dict.fromkeys(
        ("model", "weights", "architecture", "stain", "data", "fingerprint", "pretraining", "version"), ""
    )
    about = embedding.About(
        **numbers, **texts, split="official", val_shares_patients=False, labels=pcm.NINE.labels
    )
    features = np.zeros((4, 1), np.float32)
    embedding.write(tmp_path / "a.parquet", cohort(), about, [(cohort().cells, features)])
    with pytest.raises(LeakySplit, match='group "slide 1": is in train'):
        pcm.baselines.probe(tmp_path / "a.parquet")
