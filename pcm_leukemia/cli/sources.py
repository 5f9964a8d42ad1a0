"""The commands for public data sets: which there are, what of them can be fetched, and whether a copy is whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pcm_leukemia import sources
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import AsJson, Threads, WrongUsage
from pcm_leukemia.cli.printing import print_json, print_result

__all__ = ["add_to"]

Place = Annotated[str, typer.Argument(metavar="NAME:ROOT", help="A public data set and where it is.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("sources")(list_sources)
    app.command()(fetch)
    app.command()(decodes_images(validate))


def list_sources(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A data set, to show everything about it.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the public data sets that can be read."""
    chosen = [sources.get(each) for each in ([name] if name else sources.names())]
    if as_json:
        rows = [{**asdict(source), "taxonomy": list(source.taxonomy.labels)} for source in chosen]
        print_json(rows)
    elif name:
        _show(chosen[0])
    else:
        table = Table("name", "what", "licence", "patients", header_style="bold")
        table.add_column("where", overflow="fold")
        for source in chosen:
            table.add_row(source.name, source.what, source.licence, source.patients, source.home or "yours")
        Console().print(table)
        print("how to get one, and what is wrong with it: pcm-leukemia sources NAME")


def _show(source: sources.Source) -> None:
    rows = {
        "what": source.what,
        "cell types": source.cell_types,
        "images": source.total_images,
        "annotations": source.annotations,
        "patients": source.patients,
        "image size": source.image_size,
        "stain": source.stain,
        "magnification": source.magnification,
        "size": source.size,
        "licence": f"{source.licence}; {'may' if source.redistributable else 'may not'} be passed on",
        "cite": source.citation,
        "home": source.home or "yours",
        "how to get it": source.how_to_get,
    }
    table = Table.grid("", "", padding=(0, 2))
    for key, text in rows.items():
        table.add_row(key, text)
    for index, (variant, text) in enumerate(source.variants.items()):
        table.add_row("" if index else "variants", f"{variant}: {text}")
    for index, text in enumerate(source.defects):
        table.add_row("" if index else "defects", text)
    print(f"{source.name}: {source.title}")
    Console(soft_wrap=False).print(table)
    for file in source.downloads:
        print(f"fetch gets     {file.url}")  # on a line of its own: a table would cut it


def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set; see pcm-leukemia sources.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to put the files into.")],
) -> None:
    """Download the files that a public data set publishes.

    Each file is compared with its hash. Where a data set has no stable address, see pcm-leukemia sources NAME.
    """
    source = sources.get(name)
    for file in sources.fetch(source, out, progress=True):
        print(file)
    print(f"then: {source.how_to_get}")


def validate(
    place: Place,
    *,
    pixels: Annotated[bool, typer.Option("--pixels/--no-pixels", help="Decode every image, too.")] = False,
    as_json: AsJson = False,
    workers: Threads = None,
) -> None:
    """Compare a copy of a public data set with what was published.

    The counts by class and every file are compared.
    """
    named = sources.split_name(place)
    if named is None:
        raise WrongUsage(f"{place}: must be NAME:ROOT, with NAME one of {', '.join(sources.names())}")
    ds = sources.module(named[0]).read(named[1])
    found = sources.validate(named[0], ds, pixels=pixels, workers=workers)
    print_result(found, as_json=as_json)
    if not found.ok:
        raise typer.Exit(1)
