"""The loop of docs/loop.py, from smears to scores, corrections and better scores, run as it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pcm_leukemia import load_dataset, review
from pcm_leukemia.baselines.run import Run

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "loop.py"

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the loop was run."""
    out = tmp_path_factory.mktemp("loop")
    command = [sys.executable, str(SCRIPT), str(out / "around"), "--patients", "12", "--images", "40"]
    subprocess.run(command, check=True)
    return out / "around"


def test_fewer_annotations_are_wrong_afterwards(around: Path) -> None:
    mistakes = json.loads((around / "loop.json").read_text("utf-8"))["mistakes"]
    assert mistakes["before"] > 20
    assert mistakes["after"] < mistakes["before"]


def test_the_corrections_are_what_the_models_learn_from_next(around: Path) -> None:
    before = Run.open(around / "before" / "classifier").dataset()
    after = Run.open(around / "after" / "classifier").dataset()
    now = load_dataset(around / "data")
    assert before.fingerprint != after.fingerprint == now.fingerprint
    assert before.split == after.split == now.split
    frames = {image.id for image in load_dataset(around / "corrected.zip").images}
    found = review.diff(before, after)
    changed = [*found.added, *found.removed, *(change.before for change in (*found.moved, *found.relabelled))]
    assert changed
    assert {cell.image for cell in changed} <= frames


def test_the_test_part_stays_as_it_was_checked(around: Path) -> None:
    now, checked = load_dataset(around / "data").part("test"), load_dataset(around / "test")
    assert review.diff(checked, now).unchanged == len(checked.cells) == len(now.cells)


def test_it_measures_both_rounds(around: Path) -> None:
    measured = json.loads((around / "loop.json").read_text("utf-8"))
    for name in ("before", "after"):
        scores = json.loads(next((around / name / "classifier" / "scores").glob("*.json")).read_text("utf-8"))
        assert measured[name]["classifier"] == pytest.approx(100 * scores["classification"]["macro_f1"])
        assert 0 < measured[name]["shares"] < 30
        assert 0 < measured[name]["detector"] < 100
