"""What is drawn is what was scored: looked at in the axes, and as bytes that do not change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from matplotlib.axes import Axes

from pcm_leukemia import NINE, Box, Cell, Dataset, Image
from pcm_leukemia.baselines import detection_scores, figures, pictures
from pcm_leukemia.baselines.contract import Found
from pcm_leukemia.errors import DataNotFound
from pcm_leukemia.schema import ImageId


@pytest.fixture
def scores() -> detection_scores.DetectionScores:
    image = Image(ImageId("a.png"), 200, 100)
    boxes = [Box(10, 10, 50, 50), Box(100, 10, 140, 50)]
    cells = tuple(
        Cell(image.id, n, label, box)
        for n, (label, box) in enumerate(zip(("Monocyte", "Other"), boxes, strict=True))
    )
    found = Found(
        np.array([[10, 10, 50, 50], [100, 10, 140, 50]], np.float32),
        np.array([0.9, 0.8], np.float32),
        np.array([5, 5]),
    )
    return detection_scores.score(Dataset("demo", NINE, (image,), cells), {image.id: found})


def test_curves(scores: detection_scores.DetectionScores, tmp_path: Path) -> None:
    figure = figures.precision_recall({"here": scores, "there": scores}, tmp_path / "curves.png")
    assert [axes.get_title() for axes in figure.axes] == ["here", "there"]
    lines = {str(line.get_label()): line for line in figure.axes[0].lines}
    assert lines.keys() == {"Monocyte  100.0", "Other  0.0"}
    assert np.asarray(lines["Monocyte  100.0"].get_ydata()).tolist() == list(scores.curves["Monocyte"].at50)
    with PIL.Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > picture.height > 300


def test_a_confusion_matrix(tmp_path: Path) -> None:
    figure = figures.confusion(
        ["A", "B", "spurious"],
        ["A", "B", "missed"],
        [[3, 1, 0], [0, 0, 2], [1, 0, 0]],
        tmp_path / "matrix.svg",
    )
    (axes,) = figure.axes
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts == {(0, 0): "3\n75 %", (1, 0): "1\n25 %", (2, 1): "2\n100 %", (0, 2): "1\n100 %"}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["A", "B", "missed"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["A", "B", "spurious"]


def points(axes: Axes) -> list[tuple[list[float], list[float]]]:
    return [
        (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()) for line in axes.lines
    ]


def test_training_curves_of_two_phases(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "probe.csv").write_text("epoch,step,train_loss,val_accuracy\n0,9,2.0,\n0,9,,0.5\n1,19,1.5,0.6\n")
    (logs / "tune.csv").write_text("epoch,train_loss,val_accuracy\n0,1.2,0.7\n1,0.9,0.8\n")
    losses, scores = figures.training(logs, tmp_path / "training.png").axes
    assert points(losses) == [([0, 1], [2.0, 1.5]), ([2, 3], [1.2, 0.9])]
    assert points(scores) == [
        ([0, 1], [0.5, 0.6]),
        ([2, 3], [0.7, 0.8]),
    ]
    with pytest.raises(DataNotFound, match="holds no log of epochs; give the logs folder of a run"):
        figures.training(tmp_path / "nowhere", tmp_path / "b.png")


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_the_same_numbers_give_the_same_bytes(form: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        figures.confusion(["A"], ["A"], [[3]], tmp_path / f"{name}.{form}")
    assert (tmp_path / f"one.{form}").read_bytes() == (tmp_path / f"two.{form}").read_bytes()


def test_a_picture_with_boxes() -> None:
    pixels = np.full((120, 200, 3), 230, np.uint8)
    drawn = pictures.draw(
        pixels, [(20, 40, 90, 100), (150, 1, 199, 60)], ["Monocyte 0.93", "Other 0.20"], [5, 8]
    )
    assert (pixels == 230).all()
    assert drawn.shape == pixels.shape
    for x, y, colour in ((20, 70, 5), (90, 70, 5), (55, 100, 5), (150, 30, 8)):
        wanted = pictures.COLOURS[colour]
        assert "#" + bytes(drawn[y, x].tolist()).hex() == wanted
    assert (drawn[70, 55] == 230).all()  # inside, the cell is to be seen
    assert (drawn[:38, 20:90] != 230).any()  # the text above the box
    assert (drawn[60:80, 130:] != 230).any()  # the text of a box at the top is below it
