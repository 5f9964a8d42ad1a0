"""The figures of an evaluation: one folder, in one step, with everything that was scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from drawn_cells import cells
from matplotlib.figure import Figure
from test_detection_scores import smears

from pcm_leukemia import NINE
from pcm_leukemia.baselines.evaluation import Evaluation
from pcm_leukemia.baselines.experiments import drawing
from pcm_leukemia.baselines.experiments.score_figures import draw_scores
from pcm_leukemia.baselines.metrics import classification, detection
from pcm_leukemia.baselines.metrics.classification import ClassificationScores
from pcm_leukemia.baselines.metrics.detection import DetectionScores
from pcm_leukemia.errors import ExportError
from pcm_leukemia.schema import Taxonomy

WBC = Taxonomy("wbc", ("WBC", "Other"))
DETECTOR, CLASSIFIER = Path("runs/wbc"), Path("runs/resnet50")
CURVES = ("precision-recall-50", "precision-recall-50-95")


def found(taxonomy: Taxonomy, seed: int = 1) -> DetectionScores:
    ds, predicted = smears(np.random.default_rng(seed), 20, taxonomy)
    return detection.score(ds, predicted, draws=0)


def named() -> ClassificationScores:
    drawn = cells(1, count=100, classes=8)
    return classification.score(
        drawn.truths, drawn.probabilities, NINE.labels[:-1], drawn.patients, draws=9, temperature=2.0
    )


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """What is drawn, by the name of its file."""
    drawn: dict[str, Figure] = {}
    save = drawing.save

    def kept(figure: Figure, file: Path) -> None:
        drawn[file.stem] = figure
        save(figure, file)

    monkeypatch.setattr(drawing, "save", kept)
    return drawn


def written(folder: Path) -> set[str]:
    """The figures in a folder, each of which is an image that can be opened."""
    names = {path.name for path in folder.iterdir()} - {"pcm-leukemia.json"}
    for name in names:
        with PIL.Image.open(folder / name) as image:
            image.load()
            assert image.format == "PNG"
            assert min(image.size) > 300
            assert np.asarray(image.convert("L")).std() > 5
    return {name.removesuffix(".png") for name in names}


def shares(figure: Figure) -> Any:
    return np.asarray(figure.axes[0].images[0].get_array())


def test_a_detector(tmp_path: Path, figures: dict[str, Figure]) -> None:
    scores = found(NINE)
    report = draw_scores(Evaluation((DETECTOR,), "sample", "test", "f", detection=scores), tmp_path / "out")
    drawn = {f"detector-{name}" for name in (*CURVES, "confusion")}
    assert written(tmp_path / "out") == drawn == set(figures)
    assert str(report).startswith(f"figures: {tmp_path / 'out'}\n  note: 3 figures: detector-confusion.png, ")
    table = np.array(scores.confusion)
    np.testing.assert_allclose(
        shares(figures["detector-confusion"]), table / np.maximum(table.sum(1, keepdims=True), 1)
    )
    assert figures["detector-confusion"].axes[0].get_title() == "wbc on sample, part test\nscore 0.5, IoU 0.5"
    for name, ap in zip(CURVES, (scores.overall.ap50, scores.overall.ap), strict=True):
        axes = figures[f"detector-{name}"].axes[0]
        assert axes.get_title() == "wbc on sample, part test"
        assert axes.get_legend_handles_labels()[1][-1] == f"mean  {100 * (ap or 0):.1f} %"


def test_a_classifier(tmp_path: Path, figures: dict[str, Figure]) -> None:
    scores = named()
    draw_scores(Evaluation((CLASSIFIER,), "sample", "test", "f", classification=scores), tmp_path / "out")
    names = {f"classifier-{name}" for name in ("confusion", "reliability", "coverage")}
    assert written(tmp_path / "out") == names == set(figures)
    table = np.array(scores.confusion)
    np.testing.assert_allclose(
        shares(figures["classifier-confusion"]), table / np.maximum(table.sum(1, keepdims=True), 1)
    )
    reliability = figures["classifier-reliability"].axes[0]
    assert reliability.get_title() == "resnet50 on sample, part test"
    ece = f"as predicted: ECE {100 * scores.calibration.ece.value:.2f} %"
    assert reliability.get_legend_handles_labels()[1][0] == ece
    coverage = figures["classifier-coverage"].axes[0]
    aurc = f"resnet50: AURC {100 * scores.selective.aurc.value:.2f} %"
    assert coverage.get_legend_handles_labels()[1] == [aurc]
    marker = json.loads((tmp_path / "out" / "pcm-leukemia.json").read_text(encoding="utf-8"))
    assert (marker["runs"], marker["data"], marker["part"], marker["fingerprint"]) == (
        ["resnet50"],
        "sample",
        "test",
        "f",
    )


def test_two_stages(tmp_path: Path, figures: dict[str, Figure]) -> None:
    both = Evaluation(
        (DETECTOR, CLASSIFIER),
        "sample",
        "test",
        "f",
        detection=found(WBC),
        classification=named(),
        end_to_end=found(NINE, 2),
    )
    draw_scores(both, tmp_path / "out")
    assert written(tmp_path / "out") == set(figures)
    assert len(figures) == 9
    titles = {name: figure.axes[0].get_title() for name, figure in figures.items()}
    assert titles["detector-precision-recall-50"] == "wbc on sample, part test"
    assert titles["classifier-confusion"] == "resnet50 on sample, part test"
    assert titles["end-to-end-precision-recall-50"] == "wbc and resnet50 on sample, part test"
    assert len(figures["end-to-end-confusion"].axes[0].get_xticklabels()) == 10
    assert len(figures["detector-confusion"].axes[0].get_xticklabels()) == 3


def test_scores_of_no_cells_are_drawn(tmp_path: Path) -> None:
    ds, predicted = smears(np.random.default_rng(1), 2, WBC)
    nothing = detection.score(ds.relabel({"WBC": None, "Other": None}, WBC), predicted, draws=0)
    draw_scores(Evaluation((DETECTOR,), "sample", "test", "f", detection=nothing), tmp_path / "out")
    assert len(written(tmp_path / "out")) == 3


def test_names_are_drawn_as_they_are(tmp_path: Path, figures: dict[str, Figure]) -> None:
    name = f"<b>${'x' * 200}$ 5 % & more"
    draw_scores(
        Evaluation((Path("runs") / name,), name, "test", "f", classification=named()), tmp_path / "out"
    )
    title = figures["classifier-confusion"].axes[0].get_title()
    short = f"<b>\\${'x' * 16}...{'x' * 5}\\$ 5 % & more"
    assert title.replace("\n", " ") == f"{short} on {short}, part test"
    assert max(map(len, title.splitlines())) <= 46
    with PIL.Image.open(tmp_path / "out" / "classifier-confusion.png") as image:
        edges = np.asarray(image.convert("L"))
    assert (edges[[0, -1]] == 255).all()  # nothing is cut off
    assert (edges[:, [0, -1]] == 255).all()


def test_a_folder_is_written_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = Evaluation((CLASSIFIER,), "sample", "test", "f", classification=named())
    draw_scores(scored, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    draw_scores(scored, tmp_path / "out")  # its own folder is replaced, by the same bytes
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drawing, "save", full)
    for name in ("out", "new"):
        with pytest.raises(ExportError, match="No space left on device"):
            draw_scores(scored, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(before)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ExportError, match=r'holds "mine.txt", which pcm-leukemia did not write'):
        draw_scores(Evaluation((CLASSIFIER,), "sample", "test", "f"), tmp_path)
