"""Starts or resumes a run: the folder, the record, and the data that it keeps."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from pcm_leukemia import files, store
from pcm_leukemia.baselines import machine
from pcm_leukemia.baselines.run import BEFORE, DATA, RECORD, Run, is_run, learned_by
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import ExportError, WrongTarget

__all__ = ["start"]

_CHECKPOINTS = (".ckpt", ".pt", ".safetensors")
"""The suffixes of what models write after an epoch, from which a run resumes or predicts."""


@contextmanager
def start(
    out: str | Path, asked: Mapping[str, Any], ds: Dataset, device: str
) -> Iterator[tuple[Run, bool, dict[str, Any]]]:
    """Start a run in `out`, or resume the same run if it was interrupted there.

    Yields the run, whether it is being resumed, and a dict for the result in the record. If the block ends without an
    error, the record says that the run is done, and otherwise that it has stopped. A run that stopped before it learned
    anything is replaced by one with another request.

    Raises
    ------
    ExportError
        If `out` holds something else, another run, or a run that another process is working on.
    """
    folder = Path(out)
    before = _interrupted(folder, asked)
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
        "versions": machine.versions(),
        "device": machine.description_of(device),
        "pid": os.getpid(),
        "seconds": before["seconds"] if before else 0.0,
        "times_resumed": before["times_resumed"] + 1 if before else 0,
    }
    with files.disk_errors(out):
        folder.mkdir(parents=True, exist_ok=True)
        if before is None:
            for left in (BEFORE, "logs"):  # of a run that learned nothing
                shutil.rmtree(folder / left, ignore_errors=True)
            store.write(ds, folder / DATA, replace=True)
            for number, earlier in enumerate(learned_by(asked)):
                store.write(earlier, folder / BEFORE / str(number), replace=True)
        _write(folder, record)
    result: dict[str, Any] = {}
    begun, earlier = time.perf_counter(), record["seconds"]
    machine.reset_peak_memory()
    try:
        yield Run(folder, record), before is not None, result
        record |= {"state": "done", "result": result}
    except BaseException:
        record["state"] = "stopped"
        raise
    finally:
        record |= {
            "pid": None,
            "seconds": round(earlier + time.perf_counter() - begun, 1),
            "peak_memory_mib": machine.peak_memory(),
        }
        _write(folder, record)


def _interrupted(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of the interrupted run to resume; None for a new run."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        for above in folder.absolute().parents:
            if (above / files.HEADER).is_file() or is_run(above):
                raise WrongTarget(
                    f"{folder}: is inside {above}, which holds data or a run; name a folder elsewhere"
                )
        return None
    if not is_run(folder):
        raise WrongTarget(f"{folder}: is not empty and not a run; name a folder that does not exist yet")
    there = dict(Run.open(folder).record)
    if there["pid"] is not None and files.runs(str(there["pid"])):
        raise ExportError(
            f"{folder}: process {there['pid']} is working on this run; wait for it, or name another folder"
        )
    if there["asked"] != msgspec.to_builtins(asked) and _learned_nothing(folder, there):
        return None
    if there["asked"] != msgspec.to_builtins(asked):
        differs = list(_differing(there["asked"], msgspec.to_builtins(asked)))
        raise WrongTarget(
            f"{folder}: holds a run that differs in {' and '.join(differs) or 'its request'}; name another folder, or remove it"
        )
    return there


def _learned_nothing(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether a run ended before its first checkpoint."""
    learned = (file for file in folder.rglob("*") if file.suffix in _CHECKPOINTS)
    return record["state"] != "done" and next(learned, None) is None


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


def _write(folder: Path, record: Mapping[str, Any]) -> None:
    files.write_json(folder / RECORD, record)
