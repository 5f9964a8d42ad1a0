"""Computes the features that the backbone of a classifier gives to each cell, and writes them block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pcm_leukemia.baselines import elsewhere
from pcm_leukemia.baselines.cutting import cut_cells
from pcm_leukemia.baselines.embedding import parquet
from pcm_leukemia.baselines.embedding.embedder import PADDING, Embedder, OfModel, OfRun
from pcm_leukemia.baselines.embedding.parquet import About
from pcm_leukemia.baselines.inference import batches
from pcm_leukemia.baselines.machine import workers_of
from pcm_leukemia.baselines.pretraining import note_on, note_on_model
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import Problem, UnfitForTask, option
from pcm_leukemia.execution import ahead
from pcm_leukemia.files import Report, counts
from pcm_leukemia.progress import track
from pcm_leukemia.requirements import require
from pcm_leukemia.schema import IGNORE, Cell
from pcm_leukemia.splits import LEARNED_FROM

__all__ = ["embed"]

ROWS = 2048
"""Cells in a row group, so many as are in memory: 13 MB at 1,536 features."""


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
    executor: Executor | None = None,
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
    executor
        Where the backbone runs instead of here: `execution.Cluster`, or another `concurrent.futures.Executor`. Each of its
        processes loads it once, on its own `device`, and cuts crops in so many threads as `workers`, by default one.
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
    here = device if executor is None else "cpu"  # for what is said about it, if it runs elsewhere
    load: OfRun | OfModel
    if isinstance(model, Run):
        _require_fit(model, view, [name for name, value in given.items() if value is not None])
        load = OfRun(model.folder, elsewhere.trained([model]), here)
        pretraining = note_on(model, view)
    else:
        load = OfModel(
            model, weights or "hub", image_size or 0, PADDING if padding is None else padding, here
        )
        pretraining = note_on_model(model, weights or "hub", view)
    embedder = load()
    if executor is None:
        features = _features(embedder, view, cells, batch=batch, workers=workers, progress=progress)
    else:
        runs = [model] if isinstance(model, Run) else []
        load = load.elsewhere(device)
        features = _features_elsewhere(
            executor, load, runs, view, cells, batch=batch, workers=workers, progress=progress
        )
    parquet.write(out, view, _about(embedder, ds, view, pretraining), _blocks(cells, features))
    return _report(Path(out), ds, view, cells, pretraining)


def _view(ds: Dataset, task: str | None) -> Dataset:
    """The cells to embed, which must have boxes and a sound split."""
    if task is None and any(each.name == "classification" for each in ds.taxonomy.tasks):
        task = "classification"
    view = ds.task(task) if task else ds
    require(view, boxes=True)
    return view


def _require_fit(run: Run, view: Dataset, given: Sequence[str]) -> None:
    """Refuse options that a run has itself, and images that it has learned from."""
    if given:
        raise ValueError(f"{option(given[0])}: {run.folder} is a run, which has its own; leave it out")
    for part in view.parts if view.split else ():
        if part not in LEARNED_FROM:
            run.require_unseen(view.part(part))


def _about(embedder: Embedder, ds: Dataset, view: Dataset, pretraining: str) -> About:
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
        pretraining=pretraining,
        version=version("pcm-leukemia"),
    )


Features = npt.NDArray[np.float32]


def _features(
    embedder: Embedder,
    view: Dataset,
    cells: Sequence[Cell],
    *,
    batch: int,
    workers: int | None,
    progress: bool,
) -> Iterator[Features]:
    """The features of the cells, batch by batch."""
    cut = cut_cells(view, cells, embedder.padding, embedder.preparation, workers_of(workers))
    crops = track(cut, "embedding", total=len(cells), shown=progress, stays=True)
    return map(embedder, batches(crops, batch))


def _features_elsewhere(
    executor: Executor,
    load: OfRun | OfModel,
    runs: Sequence[Run],
    view: Dataset,
    cells: Sequence[Cell],
    *,
    batch: int,
    workers: int | None,
    progress: bool,
) -> Iterator[Features]:
    """The same, from the workers of an executor."""
    size = elsewhere.portion_size(batch)
    portions = (
        elsewhere.portion(
            view, [view.image(name) for name in dict.fromkeys(cell.image for cell in those)], those
        )
        for those in batches(cells, size)
    )
    done = ahead(
        partial(_embed_portion, load, batch, workers or 1),
        portions,
        1,
        2 * workers_of(None),
        executor,
        name=elsewhere.names_of,
        shared=elsewhere.shared_by(view, runs),
        batch=1,
    )
    with closing(done):
        total = -(-len(cells) // size)
        yield from track(done, "embedding", total=total, shown=progress, stays=True)


def _embed_portion(load: OfRun | OfModel, batch: int, workers: int, ds: Dataset) -> Features:
    embedder = elsewhere.once(load)
    return np.concatenate(
        list(_features(embedder, ds, ds.cells, batch=batch, workers=workers, progress=False))
    )


def _blocks(cells: Sequence[Cell], features: Iterator[Features]) -> Iterator[tuple[Sequence[Cell], Features]]:
    """The cells and their features, in blocks of `ROWS`."""
    rows = chain.from_iterable(features)
    for those, found in zip(batches(cells, ROWS), batches(rows, ROWS), strict=True):
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
            **({"white cells of unknown type": view.untyped} if view.untyped else {}),
            "cells of classes that are not of the task": len(ds.cells) - len(view.cells),
        },
        (pretraining,) if pretraining else (),
    )
