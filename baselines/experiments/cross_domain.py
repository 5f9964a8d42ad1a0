"""The cross-domain matrix: every trained model on every target that it can be scored on, in one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pcm_leukemia import files, paper
from pcm_leukemia.baselines.classifiers.batch_norm import BatchNorm
from pcm_leukemia.baselines.evaluation import evaluate, part_to_score, reading_of
from pcm_leukemia.baselines.experiments.protocol import EXPERIMENTS
from pcm_leukemia.baselines.machine import device_of
from pcm_leukemia.baselines.metrics.classification import MACRO_F1S
from pcm_leukemia.baselines.pretraining import note_on
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.scored_on import ScoredOn
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import LeakySplit, UnfitForTask
from pcm_leukemia.schema import IGNORE

__all__ = ["Crossing", "Entry", "cross"]

_IN_THE_PAPER = {"all_idb1": ("ALL-IDB1",), "lmu": ("LMU (Full)",)}
"""The names of public data sets in the paper's tables."""
_ZERO_SHOT = "Zero-Shot (PCM-Only)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One score of one model on one target, 0 to 1, with its 95 % interval; if there is none, `refused` says why.

    The score is over `classes`, which both sides have, and over `cells` cells; a model drew `auto_cells` of them. `left_out` counts the cells of classes
    that the model has never seen. `paper` is the paper's number for the same case, `reading` says how the labels of the
    target were read, and `pretraining` says so if the model's pretrained weights may have seen the target. `batch_norm`
    says whose batch-norm statistics the model used.
    """

    run: str
    target: str
    metric: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    cells: int = 0
    classes: tuple[str, ...] = ()
    left_out: int = 0
    paper: float | None = None
    reading: str = ""
    refused: str = ""
    pretraining: str = ""
    batch_norm: BatchNorm = "run"
    auto_cells: int = 0


@dataclass(frozen=True)
class Crossing:
    """All entries."""

    entries: tuple[Entry, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """The entries as plain dictionaries."""
        return [{key: getattr(entry, key) for key in Entry.__slots__} for entry in self.entries]

    def __str__(self) -> str:
        lines = ["| model | target | score | value | 95 % interval | cells | classes | paper |"]
        lines.append("|---|---|---|---|---|---|---|---|")
        lines += [_line(entry) for entry in self.entries]
        notes = dict.fromkeys(
            note for entry in self.entries for note in (_note_on_auto(entry), entry.pretraining) if note
        )
        lines += [line for note in notes for line in ("", f"Note: {note}.")]
        return "\n".join(lines)


def cross(
    runs: Sequence[Run],
    targets: Mapping[str, Dataset],
    out: str | Path,
    *,
    batch_norm: BatchNorm = "run",
    device: str = "auto",
    batch: int = 16,
    workers: int | None = None,
    progress: bool = False,
) -> Crossing:
    """Score every run on every target over the classes that both sides have; write cross.md and cross.json.

    Cells of a class that a model has never seen are left out and counted. Assigning a cell to a class that the target
    does not have counts as an error. A target with a split is scored on its test part, other targets as a whole.

    Parameters
    ----------
    runs
        Trained models.
    targets
        Name -> data set with the nine classes.
    out
        A folder.
    batch_norm, device, batch, workers, progress
        As in `baselines.evaluate`; with `batch_norm` "target", models without batch norms are not scored.

    Raises
    ------
    ValueError
        If there is no run or no target.
    """
    if not runs or not targets:
        raise ValueError("cross: nothing to score; give at least one run and one target")
    device = device_of(device)
    options: dict[str, Any] = {"device": device, "batch": batch, "workers": workers, "progress": progress}
    options["batch_norm"] = batch_norm
    entries = tuple(
        replace(entry, batch_norm=batch_norm)
        for run in runs
        for name, ds in targets.items()
        for entry in _entries(run, name, ds, options)
    )
    result = Crossing(entries)
    with files.disk_errors(out):
        Path(out).mkdir(parents=True, exist_ok=True)
    files.write_json(Path(out) / "cross.json", result.to_json())
    files.write_text(Path(out) / "cross.md", f"{result}\n")
    return result


def _entries(run: Run, name: str, ds: Dataset, options: Mapping[str, Any]) -> list[Entry]:
    """The scores of one run on one target."""
    metrics = ("mAP50-95",) if run.baseline.kind == "detector" else ("accuracy", *MACRO_F1S.values())
    shown = run.dataset().task(run.task).part("train")
    known = {cell.label for cell in shown.cells} - {IGNORE}
    try:
        chosen, part = part_to_score(ds, None)
        view = chosen.task(run.task)
        counts = Counter(cell.label for cell in view.cells if cell.label != IGNORE)
        common = tuple(label for label in view.taxonomy.labels if label in known and counts[label])
        _require_common(common, name, counts, run, known)
        unknown = {label: IGNORE for label in view.taxonomy.labels if label not in known}
        scored = evaluate(run, view.relabel(unknown, view.taxonomy), part, **options)
    except (UnfitForTask, LeakySplit, ValueError) as error:
        reason = str(error).splitlines()[0]
        return [Entry(run.folder.name, name, metric, refused=reason) for metric in metrics]
    left_out = sum(count for label, count in counts.items() if label not in known)
    cells = sum(counts[label] for label in common)
    values: dict[str, tuple[float | None, tuple[float, float] | None]]
    if scored.classification is not None:
        values = dict(scored.classification.in_tables())
    else:
        assert scored.detection is not None
        values = {"mAP50-95": (scored.detection.overall.ap, scored.detection.overall.interval)}
    return [
        Entry(
            run.folder.name,
            name,
            metric,
            value,
            interval and (interval[0], interval[1]),
            cells,
            common,
            left_out,
            _published(run, name, metric),
            reading_of(ds),
            pretraining=note_on(run, ds),
            auto_cells=scored.scored_on.auto_cells,
        )
        for metric, (value, interval) in values.items()
    ]


def _require_common(
    common: Collection[str], name: str, counts: Collection[str], run: Run, known: Collection[str]
) -> None:
    if not common:
        has = ", ".join(sorted(counts)) or "no cell"
        learned = ", ".join(sorted(known))
        raise ValueError(
            f"{name}: has {has}, and {run.folder.name} learned {learned}; they have no class in common"
        )


def _published(run: Run, target: str, metric: str) -> float | None:
    """The paper's number for this model on this target, 0 to 1."""
    settings = run.record["asked"]["settings"]
    models = {
        each.model
        for each in EXPERIMENTS
        if (each.baseline, each.task) == (run.baseline.name, run.task)
        and all(settings.get(key) == value for key, value in each.changes)
    }
    if EXPERIMENTS[-1].model in models:
        models.add(_ZERO_SHOT)
    sets = _IN_THE_PAPER.get(target, (target,))
    tables = {"detection": ("Table 4",), "wbc": ("Table 5",), "classification": ("Table 6", "Table 7")}[
        run.task
    ]
    return next(
        (
            result.value / 100
            for result in paper.RESULTS
            if result.model in models
            and result.test_set in sets
            and result.table in tables
            and result.metric == ("macro F1" if metric in MACRO_F1S.values() else metric)
        ),
        None,
    )


def _note_on_auto(entry: Entry) -> str:
    note = ScoredOn(cells=entry.cells, auto_cells=entry.auto_cells).note
    return note and f"{entry.target}: {note}"


def _line(entry: Entry) -> str:
    printed = "" if entry.paper is None else f"{100 * entry.paper:.2f}"
    run = f"{entry.run}, batch norms of the target" if entry.batch_norm == "target" else entry.run
    if entry.refused:
        return (
            f"| {run} | {entry.target} | {entry.metric} | - | not scored: {entry.refused} | | | {printed} |"
        )
    value = "-" if entry.value is None else f"{100 * entry.value:.2f}"
    between = (
        "" if entry.interval is None else f"{100 * entry.interval[0]:.2f} to {100 * entry.interval[1]:.2f}"
    )
    cells = f"{entry.cells:,}" + (f" ({entry.left_out:,} left out)" if entry.left_out else "")
    classes = f"{len(entry.classes)}: {', '.join(entry.classes)}"
    target = f"{entry.target} ({entry.reading})" if entry.reading else entry.target
    return f"| {run} | {target} | {entry.metric} | {value} | {between} | {cells} | {classes} | {printed} |"
