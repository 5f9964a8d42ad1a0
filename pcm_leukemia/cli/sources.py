"""The commands for public data sets: which there are, what of them can be fetched, and whether a copy is whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pcm_leukemia import sources
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import AsJson, Threads, WrongUsage
from pcm_leukemia.cli.printing import print_columns, print_json, print_result

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
        print_json([{**asdict(source), "taxonomy": list(source.taxonomy.labels)} for source in chosen])
    elif name:
        _show(chosen[0])
    else:
        rows = {
            source.name: (
                source.what,
                f"licence: {source.licence}",
                f"patients: {source.patients}",
                source.home or "yours",
            )
            for source in chosen
        }
        print_columns([row for name, texts in rows.items() for row in _under(name, texts)])
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
    variants = (f"{variant}: {text}" for variant, text in source.variants.items())
    print(f"{source.name}: {source.title}")
    print_columns(
        [
            *rows.items(),
            *_under("variants", variants),
            *_under("defects", source.defects),
            *_under("fetch gets", (file.url for file in source.downloads)),
        ]
    )


def _under(name: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    """Rows of which the first alone has the name."""
    return [("" if index else name, text) for index, text in enumerate(texts)]


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
