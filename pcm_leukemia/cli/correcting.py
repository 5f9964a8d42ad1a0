"""The commands that lead annotators to what is probably wrong, and to what to annotate next; nothing is decided here."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pcm_leukemia import baselines
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import (
    AsJson,
    Batch,
    Data,
    Device,
    ImagesOrData,
    ModelRuns,
    SplitName,
    Workers,
)
from pcm_leukemia.cli.printing import print_result
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.cli.targets import require_outside
from pcm_leukemia.files import check_target

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command()(decodes_images(suspects))
    app.command("next")(decodes_images(next_frames))


class Strategies(StrEnum):
    """How frames are chosen."""

    mixed = "mixed"
    uncertainty = "uncertainty"
    random = "random"


@reads_data
def suspects(
    data: Data,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    *,
    runs: Annotated[
        list[Path],
        typer.Option(
            "--runs",
            metavar="RUN...",
            help="Runs that have not learned from the patients, or the folder of train --folds.",
        ),
    ],
    least: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The lowest score of a suspect.", show_default="0.3"),
    ] = None,
    copies: Annotated[
        bool, typer.Option(help="Search for cells that are annotated again with another label.")
    ] = True,
    as_json: AsJson = False,
    reading: Reading,
    split_name: SplitName = None,
    device: Device = "auto",
    batch: Batch = 16,
    workers: Workers = None,
) -> None:
    """List annotations that are probably wrong.

    Writes a table, and a CVAT export of the frames with suspects. An image is judged only by runs that have not learned from its
    patient. The folds of cross-validation judge all images: train MODEL DATA OUT --folds 5, with a detector for boxes and a
    classifier for classes.
    """
    check_target(out, "suspects")  # before the work
    require_outside(out, data, reading.images_root)
    ds = reading.load(data, split_name=split_name)
    found = baselines.suspects.find(
        ds,
        [run for each in runs for run in baselines.suspects.runs_at(each)],
        **({} if least is None else {"least": least}),
        copies=copies,
        device=device,
        batch=batch,
        workers=workers,
        progress=not as_json,
    )
    report = baselines.suspects.write(found, ds, out, progress=not as_json)
    print_result(found, report, as_json=as_json)


@reads_data
def next_frames(
    runs: ModelRuns,
    images: ImagesOrData,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    *,
    budget: Annotated[int, typer.Option(metavar="N", min=1, help="The number of frames to annotate.")],
    strategy: Annotated[
        Strategies, typer.Option(help="Uncertain and diverse frames (mixed), uncertain ones, or any.")
    ] = Strategies.mixed,
    seed: Annotated[int, typer.Option(min=0, help="What is drawn, and the order of equal scores.")] = 0,
    reading: Reading,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="The lowest score of a predicted cell that is shown.")
    ] = 0.5,
    as_json: AsJson = False,
    device: Device = "auto",
    batch: Batch = 16,
    workers: Workers = None,
) -> None:
    """Choose the frames to annotate next.

    Writes a table, and the frames for CVAT with the predicted cells. Frames with cells, and those that a run has learned from, are
    left out. No patient takes more than its share.
    """
    check_target(out, baselines.active_learning.FORM)  # before the work
    require_outside(out, images, reading.images_root)
    ds = baselines.prediction.images_at(images, cells=True, **reading.arguments)
    selection = baselines.active_learning.select(
        [baselines.Run.open(run) for run in runs],
        ds,
        budget,
        strategy=strategy.value,
        seed=seed,
        threshold=threshold,
        device=device,
        batch=batch,
        workers=workers,
        progress=not as_json,
    )
    report = baselines.active_learning.write(selection, out, progress=not as_json)
    print_result(selection, report, as_json=as_json)
