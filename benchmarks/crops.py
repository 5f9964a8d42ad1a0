"""Writing crops compared with decoding alone, with one thread and two, in one run; memory at N / 4 and N images.

    python benchmarks/crops.py [--images 400]

Each image is a 1920x1080 JPEG with the texture of a smear and 2.1 cells on average, as in the paper.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFilter
import simplejpeg

from pcm_leukemia import NINE, Box, Cell, Dataset, Image, store
from pcm_leukemia.converters import crops
from pcm_leukemia.schema import ImageId


def make(folder: Path, count: int, quality: int) -> Dataset:
    rng = np.random.default_rng(0)
    noise = PIL.Image.fromarray(rng.integers(0, 255, (1080, 1920, 3), dtype=np.uint8))
    smooth = np.asarray(noise.filter(PIL.ImageFilter.GaussianBlur(6))).astype(float)
    base = (smooth - smooth.min()) / np.ptp(smooth) * 120 + 110
    images, cells = [], []
    for index in range(count):
        pixels = np.clip(np.roll(base, index * 17, axis=1) + rng.normal(0, 3, base.shape), 0, 255).astype(
            np.uint8
        )
        name = f"{index:05d}.jpg"
        PIL.Image.fromarray(pixels).save(folder / name, quality=quality)
        images.append(Image(ImageId(name), 1920, 1080, file=name))
        for number in range(int(rng.poisson(2.1))):
            side = rng.uniform(110, 200)
            x, y = rng.uniform(0, 1920 - side), rng.uniform(0, 1080 - side)
            cells.append(Cell(ImageId(name), number, "Monocyte", Box(x, y, x + side, y + side), "Monocyte"))
    return Dataset("bench", NINE, tuple(images), tuple(cells), root=folder)


def with_simplejpeg(path: Path) -> None:
    simplejpeg.decode_jpeg(path.read_bytes())


def with_pillow(path: Path) -> None:
    np.asarray(PIL.Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))


def decode_all(ds: Dataset, workers: int, decoder: Callable[[Path], None]) -> None:
    used = {cell.image for cell in ds.cells}
    paths = [ds.root / str(image.file) for image in ds.images if ds.root and image.id in used]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(decoder, paths))


def fastest(job: Callable[[int], None], repeats: int = 5) -> float:
    seconds = []
    for number in range(repeats):
        start = time.perf_counter()
        job(number)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss / 1000 if status == 0 else sys.exit("failed"))
"""
"""A process inherits the peak memory of its parent, so a small process starts it."""


def peak(ds: Dataset, work: Path) -> float:
    """Peak memory in MB of a process that only writes the crops of `ds`."""
    store.write(ds, work / "data")
    program, data, out = Path(sys.executable).with_name("pcm-leukemia"), work / "data", work / "out"
    command: list[str | Path] = [program, "convert", data, out, "--to", "crops", "--workers", "2"]
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], check=True, capture_output=True, text=True
    )
    return float(run.stdout)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--images", type=int, default=400, help="4 or more")
    arguments.add_argument(
        "--quality",
        type=int,
        default=95,
        help="quality of the JPEGs: 92 gives 0.4 MB, 95 gives 0.6 MB, 97 gives 1.0 MB",
    )
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "images"
        folder.mkdir()
        ds = make(folder, given.images, given.quality)
        average = sum(path.stat().st_size for path in folder.iterdir()) / len(ds.images) / 1e6
        print(f"{len(ds.images)} images of {average:.2f} MB, {len(ds.cells)} crops; the fastest of 5 runs")
        for workers in (1, 2):

            def cut(number: int, workers: int = workers) -> None:
                crops.write(ds, Path(work) / f"out{workers}-{number}", workers=workers)

            fast = fastest(lambda _, n=workers: decode_all(ds, n, with_simplejpeg))  # type: ignore[misc]
            pillow = fastest(lambda _, n=workers: decode_all(ds, n, with_pillow))  # type: ignore[misc]
            ours = fastest(cut)
            print(
                f"{workers} threads: decoding {fast:.2f} s (simplejpeg), {pillow:.2f} s (Pillow); crops {ours:.2f} s "
                f"= {ours / fast:.2f} of simplejpeg, {ours / pillow:.2f} of Pillow"
            )
        quarter = given.images // 4
        first = {image.id for image in ds.images[:quarter]}
        few, many = peak(ds.select(images=first), Path(work)), peak(ds, Path(work))
        print(f"memory: {few:.0f} MB for {quarter} images, {many:.0f} MB for {given.images}")


if __name__ == "__main__":
    main()
