"""How a classifier is trained: one phase of epochs on Lightning, to be resumed wherever it was killed.

What happens in an epoch depends on the seed, the phase and the epoch's number alone, not on the epochs before it:
a run that goes on from its last checkpoint goes on at the same losses.
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
from typing import Any

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
from pcm_leukemia.baselines.metrics import classification as scores
from pcm_leukemia.files import new_file

__all__ = ["BEST", "Learner", "Phase", "autocast", "ended", "result", "run", "seeded"]

BEST = "val_macro_f1"
"""What the epoch to keep is chosen by: over the classes that val has, the first epoch with the highest."""

FLOOR = 0.01
"""The learning rate ends at that share of its highest."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A number of epochs with one optimizer.

    `number` tells phases apart where random numbers are drawn. `rate` is the highest learning rate, reached after
    `warmup` epochs and left along a cosine; `patience` how many epochs without a better one end the phase, 0 for
    none.
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
    """What Lightning trains: a model of batches to logits, which may have frozen parts.

    Parts without a parameter that is to be learned stay in evaluation mode, so that a frozen batch norm keeps its
    statistics, too.
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
    ) -> None:
        super().__init__()
        self.model, self.phase, self.augment = model, phase, augment
        self.seed, self.steps, self.classes = seed, steps, classes
        # neither is saved with the weights
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.register_buffer("confusion", torch.zeros(classes, classes), persistent=False)

    def on_train_epoch_start(self) -> None:
        """Begin the epoch as any run with this seed begins it."""
        seeds = [self.seed, self.phase.number, self.current_epoch, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))
        for part in self.model.children():
            if not any(weight.requires_grad for weight in part.parameters()):
                part.eval()

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """The loss of a batch."""
        inputs, labels = batch
        logits = self.model(inputs if self.augment is None else self.augment(inputs))
        weights: Any = self.class_weights
        loss = functional.cross_entropy(logits.float(), labels, weight=weights)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels), sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        """Count what a batch was taken for."""
        inputs, labels = batch
        logits = self.model(inputs).float()
        loss = functional.cross_entropy(logits, labels)
        self.log("val_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels), sync_dist=True)
        truth, guess = (functional.one_hot(ids, self.classes).float() for ids in (labels, logits.argmax(1)))
        self.confusion += truth.T @ guess

    def on_validation_epoch_end(self) -> None:
        """Score what was counted, in all processes."""
        summed = self.trainer.strategy.reduce(self.confusion.clone(), reduce_op="sum")
        assert isinstance(summed, torch.Tensor)
        self.confusion.zero_()
        matrix = summed.round().long().cpu().numpy()
        self.log("val_accuracy", scores.accuracy(matrix))
        self.log(BEST, scores.macro_f1(matrix))

    def configure_optimizers(self) -> Any:
        """AdamW; biases and norms are not decayed."""
        learned = [weight for weight in self.model.parameters() if weight.requires_grad]
        groups = [
            {"params": [w for w in learned if w.ndim > 1], "weight_decay": self.phase.weight_decay},
            {"params": [w for w in learned if w.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=self.phase.rate)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._share)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _share(self, step: int) -> float:
        """Of the highest learning rate, at a step: up in a line, down along a cosine."""
        rise = self.phase.warmup * self.steps
        if step < rise:
            return (step + 1) / (rise + 1)
        gone = (step - rise) / max(self.phase.epochs * self.steps - rise, 1)
        return FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * min(gone, 1))) / 2


class _Curve(pl.Callback):
    """The numbers of every epoch, in a table; kept in the checkpoint, so that a resumed run repeats no line."""

    COLUMNS = ("epoch", "rate", "train_loss", "val_loss", "val_accuracy", BEST)

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's line."""
        seen = trainer.callback_metrics
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        row = {"epoch": trainer.current_epoch + 1, "rate": float(rate)}
        self.rows.append({**row, **{key: float(seen[key]) for key in self.COLUMNS[2:]}})
        if pl_module.global_rank == 0:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with new_file(self.file) as work, work.open("w", encoding="utf-8", newline="") as stream:
                table = csv.DictWriter(stream, self.COLUMNS, lineterminator="\n")
                table.writeheader()
                table.writerows(self.rows)

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.rows = state_dict["rows"]


def ended(phase: Phase, job: Job) -> bool:
    """Whether a resumed job had come to the end of a phase."""
    return job.resume and (_folder(phase, job) / "ended").is_file()


def run(learner: Learner, train: DataLoader[Any], val: DataLoader[Any], job: Job, devices: int) -> None:
    """Train one phase; with `job.resume`, from its last checkpoint.

    The table of its epochs is ``logs/PHASE.csv`` in the job's folder, what TensorBoard shows ``logs/tensorboard``.
    """
    folder = _folder(learner.phase, job)
    last = folder / "last.ckpt"
    go_on = last if job.resume and last.is_file() else None
    learner.train()  # Lightning keeps the modes that it finds
    with _quiet(), _as_before(), _sharing_by_name(devices):
        _trainer(learner.phase, job, devices).fit(learner, train, val, ckpt_path=go_on, weights_only=True)
    (folder / "ended").touch()


def result(learner: Learner, job: Job) -> Mapping[str, Any]:
    """What to record of a phase that has ended; leaves the weights of its best epoch in the learner's model."""
    best = torch.load(_folder(learner.phase, job) / "best.ckpt", map_location="cpu", weights_only=True)
    learner.load_state_dict(best["state_dict"])
    with _curve(learner.phase, job).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    row = max(rows, key=lambda row: float(row[BEST]))
    return {
        "epochs": len(rows),
        "best_epoch": int(row["epoch"]),
        "val_accuracy": float(row["val_accuracy"]),
        BEST: float(row[BEST]),
    }


def _folder(phase: Phase, job: Job) -> Path:
    return job.out / "checkpoints" / phase.name


def _curve(phase: Phase, job: Job) -> Path:
    return job.out / "logs" / f"{phase.name}.csv"


def autocast(precision: str, device: str) -> torch.autocast:
    """The context in which a model computes outside Lightning, at the precision that it was trained with."""
    kind = torch.device(device).type
    dtype = {"bf16": torch.bfloat16, "16": torch.float16}.get(precision.partition("-")[0], torch.float32)
    return torch.autocast(kind, dtype if dtype != torch.float32 else None, enabled=dtype != torch.float32)


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Torch's random numbers from `seed`, and afterwards as if none had been drawn."""
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
    callbacks: list[pl.Callback] = [_Curve(_curve(phase, job)), best, last]
    if phase.patience:
        callbacks.append(EarlyStopping(BEST, mode="max", patience=phase.patience))
    kind, _, index = job.device.partition(":")
    many = devices > 1
    with _quiet():
        return pl.Trainer(
            accelerator="gpu" if kind == "cuda" else kind,
            devices=[int(index)] if index and not many else devices,
            # spawned, so that whatever called us runs once; with the statistics of batch norms shared, no buffer
            # has to be broadcast, and processes may have different numbers of batches to validate
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
            log_every_n_steps=0,  # epochs are logged; a number a step would make the device wait
            enable_progress_bar=job.progress,
            enable_model_summary=False,
        )


@contextmanager
def _sharing_by_name(devices: int) -> Iterator[None]:
    """Processes that are spawned get their tensors by names: by descriptors, one may be closed and used again."""
    before = multiprocessing.get_sharing_strategy()  # type: ignore[no-untyped-call]
    if devices > 1:
        multiprocessing.set_sharing_strategy("file_system")  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        multiprocessing.set_sharing_strategy(before)  # type: ignore[no-untyped-call]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice: our loaders need no workers, and checkpoints are there when we resume."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for sentence in (
                ".*does not have many workers.*",
                "Checkpoint directory .* exists and is not empty",
                "GPU available but not used",
                r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # between Lightning and torch 2.14
            ):
                warnings.filterwarnings("ignore", sentence)
            yield
    finally:
        log.setLevel(level)


@contextmanager
def _as_before() -> Iterator[None]:
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
