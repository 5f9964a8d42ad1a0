"""Chula RBC-12: points, and images that nobody labelled."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_layouts import chula_rbc12 as layout
from source_layouts import picture

import pcm_leukemia as pcm
from pcm_leukemia import sources
from pcm_leukemia.errors import DataNotFound, InvalidExport, Problem, UnfitForTask, UnknownLabel
from pcm_leukemia.requirements import require_boxes
from pcm_leukemia.shapes import Point
from pcm_leukemia.sources import chula_rbc12


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layout.make(tmp_path)
    return tmp_path


def test_published_counts() -> None:
    counts = chula_rbc12.SOURCE.counts
    assert sum(counts.values()) == 22_106
    labels = sources.read_map(chula_rbc12.SOURCE)
    assert list(counts) == list(labels.rules) == [str(number) for number in range(13)]
    assert tuple(labels.label(raw) for raw in counts) == chula_rbc12.SOURCE.taxonomy.labels
    assert (labels.label("9"), labels.label("10")) == ("Schistocyte", "Uncategorised")


def test_points_are_where_they_were_put(root: Path) -> None:
    cells = chula_rbc12.read(root).cells_of("Dataset/12.jpg")
    assert [cell.shape for cell in cells] == [Point(300, 200), Point(0, 0), Point(640, 479)]
    assert [cell.box for cell in cells] == [
        pcm.Box(300, 200, 301, 201),
        pcm.Box(0, 0, 1, 1),
        pcm.Box(639, 479, 640, 480),
    ]
    assert [(cell.label, cell.raw_label) for cell in cells] == [
        ("Normal cell", "0"),
        ("Spherocyte", "3"),
        ("Elliptocyte", "12"),
    ]


def test_no_label_file_is_not_an_empty_one(root: Path) -> None:
    ds = chula_rbc12.read(root)
    states = {str(image.id): image.annotation_state for image in ds.images}
    assert states == {
        "Dataset/12.jpg": "complete",
        "Dataset/13.jpg": "complete",
        "Dataset/15.jpg": "complete",
        "Dataset/18.jpg": "none",
        "Dataset/47.jpg": "none",
        "Dataset/53.jpg": "unknown",
        "RBC Diseases/Thalassemia/1.jpg": "none",
    }


def test_box_tasks_refuse_them(root: Path) -> None:
    ds = chula_rbc12.read(root)
    with pytest.raises(UnfitForTask, match="19 cells are points without a box"):
        require_boxes(ds)


def test_every_bad_row_is_named(root: Path) -> None:
    label = root / "Label" / "13.txt"
    label.write_text("1 2\n641 3 0\n\n1.5 2 0\n1 -1 0\n5 6 0\n", encoding="utf-8")
    with pytest.raises(InvalidExport) as error:
        chula_rbc12.read(root)
    assert [str(problem) for problem in error.value.problems] == [
        'Label/13.txt:1: is "1 2"; write x y class, three whole numbers',
        "Label/13.txt:2: the point (641, 3) is outside the image of 640 x 480; mend or remove it",
        'Label/13.txt:4: is "1.5 2 0"; write x y class, three whole numbers',
        "Label/13.txt:5: the point (1, -1) is outside the image of 640 x 480; mend or remove it",
    ]


def test_a_class_number_that_is_none(root: Path) -> None:
    (root / "Label" / "13.txt").write_text("1 2 13\n", encoding="utf-8")
    with pytest.raises(UnknownLabel, match=r'chula_rbc12\.csv: has no row for "13"'):
        chula_rbc12.read(root)


def test_no_images(root: Path) -> None:
    for file in (root / "Dataset").glob("*.jpg"):
        file.unlink()
    with pytest.raises(DataNotFound, match="holds no image in Dataset; to get Chula RBC-12: git clone"):
        chula_rbc12.read(root)


@given(st.lists(st.tuples(st.integers(0, 640), st.integers(0, 480), st.integers(0, 12)), max_size=20))
def test_rows_come_back(rows: list[tuple[int, int, int]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "1.txt")
        table.write_text("".join(f"{x} {y}\t{code}\n" for x, y, code in rows), encoding="utf-8")
        problems: list[Problem] = []
        found = list(chula_rbc12._points(Path(folder), "1.txt", (640, 480), problems))
    assert problems == []
    assert [(point.x, point.y, int(code)) for point, code in found] == rows


def test_photographs_of_diseases_have_their_folder_as_a_tag(root: Path) -> None:
    picture(root / "RBC Diseases" / "2.jpg")
    ds = chula_rbc12.read(root)
    tags = {str(image.id): [tag.label for tag in image.tags] for image in ds.images if image.subset}
    assert tags == {"RBC Diseases/Thalassemia/1.jpg": ["Thalassemia"], "RBC Diseases/2.jpg": []}
    assert sources.validate("chula_rbc12", ds).extra == {}
