"""The view of the split: its shares, how even they are, and warnings of what is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from browser import Opened
from playwright.sync_api import Page

import pcm_leukemia as pcm
from pcm_leukemia import report
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import Cell, Image, ImageId, Patient, PatientId, Split
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE


def rows(page: Page, name: str) -> dict[str, list[str]]:
    """The text of a table: the name of each row, and its cells."""
    found: list[list[str]] = (
        page.get_by_role("region", name=name)
        .locator("tbody tr")
        .evaluate_all("rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))")
    )
    return {first: cells for first, *cells in found}


def one_each(
    labels: dict[str, str], split: Split | None = None, patients: dict[str, str] | None = None
) -> Dataset:
    """One image for each name, with one cell of a class ("" for none)."""
    people = patients or {}
    images = tuple(
        Image(ImageId(name), 200, 100, PatientId(people[name]) if name in people else None) for name in labels
    )
    cells = tuple(
        Cell(ImageId(name), 0, label, Box(10, 10, 50, 60)) for name, label in labels.items() if label
    )
    known = tuple(Patient(PatientId(each)) for each in sorted(set(people.values())))
    return Dataset("few", NINE, images, cells, known, split=split)


def percents(texts: list[str]) -> list[float]:
    return [float(text.removesuffix(" %")) / 100 for text in texts]


def test_the_parts_have_their_shares_and_what_was_asked(
    chromium: Opened, page_of_ds: Path, ds: Dataset
) -> None:
    assert ds.split is not None
    with chromium.page(page_of_ds, "#split?class=Monocyte") as page:
        shown = rows(page, "Parts")
        assert list(shown) == ["train", "val", "test"]
        asked = {"test": 0.15, "val": 0.85 * 0.2, "train": 0.85 * 0.8}
        for part in ds.parts:
            there = ds.part(part)
            assert shown[part] == [
                str(len(there.patients)),
                str(len(there.images)),
                f"{100 * len(there.images) / len(ds.images):.1f} %",
                f"{100 * asked[part]:.1f} %",
                str(len(there.cells)),
            ]
        made = rows(page, "How it was made")
        assert made == {key: [value] for key, value in ds.split.made.items()}
        assert page.get_by_text("filters do not change the numbers").is_visible()
        share = "Val was asked for as 20.0 % of the images that the test part leaves, which is 17.0 % of all images."
        assert page.get_by_text(share).is_visible()


def test_the_distances_of_each_class_are_those_of_its_cells(
    chromium: Opened, page_of_ds: Path, ds: Dataset
) -> None:
    asked = {"train": 0.85 * 0.8, "val": 0.85 * 0.2, "test": 0.15}
    by_part = {part: Counter(cell.label for cell in ds.part(part).cells) for part in asked}
    with chromium.page(page_of_ds, "#split") as page:
        where, mix = (
            rows(page, "Where the cells of each class are"),
            rows(page, "Mix of classes in each part"),
        )
        for label, total in ds.counts.items():
            shares = {part: by_part[part][label] / total for part in asked}
            off = {part: abs(shares[part] - asked[part]) for part in asked}
            assert percents(where[label][1:4]) == pytest.approx(list(shares.values()), abs=0.00051)
            most, part = where[label][4].split(" in ")
            assert percents([most]) == pytest.approx([max(off.values())], abs=0.00051)
            assert off[part] == max(off.values())
            of_part = {part: by_part[part][label] / by_part[part].total() for part in asked}
            whole = total / len(ds.cells)
            assert percents(mix[label][:4]) == pytest.approx([*of_part.values(), whole], abs=0.00051)
            most, part = mix[label][4].split(" in ")
            far = {part: abs(share - whole) for part, share in of_part.items()}
            assert percents([most]) == pytest.approx([max(far.values())], abs=0.00051)
            assert far[part] == max(far.values())
        bar = (
            page.get_by_role("region", name="Where the cells")
            .get_by_role("row", name="Monocyte")
            .get_by_role("img")
        )
        said = bar.get_attribute("aria-label") or ""
        assert said.startswith(f"train: {by_part['train']['Monocyte']}, ")


def test_a_missing_class_and_a_patient_in_two_parts_are_warned_of(chromium: Opened, tmp_path: Path) -> None:
    part_of = {
        ImageId("a.png"): "train",
        ImageId("b.png"): "train",
        ImageId("c.png"): "test",
        ImageId("d.png"): "test",
    }
    ds = one_each(
        {"a.png": "Monocyte", "b.png": "Basophil", "c.png": "Monocyte", "d.png": ""},
        Split("mine", part_of),
        {"a.png": "P1", "b.png": "P2", "c.png": "P1", "d.png": "P3"},
    )
    with chromium.page(report.write(ds, tmp_path / "page.html"), "#split") as page:
        notes = page.locator(".note").all_inner_texts()
        assert any('patient "P1": is in train (1 image) and test (1 image)' in each for each in notes)
        assert (
            "No Basophil in test (1 patient in all parts has it): such a part gives no score for the class."
            in notes
        )
        assert len(notes) == 2
        assert page.get_by_text("does not record how it was made").is_visible()
        assert rows(page, "Where the cells of each class are")["Basophil"][1:] == [
            "100.0 %",
            "0.0 %",
            "50.0 in train",
        ]


def test_a_file_in_two_parts_is_warned_of(chromium: Opened, tmp_path: Path) -> None:
    part_of = {ImageId(f"{number}.png"): "train" if number < 2 else "test" for number in range(4)}
    ds = one_each(
        dict.fromkeys(part_of, "Monocyte"),
        Split("mine", part_of),
        {name: f"P{number}" for number, name in enumerate(part_of)},
    )
    for digests, said in (
        (
            ("a", "b", "a", "c"),
            "1 file is in two parts under different names: see the findings.",
        ),
        (
            ("a", "b", "b", "a"),
            "2 files are in two parts under different names: see the findings.",
        ),
    ):
        images = tuple(
            replace(image, digest=digest) for image, digest in zip(ds.images, digests, strict=True)
        )
        page_path = report.write(replace(ds, images=images), tmp_path / "page.html")
        with chromium.page(page_path, "#split") as page:
            assert page.locator(".note").all_inner_texts() == [said]


def test_a_sound_split_has_no_warning(chromium: Opened, tmp_path: Path) -> None:
    part_of = {ImageId("a.png"): "train", ImageId("b.png"): "test"}
    ds = one_each(
        {"a.png": "Monocyte", "b.png": "Monocyte"}, Split("mine", part_of), {"a.png": "P1", "b.png": "P2"}
    )
    with chromium.page(report.write(ds, tmp_path / "page.html"), "#split") as page:
        assert page.locator(".note").count() == 0


def test_shared_patients_and_unknown_patients_are_said(chromium: Opened, tmp_path: Path) -> None:
    part_of = {ImageId("a.png"): "train", ImageId("b.png"): "val", ImageId("c.png"): "val"}
    ds = one_each(
        dict.fromkeys(["a.png", "b.png", "c.png"], "Other"),
        Split("mine", part_of, val_shares_patients=True),
        {"a.png": "P1", "b.png": "P1"},
    )
    with chromium.page(report.write(ds, tmp_path / "page.html"), "#split") as page:
        notes = page.locator(".note").all_inner_texts()
        assert len(notes) == 2
        assert notes[0].startswith("Training and validation may share patients")
        assert notes[1].startswith("1 image without a patient")


def test_without_a_split_it_says_how_to_make_one(chromium: Opened, tmp_path: Path) -> None:
    for ds in (one_each({"a.png": "Other"}), Dataset("empty", NINE, ())):
        with chromium.page(report.write(ds, tmp_path / "page.html"), "#split") as page:
            assert page.get_by_text("pcm-leukemia split DATA").is_visible()


def test_folds_are_compared_with_what_they_were_asked_for(
    chromium: Opened, ds: Dataset, tmp_path: Path
) -> None:
    one = ds.with_split(pcm.splits.folds(ds, k=3, val=0.2)[0])
    with chromium.page(report.write(one, tmp_path / "page.html"), "#split") as page:
        assert [row[3] for row in rows(page, "Parts").values()] == ["53.3 %", "13.3 %", "33.3 %"]


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "x", "</script><b>"])
def test_a_record_that_makes_no_sense_is_shown_as_it_is(chromium: Opened, tmp_path: Path, value: str) -> None:
    split = Split("x" * 200, {ImageId("a.png"): "train"}, {"test": value, "val": "0.2", "k" * 200: "v" * 200})
    with chromium.page(
        report.write(one_each({"a.png": "Other"}, split), tmp_path / "page.html"), "#split"
    ) as page:
        assert rows(page, "How it was made")["test"] == [value]
        assert rows(page, "Parts")["train"] == ["1", "100.0 %", "1"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
