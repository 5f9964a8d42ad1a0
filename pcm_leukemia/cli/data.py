"""The commands for data sets: draw, read, count, split, check and compare them."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pcm_leukemia import converters
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import (
    DATA_HELP,
    AsJson,
    ClipOption,
    Dask,
    Data,
    Export,
    ImagesRoot,
    MapFile,
    MapOption,
    NoCache,
    Seed,
    SplitName,
    TaxonomyOption,
    Threads,
    ValUnit,
    WrongUsage,
    all_labels,
    cache_of,
    executor_at,
    taxonomy_of,
    there,
)
from pcm_leukemia.cli.printing import print_json, print_result
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.cli.targets import require_outside
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import IncompleteSplit
from pcm_leukemia.files import check_target
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import Split

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Register the commands, in the order in which the help lists them."""
    app.command()(demo)
    app.command()(sample)
    app.command()(decodes_images(inspect))
    app.command()(split)
    app.command()(info)
    app.command()(decodes_images(check))
    app.command()(diff)


def demo(out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")] = Path("demo")) -> None:
    """Run the main job on a small synthetic sample."""
    from pcm_leukemia import demo as tour

    tour.run(out, say=print)


def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="A new zip.")],
    *,
    patients: Annotated[int, typer.Option("--n-patients", min=1, help="How many patients.")] = 12,
    images: Annotated[int, typer.Option("--n-images", min=1, help="How many images in all.")] = 48,
    seed: Seed = 0,
    site: Annotated[
        str,
        typer.Option(
            metavar="SITE",
            help="The hospital: home; eosin, azure (stain only); archive, clinic (everything).",
        ),
    ] = "home",
) -> None:
    """Draw synthetic smears and write them as a CVAT export."""
    from pcm_leukemia import sample as drawing

    print(drawing.write(out, patients=patients, images=images, seed=seed, site=site, progress=True))


def inspect(
    export: Export,
    *,
    as_json: AsJson = False,
    taxonomy: TaxonomyOption = None,
    label_map: MapOption = None,
    map_file: MapFile = None,
    clip: ClipOption = False,
    images_root: ImagesRoot = None,
) -> None:
    """Count everything in a CVAT export and list every problem."""
    from pcm_leukemia import cvat
    from pcm_leukemia.converters import cvat as cvat_format

    form = converters.recognise(export)
    if form is not None and form.TITLE != cvat_format.TITLE:
        raise WrongUsage(f"{export}: is {form.TITLE}, not a CVAT export; run: pcm-leukemia info {export}")
    found = cvat.inspect(
        export,
        **taxonomy_of(taxonomy),
        labels=all_labels(map_file, label_map, taxonomy),
        clip=clip,
        images_root=images_root,
    )
    print_result(found, as_json=as_json)
    if found.problems:
        raise typer.Exit(1)


def split(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", callback=there, help="A canonical folder, which is one that import made."
        ),
    ],
    *,
    test: Annotated[
        float | None, typer.Option(help="Share of the images to hold out, 0 to 1.", show_default="0.15")
    ] = None,
    val: Annotated[
        float | None, typer.Option(help="Share of the rest for validation, 0 to 1.", show_default="0.2")
    ] = None,
    val_unit: Annotated[
        ValUnit | None, typer.Option(help="What is drawn for validation.", show_default="patient")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random draws.", show_default="0")] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="The new split's name.")] = "official",
    extend: Annotated[
        bool, typer.Option("--extend", help="Place new images; patients already placed stay.")
    ] = False,
    replace_it: Annotated[bool, typer.Option("--replace", help="Replace a split of that name.")] = False,
) -> None:
    """Split a canonical folder by patient into train, val, test.

    The split is written into the folder as splits/NAME.csv.
    """
    from pcm_leukemia import splits, store
    from pcm_leukemia.cli import tables

    if not store.recognises(data):
        raise WrongUsage(f"{data}: not a canonical folder; run first: pcm-leukemia import {data} OUT")
    options = {"test": test, "val": val, "val_unit": val_unit and val_unit.value, "seed": seed}
    given: dict[str, Any] = {option: value for option, value in options.items() if value is not None}
    if extend and (given or replace_it):
        raise WrongUsage("--extend keeps the shares and the seed that the split was made with")
    if name in store.split_names(data) and not (extend or replace_it):
        raise WrongUsage(
            f"{data}: has a split {name} already; --extend places new images in it, --replace makes it anew, "
            "and then its test patients are no longer held out"
        )
    ds = store.read(data, with_split=False)
    if extend:
        made = splits.extend(store.read_split(data, name), ds)
    else:
        made = splits.by_patient(ds, name=name, **given)
    print(store.add_split(data, made, ds))
    for key, value in made.made.items():
        print(f"  {key}: {value}")
    tables.show(ds.with_split(made))


@reads_data
def info(
    data: Data,
    *,
    as_json: AsJson = False,
    split_name: SplitName = None,
    reading: Reading,
) -> None:
    """Count images, patients, and cells by class and part.

    These are the paper's Tables 2 and 3 for this data.
    """
    from pcm_leukemia.cli import tables

    ds = reading.load(data, split_name=split_name, check_images=False, allow_incomplete_split=True)
    if as_json:
        print_json(tables.counts(ds))
    else:
        print(repr(ds))
        tables.show(ds)
    require(ds)


@reads_data
def check(
    data: Data,
    *,
    pixels: Annotated[
        bool, typer.Option("--pixels/--no-pixels", help="Decode the images and look for copies.")
    ] = True,
    paper: Annotated[bool, typer.Option("--paper", help="Compare with the paper's Tables 2 and 3.")] = False,
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a picture of each finding.")
    ] = None,
    as_json: AsJson = False,
    workers: Threads = None,
    dask: Dask = None,
    split_name: SplitName = None,
    reading: Reading,
    no_cache: NoCache = False,
) -> None:
    """Look for leaks, copies, odd boxes and identifiers."""
    from pcm_leukemia import checks

    if pictures:
        check_target(pictures, "pairs")  # before the work
        require_outside(pictures, data, reading.images_root)
    ds, split = _with_any_split(data, split_name, reading)
    cache = cache_of(data, no_cache=no_cache)
    options: dict[str, Any] = {"split": split, "pixels": pixels, "paper": paper, "workers": workers}
    with executor_at(dask, workers) as executor:
        found = checks.check(ds, **options, executor=executor, progress=not as_json, cache=cache)
    print_result(found, as_json=as_json)
    if pictures:
        report = checks.write_pictures(found.findings, pictures, ds)
        if not as_json:
            print(report)
    if found.problems:
        raise typer.Exit(1)


def _with_any_split(data: Path, name: str | None, reading: Reading) -> tuple[Dataset, Split | None]:
    """Data and their split, which need not place every image; the data have it only if it does."""
    from pcm_leukemia import store

    if not store.recognises(data):
        ds = reading.load(data, split_name=name, check_images=False)
        return ds, ds.split
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IncompleteSplit)
        ds = reading.load(data, check_images=False, allow_incomplete_split=True)
    split = store.chosen_split(data, name)
    if split and all(image.id in split.part_of for image in ds.images):
        ds = ds.with_split(split)
        split = ds.split
    return ds, split


@reads_data
def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", callback=there, help=DATA_HELP)],
    after: Annotated[Path, typer.Argument(metavar="AFTER", callback=there, help=DATA_HELP)],
    *,
    as_json: AsJson = False,
    by: Annotated[
        str, typer.Option(metavar="id|name", help="Match images by id, or by name in CVAT.")
    ] = "id",
    iou: Annotated[float, typer.Option(help="The lowest IoU at which two boxes are one cell.")] = 0.5,
    annotator: Annotated[
        str | None,
        typer.Option(help="The attribute that says who drew a cell.", show_default="CVAT's source"),
    ] = None,
    agreement: Annotated[
        bool, typer.Option("--agreement", help="Compare two annotators: Cohen's kappa and detection F1.")
    ] = False,
    reading: Reading,
) -> None:
    """Show what a reviewer changed between two exports.

    Both must be of the same images.
    """
    from pcm_leukemia import review

    if agreement and annotator is not None:
        raise WrongUsage("--annotator does not apply to --agreement; leave it out")
    one, other = reading.load_all(before, after, check_images=False, allow_incomplete_split=True)
    if (
        reading.label_map or reading.map_file
    ):  # it leaves out a class that it ignores, unless the classes are given
        one, other = _with_classes_of(one, other), _with_classes_of(other, one)
    found = (
        review.agreement(one, other, iou=iou, by=by)  # type: ignore[arg-type]  # refused if it is neither
        if agreement
        else review.diff(one, other, iou=iou, by=by, annotator=annotator or "source")  # type: ignore[arg-type]
    )
    print_result(found, as_json=as_json)


def _with_classes_of(ds: Dataset, other: Dataset) -> Dataset:
    """The data set with the classes of another, if they are its own and more."""
    more = set(ds.taxonomy.labels) < set(other.taxonomy.labels)
    return replace(ds, taxonomy=other.taxonomy) if more else ds
