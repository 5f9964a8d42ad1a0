"""Trains a classifier for one phase of epochs with Lightning, and resumes it if it was killed.

The random numbers of an epoch depend only on the seed, the phase and the epoch, not on earlier epochs. So a run that
resumes from its last checkpoint has the same losses as one that was not interrupted.
"""

from __future__ import annotations

import csv
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch import multiprocessing, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.epoch_log import write_epochs
from pcm_leukemia.baselines.metrics import classification as scores
from pcm_leukemia.progress import visible

__all__ = ["BEST", "Learner", "Phase", "autocast", "ended", "result", "run", "seeded"]

BEST = "val_macro_f1"
"""The score that chooses the epoch to keep (the first one with the highest), over the classes present in val.

If val has several domains, it is the mean of the scores of each domain, which are logged as ``val_macro_f1_DOMAIN``.
"""

Batch: TypeAlias = tuple[torch.Tensor, ...]

FLOOR = 0.01
"""The learning rate ends at this fraction of its peak."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A number of epochs with one optimizer.

    `number` gives each phase random numbers of its own. `rate` is the peak learning rate; it is reached after `warmup`
    epochs and then falls along a cosine. The phase ends after `patience` epochs without a better one; 0 never stops
    early.
    """

    name: str
    number: int
    epochs: int
    rate: float
    weight_decay: float
    warmup: float
    patience: int
    precision: str
    deterministic: bool


class Learner(pl.LightningModule):
    """What Lightning trains: a model from batches to logits, parts of which may be frozen.

    If there are `domains`, validation batches have the number of each item's domain as their third tensor.
    """

    confusion: torch.Tensor

    def __init__(
        self,
        model: nn.Module,
        phase: Phase,
        *,
        classes: int,
        seed: int,
        steps: int,
        augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
        class_weights: torch.Tensor | None = None,
        domains: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.model, self.phase, self.augment = model, phase, augment
        self.seed, self.steps, self.classes, self.domains = seed, steps, classes, domains
        # not saved with the weights
        self.register_buffer("class_weights", class_weights, persistent=False)
        counts = torch.zeros(len(domains) or 1, classes, classes, dtype=torch.long)
        self.register_buffer("confusion", counts, persistent=False)

    def on_train_epoch_start(self) -> None:
        """Seed the epoch."""
        seeds = [self.seed, self.phase.number, self.current_epoch, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """The loss of a batch."""
        inputs, labels, *_ignored = batch
        logits = self.model(inputs if self.augment is None else self.augment(inputs))
        weights: Any = self.class_weights
        loss = functional.cross_entropy(logits.float(), labels, weight=weights)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels), sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Add a batch to the confusion matrix of each domain."""
        inputs, labels, *more = batch
        logits = self.model(inputs).float()
        loss = functional.cross_entropy(logits, labels)
        self.log("val_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels), sync_dist=True)
        # in whole numbers: under autocast, a product of matrices would round counts above 256
        rows = labels + more[0] * self.classes if self.domains else labels
        pairs = rows * self.classes + logits.argmax(1)
        counts = torch.bincount(pairs, minlength=self.confusion.numel())
        self.confusion += counts.reshape(self.confusion.shape)

    def on_validation_epoch_end(self) -> None:
        """Score the confusion matrices, summed over all processes."""
        summed = self.trainer.strategy.reduce(self.confusion.clone(), reduce_op="sum")
        assert isinstance(summed, torch.Tensor)
        self.confusion.zero_()
        matrices = summed.cpu().numpy()
        self.log("val_accuracy", scores.accuracy(matrices.sum(axis=0)))
        of_domains = [scores.macro_f1(matrix) for matrix in matrices]
        for domain, score in zip(self.domains, of_domains, strict=False):
            self.log(f"{BEST}_{domain}", score)
        self.log(BEST, fmean(of_domains))

    def configure_optimizers(self) -> Any:
        """AdamW, without weight decay on biases and norms."""
        learned = [weight for weight in self.model.parameters() if weight.requires_grad]
        groups = [
            {"params": [w for w in learned if w.ndim > 1], "weight_decay": self.phase.weight_decay},
            {"params": [w for w in learned if w.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=self.phase.rate)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate_fraction)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _rate_fraction(self, step: int) -> float:
        """The learning rate at a step, as a fraction of its peak: a linear rise, then a cosine."""
        rise = self.phase.warmup * self.steps
        if step < rise:
            return (step + 1) / (rise + 1)
        gone = (step - rise) / max(self.phase.epochs * self.steps - rise, 1)
        return FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * min(gone, 1))) / 2


class _EpochLog(pl.Callback):
    """The table of every epoch's numbers; also kept in the checkpoint, so that a resumed run repeats no row."""

    LOGGED = ("train_loss", "val_loss", "val_accuracy", BEST)

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: list[dict[str, float]] = []

    @property
    def state_key(self) -> str:
        """The name of the rows in checkpoints; runs that earlier versions began have them under it."""
        return "_Curve"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the row of the epoch."""
        seen = trainer.callback_metrics
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        row = {"epoch": trainer.current_epoch + 1, "rate": float(rate)}
        domains: tuple[str, ...] = pl_module.domains  # type: ignore[assignment]
        logged = (*self.LOGGED, *(f"{BEST}_{domain}" for domain in domains))
        self.rows.append({**row, **{key: float(seen[key]) for key in logged}})
        if pl_module.global_rank == 0:
            write_epochs(self.file, self.rows)

    def state_dict(self) -> dict[str, Any]:
        """The rows, for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows from the checkpoint."""
        self.rows = state_dict["rows"]


def ended(phase: Phase, job: Job) -> bool:
    """Whether a resumed job had already finished a phase."""
    return job.resume and (_folder(phase, job) / "ended").is_file()


def run(learner: Learner, train: DataLoader[Any], val: DataLoader[Any], job: Job, devices: int) -> None:
    """Train one phase; with `job.resume`, from its last checkpoint.

    Leaves the table of its epochs in ``logs/PHASE.csv`` of the job's folder, and the logs of TensorBoard in
    ``logs/tensorboard``.
    """
    folder = _folder(learner.phase, job)
    last = folder / "last.ckpt"
    checkpoint = last if job.resume and last.is_file() else None
    learner.train()  # Lightning keeps the modes that it finds
    with _quiet(), _determinism_restored(), _sharing_by_name(devices):
        _trainer(learner.phase, job, devices).fit(
            learner, train, val, ckpt_path=checkpoint, weights_only=True
        )
    (folder / "ended").touch()


def result(learner: Learner, job: Job) -> Mapping[str, Any]:
    """Load the weights of the best epoch into the learner's model; returns what to record of the finished phase."""
    best = torch.load(_folder(learner.phase, job) / "best.ckpt", map_location="cpu", weights_only=True)
    learner.load_state_dict(best["state_dict"])
    with _log_file(learner.phase, job).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    row = max(rows, key=lambda row: float(row[BEST]))
    return {
        "epochs": len(rows),
        "best_epoch": int(row["epoch"]),
        "val_accuracy": float(row["val_accuracy"]),
        **{name: float(value) for name, value in row.items() if name.startswith(BEST)},
    }


def _folder(phase: Phase, job: Job) -> Path:
    return job.out / "checkpoints" / phase.name


def _log_file(phase: Phase, job: Job) -> Path:
    return job.out / "logs" / f"{phase.name}.csv"


def autocast(precision: str, device: str) -> torch.autocast:
    """The context for running a model outside Lightning, at the precision that it was trained with."""
    kind = torch.device(device).type
    dtype = {"bf16": torch.bfloat16, "16": torch.float16}.get(precision.partition("-")[0], torch.float32)
    return torch.autocast(kind, dtype if dtype != torch.float32 else None, enabled=dtype != torch.float32)


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch inside the block, and restore its random state afterwards."""
    with torch.random.fork_rng([] if device == "cpu" else [device]):
        torch.manual_seed(seed)
        yield


def _trainer(phase: Phase, job: Job, devices: int) -> pl.Trainer:
    folder = _folder(phase, job)
    # the epoch to keep, and the last one to resume from; Lightning writes both in one step
    best = ModelCheckpoint(
        folder, "best", monitor=BEST, mode="max", save_weights_only=True, enable_version_counter=False
    )
    last = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    callbacks: list[pl.Callback] = [_EpochLog(_log_file(phase, job)), best, last]
    if phase.patience:
        callbacks.append(EarlyStopping(BEST, mode="max", patience=phase.patience))
    kind, _, index = job.device.partition(":")
    many = devices > 1
    with _quiet():
        return pl.Trainer(
            accelerator="gpu" if kind == "cuda" else kind,
            devices=[int(index)] if index and not many else devices,
            # spawned, so that the calling script runs only once; batch norms share their statistics, so no buffers
            # need broadcasting, and processes may have different numbers of validation batches
            strategy=DDPStrategy(start_method="spawn", broadcast_buffers=False) if many else "auto",
            sync_batchnorm=many and kind == "cuda",
            precision=phase.precision,  # type: ignore[arg-type]
            max_epochs=phase.epochs,
            callbacks=callbacks,
            logger=TensorBoardLogger(job.out / "logs", "tensorboard", phase.name),
            default_root_dir=job.out,
            gradient_clip_val=1.0,
            deterministic="warn" if phase.deterministic and not many else None,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            log_every_n_steps=0,  # only epochs are logged; logging each step would make the device wait
            enable_progress_bar=job.progress and visible(),
            enable_model_summary=False,
        )


@contextmanager
def _sharing_by_name(devices: int) -> Iterator[None]:
    """Share tensors with spawned processes by file names, because a file descriptor may be closed and reused."""
    before = multiprocessing.get_sharing_strategy()  # type: ignore[no-untyped-call]
    if devices > 1:
        multiprocessing.set_sharing_strategy("file_system")  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        multiprocessing.set_sharing_strategy(before)  # type: ignore[no-untyped-call]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice that does not apply: our loaders need no workers, and checkpoints exist on resuming."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for sentence in (
                ".*does not have many workers.*",
                "Checkpoint directory .* exists and is not empty",
                "GPU available but not used",
                r"Found \d+ module\(s\) in eval mode",  # those that are frozen
                r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # between Lightning and torch 2.14
            ):
                warnings.filterwarnings("ignore", sentence)
            yield
    finally:
        log.setLevel(level)


@contextmanager
def _determinism_restored() -> Iterator[None]:
    """Leave torch's switches of determinism as they were."""
    on, warn = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    benchmark = torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(on, warn_only=warn)
        torch.backends.cudnn.benchmark = benchmark
