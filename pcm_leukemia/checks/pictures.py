"""Writes a picture of each finding for a person to look at, and an index of all findings."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pcm_leukemia.checks import tiles
from pcm_leukemia.checks.boxes import median_sides
from pcm_leukemia.checks.findings import Finding
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.files import Report, new_folder
from pcm_leukemia.images import Files
from pcm_leukemia.patients import has_pseudonyms

__all__ = ["without_folders", "write_pictures"]


_FORM = "pairs"  # as earlier versions call it: their folders can be written again
_STYLE = """
:root { color-scheme: light dark }
body { max-width: 62rem; margin: 0 auto; padding: 1rem; font: 16px/1.45 system-ui, sans-serif }
h1, p { overflow-wrap: anywhere }
section { margin: 1.2rem 0; padding-left: 0.8rem; border-left: 4px solid #8a929a }
section.problem { border-color: #b26a00 }
img { display: block; max-width: 100% }
"""


def without_folders(text: str, ds: Dataset) -> str:
    """A sentence without the folders that lead to the data: what is written may be given away.

    If the data have pseudonyms, the folder or zip of the images is not named either, since it may be called after a patient.

    Examples
    --------
    >>> from pcm_leukemia import NINE
    >>> ds = Dataset("demo", NINE, (), root=Path("/home/ada/ward/images"))
    >>> without_folders("/home/ada/ward/images/a.png is not there; /home/ada/ward/ward.xml names it", ds)
    'images/a.png is not there; ward.xml names it'
    """
    if ds.root is None:
        return text
    for root in dict.fromkeys((ds.root, ds.root.absolute(), ds.root.resolve())):
        text = text.replace(str(root), "the images" if has_pseudonyms(ds) else root.name)
        for above in root.parents:
            if above.name:
                text = re.sub(rf"(?<![\w./\\-]){re.escape(str(above))}[/\\]", "", text)
    return text


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
    found = [
        replace(
            each,
            place=without_folders(each.place, ds),
            what=without_folders(each.what, ds),
            fix=without_folders(each.fix, ds),
        )
        for each in findings
    ]
    files = Files(ds.root) if ds.root else None
    with new_folder(out, _FORM) as folder:
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
        notes = (f"{counted(len(rows), 'finding')}, {pictures:,} with a picture; open index.html",)
        report = Report(_FORM, Path(out), {}, {}, skipped, notes)
        report.leave_in(folder, {"name": ds.name, "fingerprint": ds.fingerprint})
    return replace(report, format="pictures")


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
    title = html.escape(f"{name}: {counted(len(rows), 'finding')}")
    lines = [
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style>\n<h1>{title}</h1>",
    ]
    for picture, found in rows:
        lines.append(f'<section class="{found.severity}">')
        lines.append(f"<p><b>{found.severity.title()}</b>: {html.escape(str(found))}</p>")
        if picture:
            lines.append(f'<img src="{picture}" alt="{html.escape(found.kind)}" loading="lazy">')
            more = len(found.cells or found.images) - tiles.MOST
            lines += [f"<p>and {more:,} more</p>"] if more > 0 else []
        lines.append("</section>")
    return "\n".join(lines) + "\n"
