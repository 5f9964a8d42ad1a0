"""CVAT XML to COCO and to YOLO labels: whole processes, ours and the peers', in one run.

    python benchmarks/conversion.py [--times 1 10] [--repeats 3] [--peers panlabel hotcoco globox datumaro]

The peers are installed into environments of their own (.venv-peers-*). Each conversion is a whole
process; the fastest of `repeats` counts. Ratios are theirs to ours: above 1, ours is faster or
needs less memory. hotcoco converts CVAT to COCO alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import paper_size
import PIL.Image

ROOT = Path(__file__).resolve().parents[1]
PEERS = {"panlabel": "panlabel", "hotcoco": "hotcoco", "globox": "globox", "datumaro": "datumaro[cli]"}


def installed(peer: str) -> Path:
    """The folder of a peer's commands; installs the peer first if necessary."""
    venv = ROOT / f".venv-peers-{peer}"
    if not venv.is_dir():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "python", "-m", "pip", "install", "-q", PEERS[peer]], check=True)
    return venv / "bin"


def ours(xml: Path, out: Path, to: str) -> list[str | Path]:
    return [Path(sys.executable).with_name("pcm-leukemia"), "convert", xml, out, "--to", to]


def panlabel(xml: Path, out: Path, to: str) -> list[str | Path]:
    target = out.with_suffix(".json") if to == "coco" else out
    return [
        installed("panlabel") / "panlabel",
        "convert",
        "-f",
        "cvat",
        "-t",
        to,
        "-i",
        xml,
        "-o",
        target,
        "--allow-lossy",
    ]


def hotcoco(xml: Path, out: Path, to: str) -> list[str | Path]:
    target = out.with_suffix(".json") if to == "coco" else out
    program = installed("hotcoco") / "coco"
    return [program, "convert", "--from", "cvat", "--to", to, "--input", xml, "--output", target]


def globox(xml: Path, out: Path, to: str) -> list[str | Path]:
    target, form = (out.with_suffix(".json"), "coco") if to == "coco" else (out, "yolov5")
    more = ["--coco_auto_ids"] if to == "coco" else []
    return [installed("globox") / "globox", "convert", xml, target, "-f", "cvat", "-F", form, *more]


def datumaro(xml: Path, out: Path, to: str) -> list[str | Path]:
    """The command of Datumaro, which needs a folder with every image: see `folder_for_datumaro`."""
    form = "coco_instances" if to == "coco" else "yolo"
    folder = xml.with_suffix(".folder")
    return [installed("datumaro") / "datum", "convert", "-if", "cvat", "-i", folder, "-f", form, "-o", out]


def folder_for_datumaro(xml: Path) -> None:
    """The XML with its images as hard links of one tiny JPEG (at most 60,000 links to a file)."""
    folder = xml.with_suffix(".folder")
    (folder / "images").mkdir(parents=True)
    shutil.copy(xml, folder / "annotations.xml")
    names = [
        line.split('name="')[1].split('"')[0] for line in xml.open(encoding="utf-8") if "<image " in line
    ]
    for index, name in enumerate(names):
        if index % 50_000 == 0:
            picture = folder / "images" / name
            PIL.Image.new("RGB", (8, 8)).save(picture)
        else:
            os.link(picture, folder / "images" / name)


def measure(command: list[str | Path], repeats: int, clear: Callable[[], None]) -> tuple[float, float] | None:
    """Seconds and peak memory in MB of the fastest run; None if the tool failed."""
    best: tuple[float, float] | None = None
    for _ in range(repeats):
        clear()
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            return None
        if best is None or seconds < best[0]:
            best = seconds, usage.ru_maxrss / 1000
    return best


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--times", type=int, nargs="+", default=[1, 10])
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    given = arguments.parse_args()
    commands = {"panlabel": panlabel, "hotcoco": hotcoco, "globox": globox, "datumaro": datumaro}
    for peer in given.peers:
        installed(peer)
    print(f"{'scale':>5} {'to':>4}  {'tool':10} {'s':>7} {'MB':>7}   time and memory, theirs to ours")
    with tempfile.TemporaryDirectory() as work:
        for times in given.times:
            xml = paper_size.write(Path(work) / f"x{times}.xml", times)
            if "datumaro" in given.peers:
                folder_for_datumaro(xml)
            for to in ("coco", "yolo"):
                out = Path(work) / "out"

                def clear(out: Path = out) -> None:
                    shutil.rmtree(out, ignore_errors=True)
                    out.with_suffix(".json").unlink(missing_ok=True)

                base = measure(ours(xml, out, to), given.repeats, clear)
                if base is None:
                    sys.exit(f"pcm-leukemia failed at {times}x to {to}")
                print(f"{times:>4}x {to:>4}  {'ours':10} {base[0]:7.2f} {base[1]:7.0f}", flush=True)
                for peer in given.peers:
                    result = measure(commands[peer](xml, out, to), given.repeats, clear)
                    if result is None:
                        print(f"{times:>4}x {to:>4}  {peer:10} failed", flush=True)
                        continue
                    ratios = f"{result[0] / base[0]:5.2f} {result[1] / base[1]:5.2f}"
                    print(
                        f"{times:>4}x {to:>4}  {peer:10} {result[0]:7.2f} {result[1]:7.0f}   {ratios}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
