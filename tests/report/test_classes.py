"""The class guide of the page: criteria, the right crops, filters, and classes side by side."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from browser import PHONE, Opened
from playwright.sync_api import Locator, expect

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, criteria, report
from pcm_leukemia.images import Pixels, crop, files_of, load
from pcm_leukemia.schema import IGNORE, ImageId
from pcm_leukemia.shapes import Point
from pcm_leukemia.taxonomy import BLASTS

_TITLE = re.compile(r"(?P<label>.+), (?P<image>.+) cell (?P<cell>\d+)")


def cell_of(figure: Locator, ds: Dataset) -> Cell:
    """The cell that a crop says it shows."""
    said = _TITLE.fullmatch(figure.get_attribute("title") or "")
    assert said is not None
    (found,) = (cell for cell in ds.cells_of(said["image"]) if cell.id == int(said["cell"]))
    assert found.label == said["label"]
    return found


def pixels_of(figure: Locator) -> Pixels:
    source = figure.locator("img").get_attribute("src") or ""
    jpeg = base64.b64decode(source.removeprefix("data:image/jpeg;base64,"))
    return np.asarray(PIL.Image.open(io.BytesIO(jpeg)).convert("RGB"))


def cut(ds: Dataset, cell: Cell, size: tuple[int, int]) -> Pixels:
    """The cell with a fifth of its longer side around it, as large as a crop on the page."""
    pixels = load(files_of(ds), ds.image(cell.image))
    around = 40 if isinstance(cell.shape, Point) else round(0.2 * max(cell.box.width, cell.box.height))
    found = PIL.Image.fromarray(crop(pixels, cell.box, around))
    assert abs(found.width / found.height - size[0] / size[1]) < 0.03
    return np.asarray(found.resize(size, PIL.Image.Resampling.LANCZOS))


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


def test_each_class_has_its_criteria_and_as_many_crops_as_it_says(
    chromium: Opened, page_of_ds: Path, ds: Dataset
) -> None:
    with chromium.page(page_of_ds, "#classes") as page:
        assert page.locator(".guide h3").all_inner_texts() == list(ds.taxonomy.labels)
        for label, count in ds.counts.items():
            guide = page.get_by_role("article", name=label, exact=True)
            terms = guide.locator("dt").all_inner_texts()
            assert dict(zip(terms, guide.locator("dd").all_inner_texts(), strict=True)) == criteria.of_label(
                label
            )
            shown = guide.locator("figure").count()
            assert shown == min(count, 12)
            said = f"{shown} of {count} cells are shown; drawn evenly over patients."
            assert (
                guide.locator(".quiet")
                .first.inner_text()
                .startswith(said if count > shown else f"{count} cell")
            )


def test_a_crop_shows_the_cell_that_it_names(chromium: Opened, page_of_ds: Path, ds: Dataset) -> None:
    with chromium.page(page_of_ds, "#classes/Monocyte/Lymphoblast") as page:
        figures = page.locator("figure").all()
        cells = [cell_of(figure, ds) for figure in figures]
        assert Counter(cell.label for cell in cells) == {
            label: ds.counts[label] for label in ("Monocyte", "Lymphoblast")
        }
        assert len({(cell.image, cell.id) for cell in cells}) == len(cells)
        patients = [ds.image(cell.image).patient for cell in cells]
        assert [figure.locator("figcaption").inner_text() for figure in figures] == patients
        for figure, cell in zip(figures[:4] + figures[-4:], cells[:4] + cells[-4:], strict=True):
            shown = pixels_of(figure)
            height, width = shown.shape[:2]
            assert max(height, width) == 96
            assert difference(shown, cut(ds, cell, (width, height))) < 4
        one, other = pixels_of(figures[0]), pixels_of(figures[-1])
        height, width = one.shape[:2]
        assert difference(one, np.asarray(PIL.Image.fromarray(other).resize((width, height)))) > 10


def test_the_first_crops_are_of_different_patients(chromium: Opened, page_of_ds: Path, ds: Dataset) -> None:
    having = {ds.image(cell.image).patient for cell in ds.cells if cell.label == "Neutrophil"}
    with chromium.page(page_of_ds, "#classes") as page:
        guide = page.get_by_role("article", name="Neutrophil", exact=True)
        assert set(guide.locator("figcaption").all_inner_texts()) == having


def test_filters_leave_the_crops_that_pass(chromium: Opened, page_of_ds: Path, ds: Dataset) -> None:
    patient = ds.patients[0].id
    of_patient = ds.select(images=lambda image: image.patient == patient)
    with chromium.page(page_of_ds, f"#classes?patient={patient}&class=Neutrophil") as page:
        assert page.locator(".guide h3").all_inner_texts() == ["Neutrophil"]
        figures = page.locator("figure").all()
        assert len(figures) == of_patient.counts["Neutrophil"] > 0
        for figure in figures:
            assert ds.image(cell_of(figure, ds).image).patient == patient


def test_two_classes_side_by_side(chromium: Opened, page_of_ds: Path) -> None:
    for size in ((1300, 900), PHONE):
        with chromium.page(page_of_ds, "#classes", size=size) as page:
            guide = page.get_by_role("article", name="Lymphoblast", exact=True)
            guide.get_by_text("Beside Lymphoblast").click()
            guide.get_by_role("link", name="Myeloblast_AML").click()
            titles = page.locator(".guide h3")
            expect(titles).to_have_text(["Lymphoblast", "Myeloblast_AML"])
            assert page.evaluate("location.hash") == "#classes/Lymphoblast/Myeloblast_AML"
            one, other = (each.bounding_box() for each in titles.all())
            assert one is not None
            assert other is not None
            assert (one["y"], one["x"] < other["x"]) == (other["y"], True)
            page.get_by_role("link", name="Show all classes").click()
            expect(titles).to_have_count(9)
            page.get_by_role("link", name="Show the blasts side by side").click()
            expect(titles).to_have_text(list(BLASTS))


def test_a_crop_leads_to_its_cell_in_the_frame(chromium: Opened, page_of_ds: Path, ds: Dataset) -> None:
    with chromium.page(page_of_ds, "#classes/Basophil?part=train") as page:
        figure = page.locator("figure").first
        cell = cell_of(figure, ds)
        figure.get_by_role("link").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("combobox", name="Frame")).to_have_text(re.compile(re.escape(cell.image)))
        expect(page.locator(".outline.marked")).to_have_attribute("data-cell", str(cell.id))
        expect(page.get_by_role("rowheader", name=f"{cell.id} (marked)")).to_be_visible()
        assert page.evaluate("location.hash").endswith("?part=train")


@pytest.fixture
def small(tmp_path: Path) -> Dataset:
    """Two images, one of which cannot be read; a point, a cell to ignore, and classes without cells."""
    root = tmp_path / "images"
    root.mkdir()
    PIL.Image.new("RGB", (200, 100), (200, 210, 220)).save(root / "a.png")
    (root / "b.png").write_bytes(b"no image")
    images = tuple(Image(ImageId(name), 200, 100, file=name) for name in ("a.png", "b.png"))
    a, b = (image.id for image in images)
    cells = (
        Cell(a, 0, "Monocyte", Box(10, 10, 50, 50)),
        Cell(a, 1, "Basophil", Box(100, 50, 101, 51), shape=Point(100.5, 50.5)),
        Cell(a, 2, IGNORE, Box(60, 10, 90, 50)),
        Cell(b, 0, "Monocyte", Box(10, 10, 50, 50)),
    )
    return Dataset("small", NINE, images, cells, root=root)


def test_points_unreadable_files_and_classes_without_cells(
    chromium: Opened, small: Dataset, tmp_path: Path
) -> None:
    page_path = report.write(small, tmp_path / "page.html")
    with chromium.page(page_path, "#classes") as page:
        point = page.get_by_role("article", name="Basophil").locator("figure")
        assert pixels_of(point).shape[:2] == (81, 81)
        monocytes = page.get_by_role("article", name="Monocyte")
        assert sorted(monocytes.locator("figcaption").all_inner_texts()) == ["a.png", "b.png"]
        expect(monocytes.get_by_role("img", name="Monocyte, b.png cell 0: cannot be read")).to_be_visible()
        assert monocytes.locator(".quiet").inner_text() == (
            "1 of 2 cells are shown; drawn evenly over images. 1 crop cannot be shown: the image file cannot be read."
        )
        empty = page.get_by_role("article", name="Eosinophil")
        assert empty.locator(".quiet").inner_text() == "No cells."
        assert "orange-red" in empty.inner_text()
        ignored = page.get_by_role("article", name=IGNORE)
        assert (ignored.locator("figure").count(), ignored.locator("dt").count()) == (1, 0)


def test_without_files_there_are_criteria_alone(chromium: Opened, small: Dataset, tmp_path: Path) -> None:
    page_path = report.write(Dataset("small", NINE, small.images, small.cells), tmp_path / "page.html")
    with chromium.page(page_path, "#classes") as page:
        expect(page.get_by_text("There are no crops: the data set has no image files.")).to_be_visible()
        assert page.locator("figure").count() == 0
        assert page.get_by_role("article", name="Monocyte").locator(".quiet").inner_text() == "2 cells."
    with chromium.page(page_path, "#classes/Monocyte/<b>x") as page:
        assert page.get_by_text("These data have no class <b>x.").is_visible()


def test_a_filter_that_leaves_no_crop_says_so(chromium: Opened, tmp_path: Path) -> None:
    """Of 60 cells on each of two images 48 are drawn; the page says how many, and when a filter leaves none."""
    names = [f"{number:02}.png" for number in range(60)]
    for name in names:
        PIL.Image.new("RGB", (20, 20), "white").save(tmp_path / name)
    images = tuple(Image(ImageId(name), 20, 20, file=name, diagnosis=name) for name in names)
    cells = tuple(Cell(image.id, 0, "Monocyte", Box(1, 1, 9, 9)) for image in images)
    ds = Dataset("many", NINE, images, cells, root=tmp_path)
    page_path = report.write(ds, tmp_path / "page.html")
    with chromium.page(page_path, "#classes/Monocyte") as page:
        captions = page.locator("figcaption").all_inner_texts()
        assert len(set(captions)) == 48
        expect(page.get_by_text("48 of 60 cells are shown; drawn evenly over images.")).to_be_visible()
    missing = min(set(names) - set(captions))
    with chromium.page(page_path, f"#classes/Monocyte?diagnosis={missing}") as page:
        assert page.locator("figure").count() == 0
        expect(page.get_by_text("1 cell; none of them is among the 48 that were drawn")).to_be_visible()
