"""Training: from a data set with a split to a run, in the same way for every reference model."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from pcm_leukemia import splits
from pcm_leukemia.baselines import config
from pcm_leukemia.baselines.contract import Job, Target
from pcm_leukemia.baselines.machine import device_of, workers_of
from pcm_leukemia.baselines.recording import start
from pcm_leukemia.baselines.run import Run, is_run, origin, split_fingerprint
from pcm_leukemia.counting import background_of
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataWarning, MissingPart, Problem, UnfitForTask, counted, either
from pcm_leukemia.requirements import Incomplete, require
from pcm_leukemia.schema import IGNORE, Split

__all__ = ["parts_to_learn", "train"]


def train(
    baseline: str,
    ds: Dataset,
    out: str | Path,
    *,
    task: str | None = None,
    preset: str = "paper",
    weights: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    devices: int = 1,
    workers: int | None = None,
    incomplete: Incomplete = "refuse",
    target: Target | None = None,
    progress: bool = False,
) -> Run:
    """Train a reference model on the part "train" of a data set, and choose its best epoch on "val".

    The part "test" is never used. If `out` holds the same run, an interrupted run is resumed and a finished one is
    returned as it is.

    Parameters
    ----------
    baseline
        One of `baselines.names()`.
    ds
        The data set, with a split that has the parts train and val.
    out
        The folder for the run.
    task
        "detection", "wbc" or "classification"; by default the first task of the model.
    preset
        "paper", or "quick" or "smoke" for smaller runs.
    weights
        The weights to start from: a name on the hub, a file or folder, or "none"; by default those of the preset. The
        settings of each model say what else it takes.
    settings
        Settings of the model to change, by their names in its .toml.
    seed
        The seed of everything that is random.
    device
        "auto", "cpu", "cuda" or "cuda:1".
    devices
        The number of GPUs.
    workers
        Processes that load images, for each device; by default one for each core that may be used, at most 16, and at
        most 4 if the model trains on the CPU.
    incomplete
        What a detector does with images that may have cells without an annotation: "refuse" them, or "keep" them and
        learn such cells as background.
    target
        The images of another hospital among `ds`, to which the model is adapted: the epoch is chosen on both domains alike.
    progress
        Whether to show a progress bar.

    Warns
    -----
    DataWarning
        If image files are in more than one part of the split, there is no cell of a class to train on, a detector learns
        ignored cells as background, or `weights` come from a run that has learned from images to be scored.

    Raises
    ------
    MissingPart
        If there is no split, or it lacks train or val.
    LeakySplit
        If a patient or a group is in two parts.
    UnfitForTask
        If a part has no cells to learn from, or a detector would learn from cells without a box, or from images that
        are annotated in part.
    ExportError
        If `out` holds something else.
    ValueError
        If the model does not do the task, a setting is unknown, or a detector is to draw a share from the target.
    """
    model = config.find(baseline)
    task = task or model.tasks[0]
    if task not in model.tasks:
        raise ValueError(
            f'task "{task}": {baseline} does {" and ".join(model.tasks)}; use {" or ".join(model.tasks)}'
        )
    if target is not None and target.share is not None and model.kind != "classifier":
        raise ValueError(
            f"target_share {target.share}: {baseline} is a detector, which draws every image once in an epoch; leave it out"
        )
    changes = {**(settings or {}), **({"weights": weights} if weights is not None else {})}
    numbers = config.settings(model, preset, changes)
    require(ds)
    _warn_of_copies(ds)
    _warn_of_test_images(ds, numbers.weights)
    train_on, choose_on = parts_to_learn(ds, task)
    if model.kind == "detector":
        train_on, choose_on = (_complete(view, incomplete) for view in (train_on, choose_on))
        train_on = _without_ignored(train_on, task)
    device = device_of(device)
    job = Job(
        train_on,
        choose_on,
        Path(out),
        seed,
        device,
        devices,
        workers_of(workers, device, devices),
        target=target,
    )
    asked = {
        "baseline": baseline,
        "task": task,
        "preset": preset,
        "settings": msgspec.to_builtins(numbers),
        "seed": seed,
        "labels": list(job.train.taxonomy.labels),
        **_learned_from(ds, target),
    }
    if is_run(out) and (there := Run.open(out)).done and there.record["asked"] == asked:
        return there
    with start(out, asked, ds, job.device) as (_, resume, result):
        result.update(model.module.train(replace(job, resume=resume, progress=progress), numbers))
    return Run.open(out)


def _learned_from(ds: Dataset, target: Target | None) -> dict[str, Any]:
    """What identifies the data in the record of a run."""
    assert ds.split is not None
    found: dict[str, Any] = {"data": ds.fingerprint, "split": split_fingerprint(ds.split)}
    if target is not None:
        images = split_fingerprint(Split("target", dict.fromkeys(target.images, "target")))
        found["target"] = {"images": images, "share": target.share}
    return found


def _warn_of_test_images(ds: Dataset, weights: str) -> None:
    """Warn if the weights to start from come from a run that has learned from images of a part to be scored."""
    parent = origin(weights)
    held = [part for part in ds.parts if part not in splits.LEARNED_FROM]
    if parent is None or not held:
        return
    scored = ds.select(images=[image.id for part in held for image in ds.part(part).images])
    found = [
        leak for learned in parent.learned() for leak in splits.seen(learned, scored, str(parent.folder))
    ]
    if found:
        warnings.warn(
            f"{ds.name}: {parent.folder}, whose weights training starts from, has learned from {counted(len(found), 'image')} of "
            f"{' and '.join(held)} or their patients, so the new run cannot be scored on them, the first {found[0].images[0]}; "
            "start from other weights, or split the data as those of that run",
            DataWarning,
            stacklevel=3,
        )


def _warn_of_copies(ds: Dataset) -> None:
    copies = splits.files_in_two_parts(ds)
    if copies:
        first, second = copies[0][:2]
        warnings.warn(
            f'{ds.name}: {counted(len(copies), "image file is", "image files are")} in more than one part of the split, the first as "{first.id}" and '
            f'"{second.id}"; scores on them show what was learned by heart; keep each file in one part: '
            + either("checks.check names them", "pcm-leukemia check names them"),
            DataWarning,
            stacklevel=3,
        )


def parts_to_learn(ds: Dataset, task: str) -> tuple[Dataset, Dataset]:
    """The train and val parts, reduced to the task; each must have something to learn."""
    if ds.split is None or not {"train", "val"} <= set(ds.split.parts):
        has = ", ".join(ds.parts) if ds.split else "no split"
        raise MissingPart(
            f"{ds.name}: training needs the parts train and val, but the data has {has}; make them: "
            + either(
                'splits.by_patient (the paper draws val by image: val_unit="image")',
                "pcm-leukemia split DATA --val 0.2 (the paper draws val by image: --val-unit image)",
            )
        )
    view = ds.task(task)
    parts = {part: view.part(part) for part in ("train", "val")}
    for part, there in parts.items():
        counts = Counter(cell.label for cell in there.cells)
        if not any(counts[label] for label in view.taxonomy.labels):
            raise UnfitForTask(
                [Problem(ds.name, f"part {part} has no cell to learn from", "make another split")]
            )
        lacking = [label for label in view.taxonomy.labels if not counts[label]]
        if part == "train" and lacking:
            warnings.warn(
                f"{ds.name}: there is no cell of {', '.join(lacking)} to train on, so the model cannot learn it",
                DataWarning,
                stacklevel=3,
            )
    return parts["train"], parts["val"]


def _complete(view: Dataset, incomplete: Incomplete) -> Dataset:
    """What a detector may learn from: boxes, in images that are annotated in full or treated as such."""
    require(view, boxes=True, incomplete=incomplete)
    return replace(view, images=tuple(replace(image, annotation_state="complete") for image in view.images))


def _without_ignored(view: Dataset, task: str) -> Dataset:
    """The cells that a detector learns to find; warns of those that it learns as background."""
    if background := background_of(view):
        fix = "leave their images out, or give them a class"
        if task == "wbc":
            white = either('labels={LABEL: "WBC"}', "--map LABEL=WBC")
            fix = f"if they are white cells, read them as such: {white}"
        warnings.warn(
            f"{view.name}: a detector {background} in part train; {fix}",
            DataWarning,
            stacklevel=3,
        )
    return replace(view, cells=tuple(cell for cell in view.cells if cell.label != IGNORE))
