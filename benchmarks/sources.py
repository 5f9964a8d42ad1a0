"""Reading a data set of single cells compared with a plain walk that opens each header.

``python benchmarks/sources.py`` draws LMU in its own layout (18,365 TIFF files, 400 x 400, RGBA, with
annotations.dat), reads it, and compares with `os.walk` and `PIL.Image.open` over the same files. Reading may take
at most twice as long.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import PIL.Image

from pcm_leukemia import sources

LIMIT = 2.0


def generate(root: Path, share: float) -> int:
    """Write LMU with a share of its files; returns the number of files."""
    counts = {code: max(round(count * share), 1) for code, count in sources.get("lmu").counts.items()}
    rows = []
    for number, (code, count) in enumerate(counts.items()):
        out = io.BytesIO()
        PIL.Image.new("RGBA", (400, 400), (10 * number, 120, 160, 255)).save(
            out, "TIFF", compression="tiff_lzw"
        )
        folder = root / "AML-Cytomorphology" / code
        folder.mkdir(parents=True)
        for index in range(1, count + 1):
            (folder / f"{code}_{index:04}.tiff").write_bytes(out.getvalue())
            rows.append(f"{code}/{code}_{index:04}.tiff {code} nan nan\n")
    (root / "annotations.dat").write_text("".join(rows), encoding="utf-8")
    return sum(counts.values())


def bare(root: Path) -> int:
    """Walk the folder and open the header of every file."""
    found = 0
    for folder, _, files in os.walk(root):
        for file in files:
            if file.endswith(".tiff"):
                with PIL.Image.open(f"{folder}/{file}") as picture:
                    found += picture.size == (400, 400)
    return found


def ours(root: Path) -> int:
    """Read the folder as a data set."""
    return len(sources.lmu.read(root).images)


def timed(run: Callable[[Path], int], root: Path, files: int) -> float:
    start = time.perf_counter()
    if run(root) != files:
        sys.exit(f"{run.__name__}: did not find all {files} files")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="share of the 18,365 files")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = generate(root, options.share)
        timed(bare, root, files)  # so that the files are cached for both
        pairs = [(timed(bare, root, files), timed(ours, root, files)) for _ in range(options.repeats)]
    walk, read = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for other, one in pairs)
    print(
        f"{files:,} files; walk and headers {walk:.2f} s, read {read:.2f} s: {ratio:.2f} times (limit {LIMIT})"
    )
    sys.exit(ratio > LIMIT)


if __name__ == "__main__":
    main()
