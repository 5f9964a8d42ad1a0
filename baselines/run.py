"""A run: the folder that training leaves, and the record in it of what was done.

::

    run.json     what was asked, of which data, with which versions, on which device; how long it took
    data/        the data set it was trained on, with its split, as a canonical folder (tables, no images)
    logs/        the losses and scores of each epoch
    scores/      what `evaluate` found, one file for each data set and part
    ...          the weights, as the model's own module keeps them

Who was trained on is known from `data/`, so that no score is taken from a patient whom the model has seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import msgspec
import torch

from pcm_leukemia import files, splits, store
from pcm_leukemia.baselines import config
from pcm_leukemia.baselines.contract import Classifier, Detector
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, ExportError, LeakySplit
from pcm_leukemia.schema import Split

__all__ = ["Run", "device_of", "is_run", "split_fingerprint", "start"]

RECORD = "run.json"
DATA = "data"
_LIBRARIES = (
    "pcm-leukemia",
    "torch",
    "torchvision",
    "lightning",
    "timm",
    "transformers",
    "ultralytics",
    "hotcoco",
)


@dataclass(frozen=True)
class Run:
    """A model that was trained, or is being trained, and the record of it.

    Raises
    ------
    DataNotFound
        On opening: if there is no run in the folder.
    CorruptFile
        If its record cannot be read.
    """

    folder: Path
    record: Mapping[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """The run in a folder."""
        path = Path(folder) / RECORD
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            record["asked"]["baseline"], record["state"]
            record["asked"]["settings"] = config.renamed(record["asked"]["settings"])
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataNotFound(
                f"{folder}: holds no run (no {RECORD}); train one: pcm-leukemia train MODEL DATA {folder}"
            ) from error
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise CorruptFile(f"{path}: is no record of a run ({error!r}); train it again") from error
        return cls(Path(folder), record)

    def __repr__(self) -> str:
        return f"Run({self.folder}: {self.baseline.name}, {self.task}, {self.record['state']})"

    @property
    def baseline(self) -> config.Baseline:
        """The reference model that was trained."""
        return config.find(self.record["asked"]["baseline"])

    @property
    def task(self) -> str:
        """What it was trained for: "detection", "wbc" or "classification"."""
        return str(self.record["asked"]["task"])

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes it tells apart, in the order of their ids."""
        return tuple(self.record["asked"]["labels"])

    @property
    def settings(self) -> Any:
        """The model's `Settings`, as it was trained with."""
        return msgspec.convert(self.record["asked"]["settings"], self.baseline.module.Settings)

    @property
    def done(self) -> bool:
        """Whether training came to its end."""
        return bool(self.record["state"] == "done")

    def dataset(self) -> Dataset:
        """The data set it was trained on, with all its parts and the split, before the task's view of it.

        Raises
        ------
        CorruptFile
            If the tables are not what was written.
        """
        return store.read(self.folder / DATA)

    def model(self, device: str = "auto") -> Detector | Classifier:
        """The trained model, on a device.

        Raises
        ------
        DataNotFound
            If training did not come to its end.
        """
        if not self.done:
            raise DataNotFound(
                f"{self.folder}: training has not come to its end; the same `pcm-leukemia train` goes on with it"
            )
        return self.baseline.module.load(self.folder, self.settings, self.labels, device_of(device))

    def detector(self, device: str = "auto") -> Detector:
        """The model, which has to be a detector; raises ValueError if it is none."""
        self._require("detector")
        return cast(Detector, self.model(device))

    def classifier(self, device: str = "auto") -> Classifier:
        """The model, which has to be a classifier; raises ValueError if it is none."""
        self._require("classifier")
        return cast(Classifier, self.model(device))

    def _require(self, kind: str) -> None:
        if self.baseline.kind != kind:
            raise ValueError(
                f"{self.folder}: is a run of {self.baseline.name}, which is no {kind}; give a {kind}'s"
            )

    def require_unseen(self, ds: Dataset) -> None:
        """Refuse to be scored on images that the model has learned from, or on their patients.

        `splits.seen` says how images and patients are recognised.

        Raises
        ------
        LeakySplit
            If it has learned from any of them: the first ones are named.
        """
        found = list(splits.seen(self.dataset(), ds, str(self.folder)))
        if found:
            raise LeakySplit([leak.problem for leak in found])


def is_run(folder: str | Path) -> bool:
    """Whether a folder holds a run."""
    return (Path(folder) / RECORD).is_file()


def device_of(name: str) -> str:
    """Torch's name of the device: "auto" is the GPU where there is one.

    Raises
    ------
    ValueError
        If torch cannot use it.

    Examples
    --------
    >>> device_of("cpu")
    'cpu'
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and not (name.startswith("cuda") and torch.cuda.is_available()):
        raise ValueError(f'device "{name}": torch finds no such device here; use cpu, or auto')
    return name


@contextmanager
def start(
    out: str | Path, asked: Mapping[str, Any], ds: Dataset, device: str
) -> Iterator[tuple[Run, bool, dict[str, Any]]]:
    """Begin a run in `out`, or go on with the same one that was interrupted there.

    Gives the run, whether an interrupted one is to go on, and a dict for what the record should say of the
    result. When the block ends well, the record says that the run is done.

    Raises
    ------
    ExportError
        If `out` holds something else, another run, or one that another process is at.
    """
    folder = Path(out)
    before = _before(folder, asked)
    record: dict[str, Any] = {
        "state": "running",
        "asked": dict(asked),
        "data": {
            "name": ds.name,
            "fingerprint": ds.fingerprint,
            "patients": len(ds.patients),
            "images": {part: len(ds.part(part).images) for part in ds.parts},
            "cells": {part: len(ds.part(part).cells) for part in ds.parts},
            "split": ds.split.name if ds.split else None,
            "split_made": ds.split.record if ds.split else {},
        },
        "versions": {"python": platform.python_version(), **dict(_versions())},
        "device": _device(device),
        "pid": os.getpid(),
        "seconds": before["seconds"] if before else 0.0,
        "times_resumed": before["times_resumed"] + 1 if before else 0,
    }
    with files.disk_errors(out):
        folder.mkdir(parents=True, exist_ok=True)
        if before is None:
            store.write(ds, folder / DATA)
        _write(folder, record)
    result: dict[str, Any] = {}
    begun, earlier = time.perf_counter(), record["seconds"]
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        yield Run(folder, record), before is not None, result
        record |= {"state": "done", "result": result}
    finally:
        record |= {
            "pid": None,
            "seconds": round(earlier + time.perf_counter() - begun, 1),
            "peak_memory_mib": _peak_memory(),
        }
        _write(folder, record)


def _before(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of the interrupted run that is to go on; None if nothing is there yet."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        for above in folder.absolute().parents:
            if (above / files.HEADER).is_file() or is_run(above):
                raise ExportError(
                    f"{folder}: lies in {above}, which holds data or a run; name a folder beside it"
                )
        return None
    if not is_run(folder):
        raise ExportError(f"{folder}: holds something else than a run; name a folder that does not exist yet")
    there = dict(Run.open(folder).record)
    if there["asked"] != msgspec.to_builtins(asked):
        differs = [key for key in asked if there["asked"].get(key) != msgspec.to_builtins(asked[key])]
        raise ExportError(
            f"{folder}: holds a run that differs in {' and '.join(differs) or 'what was asked'}; name another folder, or remove it"
        )
    if there["pid"] is not None and files.runs(str(there["pid"])):
        raise ExportError(
            f"{folder}: process {there['pid']} is at this run; wait for it, or name another folder"
        )
    return there


def split_fingerprint(split: Split) -> str:
    """SHA-256 of which image is in which part."""
    lines = "\n".join(f"{image}\t{part}" for image, part in sorted(split.part_of.items()))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def _write(folder: Path, record: Mapping[str, Any]) -> None:
    files.write_json(folder / RECORD, record)


def _versions() -> Iterator[tuple[str, str]]:
    for library in _LIBRARIES:
        try:
            yield library, version(library)
        except PackageNotFoundError:
            continue


def _device(device: str) -> str:
    if device.startswith("cuda"):
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"cpu: {platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _peak_memory() -> dict[str, int]:
    """MiB: of this process, and on the GPU what torch had reserved at most."""
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024  # Linux tells KiB, macOS bytes
    peak = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit}
    if torch.cuda.is_available():
        peak["gpu"] = torch.cuda.max_memory_reserved() // 2**20
    return peak
