"""The commands: they read arguments, call the package, and print; nothing is decided here.

Exit status: 0 done, 1 problems in the data, 2 wrong usage.
"""

from __future__ import annotations

import gc
import inspect as signatures
import json
import sys
import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from pcm_leukemia import __version__
from pcm_leukemia.cli import models, sources, tables
from pcm_leukemia.cli.options import (
    AsJson,
    ClipOption,
    Data,
    Export,
    Format,
    ImagesRoot,
    MapOption,
    PatientsAttribute,
    PatientsCsv,
    PatientsPattern,
    PatientsTag,
    SplitName,
    Tasks,
    Taxonomies,
    TaxonomyOption,
    ValUnit,
)
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import PcmError, UnknownPart
from pcm_leukemia.loading import kind_of, load_dataset, with_patients
from pcm_leukemia.schema import IGNORE
from pcm_leukemia.splits import require_sound

__all__ = ["app", "main"]

app = typer.Typer(
    name="pcm-leukemia",
    help="Blood-smear images annotated in CVAT: read, split by patient, converted for training.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _version(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def demo(out: Annotated[Path, typer.Argument(help="A new folder.")] = Path("demo")) -> None:
    """Run the main job on a small synthetic sample."""
    from pcm_leukemia import demo as tour

    tour.run(out, say=print)


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT.zip")],
    *,
    patients: Annotated[int, typer.Option(min=1)] = 12,
    images: Annotated[int, typer.Option(min=1, help="In all, over the patients.")] = 48,
    seed: int = 0,
) -> None:
    """Draw synthetic smears and write them as a CVAT project export."""
    from pcm_leukemia import sample as drawing

    print(drawing.write(out, patients=patients, images=images, seed=seed, progress=True))


@app.command()
def inspect(
    export: Export,
    *,
    as_json: AsJson = False,
    taxonomy: TaxonomyOption = Taxonomies.pcm_leukemia,
    label_map: MapOption = None,
    clip: ClipOption = False,
    images_root: ImagesRoot = None,
) -> None:
    """Count everything in a CVAT export and list every problem."""
    from pcm_leukemia import cvat

    found = cvat.inspect(
        export,
        **_taxonomy(taxonomy),
        labels=_labels(label_map),
        clip=clip,
        images_root=images_root,
    )
    print(json.dumps(found.to_json(), ensure_ascii=False, indent=1) if as_json else found)
    if found.problems:
        raise typer.Exit(1)


@app.command("import")
def import_(
    export: Data,
    out: Annotated[Path, typer.Argument(help="The canonical folder to write.")],
    *,
    patients: PatientsPattern = None,
    patients_csv: PatientsCsv = None,
    patients_tag: PatientsTag = None,
    patients_attribute: PatientsAttribute = None,
    label_map: MapOption = None,
    taxonomy: TaxonomyOption = Taxonomies.pcm_leukemia,
    clip: ClipOption = False,
    images_root: ImagesRoot = None,
    variant: Annotated[
        str | None,
        typer.Option(help="The reading of a public data set's labels; see pcm-leukemia sources NAME."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="The data set's name; by default that of OUT, or of the public data set."),
    ] = None,
) -> None:
    """Read an export or a public data set, check it, and write it as a canonical folder.

    From another canonical folder it takes the tables as they are, also if they were edited by hand, and
    the splits.
    """
    from pcm_leukemia import store

    people = (patients, patients_csv, patients_tag, patients_attribute)
    if kind_of(export) == "canonical":
        if label_map or clip or variant or taxonomy is not Taxonomies.pcm_leukemia:
            raise typer.BadParameter(
                f"{export}: is a canonical folder; --map, --clip, --variant and --taxonomy are for other data"
            )
        ds = store.read(export, with_split=False, verify=False, images_root=images_root)
        ds = with_patients(replace(ds, name=name or ds.name), *people)
    else:
        ds = load_dataset(
            export,
            patients=patients,
            patients_csv=patients_csv,
            patients_tag=patients_tag,
            patients_attribute=patients_attribute,
            **_taxonomy(taxonomy),
            labels=_labels(label_map),
            clip=clip,
            images_root=images_root,
            variant=variant,
            name=name or (None if kind_of(export) == "source" else out.absolute().name),
        )
    store.write(ds, out)
    print(f"{out}: {ds!r}")
    if not any(image.file for image in ds.images):
        print("  annotations only: no image file was found; name their folder with --images-root")
    if kind_of(export) == "canonical" and export.resolve() != out.resolve():
        print(f"  splits: {', '.join(store.copy_splits(export, out)) or 'none'}")
    _say_ignored(ds)


@app.command()
def split(
    data: Data,
    *,
    test: Annotated[
        float | None, typer.Option(help="Share of the images to hold out, 0 to 1.", show_default="0.15")
    ] = None,
    val: Annotated[
        float | None, typer.Option(help="Share of the rest for validation, 0 to 1.", show_default="0.2")
    ] = None,
    val_unit: Annotated[ValUnit | None, typer.Option(show_default="patient")] = None,
    seed: Annotated[int | None, typer.Option(show_default="0")] = None,
    name: Annotated[str, typer.Option(help="The split's name.")] = "official",
    extend: Annotated[
        bool, typer.Option("--extend", help="Place new images; patients already placed stay.")
    ] = False,
    replace_it: Annotated[
        bool, typer.Option("--replace", help="Make the split anew, though there is one of that name.")
    ] = False,
) -> None:
    """Split a canonical folder by patient and write splits/NAME.csv into it."""
    from pcm_leukemia import splits, store

    if kind_of(data) != "canonical":
        raise typer.BadParameter(f"{data}: is no canonical folder; run first: pcm-leukemia import {data} OUT")
    options = {"test": test, "val": val, "val_unit": val_unit and val_unit.value, "seed": seed}
    given: dict[str, Any] = {option: value for option, value in options.items() if value is not None}
    if extend and (given or replace_it):
        raise typer.BadParameter("--extend keeps the shares and the seed that the split was made with")
    if name in store.split_names(data) and not (extend or replace_it):
        raise typer.BadParameter(
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


@app.command()
def info(
    data: Data,
    *,
    as_json: AsJson = False,
    split_name: SplitName = None,
    taxonomy: TaxonomyOption = Taxonomies.pcm_leukemia,
    label_map: MapOption = None,
    clip: ClipOption = False,
) -> None:
    """Images, patients, and cells by class and part: the paper's Tables 2 and 3 for this data."""
    ds = _load(data, taxonomy, label_map, clip=clip, split_name=split_name, check_images=False)
    if as_json:
        print(json.dumps(tables.counts(ds), ensure_ascii=False, indent=1))
    else:
        print(repr(ds))
        tables.show(ds)
    require_sound(ds)


@app.command()
def convert(
    data: Data,
    out: Annotated[Path, typer.Argument(help="A new folder, or one that an earlier run wrote.")],
    *,
    to: Annotated[Format, typer.Option("--to", help="The format.")],
    task: Annotated[Tasks | None, typer.Option(help="The task; by default all classes as they are.")] = None,
    part: Annotated[list[str] | None, typer.Option(help="Only this part; repeatable.")] = None,
    padding: Annotated[
        int | None, typer.Option(min=0, help="crops, huggingface: pixels around the box.")
    ] = None,
    border: Annotated[str | None, typer.Option(help="crops: clip, reflect or constant.")] = None,
    image_format: Annotated[str | None, typer.Option("--format", help="crops: png or jpg.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="crops, huggingface: threads.")] = None,
    images: Annotated[
        str | None, typer.Option(help="yolo, coco, cvat: copy, hardlink, symlink or none.")
    ] = None,
    strip_metadata: Annotated[
        bool | None,
        typer.Option("--strip-metadata", help="yolo, coco: copy the images without EXIF and comments."),
    ] = None,
    first_category: Annotated[
        int | None, typer.Option(help="coco: id of the first category, 1 or 0.")
    ] = None,
    incomplete: Annotated[
        str | None,
        typer.Option(help="yolo, coco, huggingface: refuse or keep images that are annotated in part."),
    ] = None,
    subsets: Annotated[
        str | None, typer.Option(help='cvat: "split" makes the parts the subsets; or "as given".')
    ] = None,
    label_form: Annotated[
        str | None, typer.Option("--labels", help="cvat: class, or raw for what annotators wrote.")
    ] = None,
    patients: Annotated[
        bool | None, typer.Option("--patients/--no-patients", help="cvat: put patients.csv into the zip.")
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="cvat: COCO results, as cells for images without any."
        ),
    ] = None,
    threshold: Annotated[float, typer.Option(help="cvat: the lowest score of a prediction, 0 to 1.")] = 0.5,
    license_name: Annotated[
        str | None, typer.Option("--license", help="huggingface: the data's licence, as the Hub names it.")
    ] = None,
    split_name: SplitName = None,
    taxonomy: TaxonomyOption = Taxonomies.pcm_leukemia,
    label_map: MapOption = None,
    clip: ClipOption = False,
    images_root: ImagesRoot = None,
) -> None:
    """Write the data set in another format."""
    ds = _load(data, taxonomy, label_map, clip=clip, split_name=split_name, images_root=images_root)
    if predictions:
        if to.value != "cvat":
            raise typer.BadParameter("--predictions is for --to cvat: an expert has to look at them first")
        from pcm_leukemia.converters.coco import with_results

        ds = with_results(ds, predictions, threshold=threshold)  # numbered over all parts, as in COCO
    if part:
        for each in part:
            ds.part(each)  # raises for an unknown one
        ds = ds.select(images=lambda image: ds.part_of(image) in part)
    options: dict[str, Any] = {
        "task": task and task.value,
        "padding": padding,
        "border": border,
        "format": image_format,
        "workers": workers,
        "images": images,
        "first_category": first_category,
        "incomplete": incomplete,
        "strip_metadata": strip_metadata,
        "subsets": subsets,
        "labels": label_form,
        "patients": patients,
        "license": license_name,
    }
    writer = import_module(f"pcm_leukemia.converters.{to.value}").write
    accepted = signatures.signature(writer).parameters
    options = {option: value for option, value in options.items() if value is not None}
    for option in options.keys() - accepted.keys():
        raise typer.BadParameter(f"{to.value} has no option --{option.replace('_', '-')}")
    if "progress" in accepted:
        options["progress"] = True
    report = writer(ds, out, **options)
    print(report)
    if report.problems:
        raise typer.Exit(1)


@app.command()
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
    workers: Annotated[int | None, typer.Option(min=1, help="Threads.")] = None,
    split_name: SplitName = None,
    taxonomy: TaxonomyOption = Taxonomies.pcm_leukemia,
    label_map: MapOption = None,
    clip: ClipOption = False,
    images_root: ImagesRoot = None,
) -> None:
    """Look for leaks, copies, odd boxes and identifiers: whatever speaks against trusting the data."""
    from pcm_leukemia import checks

    ds = _load(
        data,
        taxonomy,
        label_map,
        clip=clip,
        split_name=split_name,
        images_root=images_root,
        check_images=False,
    )
    found = checks.check(ds, pixels=pixels, paper=paper, workers=workers, progress=not as_json)
    print(json.dumps(found.to_json(), ensure_ascii=False, indent=1) if as_json else found)
    if pictures:
        report = checks.write_pictures(found.findings, ds, pictures)
        if not as_json:
            print(report)
    if found.problems:
        raise typer.Exit(1)


@app.command()
def diff(
    before: Data,
    after: Data,
    *,
    as_json: AsJson = False,
    by: Annotated[str, typer.Option(help="Find images again by their id, or by their name in CVAT.")] = "id",
    iou: Annotated[float, typer.Option(help="The lowest overlap of one cell before and after.")] = 0.5,
    annotator: Annotated[
        str, typer.Option(help="The attribute that says who drew a cell; by default CVAT's source.")
    ] = "source",
    agreement: Annotated[
        bool, typer.Option("--agreement", help="The two are by two annotators: how far do they agree?")
    ] = False,
    taxonomy: TaxonomyOption = Taxonomies.pcm_leukemia,
    label_map: MapOption = None,
    clip: ClipOption = False,
) -> None:
    """Tell what a reviewer changed between two exports of the same images."""
    from pcm_leukemia import review

    one, other = (
        _load(
            data,
            taxonomy,
            label_map if kind_of(data) == "cvat" else None,
            clip=clip and kind_of(data) == "cvat",
            check_images=False,
        )
        for data in (before, after)
    )
    found = (
        review.agreement(one, other, iou=iou, by=by)  # type: ignore[arg-type]  # refused if it is neither
        if agreement
        else review.diff(one, other, iou=iou, by=by, annotator=annotator)  # type: ignore[arg-type]
    )
    print(json.dumps(found.to_json(), ensure_ascii=False, indent=1) if as_json else found)


sources.add_to(app)
models.add_to(app)


# From options to arguments, and from results to text


def _taxonomy(taxonomy: Taxonomies) -> dict[str, Any]:
    return {"taxonomy": "declared"} if taxonomy is Taxonomies.declared else {}


def _taxonomy_of(data: Path, taxonomy: Taxonomies) -> dict[str, Any]:
    """Only a CVAT export has to be told; other forms say what their classes are."""
    return _taxonomy(taxonomy) if kind_of(data) == "cvat" else {}


def _load(
    data: Path, taxonomy: Taxonomies, label_map: list[str] | None, *, clip: bool, **options: Any
) -> Dataset:
    """`load_dataset` with what the commands have in common."""
    return load_dataset(data, **_taxonomy_of(data, taxonomy), labels=_labels(label_map), clip=clip, **options)


def _labels(pairs: list[str] | None) -> dict[str, str]:
    labels: dict[str, str] = {}
    for pair in pairs or ():
        raw, equals, label = pair.rpartition("=")
        if not equals or not label:
            raise typer.BadParameter(f'--map "{pair}": must be LABEL=CLASS or LABEL=ignore')
        label = IGNORE if label.casefold() == IGNORE else label
        if labels.setdefault(raw, label) != label:
            raise typer.BadParameter(f'--map "{pair}": {raw} is {labels[raw]} already')
    return labels


def _say_ignored(ds: Dataset) -> None:
    ignored = sum(cell.label == IGNORE for cell in ds.cells)
    if ignored:
        print(f"  {ignored:,} cells are to be ignored: they are kept, and written for CVAT alone")


def _show_warning(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001 - the signature is Python's
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    print(f"warning: {message}", file=sys.stderr)


def main() -> None:
    """Run the command line."""
    # rows refer to no row that refers back, so the many scans for cycles while they pile up find nothing
    gc.set_threshold(500_000)
    warnings.showwarning = _show_warning
    try:
        app()
    except PcmError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UnknownPart) else 1)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        place = error.filename or "disk"
        print(
            f"error: {place}: {error.strerror or error}; check the disk and the permissions", file=sys.stderr
        )
        sys.exit(1)
