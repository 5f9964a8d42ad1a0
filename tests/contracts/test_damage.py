"""Whatever is damaged, a reader returns or raises a `PcmError`. A new format or data set is tested without further code.

``benchmarks/damage.py`` damages a million inputs in the same way.
"""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from damaged import MAKERS, Damaged

INPUTS = 100
"""For each reader."""


@pytest.mark.parametrize("name", MAKERS)
def test_only_a_pcm_error_comes_out(name: str, tmp_path: Path) -> None:
    specimen = Damaged(name, tmp_path)
    crashes = []
    for number in range(INPUTS):
        try:
            specimen.attempt(f"test/{number}")
        except Exception:  # noqa: BLE001 - whatever comes out is reported
            crashes.append(f"input {number}:\n{traceback.format_exc(limit=-3)}")
    assert not crashes, f"{len(crashes)} crashes\n" + "\n".join(crashes[:3])


@pytest.mark.parametrize("name", MAKERS)
def test_whole_inputs_are_read(name: str, tmp_path: Path) -> None:
    """Otherwise the damage would never reach most of a reader."""
    specimen = Damaged(name, tmp_path)
    assert specimen.read_whole()
