"""A run: the folder that training writes, and the record in it.

::

    run.json     the request, the data, the versions, the device, and the time it took
    data/        the data set it was trained on, with its split, as a canonical folder (tables, no images)
    before/      if it started from the weights of another run: what that one had learned from, 0, 1, ...
    logs/        the losses and scores of each epoch
    scores/      the results of `evaluate`, one file for each data set and part
    ...          the weights, in the model's own format

`data/` and `before/` tell which patients the model has seen, so that it is never scored on them.
"""

from __future__ import annotations

import hashlib
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

__all__ = ["Run", "device_of", "is_run", "origin", "split_fingerprint", "start"]

RECORD = "run.json"
DATA, BEFORE = "data", "before"
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


class _Asked(msgspec.Struct):
    baseline: str
    task: str
    labels: list[str]
    settings: dict[str, Any]


class _Record(msgspec.Struct):
    """The part of run.json that every run has."""

    state: str
    asked: _Asked


@dataclass(frozen=True)
class Run:
    """A trained model, or one in training, and its record.

    Raises
    ------
    DataNotFound
        On opening, if the folder holds no run.
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
            record = msgspec.json.decode(path.read_bytes())
            msgspec.convert(record, _Record)
            asked = record["asked"]
            asked["settings"] = config.recorded(asked["baseline"], asked["settings"])
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataNotFound(
                f"{folder}: holds no run (no {RECORD}); train one: pcm-leukemia train MODEL DATA {folder}"
            ) from error
        except (OSError, *files.BAD_CONTENT) as error:
            raise CorruptFile(f"{path}: is not a record of a run ({error!r}); train it again") from error
        return cls(Path(folder), record)

    def __repr__(self) -> str:
        return f"Run({self.folder}: {self.baseline.name}, {self.task}, {self.record['state']})"

    @property
    def baseline(self) -> config.Baseline:
        """The reference model.

        Raises
        ------
        CorruptFile
            If this version has no such model.
        """
        try:
            return config.find(self.record["asked"]["baseline"])
        except ValueError as error:
            raise CorruptFile(f"{self.folder / RECORD}: {error}") from error

    @property
    def task(self) -> str:
        """The task it was trained for: "detection", "wbc" or "classification"."""
        return str(self.record["asked"]["task"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes, in the order of their ids."""
        return tuple(self.record["asked"]["labels"])

    @property
    def settings(self) -> Any:
        """The `Settings` that it was trained with.

        Raises
        ------
        CorruptFile
            If they are not settings of the model.
        """
        try:
            return msgspec.convert(self.record["asked"]["settings"], self.baseline.module.Settings)
        except msgspec.ValidationError as error:
            raise CorruptFile(
                f"{self.folder / RECORD}: has settings that {self.baseline.name} cannot use ({error}); train it again"
            ) from error

    @property
    def started_from(self) -> str:
        """The weights that training started from: in the words of its record, or else the setting ``weights``."""
        asked = self.record["asked"]["settings"].get("weights", "none")
        return str(self.record.get("result", {}).get("weights", asked))

    @property
    def temperature(self) -> float | None:
        """The temperature that calibrates a classifier; None for a detector, or a run of an earlier version."""
        fitted = self.record.get("result", {}).get("temperature")
        return None if fitted is None else float(fitted)

    @property
    def done(self) -> bool:
        """Whether training has finished."""
        return bool(self.record["state"] == "done")

    def dataset(self) -> Dataset:
        """The whole data set it was trained on, with its split, before it was reduced to the task.

        Raises
        ------
        CorruptFile
            If the tables have changed since they were written.
        """
        return store.read(self.folder / DATA)

    def learned_before(self) -> Iterator[Dataset]:
        """What the weights that it started from had been trained on, if they came from other runs, with the splits."""
        kept = self.folder / BEFORE
        if kept.is_dir():
            yield from (store.read(each) for each in sorted(kept.iterdir()) if each.name.isdigit())
        else:  # the run is of an earlier version, or its weights are of no other run
            yield from _learned_by(self.record.get("asked", {}))

    def learned(self) -> Iterator[Dataset]:
        """All data sets that it has learned from, those before it started included."""
        yield self.dataset()
        yield from self.learned_before()

    def model(self, device: str = "auto") -> Detector | Classifier:
        """The trained model on a device.

        Raises
        ------
        DataNotFound
            If training has not finished.
        """
        if not self.done:
            raise DataNotFound(
                f"{self.folder}: training has not finished; run the same `pcm-leukemia train` again to continue"
            )
        return self.baseline.module.load(self.folder, self.settings, self.labels, device_of(device))

    def detector(self, device: str = "auto") -> Detector:
        """The model as a detector; raises ValueError if it is not one."""
        self._require("detector")
        return cast(Detector, self.model(device))

    def classifier(self, device: str = "auto") -> Classifier:
        """The model as a classifier; raises ValueError if it is not one."""
        self._require("classifier")
        return cast(Classifier, self.model(device))

    def _require(self, kind: str) -> None:
        if self.baseline.kind != kind:
            raise ValueError(
                f"{self.folder}: is a run of {self.baseline.name}, which is not a {kind}; give the run of a {kind}"
            )

    def require_unseen(self, ds: Dataset) -> None:
        """Refuse images that the model has learned from, and images of the same patients or groups.

        This includes what the weights that it started from had learned from, in other runs. Images are recognised by the digests of their files, or else by name; `splits.seen` says how.

        Raises
        ------
        LeakySplit
            If there are any: the first ones are named.
        """
        found = [leak for learned in self.learned() for leak in splits.seen(learned, ds, str(self.folder))]
        if found:
            raise LeakySplit([leak.problem for leak in found])


def is_run(folder: str | Path) -> bool:
    """Whether a folder holds a run."""
    return (Path(folder) / RECORD).is_file()


def origin(weights: str) -> Run | None:
    """The run that weights come from: the one in whose folder they are; None for all other weights."""
    path = Path(weights)
    folder = next((each for each in (path, *path.parents[:2]) if is_run(each)), None)
    return None if folder is None or not path.exists() else Run.open(folder)


def device_of(name: str) -> str:
    """Torch's name of a device; "auto" means the GPU if there is one.

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
        raise ValueError(f'device "{name}": torch finds no such device; use cpu or auto')
    return name


@contextmanager
def start(
    out: str | Path, asked: Mapping[str, Any], ds: Dataset, device: str
) -> Iterator[tuple[Run, bool, dict[str, Any]]]:
    """Start a run in `out`, or resume the same run if it was interrupted there.

    Yields the run, whether it is being resumed, and a dict for the result in the record. If the block ends without an
    error, the record says that the run is done.

    Raises
    ------
    ExportError
        If `out` holds something else, another run, or a run that another process is working on.
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
            store.write(ds, folder / DATA, replace=True)
            for number, earlier in enumerate(_learned_by(asked)):
                store.write(earlier, folder / BEFORE / str(number), replace=True)
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
    """The record of the interrupted run to resume; None if there is none."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        for above in folder.absolute().parents:
            if (above / files.HEADER).is_file() or is_run(above):
                raise ExportError(
                    f"{folder}: is inside {above}, which holds data or a run; name a folder elsewhere"
                )
        return None
    if not is_run(folder):
        raise ExportError(f"{folder}: is not empty and not a run; name a folder that does not exist yet")
    there = dict(Run.open(folder).record)
    if there["asked"] != msgspec.to_builtins(asked):
        differs = list(_differing(there["asked"], msgspec.to_builtins(asked)))
        raise ExportError(
            f"{folder}: holds a run that differs in {' and '.join(differs) or 'its request'}; name another folder, or remove it"
        )
    if there["pid"] is not None and files.runs(str(there["pid"])):
        raise ExportError(
            f"{folder}: process {there['pid']} is working on this run; wait for it, or name another folder"
        )
    return there


def _differing(before: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """The names of what differs between two requests; of the settings, the first three."""
    for key, value in asked.items():
        there = before.get(key)
        if key == "settings" and isinstance(there, Mapping):
            names = [name for name in value if there.get(name) != value[name]]
            if names:
                shown = (f"{name} {there.get(name, 'unknown')}, now {value[name]}" for name in names[:3])
                more = f", and {len(names) - 3} more" if len(names) > 3 else ""
                yield f"settings ({'; '.join(shown)}{more})"
        elif there != value:
            yield key


def _learned_by(asked: Mapping[str, Any]) -> Iterator[Dataset]:
    """What the weights that a run asks for have learned from."""
    parent = origin(asked.get("settings", {}).get("weights", "none"))
    if parent is not None:
        yield from parent.learned()


def split_fingerprint(split: Split) -> str:
    """SHA-256 over the part of every image."""
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
    """The peak memory in MiB: of this process, and the most that torch reserved on the GPU."""
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024  # KiB on Linux, bytes on macOS
    peak = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit}
    if torch.cuda.is_available():
        peak["gpu"] = torch.cuda.max_memory_reserved() // 2**20
    return peak
