"""The commands for a CVAT server."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pcm_leukemia.cli.options import Data, Taxonomies, WrongUsage
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.files import written_as

__all__ = ["add_to"]


class Existing(StrEnum):
    """What happens to the annotations that are on a frame."""

    keep = "keep"
    auto = "auto"
    all = "all"


Address = Annotated[
    str, typer.Argument(metavar="URL", help="A project, task or job, as the browser shows it.")
]

Profile = Annotated[
    str | None,
    typer.Option(
        metavar="PROFILE",
        help="The profile of cvat-cli with the access token.",
        show_default="CVAT_ACCESS_TOKEN, or a profile of this server",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands, in the order in which the help lists them."""
    app.command()(pull)
    app.command()(push)


def pull(
    url: Address,
    out: Annotated[Path, typer.Argument(metavar="EXPORT", help="A new folder, or that of an earlier pull.")],
    *,
    profile: Profile = None,
) -> None:
    """Bring what has changed on a CVAT server into a folder.

    The folder reads as the zip that CVAT exports: give it to any command that takes an export.
    """
    from pcm_leukemia import cvat_server

    pulled = cvat_server.pull(url, out, profile=profile, progress=True)
    print(pulled)
    if pulled.changed:
        print(f"  read it into a data set: pcm-leukemia import {out} DATA, or later with --update")


@reads_data
def push(
    data: Data,
    url: Address,
    *,
    new_task: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Make a new task of this name in the project, with all images."),
    ] = None,
    subset: Annotated[
        str, typer.Option(metavar="SUBSET", help="The subset of the new task.", show_default="none")
    ] = "",
    job_size: Annotated[
        int | None,
        typer.Option(min=1, help="The number of images in each job of the new task.", show_default="all"),
    ] = None,
    existing: Annotated[
        Existing,
        typer.Option(
            help="Images with annotations: keep these; replace them where a model drew all of them (auto), or everywhere (all)."
        ),
    ] = Existing.keep,
    tags: Annotated[bool, typer.Option("--tags/--no-tags", help="Send the tags of images.")] = True,
    add_labels: Annotated[
        bool,
        typer.Option("--add-labels", help="Add the labels and attributes that the project lacks."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing, and say what would be sent.")
    ] = False,
    predictions: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="COCO results, as cells for images without any."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="The lowest score of a prediction, for --predictions.", show_default="0.5"
        ),
    ] = None,
    profile: Profile = None,
    reading: Reading,
) -> None:
    """Send cells and tags to a CVAT server, to be corrected there.

    DATA can be what predict wrote, with --to cvat or --to coco. Each image gets its cells and tags if an image on the server has
    the same name and no annotations. --new-task uploads the images, too: for the frames.zip of suspects, for example.
    """
    from pcm_leukemia import cvat_server
    from pcm_leukemia.converters import cvat, recognise
    from pcm_leukemia.converters.coco import with_results

    if written_as(data) == "predictions" and predictions is None:
        data, predictions = data / "images.json", data / "results.json"
    if threshold is not None and predictions is None:
        raise WrongUsage("--threshold is for --predictions; leave it out")
    if new_task is None and (subset or job_size):
        option = "--subset" if subset else "--job-size"
        raise WrongUsage(f"{option} is that of a new task; give --new-task, or leave it out")
    if new_task is not None and existing is not Existing.keep:
        raise WrongUsage(
            "--existing is for images on the server, and --new-task makes new ones; leave one of them out"
        )
    form = recognise(data)
    if new_task is not None and reading.taxonomy is None and form is not None and form.TITLE == cvat.TITLE:
        # a new task gets all labels as they are, those that are no classes, too
        reading = replace(reading, taxonomy=Taxonomies.declared)
    ds = reading.load(data, check_images=False, allow_incomplete_split=True)
    if predictions:
        ds = with_results(ds, predictions, threshold=0.5 if threshold is None else threshold)
    options: dict[str, Any] = {
        "tags": tags,
        "add_labels": add_labels,
        "dry_run": dry_run,
        "profile": profile,
        "progress": True,
    }
    if new_task is None:
        print(cvat_server.push(ds, url, existing=existing.value, **options))
    else:
        print(cvat_server.create_task(ds, url, new_task, subset=subset, job_size=job_size, **options))
