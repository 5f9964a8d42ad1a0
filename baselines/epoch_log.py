"""The table of a run's epochs in its folder ``logs``, written in the same way for all models."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from pcm_leukemia.files import new_file

__all__ = ["write_epochs"]


def write_epochs(file: Path, rows: Sequence[Mapping[str, float]]) -> None:
    r"""Write the CSV of all epochs so far, in one step and with its folder; the keys of the first row are the columns.

    Raises
    ------
    ExportError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "logs" / "metrics.csv"
    ...     write_epochs(file, [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    ...     file.read_text(encoding="utf-8")
    'epoch,loss\n1,0.5\n2,0.25\n'
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with new_file(file) as work, work.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
