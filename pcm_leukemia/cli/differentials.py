"""The command that counts the white cells of each patient; nothing is decided here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcm_leukemia import baselines
from pcm_leukemia import differential as differentials
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import (
    Batch,
    Device,
    Seed,
    Workers,
    WrongUsage,
    there,
)
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.cli.targets import require_outside
from pcm_leukemia.differential import Differential, Limits, Predictions

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command()(decodes_images(differential))


@reads_data
def differential(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA|PREDICTED",
            callback=there,
            help="Annotated data in any format, or a folder that `predict` wrote.",
        ),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A new folder for the tables, JSON and the page.")
    ],
    *,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="PREDICTED: the lowest score of a counted cell.", show_default="0.5"),
    ] = None,
    label_threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="PREDICTED by two stages: leave out cells whose label has a lower score.",
            show_default="0",
        ),
    ] = None,
    correct: Annotated[
        bool,
        typer.Option(
            "--correct", help="PREDICTED: correct the shares for what the model confuses on validation."
        ),
    ] = False,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--run", metavar="RUN...", help="PREDICTED: the runs that predicted.", show_default="as recorded"
        ),
    ] = None,
    keep_incomplete: Annotated[
        bool, typer.Option("--keep-incomplete", help="Count images that may have unannotated cells, too.")
    ] = False,
    pseudonyms: Annotated[
        Path | None,
        typer.Option(
            "--pseudonyms",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Show the ids of patients beside their pseudonyms of FILE: OUT must stay in the hospital.",
        ),
    ] = None,
    reading: Reading,
    seed: Seed = 0,
    device: Device = "auto",
    batch: Batch = 16,
    workers: Workers = None,
) -> None:
    """Count each patient's white cells, with exact intervals.

    Shares are of nucleated white cells, which is every class but Other. The probability that blasts are at least 10 % and
    20 % is given. This is research software, and its results are no diagnosis.
    """
    differentials.check_out(out)
    require_outside(out, data, reading.images_root)
    if differentials.is_predictions(data):
        of_data = [option for option in reading.typed if not option.startswith("--patients")]
        _refuse("annotated data", *of_data, *(["--keep-incomplete"] if keep_incomplete else []))
        read = differentials.read_predictions(data)
        read = Predictions(reading.with_people(read.ds), read.results, read.runs)
        limits = Limits(0.5 if threshold is None else threshold, label_threshold or 0)
        options = {"device": device, "batch": batch, "workers": workers, "progress": True}
        found = _of_predictions(read, limits, runs, seed, options, correct=correct)
    else:
        of_predictions = {
            "--threshold": threshold is not None,
            "--label-threshold": label_threshold is not None,
            "--correct": correct,
            "--run": bool(runs),
        }
        _refuse(
            "a folder that `predict` wrote", *(option for option, given in of_predictions.items() if given)
        )
        ds = reading.load(data, check_images=False, allow_incomplete_split=True)
        found = differentials.count(ds, keep_incomplete=keep_incomplete)
    if pseudonyms:
        found = differentials.with_ids(found, pseudonyms)
    print(differentials.write(found, out))


def _of_predictions(
    read: Predictions,
    limits: Limits,
    folders: list[Path] | None,
    seed: int,
    options: dict[str, object],
    *,
    correct: bool,
) -> Differential:
    """Count predictions; the runs tell which patients they have seen, and what they confuse."""
    given = folders or [folder for folder in read.runs if baselines.is_run(folder)]
    runs = [baselines.Run.open(folder) for folder in given]
    if correct and not runs:
        raise WrongUsage("--correct: the runs that predicted are not recorded, or have moved; give --run RUN")
    seen = baselines.correction.learned_patients(runs, read.ds) if runs else None
    confusion = baselines.correction.confusion_of(runs, limits, **options) if correct else None
    return differentials.count_predictions(read, limits, confusion=confusion, seen=seen, seed=seed)


def _refuse(what: str, *options: str) -> None:
    """Refuse options that are for other input."""
    for option in options:
        raise WrongUsage(f"{option} is for {what}; leave it out")
