"""What a notebook shows of an evaluation: its scores as HTML, with bars and the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pcm_leukemia import colours
from pcm_leukemia.baselines.metrics.classification import ClassificationScores
from pcm_leukemia.baselines.metrics.detection import DetectionScores
from pcm_leukemia.errors import counted
from pcm_leukemia.notebook import (
    Bar,
    Element,
    clipped,
    element,
    facts,
    folded,
    frame,
    hint,
    html,
    table,
    warnings_box,
)

if TYPE_CHECKING:
    from pcm_leukemia.baselines.evaluation import Evaluation

__all__ = ["of_evaluation"]


def of_evaluation(evaluation: Evaluation) -> str:
    """The scores of an evaluation as HTML: with intervals, by class, and the confusion matrix."""
    runs = " and ".join(run.name for run in evaluation.runs)
    started = f"started from {' and '.join(evaluation.started_from)}" if evaluation.started_from else ""
    read = f"labels read as {evaluation.reading}" if evaluation.reading else ""
    target = "batch-norm statistics of the target" if evaluation.batch_norm == "target" else ""
    return html(
        frame(
            "Evaluation",
            f"{runs} on {evaluation.data}, part {evaluation.part}",
            facts(*(clipped(each) for each in (started, read, target) if each)),
            warnings_box(evaluation.notes),
            *_detector("as a detector", evaluation.detection),
            *_classifier(evaluation.classification),
            *_detector(
                "end to end: located by the detector, labelled by the classifier", evaluation.end_to_end
            ),
            hint(
                ("evaluation.to_json()", "all scores as dictionaries"),
                ("print(evaluation)", "the same as text"),
                (
                    'pcm.baselines.draw_scores(evaluation, "figures")',
                    "curves and confusion matrices as figures",
                ),
            ),
        )
    )


def _detector(title: str, scores: DetectionScores | None) -> Iterable[Element]:
    if scores is None:
        return
    whole = scores.overall
    yield _title(title)
    yield facts(
        *([counted(scores.patients, "patient")] if scores.patients else []),
        counted(scores.images, "image"),
        counted(sum(scores.cells.values()), "cell"),
    )
    yield table(
        "measure",
        ["score, %", "95 % interval"],
        [
            ("mAP 50-95", [_score(whole.ap), _between(whole.interval)]),
            ("AP50", [_score(whole.ap50), _between(whole.interval50)]),
            ("AP75", [_score(whole.ap75), ""]),
            (
                f"found at score {scores.threshold:g}",
                [_score(scores.recall), _between(scores.recall_interval)],
            ),
        ],
    )
    yield facts(scores.how_sure)
    rows = [
        (
            label,
            [
                f"{scores.cells[label]:,}",
                _score(scores.of[label].ap, colours.of_label(label)),
                _score(scores.of[label].ap50, colours.of_label(label)),
                f"{scores.confusion[number][-1]:,}",
            ],
        )
        for number, label in enumerate(scores.labels)
    ]
    yield table("class", ["cells", "AP, %", "AP50, %", "missed"], rows)
    at = f"confusion at score {scores.threshold:g}, IoU {scores.iou:g}: rows are true, columns predicted"
    yield _confusion(at, [*scores.labels, "spurious"], [*scores.labels, "missed"], scores.confusion)


def _classifier(scores: ClassificationScores | None) -> Iterable[Element]:
    if scores is None:
        return
    yield _title("on the annotated cells")
    yield facts(f"{counted(scores.cells, 'cell')} of {counted(scores.groups, scores.unit.removesuffix('s'))}")
    estimates = {
        **scores.in_tables(),
        "balanced accuracy": scores.balanced_accuracy,
        "weighted F1": scores.weighted_f1,
    }
    yield table(
        "measure",
        ["score, %", "95 % interval"],
        [(name, [_score(value), _between(interval)]) for name, (value, interval) in estimates.items()],
    )
    yield facts(scores.how_sure)
    rows = [
        (
            row.label,
            [
                f"{row.support:,}",
                *(_score(each, colours.of_label(row.label)) for each in (row.precision, row.recall, row.f1)),
                _between(row.f1_interval),
            ],
        )
        for row in scores.classes
    ]
    yield table("class", ["cells", "precision, %", "recall, %", "F1, %", "95 % interval of F1"], rows)
    title = "confusion: rows are true, columns predicted"
    yield _confusion(title, scores.labels, scores.labels, scores.confusion.tolist())


def _title(text: str) -> Element:
    return element("div", element("b", text), style="margin-top:8px")


def _score(share: float | None, colour: str = colours.FOUND) -> str | Bar:
    if share is None or math.isnan(share):
        return "–"
    return Bar(share, f"{100 * share:.1f}", colour)


def _between(interval: tuple[float, float] | None) -> str:
    return f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}" if interval else ""


def _confusion(
    title: str, rows: Sequence[str], columns: Sequence[str], counts: Sequence[Sequence[int]]
) -> Element:
    """A confusion matrix; the shade of a square is the share of its row."""
    line = "padding:2px 5px;border:1px solid rgba(128,128,128,.3);text-align:right"
    cut = "max-width:9em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
    name = f"{line};{cut};font-weight:normal;font-size:11px"

    def head(label: str, scope: str) -> Element:
        return element("th", clipped(label), style=name, scope=scope, title=clipped(label))

    def square(count: int, of: int) -> Element:
        shade = f";background:rgba(68,119,170,{0.55 * count / max(of, 1):.2f})" if count else ";opacity:.5"
        return element("td", f"{count:,}", style=line + shade)

    body = [
        element("tr", head(label, "row"), *(square(count, sum(row)) for count in row))
        for label, row in zip(rows, counts, strict=True)
    ]
    top = element("tr", element("th", "", style=line, scope="col"), *(head(each, "col") for each in columns))
    made = element(
        "table",
        element("thead", top),
        element("tbody", *body),
        style="border-collapse:collapse;margin:6px 0;font-size:inherit",
    )
    return folded(title, element("div", made, style="overflow-x:auto"))
