"""The training loop of RT-DETRv2 with DEIM's recipe, on Lightning Fabric (devices, precision, several processes).

Each epoch ends with an evaluation of the averaged weights, and with a checkpoint from which a killed run resumes. The
epochs without augmentation, at the end, start from the best epoch before them. All random numbers are seeded by epoch,
image and step, so that a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import math
import random
import shutil
from pathlib import Path
from typing import Any, cast

import torch
from lightning import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import nn
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from transformers import RTDetrV2ForObjectDetection
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import RTDetrV2ModelOutput

from pcm_leukemia.baselines.contract import Job
from pcm_leukemia.baselines.epoch_log import write_epochs
from pcm_leukemia.baselines.machine import precision_of
from pcm_leukemia.baselines.rtdetrv2_deim import augmentation as augment
from pcm_leukemia.baselines.rtdetrv2_deim import model as models
from pcm_leukemia.baselines.rtdetrv2_deim import validation
from pcm_leukemia.baselines.rtdetrv2_deim.data import (
    Batch,
    Chances,
    Order,
    Views,
    collate,
    images_of,
    seed_of,
    targets_of,
)
from pcm_leukemia.baselines.rtdetrv2_deim.detector import RtDetr, scaled
from pcm_leukemia.baselines.rtdetrv2_deim.loss import DeimLoss, Targets, layers_of
from pcm_leukemia.baselines.rtdetrv2_deim.schedule import (
    WeightAverage,
    flat_cosine,
    parameter_groups,
    returns_to_best,
)
from pcm_leukemia.baselines.rtdetrv2_deim.settings import Settings
from pcm_leukemia.baselines.stain import Recolour
from pcm_leukemia.files import new_file
from pcm_leukemia.progress import track
from pcm_leukemia.torchdata import Detection

__all__ = ["MODEL", "Learner", "Training", "fabric_of"]

MODEL = "model"
"""The folder of the best weights, in that of the run."""

LOSSES = ("loss_mal", "loss_bbox", "loss_giou")


class Learner(nn.Module):
    """The model without transformers' loss, which the model's own call would also compute."""

    def __init__(self, model: RTDetrV2ForObjectDetection) -> None:
        super().__init__()
        self.detector = model

    def forward(self, images: torch.Tensor, targets: Targets) -> dict[str, Any]:
        """What the model says of images, ``(batch, 3, height, width)``, in the form that `DeimLoss` takes."""
        outputs: RTDetrV2ModelOutput = self.detector.model(images, labels=targets)
        return layers_of(outputs, self.detector.bbox_embed)


def fabric_of(job: Job, precision: str) -> Fabric:
    """A Fabric for the devices of a job."""
    cuda = job.device.startswith("cuda")
    _, _, index = job.device.partition(":")
    return Fabric(
        accelerator="cuda" if cuda else job.device,
        devices=[int(index)] if index else job.devices,
        strategy=_several() if job.devices > 1 else "auto",
        precision=precision_of(precision, job.device),  # type: ignore[arg-type]
    )


def _several() -> DDPStrategy:
    """Processes that are started from this one: to start the command again would meet the run that it has begun."""
    # denoising has no part in a batch without cells
    return DDPStrategy(start_method="spawn", find_unused_parameters=True)


class Training:
    """A model in training, with all that a checkpoint holds.

    Parameters
    ----------
    fabric
        See `fabric_of`.
    job, settings
        What is to be learned, and how.
    model
        The model that training starts from.
    recolour, recolour_in_val
        Change the colours of each image in training and in validation; None leaves them.
    """

    def __init__(
        self,
        fabric: Fabric,
        job: Job,
        settings: Settings,
        model: RTDetrV2ForObjectDetection,
        recolour: Recolour | None = None,
        recolour_in_val: Recolour | None = None,
    ) -> None:
        self.fabric, self.job, self.settings = fabric, job, settings
        self.order = Order(len(job.train.images), job.seed, fabric.global_rank, fabric.world_size)
        self.loader = self._training_loader(recolour)
        groups = parameter_groups(
            model, rate=settings.lr, backbone_rate=settings.backbone_lr, decay=settings.weight_decay
        )
        # convolutions are slightly faster with channels last
        nn.Module.to(model, memory_format=torch.channels_last)
        # with float16, a fused optimizer unscales the gradients itself, too late for clipping
        fused = job.device.startswith("cuda") and settings.precision not in {"16", "16-mixed"}
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), fused=fused)
        self.learner, self.optimizer = fabric.setup(Learner(model), optimizer)
        self.average = WeightAverage(model, settings.ema_decay, settings.ema_warmup_steps)
        self.detector = RtDetr(
            self.average.module,  # type: ignore[arg-type]
            job.train.taxonomy.labels,
            settings.image_size,
            recolour_in_val,
            imagenet=settings.imagenet_normalize,
        )
        self.loss = DeimLoss(
            model.config, settings.gamma, settings.loss_mal, settings.loss_l1, settings.loss_giou
        ).to(fabric.device)
        self.epoch = self.step = 0
        self.best: dict[str, float] = {"epoch": -1, "AP": -1.0, "AP50": -1.0}
        self.rows: list[dict[str, float]] = []
        self.checkpoint = job.out / "last.ckpt"
        """The file from which a killed run resumes."""
        self.best_checkpoint = job.out / "best.ckpt"
        """The same of the best epoch with augmentation, from which the epochs without it start."""
        self.plain_from = settings.epochs - settings.no_augment_last

    def fit(self) -> None:
        """Train the remaining epochs."""
        log = self._log()
        while self.epoch < self.settings.epochs:
            if returns_to_best([row["val_AP"] for row in self.rows], self.plain_from):
                self._return_to_best()
            row = self._one_epoch()
            scores = self.evaluate()
            row |= {f"val_{name}": score for name, score in scores.items()}
            # the later of two equals, whose learning rate is lower; also the last if AP is NaN, without cells in val
            if not scores["AP"] < self.best["AP"]:
                self.best = {"epoch": self.epoch, **scores}
                if self.fabric.is_global_zero:
                    models.write(self.detector.model, self.job.out / MODEL)
            self.rows.append({"epoch": self.epoch, "step": self.step, **row})
            self.epoch += 1
            self.save()
            if log is not None:
                write_epochs(self.job.out / "logs" / "metrics.csv", self.rows)
                for name, value in row.items():
                    log.add_scalar(name, value, self.step)
                log.flush()
        if log is not None:
            log.close()

    def _one_epoch(self) -> dict[str, float]:
        """Train for one epoch; returns the mean of each loss over its steps, and the learning rates at its end."""
        self.learner.train()
        self.order.epoch = self.epoch
        sums = torch.zeros(1 + len(LOSSES), device=self.fabric.device)
        label = f"epoch {self.epoch + 1} of {self.settings.epochs}"
        shown = self.job.progress and self.fabric.is_global_zero
        for batch in track(self.loader, label, total=len(self.loader), shown=shown):
            sums += self.one_step(batch)
        mean = cast(torch.Tensor, self.fabric.all_reduce(sums, reduce_op="mean")) / len(self.loader)
        rates = {group["name"]: group["lr"] for group in self.optimizer.param_groups}
        losses = dict(zip(("loss", *LOSSES), mean.tolist(), strict=True))
        return {"lr": rates["rest"], "lr_backbone": rates["backbone"], **losses}

    def one_step(self, batch: Batch) -> torch.Tensor:
        """Train on one batch, which is on the device; returns the loss, and each of its terms over all layers.

        Raises
        ------
        FloatingPointError
            If the loss is not finite.
        """
        # the model draws noise on its device
        torch.manual_seed(seed_of(self.job.seed, self.step, self.fabric.global_rank))
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest"] * self._rate()
        images, targets = self._prepared(batch)
        terms = self.loss(self.learner(images, targets), targets)
        loss = torch.stack(list(terms.values())).sum() * self._share(targets)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(
                f"{self.job.out}: the loss is {loss.item()} at step {self.step} (epoch {self.epoch}); train with a lower "
                "lr, or with precision 32"
            )
        self.fabric.backward(loss)
        self.fabric.clip_gradients(
            self.learner, self.optimizer, max_norm=self.settings.clip_max_norm, error_if_nonfinite=False
        )
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.learner.module.detector)
        self.step += 1
        by_kind = [sum(value for name, value in terms.items() if name.startswith(kind)) for kind in LOSSES]
        return torch.stack([loss, *by_kind]).detach()

    def _share(self, targets: Targets) -> float:
        """The factor for this process's loss per cell, so that the mean over processes is the loss per cell of all."""
        if self.fabric.world_size == 1:
            return 1.0
        cells = torch.tensor(
            float(sum(len(target["boxes"]) for target in targets)), device=self.fabric.device
        )
        mean = cast(torch.Tensor, self.fabric.all_reduce(cells, reduce_op="mean"))
        return max(cells.item(), 1.0) / max(mean.item(), 1.0)

    def _rate(self) -> float:
        """The learning rate of this step, as a fraction of its peak."""
        of, per_epoch = self.settings, len(self.loader)
        return flat_cosine(
            self.step,
            warmup=of.warmup_steps,
            flat=of.flat_epochs * per_epoch,
            plain=of.no_augment_last * per_epoch,
            total=of.epochs * per_epoch,
            end=of.final_lr_fraction,
        )

    def _prepared(self, batch: Batch) -> tuple[torch.Tensor, Targets]:
        """The images and targets of a batch, with the colours, mixup and sizes that this step draws."""
        of = self.settings
        images, targets = scaled(images_of(batch), imagenet=of.imagenet_normalize), targets_of(batch)
        rng = random.Random(seed_of(self.job.seed, self.step, self.fabric.global_rank, 1))  # noqa: S311 - no secret
        if of.no_augment_first <= self.epoch < of.flat_epochs and rng.random() < of.mixup:
            images, targets = augment.mixed(images, targets, rng.uniform(0.45, 0.55))
        if of.multi_scale and self.epoch < of.epochs - of.no_augment_last:
            size = rng.choice(augment.scales(of.image_size))
            # nearest neighbour, as in DEIM
            images = interpolate(images, (size, size))
        return images.contiguous(memory_format=torch.channels_last), targets

    def evaluate(self) -> dict[str, float]:
        """The scores of the averaged weights on val; see `validation.score`."""
        of = self.settings
        return validation.score(self.detector, self.job, multi_label=of.multi_label, batch=of.batch)

    def save(self) -> None:
        """Write the checkpoint, replacing the one before."""
        part = self.checkpoint.with_suffix(".part")
        state = {
            "learner": self.learner,
            "optimizer": self.optimizer,
            "average": self.average.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "best": self.best,
            "rows": self.rows,
        }
        self.fabric.save(part, state)
        if self.fabric.is_global_zero:
            if self.best["epoch"] == self.epoch - 1 and self.epoch <= self.plain_from < self.settings.epochs:
                with new_file(self.best_checkpoint) as work:
                    shutil.copyfile(part, work)
            part.replace(self.checkpoint)
        self.fabric.barrier()

    def load(self) -> None:
        """Restore the checkpoint."""
        rest = self._weights_from(self.checkpoint)
        self.epoch, self.step, self.best, self.rows = rest["epoch"], rest["step"], rest["best"], rest["rows"]

    def _return_to_best(self) -> None:
        """Restore the weights, their average and the optimizer of the best epoch with augmentation."""
        if self.best_checkpoint.is_file():  # a run that an earlier version began may have none
            self._weights_from(self.best_checkpoint)

    def _weights_from(self, checkpoint: Path) -> dict[str, Any]:
        """Restore the weights, their average and the optimizer; returns the rest of the checkpoint."""
        state: dict[str, Any] = {"learner": self.learner, "optimizer": self.optimizer}
        rest = self.fabric.load(checkpoint, state, weights_only=True)
        self.average.load_state_dict(rest["average"])
        return rest

    def _training_loader(self, recolour: Recolour | None) -> Any:
        of, job = self.settings, self.job
        batch = max(1, of.batch // self.fabric.world_size)
        loader = DataLoader(
            Views(Detection(job.train), Chances.of(of), job.seed, recolour),
            batch_size=batch,
            sampler=self.order,
            num_workers=job.workers,
            collate_fn=collate,
            pin_memory=job.device.startswith("cuda"),
            # each image of a smaller last batch would count more; if there are no others, it is kept
            drop_last=len(self.order) >= batch,
            persistent_workers=job.workers > 0,
        )
        return self.fabric.setup_dataloaders(loader, use_distributed_sampler=False)

    def _log(self) -> SummaryWriter | None:
        """TensorBoard's writer, which discards what was logged after the checkpoint."""
        if not self.fabric.is_global_zero:
            return None
        folder = self.job.out / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return SummaryWriter(str(folder), purge_step=self.step + 1)
