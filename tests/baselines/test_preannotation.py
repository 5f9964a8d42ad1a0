"""Predictions for CVAT beside cells that people have drawn, without a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pcm_leukemia import cvat, sample
from pcm_leukemia.baselines import prediction
from pcm_leukemia.baselines.preannotation import to_predict
from pcm_leukemia.baselines.prediction import Predicted
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, UnfitForTask
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE, taxonomy_with

PREDICTED = Predicted("Monocyte", Box(5, 5, 20, 20), 0.9)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample.write(tmp_path_factory.mktemp("sample") / "sample.zip", patients=2, images=3)


@pytest.fixture(scope="module")
def drawn(export: Path) -> Dataset:
    return prediction.images_at(export, cells=True)


def test_cells_that_are_drawn_are_kept(drawn: Dataset, tmp_path: Path) -> None:
    assert drawn.cells
    assert {cell.source for cell in drawn.cells} == {"manual"}
    report = prediction.write(
        {image.id: [PREDICTED] for image in drawn.images}, tmp_path / "out", drawn, NINE, "cvat"
    )
    back = cvat.read(report.out)
    auto = [cell for cell in back.cells if cell.source == "auto"]
    assert [cell.image for cell in auto] == [image.id for image in drawn.images]
    assert {(cell.label, cell.attributes) for cell in auto} == {("Monocyte", (("score", "0.90"),))}
    kept = [(cell.image, cell.label) for cell in back.cells if cell.source == "manual"]
    assert kept == [(cell.image, cell.label) for cell in drawn.cells]


def test_images_with_cells_get_no_predictions_unasked(drawn: Dataset) -> None:
    first = drawn.images[0].id
    half = replace(drawn, cells=drawn.cells_of(first))
    with pytest.warns(
        DataWarning, match=r'1 image of 3 with cells, which are kept and get no predictions; .* onto="all"$'
    ):
        wanted = to_predict(half)
    assert wanted.images == drawn.images[1:]
    assert to_predict(half, "all") == half
    with pytest.raises(UnfitForTask, match="has cells on every image; to add predictions beside them, give"):
        to_predict(drawn)
    bare = replace(drawn, cells=())
    assert to_predict(bare) == bare


def test_classes_of_the_predictions_are_added(drawn: Dataset, tmp_path: Path) -> None:
    wbc = taxonomy_with(("WBC", "Other"))
    predicted = {drawn.images[0].id: [Predicted("WBC", Box(5, 5, 20, 20), 0.9)]}
    report = prediction.write(predicted, tmp_path / "out", drawn, wbc, "cvat")
    back = cvat.read(report.out, taxonomy="declared")
    assert set(back.taxonomy.labels) == {*NINE.labels, "WBC"}
    assert len(back.cells) == len(drawn.cells) + 1


def test_other_forms_are_about_the_predictions_alone(export: Path) -> None:
    assert prediction.images_at(export).cells == ()
