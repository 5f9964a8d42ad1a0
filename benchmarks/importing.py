"""Importing the paper's number of images with their files, as whole processes, beside another version of this package.

    python benchmarks/importing.py [--images 19191] [--before CHECKOUT] [--repeats 2]

CHECKOUT is a checkout of another version (git worktree add CHECKOUT COMMIT). Each image has a JPEG of 1920x1080; 200
different ones, of 0.4 MB on average, are linked under all names, so the files are read from the page cache. That is the
hard case for what is computed for each file, and says nothing of a slow disk, from which up to 192 KiB of each file are read.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import paper_size
import PIL.Image
import PIL.ImageFilter

from pcm_leukemia import cvat
from pcm_leukemia.converters import coco, yolo

ROOT = Path(__file__).resolve().parents[1]
DIFFERENT = 200


def frames(folder: Path, names: list[str]) -> None:
    """Write one JPEG for each name; the first 200 differ, the others are links to them."""
    rng = np.random.default_rng(0)
    noise = PIL.Image.fromarray(rng.integers(0, 255, (1080, 1920, 3), dtype=np.uint8))
    smooth = np.asarray(noise.filter(PIL.ImageFilter.GaussianBlur(6))).astype(float)
    base = (smooth - smooth.min()) / np.ptp(smooth) * 120 + 110
    folder.mkdir(parents=True)
    for index, name in enumerate(names):
        if index < DIFFERENT:
            pixels = np.roll(base, index * 17, axis=1) + rng.normal(0, 2, base.shape)
            PIL.Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / name, quality=88)
        else:
            os.link(folder / names[index % DIFFERENT], folder / name)


def layouts(work: Path, count: int) -> dict[str, list[str | Path]]:
    """Draw the data in every layout: name -> the arguments of `pcm-leukemia import` before OUT."""
    folder = work / "cvat"
    folder.mkdir()
    times = -(-count // paper_size.IMAGES)
    ds = cvat.read(paper_size.write(folder / "annotations.xml", times))
    frames(folder / "images", [image.name for image in ds.images])
    with zipfile.ZipFile(work / "cvat.zip", "w") as archive:  # not compressed, as CVAT writes it
        kept = [image.name for image in ds.images][: len(ds.images) // 4]
        wanted = set(kept)
        for name in kept:
            archive.write(folder / "images" / name, f"images/{name}")
        head, *rows = (folder / "annotations.xml").read_text(encoding="utf-8").split("  <image ")
        rows = [
            row.removesuffix("</annotations>\n")
            for row in rows
            if row.split('name="')[1].split('"')[0] in wanted
        ]
        archive.writestr("annotations.xml", "  <image ".join([head, *rows]) + "</annotations>\n")
    coco.write(ds, work / "coco")
    (work / "coco" / "images").symlink_to(folder / "images")
    yolo.write(cvat.read(folder), work / "yolo", images="hardlink")
    for extra in ("images.csv", "pcm-leukemia.json"):
        (work / "yolo" / extra).unlink()
    return {
        "CVAT folder": [folder],
        "CVAT zip, a quarter": [work / "cvat.zip"],
        "COCO": [work / "coco", "--images-root", folder / "images"],
        "YOLO of another tool": [work / "yolo"],
    }


def seconds(checkout: Path, arguments: list[str | Path], out: Path) -> float:
    """Seconds that one import takes."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "pcm_leukemia", "import", *arguments[:1], out, *arguments[1:]]
    start = time.perf_counter()
    # python -m looks for the package in the current folder first
    done = subprocess.run(command, cwd=checkout, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{checkout}: import {arguments[0]} failed: {done.stderr.decode()}")
    return time.perf_counter() - start


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--images", type=int, default=paper_size.IMAGES)
    arguments.add_argument("--before", type=Path)
    arguments.add_argument("--repeats", type=int, default=2)
    given = arguments.parse_args()
    versions = {"now": ROOT} | ({"before": given.before.resolve()} if given.before else {})
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for layout, command in layouts(work, given.images).items():
            best = dict.fromkeys(versions, float("inf"))
            for _ in range(given.repeats):
                for version, checkout in versions.items():
                    best[version] = min(best[version], seconds(checkout, command, work / "out"))
            count = json.loads((work / "out" / "dataset.json").read_text(encoding="utf-8"))["counts"][
                "images"
            ]
            said = ", ".join(f"{version} {took:.2f} s" for version, took in best.items())
            ratio = f", ratio {best['now'] / best['before']:.2f}" if "before" in best else ""
            print(f"{layout}: {count:,} images, {said}{ratio}", flush=True)


if __name__ == "__main__":
    main()
