"""ultralytics' training loop, told what to learn from, and made to go on after a kill as if nothing had happened.

The loop, its augmentations, losses and schedule are ultralytics'. What it would do without a word is not: halve
the batch when memory is short, leave out images, go back to an earlier epoch when the loss is no number.

Every epoch starts from random numbers of its own, and what is saved after it is exact: ultralytics' own
checkpoints keep half of the digits, and neither the gradients under way nor the random state.
"""

from __future__ import annotations

import csv
import random
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from rich.progress import Progress, TaskID
from safetensors.torch import save_file

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.yolo11m.ultralytics import (
    RANK,
    DetectionTrainer,
    YOLODataset,
    build,
    pretrained,
    unwrap_model,
)
from pcm_leukemia.errors import DataWarning
from pcm_leukemia.files import new_file
from pcm_leukemia.images import Pixels

__all__ = ["MODEL", "Plan", "Trainer"]

MODEL = "model.safetensors"

_COLUMNS = {
    "train/box_loss": "train_box",
    "train/cls_loss": "train_cls",
    "train/dfl_loss": "train_dfl",
    "val/box_loss": "val_box",
    "val/cls_loss": "val_cls",
    "val/dfl_loss": "val_dfl",
    "metrics/precision(B)": "val_precision",
    "metrics/recall(B)": "val_recall",
    "metrics/mAP50(B)": "val_AP50",
    "metrics/mAP50-95(B)": "val_AP",
}
"""ultralytics' names of what is logged, and ours. Its AP is its own, near COCO's."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the trainer has to know besides ultralytics' arguments; a file, for processes on other GPUs to read.

    `images` is how many there are to train and to validate on. `reference` is the JSON of a stain's.
    """

    out: str
    model: str
    weights: str
    labels: tuple[str, ...]
    train: str
    val: str
    images: tuple[int, int]
    seed: int
    progress: bool
    stain: stain.Kind
    reference: str | None = None

    @property
    def checkpoint(self) -> Path:
        """What a run that was killed goes on from."""
        return Path(self.out) / "checkpoint.pt"


class Trainer(DetectionTrainer):  # type: ignore[misc]
    """Trains a detector by a `Plan`, the file of which is ultralytics' argument `data`."""

    def __init__(self, cfg: Any, overrides: dict[str, Any], _callbacks: Any = None) -> None:
        self.plan = msgspec.json.decode(Path(overrides["data"]).read_bytes(), type=Plan)
        self.rows: list[dict[str, float]] = []
        self.said = ""
        self.done = False
        self._left: dict[str, torch.Tensor] | None = None
        self._stepped = self._batch = -1
        self._bar = Progress(disable=not self.plan.progress or RANK not in {-1, 0})
        super().__init__(cfg, overrides, _callbacks)

    def train(self) -> None:
        """Train, with a bar if that is asked for."""
        # one that is not shown would leave an empty line
        with nullcontext() if self._bar.disable else self._bar:
            super().train()

    # What it learns, and from what

    def get_dataset(self) -> dict[str, Any]:
        """What ultralytics reads from a data.yaml, without the font that it would download on that occasion."""
        plan = self.plan
        return {
            "path": Path(plan.train).parent,
            "train": plan.train,
            "val": plan.val,
            "names": dict(enumerate(plan.labels)),
            "nc": len(plan.labels),
            "channels": 3,
        }

    def setup_model(self) -> None:
        """Build the model, with the weights it begins with."""
        model = build(self.plan.model, len(self.plan.labels))
        self.said = "none"
        if self.plan.weights != "none" and not self.plan.checkpoint.is_file():
            given = pretrained(self.plan.weights)
            mine, theirs = model.state_dict(), given.state_dict()
            fit = [key for key in mine if key in theirs and mine[key].shape == theirs[key].shape]
            if not fit:
                raise ValueError(
                    f'weights "{self.plan.weights}": none fit {self.plan.model}; give those of the same model, or none'
                )
            model.load(given, verbose=False)  # type: ignore[operator]
            self.said = f"{Path(self.plan.weights).name}: {len(fit)} of {len(mine)} tensors"
        self.model = model

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """The data set of ultralytics, with the stain changed as asked; a warning tells how many images it left out."""
        dataset = super().build_dataset(img_path, mode, batch)
        wanted = self.plan.images[mode != "train"]
        if len(dataset.labels) < wanted and RANK in {-1, 0}:
            warnings.warn(
                f"{mode}: ultralytics cannot use {wanted - len(dataset.labels):,} of {wanted:,} images, and leaves "
                "them out: they are damaged, or less than 10 pixels wide or high",
                DataWarning,
                stacklevel=2,
            )
        kind = self.plan.stain
        if kind in ("reinhard", "macenko") or (kind == "hed" and mode == "train"):
            reference = self.plan.reference and stain.Reference.from_json(self.plan.reference)
            # of the class that ultralytics chose and filled; every way to an image leads through `load_image`
            dataset.__class__ = _Stained
            dataset.recolour = stain.augmentation(kind, reference or None, seed=self.plan.seed)
        return dataset

    # Epochs that begin the same way, whatever was before

    def _setup_train(self) -> None:
        super()._setup_train()
        if self.plan.checkpoint.is_file():
            self._go_on(torch.load(self.plan.checkpoint, map_location=self.device, weights_only=True))
        batches = len(self.train_loader)
        self._bar.add_task("training", total=self.epochs * batches, completed=self.start_epoch * batches)

    def _model_train(self) -> None:
        super()._model_train()
        self._oom_retries = 3  # a smaller batch would be another experiment: the error is raised instead
        seed = np.random.SeedSequence([self.plan.seed, self.epoch, RANK + 1])
        numbers = seed.generate_state(2).tolist()
        random.seed(numbers[0])
        np.random.seed(numbers[0])  # noqa: NPY002 - the one that ultralytics draws from
        torch.manual_seed(numbers[0])
        self.train_loader.reset()
        self.train_loader.generator.manual_seed(numbers[1])
        dataset = self.train_loader.dataset
        if dataset.cache != "ram":
            dataset.buffer = []
            dataset.ims = [None] * len(dataset.ims)
        self._batch = self.epoch * len(self.train_loader) - 1
        if self._left is not None:
            for name, parameter in unwrap_model(self.model).named_parameters():
                parameter.grad = self._left.get(name)
            self._left = None

    def optimizer_step(self) -> None:
        """Nothing: the loop forgets between epochs when it stepped last; `run_callbacks` steps when it is time."""

    def run_callbacks(self, event: str) -> None:
        """Take an optimizer's step after every `accumulate` batches, across the borders of epochs."""
        if event == "on_train_batch_end":
            self._batch += 1
            if self._batch - self._stepped >= self.accumulate:
                super().optimizer_step()
                self._stepped = self._batch
            self._bar.advance(TaskID(0))
        super().run_callbacks(event)

    # What is kept

    def save_metrics(self, metrics: dict[str, Any]) -> None:
        """Keep the epoch's line, without the time."""
        row = {ours: float(metrics[theirs]) for theirs, ours in _COLUMNS.items() if theirs in metrics}
        self.rows.append({"epoch": self.epoch + 1, "lr": float(metrics["lr/pg0"]), **row})

    def save_model(self) -> bool:
        """Write the weights if they are the best yet, the log, and last what to go on from."""
        out = Path(self.plan.out)
        if self.best_fitness == self.fitness:
            weights = {name: value.contiguous() for name, value in self.ema.ema.state_dict().items()}
            # one entry: the order of several is another each time
            about = {
                "model": msgspec.json.encode({"yaml": self.ema.ema.yaml, "labels": self.plan.labels}).decode()
            }
            with new_file(out / MODEL) as work:
                save_file(weights, work, about)
        (out / "logs").mkdir(exist_ok=True)
        with (
            new_file(out / "logs" / "metrics.csv") as work,
            work.open("w", encoding="utf-8", newline="") as stream,
        ):
            table = csv.DictWriter(stream, list(self.rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(self.rows)
        model = unwrap_model(self.model)
        group = self.optimizer.param_groups[0]
        state = {
            "epoch": self.epoch,
            "done": bool(self.stop),
            "rows": self.rows,
            "weights": self.said,
            "optimizer_name": f"{type(self.optimizer).__name__}",
            "lr0": float(group["initial_lr"]),
            "model": model.state_dict(),
            "gradients": {n: p.grad for n, p in model.named_parameters() if p.grad is not None},
            "ema": self.ema.ema.state_dict(),
            "updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "stepped": self._stepped,
            "best": float(self.best_fitness),
            "stopper": (
                float(self.stopper.best_fitness),
                int(self.stopper.best_epoch),
                bool(self.stopper.possible_stop),
            ),
        }
        with new_file(self.plan.checkpoint) as work:
            torch.save(state, work)
        return True

    def _go_on(self, state: dict[str, Any]) -> None:
        """From what `save_model` wrote."""
        unwrap_model(self.model).load_state_dict(state["model"])
        self.ema.ema.load_state_dict(state["ema"])
        self.ema.updates = state["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.rows, self.said, self._stepped = state["rows"], state["weights"], state["stepped"]
        self._left = state["gradients"]
        self.best_fitness = state["best"]
        self.stopper.best_fitness, self.stopper.best_epoch, self.stopper.possible_stop = state["stopper"]
        self.start_epoch = state["epoch"] + 1
        self.scheduler.last_epoch = self.start_epoch - 1

    def final_eval(self) -> None:
        """Nothing: the best epoch has been scored, and its weights are kept."""

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if self.loss is not None and not self.loss.isfinite():
            raise FloatingPointError(
                f"epoch {epoch + 1}: the loss is {float(self.loss)}; train with a lower lr, or precision 32"
            )
        return False


class _Stained(YOLODataset):  # type: ignore[misc]
    """Images in other colours, changed after they were resized."""

    recolour: Any

    def load_image(
        self,
        i: int,
        rect_mode: bool = True,  # noqa: FBT001, FBT002 - as it is called
        resize_short: bool = False,  # noqa: FBT001, FBT002
    ) -> tuple[Pixels, tuple[int, int], tuple[int, int]]:
        """Blue, green, red, as ultralytics has them."""
        pixels, before, after = super().load_image(i, rect_mode, resize_short)
        changed: Pixels = self.recolour(np.ascontiguousarray(pixels[..., ::-1]))
        return np.ascontiguousarray(changed[..., ::-1]), before, after
