"""Computes the features that the backbone of a classifier gives to each cell, and writes them block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from pcm_leukemia.baselines.classifiers import loop
from pcm_leukemia.baselines.classifiers.backbones import backbone
from pcm_leukemia.baselines.classifiers.crops import Prepare
from pcm_leukemia.baselines.classifiers.network import CellClassifier, Network
from pcm_leukemia.baselines.cutting import cut_cells
from pcm_leukemia.baselines.embedding import parquet
from pcm_leukemia.baselines.embedding.parquet import About
from pcm_leukemia.baselines.inference import batches
from pcm_leukemia.baselines.machine import device_of, workers_of
from pcm_leukemia.baselines.pretraining import note_on, note_on_model
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import DataNotFound, Problem, UnfitForTask, option
from pcm_leukemia.files import Report, counts
from pcm_leukemia.progress import track
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import IGNORE, Cell
from pcm_leukemia.splits import LEARNED_FROM

__all__ = ["embed"]

PADDING = 50
"""Pixels around the box, unless something else is asked for: those of the paper's classifiers."""

ROWS = 2048
"""Cells in a row group, so many as are in memory: 13 MB at 1,536 features."""


@dataclass(frozen=True)
class _Embedder:
    """A backbone on its device, with the preparation of crops that it expects; `model` and `weights` name it.

    `pretraining` says so if its weights have seen the data in pretraining.
    """

    network: Network
    preparation: Prepare
    padding: int
    device: str
    model: str
    weights: str
    pretraining: str

    @property
    def width(self) -> int:
        return self.network.head.in_features

    def __call__(self, crops: Sequence[torch.Tensor]) -> npt.NDArray[np.float32]:
        """The features of prepared crops, ``(n, width)``, computed in 32 bits on every device."""
        with torch.inference_mode():
            features = self.network.features(torch.stack(list(crops)).to(self.device))
        found: npt.NDArray[np.float32] = features.float().cpu().numpy()
        return found


def embed(
    model: Run | str,
    ds: Dataset,
    out: str | Path,
    *,
    task: str | None = None,
    weights: str | None = None,
    image_size: int | None = None,
    padding: int | None = None,
    device: str = "auto",
    batch: int = 64,
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Write the features of every cell except ignored ones to a parquet file; `baselines.embedding` lists its columns.

    Parameters
    ----------
    model
        The run of a classifier, for its backbone with its own preprocessing; or a model by its name, as in
        `classifiers.backbones.backbone`.
    ds
        The data set. Its split becomes the column ``part``.
    out
        A new file.
    task
        The task whose cells are embedded; by default "classification", which leaves out Other, or all cells if the
        classes have no such task.
    weights
        Of a model: "hub" (the default), a name on the hub, a file, or "none" for random weights.
    image_size
        Of a model: the side of its pictures in pixels; by default its own.
    padding
        Of a model: pixels around the box that belong to the crop, by default 50.
    device
        "auto", "cpu", "cuda" or "cuda:1".
    batch
        Cells in a batch.
    workers
        Threads that cut crops; by default one for each core, at most 16.
    progress
        Whether to show a progress bar.

    Returns
    -------
    Report
        The embedded cells by part, and what was left out.

    Raises
    ------
    ExportError
        If `out` exists, or cannot be written.
    LeakySplit
        If a patient or a group is in two parts, or the run has learned from images or patients of a part other than
        train and val.
    UnfitForTask
        If there is no cell to embed, or cells have no box.
    ValueError
        If the run is that of a detector, or timm has no such model; if an option is out of range, or is given though a
        run has its own.
    DataNotFound, CorruptFile
        If weights or images are missing or cannot be used.
    MissingExtra
        If pyarrow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import PIL.Image
    >>> from pcm_leukemia import NINE, Box, Image
    >>> images, cells = (Image("a.png", 90, 60, file="a.png"),), (Cell("a.png", 0, "Monocyte", Box(5, 5, 40, 40)),)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     PIL.Image.new("RGB", (90, 60)).save(f"{folder}/a.png")
    ...     ds = Dataset("demo", NINE, images, cells, root=Path(folder))
    ...     report = embed("resnet10t", ds, f"{folder}/a.parquet", weights="none", image_size=32, device="cpu")
    ...     report.cells, parquet.read(f"{folder}/a.parquet").features.shape
    ({'all': {'Monocyte': 1}}, (1, 512))
    """
    parquet.check_out(out)
    view = _view(ds, task)
    cells = [cell for cell in view.cells if cell.label != IGNORE]
    if not cells:
        raise UnfitForTask(
            [Problem(ds.name, "has no cell to embed", "import its annotations, or choose another task")]
        )
    given = {"weights": weights, "image_size": image_size, "padding": padding}
    if isinstance(model, Run):
        embedder = _of_run(model, view, [name for name, value in given.items() if value is not None], device)
    else:
        embedder = _of_model(model, view, weights or "hub", image_size or 0, padding, device)
    parquet.write(
        out,
        view,
        _about(embedder, ds, view),
        _blocks(embedder, view, cells, batch=batch, workers=workers, progress=progress),
    )
    return _report(Path(out), ds, view, cells, embedder.pretraining)


def _view(ds: Dataset, task: str | None) -> Dataset:
    """The cells to embed, which must have boxes and a sound split."""
    if task is None and any(each.name == "classification" for each in ds.taxonomy.tasks):
        task = "classification"
    view = ds.task(task) if task else ds
    require(view, boxes=True)
    return view


def _of_run(run: Run, view: Dataset, given: Sequence[str], device: str) -> _Embedder:
    if given:
        raise ValueError(f"{option(given[0])}: {run.folder} is a run, which has its own; leave it out")
    classifier = run.classifier(device)
    assert isinstance(classifier, CellClassifier)
    for part in view.parts if view.split else ():
        if part not in LEARNED_FROM:
            run.require_unseen(view.part(part))
    return _Embedder(
        classifier.network,
        classifier.preparation,
        classifier.padding,
        classifier.device,
        run.settings.model,
        str(run.folder),
        note_on(run, view),
    )


def _of_model(
    model: str, view: Dataset, weights: str, image_size: int, padding: int | None, device: str
) -> _Embedder:
    padding = PADDING if padding is None else padding
    for name, value in (("image_size", image_size), ("padding", padding)):
        if value < 0:
            raise ValueError(f"{option(name)}: is {value}; give 0 or more pixels")
    if "/" in model and Path(model).parent.is_dir() and not Path(model, "config.json").is_file():
        raise DataNotFound(
            f"{model}: is neither a run nor a folder with a model of timm; correct the path, or write hf-hub:{model} for a "
            "model on the hub"
        )
    device = device_of(device)
    with loop.seeded(0, "cpu"):  # random weights are the same each time
        network = Network(backbone(model, weights, image_size=image_size), classes=1)
    network.requires_grad_(requires_grad=False)
    network.to(device).eval()
    noted = note_on_model(model, weights, view)
    return _Embedder(network, Prepare(network.image_size), padding, device, model, weights, noted)


def _about(embedder: _Embedder, ds: Dataset, view: Dataset) -> About:
    return About(
        model=embedder.model,
        weights=embedder.weights,
        architecture=embedder.network.architecture.name,
        image_size=embedder.network.image_size,
        padding=embedder.padding,
        stain=embedder.preparation.kind,
        width=embedder.width,
        data=ds.name,
        fingerprint=ds.fingerprint,
        split=ds.split.name if ds.split else None,
        val_shares_patients=bool(ds.split and ds.split.val_shares_patients),
        labels=view.taxonomy.labels,
        pretraining=embedder.pretraining,
        version=version("pcm-leukemia"),
    )


def _blocks(
    embedder: _Embedder,
    view: Dataset,
    cells: Sequence[Cell],
    *,
    batch: int,
    workers: int | None,
    progress: bool,
) -> Iterator[tuple[Sequence[Cell], npt.NDArray[np.float32]]]:
    """The cells and their features, in blocks of `ROWS`."""
    cut = cut_cells(view, cells, embedder.padding, embedder.preparation, workers_of(workers))
    crops = track(cut, "embedding", total=len(cells), shown=progress, stays=True)
    features = chain.from_iterable(embedder(those) for those in batches(crops, batch))
    for those, found in zip(batches(cells, ROWS), batches(features, ROWS), strict=True):
        yield those, np.stack(found)


def _report(out: Path, ds: Dataset, view: Dataset, cells: Sequence[Cell], pretraining: str) -> Report:
    part_of = {cell.image: view.part_of(view.image(cell.image)) for cell in cells}
    parts = [part for part in view.parts if part in part_of.values()]
    return Report(
        "embeddings",
        out,
        {part: sum(each == part for each in part_of.values()) for part in parts},
        counts((part_of[cell.image], cell.label) for cell in cells),
        {
            "ignored cells": view.ignored,
            "cells of classes that are not of the task": len(ds.cells) - len(view.cells),
        },
        (pretraining,) if pretraining else (),
    )
