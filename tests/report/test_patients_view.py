"""The view of patients: a strip for each, its order, and what filters leave of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from browser import Opened
from playwright.sync_api import Page, expect

from pcm_leukemia import report
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import Cell, Image, ImageId, Patient, PatientId, Split
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE

LONG = "P" + "x" * 199


def cohort(patients: int, *, unknown: int = 0, split: bool = True) -> Dataset:
    """Patient n has n % 3 + 1 images, and in the first of them n % 4 monocytes and one neutrophil."""
    people = [PatientId(f"P{number:04}") for number in range(patients)]
    images = [
        Image(ImageId(f"{who}/{number}.png"), 200, 100, who)
        for order, who in enumerate(people)
        for number in range(order % 3 + 1)
    ]
    images += [Image(ImageId(f"unknown/{number}.png"), 200, 100) for number in range(unknown)]
    cells = [
        Cell(ImageId(f"{who}/0.png"), number, label, Box(10, 10, 50, 60))
        for order, who in enumerate(people)
        for number, label in enumerate(["Neutrophil", *["Monocyte"] * (order % 4)])
    ]
    part_of = {
        image.id: "test" if image.patient is not None and image.patient.endswith("1") else "train"
        for image in images
    }
    made = Split("official", part_of) if split else None
    rows = tuple(Patient(who, "AML" if order % 2 else "ALL") for order, who in enumerate(people))
    return Dataset("cohort", NINE, tuple(images), tuple(cells), rows, split=made)


def strips(page: Page) -> list[list[str]]:
    """The text of each cell of the table, row by row."""
    rows = page.get_by_role("region", name="Each patient").locator("tbody tr")
    found: list[list[str]] = rows.evaluate_all(
        "rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))"
    )
    return found


def test_a_strip_has_the_numbers_of_its_patient(chromium: Opened, page_of_ds: Path, ds: Dataset) -> None:
    assert ds.split is not None
    with chromium.page(page_of_ds, "#patients") as page:
        rows = {row[0]: row[2:] for row in strips(page)}
        assert list(rows) == [patient.id for patient in ds.patients]
        for patient in ds.patients:
            images = [image for image in ds.images if image.patient == patient.id]
            cells = [cell for image in images for cell in ds.cells_of(image)]
            assert rows[patient.id] == [
                str(len(images)),
                str(len(cells)),
                ds.split.part_of[images[0].id],
                patient.diagnosis,
            ]
            mix = page.get_by_role("row", name=patient.id).get_by_role("img").get_attribute("aria-label")
            counts = Counter(cell.label for cell in cells)
            said = [
                f"{label}: {counts[label]}, {100 * counts[label] / len(cells):.1f} %"
                for label in ds.taxonomy.labels
                if counts[label]
            ]
            assert mix == "; ".join(said)


def test_segments_are_as_long_as_their_shares(chromium: Opened, tmp_path: Path) -> None:
    with chromium.page(report.write(cohort(4), tmp_path / "page.html"), "#patients") as page:
        widths = (
            page.locator(".mix")
            .nth(3)
            .locator("span")
            .evaluate_all("all => all.map(each => each.offsetWidth)")
        )
        neutrophil, monocytes = widths
        assert 2.8 < monocytes / neutrophil < 3.2
        first = page.locator(".mix").first.locator("span")
        assert first.count() == 1
        assert first.get_attribute("title") == "Neutrophil: 1, 100.0 %"


def test_the_buttons_sort_and_the_address_keeps_the_order(chromium: Opened, tmp_path: Path) -> None:
    path = report.write(cohort(7, unknown=2), tmp_path / "page.html")
    with chromium.page(path, "#patients") as page:
        assert [row[0] for row in strips(page)] == [
            *(f"P{n:04}" for n in range(7)),
            "images without a patient",
        ]
        orders = {
            "images": [2, 5, 1, 4, 0, 3, 6],
            "cells": [3, 2, 6, 1, 5, 0, 4],
            "part": [0, 2, 3, 4, 5, 6, 1],
            "diagnosis": [0, 2, 4, 6, 1, 3, 5],
            "Monocyte": [3, 2, 6, 1, 5, 0, 4],
            "id": [0, 1, 2, 3, 4, 5, 6],
        }
        for name, order in orders.items():
            button = page.get_by_role("main").get_by_role("button", name=name)
            button.focus()
            page.keyboard.press("Enter")
            expect(page.get_by_role("main").get_by_role("button", name=name)).to_have_attribute(
                "aria-pressed", "true"
            )
            assert page.evaluate("document.activeElement.innerText").startswith(name)
            rows = [row[0] for row in strips(page)]
            assert rows == [*(f"P{number:04}" for number in order), "images without a patient"], name
    with chromium.page(path, "#patients/class/Monocyte") as again:
        assert again.get_by_role("columnheader").nth(2).inner_text() == "Monocyte"
        assert [row[2] for row in strips(again)][:3] == ["75.0 %", "66.7 %", "66.7 %"]


def test_a_name_filters_the_page_and_filters_change_the_rows(chromium: Opened, tmp_path: Path) -> None:
    path = report.write(cohort(12), tmp_path / "page.html")
    with chromium.page(path, "#patients?part=test") as page:
        assert [row[0] for row in strips(page)] == ["P0001", "P0011"]
        page.get_by_role("link", name="P0011").click()
        expect(page.get_by_role("status")).to_have_text("3 of 24 images, 4 of 30 cells, 1 of 12 patients")
        assert page.evaluate("location.hash") == "#patients?part=test&patient=P0011"
        assert [row[0] for row in strips(page)] == ["P0011"]
    with chromium.page(path, "#patients?class=Monocyte") as page:
        rows = strips(page)
        assert [row[0] for row in rows] == [f"P{n:04}" for n in range(12) if n % 4]
        assert [row[2:4] for row in rows] == [["1", str(n % 4)] for n in range(12) if n % 4]


def test_two_thousand_patients_are_cut_and_say_so(chromium: Opened, tmp_path: Path) -> None:
    path = report.write(cohort(2000, unknown=3), tmp_path / "page.html")
    with chromium.page(path, "#patients/images") as page:
        rows = strips(page)
        assert len(rows) == 201
        assert [row[0] for row in rows[:2]] == ["P0002", "P0005"]
        assert rows[-1][0] == "images without a patient"
        assert page.get_by_text("and 1,800 more: filter or sort").is_visible()
        page.goto(path.as_uri() + "#patients/images?patient=P1999")
        expect(page.get_by_text("more: filter or sort")).to_have_count(0)
        assert [row[0] for row in strips(page)] == ["P1999"]


def test_without_patients_without_a_split_and_without_images(chromium: Opened, tmp_path: Path) -> None:
    alone = cohort(0, unknown=2, split=False)
    with chromium.page(report.write(alone, tmp_path / "unknown.html"), "#patients") as page:
        assert page.get_by_text("No image has a patient").is_visible()
        assert strips(page) == [["images without a patient", "no cells", "2", "0", "all", "(unknown)"]]
        assert page.get_by_role("button", name="part").count() == 0
    with chromium.page(
        report.write(Dataset("empty", NINE, ()), tmp_path / "empty.html"), "#patients"
    ) as page:
        assert page.get_by_text("No image is left by the filters.").is_visible()


def test_one_patient_with_a_long_name_and_one_without_images(chromium: Opened, tmp_path: Path) -> None:
    image = Image(ImageId("a.png"), 200, 100, PatientId(LONG))
    people = (Patient(PatientId(LONG)), Patient(PatientId("nobody")))
    ds = Dataset("one", NINE, (image,), patients=people)
    with chromium.page(report.write(ds, tmp_path / "page.html"), "#patients", size=(390, 844)) as page:
        assert strips(page)[0][0] == LONG
        assert page.get_by_text("1 patient in the data without images is not shown.").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_paper_keeps_the_legend_of_the_bars(chromium: Opened, tmp_path: Path) -> None:
    with chromium.page(report.write(cohort(3), tmp_path / "page.html"), "#patients") as page:
        page.emulate_media(media="print")
        expect(page.get_by_role("button", name="Monocyte")).to_be_visible()
        expect(page.get_by_role("button", name="images")).to_be_hidden()


def test_a_patient_in_two_parts_has_both(chromium: Opened, tmp_path: Path) -> None:
    ds = cohort(3)
    part_of = {image.id: "test" if image.id.endswith("1.png") else "train" for image in ds.images}
    path = report.write(ds.with_split(Split("leaks", part_of)), tmp_path / "page.html")
    with chromium.page(path, "#patients") as page:
        assert [row[4].split() for row in strips(page)] == [["train"], ["train", "test"], ["train", "test"]]
