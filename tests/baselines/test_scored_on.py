"""What scores were computed on, and how many of the cells a model drew."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split
from pcm_leukemia.baselines import evaluation
from pcm_leukemia.baselines.evaluation import evaluate
from pcm_leukemia.baselines.experiments.cross_domain import cross
from pcm_leukemia.baselines.inference import Classified
from pcm_leukemia.baselines.recording import start
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.baselines.scored_on import ScoredOn
from pcm_leukemia.schema import IGNORE, ImageId, PatientId

PARTS = {"P0": "train", "P1": "val", "P2": "test"}
IMAGES = tuple(Image(ImageId(f"{patient}/a.png"), 64, 48, PatientId(patient)) for patient in PARTS)
PEOPLE = tuple(Patient(PatientId(patient)) for patient in PARTS)
SPLIT = Split("official", {image.id: PARTS[str(image.patient)] for image in IMAGES})
DS = Dataset("here", NINE, IMAGES, (), PEOPLE, SPLIT)


def test_ignored_cells_are_not_scored() -> None:
    cells = [
        Cell(IMAGES[0].id, n, label, Box(1, 1, 9, 9), source="auto")
        for n, label in enumerate((IGNORE, "Other"))
    ]
    assert ScoredOn.of(replace(DS, cells=tuple(cells), split=None)) == ScoredOn(3, 3, 1, 1)


def test_scores_say_how_many_of_the_cells_a_model_drew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = list(DS.task("classification").taxonomy.labels)
    image = next(image for image in DS.images if DS.part_of(image) == "test")
    cells = (
        Cell(image.id, 0, "Lymphocyte", Box(1, 1, 9, 9), source="auto"),
        Cell(image.id, 1, "Lymphocyte", Box(11, 1, 19, 9), source="manual"),
        Cell(image.id, 2, "Other", Box(21, 1, 29, 9), source="auto"),  # no cell of the task
    )
    learned = Cell(DS.images[0].id, 0, "Lymphocyte", Box(1, 1, 9, 9))
    ds = replace(DS, cells=(learned, *cells))
    asked = {"baseline": "resnet50", "task": "classification", "labels": labels, "settings": {}}
    with start(tmp_path / "run", asked, ds, "cpu") as (run, _, _):
        pass

    def predicted(_: Run, view: Dataset, **__: object) -> Classified:
        return Classified(
            view.cells, np.full((len(view.cells), len(labels)), 1 / len(labels), np.float32), None
        )

    monkeypatch.setattr(evaluation, "predictions", predicted)
    found = evaluate(run, ds)
    note = (
        'note: 1 of 2 scored cells has the source "auto": a model drew it, so the scores are too high if nobody has '
        "corrected it"
    )
    assert note in str(found).splitlines()
    kept = json.loads((tmp_path / "run" / "scores" / "here-test.json").read_text())
    assert kept["scored_on"] == {"patients": 1, "images": 1, "cells": 2, "auto_cells": 1}
    crossed = cross([run], {"there": ds}, tmp_path / "crossed")
    assert {entry.auto_cells for entry in crossed.entries} == {1}
    assert "Note: there: 1 of 2 scored cells has" in (tmp_path / "crossed" / "cross.md").read_text()
    by_hand = evaluate(run, replace(ds, cells=(learned, cells[1])))
    assert (by_hand.notes, by_hand.scored_on) == ((), (1, 1, 1, 0))
