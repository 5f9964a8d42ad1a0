"""Damaged inputs for every reader, a million of them by default: whatever comes out, it is no crash.

``python benchmarks/damage.py --inputs 1000000 --jobs 2 --seed 0`` damages the small inputs of `tests/damaged`, reads
each with its reader, and counts the outcomes. An outcome is "read" or the name of a `PcmError`; anything else is a
crash, printed with its number. ``--only NUMBER`` shows the traceback of one.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from damaged import MAKERS, Damaged, chosen

CHUNK = 2_000
MEMORY = 6 * 2**30
"""Bytes that one process may use."""

Crash = tuple[int, str, str]
Counts = Counter[tuple[str, str]]


_PLACE: list[str] = []
"""The folder of the inputs, set in each process."""


@contextmanager
def place() -> Iterator[str]:
    """A folder for the inputs of all processes, in memory where that is possible."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="damage-") as made:
        _PLACE.append(made)
        yield made


@cache
def specimen(name: str) -> Damaged:
    """The input of a reader; made once in each process."""
    return Damaged(name, Path(tempfile.mkdtemp(dir=_PLACE[0])))


def attempts(
    seed: int, start: int, end: int, names: list[str]
) -> tuple[Counts, list[Crash], dict[str, float]]:
    """(reader, outcome) -> count, the crashes and the seconds of each reader."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    found: Counts = Counter()
    crashes: list[Crash] = []
    seconds: dict[str, float] = dict.fromkeys(names, 0.0)
    for number in range(start, end):
        name, key = chosen(seed, number, names)
        made = specimen(name)
        began = time.perf_counter()
        try:
            outcome = made.attempt(key)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever comes out is counted
            outcome = f"CRASH {type(error).__name__}"
            crashes.append((number, name, _place(error)))
        seconds[name] += time.perf_counter() - began
        found[name, outcome] += 1
    return found, crashes, seconds


def _place(error: BaseException) -> str:
    """The exception, and the last line of the package that it passed."""
    traceback, place = error.__traceback__, ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if (
            "leukemia" in code.co_filename
            or "converters" in code.co_filename
            or "baselines" in code.co_filename
        ):
            place = (
                f"{Path(code.co_filename).parent.name}/{Path(code.co_filename).name}:{traceback.tb_lineno}"
            )
        traceback = traceback.tb_next
    return f"{type(error).__name__} at {place}: {str(error)[:150]!r}"


def main() -> int:
    """Run, and print the counts; 1 if there was a crash."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="+", choices=MAKERS, default=list(MAKERS), metavar="READER")
    parser.add_argument("--only", type=int, metavar="NUMBER")
    given = parser.parse_args()
    names = sorted(given.readers)
    if given.only is not None:
        name, key = chosen(given.seed, given.only, names)
        with place():
            print(name, specimen(name).attempt(key))
        return 0
    found: Counts = Counter()
    seconds: dict[str, float] = dict.fromkeys(names, 0.0)
    crashes: list[Crash] = []
    began = time.perf_counter()
    with (
        place() as made,
        ProcessPoolExecutor(given.jobs, initializer=_PLACE.append, initargs=(made,)) as pool,
    ):
        starts = range(0, given.inputs, CHUNK)
        tasks = [
            pool.submit(attempts, given.seed, start, min(start + CHUNK, given.inputs), names)
            for start in starts
        ]
        for task in tasks:
            counts, bad, spent = task.result()
            found += counts
            seconds = {name: seconds[name] + spent[name] for name in names}
            crashes += bad
            for number, name, what in bad:
                print(f"CRASH {number} {name}: {what}", flush=True)
    took = time.perf_counter() - began
    for name in names:
        rows = {outcome: count for (reader, outcome), count in sorted(found.items()) if reader == name}
        total = sum(rows.values())
        each = 1000 * seconds[name] / max(total, 1)
        print(f"{name}: {total:,} ({each:.1f} ms each): " + ", ".join(f"{o} {n:,}" for o, n in rows.items()))
    print(
        f"{given.inputs:,} inputs, {len(crashes):,} crashes, {took:,.0f} s, {given.inputs / took:,.0f} a second"
    )
    return bool(crashes)


if __name__ == "__main__":
    sys.exit(main())
