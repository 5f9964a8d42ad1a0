"""ultralytics' training loop on our data, with exact resuming.

The loop, its augmentations, losses and schedule are ultralytics'. Three things that it would do silently are prevented
or reported: halving the batch when memory is short, leaving out images, and returning to an earlier epoch when the
loss is not finite.

Each epoch has random numbers of its own, and the checkpoint after it is exact. ultralytics' own checkpoints have half
the precision, and lack the accumulated gradients and the random state.
"""

from __future__ import annotations

import random
import warnings
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from rich.progress import Progress, TaskID
from safetensors.torch import save_file

from pcm_leukemia.baselines import stain
from pcm_leukemia.baselines.epoch_log import write_epochs
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
from pcm_leukemia.progress import console, visible

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
"""ultralytics' names of the logged numbers, and ours. AP is computed by ultralytics and is close to COCO's."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the trainer must know besides ultralytics' arguments; kept in a file, which processes on other GPUs read.

    `images` is the number of images in train and in val. `reference` is a stain reference as JSON.
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
        """The file from which a killed run resumes."""
        return Path(self.out) / "checkpoint.pt"


class Trainer(DetectionTrainer):  # type: ignore[misc]
    """Trains a detector by a `Plan`; ultralytics' argument `data` is the path of its file."""

    def __init__(self, cfg: Any, overrides: dict[str, Any], _callbacks: Any = None) -> None:
        self.plan = msgspec.json.decode(Path(overrides["data"]).read_bytes(), type=Plan)
        self.rows: list[dict[str, float]] = []
        self.origin = ""
        self._gradients: dict[str, torch.Tensor] | None = None
        self._stepped = self._batch = -1
        shown = self.plan.progress and RANK in {-1, 0} and visible()
        self._bar = Progress(console=console(), disable=not shown)
        super().__init__(cfg, overrides, _callbacks)

    def train(self) -> None:
        """Train, with a progress bar if the plan asks for one."""
        # a disabled bar would leave an empty line
        with nullcontext() if self._bar.disable else self._bar:
            super().train()

    # Model and data

    def get_dataset(self) -> dict[str, Any]:
        """The content of a data.yaml; reading one would make ultralytics download a font."""
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
        """Build the model, with the weights that it starts from."""
        model = build(self.plan.model, len(self.plan.labels))
        self.origin = "none"
        if self.plan.weights != "none" and not self.plan.checkpoint.is_file():
            given = pretrained(self.plan.weights)
            mine, theirs = model.state_dict(), given.state_dict()
            fit = [key for key in mine if key in theirs and mine[key].shape == theirs[key].shape]
            if not fit:
                raise ValueError(
                    f'weights "{self.plan.weights}": do not fit {self.plan.model}; give weights of that model, or none'
                )
            model.load(given, verbose=False)  # type: ignore[operator]
            self.origin = f"{Path(self.plan.weights).name}: {len(fit)} of {len(mine)} tensors"
        self.model = model

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """The data set of ultralytics, with the stain of the plan; warns if ultralytics leaves out images."""
        dataset = super().build_dataset(img_path, mode, batch)
        wanted = self.plan.images[mode != "train"]
        if len(dataset.labels) < wanted and RANK in {-1, 0}:
            warnings.warn(
                f"{mode}: ultralytics leaves out {wanted - len(dataset.labels):,} of {wanted:,} images, because they "
                "are damaged, or less than 10 pixels wide or high; repair or remove them",
                DataWarning,
                stacklevel=2,
            )
        kind = self.plan.stain
        if kind in ("reinhard", "macenko") or (kind == "hed" and mode == "train"):
            reference = self.plan.reference and stain.Reference.from_json(self.plan.reference)
            # the class of a finished object is changed, because ultralytics chooses the class and fills the object
            dataset.__class__ = _Stained
            dataset.recolour = stain.augmentation(kind, reference or None, seed=self.plan.seed)
        return dataset

    # Epochs that start the same way after resuming

    def _setup_train(self) -> None:
        super()._setup_train()
        if self.plan.checkpoint.is_file():
            self._resume(torch.load(self.plan.checkpoint, map_location=self.device, weights_only=True))
        batches = len(self.train_loader)
        self._bar.add_task("training", total=self.epochs * batches, completed=self.start_epoch * batches)

    def _model_train(self) -> None:
        super()._model_train()
        # makes a lack of memory raise at once: a smaller batch would be another experiment
        self._oom_retries = 3
        seed = np.random.SeedSequence([self.plan.seed, self.epoch, RANK + 1])
        numbers = seed.generate_state(2).tolist()
        random.seed(numbers[0])
        np.random.seed(numbers[0])  # noqa: NPY002 - ultralytics draws from this generator
        torch.manual_seed(numbers[0])
        self.train_loader.reset()
        self.train_loader.generator.manual_seed(numbers[1])
        dataset = self.train_loader.dataset
        if dataset.cache != "ram":
            dataset.buffer = []
            dataset.ims = [None] * len(dataset.ims)
        self._batch = self.epoch * len(self.train_loader) - 1
        if self._gradients is not None:
            for name, parameter in unwrap_model(self.model).named_parameters():
                parameter.grad = self._gradients.get(name)
            self._gradients = None

    def optimizer_step(self) -> None:
        """Do nothing; `run_callbacks` takes the steps, because the loop forgets its last step between epochs."""

    def run_callbacks(self, event: str) -> None:
        """Step the optimizer after every `accumulate` batches, also across epochs."""
        if event == "on_train_batch_end":
            self._batch += 1
            if self._batch - self._stepped >= self.accumulate:
                super().optimizer_step()
                self._stepped = self._batch
            self._bar.advance(TaskID(0))
        super().run_callbacks(event)

    # Log, weights and checkpoint

    def save_metrics(self, metrics: dict[str, Any]) -> None:
        """Add the epoch's row to the log, without times."""
        row = {ours: float(metrics[theirs]) for theirs, ours in _COLUMNS.items() if theirs in metrics}
        self.rows.append({"epoch": self.epoch + 1, "lr": float(metrics["lr/pg0"]), **row})

    def save_model(self) -> bool:
        """Write the weights if they are the best so far, then the log, then the checkpoint."""
        if self.stop and not self.optimizer.state:
            raise RuntimeError(
                f"yolo11m: ultralytics {version('ultralytics')} trained without a step of the optimizer; install the version "
                "that pcm-leukemia asks for: pip install 'pcm-leukemia[baselines]'"
            )
        out = Path(self.plan.out)
        if self.best_fitness == self.fitness:
            weights = {name: value.contiguous() for name, value in self.ema.ema.state_dict().items()}
            # a single entry, because safetensors writes several in a different order each time
            about = {
                "model": msgspec.json.encode({"yaml": self.ema.ema.yaml, "labels": self.plan.labels}).decode()
            }
            with new_file(out / MODEL) as work:
                save_file(weights, work, about)
        write_epochs(out / "logs" / "metrics.csv", self.rows)
        model = unwrap_model(self.model)
        group = self.optimizer.param_groups[0]
        state = {
            "epoch": self.epoch,
            "done": bool(self.stop),
            "rows": self.rows,
            "weights": self.origin,
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

    def _resume(self, state: dict[str, Any]) -> None:
        """Restore a checkpoint of `save_model`."""
        unwrap_model(self.model).load_state_dict(state["model"])
        self.ema.ema.load_state_dict(state["ema"])
        self.ema.updates = state["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.rows, self.origin, self._stepped = state["rows"], state["weights"], state["stepped"]
        self._gradients = state["gradients"]
        self.best_fitness = state["best"]
        self.stopper.best_fitness, self.stopper.best_epoch, self.stopper.possible_stop = state["stopper"]
        self.start_epoch = state["epoch"] + 1
        self.scheduler.last_epoch = self.start_epoch - 1

    def final_eval(self) -> None:
        """Do nothing; the best epoch has already been scored, and its weights are kept."""

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if self.loss is not None and not self.loss.isfinite():
            raise FloatingPointError(
                f"epoch {epoch + 1}: the loss is {float(self.loss)}; train with a lower lr, or precision 32"
            )
        return False


class _Stained(YOLODataset):  # type: ignore[misc]
    """Images whose colours are changed after resizing; ultralytics gets all images from `load_image`."""

    recolour: Any

    def load_image(
        self,
        i: int,
        rect_mode: bool = True,  # noqa: FBT001, FBT002 - as it is called
        resize_short: bool = False,  # noqa: FBT001, FBT002
    ) -> tuple[Pixels, tuple[int, int], tuple[int, int]]:
        """An image as ultralytics has it, in the order blue, green, red."""
        pixels, before, after = super().load_image(i, rect_mode, resize_short)
        changed: Pixels = self.recolour(np.ascontiguousarray(pixels[..., ::-1]))
        return np.ascontiguousarray(changed[..., ::-1]), before, after
