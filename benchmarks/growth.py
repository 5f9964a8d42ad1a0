"""How time, memory and files grow with the number of frames: whole commands on 1, 10 and 50 times the paper's size.

    python benchmarks/growth.py [--times 1 10 50]

The export has no image files. Each line is one process: its processor time, peak memory, and the size of what it wrote. The last
table divides by the number of frames, and gives what ten million frames would take if that stayed so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import paper_size

MILLIONS = 10
PATTERN = r"_(?P<patient>P\d+)_"


class Cost(NamedTuple):
    """What one command took: seconds of the processor, peak memory in MB, and MB on disk."""

    seconds: float
    memory: float
    disk: float


def command(*words: str | Path) -> Cost:
    """Run a command of pcm-leukemia; its last word is what it writes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pcm_leukemia", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{words}: failed")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, size_of(Path(words[-1])))


def size_of(path: Path) -> float:
    """The MB of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def measure(times: int, work: Path) -> dict[str, Cost]:
    """The cost of each command on so many times the paper's data."""
    export = paper_size.write(work / "export.xml", times)
    data = work / "data"
    costs = {"import": command("import", export, "--patients", PATTERN, data)}
    costs["split"] = command("split", data)._replace(disk=size_of(data) - costs["import"].disk)
    for form in ("coco", "yolo"):
        costs[f"convert --to {form}"] = command("convert", "--to", form, data, work / form)
    return {"the XML itself": Cost(0, 0, size_of(export)), **costs}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 50])
    given = parser.parse_args()
    print("| frames | command | seconds | peak MB | MB written |\n|---|---|---|---|---|")
    for times in given.times:
        frames = paper_size.IMAGES * times
        with tempfile.TemporaryDirectory() as name:
            costs = measure(times, Path(name))
        for what, cost in costs.items():
            print(
                f"| {frames:,} | {what} | {cost.seconds:.1f} | {cost.memory:,.0f} | {cost.disk:,.0f} |",
                flush=True,
            )
    print(f"\nfor {MILLIONS} million frames, if the cost of each of {frames:,} frames stayed the same:")
    for what, cost in costs.items():
        grown = [each * MILLIONS * 1e6 / frames for each in cost]
        print(
            f"{what}: {grown[0]:,.0f} s, {grown[1] / 1000:,.1f} GB of memory, {grown[2] / 1000:,.1f} GB on disk"
        )


if __name__ == "__main__":
    main()
