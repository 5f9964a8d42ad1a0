"""Names in the data do nothing in the page: no script, no element, no broken address, nothing out of the screen."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from browser import PHONE, Opened
from html_pages import HOSTILE
from playwright.sync_api import Page

from pcm_leukemia import Box, Cell, Dataset, Image, Patient, Split, Taxonomy, checks, report
from pcm_leukemia.report import Suspect
from pcm_leukemia.report.sections import distinct
from pcm_leukemia.schema import ImageId, PatientId

NAMES = (
    *HOSTILE,
    "</script><script>document.title='x'</script>",
    "<!--<script>",
    "${7*7} {{7*7}} {% raw %} `",
    "__proto__",
    "constructor",
    "toString",
    "\N{WHITE CHESS KING}\N{VARIATION SELECTOR-16}\N{MICROSCOPE}",
    "\N{RIGHT-TO-LEFT MARK}\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} (1)",
    "\N{LINE SEPARATOR}\N{ZERO WIDTH SPACE}",
    *(
        "%",
        "%zz",
        "%3Cb%3E",
        "100 %2F",
        "a#b",
        "a?part=test",
        "a&class=b",
        "a+b c",
        "a=b",
        "a/b",
        "../..",
        ".",
    ),
    *("all", "(unknown)", "overall", "counts", "1"),
    *("P\x01", "P\x02"),  # which look the same
)
TITLE = "<script>alert('title')</script>\"'&\x1b"
TAGS = {
    *("a", "article", "b", "body", "button", "caption", "circle", "code", "dd", "details", "div", "dl", "dt"),
    *(
        "figcaption",
        "figure",
        "footer",
        "g",
        "h1",
        "h2",
        "h3",
        "h4",
        "head",
        "header",
        "html",
        "img",
        "input",
        "label",
    ),
    *("li", "line", "main", "meta", "nav", "noscript", "option", "p", "path", "rect", "script", "section"),
    *("select", "span", "strong", "style", "summary", "svg", "table", "tbody", "td", "text", "th", "thead"),
    *(
        "title",
        "tr",
        "ul",
        "polyline",
        "polygon",
        "rect",
        "desc",
        "br",
        "small",
        "em",
        "ol",
        "h5",
        "fieldset",
        "legend",
    ),
}
"""What the page is made of."""


def is_text(name: str) -> bool:
    return name.encode("utf-8", "replace").decode() == name


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """An image, a patient and a class of each name, diagnoses and parts of some; each image has a cell annotated twice."""
    folder = tmp_path_factory.mktemp("hostile")
    labels = tuple(name for name in NAMES if is_text(name))
    images, cells, people, parts = [], [], [], {}
    for number, name in enumerate(NAMES):
        noise = np.random.default_rng(number).integers(90, 200, (60, 80, 3), dtype=np.uint8)
        file = f"{number} {re.sub(r'[^ -.0-~]', '_', name)}"[:200] + ".png"
        PIL.Image.fromarray(noise).save(folder / file)
        image = ImageId(name if is_text(name) else str(number))
        people.append(Patient(PatientId(name), NAMES[1::4][number // 4]))
        images.append(Image(image, 80, 60, PatientId(name), subset=name, name=name, file=file))
        label = labels[number % len(labels)]
        cells += [Cell(image, each, label, Box(20, 10, 50, 40)) for each in range(2)]
        parts[image] = NAMES[::4][number // 4]
    again = ImageId("again.png")  # a patient in two parts
    images.append(Image(again, 80, 60, people[0].id, file=images[0].file))
    parts[again] = NAMES[1]
    split = Split(TITLE, parts, dict(zip(NAMES, reversed(NAMES), strict=True)))
    taxonomy = Taxonomy(TITLE, labels)
    return Dataset(TITLE, taxonomy, tuple(images), tuple(cells), tuple(people), root=folder).with_split(split)


@pytest.fixture(scope="module")
def written(hostile: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    suspects = [
        Suspect("two-labels", 0.5, hostile.image(cell.image), cell, name, None, name)
        for cell, name in zip(hostile.cells, NAMES, strict=False)
    ]
    suspects.append(
        Suspect("missing-box", 0.4, hostile.images[0], None, NAMES[0], Box(1, 2, 30, 40), NAMES[1])
    )
    out = tmp_path_factory.mktemp("page") / "page.html"
    return report.write(hostile, out, checked=checks.check(hostile), suspects=suspects, warned=NAMES)


def views_of(page: Page) -> list[str]:
    found = page.locator("nav a").evaluate_all("links => links.map(link => link.hash)")
    assert {"#counts", "#findings", "#suspects", "#all"} <= {*found}
    return list(found)


def addresses(page: Page) -> list[str]:
    """Every address that the present view leads to."""
    return sorted(
        set(page.locator("a").evaluate_all("links => links.map(link => link.getAttribute('href'))"))
    )


def require_harmless(page: Page) -> None:
    """Only what the page makes is there, and it is not out of the screen."""
    found = page.evaluate(
        """() => {
        const all = [...document.querySelectorAll("*")];
        return {
            tags: [...new Set(all.map((each) => each.localName))],
            listeners: all.flatMap((each) => each.getAttributeNames().filter((name) => name.startsWith("on"))),
            scripts: document.scripts.length,
            styles: document.querySelectorAll("style, link").length,
            links: [...document.links].filter((each) => !each.getAttribute("href").startsWith("#")).length,
            pictures: [...document.images].filter((each) => !each.src.startsWith("data:image/jpeg;base64,")).length,
            wide: document.documentElement.scrollWidth - innerWidth,
            title: document.title,
        };
    }"""
    )
    assert set(found["tags"]) <= TAGS
    assert found["listeners"] == []
    assert (found["scripts"], found["styles"], found["links"], found["pictures"]) == (2, 1, 0, 0)
    assert found["wide"] <= 0, page.url[-300:]
    assert found["title"].endswith("<script>alert('title')</script>\"'&\N{REPLACEMENT CHARACTER}")


def test_hostile_names_do_nothing_in_any_view(chromium: Opened, written: Path) -> None:
    with chromium.page(written, "#all", size=PHONE) as page:
        require_harmless(page)
        for each in views_of(page):
            page.goto(written.as_uri() + each)
            require_harmless(page)


def test_each_link_leads_where_it_says(chromium: Opened, written: Path) -> None:
    """No address of a name is taken for one that is not there."""
    with chromium.page(written) as page:
        there = set()
        for each in views_of(page):
            page.goto(written.as_uri() + each)
            found = addresses(page)
            there |= {*found[:: max(1, len(found) // 60)]}
        assert len(there) > 3 * len(NAMES)
        wrong = page.evaluate(
            """async (addresses) => {
            const wrong = [];
            for (const each of addresses) {
                const drawn = new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
                if (location.hash === each) continue;
                location.hash = each;
                await drawn;
                const text = document.getElementById("main").innerText;
                if (location.hash !== each || /is not among|have no class|does not pass/.test(text)) wrong.push(each);
            }
            return wrong;
        }""",
            sorted(there - {"#main"}),
        )
        assert wrong == []


def test_filters_by_such_names_work_and_their_addresses_restore_them(chromium: Opened, written: Path) -> None:
    with chromium.page(written, "#frames") as page:
        wrong = page.evaluate(
            """async () => {
            const wrong = [];
            const boxes = () => [...document.querySelectorAll(".options input")];
            const shown = () => ({
                checked: boxes().flatMap((box, place) => (box.checked ? [place] : [])),
                text: document.getElementById("filters").querySelector("[role=status]").textContent,
                chips: [...document.querySelectorAll(".chips button")].map((chip) => chip.textContent),
            });
            const to = async (hash) => {
                const drawn = new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
                location.hash = hash;
                await drawn;
            };
            for (let place = 0; place < boxes().length; place++) {
                boxes()[place].click();
                const [hash, here] = [location.hash, shown()];
                if (here.checked.join() !== String(place) || here.chips.length !== 1) wrong.push([hash, here]);
                await to("#frames");
                await to(hash);
                if (JSON.stringify(shown()) !== JSON.stringify(here)) wrong.push([hash, here, shown()]);
                document.querySelector(".chips button").click();
                if (shown().checked.length || location.hash !== "#frames") wrong.push([hash, shown()]);
            }
            boxes().forEach((box) => box.click());
            return wrong;
        }"""
        )
        assert wrong == []
        chips = page.locator(".chips button").all_inner_texts()
        assert len(chips) > 2 * len(NAMES)
        page.reload()
        assert page.locator(".chips button").all_inner_texts() == chips


def test_names_that_look_the_same_stay_apart(hostile: Dataset, written: Path, chromium: Opened) -> None:
    assert distinct(["P\x01", "P\x02", "P\N{REPLACEMENT CHARACTER} (2)"]) == [
        "P\N{REPLACEMENT CHARACTER}",
        "P\N{REPLACEMENT CHARACTER} (2)",
        "P\N{REPLACEMENT CHARACTER} (2) (2)",
    ]
    names = [patient.id for patient in hostile.patients if patient.id.startswith("P")]
    assert len(names) == 2
    with chromium.page(written, "#counts?patient=P%EF%BF%BD+%282%29") as page:
        assert page.get_by_role("status").inner_text().startswith("1 of ")


def test_a_script_that_gets_into_the_file_is_not_run(
    chromium: Opened, page_of_ds: Path, tmp_path: Path
) -> None:
    page = page_of_ds.read_text("utf-8")
    changed = tmp_path / "changed.html"
    evil = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"
    changed.write_text(page.replace("<main", f"{evil}<main", 1), "utf-8")
    context = chromium.browser.new_context(offline=True)
    said: list[str] = []
    opened = context.new_page()
    opened.on("console", lambda message: said.append(message.text))
    opened.goto(changed.as_uri())
    assert "run" not in opened.title()
    assert sum("Content Security Policy" in text for text in said) >= 3  # the script, the image, its listener
    context.close()


def test_the_page_refers_to_nothing_outside(page_of_ds: Path) -> None:
    page = page_of_ds.read_text("utf-8")
    without_pictures = re.sub(r'"/9j/[\w+/=]+"', '""', page)
    outside = set(
        re.findall(
            r"(?:https?:|//[\w.-]+\.\w|url\(|@import|src=(?!\"data:)[^ >]*)[^\s\"'<>)]*", without_pictures
        )
    )
    assert outside <= {"http://www.w3.org/2000/svg"}
