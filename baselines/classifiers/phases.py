"""The phases of a classifier's training: linear probing, then fine-tuning or low-rank adaptation of the same network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.classifiers import loop, low_rank
from pcm_leukemia.baselines.classifiers.augmentation import augment
from pcm_leukemia.baselines.classifiers.balance import class_weights, draw_weights
from pcm_leukemia.baselines.classifiers.crops import Draws, Pictures, Rows, loader
from pcm_leukemia.baselines.classifiers.network import Network
from pcm_leukemia.baselines.classifiers.settings import Settings
from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.machine import precision_of

__all__ = ["Course", "features"]

_log = logging.getLogger(__name__)


@dataclass
class Course:
    """The training of one network on the prepared crops of both parts."""

    job: Job
    settings: Settings
    network: Network
    train: Pictures
    val: Pictures

    def run(self) -> dict[str, Any]:
        """Run the phases of the strategy; returns what to record."""
        record: dict[str, Any] = {}
        if self.settings.strategy != "direct" and self.settings.probe_epochs:
            probed = self._probe()
            record = {**probed, "probe": probed}
        if self.settings.strategy != "lp" and self.settings.epochs:
            record |= self._adapt() if self.settings.strategy == "lora" else self._tune()
        return record

    def _probe(self) -> Mapping[str, Any]:
        """Train the head alone; the backbone's weights and statistics stay as they are."""
        phase = self._phase("probe", 0, self.settings.probe_epochs, self.settings.probe_lr)
        self.network.freeze(frozen=True)
        if self.settings.augment_probe:
            found = self._learn(phase, self.network, self._pictures)
            _log.warning(
                "linear probing on augmented crops: the frozen backbone ran over the training crops %d times; with "
                "augment_probe=false it runs only once",
                found["epochs"],
            )
        else:
            # a linear head on these features is trained before a second device would have started
            found = self._learn(phase, self.network.head, self._features, devices=1)
        self.network.freeze(frozen=False)
        return found

    def _tune(self) -> Mapping[str, Any]:
        """Train the whole network."""
        phase = self._phase("tune", 1, self.settings.epochs, self.settings.lr, self.settings.patience)
        return self._learn(phase, self.network, self._pictures)

    def _adapt(self) -> Mapping[str, Any]:
        """Train the head and low-rank changes to the backbone, which are then merged into it."""
        settings = self.settings
        phase = self._phase("tune", 1, settings.epochs, settings.lora_lr, settings.patience)
        low_rank.add(self.network, rank=settings.lora_rank, alpha=settings.lora_alpha, seed=self._seed(phase))
        found = self._learn(phase, self.network, self._pictures)
        low_rank.merge(self.network)
        return found

    def _seed(self, phase: loop.Phase) -> int:
        return int(np.random.SeedSequence([self.job.seed, phase.number]).generate_state(1)[0])

    def _phase(self, name: str, number: int, epochs: int, rate: float, patience: int = 0) -> loop.Phase:
        return loop.Phase(
            name=name,
            number=number,
            epochs=epochs,
            rate=rate,
            weight_decay=self.settings.weight_decay,
            warmup=min(self.settings.warmup_epochs, epochs / 2),
            patience=patience,
            precision=precision_of(self.settings.precision, self.job.device, without_bfloat16="16-mixed"),
            deterministic=self.settings.deterministic,
        )

    def _learn(
        self,
        phase: loop.Phase,
        model: nn.Module,
        data: Callable[[], tuple[Pictures, Pictures] | tuple[Rows, Rows]],
        *,
        devices: int | None = None,
    ) -> Mapping[str, Any]:
        """Run one phase, unless it had finished before; leaves the weights of its best epoch in the model."""
        settings, job = self.settings, self.job
        classes = self.network.head.out_features
        drawn = draw_weights(
            self.train.labels,
            classes,
            by_class=settings.balance == "draw",
            domains=self.train.domains,
            target_share=job.target.share if job.target else None,
        )
        even = class_weights(self.train.labels, classes, drawn)
        draws = Draws(len(self.train), settings.batch, self._seed(phase), drawn)
        learner = loop.Learner(
            model,
            phase,
            classes=classes,
            seed=job.seed,
            steps=len(draws),
            augment=partial(augment, colour=settings.color_jitter) if model is self.network else None,
            class_weights=torch.tensor(even, dtype=torch.float32) if settings.balance == "loss" else None,
            domains=job.domains,
        )
        if not loop.ended(phase, job):
            train, val = data()
            loop.run(
                learner,
                loader(train, draws, job.device, job.workers),
                loader(val, Draws(len(val), settings.batch), job.device, job.workers),
                job,
                job.devices if devices is None else devices,
            )
        return loop.result(learner, job)

    def _pictures(self) -> tuple[Pictures, Pictures]:
        """The pictures of both parts; for "hed", the stain of those to train on changes in every epoch."""
        if self.settings.stain != "hed":
            return self.train, self.val
        train, change = self.train, stain.augmentation("hed")
        return Pictures(train.file, train.labels, change, self.job.seed, train.domains), self.val

    def _features(self) -> tuple[Rows, Rows]:
        """The frozen backbone's features of both parts, without augmentation; computed once."""
        precision = precision_of(self.settings.precision, self.job.device, without_bfloat16="16-mixed")
        device, batch = self.job.device, self.settings.batch
        self.network.to(device).eval()
        rows = []
        for pictures in (self.train, self.val):
            batches = loader(pictures, Draws(len(pictures), batch), device, self.job.workers)
            with loop.autocast(precision, device):
                found = features(self.network, batches, device)
            rows.append(Rows(found, pictures.labels, pictures.domains))
        return rows[0], rows[1]


def features(network: Network, batches: Any, device: str) -> torch.Tensor:
    """The features of all pictures, from a network in evaluation mode: float32, ``(n, width)``, on the CPU."""
    with torch.no_grad():
        found = [network.features(pictures.to(device, non_blocking=True)).float() for pictures, *_ in batches]
        return torch.cat(found).cpu()
