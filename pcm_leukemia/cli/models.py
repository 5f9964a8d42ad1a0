"""The commands that train and use the reference models; nothing is decided here.

The models' libraries are imported when a command runs, so that `--help` stays fast and works without them.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pcm_leukemia import baselines
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import (
    Batch,
    Dask,
    Data,
    Device,
    Devices,
    ImagesOrData,
    ModelRuns,
    Preset,
    Presets,
    Seed,
    SplitName,
    Tasks,
    Workers,
    WrongUsage,
    executor_at,
)
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.cli.resuming import says_what_was_trained
from pcm_leukemia.cli.targets import require_outside
from pcm_leukemia.files import check_folder

__all__ = ["add_to"]


class Forms(StrEnum):
    """What predictions are written as."""

    coco = "coco"
    cvat = "cvat"
    pictures = "pictures"


class Ontos(StrEnum):
    """The images that get predictions for CVAT."""

    empty = "empty"
    all = "all"


class Incompletes(StrEnum):
    """What is done with images in which cells may be unannotated."""

    refuse = "refuse"
    keep = "keep"


MODELS = ", ".join(baselines.names())

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE...", help="Change settings of the model."),
]


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    for command in (train, predict):
        app.command()(decodes_images(command))


@reads_data
def train(
    baseline: Annotated[str, typer.Argument(metavar="MODEL", help=f"{MODELS}.")],
    data: Data,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A new folder, or that of this run, to resume it.")
    ],
    *,
    task: Annotated[Tasks | None, typer.Option(help="The task.", show_default="the model's first")] = None,
    preset: Preset = Presets.paper,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="WEIGHTS",
            help='The pretrained weights: a hub name, a path, or "none"; rtdetrv2_deim: also "imagenet".',
            show_default="the preset's",
        ),
    ] = None,
    settings: Settings = None,
    incomplete: Annotated[
        Incompletes | None,
        typer.Option(
            help="Detectors: refuse or keep images in which cells may be unannotated.", show_default="refuse"
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2, help="Train and score a model for each of so many folds of the patients in train and val."
        ),
    ] = None,
    seed: Seed = 0,
    reading: Reading,
    split_name: SplitName = None,
    device: Device = "auto",
    devices: Devices = 1,
    workers: Workers = None,
) -> None:
    """Train a reference model on the parts train and val."""
    if incomplete is not None and baselines.config.find(baseline).kind != "detector":
        raise WrongUsage(f"--incomplete does not apply to {baseline}, which is no detector; leave it out")
    check_folder(out)  # before the work
    require_outside(out, data, reading.images_root)
    ds = reading.load(data, split_name=split_name)
    options: dict[str, Any] = {
        "task": task and task.value,
        "preset": preset.value,
        "weights": weights,
        "settings": _changes(settings),
        "seed": seed,
        "device": device,
        "devices": devices,
        "workers": workers,
        "progress": True,
    }
    if folds is not None:
        if incomplete is Incompletes.keep:
            raise WrongUsage(
                "--incomplete keep does not apply to --folds, which scores every image; leave it out"
            )
        with says_what_was_trained(out, "fold-*"):
            print(baselines.cross_validate(baseline, ds, out, folds, **options))
        return
    trained_before = baselines.is_run(out) and baselines.Run.open(out).done
    run = baselines.train(baseline, ds, out, incomplete=(incomplete or Incompletes.refuse).value, **options)
    if trained_before:
        print(f"already trained: {run!r}; nothing to do")
    else:
        print(
            f"{run!r}: {run.record['seconds']:,.0f} s, peak memory {_memory(run.record['peak_memory_mib'])}"
        )
    for key, value in run.record["result"].items():
        print(f"  {key}: {value:.4g}" if isinstance(value, float) else f"  {key}: {value}")


@reads_data
def predict(
    runs: ModelRuns,
    images: ImagesOrData,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder; for CVAT a new zip.")],
    *,
    to: Annotated[
        Forms | None,
        typer.Option(
            "--to", help="COCO results, boxes to correct in CVAT, or pictures.", show_default="coco"
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="cvat, pictures: the lowest score that is shown.", show_default="0.5"
        ),
    ] = None,
    nms_iou: Annotated[
        float | None,
        typer.Option(
            "--nms-iou",
            min=0,
            max=1,
            help="Of two predictions that overlap by more, whatever their classes, only the better is written; 1 writes all.",
            show_default="0.7; coco: 1",
        ),
    ] = None,
    onto: Annotated[
        Ontos | None,
        typer.Option(
            help="cvat: predictions for images without cells (empty), or beside the cells of all.",
            show_default="empty",
        ),
    ] = None,
    reading: Reading,
    part: Annotated[
        str | None,
        typer.Option(metavar="PART", help="Only the images of this part of a data set.", show_default="all"),
    ] = None,
    split_name: SplitName = None,
    device: Device = "auto",
    batch: Batch = 16,
    workers: Workers = None,
    dask: Dask = None,
) -> None:
    """Find and classify the cells in images.

    For CVAT, cells that are drawn already are kept. A classifier alone labels crops, images of one cell each, and writes a table.
    """
    prediction = baselines.prediction

    options: dict[str, Any] = {"device": device, "batch": batch, "workers": workers, "progress": True}
    opened = [baselines.Run.open(run) for run in runs if baselines.is_run(run)]
    if len(runs) == 1 and [run.baseline.kind for run in opened] == ["classifier"]:
        typed = {
            "to": to,
            "threshold": threshold,
            "nms-iou": nms_iou,
            "onto": onto,
            "part": part,
            "split": split_name,
            "dask": dask,
        }
        _refuse_for_crops(
            *(f"--{name}" for name, value in typed.items() if value is not None), *reading.typed
        )
        baselines.crop_prediction.check_out(out)  # before the work
        require_outside(out, images)
        print(baselines.crop_prediction.predict_crops(opened[0], images, out, **options))
        return
    form = to or Forms.coco
    if threshold is not None and form is Forms.coco:
        raise WrongUsage(
            f"--threshold does not apply to --to coco, which has every prediction from score {prediction.LOWEST:g}; leave it out"
        )
    if onto is not None and form is not Forms.cvat:
        raise WrongUsage("--onto is for --to cvat; leave it out")
    prediction.check_out(out, form.value)  # before the work
    require_outside(out, images, reading.images_root)
    how = reading.arguments | ({"split_name": split_name} if split_name else {})
    ds = prediction.images_at(images, cells=form is Forms.cvat, **how)
    if part is not None:
        ds = ds.part(part)
    wanted = ds
    if form is Forms.cvat:
        wanted = baselines.preannotation.to_predict(ds, (onto or Ontos.empty).value)
    if threshold is not None:
        options["threshold"] = min(threshold, prediction.LOWEST)
    opened = [baselines.Run.open(run) for run in runs]
    with executor_at(dask) as executor:
        predicted, taxonomy = prediction.predict(opened, wanted, **options, executor=executor)
    shown = 0.5 if threshold is None else threshold
    print(
        prediction.write(
            predicted, out, ds, taxonomy, form.value, threshold=shown, nms_iou=nms_iou, runs=opened
        )
    )


def _refuse_for_crops(*typed: str) -> None:
    """Refuse the options that have no meaning for a classifier alone."""
    if typed:
        raise WrongUsage(
            f"{typed[0]} is for detections, and a classifier alone labels crops; leave it out, or give the run of a detector, too"
        )


def _changes(pairs: list[str] | None) -> dict[str, str]:
    changes: dict[str, str] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise WrongUsage(f'--set "{pair}": must be KEY=VALUE, such as --set epochs=10')
        changes[key.strip()] = value.strip()
    return changes


def _memory(peak: dict[str, int]) -> str:
    return ", ".join(f"{mib:,} MiB ({where})" for where, mib in peak.items())
