"""Models on the workers of an executor: each process loads a model once and gets images in whole batches.

The batches are those that the model would get here, so the results are the same, bit for bit, on equal hardware with
equally many threads of torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, TypeVar

import msgspec

from pcm_leukemia.baselines.run import RECORD, Run
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import Cell, Image

__all__ = ["names_of", "once", "portion", "portion_size", "shared_by", "trained"]

Model = TypeVar("Model")

_PORTION = 32
"""About as many images, or crops, are sent together."""
_ALONE = Lock()


def once(load: Callable[[], Model]) -> Model:
    """The model that a function loads, which this process keeps until another is asked for.

    Equal functions load one model, so give a frozen dataclass that says all that the model depends on.

    Examples
    --------
    >>> once(list) is once(list), once(dict)
    (True, {})
    """
    with _ALONE:  # the threads of a worker share the model
        model: Model = _kept(load)
    return model


@lru_cache(maxsize=1)
def _kept(load: Callable[[], Any]) -> Any:
    return load()


def trained(runs: Iterable[Run]) -> tuple[str, ...]:
    """A digest of the record of each run: a loader that holds it does not equal that of an earlier training in the same folder."""
    return tuple(hashlib.sha256((run.folder / RECORD).read_bytes()).hexdigest() for run in runs)


def portion_size(batch: int) -> int:
    """The number of images, or crops, to send together: whole batches.

    Examples
    --------
    >>> portion_size(16), portion_size(5), portion_size(64)
    (32, 30, 64)
    """
    return max(_PORTION // batch, 1) * batch


def portion(ds: Dataset, images: Sequence[Image], cells: Sequence[Cell] = ()) -> Dataset:
    """Some images of a data set, without what a model does not look at; its root is absolute."""
    bare = tuple(msgspec.structs.replace(image, patient=None) for image in images)
    root = None if ds.root is None else ds.root.absolute()
    return Dataset(ds.name, ds.taxonomy, bare, tuple(cells), root=root)


def names_of(ds: Dataset) -> str:
    """The images of a portion, for messages."""
    return ", ".join(image.id for image in ds.images)


def shared_by(ds: Dataset, runs: Iterable[Run]) -> list[Place]:
    """The paths that all workers must see."""
    roots = (each for each in [ds.root] if each is not None and each.exists())
    return [*roots, *(run.folder for run in runs)]
