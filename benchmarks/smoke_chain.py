"""The paper's chain at smoke size: prints `reproduce --preset smoke` on drawn data, for the table in docs/measured.md.

    python benchmarks/smoke_chain.py OUT [--seeds 2]

The data are the synthetic sample (24 patients, 96 images, a quarter for test and a quarter for val), and two drawn
hospitals in the layouts of ALL-IDB1 and LMU, of other patients under another light. To compare with another checkout,
run this script there with ``PYTHONPATH`` set to it and the same OUT/inputs. Takes a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from other_hospitals import PATTERN, make_all_idb1, make_lmu

from pcm_leukemia import load_dataset, sample, splits, store


def inputs(folder: Path) -> None:
    """Draw the sample with its split, and both hospitals, unless they are there."""
    if folder.exists():
        return
    folder.mkdir(parents=True)
    sample.write(folder / "sample.zip", patients=24, images=96)
    ds = load_dataset(folder / "sample.zip", patients=PATTERN, name="sample")
    store.write(ds.with_split(splits.by_patient(ds, test=0.25, val=0.25, seed=0)), folder / "data")
    make_all_idb1(folder)
    make_lmu(folder)


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--seeds", type=int, default=2, help="draws of LMU's tenth")
    asked = arguments.parse_args()
    there = asked.out / "inputs"
    inputs(there)
    command = [
        *(sys.executable, "-m", "pcm_leukemia", "reproduce", there / "data", asked.out / "reproduced"),
        *("--preset", "smoke", "--seeds", str(asked.seeds), "--device", "cpu"),
        *("--all-idb1", f"all_idb1:{there / 'ALL_IDB1'}"),
        *("--lmu", f"lmu:{there / 'AML-Cytomorphology_LMU'}"),
    ]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
