"""Raabin-WBC: slides that must stay together, and frames whose boxes may lie on the turned frame."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_layouts import raabin as layout

import pcm_leukemia as pcm
from pcm_leukemia import images, sources
from pcm_leukemia.errors import DataWarning, InvalidExport, LeakySplit, UnknownLabel
from pcm_leukemia.sources import raabin
from pcm_leukemia.sources._raabin_frames import turn_back


def test_published_counts() -> None:
    sums = {part: sum(counts.values()) for part, counts in raabin.BY_PART.items()}
    assert sums == {"Train": 10_175, "TestA": 4_339, "TestB": 2_119}
    assert sum(raabin.SOURCE.counts.values()) == 10_175 + 4_339 + 2_119
    labels = sources.read_map(raabin.SOURCE)
    assert {labels.label(raw) for raw in raabin.SOURCE.counts} == set(raabin.SOURCE.counts)


def test_what_is_expected_depends_on_the_folders(tmp_path: Path) -> None:
    layout.make(tmp_path)
    ds = raabin.read(tmp_path)
    assert raabin.expected_counts(ds) == raabin.SOURCE.counts
    train = ds.select(images=lambda image: image.subset == "Train")
    assert raabin.expected_counts(train) == raabin.BY_PART["Train"]
    counts = {raw: (published, found) for raw, published, found in sources.validate("raabin", ds).counts}
    assert counts["Basophil"] == (301, 3)


def test_slides_stay_together(tmp_path: Path) -> None:
    layout.make(tmp_path)
    ds = raabin.read(tmp_path)
    group = {image.name.rpartition("/")[2].removesuffix(".jpg"): image.group for image in ds.images}
    assert group["95-8-10-1_527_1"] == group["95-8-10-1_12_1"] == "95-8-10-1"
    assert group["20190526_163055_0"] == group["20190531_114409_2"] == group["20190604_111002_1"]
    assert group["20190710_101112_0"] == group["20190710_101112_1"] == "20190710_101112"
    assert group["cell 7"] is None
    assert ds.split is None
    with pytest.raises(LeakySplit) as error:
        pcm.splits.from_subsets(ds)
    leaks = [str(problem) for problem in error.value.problems]
    assert any('group "95-8-10-1": is in train (1 image) and TestA (1 image)' in leak for leak in leaks)
    assert any('group "basophils of one patient"' in leak for leak in leaks)
    known = ds.select(images=lambda image: image.group is not None)
    with pytest.warns(DataWarning) as caught:  # also that classes are missing in parts of so few images
        split = pcm.splits.by_patient(known)
    assert any("kept together by group" in str(each.message) for each in caught)
    assert pcm.splits.leaks(known, split) == []


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    return layout.write_frames(tmp_path)


def test_frames(frames: Path) -> None:
    ds = raabin.read(frames)
    assert len(ds.images) == 6
    states = {str(image.id): image.annotation_state for image in ds.images}
    assert states["First_microscope/95-5-11-1/images/3.jpg"] == "unknown"
    assert states["First_microscope/95-5-11-1/images/4.jpg"] == "none"
    assert {image.group for image in ds.images} == {"95-5-11-1", "Album_4"}
    assert {image.subset for image in ds.images} == {"First_microscope", "Second_microscope"}
    upright = ds.cells_of("First_microscope/95-5-11-1/images/1.jpg")
    assert [(cell.label, cell.raw_label) for cell in upright] == [
        ("Neutrophil", "Neutrophil"),
        ("ignore", "Band | Neutrophil"),
        ("ignore", "Small Lymph | None"),
    ]
    assert upright[0].box == pcm.Box(250, 20, 300, 70)
    assert upright[1].attributes == (("label1", "Band"), ("label2", "Neutrophil"))
    (turned,) = ds.cells_of("Second_microscope/Album_4/images/1.jpg")
    assert (turned.label, turned.box) == ("Lymphocyte", pcm.Box(20, 20, 70, 70))
    nothing, meta = ds.cells_of("Second_microscope/Album_4/images/2.jpg")
    assert (nothing.label, nothing.raw_label, meta.label) == ("ignore", "None", "Other")
    assert raabin.expected_counts(ds) == {}


def test_whose_label_counts(frames: Path) -> None:
    image = "First_microscope/95-5-11-1/images/1.jpg"

    def said(**options: object) -> list[tuple[str, str]]:
        ds = raabin.read(frames, **options)  # type: ignore[arg-type]
        return [(cell.label, cell.raw_label) for cell in ds.cells_of(image)][1:]

    assert said(experts="class") == [("Neutrophil", "Band | Neutrophil"), ("ignore", "Small Lymph | None")]
    assert said(experts="first") == [("Neutrophil", "Band"), ("Lymphocyte", "Small Lymph")]
    assert said(experts="second") == [("Neutrophil", "Neutrophil"), ("ignore", "None")]
    with pytest.raises(ValueError, match='experts "both": must be agree, class, first or second'):
        said(experts="both")
    with pytest.raises(ValueError, match='rotation "45": must be auto, 0, 90, 180 or 270 degrees'):
        said(rotation=45)
    with pytest.raises(ValueError, match='release "all": must be crops or frames'):
        said(release="all")


def test_the_variant_in_which_artefacts_are_other(frames: Path) -> None:
    image = "First_microscope/95-5-11-1/images/2.jpg"
    assert [cell.label for cell in raabin.read(frames).cells_of(image)] == ["ignore"]
    assert [cell.label for cell in raabin.read(frames, variant="literal").cells_of(image)] == ["Other"]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_boxes_lie_on_what_was_drawn(tmp_path: Path, rotation: Literal[0, 90, 180, 270]) -> None:
    """A frame is drawn as the experts saw it, then saved as the camera stored it."""
    stored_size = (64, 48)
    seen_size = stored_size if rotation in (0, 180) else stored_size[::-1]
    seen = np.zeros((seen_size[1], seen_size[0], 3), np.uint8)
    x1, y1, x2, y2 = 5, 10, 25, 22
    seen[y1:y2, x1:x2] = (200, 30, 90)
    layout.write_frame(tmp_path, "1", [((x1, x2, y1, y2), "Monocyte", "Monocyte")], stored_size)
    stored = np.rot90(seen, -rotation // 90)  # numpy turns counter-clockwise
    (tmp_path / "images" / "1.jpg").unlink()
    PIL.Image.fromarray(stored).save(tmp_path / "images" / "1.png")
    ds = raabin.read(tmp_path, rotation=rotation)
    (cell,) = ds.cells
    pixels = images.load(images.files_of(ds), ds.images[0])
    assert (ds.images[0].width, ds.images[0].height) == stored_size
    cut = images.crop(pixels, cell.box, padding=0)
    assert (cut == (200, 30, 90)).all()
    assert cut.shape[0] * cut.shape[1] == 20 * 12 == (pixels != 0).any(axis=2).sum()
    assert ds.images[0].group == tmp_path.name


@given(
    st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(1, 50), st.integers(1, 50)),
    st.sampled_from([0, 90, 180, 270]),
)
def test_turning_back_keeps_the_area_and_undoes_the_turn(
    drawn: tuple[int, int, int, int], rotation: int
) -> None:
    x, y, width, height = drawn
    size = (300, 200)
    corners = (x, y, x + width, y + height)
    seen = size if rotation in (0, 180) else size[::-1]
    back = turn_back(corners, size, rotation)
    assert sorted((back[2] - back[0], back[3] - back[1])) == sorted((width, height))
    assert turn_back(back, seen, (360 - rotation) % 360) == corners


def test_boxes_that_fit_both_ways(tmp_path: Path) -> None:
    layout.write_frame(tmp_path / "Album_1", "1", [((5, 45, 6, 45), "Basophil", "Basophil")])
    with pytest.raises(
        InvalidExport,
        match="boxes fit the frames as they are and turned by 90 degrees; look at some of them, and pass rotation=0 "
        "or rotation=90",
    ):
        raabin.read(tmp_path)
    (cell,) = raabin.read(tmp_path, rotation=0).cells
    assert cell.box == pcm.Box(5, 6, 45, 45)
    (cell,) = raabin.read(tmp_path, rotation=90).cells
    assert cell.box == pcm.Box(320 - 45, 5, 320 - 6, 45)


def test_boxes_that_fit_neither_way(tmp_path: Path) -> None:
    layout.write_frame(tmp_path / "Album_1", "1", [((250, 300, 20, 70), "Basophil", "Basophil")])
    layout.write_frame(tmp_path / "Album_1", "2", [((20, 70, 250, 300), "Basophil", "Basophil")])
    with pytest.raises(
        InvalidExport,
        match=r"boxes do not fit the frames turned by 0 degrees nor turned by 90 degrees: Album_1/images/2\.jpg "
        r"\(20, 250, 70, 300\) in 320 x 240\n.*; read folders that differ one by one, or get the files again",
    ):
        raabin.read(tmp_path)
    with pytest.raises(
        InvalidExport, match=r"turned by 90 degrees: Album_1/images/1\.jpg \(250, 20, 300, 70\)"
    ):
        raabin.read(tmp_path, rotation=90)


def test_crops_and_frames_beside_each_other(frames: Path) -> None:
    layout.make(frames)
    with pytest.raises(
        InvalidExport,
        match='holds crops and frames, which show the same cells; read one of them: release="crops" or release="fram',
    ):
        raabin.read(frames)
    assert len(raabin.read(frames, release="frames").images) == 6
    assert len(raabin.read(frames, release="crops").images) == 17


def test_every_bad_json_file_is_named(frames: Path) -> None:
    folder = frames / "First_microscope" / "95-5-11-1" / "jsons"
    good = json.loads((folder / "2.json").read_text(encoding="utf-8"))
    (folder / "1.json").write_text("{", encoding="utf-8")
    (folder / "2.json").write_text(json.dumps({**good, "Cell Numbers": 2}), encoding="utf-8")
    wrong = {"x1": 5, "x2": 5, "y1": 0, "y2": 9, "Label1": None, "Label2": None}
    (folder / "3.json").write_text(json.dumps({"Cell Numbers": 1, "Cell_0": wrong}), encoding="utf-8")
    (folder / "9.json").write_text(json.dumps(good), encoding="utf-8")
    with pytest.raises(InvalidExport) as error:
        raabin.read(frames)
    said = [str(problem).replace(str(folder), "") for problem in error.value.problems]
    assert said[0].startswith("/1.json: cannot be read (JSONDecodeError")
    assert said[1] == "/2.json: announces 2 cells and holds 1; get it again"
    assert said[2].startswith("/3.json: Cell_0: cannot be read (ValueError('x1 5, y1 0, x2 5, y2 9'))")
    assert said[3] == "/9.json: belongs to no frame that can be read; get the frame, or remove the file"


def test_unknown_labels(frames: Path) -> None:
    layout.write_frame(frames / "Second_microscope" / "Album_4", "3", [((0, 9, 0, 9), "Blast", "Monocyte")])
    with pytest.raises(UnknownLabel, match=r'raabin\.csv: has no row for "Blast"'):
        raabin.read(frames)


def test_every_label_of_the_frames_is_in_the_map() -> None:
    """The strings that a third party met in the files."""
    seen = [
        "Neutrophil",
        "Band",
        "Meta",
        "Eosinophil",
        "Basophil",
        "Monocyte",
        "Small Lymph",
        "Large Lymph",
        "Artifact",
        "Burst",
    ]
    labels = sources.read_map(raabin.SOURCE)
    labels.require([*seen, "Not centered", "Unknn", "None"])
    classes = Counter(labels.label(raw) for raw in seen)
    assert classes == {
        "Neutrophil": 2,
        "Other": 1,
        "Eosinophil": 1,
        "Basophil": 1,
        "Monocyte": 1,
        "Lymphocyte": 2,
        "ignore": 2,
    }
