"""The commands that score runs; nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pcm_leukemia import baselines
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import (
    AsJson,
    Batch,
    BatchNorm,
    BatchNorms,
    Data,
    Device,
    Part,
    SplitName,
    Workers,
    WrongUsage,
    all_there,
)
from pcm_leukemia.cli.printing import print_result
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.cli.targets import require_outside
from pcm_leukemia.files import check_target
from pcm_leukemia.loading import load_dataset

__all__ = ["Threshold", "add_to", "threshold_of"]


class FigureForms(StrEnum):
    """The kinds of files that figures are written as."""

    png = "png"
    pdf = "pdf"
    svg = "svg"


Threshold = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Detectors: the lowest score of a found cell.", show_default="0.5"),
]


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    for command in (evaluate, compare, figures):
        app.command()(decodes_images(command))


@reads_data
def evaluate(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="One run; or a detector's and a classifier's.")
    ],
    data: Data,
    *,
    part: Part = None,
    threshold: Threshold = None,
    batch_norm: BatchNorm = BatchNorms.run,
    figures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw the scores into a new folder.")
    ] = None,
    as_json: AsJson = False,
    reading: Reading,
    split_name: SplitName = None,
    device: Device = "auto",
    batch: Batch = 16,
    workers: Workers = None,
) -> None:
    """Score a model on a part that it has not learned from.

    With --part train or val, a note says that it has. Two runs, a detector's and a classifier's, are scored as a two-stage pipeline.
    """
    opened = [baselines.Run.open(run) for run in runs]
    if figures:
        check_target(figures, "figures")  # before the work
        require_outside(figures, data, reading.images_root)
    ds = reading.load(data, split_name=split_name)
    options: dict[str, Any] = {"device": device, "batch": batch, "workers": workers, "progress": not as_json}
    options |= threshold_of(threshold, opened)
    if len(opened) == 1:
        found = baselines.evaluate(opened[0], ds, part, batch_norm=batch_norm.value, **options)
    elif len(opened) == 2:
        if batch_norm is BatchNorms.target:
            raise WrongUsage("--batch-norm target is for one classifier, not for two stages; leave it out")
        detector, classifier = sorted(opened, key=lambda run: run.baseline.kind != "detector")
        found = baselines.evaluate_two_stage(detector, classifier, ds, part, **options)
    else:
        raise WrongUsage("give one run, or a detector's and a classifier's")
    print_result(found, as_json=as_json)
    if figures:
        report = baselines.draw_scores(found, figures)
        if not as_json:
            print(report)


@reads_data
def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    second: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of another run of the same task.")
    ],
    data: Data,
    *,
    part: Part = None,
    threshold: Threshold = None,
    as_json: AsJson = False,
    reading: Reading,
    split_name: SplitName = None,
    device: Device = "auto",
    batch: Batch = 16,
    workers: Workers = None,
) -> None:
    """Compare two models on a part that neither has learned from.

    Every difference of their scores has a 95 % interval over patients.
    """
    opened = (baselines.Run.open(first), baselines.Run.open(second))
    ds = reading.load(data, split_name=split_name)
    options: dict[str, Any] = {"device": device, "batch": batch, "workers": workers, "progress": not as_json}
    options |= threshold_of(threshold, opened)
    found = baselines.compare(*opened, ds, part, **options)
    print_result(found, as_json=as_json)


@reads_data
def figures(
    data: Data,
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            default_factory=list,
            show_default=False,
            help="Runs of a WBC detector, a one-stage detector and a classifier, as far as you have them.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    *,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--beside",
            metavar="DATA...",
            help="Other data sets, each as a path or NAME:ROOT, for Figures 2, 3, 4 and 10.",
            callback=all_there,
        ),
    ] = None,
    figure: Annotated[
        list[int] | None,
        typer.Option("--figure", metavar="N...", min=1, max=10, help="The figures.", show_default="all"),
    ] = None,
    form: Annotated[FigureForms, typer.Option("--format", help="The kind of file.")] = FigureForms.png,
    reading: Reading,
    split_name: SplitName = None,
    device: Device = "auto",
    batch: Batch = 16,
    workers: Workers = None,
) -> None:
    """Draw the paper's figures of data and runs.

    What cannot be drawn is listed with what is missing. The exit status is 1 if images are.
    """
    check_target(out, "paper-figures")  # before the work
    require_outside(out, data, reading.images_root, *(beside or ()))
    opened = [baselines.Run.open(run) for run in runs]
    ds = reading.load(data, split_name=split_name)
    report = baselines.draw_figures(
        ds,
        opened,
        out,
        beside=[load_dataset(other) for other in beside or ()],
        **({"numbers": figure} if figure else {}),
        form=form.value,
        device=device,
        batch=batch,
        workers=workers,
        progress=True,
    )
    print(report)
    if report.problems:
        raise typer.Exit(1)


def threshold_of(threshold: float | None, runs: Sequence[baselines.Run]) -> dict[str, float]:
    """--threshold as an argument, if it was given."""
    if threshold is None:
        return {}
    if not any(run.baseline.kind == "detector" for run in runs):
        raise WrongUsage("--threshold is for detectors; leave it out")
    return {"threshold": threshold}
