"""Adaptation: the epoch is chosen on source and target alike, and the target may have a share of each batch."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image
from pcm_leukemia.baselines.classifiers import loop
from pcm_leukemia.baselines.classifiers.balance import class_weights, draw_weights
from pcm_leukemia.baselines.classifiers.crops import Draws, Rows, loader
from pcm_leukemia.baselines.contract import DOMAINS, Job, Target
from pcm_leukemia.baselines.metrics import classification as scores
from pcm_leukemia.schema import ImageId

PHASE = loop.Phase(
    name="tune",
    number=1,
    epochs=3,
    rate=1e-9,
    weight_decay=0.0,
    warmup=0.0,
    patience=0,
    precision="32-true",
    deterministic=True,
)
LABELS = np.array([0, 1] * 9 + [0, 1], np.int64)
DOMAIN_OF = np.array([0] * 18 + [1] * 2, np.int64)
# rows: cells; columns: what is predicted for them in each epoch. The source is right most often in the first epoch, the
# target is right in the second only.
SAID = np.stack([LABELS, LABELS, 1 - LABELS], axis=1)
SAID[18:, 0] = 1 - LABELS[18:]
SAID[:3, 1] = 1 - LABELS[:3]


class Recited(nn.Module):
    """Predicts what its input says for the epoch that it is in."""

    epoch: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("epoch", torch.tensor(0))

    def forward(self, said: torch.Tensor) -> torch.Tensor:
        if self.training:  # one batch in each epoch
            self.epoch += 1
        place = max(int(self.epoch) - 1, 0)
        return functional.one_hot(said[:, place].long(), 2) * self.scale


def empty() -> Dataset:
    return Dataset("nothing", NINE, ())


def learn(out: Path, domains: tuple[str, ...], **changes: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Train on the recited predictions; returns the record and the log."""
    data = Rows(torch.tensor(SAID, dtype=torch.float32), LABELS, DOMAIN_OF if domains else None)
    job = Job(empty(), empty(), out, **changes)
    draws = Draws(len(data), len(data), 0)
    learner = loop.Learner(Recited(), PHASE, classes=2, seed=0, steps=len(draws), domains=domains)
    # batches of 7 have cells of both domains
    loop.run(
        learner, loader(data, draws, "cpu", 0), loader(data, Draws(len(data), 7), "cpu", 0), job, job.devices
    )
    with (out / "logs" / "tune.csv").open(newline="") as stream:
        return dict(loop.result(learner, job)), list(csv.DictReader(stream))


def macro_f1(epoch: int, domain: int) -> float:
    there = domain == DOMAIN_OF
    confusion = np.zeros((2, 2), np.int64)
    np.add.at(confusion, (LABELS[there], SAID[there, epoch]), 1)
    return scores.macro_f1(confusion)


@pytest.mark.trains
def test_the_epoch_is_the_best_for_the_mean_of_both_domains(tmp_path: Path) -> None:
    pooled, log = learn(tmp_path / "pooled", ())
    assert pooled["best_epoch"] == 1
    assert list(log[0])[-1] == "val_macro_f1"
    both, log = learn(tmp_path / "both", DOMAINS)
    assert both["best_epoch"] == 2
    for epoch, row in enumerate(log):
        source, target = macro_f1(epoch, 0), macro_f1(epoch, 1)
        assert float(row["val_macro_f1_source"]) == pytest.approx(source)
        assert float(row["val_macro_f1_target"]) == pytest.approx(target)
        assert float(row["val_macro_f1"]) == pytest.approx((source + target) / 2)
        assert float(row["val_accuracy"]) == pytest.approx((SAID[:, epoch] == LABELS).mean())
    assert both["val_macro_f1"] == pytest.approx((macro_f1(1, 0) + 1) / 2)
    assert (both["val_macro_f1_source"], both["val_macro_f1_target"]) == pytest.approx((macro_f1(1, 0), 1))


@pytest.mark.trains
def test_a_killed_adaptation_chooses_the_same_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = learn(tmp_path / "whole", DOMAINS)

    def killed(_: Any, trainer: Any, *_more: Any) -> None:
        if trainer.current_epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop._EpochLog, "on_train_epoch_start", killed, raising=False)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            learn(tmp_path / "killed", DOMAINS)
    assert learn(tmp_path / "killed", DOMAINS, resume=True) == whole


def val(*labels: str) -> Dataset:
    images = tuple(Image(ImageId(f"{n}.png"), 9, 9) for n in range(len(labels)))
    cells = (Cell(i.id, 0, label, Box(0, 0, 9, 9)) for i, label in zip(images, labels, strict=True))
    return Dataset("val", NINE, images, tuple(cells))


def test_val_has_two_domains_only_if_both_have_cells() -> None:
    first = Target(frozenset({ImageId("0.png")}))
    assert Job(empty(), val("Monocyte", "Basophil"), Path(), target=first).domains == ("source", "target")
    assert Job(empty(), val("Monocyte", "Basophil"), Path()).domains == ()
    assert Job(empty(), val("Monocyte"), Path(), target=first).domains == ()
    assert Job(empty(), val(IGNORE, "Basophil"), Path(), target=first).domains == ()
    both = Job(empty(), val("Monocyte", "Basophil"), Path(), target=first)
    assert both.chosen_by("val_AP") == "val_AP, the mean of source and target"
    assert Job(empty(), val("Monocyte"), Path(), target=first).chosen_by("val_AP") == "val_AP"


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2, max_size=40),
    st.floats(0.05, 0.95),
    st.booleans(),
)
def test_the_target_is_drawn_as_often_as_asked(
    cells: list[tuple[int, bool]],
    share: float,
    by_class: bool,  # noqa: FBT001
) -> None:
    labels = np.array([label for label, _ in cells], np.int64)
    domains = np.array([of_target for _, of_target in cells], np.int64)
    if len(set(domains)) < 2:
        with pytest.raises(ValueError, match="train has no cell of the (source|target); leave it out"):
            draw_weights(labels, 4, by_class=by_class, domains=domains, target_share=share)
        return
    drawn = draw_weights(labels, 4, by_class=by_class, domains=domains, target_share=share)
    assert drawn is not None
    assert drawn.sum() == pytest.approx(len(labels))
    assert drawn[domains == 1].sum() / drawn.sum() == pytest.approx(share)
    for domain in (0, 1):
        own = domains == domain
        often = [drawn[own & (labels == label)].sum() for label in set(labels[own])]
        if by_class:
            assert often == pytest.approx([often[0]] * len(often))
        else:
            assert drawn[own] == pytest.approx(drawn[own][0])
    # each class has the same total weight in the loss, as often as its cells are drawn
    weights = class_weights(labels, 4, drawn)
    totals = [(drawn * weights[labels])[labels == label].sum() for label in set(labels)]
    assert totals == pytest.approx([len(labels) / len(totals)] * len(totals))


def test_without_a_share_cells_are_drawn_as_before() -> None:
    labels = np.array([0, 0, 0, 2], np.int64)
    assert draw_weights(labels, 3, by_class=False) is None
    assert draw_weights(labels, 3, by_class=False, domains=np.array([0, 0, 1, 1])) is None
    assert draw_weights(labels, 3, by_class=True) == pytest.approx(np.array([2, 2, 2, 6]) / 3)


def test_batches_have_the_share() -> None:
    domains = np.array([0] * 900 + [1] * 100, np.int64)
    labels = np.zeros(1000, np.int64)
    weights = draw_weights(labels, 1, by_class=False, domains=domains, target_share=0.5)
    drawn = [item for _, batch in Draws(1000, 50, 0, weights) for item in batch]
    assert domains[drawn].mean() == pytest.approx(0.5, abs=0.05)
