"""Takes the pictures of the pages that `report` writes, from the synthetic sample: `python docs/screenshots.py`.

It needs a Chromium, and a minute to train a small model. Each picture is one view at one size, as a small JPEG.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import PIL.Image
import PIL.ImageOps
from msgspec import structs
from playwright.sync_api import Browser, sync_playwright

import pcm_leukemia as pcm
from pcm_leukemia import baselines, report
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import Cell

OUT = Path(__file__).with_name("screenshots")
NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDE, PHONE = (1000, 700), (390, 860)


class Shot(NamedTuple):
    """A view of the page, and how it is looked at."""

    address: str
    size: tuple[int, int] = WIDE
    dark: bool = False


SHOTS = {
    "classes": Shot("#classes"),
    "frames": Shot("#frames/Synthetic%2FALL%2FSYN-P005%2Fsynthetic_0002.jpg"),
    "findings": Shot("#findings", (1000, 940)),
    "phone": Shot("#classes/Eosinophil", PHONE, dark=True),
}
MODEL_SHOTS = {"confusion": Shot("#confusion/Eosinophil/Neutrophil", (1000, 1170))}


def main() -> None:
    """Draw a data set, write its page, and take the pictures."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        raise SystemExit("there is no Chromium; on Debian: apt-get install chromium")
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        ds = sample(Path(folder) / "smears.zip")
        data = report.write(ds, Path(folder) / "data.html", checked=pcm.checks.check(ds))
        run = baselines.train(
            "resnet50", ds, Path(folder) / "resnet50", preset="smoke", settings={"epochs": 2}
        )
        model = baselines.write_report(run, Path(folder) / "model.html", ds)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for page, shots in ((data, SHOTS), (model, MODEL_SHOTS)):
            for name, shot in shots.items():
                file = OUT / f"{name}.jpg"
                taken(browser, page, shot).save(file, quality=75, optimize=True)
                print(f"{file}: {file.stat().st_size // 1000} kB")


def sample(export: Path) -> Dataset:
    """A drawn data set with a split by patient, and two mistakes for `check` to find."""
    pcm.sample.write(export, patients=24, images=96, seed=3)
    ds = pcm.load_dataset(export, patients=r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/")
    ds = replace(ds, cells=tuple(mistaken(ds)))
    return ds.with_split(pcm.splits.by_patient(ds, seed=0))


def mistaken(ds: Dataset) -> Iterator[Cell]:
    """The cells, with one that is annotated twice, as two classes, and one whose box is too narrow."""
    once, *_ = (cell for cell in ds.cells if cell.label == "Monocyte")
    *_, narrow = (cell for cell in ds.cells if cell.label == "Neutrophil")
    for image in ds.images:
        cells = ds.cells_of(image)
        for cell in cells:
            x1, y1, x2, y2 = structs.astuple(cell.box)
            yield (
                structs.replace(cell, box=pcm.Box(x1, y1, (2 * x1 + x2) / 3, y2)) if cell is narrow else cell
            )
        if once in cells:
            yield structs.replace(once, id=len(cells), label="Other")


def taken(browser: Browser, page: Path, shot: Shot) -> PIL.Image.Image:
    """What a reader sees of the page."""
    width, height = shot.size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if shot.dark else "light"
    )
    opened = context.new_page()
    opened.goto(page.as_uri() + shot.address)
    png = opened.screenshot()
    context.close()
    return PIL.ImageOps.expand(PIL.Image.open(io.BytesIO(png)).convert("RGB"), border=1, fill="#999")


if __name__ == "__main__":
    main()
