"""The page without a mouse: every control by keyboard, a focus that is never lost, back and forward, small screens, print."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import PHONE, Opened
from playwright.sync_api import Page, expect

from pcm_leukemia.dataset import Dataset

VIEWS = ("counts", "patients", "classes", "frames", "sizes", "findings", "suspects", "split", "all")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def focused(page: Page) -> str:
    """The text of the focused element; "" if the focus is lost."""
    return str(
        page.evaluate("""() => {
        const at = document.activeElement;
        return at === document.body ? "" : (at.getAttribute("aria-label") || at.textContent || at.localName).trim();
    }""")
    )


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element is focused."""
    for _ in range(300):
        press(page, "Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"Tab does not lead to {selector}")


def test_the_skip_link_leads_past_the_navigation(chromium: Opened, page_of_ds: Path) -> None:
    with chromium.page(page_of_ds, "#counts") as page:
        press(page, "Tab")
        expect(page.locator("#skip")).to_be_focused()
        expect(page.locator("#skip")).to_be_in_viewport()
        press(page, "Enter")
        expect(page.locator("main")).to_be_focused()
        press(page, "Tab")
        assert page.evaluate("document.getElementById('main').contains(document.activeElement)")


def test_every_view_opens_by_its_link(chromium: Opened, page_of_ds: Path) -> None:
    with chromium.page(page_of_ds) as page:
        links = page.locator("nav a").count()
        for place in range(links):
            page.locator("#skip").focus()
            press(page, *["Tab"] * (place + 1))
            name = focused(page)
            press(page, "Enter")
            expect(page.locator("nav a[aria-current]")).to_have_text(name)
            if place:
                expect(page.locator("main")).to_be_focused()  # the first view was there already
            title = "Everything" if place == links - 1 else page.locator("main h2").inner_text()
            assert title == name


@pytest.mark.parametrize("view", VIEWS)
def test_tab_passes_every_control_with_a_visible_focus_and_no_trap(
    chromium: Opened, page_of_ds: Path, view: str
) -> None:
    with chromium.page(page_of_ds, f"#{view}") as page:
        expected = page.evaluate(
            """() => [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
            .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.closest("details.facet .panel"))
            .map((each, place) => (each.dataset.place = place)).length"""
        )
        seen = []
        for _ in range(expected + 3):
            press(page, "Tab")
            place, outlined = page.evaluate(
                """() => {
                const style = getComputedStyle(document.activeElement);
                return [document.activeElement.dataset.place, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
            }"""
            )
            if place is None:
                break
            assert outlined, focused(page)
            seen.append(int(place))
        assert seen == list(range(expected))
        press(page, "Shift+Tab")
        assert focused(page)


def test_a_facet_is_opened_used_and_closed_by_keys(chromium: Opened, page_of_ds: Path) -> None:
    with chromium.page(page_of_ds, "#counts") as page:
        tab_to(page, "[data-facet=class] summary")
        press(page, "Enter")
        panel = page.locator("[data-facet=class] .panel")
        expect(panel).to_be_visible()
        press(page, "ArrowDown", "ArrowDown", "ArrowUp", "Space")
        expect(panel.locator("input").first).to_be_focused()
        expect(panel.locator("input").first).to_be_checked()
        chip = page.locator(".chips button")
        expect(chip).to_have_count(1)
        press(page, "Tab", "Space")
        expect(chip).to_have_count(3)  # two classes, and one that clears all
        press(page, "Escape")
        expect(panel).to_be_hidden()
        expect(page.locator("[data-facet=class] summary")).to_be_focused()
        press(page, "Space")
        expect(panel).to_be_visible()
        press(page, "Shift+Tab")  # it does not stay open above what the focus goes to
        expect(panel).to_be_hidden()


def test_the_focus_stays_near_a_chip_that_is_removed(chromium: Opened, page_of_ds: Path) -> None:
    with chromium.page(page_of_ds, "#counts?part=train&part=test&class=Monocyte") as page:
        tab_to(page, ".chips button")
        assert focused(page).startswith("Part: train")
        press(page, "Enter")
        assert focused(page).startswith("Part: test")
        press(page, "Space")
        assert focused(page).startswith("Class: Monocyte")
        press(page, "Enter")
        expect(page.locator("[data-facet=class] summary")).to_be_focused()
    with chromium.page(page_of_ds, "#counts?part=train&class=Monocyte") as page:
        page.get_by_role("button", name="Clear all").focus()
        press(page, "Enter")
        expect(page.locator("[data-facet=part] summary")).to_be_focused()


def test_the_focus_stays_on_what_filters(chromium: Opened, page_of_ds: Path, ds: Dataset) -> None:
    label = max(ds.counts, key=lambda name: ds.counts[name])
    with chromium.page(page_of_ds, "#counts") as page:
        page.locator("main").get_by_role("link", name=label).first.focus()
        press(page, "Enter")
        expect(page.locator(".chips button")).to_have_count(1)
        assert focused(page) == label
        page.go_back()
        expect(page.locator(".chips button")).to_have_count(0)
        assert focused(page) == label
    with chromium.page(page_of_ds, "#patients") as page:
        page.get_by_role("button", name="cells", exact=True).focus()
        press(page, "Enter")
        assert page.evaluate("location.hash") == "#patients/cells"
        assert focused(page) == "cells"


def wait_until(page: Page, condition: str, arg: float | None = None) -> None:
    """Playwright's own `wait_for_function` evaluates text in the page as soon as it has to wait, which the policy forbids."""
    for _ in range(100):
        if page.evaluate(condition, arg):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"did not come true: {condition}")


def test_back_and_forward_restore_view_filters_and_place(chromium: Opened, page_of_ds: Path) -> None:
    with chromium.page(page_of_ds, "#classes?part=train", size=PHONE) as page:
        page.mouse.wheel(0, 1500)
        wait_until(page, "scrollY > 1000")
        before = page.evaluate("scrollY")
        page.locator("nav a", has_text="Counts").focus()
        page.evaluate("before => scrollTo(0, before)", before)
        press(page, "Enter")
        expect(page.locator("nav a[aria-current]")).to_have_text("Counts")
        assert page.evaluate("scrollY") == 0
        page.go_back()
        expect(page.locator("nav a[aria-current]")).to_have_text("Classes")
        expect(page.get_by_role("button", name="Part: train (remove)")).to_be_visible()
        wait_until(page, "before => Math.abs(scrollY - before) < 5", before)
        page.go_forward()
        expect(page.locator("nav a[aria-current]")).to_have_text("Counts")
        wait_until(page, "scrollY === 0")
        page.go_back()
        page.reload()
        wait_until(page, "before => Math.abs(scrollY - before) < 5", before)


def test_the_place_of_one_view_is_not_kept_for_another(chromium: Opened, page_of_ds: Path) -> None:
    """Where the page is kept shortly after scrolling, and by then "forward" may have led to another view."""
    with chromium.page(page_of_ds, "#classes", size=PHONE) as page:
        page.locator("nav a", has_text="Counts").click()
        expect(page.locator("nav a[aria-current]")).to_have_text("Counts")
        page.go_back()
        expect(page.locator("nav a[aria-current]")).to_have_text("Classes")
        page.wait_for_timeout(300)
        page.evaluate(
            """() => {
                const due = new Map();
                let last = 0;
                window.setTimeout = (call) => (due.set(++last, call), last);
                window.clearTimeout = (number) => due.delete(number);
                addEventListener("popstate", () => due.forEach((call) => call()));
                addEventListener("scroll", () => (window.scrolled = true));
                scrollTo(0, 500);
            }"""
        )
        wait_until(page, "window.scrolled")
        page.go_forward()
        expect(page.locator("nav a[aria-current]")).to_have_text("Counts")
        assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("width", [320, 390, 700, 1300])
def test_an_open_list_does_not_leave_the_screen(chromium: Opened, page_of_ds: Path, width: int) -> None:
    with chromium.page(page_of_ds, "#counts", size=(width, 700)) as page:
        for summary in page.locator(".facet summary").all():
            summary.click()
            panel = summary.locator("..").locator(".panel")
            expect(panel).to_be_visible()
            page.wait_for_timeout(50)  # its place is found when it has been opened
            box = panel.bounding_box()
            assert box
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_fits_a_width_of_320_pixels(chromium: Opened, page_of_ds: Path, view: str) -> None:
    """As WCAG asks: 1,280 pixels at a zoom of 400 %."""
    with chromium.page(page_of_ds, f"#{view}", size=(320, 256)) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_nothing_moves(chromium: Opened, page_of_ds: Path) -> None:
    with chromium.page(page_of_ds, "#all", reduced_motion="reduce") as page:
        assert page.evaluate("document.getAnimations().length") == 0
        moving = page.evaluate(
            """() => [...document.querySelectorAll("*")].filter((each) => {
            const style = getComputedStyle(each);
            return parseFloat(style.transitionDuration) > 0 || style.animationName !== "none" || style.scrollBehavior !== "auto";
        }).length"""
        )
        assert moving == 0


def test_everything_is_printed_and_no_table_is_cut(chromium: Opened, page_of_ds: Path) -> None:
    controls = (
        "nav, .facets, .skip, .orders:not(.of-classes), .of-classes > span, .frames-bar, .guide details"
    )
    with chromium.page(page_of_ds, "#all", size=(720, 1000)) as page:  # A4
        pictures = page.locator("main img").count()
        on_screen = page.evaluate_handle(
            """(controls) => [...document.querySelectorAll("body *")].filter((each) => each.checkVisibility() && !each.closest(controls))""",
            controls,
        )
        page.emulate_media(media="print")
        assert (
            page.evaluate("(shown) => shown.filter((each) => !each.checkVisibility()).length", on_screen) == 0
        )
        assert page.locator(controls).filter(visible=True).count() == 0
        cut = page.evaluate(
            """() => [...document.querySelectorAll(".scroll, td, th, p, figcaption, .row-name")]
            .filter((each) => each.checkVisibility() && (each.scrollWidth > each.clientWidth + 1 || each.getBoundingClientRect().right > innerWidth))
            .map((each) => `${each.localName} ${each.textContent.slice(0, 60)}`)"""
        )
        assert cut == []
        printed = page.pdf(format="A4", margin={"top": "1cm", "right": "1cm", "bottom": "1cm", "left": "1cm"})
    assert printed.count(b"/Subtype /Image") >= pictures > 100
