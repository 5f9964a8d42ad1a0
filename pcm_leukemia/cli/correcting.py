"""The command that leads annotators to what is probably wrong; nothing is decided here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pcm_leukemia import baselines
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import AsJson, Batch, Data, Device, SplitName, Variant, Workers
from pcm_leukemia.cli.targets import require_outside
from pcm_leukemia.files import check_target
from pcm_leukemia.loading import load_dataset

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command()(decodes_images(suspects))


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
    variant: Variant = None,
    split_name: SplitName = None,
    device: Device = "auto",
    batch: Batch = 16,
    workers: Workers = None,
) -> None:
    """List annotations that are probably wrong.

    Writes a table, and a CVAT export of the frames with suspects. An image is judged only by runs that have not learned from its
    patient. The folds of cross-validation judge all images of train and val: train MODEL DATA OUT --folds 5, with a detector for boxes and a classifier for classes.
    """
    check_target(out, "suspects")  # before the work
    require_outside(out, data)
    ds = load_dataset(data, split_name=split_name, variant=variant)
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
    print(json.dumps(found.to_json(), ensure_ascii=False, indent=1) if as_json else f"{found}\n{report}")
