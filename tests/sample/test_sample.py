"""The synthetic sample: a true CVAT export, plainly marked, with cells where its boxes say."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.ExifTags
import PIL.Image
import pytest

from pcm_leukemia import cvat, sample, splits
from pcm_leukemia.errors import ExportError
from pcm_leukemia.loading import load_dataset
from pcm_leukemia.sample import cells, smear
from pcm_leukemia.sample.canvas import Stamp
from pcm_leukemia.sample.sites import HOME
from pcm_leukemia.shapes import RotatedBox
from pcm_leukemia.taxonomy import NINE

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
CORNERS = ("xtl", "ytl", "xbr", "ybr")


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a call without arguments draws."""
    return sample.write(tmp_path_factory.mktemp("sample") / "sample.zip")


@pytest.fixture(scope="module")
def root(export: Path) -> ET.Element:
    with zipfile.ZipFile(export) as archive:
        return ET.fromstring(archive.read("annotations.xml"))


def corners(box: ET.Element) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(box.attrib[name]) for name in CORNERS)
    return x1, y1, x2, y2


def pixels(export: Path, image: ET.Element) -> npt.NDArray[np.uint8]:
    with zipfile.ZipFile(export) as archive:
        content = archive.read(f"images/{image.get('subset')}/{image.get('name')}")
    return np.asarray(PIL.Image.open(io.BytesIO(content)))


# ----------------------------------------------------------------------------------------------
# The export


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    one = sample.write(tmp_path / "one.zip", patients=2, images=3, seed=1).read_bytes()
    assert sample.write(tmp_path / "two.zip", patients=2, images=3, seed=1).read_bytes() == one
    assert sample.write(tmp_path / "two.zip", patients=2, images=3, seed=2).read_bytes() != one


def test_every_image_is_listed_and_in_the_zip(export: Path, root: ET.Element) -> None:
    listed = [f"images/{image.get('subset')}/{image.get('name')}" for image in root.iter("image")]
    with zipfile.ZipFile(export) as archive:
        assert archive.testzip() is None
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == [*listed, "annotations.xml", "README.txt"]
        sizes = {PIL.Image.open(io.BytesIO(archive.read(name))).size for name in listed}
    assert len(set(listed)) == 48
    assert sizes == {(1920, 1080)}
    assert {(image.get("width"), image.get("height")) for image in root.iter("image")} == {("1920", "1080")}
    assert [image.get("id") for image in root.iter("image")] == [str(number) for number in range(48)]
    assert {image.get("subset") for image in root.iter("image")} == {root.findtext(".//subsets")}
    in_tasks: dict[str | None, int] = defaultdict(int)
    for image in root.iter("image"):
        in_tasks[image.get("task_id")] += 1
    assert {task.findtext("id"): int(task.findtext("size") or 0) for task in root.iter("task")} == in_tasks


def test_boxes_lie_in_the_image_and_have_two_decimals(root: ET.Element) -> None:
    boxes = list(root.iter("box"))
    assert len(boxes) > 200
    for box in boxes:
        assert all(len(box.attrib[name].partition(".")[2]) == 2 for name in CORNERS)
        x1, y1, x2, y2 = corners(box)
        assert x1 < x2
        assert y1 < y2
        left, top, right, bottom = RotatedBox(x1, y1, x2, y2, float(box.get("rotation", "0"))).envelope()
        assert left >= 0
        assert top >= 0
        assert right <= 1920
        assert bottom <= 1080


def test_declared_labels_and_attributes(root: ET.Element) -> None:
    declared = {
        label.findtext("name"): {name.text for name in label.iter("name")} for label in root.iter("label")
    }
    kinds = {label.findtext("name"): label.findtext("type") for label in root.iter("label")}
    assert tuple(name for name, kind in kinds.items() if kind == "rectangle") == NINE.labels
    assert len({label.findtext("color") for label in root.iter("label")}) == len(declared)
    for element in (*root.iter("box"), *root.iter("tag")):
        used = {attribute.get("name") for attribute in element.iter("attribute")}
        assert used <= declared[element.get("label")]
    allowed = {
        (attribute.findtext("name"), value)
        for attribute in root.findall(".//attributes/attribute")
        for value in (attribute.findtext("values") or "").split("\n")
    }
    used_values = {(each.get("name"), each.text) for each in root.findall(".//box/attribute")}
    assert used_values == allowed - {("by", "")}


def test_it_has_what_real_exports_have(root: ET.Element) -> None:
    images, boxes = list(root.iter("image")), list(root.iter("box"))
    assert sum(image.find("box") is None for image in images) >= 3
    assert sorted(box.attrib["rotation"] for box in boxes if "rotation" in box.attrib) == [
        "0.30",
        "358.70",
        "359.40",
    ]
    assert {box.get("occluded") for box in boxes} == {"0", "1"}
    assert len(list(root.iter("tag"))) == 2
    names = [image.get("name", "") for image in images]
    assert len({Path(name).name for name in names}) < len(names)  # base names repeat between patients


def test_every_class_in_several_patients_and_blasts_in_theirs(root: ET.Element) -> None:
    patients, diagnoses = defaultdict(set), defaultdict(set)
    of_patient = defaultdict(set)
    for image in root.iter("image"):
        diagnosis, patient, _ = image.get("name", "").split("/")
        of_patient[patient].add(diagnosis)
        for box in image.iter("box"):
            patients[box.get("label")].add(patient)
            diagnoses[box.get("label")].add(diagnosis)
    assert set(patients) == set(NINE.labels)
    assert all(len(found) >= 3 for found in patients.values())
    assert len(of_patient) == 12
    assert all(len(found) == 1 for found in of_patient.values())
    assert diagnoses["Lymphoblast"] == {"ALL"}
    assert diagnoses["Myeloblast_AML"] == {"AML"}
    assert diagnoses["Myeloblast_APL"] == {"APL"}
    assert diagnoses["Neutrophil"] == {"Normal", "ALL", "AML", "APL"}


def test_our_reader_agrees_and_a_split_has_every_class_in_every_part(export: Path, root: ET.Element) -> None:
    inspection = cvat.inspect(export)
    assert inspection.problems == []
    ds = load_dataset(export, patients=PATTERN)
    assert len(ds.images) == 48
    assert len(ds.cells) == len(list(root.iter("box")))
    assert {patient.diagnosis for patient in ds.patients} == {"Normal", "ALL", "AML", "APL"}
    ds = ds.with_split(splits.by_patient(ds, test=0.15, val=0.2, seed=0))
    for part in ("train", "val", "test"):
        assert {cell.label for cell in ds.part(part).cells} == set(NINE.labels)


def test_it_is_marked_as_synthetic_everywhere(export: Path, root: ET.Element) -> None:
    with zipfile.ZipFile(export) as archive:
        assert b"synthetic" in archive.comment
        assert "No image shows a patient" in archive.read("README.txt").decode()
        assert "<!-- SYNTHETIC" in archive.read("annotations.xml").decode()
        for name in archive.namelist()[:-2]:
            assert name.startswith("images/Synthetic/")
            assert "/SYN-P" in name
            assert Path(name).name.startswith("synthetic_")
            image = PIL.Image.open(io.BytesIO(archive.read(name)))
            assert image.getexif()[PIL.ExifTags.Base.ImageDescription].startswith("SYNTHETIC")
            assert image.info["comment"].startswith(b"SYNTHETIC")
    assert (root.findtext("meta/project/name") or "").startswith("SYNTHETIC")
    assert all((task.findtext("name") or "").startswith("SYNTHETIC") for task in root.iter("task"))


def test_the_mark_in_the_pixels_is_dark_on_bright_in_every_image(export: Path, root: ET.Element) -> None:
    for image in root.iter("image"):
        corner = pixels(export, image)[1080 - 50 : 1080 - 12, 15:210].min(axis=2)
        background = np.median(corner)
        written = corner < background - 60
        assert 0.05 < written.mean() < 0.4
        assert background > 100
        for box in image.iter("box"):
            x1, _, _, y2 = corners(box)
            assert x1 > 210 or y2 < 1080 - 50


# ----------------------------------------------------------------------------------------------
# The drawing


def stained(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Where white cells are painted: bluer than red, or far darker than, the smear around."""
    red, green, blue = (rgb[..., channel].astype(int) for channel in range(3))
    return np.asarray((blue - green > 22) & (blue - red > -12))


STYLE = smear.Style(
    stain=(1, 1, 1),
    light=(1, 1, 1),
    vignette=0.0,
    edge=1.5,
    noise=0.0,
    red_cells=0,
    platelets=0.0,
    red_radius=50,
    pallor=0.6,
)
"""A bare glass in even light: what differs from it is a cell."""


@pytest.mark.parametrize(
    "wanted",
    [
        *(smear.Wanted(label) for label in NINE.labels),
        *(smear.Wanted(label, cut=True) for label in NINE.labels[:-1]),
    ],
    ids=str,
)
def test_boxes_are_tight(wanted: smear.Wanted) -> None:
    for seed in range(4):
        image, (cell,) = smear.draw(STYLE, [wanted], np.random.default_rng(seed))
        rgb = np.asarray(image).astype(int)
        rgb[int(smear.CORNER[1]) :, : int(smear.CORNER[0])] = HOME.glass
        differs = np.abs(rgb - np.array(HOME.glass)).max(axis=2) > 12
        rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        box = cell.box
        # smudges fade out, so their boxes are as loose as a person's would be
        assert np.allclose((box.x1, box.y1, box.x2, box.y2), seen, atol=9 if wanted.label == "Other" else 3.5)
        assert box.inside(1920, 1080)
        at_an_edge = box.x1 == 0 or box.y1 == 0 or box.x2 == 1920 or box.y2 == 1080
        assert at_an_edge == wanted.cut


def test_a_cut_cell_shows_less_than_half() -> None:
    for seed in range(12):
        whole = cells.draw("Neutrophil", np.random.default_rng(seed), edge=STYLE.edge)
        _, (cell,) = smear.draw(STYLE, [smear.Wanted("Neutrophil", cut=True)], np.random.default_rng(seed))
        rows, columns = (np.flatnonzero((whole.cover > 96).any(axis)) for axis in (1, 0))
        full = len(rows) * len(columns)
        assert cell.box.area < 0.55 * full


def nuclear_share(stamp: Stamp) -> float:
    """The share of the cell that is dark purple."""
    inside = stamp.cover > 127
    green = stamp.rgb[..., 1][inside]
    return float((green < 125).mean())


def diameter(stamp: Stamp) -> float:
    return float(np.sqrt(np.count_nonzero(stamp.cover > 127) * 4 / np.pi))


def orange(stamp: Stamp) -> float:
    """The share of the cell that is much redder than blue."""
    inside = stamp.cover > 127
    rgb = stamp.rgb.astype(int)[inside]
    return float((rgb[:, 0] - rgb[:, 2] > 60).mean())


def blackish(stamp: Stamp) -> float:
    """The share of the cell that is darker than stained chromatin."""
    inside = stamp.cover > 127
    return float((stamp.rgb[..., 0][inside] < 65).mean())


def mean_of(label: str, feature: Callable[[Stamp], float]) -> float:
    return float(np.mean([feature(cells.draw(label, np.random.default_rng([9, n]))) for n in range(8)]))


def test_classes_differ_as_the_paper_says() -> None:
    labels = NINE.labels[:-1]
    across = {label: mean_of(label, diameter) for label in labels}
    assert min(across, key=across.__getitem__) == "Lymphocyte"
    assert max(across, key=across.__getitem__) == "Monocyte"
    assert across["Lymphoblast"] < min(across["Myeloblast_AML"], across["Myeloblast_APL"])
    by_orange = {label: mean_of(label, orange) for label in labels}
    assert by_orange.pop("Eosinophil") > 0.2 > 10 * max(by_orange.values())
    by_black = {label: mean_of(label, blackish) for label in labels}
    assert by_black.pop("Basophil") > 2 * max(by_black.values())
    assert mean_of("Lymphoblast", nuclear_share) > 0.65 > mean_of("Neutrophil", nuclear_share) + 0.2


def test_a_label_that_has_no_drawing() -> None:
    with pytest.raises(ValueError, match='label "Blast": cannot be drawn; give one of Lymphocyte, N'):
        cells.draw("Blast", np.random.default_rng(0))


def test_white_cells_stand_out_in_the_images(export: Path, root: ET.Element) -> None:
    for image in [image for image in root.iter("image") if image.find("box") is not None][::12]:
        rgb = pixels(export, image)
        blue = stained(rgb)
        outside = np.ones(blue.shape, bool)
        shares = []
        for box in image.iter("box"):
            x1, y1, x2, y2 = (round(value) for value in corners(box))
            shares.append(blue[y1:y2, x1:x2].mean())
            outside[y1:y2, x1:x2] = False
        assert float(np.mean(shares)) > 5 * blue[outside].mean()


def test_each_patient_has_a_look_of_its_own(export: Path, root: ET.Element) -> None:
    backgrounds: dict[str, list[npt.NDArray[np.float64]]] = defaultdict(list)
    for image in root.iter("image"):
        patient = image.get("name", "").split("/")[1]
        if len(backgrounds[patient]) < 2:
            middle = pixels(export, image)[300:800, 500:1400].reshape(-1, 3)
            backgrounds[patient].append(np.percentile(middle, 80, axis=0))
    within = [np.abs(pair[0] - pair[1]).max() for pair in backgrounds.values() if len(pair) == 2]
    first = np.array([pair[0] for pair in backgrounds.values()])
    assert len(within) >= 5
    assert max(within) < 12
    assert (first.max(0) - first.min(0)).min() > 12


# ----------------------------------------------------------------------------------------------
# What is refused


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ((0, 48, 0), r"sample: 0 patients; give 1 or more"),
        ((5, 4, 0), r"sample: 4 images for 5 patients; give each patient 1 or more"),
        ((12, 48, -1), r"sample: the seed is -1; give 0 or more"),
    ],
)
def test_impossible_numbers(numbers: tuple[int, int, int], sentence: str, tmp_path: Path) -> None:
    patients, images, seed = numbers
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        sample.write(tmp_path / "sample.zip", patients=patients, images=images, seed=seed)
    assert list(tmp_path.iterdir()) == []


def test_nothing_but_a_sample_is_replaced(tmp_path: Path) -> None:
    real = tmp_path / "export.zip"
    with zipfile.ZipFile(real, "w") as archive:
        archive.writestr("annotations.xml", "<annotations/>")
    before = real.read_bytes()
    for taken in (real, tmp_path):
        with pytest.raises(
            ExportError, match=r"exists and is not a synthetic sample; name a file that does not"
        ):
            sample.write(taken, patients=1, images=1)
    assert real.read_bytes() == before
    ours = sample.write(tmp_path / "ours.zip", patients=1, images=1)
    assert sample.write(ours, patients=1, images=1, seed=3) == ours
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.zip", "ours.zip"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="file is a file; name a place elsewhere"):
        sample.write(tmp_path / "file" / "sample.zip", patients=1, images=1)
