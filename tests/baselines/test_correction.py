"""What a detector confuses on its validation part, and which patients it has learned from, without a trained model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split
from pcm_leukemia.baselines import correction
from pcm_leukemia.baselines.prediction import Predicted
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.differential import Limits
from pcm_leukemia.errors import LeakySplit, MissingPart, UnfitForTask
from pcm_leukemia.schema import ImageId, PatientId
from pcm_leukemia.taxonomy import taxonomy_with

PARTS = {"P1": "train", "P2": "val", "P3": "val", "P4": "test"}
EIGHT = tuple(label for label in NINE.labels if label != "Other")


def at(place: int) -> Box:
    return Box(50 * place, 0, 50 * place + 40, 40)


def ward(split: dict[str, str] | None = None, **images: Any) -> Dataset:
    """Four patients with one image each; a lymphocyte, a lymphoblast and an artefact in each."""
    pictures = tuple(
        Image(ImageId(f"{patient}.png"), 400, 100, PatientId(patient), digest=patient, **images)
        for patient in PARTS
    )
    cells = tuple(
        Cell(image.id, place, label, at(place))
        for image in pictures
        for place, label in enumerate(("Lymphocyte", "Lymphoblast", "Other"))
    )
    placed = {ImageId(f"{patient}.png"): part for patient, part in (split or PARTS).items()}
    people = tuple(Patient(PatientId(patient)) for patient in PARTS)
    return Dataset("ward", NINE, pictures, cells, people).with_split(Split("official", placed))


@dataclass
class Trained:
    """The part of a run that a correction asks for."""

    data: Dataset
    before: tuple[Dataset, ...] = ()
    folder: Path = field(default=Path("run"))

    def dataset(self) -> Dataset:
        return self.data

    def learned_before(self) -> Iterator[Dataset]:
        yield from self.before

    def learned(self) -> Iterator[Dataset]:
        yield self.data
        yield from self.before


def runs(*trained: Trained) -> Sequence[Run]:
    return cast(Sequence[Run], trained)


def predicts(monkeypatch: pytest.MonkeyPatch, found: Sequence[Predicted]) -> list[Dataset]:
    """Let every image be predicted so; returns the data that were predicted."""
    asked: list[Dataset] = []

    def predict(_: object, ds: Dataset, **__: object) -> Any:
        asked.append(ds)
        return {image.id: list(found) for image in ds.images}, NINE

    monkeypatch.setattr(correction, "predict", predict)
    return asked


def test_cells_of_the_validation_patients_are_matched_with_predictions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = predicts(
        monkeypatch,
        [
            Predicted("Lymphoblast", at(0), 0.9),  # a lymphocyte taken for a lymphoblast
            Predicted("Lymphoblast", at(1), 0.4),  # a lymphoblast below the threshold: missed
            Predicted("Monocyte", at(2), 0.9),  # an artefact
            Predicted("Neutrophil", at(5), 0.8),  # nothing is there
        ],
    )
    found = correction.confusion_of(runs(Trained(ward())))
    assert [image.patient for image in asked[0].images] == ["P2", "P3"]
    assert found.labels == EIGHT
    assert found.tables.shape == (2, 9, 10)
    table = found.tables.sum(axis=0)
    named = {
        (row, column): int(table[row, column])
        for row in range(9)
        for column in range(10)
        if table[row, column]
    }
    lymphocyte, neutrophil, lymphoblast, monocyte = (
        EIGHT.index(label) for label in ("Lymphocyte", "Neutrophil", "Lymphoblast", "Monocyte")
    )
    assert named == {
        (lymphocyte, lymphoblast): 2,
        (lymphoblast, 9): 2,  # missed
        (8, monocyte): 2,
        (8, neutrophil): 2,
    }
    assert found.unit == "patients"


def test_an_unsure_label_is_a_missed_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    predicts(monkeypatch, [Predicted("Lymphocyte", at(0), 0.36, 0.9, 0.4), Predicted("Other", at(2), 0.9)])
    sure, unsure = (
        correction.confusion_of(runs(Trained(ward())), Limits(label_threshold=lowest)).tables.sum(axis=0)
        for lowest in (0.3, 0.5)
    )
    assert (sure[0, 0], sure[0, 9]) == (2, 0)
    assert (unsure[0, 0], unsure[0, 9]) == (0, 2)
    assert sure[8, 8] == unsure[8, 8] == 2  # Other taken for Other


def test_classes_without_other_have_an_empty_column(monkeypatch: pytest.MonkeyPatch) -> None:
    ds = ward().task("classification")
    monkeypatch.setattr(
        correction,
        "predict",
        lambda _, data, **__: (
            {i.id: [Predicted("Lymphocyte", at(0), 0.9)] for i in data.images},
            taxonomy_with(EIGHT),
        ),
    )
    table = correction.confusion_of(runs(Trained(ds))).tables.sum(axis=0)
    assert table[:, 8].sum() == 0
    assert (table[0, 0], table[4, 9]) == (2, 2)


def test_images_that_may_have_unannotated_cells_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    predicts(monkeypatch, [])
    with pytest.raises(UnfitForTask, match="has no images"):
        correction.confusion_of(runs(Trained(ward(annotation_state="partial"))))


def test_without_validation_of_other_patients_nothing_is_known() -> None:
    trained = ward({"P1": "train", "P2": "train", "P3": "test", "P4": "test"})
    with pytest.raises(MissingPart, match="has no validation part of other patients than those of training"):
        correction.confusion_of(runs(Trained(trained)))
    whole = ward()
    assert whole.split
    by_image = whole.with_split(replace(whole.split, val_shares_patients=True))
    with pytest.raises(MissingPart, match="train it on a split by patient"):
        correction.confusion_of(runs(Trained(by_image)))
    with pytest.raises(MissingPart):
        correction.confusion_of(runs(Trained(whole.with_split(None))))


def test_two_stages_of_different_data_are_refused() -> None:
    other = ward({"P1": "train", "P2": "val", "P3": "train", "P4": "test"})
    with pytest.raises(UnfitForTask, match="were trained on different data or splits"):
        correction.confusion_of(runs(Trained(ward()), Trained(other)))


def test_validation_patients_of_which_the_first_weights_knew_are_refused() -> None:
    earlier = ward({"P1": "val", "P2": "train", "P3": "test", "P4": "test"})
    with pytest.raises(LeakySplit, match=r'image "P2\.png"'):
        correction.confusion_of(runs(Trained(ward(), before=(earlier,))))


def test_the_same_split_before_is_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    predicts(monkeypatch, [])
    found = correction.confusion_of(runs(Trained(ward(), before=(ward(),))))
    assert found.tables[:, :, 9].sum() == 4  # all four cells are missed


def test_patients_of_train_and_val_are_learned_from() -> None:
    assert correction.learned_patients(runs(Trained(ward())), ward()) == {"P1", "P2", "P3"}
    earlier = ward({"P1": "test", "P2": "test", "P3": "test", "P4": "train"})
    assert correction.learned_patients(runs(Trained(ward(), before=(earlier,))), ward()) == set(PARTS)
