"""Cross-validation: a model for each fold of the patients, scored on its fold, and all folds scored together.

::

    fold-1/ ...   a run for each fold; its scores are those of the fold, which it has not learned from
    folds.json    the scores of each fold, their mean and standard deviation, and the scores of all folds together
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np

from pcm_leukemia import files, splits
from pcm_leukemia.baselines import config, training
from pcm_leukemia.baselines.evaluation import THRESHOLD, Evaluation, Scored, scored, scores_of
from pcm_leukemia.baselines.inference import Classified, Detected
from pcm_leukemia.baselines.metrics.bootstrap import percent
from pcm_leukemia.baselines.run import origin
from pcm_leukemia.baselines.scored_on import ScoredOn
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import MissingPart, either
from pcm_leukemia.requirements import require

__all__ = ["CrossValidation", "Spread", "cross_validate"]

VAL = 0.2
"""The share of the patients outside a fold on which the epoch is chosen, as in the paper."""


class Spread(NamedTuple):
    """A score of each fold, 0 to 1, with the mean and the standard deviation (of a sample) over the folds.

    None for a fold without cells; the mean and the deviation leave it out.
    """

    folds: tuple[float | None, ...]
    mean: float | None
    sd: float | None


@dataclass(frozen=True)
class CrossValidation:
    """The scores of cross-validation.

    `folds` has the scores of each fold, and `spread` their mean and standard deviation by the name of the score. `pooled` has
    the scores of the predictions of all folds together: every patient is scored once, by the model that has not learned from
    that patient, and the intervals are over all patients. `left_out` names the parts of the split that were not used.
    """

    baseline: str
    task: str
    folds: tuple[Evaluation, ...]
    pooled: Evaluation
    spread: Mapping[str, Spread]
    left_out: tuple[str, ...]
    seed: int

    def to_json(self) -> dict[str, Any]:
        """All scores as plain dictionaries and lists."""
        return {
            "baseline": self.baseline,
            "task": self.task,
            "seed": self.seed,
            "val": VAL,
            "left_out": list(self.left_out),
            "spread": {name: each._asdict() for name, each in self.spread.items()},
            "pooled": self.pooled.to_json(),
            "folds": [each.to_json() for each in self.folds],
        }

    def __str__(self) -> str:
        count = len(self.folds)
        rest = f"; part {' and '.join(self.left_out)} was not used" if self.left_out else ""
        width = max(map(len, self.spread))
        columns = "".join(f"{f'fold {number}':>9}" for number in range(1, count + 1))
        lines = [
            f"{self.baseline}, {self.task}, {count} folds of {self.pooled.data}{rest}",
            *(f"note: {note}" for note in self.pooled.notes),
            f"{'':{width}}{columns}{'mean':>9}{'sd':>7}",
        ]
        for name, each in self.spread.items():
            numbers = "".join(f"{percent(value):>9}" for value in (*each.folds, each.mean))
            lines.append(f"{name:{width}}{numbers}{percent(each.sd):>7}")
        scores = self.pooled.classification or self.pooled.detection
        return "\n".join([*lines, "all folds together:", *(f"  {line}" for line in str(scores).splitlines())])


def cross_validate(
    baseline: str,
    ds: Dataset,
    out: str | Path,
    folds: int = 5,
    *,
    task: str | None = None,
    preset: str = "paper",
    weights: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    threshold: float = THRESHOLD,
    device: str = "auto",
    devices: int = 1,
    workers: int | None = None,
    progress: bool = False,
) -> CrossValidation:
    """Train a model for each fold of the patients, and score each on its fold.

    If the data has a split, the folds divide the patients of train and val, and other parts are not used: the test part stays
    unseen. Data without a split is divided as a whole. In each fold, the epoch is chosen on a fifth of the other patients.

    Writes a run for each fold to `out`, in ``fold-1``, ``fold-2`` and so on, and ``folds.json``. Finished folds are not trained
    again, and an interrupted one is resumed.

    Parameters
    ----------
    baseline
        One of `baselines.names()`.
    ds
        The data set. Every image needs a patient or a group.
    out
        A folder.
    folds
        The number of folds: 2 or more, and at most the number of patients.
    task, preset, weights, settings, device, devices, workers, progress
        As in `baselines.train`.
    seed
        The seed of the folds, of their validation parts and of the training.
    threshold
        The lowest score at which a detector has found a cell, 0 to 1.

    Raises
    ------
    MissingPatients
        If an image has neither a patient nor a group, or there are too few patients.
    MissingPart
        If the split has neither train nor val.
    LeakySplit
        If a patient or a group is in two parts of the split, or the weights are of a run that has learned from these patients.
    UnfitForTask
        If a part of a fold has no cells, or a detector would learn from cells without a box, or from images that are annotated
        in part.
    ExportError
        If `out` holds other runs.
    ValueError
        If the model does not do the task, a setting is unknown, or `folds` or the seed is out of range.
    """
    model = config.find(baseline)
    task = task or model.tasks[0]
    rows, left_out = _rows(ds)
    names = [f"fold-{number}" for number in range(1, folds + 1)]
    parts = [rows.with_split(split) for split in splits.folds(rows, folds, seed, val=VAL, names=names)]
    view = _fit_for(task, rows, parts, detector=model.kind == "detector")
    changes = {**(settings or {}), **({"weights": weights} if weights is not None else {})}
    parent = origin(config.settings(model, preset, changes).weights)
    if parent is not None:
        parent.require_unseen(rows)  # every row is scored by a model that starts from these weights
    options: dict[str, Any] = {"device": device, "workers": workers, "progress": progress}
    done: list[Scored] = []
    for fold in parts:
        assert fold.split is not None
        run = training.train(
            baseline,
            fold,
            Path(out) / fold.split.name,
            task=task,
            preset=preset,
            weights=weights,
            settings=settings,
            seed=seed,
            devices=devices,
            **options,
        )
        done.append(scored(run, fold, "test", threshold=threshold, batch=16, **options))
    evaluations = tuple(each.evaluation for each in done)
    pooled = replace(
        evaluations[0],
        runs=tuple(run for each in evaluations for run in each.runs),
        part="all folds",
        scored_on=ScoredOn.of(view),
        **scores_of(view, _together([each.predicted for each in done]), threshold),
    )
    spread = _spread([_headline(each) for each in evaluations])
    result = CrossValidation(baseline, task, evaluations, pooled, spread, left_out, seed)
    files.write_json(Path(out) / "folds.json", result.to_json())
    return result


def _rows(ds: Dataset) -> tuple[Dataset, tuple[str, ...]]:
    """The images to divide, without the split that they came with, and the parts of that split that are left out."""
    require(ds)
    if ds.split is None:
        return ds, ()
    left_out = tuple(part for part in ds.parts if part not in splits.LEARNED_FROM)
    rows = ds.select(images=lambda image: ds.part_of(image) not in left_out)
    if not rows.images:
        raise MissingPart(
            f"{ds.name}: has the parts {', '.join(ds.parts)}, and folds divide train and val; make another split: "
            + either("splits.by_patient", "pcm-leukemia split DATA")
        )
    return rows.with_split(None), left_out


def _fit_for(task: str, rows: Dataset, parts: Sequence[Dataset], *, detector: bool) -> Dataset:
    """The data to score, reduced to the task; refuse what a later fold would refuse, before the first is trained."""
    view = rows.task(task)
    require(view, boxes=True, incomplete="refuse" if detector else None)
    for fold in parts:
        require(fold)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # training gives them again
            training.parts_to_learn(fold, task)
    return view


def _together(predicted: Sequence[Detected | Classified]) -> Detected | Classified:
    """The predictions of all folds, each for its own images."""
    detected = [each for each in predicted if isinstance(each, Detected)]
    if detected:
        scored_, found = ({k: v for each in detected for k, v in each[which].items()} for which in (0, 1))
        return Detected(scored_, found)
    named = [each for each in predicted if isinstance(each, Classified)]
    cells = tuple(cell for each in named for cell in each.cells)
    return Classified(cells, np.concatenate([each.probabilities for each in named]))


def _headline(evaluation: Evaluation) -> dict[str, float | None]:
    """The scores whose spread over the folds is given."""
    if evaluation.detection is not None:
        found = evaluation.detection
        recall = f"recall at score {found.threshold:g}"
        return {"mAP 50-95": found.overall.ap, "AP50": found.overall.ap50, recall: found.recall}
    named = evaluation.classification
    assert named is not None
    return {
        "accuracy": named.accuracy,
        "balanced accuracy": named.balanced_accuracy.value,
        "macro F1": named.macro_f1,
        "weighted F1": named.weighted_f1.value,
    }


def _spread(folds: Sequence[Mapping[str, float | None]]) -> dict[str, Spread]:
    return {name: _over([fold[name] for fold in folds]) for name in folds[0]}


def _over(values: Sequence[float | None]) -> Spread:
    each = tuple(None if value is None or np.isnan(value) else value for value in values)
    known = [value for value in each if value is not None]
    return Spread(each, mean(known) if known else None, stdev(known) if len(known) > 1 else None)
