"""The smoke preset of the paper's models on one synthetic sample: each is trained once, whoever asks first.

Test files run in processes of their own. They share a folder, and take turns where they need the same run.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from other_hospitals import PATTERN

from pcm_leukemia import load_dataset, sample, splits, store
from pcm_leukemia.baselines import training
from pcm_leukemia.baselines.experiments.reproduction import EXPERIMENTS, Experiment
from pcm_leukemia.baselines.run import Run


def _shortened(each: Experiment) -> Experiment:
    """Table 4's detectors hardly learn: that they can is seen in Table 5. DinoBloom learns from smaller crops."""
    changes: dict[str, str] = {}
    if each.table == 4:
        changes = {"epochs": "4"}
    elif each.baseline == "dinobloom":
        adapted = ("strategy", "lp+ft") in each.changes  # for Table 7; it has to learn better than the other
        changes = {"image_size": "42", "batch": "8"} if adapted else {"image_size": "28", "epochs": "6"}
    return each._replace(changes=(*each.changes, *changes.items()))


SHORTENED = tuple(map(_shortened, EXPERIMENTS))


class SmokeRuns:
    """A sample of 16 patients, split by patient, and the runs on it; all in `folder`, the sample in ``data``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        export = folder / "export.zip"
        with self._turn("sample"):
            if not export.exists():
                sample.write(export, patients=16, images=48)
            ds = load_dataset(export, patients=PATTERN, name="sample")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # few patients have some of the classes
                self.ds = ds.with_split(splits.by_patient(ds, test=0.25, val=0.2, seed=0))
            if not (folder / "data").exists():
                store.write(self.ds, folder / "data")

    @contextmanager
    def _turn(self, name: str) -> Iterator[None]:
        with FileLock(self.folder / f"{name}.lock"):
            yield

    def run(self, name: str) -> Run:
        """The trained run of an experiment, by the name of its folder."""
        return self.trained(next(each for each in SHORTENED if each.folder == name))

    def trained(self, experiment: Experiment) -> Run:
        """As `reproduce` trains it."""
        with self._turn(experiment.folder), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the libraries' own
            return training.train(
                experiment.baseline,
                self.ds,
                self.folder / "reproduced" / "runs" / experiment.folder,
                task=experiment.task,
                preset="smoke",
                settings=dict(experiment.changes),
                workers=0,
            )


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one test run have in common."""
    own = factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "smoke_runs"
