"""Writes the page of a run: its scores, what it confuses, its curves and mistakes, and the data that it was scored on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pcm_leukemia import report as pages
from pcm_leukemia.baselines.epoch_log import logs_of
from pcm_leukemia.baselines.evaluation import THRESHOLD, Scored, scored
from pcm_leukemia.baselines.report import curves, outcomes, scores
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, either
from pcm_leukemia.report import Pictures, Section, legible, script, style
from pcm_leukemia.schema import Image

__all__ = ["write_report", "write_scored"]

_HERE = "pcm_leukemia.baselines.report"


def write_report(
    run: Run,
    out: str | Path,
    ds: Dataset | None = None,
    part: str | None = None,
    *,
    threshold: float = THRESHOLD,
    device: str = "auto",
    batch: int = 16,
    workers: int | None = None,
    progress: bool = False,
) -> Path:
    """Score a model as `evaluate` does, and write a page that shows it: one HTML file that works offline.

    The page has the scores, the confusion matrix with the cells behind each square, curves, and the worst mistakes; then
    the data that were scored. It has pictures of some cells, and says of how many.

    Parameters
    ----------
    run
        The trained model.
    out
        The file; it is replaced if it exists.
    ds
        The data set to score; by default the one it was trained on, whose images must be where they were.
    part, threshold, device, batch, workers, progress
        As in `evaluate`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataNotFound
        If the images are not there.
    LeakySplit, UnfitForTask, UnknownPart, ValueError
        As `evaluate` does.
    ExportError
        If the file cannot be written.
    """
    found = scored(
        run,
        _own_data(run) if ds is None else ds,
        part,
        threshold=threshold,
        device=device,
        batch=batch,
        workers=workers,
        progress=progress,
    )
    return write_scored(found, out, workers=workers, progress=progress)


def write_scored(
    found: Scored, out: str | Path, *, workers: int | None = None, progress: bool = False
) -> Path:
    """Write the page of scores and predictions; see `write_report`."""
    evaluation, view = found.evaluation, found.view
    (run,) = evaluation.runs
    pictures = Pictures(view)
    became = outcomes.of_scored(found)
    pictured = outcomes.illustrated(became, pictures)
    frames = pages.frames_to_show(pictures, outcomes.worst_images(found, became))
    sections = [
        Section(script("scores", _HERE), {"scores": scores.of_evaluation(evaluation)}, style("run", _HERE)),
        Section(script("outcomes", _HERE), {"outcomes": outcomes.columns(found, became, pictured)}),
        Section(script("confusion", _HERE), {"run": _of_run(found)}),
        Section(script("curves", _HERE), {"curves": curves.of_run(evaluation, logs_of(run))}),
        Section(script("mistakes", _HERE)),
        *([_of_frames(found, became, frames)] if evaluation.detection else []),
        *pages.data_sections(view, pictures, frames, "those with the worst mistakes first"),
    ]
    title = f"{run.resolve().name} on {view.name}, part {evaluation.part}"
    return pages.write_sections(
        view, out, sections, pictures, title=legible(title), workers=workers, progress=progress
    )


def _of_run(found: Scored) -> dict[str, object]:
    detection = found.evaluation.detection
    return {} if detection is None else {"threshold": detection.threshold, "iou": detection.iou}


def _of_frames(found: Scored, became: Sequence[outcomes.Outcome], frames: Sequence[Image]) -> Section:
    """What a detector found in the frames."""
    numbers = {image.id: number for number, image in enumerate(found.view.images)}
    boxes = outcomes.found_boxes(became, [numbers[image.id] for image in frames])
    return Section(script("found", _HERE), {"found": boxes})


def _own_data(run: Run) -> Dataset:
    """The data that a run was trained on, with their images."""
    ds = run.dataset()
    if ds.root is None or not ds.root.exists():
        raise DataNotFound(
            f"{run.folder}: the images of {ds.name} are not where they were in training; "
            f"give the data set: {either('ds', '--data DATA')}"
        )
    return ds
