"""The view of the counts: each number is that of its part, class and diagnosis, and options count what they would leave."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
from browser import Opened
from playwright.sync_api import Page, expect

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient, Split, colours, report
from pcm_leukemia.schema import ImageId, PatientId

CELLS = {
    "a.png": ("Monocyte", "Monocyte", "Basophil"),
    "b.png": (),
    "c.png": ("Monocyte",),
    "d.png": ("Basophil", "Basophil", "Basophil", "Lymphocyte"),
}
PATIENT_OF = {"a.png": "P1", "b.png": "P1", "c.png": "P2", "d.png": "P3"}
DIAGNOSES = {"P1": "AML", "P2": "APL", "P3": "AML"}
PART_OF = {"a.png": "train", "b.png": "train", "c.png": "train", "d.png": "test"}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images of three patients with two diagnoses, in two parts; one has no cells."""
    images = tuple(Image(ImageId(name), 200, 100, PatientId(PATIENT_OF[name])) for name in CELLS)
    cells = tuple(
        Cell(ImageId(name), number, label, Box(10 * number, 10, 10 * number + 9, 20))
        for name, labels in CELLS.items()
        for number, label in enumerate(labels)
    )
    people = tuple(Patient(PatientId(patient), diagnosis) for patient, diagnosis in DIAGNOSES.items())
    split = Split("s", {ImageId(name): part for name, part in PART_OF.items()})
    ds = Dataset("few", NINE, images, cells, people).with_split(split)
    return report.write(ds, tmp_path_factory.mktemp("page") / "few.html")


def rows(page: Page, name: str) -> dict[str, list[str]]:
    """The text of a table: the name of each row, and its cells."""
    found: list[list[str]] = (
        page.get_by_role("region", name=name, exact=True)
        .locator("tbody tr")
        .evaluate_all("rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))")
    )
    return {first: cells for first, *cells in found}


def count(label: str, images: Collection[str]) -> str:
    """The cells of a class in these images."""
    return str(sum(CELLS[name].count(label) for name in images))


def test_each_part_has_its_own_counts(chromium: Opened, written: Path) -> None:
    with chromium.page(written, "#counts") as page:
        found = rows(page, "Cells by class")
        assert found["patients"] == ["2", "1", "3"]
        assert found["images"] == ["3", "1", "4"]
        assert found["images without cells"] == ["1", "0", "1"]
        assert found["cells"] == ["4", "4", "8"]
        train, test = (
            [name for name, part in PART_OF.items() if part == wanted] for wanted in ("train", "test")
        )
        for label in NINE.labels:
            assert found[label] == [count(label, images) for images in (train, test, CELLS)]
        page.goto(f"{written.as_uri()}#counts?class=Basophil")
        assert rows(page, "Cells by class")["images without cells"] == ["0", "0", "0"]


def test_each_diagnosis_has_its_own_counts(chromium: Opened, written: Path) -> None:
    with chromium.page(written, "#counts") as page:
        assert rows(page, "Patients by diagnosis") == {
            "AML": ["1", "1", "2"],
            "APL": ["1", "0", "1"],
            "patients": ["2", "1", "3"],
        }
        found = rows(page, "Cells by class and diagnosis")
        assert found["cells"] == ["7", "1"]
        aml, apl = (
            [name for name, patient in PATIENT_OF.items() if DIAGNOSES[patient] == wanted]
            for wanted in ("AML", "APL")
        )
        for label in NINE.labels:
            assert found[label] == [count(label, images) for images in (aml, apl)]


def test_a_bar_has_the_colour_of_its_class_and_the_share_of_its_column(
    chromium: Opened, written: Path
) -> None:
    with chromium.page(written, "#counts") as page:
        table = page.get_by_role("region", name="Cells by class", exact=True)
        bars = table.get_by_role("row", name="Basophil").locator(".filled").all()
        assert [bar.evaluate("bar => bar.style.width") for bar in bars] == ["33.3%", "100%", "66.7%"]
        for label in ("Basophil", "Monocyte"):
            bar = table.get_by_role("row", name=label).locator(".filled").first
            colour = colours.of_label(label)
            painted = bar.evaluate("bar => bar.style.background")
            assert painted == f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


@pytest.mark.parametrize(
    ("address", "facet", "counts"),
    [
        ("#counts", "part", {"train": "3", "test": "1"}),
        ("#counts?part=train", "part", {"train": "3", "test": "1"}),
        ("#counts?part=train&class=Basophil", "part", {"train": "1", "test": "1"}),
        ("#counts?part=train&class=Basophil", "class", {"Basophil": "1", "Monocyte": "3", "Lymphocyte": "0"}),
        ("#counts?patient=P1&part=train", "patient", {"P1": "2", "P2": "1", "P3": "0"}),
    ],
)
def test_an_option_counts_what_it_would_leave_whatever_is_chosen_in_its_own_facet(
    chromium: Opened, written: Path, address: str, facet: str, counts: dict[str, str]
) -> None:
    with chromium.page(written, address) as page:
        options = page.locator(f"[data-facet={facet}] .options")
        for name, number in counts.items():
            option = options.locator("li").filter(has=page.get_by_text(name, exact=True))
            expect(option.locator(".count")).to_have_text(number)
