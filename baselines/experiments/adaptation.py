"""Adaptation to another hospital with a few of its labels: section 2.3.3 and Table 7 of the paper.

A share of the target is drawn at random and added to the training data; the model is trained again and scored on the
rest of the target only. A fifth of the share chooses the epoch together with the source's validation part: by the mean of
the scores on both. A file keeps the draw, and no score ever comes from the drawn images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pcm_leukemia import files
from pcm_leukemia.baselines import training
from pcm_leukemia.baselines.contract import Target
from pcm_leukemia.baselines.evaluation import evaluate
from pcm_leukemia.baselines.experiments.adaptation_results import Adaptation, Adapted
from pcm_leukemia.baselines.experiments.share import TEST, Unit, draw, drawn_of, keep, size, to_learn_from
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import either, option
from pcm_leukemia.joining import concat
from pcm_leukemia.schema import ImageId
from pcm_leukemia.splits import LEARNED_FROM

__all__ = ["Start", "adapt", "adapt_over"]

Start = Literal["afresh", "run"]


def adapt(
    run: Run,
    target: Dataset,
    out: str | Path,
    fraction: float = 0.1,
    seed: int = 0,
    *,
    unit: Unit | None = None,
    stratified: bool = False,
    with_source: bool = True,
    start: Start = "afresh",
    target_share: float | None = None,
    source: Dataset | None = None,
    device: str = "auto",
    devices: int = 1,
    workers: int | None = None,
    progress: bool = False,
) -> Adapted:
    """Train a run's model again with a share of the target added, and score it on the rest of the target.

    Four fifths of the share are trained on. The other fifth and the source's validation part choose the epoch, by the mean
    of the scores on both (`yolo11m`: by the score on all of their images together). The rest of the target is in neither.

    Parameters
    ----------
    run
        A trained model; its settings and its training data are used again.
    target
        Another data set with the same classes, with images.
    out
        A folder; finished parts of the same adaptation are used as they are.
    fraction, seed, stratified
        See `draw`.
    unit
        What to draw; by default patients if all images have one, otherwise images.
    with_source
        Whether to train on the source's training data too, or on the share of the target alone.
    start
        "afresh" starts from the weights that the run started from, "run" from its trained weights. The paper speaks of
        a "model adapted" and of "10 % incorporated into the training process".
    target_share
        Classifiers: the expected share of cells of the target in a training batch, between 0 and 1. By default, all cells
        are drawn equally often, whichever side they are from.
    source
        The training data of the run, if its images have moved.
    device, devices, workers, progress
        As in `baselines.train`.

    Raises
    ------
    LeakySplit
        If the run has learned from the rest of the target or its patients.
    ValueError
        If the target has other classes or is too small to draw from, the source is not the training data of the run,
        `target_share` is out of range or given without the source's data, or a detector would start from its run or
        draw a share.
    ExportError
        If `out` holds something else, such as another draw.
    """
    _check(run, start, target_share, with_source=with_source)
    settings = dict(run.record["asked"]["settings"])
    if start == "run":
        settings |= {"weights": str(run.folder / "classifier.safetensors"), "sha256": ""}
    unit = unit or _unit_of(target)
    split = draw(target, fraction, seed, unit=unit, stratified=stratified)
    target = replace(target, split=None).with_split(split)
    pieces = [_source(run, target.name, source)] if with_source else []
    run.require_unseen(target.part(TEST))
    folder = Path(out)
    drawn = to_learn_from(target, seed, unit)
    keep(split, drawn, folder, target)
    joined = concat([*pieces, drawn])
    theirs = frozenset(ImageId(f"{drawn.name}/{image.id}") for image in drawn.images)
    asked = run.record["asked"]
    adapted = training.train(
        asked["baseline"],
        joined,
        folder / "run",
        task=run.task,
        preset=asked["preset"],
        settings=settings,
        seed=asked["seed"] + seed,
        device=device,
        devices=devices,
        workers=workers,
        target=Target(theirs, target_share) if with_source else None,
        progress=progress,
    )
    options: dict[str, Any] = {"device": device, "workers": workers, "progress": progress}
    before, after = (evaluate(each, target, TEST, **options) for each in (run, adapted))
    train, val = (size(drawn, part, run.task) for part in LEARNED_FROM)
    share = drawn_of(target, split, unit)
    return Adapted(fraction, seed, adapted, before, after, train, val, share)


def _check(run: Run, start: Start, share: float | None, *, with_source: bool) -> None:
    """Refuse what a detector does not do, and a share that cannot be drawn, before anything is computed."""
    detector = run.baseline.kind != "classifier"
    if detector and start == "run":
        typed = either('start="run"', "--from-run")
        raise ValueError(f"{typed}: {run.folder} is the run of a detector, which starts afresh; leave it out")
    if share is None:
        return
    typed = option("target_share", share)
    if not 0 < share < 1:
        raise ValueError(f"{typed}: must be between 0 and 1, such as 0.5")
    if not with_source:
        raise ValueError(f"{typed}: the target is all that is trained on without the source; leave it out")
    if detector:
        raise ValueError(
            f"{typed}: {run.folder} is the run of a detector, which draws every image once in an epoch; leave it out"
        )


def _unit_of(target: Dataset) -> Unit:
    return "patient" if all(image.patient for image in target.images) else "image"


def _source(run: Run, target: str, given: Dataset | None) -> Dataset:
    """The training and validation data of the run, with the images of `given` if it is the same data set."""
    ds = run.dataset()
    if given is not None:
        if given.fingerprint != ds.fingerprint:
            raise ValueError(
                f"{given.name}: is not the training data of {run.folder}; give the same data, unchanged"
            )
        ds = replace(given, name=ds.name, split=None).with_split(ds.split)
    kept = ds.select(images=lambda image: ds.part_of(image) in LEARNED_FROM)
    return replace(kept, name=f"{ds.name}-source") if ds.name == target else kept


def adapt_over(
    run: Run,
    target: Dataset,
    out: str | Path,
    fractions: Sequence[float] = (0.1,),
    seeds: int = 5,
    *,
    unit: Unit | None = None,
    stratified: bool = False,
    with_source: bool = True,
    start: Start = "afresh",
    target_share: float | None = None,
    source: Dataset | None = None,
    device: str = "auto",
    devices: int = 1,
    workers: int | None = None,
    progress: bool = False,
) -> Adaptation:
    """Adapt with each share and each seed (0, 1, ...), and write ``adaptation.json`` beside the runs.

    An interrupted call resumes where it stopped. Parameters and errors are those of `adapt`.
    """
    options: dict[str, Any] = {"device": device, "workers": workers, "progress": progress}
    _check(run, start, target_share, with_source=with_source)
    for fraction in fractions:  # refused before the zero-shot scores are computed
        draw(target, fraction, unit=unit or _unit_of(target), stratified=stratified)
    zero_shot = evaluate(run, replace(target, split=None), **options)
    each = tuple(
        adapt(
            run,
            target,
            Path(out) / f"{fraction:g}-seed{seed}",
            fraction,
            seed,
            unit=unit,
            stratified=stratified,
            with_source=with_source,
            start=start,
            target_share=target_share,
            source=source,
            devices=devices,
            **options,
        )
        for fraction in fractions
        for seed in range(seeds)
    )
    result = Adaptation(zero_shot, each)
    files.write_json(Path(out) / "adaptation.json", result.to_json())
    return result
