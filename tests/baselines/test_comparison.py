"""Two models on the same patients: what scikit-learn and pycocotools say of each draw, what can be counted by hand, and what is
refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from commands import Run as Command
from sklearn import metrics as peer
from test_detection_scores import BLOOD, Everything, found, pycocotools, smears

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, Taxonomy, store
from pcm_leukemia.baselines import comparison
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.inference import Classified, Detected
from pcm_leukemia.baselines.metrics import differences
from pcm_leukemia.baselines.metrics.bootstrap import interval, times_drawn
from pcm_leukemia.baselines.metrics.differences import Difference, Drawn, of_classifier, of_detector
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.errors import LeakySplit, UnknownPart
from pcm_leukemia.schema import ImageId, PatientId

ABC = ("A", "B", "C")
Floats = npt.NDArray[np.float64]


class Cells:
    """Cells of several patients, some of whom are hard for every model."""

    def __init__(self, seed: int, patients: int = 12, each: int = 15) -> None:
        self.rng = np.random.default_rng(seed)
        self.groups = [f"P{number:02}" for number in range(patients) for _ in range(each)]
        self.truths = self.rng.integers(0, 3, len(self.groups)).tolist()
        self.sure = np.repeat(self.rng.uniform(0.2, 0.95, patients), each)
        """How likely each cell is named right."""

    def classifier(self, changed: float = 1.0, of: Floats | None = None) -> Floats:
        """The probabilities from a model; with `of`, from another model that differs in that share of the cells."""
        right = self.rng.random(len(self.truths)) < self.sure
        guessed = np.where(right, self.truths, self.rng.integers(0, 3, len(self.truths)))
        if of is not None:
            other = self.rng.random(len(self.truths)) < changed
            guessed = np.where(other, guessed, of.argmax(axis=1))
        return np.eye(3)[guessed]


def again(rows: Sequence[int], groups: Sequence[str], times: Sequence[int]) -> list[int]:
    """The cells of a draw, those of a patient who is drawn twice twice."""
    names = sorted(set(groups))
    return [row for row in rows for _ in range(times[names.index(groups[row])])]


def test_each_draw_is_what_scikit_learn_says_of_the_patients_drawn() -> None:
    cells = Cells(4, patients=5, each=6)
    one = cells.classifier()
    other = cells.classifier(0.3, of=one)
    one, other = (0.7 * each + 0.3 * cells.rng.dirichlet(np.ones(3), len(each)) for each in (one, other))
    drawn = [
        of_classifier(cells.truths, model, ABC, cells.groups, draws=30, seed=7) for model in (one, other)
    ]
    expected: dict[str, list[float]] = {}
    for times in times_drawn(5, 30, seed=7).tolist():
        rows = again(range(len(cells.truths)), cells.groups, times)
        truths = np.array(cells.truths)[rows]
        present = sorted(set(truths.tolist()))
        values: list[dict[str, float]] = []
        for model in (one, other):
            guesses = model.argmax(axis=1)[rows]
            f1s = peer.f1_score(truths, guesses, average=None, labels=[0, 1, 2], zero_division=0)
            values.append(
                {
                    "accuracy": peer.accuracy_score(truths, guesses),
                    "balanced accuracy": peer.recall_score(
                        truths, guesses, average="macro", labels=present, zero_division=0
                    ),
                    "macro F1": peer.f1_score(
                        truths, guesses, average="macro", labels=present, zero_division=0
                    ),
                    "weighted F1": peer.f1_score(truths, guesses, average="weighted", zero_division=0),
                    "AUROC": np.mean([peer.roc_auc_score(truths == k, model[rows, k]) for k in present]),
                    "calibration error (ECE)": gap(truths, model[rows]),
                    **{f"F1 of {label}": f1s[k] for k, label in enumerate(ABC)},
                }
            )
        for name in values[0]:
            expected.setdefault(name, []).append(values[1][name] - values[0][name])
    compared = differences.differences(*drawn)
    assert list(compared) == list(expected)
    for name, each in compared.items():
        assert each.interval == pytest.approx(interval(np.array(expected[name])), abs=1e-12), name
        gains = np.array(expected[name]) * (-1 if name == "calibration error (ECE)" else 1)
        assert each.second_better == np.mean(gains > 1e-12), name
    assert compared["accuracy"].first == peer.accuracy_score(cells.truths, one.argmax(axis=1))
    assert compared["accuracy"].difference == compared["accuracy"].second - compared["accuracy"].first
    assert compared["accuracy"].difference != 0


def gap(truths: npt.NDArray[np.int64], chances: Floats) -> float:
    """The expected calibration error, bin by bin."""
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == truths
    found = 0.0
    for low in range(15):
        inside = (sure > low / 15) & (sure <= (low + 1) / 15)
        found += abs(float(sure[inside].sum()) - int(right[inside].sum())) / len(sure)
    return found


def test_errors_are_better_when_they_are_lower() -> None:
    """P1 has a lymphoblast and P2 a lymphocyte; the second model takes none for the other, the first both."""
    labels, truths = ("Lymphocyte", "Lymphoblast"), [1, 0]
    swapped, right = (
        of_classifier(truths, np.eye(2)[guessed], labels, ["P1", "P2"]) for guessed in ([0, 1], truths)
    )
    found = differences.differences(swapped, right)
    for name in ("blasts taken for normal cells", "normal cells taken for blasts", "calibration error (ECE)"):
        assert found[name] == (1.0, 0.0, -1.0, None, 1.0, 0.0), name
        assert differences.differences(right, swapped)[name].second_better == 0
    assert (found["AUROC"].first, found["AUROC"].second) == (0, 1)
    assert np.isnan(right["blasts taken for normal cells"].draws).any()  # of draws without P1
    alone = of_classifier([1], np.eye(2)[[1]], labels, ["P1"])
    assert "blasts taken for normal cells" in alone
    assert not {"normal cells taken for blasts", "AUROC"} & set(alone)
    assert not any("blasts" in name for name in of_classifier([0, 1], np.eye(2), ("A", "B"), ["P1", "P2"]))


def test_each_draw_is_what_pycocotools_says_of_the_patients_drawn() -> None:
    ds, one = smears(np.random.default_rng(5))
    other = worse(one)
    groups = [str(image.patient) for image in ds.images]
    drawn = [of_detector(ds, each, each, groups, draws=12, seed=3) for each in (one, other)]
    expected = []
    for times in times_drawn(4, 12, seed=3).tolist():
        values = []
        for everything in (one, other):
            images, cells, copies = [], [], {}
            for image in ds.images:
                for copy in range(times[int(str(image.patient)[1:])]):
                    double = replace(image, id=ImageId(f"{image.id}_{copy}"), name="")
                    images.append(double)
                    copies[double.id] = everything[image.id]
                    cells += [Cell(double.id, c.id, c.label, c.box) for c in ds.cells_of(image)]
            ran = pycocotools(Dataset("drawn", BLOOD, tuple(images), tuple(cells), ds.patients), copies)
            values.append(ran.stats[:2])
        expected.append(values[1] - values[0])
    compared = differences.differences(*drawn)
    for name, row in zip(("mAP 50-95", "AP50"), np.array(expected).T, strict=True):
        assert compared[name].interval == pytest.approx(interval(row), abs=1e-10)
        assert compared[name].second_better == np.mean(row > 1e-10)
        assert compared[name].difference < 0


def worse(everything: Everything) -> Everything:
    """The same detections, less well placed."""
    return {
        image: each._replace(boxes=each.boxes + np.array([3, 0, 3, 0], np.float32))
        for image, each in everything.items()
    }


def test_a_model_does_not_differ_from_itself() -> None:
    cells = Cells(1)
    one = of_classifier(cells.truths, cells.classifier(), ABC, cells.groups)
    ds, everything = smears(np.random.default_rng(2))
    groups = [str(image.patient) for image in ds.images]
    detector = of_detector(ds, everything, everything, groups, draws=50)
    for scores in (one, detector):
        for each in differences.differences(scores, scores).values():
            assert each[2:] == (0.0, None, 0.0, 1.0)
    assert list(detector) == [
        *("mAP 50-95", "AP50", "recall at score 0.5"),
        *("AP of WBC", "AP of RBC", "AP of Platelets"),
    ]


def width(found: Difference) -> float:
    assert found.interval is not None
    return found.interval.high - found.interval.low


def test_the_paired_interval_of_models_that_are_alike_is_narrower() -> None:
    cells = Cells(3, patients=30)
    first = cells.classifier()
    one = of_classifier(cells.truths, first, ABC, cells.groups)
    second = cells.classifier(0.1, of=first)
    paired = differences.differences(one, of_classifier(cells.truths, second, ABC, cells.groups))
    apart = differences.differences(one, of_classifier(cells.truths, second, ABC, cells.groups, seed=1))
    for name in ("accuracy", "macro F1"):
        assert paired[name].difference == apart[name].difference
        assert width(paired[name]) < 0.5 * width(apart[name])


def test_an_interval_counted_by_hand() -> None:
    """Two patients with a cell each; the second model is wrong in P2: draws differ by 0, 1/2 and 1, one in 4, 2 and 4."""
    right, wrong = np.eye(2)[[0, 0]], np.eye(2)[[0, 1]]
    scores = [of_classifier([0, 0], each, ("A", "B"), ["P1", "P2"]) for each in (wrong, right)]
    found = differences.differences(*scores)["accuracy"]
    assert found[:4] == (0.5, 1.0, 0.5, (0.0, 1.0))
    assert found.second_better == pytest.approx(0.75, abs=0.03)
    assert list(scores[0]) == [
        *("accuracy", "balanced accuracy", "macro F1", "weighted F1", "calibration error (ECE)", "F1 of A")
    ]


def test_a_patient_without_the_class_says_nothing_of_it() -> None:
    """P1 and P2 have the cells of B, which the second model alone knows: in every draw with either it gains 1."""
    truths, groups = [1, 1, 0, 0], ["P1", "P2", "P3", "P4"]
    scores = [
        of_classifier(truths, np.eye(2)[guessed], ("A", "B"), groups) for guessed in ([0, 0, 0, 0], truths)
    ]
    assert np.isnan(scores[0]["F1 of B"].draws).any()
    assert differences.differences(*scores)["F1 of B"] == (0.0, 1.0, 1.0, None, 1.0, 0.0)


def test_a_class_of_one_patient_has_no_interval() -> None:
    """P1 has the only cells of B; a false B in P2 lets the F1 of B differ from draw to draw."""
    truths, groups = [1, 1, 0, 0], ["P1", "P1", "P2", "P3"]
    scores = [
        of_classifier(truths, np.eye(2)[guessed], ("A", "B"), groups)
        for guessed in ([1, 0, 1, 0], [1, 1, 1, 0])
    ]
    found = differences.differences(*scores)
    assert found["F1 of B"][:3] == pytest.approx((0.5, 0.8, 0.3))
    assert found["F1 of B"][3:] == (None, None, None)
    assert found["F1 of A"].interval is not None


def test_the_average_precision_of_a_class_of_one_patient_has_no_interval() -> None:
    """P1 has the only monocyte; a false one in P2 has the better score, so the AP differs from draw to draw."""
    people = tuple(Patient(PatientId(name)) for name in ("P1", "P2"))
    images = tuple(Image(ImageId(f"{one.id}.png"), 99, 99, one.id) for one in people)
    box, label = (10.0, 10.0, 40.0, 40.0), NINE.ids["Monocyte"]
    ds = Dataset("two", NINE, images, (Cell(images[0].id, 0, "Monocyte", Box(*box)),), people)
    everything = {images[0].id: found((box, 0.5, label)), images[1].id: found((box, 0.9, label))}
    drawn = of_detector(ds, everything, everything, ["P1", "P2"])
    assert interval(drawn["AP of Monocyte"].draws) is None
    assert interval(drawn["mAP 50-95"].draws) is not None


def test_recall_is_drawn_with_the_patients() -> None:
    images = tuple(
        Image(ImageId(f"{name}.png"), 99, 99, PatientId(name)) for name in ("P1", "P2") for _ in "1"
    )
    box = (10.0, 10.0, 40.0, 40.0)
    rows = tuple(
        Cell(image.id, n, label, Box(*box))
        for image in images
        for n, label in enumerate(("Monocyte", "Other"))
    )
    rows += (Cell(images[0].id, 2, "Monocyte", Box(50, 50, 90, 90)),)
    ds = Dataset("two", NINE, images, rows, (Patient(PatientId("P1")), Patient(PatientId("P2"))))
    unsure = found((box, 0.3, NINE.ids["Lymphocyte"]))
    one, other = dict.fromkeys([i.id for i in images], unsure), {images[0].id: found(), images[1].id: unsure}
    scores = of_detector(ds, one, other, ["P1", "P2"], threshold=0.25)
    name = "recall at score 0.25"
    assert scores[name].value == 1 / 3
    assert set(scores[name].draws.tolist()) == {0, 1 / 3, 1}
    assert scores["AP of Monocyte"].value == 0
    assert "AP of Lymphocyte" not in scores
    assert of_detector(ds, one, one, ["P1", "P2"])["recall at score 0.5"].value == 0
    with pytest.raises(ValueError, match="threshold 25: out of range; give a value from 0 to 1"):
        of_detector(ds, one, one, ["P1", "P2"], threshold=25)


def test_one_patient_gives_no_interval() -> None:
    scores = of_classifier([0, 1], np.eye(2), ("A", "B"), ["P1", "P1"])
    assert differences.differences(scores, scores)["accuracy"] == (1.0, 1.0, 0.0, None, None, None)
    ds, everything = smears(np.random.default_rng(2), images=1)
    assert len(of_detector(ds, everything, everything, ["P0"])["AP50"].draws) == 0
    with pytest.raises(ValueError, match="a probability is not a number; check the model's weights"):
        of_classifier([0], np.full((1, 2), np.nan), ("A", "B"), ["P1"])


# Two runs


def hospital() -> Dataset:
    """Six patients, two in each part, each with an image of two cells."""
    people = tuple(Patient(PatientId(f"P{n}")) for n in range(6))
    images = tuple(Image(ImageId(f"{one.id}/a.png"), 64, 48, one.id) for one in people)
    cells = tuple(
        Cell(image.id, n, label, Box(5 + 20 * n, 5, 20 + 20 * n, 30))
        for image in images
        for n, label in enumerate(("Monocyte", "Lymphocyte"))
    )
    parts = ("train", "train", "val", "val", "test", "test")
    part_of = {image.id: part for image, part in zip(images, parts, strict=True)}
    return Dataset("here", NINE, images, cells, people, Split("official", part_of))


def run_of(folder: Path, learned: Dataset, baseline: str, task: str) -> Run:
    store.write(learned, folder / "data")
    labels = list(learned.task(task).taxonomy.labels)
    asked = {"baseline": baseline, "task": task, "labels": labels, "settings": {}}
    (folder / "run.json").write_text(json.dumps({"state": "done", "asked": asked}))
    return Run.open(folder)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Run]:
    """Two classifiers: the first takes every cell for a Monocyte, the second names all cells right."""

    def predictions(run: Run, view: Dataset, **_: Any) -> Classified:
        ids = view.taxonomy.ids
        guessed = [ids["Monocyte" if run.folder.name == "first" else cell.label] for cell in view.cells]
        return Classified(view.cells, np.eye(len(ids), dtype=np.float32)[guessed])

    monkeypatch.setattr(comparison, "predictions", predictions)
    first, second = (
        run_of(tmp_path / name, hospital(), "resnet50", "classification") for name in ("first", "second")
    )
    return first, second


def test_two_classifiers_on_the_same_patients(pair: tuple[Run, Run]) -> None:
    compared = comparison.compare(*pair, hospital())
    assert compared.part == "test"
    assert (compared.groups, compared.unit) == (2, "patients")
    assert compared.scores["accuracy"] == (0.5, 1.0, 0.5, None, 1.0, 0.0)
    assert compared.scores["F1 of Lymphocyte"].difference == 1
    assert compared.started_from == ("none", "none")
    assert compared.pretraining == ()
    text = str(compared)
    assert " ".join(text.splitlines()[3].split()) == "accuracy 50.00 100.00 +50.00 – 100.0 % 0.0 %"
    assert "1,000 draws of 2 patients, the same for both, seed 0" in text
    assert text.endswith("; 2 patients are few, so the intervals are rough and may be too narrow")
    given = json.loads(json.dumps(compared.to_json()))
    assert given["scores"]["accuracy"]["interval"] is None
    same = next(
        line for line in str(comparison.compare(pair[0], pair[0], hospital())).splitlines() if "AUROC" in line
    )
    alone = replace(compared, scores={"F1": Difference(0.5, 0.75, 0.25, None, None, None)})
    assert "F1  50.00  75.00  +25.00                 –       –       –" in str(alone)
    assert same.split()[-4:] == ["–", "–", "100.0", "%"]
    assert given["intervals"] == {"over": "patients", "groups": 2, "draws": 1000, "seed": 0, "paired": True}


def test_without_patients_images_are_drawn_and_it_says_so(pair: tuple[Run, Run]) -> None:
    whole = hospital()
    images = tuple(
        replace(image, id=ImageId(f"new/{image.id}"), patient=None, name="") for image in whole.images
    )
    cells = tuple(msgspec.structs.replace(cell, image=ImageId(f"new/{cell.image}")) for cell in whole.cells)
    compared = comparison.compare(*pair, Dataset("there", NINE, images, cells))
    assert (compared.groups, compared.unit, compared.part) == (6, "images", "all")
    assert str(compared).endswith(
        "without patient ids, they are narrower than they should be; 6 images are few, so the intervals are rough and may be too narrow"
    )


def test_what_either_model_has_learned_from_is_refused(pair: tuple[Run, Run], tmp_path: Path) -> None:
    whole = hospital()
    assert whole.split is not None
    for part in ("train", "val"):
        with pytest.raises(LeakySplit, match="the model has learned from it"):
            comparison.compare(*pair, whole, part)
    turned = {
        image: {"test": "train", "train": "test"}.get(part, part)
        for image, part in whole.split.part_of.items()
    }
    other = whole.with_split(Split("turned", turned))
    third = run_of(tmp_path / "third", other, "resnet50", "classification")
    for runs in ((pair[0], third), (third, pair[0])):
        with pytest.raises(LeakySplit, match="third"):
            comparison.compare(*runs, whole)


def test_runs_of_other_tasks_or_classes_are_refused(pair: tuple[Run, Run], tmp_path: Path) -> None:
    detector = run_of(tmp_path / "detector", hospital(), "yolo11m", "detection")
    sentence = r"first was trained for classification, .*detector for detection; compare runs of one task"
    with pytest.raises(ValueError, match=sentence):
        comparison.compare(pair[0], detector, hospital())
    two = hospital().relabel({}, Taxonomy("two", ("Monocyte", "Lymphocyte")))
    other = run_of(tmp_path / "other", two, "yolo11m", "detection")
    with pytest.raises(ValueError, match="other has Monocyte, Lymphocyte; compare runs of the same classes"):
        comparison.compare(detector, other, hospital())
    with pytest.raises(UnknownPart):
        comparison.compare(*pair, hospital(), "tset")


def test_two_detectors_are_compared_by_each_one_s_own_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predictions(run: Run, view: Dataset, **_: Any) -> Detected:
        rows = {
            image.id: found(
                *(
                    (msgspec.structs.astuple(cell.box)[:4], 0.9, view.taxonomy.ids[cell.label])
                    for cell in view.cells_of(image)
                )
            )
            for image in view.images
        }
        none: dict[ImageId, Detections] = {image: found() for image in rows}
        return Detected(rows, none if run.folder.name == "first" else rows)

    monkeypatch.setattr(comparison, "predictions", predictions)
    first, second = (
        run_of(tmp_path / name, hospital(), "yolo11m", "detection") for name in ("first", "second")
    )
    compared = comparison.compare(first, second, hospital(), threshold=0.75)
    assert compared.scores["mAP 50-95"] == (1, 1, 0, None, 0, 1)
    assert compared.scores["recall at score 0.75"] == (0, 1, 1, None, 1, 0)


def test_the_command_prints_the_comparison(run: Command, pair: tuple[Run, Run], tmp_path: Path) -> None:
    store.write(hospital(), tmp_path / "data")
    words = ("compare", pair[0].folder, pair[1].folder, tmp_path / "data")
    assert f"second: {pair[1].folder}, on here, part test" in run(*words).out
    assert json.loads(run(*words, "--json").out)["scores"]["accuracy"]["difference"] == 0.5
    wrong = run(*words, "--threshold", 0.3)
    assert (wrong.status, "--threshold is for detectors; leave it out" in wrong.err) == (2, True)


def test_draws_are_compared_one_by_one() -> None:
    first = Drawn(0.5, np.array([0.25, np.nan, 0.5, 0.5]))
    second = Drawn(0.75, np.array([0.5, np.nan, 0.5, 0.25]))
    (found,) = differences.differences({"x": first}, {"x": second}).values()
    assert found.second_better == pytest.approx(1 / 3)
    assert found.equal == pytest.approx(1 / 3)
    assert found.interval == interval(np.array([0.25, 0.0, -0.25]))
