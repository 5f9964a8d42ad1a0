"""What a notebook shows of an evaluation."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from html_pages import HOSTILE, Page

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Taxonomy
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.evaluation import Evaluation
from pcm_leukemia.baselines.metrics import classification, detection
from pcm_leukemia.schema import ImageId, Patient, PatientId


def detected(labels: tuple[str, ...] = NINE.labels, patients: int = 4) -> detection.DetectionScores:
    """Scores of a detector that finds every cell of the first class but takes it for the second every other time."""
    people = tuple(Patient(PatientId(f"P{number}")) for number in range(patients))
    images = tuple(
        Image(ImageId(f"{number}.png"), 100, 100, people[number].id if people else None)
        for number in range(4)
    )
    cells = tuple(Cell(image.id, 0, labels[0], Box(10, 10, 50, 50)) for image in images)
    ds = Dataset("demo", Taxonomy("demo", labels), images, cells, people)
    box, sure = np.array([[10, 10, 50, 50]], np.float32), np.array([0.9], np.float32)
    found = {image.id: Detections(box, sure, np.array([number % 2])) for number, image in enumerate(images)}
    return detection.score(ds, found, draws=20)


@pytest.fixture
def evaluation() -> Evaluation:
    truths = [0, 0, 1, 1]
    probabilities = np.eye(9)[[0, 1, 1, 1]]
    scores = classification.score(truths, probabilities, NINE.labels, ["P1", "P2", "P1", "P2"], draws=50)
    return Evaluation(
        (Path("/runs/yolo"), Path("/runs/resnet")),
        "demo",
        "test",
        "f",
        started_from=("COCO", "ImageNet"),
        detection=detected(),
        classification=scores,
        pretraining="the weights may have seen these images",
    )


def test_scores_are_shown_with_intervals_and_by_class(evaluation: Evaluation) -> None:
    page = Page(evaluation._repr_html_())
    scores, found = evaluation.classification, evaluation.detection
    assert scores
    assert found
    assert "yolo and resnet on demo, part test" in page.texts
    assert "the weights may have seen these images" in page.texts
    assert scores.accuracy_interval
    low, high = scores.accuracy_interval
    assert ["accuracy", "75.0", f"{100 * low:.1f} to {100 * high:.1f}"] in page.rows
    assert ["found at score 0.5", "100.0", ""] in page.rows
    (first,) = (row for row in page.rows if row[:2] == ["Lymphocyte", "2"] and len(row) == 6)
    assert first[2:5] == ["100.0", "50.0", "66.7"]
    assert found.overall.ap is not None
    assert ["mAP 50-95", f"{100 * found.overall.ap:.1f}"] == next(
        row for row in page.rows if row[0] == "mAP 50-95"
    )[:2]
    assert ["Basophil", "0", "–", "–", "0"] in page.rows
    assert [row[-1] for row in page.rows if row[:2] == ["Lymphocyte", "4"]] == ["0"]  # missed
    assert scores.how_sure in page.texts


def test_the_confusion_matrix_has_all_classes_and_what_was_missed(evaluation: Evaluation) -> None:
    page = Page(evaluation._repr_html_())
    assert ["", *NINE.labels, "missed"] in page.rows
    assert ["Lymphocyte", "2", "2", *["0"] * 8] in page.rows
    assert ["spurious", *["0"] * 10] in page.rows
    shades = [style.partition("rgba(68,119,170,")[2] for style in page.styles if "rgba(68,119,170," in style]
    assert shades == ["0.28)", "0.28)", "0.28)", "0.28)", "0.55)"]  # half of a row, and all of it
    assert ["Lymphocyte", "1", "1", *["0"] * 7] in page.rows


def test_without_patients_the_intervals_are_said_to_be_narrow(evaluation: Evaluation) -> None:
    page = Page(replace(evaluation, detection=detected(patients=0))._repr_html_())
    assert "narrower than they should be" in page.text


@pytest.mark.parametrize("name", HOSTILE[:9])
def test_names_do_nothing(evaluation: Evaluation, name: str) -> None:
    hostile = replace(
        evaluation,
        data=name,
        part=name,
        reading=name,
        started_from=(name,),
        pretraining=name,
        runs=(Path(name),),
        detection=None,
        end_to_end=detected((name, "Other")),
    )
    assert name[:150] in Page(hostile._repr_html_()).text


def test_repr_and_pickle_are_as_before(evaluation: Evaluation) -> None:
    assert str(pickle.loads(pickle.dumps(evaluation))) == str(evaluation)
    assert repr(evaluation).startswith("Evaluation(runs=(PosixPath('/runs/yolo'),")
