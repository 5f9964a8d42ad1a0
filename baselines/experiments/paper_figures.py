"""All figures of the paper for any data and runs, in one folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pcm_leukemia import baselines
from pcm_leukemia.baselines.epoch_log import logs_of
from pcm_leukemia.baselines.experiments import (
    count_figures,
    crop_figures,
    drawing,
    figures,
    frame_figures,
    training_figures,
)
from pcm_leukemia.baselines.experiments.figure_needs import (
    CLASSIFIER,
    ONE_STAGE,
    WBC,
    Given,
    NotDrawnError,
    listed,
)
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import (
    CorruptFile,
    DataNotFound,
    ExportError,
    PcmError,
    Problem,
    UnfitForTask,
    either,
)
from pcm_leukemia.files import Report, new_folder
from pcm_leukemia.requirements import require

if TYPE_CHECKING:
    from pcm_leukemia.baselines.evaluation import Evaluation
    from pcm_leukemia.baselines.metrics.detection import DetectionScores
    from pcm_leukemia.baselines.run import Run

__all__ = ["NUMBERS", "draw_figures"]

NUMBERS = tuple(range(1, 11))
"""The figures of the paper that show data or results."""


def draw_figures(
    ds: Dataset,
    runs: Sequence[Run],
    out: str | Path,
    *,
    beside: Sequence[Dataset] = (),
    numbers: Collection[int] = NUMBERS,
    form: str = "png",
    device: str = "auto",
    batch: int = 16,
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Draw the paper's figures as far as the data and the runs allow; the report says why the others were not drawn.

    ::

        <out>/figure-1.png     two annotated frames and cells of each
        <out>/figure-2.png     WBC detector: precision over recall on each test set
        <out>/figure-3.png     two stages: confusion matrix on another data set
        <out>/figure-4.png     cells of both data sets side by side, a row for each class
        <out>/figure-5.png     cells of each class and its criteria
        <out>/figure-6.png     number of cells of each class, by part
        <out>/figure-7.png     one-stage detector: training
        <out>/figure-8.png     one-stage detector: precision over recall
        <out>/figure-9.png     classifier: training
        <out>/figure-10.png    one-stage detector: confusion matrix on another data set

    Runs are scored as `evaluate` scores them: on the part "test", or on the whole of a data set without a split, and never on
    what they have learned from. Of several runs of a kind, the first that has finished is drawn.

    Parameters
    ----------
    ds
        The data.
    runs
        The runs of a WBC detector, a one-stage detector and a classifier, or some of them, in any order.
    out
        A new folder, or one that an earlier call wrote.
    beside
        Other data sets. Figures 2 and 4 have a panel for each, Figures 3 and 10 show the first that can be scored.
    numbers
        The figures to draw, 1 to 10.
    form
        "png", "pdf" or "svg".
    device, batch, workers, progress
        As in `evaluate`.

    Returns
    -------
    Report
        `notes` say what each figure shows, or needs. `problems` are figures that files are missing for, such as images.

    Raises
    ------
    UnfitForTask
        If none of the figures can be drawn; the message says why for each. Also if there are no images.
    LeakySplit
        If the split of the data leaks.
    ValueError
        If a number or `form` is unknown, or two data sets have the same name.
    CorruptFile
        If a run is of an unknown model.
    ExportError
        If `out` must not be replaced, or cannot be written.

    Examples
    --------
    >>> import pcm_leukemia as pcm
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     ds = pcm.load_dataset(pcm.sample.write(f"{folder}/export.zip", patients=2, images=2))
    ...     report = draw_figures(ds, [], f"{folder}/figures", numbers=[6, 7])
    >>> for note in report.notes:
    ...     print(note)
    Figure 6: cells of each class: figure-6.png
    Figure 7: not drawn: needs the run of a one-stage detector (task detection)
    """
    chosen = sorted(set(numbers))
    _check(chosen, form, [ds, *beside])
    kinds = [(run, run.baseline.kind, run.task) for run in runs]
    options = {"device": device, "batch": batch, "workers": workers, "progress": progress}
    given = Given(ds, kinds, beside, options)
    require(ds)
    with new_folder(out, "paper-figures") as folder:
        said: dict[int, str] = {}
        lacking: dict[int, str] = {}
        problems: list[Problem] = []
        for number in chosen:
            path = folder / f"figure-{number}.{form}"
            try:
                said[number] = f"{_FIGURES[number](given, path)}: {path.name}"
            except ExportError:
                raise
            except (NotDrawnError, PcmError, ValueError) as error:
                lacking[number] = _sentence(error)
                if isinstance(error, (DataNotFound, CorruptFile)):
                    what, _, fix = lacking[number].rpartition("; ")
                    problems.append(Problem(f"Figure {number}", f"not drawn: {what}", fix))
        if not said:
            raise UnfitForTask(
                Problem(f"Figure {number}", "cannot be drawn", reason) for number, reason in lacking.items()
            )
        said |= {number: f"not drawn: {reason}" for number, reason in lacking.items()}
        told = {problem.where for problem in problems}
        each = ((f"Figure {number}", said[number]) for number in chosen)
        notes = (*(f"{figure}: {what}" for figure, what in each if figure not in told), *given.left_over())
        report = Report("paper-figures", Path(out), {}, {}, {}, notes, tuple(problems))
        made = {"runs": [run.folder.name for run in runs], "data": ds.name, "fingerprint": ds.fingerprint}
        report.leave_in(folder, {**made, "beside": [other.name for other in beside]})
    return report


def _check(numbers: Sequence[int], form: str, sets: Sequence[Dataset]) -> None:
    """Refuse what no figure can be drawn for, before any work."""
    unknown = [f"figure {number}" for number in numbers if number not in NUMBERS]
    if unknown or not numbers:
        raise ValueError(f"{(*unknown, 'no figure')[0]}: cannot be drawn; choose from 1 to {NUMBERS[-1]}")
    if form not in drawing.FORMS:
        raise ValueError(f'form "{form}": figures are written as {", ".join(drawing.FORMS)}')
    names = [ds.name for ds in sets]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(
            f'two data sets are called "{twice[0]}"; give each a name of its own: '
            + either("load_dataset(..., name=NAME)", "pcm-leukemia import DATA NEW --name NAME")
        )


# One function for each figure: draws it, and returns what it shows


def _frames(given: Given, path: Path) -> str:
    frame_figures.draw_frames(given.ds, path)
    frames = frame_figures.two_frames(given.ds)
    return f"{' and '.join(frame.id for frame in frames)} with cells of each"


def _wbc_curves(given: Given, path: Path) -> str:
    (run,) = given.need(WBC)
    return _curves(given, run, [given.ds, *given.beside], path, iou="mean")


def _two_stages(given: Given, path: Path) -> str:
    detector, classifier = given.need(WBC, CLASSIFIER, beside=True)
    return _confusion(
        lambda ds: baselines.evaluate_two_stage(detector, classifier, ds, **given.options),
        given.beside,
        f"two stages ({detector.folder.name} and {classifier.folder.name})",
        path,
    )


def _side_by_side(given: Given, path: Path) -> str:
    given.need(beside=True)
    sets = [given.ds, *given.beside]
    crop_figures.draw_side_by_side(sets, path)
    return f"cells of {listed([ds.name for ds in sets])}"


def _guide(given: Given, path: Path) -> str:
    crop_figures.draw_guide(given.ds, path)
    return "cells of each class and its criteria"


def _counts(given: Given, path: Path) -> str:
    count_figures.draw_counts(given.ds, path)
    return f"cells of each class{' by part' if given.ds.split else ''}"


def _detector_training(given: Given, path: Path) -> str:
    (run,) = given.need(ONE_STAGE)
    return _training(run, path)


def _one_stage_curves(given: Given, path: Path) -> str:
    (run,) = given.need(ONE_STAGE)
    return _curves(given, run, [given.ds], path, iou="0.5")


def _classifier_training(given: Given, path: Path) -> str:
    (run,) = given.need(CLASSIFIER)
    return _training(run, path)


def _one_stage_confusion(given: Given, path: Path) -> str:
    (run,) = given.need(ONE_STAGE, beside=True)
    return _confusion(
        lambda ds: baselines.evaluate(run, ds, **given.options), given.beside, run.folder.name, path
    )


_FIGURES: Mapping[int, Callable[[Given, Path], str]] = {
    1: _frames,
    2: _wbc_curves,
    3: _two_stages,
    4: _side_by_side,
    5: _guide,
    6: _counts,
    7: _detector_training,
    8: _one_stage_curves,
    9: _classifier_training,
    10: _one_stage_confusion,
}


# What several of them have in common


def _training(run: Run, path: Path) -> str:
    training_figures.draw_training(
        logs_of(run.folder), path, title=drawing.column(run.baseline.paper, drawing.WIDTH, 9)
    )
    return f"training of {run.folder.name}"


def _curves(given: Given, run: Run, sets: Sequence[Dataset], path: Path, *, iou: str) -> str:
    refused: list[str] = []
    scored = list(_scored(lambda ds: baselines.evaluate(run, ds, **given.options), sets, refused))
    if not scored:
        raise NotDrawnError("; ".join(refused))
    panels: dict[str, DetectionScores] = {}
    for name, scores in scored:
        title = drawing.wrapped(name, 2.4, 9, most=2)
        panels[title + " " * sum(each.rstrip(" ") == title for each in panels)] = scores
    figures.draw_curves(panels, path, iou=iou)
    return _shown(
        f"precision over recall of {run.folder.name} on {listed([name for name, _ in scored])}", refused
    )


def _confusion(
    score: Callable[[Dataset], Evaluation], sets: Sequence[Dataset], model: str, path: Path
) -> str:
    """Draw the first of several data sets that can be scored."""
    refused: list[str] = []
    name, scores = next(_scored(score, sets, refused), ("", None))
    if scores is None:
        raise NotDrawnError("; ".join(refused))
    titles = (f"{model} on {name}", f"score {scores.threshold:g}, IoU {scores.iou:g}")
    title = "\n".join(drawing.wrapped(line, 4, 9, most=2) for line in titles)
    figures.draw_detection_confusion(scores, path, title=title)
    return _shown(f"confusion matrix of {model} on {name}", refused)


def _scored(
    score: Callable[[Dataset], Evaluation], sets: Sequence[Dataset], refused: list[str]
) -> Iterator[tuple[str, DetectionScores]]:
    """The name and the scores of each data set that can be scored; the reasons of the others are added to `refused`."""
    for ds in sets:
        try:
            found = score(ds)
        except ExportError:
            raise
        except (PcmError, ValueError) as error:
            refused.append(_sentence(error))
            continue
        scores = found.end_to_end or found.detection
        assert scores is not None
        yield ds.name if found.part == "all" else f"{ds.name} ({found.part})", scores


def _shown(what: str, refused: Sequence[str]) -> str:
    return "; ".join([what, *(f"not on another: {reason}" for reason in refused)])


def _sentence(error: Exception) -> str:
    """An error on one line: the first of several problems, and how many more there are."""
    lines = str(error).splitlines()
    more = len(getattr(error, "problems", lines)) - 1
    return f"{lines[0]}{f' (and {more:,} more)' if more > 0 else ''}"
