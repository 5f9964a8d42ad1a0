"""Write the parquet files of both configurations; every image is read once, in order."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pcm_leukemia.converters.huggingface.card import WrittenConfig
from pcm_leukemia.converters.huggingface.columns import (
    arrow_schema,
    classification_features,
    classification_row,
    detection_features,
    detection_row,
)
from pcm_leukemia.converters.huggingface.reader import metadata
from pcm_leukemia.converters.huggingface.shards import Shards
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import ExportError, PcmError, Problem, ServerError, either, some
from pcm_leukemia.execution import ahead
from pcm_leukemia.images import (
    Files,
    MetadataSeen,
    decode_excerpt,
    encode,
    is_changed,
    load_bytes,
    reason,
    strip_identifiers,
    warn_of_changed,
)
from pcm_leukemia.patients import has_pseudonyms
from pcm_leukemia.progress import track
from pcm_leukemia.remote import Place
from pcm_leukemia.schema import IGNORE, Cell, Image, ImageId
from pcm_leukemia.shapes import Box

__all__ = ["CONFIGS", "Config", "ExportPlan", "write_shards"]

Config = Literal["detection", "classification"]

CONFIGS: tuple[Config, ...] = ("detection", "classification")

_BATCH = 16
"""Images that a worker of a cluster reads together: it keeps their files and crops until they are written here."""


class ExportPlan(NamedTuple):
    """What to write: the data of each configuration, and the split name of each part."""

    ds: Dataset
    crops: Dataset
    configs: tuple[Config, ...]
    padding: int
    splits: Mapping[str, str]
    strip: bool

    def features(self, config: Config) -> dict[str, Any]:
        """The columns of a configuration, as features of `datasets`."""
        if config == "detection":
            return detection_features(self.ds.taxonomy.labels)
        return classification_features(self.crops.taxonomy.labels)


class _ToRead(NamedTuple):
    """One image, and the boxes of its crops."""

    image: Image
    boxes: tuple[Box, ...]


class _ReadImage(NamedTuple):
    """One image as a thread read it: the bytes of its file, and a PNG of each cell."""

    data: bytes
    crops: list[bytes]


def write_shards(
    plan: ExportPlan,
    files: Files,
    folder: Place,
    limit: int,
    workers: int | None,
    executor: Executor | None,
    *,
    progress: bool,
) -> list[WrittenConfig]:
    """Write all parquet files; return the configurations and splits that have rows.

    Raises
    ------
    ExportError
        If images cannot be read: all of them are listed.
    """
    ds = plan.ds
    order = [image for part in ds.parts for image in ds.images if ds.part_of(image) == part]
    numbers = _numbers(ds)
    problems: list[Problem] = []
    changed: list[ImageId] = []
    as_they_are = "detection" in plan.configs and not plan.strip
    seen = MetadataSeen() if as_they_are and has_pseudonyms(ds) else None
    found: dict[tuple[str, str], Shards] = {}
    threads = workers or files.threads
    made = ahead(
        partial(_make, files, plan.padding),
        (_ToRead(image, _boxes(plan, image)) for image in order),
        threads,
        2 * threads,
        executor,
        name=lambda each: each.image.id,
        shared=(files.root,),
        batch=_BATCH,
    )
    with closing(made):
        bar = zip(order, track(made, "images", total=len(order), shown=progress), strict=True)
        for part in ds.parts:
            inside = sum(ds.part_of(image) == part for image in order)
            with ExitStack() as stack:
                shards = {
                    config: stack.enter_context(_shards(plan, folder, config, part, limit))
                    for config in plan.configs
                }
                for image, result in islice(bar, inside):
                    if isinstance(result, Problem):
                        problems.append(result)
                        continue
                    if files.remote and is_changed(result.data, image):
                        changed.append(image.id)
                    if seen is not None:
                        seen.look(result.data)
                    if not problems:  # after the first problem, the rest is read only to list all problems
                        _add(plan, shards, image, result, numbers[image.id])
            found |= {(config, part): each for config, each in shards.items()}
    if problems:
        raise ExportError(some(problems))
    warn_of_changed(files.root, len(order), changed)
    if seen is not None:
        seen.warn(ds.name)
    written = []
    for config in plan.configs:
        splits = {plan.splits[part]: found[config, part] for part in ds.parts}
        # datasets cannot open a split without rows
        filled = {split: (shards, shards.finish()) for split, shards in splits.items() if shards.rows}
        if filled:
            written.append(WrittenConfig(config, plan.features(config), filled))
        elif isinstance(folder, Path):
            (folder / config).rmdir()
    return written


def _shards(plan: ExportPlan, folder: Place, config: Config, part: str, limit: int) -> Shards:
    more = metadata(plan.ds, part) if config == "detection" else None
    return Shards(folder, config, plan.splits[part], arrow_schema(plan.features(config), more), limit)


def _numbers(ds: Dataset) -> dict[str, tuple[int, int]]:
    """Image -> its id and the id of its first object, both from 1 over the whole data set."""
    sizes = [sum(cell.label != IGNORE for cell in ds.cells_of(image)) for image in ds.images]
    firsts = accumulate(sizes, initial=1)
    return {
        image.id: (number, first)
        for number, (image, first) in enumerate(zip(ds.images, firsts, strict=False), 1)
    }


def _boxes(plan: ExportPlan, image: Image) -> tuple[Box, ...]:
    return tuple(cell.box for cell in _kept(plan.crops, image)) if "classification" in plan.configs else ()


def _make(files: Files, padding: int, wanted: _ToRead) -> _ReadImage | Problem:
    """Read one image and cut out its cells; a file that does not match the annotations is a problem."""
    image, boxes = wanted
    try:
        data = load_bytes(files, image)
        if not boxes:
            return _ReadImage(data, [])
        excerpt = decode_excerpt(data, image, boxes, padding)
    except ServerError:
        raise
    except PcmError as error:
        return Problem(
            f'image "{image.id}"',
            reason(image, error),
            "repair its file, or leave the image out" + either(" with Dataset.select", ""),
        )
    return _ReadImage(data, [encode(excerpt.crop(box), "png", small=True) for box in boxes])


def _kept(ds: Dataset, image: Image) -> list[Cell]:
    return [cell for cell in ds.cells_of(image) if cell.label != IGNORE]


def _add(
    plan: ExportPlan,
    shards: Mapping[Config, Shards],
    image: Image,
    made: _ReadImage,
    numbers: tuple[int, int],
) -> None:
    diagnosis, patient = plan.ds.diagnosis_of(image), plan.ds.patient_of(image)
    if "detection" in shards:
        cells = _kept(plan.ds, image)
        column = patient.diagnosis if patient else image.diagnosis
        data = strip_identifiers(made.data, str(image.file)) if plan.strip else made.data
        row = detection_row(image, cells, data, column, numbers, plan.ds.taxonomy.ids)
        shards["detection"].add(row)
    if "classification" in shards:
        ids = plan.crops.taxonomy.ids
        for cell, data in zip(_kept(plan.crops, image), made.crops, strict=True):
            shards["classification"].add(classification_row(image, cell, data, diagnosis, numbers[0], ids))
