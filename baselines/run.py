"""A run: the folder that training writes, and the record in it.

::

    run.json     the request, the data, the versions, the device, and the time it took
    data/        the data set it was trained on, with its split, as a canonical folder (tables, no images)
    before/      if it started from the weights of another run: what that one had learned from, 0, 1, ...
    logs/        the losses and scores of each epoch
    scores/      the results of `evaluate`, one file for each data set, part and threshold
    ...          the weights, in the model's own format

`data/` and `before/` tell which patients the model has seen, so that it is never scored on them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from pcm_leukemia import files, splits, store
from pcm_leukemia.baselines import config
from pcm_leukemia.baselines.contract import Classifier, Detector
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, LeakySplit, counted
from pcm_leukemia.schema import Split

__all__ = ["Run", "is_run", "learned_by", "origin", "split_fingerprint"]

RECORD = "run.json"
DATA, BEFORE = "data", "before"


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
            raise DataNotFound(_no_run(Path(folder))) from error
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
        else:  # a run of an earlier version, or weights that come from no run
            yield from learned_by(self.record.get("asked", {}))

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
        from pcm_leukemia.baselines.machine import device_of  # with torch, which the record does not need

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

        This includes what the weights that it started from had learned from, in other runs. Images are recognised by the
        digests of their files, or else by name; `splits.seen` says how.

        Raises
        ------
        LeakySplit
            If there are any: the first ones are named.
        """
        found = self.seen(ds)
        if found:
            raise LeakySplit([leak.problem for leak in found])

    def seen(self, ds: Dataset) -> list[splits.Leak]:
        """The images that the model has learned from, or whose patient or group it has, by the rule of `require_unseen`."""
        return [leak for learned in self.learned() for leak in splits.seen(learned, ds, str(self.folder))]

    def note_on_seen(self, ds: Dataset) -> str:
        """A sentence on scores of images that the model has learned from; "" if it has not."""
        images = {image for leak in self.seen(ds) for image in leak.images}
        if not images:
            return ""
        return (
            f"{self.folder} has learned from {len(images):,} of {counted(len(ds.images), 'scored image')} or their patients: the "
            "scores show how well it fits them, not how it does on new patients"
        )


def _no_run(folder: Path) -> str:
    """Why a path cannot be opened as a run, and what to give instead."""
    folds = sorted(each.name for each in folder.iterdir() if is_run(each)) if folder.is_dir() else []
    if folds:
        return (
            f"{folder}: holds {counted(len(folds), 'run')} and is none; give one of them: {folder / folds[0]}"
        )
    if folder.exists():
        return f"{folder}: holds no run (no {RECORD}); give the folder that pcm-leukemia train wrote"
    return f"{folder}: holds no run (no {RECORD}); train one: pcm-leukemia train MODEL DATA {folder}"


def is_run(folder: str | Path) -> bool:
    """Whether a folder holds a run."""
    return (Path(folder) / RECORD).is_file()


def origin(weights: str) -> Run | None:
    """The run in whose folder weights are; None for all other weights."""
    path = Path(weights)
    folder = next((each for each in (path, *path.parents[:2]) if is_run(each)), None)
    return None if folder is None or not path.exists() else Run.open(folder)


def learned_by(asked: Mapping[str, Any]) -> Iterator[Dataset]:
    """What the weights that a run asks for have learned from."""
    parent = origin(asked.get("settings", {}).get("weights", "none"))
    if parent is not None:
        yield from parent.learned()


def split_fingerprint(split: Split) -> str:
    """SHA-256 over the part of every image."""
    lines = "\n".join(f"{image}\t{part}" for image, part in sorted(split.part_of.items()))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()
