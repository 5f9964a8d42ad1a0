"""The command that writes a data set in another format."""

from __future__ import annotations

import inspect as signatures
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from pcm_leukemia.cli.options import (
    ClipOption,
    Data,
    Format,
    ImagesRoot,
    MapOption,
    SplitName,
    Tasks,
    Taxonomies,
    TaxonomyOption,
    load,
)

__all__ = ["convert"]


def convert(
    data: Data,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A new folder, or one that an earlier run wrote.")
    ],
    *,
    to: Annotated[Format, typer.Option("--to", help="The format.")],
    task: Annotated[Tasks | None, typer.Option(help="The task; by default all classes as they are.")] = None,
    part: Annotated[list[str] | None, typer.Option(metavar="PART...", help="Only these parts.")] = None,
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
    ds = load(data, taxonomy, label_map, clip=clip, split_name=split_name, images_root=images_root)
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
