"""The commands about embeddings; nothing is decided here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcm_leukemia import baselines
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import AsJson, Dask, Data, Device, SplitName, Tasks, Workers, executor_at
from pcm_leukemia.cli.printing import print_result
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.cli.targets import require_outside

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command()(decodes_images(embed))
    app.command()(probe)


@reads_data
def embed(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="A classifier's run; or a model of timm, of the hub or in a folder, or dinobloom_base.",
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new parquet file.")],
    *,
    task: Annotated[
        Tasks | None,
        typer.Option(
            help="The task whose cells are embedded.",
            show_default="classification; all cells of other classes",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="WEIGHTS",
            help='MODEL: its pretrained weights: "hub", a hub name, a path, or "none".',
            show_default="hub",
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="MODEL: the side of its pictures in pixels.", show_default="the model's own"
        ),
    ] = None,
    padding: Annotated[
        int | None, typer.Option(min=0, help="MODEL: pixels around the box.", show_default="50")
    ] = None,
    reading: Reading,
    split_name: SplitName = None,
    device: Device = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Cells in a batch.")] = 64,
    workers: Workers = None,
    dask: Dask = None,
) -> None:
    """Write the features of every cell to a parquet file."""
    baselines.embedding.check_out(out)
    require_outside(out, data, reading.images_root)
    opened = baselines.Run.open(model) if baselines.is_run(model) else model
    ds = reading.load(data, split_name=split_name)
    with executor_at(dask) as executor:
        report = baselines.embed(
            opened,
            ds,
            out,
            task=task and task.value,
            weights=weights,
            image_size=image_size,
            padding=padding,
            device=device,
            batch=batch,
            workers=workers,
            executor=executor,
            progress=True,
        )
    print(report)


def probe(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="EMBEDDINGS", help="Files of `embed`, of the same cells.", show_default=False),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Compare embeddings by nearest neighbours and a linear probe.

    They learn from the part train and are scored on the part test, as DinoBloom was evaluated.
    """
    found = baselines.probe(*files, progress=not as_json)
    print_result(found, as_json=as_json)
