"""The page of a data set in a real browser: addresses, filters, keyboard, screens, and what a hostile name can do."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import PHONE, WIDE, Opened, violations
from playwright.sync_api import expect

from pcm_leukemia.dataset import Dataset


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_axe_finds_nothing_and_no_view_runs_out_of_the_screen(
    chromium: Opened, page_of_ds: Path, size: tuple[int, int], *, dark: bool
) -> None:
    with chromium.page(page_of_ds, size=size, dark=dark) as page:
        addresses = page.locator("nav a").evaluate_all("links => links.map(link => link.hash)")
        assert len(addresses) == 9
        for each in addresses:
            page.goto(page_of_ds.as_uri() + each)
            assert violations(page) == [], each
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), each


def test_the_counts_are_those_of_the_data_set(chromium: Opened, page_of_ds: Path, ds: Dataset) -> None:
    with chromium.page(page_of_ds, "#counts") as page:
        for label, count in ds.counts.items():
            row = page.get_by_role("row", name=label, exact=False).first
            assert row.get_by_role("cell").last.inner_text() == f"{count:,}"


def test_a_filter_changes_the_counts_and_the_address_restores_it(
    chromium: Opened, page_of_ds: Path, ds: Dataset
) -> None:
    test = ds.part("test")
    with chromium.page(page_of_ds) as page:
        page.locator("[data-facet=part] summary").click()
        page.get_by_label("test").check()
        said = page.get_by_role("status").inner_text()
        assert said.startswith(f"{len(test.images)} of {len(ds.images)} images, {len(test.cells)} of ")
        hash_ = page.evaluate("location.hash")
        assert hash_ == "#counts?part=test"
    with chromium.page(page_of_ds, hash_) as again:
        assert again.get_by_role("status").inner_text() == said
        again.get_by_role("button", name="Part: test").click()
        assert again.get_by_role("status").inner_text().startswith(f"{len(ds.images)} images")


def test_paper_has_the_content_and_no_controls(chromium: Opened, page_of_ds: Path) -> None:
    with chromium.page(page_of_ds, "#all") as page:
        page.emulate_media(media="print")
        for name in ("nav", ".facets", ".frames-bar", ".orders", ".skip"):
            expect(page.locator(name).first).to_be_hidden()
        for title in page.locator("h2").all():
            expect(title).to_be_visible()


@pytest.mark.parametrize("typed", ["#all", "#everything", "#everything?part=test"])
def test_everything_has_the_address_all_and_its_own_name(
    chromium: Opened, page_of_ds: Path, typed: str
) -> None:
    with chromium.page(page_of_ds, typed) as page:
        expect(page.locator("nav a[aria-current]")).to_have_text("Everything")
        expect(page.locator("h2")).to_have_count(8)
        expect(page.get_by_role("alert")).to_have_text("")


def test_a_phone_shows_the_view_soon_and_that_there_is_more_beside_the_screen(
    chromium: Opened, page_of_ds: Path
) -> None:
    with chromium.page(page_of_ds, "#split", size=PHONE) as page:
        title = page.get_by_role("heading", name="Split").bounding_box()
        assert title
        assert title["y"] < 265
        table = page.locator(".scroll").first
        assert table.evaluate("e => e.scrollWidth > e.clientWidth")
        assert table.evaluate("e => getComputedStyle(e).backgroundImage").count("gradient") == 4


@pytest.mark.parametrize("dark", [False, True])
def test_what_a_bar_leaves_empty_is_as_quiet_as_a_button(
    chromium: Opened, page_of_ds: Path, *, dark: bool
) -> None:
    with chromium.page(page_of_ds, "#counts", dark=dark) as page:
        colour = "e => getComputedStyle(e).backgroundColor"
        assert page.locator(".track").first.evaluate(colour) == page.locator(".facet summary").first.evaluate(
            colour
        )


def test_an_address_that_asks_for_what_is_not_there_says_so(chromium: Opened, page_of_ds: Path) -> None:
    """Or the numbers of all parts would be read as those of one."""
    for asked, absent in {
        "#counts?part=tset&class=Monocyte": "no part tset:",
        "#nonsense?patient=P9&diagnosis=none": "no view nonsense, no patient P9, no diagnosis none:",
        "#counts?finding=cell-twice": "no finding cell-twice:",
    }.items():
        with chromium.page(page_of_ds, asked) as page:
            expect(page.get_by_role("alert")).to_contain_text(absent)
            page.get_by_role("link", name="Patients", exact=True).click()
            expect(page.get_by_role("alert")).to_have_text("")
    with chromium.page(page_of_ds, "#counts?part=test&class=Monocyte") as page:
        expect(page.get_by_role("alert")).to_have_text("")
