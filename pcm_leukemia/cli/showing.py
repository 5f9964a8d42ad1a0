"""The commands that show data: one frame, or the page of a whole data set; nothing is decided here."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pcm_leukemia import baselines, checks
from pcm_leukemia import report as pages
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import (
    DATA_HELP,
    Data,
    NoCache,
    SplitName,
    Threads,
    WrongUsage,
    cache_of,
    there,
)
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.cli.scoring import Threshold, threshold_of
from pcm_leukemia.cli.targets import require_outside
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.files import check_file, new_file

__all__ = ["add_to"]

_KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    for command in (report, show):
        app.command()(decodes_images(command))


@reads_data
def report(
    data: Annotated[
        Path, typer.Argument(metavar="DATA|RUN", callback=there, help=f"{DATA_HELP} Or the folder of a run.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The page.", show_default=False)],
    *,
    pixels: Annotated[
        bool, typer.Option("--pixels/--no-pixels", help="Decode every image to look for copies.")
    ] = True,
    suspects: Annotated[
        Path | None,
        typer.Option(
            metavar="SUSPECTS",
            callback=lambda path: path and there(path),
            help="Of data: the folder that the command suspects wrote, to be shown, too.",
            show_default=False,
        ),
    ] = None,
    scored: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DATA",
            callback=lambda path: path and there(path),
            help="Of a run: the data to score.",
            show_default="those it was trained on",
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="PART", help="Of a run: the part.", show_default="test; all if there is no split"
        ),
    ] = None,
    threshold: Threshold = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Of a run: cpu, cuda or cuda:1.", show_default="auto")
    ] = None,
    split_name: SplitName = None,
    reading: Reading,
    workers: Threads = None,
    no_cache: NoCache = False,
) -> None:
    """Write a page that shows a data set, or a run's mistakes."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise WrongUsage(f"{out}: the page is written as .html; give the file such an ending")
    check_file(out)  # before the work
    require_outside(out, data, reading.images_root, scored)

    def read(path: Path) -> Dataset:
        return reading.load(path, split_name=split_name, check_images=False, allow_incomplete_split=True)

    if baselines.is_run(data):
        of_data = {
            "--no-pixels": None if pixels else False,
            "--no-cache": no_cache or None,
            "--suspects": suspects,
        }
        _refuse(of_data, "is for data, not for a run; leave it out")
        if scored is None:
            of_reading = {"--split": split_name, **dict.fromkeys(reading.typed, True)}
            _refuse(of_reading, "says how to read data; give the data of the run, too: --data DATA")
        run = baselines.Run.open(data)
        options: dict[str, Any] = {"device": device or "auto", "workers": workers, "progress": True}
        options |= threshold_of(threshold, [run])
        page = baselines.write_report(run, out, read(scored) if scored else None, part, **options)
    else:
        of_runs = {"--data": scored, "--part": part, "--threshold": threshold, "--device": device}
        _refuse(of_runs, f"is for a run, and {data} is not one; leave it out")
        with warnings.catch_warnings(record=True) as told:
            ds = read(data)
        for each in told:
            warnings.warn(each.message, each.category, stacklevel=2)
        found = pages.read_suspects(suspects, ds) if suspects else None  # before the work
        cache = cache_of(data, no_cache=no_cache)
        checked = checks.check(ds, pixels=pixels, workers=workers, progress=True, cache=cache)
        page = pages.write(
            ds,
            out,
            checked=checked,
            suspects=found,
            warned=[str(each.message) for each in told],
            workers=workers,
            progress=True,
        )
        print(
            f"{ds.name}: {counted(len(checked.problems), 'problem')}, {counted(len(checked.warnings), 'warning')}"
        )
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB; open it in a browser")


def _refuse(options: Mapping[str, object], why: str) -> None:
    """Refuse the options that were given."""
    for option, value in options.items():
        if value is not None:
            raise WrongUsage(f"{option} {why}")


@reads_data
def show(
    data: Data,
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="Its id, or the end of its path.", show_default=False)
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.png", help="A .png or .jpg.", show_default=False)],
    *,
    cells: Annotated[bool, typer.Option("--cells/--no-cells", help="Draw the cells.")] = True,
    width: Annotated[
        int | None, typer.Option(min=1, help="Shrink to this width in pixels.", show_default="as it is")
    ] = None,
    reading: Reading,
) -> None:
    """Draw an image with its cells."""
    kind = _KINDS.get(out.suffix.lower())
    if kind is None:
        raise WrongUsage(f"{out}: pictures are written as {', '.join(_KINDS)}; give the file such an ending")
    check_file(out)  # before the work
    require_outside(out, data, reading.images_root)
    ds = reading.load(data, check_images=False, allow_incomplete_split=True)
    picture = ds.show(image, cells=cells, width=width)
    with new_file(out) as work:
        picture.save(work, kind, quality=90, subsampling=0)  # thin lines keep their colours
    print(f"{out}: {picture.width} x {picture.height} pixels")
