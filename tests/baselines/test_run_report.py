"""The page of a run: what it counts is what `evaluate` counts, and every square leads to its cells."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from browser import PHONE, WIDE, Opened, violations
from commands import Run as Command
from html_pages import HOSTILE
from playwright.sync_api import Page, expect
from smoke_runs import SmokeRuns

from pcm_leukemia import Box, Cell, Dataset, Image, Taxonomy
from pcm_leukemia.baselines import report
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.epoch_log import write_epochs
from pcm_leukemia.baselines.evaluation import Evaluation, Scored, scores_of
from pcm_leukemia.baselines.inference import Classified, Detected
from pcm_leukemia.baselines.metrics import matching
from pcm_leukemia.baselines.report import outcomes
from pcm_leukemia.schema import ImageId

FOLDER = Path("/home/ada-lovelace/runs")


def scored(view: Dataset, predicted: Classified | Detected, **changes: object) -> Scored:
    evaluation = Evaluation(
        (FOLDER / "one",),
        view.name,
        "test",
        view.fingerprint,
        started_from=(str(FOLDER / "weights.pt"),),
        **scores_of(view, predicted, 0.5),
    )
    return Scored(replace(evaluation, **changes), view, predicted)  # type: ignore[arg-type]


def classified(ds: Dataset, seed: int = 0) -> Scored:
    """A classifier that is right about two of three cells."""
    view = ds.task("classification")
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.ones(len(view.taxonomy.labels)), len(view.cells)).astype(np.float32)
    true = [view.taxonomy.ids[cell.label] for cell in view.cells]
    chances[np.arange(len(true)), true] += 0.25
    chances /= chances.sum(axis=1, keepdims=True)
    return scored(view, Classified(view.cells, chances, 1.5))


def detected(view: Dataset, seed: int = 0) -> Scored:
    """A detector that misses cells, takes some for others, and finds some where there are none."""
    rng = np.random.default_rng(seed)
    found = {}
    for image in view.images:
        cells = view.cells_of(image)
        boxes = [(c.box.x1 + 2, c.box.y1 + 2, c.box.x2, c.box.y2) for c in cells]
        boxes += [(x, y, x + 60, y + 60) for x, y in rng.uniform(0, 200, (2, 2)).tolist()]
        labels = [view.taxonomy.ids[cell.label] if rng.random() < 0.7 else 0 for cell in cells] + [1, 2]
        scores = np.sort(rng.uniform(0.3, 1, len(boxes)).astype(np.float32))[::-1]
        order = rng.permutation(len(boxes))
        found[image.id] = Detections(np.array(boxes, np.float32)[order], scores, np.array(labels)[order])
    return scored(view, Detected(found, found))


@pytest.fixture(scope="module")
def classifier(ds: Dataset) -> Scored:
    return classified(ds)


@pytest.fixture(scope="module")
def detector(ds: Dataset) -> Scored:
    return detected(ds)


@pytest.fixture(scope="module")
def page_of_classifier(classifier: Scored, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write_scored(classifier, tmp_path_factory.mktemp("page") / "classifier.html")


@pytest.fixture(scope="module")
def page_of_detector(detector: Scored, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write_scored(detector, tmp_path_factory.mktemp("page") / "detector.html")


def matrix(page: Page) -> list[list[int]]:
    """The counts in the confusion matrix on the page; the square that cannot be, of a detector, is 0."""
    rows = page.locator(".confusion tbody tr").all()
    return [
        [int(text.split("\n")[0].replace(",", "") or 0) for text in row.locator("td").all_inner_texts()]
        for row in rows
    ]


def shown(text: str) -> list[float]:
    """The numbers in a text."""
    return [float(found) for found in re.findall(r"[\d.]+", text)]


def confusion_of(found: Scored, *, patient: str = "", label: str = "") -> npt.NDArray[np.int64]:
    """The confusion matrix of one patient, or of the cells of one class."""
    view, predicted = found.view, found.predicted
    if patient:
        view = view.select(patients=[patient])
    there, size = {image.id for image in view.images}, len(view.taxonomy.labels)
    table: npt.NDArray[np.int64] = np.zeros((size + 1, size + 1), np.int64)
    if isinstance(predicted, Detected):
        table = matching.by_group(view, predicted.found, ["all"] * len(view.images))[0]
        if label:
            row = view.taxonomy.ids[label]
            kept = np.zeros_like(table)
            kept[row], kept[-1, row] = table[row], table[-1, row]
            table = kept
        return table
    for cell, chances in zip(predicted.cells, predicted.probabilities, strict=True):
        if cell.image in there and label in ("", cell.label):
            table[view.taxonomy.ids[cell.label], chances.argmax()] += 1
    return table[:-1, :-1]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [WIDE, PHONE])
@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_axe_finds_nothing_and_no_view_runs_out_of_the_screen(
    chromium: Opened, request: pytest.FixtureRequest, kind: str, size: tuple[int, int], *, dark: bool
) -> None:
    path: Path = request.getfixturevalue(f"page_of_{kind}")
    with chromium.page(path, size=size, dark=dark) as page:
        addresses = page.locator("nav a").evaluate_all("links => links.map(link => link.hash)")
        assert addresses[:4] == ["#scores", "#confusion", "#curves", "#mistakes"]
        for each in (
            *addresses[:4],
            "#all",
            "#confusion/Monocyte/Monocyte?class=Monocyte",
            "#mistakes/missed",
        ):
            page.goto(path.as_uri() + each)
            assert violations(page) == [], each
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), each


def test_the_matrix_of_a_classifier_is_that_of_its_evaluation(
    chromium: Opened, page_of_classifier: Path, classifier: Scored
) -> None:
    scores = classifier.evaluation.classification
    assert scores
    patient = str(classifier.view.patients[0].id)
    with chromium.page(page_of_classifier, "#confusion") as page:
        assert matrix(page) == scores.confusion.tolist()
        page.goto(f"{page_of_classifier.as_uri()}#confusion?patient={patient}")
        assert matrix(page) == confusion_of(classifier, patient=patient).tolist()
        page.goto(f"{page_of_classifier.as_uri()}#confusion?class=Monocyte")
        assert matrix(page) == confusion_of(classifier, label="Monocyte").tolist()


def test_the_matrix_of_a_detector_is_that_of_its_evaluation(
    chromium: Opened, page_of_detector: Path, detector: Scored
) -> None:
    scores = detector.evaluation.detection
    assert scores
    assert sum(scores.confusion[-1])
    assert sum(row[-1] for row in scores.confusion)
    patient = str(detector.view.patients[0].id)
    with chromium.page(page_of_detector, "#confusion") as page:
        assert matrix(page) == [list(row) for row in scores.confusion]
        page.goto(f"{page_of_detector.as_uri()}#confusion?patient={patient}")
        assert matrix(page) == confusion_of(detector, patient=patient).tolist()
        page.goto(f"{page_of_detector.as_uri()}#confusion?class=Neutrophil")
        assert matrix(page) == confusion_of(detector, label="Neutrophil").tolist()


def test_a_square_leads_to_the_crops_of_its_cells_and_no_others(
    chromium: Opened, page_of_classifier: Path, classifier: Scored
) -> None:
    view, predicted = classifier.view, classifier.predicted
    assert isinstance(predicted, Classified)
    guessed = predicted.probabilities.argmax(axis=1)
    rows, columns = np.nonzero(
        confusion_of(classifier) * (1 - np.eye(len(view.taxonomy.labels), dtype=int)) > 1
    )
    true, wrong = int(rows[0]), int(columns[0])
    labels = view.taxonomy.labels
    inside = [
        (cell, chances.max())
        for cell, chances, guess in zip(predicted.cells, predicted.probabilities, guessed, strict=True)
        if cell.label == labels[true] and guess == wrong
    ]
    inside.sort(key=lambda pair: -pair[1])
    with chromium.page(page_of_classifier, "#confusion") as page:
        page.get_by_role("link", name=re.compile(f"^{labels[true]} → {labels[wrong]}: ")).click()
        expect(page.get_by_role("heading", level=3)).to_have_text(f"{labels[true]} → {labels[wrong]}")
        shown = page.locator("figure.outcome")
        named = [f"{cell.label}, {cell.image} cell {cell.id}" for cell, _ in inside]
        assert shown.evaluate_all("all => all.map(each => each.title)") == named
        assert page.locator("figure.outcome img").count() == len(inside)
        assert f"{inside[0][1]:.2f}" in shown.first.inner_text()
        address = page.evaluate("location.hash")
        assert address == f"#confusion/{labels[true]}/{labels[wrong]}"
        focused = page.evaluate("document.activeElement.getAttribute('aria-current')")
        assert focused == "true"
    with chromium.page(page_of_classifier, address) as again:
        assert again.locator("figure.outcome").count() == len(inside)


def test_a_square_says_and_shows_its_share_of_its_row(
    chromium: Opened, page_of_classifier: Path, classifier: Scored
) -> None:
    with chromium.page(page_of_classifier, "#confusion") as page:
        for truth, row in enumerate(confusion_of(classifier).tolist()):
            for predicted, count in enumerate(row):
                if count:
                    square = page.locator(f"#square-{truth}-{predicted}")
                    share = float(shown(square.inner_text().split("\n")[1])[0])
                    assert share == pytest.approx(100 * count / sum(row), abs=0.501)
                    said = square.get_attribute("aria-label") or ""
                    assert said.endswith(f": {count}, {share:.0f} % of the row")
                    shade = square.locator("..").get_attribute("style") or ""
                    (mixed,) = re.findall(r"var\(--bar\) (\d+)%", shade)
                    assert float(mixed) == pytest.approx(55 * count / sum(row), abs=0.501)


def test_the_cells_that_are_right_begin_with_the_least_sure(
    chromium: Opened, page_of_classifier: Path, classifier: Scored
) -> None:
    predicted = classifier.predicted
    assert isinstance(predicted, Classified)
    at = classifier.view.taxonomy.ids["Monocyte"]
    right = [
        (float(chances.max()), f"{cell.label}, {cell.image} cell {cell.id}")
        for cell, chances in zip(predicted.cells, predicted.probabilities, strict=True)
        if cell.label == "Monocyte" and chances.argmax() == at
    ]
    assert len(right) > 3
    with chromium.page(page_of_classifier, "#confusion/Monocyte/Monocyte") as page:
        titles = page.locator("figure.outcome").evaluate_all("all => all.map(each => each.title)")
        assert titles == [name for _, name in sorted(right)]


def test_the_squares_of_missed_and_spurious_boxes_have_crops(
    chromium: Opened, page_of_detector: Path, detector: Scored
) -> None:
    confusion = confusion_of(detector)
    missed = confusion[detector.view.taxonomy.ids["Monocyte"], -1]
    spurious = confusion[-1, 1]
    with chromium.page(page_of_detector, "#confusion/Monocyte/(missed)") as page:
        assert page.locator("figure.outcome img").count() == missed > 0
        page.goto(f"{page_of_detector.as_uri()}#confusion/(spurious)/Neutrophil")
        assert page.locator("figure.outcome img").count() == min(spurious, 60) > 0
        assert page.locator("figure.outcome").first.get_attribute("title", timeout=1000)


def test_the_worst_mistakes_of_a_classifier_come_first(
    chromium: Opened, page_of_classifier: Path, classifier: Scored
) -> None:
    predicted = classifier.predicted
    assert isinstance(predicted, Classified)
    ids = classifier.view.taxonomy.ids
    wrong = [
        (f"{cell.label}, {cell.image} cell {cell.id}", float(chances.max()), float(chances[ids[cell.label]]))
        for cell, chances in zip(predicted.cells, predicted.probabilities, strict=True)
        if chances.argmax() != ids[cell.label]
    ]
    titles = "all => all.map(each => each.title)"
    with chromium.page(page_of_classifier, "#mistakes") as page:
        surest = [name for name, sure, _ in sorted(wrong, key=lambda row: -row[1])]
        assert page.locator("figure.outcome").evaluate_all(titles) == surest[:120]
        page.get_by_role("link", name="Highest loss first").click()
        expect(page.locator("#kind-loss")).to_have_attribute("aria-current", "true")
        lossy = [name for name, _, true in sorted(wrong, key=lambda row: row[2])]
        assert page.locator("figure.outcome").evaluate_all(titles) == lossy[:120]


def test_the_worst_mistakes_of_a_detector_come_first_by_kind(
    chromium: Opened, page_of_detector: Path, detector: Scored
) -> None:
    confusion = confusion_of(detector)
    wrong_class = confusion[:-1, :-1].sum() - np.trace(confusion[:-1, :-1])
    with chromium.page(page_of_detector, "#mistakes") as page:
        for name, count in (
            ("Spurious boxes", confusion[-1].sum()),
            ("Missed cells", confusion[:, -1].sum()),
            ("Wrong class", wrong_class),
        ):
            page.get_by_role("link", name=f"{name} ({count})").click()
            tiles = page.locator("figure.outcome")
            expect(tiles).to_have_count(min(int(count), 120))
            scores = [
                float(found[0])
                for text in tiles.all_inner_texts()
                if (found := re.findall(r"0\.\d\d|1\.00", text))
            ]
            assert scores == sorted(scores, reverse=True)
            assert len(scores) == (0 if name == "Missed cells" else min(int(count), 120))
        page.goto(page_of_detector.as_uri() + "#mistakes/missed?class=Monocyte")
        names = page.locator("figure.outcome").evaluate_all("all => all.map(each => each.title)")
        assert names
        assert all(name.startswith("Monocyte, ") for name in names)
    cells = {f"{cell.label}, {cell.image} cell {cell.id}": cell for cell in detector.view.cells}
    areas = [cells[name].box.area for name in names]
    assert areas == sorted(areas, reverse=True)


def test_frames_show_what_was_found_and_the_worst_mistakes_lead_to_them(
    chromium: Opened, page_of_detector: Path, detector: Scored
) -> None:
    predicted = detector.predicted
    assert isinstance(predicted, Detected)
    with chromium.page(page_of_detector, "#mistakes/wrong-class") as page:
        page.locator("figure.outcome a").first.click()
        expect(page.get_by_role("heading", name="Frames")).to_be_visible()
        image = page.locator("#frame-choice option:checked").inner_text()
        (number,) = (n for n, each in enumerate(detector.view.images) if each.id == image)
        found = predicted.found[detector.view.images[number].id]
        kept = int((found.scores >= 0.5).sum())
        expect(page.locator(".outline.found")).to_have_count(kept)
        expect(page.locator(".outline.marked")).to_have_count(1)
        table = page.get_by_role("table", name=re.compile("^Found boxes"))
        assert table.locator("tbody tr").count() == kept
        page.locator("#frame-found").uncheck()
        expect(page.locator(".outline.found")).to_have_count(0)
        page.locator("#frame-found").check()
        assert violations(page) == []


def test_the_scores_are_those_of_the_evaluation(
    chromium: Opened, page_of_classifier: Path, classifier: Scored, page_of_detector: Path, detector: Scored
) -> None:
    of_classifier = classifier.evaluation.to_json()["classification"]
    low, high = of_classifier["accuracy_interval"]
    with chromium.page(page_of_classifier, "#scores") as page:
        row = page.get_by_role("row", name=re.compile("^accuracy")).first.inner_text()
        expected = [100 * value for value in (of_classifier["accuracy"], low, high)]
        assert shown(row) == pytest.approx(expected, abs=0.051)
        for label, numbers in of_classifier["classes"].items():
            row = (
                page.get_by_role("table", name="Scores by class").get_by_role("row", name=label).inner_text()
            )
            measures = [numbers[measure] for measure in ("precision", "recall", "f1")]
            assert shown(row)[1:4] == pytest.approx([100 * value for value in measures], abs=0.051)
        assert page.get_by_text("weights at the start: weights.pt").count() == 1
        assert page.get_by_text("filters do not change them").count() == 0
        page.goto(page_of_classifier.as_uri() + "#scores?class=Monocyte")
        assert page.get_by_text("filters do not change them").count() == 1
    of_detector = detector.evaluation.to_json()["detection"]
    with chromium.page(page_of_detector, "#scores") as page:
        for name, value in (("mAP 50-95", of_detector["mAP"]["ap"]), ("AP50", of_detector["mAP"]["ap50"])):
            row = page.get_by_role("row", name=re.compile(f"^{name}")).first.inner_text()
            assert pytest.approx(100 * value, abs=0.051) in shown(row.removeprefix(name))
        row = page.get_by_role("row", name=re.compile("^cells found in any class at score 0.5")).inner_text()
        assert pytest.approx(100 * of_detector["recall"], abs=0.051) in shown(row)


def test_the_curves_are_those_of_the_evaluation(
    chromium: Opened, page_of_classifier: Path, classifier: Scored, page_of_detector: Path, detector: Scored
) -> None:
    scores = classifier.evaluation.classification
    assert scores
    with chromium.page(page_of_classifier, "#curves") as page:
        page.get_by_text("In numbers: reliability as predicted").click()
        table = page.get_by_role("table", name="reliability as predicted")
        bins = [each for each in scores.calibration.bins if each.cells]
        rows = [shown(text)[-3:] for text in table.locator("tbody tr").all_inner_texts()]
        expected = [[each.cells, 100 * each.confidence, 100 * each.accuracy] for each in bins]
        assert np.allclose(rows, expected, atol=0.051)
        page.get_by_text("In numbers: accuracy of the surest cells").click()
        row = page.get_by_role("row", name=re.compile("^90 %")).inner_text()
        assert shown(row)[1] == pytest.approx(100 * scores.selective.accuracies[0.9].value, abs=0.051)
        assert page.get_by_text("There are no training curves").count() == 1
    of = detector.evaluation.detection
    assert of
    with chromium.page(page_of_detector, "#curves?class=Monocyte&class=Other") as page:
        assert page.locator(".panel-plot").count() == 2
        ap50 = of.of["Monocyte"].ap50
        assert ap50
        assert f"AP50 {100 * ap50:.1f}" in page.locator(".panel-plot").first.inner_text()
        page.get_by_text("In numbers: precision at IoU 0.5").click()
        table = page.get_by_role("table", name="precision at IoU 0.5")
        row = table.get_by_role("row", name="Monocyte").inner_text()
        at50 = of.curves["Monocyte"].at50
        assert np.allclose(shown(row), [100 * each for each in at50[::10]], atol=0.051)


def test_the_curves_at_one_and_at_all_thresholds_are_told_apart(
    chromium: Opened, detector: Scored, tmp_path: Path
) -> None:
    """Boxes that are a little beside the cells are right at IoU 0.5, and wrong at 0.95."""
    assert isinstance(detector.predicted, Detected)
    beside = {
        image: each._replace(boxes=each.boxes + np.float32(10))
        for image, each in detector.predicted.found.items()
    }
    moved = scored(detector.view, Detected(beside, beside))
    of = moved.evaluation.detection
    assert of
    curve = of.curves["Monocyte"]
    assert np.mean(curve.at50) > np.mean(curve.mean) + 0.1
    with chromium.page(report.write_scored(moved, tmp_path / "moved.html"), "#curves?class=Monocyte") as page:
        for title, values in (
            ("precision at IoU 0.5", curve.at50),
            ("mean precision over IoU 0.50 to 0.95", curve.mean),
        ):
            page.get_by_text(f"In numbers: {title}").click()
            row = page.get_by_role("table", name=title).get_by_role("row", name="Monocyte").inner_text()
            assert np.allclose(shown(row), [100 * each for each in values[::10]], atol=0.051)


def test_training_curves_are_those_of_the_logs(chromium: Opened, detector: Scored, tmp_path: Path) -> None:
    run = tmp_path / "trained"
    rows = [
        {"epoch": epoch, "train_loss": 2 / epoch, "val_AP": epoch / 200, "lr": 0.1} for epoch in range(1, 101)
    ]
    write_epochs(run / "logs" / "metrics.csv", rows)
    found = detector._replace(evaluation=replace(detector.evaluation, runs=(run,)))
    path = report.write_scored(found, tmp_path / "trained.html")
    with chromium.page(path, "#curves") as page:
        assert page.get_by_text("highest val AP: 0.500, epoch 100").count() == 1
        page.get_by_text("In numbers: training").click()
        table = page.get_by_role("table", name="training")
        assert shown(table.get_by_role("row", name="50", exact=False).first.inner_text()) == [
            50,
            0.04,
            0.25,
            0.1,
        ]
        assert page.get_by_role("img", name="The loss over 100 epochs of training").count() == 1
        assert violations(page) == []
    (run / "logs" / "metrics.csv").write_text("no log\n1\n")
    with chromium.page(report.write_scored(found, tmp_path / "broken.html"), "#curves") as page:
        assert page.get_by_text("There are no training curves").count() == 1


def test_no_folder_of_the_disk_is_in_the_page(page_of_classifier: Path, page_of_detector: Path) -> None:
    for path in (page_of_classifier, page_of_detector):
        text = path.read_text("utf-8")
        assert "<title>one on " in text
        assert "ada-lovelace" not in text
        assert len(text) < 3e6


def test_pictures_are_a_sample_and_the_page_says_so(
    chromium: Opened, detector: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "MOST", 10)
    path = report.write_scored(detector, tmp_path / "few.html")
    with chromium.page(path, "#mistakes/wrong-class") as page:
        assert page.locator("figure.outcome img").count() == 10
        assert page.get_by_text("it holds 10, the worst mistakes first").count() == 1


def test_a_page_without_images_has_counts_and_no_pictures(
    chromium: Opened, detector: Scored, tmp_path: Path
) -> None:
    nowhere = detector._replace(view=replace(detector.view, root=None))
    with chromium.page(
        report.write_scored(nowhere, tmp_path / "none.html"), "#confusion/Monocyte/Monocyte"
    ) as page:
        assert np.sum(matrix(page)) == np.sum(confusion_of(detector))
        assert page.locator("figure.outcome img").count() == 0


@pytest.mark.parametrize("kind", [Classified, Detected])
def test_hostile_names_do_nothing(chromium: Opened, tmp_path: Path, kind: type) -> None:
    labels = HOSTILE[:9]
    image = Image(ImageId("a.png"), 100, 100)
    cells = tuple(Cell(image.id, n, label, Box(5 * n, 5, 5 * n + 5, 10)) for n, label in enumerate(labels))
    view = Dataset(HOSTILE[0], Taxonomy("hostile", labels), (image,), cells)
    predicted: Classified | Detected
    if kind is Classified:
        predicted = Classified(view.cells, np.roll(np.eye(9, dtype=np.float32), 1, axis=1))
    else:
        found = {
            image.id: Detections(
                np.array([[50, 50, 60, 60]], np.float32), np.ones(1, np.float32), np.array([1])
            )
        }
        predicted = Detected(found, found)
    name = HOSTILE[1]
    hostile = scored(
        view, predicted, runs=(Path(name),), pretraining=name, reading=name, started_from=(name,)
    )
    path = report.write_scored(hostile, tmp_path / "hostile.html")
    with chromium.page(path) as page:
        for each in ("scores", "confusion", "curves", "mistakes"):
            page.goto(f"{path.as_uri()}#{each}")
            assert violations(page) == []
        page.goto(f"{path.as_uri()}#confusion")
        page.locator(".confusion a").first.click()
        expect(page.locator("figure.outcome").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.trains
def test_a_trained_run_is_shown_with_the_data_it_was_trained_on(
    chromium: Opened, run: Command, smoke_runs: SmokeRuns, tmp_path: Path
) -> None:
    trained = smoke_runs.run("resnet50-classification")
    page_of_run = tmp_path / "run.html"
    done = run("report", trained.folder, page_of_run, "--device", "cpu")
    assert done.status == 0, done.err
    (kept,) = (trained.folder / "scores").glob("*-test.json")
    scores = json.loads(kept.read_text())["classification"]
    with chromium.page(page_of_run, "#confusion") as page:
        assert (
            page.get_by_role("heading", level=1).inner_text() == f"{trained.folder.name} on sample, part test"
        )
        assert matrix(page) == scores["confusion"]["rows_true_columns_guessed"]
        page.get_by_role("link", name="Curves").click()
        expect(page.get_by_role("heading", name="Training")).to_be_visible()
    assert str(smoke_runs.folder) not in page_of_run.read_text("utf-8")
    val = run(
        "report",
        trained.folder,
        page_of_run,
        "--part",
        "val",
        "--data",
        smoke_runs.folder / "data",
        "--device",
        "cpu",
    )
    assert val.status == 0, val.err
    assert "part val</title>" in page_of_run.read_text("utf-8")


@pytest.mark.trains
def test_a_trained_detector_is_shown_at_a_threshold(
    chromium: Opened, run: Command, smoke_runs: SmokeRuns, tmp_path: Path
) -> None:
    trained = smoke_runs.run("rtdetrv2_deim-wbc")
    done = run("report", trained.folder, tmp_path / "run.html", "--threshold", "0.1", "--device", "cpu")
    assert done.status == 0, done.err
    (kept,) = (trained.folder / "scores").glob("*-test-threshold-0.1.json")
    scores = json.loads(kept.read_text())["detection"]
    with chromium.page(tmp_path / "run.html", "#confusion") as page:
        assert matrix(page) == scores["confusion"]["cells"]
        for each in ("scores", "confusion", "curves", "mistakes"):
            page.goto(f"{(tmp_path / 'run.html').as_uri()}#{each}")
            assert violations(page) == []


@pytest.mark.trains
def test_options_of_a_run_are_for_runs_and_missing_images_are_said(
    run: Command, smoke_runs: SmokeRuns, tmp_path: Path
) -> None:
    trained = smoke_runs.run("resnet50-classification").folder
    data, out = smoke_runs.folder / "data", tmp_path / "page.html"
    for arguments, said in (
        ((trained, out, "--threshold", "0.1"), "--threshold is for detectors; leave it out"),
        (
            (trained, out, "--clip"),
            "--clip says how to read data; give the data of the run, too: --data DATA",
        ),
        ((trained, out, "--no-pixels"), "--no-pixels is for data, not for a run; leave it out"),
        ((data, out, "--part", "test"), f"--part is for a run, and {data} is not one; leave it out"),
        ((trained, tmp_path / "page.png"), "the page is written as .html"),
    ):
        done = run("report", *arguments)
        assert done.status == 2
        assert said in " ".join(done.err.split())
    moved = tmp_path / "moved" / "run"
    shutil.copytree(trained, moved)
    done = run("report", moved, out)
    assert done.status == 1
    assert (
        "the images of sample are not where they were in training; give the data set: --data DATA"
        in " ".join(done.err.split())
    )
    assert not out.exists()
