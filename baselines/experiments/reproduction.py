"""The paper's experiments, Tables 4 to 7, on any data: our numbers beside the paper's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pcm_leukemia import files, paper
from pcm_leukemia.baselines import training
from pcm_leukemia.baselines.evaluation import Evaluation, evaluate, evaluate_two_stage, reading_of
from pcm_leukemia.baselines.experiments import adaptation, result_figures
from pcm_leukemia.baselines.experiments.adaptation_results import Adaptation, mean_and_spread
from pcm_leukemia.baselines.experiments.protocol import (
    ADAPTED,
    EXPERIMENTS,
    FRACTION,
    INTERNAL,
    Experiment,
    name_of_test_set,
)
from pcm_leukemia.baselines.metrics.classification import MACRO_F1S
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.scored_on import ScoredOn
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.splits import LEARNED_FROM

__all__ = ["EXPERIMENTS", "Comparison", "Experiment", "Reproduction", "reproduce"]
WHICH_MACRO_F1 = (
    "Macro F1 is over the classes that have cells, over these and those that were predicted (union, scikit-learn's "
    "default), or over all; the paper does not say which, so its number is beside all three and belongs to one."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number of the paper and ours, in per cent; if ours was not computed, `missing` says why.

    `interval` is the 95 % interval over patients or, for several seeds, the mean minus and plus one standard deviation;
    `spread` then says so. `scored_on` counts the patients, images and cells: once, or for each seed.
    """

    table: str
    model: str
    test_set: str
    metric: str
    paper: float | None
    ours: float | None = None
    interval: tuple[float, float] | None = None
    spread: str = ""
    missing: str = ""
    scored_on: tuple[ScoredOn, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The row as plain numbers and lists."""
        row = {key: getattr(self, key) for key in Comparison.__slots__}
        return {**row, "scored_on": [each._asdict() for each in self.scored_on]}


@dataclass(frozen=True)
class Reproduction:
    """All rows, the figures, and how the labels of the targets were read if there are several ways.

    `pretraining` says so if the pretrained weights may have seen the target of Table 7.
    """

    out: Path
    data: str
    preset: str
    rows: tuple[Comparison, ...]
    figures: Mapping[str, str] = field(default_factory=dict)
    readings: Mapping[str, str] = field(default_factory=dict)
    pretraining: str = ""

    def to_json(self) -> dict[str, Any]:
        """The rows and the figures as plain dictionaries."""
        return {
            "data": self.data,
            "preset": self.preset,
            "readings": dict(self.readings),
            **({"pretraining": self.pretraining} if self.pretraining else {}),
            "rows": [row.to_json() for row in self.rows],
            "figures": dict(self.figures),
        }

    def __str__(self) -> str:
        lines = [
            f"# The paper's experiments on {self.data}",
            "",
            f"Preset: {self.preset}. All scores in per cent.",
        ]
        if self.preset != "paper":
            lines.append("These runs are smaller than the paper's; do not compare them with its numbers.")
        if name_of_test_set(self.data) != INTERNAL:
            lines.append(f"The paper's numbers beside {self.data} are those on {INTERNAL}.")
        lines += [f"{name}: labels read as {how}." for name, how in self.readings.items()]
        if self.pretraining:
            lines.append(f"Note: {self.pretraining}.")
        for table in dict.fromkeys(row.table for row in self.rows):
            columns = (
                "| model | test set | score | here | 95 % interval | paper | patients | images | cells |"
            )
            lines += ["", f"## {table}", "", columns, "|---" * 9 + "|"]
            rows = [row for row in self.rows if row.table == table]
            lines += map(_line, rows)
            if any(row.metric in MACRO_F1S.values() for row in rows):
                lines += ["", WHICH_MACRO_F1]
        lines += ["", "## Figures", ""]
        lines += [f"- {name}: {what}" for name, what in self.figures.items()]
        return "\n".join(lines)


def reproduce(
    ds: Dataset,
    out: str | Path,
    *,
    targets: Mapping[str, Dataset] | None = None,
    tables: Sequence[int] = (4, 5, 6, 7),
    preset: str = "paper",
    seeds: int = 5,
    seed: int = 0,
    device: str = "auto",
    devices: int = 1,
    workers: int | None = None,
    progress: bool = False,
) -> Reproduction:
    """Train and score what the tables need; finished runs in `out` are not repeated.

    Writes ``results.md``, ``results.json`` and ``figures/`` to `out`, and each run to ``runs/``.

    Parameters
    ----------
    ds
        PCM-Leukemia, or data with the same nine classes, with a split that has train, val and test.
    out
        A folder.
    targets
        The external data sets by name, "ALL-IDB1" and "LMU", if available.
    tables
        The tables of the paper: 4, 5, 6 and 7.
    preset
        "paper", "quick" or "smoke".
    seeds
        The number of draws of 10 % of the target, for Table 7.
    seed, device, devices, workers, progress
        As in `baselines.train`.

    Raises
    ------
    ValueError
        If there is no such table.
    UnknownPart, LeakySplit
        If the split does not allow training and testing.
    """
    unknown = sorted(set(tables) - {4, 5, 6, 7})
    if unknown:
        raise ValueError(f"table {unknown[0]}: has no experiment; use 4, 5, 6 or 7")
    ds.part("test")  # fail before hours of training
    targets, out, ours = targets or {}, Path(out), name_of_test_set(ds.name)
    options: dict[str, Any] = {"device": device, "workers": workers, "progress": progress}
    done: dict[Experiment, dict[str, Evaluation]] = {}
    runs: dict[Experiment, Run] = {}
    needed = [each for each in EXPERIMENTS if each.table in tables or (7 in tables and each == ADAPTED)]
    for each in needed:
        runs[each] = run = training.train(
            each.baseline,
            ds,
            out / "runs" / each.folder,
            task=each.task,
            preset=preset,
            settings=dict(each.changes),
            seed=seed,
            devices=devices,
            **options,
        )
        done[each] = {ours: evaluate(run, ds, "test", **options)}
        if "ALL-IDB1" in targets:
            done[each]["ALL-IDB1"] = evaluate(run, targets["ALL-IDB1"], **options)
    adapted = None
    if 7 in tables and "LMU" in targets:
        adapted = adaptation.adapt_over(
            runs[ADAPTED], targets["LMU"], out / "adaptation", (FRACTION,), seeds, devices=devices, **options
        )
    rows = list(_published(done, adapted, tables, ours))
    two_stage = _two_stage(runs, ds, targets, options)
    rows += _beyond(done, two_stage)
    readings = {name: how for name, target in targets.items() if (how := reading_of(target))}
    drawn = result_figures.draw(out / "figures", runs, done, two_stage, _learned(ds, ours))
    note = adapted.zero_shot.pretraining if adapted else ""
    result = Reproduction(out, ds.name, preset, tuple(rows), drawn, readings, note)
    _write(result)
    return result


def _learned(ds: Dataset, name: str) -> str:
    """What the models were trained on, for the titles of training curves."""
    parts = ", ".join(f"{part}: {ScoredOn.of(ds.part(part))}" for part in LEARNED_FROM if part in ds.parts)
    return f"{name}\n{parts}"


def _published(
    done: Mapping[Experiment, Mapping[str, Evaluation]],
    adapted: Adaptation | None,
    tables: Sequence[int],
    ours: str,
) -> Iterator[Comparison]:
    """A row for each number that the paper prints in these tables, and in Figure 2, which belongs to Table 5.

    `ours` is the name of the given data, whose scores are beside the paper's on PCM-Leukemia.
    """
    for result in paper.RESULTS:
        number = 5 if result.table == "Figure 2" else int(result.table.split()[-1])
        if number not in tables:
            continue
        if number == 7:
            for metric in _metrics(result.metric) if adapted else (result.metric,):
                row = (result.table, result.model, result.test_set, metric, result.value)
                yield _of_table_7(row, adapted)
            continue
        test_set = ours if result.test_set == INTERNAL else result.test_set
        evaluation = next(
            (
                by_set.get(test_set)
                for experiment, by_set in done.items()
                if (experiment.table, experiment.model) == (number, result.model)
            ),
            None,
        )
        if evaluation is None:
            row = (result.table, result.model, test_set, result.metric, result.value)
            yield Comparison(*row, missing=f"{test_set} was not given")
            continue
        for metric in _metrics(result.metric):
            row = (result.table, result.model, test_set, metric, result.value)
            score, interval = _score(evaluation, metric)
            yield Comparison(*row, ours=score, interval=interval, scored_on=(evaluation.scored_on,))


def _metrics(published: str) -> tuple[str, ...]:
    """Our scores that a score of the paper may be: it does not say over which classes it averages macro F1."""
    return tuple(MACRO_F1S.values()) if published == "macro F1" else (published,)


def _of_table_7(row: tuple[str, str, str, str, float], adapted: Adaptation | None) -> Comparison:
    if adapted is None:
        return Comparison(*row, missing="LMU was not given")
    if row[1].startswith("Zero-Shot"):
        score, interval = _score(adapted.zero_shot, row[3])
        return Comparison(*row, ours=score, interval=interval, scored_on=(adapted.zero_shot.scored_on,))
    scores = [score for one in adapted.each if (score := _score(one.after, row[3])[0]) is not None]
    middle, spread = mean_and_spread(scores)
    return Comparison(
        *row,
        ours=middle,
        interval=(middle - spread, middle + spread),
        spread=f"sd of {len(scores)} seeds",
        scored_on=tuple(one.after.scored_on for one in adapted.each),
    )


def _score(evaluation: Evaluation, metric: str) -> tuple[float | None, tuple[float, float] | None]:
    """A score in per cent, by its name in the paper's table, and its interval."""
    value: float | None
    interval: tuple[float, float] | None
    if evaluation.classification is not None:
        value, interval = evaluation.classification.in_tables()[metric]
    else:
        assert evaluation.detection is not None
        detection = evaluation.detection
        precision = detection.overall if metric == "mAP50-95" else detection.of[metric.removeprefix("AP of ")]
        value, interval = precision.ap, precision.interval
    percent = interval and (100 * interval[0], 100 * interval[1])
    return (None if value is None else 100 * value), percent


def _two_stage(
    runs: Mapping[Experiment, Run], ds: Dataset, targets: Mapping[str, Dataset], options: Mapping[str, Any]
) -> dict[str, Evaluation]:
    """The pipeline of section 2.3.2, end to end, if both of its models were trained."""
    detector = next((run for each, run in runs.items() if each[:2] == (5, "DEIM-RT-DETRv2")), None)
    classifier = runs.get(ADAPTED)
    if detector is None or classifier is None:
        return {}
    scored = {name_of_test_set(ds.name): evaluate_two_stage(detector, classifier, ds, "test", **options)}
    if "ALL-IDB1" in targets:
        scored["ALL-IDB1"] = evaluate_two_stage(detector, classifier, targets["ALL-IDB1"], **options)
    return scored


def _beyond(
    done: Mapping[Experiment, Mapping[str, Evaluation]], two_stage: Mapping[str, Evaluation]
) -> Iterator[Comparison]:
    """Scores that the paper gives only in its text, or not at all."""
    for experiment, by_set in done.items():
        for test_set, evaluation in by_set.items():
            if experiment.table == 4 and evaluation.detection is not None:
                recall, published = evaluation.detection.recall, None
                if (experiment.model, test_set) == ("DEIM-RT-DETRv2", "ALL-IDB1"):
                    published = 100 * 691 / 701  # section 3.1: "691 out of 701 total WBCs"
                yield Comparison(
                    "Section 3.1",
                    experiment.model,
                    test_set,
                    "white cells found, whatever the class",
                    published,
                    ours=None if recall is None else 100 * recall,
                    missing="" if recall is not None else "there is no cell to find",
                    scored_on=(evaluation.scored_on,),
                )
    for test_set, evaluation in two_stage.items():
        assert evaluation.end_to_end is not None
        overall = evaluation.end_to_end.overall
        yield Comparison(
            "Two stages, end to end",
            f"DEIM-RT-DETRv2, then {ADAPTED.model}",
            test_set,
            "mAP50-95",
            None,
            ours=None if overall.ap is None else 100 * overall.ap,
            interval=overall.interval and (100 * overall.interval[0], 100 * overall.interval[1]),
            scored_on=(evaluation.scored_on,),
        )


def _line(row: Comparison) -> str:
    ours = "-" if row.ours is None else f"{row.ours:.2f}"
    between = f"{row.interval[0]:.2f} to {row.interval[1]:.2f}" if row.interval else ""
    if row.spread:
        between += f" ({row.spread})"
    if row.missing:
        between = f"not run: {row.missing}"
    printed = "" if row.paper is None else f"{row.paper:.2f}"
    n = " | ".join(_from_to(numbers) for numbers in list(zip(*row.scored_on, strict=True))[:3]) or " | | "
    return f"| {row.model} | {row.test_set} | {row.metric} | {ours} | {between} | {printed} | {n} |"


def _from_to(numbers: Sequence[int]) -> str:
    """A number that may differ between seeds.

    Examples
    --------
    >>> _from_to([1200, 1200]), _from_to([12, 15, 14])
    ('1,200', '12 to 15')
    """
    least, most = min(numbers), max(numbers)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _write(result: Reproduction) -> None:
    files.write_json(result.out / "results.json", result.to_json())
    files.write_text(result.out / "results.md", f"{result}\n")
