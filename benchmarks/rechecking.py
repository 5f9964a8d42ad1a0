"""The second `check` of a data set, as whole processes, beside the first one, which reads every image.

    python benchmarks/rechecking.py [--images 2000] [--export sample.zip] [--repeats 2]

The frames are drawn (1920 x 1080 pixels, JPEG), and lie in a folder or in the zip itself. All runs read them from the page
cache: a slow disk makes the first check slower, and the second one no slower.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from pcm_leukemia import checks, load_dataset, sample, store
from pcm_leukemia.files import CACHE

PATIENTS = "(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


def seconds(data: Path, *options: str) -> tuple[float, float, str]:
    """How long a check takes, how much time of the processor it uses, and what it prints."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pcm_leukemia", "check", str(data), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used, done.stdout


def measure(data: Path, touched: Path, repeats: int) -> None:
    """Print the median times of checks without a cache, of the first, of the second, and after one file has changed."""
    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(repeats):
        shutil.rmtree(data / CACHE, ignore_errors=True)
        said = set()
        for what, options in (
            ("--no-cache", ["--no-cache"]),
            ("first", []),
            ("second", []),
            ("one changed", []),
        ):
            if what == "one changed":
                os.utime(touched)
                time.sleep(4)  # a file of this moment is not kept
            took, used, found = seconds(data, *options)
            times.setdefault(what, []).append((took, used))
            said.add(found)
        assert len(said) == 1, "the findings differ"
    for what, each in times.items():
        took, used = (statistics.median(column) for column in zip(*each, strict=True))
        print(f"  {what}: {took:.1f} s, {used:.1f} s of the processor", flush=True)
    ds = load_dataset(data)
    start = time.perf_counter()
    readings = checks.read_files(ds, cache=data)
    read = time.perf_counter() - start
    start = time.perf_counter()
    list(checks.find_copies(ds, readings))
    print(
        f"  of the second: {read:.2f} s to find the readings, {time.perf_counter() - start:.1f} s to search copies"
    )
    size = (data / CACHE / "readings").stat().st_size
    print(f"  cache: {size / 1e6:.0f} MB for {len(ds.images):,} images with {len(ds.cells):,} cells")


def main() -> None:
    """Frames in a folder, and in the zip that was exported."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--export", type=Path, help="a sample drawn before, or the file to keep it in")
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        export = given.export or Path(work) / "sample.zip"
        if not export.exists():
            sample.write(export, patients=max(given.images // 16, 4), images=given.images, seed=1)
        with zipfile.ZipFile(export) as archive:
            archive.extractall(Path(work) / "export")
        for what, path in (("a folder", Path(work) / "export"), ("a zip", export)):
            data = Path(work) / f"data of {what}"
            ds = load_dataset(path, patients=PATIENTS)
            store.write(ds, data)
            assert isinstance(ds.root, Path)
            touched = ds.root if ds.root.is_file() else ds.root / str(ds.images[0].file)
            print(f"{ds!r} in {what}", flush=True)
            measure(data, touched, given.repeats)


if __name__ == "__main__":
    main()
