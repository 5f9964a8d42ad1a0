"""Our Hugging Face export compared with the `imagefolder` builder of `datasets`: whole processes, in one run.

    python benchmarks/huggingface.py [--images 200] [--repeats 3]

Each image is a 1920x1080 JPEG as in benchmarks/crops.py. The peer gets the same files and a
metadata.jsonl with the boxes, loads them (`load_dataset("imagefolder", ...)`, into an empty cache)
and writes parquet (`to_parquet`). It cuts no crops, writes no card and splits nothing, so only
"detection" is comparable; "both" is ours alone. The fastest of `repeats` counts, and the largest peak.
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
from pathlib import Path

from crops import make

from pcm_leukemia import Dataset, store

OURS = """
import sys
from pcm_leukemia import store
from pcm_leukemia.converters import huggingface
huggingface.write(store.read(sys.argv[1]), sys.argv[2], configs=sys.argv[3].split(","))
"""
THEIRS = """
import sys
import datasets
datasets.disable_progress_bars()
opened = datasets.load_dataset("imagefolder", data_dir=sys.argv[1], split="train")
opened.to_parquet(sys.argv[2])
"""
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss / 1000 if status == 0 else sys.exit("failed"))
"""
"""A process inherits the peak memory of its parent, so a small process starts it."""


def run(command: list[str], home: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of a process, with an empty cache."""
    shutil.rmtree(home, ignore_errors=True)
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, "-c", *command],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return time.perf_counter() - start, float(done.stdout)


def describe(ds: Dataset, folder: Path) -> None:
    """Write the metadata.jsonl that `imagefolder` reads."""
    with (folder / "metadata.jsonl").open("w") as stream:
        for image in ds.images:
            boxes = [
                [cell.box.x1, cell.box.y1, cell.box.width, cell.box.height] for cell in ds.cells_of(image)
            ]
            objects = {
                "bbox": boxes,
                "category": [ds.taxonomy.ids[cell.label] for cell in ds.cells_of(image)],
            }
            stream.write(json.dumps({"file_name": image.id, "objects": objects}) + "\n")


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--images", type=int, default=200, help="4 or more")
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "images").mkdir()
        ds = make(work / "images", given.images, 95)
        size = sum(path.stat().st_size for path in (work / "images").iterdir()) / 1e6
        describe(ds, work / "images")
        store.write(ds, work / "data")
        quarter = ds.select(images={image.id for image in ds.images[: given.images // 4]})
        store.write(quarter, work / "quarter")
        out = str(work / "out")
        jobs = {
            "imagefolder": [THEIRS, str(work / "images"), str(work / "out.parquet")],
            "ours, detection": [OURS, str(work / "data"), out, "detection"],
            "ours, both": [OURS, str(work / "data"), out, "detection,classification"],
            "ours, both, a quarter": [OURS, str(work / "quarter"), out, "detection,classification"],
        }
        print(f"{len(ds.images)} images, {size:.0f} MB, {len(ds.cells)} cells; {os.cpu_count()} cores")
        found = {}
        for name, command in jobs.items():
            runs = [run(command, work / "home") for _ in range(given.repeats)]
            found[name] = min(seconds for seconds, _ in runs), max(peak for _, peak in runs)
        theirs = found["imagefolder"]
        for name, (seconds, peak) in found.items():
            print(
                f"{name}: {seconds:.2f} s, {peak:.0f} MB; theirs to ours {theirs[0] / seconds:.2f} in time, "
                f"{theirs[1] / peak:.2f} in memory"
            )


if __name__ == "__main__":
    main()
