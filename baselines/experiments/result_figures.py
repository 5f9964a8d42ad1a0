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
) -> dict[str, str]:
    """Draw the paper's figures of results, and two of the classifiers' confidence, which the paper does not have.

    Returns what each shows, or why it was not drawn.
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
        scores = {name: one.detection for name, one in done[each].items() if one.detection is not None}
        figures.draw_curves(scores, path, iou="mean" if figure == "Figure 2" else "0.5")
        shown[figure] = (
            f"precision over recall of {each.model}, {each.task}, on {' and '.join(scores)}: {path.name}"
        )
    for figure, title, one in (
        ("Figure 3", "two stages", two_stage.get("ALL-IDB1")),
        ("Figure 10", "DEIM-RT-DETRv2", done[deim].get("ALL-IDB1") if deim else None),
    ):
        scores_of = None if one is None else one.end_to_end or one.detection
        if scores_of is None:
            shown[figure] = "not drawn: ALL-IDB1 was not given, or its models were not requested"
            continue
        path = _place(folder, figure)
        figures.draw_detection_confusion(scores_of, path, title=f"{title} on ALL-IDB1")
        shown[figure] = f"confusion matrix of {title} on ALL-IDB1: {path.name}"
    for figure, each in (("Figure 7", yolo), ("Figure 9", resnet)):
        if each is None:
            shown[figure] = "not drawn: its model was not requested"
            continue
        path = _place(folder, figure)
        draw_training(logs_of(runs[each].folder), path, title=each.model)
        shown[figure] = f"training of {each.model}: {path.name}"
    shown = dict(sorted(shown.items(), key=lambda pair: int(pair[0].split()[1])))
    return shown | _draw_confidence(folder, done)


def _draw_confidence(folder: Path, done: Mapping[Experiment, Mapping[str, Evaluation]]) -> dict[str, str]:
    """How far the classifiers' confidence can be trusted, on each test set."""
    scores: dict[str, dict[str, ClassificationScores]] = defaultdict(dict)
    for experiment, by_set in done.items():
        for test_set, one in by_set.items():
            if one.classification is not None:
                scores[test_set][experiment.model] = one.classification
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
    sets = " and ".join(scores)
    return {
        "Reliability": f"accuracy over confidence of the classifiers on {sets}: {reliability.name}",
        "Coverage": f"accuracy of the classifiers on their surest cells, on {sets}: {coverage.name}",
    }


def _place(folder: Path, figure: str) -> Path:
    return folder / f"{figure.lower().replace(' ', '-')}.png"
