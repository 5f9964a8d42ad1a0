"""The commands that train and use the reference models; nothing is decided here. `scoring` has those that score them.

The models' libraries are imported when a command runs, so that `--help` stays fast and works without them.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pcm_leukemia import baselines
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import (
    DATA_HELP,
    AsJson,
    Batch,
    BatchNorm,
    BatchNorms,
    Data,
    Device,
    Seed,
    SplitName,
    Tasks,
    ValUnit,
    Variant,
    Workers,
    WrongUsage,
    there,
)
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.loading import load_dataset

__all__ = ["add_to"]


class Presets(StrEnum):
    """How large a run is."""

    paper = "paper"
    quick = "quick"
    smoke = "smoke"


class Forms(StrEnum):
    """What predictions are written as."""

    coco = "coco"
    cvat = "cvat"
    pictures = "pictures"


class Incompletes(StrEnum):
    """What is done with images in which cells may be unannotated."""

    refuse = "refuse"
    keep = "keep"


MODELS = ", ".join(baselines.names())

ResumedFolder = Annotated[
    Path, typer.Argument(metavar="OUT", help="A folder; what is done there already is not done again.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
Devices = Annotated[int, typer.Option(min=1, help="How many GPUs.")]
Preset = Annotated[Presets, typer.Option(help="The paper's numbers, or a smaller run.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE...", help="Change settings of the model."),
]


def _there(path: Path | None) -> Path | None:
    return None if path is None else there(path)


def _all_there(paths: list[Path]) -> list[Path]:
    return [there(path) for path in paths]


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    for command in (train, predict, adapt, cross, reproduce):
        app.command()(decodes_images(command))


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
    split_name: SplitName = None,
    device: Device = "auto",
    devices: Devices = 1,
    workers: Workers = None,
) -> None:
    """Train a reference model on the parts train and val."""
    if incomplete is not None and baselines.config.find(baseline).kind != "detector":
        raise WrongUsage(f"--incomplete does not apply to {baseline}, which is no detector; leave it out")
    ds = load_dataset(data, split_name=split_name)
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
        before = _trained(out, "fold-*")
        print(baselines.cross_validate(baseline, ds, out, folds, **options))
        _say_trained(before, _trained(out, "fold-*"))
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
        print(f"  {key}: {value}")


def predict(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="A detector's run; and a classifier's, for two stages."),
    ],
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", exists=True, help="A folder or zip of images, or a data set.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder; for CVAT a new zip.")],
    *,
    to: Annotated[
        Forms, typer.Option("--to", help="COCO results, boxes to correct in CVAT, or pictures.")
    ] = Forms.coco,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="cvat, pictures: the lowest score that is shown.", show_default="0.5"
        ),
    ] = None,
    device: Device = "auto",
    batch: Batch = 16,
    workers: Workers = None,
) -> None:
    """Find and classify the cells in new images."""
    prediction = baselines.prediction

    if threshold is not None and to is Forms.coco:
        raise WrongUsage(
            f"--threshold does not apply to --to coco, which has every prediction from score {prediction.LOWEST:g}; leave it out"
        )
    prediction.check_out(out, to.value)
    ds = prediction.images_at(images)
    options: dict[str, Any] = {"device": device, "batch": batch, "workers": workers, "progress": True}
    if threshold is not None:
        options["threshold"] = min(threshold, prediction.LOWEST)
    predicted, taxonomy = prediction.predict([baselines.Run.open(run) for run in runs], ds, **options)
    print(
        prediction.write(
            predicted, out, ds, taxonomy, to.value, threshold=0.5 if threshold is None else threshold
        )
    )


def adapt(
    run: RunFolder,
    target: Annotated[Path, typer.Argument(metavar="TARGET", callback=there, help=DATA_HELP)],
    out: ResumedFolder,
    *,
    fraction: Annotated[
        list[float] | None,
        typer.Option(
            metavar="SHARE...", help="The shares of the target to learn from, 0 to 1.", show_default="0.1"
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many draws of each share.")] = 5,
    unit: Annotated[
        ValUnit | None, typer.Option(help="What is drawn.", show_default="patient where all images have one")
    ] = None,
    stratified: Annotated[
        bool, typer.Option("--stratified", help="Draw the share of every class separately.")
    ] = False,
    variant: Variant = None,
    target_only: Annotated[
        bool, typer.Option("--target-only", help="Train without the source's data.")
    ] = False,
    target_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Classifiers: the share of each training batch that is drawn from the target.",
            show_default="as many as there are",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="What the run was trained on, if its images have moved.",
            callback=_there,
        ),
    ] = None,
    from_run: Annotated[
        bool, typer.Option("--from-run", help="Classifiers: start from the weights of the run.")
    ] = False,
    as_json: AsJson = False,
    device: Device = "auto",
    devices: Devices = 1,
    workers: Workers = None,
) -> None:
    """Adapt a model to another hospital with a share of its labels.

    It is scored on the rest.
    """
    if source and target_only:
        raise WrongUsage(
            "--source does not apply to --target-only, which uses no data of the source; leave it out"
        )
    if target_share is not None and target_only:
        raise WrongUsage(
            "--target-share does not apply to --target-only, which trains on the target alone; leave it out"
        )
    before = _trained(out, "*/run")
    found = baselines.adapt_over(
        baselines.Run.open(run),
        load_dataset(target, variant=variant),
        out,
        tuple(fraction or (0.1,)),
        seeds,
        unit=unit and unit.value,  # type: ignore[arg-type]
        stratified=stratified,
        with_source=not target_only,
        start="run" if from_run else "afresh",
        target_share=target_share,
        source=load_dataset(source) if source else None,
        device=device,
        devices=devices,
        workers=workers,
        progress=not as_json,
    )
    print(json.dumps(found.to_json(), indent=1) if as_json else found)
    if not as_json:
        _say_trained(before, _trained(out, "*/run"))


def cross(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Runs, of any models.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder, for cross.md and cross.json.")],
    *,
    targets: Annotated[
        list[Path],
        typer.Option(
            "--targets",
            metavar="DATA...",
            help="The data sets to score on, each as a path or NAME:ROOT.",
            callback=_all_there,
        ),
    ],
    batch_norm: BatchNorm = BatchNorms.run,
    device: Device = "auto",
    batch: Batch = 16,
    workers: Workers = None,
) -> None:
    """Score every model on every data set.

    The scores are over the classes that a model and a data set share.
    """
    loaded: dict[str, Dataset] = {}
    for target in targets:
        ds = load_dataset(target)
        if ds.name in loaded:
            raise WrongUsage(
                f'--targets {target}: another target is called "{ds.name}" too; give each a name of its own: '
                "pcm-leukemia import DATA NEW --name NAME"
            )
        loaded[ds.name] = ds
    options: dict[str, Any] = {"device": device, "batch": batch, "workers": workers, "progress": True}
    opened = [baselines.Run.open(run) for run in runs]
    print(baselines.cross(opened, loaded, out, batch_norm=batch_norm.value, **options))


def reproduce(
    data: Data,
    out: ResumedFolder,
    *,
    all_idb1: Annotated[
        Path | None,
        typer.Option(
            "--all-idb1", metavar="all_idb1:ROOT", help="ALL-IDB1, which has boxes.", callback=_there
        ),
    ] = None,
    lmu: Annotated[
        Path | None,
        typer.Option("--lmu", metavar="lmu:ROOT", help="AML-Cytomorphology_LMU.", callback=_there),
    ] = None,
    variant: Variant = None,
    tables: Annotated[
        list[int] | None, typer.Option(metavar="TABLE...", help="4, 5, 6 or 7.", show_default="all")
    ] = None,
    preset: Preset = Presets.paper,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Draws of the target's 10 % in Table 7.", show_default="5")
    ] = None,
    seed: Seed = 0,
    split_name: SplitName = None,
    device: Device = "auto",
    devices: Devices = 1,
    workers: Workers = None,
) -> None:
    """Run the paper's experiments, and compare with its numbers.

    DATA is PCM-Leukemia with a split, or data of your own.
    """
    if variant is not None and lmu is None:
        raise WrongUsage("--variant is for --lmu; leave it out")
    if seeds is not None and tables and 7 not in tables:
        raise WrongUsage("--seeds is for Table 7; leave it out")
    targets = {
        **({"ALL-IDB1": load_dataset(all_idb1)} if all_idb1 else {}),
        **({"LMU": load_dataset(lmu, variant=variant)} if lmu else {}),
    }
    before = _trained(out, "runs/*")
    found = baselines.reproduce(
        load_dataset(data, split_name=split_name),
        out,
        targets=targets,
        tables=tuple(tables or (4, 5, 6, 7)),
        preset=preset.value,
        seeds=5 if seeds is None else seeds,
        seed=seed,
        device=device,
        devices=devices,
        workers=workers,
        progress=True,
    )
    print(found)
    _say_trained(before, _trained(out, "runs/*"))


def _changes(pairs: list[str] | None) -> dict[str, str]:
    changes: dict[str, str] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise WrongUsage(f'--set "{pair}": must be KEY=VALUE, such as --set epochs=10')
        changes[key.strip()] = value.strip()
    return changes


def _trained(out: Path, pattern: str) -> int:
    """How many of the runs at a pattern in a folder have come to the end of their training."""
    return sum(baselines.Run.open(run).done for run in out.glob(pattern) if baselines.is_run(run))


def _say_trained(before: int, after: int) -> None:
    if before:
        print(f"{before} of {after} runs were already trained; nothing to do for them")


def _memory(peak: dict[str, int]) -> str:
    return ", ".join(f"{mib:,} MiB ({where})" for where, mib in peak.items())
