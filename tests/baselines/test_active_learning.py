"""Which frames are to be annotated next: the choice, which frames are candidates, and what an annotator gets."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from commands import Run as Command
from commands import run  # noqa: F401 - a fixture
from msgspec import structs
from test_embedding import trained

from pcm_leukemia import NINE, Box, Cell, Dataset, bare_images, cvat, patients, store
from pcm_leukemia.baselines import active_learning
from pcm_leukemia.baselines.active_learning import Pick, Pool, Selection, choose, select, share
from pcm_leukemia.baselines.classifiers.network import CellClassifier
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.errors import UnfitForTask, WrongTarget
from pcm_leukemia.images import Pixels
from pcm_leukemia.schema import IGNORE, Split

PATTERN = r"(?P<patient>P\d)/"

# The choice


def pool(
    owners: Sequence[str | None], unsure: Sequence[float], features: Sequence[Sequence[float]] = ()
) -> Pool:
    """One cell a frame, with this uncertainty; by default all features differ as much as they can."""
    margins = 1 - np.array(unsure, float)
    probabilities = np.column_stack([0.5 + margins / 2, 0.5 - margins / 2])
    shown = np.array(features, float) if len(features) else np.eye(len(owners))
    return Pool(owners, np.arange(len(owners)), probabilities, shown)


def frames(picks: Sequence[Pick]) -> list[int]:
    return [pick.frame for pick in picks]


@pytest.mark.parametrize("strategy", ["mixed", "uncertainty"])
def test_no_patient_takes_more_than_its_share_while_others_have_frames(
    strategy: active_learning.Strategy,
) -> None:
    owners = [*"AAAAAAAA", "B", *"CCCC"]
    unsure = [0.9] * 8 + [0.1] + [0.5] * 4
    chosen = frames(choose(pool(owners, unsure), 7, strategy=strategy))
    # B has a single frame, so that A and C share the six others
    assert Counter(owners[frame] for frame in chosen) == {"A": 3, "B": 1, "C": 3}
    assert share(owners, 7) == 3
    # A gets more only when the others have none left
    assert Counter(owners[frame] for frame in choose_all(owners, unsure, 11, strategy)) == {
        "A": 6,
        "B": 1,
        "C": 4,
    }


def choose_all(
    owners: Sequence[str], unsure: Sequence[float], budget: int, strategy: active_learning.Strategy
) -> list[int]:
    return frames(choose(pool(owners, unsure), budget, strategy=strategy))


def test_frames_without_a_patient_have_no_common_share() -> None:
    chosen = frames(choose(pool([None] * 4 + ["A"] * 3, [0.9] * 4 + [0.8] * 3), 5, strategy="uncertainty"))
    assert set(chosen[:4]) == {0, 1, 2, 3}


@pytest.mark.parametrize("strategy", active_learning.STRATEGIES)
def test_the_same_seed_chooses_the_same_and_a_larger_budget_takes_every_frame_once(
    strategy: active_learning.Strategy,
) -> None:
    rng = np.random.default_rng(1)
    those = pool("AABBBCD", rng.uniform(size=7).tolist(), rng.normal(size=(7, 5)).tolist())
    assert choose(those, 5, strategy=strategy, seed=3) == choose(those, 5, strategy=strategy, seed=3)
    every = choose(those, 100, strategy=strategy)
    assert sorted(frames(every)) == list(range(7))


def test_the_seed_decides_between_equal_frames() -> None:
    equal = pool("ABCDEF", [0.5] * 6, [[1.0, 1.0]] * 6)
    firsts = {frames(choose(equal, 1, seed=seed))[0] for seed in range(40)}
    assert firsts == set(range(6))


def test_mixed_takes_no_copies_while_something_else_is_left() -> None:
    features = [[1.0, 0, 0]] * 8 + [[0, 1.0, 0], [0, 0, 1.0], [0.7, 0.7, 0]]
    those = pool([None] * 11, [0.9] * 8 + [0.4, 0.3, 0.5], features)
    mixed = choose(those, 4)
    assert len(set(frames(mixed)) & set(range(8))) == 1
    assert set(frames(choose(those, 4, strategy="uncertainty"))) <= set(range(8))
    assert mixed[0].novelty == 1
    # a copy is not novel
    assert choose(those, 5)[-1].novelty == pytest.approx(0, abs=1e-6)
    for pick in mixed:
        assert pick.score == pytest.approx(pick.uncertainty * pick.novelty)


def test_uncertainty_is_the_mean_of_one_minus_the_margin() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2], [0.6, 0.3, 0.1]])
    those = Pool(["A", "B"], np.array([0, 0, 1]), probabilities, np.eye(3))
    first, second = choose(those, 2, strategy="uncertainty")
    assert [first.frame, second.frame] == [0, 1]
    assert [first.uncertainty, second.uncertainty] == pytest.approx([(0.5 + 1) / 2, 0.7])
    # many cells are no advantage: they are as many labels
    many = Pool(["A", "B"], np.array([0, 0, 0, 1]), np.array([[0.7, 0.3]] * 3 + [[0.6, 0.4]]), np.eye(4))
    assert frames(choose(many, 1, strategy="uncertainty")) == [1]


def test_a_frame_without_cells_comes_last() -> None:
    those = Pool(["A", "B", "C"], np.array([0, 2]), np.array([[0.9, 0.1], [0.8, 0.2]]), np.eye(2))
    assert frames(choose(those, 3)) == [2, 0, 1]
    nothing = Pool(["A", "B"], np.zeros(0, int), np.zeros((0, 3)), np.zeros((0, 4)))
    assert sorted(frames(choose(nothing, 2))) == [0, 1]


def test_random_draws_every_frame_equally_often_whatever_it_shows() -> None:
    those = pool("AAAAAB", [0.9, 0.1, 0.5, 0.3, 0.8, 0.99])
    drawn = Counter(
        frame for seed in range(3000) for frame in frames(choose(those, 2, strategy="random", seed=seed))
    )
    assert set(drawn) == set(range(6))
    # 1,000 are expected, with a standard deviation of 26
    assert max(abs(count - 1000) for count in drawn.values()) < 105
    pairs = {tuple(frames(choose(those, 2, strategy="random", seed=seed))) for seed in range(500)}
    assert len(pairs) == 30


@pytest.mark.parametrize(
    ("budget", "strategy", "words"), [(0, "mixed", "1 or more"), (3, "best", "must be mixed, ")]
)
def test_unknown_options_are_refused(budget: int, strategy: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        choose(pool("AB", [0.1, 0.2]), budget, strategy=strategy)  # type: ignore[arg-type]


# Which frames, and what is predicted


class Detector:
    """Finds three cells in every picture that is not white, with scores that depend on its red."""

    multi_label = False

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels

    def prepare(self, image: Pixels) -> torch.Tensor:
        return torch.from_numpy(image.copy())

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch

    def detections(
        self,
        raw: torch.Tensor,
        sizes: Sequence[tuple[int, int]],  # noqa: ARG002 - the protocol's
        *,
        multi_label: bool,
    ) -> list[Detections]:
        assert not multi_label
        boxes = np.array([(10, 10, 34, 34), (60, 12, 84, 36), (110, 8, 140, 36)], np.float32)
        found = []
        for picture in raw:
            red = int(picture[0, 0, 0])
            kept = slice(0, 0 if red == 255 else 3)
            scores = np.array([0.95, 0.9, 0.02 + red / 256], np.float32)
            found.append(Detections(boxes[kept], scores[kept], np.array([0, 0, 1])[kept]))
        return found


def smears(folder: Path, names: Sequence[str]) -> Dataset:
    rng = np.random.default_rng(5)
    for number, name in enumerate(names):
        pixels = rng.integers(0, 200, (48, 150, 3), dtype=np.uint8)
        pixels[0, 0] = (10 * number, 0, 0)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(folder / name)
    return bare_images.read(folder)


NAMES = [f"P{number % 4}/{number:02}.png" for number in range(12)]


@pytest.fixture
def new(tmp_path: Path) -> Dataset:
    """Twelve frames of four patients, without cells."""
    return patients.from_pattern(smears(tmp_path / "new", NAMES), PATTERN)


@pytest.fixture
def home(tmp_path: Path) -> Dataset:
    """What the runs have learned from: frames of other patients."""
    ds = patients.from_pattern(smears(tmp_path / "home", ["P8/a.png", "P9/b.png"]), PATTERN)
    digests = iter("ab")  # no file of the new hospital
    images = tuple(replace(image, digest=next(digests) * 64) for image in ds.images)
    return learned(replace(ds, name="home", images=images))


def learned(ds: Dataset) -> Dataset:
    return replace(ds, split=Split("all", {image.id: "train" for image in ds.images}))


@pytest.fixture
def detector(tmp_path: Path, home: Dataset, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(Run, "detector", lambda self, _: Detector(self.labels))
    found = trained(tmp_path / "detector", home, baseline="yolo11m")
    return relabelled(found, ("WBC", "Other"))


def relabelled(found: Run, labels: tuple[str, ...]) -> Run:
    record = json.loads((found.folder / "run.json").read_text())
    record["asked"] |= {"labels": labels, "task": "wbc"}
    (found.folder / "run.json").write_text(json.dumps(record))
    return Run.open(found.folder)


@pytest.fixture
def classifier(tmp_path: Path, home: Dataset) -> Run:
    return trained(tmp_path / "classifier", home)


def chosen(selection: Selection) -> set[str]:
    return {each.image for each in selection.chosen}


@pytest.mark.parametrize("strategy", active_learning.STRATEGIES)
def test_no_frame_with_cells_and_none_that_was_learned_from_is_chosen(
    strategy: active_learning.Strategy, new: Dataset, detector: Run, classifier: Run, tmp_path: Path
) -> None:
    drawn = Cell(new.images[3].id, 0, "Monocyte", Box(5, 5, 20, 20), source="manual")
    cells = replace(new, cells=(drawn, structs.replace(drawn, image=new.images[4].id, label=IGNORE)))
    store.write(
        learned(new.select(images=[new.images[0].id])), tmp_path / "classifier" / "data", replace=True
    )
    found = select([detector, classifier], cells, 100, strategy=strategy, device="cpu")
    assert chosen(found) == {image.id for image in new.images} - {new.images[at].id for at in (0, 3, 4)}
    assert (found.candidates, found.annotated, found.learned_from) == (9, 2, 1)
    assert "left out: 2 images with cells already" in str(found)
    assert "left out: 1 image without cells that a run has learned from" in str(found)
    assert "fewer than the budget of 100" in str(found)


def test_other_frames_of_a_patient_who_was_learned_from_may_be_chosen(
    new: Dataset, detector: Run, tmp_path: Path
) -> None:
    first = new.images[0]
    store.write(learned(new.select(images=[first.id])), tmp_path / "detector" / "data", replace=True)
    found = select([detector], new, 12, device="cpu")
    assert chosen(found) == {image.id for image in new.images[1:]}


def test_nothing_is_chosen_where_everything_has_cells(new: Dataset, detector: Run) -> None:
    cells = tuple(Cell(image.id, 0, "Other", Box(5, 5, 20, 20)) for image in new.images)
    with pytest.raises(UnfitForTask, match="has no image to choose: 12 images of 12 with cells"):
        select([detector], replace(new, cells=cells), 2)


def test_a_detector_alone_is_unsure_where_its_scores_are_near_a_half(new: Dataset, detector: Run) -> None:
    found = select([detector], new, 12, strategy="uncertainty", threshold=0.3, device="cpu")
    # the red of image n is 10 n, the score of its third cell 0.02 + 10 n / 256; below the threshold it is not judged
    scores = {name: 0.02 + 10 * number / 256 for number, name in enumerate(NAMES)}
    for each in found.chosen:
        third = scores[each.image]
        unsure = [1 - abs(2 * score - 1) for score in (0.95, 0.9, *([third] if third >= 0.3 else []))]
        assert each.uncertainty == pytest.approx(np.mean(unsure), abs=1e-3)
        assert each.cells == len(unsure)


def test_the_probabilities_and_features_of_two_stages_are_those_of_the_classifier(
    new: Dataset, detector: Run, classifier: Run
) -> None:
    found = select([detector, classifier], new, 1, device="cpu")
    (each,) = found.chosen
    model = classifier.classifier("cpu")
    assert isinstance(model, CellClassifier)
    assert isinstance(new.root, Path)
    with PIL.Image.open(new.root / each.image) as picture:
        pixels = np.asarray(picture)
    crops = [pixels[3:41, 3:41], pixels[5:43, 53:91]]  # the white cells, with 7 pixels around
    batch = torch.stack([model.prepare(crop) for crop in crops])
    features, probabilities = model.features_and_probabilities(batch)
    assert torch.equal(probabilities, model.probabilities(batch))
    with torch.inference_mode():
        torch.testing.assert_close(model.network.head(features).softmax(1), probabilities)
    two = probabilities.sort(dim=1).values[:, -2:]
    assert each.uncertainty == pytest.approx(float((1 - (two[:, 1] - two[:, 0])).mean()), abs=1e-4)


def test_a_classifier_alone_takes_the_boxes_that_nobody_has_named(new: Dataset, classifier: Run) -> None:
    with pytest.raises(UnfitForTask, match=r"has no box .* give the run of a detector, too"):
        select([classifier], new, 2)
    by_model = Cell(new.images[0].id, 0, "Monocyte", Box(10, 10, 34, 34), source="auto")
    ignored = Cell(new.images[1].id, 0, IGNORE, Box(10, 10, 34, 34), source="manual")
    by_hand = Cell(new.images[2].id, 0, "Monocyte", Box(10, 10, 34, 34), source="manual")
    found = select([classifier], replace(new, cells=(by_model, ignored, by_hand)), 2, device="cpu")
    assert chosen(found) == {new.images[0].id, new.images[1].id}
    assert (found.annotated, found.boxless) == (1, 9)
    assert "left out: 9 images without a box for the classifier" in str(found)
    assert [(cell.image, cell.box, cell.source) for cell in found.frames.cells] == [
        (new.images[at].id, by_model.box, "auto") for at in (0, 1)
    ]
    assert all(cell.label in classifier.labels for cell in found.frames.cells)


def test_frames_in_which_nothing_is_found_come_last(new: Dataset, detector: Run, tmp_path: Path) -> None:
    PIL.Image.new("RGB", (150, 48), "white").save(tmp_path / "new" / NAMES[5])
    found = select([detector], new, 12, device="cpu")
    assert found.chosen[-1].image == NAMES[5]
    assert (found.chosen[-1].score, found.chosen[-1].cells) == (0, 0)


def test_frames_without_a_predicted_cell_are_said(new: Dataset, detector: Run, tmp_path: Path) -> None:
    found = select([detector], new, 2, threshold=1.0, device="cpu")
    assert found.cells == 0
    report = active_learning.write(found, tmp_path / "out")
    assert "no cell in it has the score that is asked for; lower threshold to get some" in str(report)


# What an annotator gets


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "next.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_zip_has_the_chosen_frames_with_the_boxes_of_predict(
    run: Command,  # noqa: F811
    new: Dataset,
    detector: Run,
    classifier: Run,
    tmp_path: Path,
) -> None:
    assert new.root is not None
    runs = (detector.folder, classifier.folder)
    done = run("next", *runs, new.root, tmp_path / "out", "--budget", 5, "--patients", PATTERN)
    assert done.status == 0, done.err
    assert "5 of 12 candidates chosen by mixed" in done.out
    assert "2 frames of each at most" in done.out
    assert run("predict", *runs, new.root, tmp_path / "all", "--to", "cvat").status == 0
    every, some = cvat.read(tmp_path / "all.zip"), cvat.read(tmp_path / "out" / "frames.zip")
    rows = table(tmp_path / "out")
    assert {image.id for image in some.images} == {row["image"] for row in rows}
    assert len(some.images) == 5
    assert some.cells
    kept = [cell for cell in every.cells if cell.image in {image.id for image in some.images}]
    assert list(some.cells) == kept
    assert f"with {len(kept)} predicted cells" in done.out


def test_the_table_is_the_result(
    run: Command,  # noqa: F811
    new: Dataset,
    detector: Run,
    tmp_path: Path,
) -> None:
    found = select([detector], new, 6, seed=2, device="cpu")
    active_learning.write(found, tmp_path / "out")
    rows = table(tmp_path / "out")
    assert [int(row["rank"]) for row in rows] == list(range(1, 7))
    for row, each in zip(rows, found.chosen, strict=True):
        texts = (row["image"], row["patient"], row["reason"], int(row["cells"]))
        assert texts == (each.image, each.patient, each.reason, each.cells)
        numbers = [float(row[name]) for name in ("score", "uncertainty", "novelty")]
        assert numbers == [each.score, each.uncertainty, each.novelty]
    assert sum(each.cells for each in found.chosen) == found.cells
    words = ("--budget", 6, "--seed", 2, "--patients", PATTERN, "--json", "--device", "cpu")
    done = run("next", detector.folder, new.root, tmp_path / "again", *words)
    assert json.loads(done.out) == found.to_json()
    for name in ("next.csv", "frames.zip"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_names_with_commas_quotes_and_formulas_are_kept(detector: Run, tmp_path: Path) -> None:
    names = ['a, "b".png', "=1+1.png", "ж;日本 <x>&.png", "-2.png"]
    ds = smears(tmp_path / "odd", names)
    active_learning.write(select([detector], ds, 9, device="cpu"), tmp_path / "out")
    rows = table(tmp_path / "out")
    assert {row["image"] for row in rows} == set(names)
    back = cvat.read(tmp_path / "out" / "frames.zip", taxonomy="declared")
    assert {image.id for image in back.images} == set(names)


@pytest.mark.parametrize("words", [("--budget", "0"), ("--budget", "2", "--strategy", "best"), ()])
def test_a_refusal_writes_nothing(
    words: tuple[str, ...],
    run: Command,  # noqa: F811
    new: Dataset,
    detector: Run,
    tmp_path: Path,
) -> None:
    done = run("next", detector.folder, new.root, tmp_path / "out", *words)
    assert done.status == 2
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_refused_before_the_work(
    run: Command,  # noqa: F811
    new: Dataset,
    detector: Run,
    tmp_path: Path,
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    done = run("next", "no-run", new.root, tmp_path / "out", "--budget", 2)
    assert 'holds "mine.txt", which pcm-leukemia did not write' in done.err
    with pytest.raises(WrongTarget):
        active_learning.write(select([detector], new, 2, device="cpu"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_file_that_cannot_be_copied_leaves_nothing(new: Dataset, detector: Run, tmp_path: Path) -> None:
    found = select([detector], new, 12, device="cpu")
    (tmp_path / "new" / NAMES[5]).unlink()
    with pytest.raises(Exception, match=NAMES[5].partition("/")[2]):
        active_learning.write(found, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if "writing" in path.name]


def test_unknown_patients_are_said(new: Dataset, detector: Run) -> None:
    nobody = replace(new, images=tuple(replace(image, patient=None) for image in new.images), patients=())
    found = select([detector], nobody, 3, device="cpu")
    assert found.share is None
    assert "no patient is known" in str(found)
    assert select([detector], new, 3, strategy="random", device="cpu").share is None
    assert NINE.labels[-1] == "Other"
