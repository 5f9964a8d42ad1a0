"""The page of a data set of the paper's size: time and memory to write it, its size, and how fast it opens in Chromium.

    python benchmarks/report_page.py [--images 20000]

The images are drawn with discs for cells, 640 x 360 pixels, two cells on average, 200 patients. Frames of 1920 x 1080 pixels
make a page larger, since the page shows them up to 960 pixels wide: a page of the synthetic sample tells how much.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
from playwright.sync_api import sync_playwright

import pcm_leukemia as pcm
from pcm_leukemia import NINE, Box, Cell, Dataset, Image, checks, report
from pcm_leukemia.schema import ImageId, Patient, PatientId

WIDTH, HEIGHT, PATIENTS = 640, 360, 200
DIAGNOSES = ("Normal", "ALL", "AML", "APL")


def draw(index: int, folder: Path) -> tuple[Image, list[Cell]]:
    """One image with red cells and up to six white ones."""
    rng = np.random.default_rng(index)
    patient = index % PATIENTS
    picture = PIL.Image.new("RGB", (WIDTH, HEIGHT), (235, 225 - patient % 20, 228))
    pen = PIL.ImageDraw.Draw(picture)
    for x, y in rng.uniform((0, 0), (WIDTH, HEIGHT), (60, 2)):
        pen.ellipse((x - 16, y - 16, x + 16, y + 16), fill=(219, 165, 168), outline=(200, 150, 155))
    name = ImageId(f"{DIAGNOSES[patient % 4]}/P{patient:03}/{index:05}.jpg")
    cells = []
    for number in range(min(int(rng.poisson(2)), 6)):
        side = rng.uniform(40, 80)
        x, y = rng.uniform(0, WIDTH - side), rng.uniform(0, HEIGHT - side)
        label = NINE.labels[int(rng.integers(9))]
        pen.ellipse((x, y, x + side, y + side), fill=(190, 170, 210))
        for u, v, size in rng.uniform((0.2, 0.2, 0.1), (0.8, 0.8, 0.3), (5, 3)):
            corners = (
                x + side * (u - size),
                y + side * (v - size),
                x + side * (u + size),
                y + side * (v + size),
            )
            pen.ellipse(corners, fill=(90, 50, int(rng.integers(110, 170))))
        cells.append(Cell(name, number, label, Box(x, y, x + side, y + side), label))
    grain = rng.normal(0, 4, (HEIGHT, WIDTH, 1))
    pixels = np.clip(np.asarray(picture.filter(PIL.ImageFilter.GaussianBlur(1))) + grain, 0, 255)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)
    return Image(name, WIDTH, HEIGHT, PatientId(f"P{patient:03}"), file=str(name)), cells


def make(folder: Path, count: int) -> Dataset:
    """All images, with a split by patient."""
    with multiprocessing.Pool() as pool:
        drawn = pool.starmap(draw, [(index, folder) for index in range(count)], chunksize=200)
    patients = tuple(Patient(PatientId(f"P{each:03}"), DIAGNOSES[each % 4]) for each in range(PATIENTS))
    images = tuple(image for image, _ in drawn)
    cells = tuple(cell for _, of in drawn for cell in of)
    here = {image.patient for image in images}
    ds = Dataset("bench", NINE, images, cells, tuple(p for p in patients if p.id in here), root=folder)
    return ds.with_split(pcm.splits.by_patient(ds, seed=0))


def write(ds: Dataset, out: Path, *, pixels: bool) -> None:
    """Write the page, as `pcm-leukemia report` does, and print what it took."""
    start = time.perf_counter()
    checked = checks.check(ds, pixels=pixels)
    found = time.perf_counter()
    report.write(ds, out, checked=checked)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(ds.images):,} images of {ds.images[0].width} x {ds.images[0].height}, {len(ds.cells):,} cells, "
        f"{len(checked.findings):,} findings: check {found - start:.1f} s, page {end - found:.1f} s, "
        f"peak {peak:.0f} MB, {out.stat().st_size / 1e6:.2f} MB"
    )


def read(path: Path) -> None:
    """Open the page three times, go through all views, and filter; print what it took."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("there is no Chromium to open it")
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--enable-precise-memory-info"]
        )
        opening = []
        for _ in range(3):
            page = browser.new_page()
            start = time.perf_counter()
            page.goto(path.as_uri())
            page.locator("main h2").first.wait_for()
            opening.append(time.perf_counter() - start)
            if len(opening) < 3:
                page.close()
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
        timed = """() => { const start = performance.now(); dispatchEvent(new Event('hashchange'));
                   document.body.offsetHeight; return performance.now() - start; }"""
        print(f"opens in {statistics.median(opening):.2f} s, {heap:.0f} MB of JavaScript memory")
        for address in page.locator("nav a").evaluate_all("links => links.map(link => link.hash)"):
            took = []
            for query in ("", "?part=test", "?class=Monocyte&class=Other&diagnosis=AML"):
                page.evaluate("address => history.pushState(null, '', address)", address + query)
                took.append(page.evaluate(timed))
            print(f"  {address}: drawn in {took[0]:.0f} ms, filtered in {max(took[1:]):.0f} ms")
        browser.close()


def main() -> None:
    """Both pages, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--keep", type=Path, help="Keep the pages in this folder.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        kept = options.keep or folder
        kept.mkdir(parents=True, exist_ok=True)
        ds = make(folder / "images", options.images)
        write(ds, kept / "many.html", pixels=True)
        read(kept / "many.html")
        count = min(200, math.ceil(options.images / 10))
        export = pcm.sample.write(folder / "sample.zip", patients=max(count // 5, 4), images=count)
        drawn = pcm.load_dataset(export, patients=r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/")
        write(drawn.with_split(pcm.splits.by_patient(drawn, seed=0)), kept / "large.html", pixels=True)
        read(kept / "large.html")


if __name__ == "__main__":
    main()
