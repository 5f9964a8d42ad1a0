"""Which figures are drawn of the paper's experiments, and from which runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from pcm_leukemia.baselines.epoch_log import logs_of
from pcm_leukemia.baselines.evaluation import Evaluation
from pcm_leukemia.baselines.experiments import confidence_figures, figures
from pcm_leukemia.baselines.experiments.protocol import Experiment
from pcm_leukemia.baselines.experiments.training_figures import draw_training
from pcm_leukemia.baselines.metrics.classification import ClassificationScores
from pcm_leukemia.baselines.run import Run

__all__ = ["draw"]


def draw(
    folder: Path,
    runs: Mapping[Experiment, Run],
    done: Mapping[Experiment, Mapping[str, Evaluation]],
    two_stage: Mapping[str, Evaluation],
    learned: str,
) -> dict[str, str]:
    """Draw the paper's figures of results, and two of the classifiers' confidence, which the paper does not have.

    Every title has the names of the data, and the numbers of their patients, images and cells; `learned` has those of the
    training curves. Returns what each shows, or why it was not drawn.
    """
    by_key = {(each.table, each.model): each for each in runs}
    yolo, deim = by_key.get((4, "YOLO11m")), by_key.get((4, "DEIM-RT-DETRv2"))
    wbc, resnet = by_key.get((5, "DEIM-RT-DETRv2")), by_key.get((6, "ResNet50"))
    shown: dict[str, str] = {}
    for figure, each in (("Figure 2", wbc), ("Figure 8", yolo)):
        if each is None:
            shown[figure] = "not drawn: its detector was not requested"
            continue
        path = _place(folder, figure)
        scores = {
            f"{name}\n{one.scored_on}": one.detection
            for name, one in done[each].items()
            if one.detection is not None
        }
        figures.draw_curves(scores, path, iou="mean" if figure == "Figure 2" else "0.5")
        shown[figure] = (
            f"precision over recall of {each.model}, {each.task}, on {_all_of(done[each])}: {path.name}"
        )
    for figure, title, one in (
        ("Figure 3", "two stages", two_stage.get("ALL-IDB1")),
        ("Figure 10", "DEIM-RT-DETRv2", done[deim].get("ALL-IDB1") if deim else None),
    ):
        scores_of = None if one is None else one.end_to_end or one.detection
        if one is None or scores_of is None:
            shown[figure] = "not drawn: ALL-IDB1 was not given, or its models were not requested"
            continue
        path = _place(folder, figure)
        figures.draw_detection_confusion(scores_of, path, title=f"{title} on ALL-IDB1\n{one.scored_on}")
        shown[figure] = f"confusion matrix of {title} on {_all_of({'ALL-IDB1': one})}: {path.name}"
    for figure, each in (("Figure 7", yolo), ("Figure 9", resnet)):
        if each is None:
            shown[figure] = "not drawn: its model was not requested"
            continue
        path = _place(folder, figure)
        draw_training(logs_of(runs[each].folder), path, title=f"{each.model} on {learned}")
        shown[figure] = f"training of {each.model} on {learned.replace(chr(10), ', ')}: {path.name}"
    shown = dict(sorted(shown.items(), key=lambda pair: int(pair[0].split()[1])))
    return shown | _draw_confidence(folder, done)


def _draw_confidence(folder: Path, done: Mapping[Experiment, Mapping[str, Evaluation]]) -> dict[str, str]:
    """How far the classifiers' confidence can be trusted, on each test set."""
    scores: dict[str, dict[str, ClassificationScores]] = defaultdict(dict)
    sets: dict[str, Evaluation] = {}
    for experiment, by_set in done.items():
        for test_set, one in by_set.items():
            if one.classification is not None:
                scores[f"{test_set}\n{one.scored_on}"][experiment.model] = one.classification
                sets[test_set] = one
    if not scores:
        return dict.fromkeys(("Reliability", "Coverage"), "not drawn: no classifier was requested")
    reliability, coverage = (_place(folder, figure) for figure in ("Reliability", "Coverage"))
    confidence_figures.draw_reliability(
        {
            f"{model} on {test_set}": one.calibration
            for test_set, models in scores.items()
            for model, one in models.items()
        },
        reliability,
    )
    confidence_figures.draw_coverage(
        {
            test_set: {model: one.selective for model, one in models.items()}
            for test_set, models in scores.items()
        },
        coverage,
    )
    return {
        "Reliability": f"accuracy over confidence of the classifiers on {_all_of(sets)}: {reliability.name}",
        "Coverage": f"accuracy of the classifiers on their surest cells, on {_all_of(sets)}: {coverage.name}",
    }


def _all_of(sets: Mapping[str, Evaluation]) -> str:
    """The names of test sets, with their numbers."""
    return " and ".join(f"{name} ({one.scored_on})" for name, one in sets.items())


def _place(folder: Path, figure: str) -> Path:
    return folder / f"{figure.lower().replace(' ', '-')}.png"
