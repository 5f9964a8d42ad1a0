"""The commands that run experiments over many models: adaptation, many data sets, and the whole paper; nothing is decided here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pcm_leukemia import baselines, sources
from pcm_leukemia.cli.decoding import decodes_images
from pcm_leukemia.cli.options import (
    DATA_HELP,
    AsJson,
    Batch,
    BatchNorm,
    BatchNorms,
    Data,
    Device,
    Devices,
    Preset,
    Presets,
    Seed,
    SplitName,
    ValUnit,
    Workers,
    WrongUsage,
    all_there,
    there,
)
from pcm_leukemia.cli.printing import print_result
from pcm_leukemia.cli.reading import Reading, reads_data
from pcm_leukemia.cli.resuming import says_what_was_trained
from pcm_leukemia.cli.targets import require_outside
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.files import check_folder
from pcm_leukemia.loading import load_dataset

__all__ = ["add_to"]

ResumedFolder = Annotated[
    Path, typer.Argument(metavar="OUT", help="A folder; what is done there already is not done again.")
]


def _there(path: Path | None) -> Path | None:
    return None if path is None else there(path)


def add_to(app: typer.Typer) -> None:
    """Give the command line these commands."""
    for command in (adapt, cross, reproduce):
        app.command()(decodes_images(command))


@reads_data
def adapt(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
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
    reading: Reading,
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
    """Adapt a model to another hospital with some of its labels.

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
    check_folder(out)  # before the work
    require_outside(out, target, source, reading.images_root)
    with says_what_was_trained(out, "*/run", quiet=as_json):
        found = baselines.adapt_over(
            baselines.Run.open(run),
            reading.load(target),
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
        print_result(found, as_json=as_json)


@reads_data
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
            callback=all_there,
        ),
    ],
    batch_norm: BatchNorm = BatchNorms.run,
    reading: Reading,
    device: Device = "auto",
    batch: Batch = 16,
    workers: Workers = None,
) -> None:
    """Score every model on every data set.

    The scores are over the classes that a model and a data set share.
    """
    check_folder(out)  # before the work
    require_outside(out, *targets, reading.images_root)
    loaded: dict[str, Dataset] = {}
    for target, ds in zip(targets, reading.load_all(*targets), strict=True):
        if ds.name in loaded:
            raise WrongUsage(
                f'--targets {target}: another target is called "{ds.name}" too; give each a name of its own: '
                "pcm-leukemia import DATA NEW --name NAME"
            )
        loaded[ds.name] = ds
    options: dict[str, Any] = {"device": device, "batch": batch, "workers": workers, "progress": True}
    opened = [baselines.Run.open(run) for run in runs]
    print(baselines.cross(opened, loaded, out, batch_norm=batch_norm.value, **options))


@reads_data
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
    reading: Reading,
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
    of_lmu = reading.variant
    if lmu is not None:
        reading = replace(reading, variant=None)
    elif reading.variant is not None and not sources.split_name(data):
        raise WrongUsage("--variant is for --lmu; leave it out")
    if seeds is not None and tables and 7 not in tables:
        raise WrongUsage("--seeds is for Table 7; leave it out")
    check_folder(out)  # before the work
    require_outside(out, data, reading.images_root, all_idb1, lmu)
    targets = {
        **({"ALL-IDB1": load_dataset(all_idb1)} if all_idb1 else {}),
        **({"LMU": load_dataset(lmu, variant=of_lmu)} if lmu else {}),
    }
    with says_what_was_trained(out, "runs/*"):
        found = baselines.reproduce(
            reading.load(data, split_name=split_name),
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
