"""Writes a picture of each finding for a person to look at, and an index of all findings."""

from __future__ import annotations

import csv
import html
from collections.abc import Iterable
from pathlib import Path

from pcm_leukemia.checks import tiles
from pcm_leukemia.checks.boxes import median_sides
from pcm_leukemia.checks.findings import Finding
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.files import Report, new_folder
from pcm_leukemia.images import Files

__all__ = ["write_pictures"]


def write_pictures(findings: Iterable[Finding], out: str | Path, ds: Dataset) -> Report:
    """Write a picture of each finding that has something to show, and an index of all of them.

    ::

        <out>/<number>_<kind>.jpg   up to four images or cells side by side, with what was measured, part and patient
        <out>/index.html            all findings with their pictures
        <out>/findings.csv          the same as a table

    Parameters
    ----------
    findings
        The findings, as in `Checked.findings`.
    out
        A new folder, or one that an earlier run wrote.
    ds
        The data set that was checked, with its images.

    Raises
    ------
    ExportError
        If `out` must not be replaced, or cannot be written.
    """
    found = list(findings)
    files = Files(ds.root) if ds.root else None
    with new_folder(out, "pairs") as folder:
        rows: list[tuple[str, Finding]] = []
        lost = 0
        medians = median_sides(ds)
        for number, finding in enumerate(found, 1):
            name = f"{number:04}_{finding.kind}.jpg"
            pictured = finding.kind in tiles.PICTURED
            picture = tiles.draw(finding, ds, files, medians) if files and pictured else None
            lost += picture is None and pictured
            if picture:
                picture.save(folder / name, quality=90, subsampling=0)  # thin lines keep their colours
            rows.append((name if picture else "", finding))
        _write_table(rows, folder / "findings.csv")
        (folder / "index.html").write_text(_page(ds.name, rows), encoding="utf-8")
        skipped = {"pictures of images that cannot be read": lost}
        pictures = sum(bool(name) for name, _ in rows)
        notes = (f"{len(rows):,} findings, {pictures:,} with a picture; open index.html",)
        report = Report("pairs", Path(out), {}, {}, skipped, notes)
        report.leave_in(folder, {"name": ds.name, "fingerprint": ds.fingerprint})
    return report


def _write_table(rows: list[tuple[str, Finding]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(
            ("picture", "severity", "kind", "distance", "where", "what", "fix", "parts", "patients", "images")
        )
        for name, found in rows:
            distance = "" if found.distance is None else f"{found.distance:.4f}"
            table.writerow(
                (
                    *(name, found.severity, found.kind, distance, found.where, found.what, found.fix),
                    *("; ".join(each) for each in (found.parts, found.patients, found.images)),
                )
            )


def _page(name: str, rows: list[tuple[str, Finding]]) -> str:
    lines = [
        f'<!doctype html><meta charset="utf-8"><title>{html.escape(name)}: findings</title>',
        "<style>body{font:14px sans-serif;margin:2em}img{max-width:100%}.problem{color:#a00}</style>",
        f"<h1>{html.escape(name)}: {len(rows):,} findings</h1>",
    ]
    for picture, found in rows:
        lines.append(f'<p class="{found.severity}">{found.severity}: {html.escape(str(found))}</p>')
        if picture:
            lines.append(f'<img src="{picture}" alt="{html.escape(found.kind)}" loading="lazy">')
            more = len(found.cells or found.images) - tiles.MOST
            lines += [f"<p>and {more:,} more</p>"] if more > 0 else []
    return "\n".join(lines) + "\n"
