"""Opens pages in a real Chromium, without a network; skips where there is no browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # a test without a browser needs no Playwright
    from playwright.sync_api import Browser, Page

__all__ = ["Opened", "chromium", "violations"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDE, PHONE = (1300, 900), (390, 844)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Opened]:
    """A browser for all tests of a file.

    Not for longer: Playwright ends when its pipe closes, which a process that was forked meanwhile, such as the worker of a
    loader, keeps open.
    """
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("there is no Chromium; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield Opened(browser)
        browser.close()


class Opened:
    """A browser that opens pages and fails for every error, warning and request of theirs."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    @contextmanager
    def page(
        self,
        path: Path,
        address: str = "",
        *,
        size: tuple[int, int] = WIDE,
        dark: bool = False,
        **options: Any,
    ) -> Iterator[Page]:
        """A page at an address such as "#counts"; it must stay without errors and ask for nothing."""
        width, height = size
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            offline=True,
            **options,
        )
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url[:200]))
        page.goto(path.resolve().as_uri() + address)
        yield page
        outside = [url for url in asked if not url.startswith(("file:", "data:"))]
        context.close()
        assert said == []
        assert outside == []


def violations(page: Page) -> list[str]:
    """What axe-core finds on the page as it is: rule, place and reason."""
    import axe_playwright_python

    source = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
    page.evaluate(source)
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {json.dumps(node['target'])}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
