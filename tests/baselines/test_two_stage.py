"""A detector and a classifier that only look at colours: what the pipeline makes of them, without any training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from pcm_leukemia import Cell, Dataset, Image, Taxonomy
from pcm_leukemia.baselines import prediction
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.metrics import detection
from pcm_leukemia.baselines.metrics.coco_results import from_coco_results
from pcm_leukemia.baselines.prediction import of_two_stages
from pcm_leukemia.baselines.two_stage import TwoStage
from pcm_leukemia.drawing import Drawn, draw
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import ImageId
from pcm_leukemia.shapes import Box

SIDES = [(10, 10, 30, 30), (50, 10, 70, 30), (90, 10, 110, 30)]
"""Where cells may be; the red value of a cell's pixels is its class, a hundred for each."""


class ByColour:
    """Finds a cell wherever one may be, and names it by its red value."""

    labels: tuple[str, ...]
    padding = 0

    def prepare(self, image: Pixels) -> torch.Tensor:
        return torch.from_numpy(image.astype(np.uint8).copy())


class Detector(ByColour):
    labels = ("WBC", "Other")

    multi_label = False

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch

    def detections(
        self, raw: torch.Tensor, sizes: Sequence[tuple[int, int]], *, multi_label: bool
    ) -> list[Detections]:
        assert not multi_label
        batch = raw
        assert [(image.shape[1], image.shape[0]) for image in batch] == list(sizes)
        found = []
        for image in batch:
            reds = [int(image[y1, x1, 0]) for x1, y1, _, _ in SIDES]
            sides = [each for each, red in zip(SIDES, reds, strict=True) if red]
            labels = [int(red == 250) for red in reds if red]
            scores = np.linspace(0.9, 0.8, len(sides), dtype=np.float32)
            boxes = np.array(sides, np.float32).reshape(-1, 4)
            found.append(Detections(boxes, scores, np.array(labels, np.int64)))
        return found


class Classifier(ByColour):
    labels = ("Lymphocyte", "Monocyte")

    def probabilities(self, batch: torch.Tensor) -> torch.Tensor:
        assert batch.shape[1:] == (20, 20, 3)  # cut to the box
        second = (batch[:, :, :, 0].float().mean((1, 2)) > 150).float()
        return torch.stack([0.75 - 0.5 * second, 0.25 + 0.5 * second], 1)


REDS = {"a.png": (100, 200, 250), "b.png": (0, 0, 0), "c.png": (200, 0, 100), "d.png": (0, 250, 0)}

THREE = Taxonomy("three", (*Classifier.labels, "Other"))
"""The classes of both stages together."""


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    for name, reds in REDS.items():
        pixels = np.zeros((40, 120, 3), np.uint8)
        for (x1, y1, x2, y2), red in zip(SIDES, reds, strict=True):
            pixels[y1:y2, x1:x2, 0] = red
        PIL.Image.fromarray(pixels).save(tmp_path / name)
    images = tuple(Image(ImageId(name), 120, 40, file=name) for name in REDS)
    return Dataset("demo", Taxonomy("two", Classifier.labels), images, root=tmp_path)


@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize("workers", [0, 3])
def test_every_white_cell_gets_its_own_label(ds: Dataset, batch: int, workers: int) -> None:
    labelled = TwoStage(Detector(), Classifier()).predict(ds, batch=batch, workers=workers)
    assert list(labelled) == list(REDS)
    assert [labelled[ImageId(name)].labels.tolist() for name in REDS] == [[0, 1], [], [1, 0], []]
    assert [len(labelled[ImageId(name)].others.labels) for name in REDS] == [1, 0, 0, 1]
    assert labelled[ImageId("c.png")].boxes.tolist() == [list(SIDES[0]), list(SIDES[2])]
    np.testing.assert_allclose(labelled[ImageId("c.png")].label_scores, [0.75, 0.75])


def test_predictions_are_written_as_coco_with_all_their_scores(ds: Dataset, tmp_path: Path) -> None:
    labelled = TwoStage(Detector(), Classifier()).predict(ds)
    predicted = {image: of_two_stages(each, Classifier.labels) for image, each in labelled.items()}
    report = prediction.write(predicted, tmp_path / "out", ds, THREE, "coco")
    assert report.cells == {"all": {"Lymphocyte": 2, "Monocyte": 2, "Other": 2}}
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(row["image_id"], row["category_id"]) for row in rows] == [
        *((1, 1), (1, 2), (1, 3), (3, 2), (3, 1), (4, 3))
    ]
    assert rows[0]["bbox"] == [10, 10, 20, 20]
    assert (rows[0]["score"], rows[0]["detection_score"], rows[0]["label_score"]) == (0.675, 0.9, 0.75)
    assert rows[2]["score"] == 0.8  # Other: the detector's score alone
    assert "label_score" not in rows[2]
    back = from_coco_results(tmp_path / "out" / "results.json", replace(ds, taxonomy=THREE))
    for image, each in labelled.items():
        expected = each.as_found(2)
        np.testing.assert_array_equal(back[image].boxes, expected.boxes)
        np.testing.assert_array_equal(back[image].labels, expected.labels)
        np.testing.assert_allclose(back[image].scores, expected.scores, atol=1e-6)


class Unsure(Classifier):
    """Has the right label, hardly surer of it than of the other."""

    def probabilities(self, batch: torch.Tensor) -> torch.Tensor:
        return 0.5 + (super().probabilities(batch) - 0.5) / 10


def annotated() -> tuple[Cell, ...]:
    """The cells that the pictures show, with their right labels."""
    names = {100: "Lymphocyte", 200: "Monocyte", 250: "Other"}
    return tuple(
        Cell(ImageId(image), number, names[red], Box(*sides))
        for image, reds in REDS.items()
        for number, (sides, red) in enumerate(zip(SIDES, reds, strict=True))
        if red
    )


def test_a_cell_of_unsure_type_is_found(ds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All cells are found at 0.8 or more; the product of both scores is below 0.5."""
    labelled = TwoStage(Detector(), Unsure()).predict(ds)
    three = replace(ds, taxonomy=THREE, cells=annotated())
    ranked = {image: each.as_found(2) for image, each in labelled.items()}
    counted = {image: each.as_found(2, ranked=False) for image, each in labelled.items()}
    scores = detection.score(three, ranked, counted=counted, draws=0)
    assert (scores.found, scores.findable) == (4, 4)
    assert scores.confusion == ((2, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 0))
    by_product = detection.score(three, ranked, draws=0)
    assert (by_product.found, by_product.overall) == (0, scores.overall)
    predicted = {image: of_two_stages(each, Unsure.labels) for image, each in labelled.items()}
    everything = {"all": {"Lymphocyte": 2, "Monocyte": 2, "Other": 2}}
    assert prediction.write(predicted, tmp_path / "review", ds, THREE, "cvat").cells == everything
    written: list[str] = []

    def noted(picture: Pixels, boxes: Sequence[Drawn]) -> PIL.Image.Image:
        written.extend(box.text for box in boxes)
        return draw(picture, boxes)

    monkeypatch.setattr(prediction, "draw", noted)
    report = prediction.write(predicted, tmp_path / "pictures", ds, THREE, "pictures")
    assert (report.images, report.cells) == ({"all": 4}, everything)
    assert sorted(written) == [  # the score that decides, not the product
        *("Lymphocyte 0.80", "Lymphocyte 0.90", "Monocyte 0.85", "Monocyte 0.90", "Other 0.80", "Other 0.90")
    ]


class Twice(Detector):
    """Finds each cell a second time, a little aside, as the other class."""

    def detections(
        self, raw: torch.Tensor, sizes: Sequence[tuple[int, int]], *, multi_label: bool
    ) -> list[Detections]:
        return [
            Detections(
                np.concatenate([one.boxes, one.boxes + 1]),
                np.concatenate([one.scores, one.scores - 0.3]).astype(np.float32),
                np.concatenate([one.labels, 1 - one.labels]),
            )
            for one in super().detections(raw, sizes, multi_label=multi_label)
        ]


def test_one_cell_found_as_both_classes_is_classified_once(ds: Dataset) -> None:
    once = TwoStage(Detector(), Classifier()).predict(ds)
    twice = TwoStage(Twice(), Classifier()).predict(ds)
    for image, each in twice.items():
        np.testing.assert_array_equal(each.boxes, once[image].boxes)
        np.testing.assert_array_equal(each.others.boxes, once[image].others.boxes)
        assert len(each.found.boxes) == 2 * len(once[image].found.boxes)  # the detector is scored on all
