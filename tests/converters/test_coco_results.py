"""COCO results: read for scoring, written, and added to a data set as cells."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exports import write as write_file
from hypothesis import HealthCheck, example, given, settings
from msgspec import structs
from strategies import datasets

from pcm_leukemia import IGNORE, NINE, Box, Cell, Dataset, Image, Taxonomy, sample
from pcm_leukemia.converters import coco, cvat
from pcm_leukemia.converters.coco import with_results
from pcm_leukemia.errors import CorruptFile, DataNotFound, DataWarning, InvalidExport
from pcm_leukemia.schema import ImageId

IMAGE = Image(ImageId("P1/a.png"), 200, 100)
BOX = Box(10, 20, 50, 70)


def data(*cells: Cell, images: tuple[Image, ...] = (IMAGE,)) -> Dataset:
    return Dataset("demo", NINE, images, cells)


def cell(number: int = 0) -> Cell:
    return Cell(IMAGE.id, number, "Other", BOX, "Other")


def document(path: Path) -> ET.Element:
    with zipfile.ZipFile(path) as archive:
        return ET.fromstring(archive.read("annotations.xml"))


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample.write(tmp_path_factory.mktemp("sample") / "sample.zip", patients=4, images=6, seed=1)


def in_hundredths(box: Box) -> Box:
    return Box(*(round(side, 2) for side in (box.x1, box.y1, box.x2, box.y2)))


def coco_results(folder: Path, truth: Dataset) -> list[dict[str, Any]]:
    """The results of a perfect detector for the COCO folder of `truth`."""
    coco.write(truth, folder)
    return [
        {**{key: row[key] for key in ("image_id", "category_id", "bbox")}, "score": 0.871}
        for file in sorted(folder.glob("annotations/*.json"))
        for row in json.loads(file.read_text())["annotations"]
    ]


def test_predictions_that_are_the_truth(export: Path, tmp_path: Path) -> None:
    truth = cvat.read(export)
    upright = replace(truth, cells=tuple(structs.replace(each, shape=None) for each in truth.cells))
    results = coco_results(tmp_path / "coco", upright)
    empty = replace(truth, cells=())
    file = write_file(tmp_path / "results.json", json.dumps(results))
    with pytest.warns(
        DataWarning, match=r"results\.json: has no images\.json beside it, so its images are known by"
    ):
        added = with_results(empty, file)
    report = cvat.write(added, tmp_path / "out.zip")
    assert not any(report.skipped.values())
    back = cvat.read(tmp_path / "out.zip", name=truth.name)
    assert back == with_results(empty, results)
    expected = tuple(
        Cell(each.image, each.id, each.label,
             in_hundredths(each.box), each.label,
             source="auto", attributes=(("score", "0.87"),))
        for each in truth.cells
    )  # fmt: skip
    assert back.cells == expected
    assert [
        a.findtext("name")
        for a in document(tmp_path / "out.zip").iter("attribute")
        if a.find("name") is not None
    ] == ["score"] * len({each.label for each in expected}) + ["by"]  # of a tag


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ds=datasets())
@example(ds=data())
def test_the_numbers_of_coco(tmp_path_factory: pytest.TempPathFactory, ds: Dataset) -> None:
    """Results for a COCO export match its cells, for any parts."""
    cells = (structs.replace(c, shape=None, box=in_hundredths(c.box)) for c in ds.cells if c.label != IGNORE)
    truth = replace(ds, cells=tuple(cells))
    results = coco_results(tmp_path_factory.mktemp("coco") / "out", truth)
    got = with_results(replace(truth, cells=()), results)
    assert [(c.image, c.label, c.box) for c in got.cells] == [(c.image, c.label, c.box) for c in truth.cells]


def results_row(**changes: Any) -> Mapping[str, Any]:
    return {"image_id": 1, "category_id": 9, "bbox": [10, 20, 30, 40], "score": 0.9, **changes}


def test_onto_what_they_go(tmp_path: Path) -> None:
    other = Image(ImageId("P2/b.png"), 200, 100)
    ds = data(cell(5), images=(IMAGE, other))
    rows = [results_row(), results_row(image_id=2), results_row(image_id=2, score=0.49)]
    with pytest.warns(
        DataWarning, match=r"1 prediction on images that have cells \(onto=\"all\" keeps them\)"
    ):
        added = with_results(ds, rows)
    assert [(each.image, each.id, each.source) for each in added.cells] == [
        (IMAGE.id, 5, ""),
        (other.id, 0, "auto"),
    ]
    everywhere = with_results(ds, rows, onto="all", threshold=0.2)
    assert [(each.image, each.id) for each in everywhere.cells] == [
        (IMAGE.id, 5),
        (IMAGE.id, 6),
        (other.id, 0),
        (other.id, 1),
    ]
    assert everywhere.cells[3].attributes == (("score", "0.49"),)
    with pytest.warns(DataWarning, match="have cells"):
        report = cvat.write(with_results(ds, rows, threshold=0.4), tmp_path / "out.zip")
    assert report.cells == {"all": {"Other": 3}}


def test_boxes_are_cut_at_the_border() -> None:
    rows = [
        results_row(bbox=[-5.004, 90, 20, 40]),
        results_row(bbox=[300, 10, 20, 20]),
        results_row(bbox=[10, 10, 0.001, 20]),
    ]
    with pytest.warns(DataWarning, match="demo: 2 predictions outside their image or without area: left out"):
        ds = with_results(data(), rows)
    assert [each.box for each in ds.cells] == [Box(0, 90, 15, 100)]


def test_a_mapping_and_categories_from_0() -> None:
    by_id = {str(IMAGE.id): [("Monocyte", Box(1.006, 2, 3, 4), 1.0), ("Other", Box(1, 2, 3, 4), 0.1)]}
    ds = with_results(data(), by_id)
    assert [(each.label, each.raw_label, each.box, each.attributes) for each in ds.cells] == [
        ("Monocyte", "Monocyte", Box(1.01, 2, 3, 4), (("score", "1.00"),))
    ]
    assert with_results(data(), [results_row(category_id=0)], first_category=0).cells[0].label == "Lymphocyte"


def test_what_is_wrong_with_predictions_is_listed_at_once(tmp_path: Path) -> None:
    rows: list[Any] = [
        results_row(image_id=2),
        results_row(category_id=0),
        results_row(bbox=[1, 2, 3]),
        results_row(bbox=[1, 2, -3, 4]),
        results_row(bbox=[1, float("nan"), 3, 4]),
        results_row(score=1.5),
        {"image_id": 1},
        7,
        results_row(),
    ]
    with pytest.raises(InvalidExport) as caught:
        with_results(data(), rows)
    lines = [str(problem) for problem in caught.value.problems]
    assert len(lines) == 8
    assert lines[0] == (
        "results[0]: image_id 2 does not exist; images are numbered 1 to 1, as in the COCO export of the "
        "same data"
    )
    assert "category_id 0 does not exist; categories are numbered 1 to 9" in lines[1]
    assert [line.partition(":")[0] for line in lines] == [f"results[{n}]" for n in range(8)]
    assert "ends before it starts" in lines[3]
    assert "is not finite" in lines[4]
    assert "score 1.5 is out of range" in lines[5]
    assert "lacks 'category_id'" in lines[6]
    with pytest.raises(InvalidExport) as caught:
        with_results(data(), {"x.png": [], str(IMAGE.id): [("Otter", Box(0, 0, 1, 1), 0.9)]})
    assert [problem.what for problem in caught.value.problems] == [
        "is not in the data",
        'label "Otter" is not a class of the data',
    ]
    for text, what in {
        '{"annotations": []}': "a COCO data set, not COCO results",
        "{": "not a COCO results file",
        "7": "not a COCO results file",
    }.items():
        with pytest.raises(InvalidExport, match=rf"results\.json: is {what}; give a JSON list"):
            with_results(data(), write_file(tmp_path / "results.json", text))
    with pytest.raises(DataNotFound, match=r"none\.json: cannot be read"):
        with_results(data(), tmp_path / "none.json")
    for options in ({"threshold": 2}, {"onto": "some"}, {"first_category": 2}):
        with pytest.raises(ValueError, match="must be"):
            with_results(data(), [], **options)


# Written and read back


def test_what_is_written_has_the_numbers_of_the_data_set(tmp_path: Path) -> None:
    ds = data(images=(IMAGE, Image(ImageId("P2/b.png"), 300, 150)))
    results = [
        coco.Result(ImageId("P2/b.png"), "Monocyte", (1.0, 2.0, 4.1234, 6.0), 0.75, {"label_score": 0.5}),
        coco.Result(IMAGE.id, "Other", (0.0, 0.0, 200.0, 100.0), 1.0),
    ]
    coco.write_results(results, ds, tmp_path)
    rows = json.loads((tmp_path / "results.json").read_text())
    assert rows[0] == {
        "image_id": 2,
        "category_id": 6,
        "bbox": [1.0, 2.0, 3.123, 4.0],
        "score": 0.75,
        "label_score": 0.5,
    }
    coco.write(ds, tmp_path / "coco")
    ours = json.loads((tmp_path / "coco" / "annotations" / "all.json").read_text())
    beside = json.loads((tmp_path / "images.json").read_text())
    keys = ("id", "file_name", "width", "height")
    assert beside["images"] == [{key: image[key] for key in keys} for image in ours["images"]]
    assert beside["categories"] == [{key: each[key] for key in ("id", "name")} for each in ours["categories"]]
    back = coco.read_results(tmp_path / "results.json", ds)
    assert [each[:2] for each in back] == [each[:2] for each in results]
    assert [each.sides for each in back] == [(1.0, 2.0, pytest.approx(4.123), 6.0), results[1].sides]
    assert [each.score for each in back] == [0.75, 1.0]


def test_a_result_without_an_area_is_a_result_and_no_cell() -> None:
    (result,) = coco.read_results([results_row(bbox=[10, 10, 0, 5])], data())
    assert result.sides == (10, 10, 10, 15)
    with pytest.warns(DataWarning, match="1 prediction outside their image or without area"):
        assert with_results(data(), [results_row(bbox=[10, 10, 0, 5])]).cells == ()


def test_results_are_read_without_the_libraries_of_the_models() -> None:
    code = (
        "import sys; from pcm_leukemia.converters.coco import read_results; "
        "print(sorted({'torch', 'ultralytics', 'hotcoco'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_of_two_stages_the_detectors_score_decides() -> None:
    """A cell that was found at 0.9 is shown, though its label is unsure."""
    row = {"image_id": 1, "category_id": 9, "bbox": [10, 20, 40, 50], "score": 0.36}
    unsure = {**row, "detection_score": 0.9, "label_score": 0.4}
    assert with_results(data(), [row]).cells == ()
    (added,) = with_results(data(), [unsure]).cells
    assert added.attributes == (("score", "0.90"),)
    (read,) = coco.read_results([unsure], data())
    assert (read.score, read.shown_score) == (0.36, 0.9)


# The images that the results are about


def predicted(folder: Path, ds: Dataset) -> Path:
    folder.mkdir()
    coco.write_results(
        [coco.Result(image.id, "Other", (10, 10, 50, 60), 0.9) for image in ds.images], ds, folder
    )
    return folder / "results.json"


def test_results_of_other_images_are_refused(tmp_path: Path) -> None:
    rows = tuple(Image(ImageId(f"P1/{name}.png"), 200, 100) for name in "ab")
    results = predicted(tmp_path / "found", data(images=rows))
    assert len(with_results(data(images=rows), results).cells) == 2
    below = tuple(replace(row, id=ImageId(f"Train/{row.id}")) for row in rows)
    assert len(with_results(data(images=below), results).cells) == 2
    others = tuple(replace(row, id=ImageId(f"P2{row.id[2:]}")) for row in rows)
    refusal = (
        r'results\.json: 2 of its 2 images are others: number 1 is "P1/a\.png" \(200 x 100\), and "P2/a\.png" \(200 x 100\) in demo; '
        r"give the data that were predicted"
    )
    with pytest.raises(InvalidExport, match=refusal):
        with_results(data(images=others), results)
    larger = tuple(replace(row, width=300) for row in rows)
    with pytest.raises(InvalidExport, match="2 of its 2 images are others"):
        with_results(data(images=larger), results)
    with pytest.raises(InvalidExport, match=r"1 of its 2 images are others: number 2 is .* and not in demo"):
        with_results(data(images=rows[:1]), results)


def test_the_digest_of_a_file_decides_before_its_name(tmp_path: Path) -> None:
    row = replace(IMAGE, digest="a" * 64)
    results = predicted(tmp_path / "found", data(images=(row,)))
    renamed = replace(row, id=ImageId("other.png"))
    assert len(with_results(data(images=(renamed,)), results).cells) == 1
    with pytest.raises(InvalidExport, match="1 of its 1 image are others"):
        with_results(data(images=(replace(row, digest="b" * 64),)), results)


def test_results_with_other_classes_are_refused(tmp_path: Path) -> None:
    results = predicted(tmp_path / "found", replace(data(), taxonomy=Taxonomy("wbc", ("WBC", "Other"))))
    with pytest.raises(InvalidExport, match=r'its class 1 is "WBC", and "Lymphocyte" in demo; read the data'):
        with_results(data(), results)


def test_an_images_json_that_lists_no_images(tmp_path: Path) -> None:
    results = predicted(tmp_path / "found", data())
    write_file(tmp_path / "found" / "images.json", "[]")
    with pytest.raises(CorruptFile, match=r"images\.json: does not list images"):
        with_results(data(), results)
