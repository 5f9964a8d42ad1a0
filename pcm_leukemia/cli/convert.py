"""The command that writes a data set in another format."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from pcm_leukemia import converters
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.format_options import Convert, chosen, with_format_options
from pcm_leukemia.cli.options import (
    Dask,
    Data,
    Format,
    SplitName,
    Tasks,
    WrongUsage,
    executor_at,
)
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.cli.targets import require_outside

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command(cls=Convert)(decodes_images(with_format_options(convert)))


@reads_data
def convert(
    data: Data,
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="A new folder, or one that an earlier run wrote; of crops and huggingface also its URL: s3://bucket/crops.",
        ),
    ],
    *,
    to: Annotated[Format, typer.Option("--to", help="The format.")],
    task: Annotated[Tasks | None, typer.Option(help="The task; by default all classes as they are.")] = None,
    part: Annotated[list[str] | None, typer.Option(metavar="PART...", help="Only these parts.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="COCO results, as cells for images without any; for --to cvat."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="The lowest score of a prediction, for --predictions.", show_default="0.5"
        ),
    ] = None,
    split_name: SplitName = None,
    dask: Dask = None,
    reading: Reading,
    **typed: Any,
) -> None:
    """Write the data set in another format."""
    if threshold is not None and predictions is None:
        raise WrongUsage("--threshold is for --predictions; leave it out")
    options = chosen(to.value, typed)
    writer = converters.get(to.value).write
    offered = signature(writer).parameters
    if dask is not None and "executor" not in offered:
        raise WrongUsage(
            f"--dask does not apply to --to {to.value}; it is for --to {' and '.join(_on_a_cluster())}"
        )
    converters.check_out(to.value, out)  # before the work
    require_outside(out, data, reading.images_root)
    ds = reading.load(data, split_name=split_name, progress=True)
    if predictions:
        if to.value != "cvat":
            raise WrongUsage("--predictions is for --to cvat: an expert has to look at them first")
        from pcm_leukemia.converters.coco import with_results

        ds = with_results(
            ds, predictions, threshold=0.5 if threshold is None else threshold
        )  # numbered over all parts, as in COCO
    if part:
        for each in part:
            ds.part(each)  # raises for an unknown one
        ds = ds.select(images=lambda image: ds.part_of(image) in part)
    if task:
        options["task"] = task.value
    if "progress" in offered:
        options["progress"] = True
    with executor_at(dask, options.get("workers")) as executor:
        if executor is not None:
            options["executor"] = executor
        report = writer(ds, out, **options)
    print(report)
    if report.problems:
        raise typer.Exit(1)


def _on_a_cluster() -> list[str]:
    """The formats whose images the workers of a cluster can open."""
    return [
        name for name in converters.names() if "executor" in signature(converters.get(name).write).parameters
    ]
