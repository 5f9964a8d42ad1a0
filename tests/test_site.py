"""The site: its first page leads every kind of reader on, and its pictures are there and small."""

import re
from pathlib import Path

import pytest
from browser import PHONE, WIDE, Opened

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]
FIRST_PAGE = (DOCS / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("reader", "page"),
    [
        ("I have a CVAT export", "quick-start.md"),
        ("I have crops in folders", "other-tools.md"),
        ("I want public data", "data-sets.md"),
        ("I want to reproduce the paper", "baselines.md"),
        ("I want to contribute", "contributing.md"),
    ],
)
def test_the_first_page_leads_each_kind_of_reader_on(reader: str, page: str) -> None:
    start = FIRST_PAGE[FIRST_PAGE.index("## Where to start") :]
    assert re.search(rf"^- \[{reader}\]\({page}(#[\w-]+)?\)$", start, re.MULTILINE)


def test_every_page_is_in_the_sidebar() -> None:
    listed = {line.strip() for line in FIRST_PAGE.splitlines()}
    assert [page.stem for page in DOCS.glob("*.md") if page.stem not in {"index", *listed}] == []


def test_pictures_are_there_and_small() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    assert (DOCS / "main-job.jpg") in shown
    sizes = {picture.name: picture.stat().st_size for picture in shown}
    assert {name for name, size in sizes.items() if size > 200_000} == set()
    assert sum(sizes.values()) < 600_000


def test_every_picture_is_shown() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    pictures = [path for suffix in ("jpg", "png") for path in DOCS.rglob(f"*.{suffix}")]
    pictures = [path for path in pictures if "_build" not in path.parts]
    assert [path.name for path in pictures if path.name not in text] == []


TOO_WIDE = """() => [...document.querySelectorAll("article table")]
    .filter(table => table.scrollWidth > table.parentElement.clientWidth + 1)
    .map(table => table.textContent.trim().slice(0, 40))"""


def test_no_page_runs_out_of_the_screen(chromium: Opened) -> None:
    """On a phone a table may scroll in its own frame, on a desktop it fits."""
    built = DOCS / "_build" / "html"
    pages = sorted(built.glob("*.html"))
    if not pages:
        pytest.skip("the site is not built: make docs")
    with chromium.page(built / "index.html") as page:
        for path in pages:
            page.goto(path.as_uri())
            for width, height in (WIDE, PHONE):
                page.set_viewport_size({"width": width, "height": height})
                assert page.evaluate("document.scrollingElement.scrollWidth") == width, path.name
                if width == WIDE[0]:
                    assert page.evaluate(TOO_WIDE) == [], path.name
