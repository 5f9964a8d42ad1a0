"""Adaptation to another hospital with a few of its labels: section 2.3.3 and Table 7 of the paper.

A share of the target is drawn at random and added to the training data; the model is trained again and scored on the
rest of the target only. A file keeps the draw, and no score ever comes from the drawn images.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

from pcm_leukemia import files, splits
from pcm_leukemia.baselines import training
from pcm_leukemia.baselines.evaluation import Evaluation, evaluate
from pcm_leukemia.baselines.run import Run, is_run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import ExportError, Problem, UnfitForTask, option
from pcm_leukemia.joining import concat
from pcm_leukemia.schema import IGNORE, ImageId, Split
from pcm_leukemia.splits import LEARNED_FROM, draw_keys, unit_of

__all__ = ["Adaptation", "Adapted", "Start", "Unit", "adapt", "adapt_over", "draw", "mean_and_spread"]

Unit = Literal["patient", "image"]
Start = Literal["afresh", "run"]

ADAPT, TEST = "adapt", "test"


@dataclass(frozen=True)
class Adapted:
    """One adaptation: the run, and its scores on the unseen part of the target.

    `before` has the scores of the original model on the same images.
    """

    fraction: float
    seed: int
    run: Run
    before: Evaluation
    after: Evaluation


def draw(
    ds: Dataset, fraction: float, seed: int = 0, *, unit: Unit = "image", stratified: bool = False
) -> Split:
    """Draw a share of a data set to adapt to (part "adapt"); the rest (part "test") is scored.

    Parameters
    ----------
    ds
        The target. Images without cells are drawn like any other.
    fraction
        The share, between 0 and 1; at least one image or patient is drawn, and at least one is left.
    seed
        The seed of the draw.
    unit
        "image" draws images, as in the paper: a patient may be on both sides, so the scores are an upper bound.
        "patient" draws whole patients. A group of images stays together either way, and so do images with the same
        file, with their patients: else the model would be scored on what it has learned from.
    stratified
        Whether to draw from every class separately, by the most frequent class of the image or patient.

    Raises
    ------
    ValueError
        If `fraction` is not between 0 and 1, there are fewer than two units to draw from, or an image has no patient
        and patients are drawn.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image
    >>> ds = Dataset("demo", NINE, tuple(Image(ImageId(f"{n}.png"), 8, 8) for n in range(10)))
    >>> split = draw(ds, 0.2)
    >>> sorted(split.part_of.values()).count("adapt")
    2
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction {fraction}: must be between 0 and 1, such as 0.1")
    units = _units(ds, unit)
    if len(units) < 2:
        what = f"has {len(units)} {unit}s"
        raise UnfitForTask(
            [Problem(ds.name, what, "at least two are needed, one to adapt to and one to score on")]
        )
    strata: dict[str, list[str]] = defaultdict(list)
    for name, images in units.items():
        strata[_class_of(ds, images) if stratified else ""].append(name)
    drawn: set[str] = set()
    for stratum, names in sorted(strata.items()):
        chance = random.Random(f"{seed}/{stratum}")  # noqa: S311 - to be repeated, not to be secret
        drawn.update(chance.sample(sorted(names), round(fraction * len(names))))
    chance = random.Random(f"{seed}/one")  # noqa: S311
    if not drawn:
        drawn = {chance.choice(sorted(units))}
    elif len(drawn) == len(units):
        drawn.remove(chance.choice(sorted(drawn)))
    part_of = {image: ADAPT if name in drawn else TEST for name, images in units.items() for image in images}
    made = {
        "method": f"{'stratified' if stratified else 'random'} draw by {unit}",
        "fraction": str(fraction),
        "seed": str(seed),
    }
    if unit == "image" and any(image.patient for image in ds.images):
        made["patients"] = "may be on both sides: scores are an upper bound"
    patient_of = {image.id: image.patient for image in ds.images if image.patient}
    return Split("adaptation", part_of, made, patient_of)


def _units(ds: Dataset, unit: Unit) -> dict[str, list[ImageId]]:
    """The units to draw, by name: patients or images, each with everything in the same group and of the same file."""
    patients = {image.id for image in ds.images if image.patient is not None}
    lacking = next((image.id for image in ds.images if image.id not in patients), None)
    if unit == "patient" and lacking is not None:
        raise ValueError(
            f'{ds.name}: image "{lacking}" has no patient; draw by image: {option("unit", "image")}'
        )
    if unit == "patient":
        whole: Mapping[ImageId, str] = unit_of(ds, same_file=True)
    else:
        keys = draw_keys(ds)
        whole = {image.id: f"group {keys[image.id].key}" for image in ds.images if keys[image.id].tied}
    units: dict[str, list[ImageId]] = defaultdict(list)
    for image in ds.images:
        units[whole.get(image.id, f"image {image.id}")].append(image.id)
    return units


def _class_of(ds: Dataset, images: Sequence[ImageId]) -> str:
    counts: dict[str, int] = defaultdict(int)
    for image in images:
        for cell in ds.cells_of(image):
            counts[cell.label] += cell.label != IGNORE
    return max(sorted(counts), key=counts.__getitem__, default="")


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
    source: Dataset | None = None,
    device: str = "auto",
    devices: int = 1,
    workers: int = 4,
    progress: bool = False,
) -> Adapted:
    """Train a run's model again with a share of the target added, and score it on the rest of the target.

    A fifth of the share, together with the source's validation part, selects the best epoch; the paper draws validation
    in the same way. The rest of the target is in neither.

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
    source
        The training data of the run, if its images have moved.
    device, devices, workers, progress
        As in `baselines.train`.

    Raises
    ------
    LeakySplit
        If the run has learned from the rest of the target or its patients.
    ValueError
        If the target has other classes or is too small to draw from, the source is not the training data of the run, or
        a detector would start from its run.
    ExportError
        If `out` holds something else, such as another draw.
    """
    settings = dict(run.record["asked"]["settings"])
    if start == "run":
        if run.baseline.kind != "classifier":
            raise ValueError(
                f"{run.folder}: is the run of a detector, which is always adapted afresh; leave start out"
            )
        settings |= {"weights": str(run.folder / "classifier.safetensors"), "sha256": ""}
    unit = unit or ("patient" if all(image.patient for image in target.images) else "image")
    split = draw(target, fraction, seed, unit=unit, stratified=stratified)
    target = replace(target, split=None).with_split(split)
    pieces = [_source(run, target.name, source)] if with_source else []
    run.require_unseen(target.part(TEST))
    folder = Path(out)
    _keep_draw(split, folder, target)
    pieces.append(_to_learn_from(target, seed, unit))
    asked = run.record["asked"]
    adapted = training.train(
        asked["baseline"],
        concat(pieces),
        folder / "run",
        task=run.task,
        preset=asked["preset"],
        settings=settings,
        seed=asked["seed"] + seed,
        device=device,
        devices=devices,
        workers=workers,
        progress=progress,
    )
    options: dict[str, Any] = {"device": device, "workers": workers, "progress": progress}
    before, after = (evaluate(each, target, TEST, **options) for each in (run, adapted))
    return Adapted(fraction, seed, adapted, before, after)


def _keep_draw(split: Split, folder: Path, target: Dataset) -> None:
    """Write the draw; a draw beside a run is what that run has learned from, and is not replaced."""
    file = folder / "draw.csv"
    if is_run(folder / "run") and file.exists():
        before = splits.read(file, split.name)
        if (before.part_of, before.made) != (split.part_of, dict(split.made)):
            raise ExportError(
                f"{file}: holds another draw, which the run beside it has learned from; name another folder"
            )
        return
    with files.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with files.new_file(file) as work:
            splits.write(split, work, target)


def _to_learn_from(target: Dataset, seed: int, unit: Unit) -> Dataset:
    """The drawn share of the target, a fifth of it for validation."""
    drawn = replace(target.part(ADAPT), split=None)
    by_image = unit == "image"
    if len(_units(drawn, unit)) < 2:  # a single unit is for training; the source selects the epoch
        part_of = {image.id: "train" for image in drawn.images}
        return drawn.with_split(
            Split("adaptation", part_of, {"val_unit": unit}, val_shares_patients=by_image)
        )
    parts = draw(drawn, 0.2, seed, unit=unit).part_of
    names = {ADAPT: "val", TEST: "train"}
    made = {"val_unit": unit, "method": "a share of another data set, a fifth of it for validation"}
    part_of = {image: names[part] for image, part in parts.items()}
    return drawn.with_split(Split("adaptation", part_of, made, val_shares_patients=by_image))


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


@dataclass(frozen=True)
class Adaptation:
    """Adaptations of one run to one target, over seeds and shares.

    `zero_shot` has the scores of the original model on the whole target.
    """

    zero_shot: Evaluation
    each: tuple[Adapted, ...]

    def to_json(self) -> dict[str, Any]:
        """Means and standard deviations by share, and every single result."""
        return {
            "target": self.zero_shot.data,
            "reading": self.zero_shot.reading,
            "zero_shot": _numbers(self.zero_shot),
            "fractions": [
                {
                    "fraction": fraction,
                    "seeds": [one.seed for one in those],
                    "before": _spread([_numbers(one.before) for one in those]),
                    "after": _spread([_numbers(one.after) for one in those]),
                    "each": [{"seed": one.seed, **_numbers(one.after)} for one in those],
                }
                for fraction, those in self._by_fraction().items()
            ],
        }

    def _by_fraction(self) -> dict[float, list[Adapted]]:
        groups: dict[float, list[Adapted]] = defaultdict(list)
        for one in self.each:
            groups[one.fraction].append(one)
        return groups

    def __str__(self) -> str:
        names = list(_numbers(self.zero_shot))
        read = f", labels read as {self.zero_shot.reading}" if self.zero_shot.reading else ""
        lines = [f"{self.zero_shot.data}{read}", f"{'':26}" + "".join(f"{name:>20}" for name in names)]
        zero = _numbers(self.zero_shot)
        lines.append(f"{'zero-shot, all of it':26}" + "".join(f"{100 * zero[name]:>20.2f}" for name in names))
        for fraction, those in self._by_fraction().items():
            for title, which in (
                ("zero-shot, the rest", "before"),
                (f"with {fraction:.0%}, the rest", "after"),
            ):
                spread = _spread([_numbers(getattr(one, which)) for one in those])
                cells = (
                    f"{100 * spread[name]['mean']:.2f} ± {100 * spread[name]['sd']:.2f}" for name in names
                )
                lines.append(f"{title:26}" + "".join(f"{cell:>20}" for cell in cells))
        return "\n".join(lines)


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
    source: Dataset | None = None,
    device: str = "auto",
    devices: int = 1,
    workers: int = 4,
    progress: bool = False,
) -> Adaptation:
    """Adapt with each share and each seed (0, 1, ...), and write ``adaptation.json`` beside the runs.

    An interrupted call resumes where it stopped. Parameters and errors are those of `adapt`.
    """
    options: dict[str, Any] = {"device": device, "workers": workers, "progress": progress}
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


def _numbers(evaluation: Evaluation) -> dict[str, float]:
    """The scores that the paper prints, 0 to 1."""
    if evaluation.classification is not None:
        scores = evaluation.classification
        return {"accuracy": scores.accuracy, "macro F1": scores.macro_f1}
    assert evaluation.detection is not None
    return {
        "mAP50-95": evaluation.detection.overall.ap or 0.0,
        "AP50": evaluation.detection.overall.ap50 or 0.0,
    }


def _spread(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    spreads = {name: mean_and_spread([row[name] for row in rows]) for name in rows[0]}
    return {name: {"mean": middle, "sd": spread} for name, (middle, spread) in spreads.items()}


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the standard deviation of a sample; the deviation is 0 for one value.

    Examples
    --------
    >>> mean_and_spread([1.0, 3.0])
    (2.0, 1.4142135623730951)
    """
    return mean(values), stdev(values) if len(values) > 1 else 0.0
