"""The results of adaptation: one, and those over several shares and seeds, as JSON and as a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from pcm_leukemia.baselines.evaluation import Evaluation
from pcm_leukemia.baselines.experiments.share import Share, Size
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.errors import counted
from pcm_leukemia.splits import LEARNED_FROM

__all__ = ["Adaptation", "Adapted", "mean_and_spread"]


@dataclass(frozen=True)
class Adapted:
    """One adaptation: the run, and its scores on the unseen part of the target.

    `before` has the scores of the original model on the same images. `fraction` is the share that was asked for, `drawn` what
    was drawn. `train` and `val` are what was drawn from the target to train on and to choose the epoch.
    """

    fraction: float
    seed: int
    run: Run
    before: Evaluation
    after: Evaluation
    train: Size
    val: Size
    drawn: Share

    @property
    def chosen_by(self) -> str:
        """The score that chose the epoch, as the run recorded it."""
        return str(self.run.record["result"].get("chosen_by", ""))


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
            **({"pretraining": self.zero_shot.pretraining} if self.zero_shot.pretraining else {}),
            "target_share": self.target_share,
            "zero_shot": _numbers(self.zero_shot),
            "fractions": [
                {
                    "fraction": fraction,
                    "seeds": [one.seed for one in those],
                    "before": _spread([_numbers(one.before) for one in those]),
                    "after": _spread([_numbers(one.after) for one in those]),
                    "each": [
                        {
                            "seed": one.seed,
                            **_numbers(one.after),
                            "train": one.train._asdict(),
                            "val": one.val._asdict(),
                            "drawn": one.drawn._asdict(),
                            "chosen_by": one.chosen_by,
                        }
                        for one in those
                    ],
                }
                for fraction, those in self._by_fraction().items()
            ],
        }

    @property
    def target_share(self) -> float | None:
        """The expected share of the target in a training batch; None if all cells are drawn equally often."""
        share: float | None = self.each[0].run.record["asked"].get("target", {}).get("share")
        return share

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
                (f"with {_drawn_share(those)}%, the rest", "after"),
            ):
                spread = _spread([_numbers(getattr(one, which)) for one in those])
                cells = (_mean_of(len(those), **spread[name]) for name in names)
                lines.append(f"{title:26}" + "".join(f"{cell:>20}" for cell in cells))
            if _drawn_share(those) != f"{100 * fraction:g}":
                share = those[0].drawn
                lines.append(
                    f"  drawn: {share.drawn:,} of {counted(share.of, share.unit)}; {100 * fraction:g}% was asked for"
                )
            lines.append(f"  {_drawn(those)}")
        lines.append(f"epochs chosen by {self.each[0].chosen_by}")
        if self.zero_shot.pretraining:
            lines.append(f"note: {self.zero_shot.pretraining}")
        if self.target_share is not None:
            lines.append(f"drawn from the target: {self.target_share:.0%} of each training batch, on average")
        return "\n".join(lines)


def _numbers(evaluation: Evaluation) -> dict[str, float]:
    """The scores that the paper prints, 0 to 1; macro F1 over each choice of classes."""
    if evaluation.classification is not None:
        return {name: each.value for name, each in evaluation.classification.in_tables().items()}
    assert evaluation.detection is not None
    return {
        "mAP50-95": evaluation.detection.overall.ap or 0.0,
        "AP50": evaluation.detection.overall.ap50 or 0.0,
    }


def _drawn_share(those: Sequence[Adapted]) -> str:
    """The share that was drawn, in per cent; the same for every seed."""
    return f"{those[0].drawn.percent:.3g}"


def _drawn(those: Sequence[Adapted]) -> str:
    """How much of the share of the target is trained on, and how much chooses the epoch."""

    def sizes(part: Sequence[Size]) -> str:
        images, cells = ([size[number] for size in part] for number in (0, 1))
        return f"{_range(images, 'image')} with {_range(cells, 'cell')}"

    train, val = ([getattr(one, part) for one in those] for part in LEARNED_FROM)
    said = f"of the target, {sizes(train)} to train the model"
    if not any(size.images for size in val):
        return f"{said}, and none were left to choose the epoch"
    return f"{said}, {sizes(val)} to choose the epoch"


def _range(counts: Sequence[int], noun: str) -> str:
    least, most = min(counts), max(counts)
    return counted(least, noun) if least == most else f"{least:,} to {counted(most, noun)}"


def _spread(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    spreads = {name: mean_and_spread([row[name] for row in rows]) for name in rows[0]}
    return {name: {"mean": middle, "sd": spread} for name, (middle, spread) in spreads.items()}


def _mean_of(seeds: int, mean: float, sd: float) -> str:
    """A mean in per cent, with its deviation if there are several seeds."""
    return f"{100 * mean:.2f}" + (f" ± {100 * sd:.2f}" if seeds > 1 else "")


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the standard deviation of a sample; the deviation is 0 for one value.

    Examples
    --------
    >>> mean_and_spread([1.0, 3.0])
    (2.0, 1.4142135623730951)
    """
    return mean(values), stdev(values) if len(values) > 1 else 0.0
