"""Figures show the numbers that they are given, and come out the same each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import PIL.Image
import pytest
from drawn_cells import cells
from matplotlib.figure import Figure
from test_data_figures import HOSTILE, require_legible
from test_detection_scores import smears

from pcm_leukemia import NINE
from pcm_leukemia.baselines.evaluation import Evaluation
from pcm_leukemia.baselines.experiments import confidence_figures, figures, result_figures
from pcm_leukemia.baselines.experiments.protocol import EXPERIMENTS, INTERNAL
from pcm_leukemia.baselines.experiments.training_figures import draw_training
from pcm_leukemia.baselines.metrics import calibration, classification, coverage
from pcm_leukemia.baselines.metrics.detection import DetectionScores, score
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.scored_on import ScoredOn
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.schema import Taxonomy

WBC = Taxonomy("wbc", ("WBC", "Other"))
YOLO = "epoch,lr,train_box,val_box,val_precision,val_AP50,val_AP\n1,0.01,3,4,0.1,0.2,0.1\n2,0.005,2,3.5,0.5,0.6,0.4\n3,0.001,1,3,0.5,0.7,0.3\n"
PROBE = "epoch,rate,train_loss,val_loss,val_accuracy,val_macro_f1\n1,0.001,1.5,1.6,0.5,0.4\n2,0.001,1.2,1.3,0.6,0.5\n"
TUNING = "epoch,rate,train_loss,val_loss,val_accuracy,val_macro_f1\n1,0.0001,1.0,1.1,0.7,0.6\n2,0.0001,0.8,0.9,0.8,\n"


def scores(seed: int, taxonomy: Taxonomy = WBC) -> DetectionScores:
    ds, found = smears(np.random.default_rng(seed), 30, taxonomy)
    return score(ds, found, draws=0)


def lines(figure: Figure, panel: int) -> dict[str, tuple[list[float], list[float]]]:
    """What is drawn, by the legend's names."""
    handles, names = figure.axes[panel].get_legend_handles_labels()
    drawn: dict[str, Any] = dict(zip(names, handles, strict=True))
    return {name: (list(line.get_xdata()), list(line.get_ydata())) for name, line in drawn.items()}


def shades(figure: Figure) -> np.ndarray[Any, Any]:
    """How dark each field is."""
    return np.asarray(figure.axes[0].images[0].get_array())


def test_curves_of_each_test_set(tmp_path: Path) -> None:
    inside, outside = scores(1), scores(2)
    figure = figures.draw_curves({"PCM-Leukemia": inside, "ALL-IDB1": outside}, tmp_path / "figure2.png")
    assert [axes.get_title() for axes in figure.axes] == ["PCM-Leukemia", "ALL-IDB1"]
    for panel, given in enumerate((inside, outside)):
        drawn = lines(figure, panel)
        ap50 = {label: given.of[label].ap50 for label in WBC.labels}
        assert given.overall.ap50 is not None
        names = [f"{label}  {100 * (value or 0):.1f} %" for label, value in ap50.items()]
        assert list(drawn) == [*names, f"mean  {100 * given.overall.ap50:.1f} %"]
        for name, label in zip(names, WBC.labels, strict=True):
            assert drawn[name][0] == pytest.approx(np.linspace(0, 1, 101))
            assert drawn[name][1] == list(given.curves[label].at50)
            # the area below the curve is what the legend says
            assert np.mean(drawn[name][1]) == pytest.approx(ap50[label])


def test_curves_over_all_ious_are_those_of_the_papers_figure(tmp_path: Path) -> None:
    given = scores(3)
    figure = figures.draw_curves({"": given}, tmp_path / "figure2.png", iou="mean")
    first = next(iter(lines(figure, 0).items()))
    assert first[0] == f"WBC  {100 * (given.of['WBC'].ap or 0):.1f} %"
    assert np.mean(first[1][1]) == pytest.approx(given.of["WBC"].ap)
    assert figure.axes[0].get_ylabel() == "precision, mean over IoU 0.50 to 0.95"


def test_curves_are_told_apart_without_their_colours(tmp_path: Path) -> None:
    axes = figures.draw_curves({"": scores(1, NINE)}, tmp_path / "figure8.png").axes[0]
    drawn = axes.get_lines()
    assert len({(line.get_linestyle(), line.get_marker()) for line in drawn}) == len(NINE.labels) + 1


@pytest.mark.parametrize("panels", [1, 2, 3])
def test_hostile_names_stay_legible(tmp_path: Path, panels: int) -> None:
    given = scores(1, Taxonomy("odd", HOSTILE))
    named = {f"{number}": given for number in range(panels)}
    require_legible(figures.draw_curves(named, tmp_path / "a.png"), tmp_path / "a.png")
    many = replace(given, confusion=tuple(tuple(11_339 for _ in row) for row in given.confusion))
    require_legible(figures.draw_detection_confusion(many, tmp_path / "b.png"), tmp_path / "b.png")


def test_figures_of_training_and_confidence_are_legible(tmp_path: Path) -> None:
    """Two phases with as many lines as a model has, and three panels."""
    columns = [
        "lr",
        "lr_backbone",
        *(f"{part}_{name}" for part in ("train", "val") for name in ("box", "cls", "dfl")),
    ]
    columns += ["val_precision", "val_recall", "val_AP50", "val_AP"]
    rows = [
        ",".join([str(epoch), *(f"{0.9 / (epoch + n + 1):.4f}" for n in range(12))]) for epoch in range(30)
    ]
    (tmp_path / "log.csv").write_text("\n".join([f"epoch,{','.join(columns)}", *rows]), encoding="utf-8")
    phases = {"probe": tmp_path / "log.csv", "tune": tmp_path / "log.csv"}
    require_legible(draw_training(phases, tmp_path / "a.png", title="YOLO11m"), tmp_path / "a.png")
    figure = draw_training({"": tmp_path / "log.csv"}, tmp_path / "b.png")
    assert figure.axes[0].get_xlim()[0] == 0  # epochs that count from 0 are seen, too
    drawn = cells(1, count=300)
    calibrated = calibration.score(drawn.truths, drawn.probabilities, drawn.resampling(), 2.0)
    reliability = dict.fromkeys("ABC", calibrated)
    require_legible(confidence_figures.draw_reliability(reliability, tmp_path / "c.png"), tmp_path / "c.png")


def test_a_class_without_cells_has_no_curve(tmp_path: Path) -> None:
    ds, found = smears(np.random.default_rng(1), 4, WBC)
    ds = ds.relabel({"Other": None}, WBC)
    figure = figures.draw_curves({"": score(ds, found, draws=0)}, tmp_path / "a.png")
    assert [name.partition(" ")[0] for name in lines(figure, 0)] == ["WBC"]


def test_confusion_shows_counts_and_shares_of_rows(tmp_path: Path) -> None:
    given = scores(1, NINE)
    figure = figures.draw_detection_confusion(given, tmp_path / "figure10.png")
    axes = figure.axes[0]
    table = np.array(given.confusion)
    shares = table / table.sum(1, keepdims=True)
    np.testing.assert_allclose(shades(figure), shares)
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert len(texts) == np.count_nonzero(table)
    row, column = 0, 9
    assert texts[column, row] == f"{table[row, column]}\n{100 * shares[row, column]:.0f} %"
    assert [label.get_text() for label in axes.get_xticklabels()][-2:] == ["Other", "missed"]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows[6] == f"Myeloblast AML ({given.cells['Myeloblast_AML']})"
    assert rows[-1] == f"no cell ({table[-1].sum()})"
    assert axes.get_title() == "score 0.5, IoU 0.5"


def test_confusion_of_a_classifier(tmp_path: Path) -> None:
    figure = figures.draw_confusion(
        [[3, 1], [0, 0]], ("A", "B"), ("A", "B"), tmp_path / "figure3.png", title="crops"
    )
    np.testing.assert_allclose(shades(figure), np.array([[0.75, 0.25], [0, 0]]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["3\n75 %", "1\n25 %"]
    assert figure.axes[0].get_title() == "crops"
    with pytest.raises(ValueError, match=r"confusion matrix \(2, 2\): has 2 names of rows and 3 of columns"):
        figures.draw_confusion([[3, 1], [0, 0]], ("A", "B"), ("A", "B", "C"), tmp_path / "b.png")


def test_training_of_a_detector(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(YOLO, encoding="utf-8")
    figure = draw_training({"": tmp_path / "metrics.csv"}, tmp_path / "figure7.png", title="YOLO11m")
    assert [axes.get_title() for axes in figure.axes] == ["loss", "score", "learning rate"]
    assert lines(figure, 0) == {"train box": ([1, 2, 3], [3, 2, 1]), "val box": ([1, 2, 3], [4, 3.5, 3])}
    assert lines(figure, 1)["val AP"] == ([1, 2, 3], [0.1, 0.4, 0.3])
    assert lines(figure, 2) == {"lr": ([1, 2, 3], [0.01, 0.005, 0.001])}
    assert [text.get_text() for text in figure.axes[1].texts] == ["best val AP: 0.400, epoch 2"]
    box, val_box = figure.axes[0].get_lines()
    assert box.get_color() == val_box.get_color()
    assert (box.get_linestyle(), val_box.get_linestyle()) == ("-", "--")


def test_training_in_two_phases(tmp_path: Path) -> None:
    """The second goes on where the first ends, with a gap between; a number that is not there is passed over."""
    (tmp_path / "probe.csv").write_text(PROBE, encoding="utf-8")
    (tmp_path / "tuning.csv").write_text(TUNING, encoding="utf-8")
    phases = {"linear probing": tmp_path / "probe.csv", "fine-tuning": tmp_path / "tuning.csv"}
    figure = draw_training(phases, tmp_path / "figure9.png")
    epochs, values = lines(figure, 0)["train loss"]
    assert epochs == [1, 2, 2.5, 3, 4]
    np.testing.assert_allclose(values, [1.5, 1.2, np.nan, 1.0, 0.8])
    assert lines(figure, 1)["val macro f1"][0] == [1, 2, 2.5, 3]
    assert [text.get_text() for text in figure.axes[0].texts] == ["linear probing", "fine-tuning"]
    assert "best val macro f1: 0.600, epoch 3" in [text.get_text() for text in figure.axes[1].texts]


def test_reliability_as_predicted_and_at_a_temperature(tmp_path: Path) -> None:
    drawn = cells(1, count=300)
    given = calibration.score(drawn.truths, drawn.probabilities, drawn.resampling(), 2.0)
    plain = calibration.score(drawn.truths, drawn.probabilities, drawn.resampling())
    assert given.scaled is not None
    panels = {name: given if name == "A" else plain for name in "ABCD"}
    figure = confidence_figures.draw_reliability(panels, tmp_path / "reliability.png")
    seen = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in seen] == list("ABCD")
    handles, names = seen[0].get_legend_handles_labels()
    before, after = f"{100 * given.ece.value:.2f}", f"{100 * given.scaled.ece.value:.2f}"
    assert names == [
        f"as predicted: ECE {before} %",
        f"at temperature 2.00: ECE {after} %",
        "share of cells",
    ]
    line: Any = handles[1]
    known = [each for each in given.scaled.bins if each.cells]
    assert list(line.get_xdata()) == [each.confidence for each in known]
    assert list(line.get_ydata()) == [each.accuracy for each in known]
    heights = [bar.get_height() for bar in seen[0].patches]  # type: ignore[attr-defined]
    assert heights == pytest.approx([each.cells / 300 for each in given.bins])
    assert len(seen[1].get_legend_handles_labels()[1]) == 2


def test_accuracy_over_coverage_of_each_model(tmp_path: Path) -> None:
    first, second = (cells(seed, count=300) for seed in (1, 2))
    scored = [
        coverage.score(each.truths, each.probabilities, each.resampling(20)) for each in (first, second)
    ]
    panels = {"PCM": dict(zip("AB", scored, strict=True)), "ALL-IDB1": {"A": scored[0]}}
    figure = confidence_figures.draw_coverage(panels, tmp_path / "coverage.png")
    assert [axes.get_title() for axes in figure.axes] == ["PCM", "ALL-IDB1"]
    drawn = lines(figure, 0)
    assert list(drawn) == [
        f"{name}: AURC {100 * each.aurc.value:.2f} %" for name, each in panels["PCM"].items()
    ]
    shares, accuracies = next(iter(drawn.values()))
    assert shares == pytest.approx([number / 100 for number in range(1, 101)])
    for share, each in scored[0].accuracies.items():
        assert accuracies[round(100 * share) - 1] == pytest.approx(each.value)
    intervals = figure.axes[1].get_lines()[1:]
    assert [tuple(line.get_ydata()) for line in intervals] == [  # type: ignore[arg-type]
        each.interval for each in scored[0].accuracies.values()
    ]


def test_what_reproduce_draws_of_classifiers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = cells(1, count=100, classes=8)
    of_crops = classification.score(
        drawn.truths, drawn.probabilities, NINE.labels[:-1], drawn.patients, draws=9
    )
    counts = ScoredOn(patients=7, images=20, cells=100)
    scored = Evaluation((tmp_path,), "demo", "test", "", classification=of_crops, scored_on=counts)
    done = {each: {INTERNAL: scored, "ALL-IDB1": scored} for each in EXPERIMENTS[-2:]}
    titles: list[str] = []
    for name in ("draw_reliability", "draw_coverage"):
        draw = getattr(confidence_figures, name)

        def recorded(panels: dict[str, Any], path: Path, draw: Any = draw) -> None:
            titles.extend(panels)
            draw(panels, path)

        monkeypatch.setattr(confidence_figures, name, recorded)
    shown = result_figures.draw(tmp_path, {}, done, {}, "")
    numbers = "7 patients, 20 images, 100 cells"
    assert titles[0] == f"DinoBloom (Direct FT) on PCM-Leukemia\n{numbers}"
    assert titles[-1] == f"ALL-IDB1\n{numbers}"
    sets = f"PCM-Leukemia ({numbers}) and ALL-IDB1 ({numbers})"
    assert shown["Reliability"] == f"accuracy over confidence of the classifiers on {sets}: reliability.png"
    assert shown["Coverage"] == f"accuracy of the classifiers on their surest cells, on {sets}: coverage.png"
    assert {path.name for path in tmp_path.iterdir()} == {"reliability.png", "coverage.png"}
    assert shown["Figure 9"] == "not drawn: its model was not requested"
    assert (
        result_figures.draw(tmp_path, {}, {}, {}, "")["Coverage"] == "not drawn: no classifier was requested"
    )


def test_the_curves_of_reproduce_name_the_data_and_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = Evaluation((tmp_path,), "demo", "test", "", detection=scores(1), scored_on=ScoredOn(3, 12, 345))
    yolo = EXPERIMENTS[0]
    logs = {"loss": tmp_path / "loss.csv"}
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(result_figures, "logs_of", lambda _: logs)
    monkeypatch.setattr(
        result_figures, "draw_training", lambda _, path, title: drawn.update({path.name: title})
    )
    monkeypatch.setattr(
        figures, "draw_curves", lambda panels, path, **_: drawn.update({path.name: list(panels)})
    )
    learned = "demo\ntrain: 9 patients, 30 images, 800 cells"
    shown = result_figures.draw(tmp_path, {yolo: Run(tmp_path, {})}, {yolo: {"demo": scored}}, {}, learned)
    assert drawn == {
        "figure-7.png": f"YOLO11m on {learned}",
        "figure-8.png": ["demo\n3 patients, 12 images, 345 cells"],
    }
    assert shown["Figure 8"] == (
        "precision over recall of YOLO11m, detection, on demo (3 patients, 12 images, 345 cells): figure-8.png"
    )
    assert shown["Figure 7"] == f"training of YOLO11m on {learned.replace(chr(10), ', ')}: figure-7.png"


def test_nothing_to_draw_of_a_classifier(tmp_path: Path) -> None:
    for draw in (confidence_figures.draw_reliability, confidence_figures.draw_coverage):
        with pytest.raises(ValueError, match=r"a.png: no scores to draw; give one panel or more"):
            draw({}, tmp_path / "a.png")
    empty = cells(0, count=0)
    nothing = coverage.score(empty.truths, empty.probabilities, empty.resampling())
    confidence_figures.draw_coverage({"": {"A": nothing}}, tmp_path / "a.png")
    bins = calibration.score(empty.truths, empty.probabilities, empty.resampling())
    confidence_figures.draw_reliability({"": bins}, tmp_path / "b.png")


@pytest.mark.parametrize("form", ["png", "pdf", "svg"])
def test_the_same_numbers_give_the_same_bytes_whatever_style_is_set(tmp_path: Path, form: str) -> None:
    (tmp_path / "metrics.csv").write_text(YOLO, encoding="utf-8")

    def draw(folder: Path) -> list[bytes]:
        figures.draw_curves({"a": scores(1)}, folder / f"curves.{form}")
        figures.draw_detection_confusion(scores(1), folder / f"confusion.{form}")
        draw_training({"": tmp_path / "metrics.csv"}, folder / f"training.{form}")
        return [path.read_bytes() for path in sorted(folder.iterdir())]

    first = draw(tmp_path / "first")
    with mpl.rc_context(
        {"lines.linewidth": 9, "axes.facecolor": "red", "svg.hashsalt": None, "font.size": 20}
    ):
        assert draw(tmp_path / "second") == first
        assert mpl.rcParams["font.size"] == 20
    assert len(first) == 3
    if form == "png":
        with PIL.Image.open(tmp_path / "first" / "curves.png") as image:
            assert "Software" not in image.info
            assert image.width > 600


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "empty.csv").write_text("epoch,b\n", encoding="utf-8")
    (tmp_path / "back.csv").write_text("epoch,b\n2,1\n1,1\n", encoding="utf-8")
    with pytest.raises(CorruptFile, match="metrics.csv: has no column epoch of numbers"):
        draw_training({"": tmp_path / "metrics.csv"}, tmp_path / "a.png")
    for name in ("empty", "back"):
        with pytest.raises(CorruptFile, match=f"{name}.csv: has no epochs in their order"):
            draw_training({"": tmp_path / f"{name}.csv"}, tmp_path / "a.png")
    with pytest.raises(DataNotFound, match="none.csv: cannot be read"):
        draw_training({"": tmp_path / "none.csv"}, tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a.png: no log to draw; give one or more"):
        draw_training({}, tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a.png: no scores to draw; give one panel or more"):
        figures.draw_curves({}, tmp_path / "a.png")
    with pytest.raises(ValueError, match=r'iou "0.75": must be 0.5 or mean'):
        figures.draw_curves({"": scores(1)}, tmp_path / "a.png", iou="0.75")
    with pytest.raises(
        ValueError, match=r"a.jpg: figures are written as png, pdf, svg; give the file such an ending"
    ):
        figures.draw_curves({"": scores(1)}, tmp_path / "a.jpg")
    assert not (tmp_path / "a.png").exists()
