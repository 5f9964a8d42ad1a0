"""What commands that train several models say when they are resumed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pcm_leukemia import baselines
from pcm_leukemia.errors import counted

__all__ = ["says_what_was_trained"]


@contextmanager
def says_what_was_trained(out: Path, pattern: str, *, quiet: bool = False) -> Iterator[None]:
    """Print at the end how many of the runs at a pattern in a folder had been trained before the block."""
    before = _trained(out, pattern)
    yield
    if before and not quiet:
        print(
            f"{before} of {counted(_trained(out, pattern), 'run')} were already trained; nothing to do for them"
        )


def _trained(out: Path, pattern: str) -> int:
    return sum(baselines.Run.open(run).done for run in out.glob(pattern) if baselines.is_run(run))
