"""The frames of the page: stepping, addresses, boxes at their places, and filters."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import PIL.Image
import pytest
from browser import PHONE, WIDE, Opened
from playwright.sync_api import Page, expect

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, checks, report
from pcm_leukemia.colours import of_label, rgb
from pcm_leukemia.schema import ImageId, PatientId
from pcm_leukemia.shapes import Mask, Point, Polygon


def position(page: Page) -> str:
    return page.locator("#main strong").inner_text()


def frame(page: Page) -> str:
    """The image that is shown."""
    return page.get_by_role("combobox", name="Frame").locator("option:checked").inner_text()


def address(image: str, cell: int | None = None) -> str:
    return f"#frames/{quote(image, safe='')}" + ("" if cell is None else f"/{cell}")


def place(page: Page, cell: int) -> tuple[float, float, float, float]:
    """The box of a cell on the screen, as shares of the frame: left, top, width and height."""
    script = """cell => {
        const frame = document.querySelector(".frame").getBoundingClientRect();
        const line = document.querySelector(`.outline[data-cell="${cell}"] .line`);
        const {x, y, width, height} = line.getBBox(), matrix = line.getScreenCTM();
        const [one, two] = [new DOMPoint(x, y), new DOMPoint(x + width, y + height)].map((each) => each.matrixTransform(matrix));
        return [(one.x - frame.x) / frame.width, (one.y - frame.y) / frame.height, (two.x - one.x) / frame.width, (two.y - one.y) / frame.height];
    }"""
    left, top, width, height = page.evaluate(script, cell)
    return left, top, width, height


def test_stepping_by_buttons_keys_and_list(chromium: Opened, page_of_ds: Path, ds: Dataset) -> None:
    ids = [image.id for image in ds.images]
    with chromium.page(page_of_ds, "#frames") as page:
        assert (frame(page), position(page)) == (ids[0], "1 of 24")
        page.keyboard.press("ArrowLeft")
        assert (frame(page), page.evaluate("location.hash")) == (ids[0], "#frames")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        assert (frame(page), position(page)) == (ids[1], "2 of 24")
        assert page.evaluate("location.hash") == address(ids[1])
        after = page.get_by_role("button", name="Next")
        after.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")  # it has kept the focus
        assert frame(page) == ids[3]
        page.get_by_role("combobox", name="Frame").select_option(ids[-1])
        assert (frame(page), position(page)) == (ids[-1], "24 of 24")
        expect(after).to_be_disabled()
        after.click(force=True)
        assert frame(page) == ids[-1]
        page.go_back()
        expect(page.get_by_role("combobox", name="Frame").locator("option:checked")).to_have_text(ids[3])
        page.locator("[data-facet=part] summary").click()
        page.get_by_label("test").focus()
        page.keyboard.press("ArrowRight")  # in a filter, an arrow does not step
        assert frame(page) == ids[3]


def test_the_address_restores_a_frame_and_its_marked_cell(
    chromium: Opened, page_of_ds: Path, ds: Dataset
) -> None:
    image = next(image for image in ds.images[5:] if len(ds.cells_of(image)) > 3)
    with chromium.page(page_of_ds, address(image.id, 2)) as page:
        assert frame(page) == image.id
        picture = page.get_by_role("img", name=f"{image.id} with {len(ds.cells_of(image))} cells")
        assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [960, 540]
        assert page.locator(".outline.marked").get_attribute("data-cell") == "2"
        page.get_by_role("link", name="3", exact=True).click()
        expect(page.locator(".outline.marked")).to_have_attribute("data-cell", "3")
        facts = page.locator(".facts").inner_text()
        patient = ds.patient_of(image)
        assert patient is not None
        assert re.findall(r"\S+", facts) == [
            *("Patient", patient.id, "Part", ds.part_of(image), "Diagnosis", patient.diagnosis),
            *("Size", "1,920", "×", "1,080", "pixels"),
        ]
    with chromium.page(page_of_ds, "#frames/no%2Fsuch.jpg") as page:
        expect(page.get_by_text("no/such.jpg is not among the 24 frames on the page.")).to_be_visible()


@pytest.mark.parametrize("enlarged", [False, True])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_boxes_are_where_the_cells_are(
    chromium: Opened, page_of_ds: Path, ds: Dataset, size: tuple[int, int], *, enlarged: bool
) -> None:
    image = max(ds.images, key=lambda image: len(ds.cells_of(image)))
    with chromium.page(page_of_ds, address(image.id), size=size) as page:
        before = page.locator(".frame").bounding_box()
        if enlarged:
            page.get_by_role("checkbox", name="Enlarge").check()
        box = page.locator(".frame").bounding_box()
        assert before is not None
        assert box is not None
        assert (box["width"] > before["width"]) == enlarged
        assert box["width"] / box["height"] == pytest.approx(16 / 9, rel=0.01)
        shown = page.get_by_role("img", name=image.id).bounding_box()
        assert shown == box
        for cell in ds.cells_of(image):
            expected = [cell.box.x1 / 1920, cell.box.y1 / 1080, cell.box.width / 1920, cell.box.height / 1080]
            assert place(page, cell.id) == pytest.approx(expected, abs=0.001)
            line = page.locator(f".outline[data-cell='{cell.id}'] .line")
            red, green, blue = rgb(of_label(cell.label))
            assert line.evaluate("line => getComputedStyle(line).stroke") == f"rgb({red}, {green}, {blue})"
        tags = page.locator(".tag").all_text_contents()
        assert tags == [f"{cell.id} {cell.label}" for cell in ds.cells_of(image)]


def test_boxes_can_be_switched_off_and_stay_so(chromium: Opened, page_of_ds: Path, ds: Dataset) -> None:
    with chromium.page(page_of_ds, "#frames") as page:
        assert page.locator(".outline").count() == len(ds.cells_of(ds.images[0]))
        page.get_by_label("Boxes").uncheck()
        assert page.locator(".outline, .tag").count() == 0
        page.get_by_role("button", name="Next").click()
        page.get_by_role("button", name="Next").click()
        assert page.locator(".outline, .tag").count() == 0
        page.get_by_label("Boxes").check()
        assert page.locator(".outline").count() == len(ds.cells_of(ds.images[2]))


def test_filters_choose_frames_and_boxes(chromium: Opened, page_of_ds: Path, ds: Dataset) -> None:
    chosen = ds.part("test").select(labels=["Neutrophil"])
    with chromium.page(page_of_ds, "#frames?part=test&class=Neutrophil") as page:
        options = page.get_by_role("combobox", name="Frame").locator("option").all_text_contents()
        assert options == [image.id for image in chosen.images if chosen.cells_of(image)]
        here = {cell.id for cell in ds.cells_of(options[0])}
        passing = {cell.id for cell in chosen.cells_of(options[0])}
        assert 0 < len(passing) < len(here)
        weak = page.locator(".outline.weak")
        assert {
            int(each) for each in weak.evaluate_all("all => all.map(each => each.dataset.cell)")
        } == here - passing
        assert page.locator(".tag").count() == len(passing)
        assert page.locator("tbody tr").count() == len(passing)
        count = len(here - passing)
        said = f"{count} cell{'s' if count > 1 else ''} of the frame do{'' if count > 1 else 'es'} not pass the filters"
        expect(page.get_by_text(said)).to_be_visible()
        page.get_by_role("cell").get_by_role("link", name="Neutrophil").first.focus()
    train = ds.part("train").images[0].id
    with chromium.page(page_of_ds, f"{address(train)}?part=test") as page:
        expect(page.get_by_text(f"{train} does not pass the filters.")).to_be_visible()
        assert frame(page) == ds.part("test").images[0].id


@pytest.fixture
def ward(tmp_path: Path) -> Dataset:
    """Two patients with an image each; outlines, a point, a cell drawn twice, and a file that cannot be read."""
    root = tmp_path / "images"
    root.mkdir()
    PIL.Image.new("RGB", (200, 100), (200, 210, 220)).save(root / "a.png")
    (root / "b.png").write_bytes(b"no image")
    images = tuple(Image(ImageId(name), 200, 100, PatientId(name), file=name) for name in ("a.png", "b.png"))
    a, b = (image.id for image in images)
    ring = tuple((20.0 + each % 7, 30.0 + each / 10) for each in range(100))
    cells = (
        Cell(a, 0, "Monocyte", Box(10, 10, 50, 50)),
        Cell(a, 1, "Monocyte", Box(10, 10, 50, 50)),
        Cell(a, 2, "Basophil", Box(150, 50, 151, 51), shape=Point(150.5, 50.5)),
        Cell(a, 3, "Eosinophil", Box(100, 10, 140, 50), shape=Polygon(((100, 10), (140, 30), (100, 50)))),
        Cell(a, 4, "Other", Box(20, 30, 26, 40), shape=Polygon(ring)),
        Cell(a, 5, "Other", Box(60, 60, 62, 61), shape=Mask(60, 60, 2, 1, (0, 2))),
        Cell(b, 7, "Monocyte", Box(0, 0, 200, 100)),
    )
    return Dataset("ward", NINE, images, cells, tuple(Patient(PatientId(i)) for i in (a, b)), root=root)


def test_outlines_points_and_findings(chromium: Opened, ward: Dataset, tmp_path: Path) -> None:
    checked = checks.check(ward)
    page_path = report.write(ward, tmp_path / "page.html", checked=checked)
    with chromium.page(page_path, "#frames") as page:
        lines = {
            each: page.locator(f".outline[data-cell='{each}'] .line").get_attribute("d") or ""
            for each in range(6)
        }
        assert lines[0] == lines[1] == "M10,10L50,10L50,50L10,50Z"
        assert lines[2] == "M150.5,50.5h0"
        assert lines[3] == "M100,10L140,30L100,50Z"
        assert lines[4].startswith("M20,30L23,30.3L")
        assert 30 <= lines[4].count("L") + 1 <= 36
        assert lines[5] == "M60,60L62,60L62,61L60,61Z"
        expect(page.locator(".facts").get_by_role("link", name="cell-twice")).to_be_visible()
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name="1", exact=True))
        row.get_by_role("link", name="cell-twice").click()
        expect(page.get_by_role("button", name="Finding: cell-twice")).to_be_visible()
        page.goto(page_path.as_uri() + "#frames?finding=cell-twice")
        assert page.locator(".tag").all_text_contents() == ["0 Monocyte", "1 Monocyte"]


def test_a_file_that_cannot_be_read(chromium: Opened, ward: Dataset, tmp_path: Path) -> None:
    page_path = report.write(ward, tmp_path / "page.html")
    with chromium.page(page_path, "#frames/b.png") as page:
        expect(page.get_by_role("img", name="b.png with 1 cell: cannot be read")).to_be_visible()
        assert place(page, 7) == pytest.approx((0, 0, 1, 1))


def test_without_files_there_are_no_frames(chromium: Opened, ward: Dataset, tmp_path: Path) -> None:
    nowhere = replace(ward, root=None)
    with chromium.page(report.write(nowhere, tmp_path / "page.html"), "#frames") as page:
        expect(page.get_by_text("There are no frames: the data set has no image files.")).to_be_visible()
    empty = Dataset("empty", NINE, ())
    with chromium.page(report.write(empty, tmp_path / "page.html"), "#frames") as page:
        expect(page.get_by_text("There are no frames: the data set has no image files.")).to_be_visible()


def test_one_image_with_a_hostile_name(chromium: Opened, tmp_path: Path) -> None:
    name = ImageId("<script>alert(1)</script>" + "%2F'\"" + "x" * 170 + ".png")
    PIL.Image.new("RGB", (30, 60)).save(tmp_path / "one.png")
    ds = Dataset("one", NINE, (Image(name, 30, 60, file="one.png"),), root=tmp_path)
    page_path = report.write(ds, tmp_path / "page.html")
    with chromium.page(page_path, address(name), size=PHONE) as page:
        assert (frame(page), position(page)) == (name, "1 of 1")
        expect(page.get_by_text("The image has no cells.")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for button in ("Previous", "Next"):
            expect(page.get_by_role("button", name=button)).to_be_disabled()


def test_grainy_frames_and_crops_stay_small(tmp_path: Path) -> None:
    """White noise, which no JPEG can compress, still fits the budget of the page."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1200, 3), np.uint8)
    PIL.Image.fromarray(noise).save(tmp_path / "a.png")
    image = Image(ImageId("a.png"), 1200, 1000, file="a.png")
    ds = Dataset("noise", NINE, (image,), (Cell(image.id, 0, "Other", Box(0, 0, 200, 200)),), root=tmp_path)
    pictures = report.Pictures(ds)
    frame, crop = pictures.frame(image), pictures.crop(ds.cells[0])
    pictures.cut()
    assert 50_000 < len(pictures.encoded[frame] or "") <= 93_000 * 4 / 3 + 4
    assert 1_000 < len(pictures.encoded[crop] or "") <= 3_100 * 4 / 3 + 4


def test_frames_with_many_cells(chromium: Opened, tmp_path: Path) -> None:
    """2,000 cells: all are drawn as boxes, without tags, and the list ends with how many more there are."""
    PIL.Image.new("RGB", (400, 400)).save(tmp_path / "a.png")
    image = Image(ImageId("a.png"), 400, 400, file="a.png")
    corners = [(8 * (n % 50), 9 * (n // 50)) for n in range(2000)]
    cells = tuple(
        Cell(image.id, n, "Other", Box(x, y, x + 4, y + 4), shape=Polygon(((x, y), (x + 4, y), (x, y + 4))))
        for n, (x, y) in enumerate(corners)
    )
    page_path = report.write(Dataset("many", NINE, (image,), cells, root=tmp_path), tmp_path / "page.html")
    with chromium.page(page_path, "#frames") as page:
        assert page.locator(".outline").count() == 2000
        assert page.locator(".outline .line").last.get_attribute("d") == "M392,351L396,351L396,355L392,355Z"
        assert page.locator(".tag").count() == 0
        assert page.locator("tbody tr").count() == 300
        expect(page.get_by_text("and 1,700 more: filter the classes")).to_be_visible()
