"""The view of sizes and stain: boxes, frames, and the patients and sources whose colours differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from browser import PHONE, Opened
from playwright.sync_api import Page, expect

from pcm_leukemia import report
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.joining import concat
from pcm_leukemia.report import stain
from pcm_leukemia.report.origin import sources_of
from pcm_leukemia.schema import Cell, Image, ImageId, Patient, PatientId, Split
from pcm_leukemia.shapes import Box, Point
from pcm_leukemia.taxonomy import NINE

PINK, NUCLEUS, FADED = (236, 222, 226), (84, 44, 128), (84, 60, 64)
BOX = Box(20, 20, 60, 60)

Rgb = tuple[int, int, int]


def drawn(
    folder: Path,
    looks: Mapping[str, tuple[Rgb, Rgb]],
    *,
    images: int = 2,
    name: str = "drawn",
    patients: bool = True,
) -> Dataset:
    """Each patient's images: a plain background, and a nucleus that fills a tenth of its box; grain makes them differ."""
    rows, cells = [], []
    rng = np.random.default_rng(list(name.encode()))
    for who, (glass, nucleus) in looks.items():
        for number in range(images):
            file = f"{who}/{number}.png"
            pixels = np.broadcast_to(np.array(glass, np.int64), (100, 120, 3)).copy()
            pixels[30:34, 20:60] = nucleus
            pixels += rng.integers(-2, 3, pixels.shape)
            (folder / who).mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / file)
            rows.append(Image(ImageId(file), 120, 100, PatientId(who) if patients else None, file=file))
            cells.append(Cell(ImageId(file), 0, "Monocyte", BOX))
    people = tuple(Patient(PatientId(who)) for who in looks) if patients else ()
    return Dataset(name, NINE, tuple(rows), tuple(cells), people, root=folder)


def rows(page: Page, name: str) -> list[list[str]]:
    found: list[list[str]] = (
        page.get_by_role("region", name=name)
        .locator("tbody tr")
        .evaluate_all("rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))")
    )
    return found


def test_the_quantiles_are_those_of_the_boxes(chromium: Opened, page_of_ds: Path, ds: Dataset) -> None:
    def sides(wanted: Dataset) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for cell in wanted.cells:
            found.setdefault(cell.label, []).append((round(cell.box.width) * round(cell.box.height)) ** 0.5)
        return found

    for address, wanted in (("#sizes", ds), ("#sizes?part=test", ds.part("test"))):
        with chromium.page(page_of_ds, address) as page:
            shown = {row[0]: row[2:] for row in rows(page, "Side of the boxes by class")}
        assert shown.keys() == sides(wanted).keys()
        for label, found in sides(wanted).items():
            assert shown[label][0] == str(len(found))
            quantiles = np.quantile(found, [0.05, 0.5, 0.95])
            assert [float(text) for text in shown[label][1:4]] == pytest.approx(quantiles, abs=0.501)


def test_an_unusual_box_is_marked_and_points_have_no_size(chromium: Opened, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    boxes = [
        Box(20, 20, 20 + width, 20 + height) for width, height in rng.integers(95, 106, (30, 2)).tolist()
    ]
    boxes.append(Box(20, 20, 320, 420))
    images = tuple(Image(ImageId(f"{number:02}.png"), 500, 500) for number in range(len(boxes) + 1))
    cells = [Cell(image.id, 7, "Monocyte", box) for image, box in zip(images, boxes, strict=False)]
    cells.append(Cell(images[-1].id, 0, "Basophil", Box(5, 5, 6, 6), shape=Point(5, 5)))
    ds = Dataset("odd", NINE, images, tuple(cells))
    with chromium.page(report.write(ds, tmp_path / "page.html"), "#sizes") as page:
        assert [row[:4] for row in rows(page, "Unusual boxes")] == [["30.png", "7", "Monocyte", "300 × 400"]]
        [monocytes] = rows(page, "Side of the boxes by class")
        assert monocytes[0] == "Monocyte"
        assert [monocytes[2], monocytes[-1]] == ["31", "1"]
        assert page.locator(".strip .ring").count() == 1
        assert page.get_by_text("1 cell that is a point has no size.").is_visible()
        assert page.get_by_text("The stain was not measured").is_visible()
        page.goto((tmp_path / "page.html").as_uri() + "#sizes?class=Basophil")
        expect(page.get_by_text("No box is left by the filters.")).to_be_visible()


def test_sizes_of_images_are_counted(chromium: Opened, tmp_path: Path) -> None:
    sizes = [(1920, 1080)] * 3 + [(640, 480)]
    images = tuple(Image(ImageId(f"{number}.png"), *size) for number, size in enumerate(sizes))
    with chromium.page(report.write(Dataset("two", NINE, images), tmp_path / "page.html"), "#sizes") as page:
        assert rows(page, "Sizes of the images") == [["1,920 × 1,080", "3"], ["640 × 480", "1"]]


def test_the_patient_with_another_stain_is_the_outlier(chromium: Opened, tmp_path: Path) -> None:
    looks = {f"P{number:02}": (PINK, NUCLEUS) for number in range(10)}
    looks |= {"P07": (PINK, FADED), "P08": ((200, 214, 240), FADED)}
    path = report.write(drawn(tmp_path / "images", looks), tmp_path / "page.html")
    with chromium.page(path, "#sizes") as page:
        odd = {row[0]: row[1] for row in rows(page, "Unlike the others")}
        assert odd.keys() == {"P07", "P08"}
        assert "of the nuclei by" in odd["P07"]
        assert "of the background" not in odd["P07"]
        assert "of the nuclei by" in odd["P08"]
        assert "of the background by" in odd["P08"]
        background, nuclei = page.locator(".half").all()
        assert background.locator(".dot").count() == nuclei.locator(".dot").count() == 10
        assert background.locator(".ring").count() == 1
        assert nuclei.locator(".ring").count() == 2
        assert page.locator(".legend").count() == 0
        assert page.get_by_text("20 of 20 images were measured").is_visible()
        page.get_by_role("region", name="Unlike the others").get_by_role("link", name="P07").click()
        expect(page.get_by_role("status")).to_contain_text("1 of 10 patients")
        assert page.evaluate("location.hash") == "#sizes?patient=P07"
        assert page.locator(".half .dot").count() == 2


def test_patients_are_compared_with_their_own_source(chromium: Opened, tmp_path: Path) -> None:
    blue = (200, 214, 240)
    one = drawn(
        tmp_path / "one", {f"P{n}": (PINK, NUCLEUS) for n in range(9)} | {"P3": (blue, NUCLEUS)}, name="one"
    )
    two = drawn(tmp_path / "two", {f"P{n}": (blue, NUCLEUS) for n in range(9)}, name="two")
    path = report.write(concat([one, two]), tmp_path / "page.html")
    with chromium.page(path, "#sizes") as page:
        assert [row[:2] for row in rows(page, "Unlike the others")] == [["one/P3", "one"]]
        assert page.get_by_role("list", name="Marks of the sources").get_by_role(
            "listitem"
        ).all_inner_texts() == ["one", "two"]
        shown = rows(page, "Size and stain by source")
        assert [row[:5] for row in shown] == [
            ["one", "9", "18", "120 × 100", "40"],
            ["two", "9", "18", "120 × 100", "40"],
        ]
        lightness, red, yellow = (float(text.replace("−", "-")) for text in shown[1][5].split(", "))
        assert (lightness, red, yellow) == pytest.approx(
            stain.background(np.full((9, 9, 3), blue, np.uint8)).lab, abs=2
        )


def test_few_patients_are_not_judged(tmp_path: Path) -> None:
    looks = {f"P{number}": (PINK, NUCLEUS) for number in range(stain.FEWEST - 1)} | {"P0": (PINK, FADED)}
    ds = drawn(tmp_path, looks)
    units = stain.choose(ds)
    pictures = report.Pictures(ds)
    stain.measure(ds, pictures, units)
    pictures.cut()
    assert len(units) == stain.FEWEST - 1
    assert all(unit.mean("nuclei") for unit in units)
    assert stain.outliers(units, {}) == {}


def test_outliers_are_those_of_the_modified_z_score() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal((85, 2, -3), (3, 2, 2), (40, 3))
    values[[3, 11]] += (0, 14, 0)
    units = []
    for number, lab in enumerate(values.tolist()):
        image = Image(ImageId(f"{number:02}.png"), 9, 9)
        units.append(
            stain.Unit(None, (image,), {image.id: stain.Colour((lab[0], lab[1], lab[2]), (0, 0, 0))})
        )
    middle = np.median(values, axis=0)
    score = 0.6745 * np.abs(values - middle) / np.median(np.abs(values - middle), axis=0)
    found = stain.outliers(units, {})
    assert sorted(found) == np.flatnonzero(score.max(axis=1) > 3.5).tolist()
    assert {3, 11} <= found.keys()
    for number, unlike in found.items():
        axis, deviations = unlike["background"]
        assert deviations == pytest.approx(score[number].max(), rel=1e-3)
        assert axis == ("L*", "a*", "b*")[int(score[number].argmax())]


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [  # by the formulas of CIE 15 for sRGB, adapted to D50 by Bradford
        ((255, 0, 0), (54.29, 80.80, 69.89)),
        ((0, 255, 0), (87.82, -79.27, 80.99)),
        ((0, 0, 255), (29.57, 68.30, -112.03)),
        ((128, 128, 128), (53.59, 0, 0)),
    ],
)
def test_colours_are_cie_lab(rgb: Rgb, lab: tuple[float, float, float]) -> None:
    assert stain.to_lab(np.full((2, 3, 3), rgb, np.uint8))[1, 2] == pytest.approx(lab, abs=0.8)


def test_a_sample_of_many_patients_is_measured() -> None:
    images = tuple(
        Image(ImageId(f"P{who:04}/{number}.png"), 9, 9, PatientId(f"P{who:04}"), file="x.png")
        for who in range(2000)
        for number in range(2)
    )
    people = tuple(Patient(PatientId(f"P{who:04}")) for who in range(2000))
    units = stain.choose(Dataset("many", NINE, images, patients=people))
    assert len(units) == 600
    assert all(len(unit.images) == 1 for unit in units)
    assert str(units[-1].patient) > "P1990"
    few = stain.choose(Dataset("few", NINE, images[:8], patients=people[:4]))
    assert [len(unit.images) for unit in few] == [2, 2, 2, 2]


def test_images_with_cells_are_measured_first() -> None:
    images = tuple(Image(ImageId(f"{n}.png"), 90, 90, PatientId("P1"), file=f"{n}.png") for n in range(9))
    cells = (Cell(ImageId("7.png"), 0, "Other", BOX), Cell(ImageId("8.png"), 0, "Other", BOX))
    [unit] = stain.choose(Dataset("one", NINE, images, cells, (Patient(PatientId("P1")),)))
    assert [image.id for image in unit.images] == ["7.png", "8.png", "0.png"]


def test_images_without_a_patient_are_dots_of_their_own(chromium: Opened, tmp_path: Path) -> None:
    ds = drawn(
        tmp_path / "images",
        {f"P{n}": (PINK, NUCLEUS) for n in range(8)} | {"P8": (PINK, FADED)},
        patients=False,
    )
    (tmp_path / "images" / "P0" / "0.png").write_bytes(b"no picture")
    path = report.write(ds, tmp_path / "page.html")
    with chromium.page(path, "#sizes") as page:
        assert page.get_by_text("17 of 18 images were measured. A dot is an image").is_visible()
        assert sorted(row[0] for row in rows(page, "Unlike the others")) == ["P8/0.png", "P8/1.png"]
    assert path.read_bytes() == report.write(ds, tmp_path / "again.html", workers=3).read_bytes()


@pytest.mark.parametrize("size", [(1300, 900), PHONE])
def test_long_names_stay_on_the_screen(chromium: Opened, tmp_path: Path, size: tuple[int, int]) -> None:
    looks = {f"{n}" * 100: (PINK, NUCLEUS) for n in range(9)} | {"8" * 100: (PINK, FADED)}
    ds = drawn(tmp_path / "images", looks, images=1, name="n" * 100)
    other = drawn(tmp_path / "other", looks, images=1, name="<b>" + "m" * 100)
    with chromium.page(
        report.write(concat([ds, other]), tmp_path / "page.html"), "#sizes", size=size
    ) as page:
        assert len(rows(page, "Unlike the others")) == 2
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_source_is_what_concat_put_before_the_ids() -> None:
    people = (Patient(PatientId("P1")),)
    image = Image(ImageId("train/AML/a.png"), 9, 9, PatientId("P1"), name="AML/a.png", subset="train")
    plain = [Dataset(name, NINE, (image,), patients=people) for name in ("here", "there", "else/where")]
    assert set(sources_of(concat(plain, name="all")).values()) == {"here", "there", "else/where"}
    nested = concat([concat(plain[:2], name="both"), plain[2]], name="all")
    assert set(sources_of(nested).values()) == {"both/here", "both/there", "else/where"}
    assert sources_of(plain[0]) == {}
    assert sources_of(concat(plain[:1])) == {}


def test_a_folder_of_a_task_is_no_source() -> None:
    images = tuple(Image(ImageId(f"task{n}/a.png"), 9, 9, name="a.png") for n in (1, 2))
    assert sources_of(Dataset("tasks", NINE, images)) == {}
    known = tuple(Image(each.id, 9, 9, PatientId("task1"), name="a.png") for each in images)
    assert sources_of(Dataset("tasks", NINE, known, patients=(Patient(PatientId("task1")),))) == {}


def test_without_patients_the_split_records_the_sources() -> None:
    image = Image(ImageId("a.png"), 9, 9)
    split = Split("mine", {image.id: "train"})
    named = [Dataset(name, NINE, (image,), split=split) for name in ("here", "there")]
    assert sources_of(concat(named, name="all")) == {"here/a.png": "here", "there/a.png": "there"}
    assert sources_of(concat([ds.with_split(None) for ds in named], name="all")) == {}
