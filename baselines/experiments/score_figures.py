"""Which figures are drawn of one evaluation."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from pcm_leukemia.baselines.evaluation import Evaluation
from pcm_leukemia.baselines.experiments import confidence_figures, figures
from pcm_leukemia.baselines.experiments.drawing import literal
from pcm_leukemia.baselines.metrics.classification import ClassificationScores
from pcm_leukemia.baselines.metrics.detection import DetectionScores
from pcm_leukemia.errors import counted
from pcm_leukemia.files import Report, new_folder

__all__ = ["draw_scores"]

_WIDTH = 46
"""Characters in a line of a title."""


def draw_scores(evaluation: Evaluation, out: str | Path) -> Report:
    """Draw the scores of a model, or of the two-stage pipeline.

    ::

        <out>/detector-precision-recall-50.png        precision over recall of each class at IoU 0.5
        <out>/detector-precision-recall-50-95.png     the mean over IoU 0.50 to 0.95
        <out>/detector-confusion.png                  with missed cells and false detections
        <out>/classifier-confusion.png
        <out>/classifier-reliability.png              accuracy over confidence
        <out>/classifier-coverage.png                 accuracy of the surest cells over their share
        <out>/end-to-end-...                          as of a detector, for the two stages together

    Parameters
    ----------
    evaluation
        The scores, as `evaluate` and `evaluate_two_stage` return them.
    out
        A new folder, or one that an earlier call wrote.

    Raises
    ------
    ExportError
        If `out` must not be replaced, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pcm_leukemia.baselines.metrics import classification
    >>> chances = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]
    >>> scores = classification.score([0, 0, 1], chances, ("Lymphocyte", "Monocyte"), ["P1", "P1", "P2"], draws=9)
    >>> evaluation = Evaluation((Path("runs/resnet50"),), "demo", "test", "", classification=scores)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(draw_scores(evaluation, f"{folder}/figures").notes[0])
    3 figures: classifier-confusion.png, classifier-coverage.png, classifier-reliability.png
    """
    *_, classifier = runs = [_short(run.name) for run in evaluation.runs]
    data = f"{_short(evaluation.data)}, part {evaluation.part}"
    with new_folder(out, "figures") as folder:
        if evaluation.detection is not None:
            _detector(folder, "detector", evaluation.detection, f"{runs[0]} on {data}")
        if evaluation.classification is not None:
            _classifier(folder, evaluation.classification, classifier, data)
        if evaluation.end_to_end is not None:
            _detector(folder, "end-to-end", evaluation.end_to_end, f"{' and '.join(runs)} on {data}")
        drawn = sorted(path.name for path in folder.iterdir())
        notes = (f"{counted(len(drawn), 'figure')}: {', '.join(drawn)}",)
        report = Report("figures", Path(out), {}, {}, {}, notes)
        made = {
            "runs": [run.name for run in evaluation.runs],
            "data": evaluation.data,
            "part": evaluation.part,
        }
        report.leave_in(folder, {**made, "fingerprint": evaluation.fingerprint})
    return report


def _detector(folder: Path, name: str, scores: DetectionScores, title: str) -> None:
    panels = {_title(title): scores}
    figures.draw_curves(panels, folder / f"{name}-precision-recall-50.png")
    figures.draw_curves(panels, folder / f"{name}-precision-recall-50-95.png", iou="mean")
    counted = f"score {scores.threshold:g}, IoU {scores.iou:g}"
    figures.draw_detection_confusion(scores, folder / f"{name}-confusion.png", title=_title(title, counted))


def _classifier(folder: Path, scores: ClassificationScores, run: str, data: str) -> None:
    title, labels = _title(f"{run} on {data}"), scores.labels
    figures.draw_confusion(scores.confusion, labels, labels, folder / "classifier-confusion.png", title=title)
    confidence_figures.draw_reliability({title: scores.calibration}, folder / "classifier-reliability.png")
    confidence_figures.draw_coverage(
        {_title(data): {literal(run): scores.selective}}, folder / "classifier-coverage.png"
    )


def _title(*lines: str) -> str:
    return "\n".join(fill(literal(line), _WIDTH) for line in lines)


def _short(name: str) -> str:
    """A name without its middle if it is too long for a legend."""
    return name if len(name) <= 40 else f"{name[:20]}...{name[-17:]}"
