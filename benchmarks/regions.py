"""Crops of regions compared with decoding whole JPEGs: time as ratios of one run, memory, and the same pixels as Pillow.

    python benchmarks/regions.py [--images 300] [--repeats 5] [--workers 1]
    python benchmarks/regions.py --compare 100000

Each image is a 1920x1080 JPEG with the texture of a smear and two cells. The first command measures; the second compares
random regions of random JPEGs with Pillow's decoding of the whole image. Both need libjpeg-turbo 3 or later, see
docs/image-files.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import PIL.Image
import simplejpeg
from crops import decode_all, make, peak, with_simplejpeg

from pcm_leukemia import Box, Cell, Dataset, Image, images
from pcm_leukemia.converters import crops
from pcm_leukemia.environment import TURBOJPEG
from pcm_leukemia.images import excerpts
from pcm_leukemia.schema import ImageId
from pcm_leukemia.torchdata import Crops

SAMPLINGS = ("444", "422", "420", "440", "411", "Gray")


def with_two_cells(ds: Dataset) -> Dataset:
    """The same images, with two cells of 110 to 200 px in each."""
    chance = random.Random(0)
    cells = []
    for image in ds.images:
        for number in range(2):
            side = chance.uniform(110, 200)
            x, y = chance.uniform(0, image.width - side), chance.uniform(0, image.height - side)
            cells.append(Cell(image.id, number, "Monocyte", Box(x, y, x + side, y + side), "Monocyte"))
    return replace(ds, cells=tuple(cells))


@contextlib.contextmanager
def whole_images() -> Iterator[None]:
    """Decode whole images inside this block, as where no library is found."""
    with patch.object(excerpts, "decode_regions", lambda *_: None):
        yield


class Seconds(NamedTuple):
    """Elapsed time, and that of all threads on the processor, which other programs on the machine change less."""

    elapsed: float
    processor: float


def fastest(jobs: dict[str, Callable[[int], None]], repeats: int) -> dict[str, Seconds]:
    """The time of each job, the least of several alternating runs."""
    seconds: dict[str, list[Seconds]] = {name: [] for name in jobs}
    for number in range(repeats):
        for name, job in jobs.items():
            elapsed, processor = perf_counter(), process_time()
            job(number)
            seconds[name].append(Seconds(perf_counter() - elapsed, process_time() - processor))
    return {name: Seconds(*map(min, zip(*each, strict=True))) for name, each in seconds.items()}


def measure(count: int, repeats: int, workers: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "images").mkdir()
        ds = with_two_cells(make(work / "images", count, 95))
        files, shuffled = images.files_of(ds), random.Random(0).sample(range(len(ds.cells)), len(ds.cells))

        def write(number: int, kind: str) -> None:
            crops.write(ds, work / f"{kind}-{number}", workers=workers)

        def write_from_whole_images(number: int) -> None:
            with whole_images():
                write(number, "whole")

        def only_decode(_: int) -> None:
            for image in ds.images:
                images.load_excerpt(files, image, [cell.box for cell in ds.cells_of(image)])

        def read(order: list[int]) -> None:
            cut = Crops(ds)
            for number in order:
                cut[number]

        def read_from_whole_images(order: list[int]) -> None:
            with whole_images():
                read(order)

        in_order = list(range(len(ds.cells)))
        seconds = fastest(
            {
                "decoding alone, simplejpeg": lambda _: decode_all(ds, workers, with_simplejpeg),
                "crops, regions": lambda number: write(number, "regions"),
                "crops, whole images": write_from_whole_images,
                "their regions alone, not written": only_decode,
                "torchdata.Crops in order, regions": lambda _: read(in_order),
                "torchdata.Crops in order, whole images": lambda _: read_from_whole_images(in_order),
                "torchdata.Crops shuffled, regions": lambda _: read(shuffled),
                "torchdata.Crops shuffled, whole images": lambda _: read_from_whole_images(shuffled),
            },
            repeats,
        )
        alone = seconds["decoding alone, simplejpeg"]
        print(
            f"{count} images, {len(ds.cells)} crops, {workers} threads, the least of {repeats} alternating runs: elapsed, of the processor"
        )
        for what, each in seconds.items():
            ratios = [time / whole for time, whole in zip(each, alone, strict=True)]
            print(
                f"| {what} | {each.elapsed:.2f} s | {ratios[0]:.2f} | {each.processor:.2f} s | {ratios[1]:.2f} |"
            )
        for given in ("regions", "whole images"):
            setting = {TURBOJPEG: "none"} if given == "whole images" else {}
            with patch.dict(os.environ, setting):
                print(f"peak memory with {given}: {peak(ds, work):.0f} MB")


def compare(count: int) -> None:
    """Compare random regions with Pillow, and exit with an error at the first that differs."""
    chance, compared, whole = random.Random(0), Counter[str](), 0
    while compared.total() < count:
        kind, data = random_jpeg(chance)
        expected = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))
        height, width = expected.shape[:2]
        image = Image(ImageId("a.jpg"), width, height, file="a.jpg")
        for _ in range(100):
            x1, x2 = sorted(chance.sample(range(width + 1), 2))
            y1, y2 = sorted(chance.sample(range(height + 1), 2))
            box = Box(x1, y1, x2, y2)
            excerpt = images.decode_excerpt(data, image, [box], 0)
            whole += excerpt.pieces[0][0] == (0, 0, width, height)
            compared[kind] += 1
            if not np.array_equal(excerpt.crop(box), expected[y1:y2, x1:x2]):
                Path("different.jpg").write_bytes(data)
                sys.exit(f"{box} of different.jpg ({kind}) is not what Pillow decodes")
    print(f"{compared.total():,} regions are identical to Pillow, {whole:,} of them cut out of whole images")
    print(", ".join(f"{kind} {number:,}" for kind, number in sorted(compared.items())))


def random_jpeg(chance: random.Random) -> tuple[str, bytes]:
    """A JPEG of noise, smooth or rough, of a random size, subsampling and quality."""
    width, height = chance.randint(1, 400), chance.randint(1, 400)
    small = np.random.default_rng(chance.getrandbits(32)).integers(
        0, 256, (max(height // chance.choice((1, 4, 16)), 1), max(width // chance.choice((1, 4, 16)), 1), 3)
    )
    picture = PIL.Image.fromarray(small.astype(np.uint8)).resize(
        (width, height), PIL.Image.Resampling.BICUBIC
    )
    quality, sampling = chance.randint(30, 100), chance.choice((*SAMPLINGS, "progressive", "restarts"))
    if sampling in SAMPLINGS:
        pixels = np.asarray(picture.convert("L") if sampling == "Gray" else picture)
        if sampling == "Gray":
            return sampling, simplejpeg.encode_jpeg(
                np.ascontiguousarray(pixels[..., None]), quality, "GRAY", "Gray"
            )
        return sampling, simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", sampling)
    stream = io.BytesIO()
    options = {"progressive": True} if sampling == "progressive" else {"restart_marker_blocks": 3}
    picture.save(stream, "JPEG", quality=quality, **options)
    return sampling, stream.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--compare", type=int, metavar="REGIONS", help="compare so many regions with Pillow")
    given = parser.parse_args()
    print(images.region_decoder())
    if given.compare:
        compare(given.compare)
    else:
        measure(given.images, given.repeats, given.workers)


if __name__ == "__main__":
    main()
