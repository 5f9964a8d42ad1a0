"""Tables that a spreadsheet has saved: with semicolons, a byte order mark, and padded comments."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from commands import Run

from pcm_leukemia import store

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


@pytest.mark.parametrize(("bom", "delimiter"), [(False, ";"), (True, ";"), (True, ","), (False, "\t")])
def test_tables_and_splits_that_a_spreadsheet_saved_are_read(
    run: Run, export: Path, tmp_path: Path, delimiter: str, *, bom: bool
) -> None:
    data = tmp_path / "data"
    assert run("import", export, data, "--patients", PATTERN).status == 0
    assert run("split", data).status == 0
    before = store.read(data)
    for table in [*data.glob("*.csv"), *data.glob("splits/*.csv")]:
        rows = list(csv.reader(io.StringIO(table.read_text())))
        width = max(map(len, rows))
        with table.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as out:
            csv.writer(out, delimiter=delimiter).writerows(row + [""] * (width - len(row)) for row in rows)
    assert run("import", data, tmp_path / "again").status == 0
    after = store.read(tmp_path / "again")
    assert (after.images, after.cells, after.patients) == (before.images, before.cells, before.patients)
    assert before.split
    assert after.split == before.split
